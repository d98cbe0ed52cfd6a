"""Saved models that are complete at any moment, and training that resumes from them."""

import contextlib
import os
import re
import string
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import keras

from kgan import _backend
from kgan._arguments import integer
from kgan._files import remove_unfinished, written_whole
from kgan.callbacks.terminate_on_nan import NaNWarning, networks_with_nan
from kgan.training.callback import Callback
from kgan.training.model import GenerativeModel


class Checkpoint(Callback):
    """Saves the model after every epoch, and replaces the file only when the new one is complete.

    Keras's `ModelCheckpoint` overwrites the file itself: a run that is killed meanwhile loses the
    model. Here the file at `path` is always complete, and training resumes from it with the next
    batch: load it, and give `fit` the same data and `initial_epoch=model.epochs_trained`. The file
    also holds what the other callbacks remember. So wherever it is in the list, a Checkpoint runs
    after them.

    If training stops within an epoch, by `StopOnSignal` or `TimeLimit`, the model is saved there. A
    model with weights that are NaN or infinite is not saved and gives a `NaNWarning`, so it never
    replaces a sound one. Of several processes that train a model together, the chief saves.

    Args:
        path: Where the model is saved; ends in `.keras`. As in Keras's `ModelCheckpoint` it may
            name the number of the epoch, of the batch, or a log: `"{epoch:02d}-{loss:.2f}.keras"`.
            Then older files stay.
        every: Integer, the number of epochs between saves. The last epoch of a run is always saved.
        every_batches: Integer n: save also after every n batches of an epoch. Defaults to `None`:
            only after epochs.

    Raises:
        ValueError: `path` does not end in `.keras`, `every` or `every_batches` is less than 1, or,
            when it saves, `path` names a log that does not exist.

    Example:
    ```python
    model.fit(train, epochs=20, callbacks=[kgan.callbacks.Checkpoint("model.keras")])
    ```

    To resume after an interruption:

    ```python
    model = keras.saving.load_model("model.keras")
    model.fit(
        train,
        initial_epoch=model.epochs_trained,
        epochs=20,
        callbacks=[kgan.callbacks.Checkpoint("model.keras")],
    )
    ```
    """

    saves = True

    def __init__(
        self, path: str | os.PathLike[str], every: int = 1, every_batches: int | None = None
    ) -> None:
        super().__init__()
        if Path(path).suffix != ".keras":
            raise ValueError(f"Expected `path` to end in .keras. Received: path={str(path)!r}.")
        self.path = Path(path)
        self.every = integer("every", every)
        self.every_batches = (
            None if every_batches is None else integer("every_batches", every_batches)
        )
        self._is_template = _has_fields(str(path))
        # Whether Keras need not wait for each batch's logs.
        self.async_safe = every_batches is None and not self._is_template
        self._epoch: int | None = None
        self._batch = 0
        self._logs: Mapping[str, Any] = {}
        self._begun = 0
        self._is_saved = False
        self._is_within_epoch = False

    def on_train_begin(self, logs: Mapping[str, Any] | None = None) -> None:
        """Makes the directory, so that an error shows before an epoch is trained."""
        del logs
        self._is_saved = self._is_within_epoch = False
        self._epoch = None
        if _backend.is_chief(self.model) and not _has_fields(str(self.path.parent)):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            file = Path(os.path.realpath(self.path))  # a link is written where it leads
            remove_unfinished(file.parent, _pattern(self.path.name))

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Remembers the epoch."""
        del logs
        self._epoch, self._batch = epoch, 0

    def on_train_batch_begin(self, batch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Remembers the first of the batches that are reported together."""
        del logs
        self._begun = batch

    def on_train_batch_end(self, batch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Saves, if it is this batch's turn."""
        if self._is_template:
            self._batch, self._logs = batch, logs or {}
        every = self.every_batches
        # Compared by quotient: with steps_per_execution, batches are reported several at a time.
        if every is not None and (batch + 1) // every > self._begun // every:
            self._save()

    def on_train_interrupted(self) -> None:
        """Saves an interrupted epoch."""
        if self.model.batches_trained:
            self._save()
            self._is_saved = self._is_within_epoch = True

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Saves, if it is this epoch's turn."""
        self._logs = logs or {}
        if self._is_within_epoch:
            return
        self._is_saved = (epoch + 1) % self.every == 0
        if self._is_saved:
            self._save()

    def on_train_end(self, logs: Mapping[str, Any] | None = None) -> None:
        """Saves the last epoch, if it was not its turn."""
        del logs
        has_a_name = self._epoch is not None or not self._is_template
        if not self._is_saved and has_a_name:
            self._save()

    def _save(self) -> None:
        # Other Keras models need no other processes to save.
        is_ours = isinstance(self.model, GenerativeModel)
        with self.model.taking_stock() if is_ours else contextlib.nullcontext():
            if _backend.is_chief(self.model):
                self._save_here(self._present_path())

    def _present_path(self) -> Path:
        """The path, with the numbers of the epoch and the batch, and the logs, filled in."""
        if not self._is_template:
            return self.path
        values = {**self._logs, "epoch": (self._epoch or 0) + 1, "batch": self._batch + 1}
        try:
            return Path(str(self.path).format(**values))
        except (KeyError, IndexError, ValueError) as error:
            raise ValueError(
                "Expected `path` to name the epoch, the batch, or a log, one of "
                f"{sorted(values)}. Received: path={str(self.path)!r}, which cannot be filled in: "
                f"{error!r}."
            ) from error

    def _save_here(self, path: Path) -> None:
        lost = networks_with_nan(self.model)
        if not lost:
            self._write(path)
            return
        warnings.warn(
            f"Not saved: the weights of {' and '.join(lost)} are no longer finite. "
            + (f"{path} stays as it was." if path.exists() else ""),
            NaNWarning,
            stacklevel=2,
        )

    def _write(self, path: Path) -> None:
        if isinstance(self.model, GenerativeModel):  # which replaces files when they are complete
            self.model.save(path)
            return
        with written_whole(path) as temporary:
            self.model.save(temporary)


class BackupAndRestore(Checkpoint):
    """Lets `fit` resume where the last process stopped, however it ended.

    Run the same program again: before its first batch, `fit` of a kgan model loads the last backup
    and continues with the next batch. With an `ImageDataset` that has a seed it ends as if it had
    not been interrupted, bit for bit on one CPU: weights, their averages, the optimizers, noise,
    the order of the data, the means in the logs, the history, and what other callbacks remember
    (Keras's `EarlyStopping`, `ReduceLROnPlateau` and `ModelCheckpoint`, kgan's own, and any with
    `get_state()` and `set_state(state)`). With other data, whose order no file holds, an
    interrupted epoch begins again.

    Keras's callback of that name does not save the state of callbacks or the position within an
    epoch. If a process is killed while it saves, that callback may leave nothing to restore.

    Args:
        backup_dir: A directory for the backup, `latest.keras`, of one training.
        save_freq: "epoch", or an integer n: after every n batches of an epoch as well.
        delete_checkpoint: Whether to delete the backup when `fit` is done, so that the next one
            begins from scratch. It stays if `fit` was interrupted: by an error, `StopOnSignal` or
            `TimeLimit`.

    Raises:
        ValueError: `save_freq` is neither; or, in `fit`, the backup is of another model.
        RuntimeError: Training did not begin with `fit` of a kgan model, so nothing was restored and
            the backup would be overwritten.

    Example:
    ```python
    backup = kgan.callbacks.BackupAndRestore("backup", save_freq=1000)
    model.fit(train, epochs=20, callbacks=[backup])
    ```
    """

    def __init__(
        self,
        backup_dir: str | os.PathLike[str],
        save_freq: int | str = "epoch",
        delete_checkpoint: bool = True,
    ) -> None:
        if isinstance(save_freq, str) and save_freq != "epoch":
            raise ValueError(
                f'Expected `save_freq` to be "epoch" or an integer. Received: {save_freq!r}.'
            )
        every = None if save_freq == "epoch" else integer("save_freq", save_freq)
        super().__init__(Path(backup_dir) / "latest.keras", every_batches=every)
        self._is_template, self.async_safe = False, every is None
        self.delete_checkpoint = delete_checkpoint
        self._is_interrupted = False
        self._is_asked = False

    def before_fit(self, model: keras.Model) -> bool:
        """Restores the model, if there is a backup, and returns whether there is."""
        self._is_asked = True
        if not self.path.exists():
            return False
        with loading(
            f"Expected {self.path} to be a backup of this model, compiled as it is now. Received "
            "one that cannot be loaded into it. Delete it to train from scratch. The reason"
        ):
            model.load_weights(self.path)
        return True

    def on_train_begin(self, logs: Mapping[str, Any] | None = None) -> None:
        """Makes the directory, unless an existing backup would be lost."""
        if not self._is_asked:
            raise RuntimeError(
                "Expected training to begin with `fit` of a kgan model, which restores the backup "
                "first. Received: another beginning, such as a custom loop, which would overwrite "
                f"{self.path}. There, use kgan.callbacks.Checkpoint, and load its file with "
                "keras.saving.load_model before the loop."
            )
        self._is_asked = False
        super().on_train_begin(logs)
        self._is_interrupted = False

    def on_train_interrupted(self) -> None:
        """Saves an interrupted epoch."""
        super().on_train_interrupted()
        self._is_interrupted = True

    def on_train_end(self, logs: Mapping[str, Any] | None = None) -> None:
        """Deletes the backup of a training that is complete."""
        if self._is_interrupted or not self.delete_checkpoint:
            super().on_train_end(logs)
        elif _backend.is_chief(self.model):
            self.path.unlink(missing_ok=True)


def _has_fields(path: str) -> bool:
    """Whether a path has fields in braces to fill in."""
    try:
        return any(field is not None for _, field, _, _ in string.Formatter().parse(path))
    except ValueError:  # braces that are not fields
        return False


def _pattern(name: str) -> str:
    """A regular expression for a file's name, with any text in place of its fields."""
    if not _has_fields(name):
        return re.escape(name)
    return "".join(
        re.escape(literal) + ("" if field is None else ".*")
        for literal, field, _, _ in string.Formatter().parse(name)
    )


@contextlib.contextmanager
def loading(refusal: str) -> Iterator[None]:
    """A context for loading a model. If anything cannot be loaded, it raises one readable error.

    Args:
        refusal: String, the error's text before the reason.

    Raises:
        ValueError: The model could not be loaded, or only without its optimizers' moments.
    """
    try:
        with warnings.catch_warnings():
            # Without its optimizers' moments, training would not resume where it stopped.
            warnings.filterwarnings("error", message="Skipping variable loading for optimizer")
            yield
    except Exception as error:  # Keras raises all kinds of errors for damaged files
        first: BaseException = error
        while first.__context__ is not None:  # Keras puts it into pages of configuration
            first = first.__context__
        reason = " ".join(f"{type(first).__name__}: {first}".split())
        raise ValueError(f"{refusal}: {reason[:300]}") from error

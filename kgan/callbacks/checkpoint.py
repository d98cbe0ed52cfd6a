"""A saved model that is whole at any moment, and the training that goes on from it."""

import contextlib
import os
import re
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras

from kgan import _backend
from kgan._arguments import integer
from kgan._files import remove_unfinished, written_whole
from kgan.callbacks.terminate_on_nan import NaNWarning, networks_with_nan
from kgan.training.model import GenerativeModel


class Checkpoint(keras.callbacks.Callback):
    """Saves the model after every epoch, replacing the file only when the new one is complete.

    Keras's `ModelCheckpoint` writes over the file itself: a run that is killed while it does loses
    the model. Here the file at `path` is always a whole one, from which training goes on, with the
    next batch: load it, and give `fit` the same data and `initial_epoch=gan.epochs_trained`. What
    the other callbacks remember is in the file too, so wherever it stands among them, a Checkpoint
    comes after them.

    Training that is stopped within an epoch, by `StopOnSignal` or `TimeLimit`, is saved as it stood
    there. A model with weights that are NaN or infinite never replaces one that is sound: it is not
    saved, with a `NaNWarning`. Of several processes that train a model together, the chief saves.

    Args:
        path: Where the model is saved; ends in `.keras`.
        every: Integer, epochs from one save to the next. The last epoch of a run is always saved.
        every_batches: Integer n: save after every n batches of an epoch too. Defaults to not.

    Raises:
        ValueError: `path` does not end in `.keras`, or `every` or `every_batches` is less than 1.

    Example:
    ```python
    gan.fit(train, epochs=20, callbacks=[kgan.callbacks.Checkpoint("gan.keras")])
    ```

    After whatever stopped it:

    ```python
    gan = keras.saving.load_model("gan.keras")
    gan.fit(
        train,
        initial_epoch=gan.epochs_trained,
        epochs=20,
        callbacks=[kgan.callbacks.Checkpoint("gan.keras")],
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
        self.async_safe = every_batches is None  # then it does not look at the batches
        self._begun = 0
        self._is_saved = False
        self._is_within_epoch = False

    def on_train_begin(self, logs: Any = None) -> None:
        """Makes the directory: if that cannot be, it should show before an epoch is trained."""
        del logs
        self._is_saved = self._is_within_epoch = False
        if _backend.is_chief(self.model):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            file = Path(os.path.realpath(self.path))  # beside which it is written, if it is a link
            remove_unfinished(file.parent, re.escape(self.path.name))

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        """Notes the first of the batches that are reported together."""
        del logs
        self._begun = batch

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Saves, if it is this batch's turn."""
        del logs
        every = self.every_batches
        # Compared by quotient: with steps_per_execution, batches are reported several at a time.
        if every is not None and (batch + 1) // every > self._begun // every:
            self._save()

    def on_train_interrupted(self) -> None:
        """Saves what was trained of an epoch that is not whole."""
        if self.model.batches_trained:
            self._save()
            self._is_saved = self._is_within_epoch = True

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Saves, if it is this epoch's turn."""
        del logs
        if self._is_within_epoch:
            return
        self._is_saved = (epoch + 1) % self.every == 0
        if self._is_saved:
            self._save()

    def on_train_end(self, logs: Any = None) -> None:
        """Saves what the last turn left out."""
        del logs
        if not self._is_saved:
            self._save()

    def _save(self) -> None:
        # Models of other kinds have nothing to say that takes several processes.
        stock = getattr(self.model, "taking_stock", contextlib.nullcontext)
        with stock():
            if _backend.is_chief(self.model):
                self._save_here()

    def _save_here(self) -> None:
        lost = networks_with_nan(self.model)
        if not lost:
            self._write()
            return
        warnings.warn(
            f"Not saved: the weights of {' and '.join(lost)} are no longer finite. "
            + (f"{self.path} stays as it was." if self.path.exists() else ""),
            NaNWarning,
            stacklevel=2,
        )

    def _write(self) -> None:
        if isinstance(self.model, GenerativeModel):  # which sees to it that the file is whole
            self.model.save(self.path)
            return
        with written_whole(self.path) as temporary:
            self.model.save(temporary)


class BackupAndRestore(Checkpoint):
    """Has `fit` go on where it was when the process ended, whatever ended it.

    Run the same program again: before its first batch, `fit` of a `kgan.GAN` loads what was saved
    last, and goes on with the batch that comes next. With an `ImageDataset` that has a seed it ends
    as if nothing had happened, to the last bit on one CPU: weights, their averages, both
    optimizers, noise, the order of the data, the means in the logs, the history, and what the other
    callbacks remember (Keras's `EarlyStopping`, `ReduceLROnPlateau` and `ModelCheckpoint`, kgan's
    own, and any with `get_state()` and `set_state(state)`). Of other data, whose order no file
    holds, epochs that were begun begin anew.

    Keras's callback of that name saves neither what callbacks remember nor, within an epoch, where
    the data stand, and a process that is killed while it saves may leave nothing to restore.

    Args:
        backup_dir: A directory for the backup, `latest.keras`, of one training.
        save_freq: "epoch", or an integer n: after every n batches of an epoch as well.
        delete_checkpoint: Whether to delete the backup when `fit` is done, so that the next one
            begins anew. It stays where `fit` was interrupted: by an error, `StopOnSignal`,
            `TimeLimit`.

    Raises:
        ValueError: `save_freq` is neither; or, in `fit`, the backup is of another model.
        RuntimeError: When training begins, it is not by `fit` of a `kgan.GAN`: nothing has been
            restored, and the backup would be written over.

    Example:
    ```python
    backup = kgan.callbacks.BackupAndRestore("backup", save_freq=1000)
    gan.fit(train, epochs=20, callbacks=[backup])
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
        self.delete_checkpoint = delete_checkpoint
        self._is_interrupted = False
        self._is_asked = False

    def before_fit(self, model: Any) -> bool:
        """Restores a model, if there is a backup; says whether there is."""
        self._is_asked = True
        if not self.path.exists():
            return False
        with loading(
            f"Expected {self.path} to be a backup of this model, compiled as it is. Received one "
            "that cannot be loaded into it. Delete it to begin anew. What is wrong"
        ):
            model.load_weights(self.path)
        return True

    def on_train_begin(self, logs: Any = None) -> None:
        """Makes the directory, unless a backup that is there would be lost."""
        if not self._is_asked:
            raise RuntimeError(
                "Expected `fit` of a kgan.GAN to begin training: it restores the backup first. "
                "Received: training that began otherwise, as in a loop of your own, which would "
                f"write over {self.path} and delete it. There, use kgan.callbacks.Checkpoint, and "
                "load its file with keras.saving.load_model before the loop."
            )
        self._is_asked = False
        super().on_train_begin(logs)
        self._is_interrupted = False

    def on_train_interrupted(self) -> None:
        """Saves what was trained of an epoch that is not whole."""
        super().on_train_interrupted()
        self._is_interrupted = True

    def on_train_end(self, logs: Any = None) -> None:
        """Deletes the backup of a training that is done."""
        if self._is_interrupted or not self.delete_checkpoint:
            super().on_train_end(logs)
        elif _backend.is_chief(self.model):
            self.path.unlink(missing_ok=True)


@contextlib.contextmanager
def loading(refusal: str) -> Iterator[None]:
    """A context to load a model in: what cannot be loaded, all of it, is an error in a paragraph.

    Args:
        refusal: What the error says before the reason.

    Raises:
        ValueError: It could not be loaded, or only without its optimizers' moments.
    """
    try:
        with warnings.catch_warnings():
            # Without its optimizers' moments it would not go on where it stopped.
            warnings.filterwarnings("error", message="Skipping variable loading for optimizer")
            yield
    except Exception as error:  # Keras raises whatever the damage leads to
        first: BaseException = error
        while first.__context__ is not None:  # which Keras puts into pages of configuration
            first = first.__context__
        reason = " ".join(f"{type(first).__name__}: {first}".split())
        raise ValueError(f"{refusal}: {reason[:300]}") from error

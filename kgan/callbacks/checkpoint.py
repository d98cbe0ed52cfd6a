"""A saved model that is whole at any moment."""

import os
import warnings
from pathlib import Path
from typing import Any

import keras

from kgan import _backend
from kgan._arguments import integer
from kgan._files import written_whole
from kgan.callbacks.terminate_on_nan import NaNWarning, networks_with_nan


class Checkpoint(keras.callbacks.Callback):
    """Saves the model after every epoch, replacing the file only when the new one is complete.

    Keras's `ModelCheckpoint` writes over the file itself: a run that is killed while it does loses
    the model. Here the file at `path` is always a whole one, from which training goes on. A model
    with weights that are NaN or infinite never replaces one that is sound: it is not saved, with a
    `NaNWarning`. Of several processes that train a model together, the chief saves it.

    Args:
        path: Where the model is saved; ends in `.keras`.
        every: Integer, epochs from one save to the next. The last epoch of a run is always saved.

    Raises:
        ValueError: `path` does not end in `.keras`, or `every` is less than 1.

    Example:
    ```python
    gan.fit(train, epochs=20, callbacks=[kgan.callbacks.Checkpoint("gan.keras")])
    gan = keras.saving.load_model("gan.keras")  # and training goes on where it stopped
    ```
    """

    def __init__(self, path: str | os.PathLike[str], every: int = 1) -> None:
        super().__init__()
        if Path(path).suffix != ".keras":
            raise ValueError(f"Expected `path` to end in .keras. Received: path={str(path)!r}.")
        self.path = Path(path)
        self.every = integer("every", every)
        self._is_saved = False

    def on_train_begin(self, logs: Any = None) -> None:
        """Makes the directory: if that cannot be, it should show before an epoch is trained."""
        del logs
        if _backend.is_chief(self.model):
            self.path.parent.mkdir(parents=True, exist_ok=True)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Saves, if it is this epoch's turn."""
        del logs
        self._is_saved = (epoch + 1) % self.every == 0
        if self._is_saved:
            self._save()

    def on_train_end(self, logs: Any = None) -> None:
        """Saves what the last turn left out."""
        del logs
        if not self._is_saved:
            self._save()

    def _save(self) -> None:
        if not _backend.is_chief(self.model):
            return
        lost = networks_with_nan(self.model)
        if not lost:
            save_whole(self.model, self.path)
            return
        warnings.warn(
            f"Not saved: the weights of {' and '.join(lost)} are no longer finite. "
            + (f"{self.path} stays as it was." if self.path.exists() else ""),
            NaNWarning,
            stacklevel=2,
        )


def save_whole(model: Any, path: str | os.PathLike[str]) -> None:
    """Saves a model so that `path` is a whole file at any moment."""
    with written_whole(path) as temporary:
        model.save(temporary)

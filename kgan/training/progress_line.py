"""The line that `fit` prints about its progress."""

from collections.abc import Mapping
from typing import Any

import keras

from kgan.training import log_names


class ProgressLine(keras.callbacks.ProgbarLogger):
    """Keras's progress bar with few, chosen logs: those that fit into a line.

    `kgan.training.log_names.hide` leaves logs out of it. All logs are in the history, and callbacks
    get all of them.
    """

    async_safe = True  # as the bar that Keras adds: it may be drawn while the next batch is trained

    def on_train_batch_end(self, batch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Draws the bar after a batch."""
        super().on_train_batch_end(batch, _shown(logs))

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Draws the bar after an epoch, or at the batch where the epoch was interrupted."""
        done = self.model.batches_trained  # 0 after a complete epoch; `seen` may lag behind on JAX
        if done:
            self.progbar.update(done, list(_shown(logs).items()), finalize=True)
        else:
            super().on_epoch_end(epoch, _shown(logs))


def _shown(logs: Mapping[str, Any] | None) -> dict[str, Any]:
    return {name: value for name, value in (logs or {}).items() if not log_names.is_hidden(name)}

"""Training that ends at the first NaN, with a message about where it came from."""

import math
import warnings
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
from keras import ops

from kgan.training.callback import Callback
from kgan.training.log_names import describe

# Attributes of models that put several updates into one log if they are above 1.
_SEVERAL_UPDATES = ("discriminator_steps", "steps_per_execution")


class NaNWarning(UserWarning):
    """A loss, a penalty, a gradient or the weights of a network are not finite."""


class TerminateOnNaN(Callback):
    """Ends training when a log is NaN or infinite, and names the first one.

    Keras's callback of that name looks only at `loss`, which many generative models do not have.
    This one looks at all logs after every batch, in the order in which a training step computes
    them (see `kgan.training.log_names`). It also names the networks whose weights are no longer
    finite. If one log holds several updates (`discriminator_steps`, `steps_per_execution`), the
    warning says that the first of them is not known.

    Works in `fit`, and in a custom loop through `keras.callbacks.CallbackList`.

    `first` is the name of the log that was the first, or None.

    Example:
    ```python
    model.fit(train, epochs=20, callbacks=[kgan.callbacks.TerminateOnNaN()])
    ```
    """

    def __init__(self) -> None:
        super().__init__()
        self.first: str | None = None
        self._epoch = 0

    def on_train_begin(self, logs: Mapping[str, Any] | None = None) -> None:
        """Forgets an earlier training."""
        del logs
        self.first = None

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Remembers the epoch."""
        del logs
        self._epoch = epoch

    def on_train_batch_end(self, batch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Checks the logs. They are of this batch, or means over the epoch, which keep a NaN."""
        logs = logs or {}
        broken = [name for name, value in logs.items() if not _is_finite(value)]
        if not broken or self.first is not None:
            return
        broken.sort(key=lambda name: describe(name).order)
        self.first = broken[0]
        warnings.warn(
            f"Training ends at epoch {self._epoch + 1}, batch {batch + 1}: {self.first} is "
            f"{logs[self.first]}. {self._cause(broken)} {self._lost_weights()}",
            NaNWarning,
            stacklevel=2,
        )
        self.model.stop_training = True

    def _cause(self, broken: list[str]) -> str:
        for name in _SEVERAL_UPDATES:
            if getattr(self.model, name, 1) > 1:
                return (
                    f"With {name} above 1 a log holds several updates, so which of "
                    f"{', '.join(broken)} was the first is not known."
                )
        return describe(broken[0]).nan

    def _lost_weights(self) -> str:
        lost = networks_with_nan(self.model)
        if not lost:
            return "The weights of all networks are still finite."
        return f"Weights that are no longer finite: {', '.join(lost)}."


def networks_with_nan(model: keras.Model) -> list[str]:
    """The names of a model's networks (its `layers`, if any) with weights that are not finite."""
    return [
        layer.name
        for layer in getattr(model, "layers", ())
        if not all(np.isfinite(ops.convert_to_numpy(v)).all() for v in layer.weights)
    ]


def _is_finite(value: Any) -> bool:
    try:
        return math.isfinite(value)
    except TypeError:  # a custom loop may log values that are not numbers
        return True

"""Training that stops at the first NaN, and says where it came from."""

import math
import warnings
from typing import Any

import keras
import numpy as np
from keras import ops

# What a step works out before what: all that is not named comes between loss and gradient.
_FIRST = ("real_score", "fake_score", "discriminator_accuracy", "discriminator_loss")
_LAST = ("discriminator_gradient_norm", "generator_loss", "generator_gradient_norm")
_CAUSES = {
    "real_score": "The discriminator gives no number for real images: look for NaN in the data.",
    "fake_score": "The discriminator gives no number for samples: look at what the generator ends "
    "in, and whether its weights have exploded.",
    "discriminator_loss": "The discriminator's scores are finite, its loss is not: look at the "
    "loss, and at regularizers.",
    "discriminator_gradient_norm": "The losses are finite, the discriminator's gradient is not: "
    "look for a square root or a norm that is taken of 0, as in a penalty.",
    "generator_loss": "The discriminator's update has spoilt it: lower its learning rate.",
    "generator_gradient_norm": "The losses are finite, the generator's gradient is not: look for a "
    "square root or a norm that is taken of 0.",
}


class NaNWarning(UserWarning):
    """A loss, a penalty, a gradient or a network's weights are no longer finite."""


class TerminateOnNaN(keras.callbacks.Callback):
    """Ends training when something is NaN or infinite, and names what was so first.

    Keras's callback of that name looks at `loss` only, which a GAN does not have. This one looks at
    all logs after every batch, in the order in which a training step works them out: scores, the
    discriminator's loss, penalties, its gradient, then the generator's. It also says which
    networks' weights are lost already. Where one log is of several updates (`discriminator_steps`,
    `steps_per_execution`) it says so, since it cannot tell the first.

    Works in `fit`, and in a loop of one's own through `keras.callbacks.CallbackList`.

    `first` is the name of the entry in the logs that went first, or None.

    Example:
    ```python
    gan.fit(train, epochs=20, callbacks=[kgan.callbacks.TerminateOnNaN()])
    ```
    """

    def __init__(self) -> None:
        super().__init__()
        self.first: str | None = None
        self._epoch = 0

    def on_train_begin(self, logs: Any = None) -> None:
        """Forgets an earlier training."""
        del logs
        self.first = None

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Notes the epoch."""
        del logs
        self._epoch = epoch

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Looks at the logs: of this batch, or means over the epoch, which one NaN makes NaN."""
        broken = [name for name, value in (logs or {}).items() if not _is_finite(value)]
        if not broken or self.first is not None:
            return
        broken.sort(key=_order)
        self.first = broken[0]
        warnings.warn(
            f"Training ends at epoch {self._epoch + 1}, batch {batch + 1}: {self.first} is "
            f"{logs[self.first]}. {self._cause(broken)} {self._what_is_lost()}",
            NaNWarning,
            stacklevel=2,
        )
        self.model.stop_training = True

    def _cause(self, broken: list[str]) -> str:
        for name in ("discriminator_steps", "steps_per_execution"):
            if getattr(self.model, name, 1) > 1:
                return (
                    f"With {name} above 1 several updates stand in one log: which of "
                    f"{', '.join(broken)} went first cannot be told."
                )
        return _CAUSES.get(broken[0], "")

    def _what_is_lost(self) -> str:
        lost = networks_with_nan(self.model)
        if not lost:
            return "The weights of all networks are still finite."
        return f"Weights that are no longer finite: {', '.join(lost)}."


def networks_with_nan(model: Any) -> list[str]:
    """The names of a model's networks (its `layers`, if any) with weights that are not finite."""
    return [
        layer.name
        for layer in getattr(model, "layers", ())
        if not all(np.isfinite(ops.convert_to_numpy(v)).all() for v in layer.weights)
    ]


def _is_finite(value: Any) -> bool:
    try:
        return math.isfinite(value)
    except TypeError:  # whatever else somebody's own loop puts into the logs
        return True


def _order(name: str) -> int:
    if name in _FIRST:
        return _FIRST.index(name)
    return len(_FIRST) + 1 + _LAST.index(name) if name in _LAST else len(_FIRST)

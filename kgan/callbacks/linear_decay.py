"""Lowers the learning rate towards the end of training."""

from collections.abc import Mapping
from typing import Any

import keras

from kgan.training.callback import Callback


class LinearDecay(Callback):
    """Lowers the learning rate linearly over the last epochs of `fit`.

    If the last n of E epochs decay, epoch E - n + i (i from 1 to n) has the rate
    `rate * (1 - i / (n + 1))`, where `rate` is that of the first epoch. The rates of all optimizers
    of a model keep their ratio.

    A resumed training continues with the same rates as without the interruption. If it is resumed
    with more epochs, the decay is that of the new number.

    Args:
        start: Float in [0, 1): the share of the epochs before the decay. Defaults to `0.5`.

    Raises:
        ValueError: `start` is not in that range.
        TypeError: When training begins, an optimizer has a learning rate schedule.

    Example:
    ```python
    model.fit(train, epochs=20, callbacks=[kgan.callbacks.LinearDecay()])
    ```

    Reference:
        [Zhu et al., 2017](https://arxiv.org/abs/1703.10593), section 4, for CycleGAN.
    """

    def __init__(self, start: float = 0.5) -> None:
        super().__init__()
        if not isinstance(start, (int, float)) or not 0 <= start < 1:
            raise ValueError(f"Expected `start` to be in [0, 1). Received: start={start!r}.")
        self.start = start
        self._rate: float | None = None

    def on_train_begin(self, logs: Mapping[str, Any] | None = None) -> None:
        """Stores the learning rate."""
        del logs
        optimizer = self.model.optimizer
        self._rate = float(keras.ops.convert_to_numpy(optimizer.learning_rate))
        optimizer.learning_rate = self._rate  # an error shows before an epoch is trained

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Sets the learning rate of the epoch."""
        del logs
        assert self._rate is not None
        self.model.optimizer.learning_rate = self._rate * self._factor(epoch)

    def _factor(self, epoch: int) -> float:
        epochs = self.params["epochs"]
        begin = round(self.start * epochs)
        return 1.0 - max(0, epoch + 1 - begin) / (epochs - begin + 1)

    def get_state(self) -> dict[str, float]:
        """The rate before the decay, for a resumed training."""
        return {} if self._rate is None else {"rate": self._rate}

    def set_state(self, state: dict[str, float]) -> None:
        """Restores the state that `get_state` returned."""
        self._rate = state.get("rate", self._rate)

"""Constraints on weights that Keras does not have."""

import keras
from keras import ops

from kgan._typing import Config, Tensor

__all__ = ["Clip"]


@keras.saving.register_keras_serializable(package="kgan")
class Clip(keras.constraints.Constraint):
    """Clips every weight to [-limit, limit], which bounds the Lipschitz constant of a critic.

    Use it in the layers of a discriminator that is trained with the Wasserstein loss.
    `kgan.penalties.GradientPenalty` usually works better.

    Args:
        limit: Float above 0.

    Raises:
        ValueError: `limit` is not above 0.

    Example:
    ```python
    layer = keras.layers.Dense(128, kernel_constraint=kgan.constraints.Clip(0.01))
    layer.build((None, 64))
    ```

    Reference:
        [Arjovsky et al., 2017](https://arxiv.org/abs/1701.07875), algorithm 1.
    """

    def __init__(self, limit: float = 0.01) -> None:
        if not limit > 0:
            raise ValueError(f"Expected `limit` to be above 0. Received: limit={limit!r}.")
        self.limit = float(limit)

    def __call__(self, w: Tensor) -> Tensor:
        """The clipped weights."""
        return ops.clip(w, -self.limit, self.limit)

    def get_config(self) -> Config:
        """The constructor's arguments, for saving."""
        return {"limit": self.limit}

"""Constraints on weights, beside those that Keras has."""

from typing import Any

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="kgan")
class Clip(keras.constraints.Constraint):
    """Clips every weight to [-limit, limit], the first way to keep a critic Lipschitz.

    Give it to the layers of a discriminator that is trained with the Wasserstein loss.
    `kgan.penalties.GradientPenalty` does the same better.

    Args:
        limit: Float above 0.

    Example:
    ```python
    keras.layers.Dense(128, kernel_constraint=kgan.constraints.Clip(0.01))
    ```

    Reference:
        [Arjovsky et al., 2017](https://arxiv.org/abs/1701.07875), algorithm 1.
    """

    def __init__(self, limit: float = 0.01) -> None:
        if not limit > 0:
            raise ValueError(f"Expected `limit` to be above 0. Received: limit={limit!r}.")
        self.limit = float(limit)

    def __call__(self, w: Any) -> Any:
        """The weights, clipped."""
        return ops.clip(w, -self.limit, self.limit)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments, for saving."""
        return {"limit": self.limit}

"""Regularizers of weights that Keras does not have."""

import keras
from keras import ops

from kgan._typing import Config, Tensor

__all__ = ["OffDiagonalOrthogonal"]


@keras.saving.register_keras_serializable(package="kgan")
class OffDiagonalOrthogonal(keras.regularizers.Regularizer):
    """Penalises filters that are similar to each other, and not their lengths.

    The loss is `weight * sum((K^T K * (1 - I))^2)`, with `K` the kernel as a matrix of shape
    `(other axes, last axis)`: the squared dot products of all pairs of different filters, each pair
    twice. `keras.regularizers.OrthogonalRegularizer` first divides the filters by their lengths.

    Args:
        weight: Float of at least 0.

    Raises:
        ValueError: `weight` is below 0.

    Example:
    ```python
    regularizer = kgan.regularizers.OffDiagonalOrthogonal(1e-4)
    layer = keras.layers.Conv2D(64, 3, kernel_regularizer=regularizer)
    ```

    Reference:
        [Brock et al., 2019](https://arxiv.org/abs/1809.11096), section 3.1.
    """

    def __init__(self, weight: float = 1e-4) -> None:
        if not weight >= 0:
            raise ValueError(f"Expected `weight` to be at least 0. Received: weight={weight!r}.")
        self.weight = float(weight)

    def __call__(self, x: Tensor) -> Tensor:
        """The loss of a kernel, a scalar."""
        matrix = ops.reshape(x, (-1, x.shape[-1]))
        products = ops.matmul(ops.transpose(matrix), matrix)
        # The products are symmetric.
        return 2.0 * self.weight * ops.sum(ops.square(ops.tril(products, -1)))

    def get_config(self) -> Config:
        """The constructor's arguments, for saving."""
        return {"weight": self.weight}

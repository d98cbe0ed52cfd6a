"""Pixel normalisation: gives the features at every position the same length."""

from typing import Any

import keras
from keras import ops

from kgan._typing import Config, Shape, Tensor


@keras.saving.register_keras_serializable(package="kgan")
class PixelNormalization(keras.layers.Layer):
    """Divides the features at each position by the root of their mean square.

    `x / sqrt(mean(x^2) + epsilon)`, with the mean over the last axis. There are no weights, and no
    statistics of the batch.

    Args:
        epsilon: Float, added to the mean of the squares.
        **kwargs: `name`, `trainable` and `dtype`, as for `keras.layers.Layer`.

    Example:
    ```python
    x = keras.Input((4, 4, 128))
    y = kgan.layers.PixelNormalization()(x)
    assert y.shape == (None, 4, 4, 128)
    ```

    Reference:
        [Karras et al., 2018](https://arxiv.org/abs/1710.10196), section 4.2.
    """

    def __init__(self, epsilon: float = 1e-8, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.epsilon = float(epsilon)

    def call(self, inputs: Tensor) -> Tensor:
        """The normalised features, of the same shape and dtype."""
        # In float16, the squares of small features would be 0.
        x = ops.cast(inputs, "float32")
        squares = ops.mean(ops.square(x), axis=-1, keepdims=True)
        return ops.cast(x * ops.rsqrt(squares + self.epsilon), inputs.dtype)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """The shape of the inputs."""
        return input_shape

    def get_config(self) -> Config:
        """The constructor's arguments, for saving."""
        return {**super().get_config(), "epsilon": self.epsilon}

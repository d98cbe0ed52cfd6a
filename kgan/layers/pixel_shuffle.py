"""Pixel shuffle: turns channels into pixels."""

from typing import Any

import keras
from keras import ops

from kgan._arguments import integer
from kgan._typing import Config, Shape, Tensor


@keras.saving.register_keras_serializable(package="kgan")
class PixelShuffle(keras.layers.Layer):
    """Enlarges images by a factor by turning channels into pixels.

    From `(batch, height, width, scale^2 * channels)` to
    `(batch, scale * height, scale * width, channels)`. The channels of a pixel, reshaped to
    `(scale, scale, channels)`, become a square of pixels. After a convolution, this is a transposed
    convolution that computes at the lower resolution.

    Args:
        scale: Integer, the factor in height and width.
        **kwargs: `name`, `trainable` and `dtype`, as for `keras.layers.Layer`.

    Raises:
        ValueError: `scale` is not an integer of at least 1, the inputs are not images, or
            `scale^2` does not divide the number of channels.

    Example:
    ```python
    x = keras.Input((14, 14, 64))
    y = kgan.layers.PixelShuffle(2)(x)
    assert y.shape == (None, 28, 28, 16)
    ```

    Reference:
        [Shi et al., 2016](https://arxiv.org/abs/1609.05158), equation 4.
    """

    def __init__(self, scale: int = 2, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.scale = integer("scale", scale)

    def build(self, input_shape: Shape) -> None:
        """Checks the shape of the inputs."""
        if len(input_shape) != 4:
            raise ValueError(
                "Expected images of shape (batch, height, width, channels). Received: inputs of "
                f"shape {tuple(input_shape)}."
            )
        if (input_shape[-1] or 0) % self.scale**2:
            raise ValueError(
                f"Expected a multiple of scale^2 = {self.scale**2} channels. Received: inputs of "
                f"shape {tuple(input_shape)}."
            )

    def call(self, inputs: Tensor) -> Tensor:
        """The enlarged images."""
        _, height, width, channels = ops.shape(inputs)
        scale, channels = self.scale, channels // self.scale**2
        x = ops.reshape(inputs, (-1, height, width, scale, scale, channels))
        x = ops.transpose(x, (0, 1, 3, 2, 4, 5))
        return ops.reshape(x, (-1, height * scale, width * scale, channels))

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """`(batch, scale * height, scale * width, channels / scale^2)`."""
        batch, height, width, channels = input_shape
        sides = (None if side is None else side * self.scale for side in (height, width))
        return (batch, *sides, None if channels is None else channels // self.scale**2)

    def get_config(self) -> Config:
        """The constructor's arguments, for saving."""
        return {**super().get_config(), "scale": self.scale}

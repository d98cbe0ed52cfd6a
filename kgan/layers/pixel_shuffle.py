"""Channels that become pixels."""

from typing import Any

import keras
from keras import ops

from kgan._arguments import integer

Tensor = Any


@keras.saving.register_keras_serializable(package="kgan")
class PixelShuffle(keras.layers.Layer):
    """Makes images `scale` times as large by laying out channels as pixels.

    From `(batch, height, width, scale^2 * channels)` to `(batch, scale * height, scale * width,
    channels)`: the channels of a place, read as `(scale, scale, channels)`, are the square of
    pixels that takes its place. Behind a convolution it is a transposed convolution that works at
    the lower resolution.

    Args:
        scale: Integer, how many times as high and wide the images become.
        **kwargs: Keras's own `name`, `trainable` and `dtype`.

    Raises:
        ValueError: `scale` is not an integer of at least 1, or `scale^2` does not divide the
            number of channels.

    Example:
    ```python
    x = kgan.layers.PixelShuffle(2)(x)  # (batch, 14, 14, 64) -> (batch, 28, 28, 16)
    ```

    Reference:
        [Shi et al., 2016](https://arxiv.org/abs/1609.05158), equation 4.
    """

    def __init__(self, scale: int = 2, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.scale = integer("scale", scale)

    def build(self, input_shape: Any) -> None:
        """Checks that the channels can be laid out."""
        if input_shape[-1] % self.scale**2:
            raise ValueError(
                f"Expected a multiple of scale^2 = {self.scale**2} channels. Received: inputs of "
                f"shape {tuple(input_shape)}."
            )

    def call(self, inputs: Tensor) -> Tensor:
        """The larger images."""
        _, height, width, channels = ops.shape(inputs)
        scale, channels = self.scale, channels // self.scale**2
        x = ops.reshape(inputs, (-1, height, width, scale, scale, channels))
        x = ops.transpose(x, (0, 1, 3, 2, 4, 5))
        return ops.reshape(x, (-1, height * scale, width * scale, channels))

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Larger by `scale`, with fewer channels."""
        batch, height, width, channels = input_shape
        sides = (None if side is None else side * self.scale for side in (height, width))
        return (batch, *sides, channels // self.scale**2)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments, for saving."""
        return {**super().get_config(), "scale": self.scale}

"""Padding of images by their own mirror image."""

from typing import Any

import keras
from keras import ops

from kgan._arguments import integer
from kgan._typing import Config, Shape, Tensor


@keras.saving.register_keras_serializable(package="kgan")
class ReflectionPadding2D(keras.layers.Layer):
    """Pads images on all sides with their mirror image, without the border itself.

    A row `1 2 3` becomes `2 1 2 3 2` with `padding=1`. Unlike zeros, this gives a convolution no
    edge to draw at the border of the image.

    Args:
        padding: Integer of at least 1, pixels on each side. Defaults to `1`.
        **kwargs: `name`, `trainable` and `dtype`, as for `keras.layers.Layer`.

    Raises:
        ValueError: `padding` is not such an integer, or the images are not larger than it.

    Example:
    ```python
    x = keras.Input((28, 28, 8))
    y = kgan.layers.ReflectionPadding2D(3)(x)
    assert y.shape == (None, 34, 34, 8)
    ```
    """

    def __init__(self, padding: int = 1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.padding = integer("padding", padding)

    def build(self, input_shape: Shape) -> None:
        """Checks that the images have enough pixels to reflect."""
        self._check(input_shape)

    def _check(self, input_shape: Shape) -> None:
        if any(size is not None and size <= self.padding for size in input_shape[1:3]):
            raise ValueError(
                f"Expected images of more than {self.padding} pixels on each side, to reflect "
                f"{self.padding} of them. Received: inputs of shape {tuple(input_shape)}. Use "
                "larger images, or a network with fewer halvings."
            )

    def call(self, inputs: Tensor) -> Tensor:
        """The padded images."""
        self._check(tuple(inputs.shape))
        width = (self.padding, self.padding)
        return ops.pad(inputs, ((0, 0), width, width, (0, 0)), mode="reflect")

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """`(batch, height + 2 * padding, width + 2 * padding, channels)`."""
        self._check(input_shape)
        batch, *sides, channels = input_shape
        height, width = (None if side is None else side + 2 * self.padding for side in sides)
        return (batch, height, width, channels)

    def get_config(self) -> Config:
        """The constructor's arguments, for saving."""
        return {**super().get_config(), "padding": self.padding}

"""Cropping to the size of other images."""

from collections.abc import Sequence
from typing import Any

import keras

from kgan._typing import Shape, Tensor


@keras.saving.register_keras_serializable(package="kgan")
class CropLike(keras.layers.Layer):
    """Crops images at their end, to the height and width of others.

    A network that halves an odd size and doubles it again gets one pixel too many: 7, 4, 8. This
    layer makes it 7 again, whatever size the network is called with.

    Its arguments are those of every Keras layer: `name`, `trainable` and `dtype`.

    Example:
    ```python
    halved = keras.layers.AveragePooling2D(2, padding="same")
    x = keras.Input((7, 7, 8))
    doubled = keras.layers.UpSampling2D()(halved(x))
    assert doubled.shape == (None, 8, 8, 8)
    assert kgan.layers.CropLike()([doubled, x]).shape == (None, 7, 7, 8)
    ```
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.built = True

    def call(self, inputs: Sequence[Tensor]) -> Tensor:
        """The cropped images.

        Args:
            inputs: `[images, like]`, float `(batch, height, width, channels)`. `images` are at
                least as large as `like`.
        """
        images, like = inputs
        height, width = keras.ops.shape(like)[1:3]
        if tuple(images.shape[1:3]) == (height, width):
            return images
        return images[:, :height, :width]

    def compute_output_shape(self, input_shape: Sequence[Shape]) -> Shape:
        """The shape of the first input, with the height and width of the second."""
        images, like = input_shape
        return (*images[:1], *like[1:3], *images[3:])

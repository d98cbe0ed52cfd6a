"""Vectors for the levels of images."""

from typing import Any

import keras
from keras import ops

from kgan._arguments import integer
from kgan._levels import level_of
from kgan._typing import Config, Shape, Tensor


@keras.saving.register_keras_serializable(package="kgan")
class LevelEmbedding(keras.layers.Layer):
    """Replaces each value of an image by a trained vector for its level.

    For values without an order, such as codes and characters. The vectors of the channels of a
    pixel are joined.

    Args:
        levels: Integer of at least 2, how many values there are, evenly from -1 to 1.
        width: Integer, the size of a vector.
        **kwargs: `name`, `trainable` and `dtype`, as for `keras.layers.Layer`.

    Raises:
        ValueError: A number is not an integer in its range.

    Example:
    ```python
    x = keras.Input((28, 28, 1))
    assert kgan.layers.LevelEmbedding(levels=16, width=8)(x).shape == (None, 28, 28, 8)
    ```
    """

    def __init__(self, levels: int, width: int, **kwargs: Any) -> None:
        # Keras would round images to the precision of the layer, and 16 bits lose levels.
        super().__init__(autocast=False, **kwargs)
        self.levels = integer("levels", levels, least=2)
        self.width = integer("width", width)
        self.is_pointwise = True

    def build(self, input_shape: Shape) -> None:
        """Makes the vectors, another table for each channel."""
        self.channels = int(input_shape[-1] or 1)
        self.vectors = self.add_weight(
            shape=(self.channels * self.levels, self.width),
            initializer=keras.initializers.RandomNormal(stddev=1.0),
            name="vectors",
        )

    def call(self, inputs: Tensor) -> Tensor:
        """Looks up the vectors.

        Args:
            inputs: Float `(batch, height, width, channels)` in [-1, 1].

        Returns:
            Float tensor `(batch, height, width, channels * width)`.
        """
        # The tables of the channels lie one after the other.
        first = self.levels * ops.arange(self.channels, dtype="int32")
        level = level_of(inputs, self.levels) + first
        found = ops.take(ops.cast(self.vectors, self.compute_dtype), level, axis=0)
        return ops.reshape(found, (*ops.shape(inputs)[:-1], self.channels * self.width))

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """The shape of the inputs, with `channels * width` channels."""
        return (*input_shape[:-1], int(input_shape[-1] or 1) * self.width)

    def get_config(self) -> Config:
        """The constructor's arguments, for saving."""
        return {**super().get_config(), "levels": self.levels, "width": self.width}

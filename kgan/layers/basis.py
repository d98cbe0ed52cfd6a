"""Layers between a feature vector and small feature maps, with one learnt map per feature."""

import math
from typing import Any

import keras
from keras import ops

from kgan._arguments import check_fixed_size, integer
from kgan._typing import Config, Shape, Tensor


@keras.saving.register_keras_serializable(package="kgan")
class FromBasis(keras.layers.Layer):
    """Turns a vector into feature maps: multiplies each feature by its own learnt map.

    From `(batch, channels)` to `(batch, height, width, channels)`. The learnt maps start as
    standard normal numbers.

    Args:
        height: Integer.
        width: Integer.
        **kwargs: `name`, `trainable` and `dtype`, as for `keras.layers.Layer`.

    Raises:
        ValueError: `height` or `width` is not an integer of at least 1.

    Example:
    ```python
    latent = keras.Input((128,))
    x = kgan.layers.FromBasis(4, 4)(keras.layers.Dense(256, use_bias=False)(latent))
    assert x.shape == (None, 4, 4, 256)
    ```

    Reference:
        [Huang et al., 2024](https://arxiv.org/abs/2501.05441), section 3.
    """

    def __init__(self, height: int, width: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.height = integer("height", height)
        self.width = integer("width", width)

    def build(self, input_shape: Shape) -> None:
        """Creates the learnt maps."""
        self.basis = self.add_weight(
            shape=(self.height, self.width, input_shape[-1]),
            initializer=keras.initializers.RandomNormal(stddev=1.0),
            name="basis",
        )

    def call(self, inputs: Tensor) -> Tensor:
        """The feature maps, `(batch, height, width, channels)`."""
        return self.basis * inputs[:, None, None, :]

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """`(batch, height, width, channels)`."""
        return (input_shape[0], self.height, self.width, input_shape[-1])

    def get_config(self) -> Config:
        """The constructor's arguments, for saving."""
        return {**super().get_config(), "height": self.height, "width": self.width}


@keras.saving.register_keras_serializable(package="kgan")
class OntoBasis(keras.layers.Layer):
    """Turns feature maps into a vector: the dot product of each map with its own learnt map.

    From `(batch, height, width, channels)` to `(batch, channels)`. This is a depthwise convolution
    without bias, with filters of the size of the maps. The filters start as normal numbers with
    variance `1 / (height * width)`, so the features have the variance of the maps.

    Its arguments are those of every Keras layer: `name`, `trainable` and `dtype`.

    Raises:
        ValueError: The height or width of the maps is not known.

    Example:
    ```python
    x = keras.Input((4, 4, 256))
    features = kgan.layers.OntoBasis()(x)
    assert features.shape == (None, 256)
    logits = keras.layers.Dense(1)(features)
    ```

    Reference:
        [Huang et al., 2024](https://arxiv.org/abs/2501.05441), section 3.
    """

    def build(self, input_shape: Shape) -> None:
        """Creates the learnt maps."""
        check_fixed_size(input_shape)
        deviation = 1.0 / math.sqrt(math.prod(int(size or 0) for size in input_shape[1:-1]))
        self.basis = self.add_weight(
            shape=tuple(input_shape[1:]),
            initializer=keras.initializers.RandomNormal(stddev=deviation),
            name="basis",
        )

    def call(self, inputs: Tensor) -> Tensor:
        """The features, `(batch, channels)`."""
        return ops.sum(self.basis * inputs, axis=(1, 2))

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """`(batch, channels)`."""
        return (input_shape[0], input_shape[-1])

"""Between a vector of features and small maps of them: one learnt map for each feature."""

import math
from typing import Any

import keras
from keras import ops

from kgan._arguments import check_fixed_size, integer

Tensor = Any


@keras.saving.register_keras_serializable(package="kgan")
class FromBasis(keras.layers.Layer):
    """Maps made of a vector: each feature times a learnt map of its own.

    From `(batch, channels)` to `(batch, height, width, channels)`. The maps start as standard
    normal numbers.

    Args:
        height: Integer.
        width: Integer.
        **kwargs: Keras's own `name`, `trainable` and `dtype`.

    Raises:
        ValueError: `height` or `width` is not an integer of at least 1.

    Example:
    ```python
    x = kgan.layers.FromBasis(4, 4)(keras.layers.Dense(256, use_bias=False)(latent))
    ```

    Reference:
        [Huang et al., 2024](https://arxiv.org/abs/2501.05441), section 3.
    """

    def __init__(self, height: int, width: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.height = integer("height", height)
        self.width = integer("width", width)

    def build(self, input_shape: Any) -> None:
        """Makes the basis."""
        self.basis = self.add_weight(
            shape=(self.height, self.width, input_shape[-1]),
            initializer=keras.initializers.RandomNormal(stddev=1.0),
            name="basis",
        )

    def call(self, inputs: Tensor) -> Tensor:
        """The maps."""
        return self.basis * inputs[:, None, None, :]

    def compute_output_shape(self, input_shape: Any) -> Any:
        """The maps' shape."""
        return (input_shape[0], self.height, self.width, input_shape[-1])

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments, for saving."""
        return {**super().get_config(), "height": self.height, "width": self.width}


@keras.saving.register_keras_serializable(package="kgan")
class OntoBasis(keras.layers.Layer):
    """A vector made of maps: of each, its dot product with a learnt map of its own.

    From `(batch, height, width, channels)` to `(batch, channels)`: a depthwise convolution without
    bias whose filter is as large as the maps. It starts as normal numbers whose variance is one in
    the number of places, so that the features' is that of the maps.

    Args:
        **kwargs: Keras's own `name`, `trainable` and `dtype`.

    Raises:
        ValueError: The maps have no fixed height and width.

    Example:
    ```python
    logits = keras.layers.Dense(1)(kgan.layers.OntoBasis()(x))
    ```

    Reference:
        [Huang et al., 2024](https://arxiv.org/abs/2501.05441), section 3.
    """

    def build(self, input_shape: Any) -> None:
        """Makes the basis."""
        check_fixed_size(input_shape)
        deviation = 1.0 / math.sqrt(math.prod(input_shape[1:-1]))
        self.basis = self.add_weight(
            shape=tuple(input_shape[1:]),
            initializer=keras.initializers.RandomNormal(stddev=deviation),
            name="basis",
        )

    def call(self, inputs: Tensor) -> Tensor:
        """The features."""
        return ops.sum(self.basis * inputs, axis=(1, 2))

    def compute_output_shape(self, input_shape: Any) -> Any:
        """One feature a channel."""
        return (input_shape[0], input_shape[-1])

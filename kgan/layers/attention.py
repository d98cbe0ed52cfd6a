"""Self-attention over the positions of an image."""

from typing import Any

import keras
from keras import ops

from kgan import _backend
from kgan._arguments import check_fixed_size, integer
from kgan._typing import Config, Layer, Shape, Tensor
from kgan.layers.spectral_normalization import SpectralNormalization


@keras.saving.register_keras_serializable(package="kgan")
class SelfAttention(keras.layers.Layer):
    """Self-attention: every position of an image uses features from all positions.

    `y = x + gamma * o(softmax(q(x) k(x)^T) v(x))`, where `q`, `k`, `v` and `o` are 1x1 convolutions
    without bias. Queries and keys have `channels / reduction` channels, values `channels / 2`. Keys
    and values are max-pooled by 2, so each position attends to a quarter of the positions. `gamma`
    starts at 0, so the layer starts as the identity.

    Args:
        reduction: Integer, the number of input channels for each channel of queries and keys.
        spectral_normalization: Whether to wrap the convolutions in `SpectralNormalization`, as both
            papers do.
        **kwargs: `name`, `trainable` and `dtype`, as for `keras.layers.Layer`.

    Raises:
        ValueError: `reduction` is not an integer of at least 1, or the height or width of the
            images is not known.

    Example:
    ```python
    x = keras.Input((32, 32, 128))
    y = kgan.layers.SelfAttention()(x)
    assert y.shape == x.shape
    ```

    Reference:
        [Zhang et al., 2019](https://arxiv.org/abs/1805.08318), section 3;
        [Brock et al., 2019](https://arxiv.org/abs/1809.11096) for the pooling and the
        channels of the values.
    """

    def __init__(
        self, reduction: int = 8, spectral_normalization: bool = True, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.reduction = integer("reduction", reduction)
        self.spectral_normalization = bool(spectral_normalization)

    def build(self, input_shape: Shape) -> None:
        """Builds the four convolutions."""
        check_fixed_size(input_shape)
        channels = int(input_shape[-1] or 0)
        few, half = max(channels // self.reduction, 1), max(channels // 2, 1)
        self.query = self._convolution(few, "query")
        self.key = self._convolution(few, "key")
        self.values = self._convolution(half, "values")
        self.output_convolution = self._convolution(channels, "output")
        for convolution in (self.query, self.key, self.values):
            convolution.build(input_shape)
        self.output_convolution.build((*input_shape[:-1], half))
        self.pooling = keras.layers.MaxPooling2D(
            2, padding="same", data_format="channels_last", dtype=self.dtype_policy, name="pooling"
        )
        self.gamma = self.add_weight(shape=(), initializer="zeros", name="gamma")

    def _convolution(self, channels: int, name: str) -> Layer:
        layer = keras.layers.Conv2D(
            channels,
            1,
            use_bias=False,
            data_format="channels_last",
            dtype=self.dtype_policy,
            name=name,
        )
        if not self.spectral_normalization:
            return layer
        return SpectralNormalization(layer, dtype=self.dtype_policy, name=f"{name}_normalised")

    def call(self, inputs: Tensor, training: bool | None = None) -> Tensor:
        """Applies self-attention.

        Args:
            inputs: Float `(batch, height, width, channels)`.
            training: Whether the spectral normalisation updates its estimate.

        Returns:
            A tensor of the same shape and dtype.
        """

        def places(convolution: Layer, pool: bool) -> Tensor:
            x = _backend.run_layer(convolution, inputs, bool(training))
            if pool:
                x = _backend.run_layer(self.pooling, x, bool(training))
            return ops.reshape(x, (-1, x.shape[1] * x.shape[2], x.shape[3]))

        queries, keys = places(self.query, pool=False), places(self.key, pool=True)
        scores = ops.matmul(queries, ops.transpose(keys, (0, 2, 1)))
        drawn = ops.matmul(ops.softmax(scores, axis=-1), places(self.values, pool=True))
        drawn = ops.reshape(drawn, (-1, *inputs.shape[1:3], drawn.shape[-1]))
        drawn = _backend.run_layer(self.output_convolution, drawn, bool(training))
        return inputs + self.gamma * drawn

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """The shape of the inputs."""
        return input_shape

    def get_config(self) -> Config:
        """The constructor's arguments, for saving."""
        return {
            **super().get_config(),
            "reduction": self.reduction,
            "spectral_normalization": self.spectral_normalization,
        }

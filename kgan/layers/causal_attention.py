"""Self-attention over the pixels before a pixel."""

from typing import Any

import keras
from keras import ops

from kgan import _backend
from kgan._arguments import check_fixed_size, integer
from kgan._typing import Config, Shape, Tensor
from kgan.layers.causal import CausalLayer, State, zeros_like_batch

_MASKED = -1e9


@keras.saving.register_keras_serializable(package="kgan")
class CausalAttention(CausalLayer):
    """Self-attention: a pixel uses features of all pixels before it, and its own features.

    The features of a pixel must not know the pixel itself: they are those of a horizontal stack of
    `CausalConv2D`. A trained vector for each position is added to queries and keys, so that the
    layer knows where pixels are. Images have a fixed size.

    Memory and time grow with the square of the number of pixels.

    Args:
        heads: Integer, how many attentions there are.
        width: Integer, the channels of queries, keys and values, a multiple of `heads`.
        **kwargs: `name`, `trainable` and `dtype`, as for `keras.layers.Layer`.

    Raises:
        ValueError: A number is not an integer of at least 1, `width` is no multiple of `heads`, or
            the height or width of the images is not known.

    Example:
    ```python
    x = keras.Input((14, 14, 32))
    assert kgan.layers.CausalAttention(heads=2, width=16)(x).shape == (None, 14, 14, 16)
    ```

    Reference:
        [Chen et al., 2018](https://arxiv.org/abs/1712.09763) (PixelSNAIL).
    """

    scans = "pixels"

    def __init__(self, heads: int, width: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.heads = integer("heads", heads)
        self.width = integer("width", width)
        if self.width % self.heads:
            raise ValueError(
                "Expected `width` to be a multiple of `heads`. "
                f"Received: width={width}, heads={heads}."
            )

    def build(self, input_shape: Shape) -> None:
        """Builds the projections and the vectors of positions."""
        check_fixed_size(input_shape)
        _, height, width, _ = input_shape
        self.projection = keras.layers.Dense(
            3 * self.width, use_bias=False, dtype=self.dtype_policy, name="projection"
        )
        self.projection.build(input_shape)
        self.positions = self.add_weight(
            shape=(1, int(height or 0) * int(width or 0), self.width),
            initializer=keras.initializers.RandomNormal(stddev=0.02),
            name="positions",
        )

    def call(self, inputs: Tensor) -> Tensor:
        """Applies the attention.

        Args:
            inputs: Float `(batch, height, width, channels)`.

        Returns:
            Float tensor `(batch, height, width, width of the layer)`.
        """
        pixels = inputs.shape[1] * inputs.shape[2]
        flat = ops.reshape(inputs, (-1, pixels, inputs.shape[3]))
        queries, keys, values = self._projected(flat, ops.cast(self.positions, self.compute_dtype))
        places = ops.arange(pixels)
        is_before = ops.expand_dims(places, 0) <= ops.expand_dims(places, 1)
        attended = self._attended(queries, keys, values, is_before)
        return ops.reshape(attended, (-1, *inputs.shape[1:3], self.width))

    def _projected(self, flat: Tensor, positions: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys and values of pixels, `(batch, pixels, width)`."""
        projected = _backend.run_layer(self.projection, flat, False)
        queries, keys, values = ops.split(projected, 3, axis=-1)
        return queries + positions, keys + positions, values

    def _attended(self, queries: Tensor, keys: Tensor, values: Tensor, seen: Tensor) -> Tensor:
        """The values that queries `(batch, m, width)` find among n pixels; `seen` is `(m, n)`."""

        def by_head(x: Tensor) -> Tensor:
            x = ops.reshape(x, (-1, x.shape[1], self.heads, self.width // self.heads))
            return ops.transpose(x, (0, 2, 1, 3))

        queries, keys, values = map(by_head, (queries, keys, values))
        scores = ops.matmul(queries, ops.transpose(keys, (0, 1, 3, 2)))
        scores = ops.cast(scores, "float32") * (self.width // self.heads) ** -0.5
        weights = ops.softmax(ops.where(seen, scores, _MASKED), axis=-1)
        found = ops.matmul(ops.cast(weights, values.dtype), values)
        found = ops.transpose(found, (0, 2, 1, 3))
        return ops.reshape(found, (-1, found.shape[1], self.width))

    # ---- a pixel at a time -----------------------------------------------------------------------

    def initial_state(self, like: Tensor, height: int, width: int, channels: int) -> State:
        """Zeros: the keys and values of all pixels, pixels first."""
        del channels
        zeros = zeros_like_batch(like, (height * width, self.width), self.compute_dtype)
        zeros = ops.transpose(zeros, (1, 0, 2))
        return zeros, ops.zeros_like(zeros)

    def step(self, state: State, x: Tensor, place: Tensor) -> tuple[Tensor, State]:
        """The output for a pixel, and the keys and values with its own."""
        flat = ops.reshape(ops.cast(x, self.compute_dtype), (-1, 1, x.shape[-1]))
        position = ops.cast(self.positions, self.compute_dtype)[0][place]
        queries, key, value = self._projected(flat, position)
        keys = _backend.written(state[0], place, key[:, 0])
        values = _backend.written(state[1], place, value[:, 0])
        is_before = ops.arange(keys.shape[0])[None] <= place
        attended = self._attended(
            queries, ops.transpose(keys, (1, 0, 2)), ops.transpose(values, (1, 0, 2)), is_before
        )
        return attended[:, None], (keys, values)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """The shape of the inputs, with `width` channels."""
        return (*input_shape[:-1], self.width)

    def get_config(self) -> Config:
        """The constructor's arguments, for saving."""
        return {**super().get_config(), "heads": self.heads, "width": self.width}

"""Convolutions that see only pixels before their own, in raster order."""

from collections.abc import Sequence
from typing import Any, Literal

import keras
from keras import ops

from kgan._arguments import integer
from kgan._typing import Config, Shape, Tensor
from kgan.layers.causal import CausalLayer, State, zeros_like_batch

Stack = Literal["vertical", "horizontal"]

_STACKS = ("vertical", "horizontal")


@keras.saving.register_keras_serializable(package="kgan")
class CausalConv2D(CausalLayer):
    """A convolution that sees only what comes before a pixel, without masks.

    Two stacks of such layers see all pixels before a pixel, from the top left in raster order, and
    nothing after it. A *vertical* stack sees the rows above, to the left and to the right. A
    *horizontal* stack sees the pixels to the left in the same row. The first layer of each stack
    is *strict*: it leaves out the row, or the pixel, itself. All later ones need not, because their
    inputs do not know it.

    The input is shifted and cropped, so that the kernel has no weights that a mask sets to zero. A
    single stack of masked convolutions wastes almost half of its multiplications, and never sees
    some pixels to the right above (its blind spot).

    - `"vertical"`: the output at row i sees rows `i - (rows - 1) * dilation` to i, or those one row
      above if strict; columns are centred.
    - `"horizontal"`: the output at column j sees columns `j - (columns - 1) * dilation` to j, or
      those one to the left if strict; there is one row.

    Pixels outside of the image are 0.

    Args:
        filters: Integer, the channels of the output.
        kernel_size: Integers `(rows, columns)`. Columns of a vertical kernel are odd, rows of a
            horizontal one are 1.
        stack: `"vertical"` or `"horizontal"`.
        strict: Whether the output does not see its own row or pixel. Defaults to `False`.
        dilation: Integer, the distance of the kernel's rows and columns. Defaults to `1`.
        use_bias: Whether a bias is added. Defaults to `True`.
        kernel_initializer: As for `keras.layers.Conv2D`.
        **kwargs: `name`, `trainable` and `dtype`, as for `keras.layers.Layer`.

    Raises:
        ValueError: A size is not an integer of at least 1, or the kernel does not fit the stack.

    Example:
    ```python
    x = keras.Input((28, 28, 1))
    above = kgan.layers.CausalConv2D(32, (3, 5), "vertical", strict=True)(x)
    left = kgan.layers.CausalConv2D(32, (1, 3), "horizontal", strict=True)(x)
    assert above.shape == left.shape == (None, 28, 28, 32)
    ```

    Reference:
        [van den Oord et al., 2016](https://arxiv.org/abs/1606.05328) for the two
        stacks; [Salimans et al., 2017](https://arxiv.org/abs/1701.05517) for shifts in place of
        masks.
    """

    def __init__(
        self,
        filters: int,
        kernel_size: Sequence[int],
        stack: Stack,
        strict: bool = False,
        dilation: int = 1,
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.filters = integer("filters", filters)
        rows, columns = kernel_size
        self.kernel_size = integer("kernel_size", rows), integer("kernel_size", columns)
        if stack not in _STACKS:
            raise ValueError(f"Expected `stack` to be one of {_STACKS}. Received: stack={stack!r}.")
        if stack == "vertical" and columns % 2 == 0:
            raise ValueError(
                "Expected an odd number of columns, which are centred in a vertical stack. "
                f"Received: kernel_size={self.kernel_size}."
            )
        if stack == "horizontal" and rows != 1:
            raise ValueError(
                f"Expected one row in a horizontal stack. Received: kernel_size={self.kernel_size}."
            )
        self.stack = stack
        self.scans = "rows" if stack == "vertical" else "pixels"
        self.rows_alone = stack == "horizontal"
        self.strict = bool(strict)
        self.dilation = integer("dilation", dilation)
        self.use_bias = bool(use_bias)
        self.kernel_initializer = keras.initializers.get(kernel_initializer)

    def build(self, input_shape: Shape) -> None:
        """Makes the kernel and the bias."""
        self.kernel = self.add_weight(
            shape=(*self.kernel_size, input_shape[-1], self.filters),
            initializer=self.kernel_initializer,
            name="kernel",
        )
        self.bias = (
            self.add_weight(shape=(self.filters,), initializer="zeros", name="bias")
            if self.use_bias
            else None
        )

    @property
    def memory(self) -> int:
        """How many rows, or columns, before its own an output sees."""
        size = self.kernel_size[0 if self.stack == "vertical" else 1]
        return (size - 1) * self.dilation + int(self.strict)

    def call(self, inputs: Tensor) -> Tensor:
        """Applies the convolution.

        Args:
            inputs: Float `(batch, height, width, channels)`.

        Returns:
            Float tensor `(batch, height, width, filters)`.
        """
        (top, bottom), (left, right) = self.pads
        height, width = inputs.shape[1:3]
        x = inputs[:, : height + min(bottom, 0), : width + min(right, 0)]
        x = ops.pad(x, ((0, 0), (top, max(bottom, 0)), (left, max(right, 0)), (0, 0)))
        return self._with_bias(
            ops.conv(
                x,
                self.kernel,
                padding="valid",
                dilation_rate=self.dilation,
                data_format="channels_last",
            )
        )

    @property
    def pads(self) -> tuple[tuple[int, int], tuple[int, int]]:
        """The zeros above and below, left and right of an image; -1 if the last pixels are cut."""
        after = -int(self.strict)
        if self.stack == "vertical":
            return (self.memory, after), self._sides
        return (0, 0), (self.memory, after)

    @property
    def _sides(self) -> tuple[int, int]:
        """The padding of a vertical kernel to the left and to the right."""
        side = self.kernel_size[1] // 2 * self.dilation
        return side, side

    def _with_bias(self, x: Tensor) -> Tensor:
        return x if self.bias is None else ops.add(x, ops.cast(self.bias, x.dtype))

    # ---- a row, or a pixel, at a time ------------------------------------------------------------

    def initial_state(self, like: Tensor, height: int, width: int, channels: int) -> State:
        """Zeros: the last rows, or pixels, that later ones see."""
        del height
        shape = (self.memory, width) if self.stack == "vertical" else (1, self.memory)
        return (zeros_like_batch(like, (*shape, channels), self.compute_dtype),)

    def start_row(self, state: State) -> State:
        """Zeros: a row does not see the pixels of the row above."""
        return (ops.zeros_like(state[0]),)

    def before(self, state: State, place: Tensor) -> Tensor:
        """The output of a strict layer, which does not see its own row or pixel."""
        del place
        return self._last(state[0])

    def push(self, state: State, x: Tensor, place: Tensor) -> State:
        """The state after the input of a row or a pixel is known."""
        del place
        seen = self._seen(state, x)
        return (seen[:, 1:] if self.stack == "vertical" else seen[:, :, 1:],)

    def step(self, state: State, x: Tensor, place: Tensor) -> tuple[Tensor, State]:
        """The output of a layer that is not strict, and the next state."""
        return self._last(self._seen(state, x)), self.push(state, x, place)

    def _seen(self, state: State, x: Tensor) -> Tensor:
        axis = 1 if self.stack == "vertical" else 2
        return ops.concatenate([state[0], ops.cast(x, self.compute_dtype)], axis=axis)

    def _last(self, seen: Tensor) -> Tensor:
        """The output for the last of the rows or pixels: a product of matrices."""
        rows, columns = self.kernel_size
        if self.stack == "vertical":
            seen = ops.pad(seen, ((0, 0), (0, 0), self._sides, (0, 0)))
            width = seen.shape[2] - 2 * self._sides[0]
            # Neighbours as channels: the convolution of a single row is then a dense layer.
            seen = ops.concatenate(
                [
                    seen[:, row : row + 1, column : column + width]
                    for row in range(0, rows * self.dilation, self.dilation)
                    for column in range(0, columns * self.dilation, self.dilation)
                ],
                axis=-1,
            )
        elif columns > 1:
            seen = ops.concatenate(
                [
                    seen[:, :, column : column + 1]
                    for column in range(0, columns * self.dilation, self.dilation)
                ],
                axis=-1,
            )
        kernel = ops.cast(self.kernel, self.compute_dtype)
        return self._with_bias(ops.matmul(seen, ops.reshape(kernel, (-1, self.filters))))

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """The shape of the inputs, with `filters` channels."""
        return (*input_shape[:-1], self.filters)

    def get_config(self) -> Config:
        """The constructor's arguments, for saving."""
        return {
            **super().get_config(),
            "filters": self.filters,
            "kernel_size": self.kernel_size,
            "stack": self.stack,
            "strict": self.strict,
            "dilation": self.dilation,
            "use_bias": self.use_bias,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
        }

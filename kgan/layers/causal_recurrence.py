"""LSTMs over the rows or the diagonals of an image, which see only earlier pixels."""

from typing import Any

import keras
from keras import ops

from kgan import _backend
from kgan._arguments import check_fixed_size, integer
from kgan._typing import Config, Shape, Tensor
from kgan.layers.causal import CausalLayer, State
from kgan.layers.causal_convolution import CausalConv2D

_COLUMNS_ABOVE = 3  # those of the row above that a pixel of a row LSTM sees


@keras.saving.register_keras_serializable(package="kgan")
class RowLSTM(CausalLayer):
    """An LSTM that reads an image row by row from the top, all pixels of a row at once.

    The gates of a pixel are the sum of two convolutions: one of the inputs of its row, from
    `kernel_size - 1` pixels to the left up to the pixel itself, and one of the hidden state of the
    row above, one pixel to the left and to the right. So a pixel sees a triangle above it, which
    widens by a pixel on each side with each row.

    The features of a pixel must not know the pixel itself: they are those of a strict
    `CausalConv2D`. The states are float32 for any dtype policy. Values outside of the image are 0.

    Args:
        filters: Integer, the channels of the states and of the output.
        kernel_size: Integer, the columns of the convolution of the inputs. Defaults to `3`.
        **kwargs: `name`, `trainable` and `dtype`, as for `keras.layers.Layer`.

    Raises:
        ValueError: A size is not an integer of at least 1.

    Example:
    ```python
    x = keras.Input((28, 28, 32))
    assert kgan.layers.RowLSTM(16)(x).shape == (None, 28, 28, 16)
    ```

    Reference:
        [van den Oord et al., 2016](https://arxiv.org/abs/1601.06759).
    """

    scans = "pixels"

    def __init__(self, filters: int, kernel_size: int = 3, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.filters = integer("filters", filters)
        self.kernel_size = integer("kernel_size", kernel_size)

    def build(self, input_shape: Shape) -> None:
        """Builds the convolutions of the inputs and of the states."""
        self.input_to_state = CausalConv2D(
            4 * self.filters,
            (1, self.kernel_size),
            "horizontal",
            dtype=self.dtype_policy,
            name="input_to_state",
        )
        self.input_to_state.build(input_shape)
        self.state_to_state = self.add_weight(
            shape=(_COLUMNS_ABOVE * self.filters, 4 * self.filters),
            initializer="orthogonal",
            autocast=False,
            name="state_to_state",
        )

    def call(self, inputs: Tensor) -> Tensor:
        """Applies the LSTM.

        Args:
            inputs: Float `(batch, height, width, channels)`.

        Returns:
            Float tensor `(batch, height, width, filters)`.
        """
        gates = ops.cast(_backend.run_layer(self.input_to_state, inputs, False), "float32")
        rows = ops.transpose(gates, (1, 0, 2, 3))

        def row(states: tuple[Tensor, Tensor], gates: Tensor) -> tuple[Tensor, Tensor]:
            hidden, cell = states
            return _lstm(gates + self._from_above(hidden), cell)

        hidden = _scanned(row, rows, self.filters)
        return ops.cast(ops.transpose(hidden, (1, 0, 2, 3)), self.compute_dtype)

    def _from_above(self, hidden: Tensor) -> Tensor:
        """The gates' part of the row above, from its hidden state `(batch, width, filters)`."""
        width, side = hidden.shape[1], _COLUMNS_ABOVE // 2
        padded = ops.pad(hidden, ((0, 0), (side, side), (0, 0)))
        columns = [padded[:, first : first + width] for first in range(_COLUMNS_ABOVE)]
        return ops.matmul(ops.concatenate(columns, axis=-1), self.state_to_state)

    # ---- a pixel at a time -----------------------------------------------------------------------

    def initial_state(self, like: Tensor, height: int, width: int, channels: int) -> State:
        """Zeros: the states of the last row, the gates' part of the row above, and inputs.

        Each pixel overwrites the states of the pixel above it, which later pixels do not read: the
        gates' part of the row above is computed at the start of a row. Columns are the first axis.
        """
        hidden = _columns_of_zeros(like, width, self.filters)
        above = _columns_of_zeros(like, width, 4 * self.filters)
        left = self.input_to_state.initial_state(like, height, width, channels)
        return (hidden, ops.zeros_like(hidden), above, *left)

    def start_row(self, state: State) -> State:
        """The state with the gates' part of the row that has just ended."""
        hidden, cell, _, *left = state
        above = ops.transpose(self._from_above(ops.transpose(hidden, (1, 0, 2))), (1, 0, 2))
        return (hidden, cell, above, *self.input_to_state.start_row(tuple(left)))

    def step(self, state: State, x: Tensor, place: Tensor) -> tuple[Tensor, State]:
        """The output for a pixel, and the state with its own."""
        hidden, cell, above, *left = state
        column = place % hidden.shape[0]
        gates, next_left = self.input_to_state.step(tuple(left), x, place)
        gates = ops.cast(gates[:, 0, 0], "float32") + above[column]
        own_hidden, own_cell = _lstm(gates, cell[column])
        hidden = _backend.written(hidden, column, own_hidden)
        cell = _backend.written(cell, column, own_cell)
        output = ops.cast(own_hidden, self.compute_dtype)[:, None, None]
        return output, (hidden, cell, above, *next_left)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """The shape of the inputs, with `filters` channels."""
        return (*input_shape[:-1], self.filters)

    def get_config(self) -> Config:
        """The constructor's arguments, for saving."""
        return {
            **super().get_config(),
            "filters": self.filters,
            "kernel_size": self.kernel_size,
        }


@keras.saving.register_keras_serializable(package="kgan")
class DiagonalBiLSTM(CausalLayer):
    """Two LSTMs along the diagonals of an image, from its upper left and from its upper right.

    The gates of a pixel in the first LSTM depend on its input and on the hidden states of the pixel
    to the left and the pixel above. The cell comes from the pixel to the left. The second LSTM is
    the mirror image of the first. Its output is shifted down by a row before it is added, since
    pixels to the right are not known. Together, a pixel sees the inputs of its row up to its
    own, and of all rows above.

    An LSTM computes all pixels of a diagonal at once: each row of the image is skewed by one pixel
    more than the row above, and then a diagonal is a column.

    The features of a pixel must not know the pixel itself: they are those of a strict
    `CausalConv2D`. The states are float32 for any dtype policy. Values outside of the image are 0.
    Images have a fixed size.

    Args:
        filters: Integer, the channels of the states and of the output.
        **kwargs: `name`, `trainable` and `dtype`, as for `keras.layers.Layer`.

    Raises:
        ValueError: `filters` is not an integer of at least 1, or the height or width of the images
            is not known.

    Example:
    ```python
    x = keras.Input((28, 28, 32))
    assert kgan.layers.DiagonalBiLSTM(16)(x).shape == (None, 28, 28, 16)
    ```

    Reference:
        [van den Oord et al., 2016](https://arxiv.org/abs/1601.06759).
    """

    scans = "pixels"

    def __init__(self, filters: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.filters = integer("filters", filters)

    def build(self, input_shape: Shape) -> None:
        """Builds the projections of the inputs and of the states, each for both LSTMs."""
        check_fixed_size(input_shape)
        self.input_to_state = keras.layers.Dense(
            2 * 4 * self.filters, dtype=self.dtype_policy, name="input_to_state"
        )
        self.input_to_state.build(input_shape)
        # Rows: the neighbour in the same row, then the one above.
        self.state_to_state = self.add_weight(
            shape=(2, 2 * self.filters, 4 * self.filters),
            initializer="orthogonal",
            autocast=False,
            name="state_to_state",
        )

    def call(self, inputs: Tensor) -> Tensor:
        """Applies both LSTMs.

        Args:
            inputs: Float `(batch, height, width, channels)`.

        Returns:
            Float tensor `(batch, height, width, filters)`.
        """
        left, right = ops.split(self._from_input(inputs), 2, axis=-1)
        both = ops.concatenate([left, ops.flip(right, axis=2)], axis=0)
        hidden = _unskewed(_scanned(self._diagonal, _skewed(both), self.filters))
        left, right = ops.split(hidden, 2, axis=0)
        shifted = ops.pad(ops.flip(right, axis=2)[:, :-1], ((0, 0), (1, 0), (0, 0), (0, 0)))
        return ops.cast(left + shifted, self.compute_dtype)

    def _from_input(self, inputs: Tensor) -> Tensor:
        return ops.cast(_backend.run_layer(self.input_to_state, inputs, False), "float32")

    def _diagonal(self, states: tuple[Tensor, Tensor], gates: Tensor) -> tuple[Tensor, Tensor]:
        """The states of a diagonal: float `(both halves of the batch, height, filters)` each."""
        hidden, cell = states
        above = ops.pad(hidden[:, :-1], ((0, 0), (1, 0), (0, 0)))
        # The states left of the image are 0, since their gates' inputs are: tanh(0) enters a cell.
        seen = ops.reshape(ops.concatenate([hidden, above], axis=-1), (2, -1, 2 * self.filters))
        from_states = ops.matmul(seen, self.state_to_state)
        gates = gates + ops.reshape(from_states, (-1, *hidden.shape[1:2], 4 * self.filters))
        return _lstm(gates, cell)

    # ---- a pixel at a time -----------------------------------------------------------------------

    def initial_state(self, like: Tensor, height: int, width: int, channels: int) -> State:
        """Zeros, for both LSTMs.

        The left one keeps the hidden states of a row, of which each pixel overwrites the one above
        it, and the states of the pixel to the left. The right one needs a whole row: it keeps the
        row's gates, and the hidden states of the row above, which are its output. The last
        tensor tells whether there is a row above. Columns are the first axis.
        """
        del height, channels
        hidden = _columns_of_zeros(like, width, self.filters)
        left = hidden[0]
        gates = _columns_of_zeros(like, width, 4 * self.filters)
        return (
            hidden,
            left,
            ops.zeros_like(left),
            gates,
            ops.zeros_like(hidden),
            ops.zeros((), "float32"),
        )

    def start_row(self, state: State) -> State:
        """The state with the right LSTM's output for the row that has just ended."""
        hidden, left, _, gates, right, has_above = state
        of_right, of_above = ops.split(self.state_to_state[1], 2, axis=0)

        def pixel(states: tuple[Tensor, Tensor], gates: Tensor) -> Any:
            states = _lstm(gates + ops.matmul(states[0], of_right), states[1])
            return states, states

        zeros = ops.zeros_like(left)
        gates_of_row = gates + ops.matmul(right, of_above)
        _, (right, _) = ops.scan(
            pixel, (zeros, zeros), gates_of_row, length=gates.shape[0], reverse=True
        )
        return (
            hidden,
            zeros,
            ops.zeros_like(left),
            gates,
            right * has_above,
            ops.ones_like(has_above),
        )

    def step(self, state: State, x: Tensor, place: Tensor) -> tuple[Tensor, State]:
        """The output for a pixel, and the state with its own."""
        hidden, left, cell, right_gates, right, has_above = state
        column = place % hidden.shape[0]
        x = ops.reshape(ops.cast(x, self.compute_dtype), (-1, x.shape[-1]))
        gates, own_right_gates = ops.split(self._from_input(x), 2, axis=-1)
        seen = ops.concatenate([left, hidden[column]], axis=-1)
        left, cell = _lstm(gates + ops.matmul(seen, self.state_to_state[0]), cell)
        output = ops.cast(left + right[column], self.compute_dtype)[:, None, None]
        hidden = _backend.written(hidden, column, left)
        right_gates = _backend.written(right_gates, column, own_right_gates)
        return output, (hidden, left, cell, right_gates, right, has_above)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """The shape of the inputs, with `filters` channels."""
        return (*input_shape[:-1], self.filters)

    def get_config(self) -> Config:
        """The constructor's arguments, for saving."""
        return {**super().get_config(), "filters": self.filters}


def _lstm(gates: Tensor, cell: Tensor) -> tuple[Tensor, Tensor]:
    """The hidden state and the cell of an LSTM.

    Args:
        gates: Float `(..., 4 * filters)`: the input, forget and output gates and the new content,
            before their activations.
        cell: Float `(..., filters)`, the cell before.
    """
    enter, keep, leave, content = ops.split(gates, 4, axis=-1)
    # With 1 added, an untrained cell keeps most of its content, so that gradients reach far.
    kept = ops.sigmoid(keep + 1) * cell
    cell = kept + ops.sigmoid(enter) * ops.tanh(content)
    return ops.sigmoid(leave) * ops.tanh(cell), cell


def _scanned(step: Any, gates: Tensor, filters: int) -> Tensor:
    """The hidden states of all steps, from the gates `(steps, batch, length, 4 * filters)`."""
    zeros = ops.zeros_like(gates[0][..., :filters])
    hidden, _ = _backend.scan(step, (zeros, zeros), gates)
    return hidden


def _skewed(x: Tensor) -> Tensor:
    """The diagonals of images: row i begins at the diagonal i, and zeros fill the rest.

    Args:
        x: Float `(batch, height, width, channels)`.

    Returns:
        Float `(height + width - 1, batch, height, channels)`.
    """
    _, height, width, channels = x.shape
    diagonals = height + width - 1
    # Rows of one zero more than there are diagonals, then read as rows without it: each row
    # begins a place later.
    padded = ops.pad(x, ((0, 0), (0, 0), (0, height), (0, 0)))
    flat = ops.reshape(padded, (-1, height * (diagonals + 1), channels))[:, : height * diagonals]
    return ops.transpose(ops.reshape(flat, (-1, height, diagonals, channels)), (2, 0, 1, 3))


def _unskewed(x: Tensor) -> Tensor:
    """The images `(batch, height, width, channels)` of diagonals: the inverse of `_skewed`."""
    diagonals, _, height, channels = x.shape
    flat = ops.reshape(ops.transpose(x, (1, 2, 0, 3)), (-1, height * diagonals, channels))
    padded = ops.pad(flat, ((0, 0), (0, height), (0, 0)))
    images = ops.reshape(padded, (-1, height, diagonals + 1, channels))
    return images[:, :, : diagonals + 1 - height]


def _columns_of_zeros(like: Tensor, width: int, channels: int) -> Tensor:
    """Float32 zeros `(width, batch, channels)`, for the batch of another tensor."""
    return ops.zeros((width, ops.shape(like)[0], channels), dtype="float32")

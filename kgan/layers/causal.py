"""The contract of layers that mix pixels, and can be computed a pixel at a time."""

from typing import Literal, TypeAlias

import keras
from keras import ops

from kgan._typing import Tensor

State: TypeAlias = tuple[Tensor, ...]
"""What a causal layer keeps of the rows or pixels before."""


class CausalLayer(keras.layers.Layer):
    """Base class of layers whose outputs see only pixels before their own, in raster order.

    `call` computes whole images, for training. To sample, `kgan.PixelCNN` computes one row or one
    pixel after the other, from a state that holds what later ones need.

    A layer that is strict implements `before` and `push`, any other one `step`.

    Example: the causal layers of a network.
    ```python
    network = kgan.networks.pixel_cnn((28, 28, 1), width=4, blocks=1).network
    causal = [each for each in network.layers if isinstance(each, kgan.layers.CausalLayer)]
    assert causal[0].strict
    ```
    """

    scans: Literal["rows", "pixels"]
    """Whether an output depends on whole rows of the input, or on pixels to the left and all rows
    above."""

    strict: bool = False
    """Whether an output does not see the row, or the pixel, that it belongs to."""

    rows_alone: bool = False
    """Whether a layer that scans pixels sees only those of the same row."""

    def initial_state(self, like: Tensor, height: int, width: int, channels: int) -> State:
        """Returns the state before the first row or pixel.

        Args:
            like: Any tensor `(batch, ...)`.
            height: Integer, that of the images.
            width: Integer, that of the images.
            channels: Integer, those of the layer's input.
        """
        raise NotImplementedError

    def start_row(self, state: State) -> State:
        """Returns the state of a layer that scans pixels, at the start of another row."""
        return state

    def before(self, state: State, place: Tensor) -> Tensor:
        """Returns the output of a strict layer for a row or a pixel.

        Args:
            state: The present state.
            place: Integer scalar: the number of the row, or of the pixel in raster order.

        Returns:
            Float tensor `(batch, 1, width, channels)` of a row or `(batch, 1, 1, channels)` of a
            pixel.
        """
        raise NotImplementedError

    def push(self, state: State, x: Tensor, place: Tensor) -> State:
        """Returns the state of a strict layer after the input of a row or a pixel is known.

        Args:
            state: The state before.
            x: Float tensor like the output of `before`.
            place: As for `before`.
        """
        raise NotImplementedError

    def step(self, state: State, x: Tensor, place: Tensor) -> tuple[Tensor, State]:
        """Returns the output of a layer that is not strict, and its next state.

        Args:
            state: The state before.
            x: The input of the row or the pixel, as for `push`.
            place: As for `before`.
        """
        raise NotImplementedError


def zeros_like_batch(like: Tensor, shape: tuple[int, ...], dtype: str) -> Tensor:
    """Zeros `(batch, *shape)`, for the batch of another tensor."""
    return ops.zeros((ops.shape(like)[0], *shape), dtype=dtype)

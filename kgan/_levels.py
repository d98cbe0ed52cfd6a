"""Levels: the values that a pixel can have, evenly from -1 to 1."""

from keras import ops

from kgan._typing import Tensor


def level_of(images: Tensor, levels: int) -> Tensor:
    """The levels of images, int32 from 0 to `levels - 1`: the nearest ones.

    Args:
        images: Float tensor in [-1, 1], of any shape.
        levels: Integer, how many there are.
    """
    scaled = (ops.cast(images, "float32") + 1.0) * (0.5 * (levels - 1))
    return ops.cast(ops.clip(ops.round(scaled), 0, levels - 1), "int32")

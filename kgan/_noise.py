"""Random numbers for the images of a batch, the same however many devices share it."""

from collections.abc import Callable

from keras import ops

from kgan import _backend
from kgan._typing import Noise, Tensor


def for_batch(draw: Callable[..., Tensor], count: Tensor, *shape: int, noise: Noise) -> Tensor:
    """Draws random numbers for each image of a batch, within a training step.

    Where several devices compute parts of a batch, each draws the numbers for all of it and takes
    its own: so every image gets what it would get on one device.

    Args:
        draw: `keras.random.normal`, `keras.random.uniform` or another such function.
        count: Integer, the number of images on this device.
        *shape: Integers, the shape of the numbers for one image.
        noise: A `keras.random.SeedGenerator`.

    Returns:
        Tensor `(count, *shape)`.
    """
    replica, replicas = _backend.replicas()
    drawn = draw((replicas * count, *shape), seed=noise)
    if replicas > 1:
        drawn = ops.reshape(drawn, (replicas, count, *shape))[replica]
    return drawn

"""Random numbers for the images of a batch, the same however many devices share it."""

from collections.abc import Callable

import keras
from keras import ops

from kgan import _backend
from kgan._backend.keras_internals import seed_dtype
from kgan._typing import Noise, Tensor


def for_batch(draw: Callable[..., Tensor], count: Tensor, *shape: int, noise: Noise) -> Tensor:
    """Draws random numbers for each image of a batch, within a training step.

    Where several devices compute parts of a batch, each draws the numbers for the
    whole batch and takes its own part. So every image gets the same numbers as on one device.

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


class SeededNoise(keras.random.SeedGenerator):
    """A source of random numbers that starts from a tensor and has no state to save.

    For functions that `kgan._backend.predict` compiles: `keras.random` takes only integers that are
    known when a function is compiled, and a `SeedGenerator` assigns to a variable.

    Args:
        seed: Integer scalar tensor, 0 <= seed < 2**31. The same seed gives the same numbers on one
            backend.

    Example:
    ```python
    def sample(model, mean, seed):
        return mean + keras.random.normal(mean.shape, seed=SeededNoise(seed))

    _backend.predict(model, sample, mean, np.int32(3))
    ```
    """

    def __init__(self, seed: Tensor) -> None:
        self.name = "seeded_noise"  # not `super().__init__`, which makes a variable
        self.seed = ops.cast(seed, seed_dtype())
        self.drawn = 0

    def next(self, ordered: bool = True) -> Tensor:
        """The seed of the next numbers: a tensor of two integers."""
        del ordered
        self.drawn += 1
        # PyTorch's generators start from the sum of the two. Scattered, so that the second numbers
        # of one seed are not the first numbers of the next seed.
        scattered = (self.drawn * 0x9E3779B1) & 0x7FFFFFFF
        return ops.stack([self.seed, ops.convert_to_tensor(scattered, seed_dtype())])

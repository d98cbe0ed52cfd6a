"""Functions of tensors as a training step would run them: compiled, but on PyTorch."""

import functools

import keras
import numpy as np
import pytest


@functools.lru_cache(maxsize=1)
def _compiled(fn, shapes):
    if keras.backend.backend() == "jax":
        import jax

        def purely(*tensors):
            with keras.StatelessScope():
                return fn(*tensors)

        return jax.jit(purely)
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        # The size of the batch is not known there.
        specs = [tf.TensorSpec((None, *shape[1:])) for shape in shapes]
        return tf.function(fn, input_signature=specs)
    return fn


def _run(fn, *arrays):
    compiled = _compiled(fn, tuple(array.shape for array in arrays))
    results = compiled(*map(keras.ops.convert_to_tensor, arrays))
    return keras.tree.map_structure(
        lambda tensor: keras.ops.convert_to_numpy(keras.ops.stop_gradient(tensor)), results
    )


@pytest.fixture(scope="session")
def run():
    """`run(fn, *arrays)`: what `fn` gives for tensors, as arrays."""
    return _run


@pytest.fixture(scope="session")
def augmented():
    """`augmented(augmentation, images, seed)`: the images after it, with that noise."""

    def augmented(augmentation, images: np.ndarray, seed: int = 4) -> np.ndarray:
        noise = keras.random.SeedGenerator(seed)
        return _run(lambda images: augmentation.augment(images, noise), images)

    return augmented


def _bilinear(image, matrix, fill=None):
    height, width, channels = image.shape

    def pixel(row, column):
        if fill is None:
            row, column = (
                [*range(size), *reversed(range(size))][place % (2 * size)]
                for place, size in ((row, height), (column, width))
            )
        elif not (0 <= row < height and 0 <= column < width):
            return np.full(channels, fill)
        return image[row, column]

    result = np.zeros(image.shape)
    back = np.linalg.inv(matrix)
    for i in range(height):
        for j in range(width):
            x, y, _ = back @ [j - (width - 1) / 2, i - (height - 1) / 2, 1]
            row, column = y + (height - 1) / 2, x + (width - 1) / 2
            r, c = int(np.floor(row)), int(np.floor(column))
            for k, down in ((r, r + 1 - row), (r + 1, row - r)):
                for m, right in ((c, c + 1 - column), (c + 1, column - c)):
                    result[i, j] += down * right * pixel(k, m)
    return result


@pytest.fixture(scope="session")
def bilinear():
    """`bilinear(image, matrix, fill)`: one image after places were moved by a 3x3 matrix.

    Sampled pixel by pixel, with x to the right and y down from the middle; beyond the edges `fill`,
    or None for the image as in a mirror.
    """
    return _bilinear

"""Random numbers for each image, and pixels from other places, against NumPy."""

import keras
import numpy as np
import pytest
from keras import ops

from kgan.augmentations import pixels
from kgan.augmentations.pixels import Affine


def some_images(shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype("float32")


def test_random_numbers_are_each_images_own():
    images = ops.zeros((5, 2, 3, 1))
    seed = keras.random.SeedGenerator(3)
    table = ops.convert_to_numpy(keras.random.normal((5, 4), seed=keras.random.SeedGenerator(3)))
    columns = list(pixels.draws(keras.random.normal, images, 4, seed))
    assert len(columns) == 4
    for index, column in enumerate(columns):
        assert tuple(column.shape) == (5, 1, 1, 1)
        np.testing.assert_array_equal(ops.convert_to_numpy(column).ravel(), table[:, index])
    again = next(pixels.draws(keras.random.normal, images, 4, seed))
    assert not np.any(ops.convert_to_numpy(again) == ops.convert_to_numpy(columns[0]))


@pytest.mark.parametrize("count", [2, 9])
def test_whole_numbers_from_the_first_to_the_last(count):
    lowest_of_each = np.arange(count, dtype="float32") / np.float32(count) + np.float32(1e-6)
    last = np.nextafter(np.float32(1), np.float32(0))
    found = ops.convert_to_numpy(pixels.integers(ops.array([*lowest_of_each, last]), count))
    np.testing.assert_array_equal(found, [*range(count), count - 1])


@pytest.mark.parametrize("fill", [None, -1.0])
@pytest.mark.parametrize("shape", [(3, 4, 4, 1), (3, 5, 2, 3), (3, 1, 3, 2)])
def test_pixels_are_taken_from_anywhere(shape, fill, run):
    images = some_images(shape)
    _, height, width, _ = shape
    generator = np.random.default_rng(1)
    rows = generator.integers(-3 * height, 3 * height, (3, height, 1, 1)).astype("float32")
    columns = generator.integers(-2 * width, 3 * width, (3, height, width, 1)).astype("float32")
    found = run(lambda *tensors: pixels.taken(*tensors, fill), images, rows, columns)
    padding = ((0, 0), (5 * height, 5 * height), (5 * width, 5 * width), (0, 0))
    if fill is None:
        padded = np.pad(images, padding, mode="symmetric")
    else:
        padded = np.pad(images, padding, constant_values=fill)
    expected = padded[
        np.arange(3)[:, None, None],
        rows[..., 0].astype(int) + 5 * height,
        columns[..., 0].astype(int) + 5 * width,
    ]
    np.testing.assert_array_equal(found, expected)


COSINE, SINE = np.cos(0.7), np.sin(0.7)
MAPS = {
    "nothing": (Affine(), np.eye(3)),
    "wider": (Affine().scaled(1.5, 1.0), np.diag([1.5, 1, 1])),
    "smaller": (Affine().scaled(0.6, 0.6), np.diag([0.6, 0.6, 1])),
    "flipped": (Affine().scaled(-1.0, 1.0), np.diag([-1, 1, 1])),
    "turned": (
        Affine().turned(COSINE, SINE),
        np.array([[COSINE, -SINE, 0], [SINE, COSINE, 0], [0, 0, 1]]),
    ),
    "moved": (Affine().moved(0.3, -1.8), np.array([[1, 0, 0.3], [0, 1, -1.8], [0, 0, 1]])),
    "all of these": (
        Affine().scaled(1.5, 0.8).turned(COSINE, SINE).moved(0.3, -1.8).scaled(-0.7, 1.2),
        np.diag([-0.7, 1.2, 1])
        @ np.array([[1, 0, 0.3], [0, 1, -1.8], [0, 0, 1]])
        @ np.array([[COSINE, -SINE, 0], [SINE, COSINE, 0], [0, 0, 1]])
        @ np.diag([1.5, 0.8, 1]),
    ),
}


@pytest.mark.parametrize("fill", [None, -1.0])
def test_warps(fill, run, bilinear):
    images = some_images((len(MAPS), 5, 6, 2))
    entries = np.array([affine for affine, _ in MAPS.values()], "float32")

    def warp(images, entries):
        entries = ops.unstack(ops.reshape(entries, (-1, 1, 1, 1, 6)), 6, axis=-1)
        return pixels.warped(images, Affine(*entries), fill)

    found = run(warp, images, entries)
    np.testing.assert_array_equal(found[0], images[0])  # with which nothing is done
    for index, (name, (_, matrix)) in enumerate(MAPS.items()):
        expected = bilinear(images[index], matrix, fill)
        np.testing.assert_allclose(found[index], expected, atol=2e-5, err_msg=name)


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_a_quarter_turn_is_exact(turns, run):
    images = some_images((2, 5, 5, 3))
    angle = turns * np.pi / 2
    affine = Affine().turned(float(np.round(np.cos(angle))), float(np.round(np.sin(angle))))
    found = run(lambda images: pixels.warped(images, affine, -1.0), images)
    np.testing.assert_array_equal(found, np.rot90(images, -turns, axes=(1, 2)))

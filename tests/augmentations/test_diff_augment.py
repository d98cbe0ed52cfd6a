"""DiffAugment against NumPy on the same random numbers, and by what each change must keep."""

import keras
import numpy as np
import pytest
from keras import ops

from kgan.augmentations import DiffAugment

SHAPES = [(6, 8, 8, 1), (6, 7, 5, 3), (6, 9, 4, 2)]


def some_images(shape):
    return np.random.default_rng(0).uniform(-1, 1, shape).astype("float32")


def numbers(count, seed=4):
    """The uniform numbers that are drawn first, a row for each image."""
    return ops.convert_to_numpy(
        keras.random.uniform((count, 7), seed=keras.random.SeedGenerator(seed))
    ).astype("float64")


def color(image, brightness, saturation, contrast):
    image = image + brightness - 0.5
    grey = image.mean(axis=-1, keepdims=True)
    image = (image - grey) * 2 * saturation + grey
    return (image - image.mean()) * (contrast + 0.5) + image.mean()


def translation(image, down, right, fill):
    result = np.full_like(image, fill)
    height, width, _ = image.shape
    down, right = (
        int(np.floor(share * (2 * most + 1))) - most
        for share, most in ((down, (height + 4) // 8), (right, (width + 4) // 8))
    )
    for i in range(height):
        for j in range(width):
            if 0 <= i - down < height and 0 <= j - right < width:
                result[i, j] = image[i - down, j - right]
    return result


def cutout(image, middle_row, middle_column, fill):
    result = image.copy()
    edges = []
    for share, size in ((middle_row, image.shape[0]), (middle_column, image.shape[1])):
        length = (size + 1) // 2
        middle = int(np.floor(share * (size if length % 2 else size + 1)))
        first = middle - length // 2
        edges.append(slice(max(first, 0), max(first + length, 0)))
    result[tuple(edges)] = fill
    return result


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_color(shape, augmented):
    images = some_images(shape)
    expected = [color(i, *u[:3]) for i, u in zip(images, numbers(6), strict=True)]
    np.testing.assert_allclose(augmented(DiffAugment("color"), images), expected, atol=1e-5)


@pytest.mark.parametrize("fill", [0.0, -1.0])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("change", [translation, cutout])
def test_translation_and_cutout(change, shape, fill, augmented):
    images = some_images(shape)
    expected = [change(i, *u[:2], fill) for i, u in zip(images, numbers(6), strict=True)]
    found = augmented(DiffAugment(change.__name__, fill), images)
    np.testing.assert_array_equal(found, np.array(expected))


def test_all_of_them_one_after_the_other(augmented):
    images = some_images((6, 8, 8, 3))
    expected = [
        cutout(translation(color(i, *u[:3]), *u[3:5], 0.0), *u[5:], 0.0)
        for i, u in zip(images, numbers(6), strict=True)
    ]
    np.testing.assert_allclose(augmented(DiffAugment(), images), expected, atol=1e-5)


def test_color_moves_the_mean_by_the_brightness_alone(augmented):
    images = some_images((64, 3, 3, 3))
    means = [a.mean(axis=(1, 2, 3)) for a in (augmented(DiffAugment("color"), images), images)]
    np.testing.assert_allclose(means[0] - means[1], numbers(64)[:, 0] - 0.5, atol=1e-5)


def test_a_grey_image_in_three_channels_stays_grey(augmented):
    images = np.repeat(some_images((4, 3, 3, 1)), 3, axis=-1)
    found = augmented(DiffAugment("color"), images)
    np.testing.assert_allclose(found, found[..., :1].repeat(3, axis=-1), atol=1e-6)


def test_translations_of_all_lengths_happen(augmented):
    # Each pixel tells its place: so the middle one tells where it came from.
    rows, columns = np.mgrid[:16, :8].astype("float32")
    images = np.tile(np.stack([rows, columns], axis=-1), (600, 1, 1, 1))
    offsets = augmented(DiffAugment("translation"), images)[:, 8, 4] - [8, 4]
    found, counts = np.unique(offsets, axis=0, return_counts=True)
    np.testing.assert_array_equal(found, [(y, x) for y in range(-2, 3) for x in range(-1, 2)])
    assert counts.min() > 20  # of 40, give or take 6
    assert counts.max() < 60


def test_a_cut_is_at_most_a_quarter_of_the_image_and_reaches_each_pixel(augmented):
    images = np.ones((300, 8, 6, 1), "float32")
    cut = augmented(DiffAugment("cutout"), images)[..., 0] == 0.0
    areas = cut.sum(axis=(1, 2))
    assert areas.max() == 4 * 3
    assert areas.min() == 2 * 2  # at a corner: a middle on the edge of all, or on the last column
    assert np.all(cut.any(axis=0))
    assert not np.any(cut.all(axis=0))


def test_its_own_for_each_image_and_each_use_and_the_same_for_the_same_noise(run, augmented):
    images = np.tile(some_images((1, 8, 8, 3)), (5, 1, 1, 1))
    noise = keras.random.SeedGenerator(4)
    first, second = run(lambda x: [DiffAugment().augment(x, noise) for _ in range(2)], images)
    for a, b in ((first[:-1], first[1:]), (first, second)):
        assert np.all(np.any(a != b, axis=(1, 2, 3)))
    np.testing.assert_array_equal(first, augmented(DiffAugment(), images))


@pytest.mark.parametrize(
    ("policy", "message"),
    [
        (("color", "cutuot"), "Did you mean 'cutout'"),
        (("color", "color"), "at most once"),
        ((), "one or more of"),
        (3, "one or more of"),
    ],
    ids=["unknown", "twice", "none", "a number"],
)
def test_policies_that_are_refused(policy, message):
    with pytest.raises(ValueError, match=message):
        DiffAugment(policy)


def test_config():
    given = DiffAugment(("cutout", "color"), fill=-1.0, name="holes")
    again = DiffAugment.from_config(given.get_config())
    assert again.get_config() == given.get_config()
    assert (again.policy, again.fill, again.name) == (("cutout", "color"), -1.0, "holes")

"""Adaptive augmentation against matrices in NumPy on the same random numbers; the way of p."""

import keras
import numpy as np
import pytest
from keras import ops

from kgan.augmentations import AdaptiveAugment
from kgan.augmentations.adaptive import GROUPS, SINGLE


def some_images(shape):
    return np.random.default_rng(0).uniform(-1, 1, shape).astype("float32")


# ---- the transformations -------------------------------------------------------------------------


def numbers(count, seed=4):
    """The uniform and the normal numbers that are drawn first, a row for each image."""
    noise = keras.random.SeedGenerator(seed)
    uniform = keras.random.uniform((count, 21), seed=noise)
    return [
        ops.convert_to_numpy(a).astype("float64")
        for a in (uniform, keras.random.normal((count, 7), seed=noise))
    ]


def moving(x, y):
    return np.array([[1, 0, x], [0, 1, y], [0, 0, 1]])


def turning(angle):
    c, s = np.cos(angle), np.sin(angle)
    return np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])


def about_greys(angle):
    """Rodrigues's formula: the rotation of colours about (1, 1, 1)."""
    v = np.ones(3) / np.sqrt(3)
    cross = np.array([[0, -v[2], v[1]], [v[2], 0, -v[0]], [-v[1], v[0], 0]])
    return np.cos(angle) * np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * np.outer(v, v)


def reference(shape, uniform, normal, p, chosen):
    """The matrices, of places and of colours, and the offset that one image gets."""
    height, width, channels = shape
    u, n = iter(uniform), iter(normal)
    greys = np.full((channels, channels), 1 / channels)  # the projection of colours on their mean

    def kept(value, name, probability=p, neutral=None):
        is_done = next(u) < probability and name in chosen
        neutral = np.eye(len(value)) if neutral is None else neutral
        return value if is_done else neutral

    half = 1 - np.sqrt(1 - p)
    m = kept(np.diag([-1.0 if next(u) >= 0.5 else 1.0, 1, 1]), "flip")
    m = kept(turning(np.pi / 2 * np.floor(4 * next(u))), "quarter_turn") @ m
    x, y = (np.round((next(u) - 0.5) / 4 * size) for size in (width, height))
    m = kept(moving(x, y), "integer_translation") @ m
    scale = 2 ** (0.2 * next(n))
    m = kept(np.diag([scale, scale, 1]), "isotropic_scaling") @ m
    m = kept(turning(2 * np.pi * next(u)), "rotation", half) @ m
    scale = 2 ** (0.2 * next(n))
    m = kept(np.diag([scale, 1 / scale, 1]), "anisotropic_scaling") @ m
    m = kept(turning(2 * np.pi * next(u)), "rotation", half) @ m
    x, y = next(n) * width / 8, next(n) * height / 8
    m = kept(moving(x, y), "fractional_translation") @ m

    offset = kept(np.array([0.2 * next(n)]), "brightness", neutral=np.zeros(1))
    c = kept(np.eye(channels) * 2 ** (0.5 * next(n)), "contrast")
    c = kept(np.eye(channels) - 2 * greys * (next(u) >= 0.5), "luma_flip") @ c
    angle = 2 * np.pi * next(u)
    c = kept(about_greys(angle) if channels == 3 else np.eye(channels), "hue") @ c
    c = kept(greys + 2 ** next(n) * (np.eye(channels) - greys), "saturation") @ c
    return m, c, offset


def expected(images, p, chosen, bilinear):
    found = []
    for image, uniform, normal in zip(images, *numbers(len(images)), strict=True):
        matrix, colors, offset = reference(image.shape, uniform, normal, p, chosen)
        found.append((bilinear(image, matrix) + offset) @ colors.T)
    return np.array(found)


@pytest.mark.parametrize("name", SINGLE)
def test_each_transformation(name, augmented, bilinear):
    images = some_images((8, 6, 9, 3))
    found = augmented(AdaptiveAugment(name, initial=1.0), images)
    np.testing.assert_allclose(found, expected(images, 1.0, [name], bilinear), atol=1e-4)
    assert np.abs(found - images).max() > 0.05


@pytest.mark.parametrize("p", [0.4, 1.0])
@pytest.mark.parametrize("channels", [1, 2, 3])
def test_all_of_them_one_after_the_other(channels, p, augmented, bilinear):
    images = some_images((16, 5, 8, channels))
    found = augmented(AdaptiveAugment(initial=p), images)
    np.testing.assert_allclose(found, expected(images, p, SINGLE, bilinear), atol=5e-4)


@pytest.mark.parametrize("channels", [1, 3])
def test_nothing_is_done_with_a_probability_of_0(channels, augmented):
    images = some_images((4, 5, 8, channels))
    np.testing.assert_allclose(augmented(AdaptiveAugment(), images), images, atol=1e-6)


def test_what_the_groups_leave_alone(augmented):
    images = some_images((8, 6, 6, 1))
    blit = augmented(AdaptiveAugment(("flip", "quarter_turn"), initial=1.0), images)
    turned = np.array([np.rot90(images, k, axes=(1, 2)) for k in range(4)])
    either = np.concatenate([turned, turned[:, :, :, ::-1]])
    is_which = np.all(np.abs(either - blit) < 1e-5, axis=(2, 3, 4))
    np.testing.assert_array_equal(is_which.sum(axis=0), 1)
    assert is_which.any(axis=1).sum() > 3
    # Of grey images neither hue nor saturation.
    grey = augmented(AdaptiveAugment(("hue", "saturation"), initial=1.0), images)
    np.testing.assert_allclose(grey, images, atol=1e-6)


def test_hue_turns_colours_about_grey(augmented):
    images = some_images((8, 2, 2, 3))
    found = augmented(AdaptiveAugment("hue", initial=1.0), images)
    for measure in (np.mean, np.linalg.norm):
        np.testing.assert_allclose(
            *(measure(a, axis=-1) for a in (found, images)), rtol=1e-4, atol=1e-5
        )


@pytest.mark.parametrize("name", ["brightness", "rotation"])
def test_how_often(name, augmented):
    # Rotations are done before and after a scaling, and at least one of them with p.
    count, p = 2000, 0.4
    images = np.tile(np.arange(6, dtype="float32").reshape(1, 2, 3, 1), (count, 1, 1, 1))
    found = augmented(AdaptiveAugment(name, initial=p), images)
    done = np.mean(np.any(np.abs(found - images) > 1e-5, axis=(1, 2, 3)))
    assert abs(done - p) < 4 * np.sqrt(p * (1 - p) / count)


def test_beyond_the_edges(augmented):
    images = np.ones((16, 6, 6, 1), "float32")
    moves = ("integer_translation", "fractional_translation")
    np.testing.assert_allclose(augmented(AdaptiveAugment(moves, initial=1.0), images), 1.0)
    filled = augmented(AdaptiveAugment(moves, initial=1.0, fill=-1.0), images)
    assert filled.min() == -1.0
    assert filled.max() == 1.0


# ---- the way of p --------------------------------------------------------------------------------


def followed(augmentation, logits):
    return [
        float(augmentation.observe(ops.array(each, "float32"))["augmentation_probability"])
        for each in logits
    ]


def test_the_way_of_p():
    augmentation = AdaptiveAugment(target=0.25, images_to_one=32, interval=2, initial=0.25)
    logits = [
        [[3.0], [0.1]],  # all of 2 real
        [[0.2], [-4.0]],  # and half of 2: 0.5 on the mean, so up by 4 images
        [[-1.0]] * 3,
        [[1.0]] * 5,  # 2 of 8, exactly what is wanted
        [[[0.5], [-0.5]], [[-2.0], [-3.0]]],  # patches: 2 images of 2 each
        [[-1.0]] * 6,  # down by 8
        [[-1.0]] * 30,
        [[-1.0]] * 30,  # as far as 0
        [[1.0]] * 9,
        [[1.0]] * 8,
        [[1.0]] * 40,
        [[1.0]] * 40,  # as far as 1
    ]
    way = [0.25, 0.375, 0.375, 0.375, 0.375, 0.125, 0.125, 0.0, 0.0, 17 / 32, 17 / 32, 1.0]
    np.testing.assert_allclose(followed(augmentation, logits), way, rtol=1e-6)


def test_a_p_that_is_given_stays():
    augmentation = AdaptiveAugment(target=None, images_to_one=1, interval=1, initial=0.25)
    assert followed(augmentation, [[[1.0]], [[-1.0]]]) == [0.25, 0.25]


def test_as_many_images_as_it_takes_from_0_to_1():
    augmentation = AdaptiveAugment(images_to_one=40, interval=2)
    way = followed(augmentation, [[[1.0]] * 4] * 12)
    np.testing.assert_allclose(way, np.minimum(np.arange(1, 13) // 2 * 0.2, 1.0), rtol=1e-5)


# ---- arguments -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"transformations": ("blit", "rotatoin")}, "Did you mean 'rotation'"),
        ({"transformations": ()}, "`transformations`"),
        ({"target": 1.0}, "`target`"),
        ({"target": None}, "initial=0.3"),
        ({"initial": -0.1}, "`initial`"),
        ({"initial": 1.1}, "`initial`"),
        ({"images_to_one": 0}, "`images_to_one`"),
        ({"interval": 0}, "`interval`"),
    ],
    ids=str,
)
def test_arguments_out_of_range(wrong, message):
    with pytest.raises(ValueError, match=message):
        AdaptiveAugment(**wrong)


def test_config():
    given = AdaptiveAugment(
        ("color", "rotation"), target=0.5, images_to_one=7, initial=0.5, interval=3, fill=-1.0
    )
    again = AdaptiveAugment.from_config(given.get_config())
    assert again.get_config() == given.get_config()
    assert again.transformations == ("color", "rotation")
    assert (again.target, again.images_to_one, again.interval, again.fill) == (0.5, 7, 3, -1.0)
    assert float(ops.convert_to_numpy(again.probability)) == 0.5


def test_a_group_is_all_that_are_in_it(augmented):
    images = some_images((4, 5, 5, 3))
    for group, singles in GROUPS.items():
        np.testing.assert_array_equal(
            augmented(AdaptiveAugment(group, initial=1.0), images),
            augmented(AdaptiveAugment(singles, initial=1.0), images),
        )

"""Errors of pixels against NumPy and scikit-image on whole images."""

import numpy as np
import pytest

from kgan.metrics import pixels

pytestmark = pytest.mark.backend_free


@pytest.fixture(params=[1, 3])
def pair(request):
    shape = 2, 5, 12, 13, request.param
    return np.random.default_rng(0).integers(0, 256, shape, dtype="uint8")


@pytest.fixture(autouse=True, params=[1, 1 << 22], ids=["one at a time", "all at once"])
def _chunk(request, monkeypatch):
    monkeypatch.setattr(pixels, "_CHUNK", request.param)


def test_errors_are_those_of_images_on_the_unit_interval(pair):
    first, second = pair / 255.0
    axes = (1, 2, 3)
    np.testing.assert_allclose(
        pixels.absolute_errors(*pair), np.abs(first - second).mean(axes), rtol=1e-6
    )
    squares = ((first - second) ** 2).mean(axes)
    np.testing.assert_allclose(pixels.squared_errors(*pair), squares, rtol=1e-6)
    np.testing.assert_allclose(pixels.signal_to_noise(*pair), 10 * np.log10(1 / squares), rtol=1e-6)


def test_an_image_is_compared_with_all(pair):
    first, second = pair
    single = np.repeat(second[:1], len(first), axis=0)
    for measure in (pixels.absolute_errors, pixels.structural_similarity):
        np.testing.assert_array_equal(measure(first, second[:1]), measure(first, single))


def test_equal_images_have_the_ratio_of_rounding(pair):
    levels = np.random.default_rng(0).uniform(0, 255, 1_000_000)
    error = np.mean((levels - levels.round()) ** 2) / 255**2
    expected = 10 * np.log10(1 / error)
    np.testing.assert_allclose(pixels.signal_to_noise(pair[0], pair[0]), expected, rtol=1e-3)


def test_similarity_is_one_for_equal_images_and_falls_with_noise(pair):
    image = np.repeat(np.arange(0, 240, 20, dtype="uint8")[:, None, None], 13, 1)[None]
    noise = np.random.default_rng(0).integers(0, 40, image.shape)
    np.testing.assert_allclose(pixels.structural_similarity(image, image), 1.0)
    similar = pixels.structural_similarity(image, (image + noise // 8).astype("uint8"))[0]
    worse = pixels.structural_similarity(image, np.clip(image + noise, 0, 255).astype("uint8"))[0]
    assert worse < similar < 1.0


def test_similarity_is_that_of_the_paper_in_the_centre():
    # The mean of one image differs and nothing else: only the first factor counts.
    dark, light = np.full((2, 1, 15, 15, 1), 100, "uint8")
    light = dark + np.uint8(50)
    constant = (0.01 * 255) ** 2
    expected = (2 * 100 * 150 + constant) / (100**2 + 150**2 + constant)
    np.testing.assert_allclose(pixels.structural_similarity(dark, light), expected, rtol=1e-6)


def test_small_images_have_no_similarity():
    assert pixels.can_measure_similarity((11, 11, 1))
    assert not pixels.can_measure_similarity((10, 28, 1))


def test_mean_and_variance_between_images(pair):
    images = pair[0]
    exact = (images / 255.0).var(axis=0).mean()
    assert pixels.variance(images) == pytest.approx(exact)
    np.testing.assert_array_equal(
        pixels.mean_image(images), np.rint(images.mean(axis=0, keepdims=True))
    )
    assert pixels.variance(images[:1]) == 0.0

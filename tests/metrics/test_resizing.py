"""Resizing for networks of features: as the references do, to rounding."""

import runpy
from pathlib import Path

import keras
import numpy as np
import pytest
from hypothesis import given, settings, strategies
from PIL import Image

from kgan import metrics
from kgan.metrics import _resizing
from kgan.metrics import features as extractors

pytestmark = pytest.mark.backend_free

sizes = strategies.tuples(*[strategies.integers(1, 40)] * 2)


def levels(*shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape, dtype="uint8")


def by_pillow(images, size):
    """What clean-fid defines: Pillow's bicubic of each channel as floats, then clipped."""
    height, width = size
    resized = np.zeros((len(images), height, width, images.shape[3]), "float32")
    for index in np.ndindex(len(images), images.shape[3]):
        number, channel = index
        plane = Image.fromarray(images[number, ..., channel].astype("float32"))
        plane = plane.resize((width, height), Image.Resampling.BICUBIC)
        resized[number, ..., channel] = np.asarray(plane)
    return resized.clip(0, 255)


@settings(max_examples=60, deadline=None)
@given(before=sizes, after=sizes, seed=strategies.integers(0, 1000))
def test_clean_is_pillows_bicubic(before, after, seed):
    images = levels(2, *before, 3, seed=seed)
    resized = _resizing.resize_clean(images, after)
    assert resized.dtype == np.float32
    np.testing.assert_allclose(resized, by_pillow(images, after), atol=5e-4)


@pytest.mark.parametrize("before", [(32, 32), (299, 299), (517, 300), (1, 64)])
def test_clean_at_the_size_of_inception(before):
    images = levels(1, *before, 3)
    resized = _resizing.resize_clean(images, (299, 299))
    np.testing.assert_allclose(resized, by_pillow(images, (299, 299)), atol=5e-4)


def exact(row, position):
    """The value between two pixels, by the definition of TensorFlow 1."""
    first = int(position)
    second = min(first + 1, len(row) - 1)
    return row[first] + (row[second] - row[first]) * (position - first)


@settings(max_examples=60, deadline=None)
@given(before=sizes, after=sizes, seed=strategies.integers(0, 1000))
def test_tensorflow_is_bilinear_from_the_corner(before, after, seed):
    images = levels(1, *before, 1, seed=seed)
    plane = images[0, ..., 0].astype("float64")
    columns = [[exact(row, x * before[1] / after[1]) for x in range(after[1])] for row in plane]
    expected = [
        [exact(column, y * before[0] / after[0]) for column in np.transpose(columns)]
        for y in range(after[0])
    ]
    resized = _resizing.resize_like_tensorflow(images, after)
    # Positions are float32, as in TensorFlow 1: 4e-6 of a pixel, times 255, on two axes.
    np.testing.assert_allclose(resized[0, ..., 0], expected, atol=4e-3)


def test_tensorflow_is_that_of_torch_fidelity():
    tool = runpy.run_path(str(Path(__file__).parents[2] / "tools" / "record_inception.py"))
    resized = _resizing.resize_like_tensorflow(tool["random_images"](), (299, 299))
    with np.load(tool["OUTPUT"]) as file:
        np.testing.assert_array_equal(resized[:, ::23, ::19], file["resized"])


@pytest.mark.parametrize("name", _resizing.RESIZES)
def test_images_of_the_size_stay_as_they_are(name):
    images = levels(2, 7, 9, 3)
    resized = _resizing.RESIZES[name](images, (7, 9))
    np.testing.assert_allclose(resized, images, atol=1e-4)


@pytest.mark.parametrize("name", _resizing.RESIZES)
def test_constant_images_stay_constant(name):
    images = np.full((1, 5, 6, 3), 200, "uint8")
    np.testing.assert_allclose(_resizing.RESIZES[name](images, (13, 4)), 200.0, rtol=1e-5)


def test_an_extractor_resizes_as_it_says():
    image = keras.Input((6, 6, 3))
    model = keras.Model(image, keras.layers.Flatten()(image), name="flat")
    images = levels(3, 10, 4, 1)
    prints = set()
    for name, resize in _resizing.RESIZES.items():
        extractor = metrics.FeatureExtractor(model, (0, 255), resize=name, batch_size=4)
        expected = np.repeat(resize(images, (6, 6)), 3, axis=3).reshape(3, -1)
        np.testing.assert_allclose(extractor(images).vectors, expected, rtol=1e-5, atol=1e-4)
        prints.add(extractor.fingerprint())
    assert len(prints) == 3
    with pytest.raises(ValueError, match=r"way to resize.*Received: resize='cleaned'.*'clean'"):
        metrics.FeatureExtractor(model, resize="cleaned")


def test_parts_are_joined_and_reported():
    lines = []
    images = levels(2 * 1024 + 5, 2, 2, 1)
    found = extractors.extract(metrics.PixelFeatures(), images, lines.append)
    np.testing.assert_array_equal(found.vectors, metrics.PixelFeatures()(images).vectors)
    assert found.classes is None
    assert lines == ["features: 1,024 of 2,053 images", "features: 2,048 of 2,053 images"]

"""Reconstruction errors of models whose error is known, and the floors against scikit-learn's."""

import json
import os

import numpy as np
import pytest
from sklearn.decomposition import PCA

import kgan
from kgan import metrics
from kgan.metrics.outputs import DivergedError

pytestmark = pytest.mark.backend_free

needs_mnist = pytest.mark.skipif(
    not os.environ.get("KGAN_DATA_DIR"), reason="KGAN_DATA_DIR names no full MNIST"
)


class Shifting:
    """Reconstructs images with a shift of all values."""

    def __init__(self, shift, num_classes=None):
        self.shift = shift
        self.num_classes = num_classes
        self.labels = []

    def encode(self, images, labels=None):
        return images

    def reconstruct(self, images, labels=None):
        self.labels.append(labels)
        return images + self.shift


@pytest.fixture
def pictures():
    generator = np.random.default_rng(0)
    smooth = generator.random((200, 3)) @ generator.random((3, 48))
    return (smooth / smooth.max() * 255).astype("uint8").reshape(200, 6, 8, 1)


@pytest.fixture
def dataset(pictures):
    return kgan.data.ImageDataset(pictures[:80], np.arange(80) % 3, batch_size=8)


@pytest.mark.parametrize(
    ("value_range", "shift"), [((-1, 1), 0.2), ((0, 1), 0.1), ((0, 255), 25.5)]
)
def test_the_error_is_that_of_images_on_the_unit_interval(pictures, value_range, shift):
    dataset = kgan.data.ImageDataset(pictures, batch_size=8, value_range=value_range)
    found = metrics.reconstruction(Shifting(shift), dataset, count=50)
    assert found.error == pytest.approx(0.01, rel=1e-4)
    assert found.count == 50
    assert found.standard_error == pytest.approx(0.0, abs=1e-7)
    assert found.floors == ()


def test_mean_and_standard_error_are_those_over_images(dataset):
    model = Shifting(0.0)
    model.reconstruct = lambda images: 0.5 * images
    found = metrics.reconstruction(model, dataset, batch_size=7, seed=2)
    errors = np.mean((dataset.draw(80, 2)[0] / 4) ** 2, axis=(1, 2, 3))
    np.testing.assert_allclose(found.image_errors, errors, rtol=1e-5)
    assert found.error == pytest.approx(errors.mean(), rel=1e-5)
    assert found.standard_error == pytest.approx(errors.std(ddof=1) / np.sqrt(80), rel=1e-5)


def test_a_conditional_model_gets_the_labels(dataset):
    model = Shifting(0.0, num_classes=3)
    metrics.reconstruction(model, dataset, seed=2, batch_size=32)
    np.testing.assert_array_equal(np.concatenate(model.labels), dataset.draw(80, 2)[1])


def test_the_floors_are_those_of_simple_methods(pictures, dataset):
    training = pictures[80:]
    found = metrics.reconstruction(Shifting(0.0), dataset, training=training)
    shown, fitted = (x.reshape(len(x), -1) / 255 for x in (pictures[:80], training))
    errors = {floor.title: floor.error for floor in found.floors}
    mean = fitted.mean(axis=0)
    assert errors["mean training image"] == pytest.approx(np.mean((shown - mean) ** 2), rel=1e-4)
    nearest = ((shown[:, None] - fitted) ** 2).mean(axis=2).min(axis=1)
    assert errors["nearest training image"] == pytest.approx(nearest.mean(), rel=1e-4)
    for count in (16, 32):
        pca = PCA(count).fit(fitted)
        decoded = np.clip(pca.inverse_transform(pca.transform(shown)), 0, 1)
        expected = np.mean((shown - decoded) ** 2)
        title = f"{count} principal components"
        assert errors[title] == pytest.approx(expected, rel=0.02)
    assert "64 principal components" not in errors  # of 48 pixels
    assert list(errors.values()) == sorted(errors.values())
    assert found.fitted_count == 120


def test_what_cannot_be_measured(dataset, make_gan):
    with pytest.raises(TypeError, match=r"`encode` and `reconstruct`.*Received: GAN"):
        metrics.reconstruction(make_gan(), dataset)
    model = Shifting(0.0)
    model.reconstruct = lambda images: images[:, :3]
    with pytest.raises(ValueError, match=r"shape \(80, 6, 8, 1\).*Received: \(80, 3, 8, 1\)"):
        metrics.reconstruction(model, dataset)
    with pytest.raises(DivergedError, match="finite reconstructions"):
        metrics.reconstruction(Shifting(np.nan), dataset)
    with pytest.raises(ValueError, match=r"shape \(6, 8, 1\).*Received: \(9, 9, 1\)"):
        metrics.reconstruction(Shifting(0.0), dataset, training=np.zeros((30, 9, 9), "uint8"))
    plain = kgan.data.ImageDataset(dataset.images, batch_size=8)
    with pytest.raises(ValueError, match="data set with labels"):
        metrics.reconstruction(Shifting(0.0, num_classes=3), plain)


def test_the_table_and_the_json_say_the_same(pictures, dataset):
    found = metrics.reconstruction(Shifting(0.2), dataset, training=pictures)
    table = str(found)
    assert "200 images" in table
    for title, error in [("model", found.error), *((f.title, f.error) for f in found.floors)]:
        (line,) = [line for line in table.splitlines() if line.startswith(title)]
        assert f"{error:.5f}" in line
    read = json.loads(json.dumps(found.to_dict()))
    assert read["error"] == found.error
    assert [floor["error"] for floor in read["floors"]] == [floor.error for floor in found.floors]


def test_some_pictures_are_kept(dataset):
    found = metrics.reconstruction(Shifting(0.0), dataset)
    np.testing.assert_array_equal(found.images, found.reconstructions)
    drawn = np.rint((dataset.draw(80, 0)[0] + 1) * 127.5).astype("uint8")
    np.testing.assert_array_equal(found.images, drawn[:24])


@needs_mnist
def test_floors_on_mnist():
    test, train = kgan.data.load_mnist("test"), kgan.data.load_mnist("train")
    found = metrics.reconstruction(Shifting(0.0), test, training=train)
    errors = {floor.title: floor.error for floor in found.floors}
    assert errors["mean training image"] == pytest.approx(0.0675, abs=1e-4)
    assert errors["nearest training image"] == pytest.approx(0.0246, abs=1e-3)  # of 1,000
    for count, error in ((16, 0.0254), (32, 0.0152), (64, 0.0078)):
        assert errors[f"{count} principal components"] == pytest.approx(error, abs=1e-4)

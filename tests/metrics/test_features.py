"""Features: what a model is shown of an image, kgan's own classifier, and the cache."""

import os
import random

import keras
import numpy as np
import pytest
from keras import ops

import kgan
from kgan import metrics
from kgan.metrics import cifar10_classifier, mnist_classifier
from kgan.metrics.cache import cached_features

needs_mnist = pytest.mark.skipif(
    not os.environ.get("KGAN_DATA_DIR"), reason="KGAN_DATA_DIR names no full MNIST"
)


def levels(*shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape, dtype="uint8")


def flatten_model(shape, with_logits=False):
    """A model whose features are the very values that it is shown."""
    image = keras.Input(shape)
    x = keras.layers.Flatten()(image)
    outputs = (x, keras.layers.Dense(3, name="logits")(x)) if with_logits else x
    return keras.Model(image, outputs, name="flat")


def test_a_model_is_shown_its_range_of_values():
    images = levels(7, 4, 5, 1)
    extractor = metrics.FeatureExtractor(flatten_model((4, 5, 1)), value_range=(-1, 1))
    features = extractor(images)
    expected = images.reshape(7, -1) / 127.5 - 1
    np.testing.assert_allclose(features.vectors, expected, atol=1e-6)
    assert features.classes is None
    other = metrics.FeatureExtractor(flatten_model((4, 5, 1)), value_range=(0, 255))
    np.testing.assert_allclose(other(images).vectors, images.reshape(7, -1), rtol=1e-6)


def test_a_model_is_shown_its_size_and_its_channels():
    images = levels(3, 4, 4, 1)
    extractor = metrics.FeatureExtractor(flatten_model((8, 8, 3)), value_range=(0, 1))
    shown = extractor(images).vectors.reshape(3, 8, 8, 3)
    np.testing.assert_array_equal(shown[..., 0], shown[..., 2])
    expected = ops.image.resize((images / 255.0).astype("float32"), (8, 8), antialias=True)
    np.testing.assert_allclose(shown[..., :1], np.asarray(expected), atol=1e-5)


@pytest.mark.parametrize("count", [1, 6, 8, 13])
def test_batches_do_not_show(count):
    images = levels(count, 4, 4, 1)
    model = flatten_model((4, 4, 1), with_logits=True)
    whole = metrics.FeatureExtractor(model)(images)
    parts = metrics.FeatureExtractor(model, batch_size=6)(images)
    assert len(whole) == len(parts) == count
    np.testing.assert_allclose(parts.vectors, whole.vectors, rtol=1e-6)
    np.testing.assert_allclose(parts.probabilities, whole.probabilities, rtol=1e-4)
    np.testing.assert_allclose(parts.probabilities.sum(axis=1), 1.0, rtol=1e-5)
    logits = model.predict(images / 127.5 - 1, verbose=0)[1]
    np.testing.assert_array_equal(parts.classes, logits.argmax(axis=1))


def test_models_that_give_no_features():
    image = keras.Input((8, 8, 1))
    maps = keras.Model(image, keras.layers.Conv2D(2, 3)(image), name="maps")
    with pytest.raises(ValueError, match=r"maps to return features \(batch, D\).*pooling='avg'"):
        metrics.FeatureExtractor(maps)
    anyhow = keras.Input((None, None, 1))
    pooled = keras.Model(anyhow, keras.layers.GlobalAveragePooling2D()(anyhow), name="pooled")
    with pytest.raises(ValueError, match="pooled to have an input of a fixed size"):
        metrics.FeatureExtractor(pooled)
    sized = metrics.FeatureExtractor(pooled, image_size=(6, 6), value_range=(0, 255))
    np.testing.assert_allclose(
        sized(np.full((2, 3, 3, 1), 7, "uint8")).vectors, [[7.0], [7.0]], rtol=1e-5
    )


def test_channels_that_do_not_fit():
    with pytest.raises(ValueError, match="images of 1 channels for flat, or grey images"):
        metrics.FeatureExtractor(flatten_model((4, 4, 1)))(levels(2, 4, 4, 3))
    stacked = metrics.stacked_mnist_features()
    with pytest.raises(ValueError, match="images of 3 channels"):
        stacked(levels(2, 28, 28, 1))


def test_names_models_and_extractors():
    assert metrics.get_features("pixels").name == "pixels"
    extractor = metrics.get_features(flatten_model((4, 4, 1)))
    assert isinstance(extractor, metrics.FeatureExtractor)
    assert metrics.get_features(extractor) is extractor
    with pytest.raises(ValueError, match=r"one of 'mnist', .*Did you mean 'inception'"):
        metrics.get_features("inceptoin")


def test_the_channels_of_stacked_digits_are_judged_one_by_one():
    digits = kgan.data.load_digits("train")
    padded = np.pad(digits.images[:9], ((0, 0), (10, 10), (10, 10), (0, 0)))
    grey = metrics.mnist_features()(padded)
    rows = np.array([[0, 1, 2], [3, 4, 5], [8, 7, 6]])
    stacked = metrics.stacked_mnist_features()(np.moveaxis(padded[rows][..., 0], 1, -1))
    np.testing.assert_allclose(
        stacked.vectors, grey.vectors[rows].reshape(3, -1), rtol=1e-4, atol=1e-5
    )
    np.testing.assert_array_equal(stacked.classes, grey.classes[rows] @ [100, 10, 1])


@needs_mnist
def test_the_classifier_that_is_shipped_knows_the_test_digits():
    test = kgan.data.load_mnist("test")
    features = metrics.mnist_features()(test.images)
    assert features.vectors.shape == (10_000, 128)
    assert np.mean(features.classes == test.labels) >= 0.995


def global_random_states():
    from keras.src.random.seed_generator import global_seed_generator

    # First, since making the generator draws from the others.
    keras_state = np.asarray(global_seed_generator().state).tolist()
    return keras_state, random.getstate(), np.random.get_state()[1].tolist()


CLASSIFIERS = {
    "mnist": (mnist_classifier, mnist_classifier.load_mnist_classifier),
    "cifar10": (cifar10_classifier, cifar10_classifier.load_cifar10_classifier),
}
classifiers = pytest.mark.parametrize("name", CLASSIFIERS)


@classifiers
def test_the_classifier_does_not_hang_on_the_users_settings(name):
    images = np.repeat(np.repeat(kgan.data.load_digits("train").images[:5], 3, 1), 3, 2)
    if name == "cifar10":
        images = np.repeat(images, 3, axis=3)
    expected = metrics.get_features(name)(images).vectors
    _, load = CLASSIFIERS[name]
    load.cache_clear()
    keras.config.set_dtype_policy("mixed_float16")
    try:
        before = global_random_states()
        extractor = metrics.get_features(name)
        after = global_random_states()
    finally:
        keras.config.set_dtype_policy("float32")
    np.testing.assert_array_equal(extractor(images).vectors, expected)
    assert before == after


@classifiers
def test_other_weights_are_refused(name, monkeypatch, tmp_path):
    module, load = CLASSIFIERS[name]
    other = tmp_path / "weights.npz"
    other.write_bytes(module.WEIGHTS.read_bytes()[:-1] + b"x")
    monkeypatch.setattr(module, "WEIGHTS", other)
    load.cache_clear()
    try:
        with pytest.raises(ValueError, match="to be the file that came with kgan"):
            load()
    finally:
        load.cache_clear()


class Counting:
    """An extractor that counts how often it is asked."""

    name = "counting"
    num_classes = None

    def __init__(self, version="1"):
        self.version = version
        self.calls = 0

    def __call__(self, images):
        self.calls += 1
        return metrics.Features(images.reshape(len(images), -1).astype("float32"), np.arange(3))

    def fingerprint(self):
        return self.version


def test_features_are_read_where_they_were_taken_before(monkeypatch, tmp_path):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    images = levels(3, 4, 4, 1)
    extractor = Counting()
    first, second = cached_features(extractor, images), cached_features(extractor, images.copy())
    assert extractor.calls == 1
    np.testing.assert_array_equal(first.vectors, second.vectors)
    np.testing.assert_array_equal(first.classes, second.classes)
    assert second.probabilities is None
    cached_features(extractor, images[::-1])
    cached_features(extractor, images.reshape(3, 2, 8, 1))
    assert extractor.calls == 3
    newer = Counting("2")
    cached_features(newer, images)
    assert newer.calls == 1


@pytest.mark.parametrize("damage", [b"", b"PK\x03\x04", None])
def test_a_damaged_cache_costs_time_only(monkeypatch, tmp_path, damage):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    images, extractor = levels(3, 4, 4, 1), Counting()
    expected = cached_features(extractor, images).vectors
    (path,) = tmp_path.rglob("*.npz")
    path.write_bytes(path.read_bytes()[:100] if damage is None else damage)
    np.testing.assert_array_equal(cached_features(extractor, images).vectors, expected)
    assert extractor.calls == 2
    cached_features(extractor, images)
    assert extractor.calls == 2


def test_a_cache_that_cannot_be_written_costs_time_only(monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "file"))
    images, extractor = levels(3, 4, 4, 1), Counting()
    assert len(cached_features(extractor, images)) == 3
    assert len(cached_features(extractor, images)) == 3
    assert extractor.calls == 2


def test_fingerprints_tell_extractors_apart():
    model = flatten_model((4, 4, 1), with_logits=True)
    prints = {
        metrics.FeatureExtractor(model).fingerprint(),
        metrics.FeatureExtractor(model, value_range=(0, 1)).fingerprint(),
        metrics.FeatureExtractor(flatten_model((4, 4, 1), with_logits=True)).fingerprint(),
        metrics.mnist_features().fingerprint(),
        metrics.stacked_mnist_features().fingerprint(),
    }
    assert len(prints) == 5
    assert metrics.FeatureExtractor(model).fingerprint() in prints


def test_fingerprints_tell_models_of_the_same_weights_apart():
    def pooled(layer):
        image = keras.Input((6, 6, 1))
        x = keras.layers.Conv2D(3, 3, kernel_initializer="ones")(image)
        return keras.Model(image, layer()(x), name="pooled")

    prints = {
        metrics.FeatureExtractor(pooled(layer)).fingerprint()
        for layer in (keras.layers.GlobalAveragePooling2D, keras.layers.GlobalMaxPooling2D)
        for _ in range(2)
    }
    assert len(prints) == 2


def test_pixels_are_not_kept(monkeypatch, tmp_path):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    assert len(cached_features(metrics.PixelFeatures(), levels(3, 4, 4, 1))) == 3
    assert not list(tmp_path.rglob("*"))


def test_what_is_no_extractor():
    flat = keras.Sequential([keras.Input((16,)), keras.layers.Dense(2)], name="dense")
    with pytest.raises(ValueError, match=r"dense to take images \(batch, height"):
        metrics.FeatureExtractor(flat)
    with pytest.raises(ValueError, match="lacks num_classes, fingerprint"):
        metrics.get_features(lambda_of_a_kind)


def lambda_of_a_kind(images):
    return images


lambda_of_a_kind.name = "mine"

"""Truncated latents, and statistics of batch normalisation that are collected for them."""

import math

import keras
import numpy as np
import pytest
from keras import layers, ops

import kgan


def normalised_gan(num_classes=None, ema_decay=None):
    """A GAN whose generator is a dense layer, batch normalisation and a tanh."""
    latent = keras.Input((6,))
    inputs, x = latent, latent
    if num_classes is not None:
        label = keras.Input((), dtype="int32")
        inputs, x = (
            [latent, label],
            layers.Concatenate()([latent, layers.Embedding(num_classes, 3, name="classes")(label)]),
        )
    x = layers.Dense(4, name="before")(x)
    x = layers.BatchNormalization(name="normalised")(x)
    images = layers.Reshape((2, 2, 1))(layers.Activation("tanh")(x))
    image = keras.Input((2, 2, 1))
    score = layers.Dense(1)(layers.Flatten()(image))
    taken = [image] if num_classes is None else [image, keras.Input((), dtype="int32")]
    if num_classes is not None:
        score = layers.Add()([score, layers.Embedding(num_classes, 1)(taken[1])])
    discriminator = keras.Model(taken if num_classes else image, score)
    gan = kgan.GAN(keras.Model(inputs, images), discriminator, seed=1)
    gan.compile(ema_decay=ema_decay)
    return gan


@pytest.mark.parametrize("truncation", [0.1, 0.5, 2.0])
def test_latents_have_a_truncated_normal_distribution(truncation):
    gan = normalised_gan()
    latents = gan.draw_latents(20_000, seed=1, truncation=truncation)
    assert latents.dtype == "float32"
    assert np.abs(latents).max() <= truncation
    density = math.exp(-(truncation**2) / 2) / math.sqrt(2 * math.pi)
    variance = 1 - 2 * truncation * density / math.erf(truncation / math.sqrt(2))
    # The standard error of a variance is at most sqrt(2 / n) of it.
    np.testing.assert_allclose(latents.var(), variance, rtol=5 * math.sqrt(2 / latents.size))
    np.testing.assert_allclose(latents.mean(), 0, atol=5 * math.sqrt(variance / latents.size))


def test_what_lies_inside_stays():
    gan = normalised_gan()
    whole, cut = (gan.draw_latents(100, seed=1, truncation=t) for t in (None, 1.0))
    inside = np.abs(whole) <= 1.0
    np.testing.assert_array_equal(cut[inside], whole[inside])
    assert not (cut[~inside] == whole[~inside]).any()
    np.testing.assert_array_equal(gan.draw_latents(100, seed=1, truncation=9.0), whole)


def test_images_are_those_of_truncated_latents():
    gan = normalised_gan()
    latents = gan.draw_latents(5, seed=2, truncation=0.7)
    images = gan.generate(5, seed=2, truncation=0.7)
    np.testing.assert_array_equal(images, gan.decode(latents))
    sampler = kgan.samplers.TruncatedSampler(gan, 0.7)
    np.testing.assert_array_equal(sampler.generate(5, seed=2), images)
    np.testing.assert_array_equal(sampler.draw_latents(5, seed=2), latents)
    (path,) = gan.interpolate(1, steps=3, seed=2, truncation=0.1)
    (whole,) = gan.interpolate(1, steps=3, seed=2)
    assert np.ptp(path, axis=0).max() < np.ptp(whole, axis=0).max()


@pytest.mark.parametrize("truncation", [0, -1.0, math.inf, math.nan])
def test_wrong_truncation(truncation):
    gan = normalised_gan()
    with pytest.raises(ValueError, match="`truncation` to be above 0 and finite"):
        gan.generate(2, truncation=truncation)
    with pytest.raises(ValueError, match="`truncation` to be above 0 and finite"):
        kgan.samplers.TruncatedSampler(gan, truncation)
    with pytest.raises(ValueError, match="no `truncation`, since `latents` are given"):
        gan.generate(latents=np.zeros((2, 6)), truncation=1.0)


def test_codes_are_not_truncated():
    networks = kgan.networks.dcgan((8, 8, 1), latent_dim=4 + 3 + 1, width=4, codes=5)
    gan = kgan.InfoGAN(*networks, categorical=(3,), continuous=1, seed=1)
    latents = gan.draw_latents(50, seed=1, truncation=0.2)
    whole = gan.draw_latents(50, seed=1)
    np.testing.assert_array_equal(latents[:, 4:], whole[:, 4:])
    assert np.abs(latents[:, :4]).max() <= 0.2


@pytest.mark.parametrize("num_classes", [None, 3])
@pytest.mark.parametrize("ema_decay", [None, 0.9])
def test_collected_statistics_are_those_of_all_samples(num_classes, ema_decay):
    gan = normalised_gan(num_classes, ema_decay)
    network = gan.network_in_use("generator")
    others = {
        variable.path: np.array(ops.convert_to_numpy(variable))
        for variable in gan.variables
        if "moving" not in variable.path
    }
    gan.collect_statistics(batches=3, batch_size=30, truncation=0.5, seed=7)

    random = np.random.default_rng(7)
    latents, labels = [], []
    for _ in range(3):
        if num_classes is not None:
            labels.append(random.permutation(np.arange(30, dtype="int32") % 3))
        latents.append(gan._drawn(random, 30, 0.5))
    x = np.concatenate(latents)
    if num_classes is not None:
        (table,) = network.get_layer("classes").get_weights()
        x = np.concatenate([x, table[np.concatenate(labels)]], axis=1)
    kernel, bias = network.get_layer("before").get_weights()
    before = x.astype("float64") @ kernel + bias
    *_, mean, variance = network.get_layer("normalised").get_weights()
    np.testing.assert_allclose(mean, before.mean(axis=0), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(variance, before.var(axis=0), rtol=1e-4, atol=1e-7)
    for variable in gan.variables:
        if variable.path in others:
            np.testing.assert_array_equal(ops.convert_to_numpy(variable), others[variable.path])
    assert network.get_layer("normalised").momentum == 0.99


def test_collected_statistics_change_samples_and_are_saved(tmp_path):
    gan = normalised_gan()
    before = gan.generate(4, seed=1, truncation=0.1)
    gan.collect_statistics(batches=2, batch_size=64, truncation=0.1, seed=1)
    after = gan.generate(4, seed=1, truncation=0.1)
    # The values before the tanh have mean 0 and variance 1 again.
    assert np.abs(after).mean() > 2 * np.abs(before).mean()
    gan.save(tmp_path / "gan.keras")
    loaded = kgan.load(tmp_path / "gan.keras")
    np.testing.assert_array_equal(loaded.generate(4, seed=1, truncation=0.1), after)


def test_nothing_to_collect():
    gan = kgan.GAN(*kgan.networks.mlp((8, 8, 1), latent_dim=4, width=8))
    with pytest.raises(ValueError, match=r"with batch normalisation.* 'generator', which has none"):
        gan.collect_statistics(batches=1, batch_size=4)


def test_the_curve_of_quality_and_variety(tmp_path):
    digits = kgan.data.load_digits("train", batch_size=32)
    gan = kgan.GAN(*kgan.networks.dcgan(latent_dim=4, width=4), seed=1)
    weights = [np.array(each) for each in gan.get_weights()]
    options = {"count": 60, "features": "pixels", "seed": 2}
    curve = kgan.metrics.truncation_curve(gan, digits, (math.inf, 0.5), collect=True, **options)
    assert curve.truncations == (0.5, math.inf)
    assert curve.collected
    for before, after in zip(weights, gan.get_weights(), strict=True):
        np.testing.assert_array_equal(before, after)
    gan.collect_statistics(16, truncation=0.5, seed=2)
    sampler = kgan.samplers.TruncatedSampler(gan, 0.5)
    expected = kgan.evaluate(sampler, digits, **options)
    for name in ("fcd", "precision", "recall"):
        assert curve.figures[0][name].value == pytest.approx(expected[name], rel=1e-6)
        assert curve.figures[0][name].floor == expected.figures[name].floor
    text = str(curve)
    assert "none" in text
    assert "collected again" in text
    page = kgan.report.write_report(tmp_path, model="m", dataset="d", truncation=curve)
    assert "Quality and variety, by truncation" in page.read_text()


def test_a_curve_of_a_model_without_batch_normalisation():
    digits = kgan.data.load_digits("train", batch_size=32)
    gan = kgan.GAN(*kgan.networks.mlp(latent_dim=4, width=8), seed=1)
    options = {"count": 40, "features": "pixels"}
    curve = kgan.metrics.truncation_curve(gan, digits, (0.5,), collect=True, **options)
    assert not curve.collected
    assert curve.to_dict()["truncations"] == [0.5]
    with pytest.raises(ValueError, match="`truncations` above 0, at least one"):
        kgan.metrics.truncation_curve(gan, digits, ())
    with pytest.raises(TypeError, match="a model with latents"):
        kgan.metrics.truncation_curve(lambda n: n, digits)

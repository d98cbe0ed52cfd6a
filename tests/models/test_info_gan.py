"""InfoGAN: codes in latents, found again in images."""

import math

import keras
import numpy as np
import pytest
from keras import layers, ops

import kgan


def code_gan(categorical=(3,), continuous=1, noise=1, rate=0.0, **options):
    """G(z) = z as an image of 1 x n pixels; D's logit is 0, and it finds W x."""
    size, found = noise + sum(categorical) + continuous, sum(categorical) + 2 * continuous
    latent, image = keras.Input((size,)), keras.Input((1, size, 1))
    scale = layers.Dense(size, use_bias=False, kernel_initializer="identity")
    flat = layers.Flatten()(image)
    logits = layers.Dense(1, kernel_initializer="zeros")(flat)
    finder = layers.Dense(found, name="finder")
    gan = kgan.InfoGAN(
        keras.Model(latent, layers.Reshape((1, size, 1))(scale(latent))),
        keras.Model(image, [logits, finder(flat)]),
        categorical,
        continuous,
        continuous_weight=0.5,
        seed=11,
    )
    gan.compile(*[keras.optimizers.Adam(rate) for _ in range(2)], loss="wasserstein", **options)
    return gan


def real(gan, n=4):
    return np.zeros((n, *gan.image_shape), "float32")


def log_likelihoods(gan, latents):
    """Of the codes in NumPy: of the categorical ones, of the continuous ones."""
    kernel, bias = gan.discriminator.get_layer("finder").get_weights()
    found, codes = latents @ kernel + bias, latents[:, gan.noise_dim :]
    at, categorical = 0, 0.0
    for values in gan.categorical:
        shares = np.exp(found[:, at : at + values])
        shares /= shares.sum(axis=1, keepdims=True)
        categorical += np.mean(np.log(shares[codes[:, at : at + values] == 1]))
        at += values
    n = gan.continuous
    means, variances = found[:, at : at + n], np.exp(found[:, at + n :])
    densities = np.exp(-((codes[:, at:] - means) ** 2) / 2 / variances)
    densities /= np.sqrt(2 * np.pi * variances)
    return categorical, np.mean(np.log(densities).sum(axis=1))


@pytest.mark.parametrize(("categorical", "continuous"), [((3, 2), 2), ((4,), 0), ((), 1)])
def test_information_is_the_codes_entropy_and_their_likelihood(categorical, continuous):
    gan = code_gan(categorical, continuous, auxiliary_weight=3.0)
    latents = ops.convert_to_numpy(gan._sample_latents(4, keras.random.SeedGenerator(11)))
    logs = gan.train_on_batch(real(gan), return_dict=True)
    found = log_likelihoods(gan, latents)
    entropies = sum(math.log(n) for n in categorical), continuous * math.log(2)
    for kind, is_there, likelihood, entropy in zip(
        ("categorical", "continuous"), (categorical, continuous), found, entropies, strict=True
    ):
        name = f"{kind}_information"
        assert (name in logs) == bool(is_there)
        if is_there:
            np.testing.assert_allclose(logs[name], entropy + likelihood, rtol=1e-5)
    for name in ("discriminator_loss", "generator_loss"):  # both scores are 0
        expected = -3.0 * (found[0] + 0.5 * found[1])
        np.testing.assert_allclose(logs[name], expected, rtol=1e-5)


def test_codes_are_drawn_as_they_are_said_to_be():
    gan = code_gan((3, 5), 2, noise=2)
    assert gan.noise_dim == 2
    in_training = ops.convert_to_numpy(gan._sample_latents(4000, keras.random.SeedGenerator(1)))
    for latents in (in_training, gan._draw_latents(np.random.default_rng(0), 4000)):
        assert latents.shape == (4000, 12)
        np.testing.assert_allclose(latents[:, :2].mean(), 0, atol=0.05)
        np.testing.assert_allclose(latents[:, :2].std(), 1, atol=0.05)
        for span, values in ((slice(2, 5), 3), (slice(5, 10), 5)):
            np.testing.assert_array_equal(latents[:, span].sum(axis=1), 1)
            np.testing.assert_array_equal(np.sort(latents[:, span], axis=1)[:, :-1], 0)
            np.testing.assert_allclose(latents[:, span].mean(axis=0), 1 / values, atol=0.03)
        codes = latents[:, 10:]
        assert -1 <= codes.min() < -0.99
        assert 0.99 < codes.max() <= 1
        np.testing.assert_allclose(codes.mean(axis=0), 0, atol=0.05)
        np.testing.assert_allclose(codes.std(axis=0), 1 / np.sqrt(3), atol=0.02)


def test_both_networks_learn_to_tell_the_codes():
    gan = code_gan(rate=0.02)
    before = gan.get_weights()
    first = gan.train_on_batch(real(gan, 64), return_dict=True)
    for _ in range(150):
        gan.reset_metrics()
        logs = gan.train_on_batch(real(gan, 64), return_dict=True)
    assert logs["categorical_information"] > 0.8 * math.log(3)
    assert logs["continuous_information"] > first["continuous_information"] + 0.5
    kernels = before[0], gan.generator.get_weights()[0]
    assert np.abs(np.subtract(*kernels)).max() > 0.1


def test_traversal_changes_one_code_alone():
    gan = code_gan((3, 2), 2)
    for code, span, values in (
        (0, slice(1, 4), np.eye(3)),
        (1, slice(4, 6), np.eye(2)),
        (3, slice(7, 8), np.linspace(-2, 2, 5)[:, None]),
    ):
        images = gan.traverse(code, n=4, steps=5, extent=2.0, seed=0)
        latents = images.reshape(4, len(values), 8)
        np.testing.assert_allclose(latents[:, :, span], np.stack([values] * 4), rtol=1e-6)
        others = np.delete(latents, span, axis=2)
        np.testing.assert_array_equal(others, np.repeat(others[:, :1], len(values), axis=1))
        assert len(np.unique(others[:, 0, 0])) == 4
    with pytest.raises(ValueError, match="code below 4: 2 categorical, then 2 continuous"):
        gan.traverse(4, n=1)


def test_interpolation_keeps_categories():
    gan = code_gan((3,), 1, noise=2)
    ways = gan.interpolate(6, steps=3, seed=0).reshape(6, 3, 6)
    np.testing.assert_array_equal(ways[:, :, 2:5], np.repeat(ways[:, :1, 2:5], 3, axis=1))
    np.testing.assert_allclose(ways[:, 1, 5], (ways[:, 0, 5] + ways[:, 2, 5]) / 2, rtol=1e-5)
    assert np.abs(ways[:, 2, 5] - ways[:, 0, 5]).min() > 0


def test_found_codes():
    gan = code_gan((3, 2), 2)
    latents = gan._draw_latents(np.random.default_rng(0), 7)
    probabilities, means = gan.find_codes(latents.reshape(7, *gan.image_shape), batch_size=4)
    kernel, bias = gan.discriminator.get_layer("finder").get_weights()
    found = latents @ kernel + bias
    np.testing.assert_allclose(means, found[:, 5:7], rtol=1e-4, atol=1e-6)
    for shares, logits in zip(probabilities, (found[:, :3], found[:, 3:5]), strict=True):
        np.testing.assert_allclose(shares.sum(axis=1), 1, rtol=1e-6)
        logs = np.log(shares) - np.log(shares[:, :1])
        np.testing.assert_allclose(logs, logits - logits[:, :1], rtol=1e-4, atol=1e-5)


def test_fit_files_and_penalties(dataset, tmp_path):
    networks = kgan.networks.dcgan((8, 8, 1), latent_dim=9, width=4, codes=7)
    gan = kgan.InfoGAN(*networks, (5,), continuous=1, continuous_weight=0.3, seed=3)
    gan.compile(penalties="r1", ema_decay=0.9, auxiliary_weight=0.5)
    gan.fit(dataset, verbose=0, validation_data=dataset)
    gan.save(tmp_path / "gan.keras")
    loaded = keras.saving.load_model(tmp_path / "gan.keras")
    assert (loaded.categorical, loaded.continuous, loaded.continuous_weight) == ((5,), 1, 0.3)
    np.testing.assert_array_equal(loaded.generate(3, seed=0), gan.generate(3, seed=0))
    again = [
        model.fit(dataset, epochs=2, initial_epoch=1, verbose=0).history for model in (gan, loaded)
    ]
    assert again[0] == again[1]
    assert {"categorical_information", "continuous_information"} <= set(again[0])


@pytest.mark.parametrize(
    ("options", "codes", "message"),
    [
        ({"categorical": 3}, 3, r"such as \(10,\)\. Received: categorical=3"),
        ({"categorical": ()}, 3, "at least one code"),
        ({"categorical": (1,)}, 3, "at least 2"),
        ({"categorical": (4,)}, 3, r"shape \(batch, 4\)"),
        ({"categorical": (4,), "continuous": 1}, 0, r"\(batch, 6\)"),
        ({"categorical": (6,)}, 6, "at least 6 numbers"),
    ],
)
def test_codes_that_do_not_fit(options, codes, message):
    networks = kgan.networks.dcgan((8, 8, 1), latent_dim=5, width=4, codes=codes)
    with pytest.raises(ValueError, match=message):
        kgan.InfoGAN(*networks, **options)


def test_no_labels_beside_codes():
    conditional = kgan.networks.dcgan((8, 8, 1), width=4, num_classes=3, classifier=True)
    with pytest.raises(ValueError, match="told no labels"):
        kgan.InfoGAN(*conditional, categorical=(3,))
    with pytest.raises(ValueError, match="either classes or codes"):
        kgan.networks.dcgan((8, 8, 1), num_classes=3, codes=3)

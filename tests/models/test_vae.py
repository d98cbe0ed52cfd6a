"""The variational autoencoder against closed forms."""

import keras
import numpy as np
import pytest
from keras import ops

import kgan
from kgan.models.vae import Posterior, _active_units, _kl_divergence
from kgan.training import Batch

LATENT = 2


def linear_vae(variance=0.3, seed=0, pixels=4):
    """A VAE whose true log probabilities are known: linear networks, Gaussian likelihood.

    With z ~ N(0, I) and x = W z + b + sqrt(variance) e, x is normal with covariance
    W W^T + variance I, and the posterior of z is normal too. The encoder gives that posterior's
    mean, and a diagonal of its covariance.
    """
    random = np.random.default_rng(seed)
    # Orthogonal columns, so that the posterior's covariance is diagonal.
    columns = np.linalg.qr(random.standard_normal((pixels, LATENT)))[0]
    weights = (columns * [0.5, 0.2]).astype("float32")  # (pixels, latent)
    bias = random.uniform(-0.2, 0.2, pixels).astype("float32")
    image = keras.Input((pixels, 1, 1))
    flat = keras.layers.Flatten()(image)
    precision = np.eye(LATENT) + weights.T @ weights / variance
    covariance = np.linalg.inv(precision)
    mean_layer, variance_layer = keras.layers.Dense(LATENT), keras.layers.Dense(LATENT)
    encoder = keras.Model(image, [mean_layer(flat), variance_layer(flat)])
    gain = (covariance @ weights.T / variance).T
    mean_layer.set_weights([gain, -bias @ gain])
    variance_layer.set_weights([np.zeros((pixels, LATENT)), np.log(np.diag(covariance))])
    latent = keras.Input((LATENT,))
    layer = keras.layers.Dense(pixels)
    decoder = keras.Model(latent, keras.layers.Reshape((pixels, 1, 1))(layer(latent)))
    layer.set_weights([weights.T, bias])
    vae = kgan.VAE(encoder, decoder, kgan.likelihoods.Gaussian(variance), seed=seed)
    return vae, bias, weights @ weights.T + variance * np.eye(pixels)


def normal_log_density(x, mean, covariance):
    difference = x - mean
    _, log_determinant = np.linalg.slogdet(2 * np.pi * covariance)
    solved = np.linalg.solve(covariance, difference.T).T
    return -0.5 * (np.sum(difference * solved, axis=1) + log_determinant)


def images_of(vae, n=6, seed=1):
    random = np.random.default_rng(seed)
    return random.uniform(-0.9, 0.9, (n, *vae.image_shape)).astype("float32")


@pytest.mark.parametrize("samples", [1, 7, 200])
def test_log_prob_is_exact_where_the_encoder_is(samples):
    vae, mean, covariance = linear_vae()
    x = images_of(vae)
    expected = normal_log_density(x.reshape(len(x), -1), mean, covariance)
    np.testing.assert_allclose(vae.log_prob(x, samples=samples), expected, rtol=1e-4, atol=1e-4)


def test_the_elbo_is_below_and_more_samples_come_nearer():
    vae, mean, covariance = linear_vae()
    *others, last = vae.encoder.layers
    weights, bias = last.get_weights()
    last.set_weights([weights, bias + 0.8])  # a posterior that is too wide
    x = images_of(vae, 200)
    truth = normal_log_density(x.reshape(len(x), -1), mean, covariance).mean()
    found = [vae.log_prob(x, samples=k, seed=3).mean() for k in (1, 10, 100, 2000)]
    assert found[0] < found[1] < found[2] < found[3]
    np.testing.assert_allclose(found[-1], truth, atol=0.05)
    posterior = vae.posterior(x)
    kl = 0.5 * np.sum(
        posterior.mean**2 + np.exp(posterior.log_variance) - 1 - posterior.log_variance, axis=1
    )
    np.testing.assert_allclose(vae.kl_per_latent(x).sum(), kl.mean(), rtol=1e-5)
    del others


def test_log_prob_does_not_depend_on_how_it_is_divided(monkeypatch):
    vae, *_ = linear_vae()
    x = images_of(vae, 9)
    whole = vae.log_prob(x, samples=130)
    assert whole.shape == (9,)
    np.testing.assert_array_equal(whole, vae.log_prob(x, samples=130))
    monkeypatch.setattr("kgan.models.vae._DECODED_AT_ONCE", 128)  # two images at a time
    np.testing.assert_allclose(vae.log_prob(x, samples=130), whole, rtol=1e-4)


def test_every_image_of_a_likelihood_is_checked():
    vae = kgan.VAE(*kgan.networks.dense_vae((2, 2, 1), 2, width=4, blocks=1), seed=0)
    x = np.where(np.random.default_rng(0).random((100, 2, 2, 1)) < 0.5, 1, -1).astype("float32")
    assert np.isfinite(vae.log_prob(x)).all()
    x[-1] = 0.5  # each of its four pixels
    with pytest.raises(ValueError, match=r"exactly -1 or 1\. Received: 1\.0% other"):
        vae.log_prob(x)


def test_a_vae_with_averages_is_evaluated_by_them():
    networks = kgan.networks.dense_vae((2, 2, 1), 2, width=4, blocks=1)
    vae = kgan.VAE(*networks, seed=0)
    vae.compile(optimizer=keras.optimizers.Adam(0.1), ema_decay=0.9)
    x = np.where(np.random.default_rng(0).random((32, 2, 2, 1)) < 0.3, 1, -1).astype("float32")
    vae.fit(x, epochs=5, batch_size=8, verbose=0)
    averaged = kgan.VAE(*(vae.network_in_use(name) for name in vae.networks), seed=0)
    averaged.compile()
    found, expected, trained = (
        model.evaluate(x, batch_size=8, verbose=0, return_dict=True)["loss"]
        for model in (vae, averaged, _without_average(vae))
    )
    assert found == pytest.approx(expected, rel=1e-6)
    assert found != pytest.approx(trained, rel=1e-5)


def _without_average(vae):
    plain = kgan.VAE(vae.encoder, vae.decoder, seed=0)
    plain.compile()
    return plain


def test_kl_divergence_against_its_definition():
    random = np.random.default_rng(0)
    mean, log_variance = random.standard_normal((2, 1, 3))
    z = mean + np.exp(log_variance / 2) * random.standard_normal((400_000, 3))
    log_q = -0.5 * ((z - mean) ** 2 / np.exp(log_variance) + log_variance)
    estimate = np.mean(log_q + 0.5 * z**2, axis=0)
    found = _kl_divergence(Posterior(*map(ops.convert_to_tensor, (mean, log_variance))))
    np.testing.assert_allclose(ops.convert_to_numpy(found)[0], estimate, atol=0.02)


def test_active_units_are_latents_whose_mean_varies():
    mean = np.zeros((50, 3), "float32")
    mean[:, 1] = np.linspace(-1, 1, 50)
    mean[:, 2] = np.linspace(-0.05, 0.05, 50)
    found = _active_units(Posterior(ops.convert_to_tensor(mean), ops.zeros((50, 3))))
    assert float(found) == 1


# ---- losses --------------------------------------------------------------------------------------


def tiny(likelihood="bernoulli", **options):
    networks = kgan.networks.dense_vae((4, 4, 1), 3, width=6, blocks=1, likelihood=likelihood)
    vae = kgan.VAE(*networks, likelihood=likelihood, seed=0)
    vae.compile(**options)
    return vae


def binary(n=32, seed=0):
    return np.sign(np.random.default_rng(seed).uniform(-1, 1, (n, 4, 4, 1))).astype("float32")


def test_the_loss_is_a_sum_over_dimensions_and_not_a_mean():
    vae = tiny()
    logs = vae.test_on_batch(binary(), return_dict=True)
    # Near its start a decoder knows nothing: log 2 for each of the 16 pixels.
    np.testing.assert_allclose(logs["reconstruction"], 16 * np.log(2), rtol=0.2)
    np.testing.assert_allclose(logs["loss"], logs["reconstruction"] + logs["kl"], rtol=1e-5)


def test_beta_and_warm_up_weigh_the_divergence():
    for step, weight in enumerate([0.0, 0.5, 1.0, 1.0]):
        vae = tiny(beta=3.0, warm_up=2)
        vae.steps_trained.assign(step)
        logs = vae.train_on_batch(binary(), return_dict=True)
        np.testing.assert_allclose(logs["kl_weight"], 3.0 * weight, rtol=1e-6)
        expected = logs["reconstruction"] + 3.0 * weight * logs["kl"]
        np.testing.assert_allclose(logs["loss"], expected, rtol=1e-5)
        assert float(ops.convert_to_numpy(vae.steps_trained)) == step + 1


def test_free_bits_are_a_floor_under_each_latent():
    vae = tiny(free_bits=5.0)
    assert vae.kl_per_latent(binary()).max() < 5.0
    logs = vae.train_on_batch(binary(), return_dict=True)
    np.testing.assert_allclose(logs["loss"], logs["reconstruction"] + 3 * 5.0, rtol=1e-5)
    measured = vae.test_on_batch(binary(), return_dict=True)
    expected = measured["reconstruction"] + measured["kl"]
    np.testing.assert_allclose(measured["loss"], expected, rtol=1e-5)


def test_the_importance_weighted_loss_against_numpy(monkeypatch):
    k, x = 5, binary(8)
    vae = tiny(importance_samples=k)
    normal = np.random.default_rng(4).standard_normal((8, k, 3)).astype("float32")
    monkeypatch.setattr("kgan.models.vae.for_batch", lambda *a, **o: ops.convert_to_tensor(normal))
    loss, _ = vae._importance_weighted_loss(Batch(ops.convert_to_tensor(x)), 1.0)
    mean, log_variance = vae.posterior(x)
    z = mean[:, None] + np.exp(log_variance / 2)[:, None] * normal
    logits = ops.convert_to_numpy(vae.decoder(z.reshape(-1, 3))).reshape(8, k, -1)
    signs = x.reshape(8, 1, -1)
    log_likelihood = -np.sum(np.log1p(np.exp(-signs * logits)), axis=2)
    log_prior = np.sum(-0.5 * z**2 - 0.5 * np.log(2 * np.pi), axis=2)
    log_q = np.sum(-0.5 * normal**2 - 0.5 * np.log(2 * np.pi) - 0.5 * log_variance[:, None], axis=2)
    weights = np.exp(log_likelihood + log_prior - log_q)
    np.testing.assert_allclose(
        float(ops.convert_to_numpy(loss)), -np.mean(np.log(weights.mean(axis=1))), rtol=1e-5
    )


def test_with_one_sample_it_is_the_elbo_on_average():
    x = binary(500)
    vae = tiny()
    measured = vae.evaluate(x, verbose=0, return_dict=True)["loss"]
    estimates = [-vae.log_prob(x, samples=1, seed=seed).mean() for seed in range(20)]
    np.testing.assert_allclose(np.mean(estimates), measured, rtol=0.02)


@pytest.mark.parametrize("likelihood", ["bernoulli", "discretized_logistic", "gaussian"])
def test_training_lowers_the_loss(likelihood):
    vae = tiny(likelihood, optimizer=keras.optimizers.Adam(1e-2))
    x = np.repeat(binary(4), 8, axis=0)
    history = vae.fit(x, batch_size=16, epochs=15, verbose=0).history
    assert history["loss"][-1] < 0.9 * history["loss"][0]


def test_the_variance_of_a_gaussian_is_trained_and_saved(tmp_path):
    for variance in ("learnt", "optimal"):
        likelihood = kgan.likelihoods.Gaussian(variance)
        networks = kgan.networks.dense_vae((4, 4, 1), 3, width=6, likelihood=likelihood)
        vae = kgan.VAE(*networks, likelihood=likelihood, seed=0)
        vae.compile()
        x = 0.1 * binary(64)
        before = [np.array(v) for v in likelihood.variables]
        vae.fit(x, epochs=3, verbose=0)
        assert any(
            np.any(np.array(v) != b) for v, b in zip(likelihood.variables, before, strict=True)
        )
        vae.save(tmp_path / "vae.keras")
        loaded = keras.saving.load_model(tmp_path / "vae.keras")
        np.testing.assert_array_equal(loaded.log_prob(x, samples=2), vae.log_prob(x, samples=2))


# ---- networks, options ---------------------------------------------------------------------------


def test_networks_that_do_not_fit():
    encoder, decoder = kgan.networks.dense_vae((4, 4, 1), 3, width=4)
    wider = kgan.networks.dense_vae((4, 4, 1), 5, width=4)
    with pytest.raises(ValueError, match="as the decoder takes latents"):
        kgan.VAE(encoder, wider.decoder)
    with pytest.raises(ValueError, match=r"\(batch, 4, 4, 2\): 2 for each pixel"):
        kgan.VAE(encoder, decoder, likelihood="discretized_logistic")
    with pytest.raises(ValueError, match="swapped"):
        kgan.VAE(decoder, encoder)
    conditional = kgan.networks.dense_vae((4, 4, 1), 3, num_classes=2, width=4)
    with pytest.raises(ValueError, match="1 encoder inputs and 2 decoder inputs"):
        kgan.VAE(encoder, conditional.decoder)
    with pytest.raises(ValueError, match="Did you mean 'bernoulli'"):
        kgan.VAE(encoder, decoder, likelihood="bernouli")


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"beta": -1.0}, "beta"),
        ({"free_bits": np.nan}, "free_bits"),
        ({"importance_samples": 0}, "importance_samples"),
        ({"importance_samples": 2, "free_bits": 0.1}, "free bits or importance"),
        ({"warm_up": 0}, "steps"),
        ({"warm_up": "slow"}, "schedule"),
    ],
)
def test_options_out_of_range(options, match):
    with pytest.raises(ValueError, match=match):
        tiny(**options)


def test_grey_images_are_refused_where_the_likelihood_is_of_binary_ones():
    vae = tiny()
    grey = np.linspace(-1, 1, 32 * 16).reshape(32, 4, 4, 1).astype("float32")
    for call in (lambda: vae.fit(grey, verbose=0), lambda: vae.log_prob(grey)):
        with pytest.raises(ValueError, match="binarize"):
            call()


@pytest.mark.parametrize("shape", [(28, 28, 1), (9, 12, 3)])
def test_convolutional_networks(shape):
    networks = kgan.networks.conv_vae(
        shape, 3, num_classes=2, width=2, units=8, likelihood="discretized_logistic"
    )
    vae = kgan.VAE(*networks, likelihood="discretized_logistic")
    assert vae.num_classes == 2
    assert vae.generate(3, seed=0).shape == (3, *shape)


def test_a_traversal_changes_one_latent():
    vae, *_ = linear_vae()
    images = vae.traverse(1, n=2, steps=5, extent=2.0, seed=3)
    assert images.shape == (2, 5, 4, 1, 1)
    latents = vae.draw_latents(2, seed=3)
    latents[:, 1] = 2.0
    np.testing.assert_allclose(images[:, -1], vae.decode(latents), atol=1e-6)
    with pytest.raises(ValueError, match="below 2"):
        vae.traverse(2, n=1)


# ---- schedules -----------------------------------------------------------------------------------


def test_schedules():
    def values(schedule, steps):
        return [float(schedule(ops.convert_to_tensor(float(step)))) for step in steps]

    assert values(kgan.schedules.get(None), [0, 5]) == [1, 1]
    assert values(kgan.schedules.get(4), [0, 1, 4, 9]) == [0, 0.25, 1, 1]
    cyclical = kgan.schedules.Cyclical(8, ramp=0.5)
    assert values(cyclical, [0, 2, 4, 7, 8, 10]) == [0, 0.5, 1, 1, 0, 0.5]
    twin = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(cyclical))
    assert twin.get_config() == {"steps": 8, "ramp": 0.5}
    with pytest.raises(ValueError, match="ramp"):
        kgan.schedules.Cyclical(8, ramp=0)


# ---- samplers ------------------------------------------------------------------------------------


def test_samplers_draw_from_the_posteriors():
    vae, *_ = linear_vae()
    images = images_of(vae, 5000)
    mean, log_variance = vae.posterior(images)
    total = np.cov(mean.T) + np.diag(np.exp(log_variance[0]))
    samplers = [
        kgan.samplers.GaussianMixtureSampler(vae, images, components=1),
        kgan.samplers.VampSampler(vae, images),
    ]
    for sampler in samplers:
        latents = sampler.draw_latents(20_000, seed=0)
        np.testing.assert_allclose(latents.mean(axis=0), mean.mean(axis=0), atol=0.05)
        np.testing.assert_allclose(np.cov(latents.T), total, atol=0.08)
        np.testing.assert_array_equal(
            sampler.generate(3, seed=1), vae.decode(sampler.draw_latents(3, seed=1))
        )
    prior = kgan.samplers.PriorSampler(vae).draw_latents(20_000, seed=0)
    np.testing.assert_allclose(np.cov(prior.T), np.eye(2), atol=0.05)


def test_samplers_of_conditional_models_know_classes():
    networks = kgan.networks.dense_vae((4, 4, 1), 2, num_classes=3, width=4)
    vae = kgan.VAE(*networks, seed=0)
    images, labels = binary(60), np.arange(60) % 2
    sampler = kgan.samplers.VampSampler(vae, images, labels, components=30)
    assert sampler.num_classes == 3
    assert sampler.generate(4, labels=[0, 1, 0, 1], seed=0).shape == (4, 4, 4, 1)
    with pytest.raises(ValueError, match="label 2"):
        sampler.generate(3)
    with pytest.raises(ValueError, match="at least 40 images of class 0"):
        kgan.samplers.GaussianMixtureSampler(vae, images, labels, components=40)

"""Training in float16 and bfloat16: what is scaled, what is skipped, what stays in float32."""

import keras
import numpy as np
import pytest
from keras import ops

import kgan
from kgan import _backend

POLICIES = ("mixed_float16", "mixed_bfloat16")


@pytest.fixture
def under():
    """Sets a policy for the rest of the test."""
    yield keras.config.set_dtype_policy
    keras.config.set_dtype_policy("float32")


def sgd():
    return keras.optimizers.SGD(0.1)


@pytest.mark.parametrize("num_classes", [None, 3])
@pytest.mark.parametrize("network", ["biggan", "dcgan", "mlp", "resnet", "sngan"])
def test_logits_and_images_are_float32(under, network, num_classes):
    under("mixed_bfloat16")
    for made in getattr(kgan.networks, network)((8, 8, 1), 4, num_classes, width=4):
        assert made.outputs[0].dtype == "float32"


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("network", ["mlp", "dcgan"])
def test_a_step_is_that_of_float32_to_the_precision_there_is(
    make_gan, dataset, under, policy, network
):
    images = dataset.batch(0, 0)[0]

    def step(weights=None):
        gan = make_gan(
            network,
            generator_optimizer=sgd(),
            discriminator_optimizer=sgd(),
            penalties=[kgan.penalties.R1(0.1), kgan.penalties.GradientPenalty(0.1)],
        )
        for layer in gan._flatten_layers():
            if isinstance(layer, keras.layers.Dropout):
                layer.rate = 0.0  # the noise of one precision is not that of another
        if weights is not None:
            gan.set_weights(weights)
        before = gan.get_weights()
        logs = gan.train_on_batch(images, return_dict=True)
        return gan, before, logs

    _, before, expected = step()
    under(policy)
    gan, _, logs = step(before)
    dtypes = {
        la.compute_dtype for la in gan._flatten_layers() if isinstance(la, keras.layers.Dense)
    }
    assert policy.removeprefix("mixed_") in dtypes
    assert {keras.backend.standardize_dtype(v.dtype) for v in gan.trainable_variables} == {
        "float32"
    }
    # The losses as they are, not as they were scaled.
    for name in ("discriminator_loss", "generator_loss", "discriminator_gradient_norm"):
        np.testing.assert_allclose(logs[name], expected[name], rtol=0.03, err_msg=name)
    for name in ("generator_gradient_norm", "r1", "gradient_penalty"):
        np.testing.assert_allclose(logs[name], expected[name], rtol=0.1, err_msg=name)


def test_float16_scales_both_losses_and_bfloat16_neither(make_gan, under):
    for policy, scales in (("mixed_float16", True), ("mixed_bfloat16", False)):
        under(policy)
        pair = make_gan().optimizer
        for optimizer in (pair.generator_optimizer, pair.discriminator_optimizer):
            assert isinstance(optimizer, keras.optimizers.LossScaleOptimizer) == scales


@pytest.mark.parametrize("policy", POLICIES)
def test_fit_generate_and_save(make_gan, dataset, under, tmp_path, policy):
    under(policy)
    gan = make_gan()
    logs = gan.fit(dataset, verbose=0).history
    assert 0 < logs["discriminator_loss"][0] < 10
    images = gan.generate(4, seed=1)
    assert images.dtype == np.float32
    gan.save(tmp_path / "gan.keras")
    loaded = keras.saving.load_model(tmp_path / "gan.keras")
    np.testing.assert_array_equal(loaded.generate(4, seed=1), images)
    for mine, theirs in zip(loaded.optimizer.variables, gan.optimizer.variables, strict=True):
        np.testing.assert_array_equal(ops.convert_to_numpy(mine), ops.convert_to_numpy(theirs))
    for model in (gan, loaded):
        model.fit(dataset, epochs=1, verbose=0)
    for mine, theirs in zip(loaded.get_weights(), gan.get_weights(), strict=True):
        np.testing.assert_array_equal(mine, theirs)


class Steep(kgan.losses.NonSaturating):
    """Cross-entropy with one network's loss so large that its gradient overflows when scaled."""

    def __init__(self, role, factor):
        super().__init__()
        self.role = role
        self.factor = factor

    def discriminator_loss(self, real_logits, fake_logits):
        loss = super().discriminator_loss(real_logits, fake_logits)
        return loss * self.factor if self.role == "discriminator" else loss

    def generator_loss(self, fake_logits, real_logits=None):
        loss = super().generator_loss(fake_logits, real_logits)
        return loss * self.factor if self.role == "generator" else loss


def state(optimizer):
    return int(optimizer.iterations), float(ops.convert_to_numpy(optimizer.dynamic_scale))


@pytest.mark.parametrize(
    ("steep", "sound"), [("discriminator", "generator"), ("generator", "discriminator")]
)
def test_an_overflow_skips_the_step_of_its_own_optimizer_alone(
    make_gan, dataset, under, steep, sound
):
    under("mixed_float16")
    images = dataset.batch(0, 0)[0]
    gan = make_gan(
        "mlp",
        loss=Steep(steep, 1e3),
        generator_optimizer=sgd(),
        discriminator_optimizer=sgd(),
    )
    networks = {name: getattr(gan, name) for name in (steep, sound)}
    optimizers = {name: getattr(gan.optimizer, f"{name}_optimizer") for name in (steep, sound)}
    start = state(optimizers[steep])[1]
    before = {name: [np.array(w) for w in networks[name].get_weights()] for name in networks}
    logs = gan.train_on_batch(images, return_dict=True)
    assert state(optimizers[steep]) == (0, start / 2)
    assert state(optimizers[sound]) == (1, start)
    assert logs[f"{steep}_gradient_norm"] == 0  # a step that was not made
    assert np.isfinite(list(logs.values())).all()
    assert logs[f"{steep}_loss"] > 100
    for old, new in zip(before[steep], networks[steep].get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    assert any(
        not np.array_equal(old, new)
        for old, new in zip(before[sound], networks[sound].get_weights(), strict=True)
    )
    # The scale comes down until the gradient fits, and then that network learns as well.
    for _ in range(14):
        gan.train_on_batch(images)
    iterations, scale = state(optimizers[steep])
    assert iterations > 0
    assert scale < start / 2


@pytest.mark.parametrize("policy", POLICIES)
def test_an_input_gradient_is_float32(make_gan, under, policy):
    under(policy)
    gan = make_gan("mlp")
    x = ops.convert_to_tensor(np.random.default_rng(0).normal(size=(3, 8, 8, 1)).astype("float32"))
    gradient, _ = _backend.input_gradient(lambda x: (gan.discriminator(x, training=False), None), x)
    assert keras.backend.standardize_dtype(gradient.dtype) == "float32"
    assert np.abs(ops.convert_to_numpy(gradient)).max() > 0


@pytest.mark.parametrize("policy", POLICIES)
def test_networks_that_end_in_the_low_precision_train_with_every_penalty(under, dataset, policy):
    under(policy)
    layers = keras.layers
    latent, image = keras.Input((4,)), keras.Input((8, 8, 1))
    made = layers.Reshape((8, 8, 1))(layers.Dense(64, activation="tanh")(latent))
    judged = layers.Dense(1)(layers.Flatten()(image))
    gan = kgan.GAN(keras.Model(latent, made), keras.Model(image, judged), seed=0)
    gan.compile(penalties=kgan.penalties.names())
    history = gan.fit(dataset, verbose=0).history
    assert set(kgan.penalties.names()) < set(history)
    assert all(np.isfinite(values).all() for values in history.values())


def test_one_optimizer_for_both_is_refused_in_float16_too(make_gan, under):
    under("mixed_float16")
    with pytest.raises(ValueError, match="Make two"):
        make_gan(**dict.fromkeys(("generator_optimizer", "discriminator_optimizer"), sgd()))

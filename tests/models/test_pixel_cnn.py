"""PixelCNN: causality, exact likelihood, and cached sampling that equals the slow way."""

import itertools

import keras
import numpy as np
import pytest
from keras import layers, ops

import kgan
from kgan import _backend
from kgan.layers import CausalAttention, CausalConv2D
from kgan.likelihoods import Categorical
from kgan.models.pixel_scan import Kind, NotCausalError, PixelPlan, UnknownLayerError

NETWORKS = {
    "plain": {"blocks": 2},
    "dilated": {"blocks": 3, "dilations": (1, 2)},
    "attention": {"blocks": 2, "attention_heads": 2},
    "wide kernels": {"blocks": 1, "kernel_size": (3, 5), "first_kernel_size": (1, 3)},
    "embedding": {"blocks": 1, "embedding_width": 5},
    "dropout": {"blocks": 1, "dropout": 0.5},
}
OUTPUTS = {
    "bernoulli": (kgan.likelihoods.Bernoulli(), 1),
    "four levels": (Categorical(4), 1),
    "three levels in colour": (Categorical(3), 3),
    "binary colour": (kgan.likelihoods.Bernoulli(), 2),
    "logistic": (kgan.likelihoods.DiscretizedLogistic(levels=16), 1),
    "mixture": (kgan.likelihoods.DiscretizedLogisticMixture(3), 1),
    "mixture in colour": (kgan.likelihoods.DiscretizedLogisticMixture(3), 3),
    "joint mixture": (kgan.likelihoods.JointLogisticMixture(3), 3),
}


def model_of(likelihood, shape=(5, 6, 1), **options):
    """A model with weights that are far from where training starts."""
    options = {"width": 8, "blocks": 2, **options}
    networks = kgan.networks.pixel_cnn(shape, likelihood=likelihood, **options)
    return scrambled(kgan.PixelCNN(*networks, likelihood=likelihood, seed=3))


def scrambled(model, seed=0):
    random = np.random.default_rng(seed)
    for weight in model.network.trainable_variables:
        scale = 0.2 if len(weight.shape) == 1 else 1.2 * np.prod(weight.shape[:-1]) ** -0.5
        weight.assign(scale * random.standard_normal(weight.shape))
    return model


def images_of(model, n=4, seed=0):
    random = np.random.default_rng(seed)
    levels = random.integers(model.levels, size=(n, *model.image_shape))
    return ops.convert_to_numpy(model.likelihood.value_of(levels))


# ---- causality -----------------------------------------------------------------------------------


def dependencies(network, shape, channels_of_outputs):
    """`[i, j, k, i', j', k']`: whether outputs of channel k at (i, j) see input (i', j', k')."""
    random = np.random.default_rng(1)
    x = random.uniform(-1, 1, (1, *shape)).astype("float32")
    height, width, _channels = shape
    found = np.zeros((height, width, channels_of_outputs, *shape), bool)

    def outputs_at(i, j, k):
        def total(given):
            outputs = network(given, training=False)
            outputs = ops.reshape(outputs, (1, height, width, -1, channels_of_outputs))
            return ops.sum(outputs[0, i, j, :, k]), None

        return total

    for i, j, k in itertools.product(range(height), range(width), range(channels_of_outputs)):
        slope, _ = _backend.input_gradient(outputs_at(i, j, k), ops.convert_to_tensor(x))
        found[i, j, k] = ops.convert_to_numpy(slope)[0] != 0
    return found


def before(shape, channelwise):
    """What outputs may see: all earlier pixels, and earlier channels of their own."""
    height, width, channels = shape
    outputs = channels if channelwise else 1
    expected = np.zeros((height, width, outputs, *shape), bool)
    for i, j, k in itertools.product(range(height), range(width), range(outputs)):
        flat = expected[i, j, k].reshape(-1)
        flat[: (i * width + j) * channels + (k if channelwise else 0)] = True
    return expected


@pytest.mark.parametrize("name", [name for name in NETWORKS if name != "embedding"])
def test_outputs_see_all_that_comes_before_and_nothing_else(name):
    # Smooth everywhere, so that no ReLU hides a connection.
    options = {"blocks": 4, **NETWORKS[name]}
    if name == "wide kernels":
        options["blocks"] = 4
    model = model_of(kgan.likelihoods.Bernoulli(), (4, 4, 1), **options)
    found = np.zeros((4, 4, 1, 4, 4, 1), bool)
    for seed in range(6):  # a closed ReLU hides what an output sees
        found |= dependencies(scrambled(model, seed).network, (4, 4, 1), 1)
    np.testing.assert_array_equal(found, before((4, 4, 1), channelwise=False))


def test_channels_see_earlier_ones():
    model = model_of(Categorical(3), (2, 3, 3))
    found = np.zeros((2, 3, 3, 2, 3, 3), bool)
    for seed in range(4):
        found |= dependencies(scrambled(model, seed).network, (2, 3, 3), 3)
    np.testing.assert_array_equal(found, before((2, 3, 3), channelwise=True))


def test_outputs_of_a_joint_likelihood_see_earlier_pixels_only():
    model = model_of(kgan.likelihoods.JointLogisticMixture(2), (2, 3, 3))
    found = dependencies(model.network, (2, 3, 3), 1)
    assert not (found & ~before((2, 3, 3), channelwise=False)).any()


def test_an_embedding_sees_nothing_later():
    """It has no gradient by the image: change one value, and see which outputs change."""
    model = model_of(Categorical(3), (3, 3, 2), embedding_width=4)
    images = images_of(model, 1)
    outputs = ops.convert_to_numpy(model(images))
    for i, j, k in itertools.product(range(3), range(3), range(2)):
        other = images.copy()
        other[0, i, j, k] = -1.0 if other[0, i, j, k] > 0 else 1.0
        changed = ops.convert_to_numpy(model(other)) != outputs
        changed = changed.reshape(9, 3, 2).any(axis=1).reshape(-1)
        assert not changed[: (i * 3 + j) * 2 + k + 1].any()
        assert changed.any() or (i, j, k) == (2, 2, 1)


def test_networks_that_see_the_pixel_itself_are_refused():
    image = keras.Input((4, 4, 1))
    looks = CausalConv2D(4, (1, 3), "horizontal")(image)
    with pytest.raises(NotCausalError, match="strict=True"):
        kgan.PixelCNN(keras.Model(image, layers.Dense(1)(looks)))
    with pytest.raises(NotCausalError, match="depends on the pixel itself"):
        kgan.PixelCNN(keras.Model(image, layers.Dense(1)(image)))
    left = CausalConv2D(4, (1, 3), "horizontal", strict=True)(image)
    above = CausalConv2D(4, (2, 3), "vertical")(left)  # sees pixels to the right in its row
    with pytest.raises(NotCausalError, match="at or after"):
        kgan.PixelCNN(keras.Model(image, layers.Dense(1)(above)))
    joined = layers.Concatenate()([left, image])
    with pytest.raises(NotCausalError, match="depends on the pixel itself"):
        kgan.PixelCNN(keras.Model(image, layers.Dense(1)(joined)))


# ---- likelihood ----------------------------------------------------------------------------------


@pytest.mark.parametrize("channels", [1, 2])
def test_probabilities_of_all_images_sum_to_one(channels):
    shape = (2, 2, 1) if channels == 1 else (1, 2, 2)
    model = model_of(Categorical(3), shape, blocks=1)
    levels = np.array(list(itertools.product(range(3), repeat=4))).reshape(81, *shape)
    total = np.exp(model.log_prob(levels)).sum()
    np.testing.assert_allclose(total, 1.0, rtol=1e-5)


def test_a_network_that_knows_nothing_is_uniform():
    model = model_of(Categorical(4), (3, 5, 1))
    for weight in model.network.trainable_variables:
        weight.assign(np.zeros(weight.shape))
    images = images_of(model)
    np.testing.assert_allclose(model.log_prob(images), -15 * np.log(4), rtol=1e-6)
    np.testing.assert_allclose(model.entropy(images), 2.0, rtol=1e-6)
    model.compile()
    logs = model.evaluate(images, verbose=0, return_dict=True)
    np.testing.assert_allclose(logs["bits_per_dimension"], 2.0, rtol=1e-6)


@pytest.mark.parametrize("name", OUTPUTS)
def test_values_add_up_and_entropy_is_that_of_all_levels(name):
    likelihood, channels = OUTPUTS[name]
    model = model_of(likelihood, (2, 3, channels))
    images = images_of(model, 2)
    values = model.log_prob_of_values(images)
    np.testing.assert_allclose(values.sum(axis=(1, 2, 3)), model.log_prob(images), rtol=1e-5)
    # The last value alone: all its levels, given the rest.
    levels = np.repeat(model.to_levels(images[:1]), model.levels, axis=0)
    levels[:, -1, -1, -1] = np.arange(model.levels)
    last = model.log_prob_of_values(levels)[:, -1, -1, -1].astype("float64")
    np.testing.assert_allclose(np.exp(last).sum(), 1.0, rtol=1e-4)
    entropy = -(np.exp(last) * last).sum() / np.log(2)
    np.testing.assert_allclose(model.entropy(images)[0, -1, -1, -1], entropy, rtol=1e-3)


def test_labels_change_the_likelihood():
    model = model_of(kgan.likelihoods.Bernoulli(), num_classes=3)
    images = images_of(model)
    by_class = [model.log_prob(images, np.full(4, label)) for label in range(3)]
    assert np.abs(by_class[0] - by_class[1]).min() > 0
    with pytest.raises(ValueError, match="images without labels"):
        model.log_prob(images)


# ---- sampling ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NETWORKS)
def test_cached_samples_are_those_of_the_whole_network(name):
    model = model_of(kgan.likelihoods.Bernoulli(), **NETWORKS[name])
    found = model.generate(6, seed=1)
    np.testing.assert_array_equal(found, model.generate(6, seed=1, cached=False))
    assert len(np.unique(found)) == 2


@pytest.mark.parametrize("temperature", [1.0, 0.6])
@pytest.mark.parametrize("name", OUTPUTS)
def test_cached_samples_of_every_likelihood(name, temperature):
    likelihood, channels = OUTPUTS[name]
    model = model_of(likelihood, (4, 3, channels))
    options = {"seed": 1, "temperature": temperature}
    found = model.generate(6, **options)
    np.testing.assert_array_equal(found, model.generate(6, cached=False, **options))
    likelihood.check_images(found)
    assert len(np.unique(found)) > 1


def test_cached_samples_of_classes_and_sequences():
    model = model_of(kgan.likelihoods.Bernoulli(), num_classes=3)
    for labels in (None, 2, [0, 1, 2, 2]):
        found = model.generate(4, labels, seed=1)
        np.testing.assert_array_equal(found, model.generate(4, labels, seed=1, cached=False))
    sequence = model_of(Categorical(5), (1, 12, 1), blocks=3, dilations=(1, 2, 4))
    found = sequence.generate(4, seed=1)
    np.testing.assert_array_equal(found, sequence.generate(4, seed=1, cached=False))


def test_cached_samples_in_half_precision():
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = model_of(kgan.likelihoods.Bernoulli())
    finally:
        keras.config.set_dtype_policy(before)
    found = model.generate(4, seed=1)
    assert found.dtype == "float32"
    assert set(np.unique(found)) == {-1.0, 1.0}


def test_a_seed_means_the_same_images_in_batches_of_any_size():
    model = model_of(kgan.likelihoods.Bernoulli())
    found = model.generate(5, seed=1)
    np.testing.assert_array_equal(found, model.generate(5, seed=1, batch_size=2))
    assert (found != model.generate(5, seed=2)).any()


def test_samples_have_the_probabilities_of_the_model():
    """All 16 images of 2x2 pixels, against how often each is drawn."""
    model = model_of(kgan.likelihoods.Bernoulli(), (2, 2, 1), blocks=1)
    every = np.array(list(itertools.product(range(2), repeat=4))).reshape(16, 2, 2, 1)
    expected = np.exp(model.log_prob(every))
    drawn = model.to_levels(model.generate(20_000, seed=1, batch_size=20_000)).reshape(-1, 4)
    counts = np.bincount(drawn @ [8, 4, 2, 1], minlength=16)
    deviations = (counts - 20_000 * expected) / np.sqrt(20_000 * expected * (1 - expected))
    assert np.abs(deviations).max() < 4.5


def test_low_temperatures_give_likely_images():
    model = model_of(Categorical(4))
    mean = {t: model.log_prob(model.generate(32, seed=1, temperature=t)).mean() for t in (0.3, 1)}
    assert mean[0.3] > mean[1]
    for temperature in (0.0, -1.0, float("nan")):
        with pytest.raises(ValueError, match="temperature"):
            model.generate(1, temperature=temperature)


def test_completions_keep_what_is_known():
    model = model_of(Categorical(4))
    images = images_of(model)
    whole = model.complete(images, known=30, seed=1)
    np.testing.assert_array_equal(whole, images)
    half = model.complete(images, known=14, seed=1)
    np.testing.assert_array_equal(half.reshape(4, 30)[:, :14], images.reshape(4, 30)[:, :14])
    assert (half.reshape(4, 30)[:, 14:] != images.reshape(4, 30)[:, 14:]).any()
    np.testing.assert_array_equal(half, model.complete(images, 14, seed=1, cached=False))
    mask = np.arange(30).reshape(5, 6) < 14
    np.testing.assert_array_equal(half, model.complete(images, mask, seed=1))
    masks = np.arange(30).reshape(5, 6) < np.array([0, 5, 30, 14])[:, None, None]
    each = model.complete(images, masks, seed=1)
    np.testing.assert_array_equal(each[2], images[2])
    np.testing.assert_array_equal(each[3], half[3])
    np.testing.assert_array_equal(each[0], model.generate(4, seed=1)[0])


def test_known_pixels_come_first():
    model = model_of(Categorical(4))
    images = images_of(model)
    mask = np.zeros((5, 6), bool)
    mask[2:] = True
    with pytest.raises(ValueError, match="known pixel after an unknown one"):
        model.complete(images, mask)
    with pytest.raises(ValueError, match="at most 30 known pixels"):
        model.complete(images, 31)
    with pytest.raises(ValueError, match="booleans of shape"):
        model.complete(images, mask[:2])
    with pytest.raises(ValueError, match="booleans of shape"):
        model.complete(images, mask.astype("float32"))


def test_prompts_are_continued():
    model = model_of(Categorical(5), (1, 12, 1), blocks=2)
    found = model.to_levels(model.generate(3, seed=1, prompt=[4, 0, 2]))
    assert found[:, 0, :3, 0].tolist() == [[4, 0, 2]] * 3
    floats = ops.convert_to_numpy(model.likelihood.value_of(np.array([4, 0, 2])))
    np.testing.assert_array_equal(model.to_levels(model.generate(3, seed=1, prompt=floats)), found)
    each = np.array([[4, 0], [1, 1], [3, 2]])
    found = model.to_levels(model.generate(3, seed=1, prompt=each))
    np.testing.assert_array_equal(found[:, 0, :2, 0], each)
    np.testing.assert_array_equal(
        model.generate(3, seed=1, prompt=np.zeros(0, int)), model.generate(3, seed=1)
    )
    with pytest.raises(ValueError, match="integers from 0 to 4"):
        model.generate(3, prompt=[5])
    with pytest.raises(ValueError, match="at most 12 pixels"):
        model.generate(3, prompt=np.zeros(13, int))
    with pytest.raises(ValueError, match="prompt"):
        model.generate(3, prompt=np.zeros((2, 4), int))


def test_layers_that_are_not_known_need_the_slow_way():
    image = keras.Input((4, 4, 1))
    x = CausalConv2D(4, (2, 3), "vertical", strict=True)(image)
    x = layers.GroupNormalization(1)(x)  # over all pixels: not causal, and its graph cannot tell
    model = kgan.PixelCNN(keras.Model(image, layers.Dense(1)(x)))
    with pytest.raises(UnknownLayerError, match="cached=False"):
        model.generate(1)
    assert model.generate(2, seed=1, cached=False).shape == (2, 4, 4, 1)


def test_an_interrupt_hands_over_whole_images(monkeypatch, interruptible):
    model = model_of(kgan.likelihoods.Bernoulli())
    expected = model.generate(6, seed=1)

    def say(text):
        if text.startswith("drew 4 "):
            raise KeyboardInterrupt

    with pytest.raises(kgan.models.InterruptedDrawError) as interrupted:
        model.generate(6, seed=1, batch_size=2, say=say)
    np.testing.assert_array_equal(interrupted.value.images, expected[:4])


# ---- the plan ------------------------------------------------------------------------------------


def test_rows_are_computed_once():
    network = kgan.networks.pixel_cnn((5, 6, 1), width=4, blocks=2).network
    kinds = {node.operation.name: node.kind for node in PixelPlan(network)._nodes.values()}
    for layer in network.layers[1:]:
        if isinstance(layer, CausalConv2D):
            expected = Kind.ROW if layer.stack == "vertical" else Kind.PIXEL
            assert kinds[layer.name] == expected
        elif isinstance(layer, CausalAttention):
            assert kinds[layer.name] == Kind.PIXEL


# ---- data ----------------------------------------------------------------------------------------


def test_integers_train_as_the_same_floats():
    states = []
    for as_integers in (False, True):
        keras.utils.set_random_seed(1)
        model = model_of(Categorical(4))
        model.compile()
        images = images_of(model, 8)
        model.train_on_batch(model.to_levels(images) if as_integers else images)
        states.append([np.array(weight) for weight in model.network.weights])
    for by_floats, by_integers in zip(*states, strict=True):
        np.testing.assert_allclose(by_floats, by_integers, rtol=1e-4, atol=1e-7)


def test_values_between_levels_are_refused():
    model = model_of(Categorical(4))
    model.compile()
    images = images_of(model, 8)
    with pytest.raises(ValueError, match=r"values at 4 levels.*levels="):
        model.fit(images * 0.9, verbose=0)
    with pytest.raises(ValueError, match="integers from 0 to 3"):
        model.fit(model.to_levels(images) + 1, verbose=0)
    for dtype in ("float16", "float32", "float64", "uint8", "int64"):
        given = model.to_levels(images) if "int" in dtype else images
        model.evaluate(given.astype(dtype), verbose=0)


def test_likelihoods_of_real_numbers_are_refused():
    networks = kgan.networks.pixel_cnn((4, 4, 1), width=4, blocks=1)
    with pytest.raises(ValueError, match="finitely many levels"):
        kgan.PixelCNN(*networks, likelihood="gaussian")
    with pytest.raises(ValueError, match=r"one output of shape \(batch, 4, 4, 15\)"):
        kgan.PixelCNN(*networks, likelihood="discretized_logistic_mixture")

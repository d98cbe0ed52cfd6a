"""Pix2Pix and CycleGAN: their losses against closed forms, and what they promise."""

import keras
import numpy as np
import pytest
from keras import ops

import kgan

SHAPE = (8, 8, 1)


def constant(value):
    return keras.initializers.Constant(value)


def scaling(factor, shape=SHAPE):
    """A network that multiplies images by a factor, which trains."""
    image = keras.Input(shape)
    convolution = keras.layers.Conv2D(
        1, 1, use_bias=False, kernel_initializer=constant(factor), name="scale"
    )
    return keras.Model(image, convolution(image))


def scoring(channels, weights):
    """A discriminator whose logit of each pixel is a weighted sum of its channels."""
    image = keras.Input((8, 8, channels))
    kernel = np.array(weights, "float32").reshape(1, 1, channels, 1)
    convolution = keras.layers.Conv2D(
        1, 1, use_bias=False, kernel_initializer=lambda *a, **k: kernel
    )
    return keras.Model(image, convolution(image))


def batch(seed=0, count=4):
    random = np.random.default_rng(seed)
    return [random.uniform(-1, 1, (count, *SHAPE)).astype("float32") for _ in range(2)]


def sgd(rate=0.0):
    return keras.optimizers.SGD(rate)


# ---- Pix2Pix -------------------------------------------------------------------------------------


def pix2pix(generator=0.5, weights=(0.3, -0.7), **options):
    model = kgan.Pix2Pix(scaling(generator), scoring(len(weights), weights), seed=0)
    options = {"loss": "least_squares", **options}
    model.compile(sgd(), sgd(), **options)
    return model


def test_pix2pix_losses_are_those_of_the_paper():
    x, y = batch()
    logs = pix2pix().test_on_batch(x, y, return_dict=True)
    real, fake = 0.3 * x - 0.7 * y, 0.3 * x - 0.7 * 0.5 * x
    np.testing.assert_allclose(logs["l1_error"], np.abs(0.5 * x - y).mean(), rtol=1e-5)
    loss = kgan.losses.LeastSquares()
    expected = loss.discriminator_loss(ops.convert_to_tensor(real), ops.convert_to_tensor(fake))
    np.testing.assert_allclose(logs["discriminator_loss"], float(expected), rtol=1e-5)
    expected = loss.generator_loss(ops.convert_to_tensor(fake), None)
    np.testing.assert_allclose(logs["generator_loss"], float(expected), rtol=1e-5)
    trained = pix2pix().train_on_batch(x, y, return_dict=True)
    for name, value in logs.items():
        np.testing.assert_allclose(trained[name], value, rtol=1e-5, err_msg=name)


@pytest.mark.parametrize("l1_weight", [0.0, 3.0])
def test_pix2pix_updates_by_the_gradient_of_the_sum(l1_weight):
    """Of G(x) = s x: the derivative by s, with the loss (D - 1)^2 / 2 of LSGAN."""
    x, y = batch()
    model = pix2pix(l1_weight=l1_weight)
    model.compile(sgd(0.1), sgd(0.0), loss="least_squares", l1_weight=l1_weight)
    model.train_on_batch(x, y)
    logits = 0.3 * x - 0.7 * 0.5 * x
    factor = (
        float(
            ops.convert_to_numpy(
                kgan.losses.LeastSquares().generator_loss(ops.ones((1, 1)) * 3.0, None)
            )
        )
        / 4.0
    )  # of (logit - 1)^2
    slope = np.mean(2 * factor * (logits - 1) * -0.7 * x)
    slope += l1_weight * np.mean(np.sign(0.5 * x - y) * x)
    scale = float(np.squeeze(model.generator.get_weights()[0]))
    np.testing.assert_allclose(scale, 0.5 - 0.1 * slope, rtol=1e-4)


def test_pix2pix_with_a_discriminator_of_translations_alone():
    x, y = batch()
    model = pix2pix(weights=(0.4,))
    logs = model.test_on_batch(x, y, return_dict=True)
    np.testing.assert_allclose(logs["real_score"], (0.4 * y).mean(), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(logs["fake_score"], (0.4 * 0.5 * x).mean(), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("loss", kgan.losses.names())
def test_pix2pix_trains_with_every_loss_and_penalty(loss):
    model = pix2pix(loss=loss, penalties=["r1", "lecam"], augmentation="diff_augment")
    logs = model.train_on_batch(*batch(), return_dict=True)
    assert all(np.isfinite(value) for value in logs.values())
    assert {"r1", "lecam", "l1_error"} <= set(logs)


def test_pix2pix_learns_a_negative():
    keras.utils.set_random_seed(0)
    pictures = np.random.default_rng(0).integers(0, 256, (64, 8, 8), dtype="uint8")
    pairs = kgan.data.PairedDataset(pictures, 255 - pictures, batch_size=16, seed=0)
    model = kgan.Pix2Pix(scaling(0.1), scoring(2, (0.1, 0.1)), seed=0)
    model.compile(keras.optimizers.Adam(0.1), keras.optimizers.Adam(1e-3))
    model.fit(pairs, epochs=20, verbose=0)
    translated = model.translate(pictures)
    np.testing.assert_allclose(translated[..., 0], 1 - pictures / 127.5, atol=0.2)


def test_networks_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match=r"`discriminator` to take .* 2\) or .* 1\).*8, 8, 3"):
        kgan.Pix2Pix(scaling(1.0), scoring(3, (1, 1, 1)))
    smaller = keras.Sequential([keras.Input(SHAPE), keras.layers.AveragePooling2D(2)])
    with pytest.raises(ValueError, match="images of the same height and width"):
        kgan.Pix2Pix(smaller, scoring(1, (1,)))
    certain = keras.Sequential([scoring(1, (1,)), keras.layers.Activation("sigmoid")])
    with pytest.raises(ValueError, match="gives logits"):
        kgan.Pix2Pix(scaling(1.0), certain)
    for wrong in (-1, float("nan"), float("inf"), "x"):
        with pytest.raises(ValueError, match=f"`l1_weight` to be .*l1_weight={wrong!r}"):
            pix2pix(l1_weight=wrong)


def test_pix2pix_has_one_direction():
    with pytest.raises(ValueError, match=r"Expected no `to`.*Received: to='a'"):
        pix2pix().translate(batch()[0], to="a")


def test_pix2pix_raises_for_data_that_are_not_pairs():
    x, y = batch()
    pictures = np.random.default_rng(0).integers(0, 256, (8, 8, 8), dtype="uint8")
    domains = kgan.data.UnpairedDataset(pictures, 255 - pictures, batch_size=4, seed=0)
    model = pix2pix()
    for given, message in (
        (domains, "Expected pairs.*Received: UnpairedDataset.*kgan.data.PairedDataset"),
        (kgan.data.ImageDataset(pictures, np.arange(8), batch_size=4), "Received: one, with label"),
        (kgan.data.ImageDataset(pictures, batch_size=4), "Received: one. Give fit"),
        (x, r"\(inputs, targets\). Received: one. Give fit"),
        ((x, y), r"two arrays or tensors, \(inputs, targets\). Received: a tuple.*fit\(x, y\)"),
    ):
        with pytest.raises(ValueError, match=message):
            model.fit(given, verbose=0)
    with pytest.raises(ValueError, match="Received: UnpairedDataset"):
        model.fit(x, y, validation_data=domains, verbose=0)
    with pytest.raises(ValueError, match="Received: UnpairedDataset"):
        model.evaluate(domains, verbose=0)
    assert not model.epochs_trained


# ---- CycleGAN ------------------------------------------------------------------------------------


def cycle_gan(there=0.5, back=1.5, buffer_size=0, **options):
    networks = scaling(there), scaling(back), scoring(1, (0.3,)), scoring(1, (-0.7,))
    model = kgan.CycleGAN(*networks, buffer_size=buffer_size, seed=0)
    model.compile(sgd(), sgd(), **options)
    return model


def test_cycle_gan_losses_are_those_of_the_paper():
    a, b = batch()
    logs = cycle_gan().test_on_batch(a, b, return_dict=True)
    cycle = (np.abs(0.75 * a - a).mean() + np.abs(0.75 * b - b).mean()) / 2
    identity = (np.abs(1.5 * a - a).mean() + np.abs(0.5 * b - b).mean()) / 2
    np.testing.assert_allclose(logs["cycle_error"], cycle, rtol=1e-5)
    np.testing.assert_allclose(logs["identity_error"], identity, rtol=1e-5)
    loss = kgan.losses.LeastSquares()
    scores = [(0.3 * a, 0.3 * 1.5 * b), (-0.7 * b, -0.7 * 0.5 * a)]
    expected = np.mean(
        [float(loss.discriminator_loss(*map(ops.convert_to_tensor, each))) for each in scores]
    )
    np.testing.assert_allclose(logs["discriminator_loss"], expected, rtol=1e-5)
    expected = sum(
        float(loss.generator_loss(ops.convert_to_tensor(fake), None)) for _, fake in scores
    )
    np.testing.assert_allclose(logs["generator_loss"], expected, rtol=1e-5)
    trained = cycle_gan().train_on_batch(a, b, return_dict=True)
    for name, value in logs.items():
        np.testing.assert_allclose(trained[name], value, rtol=1e-5, err_msg=name)


def test_cycle_gan_updates_by_the_gradient_of_cycles_and_identities():
    a, b = batch()
    model = cycle_gan()
    model.discriminator_a.set_weights([np.zeros((1, 1, 1, 1))])
    model.discriminator_b.set_weights([np.zeros((1, 1, 1, 1))])
    model.compile(sgd(0.01), sgd(0.0), cycle_weight=2.0, identity_weight=3.0)
    model.train_on_batch(a, b)
    # |s t a - a| + |s t b - b| and |s b - b|, by s, with s = 0.5 and t = 1.5.
    slope = 2 * -1.5 * (np.abs(a).mean() + np.abs(b).mean()) - 3 * np.abs(b).mean()
    found = float(np.squeeze(model.a_to_b.get_weights()[0]))
    np.testing.assert_allclose(found, 0.5 - 0.01 * slope, rtol=1e-4)


def test_without_an_identity_weight_there_is_no_such_log_and_channels_may_differ():
    networks = kgan.networks.cyclegan((8, 8, 1), target_channels=3, width=2, blocks=1)
    model = kgan.CycleGAN(*networks, seed=0)
    with pytest.raises(ValueError, match="identity_weight=0, since"):
        model.compile()
    model.compile(identity_weight=0.0)
    a, b = batch()
    logs = model.train_on_batch(a, np.repeat(b, 3, axis=-1), return_dict=True)
    assert "identity_error" not in logs
    assert model.translate(a, to="b").shape == (4, 8, 8, 3)
    assert model.cycle(a, of="a").shape == a.shape


def test_each_discriminator_has_its_own_penalties():
    model = cycle_gan(penalties=["lecam"])
    model.train_on_batch(*batch())
    means = [ops.convert_to_numpy(each[0].means) for each in (model.penalties, model.penalties_b)]
    assert np.abs(means[0] - means[1]).max() > 1e-4


def test_the_discriminators_see_translations_out_of_the_buffer():
    model = cycle_gan(buffer_size=4)
    a, b = batch()
    model.train_on_batch(a, b)
    np.testing.assert_allclose(model.buffer_b.images, 0.5 * a, rtol=1e-5)
    np.testing.assert_allclose(model.buffer_a.images, 1.5 * b, rtol=1e-5)
    new = batch(seed=1)
    model.train_on_batch(*new)
    kept = ops.convert_to_numpy(model.buffer_b.images)
    made = np.concatenate([0.5 * a, 0.5 * new[0]])
    assert all(np.isclose(image, made, rtol=1e-5).all(axis=(1, 2, 3)).any() for image in kept)


def test_translate_and_cycle_go_the_way_that_is_asked_for():
    a, _ = batch()
    model = cycle_gan()
    np.testing.assert_allclose(model.translate(a), 0.5 * a, rtol=1e-5)
    np.testing.assert_allclose(model.translate(a, to="a"), 1.5 * a, rtol=1e-5)
    np.testing.assert_allclose(model.cycle(a, of="b"), 0.75 * a, rtol=1e-5)
    with pytest.raises(ValueError, match=r'Expected a domain, "a" or "b".*zebra'):
        model.translate(a, to="zebra")


def test_generators_that_do_not_fit_each_other_are_refused():
    networks = kgan.networks.cyclegan((8, 8, 1), target_channels=3, width=2, blocks=1)
    with pytest.raises(ValueError, match="take what the other one makes"):
        kgan.CycleGAN(
            networks.a_to_b,
            kgan.networks.unet((8, 8, 2), 1, width=2),
            networks.discriminator_a,
            networks.discriminator_b,
        )
    shared = kgan.networks.unet((8, 8, 1), width=2)
    with pytest.raises(ValueError, match="share no weights"):
        kgan.CycleGAN(shared, shared, scoring(1, (1,)), scoring(1, (1,)))


# ---- images --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def translator():
    keras.utils.set_random_seed(0)
    networks = kgan.networks.pix2pix(SHAPE, width=4, dropout=0.5, normalization="batch")
    model = kgan.Pix2Pix(*networks, seed=0)
    model.compile()
    model.train_on_batch(*batch())
    return model


def test_uint8_and_floats_give_the_same(translator):
    pictures = np.random.default_rng(0).integers(0, 256, (3, 8, 8, 1), dtype="uint8")
    expected = translator.translate(pictures.astype("float32") / 127.5 - 1)
    np.testing.assert_array_equal(translator.translate(pictures), expected)
    np.testing.assert_array_equal(translator.translate(pictures[..., 0]), expected)


def test_other_sizes_use_the_same_weights(translator):
    for height, width in ((16, 8), (7, 11), (8, 9)):
        images = np.random.default_rng(0).uniform(-1, 1, (2, height, width, 1))
        assert translator.translate(images).shape == (2, height, width, 1)
    # A period of the image is a period of its translation, away from the borders.
    tile = np.random.default_rng(0).uniform(-1, 1, (1, 8, 8, 1)).astype("float32")
    translated = translator.translate(np.tile(tile, (1, 9, 9, 1)))
    np.testing.assert_allclose(translated[:, 32:40, 32:40], translated[:, 24:32, 32:40], atol=1e-5)
    assert translator.translate(tile).shape == (1, 8, 8, 1)


def test_a_network_of_one_size_says_so():
    flat = keras.Sequential(
        [
            keras.Input(SHAPE),
            keras.layers.Flatten(),
            keras.layers.Dense(64),
            keras.layers.Reshape(SHAPE),
        ]
    )
    model = kgan.Pix2Pix(flat, scoring(1, (1,)))
    with pytest.raises(ValueError, match=r"images of 8x8 pixels.*Received: images of 9x8"):
        model.translate(np.zeros((1, 9, 8, 1)))


def test_dropout_makes_translations_differ_and_leaves_training_alone(translator):
    images, _ = batch()
    before = [np.array(v) for v in translator.variables]
    plain = translator.translate(images)
    one = translator.translate(images, dropout=True, seed=1)
    np.testing.assert_array_equal(translator.translate(images, dropout=True, seed=1), one)
    assert np.abs(one - translator.translate(images, dropout=True, seed=2)).max() > 1e-3
    assert np.abs(one - plain).max() > 1e-3
    np.testing.assert_array_equal(translator.translate(images), plain)
    for variable, value in zip(translator.variables, before, strict=True):
        np.testing.assert_array_equal(variable, value, err_msg=variable.path)
    # The others of a batch change nothing: batch normalisation is as after training.
    np.testing.assert_allclose(
        translator.translate(images, dropout=True, seed=1)[:1],
        translator.translate(np.concatenate([images[:1], -images[1:]]), dropout=True, seed=1)[:1],
        atol=1e-5,
    )


@pytest.mark.parametrize("translator", ["unet", "resnet"])
def test_translations_are_the_same_in_training_and_after_it(translator):
    """With batch normalisation, a CycleGAN is known to be worse after training."""
    networks = kgan.networks.pix2pix((16, 16, 1), width=4, translator=translator)
    images = ops.convert_to_tensor(np.random.default_rng(0).uniform(-1, 1, (4, 16, 16, 1)))

    def translate(images, training):
        return ops.convert_to_numpy(networks.generator(images, training=training))

    np.testing.assert_array_equal(translate(images, True), translate(images, False))
    alone = translate(images[:1], True)
    np.testing.assert_allclose(alone, translate(images, True)[:1], atol=1e-5)


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="the format is TensorFlow's")
def test_the_generator_of_a_direction_is_exported(tmp_path):
    import tensorflow as tf

    model, images = cycle_gan(), batch()[0]
    for to, factor in (("b", 0.5), ("a", 1.5)):
        model.export(tmp_path / to, to=to, verbose=False)
        loaded = tf.saved_model.load(str(tmp_path / to))
        np.testing.assert_allclose(loaded.serve(images), factor * images, rtol=1e-5)
    pix2pix().export(tmp_path / "pairs", verbose=False)
    loaded = tf.saved_model.load(str(tmp_path / "pairs"))
    np.testing.assert_allclose(loaded.serve(images), 0.5 * images, rtol=1e-5)


def test_wrong_images_are_refused(translator):
    with pytest.raises(ValueError, match=r"of shape \(batch, height, width, 1\)"):
        translator.translate(np.zeros((2, 8, 8, 3)))
    with pytest.raises(ValueError, match="finite"):
        translator.translate(np.full((2, 8, 8, 1), np.nan))
    with pytest.raises(ValueError, match="Received: values from 0 to 255"):
        translator.translate(np.tile(np.array([0.0, 255.0]), 32).reshape(1, 8, 8, 1))
    model = pix2pix()
    with pytest.raises(ValueError, match="generator with dropout"):
        model.translate(np.zeros((1, 8, 8, 1)), dropout=True)

"""The running average of the generator's weights."""

import keras
import numpy as np
import pytest

import kgan
from kgan.layers import SelfAttention, SpectralNormalization


def copies(variables):
    return [np.array(v) for v in variables]


@pytest.mark.parametrize("num_classes", [None, 3])
def test_the_average_moves_as_it_should(make_gan, dataset, num_classes):
    gan = make_gan(num_classes=num_classes, ema_decay=0.5)
    expected = copies(gan.network_in_use("generator").variables)
    for a, b in zip(expected, copies(gan.generator.variables), strict=True):
        np.testing.assert_array_equal(a, b)
    for step in range(1, 8):
        gan.train_on_batch(*dataset.batch(0, step % 6))
        decay = min(0.5, (1 + step) / (10 + step))
        for index, value in enumerate(copies(gan.generator.variables)):
            expected[index] += (1 - decay) * (value - expected[index])
    assert (1 + step) / (10 + step) < 0.5 < (2 + step) / (10 + step) + 0.1  # still warming up
    for a, b in zip(copies(gan.network_in_use("generator").variables), expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)


def test_warm_up_ends_at_the_decay_that_was_asked_for(make_gan, dataset):
    gan = make_gan("mlp", ema_decay=0.2)
    for index in range(3):
        before = copies(gan.network_in_use("generator").variables)
        gan.train_on_batch(dataset.batch(0, index)[0])
    for a, b, v in zip(
        copies(gan.network_in_use("generator").variables),
        before,
        copies(gan.generator.variables),
        strict=True,
    ):
        np.testing.assert_allclose(a, 0.2 * b + 0.8 * v, rtol=1e-4, atol=1e-6)


def test_what_one_sees_is_the_average(make_gan, dataset, tmp_path):
    gan = make_gan(ema_decay=0.9)
    gan.fit(dataset, verbose=0)
    latents = np.random.default_rng(5).standard_normal((3, 4), "float32")
    by_average, by_weights = (
        keras.ops.convert_to_numpy(network(latents, training=False))
        for network in (gan.network_in_use("generator"), gan.generator)
    )
    np.testing.assert_allclose(gan.generate(3, seed=5), by_average, atol=1e-6)
    np.testing.assert_allclose(gan.generate(3, seed=5, averaged=False), by_weights, atol=1e-6)
    np.testing.assert_allclose(gan.interpolate(1, 2, seed=5)[0, 0], by_average[0], atol=1e-6)
    assert np.abs(by_average - by_weights).max() > 1e-3


def test_looking_at_samples_changes_nothing(dataset):
    latent = keras.Input((4,), name="latent")
    x = SpectralNormalization(keras.layers.Dense(64))(latent)
    images = SelfAttention(1)(keras.layers.Reshape((8, 8, 1))(x))
    image = keras.Input((8, 8, 1), name="image")
    logits = keras.layers.Dense(1)(keras.layers.Flatten()(image))
    gan = kgan.GAN(keras.Model(latent, images), keras.Model(image, logits), seed=1)
    gan.compile(ema_decay=0.9)
    gan.fit(dataset, verbose=0)
    before = copies(gan.variables)
    gan.generate(3, seed=5)
    gan.generate(3, seed=5, averaged=False)
    for a, b in zip(gan.variables, before, strict=True):
        np.testing.assert_array_equal(np.array(a), b, err_msg=a.path)


def test_training_is_the_same_with_it_and_without(make_gan, dataset):
    histories, weights = [], []
    for decay in (None, 0.9):
        keras.utils.set_random_seed(4)
        gan = make_gan("mlp", ema_decay=decay)
        histories.append(gan.fit(dataset, epochs=2, verbose=0).history)
        weights.append(gan.generator.get_weights())
    assert histories[0] == histories[1]
    for a, b in zip(*weights, strict=True):
        np.testing.assert_array_equal(a, b)


def test_the_average_is_in_the_file_and_goes_on(make_gan, dataset, tmp_path):
    gan = make_gan(ema_decay=0.9)
    gan.fit(dataset, verbose=0)
    gan.save(tmp_path / "gan.keras")
    loaded = keras.saving.load_model(tmp_path / "gan.keras")
    assert loaded.ema_decay == 0.9
    for each in (gan, loaded):
        each.fit(dataset, epochs=2, initial_epoch=1, verbose=0)
    for a, b in zip(gan.variables, loaded.variables, strict=True):
        np.testing.assert_array_equal(np.asarray(a), np.asarray(b), err_msg=a.path)


def test_the_average_makes_the_samples_of_a_loaded_gan_that_is_not_compiled(
    make_gan, dataset, tmp_path
):
    gan = make_gan(ema_decay=0.9)
    gan.fit(dataset, verbose=0)
    gan.save(tmp_path / "gan.keras")
    loaded = keras.saving.load_model(tmp_path / "gan.keras", compile=False)
    assert not loaded.compiled
    np.testing.assert_array_equal(loaded.generate(3, seed=5), gan.generate(3, seed=5))
    plain = make_gan()
    plain.save(tmp_path / "plain.keras")
    assert not keras.saving.load_model(tmp_path / "plain.keras").has_average


def test_compiling_anew_keeps_the_average_or_drops_it(make_gan, dataset):
    gan = make_gan("mlp", ema_decay=0.9)
    gan.fit(dataset, verbose=0)
    kept = copies(gan.network_in_use("generator").variables)
    gan.compile(ema_decay=0.5)
    for a, b in zip(kept, copies(gan.network_in_use("generator").variables), strict=True):
        np.testing.assert_array_equal(a, b)
    gan.train_on_batch(dataset.batch(1, 0))
    decay = (1 + 7) / (10 + 7)  # the seventh update: warming up does not begin again
    averaged, weights = (
        copies(network.variables) for network in (gan.network_in_use("generator"), gan.generator)
    )
    for a, b, v in zip(averaged, kept, weights, strict=True):
        np.testing.assert_allclose(a, decay * b + (1 - decay) * v, rtol=1e-4, atol=1e-6)
    gan.compile()
    assert not gan.has_average
    assert gan.generate(2).shape == (2, 8, 8, 1)


@pytest.mark.filterwarnings("ignore:Explicitly requested dtype float64:UserWarning")  # by JAX
@pytest.mark.parametrize("policy", ["float64", "bfloat16", "float16"])
def test_weights_of_other_precision(policy, dataset):
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        networks = kgan.networks.mlp((8, 8, 1), latent_dim=4, width=4)
        gan = kgan.GAN(*networks, seed=3)
        gan.compile(ema_decay=0.5)
    finally:
        keras.config.set_dtype_policy(before)
    # In which a count goes on.
    assert gan._averages["generator"].updates.dtype == "float32"
    first = copies(gan.generator.variables)
    gan.train_on_batch(dataset.batch(0, 0))
    share = 1 - (1 + 1) / (10 + 1)
    averaged, trained = (
        copies(gan.network_in_use("generator").variables),
        copies(gan.generator.variables),
    )
    for arrays in zip(averaged, first, trained, strict=True):
        a, b, v = (np.asarray(each, "float64") for each in arrays)
        np.testing.assert_allclose(a, b + share * (v - b), rtol=2e-2, atol=1e-4)


def test_a_generator_that_cannot_be_copied():
    layers = keras.layers
    generator = keras.Sequential(
        [
            keras.Input((4,)),
            layers.Dense(64, activation="tanh"),
            layers.Lambda(lambda x: x),
            layers.Reshape((8, 8, 1)),
        ]
    )
    _, discriminator = kgan.networks.mlp((8, 8, 1), latent_dim=4, width=4)
    gan = kgan.GAN(generator, discriminator)
    gan.compile()
    with pytest.raises(ValueError, match=r"clone_model can copy.*Lambda"):
        gan.compile(ema_decay=0.9)


@pytest.mark.parametrize("decay", [-0.1, 1.0])
def test_a_decay_out_of_range(make_gan, decay):
    with pytest.raises(ValueError, match="ema_decay"):
        make_gan(ema_decay=decay)


def test_summary_names_the_average_apart_from_the_network(make_gan):
    lines = []
    make_gan("mlp", ema_decay=0.9).summary(line_length=100, print_fn=lines.append)
    words = "\n".join(lines).replace("│", " ").split()
    for name in ("generator", "discriminator", "averaged_generator"):
        assert words.count(name) == 1, lines


def test_files_of_weights_hold_the_average_whatever_its_name(make_gan, dataset, tmp_path):
    """Names in files come from classes and attributes: those of older files can be loaded."""
    h5py = pytest.importorskip("h5py")
    gan = make_gan("mlp", ema_decay=0.9)
    gan.fit(dataset, verbose=0)
    gan.save_weights(tmp_path / "gan.weights.h5")
    with h5py.File(tmp_path / "gan.weights.h5") as file:
        assert float(file["layers/averaged_network/vars/0"][()]) == len(dataset)
    other = make_gan("mlp", ema_decay=0.9)
    other.load_weights(tmp_path / "gan.weights.h5")
    gan.save(tmp_path / "gan.keras")
    for loaded in (other, keras.saving.load_model(tmp_path / "gan.keras")):
        for averaged in (True, False):
            np.testing.assert_array_equal(
                loaded.generate(3, seed=1, averaged=averaged),
                gan.generate(3, seed=1, averaged=averaged),
            )

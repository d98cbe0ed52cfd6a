"""Networks that are replaced, and averages that one side lacks."""

import keras
import numpy as np
import pytest

import kgan


def networks(seed):
    keras.utils.set_random_seed(seed)
    return kgan.networks.mlp((8, 8, 1), latent_dim=4, width=4)


@pytest.mark.parametrize("ema_decay", [None, 0.9])
def test_a_replaced_network_leaves_nothing_behind(dataset, ema_decay):
    gan, (other, _) = kgan.GAN(*networks(1), seed=3), networks(2)
    gan.compile(ema_decay=ema_decay)
    gan.fit(dataset, verbose=0)
    before = gan.generate(4, seed=1)
    count = gan.count_params()
    old = gan.generator
    gan.generator = other
    gan.compile(ema_decay=ema_decay)
    assert np.abs(gan.generate(4, seed=1) - before).max() > 1e-3
    expected = keras.ops.convert_to_numpy(other(gan.draw_latents(4, seed=1)))
    np.testing.assert_allclose(gan.generate(4, seed=1), expected, atol=1e-6)
    assert gan.count_params() == count
    assert old not in gan.layers
    gan.fit(dataset, initial_epoch=1, epochs=2, verbose=0)


def test_a_replaced_network_must_be_compiled_before_it_trains(dataset, make_gan):
    gan = make_gan("mlp")
    gan.generator, _ = networks(2)
    with pytest.raises(ValueError, match="compile again"):
        gan.fit(dataset, verbose=0)


# Keras warns of what it does not find before the error says why.
@pytest.mark.filterwarnings("ignore:Skipping nested container")
@pytest.mark.parametrize("is_saved", [True, False])
def test_weights_of_which_one_side_has_an_average(make_gan, tmp_path, is_saved):
    with_average, without = make_gan("mlp", ema_decay=0.9), make_gan("mlp")
    saved, loaded = (with_average, without) if is_saved else (without, with_average)
    saved.save_weights(tmp_path / "gan.weights.h5")
    with pytest.raises(ValueError, match="ema_decay"):
        loaded.load_weights(tmp_path / "gan.weights.h5")


def test_a_network_around_a_subclassed_model(dataset):
    class Images(keras.Model):
        def __init__(self):
            super().__init__()
            self.dense = keras.layers.Dense(64)
            self.reshape = keras.layers.Reshape((8, 8, 1))

        def call(self, latents):
            return self.reshape(self.dense(latents))

    latent = keras.Input((4,))
    gan = kgan.GAN(keras.Model(latent, Images()(latent)), networks(1)[1])
    gan.compile()
    gan.fit(dataset, verbose=0)
    assert gan.epochs_trained == 1


def test_names_and_numbers_of_evaluate_agree(make_gan, dataset):
    gan = make_gan("mlp")
    numbers = gan.evaluate(dataset, verbose=0)
    named = gan.evaluate(dataset, verbose=0, return_dict=True)
    assert dict(zip(gan.metrics_names, numbers, strict=True)) == named


def test_callbacks_must_be_objects(make_gan, dataset):
    with pytest.raises(ValueError, match=r"the class TerminateOnNaN. Call it"):
        make_gan("mlp").fit(dataset, callbacks=[kgan.callbacks.TerminateOnNaN], verbose=0)


def test_ctrl_c_in_a_notebook_keeps_its_place(make_gan, dataset):
    class Interrupt(keras.callbacks.Callback):
        def on_train_batch_begin(self, batch, logs=None):
            if self.model.epochs_trained == 1 and batch == 4:
                raise KeyboardInterrupt

    keras.utils.set_random_seed(1)
    whole = make_gan("mlp")
    keras.utils.set_random_seed(1)
    interrupted = make_gan("mlp")
    whole.fit(dataset, epochs=3, verbose=0)
    with pytest.raises(KeyboardInterrupt):
        interrupted.fit(dataset, epochs=3, callbacks=[Interrupt()], verbose=0)
    assert (interrupted.epochs_trained, interrupted.batches_trained) == (1, 4)
    interrupted.fit(dataset, initial_epoch=1, epochs=3, verbose=0)
    for network in ("generator", "discriminator"):
        pairs = zip(
            getattr(whole, network).weights, getattr(interrupted, network).weights, strict=True
        )
        for a, b in pairs:
            np.testing.assert_array_equal(np.array(a), np.array(b))


@pytest.mark.parametrize("epochs", [0, 1])
def test_the_average_follows_weights_that_are_set(dataset, make_gan, epochs):
    gan, other = make_gan("mlp", ema_decay=0.99), networks(2)[0]
    if epochs:
        gan.fit(dataset, epochs=epochs, verbose=0)
    before = gan.generate(4, seed=1)
    np.testing.assert_array_equal(gan.generate(4, seed=1), before)
    gan.generator.set_weights(other.get_weights())
    expected = keras.ops.convert_to_numpy(other(gan.draw_latents(4, seed=1)))
    np.testing.assert_allclose(gan.generate(4, seed=1), expected, atol=1e-6)


def test_the_average_of_a_loaded_model_stays(dataset, make_gan, tmp_path):
    gan = make_gan("mlp", ema_decay=0.9)
    gan.fit(dataset, verbose=0)
    gan.save(tmp_path / "gan.keras")
    for compiled in (True, False):
        loaded = keras.saving.load_model(tmp_path / "gan.keras", compile=compiled)
        for _ in range(2):
            np.testing.assert_array_equal(loaded.generate(4, seed=1), gan.generate(4, seed=1))
    other = make_gan("mlp", ema_decay=0.9)
    other.load_weights(tmp_path / "gan.keras")
    np.testing.assert_array_equal(other.generate(4, seed=1), gan.generate(4, seed=1))

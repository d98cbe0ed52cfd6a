"""The decay of the learning rate, also over interruptions."""

import keras
import numpy as np
import pytest

import kgan

SHAPE = (4, 4, 1)


def build():
    keras.utils.set_random_seed(0)
    gan = kgan.GAN(*kgan.networks.mlp(SHAPE, latent_dim=2, width=2), seed=0)
    gan.compile(keras.optimizers.Adam(4e-2), keras.optimizers.Adam(2e-2))
    return gan


def dataset():
    images = np.random.default_rng(0).integers(0, 256, (32, 4, 4), dtype="uint8")
    return kgan.data.ImageDataset(images, batch_size=8, seed=0)


class Rates(keras.callbacks.Callback):
    """The rates of both optimizers at the end of each epoch."""

    def __init__(self):
        super().__init__()
        self.found = []

    def on_epoch_end(self, epoch, logs=None):
        rates = [float(each.learning_rate) for _, each in self.model.optimizer.items()]
        self.found.append(rates)


def test_rates_of_a_training():
    gan, rates = build(), Rates()
    gan.fit(dataset(), epochs=6, callbacks=[kgan.callbacks.LinearDecay(), rates], verbose=0)
    factors = np.array([1, 1, 1, 3 / 4, 2 / 4, 1 / 4])
    np.testing.assert_allclose(rates.found, np.outer(factors, [4e-2, 2e-2]), rtol=1e-6)


@pytest.mark.parametrize(("start", "factors"), [(0.0, (3 / 4, 2 / 4, 1 / 4)), (0.9, (1, 1, 1))])
def test_rates_by_start(start, factors):
    gan, rates = build(), Rates()
    decay = kgan.callbacks.LinearDecay(start)
    gan.fit(dataset(), epochs=3, callbacks=[decay, rates], verbose=0)
    np.testing.assert_allclose([first for first, _ in rates.found], np.multiply(factors, 4e-2))


@pytest.mark.parametrize("batches", [6, 8])  # within the second epoch, and after it
def test_resumed_it_decays_as_if_nothing_had_happened(batches, tmp_path):
    whole = build()
    whole.fit(dataset(), epochs=4, callbacks=[kgan.callbacks.LinearDecay(0.0)], verbose=0)

    class Stop(keras.callbacks.Callback):
        made = 0

        def on_train_batch_end(self, batch, logs=None):
            self.made += 1
            if self.made == batches:
                raise KeyboardInterrupt

    path = tmp_path / "gan.keras"
    first = build()
    checkpoint = kgan.callbacks.Checkpoint(path, every_batches=1)
    decay = kgan.callbacks.LinearDecay(0.0)
    with pytest.raises(KeyboardInterrupt):
        first.fit(dataset(), epochs=4, callbacks=[decay, checkpoint, Stop()], verbose=0)
    resumed = kgan.load(path)
    resumed.fit(
        dataset(),
        initial_epoch=resumed.epochs_trained,
        epochs=4,
        callbacks=[kgan.callbacks.LinearDecay(0.0)],
        verbose=0,
    )
    for found, expected in zip(resumed.get_weights(), whole.get_weights(), strict=True):
        np.testing.assert_array_equal(found, expected)


def test_a_finished_training_goes_on_from_its_first_rate(tmp_path):
    first, rates = build(), Rates()
    first.fit(dataset(), epochs=2, callbacks=[kgan.callbacks.LinearDecay(0.0)], verbose=0)
    first.save(tmp_path / "gan.keras")
    resumed = kgan.load(tmp_path / "gan.keras")
    callbacks = [kgan.callbacks.LinearDecay(0.0), rates]
    resumed.fit(dataset(), initial_epoch=2, epochs=4, callbacks=callbacks, verbose=0)
    np.testing.assert_allclose([first for first, _ in rates.found], [4e-2 * 2 / 5, 4e-2 / 5])


def test_wrong_use_is_refused():
    for start in (1, -0.1, "half"):
        with pytest.raises(ValueError, match=rf"`start` to be in \[0, 1\).*start={start!r}"):
            kgan.callbacks.LinearDecay(start)
    gan = build()
    schedule = keras.optimizers.schedules.ExponentialDecay(1e-3, 10, 0.9)
    gan.compile(keras.optimizers.Adam(schedule))
    with pytest.raises(TypeError, match="learning rate schedule"):
        gan.fit(dataset(), callbacks=[kgan.callbacks.LinearDecay()], verbose=0)

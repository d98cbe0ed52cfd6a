"""Training that was interrupted anywhere and resumed ends as training that was not, bit for bit."""

import csv
import json
import signal

import keras
import numpy as np
import pytest

import kgan
from kgan import _backend
from kgan.training import EpochRestartWarning

pytestmark = pytest.mark.filterwarnings("ignore::kgan.callbacks.CollapseWarning")

EPOCHS = 4
STEPS = 5  # to an epoch, of a dataset of six batches: no epoch begins where a pass does


class CrashError(Exception):
    """What ends the process, in these tests."""


class At(keras.callbacks.Callback):
    """Does something at `("batch", epoch, batch)`, `("test", epoch)` or `("epoch", epoch)`."""

    def __init__(self, moment, action):
        super().__init__()
        self.moment = moment
        self.action = action

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        if self.moment == ("batch", self.epoch, batch):
            self.action(self.model)

    def on_test_end(self, logs=None):
        if self.moment == ("test", self.epoch):
            self.action(self.model)

    def on_epoch_end(self, epoch, logs=None):
        if self.moment == ("epoch", epoch):
            self.action(self.model)


def crash(model):
    raise CrashError


def stop(model):
    model.stop_training = True


def make(seed):
    """A GAN with everything that has a state of its own."""
    keras.utils.set_random_seed(seed)
    networks = kgan.networks.mlp((8, 8, 1), latent_dim=4, num_classes=3, width=4)
    gan = kgan.GAN(*networks, seed=seed)
    gan.compile(
        generator_optimizer=keras.optimizers.Adam(1e-2),
        discriminator_optimizer=keras.optimizers.Adam(2e-2, beta_1=0.5),
        penalties=["lecam", kgan.penalties.R1(0.1, interval=2)],
        ema_decay=0.9,
        augmentation=kgan.augmentations.AdaptiveAugment(
            ("integer_translation",), images_to_one=200, interval=2
        ),
    )
    return gan


def callbacks(folder, dataset):
    """All that remember something, each so that it has much to remember."""
    evaluation = kgan.callbacks.PeriodicEvaluation(dataset, every=2, count=20, features="pixels")
    return [
        evaluation,
        kgan.callbacks.CollapseAlarm(dataset, count=20, patience=2),
        kgan.callbacks.LossHistory(folder / "history.csv", plot=folder / "losses.png"),
        kgan.callbacks.SampleGrid(folder / "grids", columns=2, every_batches=3),
        kgan.callbacks.SampleGrid(folder / "grids", columns=2),
        keras.callbacks.LearningRateScheduler(lambda epoch, rate: rate * 0.9),
        keras.callbacks.ReduceLROnPlateau(
            "generator_loss", mode="min", factor=0.5, patience=1, min_delta=9.0
        ),
        keras.callbacks.EarlyStopping("val_fcd", mode="min", patience=9, restore_best_weights=True),
        keras.callbacks.ModelCheckpoint(
            folder / "best.keras", monitor="val_fcd", mode="min", save_best_only=True
        ),
    ]


def train(folder, gan, images, labels, extra=(), **backup):
    """Fits, or goes on with what is in the folder, and tells all that it came to."""
    data = kgan.data.ImageDataset(images, labels, batch_size=16, seed=5)
    held_out = kgan.data.ImageDataset(images[:32], labels[:32], batch_size=16, shuffle=False)
    chosen = callbacks(folder, data)
    history = gan.fit(
        data,
        epochs=EPOCHS,
        steps_per_epoch=STEPS,
        verbose=0,
        validation_data=held_out,
        callbacks=[
            # First, so that it is for `fit` to see that it comes last.
            kgan.callbacks.BackupAndRestore(folder / "backup", **backup),
            *chosen,
            *extra,
        ],
    )
    return {
        "state": state(gan),
        "epochs": (gan.epochs_trained, gan.batches_trained),
        "history": (history.epoch, history.history),
        "evaluations": {n: e["fcd"] for n, e in chosen[0].evaluations.items()},
        "alarms": chosen[1].alarms,
        "csv": list(csv.reader((folder / "history.csv").read_text().splitlines())),
        "files": {
            path.relative_to(folder): path.read_bytes()
            for path in sorted((folder / "grids").iterdir())
        },
    }


def state(gan):
    """Everything that is in a variable, the noise's states among them."""
    return [np.array(v) for v in (*gan.variables, *gan.optimizer.variables)]


def assert_same_state(one, other):
    for a, b in zip(one, other, strict=True):
        np.testing.assert_array_equal(a, b)


def assert_same(one, other):
    assert one.keys() == other.keys()
    assert_same_state(one["state"], other["state"])
    # As text, since NaN is not NaN.
    assert json.dumps(one["history"]) == json.dumps(other["history"])
    for name in ("epochs", "evaluations", "alarms", "csv"):
        assert one[name] == other[name], name
    assert one["files"].keys() == other["files"].keys()
    assert one["files"] == other["files"]


@pytest.fixture(scope="module")
def data():
    random = np.random.default_rng(0)
    return random.integers(0, 256, (96, 8, 8), "uint8"), (np.arange(96) % 3).astype("int32")


@pytest.fixture(scope="module")
def gans(tmp_path_factory):
    """Two GANs that take turns: whichever goes on has another state of its own.

    Called with a number, gives one of them; with 0, with the state that all trainings begin from.
    """
    pair = [make(seed) for seed in (1, 2)]
    start = tmp_path_factory.mktemp("start") / "start.weights.h5"
    pair[0].save_weights(start)

    def turn(number):
        gan = pair[number % 2]
        if number == 0:
            gan.load_weights(start)
        return gan

    return turn


@pytest.fixture(scope="module")
def whole(gans, data, tmp_path_factory):
    """Training that nothing interrupted."""
    folder = tmp_path_factory.mktemp("whole")
    found = train(folder, gans(0), *data)
    assert found["epochs"] == (EPOCHS, 0)
    assert len(found["files"]) == EPOCHS * STEPS // 3 + EPOCHS + 1
    assert not list((folder / "backup").iterdir())
    return found


@pytest.mark.parametrize(
    ("moments", "save_freq"),
    [
        # Within the first epoch, and again two epochs on.
        ([("batch", 0, 2), ("batch", 2, 4)], 2),
        # Between an epoch's last batch, with which it was saved, and its end, the last epoch's too;
        # while callbacks are told of its end; within an epoch of which nothing is saved.
        ([("test", 0), ("epoch", 1), ("batch", 2, 3), ("test", EPOCHS - 1)], STEPS),
    ],
    ids=str,
)
def test_killed_and_resumed(whole, gans, data, tmp_path, moments, save_freq):
    for number, moment in enumerate(moments):
        with pytest.raises(CrashError):
            train(tmp_path, gans(number), *data, save_freq=save_freq, extra=[At(moment, crash)])
    assert_same(whole, train(tmp_path, gans(len(moments)), *data, save_freq=save_freq))


def test_stopped_and_resumed(whole, gans, data, tmp_path):
    # The last batch of an epoch ends it as always.
    moments = [(0, 0), (1, STEPS - 1), (2, 1), (2, 2), (3, 3)]
    for number, (epoch, batch) in enumerate(moments):
        found = train(tmp_path, gans(number), *data, extra=[At(("batch", epoch, batch), stop)])
        is_whole = batch == STEPS - 1
        assert found["epochs"] == ((epoch + 1, 0) if is_whole else (epoch, batch + 1))
    assert_same(whole, train(tmp_path, gans(len(moments)), *data))


def test_a_saved_model_knows_its_next_batch(make_gan, dataset, tmp_path):
    # With several steps at a time, with averages that take the weights' place in the end, and with
    # a rate that falls with every step.
    at_once = 2 if _backend.multiple_steps(None) else 1
    path = tmp_path / "gan.keras"

    def train(gan, epochs, extra=()):
        checkpoint = kgan.callbacks.Checkpoint(path, every_batches=4)
        batches = []
        seen = keras.callbacks.LambdaCallback(
            on_train_batch_begin=lambda n, logs: batches.append(n)
        )
        gan.fit(
            dataset,
            initial_epoch=gan.epochs_trained,
            epochs=epochs,
            verbose=0,
            callbacks=[seen, *extra, checkpoint],
        )
        return batches

    keras.utils.set_random_seed(1)
    averaged = keras.optimizers.SGD(0.1, use_ema=True, ema_momentum=0.5)
    falling = keras.optimizers.Adam(keras.optimizers.schedules.ExponentialDecay(0.1, 2, 0.5))
    whole = make_gan(
        "dcgan",
        generator_optimizer=averaged,
        discriminator_optimizer=falling,
        steps_per_execution=at_once,
    )
    start = tmp_path / "start.keras"
    whole.save(start)
    assert train(whole, 1) == list(range(0, 6, at_once))
    gan = keras.saving.load_model(start)
    with pytest.raises(CrashError):
        train(gan, 1, [At(("batch", 0, 5), crash)])
    gan = keras.saving.load_model(path)
    assert (gan.epochs_trained, gan.batches_trained) == (0, 4)
    assert train(gan, 1) == list(range(4, 6, at_once))
    assert_same_state(state(whole), state(gan))
    rate = gan.optimizer.discriminator_optimizer.learning_rate
    np.testing.assert_allclose(keras.ops.convert_to_numpy(rate), 0.1 * 0.5 ** (6 / 2), rtol=1e-6)
    # And on: two epochs in one `fit` that begins within the first of them.
    gan = keras.saving.load_model(start)
    train(gan, 1, [At(("batch", 0, 1), stop)])
    assert (gan.epochs_trained, gan.batches_trained) == (0, 2)
    assert train(gan, 2) == [*range(2, 6, at_once), *range(0, 6, at_once)]
    assert (gan.epochs_trained, gan.batches_trained) == (2, 0)


@pytest.mark.backend_free
def test_other_data_begin_the_epoch_anew(make_gan, dataset, images):
    gan = make_gan("mlp")
    gan.fit(dataset, verbose=0, callbacks=[At(("batch", 0, 3), stop)])
    assert gan.batches_trained == 4
    other = kgan.data.ImageDataset(images, batch_size=32, seed=5)
    with pytest.warns(UserWarning, match=r"after batch 4 of 6 of epoch 1.*Received: one with 3 ba"):
        gan.fit(other, verbose=0)
    assert (gan.epochs_trained, gan.batches_trained) == (1, 0)
    assert int(gan.optimizer.iterations) == 4 + 3


def rate_of(gan):
    return float(keras.ops.convert_to_numpy(gan.optimizer.learning_rate))


@pytest.mark.backend_free
def test_what_is_set_or_compiled_since_is_what_an_epoch_goes_on_with(make_gan, dataset):
    gan = make_gan("mlp")
    scheduler = keras.callbacks.LearningRateScheduler(lambda epoch, rate: rate * 0.5)
    gan.fit(dataset, verbose=0, callbacks=[scheduler, At(("batch", 0, 1), stop)])
    np.testing.assert_allclose(rate_of(gan), 1e-4, rtol=1e-6)
    gan.optimizer.learning_rate = 1e-5
    gan.fit(dataset, verbose=0, callbacks=[scheduler, At(("batch", 0, 2), stop)])
    # Not halved again: the epoch had begun.
    np.testing.assert_allclose(rate_of(gan), 1e-5, rtol=1e-6)
    gan.compile(keras.optimizers.SGD(1e-3), keras.optimizers.SGD(1e-3), penalties="r1")
    rest = At(("batch", 0, 5), lambda gan: None)
    history = gan.fit(dataset, verbose=0, callbacks=[rest]).history
    np.testing.assert_allclose(rate_of(gan), 1e-3, rtol=1e-6)
    assert (gan.epochs_trained, gan.batches_trained) == (1, 0)
    assert int(gan.optimizer.iterations) == 3
    assert history["r1"][0] > 0


@pytest.mark.backend_free
def test_a_fit_up_to_where_it_was_trained_trains_nothing(make_gan, dataset):
    gan = make_gan("mlp")
    gan.fit(dataset, epochs=2, verbose=0, callbacks=[At(("batch", 1, 3), stop)])
    gan.fit(dataset, initial_epoch=1, epochs=1, verbose=0)
    assert int(gan.optimizer.iterations) == 6 + 4
    gan.fit(dataset, initial_epoch=1, epochs=2, verbose=0)  # which has forgotten nothing of it
    assert int(gan.optimizer.iterations) == 6 + 6


@pytest.mark.backend_free
def test_another_fit_begins_with_a_whole_epoch(make_gan, dataset):
    gan = make_gan("mlp")
    gan.fit(dataset, epochs=2, verbose=0, callbacks=[At(("batch", 1, 3), stop)])
    history = gan.fit(dataset, epochs=1, verbose=0)  # not the epoch that was begun: `fit` says so
    assert history.epoch == [0]
    assert int(gan.optimizer.iterations) == 6 + 4 + 6


@pytest.mark.backend_free
def test_an_error_leaves_nothing_half_counted(make_gan, dataset):
    gan = make_gan("mlp")
    with pytest.raises(CrashError):
        gan.fit(dataset, verbose=0, callbacks=[At(("batch", 0, 3), crash)])
    assert (gan.epochs_trained, gan.batches_trained) == (0, 0)
    gan.fit(dataset, verbose=0)
    assert int(gan.optimizer.iterations) == 4 + 6


@pytest.mark.backend_free
def test_data_whose_place_no_file_can_hold(make_gan, images, tmp_path):
    pictures = images[..., None].astype("float32") / 127.5 - 1
    backup = kgan.callbacks.BackupAndRestore(tmp_path, save_freq=2)
    with pytest.raises(CrashError):
        make_gan("mlp").fit(
            pictures, batch_size=16, epochs=2, verbose=0,
            callbacks=[backup, At(("batch", 1, 3), crash)],
        )  # fmt: skip
    gan = make_gan("mlp")
    with pytest.warns(EpochRestartWarning, match="an unknown number of batches.*begins again"):
        history = gan.fit(pictures, batch_size=16, epochs=2, verbose=0, callbacks=[backup])
    assert history.epoch == [0, 1]  # what was remembered of the epoch before is there
    assert [len(values) for values in history.history.values()] == [2] * len(history.history)
    assert gan.epochs_trained == 2
    assert int(gan.optimizer.iterations) == 6 + 4 + 6


def test_an_epoch_of_arrays_that_was_stopped_within_is_not_counted(make_gan, images, tmp_path):
    pictures = images[..., None].astype("float32") / 127.5 - 1
    backup = kgan.callbacks.BackupAndRestore(tmp_path)
    for stopped, whole in ((3, False), (5, True)):
        gan = make_gan("mlp")
        gan.fit(
            pictures, batch_size=16, verbose=0, callbacks=[backup, At(("batch", 0, stopped), stop)]
        )
        assert gan.epochs_trained == whole
        assert gan.batches_trained == (0 if whole else 4)
        assert backup.path.exists()
        if not whole:
            with pytest.warns(EpochRestartWarning):
                gan.fit(pictures, batch_size=16, verbose=0, callbacks=[backup])
            assert int(gan.optimizer.iterations) == 4 + 6
            assert not backup.path.exists()


@pytest.mark.backend_free
def test_an_epoch_whose_end_nobody_knows_is_not_counted_either(make_gan, images):
    pictures = images[..., None].astype("float32") / 127.5 - 1
    gan = make_gan("mlp")
    batches = ((pictures[:16],) for _ in range(6))
    gan.fit(batches, verbose=0, callbacks=[At(("batch", 0, 3), stop)])
    assert (gan.epochs_trained, gan.batches_trained) == (0, 4)


@pytest.mark.backend_free
def test_a_backup_is_there_as_long_as_it_is_needed(make_gan, dataset, tmp_path):
    path = tmp_path / "backup" / "latest.keras"

    def fit(*extra, **options):
        backup = kgan.callbacks.BackupAndRestore(tmp_path / "backup", **options)
        make_gan("mlp").fit(dataset, epochs=2, verbose=0, callbacks=[backup, *extra])

    fit(At(("batch", 0, 5), stop))  # stopped with an epoch's last batch
    assert path.exists()
    fit()
    assert not path.exists()
    fit(delete_checkpoint=False)
    assert keras.saving.load_model(path).epochs_trained == 2
    fit()  # has nothing to do
    with pytest.raises(ValueError, match='save_freq` to be "epoch" or'):
        kgan.callbacks.BackupAndRestore(tmp_path, save_freq="batch")


@pytest.mark.backend_free
def test_the_backup_of_another_model_is_refused(make_gan, dataset, tmp_path):
    def fit(network, **options):
        backup = kgan.callbacks.BackupAndRestore(tmp_path, delete_checkpoint=False)
        make_gan(network, **options).fit(dataset, verbose=0, callbacks=[backup])

    fit("mlp")
    before = (tmp_path / "latest.keras").read_bytes()
    for network, options in (
        ("dcgan", {}),
        ("mlp", {"ema_decay": 0.9}),
        # Keras would warn, and go on without an optimizer's moments.
        ("mlp", {"generator_optimizer": keras.optimizers.SGD(0.1)}),
    ):
        with pytest.raises(ValueError, match=r"latest\.keras to be a backup of this model"):
            fit(network, **options)
    (tmp_path / "latest.keras").write_bytes(before[:1000])
    with pytest.raises(ValueError, match="Delete it to train from scratch"):
        fit("mlp")


class Counting(keras.callbacks.Callback):
    """A callback of a user's own, with a state."""

    def __init__(self):
        super().__init__()
        self.seen = {"batches": 0, "losses": np.zeros(2), "none": None, 3: [1.5, "text", True]}

    def on_train_batch_end(self, batch, logs=None):
        self.seen["batches"] += 1
        self.seen["losses"] = self.seen["losses"] + [1, batch]

    def get_state(self):
        return self.seen

    def set_state(self, state):
        self.seen = state


@pytest.mark.backend_free
def test_callbacks_of_ones_own(make_gan, dataset, tmp_path):
    gan = make_gan("mlp")
    counters = Counting(), Counting()
    counters[1].seen["batches"] = 100
    gan.fit(dataset, verbose=0, callbacks=[*counters, At(("batch", 0, 3), stop)])
    gan.save(tmp_path / "gan.keras")
    loaded = keras.saving.load_model(tmp_path / "gan.keras")
    fresh = Counting(), Counting()
    # They may come and go: the first of a class has the state of the first of its class.
    loaded.fit(dataset, verbose=0, callbacks=[At(None, stop), *fresh])
    assert [each.seen["batches"] for each in fresh] == [6, 106]
    np.testing.assert_array_equal(fresh[0].seen["losses"], [6, 15])
    assert fresh[0].seen[3] == [1.5, "text", True]
    assert fresh[0].seen["none"] is None
    unstorable = At(("batch", 1, 0), lambda _: fresh[0].seen.update(none={1, 2}))
    with pytest.raises(TypeError, match=r"numbers, strings, .*Received: \{1, 2\}, a set"):
        loaded.fit(
            dataset, epochs=2, initial_epoch=1, verbose=0,
            callbacks=[fresh[0], unstorable, kgan.callbacks.Checkpoint(tmp_path / "gan.keras")],
        )  # fmt: skip
    assert keras.saving.load_model(tmp_path / "gan.keras").epochs_trained == 0


def test_a_gan_that_was_compiled_twice_is_resumed_within_an_epoch(make_gan, dataset, tmp_path):
    gans = []
    for stopping in ([], [At(("batch", 0, 2), stop)]):
        keras.utils.set_random_seed(1)
        gan = make_gan("mlp", penalties="lecam", ema_decay=0.9)
        gan.compile(penalties="r1", ema_decay=0.5)
        gan.fit(dataset, verbose=0, callbacks=stopping)
        gans.append(gan)
    gans[1].save(tmp_path / "gan.keras")
    loaded = keras.saving.load_model(tmp_path / "gan.keras")
    loaded.fit(dataset, verbose=0)
    assert_same_state(state(gans[0]), state(loaded))


@pytest.mark.backend_free
def test_a_signal_while_an_epoch_closes_leaves_the_backup(make_gan, dataset, tmp_path):
    path = tmp_path / "latest.keras"

    def fit(*moments):
        on_signal = kgan.callbacks.StopOnSignal()
        at = [At(moment, lambda _: signal.raise_signal(signal.SIGTERM)) for moment in moments]
        backup = kgan.callbacks.BackupAndRestore(tmp_path)
        make_gan("mlp").fit(dataset, epochs=3, verbose=0, callbacks=[on_signal, *at, backup])
        return on_signal.received

    assert fit(("epoch", 1)) == signal.SIGTERM
    assert keras.saving.load_model(path).epochs_trained == 2
    assert fit(("epoch", 2)) == signal.SIGTERM
    assert not path.exists()  # that was the last


@pytest.mark.backend_free
def test_what_is_kept_of_callbacks_is_not_what_they_go_on_changing(make_gan, dataset):
    class Counting(keras.callbacks.Callback):
        def __init__(self):
            super().__init__()
            self.seen = {"epochs": []}

        def on_epoch_end(self, epoch, logs=None):
            self.seen["epochs"].append(epoch)

        def get_state(self):
            return self.seen

        def set_state(self, state):
            self.seen = state

    gan, first, second = make_gan("mlp"), Counting(), Counting()
    gan.fit(dataset, epochs=2, verbose=0, callbacks=[first])
    first.seen["epochs"].clear()
    gan.fit(dataset, initial_epoch=2, epochs=3, verbose=0, callbacks=[second])
    assert second.seen == {"epochs": [0, 1, 2]}

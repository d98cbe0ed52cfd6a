"""Training that was interrupted anywhere and resumed ends as training that was not, bit for bit."""

import csv
import json

import keras
import numpy as np
import pytest

import kgan

pytestmark = pytest.mark.filterwarnings("ignore::kgan.callbacks.CollapseWarning")

EPOCHS = 4
STEPS = 5  # to an epoch, of a dataset of six batches: no epoch begins where a pass does


class CrashError(Exception):
    """What ends the process, in these tests."""


class At(keras.callbacks.Callback):
    """Does something once, at a moment: `("batch", epoch, batch)` or `("epoch", epoch)`."""

    def __init__(self, moment, action):
        super().__init__()
        self.moment = moment
        self.action = action

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        if self.moment == ("batch", self.epoch, batch):
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
        "state": [np.array(v) for v in (*gan.variables, *gan.optimizer.variables)],
        "noise": [np.array(v) for v in gan._noise_states()],
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


def assert_same(one, other):
    assert one.keys() == other.keys()
    for name in ("state", "noise"):
        for a, b in zip(one[name], other[name], strict=True):
            np.testing.assert_array_equal(a, b)
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
        # While callbacks are told of the epoch's end; within an epoch of which nothing is saved.
        ([("epoch", 1), ("batch", 2, 3)], "epoch"),
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

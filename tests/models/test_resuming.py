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


def make(seed, **compile_options):
    """A GAN with everything that has a state of its own."""
    keras.utils.set_random_seed(seed)  # another one after each interruption: it must not matter
    networks = kgan.networks.mlp((8, 8, 1), latent_dim=4, num_classes=3, width=4)
    gan = kgan.GAN(*networks, seed=3)
    gan.compile(
        **{
            "generator_optimizer": keras.optimizers.Adam(1e-2),
            "discriminator_optimizer": keras.optimizers.Adam(2e-2, beta_1=0.5),
            "penalties": ["lecam", kgan.penalties.R1(0.1, interval=2)],
            "ema_decay": 0.9,
            "augmentation": kgan.augmentations.AdaptiveAugment(
                ("integer_translation",), images_to_one=200, interval=2
            ),
            **compile_options,
        }
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


def train(folder, images, labels, seed=1, extra=(), **backup):
    """Fits, or goes on with what is in the folder, and tells all that it came to."""
    data = kgan.data.ImageDataset(images, labels, batch_size=16, seed=5)
    held_out = kgan.data.ImageDataset(images[:32], labels[:32], batch_size=16, shuffle=False)
    gan = make(seed)
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
def whole(data, tmp_path_factory):
    """Training that nothing interrupted."""
    folder = tmp_path_factory.mktemp("whole")
    found = train(folder, *data)
    assert found["epochs"] == (EPOCHS, 0)
    assert len(found["files"]) == EPOCHS * STEPS // 3 + EPOCHS + 1
    assert not list((folder / "backup").iterdir())
    return found


@pytest.mark.parametrize(
    ("moments", "save_freq"),
    [
        # Killed within the first epoch, and again two epochs on.
        ([("batch", 0, 2), ("batch", 2, 4)], 2),
        # Killed while callbacks are told of the epoch's end.
        ([("epoch", 1)], "epoch"),
        # Killed within an epoch, of which nothing was saved.
        ([("batch", 1, 3)], "epoch"),
    ],
    ids=str,
)
def test_killed_and_resumed(whole, data, tmp_path, moments, save_freq):
    for number, moment in enumerate(moments):
        with pytest.raises(CrashError):
            train(tmp_path, *data, 1 + number, save_freq=save_freq, extra=[At(moment, crash)])
    assert_same(whole, train(tmp_path, *data, 7, save_freq=save_freq))


@pytest.mark.parametrize(
    "moments",
    [
        [("batch", 0, 0), ("batch", 1, 4)],  # the last batch of an epoch ends it as always
        [("batch", 1, 2), ("batch", 1, 3), ("batch", 3, 3)],
    ],
    ids=str,
)
def test_stopped_and_resumed(whole, data, tmp_path, moments):
    for number, moment in enumerate(moments):
        _, epoch, batch = moment
        found = train(tmp_path, *data, 1 + number, extra=[At(moment, stop)])
        is_whole = batch == STEPS - 1
        assert found["epochs"] == ((epoch + 1, 0) if is_whole else (epoch, batch + 1))
    assert_same(whole, train(tmp_path, *data, 7))

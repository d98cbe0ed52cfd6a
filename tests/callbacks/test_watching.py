"""Callbacks that watch a training: figures in the logs, alarms, the first NaN."""

import csv
import math
import warnings

import keras
import numpy as np
import pytest
from scipy import ndimage

import kgan
from kgan import _backend
from kgan.callbacks.collapse_alarm import signs_in_features, signs_in_gradient
from kgan.metrics import Evaluator, Features
from kgan.training.log_names import Gradient

FIGURES = {"fcd", "kid", "precision", "recall", "density", "coverage"}


class Spy(keras.callbacks.Callback):
    def __init__(self):
        super().__init__()
        self.logs = []

    def on_epoch_end(self, epoch, logs=None):
        self.logs.append(dict(logs))


def evaluation_of(dataset, **options):
    return kgan.callbacks.PeriodicEvaluation(dataset, count=40, features="pixels", **options)


def test_figures_stand_in_the_logs_for_every_callback_after(make_gan, dataset, tmp_path):
    gan, spy = make_gan(), Spy()
    evaluation = evaluation_of(dataset)
    table = keras.callbacks.CSVLogger(tmp_path / "log.csv")
    best = keras.callbacks.ModelCheckpoint(
        tmp_path / "best.keras", monitor="val_fcd", mode="min", save_best_only=True
    )
    history = gan.fit(dataset, epochs=3, verbose=0, callbacks=[evaluation, spy, table, best])
    assert {f"val_{name}" for name in FIGURES} <= set(spy.logs[0])
    assert history.history["val_fcd"] == [logs["val_fcd"] for logs in spy.logs]
    with (tmp_path / "log.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [float(row["val_fcd"]) for row in rows] == history.history["val_fcd"]
    for epoch, found in evaluation.evaluations.items():
        for name in FIGURES:
            assert spy.logs[epoch - 1][f"val_{name}"] == found[name]
    # The file is of the epoch whose figure was the best: it evaluates to that figure.
    again = Evaluator(dataset, 40, features="pixels", thorough=False)
    saved = keras.saving.load_model(tmp_path / "best.keras")
    assert again.evaluate(saved)["fcd"] == pytest.approx(min(history.history["val_fcd"]))


def test_tensorboard_sees_the_figures(make_gan, dataset, tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.util import tensor_util

    board = keras.callbacks.TensorBoard(tmp_path)
    history = (
        make_gan()
        .fit(dataset, epochs=2, verbose=0, callbacks=[evaluation_of(dataset), board])
        .history
    )
    (events,) = tmp_path.glob("validation/*")
    read = EventAccumulator(str(events)).Reload()
    written = [tensor_util.make_ndarray(e.tensor_proto) for e in read.Tensors("epoch_fcd")]
    np.testing.assert_allclose(written, history["val_fcd"], rtol=1e-6)


def test_epochs_between_are_nan_and_no_watcher_takes_them_for_better(make_gan, dataset, tmp_path):
    gan = make_gan()
    table = keras.callbacks.CSVLogger(tmp_path / "log.csv")
    patient = keras.callbacks.EarlyStopping(monitor="val_fcd", mode="min", patience=9)
    history = gan.fit(
        dataset,
        epochs=4,
        verbose=0,
        callbacks=[evaluation_of(dataset, every=2), table, patient],
    ).history
    assert [math.isnan(value) for value in history["val_fcd"]] == [False, False, True, False]
    assert patient.best == np.nanmin(history["val_fcd"])
    with (tmp_path / "log.csv").open() as file:
        assert "val_recall" in next(csv.reader(file))


def test_evaluating_in_fit_does_not_change_training(make_gan, dataset):
    def trained(*callbacks):
        keras.utils.set_random_seed(4)
        gan = make_gan()
        gan.fit(dataset, epochs=2, verbose=0, callbacks=list(callbacks))
        return [np.asarray(v) for v in gan.weights]

    alone = trained()
    watched = trained(
        evaluation_of(dataset),
        kgan.callbacks.CollapseAlarm(dataset, count=40, features="pixels", patience=9),
        kgan.callbacks.TerminateOnNaN(),
    )
    for a, b in zip(alone, watched, strict=True):
        np.testing.assert_array_equal(a, b)


def test_conditional_models_have_their_accuracy_in_the_logs(make_gan, images, labels):
    class Told:
        """Sees the class of a real image without fail."""

        name, num_classes = "told", 3

        def __call__(self, shown):
            flat = shown.reshape(len(shown), -1)
            return Features(flat.astype("float32"), np.minimum(flat[:, 0], 2).astype("int64"))

        def fingerprint(self):
            return None

    images[:, 0, 0] = labels
    marked = kgan.data.ImageDataset(images, labels, batch_size=32)
    spy = Spy()
    evaluation = kgan.callbacks.PeriodicEvaluation(marked, count=30, features=Told())
    make_gan(num_classes=3).fit(marked, epochs=2, verbose=0, callbacks=[evaluation, spy])
    assert [len(each.samples) for each in evaluation.evaluations.values()] == [0, 30]
    assert 0 <= spy.logs[0]["val_label_accuracy"] <= 1
    assert evaluation.evaluations[1].figures["label_accuracy"].floor == 1.0
    make_gan().fit(marked, verbose=0, callbacks=[evaluation, spy])
    assert "val_label_accuracy" not in spy.logs[2]


def test_a_model_that_has_diverged_has_nan_figures(make_gan, dataset):
    gan, spy = make_gan(), Spy()
    gan.generator.trainable_variables[0].assign(
        np.full(gan.generator.trainable_variables[0].shape, np.nan)
    )
    evaluation = evaluation_of(dataset)
    gan.fit(dataset, verbose=0, callbacks=[evaluation, spy])
    assert math.isnan(spy.logs[0]["val_fcd"])
    assert not evaluation.evaluations


def test_all_of_them_in_a_loop_of_ones_own(dataset):
    class Model:
        """Anything with `generate` that a CallbackList takes."""

        stop_training = False

        def generate(self, n, seed=None):
            return dataset.draw(n, seed=7)[0]

    spy, nan = Spy(), kgan.callbacks.TerminateOnNaN()
    model = Model()
    callbacks = keras.callbacks.CallbackList(
        [
            evaluation_of(dataset),
            kgan.callbacks.CollapseAlarm(dataset, count=40, features="pixels"),
            nan,
            spy,
        ],
    )
    callbacks.set_model(model)
    callbacks.on_train_begin()
    callbacks.on_epoch_begin(0)
    callbacks.on_train_batch_end(0, {"my_loss": 1.0})
    callbacks.on_epoch_end(0, {"my_loss": 1.0})
    assert spy.logs[0]["my_loss"] == 1.0
    assert spy.logs[0]["val_recall"] > 0.5
    with pytest.warns(kgan.callbacks.NaNWarning, match="epoch 1, batch 2: my_loss is nan"):
        callbacks.on_train_batch_end(1, {"my_loss": float("nan")})
    assert nan.first == "my_loss"
    assert model.stop_training


# ---- the alarm -----------------------------------------------------------------------------------


class Fixed:
    """A model whose samples are given."""

    stop_training = False
    num_classes = None

    def __init__(self, images):
        self.images = images

    def generate(self, n, seed=None):
        return self.images[np.arange(n) % len(self.images)]


@pytest.fixture(scope="module")
def digits():
    return kgan.data.load_digits("train")


def alarmed(dataset, model, *epochs, **options):
    """The signs that an alarm gives, with these logs of epochs."""
    alarm = kgan.callbacks.CollapseAlarm(dataset, **options)
    alarm.set_model(model)
    alarm.on_train_begin()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        warnings.filterwarnings("ignore", "__array__ implementation")  # Keras meeting NumPy 2
        for epoch, logs in enumerate(epochs):
            alarm.on_epoch_end(epoch, logs)
    assert [str(w.message) for w in caught] == [a.message for a in alarm.alarms]
    assert all(w.category is kgan.callbacks.CollapseWarning for w in caught)
    return [(found.epoch, found.sign) for found in alarm.alarms]


def real_images(digits):
    return Fixed(digits.draw(1000, seed=9)[0])


def alarmed_by_logs(digits, *epochs, **options):
    """The signs that an alarm gives of logs alone: its samples are real, and quickly compared."""
    return alarmed(digits, real_images(digits), *epochs, count=100, features="pixels", **options)


def test_real_images_raise_no_alarm(digits):
    healthy = {
        "discriminator_accuracy": 0.75,
        "discriminator_gradient_norm": 6.0,
        "generator_gradient_norm": 1.5,
    }
    assert alarmed(digits, real_images(digits), healthy, healthy) == []


def test_one_image_raises_three_and_says_them_once(digits):
    one = Fixed(digits.draw(1, seed=9)[0])
    signs = ["spread", "missing_classes", "repeats"]
    assert alarmed(digits, one, {}, {}) == [(1, sign) for sign in signs]


def test_an_alarm_stops_only_where_it_is_told_to(digits):
    for stop in (False, True):
        one = Fixed(digits.draw(1, seed=9)[0])
        alarmed(digits, one, {}, stop=stop)
        assert one.stop_training is stop


def test_patience_and_a_sign_that_goes_and_comes_back(digits):
    stuck, free = {"discriminator_accuracy": 1.0}, {"discriminator_accuracy": 0.8}
    epochs = (stuck, stuck, free, stuck, stuck, stuck)
    sign = "discriminator_certain"
    assert alarmed_by_logs(digits, *epochs) == [(1, sign), (4, sign)]
    assert alarmed_by_logs(digits, *epochs, patience=2) == [(2, sign), (5, sign)]
    assert alarmed_by_logs(digits, *epochs, patience=3) == [(6, sign)]


def test_a_discriminator_that_is_always_wrong(digits):
    logs = {"discriminator_accuracy": 0.0}
    assert alarmed_by_logs(digits, logs) == [(1, "discriminator_fooled")]


@pytest.mark.parametrize(
    ("logs", "sign"),
    [
        ({"kl": 12.0, "active_units": 7.5}, None),
        ({"kl": 0.05, "active_units": 3.0}, "posterior_collapse"),
        ({"kl": 3.0, "active_units": 0.0}, "posterior_collapse"),
        ({"kl": 0.0, "active_units": 0.0}, "posterior_collapse"),  # one alarm, not two
        ({"kl": 12.0, "val_kl": 0.0}, None),
    ],
)
def test_posterior_collapse(digits, logs, sign):
    assert alarmed_by_logs(digits, logs) == ([] if sign is None else [(1, sign)])


def test_posterior_collapse_of_a_vae_in_fit():
    dataset = kgan.data.load_digits("train", batch_size=100, binarize="dynamic", seed=0)
    networks = kgan.networks.dense_vae((28, 28, 1), latent_dim=2, width=8, blocks=1)
    vae = kgan.VAE(*networks, seed=0)
    vae.compile(keras.optimizers.Adam(1e-2), beta=1000.0)
    alarm = kgan.callbacks.CollapseAlarm(dataset, count=100, features="pixels", warm_up=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        logs = vae.fit(dataset, epochs=6, verbose=0, callbacks=[alarm]).history
    assert logs["kl"][-1] < 0.1 < logs["kl"][0]
    assert "posterior_collapse" in [found.sign for found in alarm.alarms]


def epochs_of_spread(gan, dataset, **options):
    """The epochs, of two with 4 steps each, after which the sign `spread` appears."""
    alarm = kgan.callbacks.CollapseAlarm(dataset, count=40, features="pixels", **options)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", kgan.callbacks.CollapseWarning)
        gan.fit(dataset, epochs=2, steps_per_epoch=4, verbose=0, callbacks=[alarm])
    return [found.epoch for found in alarm.alarms if found.sign == "spread"]


def test_a_model_that_has_only_begun_to_learn_raises_no_alarm(make_gan, dataset):
    # Its samples are grey, which would be a sign after many steps.
    assert epochs_of_spread(make_gan(), dataset) == []
    assert epochs_of_spread(make_gan(), dataset, warm_up=9) == []
    assert epochs_of_spread(make_gan(), dataset, warm_up=8) == [2]
    assert epochs_of_spread(make_gan(), dataset, warm_up=0) == [1]


def test_the_steps_of_an_earlier_training_are_of_the_warm_up(make_gan, dataset):
    gan = make_gan()
    gan.fit(dataset, epochs=1, steps_per_epoch=4, verbose=0)
    assert epochs_of_spread(gan, dataset, warm_up=8) == [1]


def test_an_epoch_that_is_interrupted_raises_no_alarm(make_gan, dataset):
    class Stop(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            self.model.stop_training = True

    gan = make_gan()
    alarm = kgan.callbacks.CollapseAlarm(dataset, count=40, features="pixels")
    gan.fit(dataset, epochs=1, verbose=0, callbacks=[Stop(), alarm])
    assert (gan.batches_trained, alarm.alarms) == (1, [])


def test_limits_of_logs_have_the_warm_up_and_repeats_have_none(make_gan, dataset):
    gan = make_gan()
    last = gan.generator.trainable_variables[-1]
    kernel = gan.generator.trainable_variables[-2]
    kernel.assign(np.zeros(kernel.shape))  # all samples are the bias
    last.assign(np.zeros(last.shape))
    logs = {"discriminator_accuracy": 1.0, "discriminator_gradient_norm": 1e9}
    options = {"count": 40, "features": "pixels"}
    always = ["repeats", "exploded_gradient of the discriminator"]
    signs = [sign for _, sign in alarmed(dataset, gan, logs, **options)]
    assert signs == always
    signs = {sign for _, sign in alarmed(dataset, gan, logs, warm_up=0, **options)}
    assert signs == {*always, "spread", "discriminator_certain"}


def test_a_model_that_makes_no_samples_is_watched_by_its_logs(digits):
    class Silent:
        stop_training = False

    assert alarmed(digits, Silent(), {"kl": 0.0}) == [(1, "posterior_collapse")]


def test_samples_that_are_no_numbers(digits):
    broken = Fixed(np.full((5, 28, 28, 1), np.nan))
    assert alarmed(digits, broken, {}) == [(1, "diverged")]


@pytest.mark.parametrize(
    ("norm", "earlier", "sign"),
    [
        (1.0, [], None),
        (1.0, [2.0, 0.5], None),
        (1e-7, [], "vanished_gradient"),
        (0.0, [0.0], "vanished_gradient"),
        (0.005, [1.0, 1.0, 0.8], "vanished_gradient"),
        (2e4, [], "exploded_gradient"),
        (150.0, [1.0, 1.2, 50.0], "exploded_gradient"),
        (math.nan, [1.0], "exploded_gradient"),
        (math.inf, [], "exploded_gradient"),
    ],
)
def test_gradients_that_vanish_or_explode(norm, earlier, sign):
    gradient = Gradient("generator", vanished="Less vanished.", exploded="Less exploded.")
    signs = dict(signs_in_gradient(gradient, norm, earlier))
    assert all(text.endswith(f"Less {name.split('_')[0]}.") for name, text in signs.items())
    assert list(signs) == ([] if sign is None else [f"{sign} of the generator"])


def test_gradient_norms_are_read_from_the_logs(digits):
    logs = [{"generator_gradient_norm": n} for n in (1.0, 2.0, 1.0, 500.0)]
    assert alarmed_by_logs(digits, *logs) == [(4, "exploded_gradient of the generator")]


@pytest.mark.parametrize("wrong", [500.0, math.nan, 1e-3])
def test_gradients_that_stay_wrong_do_not_become_the_usual_ones(digits, wrong):
    logs = [{"generator_gradient_norm": n} for n in (1.0, *[wrong] * 5)]
    sign = "vanished_gradient" if wrong < 1 else "exploded_gradient"
    for patience in (1, 2, 5):
        found = alarmed_by_logs(digits, *logs, patience=patience)
        assert found == [(1 + patience, f"{sign} of the generator")]


def test_blurred_and_fainter_pixels_are_no_repeats():
    digits = kgan.data.load_digits("train")
    real = digits.images[:400].reshape(400, -1) / np.float32(255)
    fresh = digits.images[400:800]
    blurred = ndimage.gaussian_filter(fresh / np.float32(255), (0, 1, 1, 0)).reshape(400, -1)
    fainter = 0.75 * fresh.reshape(400, -1) / np.float32(255)
    for fake in (blurred, fainter):
        assert list(signs_in_features(Features(real), Features(fake), None)) == []
    copies = fresh[np.arange(400) % 30].reshape(400, -1) / np.float32(255)
    for fake in (copies, 0.75 * copies):
        signs = [sign for sign, _ in signs_in_features(Features(real), Features(fake), None)]
        assert signs == ["repeats"]


def test_classes_that_are_not_the_datasets_are_not_missed(digits):
    other = kgan.data.ImageDataset(digits.images, (digits.labels * 3 + 1) % 10, batch_size=8)
    one = Fixed(digits.draw(1, seed=9)[0])
    assert alarmed(other, one, {}) == [(1, "spread"), (1, "repeats")]


def test_signs_name_the_classes_that_are_missing():
    generator = np.random.default_rng(0)
    vectors = generator.standard_normal((500, 8)).astype("float32")
    real = Features(vectors, np.arange(500) % 5)
    fake = Features(vectors[::-1], np.where(np.arange(500) % 5 < 2, 0, np.arange(500) % 5))
    ((sign, message),) = signs_in_features(real, fake, 5)
    assert sign == "missing_classes"
    assert "samples of class 1 are nearly absent" in message
    ((_, named),) = signs_in_features(real, fake, 5, ("cat", "dog", "fox", "hen", "owl"))
    assert "samples of class dog are nearly absent" in named


def test_images_without_features_of_their_own_are_seen_as_pixels():
    colour = np.random.default_rng(0).integers(0, 256, (60, 6, 6, 3), dtype="uint8")
    alarm = kgan.callbacks.CollapseAlarm(kgan.data.ImageDataset(colour, batch_size=8), count=40)
    alarm.set_model(Fixed(np.zeros((1, 6, 6, 3))))
    with pytest.warns(kgan.callbacks.CollapseWarning):
        alarm.on_epoch_end(0, {})
    assert [found.sign for found in alarm.alarms] == ["spread", "repeats"]


def test_plain_arrays_are_seen_as_a_dataset_of_them_is(digits):
    one = Fixed(digits.draw(1, seed=9)[0])
    assert alarmed(digits.images, one, {}) == alarmed(digits, one, {})


# ---- NaN -----------------------------------------------------------------------------------------


def test_training_goes_on_while_all_is_finite(make_gan, dataset):
    nan = kgan.callbacks.TerminateOnNaN()
    history = make_gan().fit(dataset, epochs=2, verbose=0, callbacks=[nan])
    assert nan.first is None
    assert len(history.epoch) == 2


def test_nan_in_the_data_is_the_data(make_gan, images):
    gan, nan = make_gan(), kgan.callbacks.TerminateOnNaN()
    x = images[:64, ..., None].astype("float32") / 127.5 - 1
    x[40] = np.nan
    with pytest.warns(kgan.callbacks.NaNWarning, match=r"batch 3: real_score is nan.*in the data"):
        gan.fit(x, batch_size=16, shuffle=False, epochs=3, verbose=0, callbacks=[nan])
    assert nan.first == "real_score"
    assert (gan.epochs_trained, gan.batches_trained) == (0, 3)


def test_a_generator_that_is_lost_is_named(make_gan, dataset):
    gan, nan = make_gan(), kgan.callbacks.TerminateOnNaN()
    kernel = gan.generator.trainable_variables[0]
    kernel.assign(np.full(kernel.shape, np.inf))
    with pytest.warns(kgan.callbacks.NaNWarning, match=r"fake_score.*no longer finite: .*gener"):
        gan.fit(dataset, verbose=0, callbacks=[nan])
    assert nan.first == "fake_score"


def test_a_root_of_nothing_shows_in_the_gradient_first(make_gan, dataset):
    class Rooted(kgan.losses.NonSaturating):
        def discriminator_loss(self, real_logits, fake_logits):
            zero = keras.ops.sum(real_logits - real_logits)
            return super().discriminator_loss(real_logits, fake_logits) + keras.ops.sqrt(zero)

    gan, nan = make_gan(loss=Rooted()), kgan.callbacks.TerminateOnNaN()
    with pytest.warns(kgan.callbacks.NaNWarning, match=r"batch 1: discriminator_gradient_norm"):
        gan.fit(dataset, verbose=0, callbacks=[nan])
    assert nan.first == "discriminator_gradient_norm"


@pytest.mark.parametrize(
    "many",
    [
        {"discriminator_steps": 2},
        pytest.param(
            {"steps_per_execution": 3},
            marks=pytest.mark.skipif(
                not _backend.multiple_steps(None), reason="Keras has no such here"
            ),
        ),
    ],
)
def test_of_several_updates_the_first_is_not_guessed(make_gan, dataset, many):
    class Rooted(kgan.losses.NonSaturating):
        def discriminator_loss(self, real_logits, fake_logits):
            zero = keras.ops.sum(real_logits - real_logits)
            return super().discriminator_loss(real_logits, fake_logits) + keras.ops.sqrt(zero)

    gan, nan = make_gan(loss=Rooted(), **many), kgan.callbacks.TerminateOnNaN()
    (name,) = many
    with pytest.warns(kgan.callbacks.NaNWarning, match=rf"With {name} above 1 .*is not known"):
        gan.fit(dataset, verbose=0, callbacks=[nan])


def test_logs_that_are_no_numbers_are_passed_over():
    nan = kgan.callbacks.TerminateOnNaN()
    nan.set_model(Fixed(np.zeros((1, 4, 4, 1))))
    nan.on_train_batch_end(0, {"stage": "warm-up", "matrix": np.zeros((2, 2)), "loss": 1.0})
    assert nan.first is None


def test_what_does_not_fit_shows_before_training(make_gan, dataset):
    other = np.zeros((60, 9, 9, 1), "uint8")
    gan = make_gan()
    for watcher in (kgan.callbacks.PeriodicEvaluation, kgan.callbacks.CollapseAlarm):
        with pytest.raises(ValueError, match=r"of shape \(2, 9, 9, 1\)"):
            gan.fit(dataset, verbose=0, callbacks=[watcher(other, count=20)])
    assert gan.epochs_trained == 0


def test_a_term_of_ones_own_comes_between_loss_and_gradient():
    nan = kgan.callbacks.TerminateOnNaN()
    nan.set_model(type("Model", (), {"layers": (), "stop_training": False})())
    lost = float("nan")
    logs = {"generator_loss": lost, "discriminator_gradient_norm": lost, "gradient_penalty": lost}
    with pytest.warns(kgan.callbacks.NaNWarning, match="gradient_penalty is nan"):
        nan.on_train_batch_end(4, {"discriminator_loss": 1.0, **logs})
    assert nan.first == "gradient_penalty"


def test_a_checkpoint_is_not_replaced_by_what_is_lost(make_gan, dataset, tmp_path):
    path = tmp_path / "gan.keras"
    gan = make_gan()
    gan.fit(dataset, verbose=0, callbacks=[kgan.callbacks.Checkpoint(path)])
    sound = path.read_bytes()
    kernel = gan.discriminator.trainable_variables[0]
    kernel.assign(np.full(kernel.shape, np.nan))
    with pytest.warns(kgan.callbacks.NaNWarning, match=r"Not saved: .*gan.keras stays as it was"):
        gan.fit(dataset, verbose=0, callbacks=[kgan.callbacks.Checkpoint(path)])
    assert path.read_bytes() == sound

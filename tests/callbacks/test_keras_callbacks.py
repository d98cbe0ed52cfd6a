"""Keras's own callbacks, which know one optimizer and one loss, with a GAN, which has two."""

import csv
import re

import keras
import numpy as np
import pytest

import kgan
from kgan._versions import KERAS

Adam = keras.optimizers.Adam
SGD = keras.optimizers.SGD


def rates(gan):
    pair = gan.optimizer
    return [
        float(keras.ops.convert_to_numpy(optimizer.learning_rate))
        for optimizer in (pair.generator_optimizer, pair.discriminator_optimizer)
    ]


def arrays(variables):
    return [np.array(keras.ops.convert_to_numpy(v)) for v in variables]


def assert_equal(found, expected, **tolerance):
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, b, **{"rtol": 0, "atol": 0, **tolerance})


class AtEpochEnd(keras.callbacks.Callback):
    """Keeps what `look(gan, logs)` gives at the end of each epoch."""

    def __init__(self, look):
        super().__init__()
        self.look = look
        self.seen = []

    def on_epoch_end(self, epoch, logs=None):
        self.seen.append(self.look(self.model, logs))


class Figures(keras.callbacks.Callback):
    """Puts a figure into the logs as PeriodicEvaluation does."""

    def __init__(self, *values):
        super().__init__()
        self.values = values

    def on_epoch_end(self, epoch, logs=None):
        logs["val_fcd"] = self.values[epoch]


# ---- learning rates ------------------------------------------------------------------------------


@pytest.fixture
def gan_of_two_rates(make_gan):
    return make_gan(
        "mlp", generator_optimizer=Adam(1e-3), discriminator_optimizer=Adam(4e-3, name="other")
    )


def test_learning_rate_scheduler_moves_both_by_the_same_factor(gan_of_two_rates, dataset, tmp_path):
    told = AtEpochEnd(lambda gan, logs: (*rates(gan), logs["learning_rate"]))
    halve = keras.callbacks.LearningRateScheduler(lambda epoch, rate: rate / 2)
    table = keras.callbacks.CSVLogger(tmp_path / "log.csv")
    history = gan_of_two_rates.fit(dataset, epochs=2, verbose=0, callbacks=[halve, told, table])
    # In the logs stands the generator's.
    assert_equal(told.seen, [(5e-4, 2e-3, 5e-4), (2.5e-4, 1e-3, 2.5e-4)], rtol=1e-5)
    with (tmp_path / "log.csv").open() as file:
        rows = list(csv.DictReader(file))
    for name in ("generator_loss", "discriminator_loss", "learning_rate"):
        assert [float(row[name]) for row in rows] == history.history[name]


def test_reduce_on_plateau_moves_both_by_the_same_factor(gan_of_two_rates, dataset):
    told = AtEpochEnd(lambda gan, logs: rates(gan))
    figures = Figures(9.0, 9.0, 9.0, 9.0, 1.0, 5.0, 5.0)
    reduce = keras.callbacks.ReduceLROnPlateau(
        monitor="val_fcd", mode="min", factor=0.5, patience=1, cooldown=2, min_lr=3e-4
    )
    gan_of_two_rates.fit(dataset, epochs=7, verbose=0, callbacks=[figures, reduce, told])
    expected = [1, 1 / 2, 1 / 2, 1 / 4, 1 / 4, 1 / 4, 1 / 4]
    # After the first reduction it waits an epoch, then reduces to the least rate, the generator's;
    # the better figure of the fifth epoch and the waiting hold it there.
    expected = [max(1e-3 * share, 3e-4) for share in expected]
    assert_equal(told.seen, [(rate, 4 * rate) for rate in expected], rtol=1e-5)


def test_learning_rate_schedules_are_not_overwritten(make_gan, dataset):
    schedule = keras.optimizers.schedules.ExponentialDecay(1e-3, 10, 0.9)
    gan = make_gan("mlp", discriminator_optimizer=Adam(schedule))
    scheduler = keras.callbacks.LearningRateScheduler(lambda epoch, rate: rate / 2)
    with pytest.raises(TypeError, match="discriminator's optimizer has a learning rate schedule"):
        gan.fit(dataset, verbose=0, callbacks=[scheduler])


@pytest.mark.backend_free
@pytest.mark.parametrize(
    "callback", [keras.callbacks.ReduceLROnPlateau, keras.callbacks.EarlyStopping]
)
def test_which_way_a_figure_is_better_must_be_said(make_gan, callback):
    callback = callback(monitor="val_fcd")
    callback.set_model(make_gan("mlp"))
    with pytest.raises(ValueError, match="Pass `mode='max'`"):
        callback.on_epoch_end(0, {"val_fcd": 1.0})


# ---- files ---------------------------------------------------------------------------------------


def whole_state(gan):
    return arrays([*gan.weights, *gan.optimizer.variables, *gan._noise_states()])


def test_model_checkpoint_within_an_epoch_is_the_model_at_that_batch(make_gan, images, tmp_path):
    def make():
        keras.utils.set_random_seed(4)
        return make_gan("mlp", ema_decay=0.9, penalties="lecam")

    def fit(gan, *callbacks, **options):
        data = kgan.data.ImageDataset(images, batch_size=16, seed=1)
        gan.fit(data, verbose=0, callbacks=list(callbacks), **options)
        return whole_state(gan)

    def checkpoint(suffix):
        return keras.callbacks.ModelCheckpoint(
            tmp_path / f"{{epoch}}-{{batch}}.{suffix}",
            save_weights_only=suffix == "weights.h5",
            save_freq=4,
        )

    gan = make()
    whole = fit(gan, checkpoint("keras"), checkpoint("weights.h5"), epochs=2)
    written = {path.name for path in tmp_path.iterdir()}
    assert written == {f"{n}.{s}" for n in ("1-4", "2-2", "2-6") for s in ("keras", "weights.h5")}
    # Four batches, and no more, were trained when the first was written.
    short = make()
    four = fit(short, steps_per_epoch=4)
    assert int(short.optimizer.iterations) == 4
    for name, expected in (("1-4", four), ("2-6", whole)):
        assert_equal(whole_state(keras.saving.load_model(tmp_path / f"{name}.keras")), expected)
        other = make_gan("mlp", ema_decay=0.9, penalties="lecam")
        other.load_weights(tmp_path / f"{name}.weights.h5")
        assert_equal(whole_state(other), expected)


def test_the_best_epoch_is_saved_whole_and_its_networks_are_restored(make_gan, dataset, tmp_path):
    gan = make_gan("mlp", ema_decay=0.9)
    states = AtEpochEnd(
        lambda gan, logs: [arrays(v) for v in (gan.weights, gan.optimizer.variables)]
    )
    watched = {"monitor": "val_fcd", "mode": "min"}
    best = keras.callbacks.ModelCheckpoint(tmp_path / "best.keras", save_best_only=True, **watched)
    stop = keras.callbacks.EarlyStopping(patience=2, restore_best_weights=True, **watched)
    figures = Figures(3.0, 1.0, float("nan"), 2.0, 0.0)
    history = gan.fit(dataset, epochs=5, verbose=0, callbacks=[figures, states, best, stop])
    assert history.epoch == [0, 1, 2, 3]
    _, second, _, last = states.seen
    assert not np.array_equal(second[0][0], last[0][0])

    saved = keras.saving.load_model(tmp_path / "best.keras")
    assert saved.epochs_trained == 2
    for variables, expected in zip((saved.weights, saved.optimizer.variables), second, strict=True):
        assert_equal(arrays(variables), expected)

    # Generator, discriminator and average together; the rest is that of the last epoch, as
    # docs/howto/monitor.md says.
    assert {id(v) for v in gan.weights} >= {
        id(v)
        for network in (gan.generator, gan.discriminator, gan.network_in_use("generator"))
        for v in network.weights
    }
    assert_equal(arrays(gan.weights), second[0])
    assert_equal(arrays(gan.optimizer.variables), last[1])
    assert gan.epochs_trained == 4


# ---- TensorBoard ---------------------------------------------------------------------------------


def test_tensorboard(gan_of_two_rates, dataset, tmp_path):
    pytest.importorskip("tensorflow")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.util import tensor_util

    gan = gan_of_two_rates
    board = keras.callbacks.TensorBoard(
        tmp_path,
        write_graph=True,
        histogram_freq=1,
        update_freq="batch",
        write_steps_per_second=True,
    )
    batches = []
    spy = keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: batches.append(float(logs["generator_loss"]))
    )
    rate = keras.callbacks.LearningRateScheduler(lambda epoch, rate: rate / 2)
    history = gan.fit(
        dataset, epochs=2, verbose=0, validation_data=dataset, callbacks=[spy, rate, board]
    ).history

    def read(part):
        (events,) = (tmp_path / part).iterdir()
        return EventAccumulator(str(events), size_guidance={"tensors": 0}).Reload()

    def values(read, tag):
        return [tensor_util.make_ndarray(event.tensor_proto) for event in read.Tensors(tag)]

    train, validation = read("train"), read("validation")
    for name in ("generator_loss", "discriminator_loss"):
        assert_equal(values(train, f"epoch_{name}"), history[name], rtol=1e-6)
        assert_equal(values(validation, f"epoch_{name}"), history[f"val_{name}"], rtol=1e-6)
    assert_equal(values(train, "epoch_learning_rate"), [5e-4, 2.5e-4], rtol=1e-5)
    assert_equal(values(train, "batch_generator_loss"), batches, rtol=1e-6)
    assert len(batches) == 12
    assert min(values(train, "epoch_steps_per_second")) > 0
    kernel = gan.discriminator.trainable_variables[0]
    if KERAS >= (3, 14):  # before, all kernels have one name
        for counts in values(train, f"{kernel.path}/histogram"):
            assert counts[:, 2].sum() == np.prod(kernel.shape)
    else:
        histograms = values(train, f"{kernel.name}/histogram")
        assert np.prod(kernel.shape) in [counts[:, 2].sum() for counts in histograms]


def test_tensorboard_histograms_and_images_of_the_weights(make_gan, dataset, tmp_path):
    pytest.importorskip("tensorflow")
    events = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    from tensorboard.util import tensor_util

    gan = make_gan(ema_decay=0.9)
    board = keras.callbacks.TensorBoard(tmp_path, histogram_freq=1, write_images=True)
    gan.fit(dataset, epochs=2, verbose=0, callbacks=[board])
    (file,) = (tmp_path / "train").iterdir()
    read = events.EventAccumulator(str(file), size_guidance={"tensors": 0}).Reload()
    for network in (gan.generator, gan.discriminator, gan.network_in_use("generator")):
        for variable in network.variables if KERAS >= (3, 14) else ():
            written = read.Tensors(f"{variable.path}/histogram")
            assert [event.step for event in written] == [0, 1]
            last = tensor_util.make_ndarray(written[-1].tensor_proto)
            weights = keras.ops.convert_to_numpy(variable)
            assert_equal([last[0, 0], last[-1, 1]], [weights.min(), weights.max()], rtol=1e-6)
            # Keras draws no kernels of convolutions with several channels.
            if min(variable.shape) > 1 and len(variable.shape) == 2:
                assert len(read.Tensors(f"{variable.path}/image")) == 2


def test_weights_and_biases_logs_what_the_history_has(gan_of_two_rates, dataset, tmp_path):
    wandb = pytest.importorskip("wandb", reason="wandb is not a dependency of kgan")
    integration = pytest.importorskip("wandb.integration.keras")
    run = wandb.init(mode="offline", dir=tmp_path, settings={"silent": True, "console": "off"})
    try:
        logger = integration.WandbMetricsLogger(log_freq="batch")
        history = gan_of_two_rates.fit(
            dataset, epochs=2, verbose=0, validation_data=dataset, callbacks=[logger]
        ).history
        summary = dict(run.summary)
    finally:
        run.finish()
    for name, values in history.items():
        assert summary[f"epoch/{name}"] == pytest.approx(values[-1])
    assert summary["epoch/learning_rate"] == pytest.approx(1e-3)  # the generator's
    assert summary["batch/generator_loss"] == pytest.approx(history["generator_loss"][-1])


@pytest.mark.parametrize(
    "missing", [["tensorboard"], ["tensorflow"], ["tensorboard", "tensorflow"]]
)
def test_tensorboard_without_its_packages_is_refused_before_a_step(
    gan_of_two_rates, dataset, tmp_path, monkeypatch, missing
):
    monkeypatch.setattr("kgan.training.session.is_installed", lambda name: name not in missing)
    board = object.__new__(keras.callbacks.TensorBoard)  # whose constructor may need them too
    extra = re.escape(f'pip install "kgan[{",".join(missing)}]"')
    with pytest.raises(ImportError, match=f"Missing: {' and '.join(missing)}.*{extra}"):
        gan_of_two_rates.fit(dataset, verbose=0, callbacks=[board])
    assert gan_of_two_rates.batches_trained == gan_of_two_rates.epochs_trained == 0


# ---- averages that optimizers keep ---------------------------------------------------------------


def sgd(averaging):
    return SGD(0.1, use_ema=averaging, ema_momentum=0.5)


def averages(optimizer):
    inner = getattr(optimizer, "inner_optimizer", optimizer)
    return inner._model_variables_moving_average


def test_swap_ema_weights_exchanges_those_of_both_optimizers(make_gan, dataset):
    gan = make_gan("mlp", generator_optimizer=sgd(True), discriminator_optimizer=sgd(True))

    def look(gan, logs=None):
        pair = gan.optimizer
        means = averages(pair.generator_optimizer) + averages(pair.discriminator_optimizer)
        return arrays(gan.trainable_variables), arrays(means)

    begun, before, after = [], AtEpochEnd(look), AtEpochEnd(look)
    spy = keras.callbacks.LambdaCallback(on_epoch_begin=lambda epoch, logs: begun.append(look(gan)))
    swap = keras.callbacks.SwapEMAWeights(swap_on_epoch=True)
    found = gan.fit(
        dataset,
        epochs=2,
        verbose=0,
        validation_data=dataset,
        callbacks=[before, swap, after, spy],
    ).history
    close = {"atol": 1e-6}  # on TensorFlow, Keras swaps by sums and differences
    weights, means = before.seen[0]
    assert min(np.abs(m - w).max() for m, w in zip(means, weights, strict=True)) > 1e-5
    assert_equal(after.seen[0][0], means, **close)
    assert_equal(after.seen[0][1], weights, **close)
    # And back, for the training that follows.
    assert_equal(begun[1][0], weights, **close)
    # At the end the averages stay, as without the callback.
    assert_equal(arrays(gan.trainable_variables), before.seen[1][1], **close)
    # So by them the held-out images were measured, too.
    again = gan.evaluate(dataset, verbose=0, return_dict=True)
    for name, value in again.items():
        np.testing.assert_allclose(found[f"val_{name}"][1], value, rtol=1e-4, err_msg=name)


@pytest.mark.parametrize("role", ["generator", "discriminator"])
def test_swap_ema_weights_exchanges_those_of_one_alone(make_gan, role):
    # As under mixed_float16.
    optimizer = keras.optimizers.LossScaleOptimizer(sgd(True))
    gan = make_gan("mlp", **{f"{role}_optimizer": optimizer})
    averaged = getattr(gan, role).trainable_variables
    others = [v for v in gan.trainable_variables if not any(v is own for own in averaged)]
    weights, rest = arrays(averaged), arrays(others)
    for mean in averages(optimizer):
        mean.assign(keras.ops.full(mean.shape, 7.0))
    swap = keras.callbacks.SwapEMAWeights(swap_on_epoch=True)
    swap.set_model(gan)
    swap.set_params({"epochs": 2})
    if role == "discriminator" and KERAS < (3, 15):
        with pytest.raises(ValueError, match="Expected Keras 3"):
            swap.on_epoch_end(0)
        assert_equal([*arrays(averaged), *arrays(others)], [*weights, *rest])
        return
    swap.on_epoch_end(0)
    assert all(np.all(array == 7.0) for array in arrays(averaged))
    assert_equal(arrays(averages(optimizer)), weights, atol=1e-6)
    swap.on_epoch_begin(1)
    assert_equal(arrays(averaged), weights, atol=1e-6)
    assert_equal(arrays(others), rest)


def test_swap_ema_weights_without_averages_names_ours(make_gan):
    swap = keras.callbacks.SwapEMAWeights()
    swap.set_model(make_gan("mlp", ema_decay=0.9))
    with pytest.raises(ValueError, match=r"`compile\(ema_decay=\.\.\.\)` keeps"):
        swap.on_test_begin()


# ---- the first NaN -------------------------------------------------------------------------------


@pytest.mark.backend_free
@pytest.mark.parametrize("as_list", [True, False])
def test_keras_terminate_on_nan_is_refused_since_it_sees_nothing(make_gan, dataset, as_list):
    gan = make_gan("mlp")
    callbacks = [keras.callbacks.TerminateOnNaN()]
    if not as_list:
        callbacks = keras.callbacks.CallbackList(callbacks, model=gan)
    with pytest.raises(ValueError, match=r"Use `kgan\.callbacks\.TerminateOnNaN`"):
        gan.fit(dataset, verbose=0, callbacks=callbacks)
    assert gan.epochs_trained == 0

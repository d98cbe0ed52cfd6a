"""Checkpoint, BackupAndRestore, LossHistory, TimeLimit and StopOnSignal."""

import os
import signal
import time
from types import SimpleNamespace

import keras
import numpy as np
import pytest

from kgan import images as pictures
from kgan.callbacks import BackupAndRestore, Checkpoint, LossHistory, StopOnSignal, TimeLimit
from kgan.callbacks.loss_history import read_history


def at_batch(number, action):
    """A callback that acts once, at the given batch of the first epoch."""
    return keras.callbacks.LambdaCallback(
        on_train_batch_begin=lambda batch, logs: action() if batch == number else None
    )


def test_checkpoint_is_the_model_after_each_epoch(make_gan, dataset, tmp_path):
    path = tmp_path / "runs" / "gan.keras"
    gan = make_gan()
    seen = []

    class Reader(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            seen.append(keras.saving.load_model(path).epochs_trained)

    gan.fit(dataset, epochs=3, verbose=0, callbacks=[Checkpoint(path), Reader()])
    assert seen == [1, 2, 3]
    assert [p.name for p in path.parent.iterdir()] == ["gan.keras"]


def test_checkpoint_every_few_epochs_saves_the_last_too(make_gan, dataset, tmp_path):
    saved = []

    class Spy(Checkpoint):
        def _save(self):
            saved.append(self.model.epochs_trained)

    make_gan().fit(dataset, epochs=5, verbose=0, callbacks=[Spy(tmp_path / "g.keras", every=2)])
    assert saved == [2, 4, 5]


def test_checkpoint_that_fails_leaves_the_one_before(make_gan, dataset, tmp_path, monkeypatch):
    path = tmp_path / "gan.keras"
    gan = make_gan()
    gan.fit(dataset, verbose=0, callbacks=[Checkpoint(path)])
    before = path.read_bytes()

    def broken(model, target, **options):
        target.write_bytes(b"half a fi")
        raise OSError("No space left on device")

    monkeypatch.setattr(keras.Model, "save", broken)
    with pytest.raises(OSError, match="No space"):
        gan.fit(dataset, verbose=0, callbacks=[Checkpoint(path)])
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_checkpoint_of_a_link_is_written_where_that_leads(make_gan, dataset, tmp_path):
    path, real = tmp_path / "latest.keras", tmp_path / "disk" / "gan.keras"
    real.parent.mkdir()
    path.symlink_to(real)
    (real.parent / ".0123abcd-latest.keras").touch()  # of a process that was killed
    make_gan("mlp").fit(dataset, verbose=0, callbacks=[Checkpoint(path)])
    assert path.is_symlink()
    assert [each.name for each in real.parent.iterdir()] == ["gan.keras"]


def test_checkpoint_fills_in_epoch_batch_and_logs(make_gan, dataset, tmp_path):
    class Watched(Checkpoint):
        def on_epoch_end(self, epoch, logs=None):
            super().on_epoch_end(epoch, {"loss": 0.5 + epoch, **(logs or {})})

    path = tmp_path / "at-{epoch:02d}" / "k-{batch}-{loss:.2f}.keras"
    make_gan("mlp").fit(dataset, epochs=2, verbose=0, callbacks=[Watched(path)])
    assert sorted(str(found.relative_to(tmp_path)) for found in tmp_path.rglob("*.keras")) == [
        "at-01/k-6-0.50.keras",
        "at-02/k-6-1.50.keras",
    ]
    assert keras.saving.load_model(tmp_path / "at-01" / "k-6-0.50.keras").epochs_trained == 1


def test_checkpoint_within_an_epoch_names_the_batch(make_gan, dataset, tmp_path):
    (tmp_path / ".0123abcd-1-2.keras").touch()  # of a process that was killed
    (tmp_path / ".0123abcd-other.keras").touch()
    save = Checkpoint(tmp_path / "{epoch}-{batch}.keras", every_batches=2)
    gan = make_gan("mlp")
    gan.fit(dataset, verbose=0, callbacks=[save, at_batch(4, lambda: stop(gan))])
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        ".0123abcd-other.keras", "1-2.keras", "1-4.keras", "1-5.keras",
    ]  # fmt: skip
    saved = keras.saving.load_model(tmp_path / "1-5.keras")
    assert (saved.epochs_trained, saved.batches_trained) == (0, 5)


def stop(model):
    model.stop_training = True


def test_checkpoint_that_names_no_log_says_which_there_are(make_gan, dataset, tmp_path):
    save = Checkpoint(tmp_path / "{val_loss:.2f}.keras")
    with pytest.raises(ValueError, match=r"one of \['batch', .*'epoch', 'fake_score'.*val_loss"):
        make_gan("mlp").fit(dataset, verbose=0, callbacks=[save])


def test_braces_that_are_no_fields_stay(make_gan, dataset, tmp_path):
    make_gan("mlp").fit(dataset, verbose=0, callbacks=[Checkpoint(tmp_path / "a}b.keras")])
    assert [path.name for path in tmp_path.iterdir()] == ["a}b.keras"]


@pytest.mark.parametrize(("path", "every"), [("gan.h5", 1), ("gan.keras", 0)])
def test_checkpoint_refuses(path, every):
    with pytest.raises(ValueError, match="Received"):
        Checkpoint(path, every)


@pytest.mark.backend_free
def test_a_backup_is_not_written_over_by_a_loop_that_cannot_restore_it(make_gan, dataset, tmp_path):
    gan, backup = make_gan("mlp"), BackupAndRestore(tmp_path, delete_checkpoint=False)
    gan.fit(dataset, verbose=0, callbacks=[backup])
    before = (tmp_path / "latest.keras").read_bytes()
    # That `fit` has asked this one before is no reason to take it.
    for callback in (backup, BackupAndRestore(tmp_path)):
        callbacks = keras.callbacks.CallbackList([callback], model=gan)
        with pytest.raises(RuntimeError, match=r"`fit` of a kgan model.*Checkpoint, and"):
            callbacks.on_train_begin()
    assert (tmp_path / "latest.keras").read_bytes() == before
    assert gan.fit(dataset, epochs=2, verbose=0, callbacks=[backup]).epoch == [0, 1]


def play_epochs(callback, *epochs):
    callback.on_train_begin()
    for epoch, logs in epochs:
        callback.on_epoch_end(epoch, logs)


def test_history_holds_what_fit_logs(make_gan, dataset, tmp_path):
    path, plot = tmp_path / "history.csv", tmp_path / "losses.png"
    fitted = make_gan().fit(
        dataset, epochs=2, verbose=0, callbacks=[LossHistory(path, plot=plot)]
    ).history  # fmt: skip
    rows = read_history(path)
    assert [row.pop("epoch") for row in rows] == [1, 2]
    assert {name: [row[name] for row in rows] for name in fitted} == fitted
    assert np.ptp(pictures.load_picture(plot)) > 0


def test_history_takes_logs_of_some_epochs_only(tmp_path):
    path = tmp_path / "history.csv"
    play_epochs(LossHistory(path), (0, {"a_loss": 1.0}), (1, {"a_loss": 2.0, "b": 3.0}), (2, {}))
    assert path.read_text().splitlines() == ["epoch,a_loss,b", "1,1.0,", "2,2.0,3.0", "3,,"]
    assert read_history(path)[1] == {"epoch": 2, "a_loss": 2, "b": 3}


def test_history_leaves_out_what_is_no_number(tmp_path):
    path = tmp_path / "history.csv"
    play_epochs(LossHistory(path), (0, {"loss": 1.5, "phase": "warm-up", "nothing": None}))
    assert read_history(path) == [{"epoch": 1.0, "loss": 1.5}]


def test_history_of_a_resumed_run_replaces_epochs_trained_again(tmp_path):
    path = tmp_path / "history.csv"
    play_epochs(LossHistory(path), (0, {"loss": 1.0}), (1, {"loss": 2.0}), (2, {"loss": 3.0}))
    play_epochs(LossHistory(path, resume=True), (1, {"loss": 20.0}))
    assert [row["loss"] for row in read_history(path)] == [1, 20]
    play_epochs(LossHistory(path), (0, {"loss": 5.0}))
    assert [row["loss"] for row in read_history(path)] == [5]


@pytest.mark.parametrize("text", ["a,b\n1,2\n", "epoch,a\n1,x\n"])
def test_history_refuses_a_file_that_is_not_its_own(tmp_path, text):
    (tmp_path / "history.csv").write_text(text)
    with pytest.raises(ValueError, match=r"history\.csv"):
        LossHistory(tmp_path / "history.csv", resume=True).on_train_begin()


def test_time_limit_ends_training_and_the_epoch_is_ended_as_usual(
    make_gan, dataset, monkeypatch, tmp_path
):
    clock = iter(range(100))  # a second passes at every look
    # Not `time.monotonic` itself, which backends look at too.
    watch = SimpleNamespace(monotonic=lambda: next(clock))
    monkeypatch.setattr("kgan.callbacks.stopping.time", watch)
    limit = TimeLimit(9)
    gan = make_gan()
    history = gan.fit(
        dataset, epochs=50, verbose=0, callbacks=[limit, Checkpoint(tmp_path / "gan.keras")]
    )
    assert limit.reached
    assert int(gan.optimizer.iterations) == 9  # six batches an epoch: stops within the second
    assert history.epoch == [0, 1]
    saved = keras.saving.load_model(tmp_path / "gan.keras")
    assert (saved.epochs_trained, saved.batches_trained) == (1, 3)


@pytest.mark.parametrize("seconds", [0, -1, float("nan")])
def test_time_limit_refuses(seconds):
    with pytest.raises(ValueError, match="seconds"):
        TimeLimit(seconds)


@pytest.mark.usefixtures("interruptible")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signal_ends_training_cleanly(make_gan, dataset, tmp_path, number):
    before = signal.getsignal(number)
    listener = StopOnSignal()
    gan = make_gan()
    send = at_batch(2, lambda: os.kill(os.getpid(), number))
    gan.fit(
        dataset,
        epochs=50,
        verbose=0,
        callbacks=[listener, send, Checkpoint(tmp_path / "gan.keras")],
    )
    assert listener.received == number
    assert (gan.epochs_trained, gan.batches_trained) == (0, 3)
    assert int(gan.optimizer.iterations) == 3
    saved = keras.saving.load_model(tmp_path / "gan.keras")
    assert (saved.epochs_trained, saved.batches_trained) == (0, 3)
    assert signal.getsignal(number) is before


@pytest.mark.usefixtures("interruptible")
def test_a_signal_amid_a_step_loses_nothing(make_gan, dataset, tmp_path):
    gan, twin = make_gan(), make_gan()
    make = gan.make_train_function
    steps = []

    def make_one_that_is_interrupted(*args, **kwargs):
        make(*args, **kwargs)
        step = gan.train_function

        def interrupted(*state):
            steps.append(step(*state))
            if len(steps) == 3:  # the new state is there, and nobody has it yet
                signal.raise_signal(signal.SIGINT)
            return steps[-1]

        gan.train_function = interrupted

    gan.make_train_function = make_one_that_is_interrupted
    twin.set_weights(gan.get_weights())
    path = tmp_path / "gan.keras"
    gan.fit(dataset, epochs=50, verbose=0, callbacks=[StopOnSignal(), Checkpoint(path)])
    dataset.epoch = 0
    for index in range(3):
        twin.train_on_batch(*dataset.batch(0, index))
    for model in (gan, keras.saving.load_model(path)):
        assert int(model.optimizer.iterations) == 3
        for a, b in zip(model.get_weights(), twin.get_weights(), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="nothing is forked here")
@pytest.mark.filterwarnings("ignore:.*fork")
def test_a_forked_process_ends_by_the_signal(make_gan, dataset):
    # As the worker processes of Keras do, for whose end Python waits.
    before = signal.getsignal(signal.SIGTERM)
    ends = []

    def fork():
        assert signal.getsignal(signal.SIGTERM) is not before
        # A signal that comes before the child is up Python itself drops.
        is_up, up = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                os.write(up, b"." if signal.getsignal(signal.SIGTERM) is before else b"!")
                time.sleep(20)
            finally:
                os._exit(0)
        assert os.read(is_up, 1) == b"."
        os.close(is_up)
        os.close(up)
        os.kill(child, signal.SIGTERM)
        ends.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))

    gan, listener = make_gan(), StopOnSignal()
    gan.fit(dataset, verbose=0, callbacks=[listener, at_batch(1, fork)])
    assert ends == [-signal.SIGTERM]
    assert listener.received is None
    assert gan.epochs_trained == 1


def test_signals_that_are_ignored_stay_ignored(make_gan):
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # as of what a shell runs with `&`
    try:
        on_signal = StopOnSignal()
        on_signal.set_model(make_gan("mlp"))
        on_signal.on_train_begin()
        os.kill(os.getpid(), signal.SIGINT)
        assert on_signal.received is None
        on_signal.on_train_end()
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)


def test_signal_handlers_are_put_back_when_training_raises(make_gan, dataset):
    before = signal.getsignal(signal.SIGINT)

    def fail():
        raise RuntimeError("out of luck")

    with pytest.raises(RuntimeError):
        make_gan().fit(dataset, verbose=0, callbacks=[StopOnSignal(), at_batch(1, fail)])
    assert signal.getsignal(signal.SIGINT) is before


@pytest.mark.usefixtures("interruptible")
def test_second_ctrl_c_is_as_ever(make_gan, dataset):
    before = signal.getsignal(signal.SIGINT)

    def twice():
        # Not `os.kill`: two signals on the way to another thread may arrive as one.
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        make_gan().fit(dataset, verbose=0, callbacks=[StopOnSignal(), at_batch(1, twice)])
    assert signal.getsignal(signal.SIGINT) is before


def test_checkpoint_in_a_loop_of_ones_own_after_a_fit_that_was_stopped(make_gan, dataset, tmp_path):
    gan = make_gan("mlp")
    stopping = at_batch(2, lambda: setattr(gan, "stop_training", True))
    gan.fit(dataset, verbose=0, callbacks=[stopping])
    assert gan.batches_trained == 3
    callbacks = keras.callbacks.CallbackList([Checkpoint(tmp_path / "gan.keras")], model=gan)
    callbacks.on_train_begin()
    gan.train_on_batch(dataset.batch(0, 3))
    callbacks.on_epoch_end(0, {})
    assert (tmp_path / "gan.keras").exists()


def test_stop_on_signal_puts_handlers_back_after_a_loop_that_raised(make_gan):
    before = signal.getsignal(signal.SIGINT)
    callbacks = keras.callbacks.CallbackList([StopOnSignal()], model=make_gan("mlp"))
    callbacks.on_train_begin()  # and then an error, of which nobody tells it
    callbacks.on_train_begin()
    callbacks.on_train_end()
    assert signal.getsignal(signal.SIGINT) is before

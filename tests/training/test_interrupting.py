"""Ctrl-C where nobody listens to it but Python: it ends what is done, always, and loses nothing."""

import contextlib
import gc
import signal
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import keras
import numpy as np
import pytest

import kgan
from kgan import _backend, _interrupts

pytestmark = pytest.mark.usefixtures("interruptible")


def at_batch(number, action):
    return keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: action() if batch == number else None
    )


def interrupt():
    signal.raise_signal(signal.SIGINT)


def misunderstand():
    """As native code may."""
    try:
        interrupt()
    except KeyboardInterrupt:
        raise SystemError("bad argument to internal function") from None


def lose():
    """As Python does in a destructor."""
    with contextlib.suppress(KeyboardInterrupt):
        interrupt()


def assert_interrupted(gan, dataset, action):
    with pytest.raises(KeyboardInterrupt):
        gan.fit(dataset, epochs=9, verbose=0, callbacks=[at_batch(2, action)])
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_it_ends_with_the_batch_in_hand(make_gan, dataset):
    gan = make_gan("mlp")
    assert_interrupted(gan, dataset, interrupt)
    assert int(gan.optimizer.iterations) == 3


def test_one_that_python_forgets_comes_again(make_gan, dataset, monkeypatch):
    forgotten = []
    monkeypatch.setattr(sys, "unraisablehook", lambda what: forgotten.append(what.exc_type))

    def lose(phase, info):
        gc.callbacks.remove(lose)
        interrupt()

    def collect():
        gc.callbacks.append(lose)
        gc.collect()

    gan = make_gan("mlp")
    assert_interrupted(gan, dataset, collect)
    assert forgotten == [KeyboardInterrupt]
    assert int(gan.optimizer.iterations) == 4


def test_one_that_native_code_makes_another_error_of_is_one_still(make_gan, dataset):
    assert_interrupted(make_gan("mlp"), dataset, misunderstand)


def test_another_error_is_what_it_is(make_gan, dataset):
    def fail():
        raise SystemError("on its own")

    with pytest.raises(SystemError, match="on its own"):
        make_gan("mlp").fit(dataset, verbose=0, callbacks=[at_batch(2, fail)])


def test_keras_list_of_callbacks_ends_as_any_other(make_gan, dataset):
    gan = make_gan("mlp")
    on_signal = kgan.callbacks.StopOnSignal()
    given = keras.callbacks.CallbackList(
        [on_signal, at_batch(2, interrupt)], add_history=True, model=gan
    )
    gan.fit(dataset, epochs=2, verbose=0, callbacks=given)
    assert on_signal.received == signal.SIGINT
    assert (gan.epochs_trained, gan.batches_trained) == (0, 3)


def test_who_listens_already_goes_on_listening(make_gan, dataset):
    heard = []
    signal.signal(signal.SIGINT, lambda number, frame: heard.append(number))
    gan = make_gan("mlp")
    gan.fit(dataset, verbose=0, callbacks=[at_batch(2, interrupt)])
    assert heard == [signal.SIGINT]
    assert gan.epochs_trained == 1


class InterruptedOnce(kgan.losses.AdversarialLoss):
    """A loss in which Ctrl-C comes, once: on some backends while the step is compiled."""

    due = None

    def discriminator_loss(self, real_logits, fake_logits):
        due, InterruptedOnce.due = InterruptedOnce.due, None
        if due is not None:
            due()
        return keras.ops.mean(fake_logits) - keras.ops.mean(real_logits)

    def generator_loss(self, fake_logits, real_logits=None):
        return -keras.ops.mean(fake_logits)


@pytest.mark.parametrize(
    ("method", "way"),
    [
        *((method, interrupt) for method in ("fit", "evaluate", "train_on_batch")),
        *((method, misunderstand) for method in ("evaluate", "test_on_batch")),
        ("train_on_batch", lose),
    ],
)
def test_in_the_midst_of_a_step_it_loses_nothing(make_gan, dataset, tmp_path, method, way):
    gan = make_gan("mlp", loss=InterruptedOnce())
    given = dataset.batch(0, 0) if method.endswith("on_batch") else dataset
    InterruptedOnce.due = staticmethod(way)
    with pytest.raises(KeyboardInterrupt):
        getattr(gan, method)(given)
    assert_goes_on(gan, dataset, tmp_path)


@pytest.mark.parametrize("way", [interrupt, misunderstand, lose])
def test_generating_ends_with_the_batch_in_hand(make_gan, monkeypatch, way):
    sizes = []

    def predict(model, function, latents):
        sizes.append(len(latents))
        if len(sizes) == 2:
            way()
        return np.zeros((len(latents), 8, 8, 1))

    monkeypatch.setattr(_backend, "predict", predict)
    with pytest.raises(KeyboardInterrupt):
        make_gan("mlp").generate(10, batch_size=3)
    assert sizes == [3, 3]


def test_in_the_midst_of_generating_it_loses_nothing(make_gan, dataset, tmp_path):
    gan = make_gan("mlp")
    interrupted = threading.Timer(
        0.2, lambda: signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
    )
    interrupted.start()
    with pytest.raises(KeyboardInterrupt):
        gan.generate(10**6, batch_size=16)
    assert_goes_on(gan, dataset, tmp_path)


@pytest.mark.parametrize(
    "fail",
    [
        lambda gan: gan.predict(np.zeros((4, 7), "float32"), verbose=0),
        lambda gan: gan.fit(np.zeros((4, 8, 8, 1), "float32"), verbose=0),
    ],
    ids=["predict", "fit"],
)
def test_a_step_that_fails_loses_nothing(make_gan, dataset, tmp_path, fail):
    gan = make_gan("mlp", loss=Unmeant())
    with pytest.raises(Exception, match=r"7|meant"):
        fail(gan)
    gan.compile()
    assert_goes_on(gan, dataset, tmp_path)


class Unmeant(kgan.losses.AdversarialLoss):
    """A loss that fails."""

    def discriminator_loss(self, real_logits, fake_logits):
        raise RuntimeError("not meant to be called")


def assert_goes_on(gan, dataset, tmp_path):
    images = gan.generate(3, seed=1)
    assert np.isfinite(images).all()
    np.testing.assert_array_equal(gan.generate(3, seed=1), images)
    gan.fit(dataset, verbose=0)
    gan.save(tmp_path / "gan.keras")


def test_several_threads_may_generate_at_once(make_gan):
    gan = make_gan("dcgan")
    expected = [gan.generate(5, seed=seed) for seed in range(4)]

    def generate(seed):
        for _ in range(10):
            np.testing.assert_allclose(
                gan.generate(5, seed=seed), expected[seed], rtol=1e-5, atol=1e-6
            )

    with ThreadPoolExecutor(len(expected)) as threads:
        list(threads.map(generate, range(len(expected))))


class TestHeldOff:
    """`_interrupts.held_off`."""

    def assert_interrupted_once_held_off(self, do):
        with pytest.raises(KeyboardInterrupt), _interrupts.held_off():
            do()
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler

    def test_it_waits_for_the_end(self):
        done = []

        def do():
            interrupt()
            done.append("all of it")

        self.assert_interrupted_once_held_off(do)
        assert done

    def test_a_second_one_does_not(self):
        done = []

        def do():
            interrupt()
            done.append("half of it")
            interrupt()
            done.append("the rest")

        self.assert_interrupted_once_held_off(do)
        assert done == ["half of it"]

    def test_where_it_is_ignored_it_stays_so(self):
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        with _interrupts.held_off():
            interrupt()


@pytest.mark.parametrize("way", [interrupt, misunderstand, lose])
def test_of_a_command_it_arrives_at_its_end_at_the_latest(way):
    with pytest.raises(KeyboardInterrupt), _interrupts.repeated():
        way()
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler

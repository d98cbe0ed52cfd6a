"""Ctrl-C in `fit`, where nobody listens to it but Python: it ends it, always."""

import gc
import signal
import sys

import keras
import pytest

import kgan

pytestmark = pytest.mark.usefixtures("interruptible")


def at_batch(number, action):
    return keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: action() if batch == number else None
    )


def interrupt():
    signal.raise_signal(signal.SIGINT)


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
    def misunderstand():
        try:
            interrupt()
        except KeyboardInterrupt:
            raise SystemError("bad argument to internal function") from None

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

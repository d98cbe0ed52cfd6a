"""The progress line of `fit`: few logs in it, all of them in the history."""

import re

import keras
import numpy as np
import pytest

import kgan
from kgan.training import log_names

SHOWN = ["discriminator_loss", "generator_loss", "discriminator_accuracy", "r1"]


def printed(capsys):
    """The names in each line that ends an epoch."""
    lines = capsys.readouterr().out.replace("\r", "\n").replace("\b", "").splitlines()
    lines = [re.sub(r"\x1b\[[0-9;]*m", "", line) for line in lines]
    return [re.findall(r"(\w+): ", line) for line in lines if re.match(r"6/6\b.*: ", line)]


@pytest.fixture
def gan(make_gan):
    return make_gan("mlp", penalties="r1")


@pytest.mark.parametrize("verbose", [1, 2, "auto"])
def test_few_logs_are_shown_and_all_are_kept(gan, dataset, capsys, verbose):
    history = gan.fit(dataset, epochs=2, verbose=verbose).history
    lines = printed(capsys)
    assert len(lines) >= 2
    assert all(sorted(names) == sorted(SHOWN) for names in lines)
    assert set(history) == set(gan.log_names()) > set(SHOWN)


def test_nothing_is_shown_if_verbose_is_0(gan, dataset, capsys):
    gan.fit(dataset, verbose=0)
    assert capsys.readouterr().out == ""


def test_a_bar_of_keras_shows_all(gan, dataset, capsys):
    history = gan.fit(dataset, verbose=2, callbacks=[keras.callbacks.ProgbarLogger()]).history
    assert [sorted(names) for names in printed(capsys)] == [sorted(history)]


def test_held_out_logs_and_evaluations_are_chosen_too(gan, dataset, capsys):
    evaluation = kgan.callbacks.PeriodicEvaluation(dataset, count=40, features="pixels")
    history = gan.fit(dataset, verbose=2, validation_data=dataset, callbacks=[evaluation]).history
    (names,) = printed(capsys)
    held_out = {"val_discriminator_loss", "val_generator_loss", "val_discriminator_accuracy"}
    assert set(names) >= {*SHOWN, *held_out, "val_fcd", "val_coverage"}
    assert not {"real_score", "val_fake_score", "generator_gradient_norm", "val_kid"} & set(names)
    assert set(history) > {"real_score", "val_fake_score", "generator_gradient_norm", "val_kid"}


def test_callbacks_get_all_logs_and_training_is_the_same(make_gan, images, capsys):
    results, seen = [], []
    for verbose in (0, 1):
        keras.utils.set_random_seed(4)
        gan = make_gan("mlp")
        data = kgan.data.ImageDataset(images, batch_size=16, seed=1)
        spy = keras.callbacks.LambdaCallback(
            on_train_batch_end=lambda batch, logs: seen.append(set(logs))
        )
        gan.fit(data, epochs=2, verbose=verbose, callbacks=[spy])
        results.append(gan.get_weights())
    assert all(names == set(gan.log_names()) for names in seen)
    for a, b in zip(*results, strict=True):
        np.testing.assert_array_equal(a, b)
    assert printed(capsys)


class Stop(keras.callbacks.Callback):
    """Stops after the third batch."""

    def on_train_batch_end(self, batch, logs=None):
        self.model.stop_training = batch == 2


@pytest.mark.parametrize("verbose", [1, 2])
def test_the_bar_of_an_interrupted_epoch_says_where_it_stopped(gan, dataset, capsys, verbose):
    gan.fit(dataset, verbose=verbose, callbacks=[Stop()])
    assert gan.batches_trained == 3
    out = re.sub(r"\x1b\[[0-9;]*m", "", capsys.readouterr().out)
    assert "3/6" in out
    assert "6/6" not in out
    assert out.endswith("\n")


def test_a_resumed_epoch_has_one_bar(gan, dataset, capsys):
    gan.fit(dataset, verbose=0, callbacks=[Stop()])
    assert gan.batches_trained == 3
    gan.fit(dataset, verbose=2)
    assert [sorted(names) for names in printed(capsys)] == [sorted(SHOWN)]


@pytest.mark.backend_free
def test_hidden_logs(monkeypatch):
    monkeypatch.setattr(log_names, "_HIDDEN", set())
    log_names.hide("codes_used")
    for name, expected in (
        ("codes_used", True),
        ("val_codes_used", True),
        ("codes", False),
        ("gradient_norm", True),
        ("val_encoder_gradient_norm", True),
        ("loss", False),
        ("val_loss", False),
    ):
        assert log_names.is_hidden(name) is expected

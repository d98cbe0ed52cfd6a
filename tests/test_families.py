"""What every family of models does, on every backend: one list of tests for all of them."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

import kgan
from kgan.training import capabilities

BACKEND = keras.backend.backend()
SCRIPT = Path(__file__).with_name("families.py")

spec = importlib.util.spec_from_file_location(SCRIPT.stem, SCRIPT)
families = importlib.util.module_from_spec(spec)
sys.modules[SCRIPT.stem] = families  # dataclasses look there
spec.loader.exec_module(families)
FAMILIES = families.FAMILIES


@pytest.fixture(params=FAMILIES)
def name(request):
    return request.param


@pytest.fixture
def family(name):
    return FAMILIES[name]


def assert_same_state(found, expected, **tolerance):
    assert found.keys() == expected.keys()
    for key, value in expected.items():
        if tolerance:
            np.testing.assert_allclose(found[key], value, err_msg=key, **tolerance)
        else:
            np.testing.assert_array_equal(found[key], value, err_msg=key)


# ---- training ------------------------------------------------------------------------------------


def test_fit_logs_what_was_declared_and_evaluate_agrees(family):
    model = family.build()
    held_out = family.dataset(count=32, shuffle=False)
    history = model.fit(family.dataset(), epochs=2, validation_data=held_out, verbose=0).history
    trained = [name for name in history if not name.startswith("val_")]
    assert sorted(trained) == sorted(model.log_names())
    measured = model.evaluate(held_out, verbose=0, return_dict=True)
    assert measured
    assert {f"val_{name}" for name in measured} == set(history) - set(trained)
    assert set(measured) <= set(trained)
    for name, value in measured.items():
        np.testing.assert_allclose(history[f"val_{name}"][-1], value, rtol=1e-5, err_msg=name)
    assert all(np.isfinite(values).all() for values in history.values())
    assert model.epochs_trained == 2


def test_one_batch_is_the_first_step_of_fit(family):
    by_fit, by_batch = family.build(), family.build()
    by_fit.fit(family.dataset(), epochs=1, steps_per_epoch=1, verbose=0)
    batch = family.dataset().batch(0, 0)
    by_batch.train_on_batch(*batch)
    tolerance = {"rtol": 1e-4, "atol": 1e-6}  # compiled together with other things
    assert_same_state(families.state(by_batch), families.state(by_fit), **tolerance)


def test_validation_and_sampling_change_no_training(family):
    plain, watched = family.build(), family.build()
    plain.fit(family.dataset(), epochs=2, verbose=0)
    held_out = family.dataset(count=32, shuffle=False)
    look = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: families.samples(watched)
    )
    watched.fit(family.dataset(), epochs=2, validation_data=held_out, callbacks=look, verbose=0)
    for key, value in families.state(plain).items():
        name = [*plain.variables, *plain.optimizer.variables][int(key)].path
        if "means" in name or "seed_generator" in name:
            continue
        np.testing.assert_array_equal(families.state(watched)[key], value, err_msg=name)


@pytest.mark.skipif(BACKEND == "torch", reason="Keras compiles no step on PyTorch here")
def test_compiled_or_not_it_trains_alike(family):
    batches = [family.dataset().batch(0, index) for index in range(2)]

    def logs(**options):
        model = family.build(**options)
        return [model.train_on_batch(*batch, return_dict=True) for batch in batches]

    for compiled, eager in zip(logs(jit_compile=False), logs(run_eagerly=True), strict=True):
        for name, value in compiled.items():
            np.testing.assert_allclose(value, eager[name], rtol=1e-3, atol=1e-4, err_msg=name)
    if BACKEND == "tensorflow":  # where XLA draws other random numbers
        assert all(np.isfinite(value) for value in logs(jit_compile=True)[-1].values())


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_mixed_precision(family, policy):
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        model = family.build()
    finally:
        keras.config.set_dtype_policy(before)
    history = model.fit(family.dataset(), epochs=1, verbose=0).history
    assert all(np.isfinite(values).all() for values in history.values())
    assert {v.dtype for v in model.trainable_variables} == {"float32"}
    for role, optimizer in model.optimizer.items():
        scales = isinstance(optimizer, keras.optimizers.LossScaleOptimizer)
        assert scales is (policy == "mixed_float16"), role
    assert families.samples(model).dtype == "float32"


def test_averaged_weights(family):
    if not family.averages:
        with pytest.raises(TypeError, match="keeps no average"):
            family.build(ema_decay=0.5)
        return
    model = family.build(ema_decay=0.5)
    start = {name: [np.array(v) for v in getattr(model, name).variables] for name in model.averaged}
    model.train_on_batch(*family.dataset().batch(0, 0))
    share = 1 - min(0.5, 2 / 11)
    for name, before in start.items():
        pairs = zip(before, getattr(model, name).variables, strict=True)
        expected = [
            b + share * (np.array(v) - b) if v.dtype == "float32" else np.array(v) for b, v in pairs
        ]
        found = model.network_in_use(name).variables
        for a, b in zip(found, expected, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)
    different = families.samples(model) - families.samples(model, averaged=False)
    assert np.abs(different).max() > 0


# ---- resuming, saving ----------------------------------------------------------------------------


class CrashError(Exception):
    """Ends a training in these tests."""


class Crash(keras.callbacks.Callback):
    def on_train_batch_end(self, batch, logs=None):
        if (self.params.get("epoch"), batch) == (None, 3) and self.model.epochs_trained == 1:
            raise CrashError


def options_with_all_state(family):
    """Everything that has a state: optimizers that average weights, averages."""
    optimizers = {
        kgan.training.optimizer_argument(role): keras.optimizers.Adam(
            1e-2, use_ema=True, ema_momentum=0.9
        )
        for role in type(family.build()).roles
    }
    return {**optimizers, **({"ema_decay": 0.9} if family.averages else {})}


def test_resumed_within_an_epoch_bit_for_bit(family, tmp_path):
    def fit(model, *callbacks):
        backup = kgan.callbacks.BackupAndRestore(tmp_path / "backup", save_freq=2)
        held_out = family.dataset(count=32, shuffle=False)
        history = model.fit(
            family.dataset(),
            epochs=3,
            validation_data=held_out,
            callbacks=[backup, *callbacks],
            verbose=0,
        )
        return families.state(model), history.history

    expected = fit(family.build(**options_with_all_state(family)))
    with pytest.raises(CrashError):
        fit(family.build(**options_with_all_state(family)), Crash())
    resumed = family.build(**options_with_all_state(family))
    found = fit(resumed)
    assert_same_state(found[0], expected[0])
    assert found[1] == expected[1]
    assert resumed.epochs_trained == 3


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder with every family's model after an epoch, and what another process made of it."""
    folder = tmp_path_factory.mktemp("families")
    for name, family in FAMILIES.items():
        model = family.build(**({"ema_decay": 0.9} if family.averages else {}))
        model.fit(family.dataset(), epochs=1, verbose=0)
        model.save(folder / f"{name}.keras")
    run("load", folder)
    return folder


def run(task, folder, **environment):
    done = subprocess.run(
        [sys.executable, "-W", "ignore", SCRIPT, task, folder],
        env={**os.environ, "KERAS_BACKEND": BACKEND, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]


def test_loaded_in_another_process_it_trains_on_as_if_nothing_had_happened(name, family, trained):
    model = family.build(**({"ema_decay": 0.9} if family.averages else {}))
    model.fit(family.dataset(), epochs=2, verbose=0)
    with np.load(trained / f"{name}-loaded.npz") as found:
        assert_same_state(dict(found), families.state(model))


def test_loaded_without_its_training_it_does_the_same(name, family, trained):
    whole = keras.saving.load_model(trained / f"{name}.keras")
    plain = keras.saving.load_model(trained / f"{name}.keras", compile=False)
    assert type(plain) is type(whole)
    assert plain.get_config().keys() == whole.get_config().keys()
    np.testing.assert_array_equal(families.samples(plain), families.samples(whole))


# ---- several devices -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def on_two_devices(tmp_path_factory):
    folder = tmp_path_factory.mktemp("devices")
    run("devices", folder, XLA_FLAGS="--xla_force_host_platform_device_count=2")
    return folder


@pytest.mark.skipif(BACKEND == "torch", reason="Keras trains on one device on PyTorch")
def test_two_devices_train_as_one_does(name, family, on_two_devices):
    with np.load(on_two_devices / f"{name}-devices.npz") as file:
        found = dict(file)
    if family.by_batch:
        assert all(np.isfinite(value).all() for value in found.values())
        return
    model = family.build()
    model.fit(family.dataset(), epochs=1, verbose=0)
    for key, value in families.state(model).items():
        np.testing.assert_allclose(
            found[key], value, rtol=family.rounding, atol=family.rounding / 10, err_msg=key
        )


# ---- wrong input ---------------------------------------------------------------------------------


def test_wrong_data_are_refused_before_training(family):
    model = family.build()
    right, labels = family.dataset()[0]
    before = families.state(model)
    cases = [
        (right[:, :4], labels, r"Expected .* of shape \(batch, 8, 8, 1\)"),
        (right[0], labels[:1], "Batch it"),
        ((right + 1) * 127.5, labels, "Received: values from"),
        (np.full_like(right, np.nan), labels, "finite"),
        (right[:0], labels[:0], "empty"),
    ]
    if model.batch_spec(training=True).levels is None:  # otherwise integers are levels
        cases.append((((right + 1) * 127.5).astype("uint8"), labels, "dtype uint8"))
    if family.conditional:
        cases += [
            (right, None, "images without labels"),
            (right, labels + 1, "Received: labels from"),
            (right, labels - 0.5, "integer labels"),
            (right, labels.astype(str), "integer labels"),
            (right, np.eye(3)[labels], "argmax"),
        ]
    if family.second is not None:
        cases += [
            (right, None, "trains on two kinds of images"),
            (right, np.arange(len(right)), "two kinds of images.*one, with labels"),
            (right, labels[:, :, :4], r"Expected .* of shape \(batch, 8, 8, 1\)"),
            (right, labels[1:], "second image for each image"),
            (right, ((labels + 1) * 127.5).astype("uint8"), "dtype uint8"),
            (right, (labels + 1) * 127.5, "Received: values from"),
            (right, np.full_like(labels, np.inf), "finite"),
        ]
    elif not family.conditional:
        cases.append((right, right, "one kind of image"))
    for images, given, message in cases:
        for method in (model.fit, model.train_on_batch):
            options = {"verbose": 0} if method == model.fit else {}
            with pytest.raises((ValueError, TypeError), match=message):
                method(images, given, **options)
    assert_same_state(families.state(model), before)
    assert model.epochs_trained == 0


def test_wrong_options_are_refused(family):
    with pytest.raises(TypeError, match="unexpected arguments"):
        family.build(metrics=["accuracy"])
    with pytest.raises(ValueError, match="ema_decay"):
        family.build(ema_decay=1.0)


# ---- capabilities --------------------------------------------------------------------------------


def test_capabilities_do_what_they_promise(family):
    model = family.build()
    images, labels = family.dataset(count=16, shuffle=False)[0]
    given = labels if family.conditional else None
    assert capabilities.classes_of(model) == (3 if family.conditional else None)
    assert isinstance(model, capabilities.Generates) is (family.second is None)
    assert isinstance(model, capabilities.Translates) is (family.second is not None)
    samples = families.samples(model, 5, seed=1)
    assert samples.shape == (5, *families.SHAPE)
    again = families.samples(model, 5, seed=1, batch_size=2)
    np.testing.assert_allclose(samples, again, rtol=1e-4, atol=1e-6)
    assert np.abs(samples - families.samples(model, 5, seed=2)).max() > 0
    if isinstance(model, capabilities.Latent):
        latents = model.draw_latents(5, seed=1)
        assert latents.shape == (5, model.latent_dim)
        np.testing.assert_array_equal(model.decode(latents), samples)
        np.testing.assert_array_equal(model.generate(latents=latents), samples)
        np.testing.assert_array_equal(model.generate(5, latents=latents.tolist()), samples)
        classes = {"labels": [2, 1, 0, 0, 1]} if family.conditional else {}
        np.testing.assert_array_equal(
            model.generate(latents=latents, **classes), model.generate(5, seed=1, **classes)
        )
        for arguments, message in (
            ({"n": 4, "latents": latents}, "Expected n=5.*Received: n=4"),
            ({"latents": latents, "seed": 1}, "Expected no `seed`.*Received: seed=1"),
            ({"latents": latents[:, 1:]}, "Expected latents of shape"),
            ({"latents": latents[0]}, "Expected latents of shape"),
            ({"seed": 1}, "Expected `n`.*or `latents`"),
        ):
            with pytest.raises(ValueError, match=message):
                model.generate(**arguments)
    if isinstance(model, capabilities.Encodes):
        assert model.encode(images, given).shape == (16, model.latent_dim)
        assert model.reconstruct(images, given).shape == images.shape
    if isinstance(model, capabilities.HasLikelihood):
        log_prob = model.log_prob(images, given)
        assert log_prob.shape == (16,)
        assert log_prob.dtype == "float64"
        assert np.isfinite(log_prob).all()

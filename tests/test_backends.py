"""The same training on TensorFlow, JAX and PyTorch; and the parts that kgan has for each."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import ops

import kgan
from kgan import _backend
from kgan.training.optimizers import serialize

BACKENDS = ("tensorflow", "jax", "torch")
STEPS = 4


# ---- all of them, side by side -------------------------------------------------------------------


@pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="runs all backends: once, in TensorFlow's suite"
)
@pytest.mark.skipif(
    not all(importlib.util.find_spec(backend) for backend in BACKENDS),
    reason="needs TensorFlow, JAX and PyTorch",
)
def test_all_backends_train_alike_and_load_each_others_files(make_gan, tmp_path):
    """From the same start, with the same data and noise, on one after the other."""
    random = np.random.default_rng(7)
    np.savez(
        tmp_path / "data.npz",
        images=np.tanh(random.standard_normal((STEPS, 8, 8, 8, 1))).astype("float32"),
        labels=random.integers(0, 3, (STEPS, 8)).astype("int32"),
        latents=random.standard_normal((STEPS, 8, 4)).astype("float32"),
    )
    starts = save_starts(make_gan, tmp_path)
    travelled = ("mlp-hinge", "dcgan-relativistic")

    def train(backend, *jobs):
        folder = tmp_path / backend
        return train_saved(backend, tmp_path / "data.npz", folder, jobs)

    # A step of each model; and of some, all steps on one backend, or each step on another.
    ones = [(name, start, [0]) for name, start in starts.items()]
    whole = [(f"{name}-whole", starts[name], range(STEPS)) for name in travelled]
    expected = train("tensorflow", *ones, *whole)
    previous = "tensorflow"
    for step, backend in ((1, "jax"), (2, "torch")):
        legs = [
            (
                f"{name}-{step}",
                tmp_path / previous / f"{name}{'' if step == 1 else '-1'}.keras",
                [step],
            )
            for name in travelled
        ]
        figures = train(backend, *ones, *legs)
        previous = backend
        for name in starts:
            assert_same(figures[name], expected[name], 2e-6, f"{name} on {backend}")
    last = [(f"{name}-3", tmp_path / previous / f"{name}-2.keras", [3]) for name in travelled]
    figures = train("tensorflow", *last)
    for name in travelled:
        assert_same(figures[f"{name}-3"], expected[f"{name}-whole"], 2e-5, name)


def save_starts(make_gan, folder):
    """GANs of all kinds: name to file."""

    def compiled(*network, **options):
        # Of SGD with momentum, the momenta after a step are the gradients, times the rate.
        for role in ("generator", "discriminator"):
            options[f"{role}_optimizer"] = keras.optimizers.SGD(0.1, momentum=0.9)
        return make_gan(*network, **options)

    # Of losses each kind; all of them have tests against closed forms, on every backend.
    gans = {f"mlp-{loss}": compiled("mlp", loss=loss) for loss in ("hinge", "relativistic_average")}
    for loss in ("non_saturating", "relativistic"):
        gans[f"dcgan-{loss}"] = compiled("dcgan", 3, loss=loss)
    gans["penalties"] = compiled("mlp", penalties=kgan.penalties.names())
    lazy = kgan.penalties.R1(interval=2)
    gans["two-updates"] = compiled("mlp", 3, penalties=lazy, discriminator_steps=2)
    gans["averaged"] = compiled("dcgan", ema_decay=0.5)
    gans["adam"] = make_gan("mlp", 3)
    for name, gan in gans.items():
        for layer in gan._flatten_layers():
            if isinstance(layer, keras.layers.Dropout):
                layer.rate = 0.0  # whose noise is each backend's own
        gan.save(folder / f"{name}.keras")
    return {name: folder / f"{name}.keras" for name in gans}


def train_saved(backend, data, folder, jobs):
    """Runs train_saved.py on jobs `(name, start, steps)`; returns the figures of each by name."""
    folder.mkdir(exist_ok=True)
    listed = [
        {
            "start": str(start),
            "data": str(data),
            "steps": list(steps),
            "end": str(folder / f"{name}.keras"),
            "figures": str(folder / f"{name}.npz"),
        }
        for name, start, steps in jobs
    ]
    (folder / "jobs.json").write_text(json.dumps(listed))
    done = subprocess.run(
        [
            sys.executable,
            *("-W", "ignore"),
            Path(__file__).with_name("train_saved.py"),
            folder / "jobs.json",
        ],
        env={**os.environ, "KERAS_BACKEND": backend},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return {name: dict(np.load(folder / f"{name}.npz")) for name, *_ in jobs}


def assert_same(figures, expected, tolerance, where):
    assert list(figures) == list(expected)
    for name, value in figures.items():
        bound = 1e-5 if name == "features" else tolerance  # whose values go up to tens
        np.testing.assert_allclose(
            value, expected[name], rtol=bound, atol=bound, err_msg=f"{name}, {where}"
        )


# ---- each of them --------------------------------------------------------------------------------


def variable(value):
    return keras.Variable(np.asarray(value, "float32"))


def number(tensor):
    return ops.convert_to_numpy(tensor).tolist()


def test_gradients_are_of_the_variables_that_are_named():
    a, b, unused = variable([1.0, 2.0]), variable(3.0), variable(1.0)

    def fn():
        return ops.sum(a.value**2) * b.value, {"a": ops.sum(a.value)}

    (of_a, of_unused), aux = _backend.gradients(fn, [a, unused])
    assert number(of_a) == [6.0, 12.0]
    assert of_unused is None or number(of_unused) == 0.0
    assert number(aux["a"]) == 3.0


def test_what_fn_assigns_is_there_afterwards_and_within():
    weight, count = variable(2.0), variable(0.0)

    def fn():
        count.assign(count + 1.0)
        return weight.value * count.value, None

    for step in (1.0, 2.0):
        (gradient,), _ = _backend.gradients(fn, [weight])
        assert number(gradient) == step
        assert number(count) == step


def test_an_update_within_is_seen_by_what_follows_and_not_differentiated():
    """The discriminator's step inside the generator's objective, with one number each."""
    inner, outer = variable(1.0), variable(2.0)
    optimizer = keras.optimizers.SGD(0.5)
    optimizer.build([inner])

    def objective():
        loss = outer.value * inner.value**2  # d/d inner = 2 outer inner = 4
        gradient, _ = _backend.gradients(
            lambda: (ops.stop_gradient(outer.value) * inner.value**2, None), [inner]
        )
        _backend.apply(optimizer, gradient, [inner])  # inner = 1 - 0.5 * 4 = -1
        return loss + outer.value * inner.value, None  # d/d outer = 1 + -1

    (gradient,), _ = _backend.gradients(objective, [outer])
    assert number(inner) == -1.0
    assert number(gradient) == 0.0
    assert int(optimizer.iterations) == 1


def test_an_input_gradient_can_be_differentiated():
    weight = variable([0.5, -2.0])
    x = ops.convert_to_tensor(np.array([[1.0, 3.0], [-2.0, 0.5]], "float32"))

    def penalty():
        # f(x) = sum w x^2: its gradient is 2 w x, whose squares sum to 4 w^2 sum x^2.
        gradient, _ = _backend.input_gradient(lambda x: (ops.sum(weight * x**2, axis=1), None), x)
        return ops.sum(gradient**2), gradient

    (of_weight,), gradient = _backend.gradients(penalty, [weight])
    np.testing.assert_allclose(ops.convert_to_numpy(gradient), [[1.0, -12.0], [-2.0, -2.0]])
    # d/dw 4 w^2 sum x^2 = 8 w sum x^2
    np.testing.assert_allclose(ops.convert_to_numpy(of_weight), [8 * 0.5 * 5, 8 * -2.0 * 9.25])


def test_an_input_gradient_through_a_network_against_finite_differences():
    network = keras.Sequential(
        [
            keras.Input((6, 6, 1)),
            keras.layers.Conv2D(3, 3, activation="tanh"),
            keras.layers.BatchNormalization(),
            keras.layers.Flatten(),
            keras.layers.Dense(1),
        ]
    )
    layer = network.layers[1]
    random = np.random.default_rng(3)
    x = random.standard_normal((4, 6, 6, 1)).astype("float32")
    gradient, (y, aux) = _backend.input_gradient(
        lambda x: (network(x, training=True), ops.sum(x)), ops.convert_to_tensor(x)
    )
    np.testing.assert_allclose(ops.convert_to_numpy(aux), x.sum(), rtol=1e-4)
    assert y.shape == (4, 1)
    gradient = ops.convert_to_numpy(gradient)
    # What the network keeps of the batch, it keeps once.
    features = ops.convert_to_numpy(network.layers[0](x)).mean(axis=(0, 1, 2))
    np.testing.assert_allclose(ops.convert_to_numpy(layer.moving_mean), 0.01 * features, atol=1e-6)
    for _ in range(5):
        direction = random.standard_normal(x.shape).astype("float32")
        ahead, behind = (
            ops.convert_to_numpy(network(x + step * direction, training=True)).sum()
            for step in (1e-2, -1e-2)
        )
        slope = (gradient * direction).sum()
        np.testing.assert_allclose((ahead - behind) / 2e-2, slope, rtol=2e-2, atol=2e-3)


def test_one_optimizer_serves_every_backend():
    """What a file says of an optimizer is the same, whichever backend wrote it."""
    scaled = keras.optimizers.LossScaleOptimizer(keras.optimizers.AdamW(1e-3))
    for config in (serialize(scaled), serialize(scaled)["config"]["inner_optimizer"]):
        assert config["module"] == "keras.optimizers"
    again = keras.optimizers.deserialize(serialize(scaled))
    assert again.get_config() == scaled.get_config()
    assert isinstance(again.inner_optimizer, keras.optimizers.AdamW)


@pytest.mark.parametrize("due", [True, False])
def test_what_is_done_now_and_then_assigns_only_then(due):
    weight, count, noise = variable(2.0), variable(0.0), keras.random.SeedGenerator(3)
    before = number(noise.state)

    def objective():
        def value():
            count.assign_add(1.0)
            return ops.sum(weight.value * keras.random.uniform((4,), seed=noise))

        penalty = _backend.now_and_then(ops.convert_to_tensor(due), value)
        return penalty + 0.0 * weight.value, None

    (gradient,), _ = _backend.gradients(objective, [weight])
    assert number(count) == float(due)
    drawn = keras.random.uniform((4,), seed=keras.random.SeedGenerator(3))
    expected = ops.convert_to_numpy(drawn).sum() if due else 0.0
    np.testing.assert_allclose(number(gradient), expected, rtol=1e-6)
    assert (number(noise.state) != before) == due  # nobody draws the same numbers again

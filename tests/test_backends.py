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

import kgan

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
    """A GAN for every loss, and conditional ones with batch normalisation: name to file."""

    def compiled(*network, **options):
        # Of SGD with momentum, the momenta after a step are the gradients, times the rate.
        for role in ("generator", "discriminator"):
            options[f"{role}_optimizer"] = keras.optimizers.SGD(0.1, momentum=0.9)
        return make_gan(*network, **options)

    gans = {f"mlp-{loss}": compiled("mlp", loss=loss) for loss in kgan.losses.names()}
    for loss in ("non_saturating", "relativistic"):
        gans[f"dcgan-{loss}"] = compiled("dcgan", 3, loss=loss)
    gans["two-updates"] = compiled("mlp", 3, discriminator_steps=2)
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
        np.testing.assert_allclose(
            value, expected[name], rtol=tolerance, atol=tolerance, err_msg=f"{name}, {where}"
        )

"""Every example runs, as a user would run it, for a few steps on a few images; so do snippets."""

import ast
import re
import runpy
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

import kgan

ROOT = Path(__file__).parents[1]
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))


@pytest.fixture
def data_dir(tmp_path, write_mnist_files):
    """MNIST's four files, with 400 digits of scikit-learn's in them."""
    return write_mnist_files(tmp_path / "data", 400)


def write_pictures(folder):
    """Small colour pictures in two folders."""
    random = np.random.default_rng(0)
    for name in ("trainA", "trainB"):
        for number in range(20):
            picture = random.integers(0, 256, (40, 36, 3), dtype="uint8")
            kgan.images.save_png(folder / name / f"{number}.png", picture)
    return folder


# What these add to the others is not a backend's business.
ONCE = {
    "characters",
    "colourise",
    "conditional_gan",
    "custom_loop",
    "dcgan",
    "first_gan",
    "idx_file",
    "info_gan",
    "own_folders",
    "pixel_cnn",
    "progressive_growing",
    "sketch_to_digit",
    "time_series",
    "two_domains",
    "vae",
}


# They print results, and make no grid of images.
SEQUENCES = {"characters": "bits per character", "time_series": "nats per step"}


@pytest.mark.parametrize(
    "example",
    [
        pytest.param(
            path, id=path.stem, marks=[pytest.mark.backend_free] if path.stem in ONCE else []
        )
        for path in EXAMPLES
    ],
)
def test_example(example, data_dir, tmp_path):
    source = [f"--data-dir={data_dir}"]
    if example.stem == "idx_file":
        source = [str(data_dir / "train-images-idx3-ubyte.gz")]
    if example.stem in {"colourise", "own_folders"}:
        source = [f"--data-dir={write_pictures(tmp_path / 'pictures')}"]
    if example.stem == "characters":
        source = [f"--source={ROOT / 'examples'}", "--length=32", "--prompt=It prints"]
    if example.stem == "time_series":
        source = []
    if example.stem.startswith("distributed_"):
        backend = example.stem.removeprefix("distributed_")
        if backend != keras.backend.backend():
            pytest.skip(f"is for {backend}")
        source.append("--cpus=2")
    output = tmp_path / "output"
    run = [
        sys.executable,
        example,
        *source,
        "--epochs=2",
        "--steps-per-epoch=2",
        f"--output={output}",
    ]
    done = subprocess.run(
        run, check=False, capture_output=True, text=True, timeout=300, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    if example.stem in SEQUENCES:
        assert SEQUENCES[example.stem] in done.stdout
        assert len(list(output.glob("continuations.*"))) == 1
        return
    assert len(list(output.rglob("epoch_0002.png"))) == 1
    assert len(list(output.rglob("training.gif"))) == 1


def test_the_command_on_line_one_names_the_example():
    assert len(EXAMPLES) >= 5
    for example in EXAMPLES:
        first = example.read_text().splitlines()[0]
        assert first.startswith(f"# python examples/{example.name}")


@pytest.mark.backend_free
@pytest.mark.filterwarnings("ignore::kgan.callbacks.CollapseWarning")  # of so few batches
def test_custom_loop_is_fit(data_dir, tmp_path, monkeypatch, capsys):
    class Stopper(kgan.callbacks.SampleGrid):
        def on_train_batch_end(self, batch, logs=None):
            super().on_train_batch_end(batch, logs)
            self.model.stop_training = int(self.model.optimizer.iterations) == 7

    monkeypatch.setattr(kgan.callbacks, "SampleGrid", Stopper)
    output = tmp_path / "output"
    options = [f"--data-dir={data_dir}", "--steps-per-epoch=3", f"--output={output}"]
    monkeypatch.setattr(sys, "argv", ["custom_loop.py", *options, "--epochs=9"])
    looped = runpy.run_path(str(ROOT / "examples" / "custom_loop.py"))["gan"]

    # It ends where a callback asks for it, within the third epoch, which is not counted.
    assert int(looped.optimizer.iterations) == 7
    assert looped.epochs_trained == 2
    assert keras.saving.load_model(output / "gan.keras").epochs_trained == 2
    lines = capsys.readouterr().out.splitlines()
    told = [line.partition(": ")[2] for line in lines if re.match(r"epoch \d: ", line)]
    assert len(told) == 3

    # The logs are those of `fit`: means over the epoch.
    train = kgan.data.load_mnist(
        "train", data_dir=data_dir, batch_size=32, seed=0, steps_per_epoch=3
    )
    fitted = kgan.recipes.get().build(train.image_shape, seed=0)
    history = fitted.fit(train, epochs=2, verbose=0).history
    for epoch in range(2):
        expected = {name: values[epoch] for name, values in history.items()}
        assert ast.literal_eval(told[epoch]) == pytest.approx(expected, rel=1e-3, abs=1e-3)


def snippet(page):
    """The first snippet of a page in docs/."""
    text = (ROOT / "docs" / page).read_text()
    return re.search(r"```python\n(.*?)```", text, re.S)[1]


@pytest.mark.backend_free
def test_losses_and_penalties_of_your_own(make_gan, dataset, tmp_path):
    mine = {}
    exec(compile(snippet("howto/custom_losses.md"), "custom_losses.md", "exec"), mine)
    gan = make_gan("mlp", loss=mine["Absolute"](), penalties=mine["Slope"](weight=10.0))
    history = gan.fit(dataset, verbose=0).history
    assert history["slope"][0] > 0

    gan.save(tmp_path / "gan.keras")
    loaded = keras.saving.load_model(tmp_path / "gan.keras")
    for name, cls in (("loss", mine["Absolute"]), ("penalties", mine["Slope"])):
        assert cls.__name__ in str(loaded.get_compile_config()[name])
    loss = mine["Absolute"]()
    assert float(loss.discriminator_loss(np.array([3.0, 0.0]), np.array([-1.0, 0.0]))) == 2
    assert float(loss.generator_loss(np.array([3.0, 1.0]))) == 1

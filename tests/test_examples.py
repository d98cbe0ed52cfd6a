"""Every example runs, as a user would run it, for a few steps on a few images."""

import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

import kgan

EXAMPLES = sorted((Path(__file__).parents[1] / "examples").glob("*.py"))


@pytest.fixture
def data_dir(tmp_path):
    """MNIST's four files, with 400 digits of scikit-learn's in them."""
    directory = tmp_path / "data"
    directory.mkdir()
    digits = kgan.data.load_digits("all")
    for prefix in ("train", "t10k"):
        images, labels = digits.images[:400, ..., 0], digits.labels[:400].astype("uint8")
        kgan.data.write_idx(directory / f"{prefix}-images-idx3-ubyte.gz", np.array(images))
        kgan.data.write_idx(directory / f"{prefix}-labels-idx1-ubyte.gz", labels)
    return directory


# What these add to the others is not a backend's business.
ONCE = {"conditional_gan", "custom_loop", "dcgan", "first_gan", "idx_file", "info_gan"}


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
    assert len(list(output.rglob("epoch_0002.png"))) == 1
    assert len(list(output.rglob("training.gif"))) == 1


def test_the_command_on_line_one_names_the_example():
    assert len(EXAMPLES) >= 5
    for example in EXAMPLES:
        first = example.read_text().splitlines()[0]
        assert first.startswith(f"# python examples/{example.name}")

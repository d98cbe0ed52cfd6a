"""Every Python block of README.md and docs/ runs, page by page, with little data and one epoch.

Invisible blocks (`<!--- invisible-code-block: python`) prepare what a page does not show. Tutorials
are in test_tutorials.py.
"""

import re
from pathlib import Path

import keras
import numpy as np
import pytest
from PIL import Image

sybil = pytest.importorskip("sybil")
from sybil.parsers.markdown import PythonCodeBlockParser, SkipParser  # noqa: E402

import kgan  # noqa: E402
from kgan.training import GenerativeModel, log_names  # noqa: E402

pytestmark = [
    pytest.mark.backend_free,
    pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="pages are for TensorFlow"),
    pytest.mark.filterwarnings("ignore::kgan.callbacks.CollapseWarning"),  # of so few batches
    pytest.mark.filterwarnings("ignore::UserWarning:keras"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]

ROOT = Path(__file__).parents[1]
PAGES = sorted(
    path
    for path in (ROOT / "README.md", *(ROOT / "docs").rglob("*.md"))
    if "tutorials" not in path.parts and "```python" in path.read_text()
)
BLOCKS = sybil.Sybil(parsers=[PythonCodeBlockParser(), SkipParser()], patterns=["*.md"])


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory, write_mnist_files):
    """MNIST's four files, with 200 digits of scikit-learn's in them."""
    return write_mnist_files(tmp_path_factory.mktemp("data"), 200)


@pytest.fixture
def little(monkeypatch, tmp_path, data_dir):
    """What pages find: little data, pictures in a folder, and a `fit` of one epoch."""
    monkeypatch.setenv("KGAN_DATA_DIR", str(data_dir))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(log_names, "_TABLE", dict(log_names._TABLE))
    fit, draw, evaluate = GenerativeModel.fit, kgan.data.ImageDataset.draw, kgan.evaluate

    def fit_one_epoch(self, *args, epochs=1, initial_epoch=0, **options):
        last = min(epochs, initial_epoch + 1)
        options.setdefault("verbose", 0)
        return fit(self, *args, epochs=last, initial_epoch=initial_epoch, **options)

    def draw_few(self, count, *args, **options):
        return draw(self, min(count, len(self.images)), *args, **options)

    def evaluate_few(*args, bootstrap=0, **options):
        return evaluate(*args, bootstrap=min(bootstrap, 2), count=100, **options)

    monkeypatch.setattr(kgan, "evaluate", evaluate_few)
    monkeypatch.setattr(GenerativeModel, "fit", fit_one_epoch)
    monkeypatch.setattr(kgan.data.ImageDataset, "draw", draw_few)
    random = np.random.default_rng(0)
    for name in ("cats", "dogs"):
        (tmp_path / "pictures" / name).mkdir(parents=True)
        for number in range(32):
            pixels = random.integers(0, 256, (20, 24, 3), dtype="uint8")
            Image.fromarray(pixels).save(tmp_path / "pictures" / name / f"{number}.png")


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_blocks_run(page, little):
    for example in BLOCKS.parse(page).examples():
        example.evaluate()


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_blocks_are_complete(page):
    for block in re.findall(r"```python\n(.*?)```", page.read_text(), re.S):
        assert "[...]" not in block
        assert "(...)" not in block

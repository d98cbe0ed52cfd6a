"""Every Python block of README.md and docs/ runs, page by page, with little data and one epoch.

Invisible blocks (`<!--- invisible-code-block: python`) prepare what a page does not show. Tutorials
are in test_tutorials.py.
"""

import re
from pathlib import Path

import keras
import pytest

sybil = pytest.importorskip("sybil")
from sybil.parsers.markdown import PythonCodeBlockParser, SkipParser  # noqa: E402

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


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_blocks_run(page, little):
    for example in BLOCKS.parse(page).examples():
        example.evaluate()


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_blocks_are_complete(page):
    for block in re.findall(r"```python\n(.*?)```", page.read_text(), re.S):
        assert "[...]" not in block
        assert "(...)" not in block

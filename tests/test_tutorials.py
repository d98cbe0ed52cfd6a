"""The tutorials run, with few steps on small data; the quick ones here, the others by the tool."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.backend_free

ROOT = Path(__file__).parents[1]
SCRIPTS = sorted((ROOT / "examples" / "tutorials").glob("*.py"))
QUICK = ("02_vae", "05_latent_space", "07_your_own_loss", "08_any_generator")


@pytest.mark.parametrize("name", QUICK)
def test_tutorial(name, tmp_path):
    done = subprocess.run(
        [sys.executable, ROOT / "examples" / "tutorials" / f"{name}.py"],
        check=False,
        capture_output=True,
        text=True,
        timeout=300,
        cwd=tmp_path,
        env={**os.environ, "KGAN_DOCS_FAST": "1", "KERAS_BACKEND": "tensorflow"},
    )
    assert done.returncode == 0, done.stderr
    if name == "05_latent_space":
        assert (tmp_path / "film.gif").exists()
    if name == "07_your_own_loss":
        assert "the loaded model makes the same images: True" in done.stdout


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_the_page_has_all_cells_of_the_script(script):
    page = (ROOT / "docs" / "tutorials" / f"{script.stem}.md").read_text()
    cells = re.split(r"(?m)^# %%.*\n", script.read_text())
    assert len(cells) > 5
    for cell in cells[1:]:
        lines = [line.removeprefix("#").strip() for line in cell.splitlines()]
        for line in filter(None, lines):
            assert line in page, "run `python tools/build_tutorials.py`"

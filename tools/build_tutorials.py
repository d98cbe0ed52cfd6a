# python tools/build_tutorials.py [NAME ...]   (needs `pip install -e ".[tutorials]"`)
"""Runs examples/tutorials/ and renders them, with their output and pictures, into docs/tutorials/.

The scripts are in the percent format of Jupytext. Each runs in its own empty directory.
"""

import argparse
import base64
import os
import re
import shutil
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import jupytext
import nbformat
from nbconvert import MarkdownExporter
from nbconvert.preprocessors import ExecutePreprocessor

ROOT = Path(__file__).parents[1]
SCRIPTS = ROOT / "examples" / "tutorials"
PAGES = ROOT / "docs" / "tutorials"

# Lines of native libraries, and escape sequences of progress bars.
_NOISE = re.compile(r"^([IWEF]\d{4} |WARNING: All log messages|\d{4}-\d\d-\d\d .*\] ).*\n?", re.M)
_CONTROL = re.compile(r"\x1b\[[0-9;]*[A-Za-z]|.*\r(?!\n)|\x08")


def main() -> int:
    """Renders the tutorials that are named, or all of them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", metavar="NAME", nargs="*", help="such as 01_first_gan")
    parser.add_argument("--fast", action="store_true", help="few steps, with KGAN_DOCS_FAST=1")
    parser.add_argument("--no-execute", action="store_true", help="render without output")
    parser.add_argument("--output", type=Path, default=PAGES, help="(default: docs/tutorials)")
    arguments = parser.parse_args()
    if arguments.fast:
        os.environ["KGAN_DOCS_FAST"] = "1"
    # So that the kernel finds this kgan, and native libraries say little.
    os.environ["PYTHONPATH"] = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    for script in scripts(arguments.names):
        notebook = jupytext.read(script)
        seconds = None if arguments.no_execute else execute(notebook)
        write(script, notebook, seconds, arguments.output)
        print(f"{script.stem}: {'not run' if seconds is None else f'{seconds:.0f} s'}", flush=True)
    return 0


def scripts(names: list[str]) -> list[Path]:
    """The scripts of these names, or all of them."""
    found = {path.stem: path for path in sorted(SCRIPTS.glob("*.py"))}
    unknown = set(names) - set(found)
    if unknown:
        raise SystemExit(f"Expected names out of {list(found)}. Received: {sorted(unknown)}.")
    return [found[name] for name in names or found]


def execute(notebook: Any) -> float:
    """Runs all cells in an empty directory, and returns the seconds that it took."""
    begun = time.perf_counter()
    with tempfile.TemporaryDirectory() as directory:
        run = ExecutePreprocessor(timeout=3600, kernel_name="python3")
        run.preprocess(notebook, {"metadata": {"path": directory}})
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = joined(tidy for output in cell.outputs if (tidy := tidied(output)))
    return time.perf_counter() - begun


def joined(outputs: Iterable[Any]) -> list[Any]:
    """The outputs, with the lines of text that follow each other as one."""
    whole: list[Any] = []
    for output in outputs:
        if whole and output.output_type == whole[-1].output_type == "stream":
            whole[-1].text += output.text
        else:
            whole.append(output)
    return whole


def tidied(output: Any) -> Any:
    """An output without the lines of native libraries; None if nothing is left of it."""
    if output.output_type == "stream":
        if output.name == "stderr":
            return None
        output.text = _NOISE.sub("", _CONTROL.sub("", output.text))
        return output if output.text.strip() else None
    data = output.get("data", {})
    if "image/png" in data:  # the text of a picture is only the name of its class
        output.data = nbformat.from_dict({"image/png": data["image/png"]})
    elif data.get("text/plain", "").startswith("<"):
        return None
    return output


def write(script: Path, notebook: Any, seconds: float | None, pages: Path) -> None:
    """Writes the page of a tutorial, and its pictures."""
    name = script.stem
    text, resources = MarkdownExporter().from_notebook_node(
        notebook, resources={"output_files_dir": f"{name}_files", "unique_key": name}
    )
    pictures = pages / f"{name}_files"
    shutil.rmtree(pictures, ignore_errors=True)
    for path, content in resources["outputs"].items():
        file = pages / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content if isinstance(content, bytes) else base64.b64decode(content))
    source = f"examples/tutorials/{script.name}"
    ran = "" if seconds is None else f" It took {took(seconds)} on {os.cpu_count()} CPU cores."
    note = f"This page is the script `{source}`.{ran}"
    text = re.sub(r"(# .*\n)", rf"\1\n{note}\n", text.lstrip(), count=1)
    text = single_blank_lines(text)
    pages.mkdir(parents=True, exist_ok=True)
    (pages / f"{name}.md").write_text(text.replace("![png](", f"![Output of {name}]("))


def single_blank_lines(text: str) -> str:
    """A page without runs of blank lines, but in its code."""
    code = re.compile(r"(```.*?\n```\n)", re.S)
    parts = code.split(text)
    parts[::2] = [re.sub(r"\n(\s*\n)+", "\n\n", part) for part in parts[::2]]
    # A picture is indented by what is above it.
    return re.sub(r"\n +(?=!\[)", "\n", "".join(parts)).rstrip() + "\n"


def took(seconds: float) -> str:
    """A duration, for people."""
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} minutes"


if __name__ == "__main__":
    sys.exit(main())

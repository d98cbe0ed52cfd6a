"""The generated pages of the reference are up to date, and every public module is documented."""

import ast
import importlib
import inspect
import pkgutil
import runpy
from pathlib import Path

import pytest

import kgan
from kgan.training import log_names

pytestmark = pytest.mark.backend_free

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def tool():
    return runpy.run_path(str(ROOT / "tools" / "build_reference.py"))


def test_the_generated_pages_are_up_to_date(tool):
    old = [
        str(path.relative_to(ROOT))
        for path, text in tool["pages"]().items()
        if not path.exists() or path.read_text() != text
    ]
    assert not old, "run `python tools/build_reference.py`"


def test_there_is_no_page_of_a_module_that_is_gone(tool):
    assert set((ROOT / "docs/reference/api").glob("*.md")) <= set(tool["pages"]())


def test_every_public_module_has_a_page(tool):
    found = {each.name for each in pkgutil.iter_modules(kgan.__path__)}
    public = {name for name in found if not name.startswith("_")} - {"cli"}
    assert public <= set(tool["modules"]())


def test_every_page_is_in_the_navigation():
    navigation = (ROOT / "mkdocs.yml").read_text().split("\nnav:\n")[1]
    listed = [line.split()[-1] for line in navigation.splitlines() if line.endswith(".md")]
    pages = [str(path.relative_to(ROOT / "docs")) for path in (ROOT / "docs").rglob("*.md")]
    assert sorted(listed) == sorted(pages)


def test_every_log_is_documented(tool):
    documented = [log.name for logs in tool["LOGS"].values() for log in logs]
    of_kgan = {name for name in log_names._TABLE if not name.startswith("test_")}
    assert set(documented) <= of_kgan
    registered = {each.name for each in log_names._COMMON}
    for path in (ROOT / "kgan" / "models").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "LogName":
                registered.add(node.args[0].value)
    assert set(documented) == registered


def test_every_command_and_recipe_is_documented(tool):
    text = tool["cli_page"]() + tool["recipes_page"]()
    for name in ("train", "sample", "interpolate", "reconstruct", "evaluate", "data", "recipes"):
        assert f"\n## kgan {name}\n" in text
    for name in kgan.recipes.names():
        assert f"\n## {name} " in text


@pytest.mark.parametrize("name", [n for n in kgan.__all__ if inspect.ismodule(getattr(kgan, n))])
def test_every_public_module_lists_its_names(name):
    module = importlib.import_module(f"kgan.{name}")
    assert module.__all__
    for public in module.__all__:
        assert not public.startswith("_")
        assert getattr(module, public) is not None

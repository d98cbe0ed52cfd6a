"""The words to avoid are found, and the pages have none of them."""

import runpy
from pathlib import Path

import pytest

pytestmark = pytest.mark.backend_free

TOOL = runpy.run_path(str(Path(__file__).parents[1] / "tools" / "check_style.py"))


@pytest.mark.parametrize("page", TOOL["pages"](), ids=lambda path: path.name)
def test_pages_have_no_word_to_avoid(page):
    assert not list(TOOL["findings"](page.read_text()))


def test_modules_have_no_word_to_avoid():
    found = {
        str(path): list(TOOL["findings"](path.read_text(), TOOL["comments_and_strings"]))
        for path in TOOL["modules"]()
    }
    assert not {path: words for path, words in found.items() if words}
    assert len(found) > 100


def test_words_are_found_in_comments_and_strings():
    text = 'anew = "likewise"  # So `hence` mends it.\nx = """One.\nwholly"""\n'
    found = TOOL["findings"](text, TOOL["comments_and_strings"])
    assert [(number, word) for number, word, _ in found] == [
        (1, "likewise"),
        (1, "mends"),
        (3, "wholly"),
    ]


def test_words_are_found_in_prose_and_not_in_code():
    text = "So Beside `anew`.\n\n    hence\n\n```python\nlikewise = 1\n```\nA loss of your own.\n"
    assert [(number, word) for number, word, _ in TOOL["findings"](text)] == [
        (1, "Beside"),
        (8, "of your own"),
    ]


def test_links_and_parts_of_words_are_not_found():
    assert not list(TOOL["findings"]("[Images](images_of_late/anew.md), besides mending.\n"))

"""Text as images of one row, from small files."""

import numpy as np
import pytest

import kgan
from kgan.data import text as texts

pytestmark = pytest.mark.backend_free

SOURCE = '''
"""Module {name}."""
import nothing_that_exists

def first():
    """Shared by all."""

class Second:
    """Class of {name}."""

    async def third(self):
        """Method of {name}.

        With an indent.
        """
        return """not a docstring"""

if first:
    def fourth():
        """Under an if of {name}."""
'''


def expected(name):
    return (
        f"Module {name}.",
        f"Class of {name}.",
        f"Method of {name}.\n\nWith an indent.",
        f"Under an if of {name}.",
    )


@pytest.fixture
def library(tmp_path):
    """A directory of Python files: 30 modules, and files that are left out."""
    (tmp_path / "package").mkdir()
    for number in range(30):
        folder = tmp_path / "package" if number % 2 else tmp_path
        (folder / f"module_{number:02}.py").write_text(SOURCE.format(name=f"<{number}>"))
    (tmp_path / "broken.py").write_text('"""Broken."""\ndef (:')
    (tmp_path / "notes.txt").write_text('"""Not Python."""')
    for skipped in ("test", "site-packages"):
        (tmp_path / skipped).mkdir()
        (tmp_path / skipped / "module.py").write_text('"""Skipped."""')
    return tmp_path


def joined(dataset):
    return "".join(kgan.data.decode_text(dataset.images))


def whole(library, split):
    """A split in windows of one character, so that nothing is cut off."""
    return joined(kgan.data.load_text(split, library, length=1))


def test_docstrings_are_all_there_once_and_in_order(library):
    text = whole(library, "all")
    blocks = [
        text.index(block) for number in (0, 2, 28, 1, 29) for block in expected(f"<{number}>")
    ]
    assert blocks == sorted(blocks)
    assert text.count("Shared by all.") == 1
    for absent in ("not a docstring", "Broken", "Not Python", "Skipped", "import"):
        assert absent not in text
    assert "Module <0>.\n\nShared by all.\n\nClass of <0>.\n\nMethod of <0>.\n\nWith" in text


def test_a_module_is_in_one_split(library):
    train, test = whole(library, "train"), whole(library, "test")
    names = [f"<{number}>" for number in range(30)]
    assert all((name in train) != (name in test) for name in names)
    assert 0 < sum(name in test for name in names) < 10
    # The name of a module decides, so that others do not move it.
    (library / "another.py").write_text('"""Another."""')
    texts._docstrings.cache_clear()
    again = whole(library, "test")
    assert [name for name in names if name in again] == [name for name in names if name in test]


def test_windows_are_images_of_one_row(library):
    text = whole(library, "train")
    dataset = kgan.data.load_text("train", library, length=16, batch_size=3, shuffle=False)
    assert dataset.images.shape == (len(text) // 16, 1, 16, 1)
    assert dataset.image_shape == (1, 16, 1)
    assert joined(dataset) == text[: len(text) // 16 * 16]
    batch = dataset.batch(0, 0)
    assert batch.shape == (3, 1, 16, 1)
    assert "".join(kgan.data.decode_text(batch)) == text[:48]


def test_a_text_file_has_its_last_tenth_as_test(tmp_path):
    path = tmp_path / "digits.txt"
    path.write_text("0123456789" * 10)
    assert (
        joined(kgan.data.load_text("train", str(path), length=1, batch_size=1)) == "0123456789" * 9
    )
    assert joined(kgan.data.load_text("test", path, length=5, batch_size=1)) == "0123456789"


def test_characters_outside_latin_1(tmp_path):
    path = tmp_path / "odd.txt"
    path.write_text("e\u0301 \u0151 \u2500 \u00df\r\nz", encoding="utf-8", newline="")
    assert joined(kgan.data.load_text("all", path, length=1, batch_size=1)) == "é o ? ß\nz"


def test_the_licence_is_found_next_to_the_standard_library(tmp_path, monkeypatch):
    monkeypatch.setattr(texts.sysconfig, "get_path", lambda name: str(tmp_path / "lib" / "python"))
    (tmp_path / "lib" / "python").mkdir(parents=True)
    with pytest.raises(FileNotFoundError, match=r"Python's licence as LICENSE\.txt.*docstrings"):
        kgan.data.load_text("all", "licence")
    (tmp_path / "LICENSE").write_text("You may copy it.")
    assert (
        joined(kgan.data.load_text("all", "licence", length=4, batch_size=1)) == "You may copy it."
    )


def test_the_data_set_by_name(library, monkeypatch):
    monkeypatch.setattr(texts.sysconfig, "get_path", lambda name: str(library))
    dataset = kgan.data.load_dataset("python_docstrings", "train", length=8, batch_size=4)
    assert joined(dataset) == joined(kgan.data.load_text("train", library, length=8))


def test_text_becomes_levels_and_back():
    text = "".join(map(chr, range(256)))
    levels = kgan.data.encode_text(text)
    assert levels.dtype == np.uint8
    assert levels.tolist() == list(range(256))
    rows = np.stack([levels, levels[::-1]])[:, None, :, None]
    assert kgan.data.decode_text(rows) == [text, text[::-1]]
    assert kgan.data.decode_text(rows.astype("int32")) == [text, text[::-1]]
    assert kgan.data.decode_text(rows[0]) == [text]
    floats = (rows / 127.5 - 1).astype("float32")
    assert kgan.data.decode_text(floats) == [text, text[::-1]]


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda path: ("valid", path), ValueError, r"'train', 'test', 'all'. Received: 'valid'"),
        (lambda path: ("train", path / "none"), FileNotFoundError, "'docstrings', 'licence', or"),
        (lambda path: ("train", path), FileNotFoundError, "Python files in the directory"),
        (lambda path: ("train", path / "a.txt", 9), ValueError, "at least 9 .* 6 characters in"),
        (lambda path: ("train", path / "a.txt", 0), ValueError, "`?length`?"),
    ],
)
def test_mistakes_are_errors(tmp_path, call, error, message):
    (tmp_path / "a.txt").write_text("sixsix")
    with pytest.raises(error, match=message):
        kgan.data.load_text(*call(tmp_path))


def test_what_is_no_text_is_an_error():
    with pytest.raises(ValueError, match=r"Latin-1.*Received: '€' at 2"):
        kgan.data.encode_text("10€")
    with pytest.raises(ValueError, match=r"\(n, 1, length, 1\).*Received: shape \(3, 2, 4, 1\)"):
        kgan.data.decode_text(np.zeros((3, 2, 4, 1)))

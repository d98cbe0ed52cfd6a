"""Text as images of one row: a byte for each character."""

from __future__ import annotations

import ast
import functools
import os
import sysconfig
import unicodedata
import warnings
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kgan._arguments import integer
from kgan.data.image_dataset import ImageDataset
from kgan.images import to_uint8

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy.typing as npt

    from kgan._typing import ImagesLike, Pictures

DOCSTRINGS, LICENCE = "docstrings", "licence"

_ENCODING = "latin-1"  # each byte is a character, so a model can draw any bytes
_SPLITS = ("train", "test", "all")
_TEST_SHARE = 10  # one module in ten, or the last tenth of a text
_BETWEEN = "\n\n"
# Tests and programs that come with Python, and packages that do not.
_SKIPPED = frozenset(
    {
        "test",
        "tests",
        "idle_test",
        "idlelib",
        "lib2to3",
        "turtledemo",
        "site-packages",
        "dist-packages",
    }
)


def load_text(
    split: str = "train",
    source: str | os.PathLike[str] = DOCSTRINGS,
    length: int = 256,
    **dataset_options: Any,
) -> ImageDataset:
    """Loads text as sequences of characters, for a `kgan.PixelCNN` of images of one row.

    The text is cut into windows of `length` characters. A window is an image of height 1, whose
    256 levels are the characters of Latin-1. Accents that Latin-1 lacks are dropped. Other
    characters outside it become question marks.

    The docstrings of Python's standard library need no download. They are read from its source
    files, without its tests, and each text is taken once. They differ a little between versions of
    Python, so state the version with every result: in 3.11 they are 1.6 million characters.

    Args:
        split: String, `"train"`, `"test"` or `"all"`. The test split has one module in ten, chosen
            by its name, or the last tenth of a text file. Defaults to `"train"`.
        source: `"docstrings"`, `"licence"` (Python's own, about 13,000 characters), or the path of
            a text file in UTF-8, or of a directory of Python files whose docstrings are read.
            Defaults to `"docstrings"`.
        length: Integer, the characters of a window. Defaults to 256.
        **dataset_options: Arguments of `kgan.data.ImageDataset`: `batch_size`, `shuffle`, `seed`
            and others.

    Returns:
        A `kgan.data.ImageDataset` of uint8 images `(N, 1, length, 1)`.

    Raises:
        FileNotFoundError: There is no such file or directory, or this Python has no source files.
        ValueError: The split is unknown, or the text is shorter than one window.

    Example:
    ```python
    train = kgan.data.load_text("train", length=64, batch_size=32)
    print(kgan.data.decode_text(train.images[0]))
    ```
    """
    if split not in _SPLITS:
        choices = ", ".join(map(repr, _SPLITS))
        raise ValueError(f"Expected a split of the text, one of {choices}. Received: {split!r}.")
    length = integer("length", length)
    text = _encoded(_text_of_split(source, split))
    count = len(text) // length
    if not count:
        raise ValueError(
            f"Expected a text of at least {length} characters, one window. Received: "
            f"{len(text)} characters in the split {split!r} of {os.fspath(source)!r}. Lower "
            "`length`."
        )
    windows = np.frombuffer(text, "uint8")[: count * length].reshape(count, 1, length, 1)
    return ImageDataset(windows, **dataset_options)


def encode_text(text: str) -> npt.NDArray[np.uint8]:
    """Converts text to levels, for `kgan.PixelCNN.generate(prompt=...)`.

    Args:
        text: String of characters in Latin-1.

    Returns:
        Uint8 array `(len(text),)`.

    Raises:
        ValueError: A character is not in Latin-1.

    Example:
    ```python
    assert kgan.data.encode_text("ab").tolist() == [97, 98]
    ```
    """
    try:
        return np.frombuffer(text.encode(_ENCODING), "uint8")
    except UnicodeEncodeError as error:
        raise ValueError(
            "Expected characters in Latin-1, which has one byte for each. "
            f"Received: {text[error.start]!r} at {error.start}."
        ) from None


def decode_text(images: ImagesLike) -> list[str]:
    """Converts images of one row to text.

    Args:
        images: Array `(n, 1, length, 1)` or `(1, length, 1)`: floats in [-1, 1] as
            `kgan.PixelCNN.generate` returns them, or integer levels from 0 to 255.

    Returns:
        List of n strings.

    Raises:
        ValueError: The array has another shape.

    Example:
    ```python
    levels = kgan.data.encode_text("Return the sum.")
    assert kgan.data.decode_text(levels.reshape(1, 1, -1, 1)) == ["Return the sum."]
    ```
    """
    array = np.asarray(images)
    if array.ndim == 3:
        array = array[None]
    if array.ndim != 4 or array.shape[1] != 1 or array.shape[3] != 1:
        raise ValueError(
            "Expected images of one row and one channel, (n, 1, length, 1). "
            f"Received: shape {np.shape(images)}."
        )
    levels: Pictures = to_uint8(array) if array.dtype.kind == "f" else array.astype("uint8")
    return [row.tobytes().decode(_ENCODING) for row in levels]


def _text_of_split(source: str | os.PathLike[str], split: str) -> str:
    if source == DOCSTRINGS:
        source = sysconfig.get_path("stdlib")
    path = _licence() if source == LICENCE else Path(source)
    if path.is_dir():
        modules = _docstrings(path.resolve())
        texts = [text for name, text in modules if split in ("all", _split_of(name))]
        return _BETWEEN.join(texts)
    if not path.is_file():
        raise FileNotFoundError(
            f"Expected {DOCSTRINGS!r}, {LICENCE!r}, or the path of a text file or of a directory "
            f"of Python files. Received: {os.fspath(source)!r}, which does not exist."
        )
    text = path.read_text("utf-8", errors="replace")
    first_of_test = len(text) - len(text) // _TEST_SHARE
    return {"train": text[:first_of_test], "test": text[first_of_test:], "all": text}[split]


def _licence() -> Path:
    """The file of Python's licence, which systems keep in several places."""
    library = Path(sysconfig.get_path("stdlib"))
    places = (library, library.parent.parent, Path(sysconfig.get_path("data")))
    for path in (place / name for place in places for name in ("LICENSE.txt", "LICENSE")):
        if path.is_file():
            return path
    raise FileNotFoundError(
        f"Expected Python's licence as LICENSE.txt in {library}. Received: no such file. "
        "Use source='docstrings', or give the path of a text."
    )


def _split_of(module: str) -> str:
    """The split of a module, which depends on its name alone."""
    return "test" if zlib.crc32(module.encode()) % _TEST_SHARE == 0 else "train"


@functools.lru_cache(maxsize=4)  # reading the standard library takes seconds
def _docstrings(directory: Path) -> Sequence[tuple[str, str]]:
    """The names of modules in a directory, and their docstrings, each text once."""
    files = sorted(_python_files(directory))
    if not files:
        raise FileNotFoundError(
            f"Expected Python files in the directory. Received: {directory}, which has none. "
            "Give the path of a text or of another directory as `source`."
        )
    found, seen = [], set()
    for path in files:
        texts = []
        for text in _docstrings_of(path):
            if text not in seen:
                seen.add(text)
                texts.append(text)
        if texts:
            name = path.relative_to(directory).with_suffix("").as_posix()
            found.append((name, _BETWEEN.join(texts)))
    return found


def _python_files(directory: Path) -> Iterator[Path]:
    for folder, names, files in os.walk(directory):
        names[:] = sorted(set(names) - _SKIPPED)  # skipped directories can have many files
        yield from (Path(folder, name) for name in files if name.endswith(".py"))


def _docstrings_of(path: Path) -> Iterator[str]:
    """The docstrings of a file, from the top. A file that is not valid Python has none."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of invalid escapes, in the code of others
            tree = ast.parse(path.read_bytes())
    except (SyntaxError, ValueError):
        return
    for node in _definitions(tree):
        text = ast.get_docstring(node)
        if text:
            yield text


_Definition = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def _definitions(node: ast.AST) -> Iterator[_Definition]:
    """A node and those below it that can have a docstring. It looks at statements only."""
    if isinstance(node, _Definition):
        yield node
    for name in ("body", "handlers", "orelse", "finalbody", "cases"):
        statements = getattr(node, name, ())
        for statement in statements if isinstance(statements, list) else ():
            yield from _definitions(statement)


def _encoded(text: str) -> bytes:
    composed = unicodedata.normalize("NFC", text)
    return "".join(map(_in_latin_1, composed)).encode(_ENCODING)


def _in_latin_1(character: str) -> str:
    """A character, without accents that Latin-1 lacks, or a question mark."""
    if ord(character) < 256:
        return character
    base = unicodedata.normalize("NFKD", character)[0]
    return base if ord(base) < 256 else "?"

"""CIFAR-10's files: where they are, and what they hold.

The set is published in two forms. The binary form has a byte for the label and 3,072 for the pixels
of each image, channel by channel. The Python form, which Keras caches, holds pickles. Unpickling
runs code that a file names. So pickles are read with stand-ins for the few names that they need:
nothing else can be looked up, and no array is made before its type and size are checked.
"""

import gzip
import io
import pathlib
import pickle
import tarfile
import zlib
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import numpy as np

from kgan._typing import Labels, Pictures
from kgan.data._published import PublishedFile

ARCHIVE = PublishedFile(
    "cifar-10-binary.tar.gz",
    170_052_171,
    "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
)
MIRRORS = (
    "https://www.cs.toronto.edu/~kriz/",
    "https://storage.googleapis.com/s4tf-hosted-binaries/datasets/CIFAR10/",
)
BATCHES = {
    "train": tuple(f"data_batch_{number}" for number in range(1, 6)),
    "test": ("test_batch",),
}

_SIDE = 32
_PIXELS = 3 * _SIDE * _SIDE
_RECORD = 1 + _PIXELS
_MOST_IMAGES = 10_000  # in one of the published files
# A pickle has a label as a number and the name of each image's file in addition to the pixels.
_MOST_BYTES = 2 * _MOST_IMAGES * _RECORD


class Batch(NamedTuple):
    """The images and labels of one file."""

    images: Pictures
    labels: Labels


class Form(NamedTuple):
    """A form in which the set is published: its names, and how its files are read."""

    folder: str
    archive: str
    suffix: str
    parse: Callable[[bytes, str], Batch]


def parse_binary(content: bytes, where: str) -> Batch:
    """Reads a file of the binary form; `where` names it in errors."""
    if len(content) == 0 or len(content) % _RECORD:
        raise ValueError(
            f"Expected images of {_RECORD} bytes each in {where}. Received: {len(content)} bytes. "
            "The file is damaged: remove it, and download it again."
        )
    records = np.frombuffer(content, np.uint8).reshape(-1, _RECORD)
    return _batch(records[:, 1:], records[:, 0].astype(np.int32), where)


def parse_pickle(content: bytes, where: str) -> Batch:
    """Reads a file of the Python form; `where` names it in errors. Runs no code of the file."""
    try:
        found = _Unpickler(io.BytesIO(content), encoding="bytes").load()
        named = {_text(name): value for name, value in found.items()}
        pixels, labels = named["data"].pixels(), np.array(named["labels"], dtype=np.int32)
    except Exception as error:  # unpickling raises errors of every kind
        raise ValueError(
            f"Expected a batch of CIFAR-10 in {where}, a pickle of data and labels. "
            f"Received: {type(error).__name__}: {error}. The file is damaged, or another one."
        ) from error
    return _batch(pixels, labels, where)


FORMS = (
    Form("cifar-10-batches-bin", ARCHIVE.name, ".bin", parse_binary),
    Form("cifar-10-batches-py", "cifar-10-python.tar.gz", "", parse_pickle),
)


def find(directory: pathlib.Path, split: str) -> tuple[pathlib.Path, Form] | None:
    """Finds the folder or the archive with the files of a split in a directory, or None."""
    for form in FORMS:
        for folder in (directory, directory / form.folder):
            if all((folder / f"{name}{form.suffix}").is_file() for name in BATCHES[split]):
                return folder, form
        if (directory / form.archive).is_file():
            return directory / form.archive, form
    return None


def read(path: pathlib.Path, form: Form, split: str) -> Batch:
    """Reads the images and labels of a split from a folder or an archive.

    Raises:
        ValueError: A file is missing, damaged or too large.
    """
    names = [f"{name}{form.suffix}" for name in BATCHES[split]]
    contents = _from_archive(path, names) if path.is_file() else _from_folder(path, names)
    batches = [form.parse(contents[name], f"{path / name}") for name in names]
    return Batch(*(np.concatenate(parts) for parts in zip(*batches, strict=True)))


def _batch(pixels: Pictures, labels: Labels, where: str) -> Batch:
    wrong = labels[(labels < 0) | (labels > 9)]
    if labels.ndim != 1 or len(labels) != len(pixels) or len(labels) == 0 or len(wrong):
        found = f", one of them {wrong[0]}" if len(wrong) else ""
        raise ValueError(
            f"Expected a label from 0 to 9 for each image in {where}. Received: {len(pixels)} "
            f"images and labels of shape {labels.shape}{found}."
        )
    return Batch(pixels.reshape(-1, 3, _SIDE, _SIDE).transpose(0, 2, 3, 1), labels)


def _check_size(size: int, where: str) -> None:
    if size > _MOST_BYTES:
        raise ValueError(
            f"Expected at most {_MOST_BYTES} bytes in {where}, twice those of {_MOST_IMAGES} "
            f"images. Received: {size} bytes. It is not a file of CIFAR-10."
        )


def _from_folder(folder: pathlib.Path, names: Iterable[str]) -> dict[str, bytes]:
    contents = {}
    for name in names:
        _check_size((folder / name).stat().st_size, str(folder / name))
        contents[name] = (folder / name).read_bytes()
    return contents


def _from_archive(path: pathlib.Path, names: list[str]) -> dict[str, bytes]:
    """Reads files of an archive by the ends of their paths. Writes nothing."""
    contents: dict[str, bytes] = {}
    try:
        with tarfile.open(path, "r|gz") as archive:
            for member in archive:
                name = pathlib.PurePosixPath(member.name).name
                if name not in names or not member.isfile():
                    continue
                _check_size(member.size, f"{path}, {member.name}")
                file = archive.extractfile(member)
                contents[name] = b"" if file is None else file.read()
                if len(contents) == len(names):
                    return contents
    except (tarfile.TarError, gzip.BadGzipFile, zlib.error, EOFError) as error:
        raise ValueError(
            f"Expected a gzipped archive of CIFAR-10 in {path}. Received: {error}. The file is "
            "damaged: remove it, and download it again."
        ) from error
    missing = ", ".join(name for name in names if name not in contents)
    raise ValueError(
        f"Expected the files of CIFAR-10 in the archive {path}. Received: an archive without "
        f"{missing}. It is another one, or incomplete."
    )


class _Array:
    """Stands in for a NumPy array while it is unpickled."""

    def __init__(self, *_arguments: object) -> None:
        self.state: tuple[Any, ...] = ()

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self.state = state

    def pixels(self) -> Pictures:
        """The array `(count, 3072)`, if it is one of bytes in C order."""
        _version, shape, dtype, is_fortran, content = self.state
        count, size = shape
        if not isinstance(dtype, _DType) or dtype.name != "u1" or is_fortran or size != _PIXELS:
            raise ValueError(f"an array of shape {shape}, not of {_PIXELS} bytes an image")
        return np.frombuffer(content, np.uint8).reshape(count, size)


class _DType:
    """Stands in for a NumPy dtype while it is unpickled."""

    def __init__(self, name: str | bytes, *_options: object) -> None:
        self.name = _text(name)

    def __setstate__(self, state: object) -> None:
        """The byte order and the like mean nothing for bytes."""


def _text(value: str | bytes) -> str:
    return value.decode("latin1") if isinstance(value, bytes) else value


def _encode(text: str, _encoding: str) -> bytes:
    """Python 3 writes bytes for Python 2 as a call of `codecs.encode`."""
    return text.encode("latin1")


class _Unpickler(pickle.Unpickler):
    """Knows the names in CIFAR-10's pickles, and gives stand-ins for them."""

    def find_class(self, module: str, name: str) -> Any:
        if name == "_reconstruct" and module in {
            "numpy.core.multiarray",
            "numpy._core.multiarray",
        }:
            return _Array
        stand_ins: dict[tuple[str, str], Any] = {
            ("numpy", "ndarray"): _Array,
            ("numpy", "dtype"): _DType,
            ("_codecs", "encode"): _encode,
        }
        if (module, name) not in stand_ins:
            raise pickle.UnpicklingError(f"the name {module}.{name}, which is not allowed")
        return stand_ins[module, name]

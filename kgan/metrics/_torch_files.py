"""Reads tensors from files of `torch.save`, without PyTorch and without running their pickle.

A pickle can name any function of Python to call. The reader knows only the few names that a
dictionary of tensors needs, and calls functions of this module for them. Any other name is an
error.
"""

import io
import math
import pickle
import struct
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

# Numbers that `torch.save` writes at the start of files of its old format.
_MAGIC_NUMBER = 0x1950A86A20F9469CFC6C
_PROTOCOL_VERSION = 1001
_LARGEST_PICKLE = 1 << 26
_STORAGES = {
    "FloatStorage": "<f4",
    "DoubleStorage": "<f8",
    "HalfStorage": "<f2",
    "LongStorage": "<i8",
    "IntStorage": "<i4",
}
# What a pickle that is damaged or of another kind raises.
_UNREADABLE = (
    pickle.UnpicklingError,
    zipfile.BadZipFile,
    struct.error,
    ArithmeticError,
    AssertionError,
    AttributeError,
    EOFError,
    LookupError,
    MemoryError,
    RuntimeError,
    TypeError,
    ValueError,
)


def read_tensors(path: Path) -> dict[str, npt.NDArray[Any]]:
    """Reads a dictionary of tensors, in either format of `torch.save`.

    Args:
        path: The file.

    Returns:
        Dictionary of arrays by the names of the tensors.

    Raises:
        OSError: The file cannot be read.
        ValueError: It is not such a file, or holds anything else than tensors.
    """
    # All in memory, so that no error of a damaged file is one of the file system.
    file = io.BytesIO(path.read_bytes())
    try:
        content = _read_zip(file) if zipfile.is_zipfile(file) else _read_old(file)
        return {name: tensor.array() for name, tensor in _tensors_of(content).items()}
    except _UNREADABLE as error:
        raise ValueError(
            f"Expected {path} to be a dictionary of tensors that torch.save wrote. "
            f"Received: another or an incomplete file ({str(error) or type(error).__name__}). "
            "Download it again."
        ) from error


@dataclass
class _Storage:
    """The numbers that tensors are views of. The old format has them behind all tensors."""

    dtype: np.dtype[Any]
    count: int
    values: npt.NDArray[Any] | None = None

    def fill(self, data: bytes) -> None:
        if len(data) != self.count * self.dtype.itemsize:
            raise ValueError(f"a storage of {self.count} numbers has {len(data)} bytes")
        self.values = np.frombuffer(data, self.dtype)


@dataclass(frozen=True)
class _View:
    """A tensor: which numbers of a storage, in which shape."""

    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    def array(self) -> npt.NDArray[Any]:
        """Returns a copy of the tensor."""
        values = self.storage.values
        if not isinstance(values, np.ndarray):
            raise ValueError("a storage is missing")
        # A damaged file may hold anything in these places.
        sizes = (self.offset, *self.shape, *self.strides)
        if not all(isinstance(size, int) and size >= 0 for size in sizes):
            raise ValueError("a tensor has an impossible shape")
        count = math.prod(self.shape)
        steps = zip(self.shape, self.strides, strict=True)
        last = self.offset + sum((size - 1) * stride for size, stride in steps)
        # Repeats (strides of 0) would make a small file a large array.
        if count and (count > len(values) or last >= len(values)):
            raise ValueError("a tensor is larger than its storage")
        # The numbers of an empty tensor are at no place.
        start = values[self.offset :] if count else values[:0]
        bytes_apart = [stride * values.itemsize for stride in self.strides]
        return np.lib.stride_tricks.as_strided(start, self.shape, bytes_apart).copy()


def _tensors_of(content: Any) -> Mapping[str, _View]:
    tensors = isinstance(content, dict) and all(
        isinstance(name, str) and isinstance(view, _View) for name, view in content.items()
    )
    if not tensors:
        raise ValueError("it holds other objects than tensors by names")
    found: Mapping[str, _View] = content
    return found


def _view(storage: Any, offset: Any, shape: Any, strides: Any, *unused: Any) -> _View:
    """Takes the place of `torch._utils._rebuild_tensor_v2`."""
    del unused  # whether it is trained, and hooks
    return _View(storage, offset, tuple(shape), tuple(strides))


def _parameter(view: Any, *unused: Any) -> Any:
    """Takes the place of `torch._utils._rebuild_parameter`."""
    del unused
    return view


_KNOWN: dict[tuple[str, str], Any] = {
    ("collections", "OrderedDict"): OrderedDict,
    ("torch._utils", "_rebuild_tensor_v2"): _view,
    ("torch._utils", "_rebuild_parameter"): _parameter,
    **{("torch", name): code for name, code in _STORAGES.items()},
}


# The one written in Python. That in C takes as much memory as a damaged pickle says.
class _Unpickler(pickle._Unpickler):
    """Reads a pickle that names nothing but tensors.

    Args:
        file: The file.
        storage: Called with the type, key and number of elements of a storage. Returns it.
    """

    def __init__(self, file: io.BytesIO, storage: Callable[[Any, str, int], _Storage]) -> None:
        super().__init__(file)
        self._storage = storage

    def find_class(self, module: str, name: str) -> Any:
        """Returns this module's own function for a name."""
        try:
            return _KNOWN[module, name]
        except KeyError:
            raise pickle.UnpicklingError(f"it names {module}.{name}") from None

    def persistent_load(self, identifier: Any) -> _Storage:
        """Returns the storage of a tensor."""
        kind, dtype, key, _, count, *view = identifier
        known = dtype in _STORAGES.values() and isinstance(count, int) and isinstance(key, str)
        if kind != "storage" or not known or count < 0 or view not in ([], [None]):
            raise pickle.UnpicklingError("it has a storage of an unknown kind")
        return self._storage(np.dtype(dtype), key, count)


def _read_zip(file: io.BytesIO) -> Any:
    """Reads the format of PyTorch 1.6 and later: a zip file of a pickle and of storages."""
    with zipfile.ZipFile(file) as archive:
        pickles = [name for name in archive.namelist() if name.endswith("/data.pkl")]
        if len(pickles) != 1:
            raise ValueError("it is a zip file without data.pkl")
        folder = pickles[0].removesuffix("data.pkl")
        _check_order(archive, f"{folder}byteorder")
        storages: dict[str, _Storage] = {}

        def storage(dtype: np.dtype[Any], key: str, count: int) -> _Storage:
            if key not in storages:
                made = storages[key] = _Storage(dtype, count)
                made.fill(_member(archive, f"{folder}data/{key}", count * dtype.itemsize))
            return storages[key]

        pickled = io.BytesIO(_member(archive, pickles[0], _LARGEST_PICKLE))
        return _Unpickler(pickled, storage).load()


def _check_order(archive: zipfile.ZipFile, name: str) -> None:
    if name in archive.namelist() and _member(archive, name, 16) != b"little":
        raise ValueError("its numbers are big-endian")


def _member(archive: zipfile.ZipFile, name: str, largest: int) -> bytes:
    information = archive.getinfo(name)
    # torch.save compresses nothing, so a file cannot be much larger than it seems.
    if information.compress_type != zipfile.ZIP_STORED or information.file_size > largest:
        raise ValueError(f"{name} is larger than expected, or compressed")
    return archive.read(information)


def _read_old(file: io.BytesIO) -> Any:
    """Reads the format before PyTorch 1.6: pickles, then the bytes of all storages."""
    file.seek(0)
    storages: dict[str, _Storage] = {}

    def none(*unexpected: Any) -> _Storage:
        del unexpected
        raise pickle.UnpicklingError("it has a storage where none is expected")

    def storage(dtype: np.dtype[Any], key: str, count: int) -> _Storage:
        return storages.setdefault(key, _Storage(dtype, count))

    magic = _Unpickler(file, none).load()
    if magic != _MAGIC_NUMBER or _Unpickler(file, none).load() != _PROTOCOL_VERSION:
        raise ValueError("it is of another format")
    if _Unpickler(file, none).load().get("little_endian") is not True:
        raise ValueError("its numbers are big-endian")
    content = _Unpickler(file, storage).load()
    for key in _Unpickler(file, none).load():
        (count,) = struct.unpack("<q", file.read(8))
        found = storages[key]
        found.fill(file.read(max(count, 0) * found.dtype.itemsize))
    return content

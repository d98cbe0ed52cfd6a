"""IDX files: the format of MNIST and similar data sets.

Reading takes few passes over memory. The bytes of a plain file are read into the returned array.
Gzip data is inflated once, into the buffer of the array. Only elements of more than one byte take a
second pass, from big-endian into this machine's byte order.

Files are not trusted. `csrc/idx.cpp` checks the header against the size of the file, or against the
most that gzip data of its size can hold, before memory is allocated.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import pathlib
import stat
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, TypeAlias

import deflate
import numpy as np
import numpy.typing as npt

from kgan import _core
from kgan._files import written_whole
from kgan.data import _inflate

if TYPE_CHECKING:
    from typing_extensions import Buffer

Source: TypeAlias = "str | os.PathLike[str] | Buffer"

_TYPE_CODES = {"uint8": 8, "int8": 9, "int16": 11, "int32": 12, "float32": 13, "float64": 14}
_MAX_RANK = 64 if int(np.__version__.split(".", maxsplit=1)[0]) >= 2 else 32
_GZIP_LEVEL = 6


@dataclasses.dataclass(frozen=True)
class IdxInfo:
    """The type and shape of an IDX file: its header, checked against its size.

    Attributes:
        dtype: NumPy dtype of the elements, in this machine's byte order.
        shape: Tuple of integers, the dimensions.
        compressed: Boolean, whether the file is gzip data.
    """

    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    compressed: bool


_Check: TypeAlias = Callable[[IdxInfo], None]


def read_idx(source: Source) -> npt.NDArray[Any]:
    """Reads an IDX file, plain or gzipped.

    It reads all element types of the format (uint8, int8, int16, int32, float32, float64) and all
    ranks of NumPy; rank 0 gives an array of shape `()`. The content tells whether a file is
    gzipped, not its name. Several gzip members in a row are read as one file.

    Args:
        source: Path of a regular file (`str` or `os.PathLike`), or its content as a bytes-like
            object.

    Returns:
        A C-contiguous NumPy array in this machine's byte order. From a file it is new and
        writable. From plain bytes of one-byte elements it is a view of `source`, and read-only if
        `source` is, as `bytes` is.

    Raises:
        ValueError: The content is not one complete IDX file: wrong magic number, unknown element
            type, dimensions that overflow or do not fit the content, missing or additional bytes,
            corrupt gzip data, or not a regular file. The message names the file.
        OSError: The file cannot be read: `FileNotFoundError`, `IsADirectoryError` and others.

    Example:
    ```python
    images = kgan.data.read_idx("train-images-idx3-ubyte.gz")  # uint8 (60000, 28, 28)
    ```

    Reference:
        - [The MNIST database](http://yann.lecun.com/exdb/mnist/), the definition of the format
    """
    return _read(source, _accept)


def read_idx_images(source: Source) -> npt.NDArray[np.uint8]:
    """Reads an IDX file of images.

    Args:
        source: Path or bytes, as for `read_idx`.

    Returns:
        A uint8 array of shape `(N, H, W)` or `(N, H, W, C)`.

    Raises:
        ValueError: As for `read_idx`, or the file holds something else, such as labels.
        OSError: As for `read_idx`.

    Example:
    ```python
    images = kgan.data.read_idx_images("train-images-idx3-ubyte.gz")
    assert images.shape[1:] == (28, 28)
    ```
    """
    return _read(source, _expect_images)


def read_idx_labels(source: Source) -> npt.NDArray[np.uint8]:
    """Reads an IDX file of labels.

    Args:
        source: Path or bytes, as for `read_idx`.

    Returns:
        A uint8 array of shape `(N,)`.

    Raises:
        ValueError: As for `read_idx`, or the file holds something else, such as images.
        OSError: As for `read_idx`.

    Example:
    ```python
    labels = kgan.data.read_idx_labels("train-labels-idx1-ubyte.gz")
    assert labels.max() == 9
    ```
    """
    return _read(source, _expect_labels)


def idx_header(source: Source) -> IdxInfo:
    """Reads the type and shape of an IDX file, without its elements.

    For a plain file, only the header is read, and compared with the size of the file. For a gzipped
    file, the header is inflated, and compared with the length at the end of the gzip data. Only
    `read_idx` checks the elements.

    Args:
        source: Path or bytes, as for `read_idx`.

    Returns:
        An `IdxInfo`: `dtype`, `shape` and `compressed`.

    Raises:
        ValueError: As for `read_idx`, for faults that the header or the size shows.
        OSError: As for `read_idx`.

    Example:
    ```python
    info = kgan.data.idx_header("train-images-idx3-ubyte.gz")
    assert info.dtype == "uint8"
    assert info.shape[1:] == (28, 28)
    ```
    """
    with _naming(source):
        if not isinstance(source, (str, os.PathLike)):
            content = _as_bytes(source)
            if not _is_gzip(content):
                return _info(_checked_header(content, content.nbytes), compressed=False)
            return _gzip_info(bytes(content))
        path = _regular_file(source)
        with path.open("rb") as file:
            head = file.read(_core.MAX_IDX_HEADER_SIZE)
            if not _is_gzip(head):
                return _info(_checked_header(head, _size(file)), compressed=False)
            return _gzip_info(head + file.read())


def write_idx(path: str | os.PathLike[str], array: npt.ArrayLike) -> None:
    """Writes an array as an IDX file.

    The file is gzipped if its name ends in ".gz". The same array always gives the same bytes. The
    write is atomic: a file that was at `path` is replaced once the new one is complete, and an
    error keeps it.

    Args:
        path: Path of the file to write.
        array: Array of dtype uint8, int8, int16, int32, float32 or float64, of any rank, with
            dimensions up to 2^32 - 1.

    Raises:
        ValueError: The format has no type for the array's dtype, or a dimension is too large.
        OSError: The file cannot be written.

    Example:
    ```python
    images = np.zeros((100, 28, 28), "uint8")
    kgan.data.write_idx("images.idx.gz", images)
    assert np.array_equal(kgan.data.read_idx("images.idx.gz"), images)
    ```
    """
    array = np.asarray(array)
    code = _TYPE_CODES.get(array.dtype.newbyteorder("=").name)
    if code is None:
        raise ValueError(
            f"Expected an array of {', '.join(_TYPE_CODES)}, the types of IDX. Received: dtype "
            f"{array.dtype}. Convert it: array.astype('uint8') for pixels and labels up to 255, "
            "array.astype('int32') for other integers."
        )
    if any(dimension >= 2**32 for dimension in array.shape):
        raise ValueError(
            f"Expected dimensions below 2^32, as IDX has. Received: shape {array.shape}."
        )
    header = bytes([0, 0, code, array.ndim]) + np.array(array.shape, ">u4").tobytes()
    elements = np.ascontiguousarray(array, array.dtype.newbyteorder(">")).reshape(-1)
    payload = elements.view(np.uint8).data
    with written_whole(path) as temporary, temporary.open("wb") as file:
        if temporary.suffix.lower() == ".gz":
            file.write(deflate.gzip_compress(header + payload, _GZIP_LEVEL))
        else:
            file.write(header)
            file.write(payload)


def _read(source: Source, check: _Check) -> npt.NDArray[Any]:
    with _naming(source):
        if isinstance(source, (str, os.PathLike)):
            return _read_file(_regular_file(source), check)
        content = _as_bytes(source)
        if _is_gzip(content):
            return _read_gzip(bytes(content), check)
        header = _checked_header(content, content.nbytes)
        check(_info(header, compressed=False))
        return _view(content, header)


def _read_file(path: pathlib.Path, check: _Check) -> npt.NDArray[Any]:
    with path.open("rb") as file:
        head = file.read(_core.MAX_IDX_HEADER_SIZE)
        if _is_gzip(head):
            return _read_gzip(head + file.read(), check)
        header = _checked_header(head, _size(file))
        info = _info(header, compressed=False)
        check(info)
        array = np.empty(info.shape, info.dtype)
        file.seek(header.offset)
        received = file.readinto(array.reshape(-1).view(np.uint8).data)
    if received != header.payload_size:
        raise ValueError(
            f"the file shrank while it was read: expected {header.payload_size} bytes of elements. "
            f"Received: {received}"
        )
    is_stored_natively = np.dtype(header.typestr).isnative
    return array if is_stored_natively else array.byteswap(inplace=True)


def _read_gzip(data: bytes, check: _Check) -> npt.NDArray[Any]:
    header = _gzip_header(data)
    check(_info(header, compressed=True))
    return _view(_inflate.inflate(data, header.offset + header.payload_size), header)


def _view(content: memoryview | bytearray, header: _core.IdxHeader) -> npt.NDArray[Any]:
    stored = np.frombuffer(content, header.typestr, offset=header.offset).reshape(header.shape)
    return stored.astype(stored.dtype.newbyteorder("="), copy=False)


def _checked_header(head: Buffer, size: int) -> _core.IdxHeader:
    """Parses the header of a file of `size` bytes, and checks that size."""
    if size == 0:
        raise ValueError("expected an IDX file. Received: an empty file")
    header = _core.parse_idx_header(head)
    _check_rank(header)
    _core.check_idx_size(header, size)
    return header


def _gzip_header(data: bytes) -> _core.IdxHeader:
    """Parses the header inside gzip data, and checks that the data can hold the elements."""
    header = _core.parse_idx_header(_inflate.inflate_prefix(data, _core.MAX_IDX_HEADER_SIZE))
    _check_rank(header)
    most = len(data) * _inflate.MAX_EXPANSION
    if header.offset + header.payload_size > most:
        raise ValueError(
            f"the IDX dimensions {header.shape} need {header.payload_size} bytes of elements: "
            f"expected at most {most}, all that {len(data)} bytes of gzip data can hold. "
            f"Received: {header.payload_size}"
        )
    return header


def _gzip_info(data: bytes) -> IdxInfo:
    header = _gzip_header(data)
    size = header.offset + header.payload_size
    if not _inflate.claims_size(data, size):
        # Several members or a fault: all of the data must be inflated to know.
        received = 0
        for piece in _inflate.inflated_pieces(data):
            received += len(piece)
            if received > size:
                break
        _core.check_idx_size(header, received)
    return _info(header, compressed=True)


def _check_rank(header: _core.IdxHeader) -> None:
    if len(header.shape) > _MAX_RANK:
        raise ValueError(
            f"expected rank {_MAX_RANK} at most, the limit of NumPy {np.__version__}. "
            f"Received: rank {len(header.shape)}"
        )


def _info(header: _core.IdxHeader, *, compressed: bool) -> IdxInfo:
    dtype = np.dtype(header.typestr).newbyteorder("=")
    return IdxInfo(dtype=dtype, shape=header.shape, compressed=compressed)


def _accept(info: IdxInfo) -> None:
    del info


def _expect_images(info: IdxInfo) -> None:
    _expect(info, "images: uint8 of rank 3 (N, H, W) or 4 (N, H, W, C)", {3, 4})


def _expect_labels(info: IdxInfo) -> None:
    _expect(info, "labels: uint8 of rank 1 (N,)", {1})


def _expect(info: IdxInfo, wanted: str, ranks: set[int]) -> None:
    rank = len(info.shape)
    if info.dtype == np.uint8 and rank in ranks:
        return
    looks_like = {1: " This looks like a label file.", 3: " This looks like an image file."}
    raise ValueError(
        f"expected {wanted}. Received: {info.dtype} of shape {info.shape}."
        f"{looks_like.get(rank, '') if info.dtype == np.uint8 else ''}"
    )


def _is_gzip(head: Buffer) -> bool:
    return bytes(memoryview(head)[:2]) == _inflate.GZIP_MAGIC


@contextlib.contextmanager
def _naming(source: Source) -> Iterator[None]:
    """Puts the file's name in front of the message of a ValueError."""
    is_path = isinstance(source, (str, os.PathLike))
    name = os.fspath(source) if is_path else "<bytes>"  # type: ignore[arg-type]
    try:
        yield
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from error


def _as_bytes(source: Buffer) -> memoryview:
    try:
        view = memoryview(source)
    except TypeError:
        raise TypeError(
            "Expected `source` to be a path or a bytes-like object. "
            f"Received: source={source!r} of type {type(source).__name__}."
        ) from None
    if not view.c_contiguous:
        raise ValueError("expected contiguous bytes. Received: a memoryview with gaps")
    return view.cast("B") if view.nbytes else memoryview(b"")


def _regular_file(path: str | os.PathLike[str]) -> pathlib.Path:
    # Checked before the file is opened: opening a pipe waits for its other end.
    path = pathlib.Path(path)
    mode = path.stat().st_mode
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
        raise ValueError(
            "expected a regular file, whose size is known. Received: a pipe or device. Read it "
            "first and pass its bytes."
        )
    return path


def _size(file: Any) -> int:
    return os.fstat(file.fileno()).st_size

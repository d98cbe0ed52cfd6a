"""Inflates gzip data of known size, quickly when it is sound and carefully when it is not.

libdeflate (the `deflate` package) does the work, as the quickest of the libraries with a Python
package: MNIST's training images take Python's gzip 157 ms, isal 81, zlib-ng 77 and libdeflate 58
(`benchmarks/idx_inflate.py` repeats this). It inflates a whole member at once into a buffer of
given size and checks CRC-32 and length. It does not say where the member ended or what was wrong.
So its result is taken only when the file is plainly one sound member. Anything else is
inflated again, piece by piece, by zlib, which can tell; that way decides, and explains.
"""

import zlib
from collections.abc import Iterator

import deflate

GZIP_MAGIC = b"\x1f\x8b"

# A deflate symbol takes at least 2 bits and gives at most 258 bytes.
MAX_EXPANSION = 258 * 8 // 2

_TRAILER_SIZE = 8  # CRC-32 and size modulo 2^32 of the data, little-endian
_INPUT_SIZE = 1 << 16
_OUTPUT_SIZE = 1 << 18


def inflated_pieces(data: bytes) -> Iterator[bytes]:
    """Inflates gzip data (any number of members) in pieces, holding one piece at a time.

    Args:
        data: the compressed bytes.

    Yields:
        Pieces of at most 256 KiB, none empty.

    Raises:
        ValueError: When the data is corrupt, ends early, or is followed by something else. It is
            raised when the fault is reached: what came before was sound as far as can be told.
    """
    view = memoryview(data)
    position = 0
    while True:
        inflater = zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)
        while not inflater.eof:
            pending: bytes | memoryview = inflater.unconsumed_tail
            if not pending:
                pending = view[position : position + _INPUT_SIZE]
                position += len(pending)
            try:
                piece = inflater.decompress(pending, _OUTPUT_SIZE)
            except zlib.error as error:
                raise ValueError(f"corrupt gzip data: {error}") from error
            if piece:
                yield piece
            elif not pending and not inflater.eof:
                raise ValueError(
                    "truncated gzip data: expected more of it after its last byte. "
                    f"Received: {len(view)} bytes"
                )
        position -= len(inflater.unused_data)
        if position == len(view):
            return
        if view[position : position + 2] != GZIP_MAGIC:
            raise ValueError(
                "trailing bytes after the gzip data: expected it to end at byte "
                f"{position}. Received: {len(view)} bytes"
            )


def inflate_prefix(data: bytes, size: int) -> bytes:
    """Returns the first `size` bytes of what gzip data holds, or all where there are fewer."""
    prefix = bytearray()
    for piece in inflated_pieces(data):
        prefix += piece
        if len(prefix) >= size:
            break
    return bytes(prefix[:size])


def claims_size(data: bytes, size: int) -> bool:
    """Whether gzip data ends in the length that one member of `size` bytes would end in."""
    return data[-4:] == (size % 2**32).to_bytes(4, "little")


def inflate(data: bytes, size: int) -> bytearray:
    """Inflates gzip data that must hold exactly `size` bytes.

    Args:
        data: the compressed bytes.
        size: the bytes expected. The caller has checked it against `MAX_EXPANSION`.

    Returns:
        The data.

    Raises:
        ValueError: When the data is corrupt, ends early, holds fewer or more bytes than `size`, or
            is followed by something else.
    """
    # The package passes the size on as 32 bits.
    if size < 2**32 and claims_size(data, size):
        try:
            inflated = deflate.gzip_decompress(data, size)
        except (deflate.DeflateError, ValueError):
            pass
        else:
            if len(inflated) == size and _is_one_member(data, inflated):
                return inflated
    return _inflate_in_pieces(data, size)


def _is_one_member(data: bytes, inflated: bytearray) -> bool:
    # libdeflate found this trailer where the first member ends. Where the file's last bytes are
    # the first place that holds it, the member ends with the file.
    trailer = deflate.crc32(inflated).to_bytes(4, "little")
    trailer += (len(inflated) % 2**32).to_bytes(4, "little")
    return data.find(trailer) == len(data) - _TRAILER_SIZE


def _inflate_in_pieces(data: bytes, size: int) -> bytearray:
    inflated = bytearray()
    for piece in inflated_pieces(data):
        inflated += piece
        if len(inflated) > size:
            raise ValueError(
                f"trailing bytes after the IDX data: expected the gzip data to hold {size} bytes. "
                "Received: more"
            )
    if len(inflated) < size:
        raise ValueError(
            f"truncated IDX data: expected the gzip data to hold {size} bytes. "
            f"Received: {len(inflated)}"
        )
    return inflated

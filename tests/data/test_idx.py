"""IDX files: values of every type and rank, and every way in which a file can be wrong."""

import contextlib
import gzip
import os
import pathlib
import struct
import tracemalloc
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from kgan.data import idx_header, read_idx, read_idx_images, read_idx_labels, write_idx

pytestmark = pytest.mark.backend_free

CODES = {"uint8": 8, "int8": 9, "int16": 11, "int32": 12, "float32": 13, "float64": 14}
SHAPES = [(), (0,), (5,), (2, 3), (3, 0, 2), (2, 3, 4), (1, 2, 3, 2), (1,) * 30]


def idx_bytes(array):
    header = bytes([0, 0, CODES[array.dtype.name], array.ndim])
    header += b"".join(struct.pack(">I", size) for size in array.shape)
    return header + array.astype(array.dtype.newbyteorder(">")).tobytes()


def sample(dtype, shape):
    bits = np.random.default_rng(0).integers(0, 256, (*shape, np.dtype(dtype).itemsize), np.uint8)
    return bits.view(dtype).reshape(shape)


def assert_same(received, expected):
    assert received.dtype == expected.dtype
    assert received.dtype.isnative
    assert received.shape == expected.shape
    assert received.flags.c_contiguous
    assert received.tobytes() == expected.tobytes()


SMALL = idx_bytes(np.arange(24, dtype=np.int16).reshape(2, 3, 4))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dtype", CODES)
@pytest.mark.parametrize("compress", [bytes, gzip.compress])
def test_read_idx_from_file_and_from_bytes(tmp_path, compress, dtype, shape):
    array = sample(dtype, shape)
    content = compress(idx_bytes(array))
    path = tmp_path / "name-says-nothing"
    path.write_bytes(content)
    for source in (path, str(path), content, bytearray(content), memoryview(content)):
        assert_same(read_idx(source), array)
    assert read_idx(path).flags.writeable
    info = idx_header(path)
    assert info == idx_header(content)
    assert (info.dtype, info.shape) == (array.dtype, shape)
    assert info.compressed == (compress is gzip.compress)


def test_plain_bytes_are_viewed_not_copied():
    content = bytearray(idx_bytes(np.zeros((2, 3), np.uint8)))
    array = read_idx(content)
    content[-1] = 7
    assert array[1, 2] == 7
    assert not read_idx(bytes(content)).flags.writeable


def test_float_payload_is_big_endian():
    content = bytes([0, 0, 13, 1]) + struct.pack(">I2f", 2, 1.5, -2.25)
    assert read_idx(content).tolist() == [1.5, -2.25]


@settings(deadline=None)
@given(
    array=st.sampled_from(list(CODES)).flatmap(
        lambda dtype: hnp.arrays(dtype, hnp.array_shapes(min_dims=0, max_dims=5, min_side=0))
    ),
    order=st.sampled_from(["<", ">"]),
    suffix=st.sampled_from(["", ".gz", ".GZ"]),
)
def test_round_trip(tmp_path_factory, array, order, suffix):
    path = tmp_path_factory.getbasetemp() / f"round-trip.idx{suffix}"
    write_idx(path, array.astype(array.dtype.newbyteorder(order)))
    assert_same(read_idx(path), array)
    assert idx_header(path).compressed == bool(suffix)


def test_write_idx_takes_any_memory_order(tmp_path):
    array = np.asfortranarray(np.arange(24, dtype=np.int32).reshape(2, 3, 4))[:, ::-1]
    write_idx(tmp_path / "a", array)
    assert_same(read_idx(tmp_path / "a"), np.ascontiguousarray(array))


def test_write_idx_always_gives_the_same_bytes(tmp_path):
    array = np.arange(1000, dtype=np.uint8).reshape(10, 10, 10)
    for name in ("a.gz", "b.gz"):
        write_idx(tmp_path / name, array)
    content = (tmp_path / "a.gz").read_bytes()
    assert content == (tmp_path / "b.gz").read_bytes()
    assert content[4:8] == bytes(4)  # no time of writing
    assert gzip.decompress(content) == idx_bytes(array)


@pytest.mark.parametrize(
    "dtype", ["bool", "uint16", "uint32", "int64", "float16", "complex64", "U3"]
)
def test_write_idx_names_the_dtype_that_it_cannot_write(tmp_path, dtype):
    with pytest.raises(
        ValueError, match=rf"types of IDX. Received: dtype {np.dtype(dtype)}\..*array\.astype"
    ):
        write_idx(tmp_path / "a", np.zeros(3, dtype))
    assert list(tmp_path.iterdir()) == []


def test_write_idx_refuses_dimensions_over_32_bits(tmp_path):
    with pytest.raises(ValueError, match=r"below 2\^32"):
        write_idx(tmp_path / "a", np.broadcast_to(np.uint8(0), (2**32,)))


def test_write_idx_that_fails_leaves_what_was_there(tmp_path, monkeypatch):
    path = tmp_path / "a"
    write_idx(path, np.zeros(3, np.uint8))

    def fail(*args):
        raise OSError("disk full")

    monkeypatch.setattr(pathlib.Path, "replace", fail)
    with pytest.raises(OSError, match="disk full"):
        write_idx(path, np.ones(3, np.uint8))
    assert list(tmp_path.iterdir()) == [path]
    assert read_idx(path).tolist() == [0, 0, 0]


def assert_refused(tmp_path, content, match):
    """Refused from bytes and from a file, by read_idx and where it can know it by idx_header."""
    path = tmp_path / "wrong.idx"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=rf"(?s)^<bytes>: .*{match}.*Received"):
        read_idx(content)
    with pytest.raises(ValueError, match=rf"(?s)wrong\.idx: .*{match}.*Received"):
        read_idx(path)


@pytest.mark.parametrize("size", range(len(SMALL)))
def test_truncation_at_every_byte(tmp_path, size):
    path = tmp_path / "cut"
    for content in (SMALL[:size], gzip.compress(SMALL[:size])):
        path.write_bytes(content)
        for source in (content, path):
            with pytest.raises(ValueError, match="expected"):
                read_idx(source)
            with pytest.raises(ValueError, match="expected"):
                idx_header(source)


@pytest.mark.parametrize("header", ["plain", "named"])
def test_gzip_truncation_at_every_byte(header):
    content = gzip.compress(SMALL, mtime=0)
    if header == "named":
        content = content[:3] + b"\x08" + content[4:10] + b"name\0" + content[10:]
    assert_same(read_idx(content), read_idx(SMALL))
    for size in range(len(content)):
        with pytest.raises(ValueError, match="<bytes>: "):
            read_idx(content[:size])


@settings(deadline=None)
@given(st.integers(0, len(gzip.compress(SMALL, mtime=0)) - 1), st.integers(1, 255))
def test_a_changed_byte_of_gzip_is_an_error_or_harmless(position, change):
    content = bytearray(gzip.compress(SMALL, mtime=0))
    content[position] ^= change
    try:
        array = read_idx(bytes(content))
    except ValueError:
        return
    # The gzip header's time and system, and the bits that fill up the last byte, mean nothing.
    assert_same(array, read_idx(SMALL))


@settings(deadline=None)
@given(st.integers(0, len(SMALL) - 1), st.integers(0, 255))
def test_a_changed_byte_of_the_header_never_crashes(position, value):
    content = bytearray(SMALL)
    content[position] = value
    for source in (bytes(content), gzip.compress(content)):
        try:
            array = read_idx(source)
        except ValueError:
            continue
        assert idx_bytes(array) == bytes(content)


@settings(deadline=None)
@given(st.binary(max_size=64))
def test_any_bytes_are_an_array_or_a_value_error(content):
    for source in (content, b"\0\0" + content, b"\x1f\x8b\x08" + content, gzip.compress(content)):
        array = None
        with contextlib.suppress(ValueError):
            array = read_idx(source)
        if array is None:
            with pytest.raises(ValueError, match=r"^<bytes>: .*[Rr]eceived|^<bytes>: corrupt"):
                read_idx(source)
        else:
            assert isinstance(array, np.ndarray)


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (b"", "empty"),
        (b"\x89PNG\r\n", "two zero bytes"),
        (bytes([0, 0, 0x0A, 1, 0, 0, 0, 0]), "unknown IDX element type"),
        (bytes([0, 0, 8, 3]) + b"\xff" * 12, "dimensions overflow"),
        (bytes([0, 0, 14, 2]) + b"\x7f\xff\xff\xff" * 2, "dimensions overflow"),
        (bytes([0, 0, 8, 1]) + struct.pack(">I", 2**32 - 1), "truncated IDX data"),
        (bytes([0, 0, 8, 100]) + struct.pack(">I", 1) * 100 + b"\0", "rank"),
        (SMALL + b"\0", "trailing bytes"),
        (bytes([0, 0, 8, 1, 0, 0, 0, 1, 5, 5]), "trailing bytes"),
    ],
)
def test_wrong_content_is_refused(tmp_path, content, match):
    assert_refused(tmp_path, content, match if content else "expected an IDX file")
    with pytest.raises(ValueError, match=match):
        idx_header(content)
    if content:
        compressed = gzip.compress(content)
        assert_refused(tmp_path, compressed, "IDX|rank|trailing")
        with pytest.raises(ValueError, match="Received"):
            idx_header(compressed)


GZIPPED = gzip.compress(SMALL, mtime=0)


def with_trailer(crc, size):
    return GZIPPED[:-8] + struct.pack("<II", crc % 2**32, size % 2**32)


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (with_trailer(zlib.crc32(SMALL) + 1, len(SMALL)), "corrupt gzip data.*data check"),
        (with_trailer(zlib.crc32(SMALL), len(SMALL) - 1), "corrupt gzip data.*length check"),
        (with_trailer(zlib.crc32(SMALL), len(SMALL) + 1), "corrupt gzip data.*length check"),
        (with_trailer(zlib.crc32(SMALL), 2**32 - 1), "corrupt gzip data.*length check"),
        (GZIPPED + b"garbage", "trailing bytes after the gzip data"),
        (GZIPPED + bytes(512), "trailing bytes after the gzip data"),
        (GZIPPED + b"garbage" + GZIPPED[-8:], "trailing bytes after the gzip data"),
        (GZIPPED + GZIPPED, "trailing bytes after the IDX data"),
        (GZIPPED + gzip.compress(b"x", mtime=0), "trailing bytes after the IDX data"),
        (GZIPPED + GZIPPED[:-1], "expected"),
        (gzip.compress(b"", mtime=0), "truncated IDX header"),
        (b"\x1f\x8b", "truncated gzip data"),
        (b"\x1f\x8b\x08\xff" + bytes(30), "gzip data"),
    ],
)
def test_wrong_gzip_is_refused(content, match):
    with pytest.raises(ValueError, match=f"^<bytes>: .*{match}"):
        read_idx(content)


def test_members_are_joined():
    parts = [SMALL[:3], b"", SMALL[3:9], SMALL[9:]]
    content = b"".join(gzip.compress(part) for part in parts)
    assert_same(read_idx(content), read_idx(SMALL))
    assert idx_header(content).shape == (2, 3, 4)
    with pytest.raises(ValueError, match="expected"):
        idx_header(b"".join(gzip.compress(part) for part in parts[:-1]))


def peak_memory(function):
    tracemalloc.start()
    try:
        function()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_bombs_are_refused_without_their_memory(tmp_path):
    def bomb(size, declared):
        deflater = zlib.compressobj(9, wbits=31)
        header = bytes([0, 0, 8, 1]) + struct.pack(">I", declared)
        parts = [deflater.compress(header)]
        parts += [deflater.compress(bytes(1 << 20)) for _ in range(size)]
        return b"".join([*parts, deflater.flush()])

    # Declares little, holds much, and a trailer that agrees with the declaration.
    endless = bomb(64, 100)
    endless = endless[:-4] + struct.pack("<I", 108)
    # Declares 2^32 - 1, in some 100 bytes.
    liar = bomb(0, 2**32 - 1)
    cut = bomb(64, 64 << 20)[:-100]

    def refuse():
        for content in (endless, liar):
            for function in (read_idx, idx_header):
                path = tmp_path / "bomb"
                path.write_bytes(content)
                if function is idx_header and content is endless:
                    continue  # only all of the data tells
                with pytest.raises(ValueError, match=r"expected"):
                    function(path)

    assert peak_memory(refuse) < 4 << 20
    with pytest.raises(ValueError, match="truncated gzip data"):
        read_idx(cut)


def test_forty_bits_of_elements_in_a_hundred_bytes():
    content = gzip.compress(bytes([0, 0, 8, 2]) + struct.pack(">II", 2**20, 2**20))
    assert len(content) < 100
    for function in (read_idx, idx_header):
        with pytest.raises(ValueError, match=r"all that .* bytes of gzip data can hold"):
            function(content)


def test_header_of_a_plain_file_needs_no_more_memory(tmp_path):
    path = tmp_path / "sparse"
    with path.open("wb") as file:
        file.write(bytes([0, 0, 8, 1]) + struct.pack(">I", 1 << 30))
        file.truncate(8 + (1 << 30))
    assert peak_memory(lambda: idx_header(path)) < 1 << 20
    assert idx_header(path).shape == (1 << 30,)
    with path.open("r+b") as file:
        file.truncate(7 + (1 << 30))
    with pytest.raises(ValueError, match="truncated IDX data"):
        idx_header(path)


def test_what_is_not_a_file(tmp_path):
    for function in (read_idx, idx_header, read_idx_images, read_idx_labels):
        with pytest.raises(FileNotFoundError):
            function(tmp_path / "missing")
        # Windows has the latter for a directory.
        with pytest.raises((IsADirectoryError, PermissionError)):
            function(tmp_path)
        with pytest.raises(TypeError, match=r"path or a bytes-like object. Received: source=3"):
            function(3)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no pipes in directories")
def test_pipes_and_devices_are_refused_without_waiting(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", "/dev/zero"):
        with pytest.raises(ValueError, match="regular file"):
            read_idx(path)
        with pytest.raises(ValueError, match="regular file"):
            idx_header(path)


def test_bytes_with_gaps_are_refused():
    with pytest.raises(ValueError, match="contiguous"):
        read_idx(memoryview(SMALL)[::2])


def test_images_and_labels_are_told_apart(tmp_path):
    images, labels = np.ones((3, 2, 2), np.uint8), np.arange(3, dtype=np.uint8)
    write_idx(tmp_path / "images.gz", images)
    write_idx(tmp_path / "labels", labels)
    assert_same(read_idx_images(tmp_path / "images.gz"), images)
    assert_same(read_idx_labels(tmp_path / "labels"), labels)
    with pytest.raises(ValueError, match=r"labels: expected images.*\(3,\).*like a label file"):
        read_idx_images(tmp_path / "labels")
    with pytest.raises(ValueError, match=r"images.gz: expected labels.*like an image file"):
        read_idx_labels(tmp_path / "images.gz")
    with pytest.raises(ValueError, match=r"expected images: uint8.*Received: float32"):
        read_idx_images(idx_bytes(np.zeros((1, 2, 2), np.float32)))


@pytest.mark.skipif("KGAN_DATA_DIR" not in os.environ, reason="KGAN_DATA_DIR does not name a copy")
def test_real_mnist():
    found = list(pathlib.Path(os.environ["KGAN_DATA_DIR"]).rglob("train-images-idx3-ubyte.gz"))
    if not found:
        pytest.skip("KGAN_DATA_DIR holds no train-images-idx3-ubyte.gz")
    content = gzip.decompress(found[0].read_bytes())
    images = read_idx_images(found[0])
    assert images.shape == (60000, 28, 28)
    assert images.tobytes() == content[16:]

"""Downloads over HTTP from a server of our own: what arrives, and what a failure leaves behind."""

import concurrent.futures
import contextlib
import dataclasses
import errno
import gzip
import hashlib
import http.server
import io
import os
import random
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

import kgan
from kgan.data import _download, mnist
from kgan.data._published import FilePair, PublishedFile

pytestmark = pytest.mark.backend_free

NAMES = (
    "train-images-idx3-ubyte.gz",
    "train-labels-idx1-ubyte.gz",
    "t10k-images-idx3-ubyte.gz",
    "t10k-labels-idx1-ubyte.gz",
)


class Server(http.server.ThreadingHTTPServer):
    """Serves `files` and misbehaves as `behaviour` says; counts what it was asked for."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.files = {}
        self.behaviour = "well"
        self.requests = []
        self.go_on = threading.Event()
        self.url = f"http://127.0.0.1:{self.server_address[1]}/"

    def stop(self):
        self.go_on.set()
        self.shutdown()
        self.server_close()


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        name = self.path.strip("/")
        self.server.requests.append(name)
        behaviour = self.server.behaviour
        if behaviour == "missing":
            self.send_error(404)
            return
        body = self.server.files[name]
        if behaviour == "changed":
            body = body[:-1] + bytes([body[-1] ^ 1])
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        with contextlib.suppress(ConnectionError):  # a client that closes early
            self.wfile.write(body[: len(body) // 2])
            if behaviour == "truncated":
                return
            if behaviour == "stalled":
                self.wfile.flush()
                self.server.go_on.wait()
            self.wfile.write(body[len(body) // 2 :])

    def log_message(self, *args):
        pass


def _idx(array):
    return (
        bytes([0, 0, 8, array.ndim])
        + b"".join(n.to_bytes(4, "big") for n in array.shape)
        + (array.tobytes())
    )


def _published(name, content):
    return PublishedFile(name, len(content), hashlib.sha256(content).hexdigest())


@pytest.fixture
def server(monkeypatch, tmp_path):
    """A server with a little data set, which the loaders take for MNIST's; an empty cache."""
    monkeypatch.delenv("KGAN_DATA_DIR", raising=False)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras_home"))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    server = Server()
    images = np.arange(4 * 28 * 28).astype("uint8").reshape(4, 28, 28)
    labels = np.array([3, 1, 4, 1], "uint8")
    for name in NAMES:
        array = images if "images" in name else labels
        server.files[name] = gzip.compress(_idx(array), mtime=0)
    files = [_published(name, server.files[name]) for name in NAMES]
    splits = {"train": FilePair(*files[:2]), "test": FilePair(*files[2:])}
    source = dataclasses.replace(mnist.MNIST, splits=splits, mirrors=(server.url,))
    monkeypatch.setattr(mnist, "MNIST", source)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield server
    server.stop()
    thread.join()


def _left_in_cache(tmp_path):
    return sorted(path.name for path in (tmp_path / "keras_home").rglob("*") if path.is_file())


def test_download_then_cache(server, tmp_path):
    first = kgan.data.load_mnist("train", batch_size=2)
    np.testing.assert_array_equal(first.labels, [3, 1, 4, 1])
    # Only what the split needs, and nothing besides.
    assert _left_in_cache(tmp_path) == sorted(NAMES[:2])
    assert (tmp_path / "keras_home/datasets/kgan/mnist" / NAMES[0]).is_file()
    server.stop()
    again = kgan.data.load_mnist("train", batch_size=2, download=False)
    np.testing.assert_array_equal(again.images, first.images)


def test_a_whole_cache_asks_nothing_of_the_network(server):
    kgan.data.load_mnist("train", batch_size=1)
    server.requests.clear()
    kgan.data.load_mnist("train", batch_size=1)
    assert server.requests == []


def test_a_short_file_in_the_cache_is_fetched_again(server, tmp_path):
    kgan.data.load_mnist("train", batch_size=1)
    path = tmp_path / "keras_home/datasets/kgan/mnist" / NAMES[0]
    path.write_bytes(path.read_bytes()[:-1])
    assert len(kgan.data.load_mnist("train", batch_size=1).images) == 4
    assert path.read_bytes() == server.files[NAMES[0]]


@pytest.mark.parametrize(
    ("behaviour", "said"),
    [
        ("truncated", r"expected \d+ bytes .* received \d+ bytes"),
        ("changed", "expected .* bytes with SHA-256 .* received .* bytes with SHA-256"),
        ("missing", "404"),
    ],
)
def test_a_failed_download_leaves_nothing(server, tmp_path, behaviour, said):
    server.behaviour = behaviour
    with pytest.raises(ConnectionError, match=said) as caught:
        kgan.data.load_mnist("train", batch_size=1)
    assert server.url + NAMES[0] in str(caught.value)
    assert "load_digits()" in str(caught.value)
    assert _left_in_cache(tmp_path) == []
    server.behaviour = "well"
    assert len(kgan.data.load_mnist("train", batch_size=1).images) == 4


def test_no_server(server, tmp_path):
    server.stop()
    with pytest.raises(ConnectionError, match="refused") as caught:
        kgan.data.load_mnist("test", batch_size=1)
    for name in NAMES:
        assert name in str(caught.value)
    assert _left_in_cache(tmp_path) == []


def test_the_next_mirror_is_tried(server, tmp_path, monkeypatch):
    nowhere = (tmp_path / "nowhere").as_uri() + "/"
    source = dataclasses.replace(mnist.MNIST, mirrors=(nowhere, server.url))
    monkeypatch.setattr(mnist, "MNIST", source)
    assert len(kgan.data.load_mnist("train", batch_size=1).images) == 4


def test_a_given_directory_is_never_downloaded_into(server, tmp_path):
    (tmp_path / "given").mkdir()
    with pytest.raises(FileNotFoundError):
        kgan.data.load_mnist("train", tmp_path / "given")
    assert server.requests == []


def test_a_cache_that_cannot_be_written(server, tmp_path, monkeypatch):
    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "file"))
    with pytest.raises(OSError, match="KERAS_HOME") as caught:
        kgan.data.load_mnist("train", batch_size=1)
    assert not isinstance(caught.value, ConnectionError)


@pytest.fixture
def big(server):
    """A file of a megabyte on the server, which does not compress."""
    server.files["big"] = random.Random(0).randbytes(1 << 20)
    return _published("big", server.files["big"])


def test_two_downloads_at_once_end_with_a_whole_file(server, big, tmp_path):
    server.behaviour = "stalled"
    directory = tmp_path / "cache"
    arguments = (big, [server.url], directory)
    with concurrent.futures.ThreadPoolExecutor() as pool:
        downloads = [pool.submit(_download.download, *arguments) for _ in range(2)]
        try:
            _wait_for_parts(directory, 2, lambda: all(not done.done() for done in downloads))
        finally:
            server.go_on.set()
        assert {done.result() for done in downloads} == {directory / "big"}
    assert (directory / "big").read_bytes() == server.files["big"]
    assert [path.name for path in directory.iterdir()] == ["big"]


def test_a_server_that_says_no_more_is_not_waited_for(server, big, tmp_path, monkeypatch):
    server.behaviour = "stalled"
    monkeypatch.setattr(_download, "TIMEOUT_SECONDS", 0.2)
    with pytest.raises(ConnectionError, match=r"/big: .*timed out"):
        _download.download(big, [server.url], tmp_path / "cache")
    assert list((tmp_path / "cache").iterdir()) == []


def test_a_full_disk_is_not_the_networks_fault(server, big, tmp_path, monkeypatch):
    class Full(io.BytesIO):
        def write(self, data):
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "open", lambda *arguments: Full())
    with pytest.raises(OSError, match="No space left") as caught:
        _download.download(big, [server.url, server.url], tmp_path / "cache")
    assert not isinstance(caught.value, ConnectionError)
    assert server.requests == ["big"]


def test_what_killed_downloads_left_is_removed_in_the_end(server, big, tmp_path):
    for name, age in (("old", 100_000), ("new", 1_000)):
        folder = tmp_path / f".partial-{name}"
        folder.mkdir()
        (folder / "big").touch()
        then = time.time() - age
        os.utime(folder, (then, then))
    _download.download(big, [server.url], tmp_path)
    # The other may be of a process that is still at it.
    assert sorted(path.name for path in tmp_path.iterdir()) == [".partial-new", "big"]


def test_control_c_leaves_nothing(server, big, tmp_path, monkeypatch):
    def interrupt(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr("keras.utils.Progbar.update", interrupt)
    with pytest.raises(KeyboardInterrupt):
        _download.download(big, [server.url], tmp_path / "cache")
    assert list((tmp_path / "cache").iterdir()) == []


SCRIPT = """
import pathlib, sys
from kgan.data._download import download
from kgan.data._published import PublishedFile
url, directory, size, digest = sys.argv[1:]
download(PublishedFile("big", int(size), digest), [url], pathlib.Path(directory))
"""


def test_a_killed_process_leaves_nothing_that_looks_whole(server, big, tmp_path):
    server.behaviour = "stalled"
    directory = tmp_path / "cache"
    arguments = [server.url, str(directory), str(big.size), big.sha256]
    process = subprocess.Popen([sys.executable, "-c", SCRIPT, *arguments])
    try:
        _wait_for_parts(directory, 1, lambda: process.poll() is None)
    finally:
        process.kill()
        process.wait()
    assert not (directory / "big").exists()
    assert not _download.is_cached(big, directory)
    server.behaviour = "well"
    path = _download.download(big, [server.url], directory)
    assert path.read_bytes() == server.files["big"]


def _wait_for_parts(directory, count, still_running):
    deadline = time.monotonic() + 120
    while sum(1 for path in directory.rglob("big") if path.stat().st_size) < count:
        assert still_running(), "the download ended by itself"
        assert time.monotonic() < deadline, "no download began"
        time.sleep(0.02)

"""Downloads that are whole or not there at all.

`keras.utils.get_file` writes under the final name while it downloads, so that a killed process
leaves part of a file there; a body with the wrong digest stays; and it waits for ever for a server
that says no more. Here a file is written in a temporary folder beside the destination, and only one
that passed its check is renamed into place, which is atomic, also when several processes download
the same file at once.
"""

import contextlib
import http.client
import pathlib
import shutil
import tempfile
import time
import urllib.request
from collections.abc import Generator, Sequence

import keras

from kgan.data._published import PublishedFile, sha256_of

TIMEOUT_SECONDS = 20.0  # in which a server must say something
_FOLDER = ".partial-"
_CHUNK = 1 << 16


def is_cached(file: PublishedFile, directory: pathlib.Path) -> bool:
    """Whether `directory` holds `file` in its whole length."""
    path = directory / file.name
    return path.is_file() and path.stat().st_size == file.size


def download(file: PublishedFile, mirrors: Sequence[str], directory: pathlib.Path) -> pathlib.Path:
    """Download one file from the first mirror that has it, showing progress.

    Args:
        file: the file, with its pinned size and digest.
        mirrors: URLs of folders, tried in order.
        directory: where to put it; created when missing.

    Returns:
        The path of the file, which has been checked.

    Raises:
        ConnectionError: no mirror gave the published bytes; the message has one line a mirror.
        OSError: the directory cannot be written.
    """
    failures = []
    with _temporary_folder(directory) as temporary:
        for mirror in mirrors:
            url = mirror + file.name
            try:
                partial = _fetch(url, file, pathlib.Path(temporary))
            except ConnectionError as error:
                failures.append(f"  {url}: {error}")
            else:
                final = directory / file.name
                partial.replace(final)
                return final
    raise ConnectionError("\n".join(failures))


def _temporary_folder(directory: pathlib.Path) -> "tempfile.TemporaryDirectory[str]":
    """A folder on the same file system as `directory`, so that a rename moves no bytes."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
        for leftover in directory.glob(f"{_FOLDER}*"):  # of a process that was killed long ago
            with contextlib.suppress(FileNotFoundError):
                if time.time() - leftover.stat().st_mtime > 24 * 60 * 60:
                    shutil.rmtree(leftover, ignore_errors=True)
        return tempfile.TemporaryDirectory(prefix=_FOLDER, dir=directory)
    except OSError as error:
        raise OSError(
            error.errno,
            f"Cannot write to kgan's cache ({error.strerror}). Set the environment variable "
            "KERAS_HOME to a directory that can be written",
            str(directory),
        ) from error


def _fetch(url: str, file: PublishedFile, folder: pathlib.Path) -> pathlib.Path:
    """Download `url` into `folder` and check it; ConnectionError says what was wrong with it."""
    path = folder / file.name
    print(f"Downloading {url}")  # noqa: T201
    progress = keras.utils.Progbar(file.size)
    received = 0
    with contextlib.closing(_chunks(url)) as chunks, path.open("wb") as target:
        for chunk in chunks:
            # What goes wrong here, such as a full disk, another mirror would not mend.
            target.write(chunk)
            received += len(chunk)
            progress.update(min(received, file.size))
    digest = sha256_of(path)
    if digest != file.sha256:
        raise ConnectionError(
            f"expected {file.size} bytes with SHA-256 {file.sha256}, "
            f"received {received} bytes with SHA-256 {digest}"
        )
    return path


def _chunks(url: str) -> Generator[bytes, None, None]:
    """What is at `url`, piece by piece; whatever the network does wrong is a ConnectionError."""
    try:
        # Only the URLs in kgan's own table come here, and the digest guards what they give.
        with urllib.request.urlopen(url, timeout=TIMEOUT_SECONDS) as response:  # noqa: S310
            while chunk := response.read(_CHUNK):
                yield chunk
    except (OSError, http.client.HTTPException) as error:
        raise ConnectionError(str(error)) from error

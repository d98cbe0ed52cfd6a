"""Atomic downloads: a file is complete and checked, or it is not there.

`keras.utils.get_file` writes under the final name while it downloads. So a killed process leaves
part of a file there. It also keeps a file with the wrong digest, and waits without limit for a
silent server. Here a file is written into a temporary folder next to the destination. It is renamed
into place once its digest is checked. The rename is atomic, even if several processes download the
same file at once.
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

TIMEOUT_SECONDS = 20.0  # without a byte from the server
_FOLDER = ".partial-"
_CHUNK = 1 << 16


def is_cached(file: PublishedFile, directory: pathlib.Path) -> bool:
    """Whether `directory` holds `file` in full length."""
    path = directory / file.name
    return path.is_file() and path.stat().st_size == file.size


def download(file: PublishedFile, mirrors: Sequence[str], directory: pathlib.Path) -> pathlib.Path:
    """Download one file from the first mirror that has it, showing progress.

    Args:
        file: The file, with its pinned size and digest.
        mirrors: Sequence of strings, URLs of folders, tried in order.
        directory: Path, where to put the file. It is created if it is missing.

    Returns:
        The path of the checked file.

    Raises:
        ConnectionError: No mirror has the published bytes. The message has a line for each mirror.
        OSError: The directory cannot be written to.
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
    """Creates a folder on the file system of `directory`, so that a rename copies no bytes."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
        for leftover in directory.glob(f"{_FOLDER}*"):  # from killed processes
            with contextlib.suppress(FileNotFoundError):
                if time.time() - leftover.stat().st_mtime > 24 * 60 * 60:
                    shutil.rmtree(leftover, ignore_errors=True)
        return tempfile.TemporaryDirectory(prefix=_FOLDER, dir=directory)
    except OSError as error:
        raise OSError(
            error.errno,
            f"Cannot write to kgan's cache ({error.strerror}). Set the environment variable "
            "KERAS_HOME to a writable directory",
            str(directory),
        ) from error


def _fetch(url: str, file: PublishedFile, folder: pathlib.Path) -> pathlib.Path:
    """Downloads `url` into `folder` and checks it. A wrong file raises ConnectionError."""
    path = folder / file.name
    print(f"Downloading {url}")  # noqa: T201
    progress = keras.utils.Progbar(file.size)
    received = 0
    with contextlib.closing(_chunks(url)) as chunks, path.open("wb") as target:
        for chunk in chunks:
            # Errors here, such as a full disk, are not the mirror's: they are not caught.
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
    """Yields the content of `url` in pieces. Every network error is raised as ConnectionError."""
    try:
        # All URLs are from kgan's own table, and their content is checked by its digest.
        with urllib.request.urlopen(url, timeout=TIMEOUT_SECONDS) as response:  # noqa: S310
            while chunk := response.read(_CHUNK):
                yield chunk
    except (OSError, http.client.HTTPException) as error:
        raise ConnectionError(str(error)) from error

"""Downloads that are whole or not there at all.

`keras.utils.get_file` writes under the final name while it downloads, so that a killed process
leaves part of a file there, and a body with the wrong digest stays. Here it works in a temporary
folder beside the destination; only a file that passed its check is renamed into place, which is
atomic, also when several processes download the same file at once.
"""

import pathlib
import tempfile
import urllib.error
import urllib.request
from collections.abc import Sequence

import keras

from kgan.data._published import PublishedFile, sha256_of

# get_file waits for ever on a server that does not answer.
CONNECT_TIMEOUT_SECONDS = 20.0


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
        return tempfile.TemporaryDirectory(prefix=".partial-", dir=directory)
    except OSError as error:
        raise OSError(
            error.errno,
            f"Cannot write to kgan's cache ({error.strerror}). Set the environment variable "
            "KERAS_HOME to a directory that can be written",
            str(directory),
        ) from error


def _fetch(url: str, file: PublishedFile, folder: pathlib.Path) -> pathlib.Path:
    """Download `url` into `folder` and check it; ConnectionError says what was wrong with it."""
    try:
        # Only the URLs in kgan's own table come here, and the digest guards what they give.
        with urllib.request.urlopen(url, timeout=CONNECT_TIMEOUT_SECONDS):  # noqa: S310
            pass
        # The digest is checked below, for a message that says what was received.
        path = pathlib.Path(
            keras.utils.get_file(
                file.name, origin=url, cache_dir=str(folder), cache_subdir="", force_download=True
            )
        )
    except OSError as error:
        if isinstance(error, (urllib.error.URLError, ConnectionError, TimeoutError)):
            raise ConnectionError(str(error)) from error
        raise  # such as a full disk: another mirror would not help
    except Exception as error:  # get_file turns every urllib error into a bare Exception
        raise ConnectionError(str(error)) from error
    received = sha256_of(path)
    if received != file.sha256:
        raise ConnectionError(
            f"expected {file.size} bytes with SHA-256 {file.sha256}, "
            f"received {path.stat().st_size} bytes with SHA-256 {received}"
        )
    return path

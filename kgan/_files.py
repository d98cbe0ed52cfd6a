"""Files that are complete or absent, and the directory of files that kgan keeps."""

import contextlib
import os
import re
import secrets
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

if sys.platform != "win32":
    import fcntl


@contextlib.contextmanager
def written_whole(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Gives a temporary name to write to, and renames the complete file to `path`.

    Args:
        path: The file to write. Its directory is created if necessary.

    Yields:
        A path in the same directory, with the same suffixes. If the block raises an error, the
        temporary file is removed, and a file that was at `path` stays as it was.

    Raises:
        OSError: The file cannot be written; the error names it.
    """
    target = Path(os.path.realpath(path))  # a link stays a link
    target.parent.mkdir(parents=True, exist_ok=True)
    # Named after the link: its target may have other suffixes, which decide the format.
    temporary = target.with_name(f".{secrets.token_hex(4)}-{Path(path).name}")
    try:
        yield temporary
        # The content is on disk before the name: a loss of power must not leave an empty file.
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        if target.exists():
            shutil.copymode(target, temporary)
        temporary.replace(target)
    except OSError as error:
        if error.filename is None and error.errno is not None:  # such as that of a full disk
            raise OSError(error.errno, error.strerror, str(path)) from error
        raise
    finally:
        temporary.unlink(missing_ok=True)


def remove_unfinished(directory: Path, names: str) -> None:
    """Removes the temporary files that `written_whole` left when its process was killed.

    Args:
        directory: Their directory.
        names: A regular expression for the names of the files. Those of others stay.
    """
    for leftover in directory.glob(".*"):
        if re.fullmatch(rf"\.[0-9a-f]{{8}}-({names})", leftover.name):
            leftover.unlink(missing_ok=True)


@contextlib.contextmanager
def held(directory: Path) -> Iterator[None]:
    """A context that locks a directory against other processes.

    The lock ends with the process, however that ends. On Windows, and on file systems without
    locks, it does nothing.

    Raises:
        BlockingIOError: Another process has the lock.
    """
    if sys.platform == "win32":
        yield
    else:
        descriptor = os.open(directory, os.O_RDONLY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            raise
        except OSError:  # the file system has no locks
            pass
        try:
            yield
        finally:
            os.close(descriptor)


def cache_directory(name: str) -> Path:
    """The directory for files of kgan: `datasets/kgan/<name>` in Keras's cache.

    As in `keras.utils.get_file`, that cache is `$KERAS_HOME`, or `~/.keras` without it.

    Raises:
        OSError: The cache is in a home directory, and there is none.
    """
    keras_home = os.environ.get("KERAS_HOME") or "~/.keras"
    try:
        directory = Path(keras_home).expanduser()
    except RuntimeError as error:
        raise OSError(
            f"Expected a home directory, for the cache in {keras_home}. Received: {error} Set the "
            "environment variable KERAS_HOME to a directory for the cache."
        ) from error
    return directory / "datasets" / "kgan" / name

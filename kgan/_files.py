"""Files that are either there whole or not at all, and where kgan keeps its own."""

import contextlib
import glob
import os
import re
import secrets
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def written_whole(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Gives a temporary name to write to, and renames it to `path` once all is written.

    Args:
        path: Where the file is to be. Its directory is made if it is not there.

    Yields:
        A path in the same directory, with the same suffixes. If the block raises, what was written
        there is removed, and a file that was at `path` before is as it was.

    Raises:
        OSError: It could not be written; the error names the file.
    """
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{secrets.token_hex(4)}-{target.name}")
    try:
        yield temporary
        # On disk before the name is, or a loss of power could leave a name without content.
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        temporary.replace(target)
    except OSError as error:
        if error.filename is None and error.errno is not None:  # as of a disk that is full
            raise OSError(error.errno, error.strerror, str(target)) from error
        raise
    finally:
        temporary.unlink(missing_ok=True)


def remove_unfinished(path: str | os.PathLike[str]) -> None:
    """Removes what `written_whole` left behind of a file where its process was killed.

    Args:
        path: The file, or a directory, for all files in it.
    """
    path = Path(path)
    directory, names = (path, "*") if path.is_dir() else (path.parent, glob.escape(path.name))
    for leftover in directory.glob(f".????????-{names}"):
        if re.fullmatch(r"\.[0-9a-f]{8}-.+", leftover.name):
            leftover.unlink(missing_ok=True)


def cache_directory(name: str) -> Path:
    """Where kgan keeps what it has of `name`: `datasets/kgan/<name>` in Keras's own cache.

    That cache is `$KERAS_HOME`, else `~/.keras`, as in `keras.utils.get_file`.

    Raises:
        OSError: It is in a home directory, and there is none.
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

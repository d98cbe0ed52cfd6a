"""Files that are either there whole or not at all, and where kgan keeps its own."""

import contextlib
import os
import re
import secrets
import shutil
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
    target = Path(os.path.realpath(path))  # a link stays one
    target.parent.mkdir(parents=True, exist_ok=True)
    # Named after the link: what it leads to may have other suffixes, by which formats are told.
    temporary = target.with_name(f".{secrets.token_hex(4)}-{Path(path).name}")
    try:
        yield temporary
        # On disk before the name is, or a loss of power could leave a name without content.
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        if target.exists():
            shutil.copymode(target, temporary)
        temporary.replace(target)
    except OSError as error:
        if error.filename is None and error.errno is not None:  # as of a disk that is full
            raise OSError(error.errno, error.strerror, str(path)) from error
        raise
    finally:
        temporary.unlink(missing_ok=True)


def remove_unfinished(directory: Path, names: str) -> None:
    """Removes what `written_whole` left behind of files where its process was killed.

    Args:
        directory: Where they are.
        names: A regular expression for their names. What is left of others is not touched.
    """
    for leftover in directory.glob(".*"):
        if re.fullmatch(rf"\.[0-9a-f]{{8}}-({names})", leftover.name):
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

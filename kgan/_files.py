"""Files that are either there whole or not at all, and where kgan keeps its own."""

import contextlib
import os
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
    """
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{secrets.token_hex(4)}-{target.name}")
    try:
        yield temporary
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)


def cache_directory(name: str) -> Path:
    """Where kgan keeps what it has of `name`: `datasets/kgan/<name>` in Keras's own cache.

    That cache is `$KERAS_HOME`, else `~/.keras`, as in `keras.utils.get_file`.
    """
    keras_home = os.environ.get("KERAS_HOME") or "~/.keras"
    return Path(keras_home).expanduser() / "datasets" / "kgan" / name

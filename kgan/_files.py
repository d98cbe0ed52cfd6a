"""Files that are either there whole or not at all."""

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

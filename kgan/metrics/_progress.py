"""Where lines about the progress of long work go."""

import sys


def silent(text: str) -> None:
    """Ignores a line."""
    del text


def to_standard_error(text: str) -> None:
    """Writes a line to standard error, where it does not mix with results."""
    sys.stderr.write(f"{text} ...\n")
    sys.stderr.flush()

"""Prints lines about the progress of long work."""

import sys
import time

from kgan._typing import Say

_SECONDS = 5.0


def silent(text: str) -> None:
    """Ignores a line."""
    del text


def now_and_then(seconds: float = _SECONDS) -> Say:
    """Returns a function that writes lines to standard error, where they do not mix with results.

    Quick work writes none: a line is left out within the first seconds, and within the seconds
    after another line.

    Args:
        seconds: Float, the number of seconds.
    """
    last = time.monotonic()

    def say(text: str) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= seconds:
            last = now
            sys.stderr.write(f"{text} ...\n")
            sys.stderr.flush()

    return say

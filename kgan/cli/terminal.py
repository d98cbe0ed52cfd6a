"""Output of the command: its own lines, warnings as lines, and no noise of libraries."""

import codecs
import contextlib
import math
import os
import re
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator
from typing import Any

from kgan import _interrupts


def print_any_name() -> None:
    """Lets standard output print names of files that are not text in its encoding."""
    if getattr(sys.stdout, "errors", None) == "strict" and hasattr(sys.stdout, "reconfigure"):
        codecs.register_error("kgan", _encodable)
        sys.stdout.reconfigure(errors="kgan")


def _encodable(error: UnicodeError) -> tuple[str | bytes, int]:
    """Encodes names of files that are not text as their bytes, and other letters as `?`.

    A Japanese Windows, for example, has no é, and one of the metrics is named after Fréchet.
    """
    try:
        return codecs.lookup_error("surrogateescape")(error)
    except UnicodeError:
        return codecs.lookup_error("replace")(error)


def flush() -> None:
    """Writes what was printed. When Python exits, it is too late to report that it failed."""
    if sys.stdout is not None:
        sys.stdout.flush()


def say(text: str) -> None:
    """Prints a line at once."""
    print(text, flush=True)


class Progress:
    """Prints lines about the steps of long work to standard error, each kind at most now and then.

    Lines are of one kind if they are the same up to their first digit: "images 1 to 100" and
    "images 101 to 200". One is left out if another of its kind was printed in the last seconds.

    Args:
        seconds: Float, how long.
    """

    def __init__(self, seconds: float = 5.0) -> None:
        self.seconds = seconds
        self._last = ("", -math.inf)

    def __call__(self, text: str) -> None:
        """Prints a line, or leaves it out."""
        kind, now = re.split(r"\d", text, maxsplit=1)[0], time.monotonic()
        if kind == self._last[0] and now - self._last[1] < self.seconds:
            return
        self._last = (kind, now)
        print(f"{text} ...", file=sys.stderr, flush=True)


@contextlib.contextmanager
def warnings_in_lines(*categories: type[Warning]) -> Iterator[None]:
    """Prints every warning of these categories as a line, without its place in the code."""
    with warnings.catch_warnings():
        shown = warnings.showwarning

        def show(message: Any, category: Any, *place: Any, **more: Any) -> None:
            if issubclass(category, categories):
                print(f"\nkgan: warning: {message}", file=sys.stderr, flush=True)
            else:
                shown(message, category, *place, **more)

        for category in categories:
            warnings.simplefilter("always", category)
        warnings.showwarning = show
        yield


@contextlib.contextmanager
def without_native_noise() -> Iterator[None]:
    """Hides what libraries print to standard error while they load, unless loading fails.

    TensorFlow's native code prints a page about CPU features and CUDA that no setting silences.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    try:
        sys.stderr.flush()
        file = tempfile.TemporaryFile()  # noqa: SIM115  (closed below)
        saved = os.dup(2)
    except (AttributeError, OSError):  # there is no standard error, or no place for the file
        yield
        return
    with file as held:
        os.dup2(held.fileno(), 2)
        try:
            with _interrupts.leaving_at_once(saved):
                yield
        except BaseException:
            os.dup2(saved, 2)
            held.seek(0)
            os.write(2, held.read())
            raise
        finally:
            os.dup2(saved, 2)
            os.close(saved)

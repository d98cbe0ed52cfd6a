"""Contexts in which Ctrl-C is not lost.

Python prints and forgets a KeyboardInterrupt that is raised inside a destructor or a callback of
the garbage collector. JAX has such a callback, which runs often, and TensorFlow imports JAX if it
is installed. Most interrupts during the compilation of a step were lost. Native code may also turn
an interrupt into another error, or crash if it meets one while it loads.

These contexts do nothing in threads other than the main thread, which get no signals, and where
Ctrl-C is ignored. `repeated` and `Remembered` do nothing if another handler is installed.
`held_off` delays any handler.
"""

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

# Seconds, long enough for the cleanup after an interrupt.
AGAIN_AFTER = 2.0

_Handler = Callable[[int, FrameType | None], None]


@contextlib.contextmanager
def repeated() -> Iterator[None]:
    """Makes Ctrl-C raise a KeyboardInterrupt repeatedly, until one arrives here."""
    if not _python_listens() or not hasattr(signal, "setitimer"):  # Windows has no such alarm
        yield
        return
    lost = sys.unraisablehook
    remembered = Remembered()

    def interrupt(number: int, frame: FrameType | None) -> None:
        signal.setitimer(signal.ITIMER_REAL, AGAIN_AFTER)
        remembered.interrupt(number, frame)

    def report_others(unraisable: Any) -> None:
        if unraisable.exc_type is not KeyboardInterrupt:
            lost(unraisable)

    before = signal.signal(signal.SIGALRM, interrupt)
    sys.unraisablehook = report_others
    try:
        with _handled_by(interrupt), remembered.arriving():
            yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        sys.unraisablehook = lost


@contextlib.contextmanager
def leaving_at_once(standard_error: int) -> Iterator[None]:
    """Makes Ctrl-C end the process at once, while there is nothing to clean up yet.

    Args:
        standard_error: Integer, the descriptor of the file to write a message to.
    """
    if threading.current_thread() is not threading.main_thread() or is_ignored(signal.SIGINT):
        yield
        return

    def leave(number: int, frame: FrameType | None) -> None:
        del number, frame
        os.write(standard_error, b"Interrupted.\n")
        os._exit(130)

    with _handled_by(leave):
        yield


@contextlib.contextmanager
def held_off() -> Iterator[None]:
    """Delays Ctrl-C until the end of an operation that must not be left half done.

    A second Ctrl-C is not delayed.
    """
    before = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(before):
        yield
        return
    came: list[FrameType | None] = []

    def note(number: int, frame: FrameType | None) -> None:
        came.append(frame)
        if len(came) > 1:
            before(number, frame)

    with _handled_by(note):
        yield
    if len(came) == 1:
        before(signal.SIGINT, came[0])


class Remembered:
    """Makes Ctrl-C raise a KeyboardInterrupt at once, and again on request if that one is lost."""

    def __init__(self) -> None:
        self._came = False

    @contextlib.contextmanager
    def listening(self) -> Iterator[None]:
        """A context that raises a KeyboardInterrupt after Ctrl-C, at its end at the latest.

        It does so even if other code turned the interrupt into another error.
        """
        if not _python_listens():
            yield
            return
        with _handled_by(self.interrupt), self.arriving():
            yield

    def interrupt(self, number: int, frame: FrameType | None) -> None:
        """The signal handler: remembers the interrupt and raises a KeyboardInterrupt."""
        self._came = True
        signal.default_int_handler(number, frame)

    @contextlib.contextmanager
    def arriving(self) -> Iterator[None]:
        """A context that raises a KeyboardInterrupt at its end if there was a Ctrl-C."""
        try:
            yield
        except Exception as error:
            if self._came:
                raise KeyboardInterrupt from error
            raise
        self.arrive()

    def arrive(self) -> None:
        """Raises a KeyboardInterrupt if there was a Ctrl-C."""
        if self._came:
            raise KeyboardInterrupt


def is_ignored(number: int) -> bool:
    """Whether a signal is ignored, as in a process that a shell runs in the background.

    This is also true for a handler that was not installed by Python, which could not restore it.
    """
    return signal.getsignal(number) in (signal.SIG_IGN, None)


def _python_listens() -> bool:
    """Whether Ctrl-C raises a KeyboardInterrupt, as it does by default."""
    return (
        threading.current_thread() is threading.main_thread()
        and signal.getsignal(signal.SIGINT) is signal.default_int_handler
    )


@contextlib.contextmanager
def _handled_by(handler: _Handler) -> Iterator[None]:
    before = signal.signal(signal.SIGINT, handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)

"""Ctrl-C that arrives: contexts for those who would else not hear of it.

Python prints and forgets a KeyboardInterrupt that is raised within a destructor or a callback of
the garbage collector. JAX has such a callback, which is called often, and TensorFlow imports JAX
where it is installed: of those that came while a step was compiled, most were lost. And native code
may make another error of one, or crash where it meets it while it loads.

Nothing is done in threads, which get no signals, nor where nobody is to listen. `repeated` and
`Remembered` also leave it to whoever listens already, and `held_off` makes them wait.
"""

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

# Seconds: long enough for what has to be put in order when a command is interrupted.
AGAIN_AFTER = 2.0

_Handler = Callable[[int, FrameType | None], None]


@contextlib.contextmanager
def repeated() -> Iterator[None]:
    """Has Ctrl-C raise a KeyboardInterrupt again and again, until one gets here."""
    if not _python_listens() or not hasattr(signal, "setitimer"):  # Windows has no such alarm
        yield
        return
    lost = sys.unraisablehook
    remembered = Remembered()

    def interrupt(number: int, frame: FrameType | None) -> None:
        signal.setitimer(signal.ITIMER_REAL, AGAIN_AFTER)
        remembered.interrupt(number, frame)

    def unless_it_comes_again(unraisable: Any) -> None:
        if unraisable.exc_type is not KeyboardInterrupt:
            lost(unraisable)

    before = signal.signal(signal.SIGALRM, interrupt)
    sys.unraisablehook = unless_it_comes_again
    try:
        with _handled_by(interrupt), remembered.arriving():
            yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        sys.unraisablehook = lost


@contextlib.contextmanager
def leaving_at_once(standard_error: int) -> Iterator[None]:
    """Has Ctrl-C end the process there and then, where there is nothing yet to be put in order.

    Args:
        standard_error: Integer, the open file that is told so.
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
    """Has Ctrl-C wait for the end of what must not be left half done; a second one does not."""
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
    """Has Ctrl-C raise a KeyboardInterrupt where it comes, and, if that is lost, where one asks."""

    def __init__(self) -> None:
        self._came = False

    @contextlib.contextmanager
    def listening(self) -> Iterator[None]:
        """A context that hears Ctrl-C, at its end at the latest, whatever error is made of it."""
        if not _python_listens():
            yield
            return
        with _handled_by(self.interrupt), self.arriving():
            yield

    def interrupt(self, number: int, frame: FrameType | None) -> None:
        """Hears Ctrl-C."""
        self._came = True
        signal.default_int_handler(number, frame)

    @contextlib.contextmanager
    def arriving(self) -> Iterator[None]:
        """A context out of which what was heard comes as a KeyboardInterrupt."""
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
    """Whether nobody is to hear a signal, as of what a shell runs in the background.

    Or somebody beside Python hears it, whose handler Python could not put back.
    """
    return signal.getsignal(number) in (signal.SIG_IGN, None)


def _python_listens() -> bool:
    """Whether Ctrl-C raises a KeyboardInterrupt, as it does unless somebody says otherwise."""
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

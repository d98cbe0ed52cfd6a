"""Callbacks that end training early and cleanly, so that an interrupted epoch is saved."""

import os
import signal
import time
import weakref
from collections.abc import Mapping
from types import FrameType
from typing import Any

import keras

from kgan import _interrupts
from kgan.training.callback import Callback


class TimeLimit(Callback):
    """Ends training after a given time.

    The clock starts with training; compiling the step and the work of other callbacks count. The
    current batch is finished, `Checkpoint` saves the model, and the callbacks of the epoch run for
    the part that was trained. A `fit` that resumes from there trains the rest of the epoch.

    Args:
        seconds: Float, wall time.

    Raises:
        ValueError: `seconds` is not above 0.

    Example:
    ```python
    limit = kgan.callbacks.TimeLimit(seconds=3600)
    model.fit(train, epochs=20, callbacks=[limit, kgan.callbacks.Checkpoint("model.keras")])
    ```
    """

    def __init__(self, seconds: float) -> None:
        super().__init__()
        if not seconds > 0:
            raise ValueError(f"Expected `seconds` to be above 0. Received: seconds={seconds!r}.")
        self.seconds = seconds
        self.reached = False
        self._start = 0.0

    def on_train_begin(self, logs: Mapping[str, Any] | None = None) -> None:
        """Starts the clock."""
        del logs
        self.reached = False
        self._start = time.monotonic()

    def on_train_batch_end(self, batch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Ends training if the time is up."""
        del batch, logs
        if time.monotonic() - self._start >= self.seconds:
            self.reached = True
            self.model.stop_training = True


class StopOnSignal(Callback):
    """Ends training after the current batch when the process is interrupted.

    After the first Ctrl-C (SIGINT) or SIGTERM, `Checkpoint` saves the model as it is, and the
    callbacks of the epoch run, so grid and history include the part of the epoch that was trained.
    The second signal acts as if this callback were not there. A `fit` that resumes from there
    trains the rest of the epoch. Signals that the process ignores, as a shell's background jobs do,
    stay ignored. Python handles signals only in the main thread of a process; in others the
    callback does nothing.

    Only the process that trains reacts. A process that is forked meanwhile, such as one of Keras's
    workers, has the handlers from before.

    The handlers are restored when training ends, also in an error. `received` is the number of the
    signal that ended training, or None.

    Example:
    ```python
    on_signal = kgan.callbacks.StopOnSignal()
    model.fit(train, epochs=20, callbacks=[on_signal, kgan.callbacks.Checkpoint("model.keras")])
    if on_signal.received is None:
        print("Not interrupted.")
    ```
    """

    def __init__(self) -> None:
        super().__init__()
        self.received: int | None = None
        self._trained: keras.Model | None = None
        self._previous: dict[int, Any] = {}
        _ALL.add(self)

    @property
    def has_interrupted(self) -> bool:  # type: ignore[override]
        """Whether it has ended training."""
        return self.received is not None

    def set_model(self, model: keras.Model) -> None:
        """Remembers the model, so that a signal does not read `self.model`.

        On JAX, reading `self.model` gives the model back its variables. Within a step those are the
        ones from before it, which the step has used up.
        """
        super().set_model(model)
        self._trained = model

    def on_train_begin(self, logs: Mapping[str, Any] | None = None) -> None:
        """Installs the signal handlers."""
        del logs
        self._restore()  # those that a custom loop left when it raised an error
        self.received = None
        for number in (signal.SIGINT, signal.SIGTERM):
            if _interrupts.is_ignored(number):
                continue
            try:
                self._previous[number] = signal.signal(number, self._stop)
            except ValueError:  # not the main thread
                return

    def _stop(self, number: int, frame: FrameType | None) -> None:
        del frame
        self._restore()
        self.received = number
        if self._trained is not None:
            self._trained.stop_training = True

    def on_train_end(self, logs: Mapping[str, Any] | None = None) -> None:
        """Restores the signal handlers."""
        del logs
        self._restore()

    def on_train_failed(self) -> None:
        """Restores the signal handlers."""
        self._restore()

    def _restore(self) -> None:
        while self._previous:
            signal.signal(*self._previous.popitem())


_ALL: weakref.WeakSet[StopOnSignal] = weakref.WeakSet()


def _restore_all() -> None:
    for each in _ALL:
        each._restore()


# At the fork, not when a signal arrives: a signal with a handler in Python that arrives just before
# a worker waits for a lock does not wake it, and a process that waits for its end waits forever.
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_restore_all)

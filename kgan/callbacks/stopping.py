"""Ways to end training early and cleanly: what was trained of the epoch is saved, and not lost."""

import os
import signal
import time
import weakref
from types import FrameType
from typing import Any

import keras

from kgan import _interrupts


class TimeLimit(keras.callbacks.Callback):
    """Ends training once it has taken a given time.

    The clock starts with training; compiling the step and the work of other callbacks count. The
    batch in hand is finished, `Checkpoint` saves the model, and the epoch's callbacks are told of
    what there is of it. A `fit` that goes on from there trains the rest of the epoch.

    Args:
        seconds: Float, wall time.

    Raises:
        ValueError: `seconds` is not above 0.
    """

    def __init__(self, seconds: float) -> None:
        super().__init__()
        if not seconds > 0:
            raise ValueError(f"Expected `seconds` to be above 0. Received: seconds={seconds!r}.")
        self.seconds = seconds
        self.reached = False
        self._start = 0.0

    def on_train_begin(self, logs: Any = None) -> None:
        """Starts the clock."""
        del logs
        self.reached = False
        self._start = time.monotonic()

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Ends training if the time is over."""
        del batch, logs
        if time.monotonic() - self._start >= self.seconds:
            self.reached = True
            self.model.stop_training = True


class StopOnSignal(keras.callbacks.Callback):
    """Ends training after the batch in hand when the process is interrupted.

    The first Ctrl-C (SIGINT) or SIGTERM has `Checkpoint` save the model as it is and lets the
    epoch's callbacks run, so that grid and history are written of what there is of the epoch; the
    second acts as if this callback were not there. A `fit` that goes on from there trains the rest
    of the epoch. A signal that the process ignores, as of a shell's background jobs, stays ignored.
    Signals can be caught in a process's main thread only; elsewhere the callback does nothing.

    Only the process that trains listens: one that is forked meanwhile, as Keras forks workers, has
    the handlers from before.

    Handlers are put back when training ends, in an error too. `received` is the number of the
    signal that ended training, or None.

    Example:
    ```python
    on_signal = kgan.callbacks.StopOnSignal()
    gan.fit(train, epochs=20, callbacks=[on_signal, kgan.callbacks.Checkpoint("gan.keras")])
    if on_signal.received is None:
        print("Not interrupted.")
    ```
    """

    def __init__(self) -> None:
        super().__init__()
        self.received: int | None = None
        self._trained: Any = None
        self._previous: dict[int, Any] = {}
        _ALL.add(self)

    @property
    def has_interrupted(self) -> bool:
        """Whether it has ended training."""
        return self.received is not None

    def set_model(self, model: Any) -> None:
        """Notes the model, so that a signal need not ask for it.

        On JAX, reading `self.model` gives the model back its variables. Amid a step those are the
        ones from before it, which the step has used up.
        """
        super().set_model(model)
        self._trained = model

    def on_train_begin(self, logs: Any = None) -> None:
        """Listens."""
        del logs
        self._restore()  # what a loop of one's own that raised has left
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
        self._trained.stop_training = True

    def on_train_end(self, logs: Any = None) -> None:
        """Stops listening."""
        del logs
        self._restore()

    def on_train_failed(self) -> None:
        """Stops listening."""
        self._restore()

    def _restore(self) -> None:
        while self._previous:
            signal.signal(*self._previous.popitem())


_ALL: weakref.WeakSet[StopOnSignal] = weakref.WeakSet()


def _restore_all() -> None:
    for each in _ALL:
        each._restore()


# At once, not when a signal comes: one that comes just before a worker waits for a lock does not
# wake it, as far as its handler is Python's, and who waits for its end would wait forever.
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_restore_all)

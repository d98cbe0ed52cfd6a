"""One call of `fit`: counts epochs and batches, and resumes an interrupted call."""

import contextlib
import threading
import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import keras
import numpy as np
from keras import ops

from kgan import _backend, _interrupts
from kgan._environment import is_installed
from kgan._typing import Data, Logs, Variable
from kgan.training.feed import is_indexed
from kgan.training.progress import Progress, give_states, has_state, states_of
from kgan.training.progress_line import ProgressLine


def check_callbacks(callbacks: Iterable[keras.callbacks.Callback]) -> None:
    """Checks that callbacks are objects that can watch this training.

    Raises:
        ValueError: One is a class, or would not do what it says.
        ImportError: One needs a package that is not installed.
    """
    for callback in callbacks:
        if isinstance(callback, type):
            raise ValueError(
                f"Expected callbacks as objects. Received: the class {callback.__name__}. "
                f"Call it: {callback.__name__}()."
            )
        if isinstance(callback, keras.callbacks.TerminateOnNaN):
            raise ValueError(
                "Expected callbacks that read the logs of a generative model. Received: "
                "`keras.callbacks.TerminateOnNaN`, which looks at `loss` only: it would never end "
                "this training. Use `kgan.callbacks.TerminateOnNaN`."
            )
        if isinstance(callback, keras.callbacks.TensorBoard):
            _check_tensorboard()


def _check_tensorboard() -> None:
    """Checks that Keras's callback can write, which it would find out after the first batch."""
    missing = [name for name in ("tensorboard", "tensorflow") if not is_installed(name)]
    if missing:
        raise ImportError(
            "Expected the packages tensorboard and tensorflow, with which "
            f"`keras.callbacks.TensorBoard` writes. Missing: {' and '.join(missing)}. Install them "
            f'with `pip install "kgan[{",".join(missing)}]"`.'
        )


def in_order(callbacks: Any, verbose: str | int = 0) -> list[keras.callbacks.Callback]:
    """The callbacks that `fit` was given, none that saves before one whose state it saves.

    The history and the progress line are added, as Keras adds its own, unless they are there.

    Args:
        callbacks: As `fit` got them.
        verbose: As `fit` got it.
    """
    if isinstance(callbacks, keras.callbacks.CallbackList):
        return list(callbacks.callbacks)
    given = callbacks if isinstance(callbacks, (list, tuple)) else [callbacks]
    there = [callback for callback in given if callback is not None]
    last = max((index for index, each in enumerate(there) if has_state(each)), default=-1)
    before = [callback for callback in there[: last + 1] if not _saves(callback)]
    after = [callback for callback in there[: last + 1] if _saves(callback)] + there[last + 1 :]
    if not any(isinstance(callback, keras.callbacks.History) for callback in before):
        # As late as possible, as Keras has it: others may add to the logs.
        place = next((index for index, each in enumerate(after) if _saves(each)), len(after))
        after.insert(place, keras.callbacks.History())
    if verbose != 0 and not any(isinstance(each, keras.callbacks.ProgbarLogger) for each in there):
        after.append(ProgressLine())
    return [*before, *after]


def _saves(callback: keras.callbacks.Callback) -> bool:
    return bool(getattr(callback, "saves", False))


def _call_hook(callback: keras.callbacks.Callback, name: str) -> None:
    """Calls a hook of `kgan.training.Callback`, if the callback has it."""
    hook = getattr(callback, name, None)
    if hook is not None:
        hook()


class EpochRestartWarning(UserWarning):
    """An interrupted epoch cannot be resumed, so it begins again."""


class Session(keras.callbacks.Callback):
    """Counts the epochs and batches that a model is trained, and resumes what was begun before.

    It is the first in the list of callbacks, so that all others find the counts right. It calls the
    hooks that `kgan.training.Callback` documents.

    Args:
        model: A `GenerativeModel`.
        dataset: What it is trained on.
        steps: Integer, batches to an epoch, or None where only Keras can tell.
        callbacks: The other callbacks.
        initial_epoch: Integer, as `fit` got it.
        epochs: Integer, as `fit` got it.
        is_restored: Whether it continues a `fit` that was begun before, with the same history,
            instead of following one.
    """

    async_safe = True  # counting is no reason to wait for each batch's logs

    def __init__(
        self,
        model: keras.Model,
        dataset: Data,
        steps: int | None,
        callbacks: Sequence[keras.callbacks.Callback],
        initial_epoch: int,
        epochs: int,
        is_restored: bool,
    ) -> None:
        super().__init__()
        self.trained = model  # not `self.model`: on JAX, reading that moves all variables
        self.dataset = dataset
        self.steps = steps
        self.callbacks = callbacks
        self.epoch = initial_epoch
        self.epochs = epochs
        self.is_restored = is_restored
        self._lock = threading.Lock()
        self.interrupt = _interrupts.Remembered()
        self._metrics_before_test: list[np.ndarray] | None = None
        self._kept: Progress | None = None
        self._stock: Progress | None = None
        self._steps_before_epoch = 0
        self._to_take_up = self._left_by_another(model.progress)
        # Not as they were saved: they may have been set since, or the model compiled again.
        self._rates_before = [ops.convert_to_numpy(rate) for rate in self._learning_rates()]

    def _left_by_another(self, progress: Progress) -> Progress | None:
        """The progress that this session resumes, or None."""
        begun = (progress.epoch, progress.batches)
        if self.epoch != progress.epoch or begun == (0, 0):
            return None
        if progress.batches and (self.steps is None or progress.steps != self.steps):
            warnings.warn(
                f"The model was saved after batch {progress.batches} of "
                f"{progress.steps or 'an unknown number'} of epoch {progress.epoch + 1}. Expected "
                "the same dataset, with batches that can be read from any place, to resume there. "
                f"Received: one with {self.steps or 'an unknown number of'} batches to an epoch. "
                "That epoch begins again.",
                EpochRestartWarning,
                stacklevel=4,
            )
            # What callbacks remember of the epochs before it is not lost with it.
            return replace(progress, batches=0, steps=self.steps, metrics=[])
        return progress

    @property
    def first_batch(self) -> int:
        """The batch of its first epoch that the session begins with."""
        return self._to_take_up.batches if self._to_take_up is not None else 0

    def progress(self) -> Progress:
        """The progress of training."""
        noted = self._stock or self._kept
        if noted is not None:
            return noted
        if self._to_take_up is not None:
            return self._to_take_up
        batches = self.trained.batches_trained
        return Progress(
            epoch=self.epoch,
            batches=batches,
            steps=self.steps,
            metrics=(self._metrics_before_test or self._metrics()) if batches else [],
            callbacks=states_of(self.callbacks),
        )

    @contextlib.contextmanager
    def taking_stock(self) -> Iterator[None]:
        """A context in which `progress()` is what it is now.

        Every process enters it: all of them compute the means over the parts of several devices.
        """
        self._stock = self.progress()
        try:
            yield
        finally:
            self._stock = None

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """Counts from the epoch's first batch."""
        del logs
        self.epoch = epoch
        self._metrics_before_test = None
        self.trained.batches_trained = self.first_batch
        self._steps_before_epoch = self.trained.steps_made() - self.first_batch
        if self._to_take_up is not None and not self.first_batch:
            self._give_states(self._to_take_up)
            self._to_take_up = None
        self._tell_dataset()

    def on_train_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Within an epoch, resumes what was begun. Then prepares the step."""
        del batch, logs
        # Only now: Keras has reset the metrics, and the callbacks that set a learning rate when an
        # epoch begins have done so a second time.
        self.take_up()
        self.trained.before_step()

    def take_up(self) -> None:
        """Puts back the state of an interrupted epoch, if there is one."""
        if self._to_take_up is None:
            return
        left, self._to_take_up = self._to_take_up, None
        if left.metrics:  # none where the model was compiled again
            for variable, value in zip(self.trained.metrics_variables, left.metrics, strict=True):
                variable.assign(value)
        for rate, value in zip(self._learning_rates(), self._rates_before, strict=True):
            rate.assign(value)
        self._give_states(left)

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Counts. Where no callback overrides batch hooks, several threads may do so at once."""
        del logs
        self.interrupt.arrive()
        done = batch + 1 if self.steps is None else min(batch + 1, self.steps)
        with self._lock:
            self.trained.batches_trained = max(self.trained.batches_trained, done)

    def on_test_begin(self, logs: Logs | None = None) -> None:
        """Keeps the epoch's means, which those of held-out data replace for a while."""
        del logs
        self._metrics_before_test = self._metrics()

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Counts the epoch, unless training ends within it."""
        del logs
        model = self.trained
        # So that samples and files are the same in every process.
        _backend.average_statistics(model)
        is_interrupted = model.stop_training
        if is_interrupted and not self._epoch_is_whole():
            self._kept = self.progress()
        else:
            self.epoch = epoch + 1
            model.epochs_trained += 1
            model.batches_trained = 0
        self._tell_dataset()
        if is_interrupted:
            self._tell_of_interruption()

    def _epoch_is_whole(self) -> bool:
        # Keras knows it for arrays, if Keras made the list of callbacks.
        steps = self.steps or (self.params or {}).get("steps")
        return steps is not None and self.trained.batches_trained >= steps

    def on_train_end(self, logs: Logs | None = None) -> None:
        """Keeps what another session can resume."""
        del logs
        if self._to_take_up is not None:  # there was nothing left to train
            self._give_states(self._to_take_up)
        self._kept = self.progress()
        self.trained.progress = self._kept
        is_interrupted = any(getattr(each, "has_interrupted", False) for each in self.callbacks)
        if is_interrupted and self.epoch < self.epochs:
            self._tell_of_interruption()

    def _tell_of_interruption(self) -> None:
        for callback in self.callbacks:
            _call_hook(callback, "on_train_interrupted")

    def fail(self, keeps_place: bool) -> None:
        """Ends a training that an error has ended, and lets callbacks release what they hold.

        Args:
            keeps_place: Whether it can be resumed where it is: after Ctrl-C, not after an error of
                a step, which may have left half an update.
        """
        if keeps_place and self._to_take_up is None:
            self.trained.batches_trained = self._applied_batches()
            self._kept = self._stock = None
            self.trained.progress = self.progress()
        else:
            self.trained.progress, self.trained.batches_trained = Progress(), 0
        for callback in self.callbacks:
            _call_hook(callback, "on_train_failed")

    def _applied_batches(self) -> int:
        """The batches of the epoch whose updates were made, counted by the model."""
        # Ctrl-C may arrive after a step and before it is counted.
        since = self.trained.steps_made() - self._steps_before_epoch
        return since if self.steps is None else min(since, self.steps)

    def _give_states(self, left: Progress) -> None:
        callbacks = [
            callback
            for callback in self.callbacks
            if self.is_restored or not isinstance(callback, keras.callbacks.History)
        ]
        give_states(callbacks, left.callbacks)

    def _metrics(self) -> list[np.ndarray]:
        return [ops.convert_to_numpy(v) for v in self.trained.metrics_variables]

    def _learning_rates(self) -> list[Variable]:
        optimizer = getattr(self.trained, "optimizer", None)  # Keras reports it, if there is none
        return [v for v in getattr(optimizer, "variables", ()) if v.name == "learning_rate"]

    def _tell_dataset(self) -> None:
        if is_indexed(self.dataset) and hasattr(self.dataset, "epoch"):
            self.dataset.epoch = self.trained.epochs_trained


class RestOfEpoch(keras.callbacks.CallbackList):
    """The callbacks of a `fit` that begins within an epoch.

    Keras trains whole epochs, all of the same length. So its `fit` is called for the rest of the
    first one, and again for those that follow. To the callbacks it is one training, whose first
    epoch begins with the next batch.

    Args:
        session: The `Session`, with the other callbacks.
        verbose: As `fit` got it.
    """

    def __init__(self, session: Session, verbose: str | int) -> None:
        super().__init__(
            [session, *session.callbacks],
            add_progbar=verbose != 0,
            model=session.trained,
            verbose=verbose,
            epochs=session.epochs,
            steps=session.steps,
        )
        self.optimizer = session.trained.optimizer
        self.first_batch = session.first_batch
        self.is_last_epoch = session.epoch + 1 >= session.epochs
        self.is_rest = True

    @property
    def is_over(self) -> bool:
        """Whether no epoch follows."""
        return self.is_last_epoch or self.model.stop_training

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Calls the callbacks at the first of the two beginnings."""
        if self.is_rest:
            super().on_train_begin(logs)

    def on_train_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Calls the callbacks with the batch's number in the whole epoch."""
        super().on_train_batch_begin(self.first_batch + batch, logs)

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Calls the callbacks with the batch's number in the whole epoch."""
        super().on_train_batch_end(self.first_batch + batch, logs)

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Calls the callbacks. Averages replace weights only after the last epoch."""
        super().on_epoch_end(epoch, logs)
        self.optimizer.finalizes = not self.is_rest or self.is_over

    def on_train_end(self, logs: Logs | None = None) -> None:
        """Calls the callbacks at the last of the two ends."""
        if self.is_rest and not self.is_over:
            self.is_rest, self.first_batch, self.optimizer.finalizes = False, 0, True
            return
        super().on_train_end(logs)

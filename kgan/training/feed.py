"""Reads datasets whose batches are a function of epoch and index, for `fit` and `evaluate`."""

import functools
import signal
import threading
from collections.abc import Callable
from typing import Any

import keras

from kgan import _backend
from kgan._typing import Data


def feed(
    dataset: Data,
    epoch: Callable[[], int],
    steps: int | None = None,
    first: int = 0,
    *,
    model: Any,
) -> Any:
    """Returns the data that Keras's trainer reads in place of a dataset.

    Args:
        dataset: Anything that `fit` takes. One that has `batch(epoch, index)`, as
            `kgan.data.ImageDataset` has, is read through it; all others are returned as they are.
        epoch: Called when an epoch begins, returns its number. Picklable, for worker processes.
        steps: Integer, batches to an epoch. Defaults to the dataset's own number.
        first: Integer, the batch to begin with.
        model: The model that reads it. Where several processes train it together, each reads its
            part of every batch.

    Returns:
        The data, in the form that the backend's trainer reads fastest.
    """
    if not is_indexed(dataset):
        return dataset

    def part(index: int, count: int) -> _EpochBatches:
        if count > 1 and not getattr(dataset, "is_reproducible", True):
            raise ValueError(
                f"Expected a dataset with a seed, the same in each of the {count} processes that "
                "train the model: each makes its part of the same batches. Received: one made "
                "with seed=None, which differs between processes. Give it seed=0."
            )
        return _EpochBatches(dataset, epoch, steps or len(dataset), first, (index, count))

    return _backend.readable(part, model)


def is_indexed(dataset: Data) -> bool:
    """Whether its batches are a function, `batch(epoch, index)`."""
    is_dataset = isinstance(dataset, keras.utils.PyDataset)
    return is_dataset and callable(getattr(dataset, "batch", None))


def worker_options(dataset: Data) -> dict[str, Any]:
    """The arguments of a `PyDataset` about the workers that make its batches."""
    return {
        "workers": dataset.workers,
        "use_multiprocessing": dataset.use_multiprocessing,
        "max_queue_size": dataset.max_queue_size,
    }


def ends_of_pass(dataset: Data, **part: Any) -> tuple[Any, Any]:
    """The first batch of an indexed dataset, and the last of a pass: only that may be shorter."""
    steps = len(dataset)
    last = getattr(dataset, "batches_per_pass", steps) - 1  # an epoch may be more or less
    return dataset.batch(0, 0, **part), dataset.batch(*divmod(last, steps), **part)


class _EpochBatches(keras.utils.PyDataset):
    """The batches of the present epoch, without state.

    Keras makes an iterator for the next epoch before this one's callbacks have run, and throws it
    away: anything that counted calls would count those too.
    """

    def __init__(
        self,
        dataset: Data,
        epoch: Callable[[], int],
        steps: int,
        first: int,
        part: tuple[int, int],
    ) -> None:
        super().__init__(**worker_options(dataset))
        self.dataset = dataset
        self.epoch = epoch
        self.steps = steps
        self.first = first
        # A custom dataset need not know of parts as long as one process reads everything.
        self.part = {} if part == (0, 1) else {"part": part}

    def __getstate__(self) -> dict[str, Any]:
        # Keras starts worker processes in each epoch: they need its number, not the model.
        return {**vars(self), "epoch": functools.partial(int, self.epoch())}

    @property
    def num_batches(self) -> int:
        """Number of batches. Keras also asks for it in the thread that makes worker processes."""
        in_thread = threading.current_thread() is not threading.main_thread()
        if self.use_multiprocessing and in_thread and hasattr(signal, "pthread_sigmask"):
            # Its processes block the same signals. A terminal sends Ctrl-C to them too, and a
            # process that ends may hold the lock that all others wait for.
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        return len(self)

    def __len__(self) -> int:
        return self.steps - self.first

    def ends_of_pass(self) -> tuple[Any, Any]:
        """Two batches, which are alike if all are."""
        return ends_of_pass(self.dataset, **self.part)

    def __getitem__(self, index: int) -> Any:
        # Epochs of another length than the dataset's continue from each other too.
        place = divmod(self.epoch() * self.steps + self.first + index, len(self.dataset))
        return self.dataset.batch(*place, **self.part)

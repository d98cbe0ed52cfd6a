"""How `fit` and `evaluate` read a dataset whose batches are a function of epoch and index."""

from collections.abc import Callable
from typing import Any

import keras

from kgan import _backend


def feed(dataset: Any, epoch: Callable[[], int], steps: int | None = None) -> Any:
    """What to give Keras's trainer in a dataset's place.

    Args:
        dataset: Anything that `fit` takes. One that has `batch(epoch, index)`, as
            `kgan.data.ImageDataset` has, is read through it; all others are returned as they are.
        epoch: Says, when an epoch begins, which one it is.
        steps: Integer, batches to an epoch. Defaults to the dataset's own number.

    Returns:
        What the backend's trainer reads fastest.
    """
    if not hasattr(dataset, "batch") or not isinstance(dataset, keras.utils.PyDataset):
        return dataset
    return _backend.readable(_EpochBatches(dataset, epoch, steps or len(dataset)))


class _EpochBatches(keras.utils.PyDataset):
    """The batches of the present epoch, with no state of its own.

    Keras makes an iterator for the next epoch before this one's callbacks have run, and throws it
    away: what counts batches or epochs by the calls it gets would count those too.
    """

    def __init__(self, dataset: Any, epoch: Callable[[], int], steps: int) -> None:
        super().__init__(
            workers=dataset.workers,
            use_multiprocessing=dataset.use_multiprocessing,
            max_queue_size=dataset.max_queue_size,
        )
        self.dataset = dataset
        self.epoch = epoch
        self.steps = steps

    def __len__(self) -> int:
        return self.steps

    def __getitem__(self, index: int) -> Any:
        # Epochs of another length than the dataset's follow on each other all the same.
        return self.dataset.batch(*divmod(self.epoch() * self.steps + index, len(self.dataset)))

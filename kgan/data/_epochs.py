"""The position of a dataset whose batches are a function of epoch and index."""

import operator
import threading
from collections.abc import Iterator
from typing import ClassVar, Generic, TypeVar

import keras

from kgan._arguments import integer

BatchT = TypeVar("BatchT")


class EpochDataset(keras.utils.PyDataset, Generic[BatchT]):
    """Batches that depend on epoch and index alone, and the epoch that a loop or `fit` is at.

    A subclass has the method `batch(epoch, index, part)` and sets `_length`, the batches in an
    epoch. It calls `_set_up` at the end of its constructor. A subclass with more attributes that
    cannot be pickled adds their names to `_MADE_AGAIN`, and makes them in `_set_up`.

    Args:
        workers: Integer, as for `keras.utils.PyDataset`.
        use_multiprocessing: Boolean, the same.
        max_queue_size: Integer, the same.
    """

    _MADE_AGAIN: ClassVar[frozenset[str]] = frozenset({"_lock", "_served", "_in_keras_epoch"})
    _length: int

    def __init__(
        self, workers: int = 1, use_multiprocessing: bool = False, max_queue_size: int = 10
    ) -> None:
        super().__init__(
            workers=workers, use_multiprocessing=use_multiprocessing, max_queue_size=max_queue_size
        )
        self._epoch = 0

    def _set_up(self) -> None:
        """Makes the parts that cannot be pickled."""
        self._lock = threading.Lock()
        self._served: set[int] = set()
        self._in_keras_epoch = False

    def __getstate__(self) -> dict[str, object]:
        return {name: value for name, value in vars(self).items() if name not in self._MADE_AGAIN}

    def __setstate__(self, state: dict[str, object]) -> None:
        for name, value in state.items():
            setattr(self, name, value)
        self._set_up()

    @property
    def epoch(self) -> int:
        """The present epoch, from 0. Set it to repeat or resume an epoch."""
        return self._epoch

    @epoch.setter
    def epoch(self, value: int) -> None:
        value = integer("epoch", value, 0)
        with self._lock:
            self._epoch = value
            self._served.clear()

    def __len__(self) -> int:
        return self._length

    @property
    def num_batches(self) -> int:
        """Batches in an epoch."""
        return self._length

    def batch(self, epoch: int, index: int, part: tuple[int, int] = (0, 1)) -> BatchT:
        """Makes a batch of any epoch, or a part of it, whatever `epoch` the dataset is at.

        Args:
            epoch: Integer of at least 0.
            index: Integer from 0 to `len(self) - 1`.
            part: Pair of integers `(i, n)`: the part with number i, from 0, of n equal parts.

        Returns:
            The batch or its part.
        """
        raise NotImplementedError

    def __getitem__(self, index: int) -> BatchT:
        """Makes a batch of the present epoch.

        Args:
            index: Integer from 0 to `len(self) - 1`.

        Returns:
            The batch.

        Raises:
            IndexError: `index` is outside that range.
        """
        index = self._checked_index(index)
        with self._lock:
            epoch = self._epoch
            self._served.add(index)
        return self.batch(epoch, index)

    def _checked_index(self, index: int) -> int:
        index = operator.index(index)
        if not 0 <= index < self._length:
            raise IndexError(
                f"Expected an index of at least 0 and below {self._length}, the number of batches. "
                f"Received: index={index}"
            )
        return index

    def __iter__(self) -> Iterator[BatchT]:
        """Gives the batches of the present epoch, and then moves to the next epoch."""
        epoch = self._epoch
        for index in range(self._length):
            yield self.batch(epoch, index)
        self.epoch = epoch + 1

    def on_epoch_begin(self) -> None:
        """Called by Keras when an epoch begins."""
        self._in_keras_epoch = True

    def on_epoch_end(self) -> None:
        """Moves to the next epoch. Keras calls it when an epoch ends, and at other times too.

        Keras also calls it before the first epoch of each `fit`, after it has looked at two
        batches, and with `fit(steps_per_epoch=...)` in the middle of a pass. So the epoch ends only
        when all its batches have been asked for. Then two fits of one epoch see the same batches as
        one fit of two epochs, and prefetched batches never mix the orders of two epochs.
        """
        with self._lock:
            if not self._in_keras_epoch:
                self._served.clear()
            # Worker processes have their own copies of the dataset: their batches are not counted
            # here.
            elif self.use_multiprocessing or len(self._served) == self._length:
                self._epoch += 1
                self._served.clear()
            self._in_keras_epoch = False

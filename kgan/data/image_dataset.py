"""Batches of images for training: gathered, normalised and padded in one pass over memory."""

from __future__ import annotations

import math
import operator
import threading
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
import numpy.typing as npt

from kgan import _core
from kgan._arguments import integer
from kgan.data import _checks

if TYPE_CHECKING:
    from collections.abc import Iterator

# A batch near the border of two passes may be asked for after one of the next.
_CACHED_PERMUTATIONS = 2


class ImageDataset(keras.utils.PyDataset):
    """Shuffled batches of normalised images, with or without labels, from uint8 images.

    Works in `fit` on every Keras backend and in a plain `for` loop, which goes through one epoch
    and leaves the dataset at the next. A batch is made when it is asked for, by native code that
    holds no lock meanwhile: images `(B, H, W, C)` of `dtype` in `value_range`, pixel 0 exactly at
    its low end and pixel 255 exactly at its high end, each of the 256 levels rounded once. With
    labels it is the tuple `(images, labels)`, the labels int32 `(B,)`.

    Batch `index` of epoch `epoch` depends on `seed`, `epoch` and `index` alone. So the same seed
    gives the same batches in the same order, whatever `workers` is, in any process, and an epoch
    can be repeated or resumed by setting `epoch`. Two things about `fit` are Keras's: its default
    `shuffle=True` permutes the order of the batches by Python's global random numbers (pass
    `fit(..., shuffle=False)` for the dataset's own order; the images are shuffled anyway), and its
    `steps_per_epoch` with several workers repeats and drops batches (give `steps_per_epoch` here
    instead).

    The images are not copied, unless they are not C-contiguous: then once. Do not write to them
    while the dataset is in use.

    Args:
        images: uint8 array of shape `(N, H, W)` or `(N, H, W, C)`.
        labels: integer array of shape `(N,)`, from 0 up, or `None`.
        batch_size: int of at least 1.
        shuffle: bool, whether each pass over the images takes them in a new random order.
        seed: int of at least 0. `None` draws one from the operating system, kept in `seed`.
        value_range: pair of floats, what pixels 0 and 255 become.
        dtype: `"float32"`, `"float16"` or `"bfloat16"`.
        drop_remainder: bool, whether to leave out the last, short batch of a pass.
        pad_to: pair of ints `(height, width)`, at least the images'. They are centred, the odd
            pixel after them, among pixels of level 0. `None` pads nothing.
        num_classes: int, above every label. `None` takes the highest label plus 1.
        steps_per_epoch: int of at least 1, the batches in an epoch. Epochs then share passes or
            span several, and every image still comes once in each pass. `None` makes an epoch one
            pass.
        workers: int, threads (or processes) that Keras makes batches with in `fit`. Since a batch
            takes well under a millisecond, more than 1 seldom helps.
        use_multiprocessing: bool, whether they are processes.
        max_queue_size: int, batches that Keras keeps ready when there are several workers.

    Raises:
        ValueError: When an argument is outside what is said above, `labels` are not as many as
            `images`, or `drop_remainder` leaves no batch.

    Example:
    ```python
    images = kgan.data.read_idx_images("train-images-idx3-ubyte.gz")
    train = kgan.data.ImageDataset(images, batch_size=128, seed=0)
    for batch in train:  # float32 (128, 28, 28, 1) in [-1, 1]
        ...
    ```
    """

    def __init__(
        self,
        images: npt.NDArray[np.uint8],
        labels: npt.ArrayLike | None = None,
        batch_size: int = 128,
        shuffle: bool = True,
        seed: int | None = None,
        value_range: tuple[float, float] = (-1, 1),
        dtype: str = "float32",
        drop_remainder: bool = True,
        pad_to: tuple[int, int] | None = None,
        num_classes: int | None = None,
        steps_per_epoch: int | None = None,
        workers: int = 1,
        use_multiprocessing: bool = False,
        max_queue_size: int = 10,
    ) -> None:
        super().__init__(
            workers=workers, use_multiprocessing=use_multiprocessing, max_queue_size=max_queue_size
        )
        self._images = _checks.checked_images(images)
        self._labels = None if labels is None else _checks.checked_labels(labels, self._images)
        self._num_classes = _checks.checked_num_classes(num_classes, self._labels)
        self._batch_size = integer("batch_size", batch_size, 1)
        self._shuffle = bool(shuffle)
        self._drop_remainder = bool(drop_remainder)
        self._seed_was_given = seed is not None
        self._seed = _checks.drawn_seed() if seed is None else integer("seed", seed, 0)
        self._value_range = _checks.checked_value_range(value_range)
        self._dtype = _checks.checked_dtype(dtype)
        self._pad_to = _checks.checked_pad_to(pad_to, self._images)
        self._batches_per_pass = self._count_batches()
        self._length = (
            self._batches_per_pass
            if steps_per_epoch is None
            else integer("steps_per_epoch", steps_per_epoch, 1)
        )
        self._epoch = 0
        self._set_up()

    def _set_up(self) -> None:
        """Makes what cannot be pickled."""
        self._lock = threading.Lock()
        self._levels = _core.Levels(*self._value_range, self._dtype)
        self._permutations: dict[int, npt.NDArray[np.int64]] = {}
        self._served: set[int] = set()
        self._in_keras_epoch = False

    def __getstate__(self) -> dict[str, Any]:
        made_again = {"_lock", "_levels", "_permutations", "_served", "_in_keras_epoch"}
        return {name: value for name, value in vars(self).items() if name not in made_again}

    def __setstate__(self, state: dict[str, Any]) -> None:
        for name, value in state.items():
            setattr(self, name, value)
        self._set_up()

    @property
    def images(self) -> npt.NDArray[np.uint8]:
        """The images, uint8 `(N, H, W, C)`, before padding."""
        return self._images

    @property
    def labels(self) -> npt.NDArray[np.int32] | None:
        """The labels, int32 `(N,)`, or `None`."""
        return self._labels

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """`(H, W, C)` of the images in a batch, so after padding."""
        height, width = self._pad_to
        return height, width, self._images.shape[3]

    @property
    def num_classes(self) -> int | None:
        """Number of classes, or `None` where there are no labels."""
        return self._num_classes

    @property
    def batch_size(self) -> int:
        """Images in a batch."""
        return self._batch_size

    @property
    def shuffle(self) -> bool:
        """Whether each pass takes the images in a new order."""
        return self._shuffle

    @property
    def seed(self) -> int:
        """The seed of all orders, given or drawn."""
        return self._seed

    @property
    def is_reproducible(self) -> bool:
        """Whether another dataset, made alike, has the same batches: not if its seed was drawn."""
        return self._seed_was_given or not self._shuffle

    @property
    def value_range(self) -> tuple[float, float]:
        """What pixels 0 and 255 become."""
        return self._value_range

    @property
    def dtype(self) -> str:
        """Name of the dtype of the images in a batch."""
        return self._dtype

    @property
    def drop_remainder(self) -> bool:
        """Whether the last, short batch of a pass is left out."""
        return self._drop_remainder

    @property
    def batches_per_pass(self) -> int:
        """Batches in which each image is given once, but for those that are left out."""
        return self._batches_per_pass

    @property
    def epoch(self) -> int:
        """The epoch whose batches are given now, from 0. Set it to repeat or resume one."""
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

    def __getitem__(self, index: int) -> Any:
        """Makes a batch of the present epoch.

        Args:
            index: int from 0 to `len(self) - 1`.

        Returns:
            Images `(B, H, W, C)`, or the tuple `(images, labels)`.

        Raises:
            IndexError: When `index` is outside that range.
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
                f"index must be at least 0 and below {self._length}, the number of batches. "
                f"Received: index={index}"
            )
        return index

    def batch(self, epoch: int, index: int, part: tuple[int, int] = (0, 1)) -> Any:
        """Makes any epoch's batch, or a part of it, whatever `epoch` the dataset is at.

        Args:
            epoch: int, from 0.
            index: int from 0 to `len(self) - 1`.
            part: pair of ints `(i, n)`: of n equal parts of the batch, number i from 0. Only its
                images are made. Datasets made alike in n processes, with the same `seed`, so give
                together the batches that one would.

        Returns:
            Images `(B, H, W, C)`, or the tuple `(images, labels)`.

        Raises:
            IndexError: When `index` is outside that range.
            ValueError: When the batch does not have n equal parts, or there is no part i.

        Example:
        ```python
        first, second = (train.batch(0, 0, part=(i, 2)) for i in range(2))
        ```
        """
        number = epoch * self._length + self._checked_index(index)
        pass_number, position = divmod(number, self._batches_per_pass)
        first = position * self._batch_size
        rows = self._permutation(pass_number)[first : first + self._batch_size]
        images, labels = self._pick(_checks.part_of(rows, part))
        return images if labels is None else (images, labels)

    def draw(self, count: int, seed: int) -> tuple[npt.NDArray[Any], npt.NDArray[np.int32] | None]:
        """Draws images at random, all different, to measure a model against.

        What is drawn depends on `seed` alone: not on the dataset's own seed, epoch, batch size or
        shuffling. The first images of a larger draw are those of a smaller one.

        Args:
            count: int from 1 to the number of images.
            seed: int of at least 0.

        Returns:
            The tuple `(images, labels)`: the images `(count, H, W, C)` as in a batch, the labels
            int32 `(count,)`, or `None` where there are none.

        Raises:
            ValueError: When there are fewer than `count` images, or an argument is no such int.

        Example:
        ```python
        images, _ = train.draw(10_000, seed=0)
        ```
        """
        count = integer("count", count, 1)
        return self._pick(self._drawn(count, integer("seed", seed, 0)))

    def __iter__(self) -> Iterator[Any]:
        """Goes through the present epoch, and then moves to the next one."""
        epoch = self._epoch
        for index in range(self._length):
            yield self.batch(epoch, index)
        self.epoch = epoch + 1

    def on_epoch_begin(self) -> None:
        """Called by Keras when an epoch begins."""
        self._in_keras_epoch = True

    def on_epoch_end(self) -> None:
        """Moves to the next epoch. Keras calls it when an epoch ends, and at other times too.

        Keras also calls it before the first epoch of each `fit`, having looked at two batches, and
        with `fit(steps_per_epoch=...)` in the middle of a pass that goes on afterwards. The epoch
        is over only when all its batches have been asked for: so two fits of one epoch see what one
        fit of two epochs sees, and batches that were prefetched never come from two epochs' orders.
        """
        with self._lock:
            if not self._in_keras_epoch:
                self._served.clear()
            # Worker processes have their own copy of the dataset: what they gave is not known here.
            elif self.use_multiprocessing or len(self._served) == self._length:
                self._epoch += 1
                self._served.clear()
            self._in_keras_epoch = False

    def _count_batches(self) -> int:
        count = len(self._images)
        if not self._drop_remainder:
            return math.ceil(count / self._batch_size)
        if count < self._batch_size:
            raise ValueError(
                f"{count} images do not fill one batch of {self._batch_size}, and "
                "drop_remainder=True leaves out short batches. Lower batch_size or pass "
                f"drop_remainder=False. Received: batch_size={self._batch_size}"
            )
        return count // self._batch_size

    def _permutation(self, pass_number: int) -> npt.NDArray[np.int64]:
        number = pass_number if self._shuffle else 0
        permutation = self._permutations.get(number)
        if permutation is None:
            with self._lock:
                # Another thread may have made it meanwhile: asked again, under the lock.
                permutation = self._permutations.get(number)
                if permutation is None:
                    while len(self._permutations) >= _CACHED_PERMUTATIONS:
                        del self._permutations[next(iter(self._permutations))]
                    permutation = self._new_permutation(number)
                    self._permutations[number] = permutation
        return permutation

    def _pick(
        self, rows: npt.NDArray[np.int64]
    ) -> tuple[npt.NDArray[Any], npt.NDArray[np.int32] | None]:
        images = self._gather(rows)
        if self._dtype == "bfloat16":
            images = images.view(_bfloat16())
        return images, self._labels_at(rows)

    # What rows are is for the methods below alone to know. A dataset that picks its images in
    # another way overrides them.

    def _new_permutation(self, pass_number: int) -> npt.NDArray[np.int64]:
        """The rows of a pass, in its order."""
        if not self._shuffle:
            return np.arange(len(self._images), dtype=np.int64)
        return random_order(random_generator(self._seed, pass_number), len(self._images))

    def _drawn(self, count: int, seed: int) -> npt.NDArray[np.int64]:
        """The rows that `draw` takes."""
        if count > len(self._images):
            raise ValueError(
                f"count must be at most {len(self._images)}, the number of images, since all that "
                f"are drawn are different. Received: count={count}"
            )
        return random_order(random_generator(seed), len(self._images))[:count]

    def _gather(self, rows: npt.NDArray[np.int64]) -> npt.NDArray[Any]:
        return _core.gather(self._images, rows, self._levels, pad_to=self._pad_to)

    def _labels_at(self, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.int32] | None:
        return None if self._labels is None else self._labels[rows]


def random_generator(seed: int, *key: int) -> np.random.Generator:
    """Random numbers of their own for each seed and key."""
    sequence = np.random.SeedSequence(seed, spawn_key=key)
    return np.random.Generator(np.random.Philox(sequence))


def random_order(generator: np.random.Generator, count: int) -> npt.NDArray[np.int64]:
    """The numbers below `count`, shuffled."""
    return generator.permutation(count).astype(np.int64, copy=False)


def _bfloat16() -> Any:
    # Comes with Keras's backends; NumPy has no bfloat16 of its own.
    import ml_dtypes  # noqa: PLC0415

    return ml_dtypes.bfloat16

"""Images whose channels are images: a data set with as many modes as one could want."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from kgan import _core
from kgan.data import _checks
from kgan.data.image_dataset import ImageDataset, random_generator, random_order

if TYPE_CHECKING:
    import numpy.typing as npt


class StackedImageDataset(ImageDataset):
    """Batches of images whose channels are grey images, each drawn for itself.

    A set of n classes becomes one of `n ** stack` classes that are about equally frequent: how many
    of them a generator makes tells how far it has collapsed.

    It is a `kgan.data.ImageDataset` in all respects, and everything said there holds. A pass has
    as many stacked images as there are grey ones, and each grey image comes once in each channel:
    every channel goes through them in an order of its own. Nothing is stacked before it is asked
    for, so the set takes no more memory than its grey images; `images` and `labels` are theirs.

    With `shuffle=False` all passes have the same stacked images in the same order, whatever the
    seed: those of `draw(len(images), seed=0)`.

    Args:
        images: uint8 array of shape `(N, H, W)` or `(N, H, W, 1)`.
        labels: integer array of shape `(N,)`, from 0 up, or `None`. The label of a stacked image
            is that of its first channel, times n, plus that of the second, times n, and so on: of
            the digits 3, 0 and 7 it is 307.
        stack: int from 1 to 64, how many grey images make one.
        **options: as for `kgan.data.ImageDataset`; `num_classes` is n, the classes of one channel.

    Raises:
        ValueError: When `images` have several channels, `stack` is outside its bounds, the labels
            would not fit in int32, or `ImageDataset` refuses an argument.

    Example:
    ```python
    mnist = kgan.data.load_mnist("train")
    train = kgan.data.StackedImageDataset(mnist.images, mnist.labels, batch_size=128, seed=0)
    images, labels = train[0]  # float32 (128, 28, 28, 3), int32 (128,) from 0 to 999
    ```
    """

    def __init__(
        self,
        images: npt.NDArray[np.uint8],
        labels: npt.ArrayLike | None = None,
        stack: int = 3,
        **options: Any,
    ) -> None:
        super().__init__(images, labels, **options)
        self._stack = _checks.checked_stack(stack, self._images, self._num_classes)

    @property
    def stack(self) -> int:
        """Grey images in one stacked image."""
        return self._stack

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """`(H, W, C)` of the images in a batch, so after stacking and padding."""
        height, width = self._pad_to
        return height, width, self._stack

    @property
    def num_classes(self) -> int | None:
        """Number of classes of the stacked images, or `None` where there are no labels."""
        return None if self._num_classes is None else self._num_classes**self._stack

    def draw(self, count: int, seed: int) -> tuple[npt.NDArray[Any], npt.NDArray[np.int32] | None]:
        """Draws stacked images at random, to measure a model against.

        What is drawn depends on `seed` alone: not on the dataset's own seed, epoch, batch size or
        shuffling. The first images of a larger draw are those of a smaller one. Each channel goes
        through the grey images in a random order, and when it has had all, in another.

        Args:
            count: int of at least 1. It may be far above the number of grey images.
            seed: int of at least 0.

        Returns:
            The tuple `(images, labels)`: the images `(count, H, W, C)` as in a batch, the labels
            int32 `(count,)`, or `None` where there are none.

        Raises:
            ValueError: When an argument is no such int.
        """
        return super().draw(count, seed)

    # A row is the numbers of the grey images in the channels: rows have shape (count, stack).

    def _new_permutation(self, pass_number: int) -> npt.NDArray[np.int64]:
        size = len(self._images)
        if not self._shuffle:
            return self._drawn(size, seed=0)
        channels = (
            random_order(random_generator(self._seed, pass_number, channel), size)
            for channel in range(self._stack)
        )
        return np.stack(list(channels), axis=1)

    def _drawn(self, count: int, seed: int) -> npt.NDArray[np.int64]:
        size = len(self._images)
        rows = np.empty((count, self._stack), np.int64)
        for channel in range(self._stack):
            generator = random_generator(seed, channel)
            orders = [random_order(generator, size) for _ in range(math.ceil(count / size))]
            rows[:, channel] = np.concatenate(orders)[:count]
        return rows

    def _gather(self, rows: npt.NDArray[np.int64]) -> npt.NDArray[Any]:
        return _core.gather_stacked(self._images, rows, self._levels, pad_to=self._pad_to)

    def _labels_at(self, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.int32] | None:
        labels = super()._labels_at(rows)
        if labels is None or self._num_classes is None:
            return None
        number = labels[:, 0]
        for channel in range(1, self._stack):
            number = number * self._num_classes + labels[:, channel]
        return number

"""Images whose channels are images: a data set with many classes, to measure mode collapse."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from kgan import _core
from kgan.data import _checks
from kgan.data.image_dataset import ImageDataset, random_generator, random_order

if TYPE_CHECKING:
    import numpy.typing as npt

    from kgan._typing import Images, Labels
    from kgan.data.image_dataset import Rows


class StackedImageDataset(ImageDataset):
    """Batches of images whose channels are grey images, each drawn on its own.

    A set of n classes becomes a set of `n ** stack` classes that are about equally frequent. The
    number of classes that a generator makes shows how far it has collapsed.

    Everything in `kgan.data.ImageDataset` applies here too. A pass has as many stacked images as
    there are grey ones. Each grey image comes once in each channel, and every channel has its own
    order. Images are stacked when a batch is made, so the set takes no more memory than its grey
    images. The properties `images` and `labels` are those of the grey images.

    With `shuffle=False`, all passes have the same stacked images in the same order, whatever the
    seed: those of `draw(len(images), seed=0)`.

    With `binarize`, `crop` and `horizontal_flip`, the grey images are binarised, cropped and
    flipped, and then stacked. So each channel has its own crop and flip. A grey image has the same
    pixels in all channels of a pass.

    Args:
        images: Integer, uint8 array of shape `(N, H, W)` or `(N, H, W, 1)`.
        labels: Integer array of shape `(N,)` or `(N, 1)`, classes from 0. The label of a stacked
            image has the labels of its channels as digits in base n: the digits 3, 0 and 7 make
            307. Defaults to `None`: no labels.
        stack: Integer from 1 to 64, the grey images in one stacked image. Defaults to `3`.
        **options: Other arguments of `kgan.data.ImageDataset`; `num_classes` is n, the classes of
            one channel.

    Raises:
        ValueError: `images` have several channels, `stack` is outside its limits, the labels would
            not fit in int32, or `ImageDataset` does not accept an argument.

    Example:
    ```python
    mnist = kgan.data.load_mnist("train")
    train = kgan.data.StackedImageDataset(mnist.images, mnist.labels, batch_size=128, seed=0)
    images, labels = train[0]  # float32 (128, 28, 28, 3), int32 (128,) from 0 to 999
    ```
    """

    def __init__(
        self,
        images: npt.ArrayLike,
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
        """`(H, W, C)` of the images in a batch, after stacking, padding and crops."""
        height, width = self._crop or self._pad_to
        return height, width, self._stack

    @property
    def num_classes(self) -> int | None:
        """Number of classes of the stacked images, or `None` if there are no labels."""
        return None if self._num_classes is None else self._num_classes**self._stack

    @property
    def class_names(self) -> None:
        """`None`: the classes of stacked images have no names."""
        return None

    def draw(self, count: int, seed: int) -> tuple[Images, Labels | None]:
        """Draws stacked images at random, to measure a model against.

        The draw depends on `seed` alone, not on the dataset's own seed, epoch, batch size or
        shuffling. A larger draw begins with the images of a smaller one. Each channel goes through
        all grey images in a random order before one comes again.

        Args:
            count: Integer of at least 1. It may be far above the number of grey images.
            seed: Integer of at least 0.

        Returns:
            The tuple `(images, labels)`: images `(count, H, W, C)` as in a batch, and labels int32
            `(count,)` or `None`.

        Raises:
            ValueError: An argument is not such an integer.

        Example:
        ```python
        stacked = kgan.data.load_stacked_mnist("train")
        images, labels = stacked.draw(16, seed=0)  # float32 (16, 28, 28, 3), int32 (16,)
        ```
        """
        return super().draw(count, seed)

    # A row holds the numbers of the grey images in the channels: rows have shape (count, stack).

    def _new_permutation(self, pass_number: int) -> Rows:
        size = len(self._images)
        if not self._shuffle:
            return self._drawn(size, seed=0)
        channels = (
            random_order(random_generator(self._seed, pass_number, channel), size)
            for channel in range(self._stack)
        )
        return np.stack(list(channels), axis=1)

    def _drawn(self, count: int, seed: int) -> Rows:
        size = len(self._images)
        rows = np.empty((count, self._stack), np.int64)
        for channel in range(self._stack):
            generator = random_generator(seed, channel)
            orders = [random_order(generator, size) for _ in range(math.ceil(count / size))]
            rows[:, channel] = np.concatenate(orders)[:count]
        return rows

    _native_gather = staticmethod(_core.gather_stacked)

    def _labels_at(self, rows: Rows) -> Labels | None:
        labels = super()._labels_at(rows)
        if labels is None or self._num_classes is None:
            return None
        number = labels[:, 0]
        for channel in range(1, self._stack):
            number = number * self._num_classes + labels[:, channel]
        return number

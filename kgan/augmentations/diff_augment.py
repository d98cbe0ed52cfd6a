"""DiffAugment: the same few changes to every image, always."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import keras
from keras import ops

from kgan.augmentations.augmentation import Augmentation, check_choice
from kgan.augmentations.pixels import draws, integers, rows_and_columns, taken

Tensor = Any


@keras.saving.register_keras_serializable(package="kgan")
class DiffAugment(Augmentation):
    """Changes every image in colour, moves it, and cuts a hole into it.

    Made for images in [-1, 1], of any number of channels. `u` are uniform numbers in [0, 1), new
    ones for each image and each use:

    - "color": brightness, `x + u - 0.5`; saturation, pixels `2 u` times as far from the mean of
      their channels, which leaves grey images alone; contrast, all `u + 0.5` times as far from the
      image's mean.
    - "translation": by whole pixels, up to an eighth of the height and of the width.
    - "cutout": a rectangle of half the height and half the width, its middle anywhere in the image.

    Args:
        policy: Which of "color", "translation" and "cutout" are done, in this order.
        fill: Float, what is seen where an image was moved away or cut out. 0 is the middle of the
            range; black, the background of MNIST, is -1.
        name: String.

    Raises:
        ValueError: The policy is empty, or has an unknown name or one twice.

    Example:
    ```python
    gan.compile(augmentation=kgan.augmentations.DiffAugment(("translation", "cutout"), fill=-1.0))
    ```

    Reference:
        [Zhao et al., 2020](https://arxiv.org/abs/2006.10738), section 3.2, with the ranges of the
        authors.
    """

    def __init__(
        self,
        policy: str | Sequence[str] = ("color", "translation", "cutout"),
        fill: float = 0.0,
        name: str | None = None,
    ) -> None:
        super().__init__(name=name)
        self.policy = check_choice("policy", policy, _OPERATIONS)
        self.fill = float(fill)

    def augment(self, images: Tensor, noise: Any) -> Tensor:
        """Changes images at random, each in its own way."""
        # All in one go: a call of the random generator takes as long as an operation here.
        uniform = draws(keras.random.uniform, images, _NUMBERS, noise)
        for name in self.policy:
            images = _OPERATIONS[name](images, uniform, self.fill)
        return images

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments, for saving."""
        return {**super().get_config(), "policy": list(self.policy), "fill": self.fill}


def _color(images: Tensor, uniform: Iterator[Tensor], fill: float) -> Tensor:
    del fill
    brightness, saturation, contrast = next(uniform), next(uniform), next(uniform)
    # Not "+=", which on PyTorch would change the images of the caller.
    images = images + (brightness - 0.5)
    if images.shape[-1] > 1:
        grey = ops.mean(images, axis=-1, keepdims=True)
        images = grey + 2.0 * saturation * (images - grey)
    mean = ops.mean(images, axis=(1, 2, 3), keepdims=True)
    return mean + (contrast + 0.5) * (images - mean)


def _translation(images: Tensor, uniform: Iterator[Tensor], fill: float) -> Tensor:
    _, height, width, _ = images.shape
    rows, columns = rows_and_columns(images)
    down, right = _offset(next(uniform), height), _offset(next(uniform), width)
    return taken(images, rows - down, columns - right, fill)


def _offset(uniform: Tensor, size: int) -> Tensor:
    most = int(size / 8 + 0.5)
    return integers(uniform, 2 * most + 1) - most


def _cutout(images: Tensor, uniform: Iterator[Tensor], fill: float) -> Tensor:
    _, height, width, _ = images.shape
    rows, columns = rows_and_columns(images)
    cut = ops.logical_and(_cut(rows, next(uniform), height), _cut(columns, next(uniform), width))
    return ops.where(cut, fill, images)


def _cut(places: Tensor, uniform: Tensor, size: int) -> Tensor:
    """Which rows, or columns, are within a length of half the size, its middle anywhere."""
    length = int(size / 2 + 0.5)
    # A length that is even has its middle between two pixels, or at either end of them all.
    first = integers(uniform, size + 1 - length % 2) - length // 2
    return ops.logical_and(places >= first, places < first + length)


_OPERATIONS: dict[str, Callable[[Tensor, Iterator[Tensor], float], Tensor]] = {
    "color": _color,
    "translation": _translation,
    "cutout": _cutout,
}
_NUMBERS = 7  # that all of them use

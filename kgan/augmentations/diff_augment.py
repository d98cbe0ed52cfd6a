"""DiffAugment: a few changes to every image, always of the same strength."""

from collections.abc import Callable, Iterator, Sequence

import keras
from keras import ops

from kgan._typing import Config, Noise, Shape, Tensor
from kgan.augmentations.augmentation import Augmentation, check_choice, check_image_shape
from kgan.augmentations.pixels import draws, integers, rows_and_columns, taken


@keras.saving.register_keras_serializable(package="kgan")
class DiffAugment(Augmentation):
    """Changes the colours of every image, moves it, and cuts a rectangle out of it.

    The images are in [-1, 1] and have any number of channels. In the formulas, `u` is a uniform
    number in [0, 1), drawn separately for each image and each change:

    - "color": brightness, `x + u - 0.5`; saturation, each pixel's difference from the mean of its
      channels times `2 u`, which leaves grey images unchanged; contrast, the difference from the
      image's mean times `u + 0.5`.
    - "translation": by whole pixels, up to an eighth of the height and of the width.
    - "cutout": a rectangle of half the height and half the width, centred anywhere in the image.

    Args:
        policy: The changes and their order: one or more of "color", "translation" and "cutout".
        fill: Float, the value of pixels that were cut out or moved in from outside. 0 is the middle
            of the range. -1 is black, the background of MNIST.
        name: String.

    Raises:
        ValueError: The policy is empty, or contains an unknown name or a name twice.

    Example:
    ```python
    gan.compile(augmentation=kgan.augmentations.DiffAugment(("translation", "cutout"), fill=-1.0))
    ```

    Reference:
        [Zhao et al., 2020](https://arxiv.org/abs/2006.10738), section 3.2, with the ranges of the
        authors' code.
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

    def check(self, image_shape: Shape) -> None:
        """Raises an error for data other than images."""
        check_image_shape(image_shape, "DiffAugment")

    def augment(self, images: Tensor, noise: Noise) -> Tensor:
        """Changes each image at random."""
        self.check(images.shape[1:])
        # All numbers in one call: each call of the random generator takes as long as an operation.
        uniform = draws(keras.random.uniform, images, _NUMBERS, noise)
        for name in self.policy:
            images = _OPERATIONS[name](images, uniform, self.fill)
        return images

    def get_config(self) -> Config:
        """The constructor's arguments, for saving."""
        return {**super().get_config(), "policy": list(self.policy), "fill": self.fill}


def _color(images: Tensor, uniform: Iterator[Tensor], fill: float) -> Tensor:
    del fill
    brightness, saturation, contrast = next(uniform), next(uniform), next(uniform)
    # Not "+=": on PyTorch, that would change the images of the caller.
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
    """Which rows, or columns, lie in an interval of half the size, centred anywhere."""
    length = int(size / 2 + 0.5)
    # An interval of even length is centred between two pixels, or at either end of the image.
    first = integers(uniform, size + 1 - length % 2) - length // 2
    return ops.logical_and(places >= first, places < first + length)


_OPERATIONS: dict[str, Callable[[Tensor, Iterator[Tensor], float], Tensor]] = {
    "color": _color,
    "translation": _translation,
    "cutout": _cutout,
}
_NUMBERS = 7  # how many random numbers all operations use together

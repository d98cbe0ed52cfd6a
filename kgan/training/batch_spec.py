"""The requirements of a model on its batches, checked in the same way for every family."""

from dataclasses import dataclass

import keras
from keras import ops

from kgan._typing import Shape, Tensor


@dataclass(frozen=True)
class Divisor:
    """A number that divides the size of every batch.

    Args:
        number: Integer.
        name: String, where the number comes from: `"pack=2"`.
        reason: String, why it must divide batches.
    """

    number: int
    name: str
    reason: str


@dataclass(frozen=True)
class BatchSpec:
    """The requirements of a model on its batches.

    Args:
        shape: The shape of a batch of images, None where a size is open.
        consumer: String, the part of the model that takes the images, for error messages.
        value_range: Two floats, the lowest and the highest pixel value that make sense; None if any
            do.
        range_reason: String, where that range comes from, for error messages.
        binary: Whether every pixel is at one of the two ends of the range.
        levels: Integer, how many values a pixel can have, evenly over the range; batches of
            integers are then levels from 0. None where any value in the range will do.
        needs_labels: Whether every image has a label.
        num_classes: Integer, labels are below it; None where that is not known.
        divisors: Numbers that divide the size of every batch.
        second: The requirements on the second images of a batch, `(images, second)`: only their
            shape, consumer, range and name count. None for a model of one kind of image.
        name: String, what the images are called in error messages.
        is_paired: Whether second image i belongs to image i.

    Example:
    ```python
    spec = kgan.training.BatchSpec((None, 28, 28, 1), "encoder", value_range=(-1.0, 1.0))
    assert spec.limits == (-1.5, 1.5)
    ```
    """

    shape: Shape
    consumer: str
    value_range: tuple[float, float] | None = None
    range_reason: str = ""
    binary: bool = False
    levels: int | None = None
    needs_labels: bool = False
    num_classes: int | None = None
    divisors: tuple[Divisor, ...] = ()
    second: "BatchSpec | None" = None
    name: str = "images"
    is_paired: bool = False

    @property
    def divisor(self) -> int:
        """The number that divides every batch: the product of all."""
        product = 1
        for each in self.divisors:
            product *= each.number
        return product

    @property
    def limits(self) -> tuple[float, float] | None:
        """The range, widened by a quarter: training images may have noise added to them."""
        if self.value_range is None:
            return None
        low, high = self.value_range
        if self.binary:
            return low, high
        slack = (high - low) / (4 if self.levels is None else 8 * self.levels)
        return low - slack, high + slack

    def as_floats(self, images: Tensor) -> Tensor:
        """Images as float32, those of integer levels in the range.

        Args:
            images: Tensor `(batch, height, width, channels)`, floats or integer levels.
        """
        is_float = keras.backend.is_float_dtype(keras.backend.standardize_dtype(images.dtype))
        images = ops.cast(images, "float32")
        if is_float or self.levels is None or self.value_range is None:
            return images
        low, high = self.value_range
        share = images / (self.levels - 1)
        return high * share + low * (1.0 - share)  # both ends are exact

    def divided(self) -> "tuple[Divisor, ...]":
        """The divisors above 1."""
        return tuple(each for each in self.divisors if each.number > 1)


def fits(shape: Shape, expected: Shape) -> bool:
    """Whether a batch of one shape can be one of another, as far as sizes are known."""
    return len(shape) == len(expected) and all(
        size is None or wanted is None or size == wanted
        for size, wanted in zip(tuple(shape)[1:], tuple(expected)[1:], strict=True)
    )


def shown(shape: Shape) -> str:
    """The shape of a batch as text: `(batch, 28, 28, 1)`, or `(batch, height, width, 1)`."""
    names = ("batch", "height", "width", "channels")
    if len(shape) != len(names):
        return f"({', '.join(['batch', *map(str, shape[1:])][: len(shape)])})"
    sizes = [name if size is None else str(size) for name, size in zip(names, shape, strict=True)]
    return f"({', '.join(['batch', *sizes[1:]])})"

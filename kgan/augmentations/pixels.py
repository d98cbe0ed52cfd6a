"""What augmentations are made of: random numbers for each image, and pixels taken from elsewhere.

Whatever an image has one of, a random number or an angle, has the shape `(batch, 1, 1, 1)`; the
numbers of rows have `(1, height, 1, 1)`, those of columns `(1, 1, width, 1)`. So all of them
broadcast against each other and against images.
"""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from keras import ops

from kgan._noise import for_batch

Tensor = Any


def draws(
    distribution: Callable[..., Tensor], images: Tensor, count: int, noise: Any
) -> Iterator[Tensor]:
    """Random numbers, of which each image has its own.

    Args:
        distribution: `keras.random.uniform`, numbers in [0, 1), or `keras.random.normal`.
        images: The images `(batch, height, width, channels)`.
        count: Integer, how many numbers an image gets.
        noise: The `keras.random.SeedGenerator` they come from.

    Returns:
        An iterator over `count` tensors `(batch, 1, 1, 1)`.
    """
    numbers = for_batch(distribution, ops.shape(images)[0], count, noise=noise)
    return iter(ops.unstack(ops.reshape(numbers, (-1, 1, 1, 1, count)), count, axis=-1))


def integers(uniform: Tensor, count: int) -> Tensor:
    """Whole numbers, float32, equally often each of 0 to `count - 1`."""
    # A uniform number just below 1 can be rounded up.
    return ops.minimum(ops.floor(uniform * count), count - 1.0)


def rows_and_columns(images: Tensor) -> tuple[Tensor, Tensor]:
    """The numbers of the rows and of the columns of images, float32."""
    _, height, width, _ = images.shape
    rows = ops.reshape(ops.arange(height, dtype="float32"), (1, height, 1, 1))
    return rows, ops.reshape(ops.arange(width, dtype="float32"), (1, 1, width, 1))


def taken(images: Tensor, rows: Tensor, columns: Tensor, fill: float | None = None) -> Tensor:
    """Makes images of pixels out of other places.

    Args:
        images: Float32 `(batch, height, width, channels)`.
        rows: Whole numbers, float32: where each pixel is to be taken from. They and `columns`
            together broadcast to `(batch, height, width, 1)`.
        columns: Likewise.
        fill: Float, what there is beyond the edges. Defaults to the image as in a mirror.

    Returns:
        Images of the same shape.
    """
    _, height, width, channels = images.shape
    if fill is None:
        y, x = _mirrored(rows, height), _mirrored(columns, width)
    else:
        y, x = ops.clip(rows, 0.0, height - 1.0), ops.clip(columns, 0.0, width - 1.0)
    index = ops.reshape(ops.cast(y * width + x, "int32"), (-1, height * width, 1))
    pixels = ops.reshape(images, (-1, height * width, channels))
    pixels = ops.reshape(ops.take_along_axis(pixels, index, axis=1), (-1, height, width, channels))
    if fill is None:
        return pixels
    return ops.where(ops.logical_and(ops.equal(y, rows), ops.equal(x, columns)), pixels, fill)


def _mirrored(places: Tensor, size: int) -> Tensor:
    """Whole numbers anywhere, brought into [0, size) as if there were a mirror at each edge."""
    places = ops.mod(places, 2.0 * size)
    return ops.minimum(places, 2.0 * size - 1.0 - places)


class Affine(NamedTuple):
    """Where a pixel of an image comes from: an affine map of its place `(x, y)`.

    `(xx x + xy y + x0, yx x + yy y + y0)`, with the origin in the image's middle, x to the right
    and y down, each entry a float or a tensor `(batch, 1, 1, 1)`. What is said to be done to images
    one after the other is put together by calls in that same order.
    """

    xx: Tensor = 1.0
    xy: Tensor = 0.0
    x0: Tensor = 0.0
    yx: Tensor = 0.0
    yy: Tensor = 1.0
    y0: Tensor = 0.0

    def scaled(self, x: Tensor, y: Tensor) -> "Affine":
        """Makes images `x` times as wide and `y` times as high. -1 flips them."""
        return self._replace(xx=self.xx / x, xy=self.xy / y, yx=self.yx / x, yy=self.yy / y)

    def turned(self, cosine: Tensor, sine: Tensor) -> "Affine":
        """Turns images clockwise, by the angle with that cosine and sine."""
        return self._replace(
            xx=self.xx * cosine - self.xy * sine,
            xy=self.xx * sine + self.xy * cosine,
            yx=self.yx * cosine - self.yy * sine,
            yy=self.yx * sine + self.yy * cosine,
        )

    def moved(self, x: Tensor, y: Tensor) -> "Affine":
        """Moves images to the right and down by that many pixels."""
        return self._replace(
            x0=self.x0 - self.xx * x - self.xy * y, y0=self.y0 - self.yx * x - self.yy * y
        )


def warped(images: Tensor, affine: Affine, fill: float | None = None) -> Tensor:
    """Images after an affine map, sampled bilinearly.

    Args:
        images: Float32 `(batch, height, width, channels)`.
        affine: What is done to them.
        fill: Float, what there is beyond the edges. Defaults to the image as in a mirror.

    Returns:
        Images of the same shape.
    """
    _, height, width, _ = images.shape
    middle_y, middle_x = (height - 1) / 2, (width - 1) / 2
    rows, columns = rows_and_columns(images)
    y, x = rows - middle_y, columns - middle_x
    rows = affine.yx * x + affine.yy * y + affine.y0 + middle_y
    columns = affine.xx * x + affine.xy * y + affine.x0 + middle_x
    above, left = ops.floor(rows), ops.floor(columns)
    down, right = rows - above, columns - left  # how far on the way to the next pixel

    def across(row: Tensor) -> Tensor:
        there = taken(images, row, left, fill)
        return there + right * (taken(images, row, left + 1.0, fill) - there)

    upper = across(above)
    return upper + down * (across(above + 1.0) - upper)

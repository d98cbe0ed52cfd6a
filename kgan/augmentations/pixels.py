"""Building blocks of augmentations: random numbers for each image, and pixels from other places.

A value that each image has once, such as a random number or an angle, has shape `(batch, 1, 1, 1)`.
Row numbers have shape `(1, height, 1, 1)`, column numbers `(1, 1, width, 1)`. So all of them
broadcast with each other and with images.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

from keras import ops

from kgan._noise import for_batch
from kgan._typing import Noise, Tensor


def draws(
    distribution: Callable[..., Tensor], images: Tensor, count: int, noise: Noise
) -> Iterator[Tensor]:
    """Draws random numbers for each image.

    Args:
        distribution: `keras.random.uniform`, for numbers in [0, 1), or `keras.random.normal`.
        images: The images `(batch, height, width, channels)`.
        count: Integer, the number of numbers for each image.
        noise: The `keras.random.SeedGenerator` to draw from.

    Returns:
        An iterator over `count` tensors `(batch, 1, 1, 1)`.
    """
    numbers = for_batch(distribution, ops.shape(images)[0], count, noise=noise)
    return iter(ops.unstack(ops.reshape(numbers, (-1, 1, 1, 1, count)), count, axis=-1))


def integers(uniform: Tensor, count: int) -> Tensor:
    """Turns uniform numbers into integers 0 to `count - 1`, as float32, all equally likely."""
    # The product of `count` and a number just below 1 may be rounded up to `count`.
    return ops.minimum(ops.floor(uniform * count), count - 1.0)


def rows_and_columns(images: Tensor) -> tuple[Tensor, Tensor]:
    """The row numbers and the column numbers of images, float32."""
    _, height, width, _ = images.shape
    rows = ops.reshape(ops.arange(height, dtype="float32"), (1, height, 1, 1))
    return rows, ops.reshape(ops.arange(width, dtype="float32"), (1, 1, width, 1))


def taken(images: Tensor, rows: Tensor, columns: Tensor, fill: float | None = None) -> Tensor:
    """Builds images from pixels at other places.

    Args:
        images: Float32 `(batch, height, width, channels)`.
        rows: The row from which each pixel is taken: integers as float32. `rows` and `columns`
            together broadcast to `(batch, height, width, 1)`.
        columns: The column from which each pixel is taken.
        fill: Float, the value of pixels outside the image. Defaults to the mirror image.

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
    """Maps integers into [0, size) by reflection at both edges."""
    places = ops.mod(places, 2.0 * size)
    return ops.minimum(places, 2.0 * size - 1.0 - places)


class Affine(NamedTuple):
    """The place from which each pixel of an image comes: an affine map of its place `(x, y)`.

    `(xx x + xy y + x0, yx x + yy y + y0)`, with the origin in the centre of the image, x to the
    right and y down. Each entry is a float or a tensor `(batch, 1, 1, 1)`. To change images several
    times, call the methods in the order of the changes.
    """

    xx: Tensor = 1.0
    xy: Tensor = 0.0
    x0: Tensor = 0.0
    yx: Tensor = 0.0
    yy: Tensor = 1.0
    y0: Tensor = 0.0

    def scaled(self, x: Tensor, y: Tensor) -> "Affine":
        """Scales images by `x` in width and by `y` in height. -1 flips them."""
        return self._replace(xx=self.xx / x, xy=self.xy / y, yx=self.yx / x, yy=self.yy / y)

    def turned(self, cosine: Tensor, sine: Tensor) -> "Affine":
        """Rotates images clockwise by the angle with this cosine and sine."""
        return self._replace(
            xx=self.xx * cosine - self.xy * sine,
            xy=self.xx * sine + self.xy * cosine,
            yx=self.yx * cosine - self.yy * sine,
            yy=self.yx * sine + self.yy * cosine,
        )

    def moved(self, x: Tensor, y: Tensor) -> "Affine":
        """Moves images `x` pixels to the right and `y` pixels down."""
        return self._replace(
            x0=self.x0 - self.xx * x - self.xy * y, y0=self.y0 - self.yx * x - self.yy * y
        )


def warped(images: Tensor, affine: Affine, fill: float | None = None) -> Tensor:
    """Applies an affine map to images, with bilinear sampling.

    Args:
        images: Float32 `(batch, height, width, channels)`.
        affine: The map.
        fill: Float, the value of pixels outside the image. Defaults to the mirror image.

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
    down, right = rows - above, columns - left  # the fraction of the way to the next pixel

    def across(row: Tensor) -> Tensor:
        there = taken(images, row, left, fill)
        return there + right * (taken(images, row, left + 1.0, fill) - there)

    upper = across(above)
    return upper + down * (across(above + 1.0) - upper)

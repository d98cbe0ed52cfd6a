"""Pictures from arrays of images: conversion to 8 bits, grids, and PNG, GIF and NPZ files.

Images are uint8, or floats in [-1, 1] as `generate` returns them. Use `to_uint8` first for floats
in another range.
"""

import io
import math
import os
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from kgan._arguments import integer
from kgan._files import written_whole
from kgan._typing import ImagesLike, Pictures

__all__ = [
    "class_grid",
    "grid",
    "load_picture",
    "paired_grid",
    "png_bytes",
    "save_gif",
    "save_npz",
    "save_png",
    "show",
    "to_uint8",
]

_PART = 1 << 20
_BACKGROUND = 127
_INK = 0
# Rounding, as in half precision, may move a value a little beyond the range.
_TOLERANCE = 0.01


def to_uint8(images: npt.ArrayLike, value_range: tuple[float, float] = (-1.0, 1.0)) -> Pictures:
    """Converts float images to 8 bits.

    Args:
        images: Float array of any shape.
        value_range: Two floats, the values that become 0 and 255. Values outside are clipped, and
            NaN becomes 0.

    Returns:
        Uint8 array of the same shape, each value rounded to the nearest level.

    Raises:
        ValueError: The range is empty.

    Example:
    ```python
    levels = kgan.images.to_uint8(np.array([-1.0, 0.0, 1.0]))
    assert levels.tolist() == [0, 128, 255]
    ```
    """
    low, high = value_range
    if not low < high:
        raise ValueError(
            "Expected `value_range` to be (low, high) with low < high. "
            f"Received: value_range={value_range!r}."
        )
    images = np.asarray(images)
    pixels = np.empty(images.shape, "uint8")
    source, target = images.reshape(-1), pixels.reshape(-1)
    # A part at a time: in float64 the whole would take eight times the memory of the result.
    for first in range(0, len(source), _PART):
        levels = source[first : first + _PART].astype("float64")
        levels -= low
        levels *= 255.0 / (high - low)
        np.nan_to_num(levels, copy=False)
        target[first : first + _PART] = np.rint(np.clip(levels, 0.0, 255.0, out=levels))
    return pixels


def grid(
    images: ImagesLike,
    columns: int | None = None,
    gap: int = 2,
    row_names: Sequence[str] | None = None,
    scale: int = 1,
) -> Pictures:
    """Arranges images in rows, on a mid-grey background that suits dark and light ones.

    Args:
        images: Uint8 array, or float array in [-1, 1], `(n, height, width, channels)` with 1 or 3
            channels.
        columns: Integer, images in a row. Defaults to as many as make the grid about square, and to
            1 for images of one row, which are sequences.
        gap: Integer, pixels between images.
        row_names: Strings, one for each row, written to the left of the rows. Defaults to no names.
        scale: Integer. Each pixel of an image becomes a square of this side; the gaps and names
            keep their size.

    Returns:
        Uint8 array `(grid_height, grid_width, channels)`.

    Raises:
        ValueError: There are no images, they have another shape, dtype or range, the number of
            names is not that of the rows, or `scale` is less than 1.

    Example:
    ```python
    images = np.random.default_rng(0).uniform(-1, 1, (6, 28, 28, 1))
    picture = kgan.images.grid(images, columns=3, row_names=["cats", "dogs"])
    ```
    """
    shape = np.shape(images)
    if len(shape) != 4 or not shape[0] or shape[3] not in {1, 3}:
        raise ValueError(
            "Expected at least one image, in an array (n, height, width, channels) with 1 or 3 "
            f"channels. Received: shape {shape}."
        )
    pictures = _enlarged(_in_8_bits(images), scale)
    count, height, width, channels = pictures.shape
    by_default = 1 if height == 1 else math.ceil(math.sqrt(count))
    columns = min(columns or by_default, count)
    rows = math.ceil(count / columns)
    size = rows * (height + gap) - gap, columns * (width + gap) - gap, channels
    canvas = np.full(size, _BACKGROUND, "uint8")
    for index, image in enumerate(pictures):
        top, left = (index // columns) * (height + gap), (index % columns) * (width + gap)
        canvas[top : top + height, left : left + width] = image
    if row_names is None:
        return canvas
    if len(row_names) != rows:
        raise ValueError(
            f"Expected {rows} names, one for each row. Received: row_names={list(row_names)!r}."
        )
    return np.concatenate([_names(row_names, height, gap, channels), canvas], axis=1)


def _names(names: Sequence[str], height: int, gap: int, channels: int) -> Pictures:
    """The strip to the left of a grid: a name in the middle of each row, flush right."""
    font = ImageFont.load_default()
    # The font has no other letters, and Pillow's simple one raises an error for them.
    texts = [name.encode("latin-1", "replace").decode("latin-1") for name in names]
    boxes = [font.getbbox(text) for text in texts]
    width = math.ceil(max(right for *_, right, _ in boxes)) + 2 * max(gap, 2)
    strip = np.full((len(names) * (height + gap) - gap, width, channels), _BACKGROUND, "uint8")
    for row, (text, (_, top, right, bottom)) in enumerate(zip(texts, boxes, strict=True)):
        # Each name has its own tile, so that none reaches into the next row.
        tile = Image.new("L", (width, height), _BACKGROUND)
        place = width - max(gap, 2) - right, (height - bottom - top) / 2
        ImageDraw.Draw(tile).text(place, text, fill=_INK, font=font)
        first = row * (height + gap)
        strip[first : first + height] = np.asarray(tile)[..., np.newaxis]
    return strip


def class_grid(
    images: ImagesLike,
    labels: npt.ArrayLike,
    classes: Sequence[int] | None = None,
    gap: int = 2,
    row_names: Sequence[str] | None = None,
) -> Pictures:
    """Arranges images in rows by their classes.

    Args:
        images: As for `grid`.
        labels: Integers `(n,)`, the classes of the images.
        classes: Integers, the class of each row. Defaults to those that occur in `labels`.
        gap: Integer, pixels between images.
        row_names: As for `grid`.

    Returns:
        Uint8 array `(grid_height, grid_width, channels)`. Where a class has fewer images than
        another one, the rest of its row is empty.

    Raises:
        ValueError: As `grid`, or there are not as many labels as images.

    Example:
    ```python
    images, labels = train.draw(64, seed=0)
    picture = kgan.images.class_grid(images, labels)  # a row for each digit
    kgan.images.save_png("digits.png", picture)
    ```
    """
    pictures, labels = _in_8_bits(images), np.asarray(labels)
    if labels.shape != (len(pictures),):
        raise ValueError(
            f"Expected {len(pictures)} labels, one for each image. "
            f"Received: labels of shape {labels.shape}."
        )
    shown = np.unique(labels) if classes is None else classes
    rows = [pictures[labels == number] for number in shown]
    columns = max(map(len, rows), default=0)
    tiles = np.full((len(rows), columns, *pictures.shape[1:]), _BACKGROUND, "uint8")
    for tile_row, row in zip(tiles, rows, strict=True):
        tile_row[: len(row)] = row
    return grid(tiles.reshape(-1, *pictures.shape[1:]), max(columns, 1), gap, row_names)


def paired_grid(
    *rows: ImagesLike,
    columns: int | None = None,
    gap: int = 2,
) -> Pictures:
    """Arranges images that belong together below each other, such as inputs and their outputs.

    Each row of first images is followed by the row of second ones, and so on.

    Args:
        rows: Two or more arrays, uint8 or float in [-1, 1], `(n, height, width, channels)` with 1
            or 3 channels. They have the same shape, but some may be grey and others coloured.
        columns: Integer, images in a row. Defaults to as many as make the grid about square.
        gap: Integer, pixels between images.

    Returns:
        Uint8 array `(grid_height, grid_width, channels)`.

    Raises:
        ValueError: There are no images, they have another shape, dtype or range, or the shapes
            differ.

    Example:
    ```python
    images, _ = test.draw(16, seed=0)
    picture = kgan.images.paired_grid(images, vae.reconstruct(images), columns=8)
    ```
    """
    arrays = _equally_coloured([_in_8_bits(images) for images in rows])
    shapes = {array.shape for array in arrays}
    if len(shapes) != 1:
        raise ValueError(
            "Expected arrays of images that all have the same shape. "
            f"Received: shapes {', '.join(str(array.shape) for array in arrays) or 'of none'}."
        )
    (count, *image_shape), *_ = shapes
    columns = max(1, min(columns or math.ceil(math.sqrt(len(arrays) * count)), count))
    empty = np.full((-count % columns, *image_shape), _BACKGROUND, "uint8")
    filled = [np.concatenate([array, empty]).reshape(-1, columns, *image_shape) for array in arrays]
    alternating = np.stack(filled, axis=1)
    return grid(alternating.reshape(-1, *image_shape), columns, gap)


def _equally_coloured(arrays: list[Pictures]) -> list[Pictures]:
    """Repeats the channel of grey images if others are coloured."""
    channels = max((array.shape[-1] for array in arrays if array.ndim == 4), default=1)
    return [
        array.repeat(channels, axis=-1) if array.ndim == 4 and array.shape[-1] == 1 else array
        for array in arrays
    ]


def show(
    images: ImagesLike,
    columns: int | None = None,
    gap: int = 2,
    row_names: Sequence[str] | None = None,
    scale: int = 1,
) -> Image.Image:
    """Shows images in a notebook: as the last line of a cell, the result is displayed as a picture.

    Args:
        images: Uint8 array, or float array in [-1, 1]. One of:

            - images `(n, height, width, channels)`, which are shown as a `grid`;
            - a picture `(height, width)` or `(height, width, channels)`, such as a grid;
            - paths `(n, steps, height, width, channels)` from `interpolate`, a row for each.
        columns: Integer, images in a row of the grid. Defaults to as many as make it about square,
            and to `steps` for paths.
        gap: Integer, pixels between images.
        row_names: Strings, one for each row of the grid. Defaults to no names.
        scale: Integer. Each pixel of an image becomes a square of this side.

    Returns:
        A `PIL.Image.Image`. In a script, its `show()` opens a window, and its
        `save(path)` writes a file.

    Raises:
        ValueError: The images have another shape, dtype or range, or `scale` is less than 1.

    Example:
    ```python
    images = np.random.default_rng(0).uniform(-1, 1, (16, 28, 28, 1))
    kgan.images.show(images, scale=2)
    ```
    """
    shape = np.shape(images)
    if len(shape) == 5:
        columns = columns or shape[1]
        images = np.reshape(np.asarray(images), (-1, *shape[2:]))
    if len(shape) >= 4:
        return _as_pillow(grid(images, columns, gap, row_names, scale))
    return _as_pillow(images, scale)


def png_bytes(picture: ImagesLike) -> bytes:
    """Encodes a picture as a PNG.

    Args:
        picture: Uint8 array, or float array in [-1, 1], `(height, width)` or
            `(height, width, channels)` with 1 or 3 channels.

    Returns:
        The bytes of a PNG file.

    Raises:
        ValueError: The picture has another shape, dtype or range.

    Example:
    ```python
    (image,) = gan.generate(1, seed=1)
    content = kgan.images.png_bytes(image)
    assert content[1:4] == b"PNG"
    ```
    """
    buffer = io.BytesIO()
    _as_pillow(picture).save(buffer, format="PNG", optimize=True)
    return buffer.getvalue()


def save_png(path: str | os.PathLike[str], picture: ImagesLike) -> None:
    """Writes a picture as a PNG file.

    Args:
        path: The file.
        picture: Uint8 array, or float array in [-1, 1], `(height, width)` or
            `(height, width, channels)` with 1 or 3 channels. `grid` makes one of several images.

    Raises:
        ValueError: The picture has another shape, dtype or range.

    Example:
    ```python
    images = gan.generate(64, seed=1)
    kgan.images.save_png("samples.png", kgan.images.grid(images))
    ```
    """
    encoded = png_bytes(picture)
    with written_whole(path) as temporary:
        temporary.write_bytes(encoded)


def save_gif(
    path: str | os.PathLike[str],
    frames: np.ndarray | Sequence[ImagesLike],
    seconds: float = 8.0,
    scale: int = 1,
) -> None:
    """Writes frames as an animated GIF that loops.

    Args:
        path: The file.
        frames: Uint8 arrays, or float arrays in [-1, 1], all of the same shape. One of:

            - pictures `(height, width)` or `(height, width, channels)` with 1 or 3 channels, in a
              sequence or an array;
            - paths `(n, steps, height, width, channels)` from `interpolate`: each step is a frame,
              a `grid` of the n paths.
        seconds: Float, about how long the film runs before its last frame, which stays for another
            two seconds.
        scale: Integer. Each pixel of an image becomes a square of this side.

    Raises:
        ValueError: There are no frames, their shapes differ, they have another shape, dtype or
            range, or `scale` is less than 1.

    Example:
    ```python
    paths = np.random.default_rng(0).uniform(-1, 1, (4, 24, 28, 28, 1))
    kgan.images.save_gif("paths.gif", paths, seconds=4, scale=4)
    ```
    """
    if isinstance(frames, np.ndarray) and frames.ndim == 5:
        pictures = [_as_pillow(grid(images, scale=scale)) for images in np.swapaxes(frames, 0, 1)]
    else:
        pictures = [_as_pillow(frame, scale) for frame in frames]
    kinds = sorted({(*picture.size, picture.mode) for picture in pictures})
    if len(kinds) != 1:
        raise ValueError(
            "Expected at least one frame, and all of the same shape. "
            f"Received: {len(pictures)} frames of {len(kinds)} shapes."
        )
    # Viewers ignore delays under 20 ms and play such films slowly.
    delay = int(min(max(1000 * seconds / len(pictures), 40), 500))
    with written_whole(path) as temporary:
        pictures[0].save(
            temporary,
            format="GIF",
            save_all=True,
            append_images=pictures[1:],
            duration=[delay] * (len(pictures) - 1) + [2000],
            loop=0,
        )


def save_npz(path: str | os.PathLike[str], **arrays: np.ndarray) -> None:
    """Writes arrays as a compressed `.npz` file, which `numpy.load` reads.

    Example:
    ```python
    kgan.images.save_npz("samples.npz", images=gan.generate(64, seed=1))
    images = np.load("samples.npz")["images"]
    ```
    """
    with written_whole(path) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, allow_pickle=False, **arrays)


def load_picture(path: str | os.PathLike[str]) -> Pictures:
    """Reads a PNG file, uint8 `(height, width, channels)`.

    Example:
    ```python
    kgan.images.save_png("grid.png", kgan.images.grid(gan.generate(16, seed=1)))
    picture = kgan.images.load_picture("grid.png")
    ```
    """
    with Image.open(path) as picture:
        array = np.asarray(picture)
    return array if array.ndim == 3 else array[..., np.newaxis]


def _in_8_bits(images: ImagesLike) -> Pictures:
    """Converts images to uint8: the one place where pictures are checked.

    Raises:
        ValueError: They are neither.
    """
    array = np.asarray(images)
    if array.dtype == np.uint8:
        return array
    if not np.issubdtype(array.dtype, np.floating):
        raise ValueError(
            f"Expected uint8 images, or floats in [-1, 1]. Received: dtype {array.dtype}."
        )
    low, high = (float(array.min()), float(array.max())) if array.size else (0.0, 0.0)
    # Not `or`: no comparison with NaN is true.
    if not (low >= -1.0 - _TOLERANCE and high <= 1.0 + _TOLERANCE):
        raise ValueError(
            f"Expected float images in [-1, 1]. Received: values from {low:g} to {high:g}. Convert "
            "them with `kgan.images.to_uint8(images, value_range=(low, high))`."
        )
    return to_uint8(array)


def _enlarged(pictures: Pictures, scale: int) -> Pictures:
    """Images `(..., height, width, channels)` with each pixel as a square."""
    if integer("scale", scale) == 1:
        return pictures
    return pictures.repeat(scale, axis=-3).repeat(scale, axis=-2)


def _as_pillow(picture: ImagesLike, scale: int = 1) -> Image.Image:
    shape = np.shape(picture)
    if len(shape) not in {2, 3} or 0 in shape or (len(shape) == 3 and shape[2] not in {1, 3}):
        raise ValueError(
            "Expected a picture (height, width) or (height, width, channels) with 1 or 3 channels; "
            f"`kgan.images.grid` makes one of several images. Received: shape {shape}."
        )
    pixels = _in_8_bits(picture)
    pixels = _enlarged(pixels.reshape(*shape[:2], -1), scale)
    return Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)

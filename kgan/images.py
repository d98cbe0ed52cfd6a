"""Pictures from arrays of images: conversion to 8 bits, grids, and PNG, GIF and NPZ files."""

import io
import math
import os
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from PIL import Image

from kgan._files import written_whole
from kgan._typing import Pictures

__all__ = [
    "grid",
    "load_picture",
    "paired_grid",
    "png_bytes",
    "save_gif",
    "save_npz",
    "save_png",
    "to_uint8",
]

_PART = 1 << 20
_BACKGROUND = 127


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


def grid(images: Pictures, columns: int | None = None, gap: int = 2) -> Pictures:
    """Arranges images in rows, on a mid-grey background that suits dark and light ones.

    Args:
        images: Uint8 array `(n, height, width, channels)`, channels 1 or 3.
        columns: Integer, images in a row. Defaults to as many as make the grid about square.
        gap: Integer, pixels between images.

    Returns:
        Uint8 array `(grid_height, grid_width, channels)`.

    Raises:
        ValueError: There are no images, or they have another shape or dtype.
    """
    if images.ndim != 4 or not len(images) or images.shape[3] not in {1, 3}:
        raise ValueError(
            "Expected at least one image, in an array (n, height, width, channels) with 1 or 3 "
            f"channels. Received: shape {images.shape}."
        )
    if images.dtype != np.uint8:
        raise ValueError(
            f"Expected uint8 images; `to_uint8` makes them. Received: dtype {images.dtype}."
        )
    count, height, width, channels = images.shape
    columns = min(columns or math.ceil(math.sqrt(count)), count)
    rows = math.ceil(count / columns)
    size = rows * (height + gap) - gap, columns * (width + gap) - gap, channels
    canvas = np.full(size, _BACKGROUND, "uint8")
    for index, image in enumerate(images):
        top, left = (index // columns) * (height + gap), (index % columns) * (width + gap)
        canvas[top : top + height, left : left + width] = image
    return canvas


def paired_grid(
    first: Pictures, second: Pictures, columns: int | None = None, gap: int = 2
) -> Pictures:
    """Arranges pairs of images in rows: a row of first ones, below it a row of second ones.

    Args:
        first: Uint8 array `(n, height, width, channels)`, channels 1 or 3.
        second: Uint8 array of the same shape.
        columns: Integer, images in a row. Defaults to as many as make the grid about square.
        gap: Integer, pixels between images.

    Returns:
        Uint8 array `(grid_height, grid_width, channels)`.

    Raises:
        ValueError: There are no images, they have another shape or dtype, or the shapes differ.
    """
    if first.shape != second.shape:
        raise ValueError(
            "Expected both arrays to have the same shape. "
            f"Received: shapes {first.shape} and {second.shape}."
        )
    count = len(first)
    columns = max(1, min(columns or math.ceil(math.sqrt(2 * count)), count))
    empty = np.full((-count % columns, *first.shape[1:]), _BACKGROUND, first.dtype)
    rows = [
        np.concatenate([images, empty]).reshape(-1, columns, *first.shape[1:])
        for images in (first, second)
    ]
    alternating = np.stack(rows, axis=1)
    return grid(alternating.reshape(-1, *first.shape[1:]), columns, gap)


def png_bytes(picture: Pictures) -> bytes:
    """Encodes a picture, uint8 `(height, width, channels)`, as a PNG."""
    buffer = io.BytesIO()
    _as_pillow(picture).save(buffer, format="PNG", optimize=True)
    return buffer.getvalue()


def save_png(path: str | os.PathLike[str], picture: Pictures) -> None:
    """Writes a picture, uint8 `(height, width, channels)`, as a PNG file."""
    with written_whole(path) as temporary:
        temporary.write_bytes(png_bytes(picture))


def save_gif(
    path: str | os.PathLike[str], frames: Sequence[Pictures], seconds: float = 8.0
) -> None:
    """Writes frames, uint8 `(height, width, channels)`, as an animated GIF that loops.

    Args:
        path: The file.
        frames: The pictures, all of the same shape.
        seconds: Float, about how long the film runs before its last frame, which stays for another
            two seconds.
    """
    # Viewers ignore delays under 20 ms and play such films slowly.
    delay = int(min(max(1000 * seconds / len(frames), 40), 500))
    pictures = [_as_pillow(frame) for frame in frames]
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
    """Writes arrays as a compressed `.npz` file, which `numpy.load` reads."""
    with written_whole(path) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, allow_pickle=False, **arrays)


def load_picture(path: str | os.PathLike[str]) -> Pictures:
    """Reads a PNG file, uint8 `(height, width, channels)`."""
    with Image.open(path) as picture:
        array = np.asarray(picture)
    return array if array.ndim == 3 else array[..., np.newaxis]


def _as_pillow(picture: Pictures) -> Image.Image:
    return Image.fromarray(picture[..., 0] if picture.shape[-1] == 1 else picture)

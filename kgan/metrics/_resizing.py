"""Resizes images for a network of features: one function for each way that publications use.

The distance of two sets depends on how their images are resized. So `tensorflow` and `clean` agree
with their references to rounding. They use NumPy only, so they are the same on every backend.
"""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from keras import ops

from kgan._typing import Images, Pictures

Size = tuple[int, int]
Taps = npt.NDArray[np.float64]


def resize_antialiased(images: Pictures, size: Size) -> Images:
    """Resizes bilinearly with antialiasing: `keras.ops.image.resize(antialias=True)`.

    Args:
        images: uint8 `(n, height, width, channels)`.
        size: Two integers, the new height and width.

    Returns:
        Float32 `(n, *size, channels)` in [0, 255].
    """
    pixels = images.astype("float32")
    if pixels.shape[1:3] == size:
        return pixels
    resized = ops.image.resize(pixels, size, antialias=True, data_format="channels_last")
    return ops.convert_to_numpy(resized)


def resize_like_tensorflow(images: Pictures, size: Size) -> Images:
    """Resizes as TensorFlow 1's `resize_bilinear`: no antialiasing, corners of pixels aligned.

    Output pixel i lies at i * in / out, and not at the centre of its area. The first papers with
    FID resize so.

    Args:
        images: uint8 `(n, height, width, channels)`.
        size: Two integers, the new height and width.

    Returns:
        Float32 `(n, *size, channels)` in [0, 255].
    """
    pixels = images.astype("float32")
    for axis in (2, 1):  # the width, then the height
        pixels = _interpolated(pixels, size[axis - 1], axis)
    return pixels


def resize_clean(images: Pictures, size: Size) -> Images:
    """Resizes as clean-fid: bicubic with antialiasing, as Pillow does for floats, then clipped.

    Args:
        images: uint8 `(n, height, width, channels)`.
        size: Two integers, the new height and width.

    Returns:
        Float32 `(n, *size, channels)` in [0, 255], not rounded.

    Reference:
        [Parmar et al., 2022](https://arxiv.org/abs/2104.11222).
    """
    rows = _bicubic_taps(images.shape[1], size[0]).astype("float32")
    columns = _bicubic_taps(images.shape[2], size[1]).astype("float32")
    # Two products of large matrices: many small ones make the threads wait for one another.
    resized = np.tensordot(rows, images.astype("float32"), (1, 1))  # height, n, width, channels
    resized = np.tensordot(resized, columns, (2, 1))  # height, n, channels, width
    np.clip(resized, 0.0, 255.0, out=resized)
    return np.ascontiguousarray(resized.transpose(1, 0, 3, 2))


RESIZES: dict[str, Callable[[Pictures, Size], Images]] = {
    "antialias": resize_antialiased,
    "tensorflow": resize_like_tensorflow,
    "clean": resize_clean,
}


def _interpolated(pixels: Images, size: int, axis: int) -> Images:
    """Interpolates along one axis. All arithmetic is in float32, as in TensorFlow 1."""
    length = pixels.shape[axis]
    if length == size:
        return pixels
    positions = np.arange(size, dtype="float32") * np.float32(length / size)
    before = positions.astype("int64")
    after = np.minimum(before + 1, length - 1)
    shape = [1] * pixels.ndim
    shape[axis] = size
    fractions = (positions - before.astype("float32")).reshape(shape)
    first = np.take(pixels, before, axis=axis)
    result = np.take(pixels, after, axis=axis)
    # In place, since a batch of large images takes much memory.
    result -= first
    result *= fractions
    result += first
    return result


def _bicubic_taps(length: int, size: int) -> Taps:
    """Returns the matrix `(size, length)` that resizes one axis with Catmull-Rom's cubic.

    If the axis shrinks, the cubic is stretched by the ratio: this is the antialiasing.
    """
    ratio = length / size
    stretch = max(ratio, 1.0)
    centres = (np.arange(size) + 0.5) * ratio
    offsets = (np.arange(length) + 0.5 - centres[:, None]) / stretch
    taps = _catmull_rom(offsets)
    normalised: Taps = taps / taps.sum(axis=1, keepdims=True)
    return normalised


def _catmull_rom(x: Taps) -> Taps:
    """The cubic of Keys (1981) with a = -1/2, as Pillow's BICUBIC."""
    x = np.abs(x)
    near = (1.5 * x - 2.5) * x * x + 1.0
    far = ((-0.5 * x + 2.5) * x - 4.0) * x + 2.0
    return np.where(x < 1.0, near, np.where(x < 2.0, far, 0.0))

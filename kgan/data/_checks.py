"""Checks of ImageDataset's arguments: each returns the value to use, or raises a clear ValueError.

Valid data that look like a mistake cause a `DataWarning`.
"""

import math
import operator
import random
from collections.abc import Sequence
from typing import Any, Literal, TypeAlias, get_args

import keras
import numpy as np
import numpy.typing as npt

from kgan import _core
from kgan._arguments import integer
from kgan._registry import did_you_mean
from kgan._typing import Labels, Pictures
from kgan._warnings import warn_outside

Binarization: TypeAlias = Literal["dynamic", "static", "threshold"]

_DTYPES = ("float32", "float16", "bfloat16", "uint8")
_DEFAULT_RANGE = (-1.0, 1.0)

# 4-bit pixels, such as scikit-learn's digits, go up to 15 or 16.
_SUSPICIOUSLY_LOW = 16
_BYTES_AT_ONCE = 1 << 18
_MOST_BYTES = 1 << 28


class DataWarning(UserWarning):
    """Data that can be used, but look like a mistake: wrong scale, axes or class numbers."""


def drawn_seed() -> int:
    """Draws a seed from Python's `random`, as Keras draws its own."""
    # 32 bits, so that a person can copy it.
    return random.getrandbits(32)


def checked_images(images: npt.ArrayLike) -> Pictures:
    """Returns C-contiguous uint8 images `(N, H, W, C)`, copied only if not contiguous."""
    given = type(images).__name__
    try:
        array = np.asarray(images)
    except ValueError:  # NumPy's error for rows of different lengths
        raise ValueError(
            "Expected images of the same shape, as one array (N, H, W) or (N, H, W, C). Received: "
            f"a {given} of arrays of several shapes. Resize or pad them first."
        ) from None
    if array.dtype.kind not in "biuf":
        raise ValueError(
            "Expected images as a uint8 array of shape (N, H, W) or (N, H, W, C). Received: a "
            f"{given} of dtype {array.dtype}. Pass the pixels, not files or batches."
        )
    if array.ndim not in {3, 4}:
        raise ValueError(
            f"Expected images of shape (N, H, W) or (N, H, W, C). Received: shape {array.shape}."
        )
    if array.size == 0:
        raise ValueError(f"Expected at least one pixel. Received: images of shape {array.shape}.")
    if array.dtype != np.uint8:
        raise ValueError(_wrong_dtype(array))
    _warn_of_channels_first(array.shape)
    return np.ascontiguousarray(array[..., np.newaxis] if array.ndim == 3 else array)


def _wrong_dtype(images: npt.NDArray[Any]) -> str:
    low, high = float(images.min()), float(images.max())
    return (
        "Expected uint8 images, pixels from 0 to 255. "
        f"Received: dtype {images.dtype} with values from {low:g} to {high:g}. "
        + _conversion(low, high, images.dtype.kind)
    )


def _conversion(low: float, high: float, kind: str) -> str:
    """Advises how to convert images that hold numbers from `low` to `high`, by their scale."""
    if not (math.isfinite(low) and math.isfinite(high)):
        return "Remove the values that are not finite first."
    if low < -1 or high > 65535 or (low < 0 and high > 1):
        scaled = f"(images {'+' if low < 0 else '-'} {abs(low):g}) * (255 / {high - low:g})"
    elif low < 0:
        scaled = "(images + 1) * 127.5"
    elif high <= 1:
        scaled = "images * 255.0"
    elif high <= _SUSPICIOUSLY_LOW:
        scaled = f"images * (255 / {high:g})"
    elif high > 255:
        scaled = "images / 257"
    elif kind == "f":
        scaled = "images"
    else:
        return "Convert them: images.astype('uint8')."
    return f"Convert them: np.round({scaled}).astype('uint8')."


def _warn_of_channels_first(shape: tuple[int, ...]) -> None:
    if len(shape) == 4 and shape[1] <= 4 < min(shape[2:]):
        warn_outside(
            "Expected images (N, H, W, C), channels last. Received: shape "
            f"{shape}, which is read as {shape[1]} x {shape[2]} pixels with {shape[3]} channels. "
            "If the channels come first, pass images.transpose(0, 2, 3, 1).",
            DataWarning,
        )


def warn_of_low_levels(images: Pictures) -> None:
    """Warns if all pixels are nearly black, as they are on a scale of 0 to 1 or 0 to 16.

    Of very many pixels it looks at a part, since they may be on disk.
    """
    highest = 0
    at_once = max(_BYTES_AT_ONCE // images[0].nbytes, 1)
    step = at_once * -(-images.nbytes // _MOST_BYTES)
    # Images of the right scale end this after the first block.
    for first in range(0, len(images), step):
        highest = max(highest, int(images[first : first + at_once].max()))
        if highest > _SUSPICIOUSLY_LOW:
            return
    if highest > 0:
        scale = f"images * {255 // highest}"
        if 255 % highest:
            scale = f"np.round(images * (255 / {highest})).astype('uint8')"
        warn_outside(
            "Expected uint8 images with pixels from 0 (black) to 255 (white). Received: "
            f"values from 0 to {highest}, which become nearly black. Pass {scale}.",
            DataWarning,
        )


def checked_labels(labels: npt.ArrayLike, images: Pictures) -> Labels:
    """Returns int32 labels `(N,)`, as many as the images, from 0."""
    array = np.asarray(labels)
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim != 1 or not np.issubdtype(array.dtype, np.integer):
        raise ValueError(
            "Expected labels as integers of shape (N,) or (N, 1), one class for each image. "
            f"Received: {array.dtype} of shape {array.shape}.{_advice_for_labels(array)}"
        )
    if len(array) != len(images):
        raise ValueError(
            "Expected as many labels as images. "
            f"Received: {len(array)} labels for {len(images)} images."
        )
    lowest, highest = int(array.min()), int(array.max())
    if lowest < 0 or highest >= 2**31 - 1:
        raise ValueError(
            "Expected labels that count classes from 0 and fit in int32. "
            f"Received: labels from {lowest} to {highest}."
        )
    return array.astype(np.int32)


def _advice_for_labels(labels: npt.NDArray[Any]) -> str:
    if labels.dtype.kind in "OSU":
        return " Number the classes: np.unique(labels, return_inverse=True)[1]."
    if _is_one_hot(labels):
        return " Convert one-hot labels: labels.argmax(axis=-1)."
    if labels.ndim == 1 and labels.dtype.kind in "bf" and (labels == np.floor(labels)).all():
        return " Convert them: labels.astype('int32')."
    return ""


def _is_one_hot(labels: npt.NDArray[Any]) -> bool:
    if labels.ndim != 2 or labels.dtype.kind not in "biuf":
        return False
    return bool(np.isin(labels, (0, 1)).all() and (labels.sum(axis=1) == 1).all())


def checked_num_classes(num_classes: int | None, labels: Labels | None) -> int | None:
    """Returns the classes given, or counts them; `None` without labels."""
    if labels is None:
        if num_classes is not None:
            raise ValueError(
                "Expected labels for num_classes to count. "
                f"Received: num_classes={num_classes!r} and no labels. Pass labels or leave "
                "num_classes out."
            )
        return None
    highest = int(labels.max())
    if num_classes is None:
        _warn_of_missing_classes(labels, highest + 1)
        return highest + 1
    num_classes = integer("num_classes", num_classes, 1)
    if highest >= num_classes:
        raise ValueError(
            "Expected labels below num_classes. "
            f"Received: num_classes={num_classes} and the label {highest}."
        )
    return num_classes


def _warn_of_missing_classes(labels: Labels, num_classes: int) -> None:
    classes = np.unique(labels)
    missing = num_classes - len(classes)
    if missing == 0:
        return
    first = int(np.flatnonzero(classes != np.arange(len(classes)))[0])
    others = f" and {missing - 1} others" if missing > 1 else ""
    lowest = int(classes[0])
    numbered = f"labels - {lowest}"
    if missing != lowest:  # classes are missing between others
        numbered = "np.unique(labels, return_inverse=True)[1]"
    warn_outside(
        "Expected labels that count classes from 0, each with images. Received: labels from "
        f"{lowest} to {num_classes - 1}, without images of class {first}{others}. Pass {numbered}, "
        f"or num_classes={num_classes} to keep the numbers.",
        DataWarning,
    )


def checked_class_names(
    class_names: Sequence[str] | None, num_classes: int | None
) -> tuple[str, ...] | None:
    """Returns the names of all classes, or `None` if they have none."""
    if class_names is None:
        return None
    names = (class_names,) if isinstance(class_names, str) else tuple(class_names)
    if len(set(names)) != len(names) or not all(isinstance(name, str) for name in names):
        raise ValueError(
            "Expected `class_names` to be different strings. "
            f"Received: class_names={class_names!r}."
        )
    if len(names) != num_classes:
        raise ValueError(
            "Expected as many class_names as classes. "
            f"Received: {len(names)} class_names and {num_classes or 'no'} classes."
        )
    return names


def checked_value_range(value_range: Any, dtype: str) -> tuple[float, float]:
    """Returns two floats; `_core.Levels` checks that they are a range."""
    try:
        low, high = (float(value) for value in value_range)
    except (TypeError, ValueError):
        raise ValueError(
            "Expected `value_range` to be a pair of floats, such as (-1, 1). "
            f"Received: value_range={value_range!r}."
        ) from None
    if dtype == "uint8" and (low, high) != _DEFAULT_RANGE:
        raise ValueError(
            "Expected no `value_range` with dtype='uint8', since batches of integers hold the "
            f"levels themselves. Received: value_range={value_range!r}. Leave it out, or use "
            "dtype='float32'."
        )
    return low, high


def checked_dtype(dtype: Any) -> str:
    """Returns the name of a dtype that batches can have."""
    try:
        name: str = keras.backend.standardize_dtype(dtype)
    except (TypeError, ValueError):
        name = ""
    if name not in _DTYPES:
        raise ValueError(
            f"Expected `dtype` to be one of {', '.join(_DTYPES)}. Received: dtype={dtype!r}."
        )
    return name


def checked_binarize(binarize: Any) -> Binarization | None:
    """Returns the name of a way to binarise, or `None`."""
    ways = get_args(Binarization)
    if binarize is None:
        return None
    for way in ways:
        if isinstance(binarize, str) and binarize == way:
            return way
    raise ValueError(
        f"Expected `binarize` to be None or one of {', '.join(map(repr, ways))}. "
        f"Received: binarize={binarize!r}.{did_you_mean(binarize, ways)}"
    )


def checked_levels(levels: Any, binarize: Binarization | None) -> int | None:
    """Returns the number of levels that pixels are quantised to, or `None` for all 256."""
    if levels is None:
        return None
    if binarize is not None:
        raise ValueError(
            "Expected `levels` or `binarize`, not both, since binary images have two levels. "
            f"Received: levels={levels!r} and binarize={binarize!r}. Leave one out."
        )
    levels = integer("levels", levels, _core.MIN_LEVELS)
    if levels > _core.MAX_LEVELS:
        raise ValueError(
            f"Expected `levels` to be at most {_core.MAX_LEVELS}, the levels of uint8 images. "
            f"Received: levels={levels}."
        )
    return levels if levels < _core.MAX_LEVELS else None


def checked_pad_to(pad_to: Any, images: Pictures) -> tuple[int, int]:
    """Returns the height and width of the padded images."""
    own = (images.shape[1], images.shape[2])
    if pad_to is None:
        return own
    height, width = _height_and_width(pad_to)
    if height < own[0] or width < own[1]:
        raise ValueError(
            "Expected `pad_to` to be two integers (height, width), at least those of the images, "
            f"{own}. Received: pad_to={pad_to!r}."
        )
    return height, width


def checked_crop(crop: Any, padded: tuple[int, int]) -> tuple[int, int] | None:
    """Returns the height and width of the windows of padded images, or `None`."""
    if crop is None:
        return None
    height, width = _height_and_width(crop)
    if not (1 <= height <= padded[0] and 1 <= width <= padded[1]):
        raise ValueError(
            "Expected `crop` to be two integers (height, width), at least 1 and at most those of "
            f"the padded images, {padded}. Received: crop={crop!r}. For larger windows, pass "
            "`pad_to`."
        )
    return height, width


def _height_and_width(pair: Any) -> tuple[int, int]:
    """Returns two integers, or two zeros for anything else."""
    try:
        height, width = (operator.index(value) for value in pair)
    except (TypeError, ValueError):
        return 0, 0
    return height, width


def check_channels_of_windows(images: Pictures) -> None:
    """Raises an error for images that native code does not flip and crop."""
    if images.shape[3] > _core.MAX_WINDOW_CHANNELS:
        raise ValueError(
            f"Expected images of at most {_core.MAX_WINDOW_CHANNELS} channels to flip or crop. "
            f"Received: images of shape {images.shape}."
        )


def checked_pairs(inputs: npt.ArrayLike, targets: npt.ArrayLike) -> tuple[Pictures, Pictures]:
    """Returns two arrays of images, as many in one as in the other, of one height and width."""
    first, second = checked_images(inputs), checked_images(targets)
    if len(first) != len(second):
        raise ValueError(
            "Expected as many inputs as targets: image i of one belongs to image i of the other. "
            f"Received: {len(first):,} inputs and {len(second):,} targets."
        )
    _check_sizes(first, second, "inputs and targets")
    return first, second


def checked_domains(
    a: npt.ArrayLike, b: npt.ArrayLike, batch_size: Any
) -> tuple[Pictures, Pictures]:
    """Returns two arrays of images of one height and width, each with enough for a batch."""
    first, second = checked_images(a), checked_images(b)
    _check_sizes(first, second, "the images of both domains")
    least = integer("batch_size", batch_size, 1)
    if min(len(first), len(second)) < least:
        raise ValueError(
            "Expected at least as many images in each domain as in a batch. Received: "
            f"{len(first):,} in a, {len(second):,} in b and batch_size={least}. Lower "
            "batch_size (--batch-size)."
        )
    return first, second


def _check_sizes(first: Pictures, second: Pictures, what: str) -> None:
    if first.shape[1:3] != second.shape[1:3]:
        sizes = " and ".join(
            f"{height}x{width}" for height, width in (first.shape[1:3], second.shape[1:3])
        )
        raise ValueError(
            f"Expected {what} to have one height and width. Received: {sizes} pixels. Resize one "
            "of them."
        )


def part_of(rows: npt.NDArray[np.int64], part: Any) -> npt.NDArray[np.int64]:
    """Returns the rows of part `i` of `n` equal parts. `part` is `(i, n)`."""
    try:
        index, count = (operator.index(value) for value in part)
    except (TypeError, ValueError):
        index, count = 0, 0
    if not 0 <= index < count:
        raise ValueError(
            "Expected `part` to be two integers (i, n): the number of a part, from 0, and the "
            f"number of parts. Received: part={part!r}."
        )
    if len(rows) % count:
        raise ValueError(
            f"Expected a batch of a multiple of {count} images, for equal parts. Received: "
            f"part={part!r} of a batch of {len(rows)}. Choose a batch_size that is a multiple of "
            f"{count}, and drop_remainder=True for the last batch."
        )
    size = len(rows) // count
    return rows[index * size : (index + 1) * size]


def checked_stack(stack: Any, images: Pictures, num_classes: int | None) -> int:
    """Returns the number of images in a stack, if the labels of the stacks fit in int32."""
    if images.shape[3] != 1:
        raise ValueError(
            "Expected images to stack of one channel, shape (N, H, W) or (N, H, W, 1). "
            f"Received: shape {images.shape}."
        )
    stack = integer("stack", stack, 1)
    if stack > _core.MAX_STACK:
        raise ValueError(
            f"Expected `stack` to be at most {_core.MAX_STACK}. Received: stack={stack}."
        )
    if num_classes is not None and num_classes**stack >= 2**31:
        raise ValueError(
            "Expected num_classes ** stack to fit in int32, as labels must. "
            f"Received: num_classes={num_classes} and stack={stack}."
        )
    return stack

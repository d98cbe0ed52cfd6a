"""Checks of ImageDataset's arguments: each gives the value to use, or a ValueError that helps."""

import operator
from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from kgan import _core
from kgan._arguments import integer
from kgan._registry import did_you_mean

BINARIZATIONS = ("dynamic", "static", "threshold")
_DTYPES = ("float32", "float16", "bfloat16")


def drawn_seed() -> int:
    """Draws a seed from the operating system."""
    # 32 bits, so that a person can copy it.
    return int(np.random.SeedSequence().generate_state(1)[0])


def checked_images(images: Any) -> npt.NDArray[np.uint8]:
    """C-contiguous uint8 `(N, H, W, C)`; copied only where it is not contiguous."""
    given = type(images).__name__
    try:
        images = np.asarray(images)
    except ValueError:  # NumPy's own words for rows of different lengths
        raise ValueError(
            "images must all have the same shape, to be one array (N, H, W) or (N, H, W, C): "
            f"resize or pad them first. Received: a {given} of arrays of several shapes"
        ) from None
    if images.dtype.kind not in "biuf":
        raise ValueError(
            "images must be a uint8 array of shape (N, H, W) or (N, H, W, C): the pixels "
            f"themselves, not files or batches of them. Received: a {given}, dtype {images.dtype}"
        )
    if images.dtype != np.uint8:
        raise ValueError(
            "images must be uint8, pixels from 0 to 255: they are normalised batch by batch. If "
            "they are floats in [0, 1], pass (images * 255).round().astype('uint8'); if in "
            "[-1, 1], ((images + 1) * 127.5).round().astype('uint8'). "
            f"Received: dtype {images.dtype}"
        )
    if images.ndim not in {3, 4}:
        raise ValueError(
            f"images must have shape (N, H, W) or (N, H, W, C). Received: shape {images.shape}"
        )
    if images.size == 0:
        raise ValueError(f"images must not be empty. Received: shape {images.shape}")
    if images.ndim == 3:
        images = images[..., np.newaxis]
    return np.ascontiguousarray(images)


def checked_labels(labels: Any, images: npt.NDArray[np.uint8]) -> npt.NDArray[np.int32]:
    """int32 `(N,)`, as many as the images, from 0 up."""
    labels = np.asarray(labels)
    if labels.ndim != 1 or not np.issubdtype(labels.dtype, np.integer):
        raise ValueError(
            "labels must be integers of shape (N,), one class for each image; of one-hot labels "
            "pass labels.argmax(axis=-1). "
            f"Received: {labels.dtype} of shape {labels.shape}"
        )
    if len(labels) != len(images):
        raise ValueError(
            "labels must be as many as images. "
            f"Received: {len(labels)} labels for {len(images)} images"
        )
    lowest, highest = int(labels.min()), int(np.max(labels))
    if lowest < 0 or highest >= 2**31 - 1:
        raise ValueError(
            "labels must count classes from 0 and fit in int32. "
            f"Received: labels from {lowest} to {highest}"
        )
    return labels.astype(np.int32)


def checked_num_classes(
    num_classes: int | None, labels: npt.NDArray[np.int32] | None
) -> int | None:
    """The classes given, or counted; `None` without labels."""
    if labels is None:
        if num_classes is not None:
            raise ValueError(
                "num_classes says how many classes the labels have, and there are no labels. Pass "
                f"labels, or leave it out. Received: num_classes={num_classes!r}"
            )
        return None
    highest = int(np.max(labels))
    if num_classes is None:
        return highest + 1
    num_classes = integer("num_classes", num_classes, 1)
    if highest >= num_classes:
        raise ValueError(
            "labels must be below num_classes. "
            f"Received: num_classes={num_classes} and the label {highest}"
        )
    return num_classes


def checked_value_range(value_range: Any) -> tuple[float, float]:
    """Two floats; that they make a range is for `_core.Levels` to check."""
    try:
        low, high = (float(value) for value in value_range)
    except (TypeError, ValueError):
        raise ValueError(
            "value_range must be a pair of floats, such as (-1, 1). "
            f"Received: value_range={value_range!r}"
        ) from None
    return low, high


def checked_dtype(dtype: Any) -> str:
    """The name of a dtype that batches can have."""
    try:
        name: str = keras.backend.standardize_dtype(dtype)
    except (TypeError, ValueError):
        name = ""
    if name not in _DTYPES:
        raise ValueError(f"dtype must be one of {', '.join(_DTYPES)}. Received: dtype={dtype!r}")
    return name


def checked_binarize(binarize: Any) -> Any:
    """Checks the name of a way to binarise."""
    if binarize is not None and not (isinstance(binarize, str) and binarize in BINARIZATIONS):
        raise ValueError(
            f"Expected `binarize` to be None, {', '.join(map(repr, BINARIZATIONS))}. "
            f"Received: binarize={binarize!r}.{did_you_mean(str(binarize), BINARIZATIONS)}"
        )
    return binarize


def checked_pad_to(pad_to: Any, images: npt.NDArray[np.uint8]) -> tuple[int, int]:
    """Height and width of the images in a batch."""
    own = (images.shape[1], images.shape[2])
    if pad_to is None:
        return own
    try:
        height, width = (operator.index(value) for value in pad_to)
    except (TypeError, ValueError):
        height, width = 0, 0
    if height < own[0] or width < own[1]:
        raise ValueError(
            f"pad_to must be two ints (height, width), at least the images' own {own}. "
            f"Received: pad_to={pad_to!r}"
        )
    return height, width


def part_of(rows: npt.NDArray[np.int64], part: Any) -> npt.NDArray[np.int64]:
    """The rows of part `i` of `n` equal ones, `part` being `(i, n)`."""
    try:
        index, count = (operator.index(value) for value in part)
    except (TypeError, ValueError):
        index, count = 0, 0
    if not 0 <= index < count:
        raise ValueError(
            "part must be two ints (i, n), the number of a part, from 0, and how many there are. "
            f"Received: part={part!r}"
        )
    if len(rows) % count:
        raise ValueError(
            f"A batch must have as many images in each of its parts. Received: part={part!r} of a "
            f"batch of {len(rows)}. Choose a batch_size that is a multiple of {count}, and "
            "drop_remainder=True for the last batch"
        )
    size = len(rows) // count
    return rows[index * size : (index + 1) * size]


def checked_stack(stack: Any, images: npt.NDArray[np.uint8], num_classes: int | None) -> int:
    """How many of the images make one, such that the labels of what they make fit in int32."""
    if images.shape[3] != 1:
        raise ValueError(
            "images to stack must have one channel, shape (N, H, W) or (N, H, W, 1). "
            f"Received: shape {images.shape}"
        )
    stack = integer("stack", stack, 1)
    if stack > _core.MAX_STACK:
        raise ValueError(f"stack must be at most {_core.MAX_STACK}. Received: stack={stack}")
    if num_classes is not None and num_classes**stack >= 2**31:
        raise ValueError(
            "num_classes ** stack must fit in int32, as labels do. "
            f"Received: num_classes={num_classes} and stack={stack}"
        )
    return stack

"""Checks of arguments of metrics. Each returns the array to use, or raises a ValueError."""

from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]


def feature_pair(real: Any, fake: Any, least: int = 2) -> tuple[Array, Array]:
    """Returns float64 features `(N, D)` and `(M, D)`, finite, with at least `least` rows each."""
    real, fake = features("real", real, least), features("fake", fake, least)
    if real.shape[1] != fake.shape[1]:
        raise ValueError(
            "Expected `real` and `fake` to come from the same extractor, (N, D) and (M, D). "
            f"Received: shapes {real.shape} and {fake.shape}."
        )
    return real, fake


def features(name: str, array: Any, least: int = 2) -> Array:
    """Returns float64 features `(N, D)`, finite and with at least `least` rows."""
    array = np.asarray(array, "float64")
    if array.ndim != 2:
        raise ValueError(
            f"Expected `{name}` to be features, one row for each image: (N, D). "
            f"Received: shape {array.shape}."
        )
    if len(array) < least:
        raise ValueError(
            f"Expected `{name}` to hold at least {least} samples. Received: {len(array)}."
        )
    finite = np.isfinite(array).all(axis=1)
    if not finite.all():
        raise ValueError(
            f"Expected `{name}` to be finite. Received: NaN or infinity in {(~finite).sum()} of "
            f"{len(array)} rows, first in row {int(np.argmin(finite))}."
        )
    return array


def classes(name: str, array: Any, num_classes: int) -> npt.NDArray[np.int64]:
    """Returns int64 classes `(N,)`, at least one, each from 0 to `num_classes - 1`."""
    array = np.asarray(array)
    if array.ndim != 1 or not len(array) or not np.issubdtype(array.dtype, np.integer):
        raise ValueError(
            f"Expected `{name}` to be integers (N,), one class for each image. "
            f"Received: {array.dtype} of shape {array.shape}."
        )
    if array.min() < 0 or array.max() >= num_classes:
        raise ValueError(
            f"Expected `{name}` to be at least 0 and below num_classes={num_classes}. "
            f"Received: from {array.min()} to {array.max()}."
        )
    return array.astype("int64")

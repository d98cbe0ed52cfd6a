"""Comparisons of all pairs out of two sets of scores, in memory linear in their sizes."""

import math

from keras import ops

from kgan._typing import Tensor

# Up to so many pairs, comparing all of them is faster than sorting.
FEW = 2**16


def fraction_above(high: Tensor, low: Tensor) -> Tensor:
    """The fraction of pairs in which the first score is above the second one.

    Equal scores count as half a pair. This is the area under the ROC curve of scores that tell the
    two sets apart: 1 if all of `high` are above all of `low`, 0.5 if they are alike.

    Args:
        high: Float32 tensor `(n,)`, finite.
        low: Float32 tensor `(m,)`, finite.

    Returns:
        Float32 scalar in [0, 1]. NaN if any score is NaN.

    Reference:
        [Hanley and McNeil, 1982](https://doi.org/10.1148/radiology.143.1.7063747).
    """
    sizes = high.shape[0], low.shape[0]
    is_small = None not in sizes and math.prod(sizes) <= FEW
    fraction = (_compared if is_small else _sorted)(high, low)
    # Comparisons would hide a NaN.
    return ops.where(ops.isnan(ops.sum(high) + ops.sum(low)), math.nan, fraction)


def _compared(high: Tensor, low: Tensor) -> Tensor:
    margins = ops.expand_dims(high, 1) - ops.expand_dims(low, 0)
    return (ops.mean(ops.sign(margins)) + 1.0) / 2.0


def _sorted(high: Tensor, low: Tensor) -> Tensor:
    ordered = ops.sort(low)
    # For each high score, how many low scores are below it, and how many are not above it.
    below, not_above = (
        ops.cast(ops.searchsorted(ordered, high, side=side), "float32")
        for side in ("left", "right")
    )
    return ops.mean((below + not_above) / 2.0) / ops.cast(ops.size(low), "float32")

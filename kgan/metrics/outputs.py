"""The images that a model makes of other images, in batches and checked."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np


class DivergedError(ValueError):
    """Raised for samples or likelihoods that are NaN or infinite."""


def checked_batches(
    noun: str,
    make: Callable[[slice], Any],
    count: int,
    image_shape: tuple[int, ...],
    batch_size: int,
) -> Iterator[np.ndarray]:
    """Yields the outputs for each batch of inputs.

    Args:
        noun: String, the plural name of the outputs in errors.
        make: Returns the outputs for a slice of the inputs.
        count: Integer, the number of inputs.
        image_shape: The shape of each output.
        batch_size: Integer, how many inputs a slice has at most.

    Raises:
        ValueError: Outputs have another shape.
        DivergedError: Outputs are not finite.
    """
    for first in range(0, count, batch_size):
        rows = slice(first, min(first + batch_size, count))
        outputs = np.asarray(make(rows))
        expected = (rows.stop - first, *image_shape)
        if outputs.shape != expected:
            raise ValueError(
                f"Expected {noun} to be images of shape {expected}. Received: {outputs.shape}."
            )
        if not np.isfinite(outputs).all():
            raise DivergedError(f"Expected finite {noun}. Received: NaN or infinity.")
        yield outputs

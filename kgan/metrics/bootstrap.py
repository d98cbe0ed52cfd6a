"""How sure is a figure?"""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from kgan._arguments import integer


def bootstrap_interval(
    statistic: Callable[..., float],
    *samples: npt.ArrayLike,
    resamples: int = 200,
    level: float = 0.95,
    seed: int = 0,
) -> tuple[float, float]:
    """A confidence interval for any figure, by drawing the samples anew from themselves.

    It is the basic bootstrap interval: the resamples' deviations are laid off to the other side of
    the figure, since a figure such as the Fréchet distance, which is too high for few samples, is
    higher once more for samples that repeat.

    Args:
        statistic: Takes as many arrays as there are samples, and returns a float.
        *samples: Arrays; each is resampled along its first axis by itself.
        resamples: Integer.
        level: Float in (0, 1), the share of such intervals that hold the true value.
        seed: Integer.

    Returns:
        `(low, high)`, floats. Not finite where the figure of many resamples is not.

    Raises:
        ValueError: `resamples` or `level` is out of range.

    Example:
    ```python
    kgan.metrics.bootstrap_interval(kgan.metrics.frechet_distance, real, fake)
    ```

    Reference:
        Davison and Hinkley, 1997, Bootstrap Methods and their Application, chapter 5.
    """
    resamples = integer("resamples", resamples)
    if not 0 < level < 1:
        raise ValueError(f"Expected `level` to be between 0 and 1. Received: level={level!r}.")
    arrays: list[npt.NDArray[Any]] = [np.asarray(array) for array in samples]
    generator = np.random.default_rng(seed)
    values = []
    for _ in range(resamples):
        drawn = [array[generator.integers(len(array), size=len(array))] for array in arrays]
        values.append(statistic(*drawn))
    with np.errstate(invalid="ignore"):  # between infinities nothing can be interpolated
        low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2])
    value = statistic(*arrays)
    return float(2 * value - high), float(2 * value - low)

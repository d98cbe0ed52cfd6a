"""Bootstrap confidence intervals."""

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
    """Computes a confidence interval of any statistic by resampling with replacement.

    It is the basic bootstrap interval, which mirrors the deviations of the resamples about the
    value of the statistic. This corrects for bias: the Fréchet distance, for example, is too high
    for few samples, and higher still for resamples, which repeat samples.

    Args:
        statistic: Function of as many arrays as there are `samples`. It returns a float.
        *samples: Arrays. Each is resampled independently along its first axis.
        resamples: Integer.
        level: Float in (0, 1), the share of such intervals that contain the true value.
        seed: Integer.

    Returns:
        `(low, high)`, floats. They are not finite if the statistic of many resamples is not.

    Raises:
        ValueError: `resamples` or `level` is out of range.

    Example:
    ```python
    random = np.random.default_rng(0)
    real, fake = random.normal(size=(200, 4)), random.normal(1.0, 1.0, (200, 4))
    low, high = kgan.metrics.bootstrap_interval(kgan.metrics.frechet_distance, real, fake)
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
    with np.errstate(invalid="ignore"):  # quantiles between infinities are NaN
        low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2])
    value = statistic(*arrays)
    return float(2 * value - high), float(2 * value - low)

"""Metrics of the classes that a classifier sees in samples: inception score, shares, modes."""

import numpy as np
import numpy.typing as npt

from kgan._arguments import integer
from kgan.metrics import _checks
from kgan.metrics._checks import Array


def inception_score(probabilities: npt.ArrayLike, splits: int = 10) -> tuple[float, float]:
    """Computes the inception score: high for clear samples of all classes.

    `exp(E[KL(p(y|x) || p(y))])`, for any classifier. It ignores the real images, and it cannot see
    that all samples of a class are the same image, so it says less than any other metric here. It
    rises with N: compare scores of the same N only.

    Args:
        probabilities: Float `(N, K)`, the probability of each class for each sample.
        splits: Integer, the number of consecutive parts of the samples.

    Returns:
        `(mean, spread)` over the parts: the mean, from 1 to K, and the standard deviation.

    Raises:
        ValueError: The array does not hold probabilities, or fewer samples than `splits`.

    Example:
    ```python
    probabilities = np.eye(10)[np.arange(1000) % 10]  # certain, and all classes equally often
    mean, spread = kgan.metrics.inception_score(probabilities)
    assert np.isclose(mean, 10)
    ```

    Reference:
        [Salimans et al., 2016](https://arxiv.org/abs/1606.03498).
    """
    splits = integer("splits", splits)
    array = _checks.features("probabilities", probabilities, least=splits)
    sums = np.sum(array, axis=1)
    if np.min(array) < 0 or not np.allclose(sums, 1.0, atol=1e-3):
        raise ValueError(
            "Expected `probabilities` of at least 0, with rows that sum to 1, as softmax gives. "
            f"Received: sums from {np.min(sums)} to {np.max(sums)}, least {np.min(array)}."
        )
    scores = [
        np.exp(_divergence(part, part.mean(axis=0)).mean())
        for part in np.array_split(array, splits)
    ]
    return float(np.mean(scores)), float(np.std(scores))


def class_shares(classes: npt.ArrayLike, num_classes: int) -> Array:
    """Computes the share of each class among samples.

    Args:
        classes: Integer `(N,)`.
        num_classes: Integer.

    Returns:
        Float64 `(num_classes,)`, which sums to 1.

    Raises:
        ValueError: `classes` are not integers `(N,)`, or are out of range.

    Example:
    ```python
    shares = kgan.metrics.class_shares(np.array([0, 0, 1, 0]), num_classes=3)
    assert shares.tolist() == [0.75, 0.25, 0.0]
    ```
    """
    num_classes = integer("num_classes", num_classes)
    array = _checks.classes("classes", classes, num_classes)
    return np.bincount(array, minlength=num_classes) / len(array)


def class_divergence(
    fake_classes: npt.ArrayLike, real_classes: npt.ArrayLike, num_classes: int
) -> float:
    """Computes the divergence of the classes' shares among fakes from those among real images.

    Args:
        fake_classes: Integer `(N,)`.
        real_classes: Integer `(M,)`.
        num_classes: Integer K.

    Returns:
        The Kullback-Leibler divergence KL(fake || real) in nats. It is 0 if the shares are the
        same, about `(K - 1) / 2 * (1 / N + 1 / M)` by chance alone, and infinite if fakes are of a
        class that no real image has.

    Raises:
        ValueError: Classes are not integers, or are out of range.

    Example:
    ```python
    real, fake = np.array([0, 1, 2, 3]), np.array([0, 0, 1, 1])
    assert np.isclose(kgan.metrics.class_divergence(fake, real, num_classes=4), np.log(2))
    ```
    """
    fake = class_shares(fake_classes, num_classes)
    return float(_divergence(fake, class_shares(real_classes, num_classes)))


def mode_coverage(classes: npt.ArrayLike, num_modes: int = 1000) -> tuple[int, float]:
    """Counts the modes that have a sample, and how evenly, as usual for Stacked-MNIST.

    Args:
        classes: Integer `(N,)`; for Stacked-MNIST `100 a + 10 b + c` of the three digits.
        num_modes: Integer.

    Returns:
        `(modes, divergence)`: the number of modes with a sample, and KL(samples || uniform) in
        nats, which is about `(num_modes - 1) / (2 N)` by chance alone.

    Raises:
        ValueError: Classes are not integers, or are out of range.

    Example:
    ```python
    classes = np.arange(1000) % 500  # half of the 1,000 modes, equally often
    modes, divergence = kgan.metrics.mode_coverage(classes)
    assert modes == 500
    assert np.isclose(divergence, np.log(2))
    ```

    Reference:
        [Metz et al., 2017](https://arxiv.org/abs/1611.02163).
    """
    shares = class_shares(classes, num_modes)
    return int(np.count_nonzero(shares)), float(_divergence(shares, np.float64(1.0 / num_modes)))


def _divergence(p: Array, q: Array | np.float64) -> Array:
    """Returns KL(p || q) of distributions `(..., K)`."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(p > 0, p * np.log(p / q), 0.0).sum(axis=-1)

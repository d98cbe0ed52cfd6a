"""What a classifier's verdicts on samples tell: sharpness, the shares of classes, modes."""

import numpy as np
import numpy.typing as npt

from kgan._arguments import integer
from kgan.metrics import _checks
from kgan.metrics._checks import Array


def inception_score(probabilities: npt.ArrayLike, splits: int = 10) -> tuple[float, float]:
    """The inception score: samples that are sure of their class, of classes that are all there.

    `exp(E[KL(p(y|x) || p(y))])`, whatever the classifier. It does not look at real images, and
    does not see that a class is always the same image: the least telling of all figures here. It
    rises with N, so only scores of the same N are to be compared.

    Args:
        probabilities: Float `(N, K)`, for each sample its probability of each class.
        splits: Integer, into how many parts in a row the samples are divided.

    Returns:
        `(mean, spread)` over the parts: the mean from 1 to K, and the standard deviation.

    Raises:
        ValueError: The array is not that, or has fewer samples than `splits`.

    Reference:
        [Salimans et al., 2016](https://arxiv.org/abs/1606.03498).
    """
    splits = integer("splits", splits)
    array = _checks.features("probabilities", probabilities, least=splits)
    sums = np.sum(array, axis=1)
    if np.min(array) < 0 or not np.allclose(sums, 1.0, atol=1e-3):
        raise ValueError(
            "Expected `probabilities` to be at least 0 and each row to sum to 1, as softmax makes "
            f"them of logits. Received: sums from {np.min(sums)} to {np.max(sums)}, least "
            f"{np.min(array)}."
        )
    scores = [
        np.exp(_divergence(part, part.mean(axis=0)).mean())
        for part in np.array_split(array, splits)
    ]
    return float(np.mean(scores)), float(np.std(scores))


def class_shares(classes: npt.ArrayLike, num_classes: int) -> Array:
    """How the samples are spread over the classes.

    Args:
        classes: Integer `(N,)`.
        num_classes: Integer.

    Returns:
        Float64 `(num_classes,)`, summing to 1.

    Raises:
        ValueError: `classes` are no such integers, or out of range.
    """
    num_classes = integer("num_classes", num_classes)
    array = _checks.classes("classes", classes, num_classes)
    return np.bincount(array, minlength=num_classes) / len(array)


def class_divergence(
    fake_classes: npt.ArrayLike, real_classes: npt.ArrayLike, num_classes: int
) -> float:
    """How far the shares of the classes among fakes are from those among real images.

    Args:
        fake_classes: Integer `(N,)`.
        real_classes: Integer `(M,)`.
        num_classes: Integer K.

    Returns:
        The Kullback-Leibler divergence KL(fake || real) in nats: 0 where the shares are the same,
        about `(K - 1) / 2 * (1 / N + 1 / M)` by chance alone, infinity where fakes are of a class
        that no real image has.

    Raises:
        ValueError: Classes are no such integers, or out of range.
    """
    fake = class_shares(fake_classes, num_classes)
    return float(_divergence(fake, class_shares(real_classes, num_classes)))


def mode_coverage(classes: npt.ArrayLike, num_modes: int = 1000) -> tuple[int, float]:
    """How many modes are there at all, and how evenly: the figures of Stacked-MNIST.

    Args:
        classes: Integer `(N,)`; for Stacked-MNIST `100 a + 10 b + c` of the three digits.
        num_modes: Integer.

    Returns:
        `(modes, divergence)`: how many have a sample, and KL(samples || uniform) in nats, which
        chance alone makes about `(num_modes - 1) / (2 N)`.

    Raises:
        ValueError: Classes are no such integers, or out of range.

    Reference:
        [Metz et al., 2017](https://arxiv.org/abs/1611.02163).
    """
    shares = class_shares(classes, num_modes)
    return int(np.count_nonzero(shares)), float(_divergence(shares, np.float64(1.0 / num_modes)))


def _divergence(p: Array, q: Array | np.float64) -> Array:
    """KL(p || q) of distributions `(..., K)`."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(p > 0, p * np.log(p / q), 0.0).sum(axis=-1)

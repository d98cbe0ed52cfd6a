"""Distances between the distributions of two sets of features."""

import numpy as np
import numpy.typing as npt

from kgan._arguments import integer
from kgan.metrics import _checks


def frechet_distance(real: npt.ArrayLike, fake: npt.ArrayLike) -> float:
    """Computes the Fréchet distance between Gaussians with the features' means and covariances.

    With the features of `kgan.metrics.inception_features` it is the FID. With those of kgan's
    classifier of digits it is called FCD here. It has a bias that is in inverse proportion to N,
    and larger for more features. So compare distances of the same N only, and with the floor: the
    distance between real images.

    Args:
        real: Features, float `(N, D)`.
        fake: Features from the same extractor, float `(M, D)`.

    Returns:
        Float of at least 0, in squared units of the features. Covariances may have any rank: the
        distance is 0 for identical sets, and never complex or NaN.

    Raises:
        ValueError: The arrays are not features of one kind, or hold fewer than 2 samples or NaN.

    Example:
    ```python
    real, fake = np.random.default_rng(0).normal(size=(2, 1000, 8))
    assert kgan.metrics.frechet_distance(real, fake) < 0.2
    assert np.isclose(kgan.metrics.frechet_distance(real, real + 1), 8)
    ```

    Of images:

    ```python
    features = kgan.metrics.mnist_features()
    images = [kgan.images.to_uint8(each.draw(100, seed=0)[0]) for each in (train, test)]
    distance = kgan.metrics.frechet_distance(*(features(each).vectors for each in images))
    ```

    Reference:
        [Heusel et al., 2017](https://arxiv.org/abs/1706.08500).
    """
    real, fake = _checks.feature_pair(real, fake)
    offset = real.mean(axis=0) - fake.mean(axis=0)
    real_factor, fake_factor = _covariance_factor(real), _covariance_factor(fake)
    # With C = F F^T for both, the trace of the square root of C_real C_fake is the sum of the
    # singular values of F_real^T F_fake. This avoids the square root of a nearly singular matrix.
    overlap = np.sum(np.linalg.svd(real_factor.T @ fake_factor, compute_uv=False))
    spread = np.sum(real_factor**2) + np.sum(fake_factor**2)
    return float(max(offset @ offset + spread - 2.0 * overlap, 0.0))


def _covariance_factor(features: _checks.Array) -> _checks.Array:
    """Returns a matrix F with D rows for which F F^T is the covariance of the features."""
    count, size = features.shape
    if count <= size:  # the centred samples are such a matrix, with fewer columns
        return (features - features.mean(axis=0)).T / np.sqrt(count - 1)
    values, vectors = np.linalg.eigh(np.atleast_2d(np.cov(features, rowvar=False)))
    return vectors * np.sqrt(np.maximum(values, 0.0))


def kernel_distance(
    real: npt.ArrayLike,
    fake: npt.ArrayLike,
    subsets: int = 100,
    subset_size: int | None = None,
    degree: int = 3,
    gamma: float | None = None,
    coefficient: float = 1.0,
    seed: int = 0,
) -> tuple[float, float]:
    """Computes the kernel distance (KID): the unbiased squared maximum mean discrepancy.

    The kernel of two features is `(gamma * x.y + coefficient) ** degree`. Unlike the Fréchet
    distance, its expected value does not depend on the number of samples. It is 0 on average if the
    distributions are the same, and can be negative.

    Args:
        real: Features, float `(N, D)`.
        fake: Features from the same extractor, float `(M, D)`.
        subsets: Integer, the number of pairs of random subsets to compare.
        subset_size: Integer, samples in a subset. Defaults to 1000, or all if there are fewer.
        degree: Integer, the degree of the polynomial.
        gamma: Float. Defaults to `1 / D`.
        coefficient: Float.
        seed: Integer, selects the subsets.

    Returns:
        `(mean, spread)`: the mean over the subsets, and their standard deviation.

    Raises:
        ValueError: The arrays are not features of one kind, or hold fewer samples than a subset
            or NaN.

    Example:
    ```python
    real, fake = np.random.default_rng(0).normal(size=(2, 1000, 8))
    mean, spread = kgan.metrics.kernel_distance(real, fake)
    assert abs(mean) < 0.1
    ```

    Reference:
        [Bińkowski et al., 2018](https://arxiv.org/abs/1801.01401).
    """
    real, fake = _checks.feature_pair(real, fake)
    fewest = min(len(real), len(fake))
    size = min(1000, fewest) if subset_size is None else subset_size
    if not isinstance(size, (int, np.integer)) or not 2 <= size <= fewest:
        raise ValueError(
            f"Expected `subset_size` to be an integer from 2 to {fewest}, the number of samples. "
            f"Received: subset_size={subset_size!r}."
        )
    # All subsets of the size of the set are the set itself.
    whole = size == len(real) == len(fake)
    count = 1 if whole else integer("subsets", subsets)
    generator = np.random.default_rng(seed)
    scale = 1.0 / real.shape[1] if gamma is None else gamma

    def kernel(x: _checks.Array, y: _checks.Array) -> _checks.Array:
        return (scale * (x @ y.T) + coefficient) ** degree

    distances = []
    for _ in range(count):
        x = real[generator.choice(len(real), size, replace=False)]
        y = fake[generator.choice(len(fake), size, replace=False)]
        within_x, within_y, between = kernel(x, x), kernel(y, y), kernel(x, y)
        within = within_x.sum() - np.trace(within_x) + within_y.sum() - np.trace(within_y)
        distances.append(within / (size * (size - 1)) - 2.0 * between.mean())
    return float(np.mean(distances)), float(np.std(distances))

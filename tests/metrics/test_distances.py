"""Fréchet and kernel distance against closed forms, and at their limits."""

import numpy as np
import pytest
from scipy import linalg

from kgan import metrics

pytestmark = pytest.mark.backend_free


def with_moments(mean, covariance, count=400, seed=0):
    """Samples whose mean and covariance are exactly these."""
    x = np.random.default_rng(seed).standard_normal((count, len(mean)))
    x -= x.mean(axis=0)
    x = x @ np.linalg.inv(np.linalg.cholesky(np.atleast_2d(np.cov(x, rowvar=False)))).T
    return x @ np.linalg.cholesky(covariance).T + mean


def random_covariance(size, seed):
    a = np.random.default_rng(seed).standard_normal((size, size))
    return a @ a.T / size + 0.1 * np.eye(size)


def test_frechet_distance_of_gaussians_with_diagonal_covariances():
    mean, deviations = np.array([1.0, -2.0, 0.5]), np.array([1.0, 2.0, 0.3])
    others = np.array([2.0, 0.5, 0.3])
    real = with_moments(np.zeros(3), np.diag(deviations**2))
    fake = with_moments(mean, np.diag(others**2), seed=1)
    expected = mean @ mean + np.sum((deviations - others) ** 2)
    assert metrics.frechet_distance(real, fake) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("size", [1, 2, 7, 40])
def test_frechet_distance_of_gaussians_in_general(size):
    a, b = random_covariance(size, 1), random_covariance(size, 2)
    offset = np.linspace(-1, 1, size)
    real, fake = with_moments(np.zeros(size), a), with_moments(offset, b, seed=1)
    root = np.real(linalg.sqrtm(a @ b))
    expected = offset @ offset + np.trace(a) + np.trace(b) - 2 * np.trace(root)
    assert metrics.frechet_distance(real, fake) == pytest.approx(expected, rel=1e-7)
    assert metrics.frechet_distance(fake, real) == pytest.approx(expected, rel=1e-7)


def test_frechet_distance_of_covariances_that_are_not_of_full_rank():
    # Five samples in fifty dimensions, and dimensions that never change: ranks 4 and 3.
    generator = np.random.default_rng(0)
    real = np.zeros((5, 50))
    real[:, :10] = generator.standard_normal((5, 10))
    fake = np.zeros((4, 50))
    fake[:, 20:30] = generator.standard_normal((4, 10))
    # Covariances of disjoint dimensions have no overlap.
    offset = real.mean(axis=0) - fake.mean(axis=0)
    expected = offset @ offset + real.var(axis=0, ddof=1).sum() + fake.var(axis=0, ddof=1).sum()
    assert metrics.frechet_distance(real, fake) == pytest.approx(expected, rel=1e-9)
    assert metrics.frechet_distance(real, real) == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize(("real_count", "fake_count"), [(30, 20), (40, 40), (41, 30), (41, 90)])
def test_frechet_distance_of_fewer_samples_than_features(real_count, fake_count):
    # The long way: both factors are of features by features.
    def factor(x):
        values, vectors = np.linalg.eigh(np.cov(x, rowvar=False))
        return vectors * np.sqrt(np.where(values > 1e-9, values, 0.0))  # roots of rounding errors

    generator = np.random.default_rng(0)
    real = generator.standard_normal((real_count, 40))
    fake = generator.standard_normal((fake_count, 40)) * 2.0 + 0.5
    overlap = np.linalg.svd(factor(real).T @ factor(fake), compute_uv=False).sum()
    offset = real.mean(axis=0) - fake.mean(axis=0)
    spread = real.var(axis=0, ddof=1).sum() + fake.var(axis=0, ddof=1).sum()
    expected = offset @ offset + spread - 2 * overlap
    assert metrics.frechet_distance(real, fake) == pytest.approx(expected, rel=1e-11)


def test_frechet_distance_of_many_pixels_takes_no_matrix_of_them():
    # Pixels by pixels would be 80 GB.
    pixels = np.random.default_rng(0).random((2, 6, 100_000))
    real, fake = pixels
    offset = real.mean(axis=0) - fake.mean(axis=0)
    assert metrics.frechet_distance(real, real) == pytest.approx(0.0, abs=1e-6)
    assert metrics.frechet_distance(real, fake) > offset @ offset


def test_frechet_distance_of_one_sample_repeated():
    real = with_moments(np.zeros(3), np.eye(3))
    fake = np.full((400, 3), 2.0)
    assert metrics.frechet_distance(real, fake) == pytest.approx(3 * 4.0 + 3.0, rel=1e-9)
    assert metrics.frechet_distance(fake, fake) == 0.0


def test_frechet_distance_takes_float16_images_of_features_as_they_are():
    real = with_moments(np.zeros(3), np.eye(3)).astype("float16")
    fake = real + np.float16(0.5)
    assert metrics.frechet_distance(real, fake) == pytest.approx(0.75, rel=1e-2)


def test_kernel_distance_by_hand():
    # One dimension, so gamma is 1: k(x, y) = (x y + 1)^3.
    real, fake = np.array([[0.0], [1.0]]), np.array([[1.0], [2.0]])
    within = (1.0 + 1.0) / 2 + (27.0 + 27.0) / 2  # k(0, 1), k(1, 2), each twice
    between = (1.0 + 1.0 + 8.0 + 27.0) / 4
    mean, spread = metrics.kernel_distance(real, fake)
    assert mean == pytest.approx(within - 2 * between)
    assert spread == 0.0


def test_kernel_distance_is_unbiased():
    generator = np.random.default_rng(0)
    distances = [
        metrics.kernel_distance(*generator.standard_normal((2, 50, 4)))[0] for _ in range(200)
    ]
    error = np.std(distances) / np.sqrt(len(distances))
    assert abs(np.mean(distances)) < 4 * error
    assert min(distances) < 0 < max(distances)


def test_kernel_distance_is_repeatable_by_its_seed():
    real, fake = np.random.default_rng(0).standard_normal((2, 300, 4))
    once = metrics.kernel_distance(real, fake, subsets=5, subset_size=50, seed=3)
    assert once == metrics.kernel_distance(real, fake, subsets=5, subset_size=50, seed=3)
    assert once != metrics.kernel_distance(real, fake, subsets=5, subset_size=50, seed=4)


def test_kernel_distance_has_the_parameters_of_its_kernel():
    real, fake = np.random.default_rng(0).standard_normal((2, 40, 3))

    def kernel(x, y):
        return (0.5 * x @ y.T + 2.0) ** 2

    off = ~np.eye(40, dtype=bool)
    expected = (
        kernel(real, real)[off].mean()
        + kernel(fake, fake)[off].mean()
        - 2 * kernel(real, fake).mean()
    )
    mean, _ = metrics.kernel_distance(real, fake, degree=2, gamma=0.5, coefficient=2.0)
    assert mean == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(
    "distance", [metrics.frechet_distance, metrics.kernel_distance, metrics.precision_recall]
)
@pytest.mark.parametrize(
    ("real", "fake", "message"),
    [
        (np.zeros((9, 3)), np.zeros((9, 4)), r"the same extractor.*\(9, 3\) and \(9, 4\)"),
        (np.zeros((9, 3)), np.zeros((9, 3, 1)), r"`fake` to be features.*\(9, 3, 1\)"),
        (np.zeros((1, 3)), np.zeros((9, 3)), r"`real` to hold at least \d samples. Received: 1"),
        (np.zeros((9, 3)), np.zeros((0, 3)), r"`fake` to hold at least \d samples. Received: 0"),
        (
            np.zeros((9, 3)),
            np.where(np.arange(9)[:, None] > 5, np.nan, np.zeros((9, 3))),
            "`fake` to be finite. Received: NaN or infinity in 3 of 9 rows, first in row 6",
        ),
        (np.full((9, 3), np.inf), np.zeros((9, 3)), "`real` to be finite.* 9 of 9 rows"),
    ],
)
def test_what_is_no_pair_of_features(distance, real, fake, message):
    with pytest.raises(ValueError, match=message):
        distance(real, fake)


def test_subsets_larger_than_the_sets():
    with pytest.raises(ValueError, match=r"from 2 to 10, .*Received: subset_size=11"):
        metrics.kernel_distance(np.zeros((10, 2)), np.zeros((12, 2)), subset_size=11)

"""Metrics from nearest neighbours: fidelity, variety, copies, and the size of the support.

Distances are computed as squares, `|a|^2 + |b|^2 - 2 a.b` in float64, one block of rows at a time
to save memory.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from kgan._arguments import integer
from kgan.metrics import _checks
from kgan.metrics._checks import Array

_BLOCK_ELEMENTS = 2**21  # 16 MiB of float64
# Squares below this share of the features' own squares are rounding errors of a distance of 0. Two
# copies of an image must be as near to each other as each is to itself.
_ROUNDING = 1e-12


@dataclass(frozen=True)
class NeighbourComparison:
    """The contribution of each sample to precision, recall, density and coverage.

    Args:
        precise: bool `(M,)`, whether each fake is within the manifold of the real samples.
        recalled: bool `(N,)`, whether each real sample is within the manifold of the fakes.
        density: float `(M,)`, the number of real neighbourhoods that contain each fake, divided by
            `neighbours`.
        covered: bool `(N,)`, whether each real sample has a fake in its neighbourhood.
    """

    precise: npt.NDArray[np.bool_]
    recalled: npt.NDArray[np.bool_]
    density: Array
    covered: npt.NDArray[np.bool_]


def precision_recall(
    real: npt.ArrayLike, fake: npt.ArrayLike, neighbours: int = 3
) -> tuple[float, float]:
    """Computes improved precision (fidelity) and recall (variety).

    The manifold of a set is a union of balls: one around each sample, up to its k-th nearest
    neighbour. Precision is the share of fakes within the manifold of the real samples. Recall is
    the share of real samples within the manifold of the fakes.

    Args:
        real: Features, float `(N, D)`.
        fake: Features from the same extractor, float `(M, D)`.
        neighbours: Integer k.

    Returns:
        `(precision, recall)`, floats from 0 to 1.

    Raises:
        ValueError: The arrays are not features of one kind, or hold NaN or too few samples for so
            many neighbours.

    Example:
    ```python
    real, fake = np.random.default_rng(0).normal(size=(2, 500, 8))
    precision, recall = kgan.metrics.precision_recall(real, fake / 4)  # too little variety
    assert recall < 0.5 < precision
    ```

    Reference:
        [Kynkäänniemi et al., 2019](https://arxiv.org/abs/1904.06991).
    """
    compared = compare_neighbours(real, fake, neighbours, neighbours)
    return float(compared.precise.mean()), float(compared.recalled.mean())


def density_coverage(
    real: npt.ArrayLike, fake: npt.ArrayLike, neighbours: int = 5
) -> tuple[float, float]:
    """Computes density and coverage: like precision and recall, but robust to outliers.

    Density counts the neighbourhoods of real samples that contain a fake. Coverage is the share of
    real samples that have a fake in their neighbourhood. Both use neighbourhoods of real samples
    only, so an outlier among the fakes cannot widen them.

    Args:
        real: Features, float `(N, D)`.
        fake: Features from the same extractor, float `(M, D)`.
        neighbours: Integer k.

    Returns:
        `(density, coverage)`. If the distributions are the same, density is 1 on average and can be
        more, and coverage, from 0 to 1, is about `1 - 2^-k` for N = M.

    Raises:
        ValueError: The arrays are not features of one kind, or hold NaN or too few samples for so
            many neighbours.

    Example:
    ```python
    real, fake = np.random.default_rng(0).normal(size=(2, 500, 8))
    density, coverage = kgan.metrics.density_coverage(real, fake)
    assert coverage > 0.9
    ```

    Reference:
        [Naeem et al., 2020](https://arxiv.org/abs/2002.09797).
    """
    compared = compare_neighbours(real, fake, neighbours, neighbours)
    return float(compared.density.mean()), float(compared.covered.mean())


def compare_neighbours(
    real: npt.ArrayLike, fake: npt.ArrayLike, neighbours: int = 3, density_neighbours: int = 5
) -> NeighbourComparison:
    """Computes precision, recall, density and coverage for each sample, in one pass.

    Args:
        real: Features, float `(N, D)`.
        fake: Features from the same extractor, float `(M, D)`.
        neighbours: Integer, for precision and recall.
        density_neighbours: Integer, for density and coverage.

    Returns:
        A `NeighbourComparison`. The means of its arrays are the four metrics.

    Example:
    ```python
    real, fake = np.random.default_rng(0).normal(size=(2, 200, 8))
    found = kgan.metrics.compare_neighbours(real, fake)
    outside = np.flatnonzero(~found.precise)  # the fakes outside the manifold of the real samples
    ```
    """
    ks = tuple(
        integer(name, k)
        for name, k in (("neighbours", neighbours), ("density_neighbours", density_neighbours))
    )
    real, fake = _checks.feature_pair(real, fake, least=max(ks) + 1)
    precision_radius, density_radius = _squared_radii(real, ks).T
    (recall_radius,) = _squared_radii(fake, ks[:1]).T
    precise = np.zeros(len(fake), bool)
    recalled = np.zeros(len(real), bool)
    covered = np.zeros(len(real), bool)
    density = np.zeros(len(fake))
    for rows, squares in _blocks(real, fake):
        precise |= (squares <= precision_radius[rows, np.newaxis]).any(axis=0)
        recalled[rows] = (squares <= recall_radius).any(axis=1)
        near = squares <= density_radius[rows, np.newaxis]
        density += near.sum(axis=0)
        covered[rows] = near.any(axis=1)
    return NeighbourComparison(precise, recalled, density / ks[1], covered)


def nearest_neighbours(
    samples: npt.ArrayLike, training: npt.ArrayLike, count: int = 1
) -> tuple[Array, npt.NDArray[np.int64]]:
    """Finds the training images, or features, that are nearest to each sample.

    The samples of a generator that copies are at almost no distance from training images.

    Args:
        samples: Array `(N, ...)`, images or features.
        training: Array `(M, ...)` of the same kind, in the same range.
        count: Integer, how many neighbours of each sample.

    Returns:
        `(distances, indices)`, float64 and int64 `(N, count)`, nearest first: Euclidean distances,
        and indices into `training`.

    Raises:
        ValueError: The arrays differ in shape, hold NaN, or there are fewer than `count` training
            images.

    Example:
    ```python
    samples = kgan.images.to_uint8(gan.generate(8, seed=1))
    distances, indices = kgan.metrics.nearest_neighbours(samples, train.images)
    nearest = train.images[indices[:, 0]]
    ```
    """
    samples, training = np.asarray(samples), np.asarray(training)
    count = integer("count", count)
    if samples.shape[1:] != training.shape[1:] or len(training) < count:
        raise ValueError(
            f"Expected samples (N, ...) and at least {count} training images (M, ...) of the same "
            f"shape. Received: shapes {samples.shape} and {training.shape}."
        )
    chosen, certain = _candidates(samples, training, count, "float32")
    if not certain.all():
        chosen[~certain], _ = _candidates(samples[~certain], training, count, "float64")
    distances = np.empty(chosen.shape)
    for row, places in enumerate(chosen):
        near = training[places].reshape(len(places), -1).astype("float64")
        offsets = near - samples[row].reshape(-1)
        distances[row] = np.sqrt(np.einsum("nd,nd->n", offsets, offsets))
    order = np.lexsort((chosen, distances))[:, :count]
    return np.take_along_axis(distances, order, 1), np.take_along_axis(chosen, order, 1)


def _candidates(
    samples: npt.NDArray[Any], training: npt.NDArray[Any], wanted: int, dtype: str
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """Finds a few more indices than wanted of the nearest training images, unordered.

    Products in float32 are fast, and nearly always exact enough. They are not if images hardly
    differ, as frames of a still scene.

    Returns:
        `(indices, certain)`: indices `(N, ...)`, and whether they surely include the wanted ones,
        `(N,)`.
    """
    count = min(wanted + 4, len(training))
    centre = training.mean(axis=0, dtype="float64")
    shown = _flat(samples - centre, dtype)
    best = np.full((len(samples), count), np.inf, dtype)
    places = np.zeros((len(samples), count), np.int64)
    step = max(1, 4 * _BLOCK_ELEMENTS // max(len(samples), math.prod(training.shape[1:])))
    longest = 0.0
    # Values too large for float32 become infinite or NaN, and their rows are not certain.
    with np.errstate(over="ignore", invalid="ignore"):
        for first in range(0, len(training), step):
            block = _flat(training[first : first + step] - centre, dtype)
            lengths = np.einsum("nd,nd->n", block, block)
            longest = max(longest, float(lengths.max()))
            scores = shown @ block.T
            scores *= -2.0
            scores += lengths
            scores = np.concatenate([best, scores], axis=1)
            kept = np.argpartition(scores, count - 1)[:, :count]
            best = np.take_along_axis(scores, kept, axis=1)
            # The first `count` columns are the best of earlier blocks, the others are this block.
            before = np.take_along_axis(places, np.minimum(kept, count - 1), axis=1)
            places = np.where(kept < count, before, kept - count + first)
        # Rounding errors of a product grow with the root of the number of terms.
        error = 4 * np.finfo(dtype).eps * math.sqrt(shown.shape[1] or 1)
        error *= np.einsum("nd,nd->n", shown, shown, dtype="float64") + longest
        best.sort(axis=1)
        certain = best[:, -1] - best[:, wanted - 1] > 2 * error
    return places, certain | (count == len(training))


def authenticity(samples: npt.ArrayLike, training: npt.ArrayLike) -> float:
    """Computes the share of samples that are not copies of training images.

    A sample counts as a copy if it is nearer to a training image than every other training image
    is. By chance, a third to a half of new images from the same distribution count as copies. All
    copies do, even somewhat noisy ones.

    Args:
        samples: Array `(N, ...)`, images or features.
        training: Array `(M, ...)` of the same kind, in the same range, M at least 2.

    Returns:
        Float from 0, if all are copies, to 1.

    Raises:
        ValueError: The arrays differ in shape, or hold NaN.

    Example:
    ```python
    training = np.random.default_rng(0).normal(size=(200, 8))
    assert kgan.metrics.authenticity(training[:50], training) == 0.0  # all are copies
    ```

    Reference:
        [Alaa et al., 2022](https://arxiv.org/abs/2102.08921).
    """
    distances, places = nearest_neighbours(samples, training)
    matched, rank = np.unique(places[:, 0], return_inverse=True)
    training = np.asarray(training)
    # The nearest one is the training image itself.
    others = nearest_neighbours(training[matched], training, count=2)[0][:, 1]
    return float(np.mean(distances[:, 0] > others[rank]))


def support_size(samples: npt.ArrayLike, threshold: float) -> float:
    """Estimates how many different images a generator makes, from how often two are the same.

    This is the birthday paradox: N draws from K equally likely images have about
    `N (N - 1) / (2 K)` equal pairs. Two samples count as equal if the distance of their features is
    at most `threshold`.

    Args:
        samples: Features, float `(N, D)`.
        threshold: Float, a distance; see `duplicate_distance`.

    Returns:
        Float: N (N - 1) / 2, divided by the number of equal pairs. It is infinite if there are
        none: the support is too large for N samples to measure.

    Raises:
        ValueError: The array does not hold features, or holds fewer than 2 samples or NaN.

    Example:
    ```python
    samples = np.random.default_rng(0).integers(0, 50, (1000, 1))  # 50 different ones
    size = kgan.metrics.support_size(samples, threshold=0.5)
    assert 45 < size < 55
    ```

    Reference:
        [Arora and Zhang, 2017](https://arxiv.org/abs/1706.08224).
    """
    samples = _checks.features("samples", samples)
    # A little more than the square, to include a pair at exactly the threshold.
    bound = threshold**2 * (1 + 1e-12)
    same = sum(int((squares <= bound).sum()) for squares in _pair_blocks(samples))
    pairs = len(samples) * (len(samples) - 1) / 2
    return pairs / same if same else float("inf")


def duplicate_distance(real: npt.ArrayLike, pairs: int = 10) -> float:
    """Finds a distance at which samples count as the same image: few real pairs are so near.

    Args:
        real: Features of different images, float `(N, D)`.
        pairs: Integer, how many pairs of them are within the distance.

    Returns:
        Float, the distance of the `pairs`-th nearest pair.

    Raises:
        ValueError: The array does not hold features, or holds NaN or too few samples for so many
            pairs.

    Example:
    ```python
    real = np.random.default_rng(0).normal(size=(500, 8))
    threshold = kgan.metrics.duplicate_distance(real)
    size = kgan.metrics.support_size(real, threshold)
    ```
    """
    real, pairs = _checks.features("real", real), integer("pairs", pairs)
    if pairs > len(real) * (len(real) - 1) // 2:
        raise ValueError(f"Expected enough samples for {pairs} pairs. Received: {len(real)}.")
    nearest = np.full(pairs, np.inf)
    for squares in _pair_blocks(real):
        found = np.concatenate([nearest, squares.ravel()])
        nearest = np.partition(found, pairs - 1)[:pairs]
    return float(np.sqrt(nearest.max()))


def _squared_radii(features: Array, neighbours: tuple[int, ...]) -> Array:
    """Returns squared distances `(N, len(neighbours))` to the k-th nearest other sample."""
    places = [k - 1 for k in neighbours]
    radii = np.empty((len(features), len(places)))
    for rows, squares in _blocks(features, features):
        squares[np.arange(len(squares)), np.arange(rows.start, rows.stop)] = np.inf
        squares.partition(places, axis=1)
        radii[rows] = squares[:, places]
    return radii


def _blocks(real: Array, fake: Array) -> Iterator[tuple[slice, Array]]:
    """Gives squared distances of some rows of `real` to all of `fake`, block by block."""
    centre = real.mean(axis=0)  # near the origin, differences of squares lose less
    real, fake = real - centre, fake - centre
    real_squares, fake_squares = np.sum(real**2, axis=1), np.sum(fake**2, axis=1)
    step = max(1, _BLOCK_ELEMENTS // len(fake))
    for first in range(0, len(real), step):
        rows = slice(first, min(first + step, len(real)))
        sums = real_squares[rows, np.newaxis] + fake_squares
        squares = real[rows] @ fake.T
        squares *= -2.0
        squares += sums
        sums *= _ROUNDING
        squares[squares < sums] = 0.0
        yield rows, squares


def _pair_blocks(features: Array) -> Iterator[Array]:
    """Gives the squared distance of every pair once. All other entries are infinite."""
    for rows, squares in _blocks(features, features):
        places = np.arange(len(features))
        squares[places <= np.arange(rows.start, rows.stop)[:, np.newaxis]] = np.inf
        yield squares


def _flat(images: npt.ArrayLike, dtype: str) -> npt.NDArray[Any]:
    array = np.asarray(images)
    if not np.isfinite(array).all():
        raise ValueError("Expected finite images. Received: NaN or infinity.")
    return array.reshape(len(array), math.prod(array.shape[1:])).astype(dtype)

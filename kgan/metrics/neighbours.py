"""What nearest neighbours tell: fidelity, variety, copies, and how many images there are at all.

Matrices of distances are made a block of rows at a time, so that memory stays small, as squares
`|a|^2 + |b|^2 - 2 a.b` in float64.
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
# Squares below this share of the features' own are rounding errors of a distance that is 0: two
# copies of an image must be as near to each other as each is to itself.
_ROUNDING = 1e-12


@dataclass(frozen=True)
class NeighbourComparison:
    """What each sample contributes to the figures that are taken from nearest neighbours.

    Args:
        precise: bool `(M,)`, the fakes that lie within the manifold of the real ones.
        recalled: bool `(N,)`, the real ones that lie within the manifold of the fakes.
        density: float `(M,)`, for each fake, within how many real neighbourhoods it lies, as a
            multiple of `neighbours`.
        covered: bool `(N,)`, the real ones with a fake in their neighbourhood.
    """

    precise: npt.NDArray[np.bool_]
    recalled: npt.NDArray[np.bool_]
    density: Array
    covered: npt.NDArray[np.bool_]


def precision_recall(
    real: npt.ArrayLike, fake: npt.ArrayLike, neighbours: int = 3
) -> tuple[float, float]:
    """Improved precision and recall: how many fakes look real, how much of the real is produced.

    The manifold of a set is the union of the balls around its samples that reach to their k-th
    nearest neighbour. Precision is the share of fakes within the manifold of the real ones, recall
    the share of real ones within that of the fakes.

    Args:
        real: Features, float `(N, D)`.
        fake: Features from the same extractor, float `(M, D)`.
        neighbours: Integer k.

    Returns:
        `(precision, recall)`, floats from 0 to 1.

    Raises:
        ValueError: The arrays are no features of one kind, hold no more than `neighbours` samples,
            or NaN.

    Reference:
        [Kynkäänniemi et al., 2019](https://arxiv.org/abs/1904.06991).
    """
    compared = compare_neighbours(real, fake, neighbours, neighbours)
    return float(compared.precise.mean()), float(compared.recalled.mean())


def density_coverage(
    real: npt.ArrayLike, fake: npt.ArrayLike, neighbours: int = 5
) -> tuple[float, float]:
    """Density and coverage: like precision and recall, but robust against outliers.

    Density counts within how many neighbourhoods of real samples a fake lies; coverage is the
    share of real samples that have a fake in their neighbourhood. Both take neighbourhoods of the
    real samples only, so an odd fake cannot stretch them.

    Args:
        real: Features, float `(N, D)`.
        fake: Features from the same extractor, float `(M, D)`.
        neighbours: Integer k.

    Returns:
        `(density, coverage)`: density is 1 in the mean where the distributions are the same and
        can be more; coverage is from 0 to 1, about `1 - 2^-k` where they are the same and N is M.

    Raises:
        ValueError: The arrays are no features of one kind, hold no more than `neighbours` samples,
            or NaN.

    Reference:
        [Naeem et al., 2020](https://arxiv.org/abs/2002.09797).
    """
    compared = compare_neighbours(real, fake, neighbours, neighbours)
    return float(compared.density.mean()), float(compared.covered.mean())


def compare_neighbours(
    real: npt.ArrayLike, fake: npt.ArrayLike, neighbours: int = 3, density_neighbours: int = 5
) -> NeighbourComparison:
    """Precision, recall, density and coverage, sample by sample, from one pass over distances.

    Args:
        real: Features, float `(N, D)`.
        fake: Features from the same extractor, float `(M, D)`.
        neighbours: Integer, for precision and recall.
        density_neighbours: Integer, for density and coverage.

    Returns:
        A `NeighbourComparison`, whose means are the four figures.
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
    """The training images, or features, that are nearest to each sample.

    A generator that copies shows here: its samples lie as good as on top of training images.

    Args:
        samples: Array `(N, ...)`, images or features.
        training: Array `(M, ...)` of the same kind, in the same range.
        count: Integer, how many neighbours of each.

    Returns:
        `(distances, indices)`, float64 and int64 `(N, count)`, nearest first: Euclidean distances,
        and places in `training`.

    Raises:
        ValueError: The arrays differ in shape, hold NaN, or there are fewer than `count`.
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
    """A few more places `(N, ...)` than are wanted of about the nearest training images, unordered.

    In float32 the many products are quick, and nearly always good enough: whether those that are
    wanted are among them is the second array `(N,)`. Not where images hardly differ, as the frames
    of a still scene do.
    """
    count = min(wanted + 4, len(training))
    centre = training.mean(axis=0, dtype="float64")
    shown = _flat(samples - centre, dtype)
    best = np.full((len(samples), count), np.inf, dtype)
    places = np.zeros((len(samples), count), np.int64)
    step = max(1, 4 * _BLOCK_ELEMENTS // max(len(samples), math.prod(training.shape[1:])))
    longest = 0.0
    # What is too large for float32 becomes infinite or NaN there, and nothing certain.
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
            # The first `count` columns are what was best before, the others this block's images.
            before = np.take_along_axis(places, np.minimum(kept, count - 1), axis=1)
            places = np.where(kept < count, before, kept - count + first)
        # Rounding errors of a product grow with the root of how many numbers it sums.
        error = 4 * np.finfo(dtype).eps * math.sqrt(shown.shape[1] or 1)
        error *= np.einsum("nd,nd->n", shown, shown, dtype="float64") + longest
        best.sort(axis=1)
        certain = best[:, -1] - best[:, wanted - 1] > 2 * error
    return places, certain | (count == len(training))


def authenticity(samples: npt.ArrayLike, training: npt.ArrayLike) -> float:
    """How many samples are no copies.

    A sample counts as a copy where it lies nearer to a training image than any other training image
    does to that one. Of new images from the very same distribution a third to a half do, by chance;
    of copies all do, if they are somewhat noisy too.

    Args:
        samples: Array `(N, ...)`, images or features.
        training: Array `(M, ...)` of the same kind, in the same range, M at least 2.

    Returns:
        Float from 0, all are copies, to 1.

    Raises:
        ValueError: The arrays differ in shape, or hold NaN.

    Reference:
        [Alaa et al., 2022](https://arxiv.org/abs/2102.08921).
    """
    distances, places = nearest_neighbours(samples, training)
    matched, rank = np.unique(places[:, 0], return_inverse=True)
    training = np.asarray(training)
    # The nearest of all is the training image itself.
    others = nearest_neighbours(training[matched], training, count=2)[0][:, 1]
    return float(np.mean(distances[:, 0] > others[rank]))


def support_size(samples: npt.ArrayLike, threshold: float) -> float:
    """How many different images a generator makes, from how often it makes one twice.

    The birthday paradox: of N draws from K equally likely images, about `N (N - 1) / (2 K)` pairs
    are the same. Two samples count as the same where their features are no farther apart than
    `threshold`.

    Args:
        samples: Features, float `(N, D)`.
        threshold: Float, a distance; see `duplicate_distance`.

    Returns:
        Float: N (N - 1) / 2, divided by the number of such pairs; infinity where there is none, so
        that the support is too large for N to tell.

    Raises:
        ValueError: The array is no features, holds fewer than 2 samples, or NaN.

    Reference:
        [Arora and Zhang, 2017](https://arxiv.org/abs/1706.08224).
    """
    samples = _checks.features("samples", samples)
    # A little more than the square, lest the pair be left out whose distance the threshold is.
    bound = threshold**2 * (1 + 1e-12)
    same = sum(int((squares <= bound).sum()) for squares in _pair_blocks(samples))
    pairs = len(samples) * (len(samples) - 1) / 2
    return pairs / same if same else float("inf")


def duplicate_distance(real: npt.ArrayLike, pairs: int = 10) -> float:
    """The distance below which samples count as the same image: so near few real ones are.

    Args:
        real: Features of different images, float `(N, D)`.
        pairs: Integer, how many pairs of them are to lie within the distance.

    Returns:
        Float, the distance of the pair that is `pairs`-th nearest.

    Raises:
        ValueError: The array is no features, holds NaN, or too few samples for so many pairs.
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
    """Squared distances `(N, len(neighbours))` to the k-th nearest other sample, for each k."""
    places = [k - 1 for k in neighbours]
    radii = np.empty((len(features), len(places)))
    for rows, squares in _blocks(features, features):
        squares[np.arange(len(squares)), np.arange(rows.start, rows.stop)] = np.inf
        squares.partition(places, axis=1)
        radii[rows] = squares[:, places]
    return radii


def _blocks(real: Array, fake: Array) -> Iterator[tuple[slice, Array]]:
    """Squared distances of some rows of `real` to all of `fake`, block after block."""
    centre = real.mean(axis=0)  # near the origin, less is lost in the difference of squares
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
    """Squared distances of every pair, once; the places of other pairs hold infinity."""
    for rows, squares in _blocks(features, features):
        places = np.arange(len(features))
        squares[places <= np.arange(rows.start, rows.stop)[:, np.newaxis]] = np.inf
        yield squares


def _flat(images: npt.ArrayLike, dtype: str) -> npt.NDArray[Any]:
    array = np.asarray(images)
    if not np.isfinite(array).all():
        raise ValueError("Expected finite images. Received: NaN or infinity among them.")
    return array.reshape(len(array), math.prod(array.shape[1:])).astype(dtype)

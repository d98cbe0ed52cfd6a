"""Likelihoods of sequences under n-grams: counts of each value after the values before it."""

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from kgan._typing import Pictures
from kgan.metrics import tables

Codes = npt.NDArray[np.int64]

_BITS = 62  # of the integer that holds the values of an n-gram


class _Counts(NamedTuple):
    """The n-grams of one order in the training sequences.

    Attributes:
        ngrams: Sorted codes of the n-grams that occur.
        counts: How often each occurs.
        contexts: Sorted codes of their contexts, the values before the last one.
        totals: How often each context occurs.
        kinds: How many different values follow each context.
    """

    ngrams: Codes
    counts: Codes
    contexts: Codes
    totals: Codes
    kinds: Codes


def ngram_nats(images: Pictures, training: Pictures | None, levels: int, order: int) -> float:
    """Computes the nats of images of one row under an n-gram with Witten-Bell smoothing.

    The probability of a value is interpolated between its share after the last `order - 1` values
    and its probability under the n-gram of the next lower order. A context counts as much as it
    occurs, and the lower order as much as the number of different values that follow the context.
    Below order 1, all levels have the same probability. At the start of a sequence the context is
    shorter.

    Args:
        images: uint8 `(n, 1, length, channels)`, values below `levels`.
        training: Images that the counts are fitted on, of the same shape. None fits them on one
            half of `images` to measure the other, and the other way round.
        levels: Integer, how many values a pixel can have.
        order: Integer of at least 1, the values of an n-gram.

    Returns:
        Float, the mean negative log-likelihood of an image in nats.

    Reference:
        [Witten and Bell, 1991](https://doi.org/10.1109/18.87000), method C;
        [Chen and Goodman, 1998](https://dash.harvard.edu/handle/1/25104739).
    """
    if order * math.log2(levels) > _BITS:
        raise ValueError(
            f"Expected n-grams of at most {_BITS} bits. Received: order={order} of {levels} levels."
        )

    def total(training: Pictures, images: Pictures) -> float:
        known, sequences = (array.reshape(len(array), -1) for array in (training, images))
        probabilities = np.full(sequences.shape, 1.0 / levels)
        for before in range(min(order, sequences.shape[1])):
            counts = _counted(_codes(known, before, levels), levels)
            later = probabilities[:, before:]  # a view: those with so many values before them
            later[...] = _interpolated(counts, _codes(sequences, before, levels), later, levels)
        return -float(np.log(probabilities).sum())

    return tables.mean_nats(images, training, total)


def _codes(sequences: Pictures, before: int, levels: int) -> Codes:
    """Returns a number for each value with those before it, `(n, length - before)`."""
    length = sequences.shape[1] - before
    codes = np.zeros((len(sequences), length), np.int64)
    for first in range(before + 1):
        codes *= levels
        codes += sequences[:, first : first + length]
    return codes


def _counted(codes: Codes, levels: int) -> _Counts:
    ngrams, counts = np.unique(codes, return_counts=True)
    contexts, firsts, kinds = np.unique(ngrams // levels, return_index=True, return_counts=True)
    return _Counts(ngrams, counts, contexts, np.add.reduceat(counts, firsts), kinds)


def _interpolated(
    counts: _Counts, codes: Codes, lower: npt.NDArray[np.float64], levels: int
) -> npt.NDArray[np.float64]:
    """Returns the probabilities of an order, from those of the order below it."""
    count = _found(counts.ngrams, counts.counts, codes)
    total = _found(counts.contexts, counts.totals, codes // levels)
    kinds = _found(counts.contexts, counts.kinds, codes // levels)
    is_known = total > 0
    mixed = (count + kinds * lower) / np.where(is_known, total + kinds, 1)
    return np.where(is_known, mixed, lower)


def _found(keys: Codes, values: Codes, wanted: Codes) -> Codes:
    """Returns the value of each wanted key, or 0 for a key that does not occur."""
    places = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return np.where(keys[places] == wanted, values[places], 0)

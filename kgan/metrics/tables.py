"""Likelihoods of images under tables of counts: models without a network, for comparison.

A table has one row of counts for each context, and one column for each value. The context is
nothing, the position of the pixel, or the values of its causal neighbours: pixels above it, or left
of it in its row. Each channel has its own table.
"""

import math
from collections.abc import Callable, Iterator

import numpy as np
import numpy.typing as npt

from kgan._typing import Pictures

Counts = npt.NDArray[np.int64]
# Takes images and a channel, and returns the context of each pixel, (n, height, width).
Contexts = Callable[[Pictures, int], npt.NDArray[np.int64]]

_CHUNK_VALUES = 2**22
# 18 pixels are at a distance of at most the root of 10.
_BINARY_NEIGHBOURS = 18
_LEVEL_NEIGHBOURS = ((0, -1), (-1, 0), (-1, -1))
_NEIGHBOUR_BITS = 5  # of the 8 bits of each neighbour of an 8-bit pixel
# Added to each count. Half a count suits the few contexts of positions, where nearly all values
# have been seen or never occur; one count suits the many contexts of neighbours.
_POSITION_PSEUDO_COUNT = 0.5
_NEIGHBOUR_PSEUDO_COUNT = 1.0


def histogram_nats(images: Pictures, training: Pictures | None, levels: int) -> float:
    """Computes the nats of images under one histogram for each channel.

    Args:
        images: uint8 `(n, height, width, channels)`, values below `levels`.
        training: Images that the table is fitted on, of the same shape. None fits it on one half
            of `images` to measure the other, and the other way round.
        levels: Integer, how many values a pixel can have.

    Returns:
        Float, the mean negative log-likelihood of an image in nats.
    """

    def nowhere(pictures: Pictures, channel: int) -> Counts:
        del channel
        return np.zeros(pictures.shape[:3], np.int64)

    return _nats(images, training, levels, nowhere, 1, _POSITION_PSEUDO_COUNT)


def position_nats(images: Pictures, training: Pictures | None, levels: int) -> float:
    """Computes the nats of images under one histogram for each pixel, see `histogram_nats`."""
    height, width = images.shape[1:3]

    def position(pictures: Pictures, channel: int) -> Counts:
        del channel
        return np.broadcast_to(np.arange(height * width).reshape(height, width), pictures.shape[:3])

    return _nats(images, training, levels, position, height * width, _POSITION_PSEUDO_COUNT)


def neighbour_nats(images: Pictures, training: Pictures | None, levels: int) -> float:
    """Computes the nats of images under a table of causal neighbours, see `histogram_nats`.

    Binary images have the 18 nearest causal neighbours, others the pixels left, above and above
    left, in at most 32 levels. In every channel but the first, the same pixel of the channel before
    takes the place of the last neighbour.
    """
    all_bits = (levels - 1).bit_length()
    bits = min(all_bits, _NEIGHBOUR_BITS)
    offsets = causal_offsets(_BINARY_NEIGHBOURS) if levels == 2 else list(_LEVEL_NEIGHBOURS)
    shift = all_bits - bits

    def neighbours(pictures: Pictures, channel: int) -> Counts:
        coarse = np.right_shift(pictures, np.uint8(shift))
        parts = [_moved(coarse[..., channel], offset) for offset in offsets]
        if channel:
            parts[-1] = coarse[..., channel - 1]
        contexts = np.zeros(pictures.shape[:3], np.int64)
        for part in parts:
            contexts <<= bits
            contexts |= part
        return contexts

    count = 1 << bits * len(offsets)
    return _nats(images, training, levels, neighbours, count, _NEIGHBOUR_PSEUDO_COUNT)


def causal_offsets(count: int) -> list[tuple[int, int]]:
    """Returns the nearest pixels that come before a pixel in reading order.

    Args:
        count: Integer, how many.

    Returns:
        List of `(rows, columns)` relative to the pixel, nearest first.
    """
    reach = range(-count, count + 1)
    before = [(dy, dx) for dy in range(-count, 1) for dx in reach if dy < 0 or dx < 0]
    before.sort(key=lambda offset: (offset[0] ** 2 + offset[1] ** 2, -offset[0], offset[1]))
    return before[:count]


def drawing_entropy(pictures: Pictures) -> float:
    """Computes the mean entropy of drawing binary images with probabilities level / 255.

    No model of images that are drawn so can have fewer nats, in expectation.

    Args:
        pictures: uint8 `(n, height, width, channels)`.

    Returns:
        Float, nats for an image.
    """
    chance = np.arange(1, 255) / 255.0
    entropies = np.zeros(256)
    entropies[1:255] = -chance * np.log(chance) - (1.0 - chance) * np.log1p(-chance)
    return float(np.bincount(pictures.ravel(), minlength=256) @ entropies / len(pictures))


def mean_nats(
    images: Pictures,
    training: Pictures | None,
    total: Callable[[Pictures, Pictures], float],
) -> float:
    """Computes the mean nats of images under a method that is fitted on training images.

    Args:
        images: uint8 `(n, height, width, channels)`.
        training: As for `histogram_nats`.
        total: Takes training images and images, and returns the sum of the nats of the images.

    Returns:
        Float, nats for an image.
    """
    if training is not None:
        return total(training, images) / len(images)
    first, second = images[: len(images) // 2], images[len(images) // 2 :]
    return (total(first, second) + total(second, first)) / len(images)


def _nats(
    images: Pictures,
    training: Pictures | None,
    levels: int,
    contexts: Contexts,
    num_contexts: int,
    pseudo_count: float,
) -> float:
    def total(training: Pictures, images: Pictures) -> float:
        return math.fsum(
            _channel_nats(images, training, levels, contexts, num_contexts, pseudo_count, channel)
            for channel in range(images.shape[3])
        )

    return mean_nats(images, training, total)


def _channel_nats(
    images: Pictures,
    training: Pictures,
    levels: int,
    contexts: Contexts,
    num_contexts: int,
    pseudo_count: float,
    channel: int,
) -> float:
    """Returns the sum over images of the nats of one channel."""

    def cells(pictures: Pictures) -> Iterator[Counts]:
        step = max(1, _CHUNK_VALUES // math.prod(pictures.shape[1:3]))
        for first in range(0, len(pictures), step):
            part = pictures[first : first + step]
            yield (contexts(part, channel) * levels + part[..., channel]).ravel()

    size = num_contexts * levels
    counts = sum(
        (np.bincount(cell, minlength=size) for cell in cells(training)), np.zeros(size, np.int64)
    )
    totals = counts.reshape(num_contexts, levels).sum(axis=1)
    return math.fsum(
        float(
            np.log(totals[cell // levels] + pseudo_count * levels).sum()
            - np.log(counts[cell] + pseudo_count).sum()
        )
        for cell in cells(images)
    )


def _moved(pictures: Pictures, offset: tuple[int, int]) -> Pictures:
    """Returns for each pixel the one at an offset from it, and 0 where that is outside.

    Args:
        pictures: uint8 `(n, height, width)`.
        offset: Rows, at most 0, and columns.
    """
    dy, dx = offset
    height, width = pictures.shape[1:]
    moved = np.zeros_like(pictures)
    rows, columns = max(height + dy, 0), max(width - abs(dx), 0)  # that have such a pixel
    left = max(dx, 0)
    source = pictures[:, :rows, left : left + columns]
    left = max(-dx, 0)
    moved[:, height - rows :, left : left + columns] = source
    return moved

"""Tables of counts against counting one pixel at a time, and against closed forms."""

import os

import numpy as np
import pytest

import kgan
from kgan.metrics import tables

pytestmark = pytest.mark.backend_free

needs_mnist = pytest.mark.skipif(
    not os.environ.get("KGAN_DATA_DIR"), reason="KGAN_DATA_DIR names no full MNIST"
)


def draw(count, levels, shape=(5, 4), channels=1, seed=0):
    """Images whose neighbours resemble each other."""
    generator = np.random.default_rng(seed)
    coarse = generator.random((count, *shape, channels)) + generator.random((count, 1, 1, 1))
    return np.minimum(coarse / 2 * levels, levels - 1).astype("uint8")


def counted(images, training, levels, context, pseudo):
    """The nats of images under a table, by a dictionary and one pixel at a time."""

    def cells(pictures):
        for picture in pictures:
            for place in np.ndindex(picture.shape):
                yield context(picture, place), int(picture[place])

    counts = {}
    for where, value in cells(training):
        counts.setdefault(where, np.full(levels, pseudo))[value] += 1
    unseen = np.full(levels, pseudo)
    total = 0.0
    for where, value in cells(images):
        row = counts.get(where, unseen)
        total -= np.log(row[value] / row.sum())
    return total / len(images)


def at(picture, place, offset):
    row, column = place[0] + offset[0], place[1] + offset[1]
    inside = 0 <= row < picture.shape[0] and 0 <= column < picture.shape[1]
    return int(picture[row, column, place[2]]) if inside else 0


def test_the_18_nearest_causal_neighbours():
    offsets = tables.causal_offsets(18)
    assert len(set(offsets)) == 18
    assert all(dy < 0 or (dy == 0 and dx < 0) for dy, dx in offsets)
    distances = [dy**2 + dx**2 for dy, dx in offsets]
    assert distances == sorted(distances)
    assert max(distances) == 10
    # All within this distance are there: half of a disk, without its centre.
    disk = [(y, x) for y in range(-3, 4) for x in range(-3, 4) if 0 < y**2 + x**2 <= 10]
    assert len(offsets) == len(disk) / 2


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("levels", [2, 5, 256])
def test_histograms_are_those_of_counting(levels, channels):
    training, images = (
        draw(30, levels, channels=channels),
        draw(9, levels, channels=channels, seed=1),
    )
    expected = counted(images, training, levels, lambda picture, place: place[2], 0.5)
    assert tables.histogram_nats(images, training, levels) == pytest.approx(expected)
    expected = counted(images, training, levels, lambda picture, place: place, 0.5)
    assert tables.position_nats(images, training, levels) == pytest.approx(expected)


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize(
    ("levels", "shape", "coarseness"),
    [
        (2, (5, 4), 1),
        (2, (2, 2), 1),
        (3, (5, 4), 1),
        (16, (5, 4), 1),
        (32, (5, 4), 1),
        (33, (5, 4), 2),
        (200, (5, 4), 8),
        (256, (5, 4), 8),
        (256, (1, 1), 8),
    ],
)
def test_neighbours_are_those_of_counting(levels, shape, coarseness, channels):
    training = draw(40, levels, shape, channels)
    images = draw(9, levels, shape, channels, seed=1)
    offsets = tables.causal_offsets(18) if levels == 2 else [(0, -1), (-1, 0), (-1, -1)]

    def context(picture, place):
        values = [at(picture, place, offset) // coarseness for offset in offsets]
        if place[2]:
            values[-1] = int(picture[place[0], place[1], place[2] - 1]) // coarseness
        return place[2], *values

    expected = counted(images, training, levels, context, 1.0)
    assert tables.neighbour_nats(images, training, levels) == pytest.approx(expected)


def test_without_training_images_each_half_is_measured_by_the_other():
    images = draw(21, 256)
    first, second = images[:10], images[10:]
    for measure in (tables.histogram_nats, tables.position_nats, tables.neighbour_nats):
        expected = (10 * measure(first, second, 256) + 11 * measure(second, first, 256)) / 21
        assert measure(images, None, 256) == pytest.approx(expected)


def test_parts_of_images_count_as_the_whole(monkeypatch):
    training, images = draw(40, 2), draw(15, 2, seed=1)
    whole = tables.neighbour_nats(images, training, 2)
    monkeypatch.setattr(tables, "_CHUNK_VALUES", 70)
    assert tables.neighbour_nats(images, training, 2) == pytest.approx(whole)


def test_uniform_levels_take_eight_bits():
    generator = np.random.default_rng(0)
    training, images = generator.integers(0, 256, (2, 2000, 8, 8, 1), dtype="uint8")
    bits = tables.histogram_nats(images, training, 256) / (64 * np.log(2))
    # A histogram of N values costs about 255 / (2 N ln 2) bits more than the truth.
    assert bits == pytest.approx(8.0 + 255 / (2 * 128_000 * np.log(2)), abs=5e-4)


def test_entropy_of_drawing():
    pictures = np.array([0, 255, 51, 204], "uint8").reshape(2, 1, 2, 1)
    fifth = -0.2 * np.log(0.2) - 0.8 * np.log(0.8)
    assert tables.drawing_entropy(pictures) == pytest.approx(fifth)  # two such, in two images


@needs_mnist
def test_on_mnist():
    train, test = (kgan.data.load_mnist(split).images for split in ("train", "test"))
    generator = np.random.default_rng(0)

    def binarized(pictures):
        return (generator.random(pictures.shape) < pictures / 255).astype("uint8")

    assert tables.drawing_entropy(test) == pytest.approx(45.53, abs=0.01)
    drawn, drawn_test = binarized(train), binarized(test)
    assert tables.position_nats(drawn_test, drawn, 2) == pytest.approx(205.8, abs=0.3)
    assert tables.neighbour_nats(drawn_test, drawn, 2) == pytest.approx(100.6, abs=0.3)
    bits = 1 / (784 * np.log(2))
    assert bits * tables.histogram_nats(test, train, 256) == pytest.approx(1.967, abs=5e-4)
    assert bits * tables.position_nats(test, train, 256) == pytest.approx(1.689, abs=5e-4)
    assert bits * tables.neighbour_nats(test, train, 256) == pytest.approx(1.261, abs=5e-4)

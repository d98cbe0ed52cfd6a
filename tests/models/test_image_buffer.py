"""The buffer of generated images, against the loop of the authors' code."""

import keras
import numpy as np
import pytest

from kgan.models.image_buffer import ImageBuffer

SHAPE = (2, 2, 1)


def images(*values):
    return np.array(values, "float32").reshape(-1, 1, 1, 1) * np.ones((1, *SHAPE), "float32")


def values(batch):
    batch = keras.ops.convert_to_numpy(batch)
    assert (batch == batch[:, :1, :1]).all()
    return batch[:, 0, 0, 0].tolist()


def test_it_fills_in_order_and_gives_back_what_it_gets():
    buffer, noise = ImageBuffer(5, SHAPE), keras.random.SeedGenerator(0)
    for new in ([1, 2], [3, 4], [5]):
        assert values(buffer.exchange(images(*new), noise)) == new
    assert values(buffer.images) == [1, 2, 3, 4, 5]
    assert float(buffer.count) == 5


def test_a_batch_that_only_partly_fits_fills_it():
    buffer, noise = ImageBuffer(3, SHAPE), keras.random.SeedGenerator(0)
    buffer.exchange(images(1, 2), noise)
    assert values(buffer.exchange(images(3, 4), noise)) == [3, 4]
    assert values(buffer.images) == [1, 2, 3]


def test_full_it_exchanges_half_and_loses_and_doubles_nothing():
    buffer, noise = ImageBuffer(8, SHAPE), keras.random.SeedGenerator(0)
    buffer.exchange(images(*range(8)), noise)
    exchanged = 0
    for step in range(1, 60):
        new = list(range(8 * step, 8 * step + 4))
        before = values(buffer.images)
        given = values(buffer.exchange(images(*new), noise))
        after = values(buffer.images)
        # What comes out and what stays are what went in and what was there.
        assert sorted(given + after) == sorted(new + before)
        for image, other in zip(new, given, strict=True):
            assert (image == other) == (image not in after)
        exchanged += sum(image != other for image, other in zip(new, given, strict=True))
    # 236 images, each with probability one half: within four standard deviations.
    assert abs(exchanged - 118) < 4 * np.sqrt(236) / 2


def test_each_place_is_as_likely():
    buffer, noise = ImageBuffer(4, SHAPE), keras.random.SeedGenerator(1)
    buffer.exchange(images(0, 1, 2, 3), noise)
    counts = np.zeros(4)
    for step in range(400):
        before = values(buffer.images)
        buffer.exchange(images(step + 10), noise)
        counts += np.array(before) != values(buffer.images)
    assert 150 < counts.sum() < 250
    assert (np.abs(counts - counts.mean()) < 4 * np.sqrt(counts.mean())).all()


def test_a_batch_larger_than_the_buffer():
    buffer, noise = ImageBuffer(2, SHAPE), keras.random.SeedGenerator(0)
    assert values(buffer.exchange(images(1, 2, 3), noise)) == [1, 2, 3]
    given = values(buffer.exchange(images(4, 5, 6), noise))
    assert given[2] == 6
    assert sorted(given[:2] + values(buffer.images)) == [1, 2, 4, 5]


def test_wrong_sizes_are_refused():
    with pytest.raises(ValueError, match="capacity=0"):
        ImageBuffer(0, SHAPE)
    with pytest.raises(ValueError, match=r"known size.*buffer_size=0"):
        ImageBuffer(2, (None, None, 3))

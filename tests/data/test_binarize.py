"""ImageDataset(binarize=...): every pixel against a NumPy reference, on every instruction set."""

import itertools
import pickle

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kgan import _core
from kgan.data import ImageDataset, StackedImageDataset, load_dataset, load_digits
from kgan.data.image_dataset import STATIC_BINARIZATION_SEED

pytestmark = pytest.mark.backend_free

COUNT = 24
IMAGES = np.random.default_rng(0).integers(0, 256, (COUNT, 7, 11, 3), np.uint8)
IMAGES[:, 0, 0, 0], IMAGES[:, 0, 0, 1] = 0, 255
GREY = np.ascontiguousarray(IMAGES[..., 2])
WAYS = ["dynamic", "static", "threshold"]
RANDOM_WAYS = ["dynamic", "static"]
STEP = np.uint64(0x9E3779B97F4A7C15)

# The reference: csrc/binarize.h in NumPy, a pixel at a time.


def mix(z):
    with np.errstate(over="ignore"):
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return z ^ (z >> np.uint64(31))


def drawn_numbers(key, row, size):
    """The numbers from 0 to 254 of the pixels of an image: a pixel is on if its is below its level.

    A pixel's number is the first of its bytes that is not 255.
    """
    with np.errstate(over="ignore"):
        row_key = mix(np.uint64(key) + np.uint64(row + 1) * STEP)
        pixels = np.arange(size, dtype=np.uint64)
        numbers = np.full(size, 255, np.uint64)
        trial = 0
        while (numbers == 255).any():
            counter = pixels // np.uint64(8) + np.uint64((trial << 40) + 1)
            words = mix(row_key + counter * STEP)
            drawn = (words >> (np.uint64(8) * (pixels % np.uint64(8)))) & np.uint64(255)
            numbers = np.where(numbers == 255, drawn, numbers)
            trial += 1
    return numbers


def drawn(images, rows, key):
    """Whether the pixels of images[rows] are on."""
    size = images[0].size
    numbers = np.stack([drawn_numbers(key, int(row), size) for row in rows])
    return (numbers < images[rows].reshape(len(rows), size)).reshape(images[rows].shape)


def key_of(seed, *pass_number):
    sequence = np.random.SeedSequence(seed, spawn_key=(2**31, *pass_number))
    return int(sequence.generate_state(1, np.uint64)[0])


def expected(way, images, rows, seed, *pass_number):
    if way == "threshold":
        return images[rows] > 127
    key = key_of(2011) if way == "static" else key_of(seed, *pass_number)
    return drawn(images, rows, key)


def make(images=IMAGES, **options):
    options = {"batch_size": 8, "seed": 3} | options
    return ImageDataset(images, **options)


def rows_of(dataset, epoch=0):
    """The rows of `images` in an epoch, in order."""
    images, options = dataset.images, {"batch_size": 8, "seed": dataset.seed, "value_range": (0, 1)}
    numbered = ImageDataset(images, np.arange(len(images)), **options)
    return np.concatenate([numbered.batch(epoch, index)[1] for index in range(len(numbered))])


def epoch_of(dataset, epoch=0):
    return np.concatenate([dataset.batch(epoch, index) for index in range(len(dataset))])


def by_row(dataset, epoch=0):
    """An epoch's images, in the order of `images`."""
    images = epoch_of(dataset, epoch)
    return images[np.argsort(rows_of(dataset, epoch))]


def test_the_seed_of_static_draws_is_stated():
    assert STATIC_BINARIZATION_SEED == 2011


@settings(deadline=None)
@given(data=st.data())
def test_gather_equals_the_reference(data):
    channels, stack = data.draw(st.sampled_from([(1, 0), (3, 0), (4, 0), (1, 2), (1, 3), (1, 5)]))
    count, height, width = (data.draw(st.integers(1, most)) for most in (5, 6, 90))
    pixel_seed = data.draw(st.integers(0, 2**32 - 1))
    # At any alignment.
    skipped = data.draw(st.integers(0, 63))
    shape = (count, height, width, channels)
    pixels = np.random.default_rng(pixel_seed).integers(0, 256, skipped + np.prod(shape), np.uint8)
    images = pixels[skipped:].reshape(shape)
    key = data.draw(st.integers(0, 2**64 - 1))
    how = data.draw(st.sampled_from(["drawn", "threshold"]))
    size = data.draw(st.integers(0, 4))
    rows = data.draw(st.lists(st.integers(0, count - 1), min_size=size, max_size=size))
    rows = np.array(rows, np.int64)
    options = {
        "binarize": how,
        "key": key,
        "threads": data.draw(st.integers(0, 3)),
        "instruction_set": data.draw(st.sampled_from(_core.instruction_sets())),
    }
    levels = _core.Levels(0, 1)

    binary = images > 127
    if how == "drawn":
        binary = drawn(images, np.arange(count), key)
    if stack == 0:
        batch = _core.gather(images, rows, levels, **options)
        np.testing.assert_array_equal(batch, binary[rows])
    else:
        stacks = (rows[:, None] + np.arange(stack)) % count
        batch = _core.gather_stacked(images, stacks, levels, **options)
        channel = [binary[stacks[:, c], ..., 0] for c in range(stack)]
        np.testing.assert_array_equal(batch, np.stack(channel, axis=-1))


@pytest.mark.parametrize("instruction_set", _core.instruction_sets())
def test_pixels_whose_first_bytes_are_255_are_drawn_from_later_ones(instruction_set):
    # One pixel in 65,536 needs a third byte: enough pixels for many of them.
    images = np.full((1, 1000, 1000, 1), 254, np.uint8)
    options = {"binarize": "drawn", "key": 5, "instruction_set": instruction_set}
    batch = _core.gather(images, np.zeros(1, np.int64), _core.Levels(0, 1), **options)
    np.testing.assert_array_equal(batch.ravel(), drawn_numbers(5, 0, images.size) < 254)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("value_range", [(-1, 1), (0, 1), (0.1, 0.9)])
@pytest.mark.parametrize(
    "dtype", [("float32", np.float32), ("float16", np.float16), ("bfloat16", ml_dtypes.bfloat16)]
)
def test_pixels_are_the_ends_of_the_value_range(dtype, value_range, way):
    name, numpy_dtype = dtype
    dataset = make(binarize=way, dtype=name, value_range=value_range)
    assert dataset.binarize == way
    batch = dataset[1]
    on = expected(way, IMAGES, rows_of(dataset)[8:16], 3, 0)
    low, high = (numpy_dtype(value) for value in value_range)
    assert batch.dtype == numpy_dtype
    np.testing.assert_array_equal(batch, np.where(on, high, low))


@pytest.mark.parametrize("way", WAYS)
def test_integers_are_0_and_1(way):
    dataset = make(binarize=way, dtype="uint8", pad_to=(8, 12))
    assert dataset.levels == 2
    assert dataset.value_range == (0, 1)
    batch = dataset[1]
    on = expected(way, IMAGES, rows_of(make())[8:16], 3, 0)
    assert batch.dtype == np.uint8
    np.testing.assert_array_equal(batch, np.pad(on, [(0, 0), (0, 1), (0, 1), (0, 0)]))
    floats = make(binarize=way, pad_to=(8, 12))
    np.testing.assert_array_equal(batch * 2.0 - 1, floats[1])
    np.testing.assert_array_equal(dataset.as_floats()[1], floats[1])
    np.testing.assert_array_equal(dataset.draw(9, 4)[0] * 2.0 - 1, floats.draw(9, 4)[0])
    grey = dataset.unbinarized()
    assert (grey.levels, grey.dtype) == (256, "uint8")
    np.testing.assert_array_equal(grey[1], make(dtype="uint8", pad_to=(8, 12))[1])


@pytest.mark.parametrize("levels", [2, 16, 256])
def test_binary_images_have_no_other_levels(levels):
    with pytest.raises(ValueError, match=f"not both.*levels={levels} and binarize='dynamic'"):
        make(binarize="dynamic", levels=levels)


def test_without_binarize_pixels_keep_their_levels():
    assert make().binarize is None
    assert len(np.unique(make()[0])) > 200


def test_the_threshold_lies_above_127():
    levels = np.arange(256, dtype=np.uint8).reshape(1, 16, 16)
    batch = make(levels, batch_size=1, binarize="threshold", value_range=(0, 1))[0]
    np.testing.assert_array_equal(batch.ravel(), np.arange(256) > 127)


@pytest.mark.parametrize("way", RANDOM_WAYS)
def test_a_level_is_on_as_often_as_its_share_of_255(way):
    count = 4096
    images = np.broadcast_to(np.arange(256, dtype=np.uint8), (count, 16, 16 * 16))
    images = np.ascontiguousarray(images)
    dataset = make(images, batch_size=count, binarize=way, value_range=(0, 1))
    on = dataset[0].reshape(count * 16, 256).sum(axis=0, dtype=np.float64)
    trials, share = count * 16, np.arange(256) / 255
    assert on[0] == 0
    assert on[255] == trials
    # The statistic is chi-squared with 254 degrees: mean 254, standard deviation 22.5.
    inner = slice(1, 255)
    variance = trials * share[inner] * (1 - share[inner])
    statistic = ((on[inner] - trials * share[inner]) ** 2 / variance).sum()
    assert 254 - 5 * 22.5 < statistic < 254 + 5 * 22.5


def test_draws_of_neighbours_passes_and_images_are_uncorrelated():
    images = np.full((512, 32, 32), 128, np.uint8)
    dataset = make(images, batch_size=512, binarize="dynamic")
    draws = by_row(dataset, 0).reshape(512, 1024)
    others = {
        "the next pixel": (draws[:, 1:], draws[:, :-1]),
        "the same byte of the next word": (draws[:, 8:], draws[:, :-8]),
        "the next image": (draws[1:], draws[:-1]),
        "the next pass": (draws, by_row(dataset, 1).reshape(512, 1024)),
        "another seed": (
            draws,
            by_row(make(images, batch_size=512, binarize="dynamic", seed=4)).reshape(512, 1024),
        ),
    }
    for name, (one, other) in others.items():
        # Of n products of independent signs, the mean has a standard deviation of 1 / sqrt(n).
        assert abs((one * other).mean()) < 5 / np.sqrt(one.size), name


def test_dynamic_draws_depend_on_seed_pass_row_and_pixel_alone():
    reference = np.stack([by_row(make(binarize="dynamic"), epoch) for epoch in range(3)])
    for epoch, images in enumerate(reference):
        on = expected("dynamic", IMAGES, np.arange(COUNT), 3, epoch)
        np.testing.assert_array_equal(images, np.where(on, 1, -1))
    dataset = make(binarize="dynamic")
    for epoch in (2, 0, 1):  # in any order
        np.testing.assert_array_equal(by_row(dataset, epoch), reference[epoch])
    # Whatever the size of a batch, its parts, and the length of an epoch.
    smaller = make(binarize="dynamic", batch_size=6)
    np.testing.assert_array_equal(epoch_of(smaller, 1), epoch_of(dataset, 1))
    parts = [dataset.batch(1, 2, part=(i, 4)) for i in range(4)]
    np.testing.assert_array_equal(np.concatenate(parts), dataset.batch(1, 2))
    short = make(binarize="dynamic", steps_per_epoch=1)
    np.testing.assert_array_equal(short.batch(4, 0), dataset.batch(1, 1))


def test_dynamic_draws_differ_between_passes_and_seeds():
    draws = [by_row(make(binarize="dynamic"), epoch) for epoch in range(2)]
    draws.append(by_row(make(binarize="dynamic", seed=4)))
    for one, other in itertools.combinations(draws, 2):
        # Of uniform levels, a third of the pixels differ.
        assert 0.25 < (one != other).mean() < 0.42


def test_dynamic_draws_without_shuffle():
    dataset = make(binarize="dynamic", shuffle=False)
    for epoch in range(2):
        on = expected("dynamic", IMAGES, np.arange(COUNT), 3, epoch)
        np.testing.assert_array_equal(epoch_of(dataset, epoch), np.where(on, 1, -1))


def test_static_draws_are_those_of_everybody():
    on = expected("static", IMAGES, np.arange(COUNT), None)
    for options in ({}, {"seed": 4}, {"batch_size": 6}, {"seed": 2**70}):
        dataset = make(binarize="static", **options)
        for epoch in (0, 3):
            rows = rows_of(dataset, epoch)
            np.testing.assert_array_equal(epoch_of(dataset, epoch), np.where(on[rows], 1, -1))


@pytest.mark.parametrize("way", WAYS)
def test_a_draw_is_binarised_by_its_own_seed(way):
    numbered = ImageDataset(IMAGES, np.arange(COUNT), batch_size=8)
    rows = numbered.draw(20, seed=9)[1]
    on = expected(way, IMAGES, rows, 9)
    for options in ({}, {"seed": 4, "batch_size": 6, "shuffle": False}):
        dataset = make(binarize=way, **options)
        dataset.epoch = 2
        np.testing.assert_array_equal(dataset.draw(20, seed=9)[0], np.where(on, 1, -1))
        np.testing.assert_array_equal(dataset.draw(5, seed=9)[0], np.where(on[:5], 1, -1))


@pytest.mark.parametrize("way", WAYS)
def test_padding_stays_at_the_low_end(way):
    batch = make(binarize=way, pad_to=(10, 14), value_range=(0.5, 2))[0]
    plain = make(binarize=way, value_range=(0.5, 2))[0]
    padding = [(0, 0), (1, 2), (1, 2), (0, 0)]
    np.testing.assert_array_equal(batch, np.pad(plain, padding, constant_values=0.5))


@pytest.mark.parametrize("stack", [1, 2, 3, 4])
@pytest.mark.parametrize("way", WAYS)
def test_stacks_are_of_binarised_images(way, stack):
    options = {"stack": stack, "batch_size": 8, "seed": 3}
    dataset = StackedImageDataset(GREY, binarize=way, pad_to=(8, 12), **options)
    numbers = np.broadcast_to(np.arange(COUNT, dtype=np.uint8)[:, None, None], (COUNT, 1, 1))
    numbered = StackedImageDataset(numbers, value_range=(0, 255), **options)
    for epoch, index in itertools.product((0, 2), range(3)):
        rows = numbered.batch(epoch, index)[:, 0, 0].astype(int)
        batch = dataset.batch(epoch, index)
        assert batch.shape == (8, 8, 12, stack)
        for channel in range(stack):
            on = expected(way, GREY, rows[:, channel], 3, epoch)
            expected_channel = np.pad(np.where(on, 1, -1), [(0, 0), (0, 1), (0, 1)])
            expected_channel[:, -1], expected_channel[:, :, -1] = -1, -1
            np.testing.assert_array_equal(batch[..., channel], expected_channel)


@pytest.mark.parametrize("way", WAYS)
def test_pickles(way):
    dataset = make(binarize=way)
    copy = pickle.loads(pickle.dumps(dataset))
    assert copy.binarize == way
    np.testing.assert_array_equal(epoch_of(copy, 1), epoch_of(dataset, 1))


@pytest.mark.parametrize("way", WAYS)
def test_stacks_of_binary_integers(way):
    options = {"stack": 3, "batch_size": 8, "seed": 3, "binarize": way, "pad_to": (8, 12)}
    integers = StackedImageDataset(GREY, dtype="uint8", **options)
    floats = StackedImageDataset(GREY, **options)
    assert integers[0].dtype == np.uint8
    np.testing.assert_array_equal(integers[0] * 2.0 - 1, floats[0])


def test_dynamic_batches_need_a_seed_to_be_reproducible():
    assert make(binarize="dynamic", seed=3, shuffle=False).is_reproducible
    assert not make(binarize="dynamic", seed=None, shuffle=False).is_reproducible
    assert make(binarize="static", seed=None, shuffle=False).is_reproducible
    assert not make(binarize="static", seed=None).is_reproducible


@pytest.mark.parametrize("way", ["dynamc", "Static", True, 127, ["static"]])
def test_unknown_ways_are_named(way):
    with pytest.raises(ValueError, match=r"'static', 'threshold'\. Received: binarize="):
        make(binarize=way)


def test_near_names_are_suggested():
    with pytest.raises(ValueError, match="Did you mean 'dynamic'"):
        make(binarize="dynamc")


def test_loaders_pass_it_on():
    for dataset in (
        load_digits("test", binarize="static", batch_size=8),
        load_dataset("digits", "test", binarize="static", batch_size=8),
    ):
        assert dataset.binarize == "static"
        assert np.isin(dataset[0][0], [-1, 1]).all()


@pytest.mark.parametrize("binarize", ["dynamic", "", "none"])
def test_the_extension_names_its_ways(binarize):
    with pytest.raises(ValueError, match=r'binarize must be one of "threshold" "drawn"\.'):
        _core.gather(IMAGES, np.zeros(1, np.int64), _core.Levels(0, 1), binarize=binarize)


@pytest.mark.parametrize("key", [-1, 2**64, 1.0, None])
def test_keys_have_64_bits(key):
    with pytest.raises(TypeError):
        _core.gather(IMAGES, np.zeros(1, np.int64), _core.Levels(0, 1), binarize="drawn", key=key)

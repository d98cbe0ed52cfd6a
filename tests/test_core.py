"""The native extension, called directly: every instruction set against NumPy, bit for bit."""

import contextlib
import importlib.metadata
import itertools
import math
import threading

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kgan import _core

pytestmark = pytest.mark.backend_free

FLOATS = {"float32": np.float32, "float16": np.float16, "bfloat16": ml_dtypes.bfloat16}
DTYPES = FLOATS | {"uint8": np.uint8}
COUNTS = [256, 2, 3, 8, 16, 100, 255]
# Vector arithmetic computes the first four, with 256 levels. A table holds the others.
VALUE_RANGES = [(-1, 1), (0, 1), (0, 255), (-2.5, 2.5), (0.1, 0.9), (-1e3, 1e-3), (-0.0, 1.0)]
ALL_LEVELS = np.arange(256, dtype=np.uint8).reshape(1, 16, 16, 1)


def expected_levels(low, high, dtype, count=256):
    level = np.floor(np.arange(256) * count / 256)
    if dtype == "uint8":
        return level.astype(np.uint8)
    last = count - 1
    values = (low * (last - level) + high * level) / last + 0.0
    values[level == 0], values[level == last] = low + 0.0, high
    if dtype != "bfloat16":
        return values.astype(DTYPES[dtype])
    # Straight to float32 and on it would be rounded twice. Cut off towards zero instead, the last
    # bit saying that something was: then the second rounding decides as the only one.
    single = values.astype(np.float32)
    single = np.where(np.abs(single) > np.abs(values), np.nextafter(single, np.float32(0)), single)
    inexact = (single != values).astype(np.uint32)
    return (single.view(np.uint32) | inexact).view(np.float32).astype(ml_dtypes.bfloat16)


def make_levels(low, high, dtype, count=256):
    if dtype == "uint8":
        return _core.Levels.integers(count)
    return _core.Levels(low, high, dtype, count)


def bits(array):
    return array.view({4: np.uint32, 2: np.uint16, 1: np.uint8}[array.itemsize])


def gathered(images, indices, levels, dtype="float32", **options):
    batch = _core.gather(images, np.asarray(indices, np.int64), levels, **options)
    return batch.view(ml_dtypes.bfloat16) if dtype == "bfloat16" else batch


def stacked(images, indices, levels, dtype="float32", **options):
    batch = _core.gather_stacked(images, np.asarray(indices, np.int64), levels, **options)
    return batch.view(ml_dtypes.bfloat16) if dtype == "bfloat16" else batch


def test_version_is_the_distributions():
    assert _core.__version__ == importlib.metadata.version("kgan")


def test_portable_code_is_always_there():
    assert _core.instruction_sets()[0] == "portable"


@pytest.mark.parametrize("instruction_set", _core.instruction_sets())
@pytest.mark.parametrize("value_range", VALUE_RANGES)
@pytest.mark.parametrize("dtype", FLOATS)
def test_all_levels_are_rounded_once(dtype, value_range, instruction_set):
    low, high = value_range
    levels = _core.Levels(low, high, dtype)
    values = gathered(ALL_LEVELS, [0], levels, dtype, instruction_set=instruction_set).ravel()
    np.testing.assert_array_equal(bits(values), bits(expected_levels(low, high, dtype)))
    assert values[0] == DTYPES[dtype](low)
    assert values[255] == DTYPES[dtype](high)


@pytest.mark.parametrize("instruction_set", _core.instruction_sets())
@pytest.mark.parametrize("dtype", DTYPES)
def test_all_numbers_of_levels(dtype, instruction_set):
    options = {"dtype": dtype, "instruction_set": instruction_set}
    for count in range(_core.MIN_LEVELS, _core.MAX_LEVELS + 1):
        for low, high in [(-1, 1), (0, 1), (0.1, 0.9)]:
            levels = make_levels(low, high, dtype, count)
            values = gathered(ALL_LEVELS, [0], levels, **options).ravel()
            expected = expected_levels(low, high, dtype, count)
            assert values.dtype == expected.dtype
            np.testing.assert_array_equal(bits(values), bits(expected))
            ends = (0, count - 1) if dtype == "uint8" else (low, high)
            assert (values[0], values[255]) == tuple(DTYPES[dtype](end) for end in ends)


@pytest.mark.parametrize("count", [0, 1, 257, 2**32 - 1])
def test_numbers_of_levels_that_there_are_not(count):
    match = rf"levels to be from 2 to 256\. Received: levels={count}\.$"
    with pytest.raises(ValueError, match=match):
        _core.Levels(-1, 1, "float32", count)
    with pytest.raises(ValueError, match=match):
        _core.Levels.integers(count)


@pytest.mark.parametrize("count", [-1, 2**32, 16.0, "16", None])
def test_numbers_of_levels_are_integers(count):
    with pytest.raises(TypeError):
        _core.Levels(-1, 1, "float32", count)
    with pytest.raises(TypeError):
        _core.Levels.integers(count)


@pytest.mark.parametrize(
    "value_range",
    [(1, -1), (0, 0), (np.nan, 1), (0, np.nan), (-np.inf, 1), (0, np.inf), (0, 1e39)],
)
def test_value_range_must_be_finite_and_ascending(value_range):
    with pytest.raises(ValueError, match=r"value_range to be two finite numbers.*Received"):
        _core.Levels(*value_range, "float32")


def test_value_range_must_fit_the_dtype():
    _core.Levels(0, 65504, "float16")
    with pytest.raises(ValueError, match="in the range of the dtype"):
        _core.Levels(0, 65520, "float16")


def test_float16_subnormals():
    levels = _core.Levels(0, 2.0**-16, "float16")
    values = gathered(ALL_LEVELS, [0], levels).ravel()
    np.testing.assert_array_equal(bits(values), bits(expected_levels(0, 2.0**-16, "float16")))


def test_unknown_names_are_refused():
    with pytest.raises(ValueError, match=r"dtype must be one of.*Received: dtype=\"float64\""):
        _core.Levels(0, 1, "float64")
    with pytest.raises(ValueError, match=r"dtype must be one of.*Received: dtype=\"uint8\""):
        _core.Levels(0, 1, "uint8")  # it has no range: Levels.integers
    with pytest.raises(ValueError, match=r"instruction_set must be one of.*Received"):
        gathered(ALL_LEVELS, [0], _core.Levels(0, 1), instruction_set="mmx")


@st.composite
def drawn_options(draw, height, width):
    """Options of both ways of gathering, and what `np.pad` calls the padding."""
    extra_height, extra_width = draw(st.integers(0, 5)), draw(st.integers(0, 5))
    if not draw(st.booleans()):
        extra_height = extra_width = 0
    top, left = extra_height // 2, extra_width // 2
    padding = [(0, 0), (top, extra_height - top), (left, extra_width - left), (0, 0)]
    pad_to = (height + extra_height, width + extra_width)
    options = {
        "instruction_set": draw(st.sampled_from(["auto", *_core.instruction_sets()])),
        "threads": draw(st.integers(0, 4)),
        "pad_to": pad_to if extra_height or extra_width else draw(st.sampled_from([None, pad_to])),
    }
    return options, padding


@st.composite
def drawn_images(draw, shape):
    """Random pixels that end where the memory ends, and begin at any alignment."""
    seed, skipped = draw(st.integers(0, 2**32 - 1)), draw(st.integers(0, 63))
    pixels = np.random.default_rng(seed).integers(0, 256, skipped + np.prod(shape), np.uint8)
    return pixels[skipped:].reshape(shape)


@settings(deadline=None)
@given(data=st.data())
def test_gather_equals_numpy(data):
    count, height, width, channels = (data.draw(st.integers(1, most)) for most in (6, 9, 40, 4))
    options, padding = data.draw(drawn_options(height, width))
    dtype = data.draw(st.sampled_from(list(DTYPES)))
    low, high = data.draw(st.sampled_from(VALUE_RANGES))
    count_of_levels = data.draw(st.sampled_from(COUNTS))
    indices = data.draw(st.lists(st.integers(0, count - 1), max_size=12))
    images = data.draw(drawn_images((count, height, width, channels)))

    levels = make_levels(low, high, dtype, count_of_levels)
    batch = gathered(images, indices, levels, dtype, **options)

    picked = np.pad(images[np.array(indices, np.int64)], padding)
    expected = expected_levels(low, high, dtype, count_of_levels)[picked]
    assert batch.shape == expected.shape
    np.testing.assert_array_equal(bits(batch), bits(expected))


@settings(deadline=None)
@given(data=st.data())
def test_gather_stacked_equals_numpy(data):
    count, height, width = (data.draw(st.integers(1, most)) for most in (6, 9, 200))
    batch_size, stack = data.draw(st.integers(0, 8)), data.draw(st.integers(1, 5))
    options, padding = data.draw(drawn_options(height, width))
    dtype = data.draw(st.sampled_from(list(DTYPES)))
    low, high = data.draw(st.sampled_from(VALUE_RANGES))
    count_of_levels = data.draw(st.sampled_from(COUNTS))
    index = st.integers(0, count - 1)
    size = batch_size * stack
    indices = data.draw(st.lists(index, min_size=size, max_size=size))
    indices = np.array(indices, np.int64).reshape(batch_size, stack)
    images = data.draw(drawn_images((count, height, width, 1)))

    levels = make_levels(low, high, dtype, count_of_levels)
    batch = stacked(images, indices, levels, dtype, **options)

    channels = [images[indices[:, c], ..., 0] for c in range(stack)]
    picked = np.pad(np.stack(channels, axis=-1), padding)
    expected = expected_levels(low, high, dtype, count_of_levels)[picked]
    assert batch.shape == expected.shape
    np.testing.assert_array_equal(bits(batch), bits(expected))


@pytest.mark.parametrize("instruction_set", _core.instruction_sets())
@pytest.mark.parametrize("stack", [1, 2, 3, 4])
def test_a_stack_is_its_channels_gathered_one_by_one(stack, instruction_set):
    images = np.random.default_rng(0).integers(0, 256, (20, 28, 28, 1), np.uint8)
    indices = np.random.default_rng(1).integers(0, 20, (64, stack))
    levels = _core.Levels(-1, 1)
    batch = stacked(images, indices, levels, pad_to=(32, 33), instruction_set=instruction_set)
    assert batch.shape == (64, 32, 33, stack)
    for c in range(stack):
        alone = gathered(images, indices[:, c].copy(), levels, pad_to=(32, 33))
        np.testing.assert_array_equal(bits(batch[..., c].copy()), bits(alone[..., 0].copy()))


@pytest.mark.parametrize("index", [-1, 1, 2**62, -(2**63)])
def test_every_index_is_checked(index):
    with pytest.raises(ValueError, match=rf"below the number of images, 1.*indices\[1\]={index}$"):
        gathered(ALL_LEVELS, [0, index], _core.Levels(0, 1))


@pytest.mark.parametrize("index", [-1, 1, 2**62, -(2**63)])
@pytest.mark.parametrize("place", [(0, 0), (0, 2), (1, 1)])
def test_every_index_of_a_stack_is_checked(place, index):
    indices = np.zeros((2, 3), np.int64)
    indices[place] = index
    row, column = place
    with pytest.raises(ValueError, match=rf"number of images, 1.*\[{row}, {column}\]={index}$"):
        stacked(ALL_LEVELS, indices, _core.Levels(0, 1))


def test_what_can_be_stacked():
    levels = _core.Levels(0, 255)
    most = np.zeros((1, _core.MAX_STACK), np.int64)
    batch = stacked(ALL_LEVELS, most, levels)
    expected = np.broadcast_to(ALL_LEVELS, (1, 16, 16, _core.MAX_STACK))
    np.testing.assert_array_equal(batch, expected.astype(np.float32))
    with pytest.raises(
        ValueError, match=rf"1 to {_core.MAX_STACK} images.*Received: stack=0, channels=1$"
    ):
        stacked(ALL_LEVELS, most[:, :0], levels)
    with pytest.raises(ValueError, match=rf"Received: stack={_core.MAX_STACK + 1}, channels=1$"):
        stacked(ALL_LEVELS, np.zeros((1, _core.MAX_STACK + 1), np.int64), levels)
    with pytest.raises(ValueError, match=r"one channel each.*Received: stack=3, channels=4$"):
        stacked(ALL_LEVELS.reshape(1, 8, 8, 4), most[:, :3].copy(), levels)
    with pytest.raises(ValueError, match=r"indices rank 2\. Received: ranks 4 and 1"):
        stacked(ALL_LEVELS, most[0], levels)
    with pytest.raises(TypeError):
        stacked(ALL_LEVELS, np.zeros((1, 6), np.int64)[:, ::2], levels)


@pytest.mark.parametrize("pad_to", [(15, 16), (16, 15), (-1, 16)])
def test_padding_must_not_crop(pad_to):
    with pytest.raises(ValueError, match="pad_to must be at least"):
        gathered(ALL_LEVELS, [0], _core.Levels(0, 1), pad_to=pad_to)


def test_no_silent_copies_or_casts():
    levels = _core.Levels(0, 1)
    indices = np.zeros(1, np.int64)
    with pytest.raises(TypeError):
        _core.gather(ALL_LEVELS.astype(np.float32), indices, levels)
    with pytest.raises(TypeError):
        _core.gather(ALL_LEVELS[:, ::2], indices, levels)
    with pytest.raises(TypeError):
        _core.gather(ALL_LEVELS, indices.astype(np.int32), levels)
    with pytest.raises(ValueError, match="rank 4"):
        _core.gather(ALL_LEVELS[0], indices, levels)
    with pytest.raises(ValueError, match="rank 1"):
        _core.gather(ALL_LEVELS, indices[None], levels)


def test_indices_may_lie_at_any_address():
    images = np.arange(3, dtype=np.uint8).reshape(3, 1, 1, 1)
    indices = np.frombuffer(b"\0" + np.array([2, 0, 1]).tobytes(), np.int64, offset=1)
    assert not indices.flags.aligned
    assert _core.gather(images, indices, _core.Levels(0, 255)).ravel().tolist() == [2, 0, 1]


def test_indices_that_change_meanwhile_are_those_that_were_checked():
    images = np.full((1, 28, 28, 1), 7, np.uint8)
    indices = np.zeros(1000, np.int64)
    done = threading.Event()

    def change():
        while not done.is_set():
            indices[:] = 2**40
            indices[:] = 0

    thread = threading.Thread(target=change)
    thread.start()
    made = 0
    try:
        while made < 20:
            with contextlib.suppress(ValueError):
                batch = _core.gather(images, indices, _core.Levels(0, 255))
                assert (batch == 7).all()
                made += 1
    finally:
        done.set()
        thread.join()


@pytest.mark.parametrize("pad_to", [(2**62, 16), (16, 2**62), (2**31, 2**31), (2**63 - 1,) * 2])
@pytest.mark.parametrize("batch_size", [0, 1])
def test_batches_larger_than_any_array_are_refused(batch_size, pad_to):
    indices = np.zeros(batch_size, np.int64)
    with pytest.raises(ValueError, match=rf"at most {2**63 - 1} bytes\. Received: {batch_size} "):
        _core.gather(ALL_LEVELS, indices, _core.Levels(0, 1), pad_to=pad_to)


@pytest.mark.parametrize(
    ("crop", "match"),
    [
        ((0, 5), r"at least 1 x 1 pixels\. Received: 0 x 5$"),
        ((5, -1), r"at least 1 x 1 pixels\. Received: 5 x -1$"),
        ((19, 5), r"at most the padded images, 18 x 17\. Received: 19 x 5$"),
        ((5, 18), r"at most the padded images, 18 x 17\. Received: 5 x 18$"),
    ],
)
def test_windows_are_within_the_padded_images(crop, match):
    with pytest.raises(ValueError, match=match):
        gathered(ALL_LEVELS, [0], _core.Levels(0, 1), pad_to=(18, 17), crop=crop)


def test_windows_of_many_channels_are_refused():
    images = np.zeros((1, 1, 1, _core.MAX_WINDOW_CHANNELS + 1), np.uint8)
    for options in ({"crop": (1, 1)}, {"random_flip": True}):
        with pytest.raises(ValueError, match=r"at most 4096 channels\. Received: 4097$"):
            gathered(images, [0], _core.Levels(0, 1), **options)


def test_a_window_may_be_of_padding_that_no_batch_has():
    options = {"pad_to": (2**62, 2**62), "crop": (20, 20), "random_crop": True}
    assert not gathered(ALL_LEVELS, [0], _core.Levels(0, 1), **options).any()


LEVELS = _core.Levels(-1, 1)
WRONG_ARRAYS = [None, 7, [0, 1], b"01234567", np.zeros((), np.uint8), np.zeros((), np.int64)]
WRONG_OPTIONS = {
    "levels": [None, (-1, 1), "float32"],
    # Sizes that no array can have, and sizes for which there is no memory.
    "pad_to": [
        (3, 0), (0, 3), (-1, 9), (-(2**63), 9), (2**50, 9), (9, 2**50), (2**62, 9), (9, 2**62),
        (2**31, 2**31), (2**63 - 1, 2**63 - 1), (2**63, 9), (9.0, 9), (9,), (9, 9, 9), 9, "99",
    ],
    "binarize": ["dynamic", "", "drawn\0", 1, b"dynamic"],
    "key": [-1, 2**64, 1.5, None, "1"],
    "crop": [
        (0, 1), (1, 0), (-1, 1), (-(2**63), 1), (9, 1), (1, 9), (2**62, 1), (2**63 - 1,) * 2,
        (2**63, 1), (1.0, 1), (1,), (1, 1, 1), 1, "11",
    ],
    "random_crop": [None, 1, "yes", [True]],
    "random_flip": [None, 0, "", np.zeros(2)],
    "window_key": [-1, 2**64, 1.5, None, "1"],
    "instruction_set": ["mmx", "", "auto\0", None, 0],
    "threads": [-1, 2**32, 2**64, 1.5, None, "1"],
}  # fmt: skip


@st.composite
def wrong_array(draw, array):
    """Like `array`, but in some way not as it must be; at times only in a way that is allowed."""
    how = draw(st.sampled_from(["other", "dtype", "layout", "rank", "aligned", "empty"]))
    if how == "other":
        return draw(st.sampled_from(WRONG_ARRAYS))
    if how == "dtype":
        dtypes = ["u1", "i1", "?", "<i4", "<i8", ">i8", "<u8", "<f4", "<f8", "O", "M8[s]"]
        return array.astype("<i8").astype(draw(st.sampled_from(dtypes)))
    if how == "layout":
        axis = draw(st.integers(0, array.ndim - 1))
        step = draw(st.sampled_from([-1, 2, -2]))
        return draw(
            st.sampled_from(
                [np.flip(array, axis), array.T, array[::step], array[..., ::step],
                 np.broadcast_to(array[:1], array.shape)]
            )
        )  # fmt: skip
    if how == "rank":
        return draw(st.sampled_from([array[0], array[None], array.ravel()]))
    if how == "aligned":
        return np.frombuffer(b"\0" + array.tobytes(), array.dtype, offset=1).reshape(array.shape)
    axis = draw(st.integers(0, array.ndim - 1))
    return np.take(array, [], axis)


@st.composite
def wrong_indices(draw, indices, count):
    if draw(st.booleans()):
        return draw(wrong_array(indices))
    indices = indices.copy()
    place = draw(st.integers(0, indices.size - 1))
    indices.flat[place] = draw(
        st.sampled_from([-1, count, count + 1, 2**31, 2**62, 2**63 - 1, -(2**63), -count])
    )
    return indices


def is_exactly(array, dtype):
    return isinstance(array, np.ndarray) and array.dtype == dtype and array.flags.c_contiguous


def is_pair_of_sizes(value):
    return (
        isinstance(value, tuple)
        and len(value) == 2
        and all(isinstance(each, int) and -(2**63) <= each < 2**63 for each in value)
    )


def expected_refusal(
    stack,
    images,
    indices,
    levels,
    pad_to,
    binarize,
    key,
    crop,
    random_crop,
    random_flip,
    window_key,
    instruction_set,
    threads,
):
    """The exception that a gather of these must raise, if any."""
    if not (
        is_exactly(images, np.uint8)
        and is_exactly(indices, np.int64)
        and isinstance(levels, _core.Levels)
        and (pad_to is None or is_pair_of_sizes(pad_to))
        and (binarize is None or isinstance(binarize, (str, bytes)))
        and isinstance(key, int)
        and 0 <= key < 2**64
        and (crop is None or is_pair_of_sizes(crop))
        and isinstance(random_crop, bool)
        and isinstance(random_flip, bool)
        and isinstance(window_key, int)
        and 0 <= window_key < 2**64
        and isinstance(instruction_set, str)
        and isinstance(threads, int)
        and 0 <= threads < 2**32
    ):
        return TypeError
    if images.ndim != 4 or indices.ndim != (2 if stack else 1):
        return ValueError
    count, height, width, channels = images.shape
    padded_height, padded_width = pad_to or (height, width)
    if stack:
        channels = indices.shape[1]
    window = crop or (padded_height, padded_width)
    shape = (len(indices), *window, channels)
    if (
        (crop and not (1 <= crop[0] <= padded_height and 1 <= crop[1] <= padded_width))
        or (random_flip and 0 in window)
        or padded_height < height
        or padded_width < width
        or 4 * math.prod(max(1, size) for size in shape) >= 2**63
        or binarize not in (None, "threshold", "drawn")
        or instruction_set not in ("auto", *_core.instruction_sets())
    ):
        return ValueError
    if math.prod(shape) > 2**48:
        return MemoryError
    stacked_wrongly = stack and not (images.shape[3] == 1 and 1 <= channels <= _core.MAX_STACK)
    wrong_index = any(not 0 <= index < count for index in indices.flat)
    return ValueError if stacked_wrongly or wrong_index else None


def expected_pixels(stack, images, indices, pad_to, crop):
    picked = images[indices]
    if stack:
        picked = np.moveaxis(picked[..., 0], 1, -1)
    padded = pad_to or picked.shape[1:3]
    window = crop or padded
    # The row and column of an image that each of the window shows. The padding itself may be larger
    # than any memory.
    shown = [
        np.arange(size) + (whole - size) // 2 - (whole - inner) // 2
        for size, whole, inner in zip(window, padded, picked.shape[1:3], strict=True)
    ]
    inside = [
        np.flatnonzero((each >= 0) & (each < inner))
        for each, inner in zip(shown, picked.shape[1:3], strict=True)
    ]
    pixels = np.zeros((len(picked), *window, picked.shape[3]), np.uint8)
    every = np.arange(len(picked))
    pixels[np.ix_(every, *inside)] = picked[
        np.ix_(every, *(each[there] for each, there in zip(shown, inside, strict=True)))
    ]
    return pixels


@settings(deadline=None, max_examples=300)
@given(data=st.data())
def test_any_arguments_are_gathered_or_refused(data):
    stack = data.draw(st.sampled_from([0, 0, 1, 3]))
    count, height, width = (data.draw(st.integers(1, 4)) for _ in range(3))
    channels = 1 if stack else data.draw(st.integers(1, 3))
    images = data.draw(drawn_images((count, height, width, channels)))
    index = st.integers(0, count - 1)
    size = 4 * max(1, stack)
    indices = np.array(data.draw(st.lists(index, min_size=size, max_size=size)), np.int64)
    if stack:
        indices = indices.reshape(-1, stack)
    options = {
        "levels": LEVELS,
        "pad_to": data.draw(st.sampled_from([None, (height + 1, width + 2)])),
        "binarize": data.draw(st.sampled_from([None, "threshold"])),
        "key": data.draw(st.sampled_from([0, 2**64 - 1])),
        "crop": data.draw(st.sampled_from([None, (1, 1), (height, width)])),
        "random_crop": False,  # tests/data/test_windows.py knows what is drawn
        "random_flip": False,
        "window_key": data.draw(st.sampled_from([0, 2**64 - 1])),
        "instruction_set": data.draw(st.sampled_from(["auto", *_core.instruction_sets()])),
        "threads": data.draw(st.sampled_from([0, 1, 3, 2**32 - 1])),
    }
    wrong = data.draw(st.sets(st.sampled_from(["images", "indices", *WRONG_OPTIONS]), max_size=2))
    if "images" in wrong:
        images = data.draw(wrong_array(images))
    if "indices" in wrong:
        indices = data.draw(wrong_indices(indices, count))
    for name, values in WRONG_OPTIONS.items():
        if name in wrong:
            options[name] = data.draw(st.sampled_from(values))
    gather = _core.gather_stacked if stack else _core.gather

    refusal = expected_refusal(stack, images, indices, **options)

    if refusal is None:
        expected = expected_pixels(stack, images, indices, options["pad_to"], options["crop"])
        if options["binarize"] == "threshold":
            expected = np.where(expected > 127, 255, 0)
        batch = gather(images, indices, **options)
        assert batch.shape == expected.shape
        np.testing.assert_array_equal(batch, expected_levels(-1, 1, "float32")[expected])
    else:
        with pytest.raises((TypeError, ValueError, MemoryError)) as raised:
            gather(images, indices, **options)
        assert issubclass(raised.type, refusal)  # NumPy's MemoryError is a class of its own
        assert str(raised.value)


def test_read_only_images_are_fine():
    images = ALL_LEVELS.copy()
    images.flags.writeable = False
    batch = gathered(images, [0], _core.Levels(0, 255))
    np.testing.assert_array_equal(batch, ALL_LEVELS.astype(np.float32))


def test_large_batches_are_shared_between_threads():
    # Over a million values: the automatic choice takes more than one thread where there are cores.
    images = np.random.default_rng(0).integers(0, 256, (64, 64, 64, 3), np.uint8)
    indices = np.random.default_rng(1).integers(0, 64, 256)
    for dtype, count in itertools.product(("float32", "uint8"), (256, 16)):
        levels = make_levels(-1, 1, dtype, count)
        expected = expected_levels(-1, 1, dtype, count)[images[indices]]
        for threads in (0, 1, 3, 300):
            batch = gathered(images, indices, levels, threads=threads)
            np.testing.assert_array_equal(bits(batch), bits(expected))


def test_large_stacked_batches_are_shared_between_threads():
    images = np.random.default_rng(0).integers(0, 256, (64, 64, 64, 1), np.uint8)
    indices = np.random.default_rng(1).integers(0, 64, (256, 3))
    levels = _core.Levels(-1, 1)
    picked = np.stack([images[indices[:, c], ..., 0] for c in range(3)], axis=-1)
    expected = expected_levels(-1, 1, "float32")[picked]
    for threads in (0, 1, 3, 300):
        batch = stacked(images, indices, levels, threads=threads)
        np.testing.assert_array_equal(bits(batch), bits(expected))


def test_gathers_run_side_by_side():
    images = np.random.default_rng(0).integers(0, 256, (100, 28, 28, 1), np.uint8)
    levels = _core.Levels(-1, 1)
    expected = expected_levels(-1, 1, "float32")
    wrong = []

    def work(seed):
        rng = np.random.default_rng(seed)
        for _ in range(50):
            indices = rng.integers(0, 100, 32)
            batch = gathered(images, indices, levels)
            if not np.array_equal(batch, expected[images[indices]]):
                wrong.append(seed)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


@settings(deadline=None)
@given(st.binary(max_size=1100))
def test_any_bytes_are_a_header_or_a_value_error(content):
    try:
        header = _core.parse_idx_header(content)
    except ValueError:
        return
    assert content[:2] == b"\0\0"
    assert len(header.shape) == content[3]
    assert header.offset == 4 + 4 * content[3] <= len(content)


@settings(deadline=None)
@given(st.sampled_from([8, 9, 11, 12, 13, 14]), st.lists(st.integers(0, 2**32 - 1), max_size=6))
def test_headers_say_what_was_written(code, shape):
    content = bytes([0, 0, code, len(shape)]) + np.array(shape, ">u4").tobytes()
    item_size = {8: 1, 9: 1, 11: 2, 12: 4, 13: 4, 14: 8}[code]
    largest = item_size
    for dimension in shape:
        largest *= max(1, dimension)
    if largest >= 2**63:
        with pytest.raises(ValueError, match="dimensions overflow"):
            _core.parse_idx_header(content)
        return
    header = _core.parse_idx_header(content)
    assert header.shape == tuple(shape)
    assert header.payload_size == (0 if 0 in shape else largest)
    assert np.dtype(header.typestr).itemsize == item_size


@pytest.mark.parametrize("source", [np.zeros(8, np.uint16), memoryview(b"01234567")[::2]])
def test_headers_are_read_from_contiguous_bytes_only(source):
    with pytest.raises(ValueError, match="contiguous bytes"):
        _core.parse_idx_header(source)

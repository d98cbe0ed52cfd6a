"""ImageDataset: what is in a batch, and that it depends on seed, epoch and index alone."""

import itertools
import pickle
import re
import threading

import keras
import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import kgan
from kgan.data import DataWarning, ImageDataset, StackedImageDataset
from kgan.metrics.datasets import all_pictures, as_dataset

COUNT = 50
# Pixel (0, 0) is the image's number, so that a batch says which images it holds.
IMAGES = np.random.default_rng(0).integers(0, 256, (COUNT, 4, 5, 3), np.uint8)
IMAGES[:, 0, 0, 0] = np.arange(COUNT)
LABELS = np.arange(COUNT) % 7


def make(images=IMAGES, labels=None, **options):
    options = {"batch_size": 8, "seed": 3, "value_range": (0, 255)} | options
    return ImageDataset(images, labels, **options)


def numbers(batch):
    images = batch[0] if isinstance(batch, tuple) else batch
    return np.asarray(images)[:, 0, 0, 0].astype(int).tolist()


def epoch_numbers(dataset):
    return [numbers(batch) for batch in dataset]


def test_batches_hold_the_images_and_their_labels():
    dataset = make(labels=LABELS)
    for images, labels in dataset:
        assert images.dtype == np.float32
        assert images.shape == (8, 4, 5, 3)
        assert labels.dtype == np.int32
        picked = numbers(images)
        np.testing.assert_array_equal(images, IMAGES[picked])
        np.testing.assert_array_equal(labels, LABELS[picked])


def test_without_labels_a_batch_is_an_array():
    batch = make()[0]
    assert isinstance(batch, np.ndarray)
    assert make().labels is None
    assert make().num_classes is None


def test_images_without_channels_get_one():
    dataset = make(IMAGES[..., 0])
    assert dataset[0].shape == (8, 4, 5, 1)
    assert dataset.image_shape == (4, 5, 1)
    assert dataset.images.shape == (COUNT, 4, 5, 1)


def test_images_are_copied_only_to_make_them_contiguous():
    assert np.shares_memory(make(IMAGES).images, IMAGES)
    grey = IMAGES[..., 0].copy()
    assert np.shares_memory(make(grey).images, grey)
    turned = np.asfortranarray(IMAGES)
    dataset = make(turned, shuffle=False)
    np.testing.assert_array_equal(dataset[0], IMAGES[:8])
    assert not np.shares_memory(dataset.images, turned)


@pytest.mark.parametrize("value_range", [(-1, 1), (0, 1), (0.1, 0.9)])
@pytest.mark.parametrize(
    "dtype", [("float32", np.float32), ("float16", np.float16), ("bfloat16", ml_dtypes.bfloat16)]
)
def test_dtypes_and_value_ranges(dtype, value_range):
    name, numpy_dtype = dtype
    low, high = value_range
    levels = np.arange(256, dtype=np.uint8).reshape(1, 16, 16)
    dataset = ImageDataset(levels, batch_size=1, value_range=value_range, dtype=name)
    values = dataset[0].ravel()
    assert values.dtype == numpy_dtype
    assert dataset.dtype == name
    assert dataset.value_range == value_range
    k = np.arange(256, dtype=np.float64)
    # Half a unit in the last place, relative: rounded to nearest.
    step = {"float32": 2.0**-24, "float16": 2.0**-11, "bfloat16": 2.0**-8}[name]
    exact = (low * (255 - k) + high * k) / 255
    assert (
        np.abs(values.astype(np.float64) - exact) <= step * np.maximum(np.abs(exact), 1e-4)
    ).all()
    assert values[0] == numpy_dtype(low)
    assert values[-1] == numpy_dtype(high)


def test_dtype_may_be_numpys():
    assert make(dtype=np.float16).dtype == "float16"
    assert make(dtype=np.uint8, value_range=(-1, 1)).dtype == "uint8"


def integers(images=IMAGES, labels=None, **options):
    return ImageDataset(
        images, labels, **({"batch_size": 8, "seed": 3, "dtype": "uint8"} | options)
    )


@pytest.mark.parametrize("levels", [None, 2, 3, 7, 16, 255, 256])
def test_integer_batches_hold_levels(levels):
    count = levels or 256
    dataset = integers(labels=LABELS, levels=levels, pad_to=(6, 7))
    expected = np.pad(np.floor(IMAGES * (count / 256)), [(0, 0), (1, 1), (1, 1), (0, 0)])
    assert (dataset.dtype, dataset.levels, dataset.value_range) == ("uint8", count, (0, count - 1))
    plain = make(labels=LABELS)
    found, known = [*dataset, dataset.draw(9, seed=4)], [*plain, plain.draw(9, seed=4)]
    for (images, labels), plain in zip(found, known, strict=True):
        assert images.dtype == np.uint8
        np.testing.assert_array_equal(images, expected[numbers(plain)])
        np.testing.assert_array_equal(labels, plain[1])


@pytest.mark.parametrize("value_range", [(-1, 1), (0, 1), (0.1, 0.9)])
@pytest.mark.parametrize("levels", [2, 3, 8, 16, 200])
def test_floats_are_quantised(levels, value_range):
    low, high = value_range
    dataset = ImageDataset(IMAGES, batch_size=8, seed=3, levels=levels, value_range=value_range)
    assert (dataset.dtype, dataset.levels, dataset.value_range) == ("float32", levels, value_range)
    level = integers(levels=levels)[0].astype(np.float64)
    last = levels - 1
    exact = (low * (last - level) + high * level) / last
    np.testing.assert_allclose(dataset[0], exact, rtol=2.0**-24, atol=1e-7)
    assert (dataset[0][level == 0] == np.float32(low)).all()
    assert (dataset[0][level == last] == np.float32(high)).all()
    np.testing.assert_array_equal(np.unique(dataset[0]), np.unique(exact.astype(np.float32)))


def test_256_levels_are_all_of_them():
    for dtype in ("uint8", "float32", "float16"):
        whole, plain = (
            ImageDataset(IMAGES, batch_size=8, seed=3, dtype=dtype, levels=levels)
            for levels in (256, None)
        )
        assert whole.levels == plain.levels == 256
        np.testing.assert_array_equal(whole[0], plain[0])
        assert repr(whole) == repr(plain)


@pytest.mark.parametrize("levels", [None, 16])
@pytest.mark.parametrize("kind", [ImageDataset, StackedImageDataset])
def test_as_floats_is_the_same_data_set(kind, levels):
    options = {"batch_size": 8, "seed": 3, "levels": levels, "horizontal_flip": True}
    options |= {"pad_to": (8, 8), "crop": (4, 4)}
    whole = kind(IMAGES[..., 1], LABELS, dtype="uint8", **options)
    floats, expected = whole.as_floats(), kind(IMAGES[..., 1], LABELS, **options)
    assert type(floats) is kind
    assert (floats.dtype, floats.value_range) == ("float32", (-1, 1))
    assert (floats.levels, floats.seed) == (levels or 256, 3)
    for found, wanted in ((floats[2], expected[2]), (floats.draw(9, 4), expected.draw(9, 4))):
        for part, wanted_part in zip(found, wanted, strict=True):
            np.testing.assert_array_equal(part, wanted_part)
    assert floats.as_floats() is floats
    assert whole.dtype == "uint8"
    assert whole[0][0].dtype == np.uint8


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_metrics_see_quantised_images(dtype):
    options = {"batch_size": 8, "seed": 3, "levels": 16}
    dataset = as_dataset(ImageDataset(IMAGES, dtype=dtype, **options))
    assert (dataset.dtype, dataset.value_range) == ("float32", (-1, 1))
    found = {picture.tobytes() for picture in all_pictures(dataset, seed=0)}
    assert found == {picture.tobytes() for picture in IMAGES // 16 * np.uint8(17)}


def test_metrics_see_the_images_of_integers():
    dataset = as_dataset(integers(pad_to=(6, 7)))
    expected = np.pad(IMAGES, [(0, 0), (1, 1), (1, 1), (0, 0)])
    np.testing.assert_array_equal(all_pictures(dataset, seed=0), expected)


def test_stacks_of_integers():
    grey = IMAGES[..., 1]
    stacked = StackedImageDataset(grey, dtype="uint8", levels=16, batch_size=8, seed=3)
    plain = StackedImageDataset(grey, value_range=(0, 255), batch_size=8, seed=3)
    assert stacked[0].dtype == np.uint8
    np.testing.assert_array_equal(stacked[0], plain[0] // 16)


def test_a_data_set_names_its_levels():
    assert ", batch_size=8, dtype='uint8', levels=16>" in repr(integers(levels=16))
    assert ", batch_size=8, dtype='uint8'>" in repr(integers())
    assert ", batch_size=8>" in repr(make())
    assert ", batch_size=8, levels=3, crop=(2, 2)>" in repr(make(levels=3, crop=(2, 2)))


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_quantised_data_pickle(dtype):
    dataset = ImageDataset(IMAGES, batch_size=8, seed=3, dtype=dtype, levels=7)
    copy = pickle.loads(pickle.dumps(dataset))
    assert copy.levels == 7
    np.testing.assert_array_equal(copy[1], dataset[1])


def test_loaders_pass_on_levels(tmp_path):
    options = {"levels": 16, "dtype": "uint8", "batch_size": 8}
    kgan.images.save_png(tmp_path / "one.png", IMAGES[0])
    for dataset in (
        kgan.data.load_digits("test", **options),
        kgan.data.load_dataset("digits", "test", **options),
        kgan.data.load_image_folder(tmp_path, **(options | {"batch_size": 1})),
    ):
        assert (dataset.dtype, dataset.levels) == ("uint8", 16)
        batch = dataset[0]
        assert (batch[0] if isinstance(batch, tuple) else batch).max() <= 15


def test_padding_centres_the_images_among_the_low_end():
    dataset = make(pad_to=(7, 9), value_range=(-1, 1), shuffle=False)
    assert dataset.image_shape == (7, 9, 3)
    batch = dataset[1]
    expected = np.pad(IMAGES[8:16], [(0, 0), (1, 2), (2, 2), (0, 0)]) / 255 * 2 - 1
    np.testing.assert_allclose(batch, expected, atol=1e-6)
    assert (batch[:, 0] == -1).all()


@given(
    count=st.integers(1, 40),
    batch_size=st.integers(1, 12),
    drop_remainder=st.booleans(),
    shuffle=st.booleans(),
    seed=st.integers(0, 2**70),
)
@settings(deadline=None)
def test_an_epoch_holds_each_image_once(count, batch_size, drop_remainder, shuffle, seed):
    drop_remainder = drop_remainder and count >= batch_size
    dataset = make(
        IMAGES[:count],
        batch_size=batch_size,
        drop_remainder=drop_remainder,
        shuffle=shuffle,
        seed=seed,
    )
    batches = epoch_numbers(dataset)
    assert len(batches) == len(dataset) == dataset.num_batches
    seen = list(itertools.chain.from_iterable(batches))
    assert len(set(seen)) == len(seen)
    if drop_remainder:
        assert {len(batch) for batch in batches} == {batch_size}
        assert len(seen) == count // batch_size * batch_size
    else:
        assert sorted(seen) == list(range(count))
        assert all(len(batch) == batch_size for batch in batches[:-1])
    if not shuffle:
        assert seen == sorted(seen)


def test_each_epoch_has_an_order_of_its_own():
    dataset = make()
    epochs = [epoch_numbers(dataset) for _ in range(3)]
    assert dataset.epoch == 3
    assert epochs[0] != epochs[1] != epochs[2] != epochs[0]
    dataset.epoch = 1
    assert epoch_numbers(dataset) == epochs[1]


def test_without_shuffle_all_epochs_are_in_order():
    dataset = make(shuffle=False, drop_remainder=False)
    for _ in range(2):
        assert list(itertools.chain(*epoch_numbers(dataset))) == list(range(COUNT))


def test_the_seed_decides():
    first, again, other = make(seed=3), make(seed=3), make(seed=4)
    assert epoch_numbers(first) == epoch_numbers(again)
    assert epoch_numbers(make(seed=3)) != epoch_numbers(other)
    drawn = make(seed=None)
    assert drawn.seed != make(seed=None).seed
    assert epoch_numbers(drawn) == epoch_numbers(make(seed=drawn.seed))


def test_getitem_is_pure():
    dataset = make(labels=LABELS)
    expected = {index: numbers(dataset[index]) for index in range(len(dataset))}
    for index in (5, 0, 5, 3):
        assert numbers(dataset[index]) == expected[index]
    assert dataset.epoch == 0


def test_leaving_a_loop_early_stays_in_the_epoch():
    dataset = make()
    first = next(iter(dataset))
    assert dataset.epoch == 0
    np.testing.assert_array_equal(next(iter(dataset)), first)


def test_steps_per_epoch_goes_on_through_the_passes():
    whole = make()
    passes = [*epoch_numbers(whole), *epoch_numbers(whole), *epoch_numbers(whole)]
    for steps in (1, 4, 6, 7, 13):
        dataset = make(steps_per_epoch=steps)
        assert len(dataset) == steps
        batches = [batch for _ in range(12 // steps + 1) for batch in epoch_numbers(dataset)]
        assert batches == passes[: len(batches)]


def test_a_draw_holds_images_and_their_labels():
    dataset = make(labels=LABELS, value_range=(-1, 1), dtype="float16", pad_to=(6, 5))
    images, labels = dataset.draw(20, seed=1)
    assert images.dtype == np.float16
    assert images.shape == (20, 6, 5, 3)
    assert labels.dtype == np.int32
    whole = ImageDataset(IMAGES, batch_size=COUNT, shuffle=False, dtype="float16", pad_to=(6, 5))[0]
    picked = numbers(make().draw(20, seed=1)[0])
    np.testing.assert_array_equal(images, whole[picked])
    np.testing.assert_array_equal(labels, LABELS[picked])
    assert make().draw(1, seed=0)[1] is None


@pytest.mark.parametrize("count", [1, 20, COUNT])
def test_a_draw_holds_no_image_twice(count):
    assert len(set(numbers(make().draw(count, seed=4)[0]))) == count


def test_a_draw_depends_on_its_seed_alone():
    dataset = make()
    drawn = numbers(dataset.draw(20, seed=4)[0])
    dataset.epoch = 7
    for other in (dataset, make(seed=9, batch_size=3), make(shuffle=False)):
        assert numbers(other.draw(20, seed=4)[0]) == drawn
    assert numbers(dataset.draw(10, seed=4)[0]) == drawn[:10]
    assert numbers(dataset.draw(COUNT, seed=4)[0])[:20] == drawn
    assert numbers(dataset.draw(20, seed=5)[0]) != drawn
    assert dataset.epoch == 7
    # Nor is it what training with the same seed sees.
    assert list(itertools.chain(*epoch_numbers(make(seed=4))))[:20] != drawn


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ((51, 0), "at most 50, the number of images.*Received: count=51"),
        ((0, 0), "`count` to be an integer of at least 1. Received: count=0"),
        ((5, -1), "`seed` to be an integer of at least 0. Received: seed=-1"),
        ((5, None), "`seed` to be an integer"),
    ],
)
def test_wrong_draws_are_named(arguments, match):
    with pytest.raises(ValueError, match=match):
        make().draw(*arguments)


@pytest.mark.parametrize("count", [1, 2, 4, 8])
def test_the_parts_of_a_batch_are_its_rows_in_order(count):
    whole = make(labels=LABELS)
    alike = [make(labels=LABELS) for _ in range(count)]  # as processes have them
    for epoch, index in itertools.product((0, 3), range(6)):
        parts = [data.batch(epoch, index, part=(i, count)) for i, data in enumerate(alike)]
        assert [len(images) for images, _ in parts] == [8 // count] * count
        images, labels = (np.concatenate(of_all) for of_all in zip(*parts, strict=True))
        np.testing.assert_array_equal(images, whole.batch(epoch, index)[0])
        np.testing.assert_array_equal(labels, whole.batch(epoch, index)[1])


def test_of_a_part_no_other_images_are_made(monkeypatch):
    picked = []
    monkeypatch.setattr(ImageDataset, "_gather", lambda self, rows, *how: picked.extend(rows))
    make(shuffle=False).batch(0, 2, part=(1, 4))
    assert picked == [18, 19]


@pytest.mark.parametrize("part", [(2, 2), (-1, 2), (0, 0), 1, (0,), (0, 1, 2), (0.0, 2.0)])
def test_parts_that_there_are_not(part):
    with pytest.raises(ValueError, match=r"`part` to be two integers \(i, n\).*Received: part="):
        make().batch(0, 0, part=part)


def test_parts_are_equal():
    dataset = make(drop_remainder=False)  # the last batch holds 2 images
    assert len(dataset.batch(0, 6, part=(1, 2))) == 1
    with pytest.raises(ValueError, match=r"part=\(0, 4\) of a batch of 2\. .*multiple of 4"):
        dataset.batch(0, 6, part=(0, 4))


def test_a_dataset_can_be_made_again_where_its_seed_was_given_or_is_not_asked():
    assert make(seed=3).is_reproducible
    assert not make(seed=None).is_reproducible
    assert make(seed=None, shuffle=False).is_reproducible
    assert not pickle.loads(pickle.dumps(make(seed=None))).is_reproducible


@pytest.mark.parametrize("index", [-1, 6, 10**30])
def test_index_outside_the_epoch(index):
    with pytest.raises(IndexError, match=f"below 6, .*Received: index={index}"):
        make()[index]
    with pytest.raises(IndexError, match=f"below 6, .*Received: index={index}"):
        make().batch(1, index)


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"images": ["a.png"]}, "Received: a list of dtype <U5. Pass the pixels, not files"),
        ({"images": np.array([IMAGES], object)}, "uint8 array.*a ndarray of dtype object"),
        ({"images": [IMAGES[0], IMAGES[0, 1:]]}, "the same shape.*a list of arrays.*Resize or pad"),
        ({"images": IMAGES[0, 0]}, r"shape \(N, H, W\).*Received: shape \(5, 3\)"),
        ({"images": IMAGES[:0]}, "at least one pixel"),
        ({"labels": LABELS[:-1]}, "49 labels for 50 images"),
        ({"labels": LABELS - 1}, "labels from -1 to 5"),
        ({"labels": LABELS + 2**40}, "fit in int32"),
        ({"labels": LABELS, "num_classes": 6}, "num_classes=6 and the label 6"),
        ({"labels": LABELS, "num_classes": 0}, "`num_classes` to be an integer of at least 1"),
        ({"num_classes": 7}, "num_classes=7 and no labels"),
        ({"batch_size": 0}, "`batch_size` to be an integer of at least 1. Received: batch_size=0"),
        ({"batch_size": 2.0}, "`batch_size` to be an integer"),
        ({"batch_size": 51}, "50 images and batch_size=51.*drop_remainder=False"),
        ({"seed": -1}, "`seed` to be an integer of at least 0"),
        ({"seed": "a"}, "`seed` to be an integer"),
        ({"value_range": (1, -1)}, r"value_range.*Received: \(1, -1\)\."),
        ({"value_range": (0, np.nan)}, "value_range.*Received"),
        ({"value_range": (-np.inf, 0)}, "value_range.*Received"),
        ({"value_range": 3}, "pair of floats.*Received: value_range=3"),
        ({"value_range": (0, 1, 2)}, "pair of floats"),
        ({"dtype": "float64"}, "`dtype` to be one of.*Received: dtype='float64'"),
        ({"dtype": "nonsense"}, "`dtype` to be one of.*Received: dtype='nonsense'"),
        ({"dtype": "uint8", "value_range": (0, 1)}, r"no `value_range`.*Received: .*\(0, 1\)"),
        ({"levels": 1}, "`levels` to be an integer of at least 2. Received: levels=1"),
        ({"levels": 257}, "`levels` to be at most 256.*Received: levels=257"),
        ({"levels": 16.0}, "`levels` to be an integer of at least 2. Received: levels=16.0"),
        ({"levels": "16"}, "`levels` to be an integer"),
        ({"pad_to": (3, 5)}, r"at least those of the images, \(4, 5\).*Received: pad_to=\(3, 5\)"),
        ({"pad_to": 32}, "two integers"),
        ({"steps_per_epoch": 0}, "`steps_per_epoch` to be an integer of at least 1"),
    ],
)
def test_wrong_arguments_are_named(options, match):
    with pytest.raises(ValueError, match=match):
        make(**options)


COLUMNS = LABELS[:, None]


@pytest.mark.parametrize(
    ("images", "advice"),
    [
        (IMAGES > 127, "np.round(images * 255.0)"),
        (np.float32(IMAGES) / 255, "np.round(images * 255.0)"),
        (IMAGES / 127.5 - 1, "np.round((images + 1) * 127.5)"),
        (IMAGES // 16 * 1.0, "np.round(images * (255 / 15))"),
        (IMAGES.astype(float), "np.round(images)"),
        (IMAGES.astype("int64"), "images"),
        (IMAGES.astype("uint16"), "images"),
        (IMAGES.astype("uint16") * 257, "np.round(images / 257)"),
        (IMAGES.astype("int32") * 257, "np.round(images / 257)"),
        ((IMAGES - 33.0) / 78, "np.round((images + 0.423077) * (255 / 3.26923))"),
        (IMAGES * 1000.0 + 7, "np.round((images - 7) * (255 / 255000))"),
        (IMAGES.astype("int16") - 128, "np.round((images + 128) * (255 / 255))"),
    ],
)
def test_other_dtypes_are_told_how_to_convert_by_the_range_seen(images, advice):
    low, high = float(images.min()), float(images.max())
    message = f"dtype {images.dtype} with values from {low:g} to {high:g}. Convert them: {advice}"
    with pytest.raises(ValueError, match=re.escape(f"{message}.astype('uint8').")):
        make(images)
    converted = eval(advice, {"np": np, "images": images}).astype("uint8")
    assert converted.min() <= 1
    assert converted.max() == 255
    expected = (images - low) * (255 / (high - low))
    np.testing.assert_allclose(converted, expected, rtol=0, atol=1)


def test_values_that_are_not_finite_are_named():
    images = IMAGES / 255
    images[3, 1, 2, 0] = np.nan
    with pytest.raises(ValueError, match=r"from nan to nan. Remove the values.*not finite"):
        make(images)


@pytest.mark.parametrize("dtype", ["uint8", "int64", ">i4"])
def test_labels_may_be_a_column(dtype):
    dataset = make(labels=COLUMNS.astype(dtype))
    np.testing.assert_array_equal(dataset.labels, LABELS)
    assert dataset.labels.dtype == np.int32
    assert dataset.num_classes == 7


@pytest.mark.parametrize(
    ("labels", "advice"),
    [
        (np.eye(7, dtype=int)[LABELS], r"int64 of shape \(50, 7\)\. .* labels.argmax\(axis=-1\)\."),
        (np.eye(7, dtype="float32")[LABELS], r"one-hot labels: labels.argmax\(axis=-1\)\."),
        (np.eye(7, dtype=int)[LABELS] + 1, r"int64 of shape \(50, 7\)\.$"),
        (np.stack([LABELS, LABELS], axis=1), r"int64 of shape \(50, 2\)\.$"),
        (COLUMNS[:, None], r"int64 of shape \(50, 1, 1\)\.$"),
        (LABELS.astype(float), r"float64 of shape \(50,\)\. Convert them: labels.astype"),
        (COLUMNS.astype(float), r"float64 of shape \(50,\)\. Convert them: labels.astype"),
        (LABELS / 2, r"float64 of shape \(50,\)\.$"),
        (LABELS > 3, r"bool of shape \(50,\)\. Convert them: labels.astype"),
        (np.array(list("abcdefg"))[LABELS], r"<U1 of shape \(50,\)\. Number.*np\.unique\(labels"),
    ],
)
def test_labels_that_are_no_classes(labels, advice):
    with pytest.raises(ValueError, match=advice):
        make(labels=labels)


# Warnings.


def warned(*arguments, **options):
    with pytest.warns(DataWarning) as warnings:
        dataset = ImageDataset(*arguments, batch_size=8, seed=3, **options)
    (warning,) = warnings
    assert warning.filename == __file__  # the line that made the dataset
    return dataset, str(warning.message)


@pytest.mark.parametrize(
    ("highest", "advice"),
    [(1, "images * 255"), (15, "images * 17"), (3, "images * 85"),
     (16, "np.round(images * (255 / 16)).astype('uint8')")],
)  # fmt: skip
def test_images_of_another_scale_warn(highest, advice):
    images = (IMAGES % (highest + 1)).astype("uint8")
    message = warned(images)[1]
    assert f"values from 0 to {highest}, which become nearly black" in message
    assert message.endswith(f" Pass {advice}.")
    better = eval(advice, {"np": np, "images": images})
    assert better.max() == 255
    make(better, value_range=(-1, 1))
    # As probabilities, too.
    assert "nearly black" in warned(images, value_range=(0, 255), binarize="dynamic")[1]


def test_low_levels_that_do_not_warn():
    make(IMAGES % 2, value_range=(0, 255))  # pixels stay as they are
    make(IMAGES * 0, value_range=(-1, 1))
    make(IMAGES % 18, value_range=(-1, 1))
    late = np.zeros((2000, 2, 2), np.uint8)
    late[1999, 1, 1] = 200
    make(late, value_range=(-1, 1))


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (LABELS + 1, "from 1 to 7, without images of class 0. Pass labels - 1, or num_classes=8"),
        (LABELS + 3, "from 3 to 9, without images of class 0 and 2 others. Pass labels - 3,"),
        (LABELS * 2, "from 0 to 12, without images of class 1 and 5 others. Pass np.unique("),
        (LABELS * 2 + 1, "without images of class 0 and 6 others. Pass np.unique(labels,"),
        (np.where(LABELS == 4, 3, LABELS), "labels from 0 to 6, without images of class 4. Pass"),
    ],
)
def test_classes_without_images_warn(labels, message):
    dataset, warning = warned(IMAGES, labels)
    assert message in warning
    assert dataset.num_classes == labels.max() + 1
    np.testing.assert_array_equal(dataset.labels, labels)
    # Not if the number of classes is given.
    assert make(labels=labels, num_classes=20).num_classes == 20


@pytest.mark.parametrize("shape", [(10, 3, 32, 32), (10, 1, 28, 28), (10, 4, 5, 6)])
def test_channels_first_warn(shape):
    images = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    dataset, message = warned(images)
    assert f"shape {shape}, which is read as {shape[1]} x {shape[2]} pixels" in message
    assert dataset.image_shape == shape[1:]
    make(images.transpose(0, 2, 3, 1))


@pytest.mark.parametrize("shape", [(10, 1, 28, 1), (10, 3, 32, 3), (10, 28, 28), (10, 5, 5, 5)])
def test_other_shapes_do_not_warn(shape):
    make(np.random.default_rng(0).integers(0, 256, shape, np.uint8))


def test_a_subclass_and_a_function_of_the_package_warn_at_the_callers_line():
    with pytest.warns(DataWarning, match="nearly black") as warnings:
        StackedImageDataset(IMAGES[..., 0] % 2, batch_size=8)
    assert warnings[0].filename == __file__


# Seeds.


def test_a_seed_that_is_not_given_is_drawn_as_keras_draws_its_seeds():
    def seeds():
        keras.utils.set_random_seed(1)
        return [make(seed=None).seed for _ in range(3)]

    first = seeds()
    assert first == seeds()
    assert len(set(first)) == 3
    keras.utils.set_random_seed(2)
    assert make(seed=None).seed != first[0]
    # Still not what several processes may rely on.
    assert not make(seed=None).is_reproducible


def test_a_seed_that_is_given_draws_nothing():
    keras.utils.set_random_seed(1)
    make(seed=3)
    drawn = make(seed=None).seed
    keras.utils.set_random_seed(1)
    assert make(seed=None).seed == drawn


def test_epoch_must_be_a_count():
    dataset = make()
    with pytest.raises(ValueError, match="`epoch` to be an integer of at least 0"):
        dataset.epoch = -1


def test_num_classes_is_given_or_counted():
    assert make(labels=LABELS).num_classes == 7
    assert make(labels=LABELS, num_classes=10).num_classes == 10


def test_pickles():
    dataset = make(labels=LABELS, dtype="bfloat16", pad_to=(8, 8))
    dataset.epoch = 2
    copy = pickle.loads(pickle.dumps(dataset))
    assert copy.epoch == 2
    for batch, copied in zip(dataset, copy, strict=True):
        np.testing.assert_array_equal(batch[0], copied[0])
        np.testing.assert_array_equal(batch[1], copied[1])


def test_threads_see_the_same_batches():
    expected = [[numbers(make().batch(epoch, i)) for i in range(6)] for epoch in range(4)]
    dataset = make()
    wrong = []

    def work(seed):
        rng = np.random.default_rng(seed)
        for epoch, index in zip(rng.integers(0, 4, 200), rng.integers(0, 6, 200), strict=True):
            if numbers(dataset.batch(int(epoch), int(index))) != expected[epoch][index]:
                wrong.append((epoch, index))

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


class Recorder(keras.Model):
    """Notes which images each training step saw."""

    def __init__(self):
        super().__init__()
        self.steps = []
        self.epochs = []

    def train_step(self, *args):
        data = args[-1]  # before it, JAX's trainer hands the model's state in, and wants it back
        images = data[0] if isinstance(data, (tuple, list)) else data
        self.steps.append(numbers(keras.ops.convert_to_numpy(images)))
        logs = {"loss": keras.ops.zeros(())}
        return (logs, args[0]) if len(args) == 2 else logs

    def test_step(self, *args):
        logs = {"loss": keras.ops.zeros(())}
        return (logs, args[0]) if len(args) == 2 else logs

    def call(self, inputs):
        return inputs


def fit(dataset, epochs=3, recorder=None, **options):
    recorder = recorder or Recorder()
    recorder.compile(run_eagerly=True)
    recorder.built = True
    recorder.fit(dataset, epochs=epochs, shuffle=False, verbose=0, **options)
    return recorder.steps


def plain_steps(epochs=3, **options):
    dataset = make(**options)
    return [batch for _ in range(epochs) for batch in epoch_numbers(dataset)]


@pytest.mark.parametrize("max_queue_size", [1, 10])
@pytest.mark.parametrize("workers", [0, 1, 4])
@pytest.mark.parametrize("labels", [None, LABELS])
def test_fit_sees_what_a_plain_loop_sees(labels, workers, max_queue_size):
    dataset = make(labels=labels, workers=workers, max_queue_size=max_queue_size)
    assert fit(dataset) == plain_steps()
    assert dataset.epoch == 3


@pytest.mark.parametrize("batch_size", [20, 25, 50])
@pytest.mark.parametrize("workers", [1, 4])
def test_fit_with_one_or_two_batches_an_epoch(workers, batch_size):
    options = {"batch_size": batch_size, "drop_remainder": False}
    assert fit(make(workers=workers, **options)) == plain_steps(**options)


@pytest.mark.parametrize("workers", [1, 4])
def test_two_fits_are_one_longer_fit(workers):
    dataset = make(workers=workers)
    steps = fit(dataset, epochs=1)
    steps = steps + fit(dataset, epochs=2)
    assert steps == plain_steps()


def test_a_resumed_fit_goes_on():
    dataset = make()
    dataset.epoch = 1
    assert fit(dataset, epochs=2) == plain_steps()[len(dataset) :]


@pytest.mark.parametrize("workers", [1, 4])
def test_fit_with_the_datasets_own_steps_per_epoch(workers):
    dataset = make(steps_per_epoch=4, workers=workers)
    assert fit(dataset) == plain_steps()[:12]


def test_fit_with_keras_steps_per_epoch_takes_whole_passes():
    # Keras lets one pass run on through several epochs, with batches prefetched across their ends.
    assert fit(make(), epochs=6, steps_per_epoch=3) == plain_steps()


def test_validation_does_not_disturb_training():
    training, validation = make(), make(seed=9)
    assert fit(training, validation_data=validation) == plain_steps()


def test_fits_own_shuffle_permutes_the_batches_of_an_epoch():
    recorder = Recorder()
    recorder.compile(run_eagerly=True)
    recorder.built = True
    recorder.fit(make(), epochs=2, verbose=0)
    expected = plain_steps(epochs=2)
    assert sorted(recorder.steps[:6]) == sorted(expected[:6])
    assert sorted(recorder.steps[6:]) == sorted(expected[6:])
    assert recorder.steps[:6] != expected[:6]


def test_class_names_name_all_classes():
    names = [f"class {number}" for number in range(7)]
    dataset = make(labels=LABELS, class_names=names)
    assert dataset.class_names == tuple(names)
    assert dataset.num_classes == 7
    assert pickle.loads(pickle.dumps(dataset)).class_names == tuple(names)
    assert make(labels=LABELS).class_names is None


def test_class_names_count_the_classes():
    dataset = make(labels=LABELS, class_names=[*"abcdefghi"])
    assert dataset.num_classes == 9


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"labels": LABELS, "class_names": [*"abcdefa"]}, "different strings"),
        ({"labels": LABELS, "class_names": range(7)}, "different strings"),
        ({"labels": LABELS, "class_names": [*"abc"]}, "Received: num_classes=3 and the label 6"),
        (
            {"labels": LABELS, "class_names": [*"abcdefgh"], "num_classes": 7},
            "Received: 8 class_names and 7 classes",
        ),
        ({"class_names": ["a"]}, "Received: 1 class_names and no classes"),
    ],
)
def test_wrong_class_names_are_an_error(options, words):
    with pytest.raises(ValueError, match=words):
        make(**options)


def test_stacked_classes_have_no_names():
    dataset = StackedImageDataset(IMAGES[..., :1], LABELS, class_names=[*"abcdefg"], batch_size=8)
    assert dataset.class_names is None

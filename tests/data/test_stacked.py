"""StackedImageDataset: which grey images are in which channel, and what follows for the labels."""

import itertools
import pickle

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import kgan
from kgan.data import ImageDataset, StackedImageDataset

COUNT = 50
# Pixel (0, 0) is the image's number, so that a batch says which images its channels hold.
IMAGES = np.random.default_rng(0).integers(0, 256, (COUNT, 4, 5), np.uint8)
IMAGES[:, 0, 0] = np.arange(COUNT)
LABELS = np.random.default_rng(1).permutation(np.arange(COUNT) % 7)


def make(images=IMAGES, labels=None, **options):
    options = {"batch_size": 8, "seed": 3, "value_range": (0, 255)} | options
    return StackedImageDataset(images, labels, **options)


def numbers(images):
    """Which grey images the channels hold: `(B, stack)`."""
    return np.asarray(images)[:, 0, 0].astype(int)


def pass_numbers(dataset):
    """The same of a whole epoch: `(N, stack)`."""
    return np.concatenate([numbers(batch) for batch in dataset])


@pytest.mark.parametrize("stack", [1, 2, 3, 4])
@pytest.mark.parametrize("shape", [(COUNT, 4, 5), (COUNT, 4, 5, 1)])
def test_channels_are_grey_images_and_the_label_their_digits(shape, stack):
    dataset = make(IMAGES.reshape(shape), LABELS, stack=stack)
    assert dataset.image_shape == (4, 5, stack)
    assert dataset.stack == stack
    assert dataset.num_classes == 7**stack
    for images, labels in dataset:
        assert images.dtype == np.float32
        assert images.shape == (8, 4, 5, stack)
        picked = numbers(images)
        for channel in range(stack):
            np.testing.assert_array_equal(images[..., channel], IMAGES[picked[:, channel]])
        written = ["".join(str(LABELS[number]) for number in row) for row in picked]
        np.testing.assert_array_equal(labels, [int(text, base=7) for text in written])
        assert labels.dtype == np.int32


def test_three_channels_are_what_is_meant():
    assert make().stack == 3


def test_digits_are_read_from_left_to_right():
    digits = np.arange(10, dtype=np.uint8).reshape(10, 1, 1)
    dataset = make(digits, np.arange(10), batch_size=10)
    images, labels = dataset[0]
    hundreds, tens, units = images[:, 0, 0].T
    np.testing.assert_array_equal(labels, 100 * hundreds + 10 * tens + units)
    assert dataset.num_classes == 1000


def test_num_classes_is_that_of_one_channel():
    assert make(labels=LABELS, num_classes=10).num_classes == 1000
    _, labels = make(labels=LABELS, num_classes=10)[0]
    picked = numbers(make(labels=LABELS)[0][0])
    np.testing.assert_array_equal(labels, LABELS[picked] @ [100, 10, 1])


def test_without_labels_a_batch_is_an_array():
    dataset = make()
    assert isinstance(dataset[0], np.ndarray)
    assert dataset.labels is None
    assert dataset.num_classes is None
    assert dataset.draw(3, seed=0)[1] is None


def test_images_and_labels_stay_the_source_and_are_not_copied():
    images = IMAGES[..., np.newaxis].copy()
    dataset = make(images, LABELS)
    assert np.shares_memory(dataset.images, images)
    assert dataset.images.shape == (COUNT, 4, 5, 1)
    np.testing.assert_array_equal(dataset.labels, LABELS)


@given(
    count=st.integers(1, 40),
    stack=st.integers(1, 4),
    batch_size=st.integers(1, 12),
    shuffle=st.booleans(),
    seed=st.integers(0, 2**70),
)
@settings(deadline=None)
def test_each_image_comes_once_in_each_channel_of_a_pass(count, stack, batch_size, shuffle, seed):
    options = {"batch_size": batch_size, "shuffle": shuffle, "seed": seed}
    dataset = make(IMAGES[:count], stack=stack, drop_remainder=False, **options)
    for _ in range(2):
        seen = pass_numbers(dataset)
        assert seen.shape == (count, stack)
        for channel in range(stack):
            assert sorted(seen[:, channel]) == list(range(count))


@pytest.mark.parametrize("shuffle", [False, True])
def test_channels_have_orders_of_their_own(shuffle):
    first, second, third = pass_numbers(make(shuffle=shuffle, drop_remainder=False)).T.tolist()
    assert first != second != third != first


def test_each_pass_has_orders_of_its_own():
    dataset = make(drop_remainder=False)
    one, two = pass_numbers(dataset), pass_numbers(dataset)
    assert dataset.epoch == 2
    for channel, other in itertools.product(range(3), repeat=2):
        assert one[:, channel].tolist() != two[:, other].tolist()
    dataset.epoch = 0
    np.testing.assert_array_equal(pass_numbers(dataset), one)


def test_without_shuffle_all_passes_are_the_same_whatever_the_seed():
    dataset = make(shuffle=False, drop_remainder=False)
    one, two = pass_numbers(dataset), pass_numbers(dataset)
    np.testing.assert_array_equal(one, two)
    other = make(shuffle=False, drop_remainder=False, seed=9)
    np.testing.assert_array_equal(one, pass_numbers(other))
    np.testing.assert_array_equal(one, numbers(dataset.draw(COUNT, seed=0)[0]))


def test_the_seed_decides():
    one, again, other = (pass_numbers(make(seed=seed)) for seed in (3, 3, 4))
    np.testing.assert_array_equal(one, again)
    assert one.tolist() != other.tolist()


def test_a_resumed_epoch_goes_on_with_the_same_batches():
    whole = make(labels=LABELS, steps_per_epoch=4)
    batches = [batch for _ in range(5) for batch in whole]
    resumed = make(labels=LABELS, steps_per_epoch=4)
    resumed.epoch = 3
    for (images, labels), (expected, expected_labels) in zip(resumed, batches[12:16], strict=True):
        np.testing.assert_array_equal(images, expected)
        np.testing.assert_array_equal(labels, expected_labels)
    np.testing.assert_array_equal(whole.batch(2, 1)[0], batches[9][0])


def test_the_parts_of_a_batch_are_its_rows_in_order():
    dataset = make(labels=LABELS)
    parts = [dataset.batch(1, 2, part=(i, 2)) for i in range(2)]
    for joined, whole in zip(zip(*parts, strict=True), dataset.batch(1, 2), strict=True):
        np.testing.assert_array_equal(np.concatenate(joined), whole)


def test_pickles():
    dataset = make(labels=LABELS, dtype="bfloat16", pad_to=(8, 8), stack=2)
    dataset.epoch = 2
    copy = pickle.loads(pickle.dumps(dataset))
    assert (copy.epoch, copy.stack, copy.num_classes) == (2, 2, 49)
    for batch, copied in zip(dataset, copy, strict=True):
        np.testing.assert_array_equal(batch[0], copied[0])
        np.testing.assert_array_equal(batch[1], copied[1])


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
def test_values_are_those_of_the_grey_images_alone(dtype):
    options = {"dtype": dtype, "value_range": (-1, 1), "pad_to": (7, 9)}
    batch = make(**options)[0]
    assert batch.dtype == (ml_dtypes.bfloat16 if dtype == "bfloat16" else dtype)
    assert batch.shape == (8, 7, 9, 3)
    grey = ImageDataset(IMAGES, batch_size=COUNT, shuffle=False, **options)[0]
    picked = numbers(make()[0])
    for channel in range(3):
        np.testing.assert_array_equal(batch[..., channel], grey[picked[:, channel], ..., 0])


@pytest.mark.parametrize("workers", [1, 4])
def test_fit_trains_a_conditional_gan(images, labels, workers):
    data = StackedImageDataset(images, labels, batch_size=16, seed=2, workers=workers)
    networks = kgan.networks.mlp(
        data.image_shape, latent_dim=4, num_classes=data.num_classes, width=4
    )
    gan = kgan.GAN(*networks, seed=3)
    gan.compile()
    gan.fit(data, epochs=2, verbose=0)
    assert (gan.epochs_trained, int(gan.optimizer.iterations), data.epoch) == (2, 12, 2)
    assert gan.generate(2, labels=[0, 26], seed=1).shape == (2, 8, 8, 3)


# Draws.


@pytest.mark.parametrize("count", [1, 8, COUNT, COUNT + 1, 3 * COUNT + 7])
def test_a_draw_goes_through_all_images_before_one_comes_again(count):
    images, labels = make(labels=LABELS).draw(count, seed=5)
    picked = numbers(images)
    assert images.shape == (count, 4, 5, 3)
    for channel in range(3):
        np.testing.assert_array_equal(images[..., channel], IMAGES[picked[:, channel]])
        for first in range(0, count, COUNT):
            part = picked[first : first + COUNT, channel].tolist()
            assert len(set(part)) == len(part)
    np.testing.assert_array_equal(labels, LABELS[picked] @ [49, 7, 1])
    assert labels.dtype == np.int32


def test_draws_of_several_rounds_do_not_repeat_the_first():
    first, second = np.split(numbers(make().draw(2 * COUNT, seed=5)[0]), 2)
    for channel, other in itertools.product(range(3), repeat=2):
        assert first[:, channel].tolist() != second[:, other].tolist()


def test_a_draw_depends_on_its_seed_alone():
    dataset = make(labels=LABELS)
    images, labels = dataset.draw(120, seed=5)
    dataset.epoch = 4
    for other in (dataset, make(labels=LABELS, seed=8, batch_size=3, shuffle=False)):
        again, labels_again = other.draw(120, seed=5)
        np.testing.assert_array_equal(again, images)
        np.testing.assert_array_equal(labels_again, labels)
    for count in (1, 60):
        np.testing.assert_array_equal(dataset.draw(count, seed=5)[0], images[:count])
    assert numbers(dataset.draw(120, seed=6)[0]).tolist() != numbers(images).tolist()
    # Nor is it what training with the same seed sees.
    trained = pass_numbers(make(seed=5, drop_remainder=False))
    for channel in range(3):
        assert trained[:, channel].tolist() != numbers(images)[:COUNT, channel].tolist()


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"images": np.zeros((50, 4, 5, 3), np.uint8)}, r"one channel.*Received: shape .*5, 3\)"),
        ({"images": IMAGES.astype(float)}, "uint8.*Received: dtype float64"),
        ({"stack": 0}, "`stack` to be an integer of at least 1. Received: stack=0"),
        ({"stack": 1.5}, "`stack` to be an integer of at least 1. Received: stack=1.5"),
        ({"stack": 65}, "`stack` to be at most 64. Received: stack=65"),
        ({"labels": LABELS, "stack": 12}, "int32.*Received: num_classes=7 and stack=12"),
        ({"labels": LABELS[:-1]}, "49 labels for 50 images"),
        ({"batch_size": 51}, "50 images and batch_size=51"),
    ],
)
def test_wrong_arguments_are_named(options, match):
    with pytest.raises(ValueError, match=match):
        make(**options)


def test_the_most_classes_that_fit():
    labels = make(labels=LABELS, stack=11).draw(COUNT, seed=0)[1]
    assert labels.min() >= 0
    assert labels.max() > 6 * 7**10


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ((0, 1), "`count` to be an integer of at least 1. Received: count=0"),
        ((2.0, 1), "`count` to be an integer"),
        ((1, -1), "`seed` to be an integer of at least 0. Received: seed=-1"),
        ((1, None), "`seed` to be an integer"),
    ],
)
def test_wrong_draws_are_named(arguments, match):
    with pytest.raises(ValueError, match=match):
        make().draw(*arguments)

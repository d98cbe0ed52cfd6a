"""Pairs and domains: both halves move together, domains do not, and the place in an epoch."""

import pickle

import keras
import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kgan.data import DataWarning, ImageDataset, PairedDataset, UnpairedDataset
from kgan.training.feed import ends_of_pass, feed

COUNT, HEIGHT, WIDTH = 45, 6, 7
CROPS = {"pad_to": (9, 10), "crop": (6, 7), "horizontal_flip": True}


def coded(count, channels=3):
    """Images whose channels are their number plus 1, and the row and the column of each pixel."""
    images = np.zeros((count, HEIGHT, WIDTH, 3), np.uint8)
    images[..., 0] = np.arange(1, count + 1)[:, None, None] % 251
    images[..., 1] = 1 + np.arange(HEIGHT)[:, None]
    images[..., 2] = 1 + np.arange(WIDTH)
    return images[..., :channels]


INPUTS = coded(COUNT)
# The same codes mirrored in value: 255 minus the code, and a channel of its own.
TARGETS = np.concatenate([255 - INPUTS, INPUTS[..., :1]], axis=-1)


def pairs(inputs=INPUTS, targets=TARGETS, **options):
    return PairedDataset(
        inputs, targets, **({"batch_size": 8, "seed": 3, "value_range": (0, 255)} | options)
    )


def domains(first=1000, second=37, **options):
    options = {"batch_size": 8, "seed": 3, "value_range": (0, 255)} | options
    return UnpairedDataset(coded(first), coded(second), **options)


def numbers(batch):
    """The numbers of the images in a batch, modulo 251: the padding is 0."""
    return (np.asarray(batch)[..., 0].max(axis=(1, 2)).astype(int) - 1).tolist()


def assert_aligned(inputs, targets):
    """Checks that each pixel of a target is that of the same place of the same image."""
    padding = inputs == 0
    np.testing.assert_array_equal(np.where(padding, 0, 255 - inputs), targets[..., :3])
    np.testing.assert_array_equal(inputs[..., 0], targets[..., 3])


@pytest.mark.backend_free
class TestPairs:
    @pytest.mark.parametrize(
        "options", [{}, {"horizontal_flip": True}, {"crop": (3, 4)}, CROPS], ids=str
    )
    def test_halves_have_the_same_rows_flips_and_crops(self, options):
        dataset = pairs(drop_remainder=False, **options)
        for epoch in (0, 1, 5):
            seen = []
            for index in range(len(dataset)):
                inputs, targets = dataset.batch(epoch, index)
                assert_aligned(inputs, targets)
                seen += numbers(inputs)
            assert sorted(seen) == list(range(COUNT))
        assert len(inputs) == len(targets) == COUNT % 8

    def test_flips_and_crops_do_happen(self):
        inputs, _ = pairs(batch_size=COUNT, horizontal_flip=True)[0]
        left, right = inputs[:, 0, 0, 2], inputs[:, 0, -1, 2]
        assert {tuple(each) for each in np.stack([left, right], 1)} == {(1, WIDTH), (WIDTH, 1)}
        cropped, _ = pairs(batch_size=COUNT, crop=(3, 4))[0]
        assert set(cropped[:, 0, 0, 1]) == {1, 2, 3, 4}
        assert set(cropped[:, 0, 0, 2]) == {1, 2, 3, 4}

    @pytest.mark.parametrize("options", [{}, CROPS, {"shuffle": False}], ids=str)
    def test_each_half_equals_an_image_dataset(self, options):
        both = pairs(**options)
        same = {"batch_size": 8, "seed": 3, "value_range": (0, 255), **options}
        for epoch, index in ((0, 0), (2, 4)):
            for half, images in zip(both.batch(epoch, index), (INPUTS, TARGETS), strict=True):
                expected = ImageDataset(images, **same).batch(epoch, index)
                np.testing.assert_array_equal(half, expected)

    def test_each_half_has_its_own_range(self):
        dataset = pairs(value_range=(-1, 1), input_value_range=(0, 1), dtype="float16")
        inputs, targets = dataset[0]
        assert inputs.dtype == targets.dtype == np.float16
        levels, others = pairs()[0]
        np.testing.assert_allclose(inputs, levels / 255, atol=1e-3)
        np.testing.assert_allclose(targets, others / 127.5 - 1, atol=1e-3)
        assert dataset.inputs.value_range == (0, 1)
        assert dataset.targets.value_range == (-1, 1)
        inputs, _ = pairs(dtype="bfloat16")[0]
        assert inputs.dtype == ml_dtypes.bfloat16

    def test_parts_make_up_the_batch(self):
        dataset = pairs(**CROPS)
        whole = dataset.batch(2, 1)
        parts = [dataset.batch(2, 1, part=(number, 4)) for number in range(4)]
        for number, half in enumerate(whole):
            np.testing.assert_array_equal(np.concatenate([part[number] for part in parts]), half)
        with pytest.raises(ValueError, match="multiple of 3"):
            dataset.batch(0, 0, part=(0, 3))

    def test_draws_are_pairs(self):
        dataset = pairs(**CROPS)
        inputs, targets = dataset.draw(20, seed=1)
        assert_aligned(inputs, targets)
        np.testing.assert_array_equal(inputs, INPUTS[numbers(inputs)])
        np.testing.assert_array_equal(inputs, pairs(seed=9).draw(30, seed=1)[0][:20])
        assert numbers(inputs) != numbers(dataset.draw(20, seed=2)[0])

    def test_steps_per_epoch_share_passes(self):
        dataset, passes = pairs(steps_per_epoch=2), pairs()
        assert (len(dataset), dataset.batches_per_pass) == (2, 5)
        for number in range(12):
            for half, expected in zip(
                dataset.batch(*divmod(number, 2)), passes.batch(*divmod(number, 5)), strict=True
            ):
                np.testing.assert_array_equal(half, expected)

    def test_the_ends_of_a_pass(self):
        first, last = ends_of_pass(pairs(drop_remainder=False, steps_per_epoch=4))
        assert [len(half) for half in (*first, *last)] == [8, 8, 5, 5]

    def test_properties(self):
        dataset = pairs(crop=(4, 5))
        assert (dataset.batch_size, dataset.seed, dataset.shuffle) == (8, 3, True)
        assert dataset.inputs.image_shape == (4, 5, 3)
        assert dataset.targets.image_shape == (4, 5, 4)
        assert repr(dataset) == (
            "<PairedDataset: 45 pairs (4, 5, 3) to (4, 5, 4), batch_size=8, crop=(4, 5)>"
        )
        np.testing.assert_array_equal(dataset.inputs.images, INPUTS)
        assert np.shares_memory(dataset.targets.images, TARGETS)

    def test_one_pair_is_enough_for_a_batch_of_one(self):
        inputs, targets = pairs(INPUTS[:1], TARGETS[:1], batch_size=1)[0]
        assert_aligned(inputs, targets)
        with pytest.raises(ValueError, match=r"1 images and batch_size=8"):
            pairs(INPUTS[:1], TARGETS[:1])

    def test_memory_maps_are_named_in_a_pickle(self, tmp_path):
        for name, images in (("inputs", INPUTS), ("targets", TARGETS)):
            np.save(tmp_path / f"{name}.npy", images)
        mapped = [
            np.load(tmp_path / f"{name}.npy", mmap_mode="r") for name in ("inputs", "targets")
        ]
        pickled = pickle.dumps(pairs(*mapped))
        assert len(pickled) < INPUTS.nbytes
        for half, expected in zip(pickle.loads(pickled)[3], pairs()[3], strict=True):
            np.testing.assert_array_equal(half, expected)

    def test_wrong_pairs(self):
        with pytest.raises(
            ValueError, match=r"as many inputs as targets.*45 inputs and 44 targets"
        ):
            pairs(INPUTS, TARGETS[:44])
        with pytest.raises(ValueError, match=r"one height and width. Received: 6x7 and 5x7 pixels"):
            pairs(INPUTS, TARGETS[:, :5])
        with pytest.raises(ValueError, match="at least one pixel"):
            pairs(INPUTS[:0], TARGETS[:0])
        with pytest.raises(ValueError, match="uint8 images"):
            pairs(INPUTS, TARGETS / 255)
        for name, value in (("labels", np.zeros(COUNT, int)), ("class_names", ("a",))):
            with pytest.raises(TypeError, match=f"without labels.*Received: {name}"):
                pairs(**{name: value})
        with pytest.raises(TypeError, match="widht"):
            pairs(widht=3)

    def test_low_levels_are_noticed_in_either_half(self):
        with pytest.warns(DataWarning, match="0 to 1"):
            pairs(INPUTS // 255 + (INPUTS > 20), TARGETS, value_range=(-1, 1))


@pytest.mark.backend_free
class TestDomains:
    def test_an_epoch_is_a_pass_over_the_larger_domain(self):
        for dataset in (domains(1000, 37), domains(37, 1000)):
            assert len(dataset) == 125
            larger = 0 if len(dataset.a.images) == 1000 else 1
            seen = numbers(np.concatenate([dataset[index][larger] for index in range(125)]))
            assert sorted(seen) == sorted(numbers(coded(1000)))

    def test_the_smaller_domain_is_reshuffled_when_it_is_exhausted(self):
        dataset = domains(1000, 37)
        passes = len(dataset.b)
        assert passes == 4
        orders = []
        for first in range(0, 2 * 125, passes):
            places = [divmod(first + step, 125) for step in range(passes)]
            order = numbers(np.concatenate([dataset.batch(*place)[1] for place in places]))
            assert len(set(order)) == 32  # no image twice in a pass, across epochs too
            orders.append(tuple(order))
        assert len(set(orders)) == len(orders)
        left_out = [set(range(37)) - set(order) for order in orders]
        assert set.intersection(*left_out) == set()

    @pytest.mark.parametrize("options", [{}, CROPS], ids=str)
    def test_each_domain_equals_an_image_dataset(self, options):
        dataset = domains(100, 37, **options)
        same = {"batch_size": 8, "value_range": (0, 255), **options}
        first = ImageDataset(coded(100), seed=3, **same)
        second = ImageDataset(coded(37), seed=dataset.b.seed, **same)
        assert dataset.b.seed != 3
        for epoch, index in ((0, 0), (0, 11), (3, 5)):
            number = epoch * 12 + index
            a, b = dataset.batch(epoch, index)
            np.testing.assert_array_equal(a, first.batch(epoch, index))
            np.testing.assert_array_equal(b, second.batch(*divmod(number, 4)))

    def test_the_domains_have_their_own_orders_flips_and_crops(self):
        dataset = UnpairedDataset(INPUTS, INPUTS, batch_size=COUNT, seed=3, value_range=(0, 255))
        a, b = dataset[0]
        assert numbers(a) != numbers(b)
        moved = UnpairedDataset(
            INPUTS, INPUTS, batch_size=COUNT, seed=3, value_range=(0, 255), shuffle=False, **CROPS
        )
        a, b = moved[0]
        same = (a == b).all(axis=(1, 2, 3)).mean()
        assert same < 0.3  # 1 in 32 on average

    def test_steps_per_epoch(self):
        dataset, passes = domains(100, 37, steps_per_epoch=3), domains(100, 37)
        assert len(dataset) == 3
        for number in range(30):
            for half, expected in zip(
                dataset.batch(*divmod(number, 3)), passes.batch(*divmod(number, 12)), strict=True
            ):
                np.testing.assert_array_equal(half, expected)

    def test_parts_make_up_the_batch(self):
        dataset = domains(100, 37, **CROPS)
        whole = dataset.batch(2, 1)
        parts = [dataset.batch(2, 1, part=(number, 2)) for number in range(2)]
        for number, half in enumerate(whole):
            np.testing.assert_array_equal(np.concatenate([part[number] for part in parts]), half)

    def test_draws_are_independent(self):
        dataset = UnpairedDataset(INPUTS, INPUTS, batch_size=8, seed=3, value_range=(0, 255))
        a, b = dataset.draw(30, seed=0)
        assert len(set(numbers(a))) == len(set(numbers(b))) == 30
        assert numbers(a) != numbers(b)
        np.testing.assert_array_equal(dataset.draw(10, seed=0)[1], b[:10])
        with pytest.raises(ValueError, match="at most 37"):
            domains(100, 37).draw(38, seed=0)

    def test_domains_may_differ_in_channels(self):
        dataset = UnpairedDataset(coded(99), coded(37, channels=1), batch_size=4, seed=0)
        a, b = dataset[0]
        assert a.shape == (4, 6, 7, 3)
        assert b.shape == (4, 6, 7, 1)
        assert repr(dataset) == (
            "<UnpairedDataset: 99 images (6, 7, 3) and 37 images (6, 7, 1), batch_size=4>"
        )

    def test_wrong_domains(self):
        with pytest.raises(
            ValueError, match=r"100 in a, 7 in b and batch_size=8. Lower batch_size"
        ):
            domains(100, 7)
        with pytest.raises(ValueError, match="at least one pixel"):
            domains(100, 0)
        with pytest.raises(ValueError, match=r"one height and width. Received: 6x7 and 6x6 pixels"):
            UnpairedDataset(coded(10), coded(10)[:, :, :6])
        with pytest.raises(TypeError, match="Received: drop_remainder=False"):
            domains(100, 37, drop_remainder=False)
        with pytest.raises(TypeError, match="Received: num_classes"):
            domains(100, 37, num_classes=10)
        with pytest.raises(ValueError, match="`steps_per_epoch`"):
            domains(100, 37, steps_per_epoch=0)


MAKERS = [pairs, domains]


@pytest.mark.backend_free
class TestBoth:
    @settings(deadline=None, max_examples=50)
    @given(data=st.data())
    def test_batches_depend_on_seed_epoch_and_index_alone(self, data):
        counts = [data.draw(st.integers(1, 20)) for _ in range(2)]
        options = {
            "batch_size": data.draw(st.integers(1, min(counts))),
            "seed": data.draw(st.integers(0, 2**32)),
            "shuffle": data.draw(st.booleans()),
            "horizontal_flip": data.draw(st.booleans()),
            "crop": data.draw(st.none() | st.just((4, 3))),
            "steps_per_epoch": data.draw(st.none() | st.integers(1, 9)),
            "value_range": (0, 255),
        }
        is_paired = data.draw(st.booleans())
        if is_paired:
            counts[1] = counts[0]
        images = [coded(count) for count in counts]
        make = PairedDataset if is_paired else UnpairedDataset
        dataset = make(*images, **options)
        straight = [batch for _ in range(3) for batch in dataset]
        assert dataset.epoch == 3
        place = data.draw(st.integers(0, len(straight) - 1))
        resumed = pickle.loads(pickle.dumps(make(*images, **options)))
        resumed.epoch, index = divmod(place, len(resumed))
        for half, expected in zip(resumed[index], straight[place], strict=True):
            np.testing.assert_array_equal(half, expected)
        if is_paired:
            for inputs, targets in straight:
                np.testing.assert_array_equal(inputs, targets)

    @pytest.mark.parametrize("make", MAKERS)
    def test_seeds(self, make):
        assert make().is_reproducible
        assert not make(seed=None).is_reproducible
        assert make(seed=None, shuffle=False).is_reproducible
        assert not make(seed=None, shuffle=False, horizontal_flip=True).is_reproducible
        assert (make(seed=4)[0][1] != make()[0][1]).any()
        keras.utils.set_random_seed(5)
        drawn = make(seed=None)
        keras.utils.set_random_seed(5)
        for half, expected in zip(make(seed=None)[1], drawn[1], strict=True):
            np.testing.assert_array_equal(half, expected)

    @pytest.mark.parametrize("make", MAKERS)
    def test_integers(self, make):
        options = {"horizontal_flip": True, "crop": (4, 3)}
        whole = make(value_range=(-1, 1), dtype="uint8", levels=16, **options)
        assert whole.dtype == "uint8"
        assert "dtype='uint8', levels=16, horizontal_flip=True, crop=(4, 3)>" in repr(whole)
        for half, plain in zip(whole[1], make(value_range=(0, 255), **options)[1], strict=True):
            assert half.dtype == np.uint8
            np.testing.assert_array_equal(half, plain // 16)
        with pytest.raises(ValueError, match="no `value_range` with dtype='uint8'"):
            make(value_range=(0, 1), dtype="uint8")

    @pytest.mark.parametrize("make", MAKERS)
    def test_indices_outside_an_epoch(self, make):
        dataset = make()
        for index in (-1, len(dataset)):
            with pytest.raises(IndexError, match="the number of batches"):
                dataset[index]
            with pytest.raises(IndexError, match="the number of batches"):
                dataset.batch(0, index)

    @pytest.mark.parametrize("make", MAKERS)
    def test_workers(self, make):
        dataset = make(workers=3, max_queue_size=5)
        assert (dataset.workers, dataset.max_queue_size) == (3, 5)
        assert not dataset.use_multiprocessing


@pytest.mark.parametrize("make", MAKERS)
def test_feed_gives_fit_the_same_batches(make):
    dataset, model = make(horizontal_flip=True), keras.Sequential([keras.layers.Identity()])
    fed = feed(dataset, lambda: 2, first=1, model=model)
    batches = [
        [keras.ops.convert_to_numpy(half) for half in batch]
        for batch in (fed if hasattr(fed, "element_spec") else (fed[i] for i in range(len(fed))))
    ]
    assert len(batches) == len(dataset) - 1
    for index, batch in enumerate(batches[:6], start=1):
        x, y, weights = keras.utils.unpack_x_y_sample_weight(tuple(batch))
        assert weights is None
        expected = dataset.batch(2, index)
        np.testing.assert_array_equal(x, expected[0])
        np.testing.assert_array_equal(y, expected[1])


def test_keras_trains_on_pairs():
    dataset = pairs(INPUTS, 255 - INPUTS, value_range=(-1, 1))
    model = keras.Sequential(
        [keras.Input((HEIGHT, WIDTH, 3)), keras.layers.Dense(3, kernel_initializer="identity")]
    )
    model.compile(keras.optimizers.SGD(0.1), "mse")
    before = model.evaluate(dataset, verbose=0)
    dataset.epoch = 0
    model.fit(dataset, epochs=3, shuffle=False, verbose=0)
    assert dataset.epoch == 3
    # The target is the negative: the best kernel is minus the identity.
    assert model.evaluate(dataset, verbose=0) < before / 2

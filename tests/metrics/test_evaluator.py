"""An evaluation: what is compared with what, and what is said of it."""

import json
import types

import keras
import numpy as np
import pytest

import kgan
from kgan import metrics, report
from kgan.metrics.evaluator import Evaluator
from kgan.metrics.outputs import DivergedError

# Features are NumPy's from here on; test_features.py sees to them on every backend.
pytestmark = pytest.mark.backend_free


class Generator:
    """Anything with `generate`: here, images that are picked out of some."""

    def __init__(self, images, value_range=(-1, 1), num_classes=None, labels=None):
        low, high = value_range
        self.images = images / 255 * (high - low) + low
        self.num_classes = num_classes
        self.labels = labels
        self.asked = None

    def generate(self, n, labels=None, seed=None):
        self.asked = labels
        generator = np.random.default_rng(seed)
        if labels is None:
            return self.images[generator.permutation(len(self.images))[:n]]
        return np.stack([generator.choice(self.images[self.labels == label]) for label in labels])


class Fixed:
    """A generator of the images that it was given, as they are."""

    def __init__(self, images):
        self.images = images

    def generate(self, n, seed=None):
        return self.images[:n]


@pytest.fixture(scope="module")
def digits():
    return kgan.data.load_digits("train", value_range=(0, 1))


def test_real_images_against_the_floor(digits):
    # The very images that the floor takes: every figure is the floor's, to the last digit.
    drawn, _ = digits.draw(1000, seed=5)
    generator = Generator(drawn[500:] * 255, (0, 1))
    generator.generate = lambda n, seed: drawn[500 : 500 + n]
    found = metrics.evaluate(generator, digits, count=500, seed=5)
    assert set(found.figures) == {
        "fcd",
        "kid",
        "precision",
        "recall",
        "density",
        "coverage",
        "class_divergence",
        "modes",
        "inception_score",
        "support",
        "authenticity",
    }
    for name, figure in found.figures.items():
        if name != "authenticity":  # whose floor leaves the images out of the training set
            assert figure.value == figure.floor, name
            assert figure.count == figure.floor_count == 500
    assert found["authenticity"] == 0.0
    assert found.figures["authenticity"].floor > 0.3
    assert found["modes"] == 10


def test_the_figures_are_those_of_the_plain_functions(digits):
    generator = Generator(digits.images[::2], (0, 1))
    found = Evaluator(digits, 300, seed=2, thorough=False).evaluate(generator)
    real = (digits.draw(300, seed=2)[0] * 255).round().astype("uint8")
    fake = (generator.generate(300, seed=2) * 255).round().astype("uint8")
    extractor = metrics.mnist_features()
    x, y = extractor(real), extractor(fake)
    assert found["fcd"] == metrics.frechet_distance(x.vectors, y.vectors)
    kid = found.figures["kid"]
    assert (kid.value, kid.spread) == metrics.kernel_distance(
        x.vectors, y.vectors, subset_size=150, seed=2
    )
    assert (found["precision"], found["recall"]) == metrics.precision_recall(x.vectors, y.vectors)
    density, coverage = metrics.density_coverage(x.vectors, y.vectors)
    assert (found["density"], found["coverage"]) == (density, coverage)
    assert found["class_divergence"] == metrics.class_divergence(y.classes, x.classes, 10)
    assert found["inception_score"] == metrics.inception_score(y.probabilities)[0]
    np.testing.assert_array_equal(found.sample_shares, metrics.class_shares(y.classes, 10))
    np.testing.assert_array_equal(found.samples, fake)
    np.testing.assert_array_equal(found.sample_classes, y.classes)
    assert "support" not in found.figures


def test_the_same_seed_gives_the_same_figures(digits):
    generator = Generator(digits.images[::2], (0, 1))
    evaluator = Evaluator(digits, 200, seed=2)
    once, again = evaluator.evaluate(generator), evaluator.evaluate(generator)
    assert once.to_dict() == again.to_dict()
    other = Evaluator(digits, 200, seed=3).evaluate(generator)
    assert once["fcd"] != other["fcd"]


def test_a_small_dataset_has_its_floor_between_halves(digits):
    small = kgan.data.ImageDataset(digits.images[:301], batch_size=8)
    found = metrics.evaluate(Generator(digits.images), small, count=10_000)
    assert found.figures["fcd"].count == 301
    assert found.figures["fcd"].floor_count == 150
    # The inception score rises with N: the halves' would be no floor of the whole.
    assert found.figures["inception_score"].floor is None


def test_intervals_hold_the_figures_where_they_are_asked_for(digits):
    generator = Generator(digits.images[::2], (0, 1))
    without = metrics.evaluate(generator, digits, count=200)
    found = metrics.evaluate(generator, digits, count=200, bootstrap=50)
    for name in ("kid", "precision", "recall", "density", "coverage"):
        low, high = found.figures[name].interval
        assert low < found[name] < high, name
        assert found[name] == without[name]
    low, high = found.figures["fcd"].interval
    assert low < high
    assert without.figures["fcd"].interval is None
    assert "95%" in str(found)
    assert "95%" not in str(without)


def test_a_conditional_model_is_asked_for_the_classes_of_the_real_images(digits):
    generator = Generator(digits.images, (0, 1), num_classes=10, labels=digits.labels)
    found = metrics.evaluate(generator, digits, count=400)
    np.testing.assert_array_equal(generator.asked, digits.draw(400, seed=0)[1])
    np.testing.assert_array_equal(found.sample_labels, generator.asked)
    accuracy = found.figures["label_accuracy"]
    # Digits of another kind, blown up: the classifier knows most of them, real or not.
    assert accuracy.floor > 0.4
    assert accuracy.value == pytest.approx(accuracy.floor, abs=0.1)
    generator.labels = (digits.labels + 1) % 10
    swapped = metrics.evaluate(generator, digits, count=400)
    assert swapped["label_accuracy"] < 0.1
    assert swapped["fcd"] == pytest.approx(found["fcd"], rel=0.5)


@pytest.mark.parametrize("there", [100, 101, 150, 199, 200])
def test_labels_stay_beside_their_images(digits, there):
    class Told:
        """Sees the class of an image without fail."""

        name, num_classes = "told", 10

        def __call__(self, images):
            flat = images.reshape(len(images), -1).astype("float32")
            return metrics.Features(
                flat, known[:, 0, 0, 0][: len(flat)] * 0 + flat[:, 0].astype(int)
            )

        def fingerprint(self):
            return None

    known = digits.images[:there].copy()
    known[:, 0, 0, 0] = digits.labels[:there]
    marked = kgan.data.ImageDataset(known, digits.labels[:there], batch_size=8)
    generator = Generator(known, num_classes=10, labels=digits.labels[:there])
    generator.images = known / np.float32(127.5) - 1
    found = Evaluator(marked, 100, features=Told()).evaluate(generator)
    assert found.figures["label_accuracy"].floor == 1.0
    assert found["label_accuracy"] == 1.0


def test_labels_of_other_classes_are_not_held_against_the_features(digits):
    half = kgan.data.ImageDataset(digits.images, digits.labels // 2, batch_size=8)
    generator = Generator(digits.images, num_classes=5, labels=digits.labels // 2)
    found = metrics.evaluate(generator, half, count=100)
    assert generator.asked is not None
    assert "label_accuracy" not in found.figures


def test_ten_classes_that_are_no_digits_are_not_taken_for_digits(digits):
    # As of Fashion-MNIST: ten classes, of grey images, of which the classifier knows nothing.
    turned = np.roll(digits.images[:, ::-1], 14, axis=1)
    classes = (digits.labels * 3 + 1) % 10
    other = kgan.data.ImageDataset(turned, classes, batch_size=8)
    # It ignores the labels that it is asked for.
    generator = Generator(turned, num_classes=10, labels=np.roll(classes, 1))
    evaluator = Evaluator(other, 200)
    found = evaluator.evaluate(generator)
    assert generator.asked is not None
    assert "label_accuracy" not in found.figures
    assert "label_accuracy" not in evaluator.names_for(generator)
    assert found.sample_shares is found.real_shares is found.sample_classes is None
    assert found["class_divergence"] >= 0  # their spread over its own classes, like with like
    said = [finding.text for finding in report.verdict(found)]
    assert not [text for text in said if "lass" in text.replace("classifier", "")]


def test_digits_by_other_numbers_than_ten_are_still_digits(digits):
    few = digits.labels < 5
    some = kgan.data.ImageDataset(digits.images[few], digits.labels[few], batch_size=8)
    generator = Generator(some.images, num_classes=5, labels=some.labels)
    found = metrics.evaluate(generator, some, count=100)
    assert found["label_accuracy"] > 0.5
    assert found.real_shares.shape == (10,)
    assert found.class_names is None


def test_the_names_of_classes_come_from_the_data_set(digits):
    names = ("zero", "one", "two", "three", "four")
    few = digits.labels < 5
    some = kgan.data.ImageDataset(
        digits.images[few], digits.labels[few], batch_size=8, class_names=names
    )
    found = metrics.evaluate(Generator(some.images), some, count=100)
    assert found.class_names == names
    assert [found.class_name(number) for number in (0, 4, 5)] == ["zero", "four", "5"]
    assert found.to_dict()["class_names"] == list(names)
    needed = ("images", "image_shape", "value_range", "num_classes", "draw")
    of_others = types.SimpleNamespace(**{name: getattr(some, name) for name in needed})
    assert metrics.evaluate(Generator(some.images), of_others, count=100).class_names is None


def test_kept_samples_do_not_hold_on_to_the_others(digits):
    found = Evaluator(digits, 1200, thorough=False).evaluate(Generator(digits.images, (0, 1)))
    assert found.samples.shape[0] == 1000
    assert found.samples.base is None


def test_what_is_no_dataset_is_told_how_to_become_one(digits):
    class Batches:
        """As a tf.data.Dataset: batches, and no array."""

        def __iter__(self):
            return iter([digits.images[:10]])

    with pytest.raises(ValueError, match=r"ImageDataset.*Received: Batches\..*concatenate"):
        metrics.evaluate(Generator(digits.images), Batches())
    with pytest.raises(ValueError, match=r"uint8 images.*from -1 to 1.*\(images \+ 1\) \* 127\.5"):
        metrics.evaluate(Generator(digits.images), digits.images / 127.5 - 1)


def test_a_conditional_model_that_cannot_tell_its_classes_is_asked_too(digits):
    generator = Generator(digits.images, (0, 1), labels=digits.labels)
    generator.is_conditional = True
    metrics.evaluate(generator, digits, count=40, features="pixels")
    np.testing.assert_array_equal(generator.asked, digits.draw(40, seed=0)[1])


def test_neighbours_are_the_training_images_themselves(digits):
    found = metrics.evaluate(Generator(digits.images, (0, 1)), digits, count=100)
    np.testing.assert_array_equal(found.neighbours, found.samples[: len(found.neighbours)])


def test_padded_images_and_plain_arrays(digits):
    padded = kgan.data.ImageDataset(digits.images, pad_to=(32, 31), batch_size=8)
    wide = np.pad(digits.images, ((0, 0), (2, 2), (1, 2), (0, 0)))
    found = metrics.evaluate(Generator(wide), padded, count=100)
    assert found["authenticity"] == 0.0
    plain = metrics.evaluate(Generator(digits.images), digits.images, count=100)
    assert plain["authenticity"] == 0.0


def test_stacked_digits_are_judged_by_their_modes(digits):
    stacked = kgan.data.StackedImageDataset(digits.images, digits.labels, batch_size=8)
    drawn, _ = stacked.draw(300, seed=9)
    generator = Generator((drawn + 1) * 127.5)
    found = metrics.evaluate(generator, stacked, count=300)
    modes, divergence = metrics.mode_coverage(found.sample_classes)
    assert found["modes"] == modes
    assert found["mode_divergence"] == pytest.approx(divergence)
    assert found.sample_shares.shape == (1000,)
    assert not {"class_divergence", "inception_score", "authenticity"} & set(found.figures)


def test_two_channels_are_judged_each_by_itself(digits):
    pairs = kgan.data.StackedImageDataset(digits.images, digits.labels, stack=2, batch_size=8)
    found = Evaluator(pairs, 60, thorough=False).evaluate(Fixed(pairs.draw(60, seed=3)[0]))
    assert found.real_shares.shape == (100,)


def test_what_cannot_be_evaluated(digits):
    colour = kgan.data.ImageDataset(np.zeros((50, 8, 8, 3), "uint8"), batch_size=8)
    with pytest.raises(ValueError, match=r"images that are neither grey digits.*\(8, 8, 3\)"):
        Evaluator(colour)
    assert Evaluator(colour, features="pixels").count == 50
    with pytest.raises(ValueError, match="`count` to be an integer of at least 20"):
        Evaluator(digits, count=19)
    with pytest.raises(ValueError, match="at least 20 real images"):
        Evaluator(digits.images[:19])
    with pytest.raises(ValueError, match=r"floats in .*Received: int64"):
        Evaluator(digits, 20).evaluate(Fixed(digits.images.astype("int64")))
    with pytest.raises(ValueError, match="`bootstrap` to be an integer of at least 0"):
        Evaluator(digits, 20, bootstrap=-1)
    with pytest.raises(ValueError, match=r"of shape \(20, 28, 28, 1\)"):
        Evaluator(digits, 20).evaluate(Generator(np.zeros((20, 9, 28, 1))))
    broken = digits.images[:40].astype("float32")
    broken[::4] = np.nan
    with pytest.raises(DivergedError, match=r"NaN or infinity in \d+ of 40"):
        Evaluator(digits, 40).evaluate(Generator(broken))


def test_the_table_and_the_json_say_the_same(digits):
    found = metrics.evaluate(Generator(digits.images[:60].repeat(5, 0), (0, 1)), digits, count=200)
    table = str(found)
    for name, figure in found.figures.items():
        measure = metrics.MEASURES[name]
        title = found.title(name)
        (line,) = [line for line in table.splitlines() if line.startswith(title)]
        assert line.split(title)[1].split()[0] == measure.format(figure.value)
        assert measure.format(figure.floor) in line
    read = json.loads(json.dumps(found.to_dict()))
    assert read["figures"]["fcd"]["value"] == found["fcd"]
    assert read["figures"]["fcd"]["count"] == 200
    assert read["sample_shares"] == list(found.sample_shares)


def test_infinity_is_null_in_json(digits):
    found = metrics.Evaluation(
        {"support": metrics.Figure(float("inf"), 10)}, "pixels", 0, digits.images[:2]
    )
    assert json.loads(json.dumps(found.to_dict()))["figures"]["support"]["value"] is None


def test_evaluating_does_not_change_training(make_gan, dataset):
    keras.utils.set_random_seed(7)
    gan = make_gan()
    keras.utils.set_random_seed(7)
    twin = make_gan()
    metrics.evaluate(gan, dataset, count=50)
    gan.fit(dataset, verbose=0)
    twin.fit(dataset, verbose=0)
    for a, b in zip(gan.weights, twin.weights, strict=True):
        np.testing.assert_array_equal(np.asarray(a), np.asarray(b))

"""What can be evaluated: models, networks, functions, arrays; and samples in another range."""

import warnings

import keras
import numpy as np
import pytest

import kgan
from kgan import metrics
from kgan.metrics.evaluator import Evaluator


@pytest.fixture
def dataset():
    return kgan.data.ImageDataset(_bars(200), batch_size=16, seed=5)


def _bars(count, seed=0):
    """Dark uint8 images with one bright row: (count, 8, 8, 1)."""
    generator = np.random.default_rng(seed)
    pictures = generator.integers(0, 40, (count, 8, 8, 1), dtype="uint8")
    pictures[np.arange(count), generator.integers(0, 8, count)] = 255
    return pictures


@pytest.fixture
def pictures():
    return _bars(60, seed=1)


@pytest.fixture
def floats(pictures):
    return (pictures / 127.5 - 1).astype("float32")


class Idle:
    """A data set whose real images must not be touched."""

    def __init__(self, dataset):
        self._dataset = dataset
        self.images, self.image_shape = dataset.images, dataset.image_shape
        self.value_range, self.num_classes = dataset.value_range, dataset.num_classes

    def draw(self, count, seed):
        assert count <= 2, "real images were drawn"
        return self._dataset.draw(count, seed)


def evaluate(samples, dataset, **options):
    return metrics.evaluate(samples, dataset, count=60, features="pixels", **options)


# ---- where samples come from ---------------------------------------------------------------------


def test_an_array_a_function_and_a_model_of_the_same_images_score_alike(dataset, pictures, floats):
    class Model:
        def generate(self, n, seed=None):
            return floats[:n]

    expected = evaluate(Model(), dataset).to_dict()
    for samples in (floats, pictures, lambda n: floats[:n], lambda n: pictures[:n], list(floats)):
        assert evaluate(samples, dataset).to_dict() == expected


def test_grey_images_need_no_axis_for_the_channel(dataset, pictures, floats):
    class Model:
        def generate(self, n, seed=None):
            return floats[:n, ..., 0]

    expected = evaluate(floats, dataset).to_dict()
    flat, grey = floats[..., 0], pictures[..., 0]
    for samples in (Model(), flat, grey, lambda n: flat[:n], lambda n: grey[:n]):
        assert evaluate(samples, dataset).to_dict() == expected


def test_colour_images_need_an_axis_for_the_channels(floats):
    colour = kgan.data.ImageDataset(np.repeat(_bars(200), 3, axis=-1), batch_size=16)
    with pytest.raises(ValueError, match=r"\(2, 8, 8\)\. The real images have 3 channels"):
        evaluate(lambda n: floats[:n, ..., 0], Idle(colour))


def test_tensors_of_the_backend_are_arrays_too(dataset, floats):
    expected = evaluate(floats, dataset).to_dict()
    assert evaluate(keras.ops.convert_to_tensor(floats), dataset).to_dict() == expected
    given = evaluate(lambda n: keras.ops.convert_to_tensor(floats[:n]), dataset)
    assert given.to_dict() == expected


def test_fewer_samples_than_count_set_the_count(dataset, floats):
    found = metrics.evaluate(floats[:40], dataset, count=150, features="pixels")
    assert found.figures["fcd"].count == 40
    assert found.figures["fcd"].floor_count == 40  # the data set has enough for both
    evaluator = Evaluator(dataset, 50, features="pixels")
    with pytest.raises(ValueError, match=r"at least count=50 samples. Received: 40\."):
        evaluator.evaluate(floats[:40])


def test_a_network_gets_standard_normal_latents(dataset):
    latents = keras.Input((64,))
    network = keras.Model(latents, keras.layers.Reshape((8, 8, 1))(latents))
    with pytest.warns(UserWarning, match="in the range of the data set"):
        found = evaluate(network, dataset, seed=3)
    with pytest.warns(UserWarning, match="in the range of the data set"):
        again = evaluate(network, dataset, seed=3)
    with pytest.warns(UserWarning, match="in the range of the data set"):
        other = evaluate(network, dataset, seed=4)
    assert found.to_dict() == again.to_dict()
    assert found["fcd"] != other["fcd"]
    # A normal distribution, cut off at -1 and 1, has these shares at the ends.
    assert np.mean(found.samples == 0) == pytest.approx(0.159, abs=0.03)
    assert np.mean(found.samples == 255) == pytest.approx(0.159, abs=0.03)


def test_networks_that_take_something_else_are_refused_before_any_work(dataset):
    latents, labels = keras.Input((4,)), keras.Input((3,))
    both = keras.layers.Concatenate()([latents, labels])
    images = keras.layers.Reshape((8, 8, 1))(keras.layers.Dense(64)(both))
    with pytest.raises(ValueError, match=r"one input of latents, \(batch, d\).*lambda n"):
        evaluate(keras.Model([latents, labels], images), Idle(dataset))
    picture = keras.Input((8, 8, 1))
    with pytest.raises(ValueError, match=r"\(None, 8, 8, 1\)"):
        evaluate(keras.Model(picture, keras.layers.Dense(1)(picture)), Idle(dataset))


@pytest.mark.backend_free
@pytest.mark.parametrize("wrong", [3, None, "gan.keras", kgan.data.ImageDataset])
def test_what_makes_no_samples_is_refused_before_any_work(dataset, wrong):
    with pytest.raises((TypeError, ValueError), match=r"Expected "):
        evaluate(wrong, Idle(dataset))
    with pytest.raises(TypeError, match=r"function from n to images, or an array"):
        evaluate(object(), Idle(dataset))


@pytest.mark.backend_free
def test_samples_of_another_shape_are_refused_before_any_work(dataset, floats):
    idle = Idle(dataset)
    for wrong, advice in (
        (floats[:, :7], "the shape of the real images"),
        (floats[..., 0, 0], "the shape of the real images"),
        (floats.astype("int32"), r"astype\('uint8'\)"),
        (lambda n: floats[: n + 1], "as many images as you are asked for: here n = 2"),
    ):
        with pytest.raises(ValueError, match=rf"of shape \(2, 8, 8, 1\)\. Received: .*{advice}"):
            evaluate(wrong, idle)
    with pytest.raises(ValueError, match="an integer of at least 20"):
        evaluate(floats[:19], idle)


def test_a_gan_is_evaluated_as_its_images_are(make_gan, dataset):
    gan = make_gan()
    found = evaluate(gan, dataset, seed=3)
    assert evaluate(gan.generate(60, seed=3), dataset, seed=3).to_dict() == found.to_dict()


# ---- ranges --------------------------------------------------------------------------------------


@pytest.mark.backend_free
@pytest.mark.parametrize(
    ("change", "seen"),
    [
        (lambda x: (x + 1) / 2, "from 0 to 1"),
        (lambda x: (x + 1) * 127.5, "from 0 to 255"),
        (lambda x: (x - x.mean()) / x.std(), r"from -0\.\d+ to 2\.\d+"),
        (lambda x: 3 * x, "from -3 to 3"),
    ],
)
def test_samples_in_another_range_warn_with_the_range_seen(dataset, floats, change, seen):
    with pytest.warns(
        UserWarning, match=rf"data set, \[-1, 1\]\. Received: values {seen}\."
    ) as said:
        metrics.evaluate(change(floats), dataset, count=40, features="pixels")
    assert said[0].filename == __file__  # the line that asked for the evaluation


@pytest.mark.backend_free
@pytest.mark.parametrize("value_range", [(0, 1), (0, 255), (-1, 1)])
def test_the_range_expected_is_the_datasets(pictures, floats, value_range):
    low, high = value_range
    dataset = kgan.data.ImageDataset(_bars(200), batch_size=8, value_range=value_range)
    evaluate(pictures.astype("float32") / 255 * (high - low) + low, dataset)
    for other in {(0, 1), (0, 255), (-1, 1)} - {value_range}:
        wrong = pictures.astype("float32") / 255 * (other[1] - other[0]) + other[0]
        with pytest.warns(UserWarning, match="in the range of the data set"):
            evaluate(wrong, dataset)


@pytest.mark.backend_free
def test_samples_near_the_range_and_dull_ones_do_not_warn(dataset, floats):
    for samples in (
        1.2 * floats,
        0.1 * floats,
        np.full_like(floats, 0.3),
        np.full_like(floats, -1),
    ):
        evaluate(samples, dataset)


@pytest.mark.backend_free
def test_an_evaluator_warns_once(dataset, floats):
    evaluator = Evaluator(dataset, 50, features="pixels")
    with pytest.warns(UserWarning, match="range"):
        evaluator.evaluate((floats + 1) / 2)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        evaluator.evaluate((floats + 1) / 2)


# ---- what is printed -----------------------------------------------------------------------------


@pytest.mark.backend_free
def test_the_title_of_the_frechet_distance_names_the_features(dataset, floats):
    lines = str(evaluate(floats, dataset)).splitlines()
    assert any(line.startswith("Fréchet distance (pixels)  ") for line in lines)
    assert not any("classifier" in line for line in lines)
    digits = kgan.data.load_digits("train")
    found = Evaluator(digits, 30, thorough=False).evaluate(digits.draw(30, 1)[0])
    assert any(line.startswith("Fréchet classifier distance") for line in str(found).splitlines())


@pytest.mark.backend_free
def test_a_floor_of_another_n_is_said(dataset, floats):
    enough = evaluate(floats, dataset)
    assert "too few images for a floor" not in str(enough)
    few = kgan.data.ImageDataset(dataset.images[:70], batch_size=8)
    found = evaluate(floats, few)
    figure = found.figures["fcd"]
    assert (figure.count, figure.floor_count) == (60, 30)
    expected = "a floor of N = 60. The Fréchet distance falls with N: its floor would be about "
    assert f"{expected}{figure.floor / 2:.2f} there." in str(found)


@pytest.mark.backend_free
def test_the_frechet_distance_of_real_images_is_in_proportion_to_one_over_n():
    generator = np.random.default_rng(0)

    def floor(count):
        draws = generator.standard_normal((40, 2, count, 5))
        return np.mean([metrics.frechet_distance(*pair) for pair in draws])

    assert floor(200) / floor(400) == pytest.approx(2.0, rel=0.1)


class Clock:
    """Time that passes at every look, as long steps would have it."""

    def __init__(self, seconds):
        self.seconds = seconds
        self.now = 0.0

    def monotonic(self):
        self.now += self.seconds
        return self.now


@pytest.mark.backend_free
@pytest.mark.parametrize(("seconds", "share"), [(6.0, 1), (3.0, 2), (1.0, 5)])
def test_long_work_is_not_silent(dataset, floats, capsys, monkeypatch, seconds, share):
    monkeypatch.setattr("kgan._progress.time", Clock(seconds))
    said = []
    expected = evaluate(floats, dataset, say=said.append)
    assert capsys.readouterr() == ("", "")  # a listener gets the lines, and nobody else
    for step in ("kernel distance", "floors: kernel distance", "nearest training images"):
        assert step in said
    assert evaluate(floats, dataset).to_dict() == expected.to_dict()
    out, err = capsys.readouterr()
    assert out == ""
    # At most a line in five seconds.
    assert err.splitlines() == [f"{text} ..." for text in said[share - 1 :: share]]


@pytest.mark.backend_free
def test_quick_work_is_silent(dataset, floats, capsys, monkeypatch):
    monkeypatch.setattr("kgan._progress.time", Clock(0.1))
    evaluate(floats, dataset)
    assert capsys.readouterr() == ("", "")


class Copier:
    """Reconstructs every image, and finds all of them equally likely."""

    num_classes = None
    likelihood_support = "levels"
    likelihood_is_exact = True

    def encode(self, images, labels=None):
        return images.reshape(len(images), -1)

    def reconstruct(self, images, labels=None):
        return images

    def log_prob(self, images, labels=None):
        return np.zeros(len(images))


@pytest.mark.backend_free
@pytest.mark.parametrize("measure", [metrics.likelihood, metrics.reconstruction])
def test_long_measurements_of_other_kinds_are_not_silent(dataset, capsys, monkeypatch, measure):
    monkeypatch.setattr("kgan._progress.time", Clock(6.0))
    said = []
    measure(Copier(), dataset, say=said.append)
    assert capsys.readouterr() == ("", "")
    measure(Copier(), dataset)
    assert capsys.readouterr().err.splitlines() == [f"{text} ..." for text in said]
    assert said

"""Likelihoods of data sets under models whose likelihood is known."""

import json
import math

import numpy as np
import pytest

import kgan
from kgan import metrics
from kgan.metrics import tables
from kgan.metrics.outputs import DivergedError

pytestmark = pytest.mark.backend_free


class Known:
    """A model that takes pixels to be independent, with a given chance of each level.

    Args:
        chances: `(256,)`, or `(2,)` for binary images.
    """

    likelihood_is_exact = True

    def __init__(self, chances, num_classes=None):
        self.likelihood_support = "binary" if len(chances) == 2 else "levels"
        self.nats = -np.log(chances)
        self.num_classes = num_classes
        self.labels = []

    def log_prob(self, images, labels=None):
        levels = np.rint((images + 1) / 2 * (len(self.nats) - 1)).astype(int)
        self.labels.append(labels)
        return -self.nats[levels].sum(axis=(1, 2, 3))


class Bound(Known):
    """The same, as a model whose likelihood is a bound: its options are noted."""

    likelihood_is_exact = False

    def __init__(self, chances, **options):
        super().__init__(chances, **options)
        self.options = []

    def log_prob(self, images, labels=None, samples=1, seed=0):
        self.options.append((samples, seed))
        return super().log_prob(images, labels)


UNIFORM = np.full(256, 1 / 256)
FAIR = np.full(2, 1 / 2)


@pytest.fixture
def grey():
    pictures = np.random.default_rng(0).integers(0, 256, (60, 6, 5, 1), dtype="uint8")
    return kgan.data.ImageDataset(pictures, np.arange(60) % 3, batch_size=8)


def binarized(how, count=60, **options):
    pictures = np.random.default_rng(0).integers(0, 256, (count, 6, 5, 1), dtype="uint8")
    return kgan.data.ImageDataset(pictures, batch_size=8, binarize=how, **options)


def test_a_uniform_model_has_exactly_eight_bits(grey):
    found = metrics.likelihood(Known(UNIFORM), grey)
    assert found.bits_per_dimension == pytest.approx(8.0, rel=1e-12)
    assert found.nats == pytest.approx(30 * math.log(256))
    assert found.standard_error == pytest.approx(0.0, abs=1e-9)
    assert (found.count, found.dimensions, found.image_shape) == (60, 30, (6, 5, 1))
    assert (found.is_exact, found.samples) == (True, None)


def test_mean_and_standard_error_are_those_over_images(grey):
    chances = np.arange(1, 257) / np.arange(1, 257).sum()
    found = metrics.likelihood(Known(chances), grey, batch_size=7, seed=3)
    nats = -np.log(chances)[grey.images].sum(axis=(1, 2, 3))
    assert found.nats == pytest.approx(nats.mean())
    assert found.standard_error == pytest.approx(nats.std(ddof=1) / math.sqrt(60))
    np.testing.assert_allclose(np.sort(found.image_nats), np.sort(nats))
    assert found.image_nats.dtype == np.float64
    assert found.bits_per_dimension == pytest.approx(nats.mean() / 30 / math.log(2))


def test_fewer_images_are_those_that_the_seed_draws(grey):
    chances = np.arange(1, 257) / np.arange(1, 257).sum()
    found = metrics.likelihood(Known(chances), grey, count=20, seed=3)
    drawn = np.rint((grey.draw(20, 3)[0] + 1) * 127.5).astype(int)
    np.testing.assert_allclose(found.image_nats, -np.log(chances)[drawn].sum(axis=(1, 2, 3)))


def test_only_a_bound_gets_samples_and_a_seed(grey):
    metrics.likelihood(Known(UNIFORM), grey, samples=7)  # its log_prob takes neither
    model = Bound(UNIFORM)
    found = metrics.likelihood(model, grey, samples=7, batch_size=25, seed=4)
    assert [samples for samples, _ in model.options] == [7, 7, 7]
    seeds = [seed for _, seed in model.options]
    assert len(set(seeds)) == 3
    again, other = Bound(UNIFORM), Bound(UNIFORM)
    metrics.likelihood(again, grey, samples=7, batch_size=25, seed=4)
    metrics.likelihood(other, grey, samples=7, batch_size=25, seed=5)
    assert again.options == model.options
    assert not {seed for _, seed in other.options} & set(seeds)
    assert (found.is_exact, found.samples) == (False, 7)
    assert "Upper bound" in found.protocol
    assert "7 importance samples" in found.protocol


def test_a_conditional_model_gets_the_labels(grey):
    model = Known(UNIFORM, num_classes=3)
    metrics.likelihood(model, grey, batch_size=32, seed=2)
    np.testing.assert_array_equal(np.concatenate(model.labels), grey.draw(60, 2)[1])
    plain = Known(UNIFORM)
    metrics.likelihood(plain, grey)
    assert plain.labels == [None]
    with pytest.raises(ValueError, match="data set with labels for a conditional model"):
        metrics.likelihood(model, kgan.data.ImageDataset(grey.images, batch_size=8))


# ---- protocols -----------------------------------------------------------------------------------


def test_the_protocol_names_the_binarisation():
    texts = {}
    for how in ("dynamic", "static", "threshold"):
        found = metrics.likelihood(Known(FAIR), binarized(how), seed=5)
        assert found.nats == pytest.approx(30 * math.log(2))
        assert found.binarize == how
        texts[how] = found.protocol
        assert found.protocol in " ".join(str(found).splitlines())
        assert "D = 6 x 5 x 1 = 30" in found.protocol
        assert "60 images, seed 5" in found.protocol
        assert "Exact likelihood" in found.protocol
    assert "dynamic binarisation" in texts["dynamic"]
    assert "static binarisation" in texts["static"]
    assert "not comparable" in texts["threshold"]


@pytest.mark.parametrize("dtype", ["float32", "uint8"])
@pytest.mark.parametrize("levels", [2, 3, 8, 16, 200])
def test_quantised_images_have_the_levels_of_the_data_set(grey, levels, dtype):
    model = Known(np.full(levels, 1 / levels))
    model.likelihood_support = "levels"
    quantised = kgan.data.ImageDataset(grey.images, batch_size=8, levels=levels, dtype=dtype)
    found = metrics.likelihood(model, quantised, training=quantised, seed=3)
    assert found.bits_per_dimension == pytest.approx(math.log2(levels), rel=1e-12)
    assert found.levels == found.to_dict()["levels"] == levels
    assert f"Data: {levels}-level images; 60 images" in found.protocol
    shown = (grey.draw(60, 3)[0] + 1) * 127.5
    shown = np.floor(np.rint(shown) * levels / 256).astype("uint8")
    nats = tables.position_nats(shown, shown, levels)
    title = "independent pixels" if levels == 2 else "one histogram for each pixel"
    assert floors_of(found)[title] == pytest.approx(nats)
    with pytest.raises(ValueError, match=f"levels={levels} and .*Received: .*levels=256 and "):
        metrics.likelihood(model, quantised, training=grey)


def test_integers_are_measured_as_the_floats_are(grey):
    options = {"batch_size": 8, "labels": grey.labels}
    chances = np.random.default_rng(1).dirichlet(np.ones(256))
    found, expected = (
        metrics.likelihood(
            Known(chances), kgan.data.ImageDataset(grey.images, dtype=dtype, **options)
        )
        for dtype in ("uint8", "float32")
    )
    assert str(found) == str(expected)
    np.testing.assert_array_equal(found.image_nats, expected.image_nats)


def test_padding_changes_bits_and_is_named(grey):
    padded = kgan.data.ImageDataset(grey.images, batch_size=8, pad_to=(8, 8))
    found = metrics.likelihood(Known(UNIFORM), padded)
    assert found.dimensions == 64
    assert found.bits_per_dimension == pytest.approx(8.0)
    assert f"6 x 5 x 1, the same nats are {8 * 64 / 30:.3f} bits/dim" in found.protocol
    assert "padding" not in metrics.likelihood(Known(UNIFORM), grey).protocol


def test_images_outside_the_support_of_the_model_are_refused(grey):
    with pytest.raises(ValueError, match=r"binary images.*binarize"):
        metrics.likelihood(Known(FAIR), grey)
    unit = kgan.data.ImageDataset(grey.images, batch_size=8, value_range=(0, 1))
    with pytest.raises(ValueError, match=r"256 levels.*value_range=\(-1, 1\)"):
        metrics.likelihood(Known(UNIFORM), unit)
    with pytest.raises(ValueError, match=r"binary images.*value_range=\(-1, 1\)"):
        metrics.likelihood(Known(FAIR), binarized("static", value_range=(0, 1)))


def test_what_has_no_likelihood_is_refused(grey, make_gan):
    with pytest.raises(TypeError, match=r"model with a likelihood.*kgan\.evaluate.*Received: GAN"):
        metrics.likelihood(make_gan(), grey)
    model = Known(UNIFORM)
    model.likelihood_support = "grey"
    with pytest.raises(ValueError, match=r"'binary', 'levels', 'density'.*Received: 'grey'"):
        metrics.likelihood(model, grey)


def test_what_log_prob_must_give(grey):
    model = Known(UNIFORM)
    model.log_prob = lambda images: np.zeros((len(images), 1))
    with pytest.raises(ValueError, match=r"one number for each image, \(60,\).*\(60, 1\)"):
        metrics.likelihood(model, grey)
    model.log_prob = lambda images: np.where(np.arange(len(images)) == 4, -np.inf, 0.0)
    with pytest.raises(DivergedError, match="infinity for 1 of 60 images, the first at index 4"):
        metrics.likelihood(model, grey)


# ---- floors --------------------------------------------------------------------------------------


def floors_of(found):
    return {floor.title: floor.nats for floor in found.floors}


def test_floors_of_binary_images_are_those_of_the_tables():
    test, train = binarized("dynamic"), binarized("dynamic", 90)
    found = metrics.likelihood(Known(FAIR), test, training=train, seed=3)
    shown, fitted = ((x.draw(n, 3)[0] > 0).astype("uint8") for x, n in ((test, 60), (train, 90)))
    assert floors_of(found) == {
        "entropy of the drawing": pytest.approx(tables.drawing_entropy(test.images)),
        "independent pixels": pytest.approx(tables.position_nats(shown, fitted, 2)),
        "table of 18 causal neighbours": pytest.approx(tables.neighbour_nats(shown, fitted, 2)),
    }
    assert [floor.title for floor in found.floors if floor.is_limit] == ["entropy of the drawing"]
    assert found.limit == floors_of(found)["entropy of the drawing"]
    assert found.fitted_on == "90 training images"
    assert "fitted on 90 training images" in str(found)


def test_a_threshold_has_no_entropy():
    found = metrics.likelihood(Known(FAIR), binarized("threshold"))
    assert found.limit is None
    assert not found.is_impossible
    assert "entropy of the drawing" not in floors_of(found)


def test_floors_of_grey_images_are_those_of_the_tables(grey):
    found = metrics.likelihood(Known(UNIFORM), grey, training=grey.images, seed=3)
    shown = np.rint((grey.draw(60, 3)[0] + 1) * 127.5).astype("uint8")
    assert floors_of(found) == {
        "one histogram": pytest.approx(tables.histogram_nats(shown, grey.images, 256)),
        "one histogram for each pixel": pytest.approx(
            tables.position_nats(shown, grey.images, 256)
        ),
        "table of 3 causal neighbours": pytest.approx(
            tables.neighbour_nats(shown, grey.images, 256)
        ),
    }
    nats = [floor.nats for floor in found.floors]
    assert nats == sorted(nats)


def test_without_a_training_set_halves_measure_each_other(grey):
    found = metrics.likelihood(Known(UNIFORM), grey, seed=3)
    shown = np.rint((grey.draw(60, 3)[0] + 1) * 127.5).astype("uint8")
    expected = tables.histogram_nats(shown, None, 256)
    assert floors_of(found)["one histogram"] == pytest.approx(expected)
    assert "other half" in str(found)


def test_training_images_of_another_kind_are_refused(grey):
    with pytest.raises(ValueError, match=r"binarize='static'.*Received: binarize='dynamic'"):
        metrics.likelihood(Known(FAIR), binarized("static"), training=binarized("dynamic"))
    with pytest.raises(ValueError, match=r"\(6, 5, 1\).*Received: .*\(8, 8, 1\)"):
        metrics.likelihood(Known(UNIFORM), grey, training=np.zeros((30, 8, 8), "uint8"))


def test_stacked_images_have_the_entropy_of_all_channels():
    pictures = np.random.default_rng(0).integers(0, 256, (60, 6, 5), dtype="uint8")
    stacked = kgan.data.StackedImageDataset(pictures, batch_size=8, binarize="dynamic")
    found = metrics.likelihood(Known(FAIR), stacked, count=100)
    assert found.count == 100
    assert found.dimensions == 90
    assert found.limit == pytest.approx(3 * tables.drawing_entropy(pictures[..., None]))


def test_cropped_images_have_the_entropy_of_their_centres():
    whole = binarized("dynamic")
    height, width = whole.image_shape[0] - 3, whole.image_shape[1] - 2
    found = metrics.likelihood(Known(FAIR), binarized("dynamic", crop=(height, width)))
    centres = whole.images[:, 1 : 1 + height, 1 : 1 + width]
    assert found.limit == pytest.approx(tables.drawing_entropy(centres))
    assert found.image_shape == found.unpadded_shape == (height, width, 1)
    stack = kgan.data.StackedImageDataset(
        whole.images, binarize="dynamic", batch_size=8, seed=0, crop=(height, width)
    )
    found = metrics.likelihood(Known(FAIR), stack, count=40)
    assert found.limit == pytest.approx(3 * tables.drawing_entropy(centres))


def test_a_model_that_sees_the_pixels_is_called_impossible():
    class Seeing(Known):
        def log_prob(self, images):
            return np.full(len(images), -0.01)

    found = metrics.likelihood(Seeing(FAIR), binarized("dynamic"))
    assert found.is_impossible
    assert "impossible" in str(found)
    fair = metrics.likelihood(Known(FAIR), binarized("dynamic"))
    assert not fair.is_impossible
    assert "impossible" not in str(fair)


def test_a_density_has_no_floor_and_is_not_comparable(grey):
    class Density(Known):
        def log_prob(self, images):
            return np.full(len(images), 100.0)

    model = Density(UNIFORM)
    model.likelihood_support = "density"
    found = metrics.likelihood(model, grey)
    assert found.nats == -100.0
    assert found.floors == ()
    assert "not comparable" in str(found)
    (line,) = [line for line in str(found).splitlines() if line.startswith("model")]
    assert line.split() == ["model", "-100.00", "±", "0.00", "nats"]  # and no bits/dim


# ---- output --------------------------------------------------------------------------------------


def test_the_table_has_the_limit_above_and_the_floors_below():
    found = metrics.likelihood(Known(FAIR), binarized("dynamic"))
    lines = str(found).splitlines()
    assert lines[0].split() == ["negative", "log-likelihood", "nats", "bits/dim"]
    assert lines[1].startswith("entropy of the drawing")
    assert lines[1].endswith("no model can be lower")
    assert lines[2].split()[:3] == ["model", f"{found.nats:.2f}", "1.000"]
    assert {line.split("  ")[0] for line in lines[3:5]} == {
        "independent pixels",
        "table of 18 causal neighbours",
    }


def test_json_holds_all_of_it(grey):
    found = metrics.likelihood(Bound(UNIFORM), grey, samples=3)
    read = json.loads(json.dumps(found.to_dict()))
    assert read["nats"] == found.nats
    assert read["bits_per_dimension"] == found.bits_per_dimension
    assert read["protocol"] == found.protocol
    assert read["samples"] == 3
    assert read["image_shape"] == [6, 5, 1]
    assert [floor["nats"] for floor in read["floors"]] == [floor.nats for floor in found.floors]


def test_progress_is_told(grey):
    said = []
    metrics.likelihood(Known(UNIFORM), grey, batch_size=40, say=said.append)
    assert said[:2] == [
        "log-likelihoods of images 1 to 40",
        "log-likelihoods of images 41 to 60",
    ]
    assert len(said) == 3

"""What nearest neighbours tell, against plain loops and at the limits."""

import numpy as np
import pytest
from sklearn.neighbors import NearestNeighbors

from kgan import metrics
from kgan.metrics import neighbours as module

pytestmark = pytest.mark.backend_free


@pytest.fixture(params=[2**21, 700], ids=["one block", "many blocks"])
def _blocks(request, monkeypatch):
    monkeypatch.setattr(module, "_BLOCK_ELEMENTS", request.param)


def normal(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape)


@pytest.mark.usefixtures("_blocks")
def test_each_sample_against_a_plain_implementation():
    real, fake = normal(90, 5), normal(130, 5, seed=1) * 0.8
    compared = metrics.compare_neighbours(real, fake, neighbours=3, density_neighbours=5)

    def radii(x, k):
        return NearestNeighbors(n_neighbors=k).fit(x).kneighbors()[0][:, -1]

    gaps = np.linalg.norm(real[:, None] - fake[None], axis=2)
    np.testing.assert_array_equal(compared.precise, (gaps <= radii(real, 3)[:, None]).any(axis=0))
    np.testing.assert_array_equal(compared.recalled, (gaps <= radii(fake, 3)).any(axis=1))
    near = gaps <= radii(real, 5)[:, None]
    np.testing.assert_allclose(compared.density, near.sum(axis=0) / 5)
    np.testing.assert_array_equal(compared.covered, near.any(axis=1))


def test_identical_sets():
    x = normal(200, 6) + 100.0  # far from the origin, where differences of squares lose digits
    assert metrics.precision_recall(x, x) == (1.0, 1.0)
    density, coverage = metrics.density_coverage(x, x)
    assert coverage == 1.0
    # Each sample lies in the neighbourhoods of itself and of those whose neighbour it is.
    assert density == pytest.approx(6 / 5)


def test_disjoint_sets():
    real, fake = normal(60, 4), normal(60, 4, seed=1) + 50.0
    assert metrics.precision_recall(real, fake) == (0.0, 0.0)
    assert metrics.density_coverage(real, fake) == (0.0, 0.0)


@pytest.mark.parametrize("scale", [1.0, 1e-4, 1e4])
def test_one_real_sample_repeated(scale):
    real = scale * (normal(100, 8) + 3.0)
    fake = np.repeat(real[7:8], 80, axis=0)
    # Precise in every sample; but their balls have no extent, so they recall that one alone.
    assert metrics.precision_recall(real, fake) == (1.0, 1 / 100)
    density, coverage = metrics.density_coverage(real, fake)
    holders = np.sum(
        np.linalg.norm(real - real[7], axis=1)
        <= NearestNeighbors(n_neighbors=5).fit(real).kneighbors()[0][:, -1]
    )
    assert density == pytest.approx(holders / 5)
    assert coverage == pytest.approx(holders / 100)


@pytest.mark.usefixtures("_blocks")
@pytest.mark.parametrize("count", [1, 3])
def test_nearest_neighbours_of_images(count):
    generator = np.random.default_rng(0)
    training = generator.integers(0, 256, (50, 6, 5, 1), dtype="uint8")
    samples = generator.integers(0, 256, (20, 6, 5, 1), dtype="uint8")
    samples[4] = training[31]
    distances, places = metrics.nearest_neighbours(samples, training, count)
    gaps = np.linalg.norm(
        samples.reshape(20, 1, -1).astype(float) - training.reshape(1, 50, -1).astype(float),
        axis=2,
    )
    np.testing.assert_array_equal(places, np.argsort(gaps, axis=1, kind="stable")[:, :count])
    np.testing.assert_allclose(distances, np.sort(gaps, axis=1)[:, :count])
    assert places[4, 0] == 31
    assert distances[4, 0] == 0.0


@pytest.mark.parametrize("offset", [1e3, 1e5])
def test_nearest_neighbours_of_features_far_from_the_origin(offset):
    training, samples = normal(80, 16) + offset, normal(30, 16, seed=1) + offset
    distances, places = metrics.nearest_neighbours(samples, training)
    gaps = np.linalg.norm(samples[:, None] - training[None], axis=2)
    np.testing.assert_array_equal(places[:, 0], gaps.argmin(axis=1))
    np.testing.assert_allclose(distances[:, 0], gaps.min(axis=1), rtol=1e-9)


@pytest.mark.usefixtures("_blocks")
def test_nearest_neighbours_of_images_that_hardly_differ():
    generator = np.random.default_rng(0)
    scene = generator.integers(0, 2, 3000) * 254
    still = np.repeat(scene[np.newaxis], 60, axis=0)  # but for one pixel in each, by one level
    still[np.arange(60), np.arange(60)] += 1
    training = np.concatenate([still, generator.integers(0, 256, (60, 3000))]).astype("uint8")
    distances, places = metrics.nearest_neighbours(training, training)
    np.testing.assert_array_equal(places[:, 0], np.arange(120))
    np.testing.assert_array_equal(distances, 0.0)
    assert metrics.authenticity(training[:60], training) == 0.0


@pytest.mark.parametrize("scale", [1e-30, 1e-4, 1e30])
def test_nearest_neighbours_of_features_of_any_size(scale):
    training, samples = normal(80, 16) * scale, normal(30, 16, seed=1) * scale
    training[:40, 0] += 1e7 * scale  # two clusters, far apart for how wide they are
    samples[:15, 0] += 1e7 * scale
    distances, places = metrics.nearest_neighbours(samples, training)
    gaps = np.linalg.norm((samples[:, None] - training[None]) / scale, axis=2)
    np.testing.assert_array_equal(places[:, 0], gaps.argmin(axis=1))
    np.testing.assert_allclose(distances[:, 0] / scale, gaps.min(axis=1), rtol=1e-9)


def test_one_outlier_changes_nothing_for_the_others():
    real, fake = normal(60, 4), normal(60, 4, seed=1) + 50.0
    fake[7] = 1e8
    assert metrics.precision_recall(real, fake) == (0.0, 0.0)
    assert metrics.density_coverage(real, fake) == (0.0, 0.0)


def test_a_training_set_smaller_than_the_candidates():
    distances, places = metrics.nearest_neighbours(np.zeros((2, 3)), np.eye(3), count=3)
    np.testing.assert_array_equal(np.sort(places, axis=1), [[0, 1, 2]] * 2)
    np.testing.assert_allclose(distances, 1.0)


@pytest.mark.parametrize(
    ("samples", "training", "message"),
    [
        (np.zeros((2, 4)), np.zeros((5, 3)), r"shapes \(2, 4\) and \(5, 3\)"),
        (np.zeros((2, 3)), np.zeros((0, 3)), "at least 1 training images"),
        (np.full((2, 3), np.nan), np.zeros((5, 3)), "finite images"),
    ],
)
def test_what_has_no_nearest_neighbours(samples, training, message):
    with pytest.raises(ValueError, match=message):
        metrics.nearest_neighbours(samples, training)


def test_authenticity_tells_copies_from_new_samples():
    everything = normal(1200, 4)
    training, held_out = everything[:1000], everything[1000:]
    copies = training[:200] + 1e-3 * normal(200, 4, seed=1)
    assert metrics.authenticity(copies, training) == 0.0
    # By chance a new sample is nearer than the next training image about every other time.
    assert 0.4 < metrics.authenticity(held_out, training) < 0.75
    mixed = np.concatenate([copies, held_out])
    assert metrics.authenticity(mixed, training) == pytest.approx(
        metrics.authenticity(held_out, training) / 2, abs=0.01
    )


@pytest.mark.usefixtures("_blocks")
@pytest.mark.parametrize("images", [1, 20, 100])
def test_support_is_the_number_of_different_images(images):
    generator = np.random.default_rng(0)
    source = generator.standard_normal((images, 8))
    drawn = source[generator.integers(images, size=1500)]
    size = metrics.support_size(drawn, 1e-6)
    assert size == pytest.approx(images, rel=0.05)


def test_support_that_is_too_large_to_tell():
    assert metrics.support_size(normal(300, 8), 1e-6) == np.inf


@pytest.mark.usefixtures("_blocks")
def test_duplicate_distance_is_that_of_the_nearest_pairs():
    real = normal(120, 3)
    gaps = np.linalg.norm(real[:, None] - real[None], axis=2)[np.triu_indices(120, 1)]
    for pairs in (1, 10):
        distance = metrics.duplicate_distance(real, pairs)
        assert distance == pytest.approx(np.sort(gaps)[pairs - 1], rel=1e-9)
    # By it, the real set itself has a support of all its pairs among ten.
    assert metrics.support_size(real, distance) == 120 * 119 / 2 / 10


def test_too_few_for_the_neighbours_asked_for():
    with pytest.raises(ValueError, match=r"`fake` to hold at least 4 samples\. Received: 3"):
        metrics.precision_recall(normal(9, 2), normal(3, 2))
    with pytest.raises(ValueError, match="`neighbours` to be an integer of at least 1"):
        metrics.precision_recall(normal(9, 2), normal(9, 2), neighbours=0)
    with pytest.raises(ValueError, match=r"enough samples for 10 pairs\. Received: 4"):
        metrics.duplicate_distance(normal(4, 2))

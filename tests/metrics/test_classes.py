"""What a classifier's verdicts tell, against closed forms."""

import numpy as np
import pytest

from kgan import metrics

pytestmark = pytest.mark.backend_free


def test_inception_score_at_its_ends():
    sure = np.eye(10)[np.arange(1000) % 10]
    assert metrics.inception_score(sure) == pytest.approx((10.0, 0.0))
    one_class = np.eye(10)[np.zeros(1000, int)]
    assert metrics.inception_score(one_class) == pytest.approx((1.0, 0.0))
    unsure = np.full((1000, 10), 0.1)
    assert metrics.inception_score(unsure) == pytest.approx((1.0, 0.0))


def test_inception_score_by_hand():
    probabilities = np.array([[0.9, 0.1], [0.5, 0.5]])
    mean = probabilities.mean(axis=0)
    divergence = np.sum(probabilities * np.log(probabilities / mean), axis=1).mean()
    assert metrics.inception_score(probabilities, splits=1)[0] == pytest.approx(np.exp(divergence))


@pytest.mark.parametrize(
    ("probabilities", "message"),
    [
        (np.ones((10, 3)), "rows that sum to 1"),
        (np.array([[1.5, -0.5]] * 10), "at least 0"),
        (np.full((9, 2), 0.5), "at least 10 samples. Received: 9"),
        (np.full((10, 2), np.nan), "finite"),
    ],
)
def test_what_is_no_probabilities(probabilities, message):
    with pytest.raises(ValueError, match=message):
        metrics.inception_score(probabilities)


def test_class_shares():
    np.testing.assert_allclose(metrics.class_shares([0, 2, 2, 3], 5), [0.25, 0, 0.5, 0.25, 0])


def test_class_divergence():
    real = np.repeat([0, 1, 2], [50, 25, 25])
    assert metrics.class_divergence(real, real, 3) == 0.0
    one = np.zeros(10, int)
    assert metrics.class_divergence(one, real, 3) == pytest.approx(np.log(2))
    even = np.arange(9) % 3
    expected = (np.log(2 / 3) + np.log(4 / 3) + np.log(4 / 3)) / 3
    assert metrics.class_divergence(even, real, 3) == pytest.approx(expected)
    assert metrics.class_divergence([3], real, 4) == np.inf


def test_mode_coverage():
    assert metrics.mode_coverage(np.arange(1000)) == pytest.approx((1000, 0.0), abs=1e-12)
    modes, divergence = metrics.mode_coverage(np.arange(5000) % 250)
    assert modes == 250
    assert divergence == pytest.approx(np.log(4))


def test_chance_makes_the_divergence_that_is_documented():
    generator = np.random.default_rng(0)
    drawn = [metrics.mode_coverage(generator.integers(1000, size=26_000)) for _ in range(20)]
    assert {modes for modes, _ in drawn} == {1000}
    assert np.mean([d for _, d in drawn]) == pytest.approx(999 / (2 * 26_000), rel=0.05)


@pytest.mark.parametrize(
    ("classes", "message"),
    [
        ([], r"integers \(N,\)"),
        ([0.5, 1.0], "Received: float64"),
        ([[1, 2]], r"shape \(1, 2\)"),
        ([0, 3], "below num_classes=3. Received: from 0 to 3"),
        ([-1, 0], "Received: from -1 to 0"),
    ],
)
def test_what_is_no_classes(classes, message):
    with pytest.raises(ValueError, match=message):
        metrics.class_shares(classes, 3)


@pytest.mark.parametrize("number", [0, 2.5, None])
def test_a_number_of_classes_that_is_none(number):
    with pytest.raises(ValueError, match="num_classes"):
        metrics.class_shares([0, 1], number)


def test_bootstrap_interval_of_a_mean():
    x = np.random.default_rng(0).normal(5.0, 2.0, 400)
    low, high = metrics.bootstrap_interval(np.mean, x, resamples=2000)
    error = 1.96 * x.std() / np.sqrt(400)
    assert low == pytest.approx(x.mean() - error, abs=0.1 * error)
    assert high == pytest.approx(x.mean() + error, abs=0.1 * error)


def test_bootstrap_interval_holds_the_true_distance_though_the_figure_is_too_high():
    # Of two sets from one distribution the distance is 0, and every estimate is above it.
    real, fake = np.random.default_rng(0).standard_normal((2, 300, 6))
    low, high = metrics.bootstrap_interval(metrics.frechet_distance, real, fake)
    assert metrics.frechet_distance(real, fake) > 0.01
    assert low < 0.02
    assert low < high


def test_kernel_interval_holds_the_true_distance_as_often_as_it_says():
    from kgan.metrics.figures import compare

    held = 0
    for seed in range(100):
        real, fake = np.random.default_rng(seed).standard_normal((2, 120, 4)).astype("float32")
        figures = compare(metrics.Features(real), metrics.Features(fake), resamples=1)
        low, high = figures["kid"].interval
        held += low <= 0 <= high
    assert 88 <= held <= 100


@pytest.mark.parametrize(("scale", "shift"), [(0.6, 0.0), (0.5, 0.5)])
def test_neighbour_intervals_hold_the_mean_figure_as_often_as_they_say(scale, shift):
    from kgan.metrics.figures import compare

    found = []
    for seed in range(40):
        real, fake = np.random.default_rng(seed).standard_normal((2, 120, 8)).astype("float32")
        fakes = metrics.Features(fake * scale + shift)
        found.append(compare(metrics.Features(real), fakes, resamples=1))
    for name in ("precision", "recall", "density", "coverage"):
        mean = np.mean([figures[name].value for figures in found])
        intervals = np.array([figures[name].interval for figures in found])
        held = np.mean((intervals[:, 0] <= mean) & (mean <= intervals[:, 1]))
        assert held >= 0.85, name
        spread = np.std([figures[name].value for figures in found])
        assert np.mean(intervals[:, 1] - intervals[:, 0]) < 2 * 3.92 * spread, name


def test_the_interval_of_class_shares_knows_that_the_real_ones_are_drawn_too():
    from kgan.metrics.figures import compare

    generator = np.random.default_rng(0)
    real, fake = (
        metrics.Features(
            generator.standard_normal((60, 1)).astype("float32"), generator.choice(3, 60, p=shares)
        )
        for shares in ([0.1, 0.2, 0.7], [0.7, 0.2, 0.1])
    )
    expected = metrics.bootstrap_interval(
        lambda *classes: metrics.class_divergence(*classes, 3),
        fake.classes,
        real.classes,
        resamples=20,
    )
    assert compare(real, fake, 3, resamples=20)["class_divergence"].interval == expected


def test_a_class_that_resamples_of_real_images_may_lack_leaves_no_interval():
    from kgan.metrics.figures import compare

    vectors = np.random.default_rng(0).standard_normal((60, 1)).astype("float32")
    classes = np.arange(60) == 0
    one = metrics.Features(vectors, classes.astype(int))
    figure = compare(one, one, 2, resamples=20)["class_divergence"]
    assert (figure.value, figure.interval) == (0.0, None)


def test_intervals_end_where_the_figures_do():
    from kgan.metrics.figures import compare

    vectors = np.random.default_rng(0).standard_normal((2, 60, 8)).astype("float32")
    classes = np.arange(60) % 3
    real, fake = (metrics.Features(x, classes) for x in vectors)
    found = compare(real, fake, 3, resamples=20)
    for name in ("fcd", "class_divergence"):
        low, high = found[name].interval
        assert 0 <= low <= high, name
    same = compare(real, real, resamples=20)
    assert same["recall"].interval[1] == same["precision"].interval[1] == 1.0


def test_a_covariance_that_is_not_of_full_rank_gives_no_interval():
    from kgan.metrics.figures import compare

    vectors = np.random.default_rng(0).standard_normal((80, 40)).astype("float32")
    few, many = metrics.Features(vectors[:40]), metrics.Features(vectors[:41])
    for real, fake in ((few, many), (many, few)):
        assert compare(real, fake, resamples=2)["fcd"].interval is None
    assert compare(many, many, resamples=2)["fcd"].interval is not None


def test_bootstrap_interval_of_nonsense():
    with pytest.raises(ValueError, match=r"Received: level=1\.5"):
        metrics.bootstrap_interval(np.mean, [1.0, 2.0], level=1.5)
    with pytest.raises(ValueError, match="Received: resamples=0"):
        metrics.bootstrap_interval(np.mean, [1.0, 2.0], resamples=0)

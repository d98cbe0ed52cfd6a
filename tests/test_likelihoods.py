"""Every likelihood against SciPy and closed forms: values, gradients, samples, saving."""

import keras
import numpy as np
import pytest
from keras import ops
from scipy import integrate, special, stats

from kgan import _backend, likelihoods
from kgan.likelihoods import (
    Bernoulli,
    DiscretizedLogistic,
    DiscretizedLogisticMixture,
    Gaussian,
)

LEVELS = (np.arange(256) / 127.5 - 1).astype("float32")
SHAPE = (5, 3, 2, 2)
EXTREMES = [-1e30, -1e6, -50.0, -1.0, 0.3, 1.0, 50.0, 1e6, 1e30]


def draw(*shape, seed=0, scale=1.0):
    return (scale * np.random.default_rng(seed).standard_normal(shape)).astype("float32")


def log_prob(likelihood, images, outputs, **options):
    images, outputs = ops.convert_to_tensor(images), ops.convert_to_tensor(outputs)
    return ops.convert_to_numpy(likelihood.log_prob(images, outputs, **options))


def sample(likelihood, outputs, seed=3):
    noise = keras.random.SeedGenerator(seed)
    return ops.convert_to_numpy(likelihood.sample(ops.convert_to_tensor(outputs), noise))


def mean(likelihood, outputs):
    return ops.convert_to_numpy(likelihood.mean(ops.convert_to_tensor(outputs)))


def gradient(likelihood, images, outputs, variables=(), **options):
    """The gradient of the total with respect to the outputs, and to the given variables."""
    given = keras.Variable(outputs)

    def objective():
        total = ops.sum(likelihood.log_prob(ops.convert_to_tensor(images), given, **options))
        return total, ()

    slopes, _ = _backend.gradients(objective, [given, *variables])
    return [ops.convert_to_numpy(slope) for slope in slopes]


def level_log_probs(location, log_scale, **options):
    """The log probabilities of all 256 levels of one pixel, (256,)."""
    outputs = np.broadcast_to(np.array([location, log_scale], "float32"), (256, 1, 1, 2))
    return log_prob(DiscretizedLogistic(**options), LEVELS.reshape(256, 1, 1, 1), outputs)


@pytest.fixture
def binary():
    return np.where(draw(*SHAPE, seed=1) > 0, 1.0, -1.0).astype("float32")


@pytest.fixture
def grey():
    return LEVELS[np.random.default_rng(2).integers(0, 256, SHAPE)]


# ---- Bernoulli -----------------------------------------------------------------------------------


def test_bernoulli_is_scipys(binary):
    logits = draw(*SHAPE, scale=3.0)
    expected = stats.bernoulli.logpmf((binary + 1) / 2, special.expit(logits.astype("float64")))
    found = log_prob(Bernoulli(), binary, logits)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected.sum(axis=(1, 2, 3)), rtol=1e-5)


def test_bernoulli_of_logits_of_any_size(binary):
    logits = np.broadcast_to(np.array(EXTREMES, "float32")[:, None, None, None], (9, 1, 1, 1))
    for value in (-1.0, 1.0):
        images = np.full((9, 1, 1, 1), value, "float32")
        found = log_prob(Bernoulli(), images, logits)
        expected = special.log_expit(value * np.array(EXTREMES))
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-7)
        (slope,) = gradient(Bernoulli(), images, logits)
        chance = special.expit(np.array(EXTREMES))
        np.testing.assert_allclose(slope.ravel(), (value + 1) / 2 - chance, rtol=1e-5, atol=1e-6)


def test_bernoulli_of_logits_of_zero_is_a_fair_coin(binary):
    found = log_prob(Bernoulli(), binary, np.zeros(SHAPE, "float32"))
    np.testing.assert_allclose(found, -3 * 2 * 2 * np.log(2), rtol=1e-6)


def test_bernoulli_mean_and_samples():
    logits = np.broadcast_to(np.array([-2.0, 0.5, 60.0], "float32"), (20_000, 1, 1, 3))
    chances = special.expit([-2.0, 0.5, 60.0])
    np.testing.assert_allclose(mean(Bernoulli(), logits)[0, 0, 0], 2 * chances - 1, rtol=1e-5)
    drawn = sample(Bernoulli(), logits)
    assert set(np.unique(drawn)) == {-1.0, 1.0}
    # Six standard errors of a share of 20,000.
    np.testing.assert_allclose((drawn == 1).mean(axis=(0, 1, 2)), chances, atol=6 * 0.5 / 141)


# ---- discretised logistic ------------------------------------------------------------------------


@pytest.mark.parametrize("location", EXTREMES)
@pytest.mark.parametrize("log_scale", [-1e30, -40.0, -7.0, -4.0, -1.0, 0.0, 3.0, 12.0, 60.0, 1e30])
def test_probabilities_of_all_levels_sum_to_one(location, log_scale):
    found = level_log_probs(location, log_scale)
    assert np.isfinite(found).all()
    assert np.exp(found.astype("float64")).sum() == pytest.approx(1.0, abs=2e-5)


@pytest.mark.parametrize(("location", "log_scale"), [(0.2, -3.0), (-0.9, -1.0), (1.3, 0.5)])
def test_discretized_logistic_is_the_difference_of_scipys_distribution_functions(
    location, log_scale
):
    edges = np.concatenate([[-np.inf], LEVELS[:-1].astype("float64") + 1 / 255, [np.inf]])
    logistic = stats.logistic(location, np.exp(log_scale))
    expected = np.diff(logistic.cdf(edges))
    found = np.exp(level_log_probs(location, log_scale))
    np.testing.assert_allclose(found, expected, rtol=2e-4, atol=1e-9)


def test_small_probabilities_are_exact_too():
    # 0.9 is 900 scales from the location: float64's distribution function is 1 on both sides.
    found = level_log_probs(0.0, -7.0)
    scale = np.exp(-7.0)
    level = 240
    x = level / 127.5 - 1
    # Far in the tail F(x) is 1 - exp(-x / scale).
    expected = -(x - 1 / 255) / scale + np.log1p(-np.exp(-2 / 255 / scale))
    assert found[level] == pytest.approx(expected, rel=1e-5)


def test_log_scales_are_clamped_from_below():
    np.testing.assert_array_equal(level_log_probs(0.1, -7.0), level_log_probs(0.1, -900.0))
    np.testing.assert_array_equal(
        level_log_probs(0.1, -3.0, min_log_scale=-3.0),
        level_log_probs(0.1, -4.0, min_log_scale=-3.0),
    )
    assert (level_log_probs(0.1, -4.0) != level_log_probs(0.1, -3.0)).any()
    for least in (-31.0, 20.0, float("nan")):
        with pytest.raises(ValueError, match="`min_log_scale` to be at least -30 and below 20"):
            DiscretizedLogistic(min_log_scale=least)


def test_a_level_takes_half_a_bin_on_each_side():
    # A narrow distribution in the middle of a level, and on the edge between two.
    level = 100
    middle, edge = level / 127.5 - 1, (level + 0.5) / 127.5 - 1
    found = np.exp(level_log_probs(middle, -7.0))
    within = 1 - 2 * special.expit(-np.exp(7.0) / 255)
    assert found[level] == pytest.approx(within, rel=1e-4)
    found = np.exp(level_log_probs(edge, -7.0))
    np.testing.assert_allclose(found[level : level + 2], 0.5, rtol=0.01)


def test_a_wide_logistic_is_nearly_uniform_between_the_edges():
    found = level_log_probs(0.0, 2.0)[1:-1]
    # The density at the location is 1 / (4 scale).
    np.testing.assert_allclose(np.exp(found), (2 / 255) / (4 * np.exp(2.0)), rtol=0.01)


def test_outputs_are_locations_then_log_scales(grey):
    location, log_scale = draw(*SHAPE, seed=4, scale=0.5), draw(*SHAPE, seed=5) - 2
    both = np.concatenate([location, log_scale], axis=-1)
    upper = special.expit((grey + 1 / 255 - location) / np.exp(log_scale.astype("float64")))
    lower = special.expit((grey - 1 / 255 - location) / np.exp(log_scale.astype("float64")))
    expected = np.log(np.where(grey == 1, 1, upper) - np.where(grey == -1, 0, lower))
    found = log_prob(DiscretizedLogistic(), grey, both)
    np.testing.assert_allclose(found, expected.sum(axis=(1, 2, 3)), rtol=1e-4)


def test_gradients_of_the_discretized_logistic_are_finite_at_extremes():
    grid = np.array([(x, m, s) for x in (0, 1, 127, 255) for m in EXTREMES for s in (-90, -3, 60)])
    images = LEVELS[grid[:, 0].astype(int)].reshape(-1, 1, 1, 1)
    outputs = grid[:, 1:].astype("float32").reshape(-1, 1, 1, 2)
    assert np.isfinite(log_prob(DiscretizedLogistic(), images, outputs)).all()
    (slope,) = gradient(DiscretizedLogistic(), images, outputs)
    assert np.isfinite(slope).all()


def test_gradient_of_the_discretized_logistic_is_the_differences_quotient():
    images = LEVELS[[0, 40, 90, 254, 255]].reshape(-1, 1, 1, 1)
    outputs = np.tile(np.array([0.1, -1.5], "float32"), (5, 1, 1, 1))
    (slope,) = gradient(DiscretizedLogistic(), images, outputs)
    for number in range(2):
        step = np.zeros((1, 1, 1, 2), "float32")
        step[..., number] = 2e-2
        change = log_prob(DiscretizedLogistic(), images, outputs + step) - log_prob(
            DiscretizedLogistic(), images, outputs - step
        )
        np.testing.assert_allclose(slope[:, 0, 0, number], change / 4e-2, rtol=5e-3, atol=1e-3)


@pytest.mark.parametrize("location", [-1.0, -0.3, 0.0, 1.0, 40.0, -1e30])
@pytest.mark.parametrize("log_scale", [-7.0, -3.0, 0.0, 2.0])
def test_mean_of_the_discretized_logistic_is_that_of_its_levels(location, log_scale):
    chances = np.exp(level_log_probs(location, log_scale).astype("float64"))
    found = mean(
        DiscretizedLogistic(), np.array([location, log_scale], "float32")[None, None, None]
    )
    assert -1 <= found.item() <= 1
    assert found.item() == pytest.approx(float(chances @ LEVELS), abs=1 / 255 + 1e-5)


def test_samples_of_the_discretized_logistic_have_its_frequencies():
    location, log_scale = 0.85, -2.5
    outputs = np.broadcast_to(np.array([location, log_scale], "float32"), (200, 10, 10, 2))
    drawn = sample(DiscretizedLogistic(), outputs)
    assert drawn.shape == (200, 10, 10, 1)
    likelihoods.check_support("levels", drawn)
    counts = np.bincount(np.rint((drawn.ravel() + 1) * 127.5).astype(int), minlength=256)
    chances = np.exp(level_log_probs(location, log_scale).astype("float64"))
    often = chances > 1e-3
    expected = 20_000 * chances / chances.sum()
    pooled_counts = np.append(counts[often], counts[~often].sum())
    pooled = np.append(expected[often], expected[~often].sum())
    assert stats.chisquare(pooled_counts, pooled).pvalue > 1e-4


# ---- mixture of discretised logistics ------------------------------------------------------------

# Three components: the logits of their weights, locations from -1, 0 and 1, and log scales.
MIXTURE = np.array([0.3, -0.4, 1.1, 0.05, 0.2, -0.3, -3.0, -1.5, -5.0], "float32")


def chances_of_the_mixture():
    """The probabilities of the 256 levels, from those of the single components."""
    weights = special.softmax(MIXTURE[:3].astype("float64"))
    components = [
        np.exp(level_log_probs(place + offset, log_scale).astype("float64"))
        for place, offset, log_scale in zip((-1, 0, 1), MIXTURE[3:6], MIXTURE[6:], strict=True)
    ]
    return weights @ components


def test_a_mixture_is_the_weighted_sum_of_its_components():
    outputs = np.broadcast_to(MIXTURE, (256, 1, 1, 9))
    likelihood = DiscretizedLogisticMixture(3)
    assert likelihood.outputs_per_channel() == 9
    found = np.exp(log_prob(likelihood, LEVELS.reshape(256, 1, 1, 1), outputs))
    np.testing.assert_allclose(found, chances_of_the_mixture(), rtol=1e-4, atol=1e-12)
    assert found.sum() == pytest.approx(1, abs=1e-5)


def test_channels_of_a_mixture_are_independent(grey):
    likelihood = DiscretizedLogisticMixture(2)
    outputs = draw(5, 3, 2, 6 * 2, seed=7)
    whole = log_prob(likelihood, grey, outputs)
    parts = [
        log_prob(likelihood, grey[..., channel : channel + 1], outputs[..., channel::2])
        for channel in range(2)
    ]
    np.testing.assert_allclose(whole, parts[0] + parts[1], rtol=1e-5)


def test_gradients_of_a_mixture_are_finite_at_extremes():
    grid = np.array([(x, m, s) for x in (0, 127, 255) for m in EXTREMES for s in (-90, -3, 60)])
    images = LEVELS[grid[:, 0].astype(int)].reshape(-1, 1, 1, 1)
    m, s = grid[:, 1].astype("float32"), grid[:, 2].astype("float32")
    outputs = np.stack([m / 1e25, 0 * m, m, 0 * m, s, 0 * s], axis=-1).reshape(-1, 1, 1, 6)
    assert np.isfinite(log_prob(DiscretizedLogisticMixture(2), images, outputs)).all()
    (slope,) = gradient(DiscretizedLogisticMixture(2), images, outputs)
    assert np.isfinite(slope).all()


def test_mean_and_samples_of_a_mixture():
    chances = chances_of_the_mixture()
    likelihood = DiscretizedLogisticMixture(3)
    found = mean(likelihood, MIXTURE[None, None, None])
    assert found.shape == (1, 1, 1, 1)
    assert found.item() == pytest.approx(float(chances @ LEVELS), abs=1 / 255 + 1e-5)
    drawn = sample(likelihood, np.broadcast_to(MIXTURE, (200, 10, 10, 9)))
    likelihoods.check_support("levels", drawn)
    counts = np.bincount(np.rint((drawn.ravel() + 1) * 127.5).astype(int), minlength=256)
    often = chances > 1e-3
    pooled = np.append(chances[often], chances[~often].sum())
    counts = np.append(counts[often], counts[~often].sum())
    assert stats.chisquare(counts, 20_000 * pooled / pooled.sum()).pvalue > 1e-4


def test_a_mixture_has_two_components_at_least():
    with pytest.raises(ValueError, match="components"):
        DiscretizedLogisticMixture(1)


# ---- Gaussian ------------------------------------------------------------------------------------


def test_a_fixed_variance_is_scipys():
    images, means = draw(*SHAPE, seed=1), draw(*SHAPE, seed=2)
    expected = stats.norm.logpdf(images, means, np.sqrt(0.3)).sum(axis=(1, 2, 3))
    np.testing.assert_allclose(log_prob(Gaussian(0.3), images, means), expected, rtol=1e-5)
    half = log_prob(Gaussian(0.5), images, means)
    squares = np.sum((images - means) ** 2, axis=(1, 2, 3))
    np.testing.assert_allclose(half, -squares - 6 * np.log(np.pi), rtol=1e-5)


def test_a_learnt_variance_is_one_trained_number():
    images, means = draw(*SHAPE, seed=1), draw(*SHAPE, seed=2)
    likelihood = Gaussian("learnt")
    (variable,) = likelihood.trainable_variables
    expected = stats.norm.logpdf(images, means, 1.0).sum(axis=(1, 2, 3))
    np.testing.assert_allclose(log_prob(likelihood, images, means), expected, rtol=1e-5)
    variable.assign(np.log(0.2))
    expected = stats.norm.logpdf(images, means, np.sqrt(0.2)).sum(axis=(1, 2, 3))
    # The smooth bound raises the log variance by softplus(-10.4) here.
    np.testing.assert_allclose(log_prob(likelihood, images, means), expected, rtol=1e-4)
    _, slope = gradient(likelihood, images, means, [variable])
    squares = np.sum((images - means) ** 2)
    np.testing.assert_allclose(slope, 0.5 * (squares / 0.2 - images.size), rtol=1e-4)


def test_variances_of_each_pixel():
    images, means = draw(*SHAPE, seed=1), draw(*SHAPE, seed=2)
    log_variances = draw(*SHAPE, seed=3)
    outputs = np.concatenate([means, log_variances], axis=-1)
    expected = stats.norm.logpdf(images, means, np.exp(log_variances / 2)).sum(axis=(1, 2, 3))
    likelihood = Gaussian("per_pixel")
    assert likelihood.outputs_per_channel() == 2
    np.testing.assert_allclose(log_prob(likelihood, images, outputs), expected, rtol=1e-4)


def test_log_variances_have_a_lower_bound():
    exact = np.zeros((4, 1, 1, 1), "float32")
    for low in (-1e4, -1e30):
        outputs = np.broadcast_to(np.array([0.0, low], "float32"), (4, 1, 1, 2))
        found = log_prob(Gaussian("per_pixel"), exact, outputs)
        np.testing.assert_allclose(found, 6.0 - 0.5 * np.log(2 * np.pi), rtol=1e-6)
        far = log_prob(Gaussian("per_pixel"), exact + 1, outputs)
        assert np.isfinite(far).all()
        assert all(np.isfinite(s).all() for s in gradient(Gaussian("per_pixel"), exact, outputs))
    learnt = Gaussian("learnt")
    learnt.log_variance.assign(-1e4)
    found = log_prob(learnt, exact, exact)
    np.testing.assert_allclose(found, 6.0 - 0.5 * np.log(2 * np.pi), rtol=1e-6)
    perfect = log_prob(Gaussian("optimal"), exact, exact, training=True)
    np.testing.assert_allclose(perfect, 6.0 - 0.5 * np.log(2 * np.pi), rtol=1e-6)


def test_the_optimal_variance_maximises_the_likelihood_of_the_batch():
    images, means = draw(*SHAPE, seed=1), draw(*SHAPE, seed=2, scale=0.4)
    best = log_prob(Gaussian("optimal"), images, means, training=True)
    variance = np.mean((images - means) ** 2)
    expected = stats.norm.logpdf(images, means, np.sqrt(variance)).sum(axis=(1, 2, 3))
    np.testing.assert_allclose(best, expected, rtol=1e-5)
    for factor in (0.8, 0.95, 1.05, 1.25):
        other = log_prob(Gaussian(float(factor * variance)), images, means)
        assert other.sum() < best.sum()


def test_gradient_with_the_optimal_variance_is_that_of_the_log_of_the_error():
    # With the variance v, the mean squared error, the batch's total is -N/2 (log(2 pi v) + 1).
    images, means = draw(*SHAPE, seed=1), draw(*SHAPE, seed=2)
    (slope,) = gradient(Gaussian("optimal"), images, means, training=True)
    variance = np.mean((images - means) ** 2)
    np.testing.assert_allclose(slope, (images - means) / variance, rtol=1e-4)


def test_the_optimal_variance_is_kept_for_evaluation(tmp_path):
    likelihood = Gaussian("optimal", decay=0.75)
    images = np.zeros((4, 2, 2, 1), "float32")
    new = log_prob(likelihood, images, images + 2)
    np.testing.assert_allclose(new, stats.norm.logpdf(2.0) * 4, rtol=1e-5)
    kept = filled = 0.0
    for error in (1.0, 3.0, 0.5):
        log_prob(likelihood, images, images + error, training=True)
        kept, filled = 0.75 * kept + 0.25 * error**2, 0.75 * filled + 0.25
    expected = stats.norm.logpdf(2.0, 0.0, np.sqrt(kept / filled)) * 4
    np.testing.assert_allclose(log_prob(likelihood, images, images + 2), expected, rtol=1e-5)
    assert not likelihood.trainable_variables
    model = keras.Sequential([keras.Input((2, 2, 1)), Kept(likelihood)])
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras").layers[-1].likelihood
    assert loaded.decay == 0.75
    np.testing.assert_allclose(log_prob(loaded, images, images + 2), expected, rtol=1e-5)


@keras.saving.register_keras_serializable(package="tests")
class Kept(keras.layers.Layer):
    """A layer that has a likelihood, as a model does."""

    def __init__(self, likelihood, **options):
        super().__init__(**options)
        self.likelihood = likelihood

    def call(self, x):
        return x

    def get_config(self):
        kept = keras.saving.serialize_keras_object(self.likelihood)
        return {**super().get_config(), "likelihood": kept}

    @classmethod
    def from_config(cls, config):
        kept = keras.saving.deserialize_keras_object(config.pop("likelihood"))
        return cls(kept, **config)


def test_the_density_of_a_pixel_integrates_to_one():
    values = np.linspace(-12, 12, 2001, dtype="float32").reshape(-1, 1, 1, 1)
    outputs = np.broadcast_to(np.array([0.3, 0.7], "float32"), (2001, 1, 1, 2))
    density = np.exp(log_prob(Gaussian("per_pixel"), values, outputs))
    assert integrate.trapezoid(density, values.ravel()) == pytest.approx(1.0, abs=1e-4)


def test_gaussian_mean_and_samples():
    outputs = np.broadcast_to(np.array([0.5, 3.0, np.log(0.04), 0.0], "float32"), (9000, 1, 1, 4))
    likelihood = Gaussian("per_pixel")
    np.testing.assert_array_equal(mean(likelihood, outputs)[0, 0, 0], [0.5, 1.0])
    drawn = sample(likelihood, outputs)
    assert drawn.shape == (9000, 1, 1, 2)
    assert stats.kstest(drawn[..., 0].ravel(), stats.norm(0.5, 0.2).cdf).pvalue > 1e-4
    assert stats.kstest(drawn[..., 1].ravel(), stats.norm(3.0, 1.0).cdf).pvalue > 1e-4


def test_what_is_no_variance():
    for wrong in ("learned", 0, -1.0, float("inf"), float("nan"), True, None):
        with pytest.raises(ValueError, match=r"'learnt', 'per_pixel', 'optimal' or a number above"):
            Gaussian(wrong)
    with pytest.raises(ValueError, match=r"`decay` to be in \[0, 1\)"):
        Gaussian("optimal", decay=1.0)


# ---- all of them ---------------------------------------------------------------------------------


def every():
    return [
        *(likelihoods.get(name) for name in likelihoods.names()),
        Gaussian("per_pixel"),
        Gaussian("optimal"),
        Gaussian(0.1),
    ]


IDS = [*likelihoods.names(), "gaussian-per_pixel", "gaussian-optimal", "gaussian-fixed"]


@pytest.mark.parametrize("likelihood", every(), ids=IDS)
def test_dimensions_are_summed_not_averaged(likelihood):
    # An image beside itself has twice the log-likelihood.
    images = np.where(draw(4, 3, 3, 1, seed=1) > 0, 1.0, -1.0).astype("float32")
    outputs = draw(4, 3, 3, likelihood.outputs_for(1), seed=2)
    once = log_prob(likelihood, images, outputs)
    twice = log_prob(likelihood, *(np.concatenate([x, x], axis=1) for x in (images, outputs)))
    assert once.shape == (4,)
    np.testing.assert_allclose(twice, 2 * once, rtol=1e-5)


@pytest.mark.parametrize("policy", ["mixed_float16", "float16", "float64"])
def test_computes_in_float32_whatever_the_policy(policy):
    before, floatx = keras.config.dtype_policy(), keras.config.floatx()
    images = np.where(draw(4, 9, 9, 1, seed=1) > 0, 1.0, -1.0).astype("float32")
    expected = [
        log_prob(each, images, draw(4, 9, 9, each.outputs_for(1), seed=2, scale=9.0))
        for each in every()
    ]
    keras.config.set_dtype_policy(policy)
    if policy != "mixed_float16":
        keras.config.set_floatx(policy)
    try:
        for each, known in zip(every(), expected, strict=True):
            outputs = draw(4, 9, 9, each.outputs_for(1), seed=2, scale=9.0)
            found = log_prob(each, images, outputs)
            assert found.dtype == np.float32
            np.testing.assert_allclose(found, known, rtol=1e-6)
            drawn = sample(each, outputs)
            assert drawn.dtype == mean(each, outputs).dtype == np.float32
    finally:
        keras.config.set_floatx(floatx)
        keras.config.set_dtype_policy(before)


@pytest.mark.parametrize("likelihood", every(), ids=IDS)
def test_what_the_config_says_makes_the_same(likelihood):
    config = keras.saving.serialize_keras_object(likelihood)
    again = keras.saving.deserialize_keras_object(config)
    assert type(again) is type(likelihood)
    assert again.get_config() == likelihood.get_config()
    assert again.name == likelihood.name


def test_a_seed_repeats_samples():
    outputs = draw(6, 2, 2, 2)
    for each in (Bernoulli(), DiscretizedLogistic(), Gaussian("per_pixel")):
        np.testing.assert_array_equal(sample(each, outputs, seed=4), sample(each, outputs, seed=4))
        assert (sample(each, outputs, seed=4) != sample(each, outputs, seed=5)).any()


def test_outputs_of_another_shape():
    images = np.ones((2, 4, 4, 3), "float32")
    with pytest.raises(ValueError, match=r"\(batch, 4, 4, 6\).*Received: outputs of shape \(2, 4"):
        log_prob(DiscretizedLogistic(), images, np.zeros((2, 4, 4, 2), "float32"))
    with pytest.raises(ValueError, match="2 numbers per channel"):
        log_prob(DiscretizedLogistic(), images, np.zeros((2, 4, 4, 3), "float32"))
    with pytest.raises(ValueError, match=r"\(batch, 4, 4, 3\)"):
        log_prob(Bernoulli(), images, np.zeros((2, 5, 4, 3), "float32"))


def test_images_outside_the_support():
    grey = np.repeat(LEVELS, 2).reshape(2, 16, 16, 1)
    Bernoulli().check_images(np.sign(grey))
    DiscretizedLogistic().check_images(grey)
    Gaussian().check_images(3 * grey)
    with pytest.raises(ValueError, match=r"exactly -1 or 1\. Received: 99.2% other values"):
        Bernoulli().check_images(grey)
    for wrong in ((grey + 1) / 2, grey + 0.001, grey * 1.5, grey * np.nan):
        with pytest.raises(ValueError, match=r"one of the 256 levels.*value_range=\(-1, 1\)"):
            DiscretizedLogistic().check_images(wrong)
    with pytest.raises(ValueError, match="finite values"):
        Gaussian().check_images(np.where(grey > 0, np.inf, grey))


def test_finding_by_name():
    assert likelihoods.names() == [
        "bernoulli",
        "categorical",
        "discretized_logistic",
        "discretized_logistic_mixture",
        "gaussian",
        "joint_logistic_mixture",
    ]
    for name in likelihoods.names():
        assert likelihoods.get(name).name == name
    one = Gaussian(0.1)
    assert likelihoods.get(one) is one
    assert isinstance(likelihoods.get(Bernoulli), Bernoulli)
    with pytest.raises(ValueError, match="Did you mean 'bernoulli'"):
        likelihoods.get("bernouli")
    with pytest.raises(ValueError, match=r"kgan\.likelihoods\.Likelihood"):
        likelihoods.get(3)

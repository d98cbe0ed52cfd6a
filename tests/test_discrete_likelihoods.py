"""Likelihoods of finitely many levels: single values, draws from uniform numbers, temperature."""

import numpy as np
import pytest
from keras import ops
from scipy import special

from kgan.likelihoods import (
    Bernoulli,
    Categorical,
    DiscretizedLogistic,
    DiscretizedLogisticMixture,
    JointLogisticMixture,
    check_support,
)

EVERY = {
    "bernoulli": (Bernoulli(), 2),
    "categorical": (Categorical(5), 2),
    "logistic": (DiscretizedLogistic(levels=9), 2),
    "mixture": (DiscretizedLogisticMixture(3, levels=9), 2),
    "joint": (JointLogisticMixture(3, levels=9), 2),
    "joint colour": (JointLogisticMixture(3, levels=7), 3),
}


def outputs_of(likelihood, channels, n=4, seed=0):
    shape = (n, 3, 2, likelihood.outputs_for(channels))
    return np.random.default_rng(seed).standard_normal(shape).astype("float32")


def arrays(*tensors):
    return [ops.convert_to_numpy(tensor) for tensor in tensors]


@pytest.fixture(params=EVERY)
def case(request):
    likelihood, channels = EVERY[request.param]
    return likelihood, channels, outputs_of(likelihood, channels)


def test_levels_lie_evenly_and_their_ends_are_exact(case):
    likelihood, _, _ = case
    levels = np.arange(likelihood.levels)
    (values,) = arrays(likelihood.value_of(levels))
    np.testing.assert_allclose(values, np.linspace(-1, 1, likelihood.levels), atol=1e-6)
    assert (values[0], values[-1]) == (-1.0, 1.0)
    (again,) = arrays(likelihood.level_of(values))
    np.testing.assert_array_equal(again, levels)
    likelihood.check_images(values)
    with pytest.raises(ValueError, match=r"levels|exactly -1 or 1"):
        likelihood.check_images(values * 0.7)


def test_probabilities_of_a_pixel_sum_to_one(case):
    likelihood, channels, outputs = case
    every = np.stack(np.meshgrid(*[np.arange(likelihood.levels)] * channels), -1)
    every = every.reshape(-1, 1, 1, channels)
    (images,) = arrays(likelihood.value_of(every))
    for pixel in outputs.reshape(-1, outputs.shape[-1])[:5]:
        repeated = np.broadcast_to(pixel, (len(every), 1, 1, len(pixel)))
        (log_prob,) = arrays(likelihood.log_prob(images, repeated))
        np.testing.assert_allclose(np.exp(log_prob).sum(), 1.0, rtol=2e-5)


def test_draws_are_the_inverse_of_the_distribution_function(case):
    """Evenly spaced numbers in place of random ones: each level comes in proportion."""
    likelihood, channels, outputs = case
    n = 400
    shares = (np.arange(n) + 0.5) / n
    numbers = likelihood.numbers_for(channels)
    random = np.random.default_rng(1)
    each = np.stack([random.permutation(shares) for _ in range(numbers)], -1).astype("float32")
    each = each.reshape(n, 1, 1, numbers)
    pixel = np.broadcast_to(outputs[0, 0, 0], (n, 1, 1, outputs.shape[-1]))
    (drawn,) = arrays(likelihood.draw(pixel, each))
    likelihood.check_images(drawn)
    # The first channel alone: its share of each level is its probability.
    (levels,) = arrays(likelihood.level_of(drawn[:, 0, 0, 0]))
    found = np.bincount(levels, minlength=likelihood.levels) / n
    images = np.full((likelihood.levels, 1, 1, channels), -1.0, "float32")
    images[:, 0, 0, 0] = arrays(likelihood.value_of(np.arange(likelihood.levels)))[0]
    repeated = np.broadcast_to(outputs[0, 0, 0], (len(images), 1, 1, outputs.shape[-1]))
    (log_prob,) = arrays(likelihood.log_prob_of_values(images, repeated))
    # A mixture spends two numbers that are not a grid together: its shares are less exact.
    slack = 2 / n if numbers == channels else 0.06
    np.testing.assert_allclose(found, np.exp(log_prob[:, 0, 0, 0]), atol=slack)


def test_extreme_numbers_give_levels(case):
    likelihood, channels, outputs = case
    shape = (*outputs.shape[:3], likelihood.numbers_for(channels))
    for number in (0.0, np.nextafter(np.float32(1), np.float32(0))):
        (drawn,) = arrays(likelihood.draw(outputs, np.full(shape, number, "float32")))
        likelihood.check_images(drawn)


def test_entropy_is_the_mean_surprise(case):
    likelihood, channels, outputs = case
    (images,) = arrays(likelihood.value_of(np.full((4, 3, 2, channels), 1)))
    (entropy,) = arrays(likelihood.entropy(images, outputs))
    for channel in range(channels):
        expected = 0.0
        for level in range(likelihood.levels):
            tried = images.copy()
            tried[..., channel] = arrays(likelihood.value_of(np.array(level)))[0]
            log_prob = arrays(likelihood.log_prob_of_values(tried, outputs))[0][..., channel]
            expected = expected - np.exp(log_prob) * log_prob
        np.testing.assert_allclose(entropy[..., channel], expected, rtol=1e-4, atol=1e-6)


def test_temperatures(case):
    likelihood, channels, outputs = case
    images = np.full((4, 3, 2, channels), -1.0, "float32")

    def mean_entropy(temperature):
        tempered = likelihood.tempered(outputs, temperature)
        return float(arrays(ops.mean(likelihood.entropy(images, tempered)))[0])

    (same,) = arrays(likelihood.log_prob(images, likelihood.tempered(outputs, 1.0)))
    np.testing.assert_allclose(same, arrays(likelihood.log_prob(images, outputs))[0], rtol=1e-5)
    assert mean_entropy(0.3) < mean_entropy(1.0)


def test_categorical_is_a_log_softmax():
    likelihood, outputs = Categorical(5), outputs_of(Categorical(5), 2)
    levels = np.random.default_rng(2).integers(5, size=(4, 3, 2, 2))
    (images,) = arrays(likelihood.value_of(levels))
    logits = special.log_softmax(outputs.reshape(4, 3, 2, 5, 2), axis=-2)
    expected = np.take_along_axis(logits, levels[..., None, :], axis=-2)[..., 0, :]
    (found,) = arrays(likelihood.log_prob_of_values(images, outputs))
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
    mean = (np.exp(logits) * np.linspace(-1, 1, 5)[:, None]).sum(axis=-2)
    np.testing.assert_allclose(arrays(likelihood.mean(outputs))[0], mean, rtol=1e-4, atol=1e-5)


def test_a_joint_mixture_of_one_channel_is_the_plain_one():
    joint, plain = JointLogisticMixture(4), DiscretizedLogisticMixture(4)
    assert joint.outputs_for(1) == plain.outputs_for(1) == 12
    outputs = outputs_of(joint, 1)
    (images,) = arrays(joint.value_of(np.random.default_rng(2).integers(256, size=(4, 3, 2, 1))))
    np.testing.assert_allclose(
        *arrays(joint.log_prob(images, outputs), plain.log_prob(images, outputs)), rtol=1e-5
    )
    np.testing.assert_allclose(*arrays(joint.mean(outputs), plain.mean(outputs)), atol=1e-5)
    numbers = np.random.default_rng(3).random((4, 3, 2, 2)).astype("float32")
    np.testing.assert_array_equal(
        *arrays(joint.draw(outputs, numbers), plain.draw(outputs, numbers))
    )


def test_channels_of_a_joint_mixture_depend_on_each_other_as_in_the_paper():
    """Log-sum-exp over components of the product over channels, in float64."""
    likelihood, outputs = JointLogisticMixture(3), outputs_of(JointLogisticMixture(3), 3)
    levels = np.random.default_rng(2).integers(256, size=(4, 3, 2, 3))
    levels[0, 0] = [[0, 255, 0], [255, 0, 255]]  # the open edges
    x = levels / 127.5 - 1.0
    given = outputs.astype("float64")
    weights = special.log_softmax(given[..., :3], axis=-1)
    means = given[..., 3:12].reshape(4, 3, 2, 3, 3) + np.linspace(-1, 1, 3)[:, None]
    scales = np.exp(np.maximum(given[..., 12:21].reshape(4, 3, 2, 3, 3), -7.0))
    coefficients = np.tanh(given[..., 21:].reshape(4, 3, 2, 3, 3))
    red, green, _ = np.moveaxis(x[..., None, :], -1, 0)
    means[..., 1] += coefficients[..., 0] * red
    means[..., 2] += coefficients[..., 1] * red + coefficients[..., 2] * green
    upper = special.expit((x[..., None, :] + 1 / 255 - means) / scales)
    lower = special.expit((x[..., None, :] - 1 / 255 - means) / scales)
    upper = np.where(levels[..., None, :] == 255, 1.0, upper)
    lower = np.where(levels[..., None, :] == 0, 0.0, lower)
    per_component = weights + np.log(upper - lower).sum(axis=-1)
    expected = special.logsumexp(per_component, axis=-1).sum(axis=(1, 2))
    (found,) = arrays(likelihood.log_prob(x.astype("float32"), outputs))
    np.testing.assert_allclose(found, expected, rtol=1e-4)


def test_outputs_of_a_joint_mixture_belong_to_a_pixel():
    likelihood = JointLogisticMixture(10)
    assert [likelihood.outputs_for(channels) for channels in (1, 3)] == [30, 100]
    with pytest.raises(TypeError, match="outputs_for"):
        likelihood.outputs_per_channel()
    with pytest.raises(ValueError, match="100 of three"):
        likelihood.channels_of(np.zeros((1, 1, 1, 31)))


def test_the_number_of_levels_is_checked():
    for levels in (1, 0, 2.5):
        with pytest.raises((ValueError, TypeError), match="levels"):
            Categorical(levels)
    images = np.array([-1.0, -1 / 3, 1 / 3, 1.0])
    check_support("levels", images, levels=4)
    with pytest.raises(ValueError, match="one of the 5 levels"):
        check_support("levels", images, levels=5)

"""Every adversarial loss against its closed form, and its gradient against finite differences."""

import keras
import numpy as np
import pytest

import kgan
from kgan._backend import gradients

REAL = np.array([[-2.0], [0.3], [1.7], [40.0]])
FAKE = np.array([[0.5], [-1.2], [2.5], [-35.0]])


def log_sigmoid(x):
    return -np.logaddexp(0.0, -x)


CLOSED_FORMS = {
    "non_saturating": (
        lambda r, f: -log_sigmoid(r).mean() - log_sigmoid(-f).mean(),
        lambda r, f: -log_sigmoid(f).mean(),
    ),
    "minimax": (
        lambda r, f: -log_sigmoid(r).mean() - log_sigmoid(-f).mean(),
        lambda r, f: log_sigmoid(-f).mean(),
    ),
    "least_squares": (
        lambda r, f: ((r - 1) ** 2).mean() / 2 + (f**2).mean() / 2,
        lambda r, f: ((f - 1) ** 2).mean() / 2,
    ),
    "hinge": (
        lambda r, f: np.maximum(0, 1 - r).mean() + np.maximum(0, 1 + f).mean(),
        lambda r, f: -f.mean(),
    ),
    "wasserstein": (lambda r, f: f.mean() - r.mean(), lambda r, f: -f.mean()),
    "relativistic": (
        lambda r, f: -log_sigmoid(r - f).mean(),
        lambda r, f: -log_sigmoid(f - r).mean(),
    ),
    "relativistic_average": (
        lambda r, f: -log_sigmoid(r - f.mean()).mean() - log_sigmoid(r.mean() - f).mean(),
        lambda r, f: -log_sigmoid(f - r.mean()).mean() - log_sigmoid(f.mean() - r).mean(),
    ),
    "relativistic_average_hinge": (
        lambda r, f: (
            np.maximum(0, 1 - (r - f.mean())).mean() + np.maximum(0, 1 + (f - r.mean())).mean()
        ),
        lambda r, f: (
            np.maximum(0, 1 + (r - f.mean())).mean() + np.maximum(0, 1 - (f - r.mean())).mean()
        ),
    ),
    "relativistic_average_least_squares": (
        lambda r, f: ((r - f.mean() - 1) ** 2).mean() + ((f - r.mean() + 1) ** 2).mean(),
        lambda r, f: ((r - f.mean() + 1) ** 2).mean() + ((f - r.mean() - 1) ** 2).mean(),
    ),
}


def as_tensor(array):
    return keras.ops.convert_to_tensor(array.astype("float32"))


def test_every_loss_has_a_closed_form_here():
    assert set(CLOSED_FORMS) == set(kgan.losses.names())


@pytest.mark.parametrize("name", kgan.losses.names())
def test_values(name):
    loss = kgan.losses.get(name)
    discriminator, generator = CLOSED_FORMS[name]
    real, fake = as_tensor(REAL), as_tensor(FAKE)
    np.testing.assert_allclose(
        loss.discriminator_loss(real, fake), discriminator(REAL, FAKE), rtol=1e-6
    )
    np.testing.assert_allclose(loss.generator_loss(fake, real), generator(REAL, FAKE), rtol=1e-6)


@pytest.mark.parametrize("name", kgan.losses.names())
def test_generator_loss_is_silent_about_real_logits_unless_it_says_it_needs_them(name):
    loss = kgan.losses.get(name)
    fake = as_tensor(FAKE)
    if loss.generator_needs_real_logits:
        assert loss.generator_loss(fake, as_tensor(REAL)) != loss.generator_loss(fake, fake)
    else:
        assert loss.generator_loss(fake) == loss.generator_loss(fake, as_tensor(REAL))


@pytest.mark.parametrize("name", kgan.losses.names())
def test_gradients_against_finite_differences_of_the_closed_form(name):
    loss = kgan.losses.get(name)
    real, fake = REAL[:3], FAKE[:3]
    logits = keras.Variable(np.concatenate([real, fake]).astype("float32"))
    sides = (
        (0, lambda: (loss.discriminator_loss(logits[:3], logits[3:]), None)),
        (1, lambda: (loss.generator_loss(logits[3:], logits[:3]), None)),
    )
    for side, fn in sides:
        (gradient,), _ = gradients(fn, [logits])
        expected = np.zeros((6, 1))
        for i in range(6):
            step = np.zeros((6, 1))
            step[i] = 1e-6
            both = np.concatenate([real, fake])
            up, down = both + step, both - step
            form = CLOSED_FORMS[name][side]
            expected[i] = (form(up[:3], up[3:]) - form(down[:3], down[3:])) / 2e-6
        np.testing.assert_allclose(keras.ops.convert_to_numpy(gradient), expected, atol=1e-5)


def test_get_takes_names_objects_and_classes():
    hinge = kgan.losses.Hinge()
    assert kgan.losses.get(hinge) is hinge
    assert type(kgan.losses.get("hinge")) is kgan.losses.Hinge
    assert type(kgan.losses.get(kgan.losses.Hinge)) is kgan.losses.Hinge


@pytest.mark.parametrize(
    ("identifier", "message"),
    [("hing", "Did you mean 'hinge'"), ("xyz", "Received: loss='xyz'"), (3, "of type int")],
)
def test_get_refuses(identifier, message):
    with pytest.raises(ValueError, match=message):
        kgan.losses.get(identifier)


@pytest.mark.parametrize("name", ["non_saturating", "minimax"])
def test_label_smoothing_is_of_real_images_only(name):
    loss = type(kgan.losses.get(name))(label_smoothing=0.1)
    real, fake = as_tensor(REAL), as_tensor(FAKE)
    expected = (
        -0.9 * log_sigmoid(REAL).mean()
        - 0.1 * log_sigmoid(-REAL).mean()
        - log_sigmoid(-FAKE).mean()
    )
    np.testing.assert_allclose(loss.discriminator_loss(real, fake), expected, rtol=1e-6)
    plain = kgan.losses.get(name)
    assert loss.generator_loss(fake) == plain.generator_loss(fake)


def test_least_squares_has_the_targets_it_is_given():
    loss = kgan.losses.LeastSquares(fake=-1.0, real=1.0, generator=0.0)
    real, fake = as_tensor(REAL), as_tensor(FAKE)
    expected = ((REAL - 1) ** 2).mean() / 2 + ((FAKE + 1) ** 2).mean() / 2
    np.testing.assert_allclose(loss.discriminator_loss(real, fake), expected, rtol=1e-6)
    np.testing.assert_allclose(loss.generator_loss(fake), (FAKE**2).mean() / 2, rtol=1e-6)


@pytest.mark.parametrize(
    "loss",
    [
        kgan.losses.NonSaturating(label_smoothing=0.2),
        kgan.losses.Minimax(label_smoothing=0.2),
        kgan.losses.LeastSquares(-1.0, 1.0, 0.0),
    ],
    ids=lambda loss: type(loss).__name__,
)
def test_arguments_are_saved(loss):
    config = keras.saving.serialize_keras_object(loss)
    loaded = keras.saving.deserialize_keras_object(config)
    assert type(loaded) is type(loss)
    assert vars(loaded) == vars(loss)


@pytest.mark.parametrize("smoothing", [-0.1, 1.0])
def test_label_smoothing_out_of_range(smoothing):
    with pytest.raises(ValueError, match="label_smoothing"):
        kgan.losses.NonSaturating(label_smoothing=smoothing)

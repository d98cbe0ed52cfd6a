"""Every penalty against its closed form on linear and quadratic critics, values and slopes."""

import keras
import numpy as np
import pytest
from keras import ops

import kgan
from kgan import _backend, penalties

SHAPE = (5, 2, 3, 1)


def images(seed):
    return np.random.default_rng(seed).standard_normal(SHAPE).astype("float32")


REAL, FAKE = images(0), images(1)
LINEAR = np.random.default_rng(2).standard_normal(SHAPE[1:]).astype("float32")
LENGTH = float(np.linalg.norm(LINEAR))
CRITICS = {
    "linear": lambda w, x: ops.sum(w * x, axis=(1, 2, 3)),
    "quadratic": lambda w, x: ops.sum(w * x**2, axis=(1, 2, 3)),
}


def judge(penalty, critic, weights, seen=None):
    """The penalty of a critic with such weights, and its slope with respect to them."""
    variable = keras.Variable(weights)
    noise = keras.random.SeedGenerator(7)
    real, fake = ops.convert_to_tensor(REAL), ops.convert_to_tensor(FAKE)

    def examine(x):
        if seen is not None:
            seen.append(ops.convert_to_numpy(ops.stop_gradient(x)))
        return _backend.input_gradient(lambda x: (CRITICS[critic](variable, x), None), x)

    def value():
        real_gradient, (real_logits, _) = examine(real)
        fake_gradient, (fake_logits, _) = examine(fake)
        judged = penalties.Judged(
            real,
            fake,
            real_logits,
            fake_logits,
            real_gradient,
            fake_gradient,
            gradient_at=lambda x: examine(x)[0],
            noise=noise,
        )
        penalised = penalty.value(judged)
        return penalised, penalised

    (slope,), penalised = _backend.gradients(value, [variable])
    return float(ops.convert_to_numpy(penalised)), ops.convert_to_numpy(slope)


def two_sided(length, weights):
    return (length - 1) ** 2, 2 * (length - 1) * weights / length


LINEAR_FORMS = {
    "gradient_penalty": two_sided(LENGTH, LINEAR),
    "dragan": two_sided(LENGTH, LINEAR),
    "r1": (LENGTH**2 / 2, LINEAR),
    "r2": (LENGTH**2 / 2, LINEAR),
}


def test_every_penalty_on_the_gradient_has_a_closed_form_here():
    assert set(LINEAR_FORMS) | {"lecam", "drift"} == set(penalties.names())


@pytest.mark.parametrize("name", LINEAR_FORMS)
def test_of_a_linear_critic(name):
    (penalty,) = penalties.get(name)
    value, slope = judge(penalty, "linear", LINEAR)
    expected_value, expected_slope = LINEAR_FORMS[name]
    np.testing.assert_allclose(value, expected_value, rtol=1e-5)
    np.testing.assert_allclose(slope, expected_slope, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(("penalty", "x"), [(penalties.R1(), REAL), (penalties.R2(), FAKE)])
def test_of_a_quadratic_critic(penalty, x):
    # The gradient at x is 2 w x, and its squared length 4 sum w^2 x^2.
    value, slope = judge(penalty, "quadratic", LINEAR)
    np.testing.assert_allclose(value, 2 * np.mean(np.sum((LINEAR * x) ** 2, (1, 2, 3))), rtol=1e-5)
    np.testing.assert_allclose(slope, 4 * LINEAR * np.mean(x**2, axis=0), rtol=1e-4)


def test_gradient_penalty_of_a_quadratic_critic_is_between_the_images():
    seen = []
    value, slope = judge(penalties.GradientPenalty(), "quadratic", LINEAR, seen)
    between = seen[-1]
    share = (between - FAKE) / (REAL - FAKE)
    for each in share:  # one share for an image, all shares different
        np.testing.assert_allclose(each, np.full_like(each, each.ravel()[0]), rtol=1e-2, atol=1e-3)
    assert np.all((share > -1e-3) & (share < 1 + 1e-3))
    assert len(np.unique(share[:, 0, 0, 0])) == len(share)
    gradient = 2 * LINEAR * between
    lengths = np.sqrt(np.sum(gradient**2, axis=(1, 2, 3), keepdims=True))
    np.testing.assert_allclose(value, np.mean((lengths - 1) ** 2), rtol=1e-4)
    slopes = 2 * (lengths - 1) * gradient / lengths * 2 * between
    np.testing.assert_allclose(slope, slopes.mean(axis=0), rtol=1e-3, atol=1e-4)


def test_dragan_looks_between_an_image_and_that_image_with_noise():
    seen = []
    judge(penalties.DRAGAN(), "quadratic", LINEAR, seen)
    added = seen[-1] - REAL
    assert np.all((added >= 0) & (added < 0.5 * REAL.std()))
    assert len(np.unique(added)) == added.size


@pytest.mark.parametrize(("target", "one_sided"), [(0.0, False), (0.5, True), (100.0, True)])
def test_gradient_penaltys_target_and_side(target, one_sided):
    penalty = penalties.GradientPenalty(target=target, one_sided=one_sided)
    value, slope = judge(penalty, "linear", LINEAR)
    excess = LENGTH - target
    if one_sided:
        excess = max(excess, 0.0)
    np.testing.assert_allclose(value, excess**2, rtol=1e-5, atol=1e-12)
    np.testing.assert_allclose(slope, 2 * excess * LINEAR / LENGTH, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", LINEAR_FORMS)
def test_a_gradient_of_zero_makes_nothing_nan(name):
    value, slope = judge(penalties.get(name)[0], "linear", np.zeros(SHAPE[1:], "float32"))
    np.testing.assert_allclose(value, 0.0 if name in {"r1", "r2"} else 1.0, atol=1e-5)
    np.testing.assert_array_equal(slope, 0.0)


def test_lecam_holds_scores_to_the_running_means_of_the_others():
    penalty = penalties.LeCam(decay=0.75)
    real_mean = fake_mean = filled = 0.0
    for real, fake in ((1.0, -1.0), (3.0, 0.5), (-2.0, -2.0)):
        judged = penalties.Judged(
            None, None, ops.array([[real], [real + 1]]), ops.array([[fake]]), None, None, None, None
        )
        real_mean = 0.75 * real_mean + 0.25 * (real + 0.5)
        fake_mean = 0.75 * fake_mean + 0.25 * fake
        filled = 0.75 * filled + 0.25
        over = np.maximum([real - fake_mean / filled, real + 1 - fake_mean / filled], 0)
        under = max(real_mean / filled - fake, 0)
        expected = np.mean(over**2) + under**2
        np.testing.assert_allclose(ops.convert_to_numpy(penalty.value(judged)), expected, rtol=1e-5)


def test_drift_is_the_mean_square_of_the_scores_of_real_images():
    real, fake = ops.array([[1.0], [-2.0], [4.0]]), ops.array([[100.0]])
    judged = penalties.Judged(None, None, real, fake, None, None, None, None)
    penalty = penalties.get("drift")[0]
    np.testing.assert_allclose(ops.convert_to_numpy(penalty.value(judged)), 7.0, rtol=1e-6)
    assert penalty.weight == 0.001


# ---- in training ---------------------------------------------------------------------------------


def linear_gan(**options):
    """G(z) = 2 z and D(x) = 0.5 x, on images of one pixel."""
    latent, image = keras.Input((1,)), keras.Input((1, 1, 1))

    def dense(weight):
        kernel = keras.initializers.Constant(weight)
        return keras.layers.Dense(1, use_bias=False, kernel_initializer=kernel)

    generator = keras.Model(latent, keras.layers.Reshape((1, 1, 1))(dense(2.0)(latent)))
    discriminator = keras.Model(image, dense(0.5)(keras.layers.Flatten()(image)))
    gan = kgan.GAN(generator, discriminator, seed=11)
    sgd = [keras.optimizers.SGD(0.1) for _ in range(2)]
    gan.compile(*sgd, loss="wasserstein", **options)
    return gan


def test_what_a_penalty_adds_to_a_step():
    real = np.array([1.0, 2.0, 4.0], "float32").reshape(3, 1, 1, 1)
    given = [penalties.R1(3.0), "r2", penalties.GradientPenalty(2.0, target=0.2)]
    plain, gan = linear_gan(), linear_gan(penalties=given)
    plain.train_on_batch(real)
    logs = gan.train_on_batch(real, return_dict=True)
    b = 0.5
    slope = 3.0 * b + 10.0 * b + 2.0 * 2 * (b - 0.2)
    weights = [float(np.asarray(g.discriminator.weights[0])[0, 0]) for g in (plain, gan)]
    np.testing.assert_allclose(weights[1], weights[0] - 0.1 * slope, rtol=1e-5)
    for name, value in (("r1", b**2 / 2), ("r2", b**2 / 2), ("gradient_penalty", 0.09)):
        np.testing.assert_allclose(logs[name], value, rtol=1e-4, err_msg=name)


def test_an_interval():
    gan = linear_gan(penalties=[penalties.R1(0.5, interval=2)])
    gan.optimizer.discriminator_optimizer.learning_rate = 0.0
    real = np.ones((3, 1, 1, 1), "float32")
    counted = []
    for _ in range(4):
        gan.reset_metrics()
        counted.append(float(gan.train_on_batch(real, return_dict=True)["r1"]))
    np.testing.assert_allclose(counted, [0.25, 0.0, 0.25, 0.0], rtol=1e-5)


def test_an_interval_with_dropout_and_the_gradient_elsewhere(make_gan, dataset):
    gan = make_gan("mlp", penalties=[penalties.GradientPenalty(interval=2), "lecam"])
    history = gan.fit(dataset, epochs=2, verbose=0).history
    assert np.isfinite(list(history.values())).all()
    assert min(history["gradient_penalty"]) > 0


def test_all_in_fit_and_in_files(make_gan, dataset, tmp_path):
    gan = make_gan("mlp", penalties=penalties.names())
    history = gan.fit(dataset, epochs=1, verbose=0).history
    assert all(np.isfinite(history[name]).all() for name in penalties.names())
    gan.save(tmp_path / "gan.keras")
    loaded = keras.saving.load_model(tmp_path / "gan.keras")
    assert [p.get_config() for p in loaded.penalties] == [p.get_config() for p in gan.penalties]
    logs = [g.fit(dataset, epochs=2, initial_epoch=1, verbose=0).history for g in (gan, loaded)]
    assert logs[0] == logs[1]
    for a, b in zip(gan.variables, loaded.variables, strict=True):
        np.testing.assert_array_equal(np.asarray(a), np.asarray(b), err_msg=a.path)


# ---- by name or object ---------------------------------------------------------------------------


def test_get():
    r1 = penalties.R1(2.0)
    assert penalties.get(None) == []
    assert penalties.get(r1) == [r1]
    first, second = penalties.get([r1, "r2"])
    assert first is r1
    assert type(second) is penalties.R2
    assert [type(penalty) for penalty in penalties.get(penalties.LeCam)] == [penalties.LeCam]


@pytest.mark.parametrize(
    ("identifier", "message"),
    [
        ("gradient_penalti", "Did you mean 'gradient_penalty'"),
        ([penalties.R1(), "r1"], "different names"),
        (3.0, "of type float"),
    ],
    ids=["unknown", "twice", "a number"],
)
def test_get_refuses(identifier, message):
    with pytest.raises(ValueError, match=message):
        penalties.get(identifier)


@pytest.mark.parametrize("wrong", [{"weight": -1.0}, {"interval": 0}])
def test_arguments_out_of_range(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        penalties.R1(**wrong)


def test_clipped_weights_stay_within_their_limit():
    clip = kgan.constraints.Clip(0.25)
    found = ops.convert_to_numpy(clip(ops.array([-1.0, -0.1, 0.2, 7.0])))
    np.testing.assert_allclose(found, [-0.25, -0.1, 0.2, 0.25])
    assert kgan.constraints.Clip(**clip.get_config()).limit == 0.25
    with pytest.raises(ValueError, match="limit"):
        kgan.constraints.Clip(0.0)


class HeavyTail(penalties.Penalty):
    """A penalty of one's own, that forgets to take the mean."""

    def value(self, judged):
        return judged.real_logits


def test_one_of_ones_own_has_the_same_name_each_time(make_gan):
    assert [HeavyTail().name for _ in range(2)] == ["heavy_tail", "heavy_tail"]
    for name in ("real_score", "generator_gradient_norm"):
        with pytest.raises(ValueError, match=f"{name}.*name="):
            make_gan("mlp", penalties=HeavyTail(name=name))


@pytest.mark.parametrize("interval", [1, 2])
def test_one_that_is_no_scalar(make_gan, dataset, interval):
    gan = make_gan("mlp", penalties=HeavyTail(interval=interval))
    with pytest.raises(ValueError, match=r"`value` of HeavyTail to return a scalar"):
        gan.fit(dataset, verbose=0)

"""Optimizers of Keras that accumulate gradients: one update by the mean gradient of k steps."""

import signal

import keras
import numpy as np
import pytest

import kgan

STEPS = 3
ROLES = ("generator", "discriminator")


@pytest.fixture(name="make_gan")
def _make_gan(make_gan):
    """Makes small GANs with the same weights."""

    def make(**options):
        keras.utils.set_random_seed(1)
        return make_gan("mlp", **options)

    return make


def arrays(variables):
    return [np.array(keras.ops.convert_to_numpy(v)) for v in variables]


def assert_same(first, second):
    for a, b in zip(first, second, strict=True):
        np.testing.assert_array_equal(a, b)


def optimizers(role, optimizer):
    """The given optimizer for a role; the other network keeps its weights."""
    return {
        f"{each}_optimizer": optimizer if each == role else keras.optimizers.SGD(0.0)
        for each in ROLES
    }


def mean_gradients(gan, role, dataset):
    """The mean over the first batches of the gradient of a role, taken from steps of plain SGD."""
    gan.compile(**optimizers(role, keras.optimizers.SGD(1.0)))
    network = getattr(gan, role)
    weights = arrays(network.trainable_variables)
    sums = [np.zeros_like(each) for each in weights]
    for index in range(STEPS):
        gan.train_on_batch(dataset.batch(0, index)[0])
        after = arrays(network.trainable_variables)
        sums = [s + w - new for s, w, new in zip(sums, weights, after, strict=True)]
        for variable, w in zip(network.trainable_variables, weights, strict=True):
            variable.assign(w)
    return [total / STEPS for total in sums]


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("kind", ["sgd", "adam"])
def test_an_update_is_that_by_the_mean_gradient(make_gan, dataset, role, kind):
    gradients = mean_gradients(make_gan(), role, dataset)
    options = {"gradient_accumulation_steps": STEPS}
    optimizer = (
        keras.optimizers.SGD(0.5, **options)
        if kind == "sgd"
        else keras.optimizers.Adam(0.01, beta_1=0.5, beta_2=0.9, epsilon=1e-3, **options)
    )
    gan = make_gan(**optimizers(role, optimizer))
    variables = getattr(gan, role).trainable_variables
    before = arrays(variables)
    for index in range(STEPS):
        assert_same(arrays(variables), before)  # no update yet
        logs = gan.train_on_batch(dataset.batch(0, index)[0], return_dict=True)
        assert logs[f"{role}_gradient_norm"] > 0
    for w, mean, after in zip(before, gradients, arrays(variables), strict=True):
        step = 0.5 * mean
        if kind == "adam":  # its first update, without momentum yet
            root = np.sqrt(1 - 0.9)
            step = 0.01 * root * mean / (root * np.abs(mean) + 1e-3)
        np.testing.assert_allclose(after, w - step, rtol=1e-4, atol=2e-6)
    assert any(np.abs(mean).max() > 1e-4 for mean in gradients)
    assert int(gan.optimizer[role].iterations) == 1


@pytest.mark.parametrize("role", ROLES)
def test_a_loss_scale_drops_no_update(make_gan, dataset, role):
    def trained(policy):
        keras.config.set_dtype_policy(policy)
        try:
            optimizer = keras.optimizers.SGD(0.5, gradient_accumulation_steps=STEPS)
            gan = make_gan(**optimizers(role, optimizer))
        finally:
            keras.config.set_dtype_policy("float32")
        for layer in gan.discriminator.layers:
            if isinstance(layer, keras.layers.Dropout):
                layer.rate = 0.0  # which units are dropped depends on the precision
        before = arrays(getattr(gan, role).trainable_variables)
        for step in range(2 * STEPS):
            gan.train_on_batch(dataset.batch(0, step)[0])
        after = arrays(getattr(gan, role).trainable_variables)
        return gan.optimizer[role], [b - a for a, b in zip(before, after, strict=True)]

    _, expected = trained("float32")
    scaled, found = trained("mixed_float16")
    assert isinstance(scaled, keras.optimizers.LossScaleOptimizer)
    assert float(keras.ops.convert_to_numpy(scaled.dynamic_scale)) == scaled.initial_scale
    assert int(scaled.inner_optimizer.iterations) == 2
    found, expected = (np.concatenate([np.ravel(x) for x in each]) for each in (found, expected))
    # float16 has three digits, and a gradient of small numbers fewer. Half is left if one is lost.
    assert np.linalg.norm(found - expected) < 0.1 * np.linalg.norm(expected)
    assert np.abs(expected).max() > 1e-3


def accumulating(make_gan, **options):
    return make_gan(
        generator_optimizer=keras.optimizers.Adam(1e-2, gradient_accumulation_steps=STEPS),
        discriminator_optimizer=keras.optimizers.Adam(1e-2, gradient_accumulation_steps=2),
        **options,
    )


def test_the_average_follows_updates(make_gan, dataset):
    gan = accumulating(make_gan, ema_decay=0.9)
    first = arrays(gan.generator.trainable_variables)
    average = gan.network_in_use("generator").variables
    trained = {v.path for v in gan.generator.trainable_variables}
    places = [i for i, v in enumerate(gan.generator.variables) if v.path in trained]
    expected = first
    for step in range(1, 2 * STEPS + 1):
        gan.train_on_batch(dataset.batch(0, step % 6)[0])
        gan.generate(2, seed=0)  # does not take a step without an update for weights set outside
        if step % STEPS == 0:
            update = step // STEPS
            kept = (1 + update) / (10 + update)
            now = arrays(gan.generator.trainable_variables)
            expected = [kept * a + (1 - kept) * w for a, w in zip(expected, now, strict=True)]
        found = arrays([average[place] for place in places])
        for a, b in zip(found, expected, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)
    assert not np.array_equal(found[0], first[0])


def at(batch, action):
    return keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda number, logs: action() if number == batch else None
    )


@pytest.mark.parametrize("batch", [1, 3])
def test_training_that_stops_within_an_accumulation_resumes_exactly(
    make_gan, dataset, tmp_path, batch
):
    options = {"ema_decay": 0.9, "penalties": kgan.penalties.R1(1.0, interval=2)}
    whole = accumulating(make_gan, **options)
    whole.fit(dataset, epochs=2, verbose=0)
    gan = accumulating(make_gan, **options)
    gan.fit(dataset, verbose=0, callbacks=[at(batch, lambda: gan.save(tmp_path / "gan.keras"))])
    gan = kgan.load(tmp_path / "gan.keras")
    assert gan.batches_trained == batch + 1
    gan.fit(dataset, initial_epoch=0, epochs=2, verbose=0)
    assert_same(gan.get_weights(), whole.get_weights())
    assert_same(arrays(gan.optimizer.variables), arrays(whole.optimizer.variables))


@pytest.mark.usefixtures("interruptible")
def test_ctrl_c_within_an_accumulation_keeps_the_place(make_gan, dataset):
    gan, whole = accumulating(make_gan), accumulating(make_gan)
    with pytest.raises(KeyboardInterrupt):
        gan.fit(dataset, verbose=0, callbacks=[at(3, lambda: signal.raise_signal(signal.SIGINT))])
    assert (gan.epochs_trained, gan.batches_trained) == (0, 4)
    gan.fit(dataset, verbose=0)
    whole.fit(dataset, verbose=0)
    assert_same(gan.get_weights(), whole.get_weights())


def test_a_lazy_penalty_counts_updates(make_gan, dataset):
    gan = make_gan(
        discriminator_optimizer=keras.optimizers.SGD(1e-3, gradient_accumulation_steps=2),
        penalties=kgan.penalties.R1(1.0, interval=2, name="r1"),
    )
    logs = [
        gan.train_on_batch(dataset.batch(0, step % 6)[0], return_dict=True)["r1"]
        for step in range(8)
    ]
    assert [log > 0 for log in logs] == [True, True, False, False] * 2

"""`_backend.predict`: any function of a model's variables, compiled, in any thread."""

import gc
import threading
import weakref

import keras
import numpy as np
import pytest
from keras import ops

from kgan import _backend
from kgan._noise import SeededNoise


class Line(keras.Model):
    """y = slope * x + offset, and its inverse."""

    def __init__(self, slope, offset):
        super().__init__()
        self.slope = self.add_weight(shape=(), initializer=keras.initializers.Constant(slope))
        self.offset = self.add_weight(shape=(), initializer=keras.initializers.Constant(offset))
        self.built = True
        self.calls = 0

    def call(self, x):
        return self.slope * x + self.offset

    def inverse(self, y, labels=None, scale=1.0):
        self.calls += 1
        x = (y - self.offset) / self.slope * scale
        return x if labels is None else {"x": x, "labels": labels + 1}


def both(model, x, y):
    return [model(x), (model.inverse(y), None)]


def noisy(model, x, seed):
    noise = SeededNoise(seed)
    return [x + keras.random.normal((3,), seed=noise) for _ in range(2)]


X = np.array([1.0, 2.0, 4.0], "float32")
COMPILES = keras.backend.backend() != "torch"


def test_it_runs_methods_and_functions_and_calls():
    line = Line(2.0, 3.0)
    np.testing.assert_array_equal(_backend.predict(line, line.inverse, 2 * X + 3), X)
    np.testing.assert_array_equal(_backend.predict(line, Line.inverse, 2 * X + 3), X)
    np.testing.assert_array_equal(_backend.predict(line, lambda model, x: model(x), X), 2 * X + 3)
    np.testing.assert_array_equal(_backend.predict_on_batch(line, X), 2 * X + 3)
    there, (back, nothing) = _backend.predict(line, both, X, 2 * X + 3)
    np.testing.assert_array_equal(there, 2 * X + 3)
    np.testing.assert_array_equal(back, X)
    assert nothing is None


def test_it_takes_structures_and_options_and_gives_numpy():
    line = Line(2.0, 3.0)
    found = _backend.predict(line, line.inverse, 2 * X + 3, np.arange(3), scale=10.0)
    assert {type(array) for array in found.values()} == {np.ndarray}
    np.testing.assert_array_equal(found["x"], 10 * X)
    np.testing.assert_array_equal(found["labels"], [1, 2, 3])
    np.testing.assert_array_equal(_backend.predict(line, line.inverse, 2 * X + 3, None), X)


@pytest.mark.skipif(not COMPILES, reason="PyTorch compiles nothing")
def test_it_compiles_once():
    line = Line(2.0, 3.0)
    for _ in range(3):
        _backend.predict(line, line.inverse, X)
        _backend.predict(line, lambda model, x: model.inverse(x), X)
    assert line.calls == 2


def test_it_reads_the_variables_as_they_are():
    line = Line(2.0, 3.0)
    _backend.predict(line, line.inverse, X)
    line.slope.assign(4.0)
    np.testing.assert_array_equal(_backend.predict(line, line.inverse, 4 * X + 3), X)


def test_functions_that_look_alike_are_told_apart():
    line, other = Line(2.0, 3.0), Line(4.0, 0.0)
    functions = [lambda model, x, k=k: model(x) + k for k in (0.0, 1.0)]
    for k, function in enumerate(functions):
        np.testing.assert_array_equal(_backend.predict(line, function, X), 2 * X + 3 + k)
        np.testing.assert_array_equal(_backend.predict(other, function, X), 4 * X + k)


def test_what_would_keep_a_model_alive_is_refused():
    line = Line(2.0, 3.0)
    with pytest.raises(ValueError, match="without a closure"):
        _backend.predict(line, lambda model, x: line(x), X)
    with pytest.raises(TypeError, match="Expected a method"):
        _backend.predict(line, abs, X)


@pytest.mark.skipif(keras.backend.backend() != "jax", reason="the others read any variable")
def test_a_variable_of_another_model_would_be_a_constant():
    line, other = Line(2.0, 3.0), Line(4.0, 0.0)
    with pytest.raises(ValueError, match="variables of its model only"):
        _backend.predict(line, other.inverse, X)


def test_models_are_freed():
    line = Line(2.0, 3.0)
    _backend.predict(line, line.inverse, X)
    _backend.predict(line, both, X, X)
    gone = weakref.ref(line)
    del line
    gc.collect()
    assert gone() is None


def test_each_seed_has_its_own_numbers():
    line = Line(2.0, 3.0)
    drawn = [_backend.predict(line, noisy, 0 * X, np.int32(seed)) for seed in (0, 1, 2, 0)]
    np.testing.assert_array_equal(drawn[0], drawn[3])
    numbers = np.concatenate([np.ravel(each) for each in drawn[:3]])
    assert len(np.unique(numbers)) == 18


# ---- models that change --------------------------------------------------------------------------


def generator(slope):
    """Not of the same function as another, but of the same weights."""
    inputs = keras.Input((3,))
    outputs = keras.layers.Lambda(lambda x: slope * x)(keras.layers.Dense(3)(inputs))
    return keras.Model(inputs, outputs)


class Wrapper(_backend.ImperativeSteps, keras.Model):
    def __init__(self, network):
        super().__init__()
        self.network = network
        self.built = True

    def call(self, x):
        return self.network(x)


def everything(wrapper, x):
    """What a wrapper gives by each way to predict."""
    return [
        _backend.predict_on_batch(wrapper, x),
        _backend.predict(wrapper, wrapper.call, x),
        wrapper.predict(x, verbose=0),
        wrapper.predict_on_batch(x),
    ]


def test_a_network_in_the_place_of_another_is_the_one_that_predicts():
    x = np.ones((2, 3), "float32")
    wrapper = Wrapper(generator(1.0))
    everything(wrapper, x)
    weights = wrapper.network.get_weights()
    wrapper.network = generator(-2.0)
    wrapper.network.set_weights(weights)
    expected = -2.0 * (x @ weights[0] + weights[1])
    for found in everything(wrapper, x):
        np.testing.assert_allclose(found, expected, rtol=1e-5)


@pytest.mark.filterwarnings("ignore:Layer InputLayer does not have")
def test_a_quantised_network_is_the_one_that_predicts():
    random = np.random.default_rng(0)
    x = random.standard_normal((2, 3)).astype("float32")
    network = keras.Sequential([keras.Input((3,)), keras.layers.Dense(3)])
    network.layers[0].kernel.assign(random.standard_normal((3, 3)))
    wrapper = Wrapper(network)
    before = everything(wrapper, x)[0]
    wrapper.network.quantize("int8")
    expected = ops.convert_to_numpy(wrapper.network(x))
    assert np.abs(expected - before).max() > 1e-4
    for found in everything(wrapper, x):
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


# ---- threads -------------------------------------------------------------------------------------


def test_several_threads_predict_while_one_trains(make_gan, dataset):
    gan = make_gan("mlp")
    gan.generate(4, seed=1)
    done, failures, made = threading.Event(), [], []

    def generate():
        try:
            while not done.is_set():
                made.append(gan.generate(4, seed=1, averaged=len(made) % 2 == 0))
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=generate) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        gan.fit(dataset, epochs=10, verbose=0)
    finally:
        done.set()
        for thread in threads:
            thread.join()
    assert not failures
    assert all(np.isfinite(images).all() for images in made)
    assert np.abs(made[0] - gan.generate(4, seed=1)).max() > 0
    assert gan.epochs_trained == 10


def test_callbacks_may_use_the_model_by_its_own_name(make_gan, dataset, tmp_path):
    """As through `self.model`, by which Keras has its JAX trainer put the weights back."""
    gan, seen = make_gan("mlp"), []
    latents = np.ones((2, 4), "float32")

    class Reads(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            seen.append(
                [
                    gan.predict(latents, verbose=0),
                    ops.convert_to_numpy(gan.generator(latents)),
                    gan.generate(2, seed=1),
                    *gan.get_weights(),
                ]
            )
            gan.save_weights(tmp_path / "model.weights.h5")

    gan.fit(dataset, epochs=1, callbacks=[Reads()], verbose=0)
    for one, other in zip(seen[-1][3:], gan.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    np.testing.assert_array_equal(seen[-1][2], gan.generate(2, seed=1))
    np.testing.assert_allclose(seen[-1][0], seen[-1][1], rtol=1e-5, atol=1e-6)
    assert np.abs(seen[0][2] - seen[-1][2]).max() > 0


def test_callbacks_may_assign_weights_by_the_models_own_name(make_gan, dataset):
    gan = make_gan("mlp")

    class Zeroes(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            for variable in gan.generator.trainable_variables:
                variable.assign(np.zeros(variable.shape))

    gan.fit(dataset, epochs=1, callbacks=[Zeroes()], verbose=0)
    for variable in gan.generator.trainable_variables:
        assert not ops.convert_to_numpy(variable).any()


def test_training_is_the_same_beside_callbacks_that_read(make_gan, dataset):
    def trained(*readers):
        keras.utils.set_random_seed(3)
        gan = make_gan("mlp")
        callbacks = [
            keras.callbacks.LambdaCallback(on_train_batch_end=each(gan)) for each in readers
        ]
        gan.fit(dataset, epochs=2, callbacks=callbacks, verbose=0)
        return gan.get_weights()

    def read(gan):
        return lambda batch, logs: (gan.generate(2), gan.predict(np.ones((2, 4)), verbose=0))

    for one, other in zip(trained(), trained(read), strict=True):
        np.testing.assert_array_equal(one, other)

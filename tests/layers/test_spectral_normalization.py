"""Spectral normalisation against singular values, and slopes through it."""

import h5py
import keras
import numpy as np
import pytest
from keras import layers, ops

import kgan
from kgan import _backend
from kgan.layers import SpectralNormalization

LAYERS = {
    "dense": (lambda **o: layers.Dense(4, **o), (3, 6)),
    "convolution": (lambda **o: layers.Conv2D(4, 3, padding="same", **o), (2, 5, 5, 3)),
    "strided": (lambda **o: layers.Conv2D(4, 4, strides=2, padding="same", **o), (2, 6, 6, 3)),
    "transposed": (
        lambda **o: layers.Conv2DTranspose(4, 4, strides=2, padding="same", **o),
        (2, 3, 3, 5),
    ),
}


def numbers(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype("float32")


def matrix(kernel):
    return np.reshape(kernel, (-1, np.shape(kernel)[-1]))


def spectral_norm(kernel):
    return np.linalg.svd(matrix(kernel), compute_uv=False)[0]


def of(layer, x, **options):
    return ops.convert_to_numpy(layer(ops.convert_to_tensor(x), **options))


@pytest.mark.parametrize("name", LAYERS)
def test_computes_with_the_kernel_over_its_largest_singular_value(name):
    make, shape = LAYERS[name]
    layer = SpectralNormalization(make(), power_iterations=60)
    x = numbers(*shape)
    layer.build(shape)
    kernel = 3.0 * numbers(*layer.layer.kernel.shape, seed=1)
    bias = numbers(4, seed=2)
    layer.layer.set_weights([kernel, bias])
    plain = make()
    plain.build(shape)
    plain.set_weights([kernel / spectral_norm(kernel), bias])
    np.testing.assert_allclose(of(layer, x, training=True), of(plain, x), rtol=1e-3, atol=1e-4)
    # In inference it has the same, from what was kept.
    np.testing.assert_allclose(of(layer, x), of(plain, x), rtol=1e-3, atol=1e-4)
    np.testing.assert_array_equal(ops.convert_to_numpy(layer.layer.kernel), kernel)


def test_embeddings():
    layer = SpectralNormalization(layers.Embedding(5, 3), power_iterations=60)
    labels = np.array([4, 0, 4], "int32")
    layer.build((None,))
    table = numbers(5, 3)
    layer.layer.set_weights([table])
    expected = (table / spectral_norm(table))[labels]
    np.testing.assert_allclose(of(layer, labels, training=True), expected, rtol=1e-4)
    assert layer(keras.Input((), dtype="int32")).shape == (None, 3)


def test_one_step_of_power_iteration_which_only_training_keeps():
    layer = SpectralNormalization(layers.Dense(4, use_bias=False))
    layer.build((None, 6))
    kernel, u, x = numbers(6, 4), numbers(1, 4, seed=3), numbers(3, 6)
    layer.layer.set_weights([kernel])
    layer.u.assign(u)
    v = u @ kernel.T
    v /= np.linalg.norm(v)
    stepped = v @ kernel
    stepped /= np.linalg.norm(stepped)
    expected = x @ kernel / (v @ kernel @ stepped.T)
    np.testing.assert_allclose(of(layer, x), expected, rtol=1e-4)
    np.testing.assert_array_equal(ops.convert_to_numpy(layer.u), u)
    np.testing.assert_allclose(of(layer, x, training=True), expected, rtol=1e-4)
    np.testing.assert_allclose(ops.convert_to_numpy(layer.u), stepped, rtol=1e-4)


def test_an_untrained_layer_of_more_columns_than_rows_stretches_nothing():
    # Of its vector, which is random, most lies where the kernel makes nothing of it.
    layer = SpectralNormalization(layers.Dense(64, use_bias=False))
    x = np.ones((1, 1), "float32")
    np.testing.assert_allclose(np.linalg.norm(of(layer, x)), 1.0, rtol=1e-5)


def test_many_calls_in_training_find_what_many_iterations_in_one_do():
    layer = SpectralNormalization(layers.Dense(4, use_bias=False))
    x = numbers(3, 6)
    for _ in range(60):
        y = of(layer, x, training=True)
    kernel = ops.convert_to_numpy(layer.layer.kernel)
    np.testing.assert_allclose(y, x @ kernel / spectral_norm(kernel), rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("training", [True, False])
def test_gradients_flow_through_the_singular_value(training):
    layer = SpectralNormalization(layers.Dense(2, use_bias=False), power_iterations=60)
    x, weights, kernel = numbers(5, 3), numbers(5, 2, seed=1), numbers(3, 2, seed=2)
    layer.build(x.shape)
    layer.layer.set_weights([kernel])
    layer(ops.convert_to_tensor(x), training=True)

    def loss():
        # Twice, as a discriminator sees real and generated images before its gradient is taken.
        ones = layer(ops.convert_to_tensor(x), training=training)
        others = layer(ops.convert_to_tensor(x**2), training=training)
        return ops.sum((ones - others) * ops.convert_to_tensor(weights)), None

    (found,), _ = _backend.gradients(loss, layer.trainable_variables)

    def value(kernel):
        return np.sum((x - x**2).astype("float64") @ kernel / spectral_norm(kernel) * weights)

    expected = np.zeros_like(kernel)
    for place in np.ndindex(*kernel.shape):
        step = np.zeros(kernel.shape)
        step[place] = 1e-4
        expected[place] = (value(kernel + step) - value(kernel - step)) / 2e-4
    np.testing.assert_allclose(ops.convert_to_numpy(found), expected, rtol=2e-3, atol=2e-3)


@pytest.mark.parametrize("training", [True, False])
def test_a_frozen_layer_computes_the_same_and_keeps_its_kernel(training):
    layer = SpectralNormalization(layers.Conv2D(4, 3))
    x = numbers(2, 5, 5, 3)
    before = of(layer, x)
    kernel = np.array(layer.kernel)
    layer.trainable = False
    for _ in range(2):
        found = of(layer, x, training=training)
        np.testing.assert_array_equal(np.array(layer.kernel), kernel)
    if not training:
        np.testing.assert_allclose(found, before, rtol=1e-5, atol=1e-6)


def test_a_file_holds_the_kernel_once(tmp_path):
    inputs = keras.Input((6,))
    layer = SpectralNormalization(layers.Dense(4, use_bias=False))
    model = keras.Model(inputs, layer(inputs))
    model.save_weights(tmp_path / "model.weights.h5")
    sizes = []
    with h5py.File(tmp_path / "model.weights.h5") as file:
        file.visititems(lambda _, item: sizes.append(getattr(item, "size", 0)))
    assert sum(sizes) == 6 * 4 + 4  # the kernel and u


def test_penalties_on_the_gradient_pass_through_it():
    layer = SpectralNormalization(layers.Dense(1, use_bias=False), power_iterations=3)
    x, kernel = numbers(4, 3), numbers(3, 1, seed=1)
    layer.build(x.shape)
    layer.layer.set_weights([kernel])

    def penalty():
        gradient, _ = _backend.input_gradient(
            lambda x: (ops.sum(layer(x, training=True) ** 2, axis=1), None),
            ops.convert_to_tensor(x),
        )
        return ops.sum(gradient**2), None

    # Of one column, W / s is the unit vector w; the gradient at x is 2 (x w) w, and its squared
    # length 4 (x w)^2, with the slope 8 (x w) x / |W| less what lies along w.
    unit = kernel / np.linalg.norm(kernel)
    slope = 8 * x.T @ (x @ unit) / np.linalg.norm(kernel)
    expected = slope - unit * (unit.T @ slope)
    (found,), _ = _backend.gradients(penalty, layer.trainable_variables)
    np.testing.assert_allclose(ops.convert_to_numpy(found), expected, rtol=1e-3, atol=1e-4)


def test_a_kernel_of_zeros_gives_zeros_and_can_leave_them():
    layer = SpectralNormalization(layers.Dense(2, kernel_initializer="zeros"))
    x = numbers(3, 4)
    np.testing.assert_array_equal(of(layer, x, training=True), 0.0)

    def loss():
        return ops.sum(layer(ops.convert_to_tensor(x), training=True)), None

    (gradient, _), _ = _backend.gradients(loss, layer.trainable_variables)
    np.testing.assert_allclose(
        ops.convert_to_numpy(gradient), np.repeat(x.sum(axis=0)[:, None], 2, axis=1), rtol=1e-5
    )
    assert np.any(ops.convert_to_numpy(layer.u))


def test_what_a_layer_within_adds_to_the_loss_counts():
    layer = SpectralNormalization(layers.Dense(2, activity_regularizer="l2"))
    outputs = of(layer, numbers(3, 4), training=True)
    total = float(ops.convert_to_numpy(sum(layer.losses)))
    # What Keras makes of it: the mean over the batch from 3.14 on, the sum before.
    regularized = layers.ActivityRegularization(l2=0.01)
    regularized(ops.convert_to_tensor(outputs))
    expected = float(ops.convert_to_numpy(sum(regularized.losses)))
    np.testing.assert_allclose(total, expected, rtol=1e-4)


def test_mixed_precision_iterates_in_float32():
    layer = SpectralNormalization(layers.Dense(4, dtype="mixed_bfloat16"), power_iterations=60)
    x = numbers(3, 6)
    y = layer(ops.convert_to_tensor(x), training=True)
    assert keras.backend.standardize_dtype(y.dtype) == "bfloat16"
    kernel = ops.convert_to_numpy(layer.layer.kernel)
    u = ops.convert_to_numpy(layer.u)
    np.testing.assert_allclose(np.linalg.norm(matrix(kernel) @ u.T), spectral_norm(kernel), 1e-5)


def test_refuses_layers_without_a_kernel():
    with pytest.raises(ValueError, match="`kernel` or `embeddings`"):
        SpectralNormalization(layers.ReLU()).build((None, 3))
    with pytest.raises(ValueError, match="power_iterations=0"):
        SpectralNormalization(layers.Dense(3), power_iterations=0)


def test_trained_saved_and_resumed(tmp_path, images):
    def network():
        image = keras.Input((8, 8, 1), name="image")
        x = SpectralNormalization(layers.Conv2D(3, 4, strides=2))(image)
        x = layers.Flatten()(layers.LeakyReLU()(x))
        x = SpectralNormalization(layers.Dense(1), power_iterations=2)(x)
        return keras.Model(image, x)

    latent = keras.Input((3,), name="latent")
    maps = layers.Reshape((8, 8, 1))(layers.Dense(64, activation="tanh")(latent))
    gan = kgan.GAN(keras.Model(latent, maps), network(), seed=1)
    gan.compile(loss="hinge", penalties="r1")
    dataset = kgan.data.ImageDataset(images, batch_size=32, seed=0)
    gan.fit(dataset, epochs=1, verbose=0)
    gan.save(tmp_path / "gan.keras")
    loaded = keras.saving.load_model(tmp_path / "gan.keras")
    for a, b in zip(gan.variables, loaded.variables, strict=True):
        np.testing.assert_array_equal(np.array(a), np.array(b), err_msg=a.path)
    for each in (gan, loaded):
        each.fit(dataset, epochs=2, initial_epoch=1, verbose=0)
    for a, b in zip(gan.variables, loaded.variables, strict=True):
        np.testing.assert_array_equal(np.array(a), np.array(b), err_msg=a.path)
    norms = [
        (layer.u, spectral_norm(np.array(layer.kernel)), matrix(np.array(layer.kernel)))
        for layer in gan.discriminator.layers
        if isinstance(layer, SpectralNormalization)
    ]
    assert len(norms) == 2
    for u, norm, kernel in norms:  # the iteration has kept up with the training
        np.testing.assert_allclose(np.linalg.norm(kernel @ np.array(u).T), norm, rtol=0.05)

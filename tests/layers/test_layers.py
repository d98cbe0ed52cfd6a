"""Each of the other layers against NumPy, its second derivatives, and its way through a file."""

import keras
import numpy as np
import pytest
from keras import ops

from kgan import _backend, layers


def numbers(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype("float32")


def of(layer, x, **options):
    x = [ops.convert_to_tensor(part) for part in x] if isinstance(x, list) else x
    return ops.convert_to_numpy(layer(x, **options))


# Of each layer: how it is made, and the shape of its input.
EVERY = {
    "spectral_normalization": (
        lambda: layers.SpectralNormalization(keras.layers.Conv2D(2, 3)),
        (4, 5, 2),
    ),
    "minibatch_standard_deviation": (lambda: layers.MinibatchStandardDeviation(2), (4, 4, 2)),
    "self_attention": (lambda: layers.SelfAttention(2), (5, 4, 4)),
    "plain_self_attention": (
        lambda: layers.SelfAttention(1, spectral_normalization=False),
        (4, 4, 2),
    ),
    "pixel_shuffle": (lambda: layers.PixelShuffle(2), (3, 2, 8)),
    "downsample": (lambda: layers.Downsample((1, 3, 3, 1)), (5, 4, 2)),
    "upsample": (layers.Upsample, (3, 2, 2)),
    "equalized_conv2d": (lambda: layers.EqualizedConv2D(2, 3), (4, 5, 2)),
    "equalized_dense": (lambda: layers.EqualizedDense(3, gain=1.0), (4,)),
    "pixel_normalization": (layers.PixelNormalization, (3, 2, 4)),
    "reflection_padding2d": (lambda: layers.ReflectionPadding2D(2), (4, 3, 2)),
    "causal_convolution": (lambda: layers.CausalConv2D(3, (2, 3), "vertical"), (4, 5, 2)),
    "strict_causal_convolution": (
        lambda: layers.CausalConv2D(3, (1, 3), "horizontal", strict=True),
        (4, 5, 2),
    ),
    "causal_attention": (lambda: layers.CausalAttention(heads=2, width=4), (2, 3, 3)),
    "gate": (lambda: layers.Gate("tanh"), (3, 4, 6)),
    "from_basis": (lambda: layers.FromBasis(2, 3), (5,)),
    "onto_basis": (layers.OntoBasis, (3, 2, 4)),
    "row_lstm": (lambda: layers.RowLSTM(2), (3, 4, 3)),
    "diagonal_bilstm": (lambda: layers.DiagonalBiLSTM(2), (3, 4, 3)),
}


def network(name):
    make, shape = EVERY[name]
    inputs = keras.Input(shape)
    layer = make()
    model = keras.Model(inputs, layer(inputs))
    random = np.random.default_rng(3)
    model.set_weights([0.4 * random.standard_normal(w.shape) for w in model.get_weights()])
    return model, numbers(4, *shape)


def test_every_layer_is_here():
    made = {type(make()) for make, _ in EVERY.values()}
    of_two = {
        layers.ChannelHead,
        layers.ConditionalBatchNormalization,
        layers.CropLike,
        layers.FadeIn,
    }
    others = {layers.CausalLayer, layers.LevelEmbedding}  # abstract; without a gradient
    assert made | of_two | others == {getattr(layers, name) for name in layers.__all__}


@pytest.mark.parametrize("name", EVERY)
def test_shapes_are_told_and_files_keep_all(name, tmp_path):
    model, x = network(name)
    y = of(model, x)
    assert model.output.shape[1:] == y.shape[1:]
    assert model.layers[-1].compute_output_shape((None, *x.shape[1:])) == (None, *y.shape[1:])
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    configs = [each.layers[-1].get_config() for each in (loaded, model)]
    for config in configs:
        config.pop("layer", None)  # of a wrapper: its own configuration tells how it was built
    assert configs[0] == configs[1]
    np.testing.assert_array_equal(of(loaded, x), y)


@pytest.mark.parametrize("name", EVERY)
def test_gradients_of_gradients_are_those_of_differences(name):
    model, x = network(name)
    towards = numbers(*x.shape, seed=7)

    def slope(x):
        """Of the sum of sines of what it gives."""
        gradient, _ = _backend.input_gradient(
            lambda x: (ops.sum(ops.sin(model(x, training=False))), None), ops.convert_to_tensor(x)
        )
        return gradient

    second, _ = _backend.input_gradient(
        lambda x: (ops.sum(slope(x) * ops.convert_to_tensor(towards)), None),
        ops.convert_to_tensor(x),
    )
    step = 2e-3
    difference = [
        np.sum(ops.convert_to_numpy(ops.stop_gradient(slope(x + way * towards))) * towards)
        for way in (step, -step)
    ]
    expected = (difference[0] - difference[1]) / (2 * step)
    found = np.sum(ops.convert_to_numpy(ops.stop_gradient(second)) * towards)
    np.testing.assert_allclose(found, expected, rtol=3e-2, atol=3e-2)


@pytest.mark.parametrize("name", EVERY)
def test_mixed_precision(name):
    full, x = network(name)
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        mixed, _ = network(name)
    finally:
        keras.config.set_dtype_policy("float32")
    y = mixed(ops.convert_to_tensor(x))
    assert keras.backend.standardize_dtype(y.dtype) == "bfloat16"
    expected = of(full, x)
    found = ops.convert_to_numpy(ops.cast(y, "float32"))
    np.testing.assert_allclose(found, expected, atol=0.05 * np.abs(expected).max())


# ---- conditional batch normalisation -------------------------------------------------------------


def test_conditional_batch_normalisation_scales_and_shifts_by_class():
    x, labels = 2 * numbers(6, 3, 2, 4) + 1, np.array([0, 1, 2, 2, 1, 0], "int32")
    layer = layers.ConditionalBatchNormalization(3, momentum=0.8, epsilon=1e-2)
    first = of(layer, [x, labels], training=True)
    mean, variance = x.mean(axis=(0, 1, 2)), x.var(axis=(0, 1, 2))
    normal = (x - mean) / np.sqrt(variance + 1e-2)
    np.testing.assert_allclose(first, normal, atol=1e-4)
    gamma, beta = numbers(3, 4, seed=1), numbers(3, 4, seed=2)
    layer.gamma.set_weights([gamma])
    layer.beta.set_weights([beta])
    by_class = [table[labels][:, None, None] for table in (gamma, beta)]
    for given in (labels, labels[:, None]):
        found = of(layer, [x, given], training=True)
        np.testing.assert_allclose(found, by_class[0] * normal + by_class[1], atol=1e-4)
    # Three calls in training have moved the averages from 0 and 1; inference reads them.
    kept = 0.8**3
    normal = (x - (1 - kept) * mean) / np.sqrt(kept + (1 - kept) * variance + 1e-2)
    expected = by_class[0] * normal + by_class[1]
    np.testing.assert_allclose(of(layer, [x, labels]), expected, atol=1e-4)


def test_conditional_batch_normalisation_in_mixed_precision():
    x, labels = 2 * numbers(16, 3, 2, 4) + 1, np.arange(16, dtype="int32") % 3
    full, mixed = (
        layers.ConditionalBatchNormalization(3, dtype=dtype)
        for dtype in ("float32", "mixed_bfloat16")
    )
    found = []
    for layer in (full, mixed):
        layer.build([x.shape, labels.shape])
        layer.gamma.set_weights([numbers(3, 4, seed=1)])
        layer.beta.set_weights([numbers(3, 4, seed=2)])
        found.append(layer([ops.convert_to_tensor(part) for part in (x, labels)], training=True))
    assert keras.backend.standardize_dtype(found[1].dtype) == "bfloat16"
    expected, found = (ops.convert_to_numpy(ops.cast(y, "float32")) for y in found)
    np.testing.assert_allclose(found, expected, atol=0.02 * np.abs(expected).max())


def test_conditional_batch_normalisation_in_a_file(tmp_path):
    inputs = [keras.Input((3, 2, 4)), keras.Input((), dtype="int32")]
    model = keras.Model(
        inputs, layers.ConditionalBatchNormalization(3, beta_initializer="random_normal")(inputs)
    )
    tensors = [numbers(5, 3, 2, 4), np.array([0, 1, 2, 2, 1], "int32")]
    model.set_weights([w + 0.5 for w in model.get_weights()])
    model(tensors, training=True)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(of(loaded, tensors), of(model, tensors))
    config = loaded.layers[-1].get_config()
    assert config["gamma_initializer"]["class_name"] == "Ones"
    assert config["beta_initializer"]["class_name"] == "RandomNormal"
    with pytest.raises(ValueError, match="num_classes=0"):
        layers.ConditionalBatchNormalization(0)


# ---- minibatch standard deviation ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("count", "groups"),
    [
        (8, [[0, 2, 4, 6], [1, 3, 5, 7]]),
        (4, [[0, 1, 2, 3]]),
        (3, [[0, 1, 2]]),
        (1, [[0]]),
        (9, [[0, 2, 4, 6, 8], [1, 3, 5, 7]]),
    ],
)
def test_minibatch_standard_deviation_of_groups(count, groups):
    x = numbers(count, 3, 2, 5)
    found = of(layers.MinibatchStandardDeviation(), x)
    np.testing.assert_array_equal(found[..., :5], x)
    for group in groups:
        expected = np.sqrt(x[group].var(axis=0) + 1e-8).mean()
        np.testing.assert_allclose(found[group, :, :, 5], expected, rtol=1e-4)


def test_minibatch_standard_deviation_of_batches_of_unknown_size():
    inputs = keras.Input((2, 2, 3))
    model = keras.Model(inputs, layers.MinibatchStandardDeviation()(inputs))
    x = numbers(10, 2, 2, 3)
    found = model.predict(x, batch_size=10, verbose=0)
    for group in ([0, 2, 4, 6, 8], [1, 3, 5, 7, 9]):
        expected = np.sqrt(x[group].var(axis=0) + 1e-8).mean()
        np.testing.assert_allclose(found[group, :, :, 3], expected, rtol=1e-4)


# ---- self-attention ------------------------------------------------------------------------------


def test_self_attention_starts_as_the_identity():
    x = numbers(2, 4, 4, 8)
    np.testing.assert_array_equal(of(layers.SelfAttention(), x, training=True), x)


def test_self_attention_has_channels_last_whatever_the_default():
    x = numbers(2, 4, 6, 4)
    found = []
    for data_format in ("channels_last", "channels_first"):
        keras.config.set_image_data_format(data_format)
        try:
            layer = layers.SelfAttention(2)
            layer.build(x.shape)
            layer.set_weights([numbers(*w.shape, seed=3) for w in layer.get_weights()])
            found.append(of(layer, x))
        finally:
            keras.config.set_image_data_format("channels_last")
    np.testing.assert_array_equal(*found)


def test_self_attention_by_hand():
    layer = layers.SelfAttention(reduction=2, spectral_normalization=False)
    x = numbers(2, 4, 6, 4)
    layer.build(x.shape)
    layer.gamma.assign(0.7)
    kernels = [
        numbers(*convolution.kernel.shape, seed=seed)
        for seed, convolution in enumerate(
            (layer.query, layer.key, layer.values, layer.output_convolution)
        )
    ]
    for convolution, kernel in zip(
        (layer.query, layer.key, layer.values, layer.output_convolution), kernels, strict=True
    ):
        convolution.set_weights([kernel])
    q, k, v, o = (kernel[0, 0] for kernel in kernels)
    assert (q.shape, k.shape, v.shape, o.shape) == ((4, 2), (4, 2), (4, 2), (2, 4))

    def pooled(x):
        return x.reshape(2, 2, 2, 3, 2, -1).max(axis=(2, 4)).reshape(2, 6, -1)

    scores = (x @ q).reshape(2, 24, 2) @ pooled(x @ k).transpose(0, 2, 1)
    weights = np.exp(scores - scores.max(axis=2, keepdims=True))
    weights /= weights.sum(axis=2, keepdims=True)
    expected = x + 0.7 * ((weights @ pooled(x @ v)) @ o).reshape(x.shape)
    np.testing.assert_allclose(of(layer, x), expected, rtol=1e-3, atol=1e-4)


# ---- pixels from channels ------------------------------------------------------------------------


def test_pixel_shuffle_lays_channels_out_as_the_paper_does():
    x, r, channels = numbers(2, 3, 4, 18), 3, 2
    found = of(layers.PixelShuffle(r), x)
    assert found.shape == (2, 9, 12, channels)
    for row, column, c in np.ndindex(9, 12, channels):
        channel = channels * r * (row % r) + channels * (column % r) + c
        np.testing.assert_array_equal(
            found[:, row, column, c], x[:, row // r, column // r, channel]
        )
    with pytest.raises(ValueError, match=r"shape \(batch, height, width, channels\)"):
        layers.PixelShuffle(2)(ops.zeros((2, 8)))
    with pytest.raises(ValueError, match="multiple of scale"):
        layers.PixelShuffle(2)(ops.zeros((1, 2, 2, 6)))


# ---- resampling ----------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [layers.Downsample, layers.Upsample])
@pytest.mark.parametrize("taps", [(1, 2, 1), (1, 3, 3, 1), (1, 4, 6, 4, 1), (1, 1)])
@pytest.mark.parametrize("size", [(7, 8), (1, 2), (4, 5)])
def test_what_is_constant_stays_constant(kind, taps, size):
    found = of(kind(taps), np.full((1, *size, 2), 0.7, "float32"))
    np.testing.assert_allclose(found, 0.7, rtol=1e-5)
    double = kind is layers.Upsample
    assert found.shape[1:3] == tuple(2 * n if double else (n + 1) // 2 for n in size)


@pytest.mark.parametrize("length", [8, 7])
@pytest.mark.parametrize("taps", [(1, 2, 1), (1, 3, 3, 1)])
def test_downsampling_is_a_filter_and_every_second_pixel(taps, length):
    x = numbers(2, length, 5, 3)
    padded = np.pad(x, ((0, 0), (4, 4), (0, 0), (0, 0)), mode="edge")
    taps_of = np.array(taps) / sum(taps)
    before = 1  # either filter starts one pixel before 0, 2, 4...
    rows = sum(
        tap * padded[:, 4 - before + n : 4 - before + n + length : 2]
        for n, tap in enumerate(taps_of)
    )
    padded = np.pad(rows, ((0, 0), (0, 0), (4, 4), (0, 0)), mode="edge")
    expected = sum(tap * padded[:, :, 3 + n : 3 + n + 5 : 2] for n, tap in enumerate(taps_of))
    np.testing.assert_allclose(of(layers.Downsample(taps), x), expected, rtol=1e-4, atol=1e-5)


def test_upsampling_puts_means_between_pixels():
    x = numbers(2, 3, 4, 2)
    found = of(layers.Upsample(), x)
    np.testing.assert_allclose(found[:, ::2, ::2], x, atol=1e-6)
    np.testing.assert_allclose(found[:, 1:-1:2, ::2], (x[:, 1:] + x[:, :-1]) / 2, atol=1e-6)
    np.testing.assert_allclose(found[:, -1, ::2], x[:, -1], atol=1e-6)
    corners = (x[:, 1:, 1:] + x[:, :-1, 1:] + x[:, 1:, :-1] + x[:, :-1, :-1]) / 4
    np.testing.assert_allclose(found[:, 1:-1:2, 1:-1:2], corners, atol=1e-6)


@pytest.mark.parametrize(
    "kind", [layers.Downsample, layers.Upsample, layers.SelfAttention, layers.OntoBasis]
)
def test_refuses_images_of_any_size(kind):
    with pytest.raises(ValueError, match="fixed height and width"):
        kind()(keras.Input((None, 8, 2)))


def test_upsampling_by_1331_is_bilinear():
    x = numbers(2, 3, 4, 2)
    expected = ops.convert_to_numpy(ops.image.resize(x, (6, 8), interpolation="bilinear"))
    np.testing.assert_allclose(of(layers.Upsample((1, 3, 3, 1)), x), expected, atol=1e-5)


def test_resampling_refuses_what_it_cannot_do():
    for taps in ((), (0, 0), (1, -1, 1)):
        with pytest.raises(ValueError, match="taps="):
            layers.Downsample(taps)
    with pytest.raises(ValueError, match="odd and at even"):
        layers.Upsample((1, 0, 1))


# ---- bases ---------------------------------------------------------------------------------------


def test_maps_from_a_basis_and_features_from_maps():
    features, maps = numbers(3, 4), numbers(3, 2, 5, 4)
    there, back = layers.FromBasis(2, 5), layers.OntoBasis()
    found = of(there, features)
    basis = ops.convert_to_numpy(there.basis)
    np.testing.assert_allclose(found, features[:, None, None] * basis, rtol=1e-5)
    found = of(back, maps)
    basis = ops.convert_to_numpy(back.basis)
    np.testing.assert_allclose(found, (maps * basis).sum(axis=(1, 2)), rtol=1e-4, atol=1e-5)


def test_bases_start_with_the_variance_of_what_comes_in():
    there, back = layers.FromBasis(20, 20), layers.OntoBasis()
    there.build((None, 30))
    back.build((None, 20, 20, 30))
    np.testing.assert_allclose(np.std(ops.convert_to_numpy(there.basis)), 1.0, rtol=0.05)
    np.testing.assert_allclose(np.std(ops.convert_to_numpy(back.basis)), 1 / 20, rtol=0.05)


# ---- growing networks ----------------------------------------------------------------------------


@pytest.mark.parametrize("gain", [np.sqrt(2.0), 1.0])
def test_equalized_layers_are_plain_ones_with_kernels_times_he_s_constant(gain):
    for equalized, plain, shape, fan_in in (
        (
            layers.EqualizedConv2D(5, 3, padding="same", activation="tanh", gain=gain),
            keras.layers.Conv2D(5, 3, padding="same", activation="tanh"),
            (2, 6, 7, 4),
            3 * 3 * 4,
        ),
        (
            layers.EqualizedDense(5, activation="tanh", gain=gain),
            keras.layers.Dense(5, activation="tanh"),
            (2, 4),
            4,
        ),
    ):
        x = numbers(*shape)
        of(equalized, x), of(plain, x)  # builds them
        kernel, bias = equalized.get_weights()
        bias = bias + 0.5
        equalized.set_weights([kernel, bias])
        plain.set_weights([kernel * gain / np.sqrt(fan_in), bias])
        np.testing.assert_allclose(of(equalized, x), of(plain, x), rtol=1e-4, atol=1e-5)


def test_equalized_kernels_start_as_standard_normal_and_outputs_with_the_variance_of_he():
    layer = layers.EqualizedConv2D(64, 3, padding="valid")
    y = of(layer, numbers(16, 10, 10, 64))
    kernel = layer.get_weights()[0]
    np.testing.assert_allclose([kernel.mean(), kernel.std()], [0.0, 1.0], atol=0.02)
    np.testing.assert_allclose(y.std(), np.sqrt(2.0), rtol=0.05)


def test_pixel_normalization_gives_features_a_mean_square_of_one():
    x = 7.0 * numbers(2, 3, 4, 8)
    x[0, 0, 0] = 0.0
    y = of(layers.PixelNormalization(), x)
    np.testing.assert_allclose(y, x / np.sqrt((x**2).mean(-1, keepdims=True) + 1e-8), rtol=1e-5)
    np.testing.assert_array_equal(y[0, 0, 0], 0.0)
    # Squares that float16 does not have.
    small = of(layers.PixelNormalization(epsilon=0.0, dtype="float16"), 1e-4 * np.ones((1, 4)))
    np.testing.assert_allclose(small, 1.0, rtol=1e-2)


def test_a_fade_is_exact_at_both_ends_and_linear_between(tmp_path):
    old, new = numbers(2, 3, 3, 2), numbers(2, 3, 3, 2, seed=1)
    inputs = [keras.Input((3, 3, 2)), keras.Input((3, 3, 2))]
    model = keras.Model(inputs, layers.FadeIn()(inputs))
    fade = model.layers[-1]
    assert not fade.trainable_variables
    np.testing.assert_array_equal(of(model, [old, new]), old)
    for alpha in (0.3, 1.0):
        fade.alpha.assign(alpha)
        expected = new if alpha == 1.0 else alpha * new + (1 - alpha) * old
        np.testing.assert_allclose(of(model, [old, new]), expected, rtol=1e-5 if alpha < 1 else 0)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(of(loaded, [old, new]), new)


def test_reflection_padding_is_that_of_numpy():
    x = numbers(2, 5, 4, 3)
    for padding in (1, 2, 3):
        width = (padding, padding)
        expected = np.pad(x, ((0, 0), width, width, (0, 0)), mode="reflect")
        np.testing.assert_array_equal(of(layers.ReflectionPadding2D(padding), x), expected)
    with pytest.raises(ValueError, match=r"more than 4 pixels.*\(2, 5, 4, 3\)"):
        layers.ReflectionPadding2D(4)(x)
    with pytest.raises(ValueError, match="`padding`"):
        layers.ReflectionPadding2D(0)


def test_cropping_like_other_images():
    x = numbers(2, 8, 6, 3)
    crop = layers.CropLike()
    np.testing.assert_array_equal(of(crop, [x, numbers(2, 7, 6, 1)]), x[:, :7])
    np.testing.assert_array_equal(of(crop, [x, numbers(2, 7, 5, 1)]), x[:, :7, :5])
    assert of(crop, [x, numbers(2, 8, 6, 1)]) is not None
    sizes = keras.Input((None, None, 3)), keras.Input((None, 5, 1))
    assert crop(list(sizes)).shape == (None, None, 5, 3)

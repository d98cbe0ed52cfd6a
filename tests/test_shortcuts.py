"""Networks run layer by layer give what Keras's own call of them gives, and the same gradients."""

import keras
import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from keras import layers, ops

import kgan
from kgan import _backend
from kgan._backend import graph

ON_TORCH = keras.backend.backend() == "torch"
# On JAX, few layers have a shortcut.
torch_only = pytest.mark.skipif(
    not ON_TORCH, reason="other backends run these layers by Keras's own call"
)
pytestmark = pytest.mark.skipif(
    keras.backend.backend() == "tensorflow", reason="runs networks by Keras's own call"
)


def measured(run, network, x, training):
    """What a network gives: outputs, gradients of first and second order, and its new state."""
    x = ops.convert_to_tensor(x)
    is_float = keras.backend.is_float_dtype(keras.backend.standardize_dtype(x.dtype))

    def output(x):
        return keras.tree.flatten(run(network, [x], training))[0]

    def score(x):
        y = output(x)
        # Weights of different sizes, so that no two errors cancel. The square has a second
        # derivative where the network is linear.
        weights = np.linspace(0.5, 1.5, int(np.prod(y.shape)), dtype="float32").reshape(y.shape)
        return ops.sum(y * y * ops.convert_to_tensor(weights))

    def penalty():
        gradient, _ = _backend.input_gradient(lambda x: (score(x), None), x)
        return ops.sum(gradient * gradient), gradient

    state = [ops.convert_to_numpy(v) for v in network.variables]
    found = {"output": output(x)}
    if is_float and network.trainable_variables:
        variables = network.trainable_variables
        found["gradient"], _ = _backend.gradients(lambda: (score(x), None), variables)
        found["second"], found["input"] = _backend.gradients(penalty, variables)
    found["state"] = [v.value for v in network.non_trainable_variables]
    found = keras.tree.map_structure(lambda each: None if each is None else array_of(each), found)
    for variable, value in zip(network.variables, state, strict=True):
        variable.assign(value)
    return found


def array_of(tensor):
    return np.array(ops.convert_to_numpy(ops.stop_gradient(tensor)))


def assert_alike(network, x, training, call=graph.call, tolerance=1e-4):
    expected = measured(call, network, x, training)
    found = measured(_backend.run, network, x, training)
    # What a shortcut does to a layer must not disturb Keras's own call of it.
    assert_close(measured(call, network, x, training), expected, tolerance)
    assert_close(found, expected, tolerance)


def call_on_two(network, tensors, training):
    """Keras's call on each image twice, of which the first half is returned.

    On PyTorch, Keras's own convolution with one filter fails in the gradient of a batch of one.
    """
    twice = [ops.concatenate([x, x]) for x in tensors]
    return graph.call(network, twice, training)[: tensors[0].shape[0]]


def assert_close(found, expected, tolerance):
    assert list(found) == list(expected)
    for name, values in expected.items():
        pairs = zip(keras.tree.flatten(found[name]), keras.tree.flatten(values), strict=True)
        for one, other in pairs:
            if one is None or other is None:  # which stands for zeros
                assert not np.any(one if other is None else other), name
                continue
            assert one.dtype == other.dtype, name
            scale = max(1.0, float(np.abs(other).max(initial=0.0)))
            np.testing.assert_allclose(
                one / scale, other / scale, rtol=tolerance, atol=tolerance, err_msg=name
            )


def numbers(shape, dtype="float32", seed=0):
    random = np.random.default_rng(seed)
    if dtype.startswith("int"):
        return random.integers(0, 3, shape).astype(dtype)
    return random.standard_normal(shape).astype(dtype)


def network_of(layer, shape, dtype="float32"):
    """A layer, behind and before others, with weights that are not their starting values."""
    inputs = keras.Input(shape, dtype=dtype)
    network = keras.Model(inputs, layer(inputs))
    for index, variable in enumerate(network.variables):
        if "seed" not in variable.name:
            variable.assign(0.5 + 0.2 * np.abs(numbers(variable.shape, seed=index)))
    return network


CONVOLUTIONS = {
    "batch": st.integers(1, 3),
    "size": st.tuples(st.integers(1, 6), st.integers(1, 6)),
    "channels": st.integers(1, 4),
    "filters": st.integers(1, 4),
    "kernel": st.tuples(st.integers(1, 4), st.integers(1, 4)),
    "padding": st.sampled_from(["same", "valid"]),
    "bias": st.booleans(),
    "activation": st.sampled_from([None, "tanh"]),
}
SOME = settings(
    max_examples=60 if ON_TORCH else 8,  # JAX compiles each of them
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)


@torch_only
@SOME
@given(
    **CONVOLUTIONS,
    strides=st.integers(1, 3),
    dilation=st.integers(1, 2),
    depthwise=st.booleans(),
    training=st.booleans(),
)
def test_convolutions(
    batch,
    size,
    channels,
    filters,
    kernel,
    padding,
    bias,
    activation,
    strides,
    dilation,
    depthwise,
    training,
):
    assume(strides == 1 or dilation == 1)
    reach = [(one - 1) * dilation + 1 for one in kernel]
    assume(padding == "same" or all(r <= s for r, s in zip(reach, size, strict=True)))
    layer = layers.Conv2D(
        channels * filters if depthwise else filters,
        kernel,
        strides=strides,
        padding=padding,
        dilation_rate=dilation,
        groups=channels if depthwise else 1,
        use_bias=bias,
        activation=activation,
    )
    shape = (*size, channels)
    assert_alike(network_of(layer, shape), numbers((batch, *shape)), training, call_on_two)


@SOME
@given(**CONVOLUTIONS, strides=st.tuples(st.integers(1, 3), st.integers(1, 3)))
def test_transposed_convolutions(
    batch, size, channels, filters, kernel, padding, bias, activation, strides
):
    has_shortcut = padding == "same" and all(
        k >= s and (k - s) % 2 == 0 for k, s in zip(kernel, strides, strict=True)
    )
    # On PyTorch, Keras itself fails in the gradient of one image of one channel.
    assume(has_shortcut or batch > 1 or channels > 1)
    layer = layers.Conv2DTranspose(
        filters, kernel, strides=strides, padding=padding, use_bias=bias, activation=activation
    )
    shape = (*size, channels)
    assert_alike(network_of(layer, shape), numbers((batch, *shape)), True, call_on_two)


@SOME
@given(
    batch=st.integers(1, 3),
    size=st.tuples(st.integers(5, 9), st.integers(5, 9)),
    filters=st.integers(1, 4),
    extra=st.integers(0, 2),
    kernel=st.tuples(st.integers(4, 7), st.integers(5, 7)),
    padding=st.sampled_from(["same", "valid"]),
    bias=st.booleans(),
    activation=st.sampled_from([None, "tanh"]),
)
def test_large_kernels(batch, size, filters, extra, kernel, padding, bias, activation):
    """To fewer channels, and to as many: JAX has a shortcut only for the former."""
    assume(padding == "same" or all(k <= s for k, s in zip(kernel, size, strict=True)))
    layer = layers.Conv2D(filters, kernel, padding=padding, use_bias=bias, activation=activation)
    shape = (*size, filters + extra)
    # The sums have many terms, and the squares of them more.
    network = network_of(layer, shape)
    network.set_weights([0.1 * weight for weight in network.get_weights()])
    assert_alike(network, numbers((batch, *shape)), True, call_on_two)


LAYERS = {
    "Dense": lambda: layers.Dense(3),
    "Dense-relu": lambda: layers.Dense(3, activation="relu"),
    "Dense-no-bias": lambda: layers.Dense(3, use_bias=False),
    "Dense-one": lambda: layers.Dense(1),
    "BatchNormalization": layers.BatchNormalization,
    "BatchNormalization-plain": lambda: layers.BatchNormalization(
        center=False, scale=False, momentum=0.5, epsilon=0.1
    ),
    "BatchNormalization-axis": lambda: layers.BatchNormalization(axis=1),
    "BatchNormalization-frozen": lambda: layers.BatchNormalization(trainable=False),
    "LayerNormalization": layers.LayerNormalization,
    "GroupNormalization": lambda: layers.GroupNormalization(2),
    "GroupNormalization-axis": lambda: layers.GroupNormalization(-1, axis=1),
    "UnitNormalization": layers.UnitNormalization,
    "LeakyReLU": lambda: layers.LeakyReLU(0.3),
    "ReLU": layers.ReLU,
    "ReLU-bounded": lambda: layers.ReLU(max_value=0.5, negative_slope=0.1, threshold=0.1),
    "PReLU": layers.PReLU,
    "ELU": layers.ELU,
    "Softmax": layers.Softmax,
    "Activation": lambda: layers.Activation("sigmoid"),
    "Flatten": layers.Flatten,
    "Dropout": lambda: layers.Dropout(0.5, seed=1),
    "GaussianNoise": lambda: layers.GaussianNoise(0.5, seed=1),
    "Rescaling": lambda: layers.Rescaling(2.0, offset=1.0),
    "Permute": None,
    "Normalization": lambda: layers.Normalization(mean=0.5, variance=2.0),
}
SHAPES = {"row": (4,), "sequence": (3, 4), "image": (2, 3, 4)}
DTYPES = ("float32", "float16", "float64", "int32", "bool")


@torch_only
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
@pytest.mark.parametrize("name", LAYERS)
def test_layers(name, shape, dtype):
    dims = tuple(range(len(shape), 0, -1))
    layer = layers.Permute(dims) if name == "Permute" else LAYERS[name]()
    try:
        network = network_of(layer, shape, dtype)
        x = numbers((2, *shape), "int32" if dtype == "bool" else dtype).astype(dtype)
        graph.call(network, [ops.convert_to_tensor(x)], training=True)
    except Exception as error:
        pytest.skip(f"Keras itself cannot: {error!s:.80}")
    for batch in (1, 2):
        for training in (True, False):
            assert_alike(network, x[:batch], training)


IMAGE_LAYERS = {
    "Conv2DTranspose": lambda: layers.Conv2DTranspose(3, 4, strides=2, padding="same"),
    "Conv2DTranspose-dilated": lambda: layers.Conv2DTranspose(
        3, 3, padding="same", dilation_rate=2
    ),
    "Conv2DTranspose-padded": lambda: layers.Conv2DTranspose(
        3, 3, strides=2, padding="same", output_padding=1
    ),
    "Conv2D-first": lambda: layers.Conv2D(3, 3, data_format="channels_first", padding="same"),
    "DepthwiseConv2D": lambda: layers.DepthwiseConv2D(3, padding="same"),
    "SeparableConv2D": lambda: layers.SeparableConv2D(3, 3, padding="same"),
    "AveragePooling2D": lambda: layers.AveragePooling2D(2),
    "MaxPooling2D": layers.MaxPooling2D,
    "GlobalAveragePooling2D": layers.GlobalAveragePooling2D,
    "UpSampling2D": layers.UpSampling2D,
    "ZeroPadding2D": layers.ZeroPadding2D,
    "Cropping2D": layers.Cropping2D,
    "Reshape": lambda: layers.Reshape((-1, 2)),
    "RepeatVector": lambda: layers.Reshape((64,)),
    "SpectralNormalization": lambda: kgan.layers.SpectralNormalization(layers.Conv2D(3, 3)),
    "AveragePooling2D-same": lambda: layers.AveragePooling2D(2, padding="same"),
    "AveragePooling2D-odd": lambda: layers.AveragePooling2D(3, padding="same"),
    "AveragePooling2D-overlapping": lambda: layers.AveragePooling2D(3, strides=2, padding="same"),
    "UpSampling2D-uneven": lambda: layers.UpSampling2D((2, 3)),
    "UpSampling2D-bilinear": lambda: layers.UpSampling2D(2, interpolation="bilinear"),
    "EqualizedConv2D": lambda: kgan.layers.EqualizedConv2D(3, 3, padding="same"),
    "EqualizedConv2D-valid": lambda: kgan.layers.EqualizedConv2D(3, 2, gain=0.5),
    "PixelNormalization": kgan.layers.PixelNormalization,
    "ReflectionPadding2D": lambda: kgan.layers.ReflectionPadding2D(3),
    "GroupNormalization": lambda: layers.GroupNormalization(2),
    "GroupNormalization-instance": lambda: layers.GroupNormalization(-1, epsilon=1e-5),
    "GroupNormalization-plain": lambda: layers.GroupNormalization(-1, center=False, scale=False),
    "SelfAttention": kgan.layers.SelfAttention,
    "PixelShuffle": kgan.layers.PixelShuffle,
    "MinibatchStandardDeviation": kgan.layers.MinibatchStandardDeviation,
}


@pytest.mark.parametrize("name", IMAGE_LAYERS)
def test_layers_for_images(name):
    if not ON_TORCH and not name.startswith(("Conv2DTranspose", "GroupNormalization")):
        pytest.skip("has no shortcut")
    layer = IMAGE_LAYERS[name]()
    network = network_of(layer, (4, 4, 4))
    for batch in (1, 2):
        assert_alike(network, numbers((batch, 4, 4, 4)), training=True)
        assert_alike(network, numbers((batch, 4, 4, 4)), training=False)


@torch_only
def test_embeddings_and_layers_of_two_inputs():
    token, image = keras.Input((), dtype="int32"), keras.Input((4,))
    embedded = layers.Embedding(3, 4)(token)
    outputs = layers.Concatenate()([layers.Multiply()([embedded, image]), layers.Dense(2)(image)])
    network = keras.Model([image, token], outputs)
    tensors = [ops.convert_to_tensor(x) for x in (numbers((2, 4)), np.int32([2, 0]))]
    found, expected = (array_of(run(network, tensors, False)) for run in (_backend.run, graph.call))
    np.testing.assert_allclose(found, expected, rtol=1e-6)


@torch_only
@pytest.mark.parametrize("shapes", [((4,), (4,), (4,)), ((3, 1), (1, 4)), ((4,), (2, 4))])
def test_sums(shapes):
    """Also of shapes that are broadcast, or get axes after that of the batch."""
    inputs = [keras.Input(shape) for shape in shapes]
    network = keras.Model(inputs, layers.LeakyReLU()(layers.Add()(inputs)))
    tensors = [
        ops.convert_to_tensor(numbers((2, *shape), seed=index))
        for index, shape in enumerate(shapes)
    ]
    found, expected = (array_of(run(network, tensors, False)) for run in (_backend.run, graph.call))
    assert np.array_equal(found, expected)


@torch_only
@pytest.mark.parametrize(
    "merge",
    [
        layers.Multiply(),
        layers.Concatenate(),
        layers.Concatenate(axis=1),
        layers.Dot(axes=-1),
        layers.Dot(axes=1, normalize=True),
    ],
)
def test_merges(merge):
    inputs = [keras.Input((4,)), keras.Input((4,))]
    network = keras.Model(inputs, merge([layers.LeakyReLU()(each) for each in inputs]))
    tensors = [ops.convert_to_tensor(numbers((2, 4), seed=seed)) for seed in (1, 2)]
    found, expected = (array_of(run(network, tensors, False)) for run in (_backend.run, graph.call))
    np.testing.assert_allclose(found, expected, rtol=1e-5)


@torch_only
def test_a_sum_changes_none_of_its_terms():
    """The sum of more than two is computed in place."""
    image = keras.Input((4,))
    terms = [layers.Dense(4)(image) for _ in range(3)]
    network = keras.Model(image, layers.Concatenate()([layers.Add()(terms), *terms]))
    assert_alike(network, numbers((2, 4)), training=True)


@torch_only
@pytest.mark.parametrize("frozen", [False, True])
def test_spectral_normalisation_of_an_embedding(frozen):
    token = keras.Input((), dtype="int32")
    layer = kgan.layers.SpectralNormalization(layers.Embedding(3, 4))
    network = keras.Model(token, layers.LeakyReLU()(layer(token)))
    layer.trainable = not frozen
    assert_alike(network, np.int32([2, 0, -1]), training=True)
    assert_alike(network, np.int32([1]), training=False)


@torch_only
@pytest.mark.parametrize("name", ["biggan", "sngan"])
def test_networks_with_two_inputs(name):
    generator, discriminator = getattr(kgan.networks, name)(
        (8, 8, 3), latent_dim=6, num_classes=3, width=4
    )
    labels = ops.convert_to_tensor(np.int32([0, 2, 1]))
    for network, shape in ((generator, (3, 6)), (discriminator, (3, 8, 8, 3))):
        before = network.get_weights()
        results = []
        for run in (_backend.run, graph.call):
            network.set_weights(before)
            tensors = [ops.convert_to_tensor(numbers(shape)), labels]
            output = array_of(run(network, tensors, True))
            results.append([output, *network.get_weights()])
        for found, expected in zip(*results, strict=True):
            np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("shape", [(4,), (3, 4)])
def test_dense_layers_with_an_equalised_learning_rate(shape):
    network = network_of(kgan.layers.EqualizedDense(3, activation="tanh"), shape)
    assert_alike(network, numbers((2, *shape)), training=True)


@torch_only
@pytest.mark.parametrize("part", ["generator", "discriminator"])
def test_growing_networks(part):
    """Sizes of 7 and 4, whose halves are rounded up, within a fade."""
    pair = kgan.networks.progressive((13, 7, 2), latent_dim=4, width=3)
    network = getattr(pair, part)
    network = keras.Model(network.inputs[0], network.outputs[0])
    for variable in network.non_trainable_variables:
        variable.assign(0.3)
    assert_alike(network, numbers((4, *network.inputs[0].shape[1:])), training=True)


@torch_only
@pytest.mark.parametrize("activation", ["silu", "relu", "tanh", "elu", None])
def test_activations(activation):
    network = network_of(layers.Dense(3, activation=activation), (4,))
    assert_alike(network, numbers((2, 4)), training=True)


@torch_only
def test_a_dense_layer_that_gets_lora():
    network = network_of(layers.Dense(3), (4,))
    x = ops.convert_to_tensor(numbers((2, 4)))
    _backend.run(network, [x], False)
    network.layers[-1].enable_lora(2)
    network.layers[-1].lora_kernel_b.assign(numbers((2, 3)))
    found, expected = (array_of(run(network, [x], False)) for run in (_backend.run, graph.call))
    np.testing.assert_allclose(found, expected, rtol=1e-6)


class Charging(layers.Layer):
    """A layer with a loss of its own."""

    def call(self, x):
        self.add_loss(3.0 * ops.mean(x))
        return x


LOSSES = {
    "none": lambda: layers.Dense(2),
    "of weights": lambda: layers.Dense(2, kernel_regularizer="l2"),
    "of activities": lambda: layers.Dense(2, activity_regularizer="l2"),
    "of a layer": Charging,
}


@pytest.mark.parametrize("name", LOSSES)
def test_losses_are_those_that_keras_finds(name):
    inner = keras.Sequential([keras.Input((4,)), LOSSES[name]()])
    network = keras.Sequential([keras.Input((4,)), inner, layers.LeakyReLU()])
    graph.call(network, [ops.convert_to_tensor(numbers((2, 4)))], training=True)
    found = [float(array_of(loss)) for loss in _backend.losses([network, layers.Dense(1)])]
    assert found == [float(array_of(loss)) for loss in network.losses]
    assert bool(found) == (name != "none")


def test_a_regularizer_that_comes_later_is_found():
    network = keras.Sequential([keras.Input((4,)), layers.Dense(2)])
    assert _backend.losses([network]) == []
    network.layers[0].kernel.regularizer = keras.regularizers.L2(0.1)
    assert len(_backend.losses([network])) == 1


@torch_only
def test_arguments_other_than_tensors():
    inputs = keras.Input((4,))
    x = layers.Dropout(0.5, seed=1)(layers.Dense(4)(inputs), training=True)
    x = layers.Add()([x, np.float64([[1.0, 2.0, 3.0, 4.0]])])
    network = keras.Model(inputs, layers.Dense(2)(x))
    for training in (True, False):
        assert_alike(network, numbers((2, 4)), training)


def test_attention_under_a_gradient_penalty():
    """PyTorch's flash attention has no second derivative; another form has one."""
    inputs = keras.Input((4, 4, 2))
    x = layers.Reshape((16, 2))(layers.Conv2D(2, 3, padding="same")(inputs))
    x = layers.MultiHeadAttention(2, 4)(x, x)
    x = layers.GroupQueryAttention(4, 2, 1)(x, x)
    network = keras.Model(inputs, layers.Dense(1)(layers.Flatten()(x)))
    weight = network.trainable_variables[0]
    x = ops.convert_to_tensor(numbers((2, 4, 4, 2)))

    def penalty():
        gradient, _ = _backend.input_gradient(
            lambda x: (_backend.run(network, [x], True)[:, 0], None), x
        )
        return ops.sum(gradient**2), None

    (gradient, *_), _ = _backend.gradients(penalty, network.trainable_variables)
    direction = numbers(weight.shape, seed=5)
    start, step = array_of(weight), 1e-2
    values = []
    for sign in (1, -1):
        weight.assign(start + sign * step * direction)
        values.append(float(array_of(penalty()[0])))
    slope = (values[0] - values[1]) / (2 * step)
    np.testing.assert_allclose(
        (ops.convert_to_numpy(gradient) * direction).sum(), slope, rtol=2e-2, atol=1e-4
    )


# ---- networks that change ------------------------------------------------------------------------


@torch_only
def test_a_network_that_gets_another_layer_is_run_with_it():
    network = keras.Sequential([keras.Input((4,)), layers.Dense(4), layers.LeakyReLU()])
    x = ops.convert_to_tensor(numbers((2, 4)))
    _backend.run(network, [x], False)
    network.add(layers.Rescaling(-2.0))
    for _ in range(2):
        found, expected = (array_of(run(network, [x], False)) for run in (_backend.run, graph.call))
        np.testing.assert_allclose(found, expected, rtol=1e-6)
        network.pop()


@torch_only
def test_a_shape_other_than_the_declared_one_is_left_to_keras():
    """Which does not mind another size, and refuses another number of channels."""
    convolution = layers.Conv2D(2, 3, strides=2, padding="same")
    network = keras.Sequential([keras.Input((6, 6, 1)), convolution])
    assert_alike(network, numbers((2, 5, 7, 1)), training=False)
    for run in (graph.call, _backend.run):
        with pytest.raises(ValueError, match="expected axis -1"):
            run(network, [ops.convert_to_tensor(numbers((2, 6, 6, 3)))], False)


def test_a_single_image_trains(make_gan):
    gan = make_gan("dcgan", penalties="r1")
    gan.fit(numbers((5, 8, 8, 1)).clip(-1, 1), batch_size=4, verbose=0)
    assert all(np.isfinite(weights).all() for weights in gan.get_weights())


@torch_only
def test_the_layers_of_kgans_networks_have_shortcuts():
    """Or the comparisons above would hold without testing anything."""
    for network in kgan.networks.dcgan((8, 8, 1), latent_dim=4, width=4):
        names = [step.function.__qualname__ for step in _backend.run._plan(network).steps]
        for kind in ("Conv2D", "Conv2DTranspose", "Dense", "BatchNormalization", "Reshape"):
            assert f"{kind}.call" not in names
    networks = kgan.networks.biggan((8, 8, 1), latent_dim=4, num_classes=2, width=4)
    functions = [step.function for each in networks for step in _backend.run._plan(each).steps]
    assert not any(isinstance(each, kgan.layers.SpectralNormalization) for each in functions)
    names = [
        step.function.__qualname__
        for network in kgan.networks.dense_vae((8, 8, 1), latent_dim=4, width=4)
        for step in _backend.run._plan(network).steps
    ]
    assert not [name for name in names if name.endswith(".call") and "<locals>" not in name]

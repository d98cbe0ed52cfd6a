"""`_backend.run` against Keras's own call of the same network, and updates against Keras's own."""

import gc
import weakref

import keras
import numpy as np
import pytest
from keras import layers, ops

from kgan import _backend
from kgan._backend import graph
from kgan.layers import CausalConv2D

TORCH = keras.backend.backend() == "torch"
SIDE = 7  # odd, so that padding is uneven where it can be


def network(*stack, shape=(SIDE, SIDE, 4), **input_options):
    inputs = x = keras.Input(shape, **input_options)
    for layer in stack:
        x = layer(x)
    return keras.Model(inputs, x)


def twin(model):
    """Another network with the same weights."""
    other = keras.models.clone_model(model)
    other.set_weights(model.get_weights())
    return other


def numbers(*shape):
    return np.random.default_rng(4).standard_normal(shape).astype("float32")


def outcome(call, model, tensors, training):
    """Output, gradients, the input's gradient and its gradient, and what the call left behind."""
    tensors = [ops.convert_to_tensor(tensor) for tensor in tensors]

    def loss():
        y = call(model, tensors, training)
        return ops.sum(ops.sin(y)) + sum(model.losses, 0.0), y

    gradients, y = _backend.gradients(loss, model.trainable_variables)
    left = [ops.convert_to_numpy(v) for v in model.non_trainable_variables]
    found = [y, *gradients]

    if tensors[0].dtype != ops.convert_to_tensor(np.int32(0)).dtype:

        def length():
            # Training or not, without the moving averages' change: they have been compared.
            gradient, _ = _backend.input_gradient(
                lambda x: (ops.sin(call(model, [x, *tensors[1:]], training)), None), tensors[0]
            )
            return ops.sum(ops.square(gradient)), gradient

        second, first = _backend.gradients(length, model.trainable_variables)
        found += [first, *second]
    return [None if f is None else ops.convert_to_numpy(f) for f in found] + left


def assert_runs_like_keras(model, *tensors, training=True, tolerance=2e-5):
    other = twin(model)
    expected = outcome(graph.call, other, tensors, training)
    found = outcome(_backend.run, model, tensors, training)
    for ours, keras_own in zip(found, expected, strict=True):
        if ours is None or keras_own is None:  # the loss does not depend on it
            assert not np.any(ours if keras_own is None else keras_own)
        else:
            scale = max(1.0, np.abs(keras_own).max())
            np.testing.assert_allclose(ours, keras_own, rtol=0, atol=tolerance * scale)


@pytest.fixture
def shortcuts(monkeypatch):
    """The layers for which the backend was asked for a shortcut and had one."""
    taken = []
    if keras.backend.backend() != "tensorflow":
        runner = _backend._module._runner
        own = runner._shortcut

        def noted(layer, shape):
            call = own(layer, shape)
            if call is not None and getattr(call, "__self__", None) is not layer:
                taken.append(type(layer))
            return call

        monkeypatch.setattr(runner, "_shortcut", noted)
    return taken


# ---- layers that have shortcuts ------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(SIDE, SIDE, 4), (8, 5, 4)])
@pytest.mark.parametrize(
    "options",
    [
        {"kernel_size": 4, "strides": 2, "padding": "same"},
        {"kernel_size": 3, "padding": "same", "activation": "relu"},
        {"kernel_size": 5, "strides": 2, "padding": "same", "use_bias": False},
        {"kernel_size": 1},
        {"kernel_size": (3, 2), "strides": (2, 1), "padding": "valid", "activation": "tanh"},
        {"kernel_size": 3, "padding": "same", "dilation_rate": 2},
        {"kernel_size": 4, "padding": "same", "groups": 2},
        {"kernel_size": 3, "padding": "same", "kernel_regularizer": "l2"},
    ],
    ids=str,
)
def test_convolution(options, shape, shortcuts):
    assert_runs_like_keras(network(layers.Conv2D(6, **options), shape=shape), numbers(3, *shape))
    by_jax = keras.backend.backend() == "jax" and options["kernel_size"] == 1
    assert shortcuts == ([layers.Conv2D] if TORCH or by_jax else [])


@pytest.mark.parametrize(
    "options",
    [
        {"kernel_size": (2, 3), "stack": "vertical"},
        {"kernel_size": (3, 5), "stack": "vertical", "strict": True, "dilation": 2},
        {"kernel_size": (1, 3), "stack": "horizontal", "use_bias": False},
        {"kernel_size": (1, 1), "stack": "horizontal", "strict": True},
        {"kernel_size": (1, 2), "stack": "horizontal", "dilation": 3},
    ],
    ids=str,
)
def test_causal_convolution(options, shortcuts):
    model = network(CausalConv2D(6, **options))
    assert_runs_like_keras(model, numbers(3, SIDE, SIDE, 4))
    has_shortcut = keras.backend.backend() in {"jax", "torch"}
    assert shortcuts == ([CausalConv2D] if has_shortcut else [])


def test_convolution_of_images_of_any_size():
    model = network(layers.Conv2D(6, 4, strides=2, padding="same"), shape=(None, None, 4))
    assert_runs_like_keras(model, numbers(3, 9, 6, 4))


@pytest.mark.parametrize(
    ("options", "by_torch"),
    [
        ({"kernel_size": 4, "strides": 2, "padding": "same"}, True),
        ({"kernel_size": 4, "strides": 2, "padding": "same", "use_bias": False}, True),
        ({"kernel_size": (6, 3), "strides": (2, 1), "padding": "same"}, True),
        ({"kernel_size": 2, "strides": 2, "padding": "same", "activation": "tanh"}, True),
        ({"kernel_size": 3, "strides": 2, "padding": "same"}, False),
        ({"kernel_size": 2, "strides": 4, "padding": "same"}, False),
        ({"kernel_size": 4, "strides": 2, "padding": "valid"}, False),
        ({"kernel_size": 3, "padding": "same", "dilation_rate": 2}, False),
        ({"kernel_size": 3, "strides": 2, "padding": "same", "output_padding": 1}, False),
    ],
    ids=str,
)
@pytest.mark.filterwarnings("ignore:You might experience inconsistencies:UserWarning")
def test_transposed_convolution(options, by_torch, shortcuts):
    model = network(layers.Conv2DTranspose(6, **options))
    assert_runs_like_keras(model, numbers(3, SIDE, SIDE, 4))
    by_jax = keras.backend.backend() == "jax" and "output_padding" not in options
    assert shortcuts == ([layers.Conv2DTranspose] if by_jax or (TORCH and by_torch) else [])


@pytest.mark.parametrize("options", [{}, {"use_bias": False}, {"activation": "relu"}], ids=str)
@pytest.mark.parametrize("shape", [(5,), (3, 5)])
def test_dense(options, shape, shortcuts):
    assert_runs_like_keras(network(layers.Dense(6, **options), shape=shape), numbers(4, *shape))
    assert shortcuts == ([layers.Dense] if TORCH and len(shape) == 1 else [])


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("shape", [(5,), (6, 5), (SIDE, SIDE, 5)])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"scale": False},
        {"center": False, "momentum": 0.9, "epsilon": 1e-5},
        {"trainable": False},
        {"axis": 1},
    ],
    ids=str,
)
def test_batch_normalisation(options, shape, training):
    model = network(layers.BatchNormalization(**options), shape=shape)
    random = np.random.default_rng(1)
    model.set_weights([random.uniform(0.5, 2.0, w.shape) for w in model.get_weights()])
    assert_runs_like_keras(model, 3 * numbers(4, *shape) + 1, training=training)


def test_moving_variance_of_a_constant_channel_stays_positive():
    layer = layers.BatchNormalization(momentum=0.0)
    model = network(layer, shape=(3, 3, 2))
    _backend.run(model, [np.full((4, 3, 3, 2), 0.7, "float32")], True)
    variance = ops.convert_to_numpy(layer.moving_variance)
    assert np.all(variance >= 0)
    np.testing.assert_allclose(variance, 0.0, atol=1e-8)
    np.testing.assert_allclose(ops.convert_to_numpy(layer.moving_mean), 0.7, rtol=1e-6)


# ---- whole networks ------------------------------------------------------------------------------


class Within(layers.Layer):
    """A user's layer: what is in it learns of the training only from the call around it."""

    def __init__(self, **options):
        super().__init__(**options)
        self.normalisation = layers.BatchNormalization(momentum=0.5)

    def build(self, shape):
        self.normalisation.build(shape)

    def call(self, x):
        self.add_loss(0.1 * ops.sum(ops.square(x)))
        return self.normalisation(x)

    def compute_output_shape(self, shape):
        return shape


@pytest.mark.parametrize("training", [True, False])
def test_layers_of_the_users_own(training):
    model = network(layers.Conv2D(4, 3), Within(), layers.LeakyReLU(), layers.Flatten())
    assert_runs_like_keras(model, numbers(3, SIDE, SIDE, 4), training=training)


def test_regularisers_of_what_layers_give():
    model = network(
        layers.Conv2D(4, 3, activity_regularizer="l2"),
        layers.Flatten(),
        layers.Dense(3, kernel_regularizer="l2", activity_regularizer="l1"),
    )
    assert_runs_like_keras(model, numbers(3, SIDE, SIDE, 4))


def test_a_shared_layer():
    inputs = keras.Input((5,))
    shared = layers.Dense(5, activity_regularizer="l2")
    model = keras.Model(inputs, layers.BatchNormalization()(shared(shared(inputs))))
    assert_runs_like_keras(model, numbers(4, 5))


def test_masks():
    inputs = keras.Input((6,), dtype="int32")
    x = layers.Embedding(4, 3, mask_zero=True)(inputs)
    model = keras.Model(inputs, layers.Dense(2)(layers.GlobalAveragePooling1D()(x)))
    assert_runs_like_keras(model, np.array([[1, 2, 0, 0, 0, 0], [3, 1, 2, 1, 0, 0]], "int32"))


def test_a_network_within_a_network_and_operations_without_layers():
    inner = network(layers.Conv2D(4, 3), layers.BatchNormalization(), layers.Flatten())
    inputs = keras.Input((SIDE, SIDE, 4))
    model = keras.Model(inputs, layers.Dense(2)(ops.tanh(inner(inputs))))
    assert_runs_like_keras(model, numbers(3, SIDE, SIDE, 4))


def test_two_inputs_and_branches():
    image = keras.Input((SIDE, SIDE, 4), name="image")
    label = keras.Input((), dtype="int32", name="label")
    features = layers.Flatten()(layers.Conv2D(2, 3)(image))
    embedding = layers.Embedding(3, features.shape[-1])(label)
    y = layers.Add()([layers.Dense(1)(features), layers.Dot(axes=-1)([features, embedding])])
    tensors = [numbers(3, SIDE, SIDE, 4), np.array([0, 2, 2], "int32")]
    for structure in ([image, label], {"image": image, "label": label}):
        assert_runs_like_keras(keras.Model(structure, y), *tensors)


def test_sequential():
    model = keras.Sequential(
        [
            keras.Input((SIDE, SIDE, 4)),
            layers.Conv2D(3, 3),
            layers.BatchNormalization(),
            layers.Flatten(),
            layers.Dense(2),
        ]
    )
    assert_runs_like_keras(model, numbers(3, SIDE, SIDE, 4))


class Scaled(keras.Model):
    """A class of its own, whose call is not what its graph says."""

    def call(self, inputs, training=None):
        return 3.0 * super().call(inputs, training=training)


def test_a_network_that_overrides_its_call():
    inputs = keras.Input((5,))
    model = Scaled(inputs, layers.Dense(2)(inputs))
    x = numbers(4, 5)
    expected = 3.0 * (x @ model.layers[-1].get_weights()[0])
    found = ops.convert_to_numpy(_backend.run(model, [x], False))
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_mixed_precision():
    stack = [layers.Conv2D(4, 3, dtype="mixed_bfloat16"), layers.Flatten(), layers.Dense(2)]
    model = network(*stack)
    x = numbers(3, SIDE, SIDE, 4)
    expected = ops.convert_to_numpy(graph.call(model, [x], True))
    np.testing.assert_array_equal(ops.convert_to_numpy(_backend.run(model, [x], True)), expected)


def test_inputs_are_cast_as_keras_casts_them():
    model = network(layers.Dense(2), shape=(5,))
    x = numbers(4, 5).astype("float64")
    found = ops.convert_to_numpy(_backend.run(model, [x], True))
    np.testing.assert_allclose(found, ops.convert_to_numpy(graph.call(model, [x], True)), rtol=1e-6)


def test_a_layer_that_changes_after_the_first_call():
    dense, convolution = layers.Dense(4), layers.Conv2D(4, 3)
    model = network(convolution, layers.Flatten(), dense)
    x = numbers(3, SIDE, SIDE, 4)
    _backend.run(model, [x], False)
    dense.enable_lora(2)
    dense.lora_kernel_b.assign(numbers(2, 4))
    convolution.trainable = False
    expected = graph.call(model, [x], False)
    np.testing.assert_allclose(
        ops.convert_to_numpy(_backend.run(model, [x], False)),
        ops.convert_to_numpy(expected),
        atol=1e-5,
    )
    dense.quantize("int8")
    np.testing.assert_allclose(
        ops.convert_to_numpy(_backend.run(model, [x], False)),
        ops.convert_to_numpy(graph.call(model, [x], False)),
        atol=1e-5,
    )


def test_networks_that_were_run_can_go():
    model = network(layers.Dense(2), shape=(5,))
    _backend.run(model, [numbers(4, 5)], False)
    reference = weakref.ref(model)
    keras.backend.clear_session()
    del model
    gc.collect()
    assert reference() is None


# ---- updates -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"beta_1": 0.5, "epsilon": 1e-3},
        {"learning_rate": keras.optimizers.schedules.ExponentialDecay(0.1, 2, 0.5)},
        {"clipnorm": 0.1},
        {"weight_decay": 0.1},
        {"amsgrad": True},
        {"use_ema": True, "ema_overwrite_frequency": 2},
        {"gradient_accumulation_steps": 2},
        {"loss_scale_factor": 4.0},
    ],
    ids=lambda options: "-".join(options) or "plain",
)
@pytest.mark.filterwarnings("ignore:Gradients do not exist for variables:UserWarning")
def test_adam_applies_what_keras_would(options):
    options = {"learning_rate": 0.1, **options}
    starts = [numbers(3, 3, 4, 5), numbers(4, 5), numbers(5)]
    random = np.random.default_rng(2)
    pairs = []
    for _ in range(2):
        variables = [keras.Variable(start) for start in starts]
        variables[2].constraint = keras.constraints.NonNeg()
        optimizer = keras.optimizers.Adam(**options)
        optimizer.build(variables)
        pairs.append((optimizer, variables))
    for step in range(4):
        gradient = [random.standard_normal(start.shape).astype("float32") for start in starts]
        # Of a transposed layout, as those of convolutions' kernels are on PyTorch.
        tensors = [
            ops.transpose(ops.convert_to_tensor(np.array(part.T)), tuple(range(part.ndim))[::-1])
            for part in gradient
        ]
        if step == 2:
            tensors[1] = None
        for (optimizer, variables), apply in zip(pairs, (_backend.apply, keras_apply), strict=True):
            if options.get("gradient_accumulation_steps") and step == 2:
                continue  # Keras wants them all
            apply(optimizer, tensors, variables)
    (ours, found), (own, expected) = pairs
    for a, b in zip([*found, *ours.variables], [*expected, *own.variables], strict=True):
        np.testing.assert_allclose(
            ops.convert_to_numpy(a), ops.convert_to_numpy(b), rtol=1e-5, atol=1e-6, err_msg=a.path
        )


def keras_apply(optimizer, gradient, variables):
    if TORCH:
        import torch

        with torch.no_grad():
            optimizer.apply(list(gradient), list(variables))
    else:
        optimizer.apply(list(gradient), list(variables))


@pytest.mark.skipif(not TORCH, reason="the other backends compile it into one pass")
def test_adam_goes_over_the_weights_once_on_pytorch(monkeypatch):
    import torch

    calls = []
    monkeypatch.setattr(torch, "_fused_adam_", lambda *args, **kwargs: calls.append(kwargs))
    for options in ({}, {"weight_decay": 0.1}):
        variable = keras.Variable(np.ones(3, "float32"))
        optimizer = keras.optimizers.Adam(**options)
        optimizer.build([variable])
        _backend.apply(optimizer, [ops.ones(3)], [variable])
    assert len(calls) == 1


def test_adam_of_constrained_weights():
    variable = keras.Variable(np.ones(3, "float32"), name="clipped")
    variable.constraint = keras.constraints.NonNeg()
    optimizer = keras.optimizers.Adam(2.0)
    optimizer.build([variable])
    _backend.apply(optimizer, [ops.ones(3)], [variable])
    np.testing.assert_array_equal(ops.convert_to_numpy(variable), 0.0)

"""The private names of Keras that kgan reads are there, and mean what kgan takes them for."""

import keras
import numpy as np
import pytest

from kgan._backend import keras_internals as internals


def network():
    inner = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, name="inner")])
    inputs = keras.Input((4,))
    outputs = keras.layers.Dropout(0.5, name="last")(inner(inputs))
    return keras.Model(inputs, outputs)


def test_the_tensor_of_a_variable_can_be_read_and_replaced():
    variable = keras.Variable(np.array([1.0, 2.0], "float32"))
    assert keras.ops.convert_to_numpy(internals.tensor_of(variable)).tolist() == [1.0, 2.0]
    if keras.backend.backend() == "jax":
        internals.set_tensor(variable, keras.ops.convert_to_tensor(np.float32([3.0, 4.0])))
        assert keras.ops.convert_to_numpy(variable.value).tolist() == [3.0, 4.0]


def test_seeds_have_the_dtype_of_a_seed_generators_state():
    assert internals.seed_dtype() == keras.random.SeedGenerator(1).state.dtype


def test_layers_are_found_at_any_depth():
    model = network()
    names = [layer.name for layer in internals.layers_of(model)]
    assert names[0] == model.name
    assert {"inner", "last"} <= set(names)
    assert internals.layers_of(model, include_self=False)[0] is not model
    layers = {layer.name: layer for layer in internals.layers_of(model)}
    assert internals.has_sublayers(model)
    assert not internals.has_sublayers(layers["inner"])
    assert internals.takes_training(layers["last"])
    assert not internals.takes_training(keras.layers.LeakyReLU())


def test_layers_and_metrics_that_are_attributes_are_found():
    model = keras.Model()
    model.network = network()
    model.mean = keras.metrics.Mean()
    assert list(internals.sublayers(model)) == [model.network]
    assert list(internals.own_metrics(model)) == [model.mean]
    assert list(internals.own_metrics(model.network)) == []


def test_the_kept_kernel_is_the_kernel():
    layer = keras.layers.Dense(3)
    layer.build((None, 2))
    assert internals.kept_kernel(layer) is layer.kernel


def test_rematerialised_layers_are_known():
    plain = keras.layers.Dense(3)
    with keras.RematScope(mode="full"):
        recomputing = keras.layers.Dense(3)
    assert [internals.is_rematerialised(layer) for layer in (plain, recomputing)] == [False, True]


def test_an_untracked_layer_is_forgotten():
    model = keras.Model()
    model.part = keras.layers.Dense(3)
    model.part.build((None, 4))
    assert len(model.weights) == 2
    internals.untrack(model, model.part)
    internals.untrack(model, None)
    assert model.weights == model.layers == []


def test_the_nodes_of_a_graph_come_after_their_inputs():
    model = network()
    assert internals.graph_of(model) is model
    assert internals.graph_of(keras.Sequential()) is None
    sequential = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])
    for graph in (model, internals.graph_of(sequential)):
        known = set()
        for node in internals.nodes_of(graph):
            assert node.is_input or {id(tensor) for tensor in node.input_tensors} <= known
            known |= {id(tensor) for tensor in node.outputs}
        assert {id(tensor) for tensor in graph.outputs} <= known
    assert internals.operation_of(model.outputs[0]).name == "last"


def test_masks_are_seen():
    tokens = keras.Input((4,), dtype="int32")
    embedded = [keras.layers.Embedding(5, 3, mask_zero=masks)(tokens) for masks in (True, False)]
    assert [internals.has_mask(tensor) for tensor in embedded] == [True, False]


@pytest.mark.parametrize("scales", [False, True])
def test_what_an_optimizer_keeps(scales):
    adam = keras.optimizers.Adam(0.25, use_ema=True)
    optimizer = keras.optimizers.LossScaleOptimizer(adam) if scales else adam
    variables = [keras.Variable(np.zeros(size, "float32")) for size in (2, 3)]
    assert internals.innermost(optimizer) is adam
    assert internals.trained_variables(optimizer) == []
    optimizer.build(variables)
    assert [id(v) for v in internals.trained_variables(optimizer)] == [id(v) for v in variables]
    assert [internals.index_of(adam, variable) for variable in variables] == [0, 1]
    for kept in (*internals.adam_moments(adam), internals.moving_averages(optimizer)):
        assert [variable.shape for variable in kept] == [(2,), (3,)]
    assert float(keras.ops.convert_to_numpy(internals.learning_rate_of(optimizer))) == 0.25


def test_a_schedule_is_read_as_it_was_given():
    schedule = keras.optimizers.schedules.ExponentialDecay(0.1, 10, 0.5)
    assert internals.learning_rate_of(keras.optimizers.SGD(schedule)) is schedule


@pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="only there are replicas summed"
)
def test_the_sum_over_replicas_can_be_replaced():
    optimizer = keras.optimizers.SGD(1.0)
    variable = keras.Variable(np.float32(0.0))
    optimizer.build([variable])
    internals.reduce_gradients_with(optimizer, lambda gradients: [2 * g for g in gradients])
    # Keras calls it only with several replicas, by this name.
    assert [float(g) for g in optimizer._all_reduce_sum_gradients([1.0])] == [2.0]

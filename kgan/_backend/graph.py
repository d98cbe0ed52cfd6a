"""Runs networks layer by layer, with a backend's own functions in place of some layers."""

import weakref
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeAlias

import keras

from kgan._backend.keras_internals import (
    graph_of,
    has_mask,
    has_own_values,
    has_sublayers,
    is_rematerialised,
    layers_of,
    nodes_of,
    takes_training,
)
from kgan._backend.kernel_wrapper import KernelWrapper
from kgan._typing import Layer, Network, Tensor, Variable

Inputs: TypeAlias = keras.KerasTensor | list[keras.KerasTensor] | None
"""What a layer is called with: a tensor, a list of float32 tensors, or None for anything else."""

Shortcut: TypeAlias = Callable[[Layer, Inputs], Callable[..., Any] | None]
"""Gives a function that takes the place of a layer in a network, or None to call the layer.

Its arguments are the layer and its inputs. The function has the signature of `layer.call`. It must
give what the layer gives in a network in which all layers compute in float32 and nothing is masked.
"""


def call(network: Network, tensors: Sequence[Tensor], training: bool) -> Any:
    """Keras's own call of a network: its output, or the list of its outputs if it has several."""
    if isinstance(network, keras.Sequential):  # it always has one input, and no `input`
        return network(tensors[0], training=training)
    # The network may take its inputs as a tensor, a list or a dict, and so return outputs.
    result = network(keras.tree.pack_sequence_as(network.input, tensors), training=training)
    outputs = keras.tree.flatten(result)
    return outputs if len(outputs) > 1 else outputs[0]


def call_layer(layer: Layer, x: Tensor, training: bool) -> Tensor:
    """Keras's own call of a layer inside another one."""
    return layer(x, training=training) if takes_training(layer) else layer(x)


def computing_layers(network: Network) -> list[Layer]:
    """The layers of a network that compute, including those of networks inside it.

    Networks and input layers do not compute: their dtype policy is the one that was global when
    they were made or loaded.
    """
    return [
        layer
        for layer in layers_of(network, include_self=False)
        if not isinstance(layer, (keras.Model, keras.layers.InputLayer))
    ]


class _Step(NamedTuple):
    function: Callable[..., Any]
    is_told: bool  # whether the function takes `training`
    arguments: Callable[[dict[int, Any]], tuple[tuple[Any, ...], dict[str, Any]]]
    outputs: list[int]
    used_up: list[int]  # the tensors that no later step reads: their memory is free again


class _Plan(NamedTuple):
    steps: list[_Step]
    graph: weakref.ref[Network] | None  # the plan must not keep the network alive
    policies: list[tuple[Layer, Any]]
    weights: list[Variable] | None  # those that may be regularised, if nothing else can add a loss
    is_of_keras: bool  # whether all of its layers are

    def holds(self, network: Network) -> bool:
        """Whether the network still computes in the same way.

        `Sequential.add` and `pop` make another graph. Quantising a layer gives it another policy.
        """
        graph = graph_of(network)
        return (None if self.graph is None else self.graph()) is graph and all(
            layer.dtype_policy is policy for layer, policy in self.policies
        )


class _LayerPlan(NamedTuple):
    function: Callable[..., Any] | None
    is_told: bool
    fits: tuple[Any, ...]  # what the function depends on: see `_fits_of`


def _fits_of(layer: Layer, x: Tensor) -> tuple[Any, ...]:
    return layer.dtype_policy, x.dtype, x.shape[1:]


class Runner:
    """Calls networks as `call` does, but faster, with the shortcuts of a backend.

    Without compilation, half of the time of a small network goes into what `Layer.__call__` does
    around `Layer.call`: converting tensors, binding arguments, looking for masks. The graph of a
    network shows in advance which of this has an effect. A layer without a shortcut is called by
    Keras. So is the whole network if its graph does not tell everything: if the network is of a
    custom class, uses masks, calls a layer twice or mixes precisions.

    Args:
        shortcut: The shortcuts of the backend.
    """

    def __init__(self, shortcut: Shortcut) -> None:
        self._shortcut = shortcut
        self._plans: weakref.WeakKeyDictionary[Network, _Plan] = weakref.WeakKeyDictionary()
        self._layers: weakref.WeakKeyDictionary[Layer, _LayerPlan] = weakref.WeakKeyDictionary()

    def __call__(self, network: Network, tensors: Sequence[Tensor], training: bool) -> Any:
        """The output of a network, or the list of its outputs, for one tensor per input."""
        plan = self._present_plan(network)
        if not plan.steps or not _fit(tensors, network.inputs):
            return call(network, tensors, training)
        values = {
            id(reference): keras.ops.convert_to_tensor(tensor, dtype=reference.dtype)
            for reference, tensor in zip(network.inputs, tensors, strict=True)
        }
        for function, is_told, arguments, outputs, used_up in plan.steps:
            args, kwargs = arguments(values)
            if is_told:
                kwargs["training"] = training
            result = function(*args, **kwargs)
            if len(outputs) == 1:
                values[outputs[0]] = result
            else:
                values.update(zip(outputs, keras.tree.flatten(result), strict=True))
            for tensor in used_up:
                del values[tensor]
        outputs = [values[id(output)] for output in network.outputs]
        return outputs if len(outputs) > 1 else outputs[0]

    def layer(self, layer: Layer, x: Tensor, training: bool) -> Tensor:
        """The output of a layer inside another one."""
        if isinstance(x, keras.KerasTensor) or not has_own_values():
            return call_layer(layer, x, training)
        plan = self._layers.get(layer)
        if plan is None or plan.fits != _fits_of(layer, x):
            plan = self._layers[layer] = self._layer_plan(layer, x)
        if plan.function is None:
            return call_layer(layer, x, training)
        return plan.function(x, training=training) if plan.is_told else plan.function(x)

    def _layer_plan(self, layer: Layer, x: Tensor) -> _LayerPlan:
        function = None
        if _is_transparent(layer) and _computes_in_float32(layer):
            symbol = keras.KerasTensor(
                (None, *x.shape[1:]), keras.backend.standardize_dtype(x.dtype)
            )
            function = self._shortcut(layer, symbol)
        return _LayerPlan(function, takes_training(layer), _fits_of(layer, x))

    def has_losses(self, part: Layer) -> bool:
        """Whether `part.losses` may hold anything. Keras searches all layers to find out."""
        if not isinstance(part, keras.Model):
            return True
        weights = self._present_plan(part).weights
        return weights is None or any(weight.regularizer is not None for weight in weights)

    def may_have_metrics(self, part: Layer) -> bool:
        """Whether a layer of a part may have metrics: not in a network of Keras's own layers."""
        return not isinstance(part, keras.Model) or not self._present_plan(part).is_of_keras

    def _present_plan(self, network: Network) -> _Plan:
        plan = self._plans.get(network)
        if plan is None or not plan.holds(network):
            plan = self._plans[network] = self._plan(network)
        return plan

    def _plan(self, network: Network) -> _Plan:
        layers = computing_layers(network)
        policies = [(layer, layer.dtype_policy) for layer in layers]
        steps = self._steps(network) if _is_plain(network, layers) else []
        graph = graph_of(network)
        adds_losses = not _is_of_keras(network) or not all(map(_adds_no_loss, layers))
        return _Plan(
            steps,
            None if graph is None else weakref.ref(graph),
            policies,
            None if adds_losses else list(network.weights),
            _is_of_keras(network) and all(map(_is_of_keras, layers)),
        )

    def _steps(self, network: Network) -> list[_Step]:
        steps = []
        shortcuts = 0
        nodes = [node for node in nodes_of(graph_of(network)) if not node.is_input]
        for node, used_up in zip(nodes, _used_up(nodes, network.outputs), strict=True):
            operation = node.operation
            is_layer = isinstance(operation, keras.Layer)
            function = None
            if is_layer and _is_transparent(operation) and _converts_nothing(node.arguments):
                function = self._shortcut(operation, _inputs(node.arguments))
            shortcuts += function is not None
            steps.append(
                _Step(
                    function or operation,
                    # `Layer.__call__` passes it on to the layers inside.
                    is_layer if function is None else takes_training(operation),
                    _filled_in(node.arguments),
                    [id(output) for output in node.outputs],
                    used_up,
                )
            )
        return steps if shortcuts else []


def _used_up(nodes: Sequence[Any], outputs: Sequence[keras.KerasTensor]) -> list[list[int]]:
    """For each node, the tensors that it is the last one to read."""
    seen = {id(output) for output in outputs}
    used_up = []
    for node in reversed(nodes):
        read = {id(tensor) for tensor in node.input_tensors}
        used_up.append(sorted(read - seen))
        seen |= read
    return used_up[::-1]


def _fit(tensors: Sequence[Any], inputs: Sequence[keras.KerasTensor]) -> bool:
    """Whether tensors have the shapes that a network expects. If not, Keras raises an error."""
    return all(
        len(tensor.shape) == len(expected.shape)
        and all(b is None or a == b for a, b in zip(tensor.shape, expected.shape, strict=True))
        for tensor, expected in zip(tensors, inputs, strict=True)
    )


def _converts_nothing(arguments: Any) -> bool:
    """Whether `Layer.__call__` leaves the arguments as they are, in a layer of float32."""

    def stays(value: Any) -> bool:
        if isinstance(value, keras.KerasTensor):
            return value.dtype == "float32" or not keras.backend.is_float_dtype(value.dtype)
        return not hasattr(value, "__array__")  # arrays become tensors

    return all(map(stays, keras.tree.flatten((arguments.args, arguments.kwargs))))


def _inputs(arguments: Any) -> Inputs:
    args, kwargs = arguments.args, arguments.kwargs
    if len(args) != 1:
        return None
    # `training` is overridden by that of the network's call. None means no mask.
    is_plain = all(name == "training" or value is None for name, value in kwargs.items())
    is_list = isinstance(args[0], list) and all(
        isinstance(x, keras.KerasTensor) and x.dtype == "float32" for x in args[0]
    )
    return args[0] if is_plain and (is_list or isinstance(args[0], keras.KerasTensor)) else None


def _filled_in(arguments: Any) -> Any:
    """A faster `arguments.fill_in` for the common cases: a single tensor, or a list of tensors."""
    kwargs, places = arguments.kwargs, [id(tensor) for tensor in arguments.keras_tensors]
    if len(arguments.args) == 1:
        given = arguments.args[0]
        if len(places) == 1 and id(given) == places[0]:
            only = places[0]
            return lambda values: ((values[only],), dict(kwargs))
        if isinstance(given, list) and [id(each) for each in given] == places:
            return lambda values: (([values[place] for place in places],), dict(kwargs))
    return arguments.fill_in


def _is_plain(network: Network, layers: Sequence[Layer]) -> bool:
    """Whether the graph of a network tells everything that its call does."""
    graph = graph_of(network)
    if not _is_of_keras(network) or graph is None:
        return False
    nodes = list(nodes_of(graph))
    operations = [id(node.operation) for node in nodes if not node.is_input]
    return (
        len(set(operations)) == len(operations)
        and not any(has_mask(output) for node in nodes for output in node.outputs)
        and all(map(_computes_in_float32, layers))
    )


def _computes_in_float32(layer: Layer) -> bool:
    return bool(layer.compute_dtype == layer.variable_dtype == "float32")


def _is_of_keras(layer: Layer) -> bool:
    return type(layer).__module__.startswith("keras.src.")


def _adds_no_loss(layer: Layer) -> bool:
    """Whether a layer has no losses but those of its weights' regularizers."""
    is_known = _is_of_keras(layer) or type(layer).__module__.startswith("kgan.layers.")
    return is_known and layer.activity_regularizer is None


def _is_transparent(layer: Layer) -> bool:
    """Whether `Layer.__call__` adds nothing to `layer.call`, nor to that of a wrapped layer."""
    if not isinstance(layer, KernelWrapper):
        return _is_leaf(layer)
    is_plain = layer.activity_regularizer is None and not is_rematerialised(layer)
    return is_plain and _is_leaf(layer.layer)


def _is_leaf(layer: Layer) -> bool:
    """Whether `Layer.__call__` adds nothing to `layer.call`, in a layer of Keras or of kgan."""
    return (
        type(layer).__module__.startswith(("keras.src.layers.", "kgan.layers."))
        and not has_sublayers(layer)
        and layer.activity_regularizer is None
        and not is_rematerialised(layer)
        and getattr(layer, "quantization_mode", None) is None
    )

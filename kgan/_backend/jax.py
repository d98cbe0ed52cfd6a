"""The JAX backend: imperative steps as pure functions of the trainer's state."""

import contextlib
import threading
import weakref
from collections.abc import Callable, Hashable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import keras

from kgan import _interrupts
from kgan._backend import functions, graph
from kgan._backend.keras_internals import set_tensor, tensor_of
from kgan._typing import Layer, Logs, Tensor, Variable
from kgan._versions import KERAS

# A step deletes the values that it is given. No other thread may read them meanwhile.
_donating = threading.RLock()

# The variables of each model's steps, by how many groups a step's state has. They are no attributes
# of the models: Keras would track them twice.
_step_variables: weakref.WeakKeyDictionary[Any, dict[int, list[list[Variable]]]] = (
    weakref.WeakKeyDictionary()
)


class ImperativeSteps(functions.FreshFunctions):
    """Shows Keras's JAX trainer pure functions in place of the steps that a model states."""

    def train_step(self: Any, state: Any, data: Any) -> tuple[Logs, Any]:
        """What Keras's trainer calls for a batch of training data: `(logs, new state)`."""
        variables = (
            self.trainable_variables,
            self.non_trainable_variables,
            self.optimizer.variables,
            self.metrics_variables,
        )
        return _purely(
            lambda: self.training_step(self.unpack(data, training=True)), variables, state
        )

    def test_step(self: Any, state: Any, data: Any) -> tuple[Logs, Any]:
        """What Keras's trainer calls for a batch of held-out data: `(logs, new state)`."""
        variables = (
            self.trainable_variables,
            self.non_trainable_variables,
            self.metrics_variables,
        )
        return _purely(
            lambda: self.evaluation_step(self.unpack(data, training=False)), variables, state
        )

    # Keras's trainer takes the values out of the variables, donates them to each step and puts back
    # the last step's results at the end of an epoch. In between, a variable would hold a deleted
    # array. Here the variables always have their values: each step reads them, and writes them
    # before any other code runs. So callbacks may read and assign weights in any way, a failed or
    # interrupted step loses nothing, and other threads may predict.

    def _get_jax_state(self: Any, purge_model_variables: bool = False, **parts: bool) -> Any:
        """The values that Keras's trainer passes to a step. They also stay in the variables."""
        del purge_model_variables
        groups = [_variables_of(self, name) for name, is_wanted in parts.items() if is_wanted]
        _step_variables.setdefault(self, {})[len(groups)] = groups
        return tuple([tensor_of(variable) for variable in group] for group in groups)

    def _make_function(self: Any, step_function: Any, concatenate_outputs: bool = False) -> Any:
        """The function that Keras's trainer calls for one or more batches."""

        def step(state: Any, data: Any) -> Any:
            # The state may be older than the variables: callbacks may have assigned to them.
            groups = _step_variables[self][len(state)]
            with _interrupts.held_off(), _donating:
                state = tuple([tensor_of(v) for v in group] for group in groups)
                outputs, state = step_function(state, data)
                for group, values in zip(groups, state, strict=True):
                    for variable, value in zip(group, values, strict=True):
                        set_tensor(variable, value)
            return outputs, state

        return super()._make_function(step, concatenate_outputs)  # type: ignore[misc]

    def jax_state_sync(self) -> None:
        """Does nothing: the variables always have their values."""


def _variables_of(model: Any, part: str) -> list[Variable]:
    return list(
        model.optimizer.variables if part == "optimizer_variables" else getattr(model, part)
    )


def _purely(step: Callable[[], Logs], variables: Any, state: Any) -> Any:
    """Runs a step on the values in `state`, which is as `variables`, and returns the new ones."""
    pairs = [
        pair
        for group, values in zip(variables, state, strict=True)
        for pair in zip(group, values, strict=True)
    ]
    with keras.StatelessScope(pairs) as scope:
        logs = step()
    return logs, tuple([scope.get_current_value(v) for v in group] for group in variables)


class _InnerScope(keras.StatelessScope):
    """A scope that sees the values of the one around it, and knows what was assigned within."""

    def __init__(self, state_mapping: Any = ()) -> None:
        super().__init__(state_mapping)
        self.assigned: dict[int, Any] = {}

    def add_update(self, update: Any) -> None:
        super().add_update(update)
        self.assigned[id(update[0])] = update[0]

    def get_current_value(self, variable: Any) -> Any:
        value = super().get_current_value(variable)
        if value is None and self.original_scope is not None:
            value = self.original_scope.get_current_value(variable)
        return value


def _gradient(
    fn: Callable[[Any], tuple[Any, Any]], values: Any, variables: Sequence[Any] = ()
) -> tuple[Any, Any]:
    """`jax.grad` of an `fn` that may assign to variables: what it assigns, they have afterwards."""
    assigned: list[Any] = []

    def compute(values: Any) -> tuple[Any, Any]:
        with _InnerScope(zip(variables, values, strict=True) if variables else ()) as scope:
            loss, aux = fn(values)
        assigned[:] = scope.assigned.values()
        # Out of the differentiated function as results, or they would be tracers that outlive it.
        return loss, (aux, [scope.get_current_value(variable) for variable in assigned])

    gradient, (aux, updates) = jax.grad(compute, has_aux=True)(values)
    for variable, value in zip(assigned, updates, strict=True):
        variable.assign(value)
    return gradient, aux


def gradients(fn: Callable[[], tuple[Any, Any]], variables: Sequence[Any]) -> tuple[list[Any], Any]:
    """Differentiates what `fn` computes, as `kgan._backend` says."""
    return _gradient(lambda _: fn(), [variable.value for variable in variables], variables)


def input_gradient(fn: Callable[[Any], tuple[Any, Any]], x: Any) -> tuple[Any, tuple[Any, Any]]:
    """Differentiates what `fn` computes of `x`, as `kgan._backend` says."""

    def compute(x: Any) -> tuple[Any, tuple[Any, Any]]:
        y, aux = fn(x)
        return jnp.sum(y), (y, aux)

    return _gradient(compute, keras.ops.convert_to_tensor(x))


def now_and_then(due: Any, fn: Callable[[], Any]) -> Any:
    """`fn()` where it is due, else 0."""
    assigned: list[Any] = []

    def done() -> tuple[Any, list[Any]]:
        with _InnerScope() as scope:
            value = fn()
        assigned[:] = scope.assigned.values()
        return value, [scope.get_current_value(variable) for variable in assigned]

    def left() -> tuple[Any, list[Any]]:
        return jnp.zeros(()), [variable.value for variable in assigned]

    jax.eval_shape(done)  # tells what it assigns, which both branches have to return
    value, values = jax.lax.cond(due, done, left)
    for variable, new in zip(assigned, values, strict=True):
        variable.assign(new)
    return value


def average_into(averages: Sequence[Any], variables: Sequence[Any], share: Any) -> None:
    """Moves averages by a share of their way, as `kgan._backend` says."""
    for average, variable in zip(averages, variables, strict=True):
        is_float = jnp.issubdtype(variable.value.dtype, jnp.floating)
        way = (variable.value - average.value) * share
        average.assign(average.value + way if is_float else variable.value)


def global_norm(tensors: Sequence[Any]) -> Any:
    """The Euclidean length of tensors, all together."""
    return jnp.sqrt(sum((jnp.vdot(tensor, tensor) for tensor in tensors), jnp.zeros(())))


def apply(optimizer: Any, gradient: Sequence[Any], variables: Sequence[Any]) -> None:
    """Updates variables by an optimizer that was built for them, as `kgan._backend` says."""
    # `optimizer.apply` assigns within branches where the loss is scaled; JAX's may not.
    values, state = optimizer.stateless_apply(
        [variable.value for variable in optimizer.variables],
        list(gradient),
        [variable.value for variable in variables],
    )
    for variable, value in zip([*variables, *optimizer.variables], [*values, *state], strict=True):
        variable.assign(value)


# ---- networks ------------------------------------------------------------------------------------


def run(network: Any, tensors: Sequence[Any], training: bool) -> Any:
    """The output of a network, as `kgan._backend` says."""
    if isinstance(keras.distribution.distribution(), keras.distribution.ModelParallel):
        return graph.call(network, tensors, training)  # which lays out what each layer gives
    return _runner(network, tensors, training)


def _shortcut(layer: Layer, only_input: keras.KerasTensor | None) -> Callable[..., Any] | None:
    """Transposed convolutions with a gradient that CPUs work out many times as fast.

    For the gradient of their kernel, XLA convolves by a filter as large as the image. That of the
    convolution whose transpose they are is the same, and is one that XLA has been made fast for.
    """
    if (
        only_input is None
        or type(layer) is not keras.layers.Conv2DTranspose
        or jax.default_backend() != "cpu"
        or layer.output_padding is not None
    ):
        return None
    options = {
        "strides": layer.strides,
        "padding": layer.padding,
        "data_format": layer.data_format,
        "dilation_rate": layer.dilation_rate,
    }

    @jax.custom_vjp
    def transposed(x: Any, kernel: Any) -> Any:
        return keras.ops.conv_transpose(x, kernel, **options)

    def forward(x: Any, kernel: Any) -> Any:
        return transposed(x, kernel), (x, kernel)

    def backward(saved: Any, cotangent: Any) -> Any:
        x, kernel = saved
        # <transposed(x, kernel), y> = <x, conv(y, kernel)>: linear in each of the three.
        gradient, by_kernel = jax.vjp(lambda k: keras.ops.conv(cotangent, k, **options), kernel)
        return gradient, by_kernel(x)[0]

    transposed.defvjp(forward, backward)

    def call(x: Any) -> Any:
        y = transposed(x, keras.ops.convert_to_tensor(layer.kernel))
        if layer.use_bias:
            shape = (-1,) if layer.data_format == "channels_last" else (-1, 1, 1)
            y = y + keras.ops.reshape(layer.bias, shape)
        return y if layer.activation is None else layer.activation(y)

    return call


_runner = graph.Runner(_shortcut)


# ---- several devices -----------------------------------------------------------------------------


def devices(model: Any) -> int:
    """How many devices share a batch."""
    del model
    distribution = keras.distribution.distribution()
    if distribution is None:
        return 1
    mesh = distribution.device_mesh
    return int(mesh.shape[mesh.axis_names.index(distribution.batch_dim_name)])


def _process(model: Any) -> tuple[int, int]:
    """Which of how many parts of every batch this process reads."""
    if keras.distribution.distribution() is None:
        return 0, 1
    # Several processes read the same part where a model is spread over them.
    count = min(jax.process_count(), devices(model))
    return jax.process_index() * count // jax.process_count(), count


def multiple_steps(model: Any) -> bool:
    """Whether Keras's trainer can run several steps in one call."""
    del model
    return True


def is_chief(model: Any) -> bool:
    """Whether this process is the one that writes files."""
    del model
    return keras.distribution.distribution() is None or jax.process_index() == 0


def replicas() -> tuple[int, int]:
    """Within a step: which of how many parts of the batch this is. Always the whole."""
    return 0, 1


def scope(model: Any) -> Any:
    """A context, to make variables in that belong to the model."""
    del model
    return contextlib.nullcontext()  # the distribution is set for all models


def belongs(variable: Any, model: Any) -> bool:
    """Whether a variable was made for the same devices as the model's own."""
    del model
    distribution = keras.distribution.distribution()
    if distribution is None or distribution.device_mesh.devices.size == 1:
        return True
    return not isinstance(variable.value.sharding, jax.sharding.SingleDeviceSharding)


def dealt_out(batch: Any, model: Any) -> Any:
    """A batch in the form that `train_on_batch` takes, from which each device gets its part."""
    if KERAS < (3, 15):
        raise NotImplementedError(
            "Keras before 3.15 deals out no batch that comes without sample weights. Expected "
            "Keras 3.15 or later for `train_on_batch` and `test_on_batch` on several devices on "
            f"JAX, or `fit` and `evaluate` in their place. Received: Keras {keras.version()}."
        )
    # Keras makes one array of what the processes have.
    index, count = _process(model)

    def own(array: Any) -> Any:
        size = len(array) // count
        return array[index * size : (index + 1) * size]

    return keras.tree.map_structure(lambda array: None if array is None else own(array), batch)


def alone(call: Callable[[], Any]) -> Any:
    """`call()`, in which variables may be made without the other processes."""
    distribution = keras.distribution.distribution()
    keras.distribution.set_distribution(None)
    try:
        return call()
    finally:
        keras.distribution.set_distribution(distribution)


def _compile(model: Layer, call: Callable[..., Any]) -> Callable[..., Any]:
    reference = weakref.ref(model)

    def compute(values: Sequence[Tensor], tensors: Sequence[Any]) -> Any:
        owner = reference()
        assert owner is not None  # `predict` has it
        with _ModelScope(zip(owner.variables, values, strict=True)):
            return call(*tensors)

    return jax.jit(compute)


class _ModelScope(keras.StatelessScope):
    """A scope in which only the variables that it maps can be read."""

    def get_current_value(self, variable: Variable) -> Tensor:
        value = super().get_current_value(variable)
        if value is None:
            raise ValueError(
                "Expected a function that reads variables of its model only. Received: one that "
                f"reads {variable.path!r}. Make the layer that owns it an attribute of the model."
            )
        return value


_functions = functions.Functions(_compile)


def predict(model: Layer, method: functions.Method, *tensors: Any, **options: Hashable) -> Any:
    """What a method computes, as NumPy arrays. See `kgan._backend`."""
    function = _functions.get(model, method, options)
    with _donating:
        # All variables in one order: which ones are trained may change, and with it other lists.
        values = [tensor_of(variable) for variable in model.variables]
        if all(value.is_fully_replicated for value in values):
            values = [value.addressable_data(0) for value in values]
        outputs = function(values, tensors)
    return functions.to_numpy(outputs)


def average_statistics(model: Any) -> None:
    """Makes what each device has counted up for itself the mean of all: here they share it."""
    del model


# ---- data ----------------------------------------------------------------------------------------


def readable(part: Callable[[int, int], Any], model: Any) -> Any:
    """What Keras's trainer reads: the `PyDataset` that this process is to read, as it is."""
    return part(*_process(model))

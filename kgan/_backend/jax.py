"""The JAX backend: imperative steps as pure functions of the trainer's state."""

import contextlib
import threading
import warnings
import weakref
from collections.abc import Callable, Hashable, Sequence
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import keras

from kgan import _interrupts
from kgan._backend import functions, graph
from kgan._backend.jax_layers import shortcut
from kgan._backend.keras_internals import set_tensor, tensor_of, trained_variables
from kgan._typing import Data, Layer, Logs, Network, Optimizer, Tensor, Variable
from kgan._versions import KERAS

T = TypeVar("T")

# A step deletes the values that it is given. No other thread may read them meanwhile.
_donating = threading.RLock()

# The variables of each model's steps, by how many groups a step's state has. They are not
# attributes of the models: Keras would track them twice.
_step_variables: weakref.WeakKeyDictionary[Any, dict[int, list[list[Variable]]]] = (
    weakref.WeakKeyDictionary()
)


class ImperativeSteps(functions.FreshFunctions):
    """Turns the imperative steps of a model into the pure functions that Keras's trainer needs."""

    def train_step(self: Any, state: Any, data: Any) -> tuple[Logs, Any]:
        """Trains on a batch: `(logs, new state)`."""
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
        """Evaluates a batch: `(logs, new state)`."""
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


def _variables_of(model: Layer, part: str) -> list[Variable]:
    return list(
        model.optimizer.variables if part == "optimizer_variables" else getattr(model, part)
    )


def _purely(step: Callable[[], Logs], variables: Any, state: Any) -> Any:
    """Runs a step with the values in `state`, one for each of `variables`.

    Returns:
        `(logs, new state)`.
    """
    pairs = [
        pair
        for group, values in zip(variables, state, strict=True)
        for pair in zip(group, values, strict=True)
    ]
    with keras.StatelessScope(pairs) as scope:
        logs = step()
    return logs, tuple([scope.get_current_value(v) for v in group] for group in variables)


class _InnerScope(keras.StatelessScope):
    """A scope that sees the values of the enclosing scope, and records assignments."""

    def __init__(self, state_mapping: Any = ()) -> None:
        super().__init__(state_mapping)
        self.assigned: dict[int, Any] = {}

    def add_update(self, update: Any) -> None:
        super().add_update(update)
        self.assigned[id(update[0])] = update[0]

    def get_current_value(self, variable: Variable) -> Any:
        value = super().get_current_value(variable)
        if value is None and self.original_scope is not None:
            value = self.original_scope.get_current_value(variable)
        return value


def _gradient(
    fn: Callable[[Any], tuple[Any, Any]], values: Any, variables: Sequence[Any] = ()
) -> tuple[Any, Any]:
    """`jax.grad` of a function that may assign to variables. The assignments take effect."""
    assigned: list[Any] = []

    def compute(values: Any) -> tuple[Any, Any]:
        with _InnerScope(zip(variables, values, strict=True) if variables else ()) as scope:
            loss, aux = fn(values)
        assigned[:] = scope.assigned.values()
        # Returned as results: otherwise tracers would outlive the differentiated function.
        return loss, (aux, [scope.get_current_value(variable) for variable in assigned])

    gradient, (aux, updates) = jax.grad(compute, has_aux=True)(values)
    for variable, value in zip(assigned, updates, strict=True):
        variable.assign(value)
    return gradient, aux


def gradients(
    fn: Callable[[], tuple[Tensor, T]], variables: Sequence[Variable]
) -> tuple[list[Tensor | None], T]:
    """Differentiates the loss of `fn` with respect to variables. See `kgan._backend`."""
    return _gradient(lambda _: fn(), [variable.value for variable in variables], variables)


def input_gradient(
    fn: Callable[[Tensor], tuple[Tensor, T]], x: Tensor
) -> tuple[Tensor, tuple[Tensor, T]]:
    """Differentiates the output of `fn` with respect to `x`. See `kgan._backend`."""

    def compute(x: Tensor) -> tuple[Any, tuple[Any, Any]]:
        y, aux = fn(x)
        return jnp.sum(y), (y, aux)

    return _gradient(compute, keras.ops.convert_to_tensor(x))


def now_and_then(due: Tensor, fn: Callable[[], Tensor]) -> Tensor:
    """`fn()` if it is due, otherwise 0."""
    assigned: list[Any] = []

    def done() -> tuple[Any, list[Any]]:
        with _InnerScope() as scope:
            value = fn()
        assigned[:] = scope.assigned.values()
        return value, [scope.get_current_value(variable) for variable in assigned]

    def left() -> tuple[Any, list[Any]]:
        return jnp.zeros(()), [variable.value for variable in assigned]

    jax.eval_shape(done)  # finds the variables that it assigns: both branches must return them
    value, values = jax.lax.cond(due, done, left)
    for variable, new in zip(assigned, values, strict=True):
        variable.assign(new)
    return value


def average_into(
    averages: Sequence[Variable], variables: Sequence[Variable], share: Tensor
) -> None:
    """Moves averages towards variables. See `kgan._backend`."""
    for average, variable in zip(averages, variables, strict=True):
        is_float = jnp.issubdtype(variable.value.dtype, jnp.floating)
        way = (variable.value - average.value) * share
        average.assign(average.value + way if is_float else variable.value)


accumulate = functions.accumulate
losses = functions.losses
seeded = functions.seeded
may_have_metrics = functions.may_have_metrics
written = functions.written


def scan(
    step: Callable[[tuple[Tensor, ...], Tensor], tuple[Tensor, ...]],
    states: tuple[Tensor, ...],
    inputs: Tensor,
) -> tuple[Tensor, ...]:
    """The states after each step of a loop. See `kgan._backend`."""

    def both(
        states: tuple[Tensor, ...], x: Tensor
    ) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
        states = step(states, x)
        return states, states

    found: tuple[Tensor, ...] = jax.lax.scan(both, states, inputs)[1]
    return found


normalised = functions.normalised


def global_norm(tensors: Sequence[Tensor]) -> Tensor:
    """The Euclidean length of all tensors together."""
    in_rows = keras.distribution.distribution() is None and jax.default_backend() == "cpu"
    squared = _squared_in_rows if in_rows else _squared
    parts = (squared(tensor.astype("float32")) for tensor in tensors)
    return jnp.sqrt(sum(parts, jnp.zeros(())))


def _squared(tensor: Tensor) -> Tensor:
    return jnp.vdot(tensor, tensor)


def _squared_in_rows(tensor: Tensor, lanes: int = 256) -> Tensor:
    """The squared length of a tensor.

    On CPUs, XLA adds up one number at a time in a sum over everything, but many at a time in a sum
    over rows. In a step of a dense network, that saves a tenth of the time.
    """
    values = jnp.reshape(tensor, -1)
    whole = values.size - values.size % lanes
    rows = jnp.reshape(values[:whole], (-1, lanes))
    rest = values[whole:]
    return jnp.sum(jnp.sum(jnp.square(rows), axis=0)) + jnp.sum(jnp.square(rest))


def apply(
    optimizer: Optimizer, gradient: Sequence[Tensor | None], variables: Sequence[Variable]
) -> None:
    """Updates variables with an optimizer that was built for them. See `kgan._backend`."""
    # With a scaled loss, `optimizer.apply` assigns inside branches, which JAX does not allow.
    by_variable = {id(v): part for v, part in zip(variables, gradient, strict=True)}
    trained = trained_variables(optimizer)
    with warnings.catch_warnings():
        # Keras warns of variables without a gradient, and leaves them as they are.
        warnings.filterwarnings("ignore", message="Gradients do not exist")
        values, state = optimizer.stateless_apply(
            [variable.value for variable in optimizer.variables],
            [by_variable.get(id(variable)) for variable in trained],
            [variable.value for variable in trained],
        )
    for variable, value in zip([*trained, *optimizer.variables], [*values, *state], strict=True):
        variable.assign(value)


# ---- networks ------------------------------------------------------------------------------------


def run(network: Network, tensors: Sequence[Tensor], training: bool) -> Any:
    """The output of a network. See `kgan._backend`."""
    if isinstance(keras.distribution.distribution(), keras.distribution.ModelParallel):
        return graph.call(network, tensors, training)  # Keras lays out the output of each layer
    return _runner(network, tensors, training)


_runner = graph.Runner(shortcut)
run_layer = graph.call_layer


# ---- several devices -----------------------------------------------------------------------------


def devices(model: Layer) -> int:
    """The number of devices that share a batch."""
    del model
    distribution = keras.distribution.distribution()
    if distribution is None:
        return 1
    mesh = distribution.device_mesh
    return int(mesh.shape[mesh.axis_names.index(distribution.batch_dim_name)])


def _process(model: Layer) -> tuple[int, int]:
    """The index of the part of every batch that this process reads, and the number of parts."""
    if keras.distribution.distribution() is None:
        return 0, 1
    # If a model is spread over several processes, these read the same part.
    count = min(jax.process_count(), devices(model))
    return jax.process_index() * count // jax.process_count(), count


def multiple_steps(model: Layer) -> bool:
    """Whether Keras's trainer can run several steps in one call."""
    del model
    return True


def can_accumulate(model: Layer) -> bool:
    """Whether optimizers of the model can accumulate gradients over several steps."""
    del model
    return True


def is_chief(model: Layer) -> bool:
    """Whether this process writes files."""
    del model
    return keras.distribution.distribution() is None or jax.process_index() == 0


def replicas() -> tuple[int, int]:
    """In a step, the part of the batch and the number of parts. Always the whole batch."""
    return 0, 1


def scope(model: Layer) -> contextlib.AbstractContextManager[Any]:
    """A context in which to make variables that belong to the model."""
    del model
    return contextlib.nullcontext()  # the distribution holds for all models


def belongs(variable: Variable, model: Layer) -> bool:
    """Whether a variable is on the same devices as those of the model."""
    del model
    distribution = keras.distribution.distribution()
    if distribution is None or distribution.device_mesh.devices.size == 1:
        return True
    return not isinstance(variable.value.sharding, jax.sharding.SingleDeviceSharding)


def dealt_out(batch: Data, model: Layer) -> Data:
    """A batch in the form that `train_on_batch` takes, from which each device gets its part."""
    if KERAS < (3, 15):
        raise NotImplementedError(
            "Expected Keras 3.15 or later for `train_on_batch` and `test_on_batch` on several "
            f"devices on JAX. Received: Keras {keras.version()}. Update Keras, or use `fit` and "
            "`evaluate`."
        )
    # Keras joins the parts of the processes to one array.
    index, count = _process(model)

    def own(array: Any) -> Any:
        size = len(array) // count
        return array[index * size : (index + 1) * size]

    return keras.tree.map_structure(lambda array: None if array is None else own(array), batch)


def alone(call: Callable[[], T]) -> T:
    """Runs `call()`, which may make variables without the other processes."""
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
    """The result of a method, as NumPy arrays. See `kgan._backend`."""
    function = _functions.get(model, method, options)
    with _donating:
        # All variables in one order: which ones are trained may change, and with it other lists.
        values = [tensor_of(variable) for variable in model.variables]
        if all(value.is_fully_replicated for value in values):
            values = [value.addressable_data(0) for value in values]
        outputs = function(values, tensors)
    return functions.to_numpy(outputs)


def average_statistics(model: Layer) -> None:
    """Does nothing: all devices share the statistics."""
    del model


# ---- data ----------------------------------------------------------------------------------------


def readable(part: Callable[[int, int], keras.utils.PyDataset], model: Layer) -> Data:
    """The input of Keras's trainer: the `PyDataset` of this process."""
    return part(*_process(model))

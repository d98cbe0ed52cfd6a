"""The JAX backend: imperative steps as pure functions of the trainer's state."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import keras

Logs = dict[str, Any]

MULTIPLE_STEPS = True


class ImperativeSteps:
    """Shows Keras's JAX trainer pure functions in place of the steps that a model states."""

    def train_step(self: Any, state: Any, data: Any) -> tuple[Logs, Any]:
        """What Keras's trainer calls for a batch of training data: `(logs, new state)`."""
        variables = (
            self.trainable_variables,
            self.non_trainable_variables,
            self.optimizer.variables,
            self.metrics_variables,
        )
        return _purely(self.training_step, data, variables, state)

    def test_step(self: Any, state: Any, data: Any) -> tuple[Logs, Any]:
        """What Keras's trainer calls for a batch of held-out data: `(logs, new state)`."""
        variables = (
            self.trainable_variables,
            self.non_trainable_variables,
            self.metrics_variables,
        )
        return _purely(self.evaluation_step, data, variables, state)


def _purely(step: Callable[[Any], Logs], data: Any, variables: Any, state: Any) -> Any:
    """Runs a step on the values in `state`, which is as `variables`, and returns the new ones."""
    pairs = [
        pair
        for group, values in zip(variables, state, strict=True)
        for pair in zip(group, values, strict=True)
    ]
    with keras.StatelessScope(pairs) as scope:
        logs = step(data)
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


def input_gradient(fn: Callable[[Any], Any], x: Any) -> Any:
    """Differentiates `fn(x)` with respect to `x`, as `kgan._backend` says."""
    return _gradient(lambda values: (keras.ops.sum(fn(values)), None), x)[0]


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


def readable(dataset: Any) -> Any:
    """A `PyDataset` in the form that Keras's trainer reads fastest here: as it is."""
    return dataset

"""Every private name of Keras that kgan reads, in one place.

A new version of Keras may rename any of them. Each function here says what kgan needs, so that a
replacement is easy to find. `tests/test_keras_internals.py` checks each one against an installed
Keras.

Three classes override private methods of Keras's trainers, which cannot move here:
`kgan._backend.jax.ImperativeSteps` (`_make_function`, `_get_jax_state`),
`kgan._backend.tensorflow.ImperativeSteps` (`_maybe_symbolic_build`), and
`kgan.training.optimizers` (`_trainable_variables`, `_model_variables_moving_average`, which
Keras's `SwapEMAWeights` reads).
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import keras
from keras.src.backend import random_seed_dtype
from keras.src.backend.common.stateless_scope import in_stateless_scope

from kgan._typing import Layer, Network, Optimizer, Tensor, Variable

# ---- variables -----------------------------------------------------------------------------------


def tensor_of(variable: Variable) -> Tensor:
    """The tensor of a variable, in the precision that the variable is kept in.

    `variable.value` gives the same, but searches for scopes first. A small network's step reads a
    variable more than a hundred times.
    """
    return variable._value


def set_tensor(variable: Variable, tensor: Tensor) -> None:
    """Replaces the tensor of a variable on JAX, without the checks of `variable.assign`.

    The tensor must have the shape, dtype and sharding of the variable.
    """
    variable._value = tensor


def has_own_values() -> bool:
    """Whether variables have their own values here: no `keras.StatelessScope` gives others."""
    return not in_stateless_scope()


def seed_dtype() -> str:
    """The dtype of the seeds that `keras.random` takes on this backend."""
    return str(random_seed_dtype())


# ---- layers and networks -------------------------------------------------------------------------


def own_metrics(layer: Layer) -> Sequence[keras.metrics.Metric]:
    """The metrics that are attributes of a layer, without those of layers inside it."""
    return layer._metrics


def sublayers(layer: Layer) -> Sequence[Layer]:
    """The layers that are attributes of a layer."""
    return layer._layers


def layers_of(network: Layer, include_self: bool = True) -> list[Layer]:
    """All layers of a network or layer, including those of networks inside it.

    Args:
        network: `keras.Layer`.
        include_self: Whether the network itself comes first.

    Returns:
        The layers, in the order in which Keras tracks them.
    """
    return list(network._flatten_layers(include_self=include_self))


def has_sublayers(layer: Layer) -> bool:
    """Whether a layer contains other layers."""
    return bool(layer._layers)


def takes_training(layer: Layer) -> bool:
    """Whether `layer.call` has a `training` argument."""
    return bool(layer._call_has_training_arg)


def kept_kernel(layer: Layer) -> Variable:
    """The kernel variable of a built `keras.layers.Dense` without LoRA and quantisation.

    `layer.kernel` gives the same, but looks for every kind of quantisation first.
    """
    return layer._kernel


def is_rematerialised(layer: Layer) -> bool:
    """Whether a layer recomputes its activations for the gradient (`keras.RematScope`)."""
    return layer._remat_mode is not None


def untrack(owner: Layer, value: object) -> None:
    """Makes a layer or model forget a layer, metric or variable that was an attribute of it.

    Keras does not do this when the attribute is set to something else: the old value stays in
    `layers`, `get_weights` and `count_params`.

    Args:
        owner: `keras.Layer` or `keras.Model`.
        value: The tracked object. Anything else, such as None, is ignored.
    """
    owner._tracker.untrack(value)


# ---- graphs --------------------------------------------------------------------------------------


def graph_of(network: Network) -> Network | None:
    """The Functional model behind a network.

    Args:
        network: `keras.Model`.

    Returns:
        A `keras.Sequential`'s Functional model, or None if it is not built yet. Any other model is
        returned unchanged.
    """
    return network._functional if isinstance(network, keras.Sequential) else network


def nodes_of(graph: Network) -> Iterator[Any]:
    """The nodes of a Functional model, each after the nodes whose outputs it reads.

    A node has `operation`, `arguments`, `input_tensors`, `outputs` and `is_input`.
    """
    for depth in sorted(graph._nodes_by_depth, reverse=True):
        yield from graph._nodes_by_depth[depth]


def operation_of(tensor: Tensor) -> Any:
    """The layer or operation that made a symbolic tensor."""
    return tensor._keras_history.operation


def has_mask(tensor: Tensor) -> bool:
    """Whether a tensor carries a mask."""
    return hasattr(tensor, "_keras_mask")


# ---- optimizers ----------------------------------------------------------------------------------


def innermost(optimizer: Optimizer) -> Optimizer:
    """The optimizer inside a `LossScaleOptimizer`. Any other optimizer is returned unchanged."""
    return getattr(optimizer, "inner_optimizer", optimizer)


def steps_of(optimizer: Optimizer) -> Variable:
    """The count of an optimizer's steps. With gradient accumulation, not each is an update."""
    return innermost(optimizer)._iterations


def accumulates(optimizer: Optimizer) -> bool:
    """Whether an optimizer accumulates gradients over several steps."""
    return bool(innermost(optimizer).gradient_accumulation_steps)


def has_updated(optimizer: Optimizer) -> Tensor | None:
    """Whether the optimizer's last step updated weights: a boolean scalar, or None for always."""
    steps = innermost(optimizer).gradient_accumulation_steps
    return keras.ops.equal(steps_of(optimizer) % steps, 0) if steps else None


def trained_variables(optimizer: Optimizer) -> list[Variable]:
    """The variables that an optimizer was built for, in their order. Empty before that."""
    return list(getattr(innermost(optimizer), "_trainable_variables", ()))


def index_of(optimizer: Optimizer, variable: Variable) -> int:
    """The place of a variable in the lists that an optimizer keeps, such as its momenta."""
    return int(optimizer._get_variable_index(variable))


def adam_moments(optimizer: Optimizer) -> tuple[Sequence[Variable], Sequence[Variable]]:
    """The first and the second moments of a built Adam, one for each trained variable."""
    return optimizer._momentums, optimizer._velocities


def moving_averages(optimizer: Optimizer) -> list[Variable]:
    """The averages of the trained variables, of an optimizer made with `use_ema=True`."""
    return list(innermost(optimizer)._model_variables_moving_average)


def learning_rate_of(optimizer: Optimizer) -> Any:
    """The learning rate as the optimizer has it: a variable, or a `LearningRateSchedule`.

    The property `optimizer.learning_rate` gives the present value of a schedule instead.
    """
    return innermost(optimizer)._learning_rate


def reduce_gradients_with(
    optimizer: Optimizer, reduce: Callable[[Sequence[Tensor]], list[Tensor]]
) -> None:
    """Replaces the sum over replicas that an optimizer applies to gradients on TensorFlow."""
    innermost(optimizer)._all_reduce_sum_gradients = reduce

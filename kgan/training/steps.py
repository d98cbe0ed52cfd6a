"""One update of some variables by an optimizer, stated once for all families."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import keras
from keras import ops

from kgan import _backend
from kgan._backend.keras_internals import trained_variables
from kgan._typing import Layer, Optimizer, Tensor, Variable

Objective = Callable[[], tuple[Tensor, Any]]
"""Computes what is minimised: `() -> (loss, aux)`, a float32 scalar and tensors to hand on."""


class Minimized(NamedTuple):
    """The result of an update.

    Attributes:
        loss: Float32 scalar, with the regularisation losses of the networks in it.
        gradient_norm: Float32 scalar, the Euclidean length of the gradient before it was applied.
        aux: What the objective handed on.
    """

    loss: Tensor
    gradient_norm: Tensor
    aux: Any


def minimize(
    optimizer: Optimizer,
    parts: Sequence[Layer],
    objective: Objective,
    variables: Sequence[Variable] | None = None,
) -> Minimized:
    """Updates networks once, to lower an objective.

    Args:
        optimizer: A `keras.optimizers.Optimizer`, built for the trainable variables of the parts.
        parts: The networks (or layers) that are updated. Their regularisation losses are added.
        objective: Computes the loss. It may assign to other variables and call `minimize` for
            other networks.
        variables: The variables that are updated, out of those that the optimizer was built for.
            Defaults to all of them.

    Returns:
        A `Minimized`.
    """

    def scaled() -> tuple[Tensor, tuple[Tensor, Any]]:
        result = objective()
        if not isinstance(result, tuple) or len(result) != 2:
            raise TypeError(
                "Expected the objective to return (loss, aux): a scalar, and tensors to hand on, "
                f"or None. Received: {type(result).__name__}."
            )
        loss, aux = result
        _check_has_no_shape("the objective's loss to be", loss)
        loss = loss + regularisation(parts)
        return optimizer.scale_loss(loss), (loss, aux)

    if variables is None:
        variables = trained_variables(optimizer)
    gradient, (loss, aux) = _backend.gradients(scaled, variables)
    norm = _gradient_norm(gradient, optimizer)
    _backend.apply(optimizer, gradient, variables)
    return Minimized(loss, norm, aux)


def regularisation(parts: Sequence[Layer]) -> Tensor:
    """The sum of the regularisation losses of networks, 0.0 if they have none."""
    return sum(_backend.losses(parts), 0.0)


def _gradient_norm(gradient: Sequence[Tensor | None], optimizer: Optimizer) -> Tensor:
    there = [part for part in gradient if part is not None]
    norm = _backend.global_norm(there) / optimizer.scale_loss(1.0)
    if isinstance(optimizer, keras.optimizers.LossScaleOptimizer):
        # Such an optimizer skips a step whose gradient overflowed: a step of length 0.
        norm = ops.where(ops.isfinite(norm), norm, 0.0)
    return norm


def check_is_scalar(method: str, of: object, value: Tensor) -> None:
    """Raises a ValueError if a custom loss or penalty does not return a scalar."""
    _check_has_no_shape(f"`{method}` of {type(of).__name__} to return", value)


def _check_has_no_shape(expected: str, value: Tensor) -> None:
    shape = tuple(getattr(value, "shape", ()))
    if shape:
        raise ValueError(
            f"Expected {expected} a scalar, for example ops.mean(...) over the batch. "
            f"Received: a tensor of shape {shape}."
        )

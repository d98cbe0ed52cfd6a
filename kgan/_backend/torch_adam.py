"""Adam in one pass over the weights. Keras makes ten passes.

On a CPU, these passes are a large part of the time of a small network's step.
"""

import math
import operator
from collections.abc import Sequence

import keras
import torch

from kgan._backend.keras_internals import (
    adam_moments,
    index_of,
    tensor_of,
    trained_variables,
)
from kgan._typing import Optimizer, Tensor, Variable

# On PyTorch, `keras.optimizers.Adam` makes an object of a subclass for this backend.
_ADAM = type(keras.optimizers.Adam())


def apply(
    optimizer: Optimizer, gradient: Sequence[Tensor | None], variables: Sequence[Variable]
) -> bool:
    """Does what `optimizer.apply(gradient, variables)` does, or nothing if it does not apply.

    Args:
        optimizer: `keras.optimizers.Optimizer`, built for the variables.
        gradient: A tensor or None for each of the variables.
        variables: `keras.Variable`s.

    Returns:
        Whether it updated the variables. It does so for a plain Adam, without other options, and
        float32 variables on the CPU that all have a gradient.
    """
    weights = [tensor_of(variable) for variable in variables]
    parts = [part for part in gradient if part is not None]
    if (
        not weights
        or len(parts) < len(weights)
        or not all(_is_supported(weight) for weight in weights)
        or not _is_plain(optimizer, variables)
    ):
        return False
    moments = [
        [tensor_of(kept[place]) for place in _places(optimizer, variables)]
        for kept in adam_moments(optimizer)
    ]
    # The fused operation goes through the memory of all four in the same order. A gradient may have
    # another layout.
    strides = [weight.stride() for weight in weights]
    if [part.stride() for part in parts] != strides:
        parts = [_laid_out_as(w, part) for w, part in zip(weights, parts, strict=True)]
    for kept in moments:
        if [moment.stride() for moment in kept] != strides:
            for weight, moment in zip(weights, kept, strict=True):
                moment.data = _laid_out_as(weight, moment.data)
    step = int(tensor_of(optimizer.iterations)) + 1
    torch._fused_adam_(
        weights,
        parts,
        *moments,
        [],
        [torch.tensor(float(step))] * len(weights),
        lr=float(optimizer.learning_rate),
        beta1=optimizer.beta_1,
        beta2=optimizer.beta_2,
        weight_decay=0.0,
        # Keras adds epsilon to the root of the second moment before bias correction, PyTorch after.
        eps=optimizer.epsilon / math.sqrt(1.0 - optimizer.beta_2**step),
        amsgrad=False,
        maximize=False,
    )
    tensor_of(optimizer.iterations).add_(1)
    return True


def _is_plain(optimizer: Optimizer, variables: Sequence[Variable]) -> bool:
    return (
        optimizer.__class__ is _ADAM
        and not optimizer.amsgrad
        and not optimizer.use_ema
        and optimizer.weight_decay is None
        and optimizer.clipnorm is None
        and optimizer.global_clipnorm is None
        and optimizer.clipvalue is None
        and optimizer.loss_scale_factor is None
        and not optimizer.gradient_accumulation_steps
        and all(
            variable.constraint is None and not variable.overwrite_with_gradient
            for variable in variables
        )
    )


def _places(optimizer: Optimizer, variables: Sequence[Variable]) -> Sequence[int]:
    """The places of variables in the lists that an optimizer keeps."""
    trained = trained_variables(optimizer)
    if len(trained) == len(variables) and all(map(operator.is_, trained, variables)):
        return range(len(variables))
    return [index_of(optimizer, variable) for variable in variables]


def _is_supported(weight: Tensor) -> bool:
    if weight.device.type != "cpu" or weight.dtype != torch.float32:
        return False
    # Without gaps in memory: contiguous, or a kernel in the layout of `torch_layers`.
    return weight.is_contiguous() or (
        weight.ndim == 4 and weight.permute(3, 0, 1, 2).is_contiguous()
    )


def _laid_out_as(model: Tensor, tensor: Tensor) -> Tensor:
    """A tensor in the memory layout of another one."""
    if tensor.stride() == model.stride():
        return tensor
    return torch.empty_like(model).copy_(tensor)

"""Adam in one pass over the weights, where Keras makes ten.

On a CPU those are a good part of a small network's step.
"""

import math
from collections.abc import Sequence
from typing import Any

import keras
import torch

from kgan._backend.keras_internals import adam_moments, index_of, tensor_of

# On PyTorch, `keras.optimizers.Adam` makes an object of a subclass that is PyTorch's own.
_ADAM = type(keras.optimizers.Adam())


def apply(optimizer: Any, gradient: Sequence[Any], variables: Sequence[Any]) -> bool:
    """Does what `optimizer.apply(gradient, variables)` does, or nothing, where it is not for that.

    Args:
        optimizer: `keras.optimizers.Optimizer`, built for the variables.
        gradient: Tensors, or None, one for each of the variables.
        variables: `keras.Variable`s.

    Returns:
        Whether it did it: the optimizer is an Adam of which nothing but that is asked, and there
        is a gradient for all variables, float32 on the CPU.
    """
    weights = [tensor_of(variable) for variable in variables]
    if (
        not weights
        or any(part is None for part in gradient)
        or not all(_is_within_reach(weight) for weight in weights)
        or not _is_nothing_else(optimizer, variables)
    ):
        return False
    places = [index_of(optimizer, variable) for variable in variables]
    moments = [[tensor_of(kept[place]) for place in places] for kept in adam_moments(optimizer)]
    # It goes through the memory of all four as it lies. A gradient lies as PyTorch came by it.
    gradient = [_laid_out_as(w, part) for w, part in zip(weights, gradient, strict=True)]
    for kept in moments:
        for weight, moment in zip(weights, kept, strict=True):
            moment.data = _laid_out_as(weight, moment.data)
    step = int(tensor_of(optimizer.iterations)) + 1
    torch._fused_adam_(
        weights,
        gradient,
        *moments,
        [],
        [torch.tensor(float(step))] * len(weights),
        lr=float(optimizer.learning_rate),
        beta1=optimizer.beta_1,
        beta2=optimizer.beta_2,
        weight_decay=0.0,
        # Keras adds epsilon to the root of the second moment as it is, PyTorch as corrected.
        eps=optimizer.epsilon / math.sqrt(1.0 - optimizer.beta_2**step),
        amsgrad=False,
        maximize=False,
    )
    tensor_of(optimizer.iterations).add_(1)
    return True


def _is_nothing_else(optimizer: Any, variables: Sequence[Any]) -> bool:
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


def _is_within_reach(weight: Any) -> bool:
    if weight.device.type != "cpu" or weight.dtype != torch.float32:
        return False
    # Without gaps: as it came, or a kernel as `torch_layers` lays it out.
    return weight.is_contiguous() or (
        weight.ndim == 4 and weight.permute(3, 0, 1, 2).is_contiguous()
    )


def _laid_out_as(model: Any, tensor: Any) -> Any:
    if tensor.stride() == model.stride():
        return tensor
    return torch.empty_like(model).copy_(tensor)

"""The PyTorch backend: autograd, and steps that run as they stand."""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any

import keras
import torch

from kgan._backend.graph import Runner
from kgan._backend.torch_layers import shortcut

Logs = dict[str, Any]


class ImperativeSteps:
    """Shows Keras's PyTorch trainer the steps that a model states imperatively."""

    def train_step(self: Any, data: Any) -> Logs:
        """What Keras's trainer calls for a batch of training data."""
        with _random_numbers_after(self.training_noise):
            return self.training_step(data)

    def test_step(self: Any, data: Any) -> Logs:
        """What Keras's trainer calls for a batch of held-out data."""
        return self.evaluation_step(data)


@contextmanager
def _random_numbers_after(noise: Any) -> Iterator[None]:
    """Starts PyTorch's own random numbers from the state of a `SeedGenerator`, and puts them back.

    A `Dropout` layer without a seed draws from them here, and no file holds their state: a resumed
    run would drop out other units than the run that was not stopped.
    """
    state = noise.state.value
    start, count = state.tolist()
    with torch.random.fork_rng([state.device] if state.device.type == "cuda" else []):
        # Scattered, since `keras.random` seeds generators with the sum: not the latents' numbers.
        torch.manual_seed((start * 0x9E3779B1 + (count + 1) * 0x85EBCA6B) & 0xFFFFFFFF)
        yield


def gradients(fn: Callable[[], tuple[Any, Any]], variables: Sequence[Any]) -> tuple[list[Any], Any]:
    """Differentiates what `fn` computes, as `kgan._backend` says."""
    with torch.enable_grad():
        loss, aux = fn()
        # Not `loss.backward()`, which would also fill the gradients of every other network that
        # `fn` passes through.
        values = [v.value for v in variables]
        gradient = torch.autograd.grad(loss, values, allow_unused=True) if values else ()
    # What is handed on would else keep all that was computed on the way.
    return list(gradient), keras.tree.map_structure(_detached, aux)


def _detached(value: Any) -> Any:
    return value.detach() if torch.is_tensor(value) else value


def input_gradient(fn: Callable[[Any], Any], x: Any) -> Any:
    """Differentiates `fn(x)` with respect to `x`, as `kgan._backend` says."""
    with torch.enable_grad():
        if not x.requires_grad:
            x = x.detach().requires_grad_()
        return torch.autograd.grad(keras.ops.sum(fn(x)), x, create_graph=True)[0]


def apply(optimizer: Any, gradient: Sequence[Any], variables: Sequence[Any]) -> None:
    """Updates variables by an optimizer that was built for them, as `kgan._backend` says."""
    with torch.no_grad():
        if not _apply_fused(optimizer, gradient, variables):
            optimizer.apply(list(gradient), list(variables))


def _apply_fused(optimizer: Any, gradient: Sequence[Any], variables: Sequence[Any]) -> bool:
    """Adam in one pass over the weights, where nothing is asked of it but that; else False.

    On a CPU, Keras's ten passes cost a small network a seventh of its step.
    """
    complete = variables and all(part is not None for part in gradient)
    if not complete or not _is_adam_alone(optimizer, variables):
        return False
    step = int(optimizer.iterations) + 1
    weights = [variable.value for variable in variables]
    places = [optimizer._get_variable_index(variable) for variable in variables]
    torch._fused_adam_(
        weights,
        # It goes through the memory of all four as it lies.
        [_laid_out_as(part, weight) for part, weight in zip(gradient, weights, strict=True)],
        [optimizer._momentums[place].value for place in places],
        [optimizer._velocities[place].value for place in places],
        [],
        [torch.tensor(float(step)) for _ in weights],
        lr=float(optimizer.learning_rate),
        beta1=optimizer.beta_1,
        beta2=optimizer.beta_2,
        weight_decay=0.0,
        # Keras adds epsilon to the root of the second moment as it is, PyTorch as corrected.
        eps=optimizer.epsilon / math.sqrt(1.0 - optimizer.beta_2**step),
        amsgrad=False,
        maximize=False,
    )
    optimizer.iterations.assign_add(1)
    return True


def _is_adam_alone(optimizer: Any, variables: Sequence[Any]) -> bool:
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
            variable.constraint is None
            and not variable.overwrite_with_gradient
            and variable.value.device.type == "cpu"
            and variable.value.dtype == torch.float32
            and variable.value.is_contiguous()
            for variable in variables
        )
    )


# A subclass, which Keras makes in the place of `keras.optimizers.Adam`.
_ADAM = type(keras.optimizers.Adam())


def _laid_out_as(tensor: Any, model: Any) -> Any:
    if tensor.stride() == model.stride():
        return tensor
    return torch.empty_like(model).copy_(tensor)


# ---- networks ------------------------------------------------------------------------------------

_runner = run = Runner(shortcut)


# ---- one device ----------------------------------------------------------------------------------


def devices(model: Any) -> int:
    """How many devices share a batch: Keras trains on one here."""
    del model
    return 1


def multiple_steps(model: Any) -> bool:
    """Whether Keras's trainer can run several steps in one call."""
    del model
    return False


def is_chief(model: Any) -> bool:
    """Whether this process is the one that writes files."""
    del model
    return True


def replicas() -> tuple[int, int]:
    """Within a step: which of how many parts of the batch this is."""
    return 0, 1


def scope(model: Any) -> Any:
    """A context, to make variables in that belong to the model."""
    del model
    return nullcontext()


def belongs(variable: Any, model: Any) -> bool:
    """Whether a variable was made for the same devices as the model's own."""
    del variable, model
    return True


def dealt_out(batch: Any, model: Any) -> Any:
    """A batch in the form that `train_on_batch` takes: as it is."""
    del model
    return batch


def alone(call: Callable[[], Any]) -> Any:
    """`call()`."""
    return call()


def predict_on_batch(model: Any, x: Any) -> Any:
    """`model.predict_on_batch(x)`."""
    return model.predict_on_batch(x)


def average_statistics(model: Any) -> None:
    """Makes what each device has counted up for itself the mean of all: there is one."""
    del model


# ---- data ----------------------------------------------------------------------------------------


def readable(part: Callable[[int, int], Any], model: Any) -> Any:
    """What Keras's trainer reads: the `PyDataset` as it is."""
    del model
    return part(0, 1)

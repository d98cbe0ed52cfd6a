"""The PyTorch backend: autograd, and steps that run as they stand."""

from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any

import keras
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

from kgan._backend import functions, torch_adam
from kgan._backend.graph import Runner
from kgan._backend.keras_internals import tensor_of
from kgan._backend.torch_layers import shortcut
from kgan._typing import Layer, Logs


class ImperativeSteps(functions.FreshFunctions):
    """Shows Keras's PyTorch trainer the steps that a model states imperatively."""

    def train_step(self: Any, data: Any) -> Logs:
        """What Keras's trainer calls for a batch of training data."""
        with _random_numbers_after(self.training_noise):
            return self.training_step(self.unpack(data, training=True))

    def test_step(self: Any, data: Any) -> Logs:
        """What Keras's trainer calls for a batch of held-out data."""
        return self.evaluation_step(self.unpack(data, training=False))


@contextmanager
def _random_numbers_after(noise: Any) -> Iterator[None]:
    """Starts PyTorch's own random numbers from the state of a `SeedGenerator`, and puts them back.

    A `Dropout` layer without a seed draws from them here, and no file holds their state: a resumed
    run would drop out other units than the run that was not stopped.
    """
    state = noise.state.value
    start, count = state.tolist()
    on_gpu = state.device.type == "cuda"
    # Not `torch.manual_seed`, which notes the whole call stack for GPUs that are not in use.
    generator = (
        torch.cuda.default_generators[state.device.index] if on_gpu else torch.default_generator
    )
    before = generator.get_state()
    # Scattered, since `keras.random` seeds generators with the sum: not the latents' numbers.
    generator.manual_seed((start * 0x9E3779B1 + (count + 1) * 0x85EBCA6B) & 0xFFFFFFFF)
    try:
        yield
    finally:
        generator.set_state(before)


def gradients(fn: Callable[[], tuple[Any, Any]], variables: Sequence[Any]) -> tuple[list[Any], Any]:
    """Differentiates what `fn` computes, as `kgan._backend` says."""
    with torch.enable_grad():
        loss, aux = fn()
        # Not `loss.backward()`, which would also fill the gradients of every other network that
        # `fn` passes through.
        values = [tensor_of(v) for v in variables]
        gradient = torch.autograd.grad(loss, values, allow_unused=True) if values else ()
    # What is handed on would else keep all that was computed on the way.
    return list(gradient), _detached(aux)


def _detached(aux: Any) -> Any:
    if torch.is_tensor(aux):
        return aux.detach()
    if isinstance(aux, dict):
        return {name: _detached(value) for name, value in aux.items()}
    if isinstance(aux, (list, tuple)):
        return type(aux)(_detached(value) for value in aux)
    return aux


def input_gradient(fn: Callable[[Any], tuple[Any, Any]], x: Any) -> tuple[Any, tuple[Any, Any]]:
    """Differentiates what `fn` computes of `x`, as `kgan._backend` says."""
    # The other forms of attention have no second derivative.
    with torch.enable_grad(), sdpa_kernel(SDPBackend.MATH):
        if not x.requires_grad:
            x = x.detach().requires_grad_()
        y, aux = fn(x)
        return torch.autograd.grad(y.sum(), x, create_graph=True)[0], (y, aux)


def now_and_then(due: Any, fn: Callable[[], Any]) -> Any:
    """`fn()` where it is due, else 0."""
    return fn() if due else torch.zeros((), device=due.device)


def average_into(averages: Sequence[Any], variables: Sequence[Any], share: Any) -> None:
    """Moves averages by a share of their way, as `kgan._backend` says."""
    pairs = [(a.value, v.value) for a, v in zip(averages, variables, strict=True)]
    floats = [(a, v) for a, v in pairs if v.is_floating_point()]
    with torch.no_grad():
        torch._foreach_lerp_([a for a, _ in floats], [v for _, v in floats], float(share))
        for average, value in pairs:
            if not value.is_floating_point():
                average.copy_(value)


def global_norm(tensors: Sequence[Any]) -> Any:
    """The Euclidean length of tensors, all together."""
    return torch.nn.utils.get_total_norm(list(tensors))


def apply(optimizer: Any, gradient: Sequence[Any], variables: Sequence[Any]) -> None:
    """Updates variables by an optimizer that was built for them, as `kgan._backend` says."""
    with torch.no_grad():
        if not torch_adam.apply(optimizer, gradient, variables):
            optimizer.apply(list(gradient), list(variables))


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


def predict(model: Layer, method: functions.Method, *tensors: Any, **options: Hashable) -> Any:
    """What a method computes, as NumPy arrays. See `kgan._backend`."""
    tensors = keras.tree.map_structure(
        lambda x: None if x is None else keras.ops.convert_to_tensor(x), tensors
    )
    with torch.no_grad():
        return functions.to_numpy(functions.call(model, method, tensors, options))


def average_statistics(model: Any) -> None:
    """Makes what each device has counted up for itself the mean of all: there is one."""
    del model


# ---- data ----------------------------------------------------------------------------------------


def readable(part: Callable[[int, int], Any], model: Any) -> Any:
    """What Keras's trainer reads: the `PyDataset` as it is."""
    del model
    return part(0, 1)

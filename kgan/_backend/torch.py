"""The PyTorch backend: autograd, and steps that run as they are."""

from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, TypeVar

import keras
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

from kgan._backend import functions, torch_adam
from kgan._backend.graph import Runner
from kgan._backend.keras_internals import has_own_values, tensor_of
from kgan._backend.torch_layers import shortcut
from kgan._typing import Data, Layer, Logs, Noise, Optimizer, Tensor, Variable

T = TypeVar("T")


class ImperativeSteps(functions.FreshFunctions):
    """Gives Keras's PyTorch trainer the steps of a model."""

    def train_step(self: Any, data: Any) -> Logs:
        """Trains on a batch and returns the logs."""
        # Only `gradients` records operations: most passes through networks need no gradient.
        with torch.no_grad(), seeded(self.training_noise):
            return self.training_step(self.unpack(data, training=True))

    def test_step(self: Any, data: Any) -> Logs:
        """Evaluates a batch and returns the logs."""
        return self.evaluation_step(self.unpack(data, training=False))


@contextmanager
def seeded(noise: Noise) -> Iterator[None]:
    """Seeds PyTorch's own generator from a `SeedGenerator`. See `kgan._backend`.

    A `Dropout` layer without a seed draws from this generator, and no file holds its state. Without
    this, a resumed run would drop other units than an uninterrupted run.
    """
    state = noise.state.value
    start, count = state.tolist()
    on_gpu = state.device.type == "cuda"
    # Not `torch.manual_seed`: it records the whole call stack for GPUs that are not in use.
    generator = (
        torch.cuda.default_generators[state.device.index] if on_gpu else torch.default_generator
    )
    before = generator.get_state()
    # Scattered: `keras.random` seeds generators with the sum, so these would be the latents again.
    generator.manual_seed((start * 0x9E3779B1 + (count + 1) * 0x85EBCA6B) & 0xFFFFFFFF)
    try:
        yield
    finally:
        generator.set_state(before)


def gradients(
    fn: Callable[[], tuple[Tensor, T]], variables: Sequence[Variable]
) -> tuple[list[Tensor | None], T]:
    """Differentiates the loss of `fn` with respect to variables. See `kgan._backend`."""
    with torch.enable_grad():
        loss, aux = fn()
        # Not `loss.backward()`: it would also compute the gradients of every other network that
        # `fn` passes through.
        values = [tensor_of(v) for v in variables]
        gradient = torch.autograd.grad(loss, values, allow_unused=True) if values else ()
    # Otherwise, the results would keep the whole graph alive.
    return list(gradient), _detached(aux)


def _detached(aux: Tensor) -> Any:
    if torch.is_tensor(aux):
        return aux.detach()
    if isinstance(aux, dict):
        return {name: _detached(value) for name, value in aux.items()}
    if isinstance(aux, tuple) and hasattr(aux, "_fields"):
        return type(aux)(*map(_detached, aux))
    if isinstance(aux, (list, tuple)):
        return type(aux)(map(_detached, aux))
    return aux


def input_gradient(
    fn: Callable[[Tensor], tuple[Tensor, T]], x: Tensor
) -> tuple[Tensor, tuple[Tensor, T]]:
    """Differentiates the output of `fn` with respect to `x`. See `kgan._backend`."""
    # The other forms of attention have no second derivative.
    with torch.enable_grad(), sdpa_kernel(SDPBackend.MATH):
        if not x.requires_grad:
            x = x.detach().requires_grad_()
        y, aux = fn(x)
        return torch.autograd.grad(y.sum(), x, create_graph=True)[0], (y, aux)


def now_and_then(due: Tensor, fn: Callable[[], Tensor]) -> Tensor:
    """`fn()` if it is due, otherwise 0."""
    return fn() if due else torch.zeros((), device=due.device)


def average_into(
    averages: Sequence[Variable], variables: Sequence[Variable], share: Tensor
) -> None:
    """Moves averages towards variables. See `kgan._backend`."""
    pairs = [(a.value, v.value) for a, v in zip(averages, variables, strict=True)]
    floats = [(a, v) for a, v in pairs if v.is_floating_point()]
    with torch.no_grad():
        torch._foreach_lerp_([a for a, _ in floats], [v for _, v in floats], float(share))
        for average, value in pairs:
            if not value.is_floating_point():
                average.copy_(value)


def accumulate(sums: Variable, values: Sequence[Tensor | float], weight: Tensor) -> None:
    """Adds scalars to the elements of a variable. See `kgan._backend`."""
    total = tensor_of(sums)
    with torch.no_grad():
        row = [v if torch.is_tensor(v) else total.new_tensor(v) for v in values]
        total.add_(torch.stack(row) * weight)


def losses(networks: Sequence[Layer]) -> list[Tensor]:
    """The regularisation losses of networks. See `kgan._backend`."""
    return [loss for each in networks if _runner.has_losses(each) for loss in each.losses]


def may_have_metrics(layer: Layer) -> bool:
    """Whether a layer, or one inside it, may have metrics. It takes long to search them all."""
    return _runner.may_have_metrics(layer)


def normalised(kernel: Variable, u: Variable, iterations: int, update: bool) -> Tensor:
    """A kernel divided by its largest singular value. See `kgan._backend`."""
    value, known = tensor_of(kernel), tensor_of(u)
    if value.dtype != known.dtype or not has_own_values():
        return functions.normalised(kernel, u, iterations, update)
    matrix = _as_matrix(value)
    with torch.no_grad():
        new = known
        for _ in range(iterations):
            v = _unit(torch.mm(new, matrix.T))
            new = _unit(torch.mm(v, matrix))
    # The paper treats both vectors as constants: s(W) = v W u has the gradient v u.
    sigma = torch.mm(torch.mm(v, matrix), new.T)
    has_direction = sigma > 0  # not of a kernel of zeros
    if update:
        with torch.no_grad():
            known.copy_(torch.where(has_direction, new, known))
    return value / torch.where(has_direction, sigma, 1.0)


def _unit(vector: Tensor) -> Tensor:
    """A vector of length 1 in the same direction. Zeros stay zeros."""
    return vector / torch.linalg.vector_norm(vector).clamp_min(_TINY)


_TINY = torch.finfo(torch.float32).tiny


def _as_matrix(kernel: Tensor) -> Tensor:
    """A kernel as a matrix `(other axes, last axis)`, without a copy."""
    if kernel.is_contiguous():
        return kernel.view(-1, kernel.shape[-1])
    return kernel.movedim(-1, 0).flatten(1).T  # the layout of `torch_layers`


scan = functions.scan


def written(buffer: Tensor, place: Tensor, value: Tensor) -> Tensor:
    """A tensor with another value at a place of its first axis. See `kgan._backend`."""
    buffer[int(place)] = value  # a copy of the whole, for each pixel, would take longest
    return buffer


def global_norm(tensors: Sequence[Tensor]) -> Tensor:
    """The Euclidean length of all tensors together."""
    if not tensors:
        return torch.zeros(())
    lengths = torch._foreach_norm([tensor.float() for tensor in tensors])
    return torch.linalg.vector_norm(torch.stack(lengths))


def apply(
    optimizer: Optimizer, gradient: Sequence[Tensor | None], variables: Sequence[Variable]
) -> None:
    """Updates variables with an optimizer that was built for them. See `kgan._backend`."""
    with torch.no_grad():
        if not torch_adam.apply(optimizer, gradient, variables):
            optimizer.apply(list(gradient), list(variables))


# ---- networks ------------------------------------------------------------------------------------

_runner = run = Runner(shortcut)
run_layer = _runner.layer


# ---- one device ----------------------------------------------------------------------------------


def devices(model: Layer) -> int:
    """The number of devices that share a batch: Keras trains on one."""
    del model
    return 1


def multiple_steps(model: Layer) -> bool:
    """Whether Keras's trainer can run several steps in one call."""
    del model
    return False


def can_accumulate(model: Layer) -> bool:
    """Whether optimizers of the model can accumulate gradients over several steps."""
    del model
    return True


def is_chief(model: Layer) -> bool:
    """Whether this process writes files."""
    del model
    return True


def replicas() -> tuple[int, int]:
    """In a step, the index of the part of the batch, and the number of parts."""
    return 0, 1


def scope(model: Layer) -> AbstractContextManager[Any]:
    """A context in which to make variables that belong to the model."""
    del model
    return nullcontext()


def belongs(variable: Variable, model: Layer) -> bool:
    """Whether a variable is on the same devices as those of the model."""
    del variable, model
    return True


def dealt_out(batch: Data, model: Layer) -> Data:
    """A batch in the form that `train_on_batch` takes: unchanged."""
    del model
    return batch


def alone(call: Callable[[], T]) -> T:
    """Runs `call()`."""
    return call()


def predict(model: Layer, method: functions.Method, *tensors: Any, **options: Hashable) -> Any:
    """The result of a method, as NumPy arrays. See `kgan._backend`."""
    tensors = keras.tree.map_structure(
        lambda x: None if x is None else keras.ops.convert_to_tensor(x), tensors
    )
    with torch.no_grad():
        return functions.to_numpy(functions.call(model, method, tensors, options))


def average_statistics(model: Layer) -> None:
    """Does nothing: there is only one device."""
    del model


# ---- data ----------------------------------------------------------------------------------------


def readable(part: Callable[[int, int], keras.utils.PyDataset], model: Layer) -> Data:
    """The input of Keras's trainer: the `PyDataset` itself."""
    del model
    return part(0, 1)

"""Compiled functions of models, cached for as long as the models stay as they are.

The cache never keeps a model alive. It forgets the functions of a model in which a network, layer
or variable was replaced: a compiled function would still compute with the old one.
"""

import contextlib
import inspect
import threading
import types
import weakref
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

import keras

from kgan._backend.keras_internals import layers_of
from kgan._typing import Layer, Noise, Tensor, Variable

Method: TypeAlias = Callable[..., Any]
"""A bound method `method(*tensors)`, or a function `function(model, *tensors)`."""

Compile: TypeAlias = Callable[..., Callable[..., Any]]
"""`compile(model, call, *modes)` compiles `call(*tensors)`. It must not keep the model alive."""


class _Parts:
    """The layers and variables that a model had, and its state in Python. They can be deleted."""

    def __init__(self, model: Layer) -> None:
        self._state = _python_state(model)
        layers = layers_of(model)
        # Quantising a layer gives it a new policy.
        self._policies = [layer.dtype_policy for layer in layers]
        self._references = [weakref.ref(part) for part in (*layers, *model.variables)]

    def are_those_of(self, model: Layer) -> bool:
        """Whether the model still has the same layers, with the same policies and variables."""
        if _python_state(model) != self._state:
            return False
        layers = layers_of(model)
        parts = [*layers, *model.variables]
        return (
            len(parts) == len(self._references)
            and all(ref() is part for ref, part in zip(self._references, parts, strict=True))
            and all(
                layer.dtype_policy is policy
                for layer, policy in zip(layers, self._policies, strict=True)
            )
        )


class FreshFunctions:
    """Has Keras's trainer recompile its steps after a part of the model was replaced.

    By itself Keras continues with the network that the model had when the step was compiled.
    """

    def python_state(self) -> Hashable:
        """The values in Python that compiled functions of the model depend on.

        It is called before a function is compiled or taken from the cache, never within one. After
        it has changed, all functions of the model are compiled again.
        """
        return None

    def make_train_function(self, force: bool = False) -> Any:
        """Compiles the training step if that was not done for these layers and variables."""
        return super().make_train_function(force or _has_changed(self, "train"))  # type: ignore[misc]

    def make_test_function(self, force: bool = False) -> Any:
        """Compiles the evaluation step if that was not done for these layers and variables."""
        return super().make_test_function(force or _has_changed(self, "test"))  # type: ignore[misc]

    def make_predict_function(self, force: bool = False) -> Any:
        """Compiles the prediction if that was not done for these layers and variables."""
        return super().make_predict_function(force or _has_changed(self, "predict"))  # type: ignore[misc]


def _python_state(model: Layer) -> Hashable:
    return model.python_state() if isinstance(model, FreshFunctions) else None


# Not attributes of the models: TensorFlow would take them for a part of what is exported.
_known_parts: weakref.WeakKeyDictionary[Any, dict[str, _Parts]] = weakref.WeakKeyDictionary()


def _has_changed(model: Any, step: str) -> bool:
    """Whether a part of the model was replaced since the last call for this step."""
    known = _known_parts.setdefault(model, {})
    has_changed = step in known and not known[step].are_those_of(model)
    if has_changed or step not in known:
        known[step] = _Parts(model)
    return has_changed


class _Compiled(NamedTuple):
    function: Callable[..., Any]
    is_of: Callable[[Method], bool]


class _Entry(NamedTuple):
    parts: _Parts
    functions: dict[Hashable, _Compiled]


class Functions:
    """A cache of compiled functions. Several threads may use it at once.

    Args:
        compile: The backend's compiler.
    """

    def __init__(self, compile: Compile) -> None:  # noqa: A002
        self._compile = compile
        self._entries: weakref.WeakKeyDictionary[Layer, _Entry] = weakref.WeakKeyDictionary()
        self._lock = threading.Lock()

    def get(
        self, model: Layer, method: Method, options: Mapping[str, Hashable], *modes: Hashable
    ) -> Callable[..., Any]:
        """The compiled function of a model, from the cache where it is there.

        Args:
            model: The model whose variables the function reads.
            method: See `Method`.
            options: Keyword arguments of the method that are not tensors.
            *modes: Other values that the compiler depends on. Each combination is compiled
                separately.

        Returns:
            A function of tensors.

        Raises:
            ValueError: The method is a function with a closure.
            TypeError: The method is neither a bound method nor a Python function.
        """
        _check(method)
        key = (*_key(method), *sorted(options.items()), *modes)
        with self._lock:
            entry = self._entries.get(model)
            if entry is None or not entry.parts.are_those_of(model):
                entry = self._entries[model] = _Entry(_Parts(model), {})
            compiled = entry.functions.get(key)
            if compiled is None or not compiled.is_of(method):
                call, is_of = _unowned(model, method, options)
                function = self._compile(model, call, *modes)
                compiled = entry.functions[key] = _Compiled(function, is_of)
            return compiled.function


def call(
    model: Layer, method: Method, tensors: Sequence[Any], options: Mapping[str, Hashable]
) -> Any:
    """Calls a method without compiling it."""
    _check(method)
    owner = () if inspect.ismethod(method) else (model,)
    return method(*owner, *tensors, **options)


def accumulate(sums: Variable, values: Sequence[Tensor | float], weight: Tensor) -> None:
    """Adds scalars to the elements of a variable. See `kgan._backend`."""
    sums.assign_add(keras.ops.stack(values) * keras.ops.cast(weight, "float32"))


def written(buffer: Tensor, place: Tensor, value: Tensor) -> Tensor:
    """A tensor with another value at a place of its first axis. See `kgan._backend`."""
    return keras.ops.scatter_update(buffer, keras.ops.reshape(place, (1, 1)), value[None])


def scan(
    step: Callable[[tuple[Tensor, ...], Tensor], tuple[Tensor, ...]],
    states: tuple[Tensor, ...],
    inputs: Tensor,
) -> tuple[Tensor, ...]:
    """The states after each step of a loop. See `kgan._backend`."""
    # Without a loop of the backend: XLA cannot compile the gradient of TensorFlow's.
    found = []
    for place in range(inputs.shape[0]):
        states = step(states, inputs[place])
        found.append(states)
    return tuple(keras.ops.stack(each) for each in zip(*found, strict=True))


def seeded(noise: Noise) -> contextlib.AbstractContextManager[None]:
    """A context for layers without a seed: here, each has a seeded generator already."""
    del noise
    return contextlib.nullcontext()


def losses(networks: Sequence[Layer]) -> list[Tensor]:
    """The regularisation losses of networks."""
    return [loss for network in networks for loss in network.losses]


def may_have_metrics(layer: Layer) -> bool:
    """Whether a layer, or one inside it, may have metrics: compiled steps do not search twice."""
    del layer
    return True


def normalised(kernel: Variable, u: Variable, iterations: int, update: bool) -> Tensor:
    """A kernel divided by its largest singular value. See `kgan._backend`."""
    ops = keras.ops
    value = ops.cast(kernel.value, u.dtype)
    matrix = ops.reshape(value, (-1, value.shape[-1]))
    # The paper treats both vectors as constants: s(W) = v W u has the gradient v u.
    constant = ops.stop_gradient(matrix)
    new = u.value
    for _ in range(iterations):
        v = _unit(ops.matmul(new, ops.transpose(constant)))
        new = _unit(ops.matmul(v, constant))
    sigma = ops.sum(ops.matmul(v, matrix) * new)
    has_direction = sigma > 0  # not of a kernel of zeros
    if update:
        u.assign(ops.where(has_direction, new, u.value))
    return value / ops.where(has_direction, sigma, 1.0)


def _unit(vector: Tensor) -> Tensor:
    """A vector of length 1 in the same direction. Zeros stay zeros."""
    length = keras.ops.sqrt(keras.ops.sum(keras.ops.square(vector)))
    return vector / keras.ops.where(length > 0, length, 1.0)


def to_numpy(outputs: Any) -> Any:
    """A structure of tensors, as NumPy arrays."""
    return keras.tree.map_structure(
        lambda x: None if x is None else keras.ops.convert_to_numpy(x), outputs
    )


def _unowned(
    model: Layer, method: Method, options: Mapping[str, Hashable]
) -> tuple[Callable[..., Any], Callable[[Method], bool]]:
    """A function of tensors that keeps alive neither the model nor the object of the method.

    Returns:
        `(call, is_of)`: `call(*tensors)` calls the method. `is_of(method)` says whether a method
        with the same key is the same one: after the object of a bound method is deleted, another
        object may get its id.
    """
    if inspect.ismethod(method):
        reference = weakref.WeakMethod(method)

        def call_method(*tensors: Any) -> Any:
            alive = reference()
            assert alive is not None  # the caller has it
            return alive(*tensors, **options)

        return call_method, lambda other: reference() == other
    owner = weakref.ref(model)
    # This keeps the function alive, so that no other function gets the id of its code.
    return lambda *tensors: method(owner(), *tensors, **options), lambda _: True


def _check(method: Method) -> None:
    if inspect.ismethod(method):
        return
    if not isinstance(method, types.FunctionType):
        raise TypeError(
            "Expected a method of the model, or a Python function `function(model, *tensors)`. "
            f"Received: {method!r}. Pass constants as keyword arguments, not by a partial."
        )
    if set(method.__code__.co_freevars) - {"__class__"}:
        raise ValueError(
            f"Expected a function without a closure. Received: {method.__qualname__}, which uses "
            f"{', '.join(method.__code__.co_freevars)} of the function around it. Pass the model "
            "and constants as arguments: the cache would keep them alive otherwise."
        )


def _key(method: Method) -> tuple[Hashable, ...]:
    """The key of a method or function in the cache."""
    if inspect.ismethod(method):
        return method.__func__, id(method.__self__)
    # A lambda is another object each time, but has the same code. Code that looks alike elsewhere
    # compares equal, so that only its id tells it apart.
    defaults = tuple(sorted((method.__kwdefaults__ or {}).items()))
    return id(method.__code__), method.__defaults__, defaults

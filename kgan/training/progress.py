"""The position of training between two batches, as far as no variable holds it."""

import copy
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np

from kgan.training.callback import Callback

# What Keras's callbacks remember from batch to batch and from epoch to epoch.
_STATE_OF_KERAS = {
    "EarlyStopping": ("wait", "stopped_epoch", "best", "best_epoch", "best_weights"),
    "History": ("epoch", "history"),
    "ModelCheckpoint": ("best", "_batches_seen_since_last_saving", "_last_batch_seen"),
    "ReduceLROnPlateau": ("wait", "best", "cooldown_counter"),
}
_KEY = "progress"


@dataclass(frozen=True)
class Progress:
    """The state that resuming a `fit` needs in addition to the model's variables.

    Args:
        epoch: Integer, the present epoch or the next one, as `fit` numbers them.
        batches: Integer, how many of its batches are done.
        steps: Integer, batches to an epoch; None where that is not known.
        metrics: Arrays, the running means over those batches.
        callbacks: Names of classes, each with the state of a callback.
    """

    epoch: int = 0
    batches: int = 0
    steps: int | None = None
    metrics: list[np.ndarray] = field(default_factory=list)
    callbacks: list[tuple[str, Any]] = field(default_factory=list)

    def store(self, store: Any) -> None:
        """Puts it into a store of Keras's, as arrays."""
        arrays: list[np.ndarray] = []
        text = json.dumps(_encoded(vars(self), arrays))
        store[_KEY] = np.frombuffer(text.encode(), "uint8")
        for index, array in enumerate(arrays):
            store[f"{_KEY}_{index}"] = array

    @classmethod
    def stored(cls, store: Any) -> "Progress":
        """Reads the progress that `store` wrote."""
        encoded = json.loads(np.asarray(store[_KEY]).tobytes())
        return cls(**_decoded(encoded, store))


def has_state(callback: keras.callbacks.Callback) -> bool:
    """Whether a callback remembers what a resumed training needs."""
    return _has_own_state(callback) or any(_attributes(callback))


def _has_own_state(callback: keras.callbacks.Callback) -> bool:
    # Any callback may have the two methods; ours all do, and most do not override them.
    get_state = getattr(type(callback), "get_state", None)
    return get_state is not None and get_state is not Callback.get_state


def states_of(callbacks: Sequence[keras.callbacks.Callback]) -> list[tuple[str, Any]]:
    """The states of those callbacks that have one."""
    return [(type(each).__name__, _state_of(each)) for each in callbacks if has_state(each)]


def give_states(
    callbacks: Sequence[keras.callbacks.Callback], states: Sequence[tuple[str, Any]]
) -> None:
    """Gives callbacks the states that such callbacks had.

    The first of a class gets the state of the first of its class, and so on: callbacks may be added
    and removed between the sessions of a training.
    """
    told: Counter[str] = Counter()
    for callback in callbacks:
        name = type(callback).__name__
        mine = [state for other, state in states if other == name][told[name] :]
        if mine:
            told[name] += 1
            _give_state(callback, copy.deepcopy(mine[0]))


def _state_of(callback: keras.callbacks.Callback) -> Any:
    if _has_own_state(callback):
        state = callback.get_state()
    else:
        own = vars(callback)
        state = {name: own[name] for name in _attributes(callback) if name in own}
    return copy.deepcopy(state)  # the callback will change it


def _give_state(callback: keras.callbacks.Callback, state: Any) -> None:
    if _has_own_state(callback):
        callback.set_state(state)
        return
    for name in _attributes(callback):
        if name in state:
            setattr(callback, name, state[name])


def _attributes(callback: keras.callbacks.Callback) -> Iterator[str]:
    for ancestor in type(callback).__mro__:
        if ancestor.__module__.startswith("keras."):
            yield from _STATE_OF_KERAS.get(ancestor.__name__, ())


def _encoded(value: Any, arrays: list[np.ndarray]) -> Any:
    """The value as JSON takes it, with its arrays set apart."""
    if isinstance(value, (np.ndarray, np.generic)):
        arrays.append(np.asarray(value))
        return {"array": len(arrays) - 1}
    if isinstance(value, dict):  # whose keys may be numbers
        return {"items": [[key, _encoded(item, arrays)] for key, item in value.items()]}
    if isinstance(value, (list, tuple)):
        return [_encoded(item, arrays) for item in value]
    if not isinstance(value, (type(None), bool, int, float, str)):
        raise TypeError(
            "Expected the state of a callback to be of numbers, strings, NumPy arrays, lists and "
            f"dictionaries. Received: {value!r}, a {type(value).__name__}."
        )
    return value


def _decoded(value: Any, store: Any) -> Any:
    if isinstance(value, list):
        return [_decoded(item, store) for item in value]
    if not isinstance(value, dict):
        return value
    if "array" in value:
        return np.asarray(store[f"{_KEY}_{value['array']}"])[()]  # a number, if it was one
    return {key: _decoded(item, store) for key, item in value["items"]}

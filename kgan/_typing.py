"""The types in kgan's annotations, each defined once."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeAlias

import keras
import numpy as np
import numpy.typing as npt

Tensor: TypeAlias = Any
"""A tensor of Keras's backend, or a symbolic one while a network is built."""

Network: TypeAlias = keras.Model
"""A Functional, Sequential or subclassed Keras model."""

Layer: TypeAlias = keras.layers.Layer
Optimizer: TypeAlias = keras.optimizers.Optimizer
Variable: TypeAlias = keras.Variable
Noise: TypeAlias = keras.random.SeedGenerator
"""A source of random numbers whose state a model saves."""

Shape: TypeAlias = tuple[int | None, ...]
Array: TypeAlias = npt.NDArray[np.float32]
Images: TypeAlias = npt.NDArray[np.float32]
"""Float images `(n, height, width, channels)`, in the range of the model."""
Pictures: TypeAlias = npt.NDArray[np.uint8]
"""8-bit images `(n, height, width, channels)`."""
ImagesLike: TypeAlias = npt.ArrayLike
"""Images as users give them: uint8, or floats in [-1, 1]."""
Labels: TypeAlias = npt.NDArray[np.int32]

Logs: TypeAlias = dict[str, Tensor]
"""Names and scalars: what one step reports."""
Config: TypeAlias = dict[str, Any]
"""What `get_config` returns: values that JSON can hold, or serialized Keras objects."""
Say: TypeAlias = Callable[[str], None]
"""Called with a line of text about the progress of long work."""


Data: TypeAlias = Any
"""Anything that `keras.Model.fit` trains on: arrays, datasets, loaders, generators."""

LabelsLike: TypeAlias = Any
"""Integer labels as users give them: arrays, tensors, sequences, or None."""


class Batch(NamedTuple):
    """One batch of training data, as a model's steps get it.

    Attributes:
        images: Float32 `(batch, height, width, channels)`, in the model's range.
        labels: Integer `(batch,)`, or None where the model uses none.
        second: Float32 `(batch, height, width, channels)`, the targets of the images or images of
            another domain; None where the model uses none.
    """

    images: Tensor
    labels: Tensor | None = None
    second: Tensor | None = None


History: TypeAlias = list[Mapping[str, float]]
"""The logs of each epoch, with its number under `epoch`."""

"""Sources of the samples of an evaluation: a model, a network, a function or an array."""

from collections.abc import Callable
from typing import Any, TypeAlias

import keras
import numpy as np

from kgan import _backend
from kgan._typing import Images, Labels
from kgan.training.capabilities import Generates, is_conditional
from kgan.training.labels import as_options

SampleSource: TypeAlias = Any
"""A source of samples: an object with `generate`, a network, a function, or an array."""

_BATCH = 256


class Source:
    """Makes the samples of an evaluation."""

    takes_labels = False
    """Whether it can be asked for samples of given classes."""

    most: int | None = None
    """How many samples there are, or None if as many as wanted."""

    def samples(self, count: int, labels: Labels | None, seed: int) -> np.ndarray:
        """Returns samples `(count, height, width, channels)`, of the classes in `labels`."""
        raise NotImplementedError


def as_source(samples: SampleSource) -> Source:
    """Finds out how to get samples.

    Args:
        samples: One of:

            - an object with `generate(n, seed=...)`, such as every kgan model;
            - a `keras.Model` from latents `(batch, d)` to images, which gets standard normal
              latents;
            - a function from an integer n to n images;
            - an array of images `(n, height, width, channels)`.

            Grey images need no axis for the channel.

    Raises:
        TypeError: It is none of these.
        ValueError: It is a network with other inputs.
    """
    if isinstance(samples, Generates):
        return _Model(samples)
    if isinstance(samples, keras.Model):
        return _Network(samples)
    if hasattr(samples, "__array__") or isinstance(samples, list | tuple):
        return _Array(keras.ops.convert_to_numpy(samples))
    if callable(samples) and not isinstance(samples, type):
        return _Function(samples)
    raise TypeError(
        "Expected samples from an object with `generate(n, seed=...)`, a keras.Model of latents, a "
        "function from n to images, or an array (n, height, width, channels). "
        f"Received: {samples!r}."
    )


class _Model(Source):
    """An object with `generate`."""

    def __init__(self, model: Generates) -> None:
        self._model = model
        self.takes_labels = is_conditional(model)

    def samples(self, count: int, labels: Labels | None, seed: int) -> np.ndarray:
        return np.asarray(self._model.generate(count, seed=seed, **as_options(labels)))


class _Network(Source):
    """A network from standard normal latents to images."""

    def __init__(self, network: keras.Model) -> None:
        inputs = getattr(network, "inputs", None) or []
        if len(inputs) != 1 or len(inputs[0].shape) != 2 or inputs[0].shape[1] is None:
            shapes = [tuple(each.shape) for each in inputs]
            raise ValueError(
                "Expected a network with one input of latents, (batch, d). "
                f"Received: inputs of shape {shapes} in {network.name!r}. Evaluate the model that "
                "has `generate`, or give a function: evaluate(lambda n: ..., dataset)."
            )
        self._network = network
        self._latent_dim = int(inputs[0].shape[1])

    def samples(self, count: int, labels: Labels | None, seed: int) -> np.ndarray:
        del labels
        # Whole batches, so that all have one shape and the first samples do not depend on `count`.
        whole = -(-count // _BATCH) * _BATCH
        latents = np.random.default_rng(seed).standard_normal((whole, self._latent_dim), "float32")
        parts = [
            np.asarray(_backend.predict_on_batch(self._network, latents[first : first + _BATCH]))
            for first in range(0, whole, _BATCH)
        ]
        return np.concatenate(parts)[:count]


class _Function(Source):
    """A function from n to images. It cannot be seeded."""

    def __init__(self, function: Callable[[int], Images]) -> None:
        self._function = function

    def samples(self, count: int, labels: Labels | None, seed: int) -> np.ndarray:
        del labels, seed
        return keras.ops.convert_to_numpy(self._function(count))


class _Array(Source):
    """Samples that exist already."""

    def __init__(self, array: np.ndarray) -> None:
        self._array = array
        self.most = len(array) if array.ndim else 0

    def samples(self, count: int, labels: Labels | None, seed: int) -> np.ndarray:
        del labels, seed
        return self._array[:count]


def with_channel(images: np.ndarray, image_shape: tuple[int, ...]) -> np.ndarray:
    """Returns grey samples `(n, height, width)` with an axis for their channel.

    Other samples are returned as they are, so `check_samples` can report what is wrong with them.
    """
    is_without = images.ndim == 3 and (*images.shape[1:], 1) == tuple(image_shape)
    return images[..., np.newaxis] if is_without else images


def check_samples(
    images: np.ndarray, count: int, image_shape: tuple[int, ...], value_range: tuple[float, float]
) -> None:
    """Checks the shape and dtype of samples.

    Raises:
        ValueError: They are neither floats nor uint8, or of another shape.
    """
    expected = (count, *image_shape)
    is_number = np.issubdtype(images.dtype, np.floating) or images.dtype == np.uint8
    if images.shape == expected and is_number:
        return
    if images.shape == expected:
        advice = "Convert them: images.astype('uint8'), if pixels are from 0 to 255."
    elif images.shape == expected[:-1]:
        advice = f"The real images have {image_shape[-1]} channels: give the samples as many."
    elif images.shape[1:] == expected[1:]:
        advice = f"Return as many images as you are asked for: here n = {count}."
    else:
        advice = "Give samples the shape of the real images."
    raise ValueError(
        f"Expected floats in {list(value_range)} or uint8, of shape {expected}. "
        f"Received: {images.dtype} of shape {images.shape}. {advice}"
    )


def range_problem(images: np.ndarray, value_range: tuple[float, float]) -> str | None:
    """Returns a warning about the range of finite samples, or None.

    Samples in another range than the data set's get distances that mean nothing. Values somewhat
    beyond the range are normal for a generator without a tanh.

    Args:
        images: Array of samples.
        value_range: Two floats, the values of pixels 0 and 255 in the data set.
    """
    low, high = value_range if images.dtype != np.uint8 else (0.0, 255.0)
    least, most = float(images.min()), float(images.max())
    span = high - low
    is_beyond = least < low - span / 4 or most > high + span / 4
    # As images in [0, 1] are where [-1, 1] is expected.
    is_upper_half = least >= (low + high) / 2 and most > least
    # As images in [0, 1] or [-1, 1] are where [0, 255] is expected.
    is_tiny = most <= 1.0 and least >= -1.0 and most > least and high > 100.0
    if not (is_beyond or is_upper_half or is_tiny):
        return None
    return (
        f"Expected samples in the range of the data set, [{low:g}, {high:g}]. Received: values "
        f"from {least:g} to {most:g}. Scores of samples in another range mean nothing: rescale "
        "them, or give the data set their value_range."
    )


def as_floats(images: np.ndarray, value_range: tuple[float, float]) -> np.ndarray:
    """Returns samples as floats in a value range; uint8 samples are converted to it."""
    if images.dtype != np.uint8:
        return images
    low, high = value_range
    return images.astype("float32") * np.float32((high - low) / 255.0) + np.float32(low)

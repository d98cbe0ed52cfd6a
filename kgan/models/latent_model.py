"""Images from latents: what generators have in common, however they were trained."""

from typing import Any

import keras
import numpy as np

from kgan import _backend, _interrupts
from kgan._arguments import integer
from kgan._backend import graph
from kgan.training import data_checks

Tensor = Any


class LatentSampler:
    """Makes images with a generator that maps latents, and labels if it is conditional.

    For a `GenerativeModel` that has `generator`, `averaged_generator` (None where it keeps no
    average of the weights), `latent_dim`, `is_conditional` and `num_classes`.
    """

    generator: Any
    averaged_generator: Any
    latent_dim: int
    is_conditional: bool
    num_classes: int | None

    @property
    def sampled_generator(self) -> Any:
        """The network that makes the images which one gets: the averaged one where there is one."""
        return self.generator if self.averaged_generator is None else self.averaged_generator

    def call(self, inputs: Any, training: bool = False) -> Tensor:
        """Images from latents; conditional: from `[latents, labels]`."""
        tensors = list(inputs) if self.is_conditional else [inputs]
        return _backend.run(self.sampled_generator, tensors, training)

    def generate(
        self: Any,
        n: int,
        labels: Any = None,
        seed: int | None = None,
        batch_size: int = 256,
        averaged: bool = True,
    ) -> np.ndarray:
        """Makes images.

        Args:
            n: Integer, how many.
            labels: Conditional models: an integer, or integers `(n,)`. Defaults to one class after
                the other, 0, 1, 2, ..., so that all are there as evenly as n allows.
            seed: Integer. The same seed gives the same latents, on every backend. Defaults to
                other latents every time. Training is not affected either way.
            batch_size: Integer, how many images are made at a time.
            averaged: Whether by the average of the weights, where the model keeps one
                (`compile(ema_decay=...)`), or by the weights as they are in training.

        Returns:
            Float32 array `(n, height, width, channels)`, in [-1, 1] for a generator that ends in
            a tanh.

        Raises:
            ValueError: `labels` are given to an unconditional model, out of range, or not n; `n` or
                `batch_size` is less than 1.
        """
        n = integer("n", n)
        latents = self._draw_latents(np.random.default_rng(seed), n)
        return self._images_from(latents, self.labels_for(n, labels), batch_size, averaged)

    def interpolate(
        self: Any, n: int, steps: int = 8, labels: Any = None, seed: int | None = None
    ) -> np.ndarray:
        """Makes images along ways from one latent to another.

        A generator that has learnt the data, and not single images of it, changes them smoothly
        and every image on the way is a likely one.

        Args:
            n: Integer, how many ways.
            steps: Integer of at least 2, images on each, both ends among them.
            labels: Conditional models: as for `generate`, a class for each way.
            seed: Integer, chooses the ends.

        Returns:
            Float32 array `(n, steps, height, width, channels)`. The ways are arcs around the origin
            (spherical interpolation, of the directions; lengths go evenly from one to the other):
            points on a straight line between normal latents lie nearer to the origin than any that
            the generator was trained on.

        Raises:
            ValueError: As `generate`, or `steps` is less than 2.

        Reference:
            [White, 2016](https://arxiv.org/abs/1609.04468).
        """
        n, steps = integer("n", n), integer("steps", steps, least=2)
        random = np.random.default_rng(seed)
        ends = self._draw_latents(random, n), self._draw_latents(random, n)
        latents = self._between(*ends, steps).reshape(n * steps, self.latent_dim)
        labels = self.labels_for(n, labels)
        images = self._images_from(latents, None if labels is None else np.repeat(labels, steps))
        return images.reshape(n, steps, *images.shape[1:])

    def _draw_latents(self, random: np.random.Generator, n: int) -> np.ndarray:
        """Latents as those of training, `(n, latent_dim)`, the same on every backend."""
        return random.standard_normal((n, self.latent_dim), "float32")

    def _between(self, start: np.ndarray, end: np.ndarray, steps: int) -> np.ndarray:
        """Latents on the ways from `start` to `end`: `(n, steps, latent_dim)`."""
        return arcs(start, end, steps)

    def _images_from(
        self: Any,
        latents: np.ndarray,
        labels: np.ndarray | None,
        batch_size: int = 256,
        averaged: bool = True,
    ) -> np.ndarray:
        inputs: Any = latents
        if labels is not None:
            inputs = [latents, labels.reshape(-1, *self.generator.inputs[1].shape[1:])]
        # The model itself predicts by the averaged weights.
        network = self if averaged or self.averaged_generator is None else self.generator
        return np.asarray(self._predict(network, inputs, len(latents), batch_size), "float32")

    def _predict(self: Any, network: Any, inputs: Any, count: int, batch_size: Any) -> Any:
        """What a network makes of `count` inputs: arrays, as it gives tensors."""
        size = integer("batch_size", batch_size)
        # `network.predict` would wait for the other processes, and for a number that the devices
        # divide.
        parts = []
        interrupt = _interrupts.Remembered()
        with interrupt.listening():
            for first in range(0, count, size):
                part = keras.tree.map_structure(lambda x, at=first: x[at : at + size], inputs)
                parts.append(_backend.predict_on_batch(network, part))
                interrupt.arrive()
        return keras.tree.map_structure(lambda *arrays: np.concatenate(arrays), *parts)

    def labels_for(self: Any, n: int, labels: Any = None) -> np.ndarray | None:
        """The labels with which `generate(n, labels)` makes its images.

        Args:
            n: Integer, how many images.
            labels: An integer, integers `(n,)`, or None for one class after the other.

        Returns:
            Int32 array `(n,)`; None for an unconditional model.

        Raises:
            ValueError: The labels are out of range, not n, or given to an unconditional model.
        """
        if not self.is_conditional:
            if labels is not None:
                raise ValueError(
                    "Expected no labels, since this GAN is unconditional. "
                    f"Received: labels={labels!r}."
                )
            return None
        if labels is None:
            if self.num_classes is None:
                raise ValueError(
                    "The number of classes cannot be told from the generator. Give labels, or "
                    "num_classes to GAN(...)."
                )
            return np.arange(n, dtype="int32") % self.num_classes
        labels = np.asarray(labels)
        data_checks.check_labels(labels, self.num_classes)
        if labels.ndim == 0:
            return np.full(n, labels, "int32")
        if labels.shape != (n,):
            raise ValueError(
                f"Expected one label, or {n} of them: shape ({n},). "
                f"Received: labels of shape {labels.shape}."
            )
        return labels.astype("int32")

    def export(self: Any, filepath: Any, *args: Any, **kwargs: Any) -> Any:
        """Exports the generator that is sampled from for serving: `keras.Model.export`.

        Args:
            filepath: Where to.
            *args: As for `keras.Model.export`: the format, which depends on the backend. "onnx" is
                there on all of them, with what Keras says it needs installed; the default,
                "tf_saved_model", on TensorFlow, and on JAX where TensorFlow is installed.
            **kwargs: Likewise.
        """
        # Keras exports to ONNX only what has been called, and by Keras.
        network = self.sampled_generator
        zeros = [np.zeros((1, *x.shape[1:]), x.dtype) for x in network.inputs]
        graph.call(network, zeros, training=False)
        return network.export(filepath, *args, **kwargs)


def arcs(start: np.ndarray, end: np.ndarray, steps: int) -> np.ndarray:
    """Points `(n, steps, latent_dim)` on the arcs from `start` to `end`, both `(n, latent_dim)`."""
    lengths = [np.linalg.norm(latents, axis=1)[:, None, None] for latents in (start, end)]
    directions = [
        latents[:, None] / length for latents, length in zip((start, end), lengths, strict=True)
    ]
    cosines = np.sum(directions[0] * directions[1], axis=2, keepdims=True)
    angles = np.arccos(np.clip(cosines, -1.0, 1.0))
    shares = np.linspace(0.0, 1.0, steps)[:, None]
    weights = np.sin((1 - shares) * angles), np.sin(shares * angles)
    points = weights[0] * directions[0] + weights[1] * directions[1]
    # Opposite directions have no one arc between them: there, the way is the straight line.
    sines = np.sin(angles)
    has_arc = sines > 1e-3
    points = points / np.where(has_arc, sines, 1.0)
    points *= (1 - shares) * lengths[0] + shares * lengths[1]
    line = (1 - shares) * start[:, None] + shares * end[:, None]
    return np.where(has_arc, points, line).astype("float32")

"""Images from latents: what decoders have in common, however they were trained."""

import math
from typing import Any, ClassVar

import keras
import numpy as np
import numpy.typing as npt

from kgan import _backend
from kgan._arguments import integer
from kgan._typing import Array, Images, Labels, Network, Shape, Tensor
from kgan.models import standing_statistics
from kgan.models.exporting import export_network
from kgan.training.labels import labels_for
from kgan.training.model import GenerativeModel


class LatentModel(GenerativeModel):
    """A model that makes images from latents, and from labels if it is conditional.

    A family names its decoder in `decoder_name`, a network from latents `(batch, latent_dim)` (and
    labels) to images, and sets `latent_dim`, `num_classes` and `image_shape`. If the network's
    outputs are not images yet, it overrides `_images_of`.

    Example: every model of this kind makes images from latents that you give.
    ```python
    assert isinstance(gan, kgan.models.LatentModel)
    latents = gan.draw_latents(8, seed=1)
    images = gan.decode(latents)  # those of gan.generate(8, seed=1)
    ```
    """

    decoder_name: ClassVar[str]

    latent_dim: int
    image_shape: Shape
    num_classes: int | None

    @property
    def is_conditional(self) -> bool:
        """Whether the model takes labels."""
        return len(getattr(self, self.decoder_name).inputs) == 2

    def call(self, inputs: Any, training: bool = False) -> Tensor:
        """Images from latents; conditional: from `[latents, labels]`."""
        tensors = list(inputs) if self.is_conditional else [inputs]
        return self._images_of(_backend.run(self.decoder_in_use(), tensors, training))

    def decoder_in_use(self, averaged: bool = True) -> Network:
        """The network that makes images: the decoder or its average.

        Args:
            averaged: Whether the average is wanted, if the model keeps one.
        """
        return self.network_in_use(self.decoder_name, averaged)

    def _images_of(self, outputs: Tensor) -> Tensor:
        """The images that outputs of the decoder represent."""
        return outputs

    # ---- latents ---------------------------------------------------------------------------------

    @property
    def normal_dim(self) -> int:
        """The number of values of a latent that are normally distributed: the first ones."""
        return self.latent_dim

    def draw_latents(
        self, n: int, seed: int | None = None, truncation: float | None = None
    ) -> Array:
        """Draws the latents from which `generate(n, seed=seed)` makes its images.

        Args:
            n: Integer, how many.
            seed: Integer. The same seed gives the same latents, on every backend.
            truncation: As for `generate`.

        Returns:
            Float32 array `(n, latent_dim)`.

        Raises:
            ValueError: `n` is less than 1, or `truncation` is not above 0.

        Example:
        ```python
        latents = vae.draw_latents(8, seed=1)
        assert latents.shape == (8, vae.latent_dim)
        assert np.array_equal(vae.decode(latents), vae.generate(8, seed=1))
        ```
        """
        return self._drawn(np.random.default_rng(seed), integer("n", n), truncation)

    def _drawn(self, random: np.random.Generator, n: int, truncation: float | None) -> Array:
        latents = self._draw_latents(random, n)
        if truncation is not None:
            truncate(random, latents[:, : self.normal_dim], truncation)
        return latents

    def _draw_latents(self, random: np.random.Generator, n: int) -> Array:
        """Latents as in training, `(n, latent_dim)`, the same on every backend."""
        return random.standard_normal((n, self.latent_dim), "float32")

    def _between(self, start: Array, end: Array, steps: int) -> Array:
        """Latents on the paths from `start` to `end`: `(n, steps, latent_dim)`."""
        return arcs(start, end, steps)

    # ---- images ----------------------------------------------------------------------------------

    def generate(
        self,
        n: int | None = None,
        labels: npt.ArrayLike | None = None,
        seed: int | None = None,
        batch_size: int = 256,
        averaged: bool = True,
        latents: npt.ArrayLike | None = None,
        truncation: float | None = None,
    ) -> Images:
        """Makes images.

        Args:
            n: Integer, how many. Defaults to the number of `latents`.
            labels: Conditional models: an integer, or integers `(n,)`. Defaults to one class after
                the other, 0, 1, 2, ..., so that all come as evenly as n allows.
            seed: Integer. The same seed gives the same latents, on every backend. Defaults to
                different latents every time. Training is not affected.
            batch_size: Integer, images at a time.
            averaged: Whether to use the average of the weights, if the model keeps one
                (`compile(ema_decay=...)`), or the weights as they are in training.
            latents: Float array `(n, latent_dim)`, to make images from given latents.
                `draw_latents(n, seed)` returns those of `generate(n, seed=seed)`. Defaults to
                random latents.
            truncation: Float t above 0: the normal values of latents that are not between -t and t
                are drawn again. Smaller values give more typical and less varied images. Defaults
                to `None`: the latents of training.

        Returns:
            Float32 array `(n, height, width, channels)`, in [-1, 1] for a generator that ends in
            a tanh.

        Raises:
            ValueError: `labels` are given to an unconditional model, out of range, or not n;
                `latents` have another shape, or come with a `seed` or a `truncation`; `n` or
                `batch_size` is less than 1, or `truncation` is not above 0.

        Example: the same latents as two classes of a conditional model.
        ```python
        latents = gan.draw_latents(8, seed=1)
        threes, sevens = (gan.generate(latents=latents, labels=label) for label in (3, 7))
        ```

        Reference:
            [Brock et al., 2019](https://arxiv.org/abs/1809.11096), section 3.1, for truncation.
        """
        chosen = self._latents(n, seed, latents, truncation)
        return self.decode(chosen, labels, batch_size, averaged)

    @property
    def has_batch_normalization(self) -> bool:
        """Whether the network that makes images has batch normalisation."""
        return bool(standing_statistics.normalizations(getattr(self, self.decoder_name)))

    def collect_statistics(
        self,
        batches: int = 16,
        batch_size: int = 256,
        truncation: float | None = None,
        seed: int | None = None,
    ) -> None:
        """Replaces the statistics of batch normalisation by those of many new samples.

        In training, layers of batch normalisation collect moving averages, for use afterwards. They
        lag behind the weights, and are not those of truncated latents. This computes the mean and
        variance of `batches * batch_size` samples exactly, in the network that `generate` uses:
        "standing statistics". Training does not use them.

        With truncated latents, where batch normalisation follows a linear function of them, as in
        `dcgan`, this undoes the truncation: values get the variance of training again.

        Args:
            batches: Integer, how many batches.
            batch_size: Integer, samples in a batch, which is normalised as in training.
            truncation: As for `generate`.
            seed: Integer, chooses the latents.

        Raises:
            ValueError: The network has no batch normalisation, or a number is out of its range.

        Example:
        ```python
        networks = kgan.networks.dcgan(latent_dim=8, width=4)
        gan = kgan.GAN(*networks)
        gan.collect_statistics(batches=2, batch_size=16, truncation=0.5, seed=0)
        images = gan.generate(8, truncation=0.5, seed=1)
        ```

        Reference:
            [Brock et al., 2019](https://arxiv.org/abs/1809.11096).
        """
        network = self.decoder_in_use()
        random = np.random.default_rng(seed)
        count = integer("batch_size", batch_size)

        def run() -> None:
            given = self.labels_for(count)
            if given is not None:
                given = random.permutation(given)
            latents = self._drawn(random, count, truncation)
            tensors = [latents] if given is None else [latents, as_input(given, network)]
            _backend.run(network, [keras.ops.convert_to_tensor(x) for x in tensors], training=True)

        standing_statistics.collect(network, run, integer("batches", batches))

    def _latents(
        self,
        n: int | None,
        seed: int | None,
        latents: npt.ArrayLike | None,
        truncation: float | None,
    ) -> Array:
        """The latents that `generate` was given, or those that it draws."""
        if latents is None:
            if n is None:
                raise ValueError(
                    "Expected `n`, the number of images, or `latents`. Received: neither."
                )
            return self.draw_latents(n, seed, truncation)
        for name, value in (("seed", seed), ("truncation", truncation)):
            if value is not None:
                raise ValueError(
                    f"Expected no `{name}`, since `latents` are given. Received: {name}={value!r}. "
                    "Leave one of them out."
                )
        given = self._checked_latents(latents)
        if n is not None and integer("n", n) != len(given):
            raise ValueError(
                f"Expected n={len(given)}, the number of latents. Received: n={n}. Leave `n` out."
            )
        return given

    def _checked_latents(self, latents: npt.ArrayLike) -> Array:
        array = np.asarray(latents, "float32")
        if array.ndim != 2 or array.shape[1] != self.latent_dim:
            raise ValueError(
                f"Expected latents of shape (n, {self.latent_dim}). Received: latents of shape "
                f"{array.shape}."
            )
        return array

    def decode(
        self,
        latents: npt.ArrayLike,
        labels: npt.ArrayLike | None = None,
        batch_size: int = 256,
        averaged: bool = True,
    ) -> Images:
        """Makes the images of latents.

        Args:
            latents: Float array `(n, latent_dim)`, as `draw_latents` returns them.
            labels: As for `generate`.
            batch_size: Integer, images at a time.
            averaged: As for `generate`.

        Returns:
            Float32 array `(n, height, width, channels)`.

        Raises:
            ValueError: The latents have another shape, or as `generate`.

        Example: the mean of two latents.
        ```python
        latents = vae.draw_latents(2, seed=1)
        image = vae.decode(latents.mean(axis=0, keepdims=True))
        ```
        """
        arrays: list[np.ndarray] = [self._checked_latents(latents)]
        given = self.labels_for(len(arrays[0]), labels)
        if given is not None:
            arrays.append(given)
        decode = LatentModel._decode_averaged if averaged else LatentModel._decode_trained
        images = self.predict_in_batches(decode, arrays, integer("batch_size", batch_size))
        return np.asarray(images, "float32")

    def _decode_averaged(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        return self._decode_by(self.decoder_in_use(), latents, labels)

    def _decode_trained(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        return self._decode_by(self.decoder_in_use(averaged=False), latents, labels)

    def _decode_by(self, decoder: Network, latents: Tensor, labels: Tensor | None) -> Tensor:
        tensors = [latents] if labels is None else [latents, as_input(labels, decoder)]
        return self._images_of(_backend.run(decoder, tensors, training=False))

    def interpolate(
        self,
        n: int,
        steps: int = 8,
        labels: npt.ArrayLike | None = None,
        seed: int | None = None,
        truncation: float | None = None,
    ) -> Images:
        """Makes images along paths from one latent to another.

        A model that has learnt the data, and not single images, changes them smoothly, and every
        image on the path is a likely one.

        Args:
            n: Integer, the number of paths.
            steps: Integer of at least 2, images on each, with both ends.
            labels: Conditional models: a class for each path, as for `generate`; or integers
                `(n, 2)`, the classes of both ends of each path, and `(first, last)` for a single
                path. Classes cannot be mixed: the first half of such a path has the
                first class, and the second half, from the middle image on, the last. The latents
                change in even steps all the way.
            seed: Integer, chooses the ends.
            truncation: As for `generate`, for the ends.

        Returns:
            Float32 array `(n, steps, height, width, channels)`. The paths are arcs around the
            origin (spherical interpolation of the directions; lengths change evenly): points on a
            straight line between normal latents are nearer to the origin than any in training.

        Raises:
            ValueError: As `generate`, or `steps` is less than 2.

        Example: a film of a path between two samples. `kgan interpolate RUN` writes one of a run.
        ```python
        (path,) = gan.interpolate(1, steps=24, seed=0)
        kgan.images.save_gif("path.gif", path, scale=4)
        ```

        Reference:
            [White, 2016](https://arxiv.org/abs/1609.04468).
        """
        n, steps = integer("n", n), integer("steps", steps, least=2)
        random = np.random.default_rng(seed)
        ends = self._drawn(random, n, truncation), self._drawn(random, n, truncation)
        given = self._labels_of_paths(n, steps, labels)
        return self._decode_paths(self._between(*ends, steps), given)

    def _labels_of_paths(self, n: int, steps: int, labels: npt.ArrayLike | None) -> Labels | None:
        """The class of each of n paths, `(n,)`, or of each image on them, `(n, steps)`."""
        pairs = np.asarray(labels)  # of None: no pairs
        if n == 1 and pairs.shape == (2,):
            pairs = pairs[np.newaxis]
        if pairs.shape != (n, 2):
            return self.labels_for(n, labels)
        first, last = (self.labels_for(n, each) for each in pairs.T)
        if first is None or last is None:
            return None
        is_last = np.arange(steps) >= (steps - 1) / 2
        return np.where(is_last, last[:, np.newaxis], first[:, np.newaxis])

    def _decode_paths(
        self, latents: Array, labels: Labels | None = None, averaged: bool = True
    ) -> Images:
        """The images of several latents on each of n paths.

        Args:
            latents: Float array `(n, steps, latent_dim)`.
            labels: Integer array `(n,)` for a class each, or `(n, steps)`; or None.
            averaged: As for `generate`.

        Returns:
            Float32 array `(n, steps, height, width, channels)`.
        """
        n, steps = latents.shape[:2]
        if labels is not None:
            labels = np.broadcast_to(labels.reshape(n, -1), (n, steps)).reshape(-1)
        images = self.decode(
            latents.reshape(n * steps, self.latent_dim),
            labels,
            averaged=averaged,
        )
        return images.reshape(n, steps, *images.shape[1:])

    def labels_for(self, n: int, labels: npt.ArrayLike | None = None) -> Labels | None:
        """The labels with which `generate(n, labels)` makes its images.

        Args:
            n: Integer, the number of images.
            labels: An integer, integers `(n,)`, or None for one class after the other.

        Returns:
            Int32 array `(n,)`; None for an unconditional model.

        Raises:
            ValueError: The labels are out of range, not n, or given to an unconditional model.

        Example:
        ```python
        assert gan.labels_for(12).tolist() == [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1]
        assert gan.labels_for(2, 7).tolist() == [7, 7]
        ```
        """
        return labels_for(self, n, labels)

    def export(self, filepath: Any, *args: Any, **kwargs: Any) -> None:
        """Exports the network that samples are made with, for serving: `keras.Model.export`.

        Args:
            filepath: The file or directory.
            *args: As for `keras.Model.export`: the format, which depends on the backend. "onnx"
                works on all of them, with the packages that Keras asks for; the default,
                "tf_saved_model", on TensorFlow, and on JAX where TensorFlow is installed.
            **kwargs: As for `keras.Model.export`.
        """
        export_network(self.decoder_in_use(), filepath, *args, **kwargs)


def as_input(labels: Tensor, network: Network) -> Tensor:
    """Labels in the shape in which a network takes them: `(batch,)` or `(batch, 1)`."""
    return keras.ops.reshape(labels, (-1, *network.inputs[1].shape[1:]))


def truncate(random: np.random.Generator, latents: Array, truncation: float) -> None:
    """Draws normal values again, in place, until all are between -truncation and truncation."""
    check_truncation(truncation)
    places = np.nonzero(np.abs(latents) > truncation)
    while len(places[0]):
        values = random.standard_normal(len(places[0]), "float32")
        latents[places] = values
        outside = np.abs(values) > truncation
        places = places[0][outside], places[1][outside]


def check_truncation(truncation: float) -> None:
    """Raises a ValueError if it is not above 0 and finite."""
    if not 0 < truncation < math.inf:
        raise ValueError(
            f"Expected `truncation` to be above 0 and finite. Received: truncation={truncation!r}."
        )


def arcs(start: Array, end: Array, steps: int) -> Array:
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
    # Opposite directions have no single arc between them: the path is then the straight line.
    sines = np.sin(angles)
    has_arc = sines > 1e-3
    points = points / np.where(has_arc, sines, 1.0)
    points *= (1 - shares) * lengths[0] + shares * lengths[1]
    line = (1 - shares) * start[:, None] + shares * end[:, None]
    return np.where(has_arc, points, line).astype("float32")

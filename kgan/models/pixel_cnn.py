"""The autoregressive model of images: each pixel given all pixels before it."""

import contextlib
import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, ClassVar

import keras
import numpy as np
import numpy.typing as npt
from keras import ops

from kgan import _backend, _interrupts, likelihoods
from kgan._arguments import integer
from kgan._progress import now_and_then
from kgan._typing import (
    Array,
    Batch,
    Images,
    ImagesLike,
    LabelsLike,
    Logs,
    Network,
    Optimizer,
    Say,
    Tensor,
)
from kgan.models import network_checks
from kgan.models.exporting import export_network
from kgan.models.latent_model import as_input
from kgan.models.pixel_scan import PixelPlan, UnknownLayerError
from kgan.training import data_checks
from kgan.training.batch_spec import BatchSpec
from kgan.training.labels import labels_for
from kgan.training.log_names import LogName, register
from kgan.training.model import GenerativeModel

register(
    LogName(
        "bits_per_dimension",
        "bits per dimension",
        "Bits per dimension",
        order=10,
        nan="The network's outputs are not finite: lower the learning rate, or clip gradients.",
    )
)


class InterruptedDrawError(KeyboardInterrupt):
    """Ctrl-C while images are drawn. It carries those that are whole.

    Args:
        images: Float32 `(m, height, width, channels)`, the first m images.

    Example:
    ```python
    try:
        images = pixel_cnn.generate(4, seed=0)
    except kgan.models.InterruptedDrawError as interrupted:
        images = interrupted.images
    ```
    """

    def __init__(self, images: Images) -> None:
        super().__init__(f"Interrupted after {len(images):,} images.")
        self.images = images


@keras.saving.register_keras_serializable(package="kgan")
class PixelCNN(GenerativeModel):
    """An autoregressive model of images, or of any grid of integers.

    The probability of an image is the product of the probabilities of its values, each given all
    values before it: rows from the top, pixels from the left, then channels. The *network* gives
    the parameters of all these distributions in one pass, from the image itself: it is causal, so
    the outputs for a pixel depend on earlier pixels only. The *likelihood* says what the outputs
    mean. Training maximises the log probability, which is exact, not a bound.

    Images are drawn one pixel after the other. The cached way computes for each pixel only what is
    new, in a compiled loop; with the same seed it gives the same images as computing the whole
    network for each pixel, some hundred times faster.

    A batch may hold floats in [-1, 1] at the likelihood's levels, or integers from 0. An image of
    one row is a sequence, such as a text or a time series.

    The logs of `fit` and `evaluate`:

    - `loss`: the negative log probability of an image, in nats, and the networks' regularisation
      losses in training.
    - `bits_per_dimension`: the negative log probability divided by the number of values and ln 2.
    - In training, `gradient_norm`.

    Args:
        network: Functional `keras.Model` from images, float `(batch, height, width, channels)`
            (conditional: from `[images, labels]`), to outputs `(batch, height, width,
            likelihood.outputs_for(channels))`.
        likelihood: A name out of `kgan.likelihoods.names()` or a
            `kgan.likelihoods.DiscreteLikelihood`: "bernoulli" for binary images,
            `Categorical(levels)` for a few levels, "discretized_logistic_mixture" for 8-bit grey
            images, "joint_logistic_mixture" for 8-bit colour images.
        num_classes: Integer, the number of classes of a conditional model. Needed only where no
            `Embedding` or `CategoryEncoding` layer tells it.
        seed: Integer, starts the noise of training. Defaults to a random one.
        name: String.

    Raises:
        ValueError: The network does not fit the likelihood, or sees the pixels that it predicts.

    Example:
    ```python
    train = kgan.data.load_mnist("train", binarize="dynamic")
    pixel_cnn = kgan.PixelCNN(*kgan.networks.pixel_cnn((28, 28, 1), width=8, blocks=1))
    pixel_cnn.compile(keras.optimizers.Adam(2e-3), ema_decay=0.999)
    pixel_cnn.fit(train, epochs=1)
    images = pixel_cnn.generate(4, seed=1)
    nats = -pixel_cnn.log_prob(images)
    ```

    Reference:
        [van den Oord et al., 2016](https://arxiv.org/abs/1601.06759) (PixelRNN, PixelCNN);
        [van den Oord et al., 2016](https://arxiv.org/abs/1606.05328) (Gated PixelCNN);
        [Salimans et al., 2017](https://arxiv.org/abs/1701.05517) (PixelCNN++).
    """

    networks = ("network",)
    roles: ClassVar = {"model": ("network",)}
    averaged = ("network",)
    arguments = ("likelihood", "num_classes")
    likelihood_is_exact = True

    def __init__(
        self,
        network: Network,
        likelihood: str | likelihoods.Likelihood = "bernoulli",
        num_classes: int | None = None,
        seed: int | None = None,
        name: str | None = None,
    ) -> None:
        likelihood = _discrete(likelihoods.get(likelihood))
        network_checks.check_autoregressive(network, likelihood.outputs_for)
        _check_causal(network)
        super().__init__(seed=seed, name=name)
        self.network = network
        self.likelihood = likelihood
        self.image_shape: tuple[int, int, int] = tuple(network.inputs[0].shape[1:])
        self.num_classes = network_checks.resolve_num_classes({"network": network}, num_classes)
        self.built = True

    def compile(  # type: ignore[override]  # with the optimizer by its name
        self,
        optimizer: str | Optimizer | None = None,
        ema_decay: float | None = None,
        **kwargs: Any,
    ) -> None:
        """Configures the training.

        Args:
            optimizer: String or `keras.optimizers.Optimizer`. Defaults to `Adam(1e-3)`.
            ema_decay: Float in [0, 1): keep a running average of the weights, for everything but
                training. It improves the likelihood: with a decay of 0.999, by a nat or so on
                binary digits. Defaults to none.
            **kwargs: Keras's own `run_eagerly`, `steps_per_execution` and `jit_compile`.

        Raises:
            ValueError: A number is out of its range.

        Example:
        ```python
        pixel_cnn.compile(keras.optimizers.Adam(2e-3, clipnorm=1.0), ema_decay=0.999)
        ```
        """
        super().compile(optimizer=optimizer, ema_decay=ema_decay, **kwargs)

    def log_names(self) -> list[str]:
        """The names of all logs, in the order in which they are shown."""
        return ["loss", "bits_per_dimension", "gradient_norm"]

    @property
    def is_conditional(self) -> bool:
        """Whether the model takes labels."""
        return len(self.network.inputs) == 2

    @property
    def levels(self) -> int:
        """The number of values that a pixel can have."""
        return self.likelihood.levels

    @property
    def likelihood_support(self) -> str:
        """The kind of images of the likelihood: "binary" or "levels"."""
        return self.likelihood.support

    def batch_spec(self, training: bool) -> BatchSpec:
        """Images at the levels of the likelihood."""
        del training
        return BatchSpec(
            shape=self.network.inputs[0].shape,
            consumer="network",
            value_range=(-1.0, 1.0),
            range_reason=f"the likelihood is {type(self.likelihood).__name__}",
            binary=self.levels == 2,
            levels=self.levels,
            needs_labels=self.is_conditional,
            num_classes=self.num_classes,
        )

    # ---- the algorithm ---------------------------------------------------------------------------

    def training_step(self, batch: Batch) -> Logs:
        """Updates the network on one batch."""

        def objective() -> tuple[Tensor, Tensor]:
            nats = self._nats(batch, training=True)
            return nats, nats

        minimized = self.minimize("model", objective)
        self.follow()
        return self.record(
            batch,
            loss=minimized.loss,
            bits_per_dimension=self._bits(minimized.aux),
            gradient_norm=minimized.gradient_norm,
        )

    def evaluation_step(self, batch: Batch) -> Logs:
        """Measures the negative log probability of one batch of held-out images.

        With an `ema_decay` in `compile`, it is that of the averaged network.
        """
        nats = self._nats(batch, training=False)
        return self.record(batch, loss=nats, bits_per_dimension=self._bits(nats))

    def _nats(self, batch: Batch, training: bool) -> Tensor:
        network = self.network_in_use("network", averaged=not training)
        outputs = self._outputs(network, batch.images, batch.labels, training)
        return -ops.mean(self.likelihood.log_prob(batch.images, outputs, training=training))

    def _bits(self, nats: Tensor) -> Tensor:
        return nats / (math.prod(self.image_shape) * math.log(2.0))

    def _outputs(
        self, network: Network, images: Tensor, labels: Tensor | None, training: bool
    ) -> Tensor:
        tensors = [images] if labels is None else [images, as_input(labels, network)]
        return self.run(network, tensors, training)

    def call(self, inputs: Any, training: bool = False) -> Tensor:
        """The outputs of the network for images; conditional: for `[images, labels]`."""
        tensors = list(inputs) if self.is_conditional else [inputs]
        return self.run(self.network_in_use("network"), tensors, training)

    # ---- sampling --------------------------------------------------------------------------------

    def generate(
        self,
        n: int,
        labels: LabelsLike = None,
        seed: int | None = None,
        batch_size: int = 100,
        averaged: bool = True,
        temperature: float = 1.0,
        prompt: ImagesLike | None = None,
        cached: bool = True,
        say: Say | None = None,
    ) -> Images:
        """Draws images.

        Args:
            n: Integer, how many.
            labels: Conditional models: an integer, or integers `(n,)`. Defaults to one class after
                the other, 0, 1, 2, ..., so that all come as evenly as n allows.
            seed: Integer. The same seed gives the same random numbers, on every backend. Defaults
                to different ones every time. Training is not affected.
            batch_size: Integer, images at a time. Memory grows with it, not with `n`.
            averaged: Whether to use the average of the weights, if the model keeps one.
            temperature: Float above 0. Below 1, each value is more often the most likely one.
            prompt: The first values of all images in raster order, `(length,)`, or
                `(length, channels)` for several channels; or those of each image, with n in front.
                Floats in [-1, 1] or integer levels. Defaults to none.
            cached: Whether to compute for each pixel only what is new. `False` runs the whole
                network for each pixel; it works for any causal network.
            say: Called with a line of text about the progress. Defaults to writing a line to
                standard error every five seconds at most.

        Returns:
            Float32 array `(n, height, width, channels)` in [-1, 1], at the levels. `to_levels`
            makes integers of them.

        Raises:
            ValueError: `labels` do not fit, a number is out of its range, or the prompt has values
                that are no levels or is longer than an image.
            InterruptedDrawError: Ctrl-C; the error carries the images that are whole.

        Example:
        ```python
        likely = pixel_cnn.generate(4, seed=1, temperature=0.8)
        levels = pixel_cnn.to_levels(likely)
        ```
        """
        n = integer("n", n)
        given, known = self._prompted(n, prompt)
        return self._drawn(
            given, known, labels, seed, batch_size, averaged, temperature, cached, say
        )

    def complete(
        self,
        images: ImagesLike,
        known: npt.ArrayLike,
        labels: LabelsLike = None,
        seed: int | None = None,
        batch_size: int = 100,
        averaged: bool = True,
        temperature: float = 1.0,
        cached: bool = True,
        say: Say | None = None,
    ) -> Images:
        """Draws the rest of images whose first pixels are known.

        Args:
            images: Array `(n, height, width, channels)`, floats in [-1, 1] or integer levels.
                Values of unknown pixels are ignored, if they are at a level.
            known: Integer, the number of known pixels in raster order; or booleans
                `(height, width)` or `(n, height, width)`. All known pixels of an image come before
                its unknown ones: the model cannot take account of later ones.
            labels: As for `generate`.
            seed: As for `generate`.
            batch_size: As for `generate`.
            averaged: As for `generate`.
            temperature: As for `generate`.
            cached: As for `generate`.
            say: As for `generate`.

        Returns:
            Float32 array like `images`: known pixels as they were, the others drawn.

        Raises:
            ValueError: The images do not fit the model, a known pixel comes after an unknown one,
                or as `generate`.
            InterruptedDrawError: As `generate`.

        Example: the lower half of digits.
        ```python
        images, _ = binary_test.draw(4, seed=0)
        completed = pixel_cnn.complete(images, known=14 * 28, seed=1)
        assert np.array_equal(completed[:, :14], images[:, :14])
        ```
        """
        labels = labels_for(self, len(np.asarray(images)), labels)
        given = self.checked_arrays(images, labels)[0]
        mask = _causal_mask(known, len(given), self.image_shape[:2])
        return self._drawn(
            given, mask, labels, seed, batch_size, averaged, temperature, cached, say
        )

    def to_levels(self, images: Images) -> npt.NDArray[np.int32]:
        """Converts images to integer levels.

        Args:
            images: Float array in [-1, 1], of any shape.

        Returns:
            Int32 array of the same shape, from 0 to `levels - 1`.

        Example:
        ```python
        assert pixel_cnn.to_levels(np.array([-1.0, 1.0])).tolist() == [0, 1]
        ```
        """
        return np.asarray(ops.convert_to_numpy(self.likelihood.level_of(images)))

    def _prompted(self, n: int, prompt: ImagesLike | None) -> tuple[Images, npt.NDArray[np.bool_]]:
        """Images that begin with the prompt, and which of their pixels are known."""
        height, width, channels = self.image_shape
        pixels = height * width
        images = np.zeros((n, pixels, channels), "float32")
        known = np.zeros((n, pixels), bool)
        if prompt is not None:
            values = self._prompt_values(n, np.asarray(prompt))
            images[:, : values.shape[1]] = values
            known[:, : values.shape[1]] = True
        return images.reshape(n, *self.image_shape), known.reshape(n, height, width)

    def _prompt_values(self, n: int, prompt: np.ndarray) -> Images:
        """A prompt as float32 `(n or 1, length, channels)`."""
        height, width, channels = self.image_shape
        if channels == 1 and (prompt.ndim == 1 or prompt.shape[-1:] != (1,)):
            prompt = prompt[..., None]
        if prompt.ndim == 2:
            prompt = prompt[None]
        if (
            prompt.ndim != 3
            or prompt.shape[0] not in (1, n)
            or prompt.shape[1] > height * width
            or prompt.shape[2] != channels
        ):
            raise ValueError(
                f"Expected a prompt of at most {height * width} pixels of {channels} channels, "
                f"(length, {channels}), or {n} of them. Received: shape {prompt.shape}."
            )
        # As an image of one row, to check its values.
        spec = self.batch_spec(training=False)
        as_row = prompt[:, None]
        if prompt.size:
            row_spec = replace(spec, shape=(None, 1, None, channels), needs_labels=False)
            data_checks.check_values(as_row, None, spec=row_spec, divides=False)
        return np.asarray(ops.convert_to_numpy(spec.as_floats(as_row)))[:, 0]

    def _drawn(
        self,
        given: Images,
        known: npt.NDArray[np.bool_],
        labels: LabelsLike,
        seed: int | None,
        batch_size: int,
        averaged: bool,
        temperature: float,
        cached: bool,
        say: Say | None,
    ) -> Images:
        """Draws the unknown pixels of images, a batch at a time."""
        n, size = len(given), integer("batch_size", batch_size)
        if not temperature > 0:
            raise ValueError(
                f"Expected `temperature` to be above 0. Received: temperature={temperature!r}."
            )
        chosen = labels_for(self, n, labels)
        if cached:
            PixelPlan(self.network)  # an error is clearer here than while a loop is compiled
        say = say or now_and_then()
        random = np.random.default_rng(seed)
        options = {"averaged": bool(averaged), "cached": bool(cached)}
        parts: list[Images] = []
        interrupt = _interrupts.Remembered()
        try:
            with interrupt.listening():
                for first in range(0, n, size):
                    rows = slice(first, first + size)
                    numbers = self._numbers(random, len(given[rows]))
                    arrays = [given[rows], known[rows][..., None], numbers]
                    arrays += [np.float32(temperature)]
                    arrays += [] if chosen is None else [chosen[rows]]
                    parts.append(_backend.predict(self, PixelCNN._fill, *arrays, **options))
                    say(f"drew {min(first + size, n):,} of {n:,} images")
                    interrupt.arrive()
        except KeyboardInterrupt as interrupted:
            empty = np.empty((0, *self.image_shape), "float32")
            raise InterruptedDrawError(np.concatenate([empty, *parts])) from interrupted
        return np.concatenate(parts)

    def _numbers(self, random: np.random.Generator, n: int) -> Array:
        """Uniform numbers for n images. Image i gets the same ones for any batch size."""
        height, width, channels = self.image_shape
        shape = (n, height, width, self.likelihood.numbers_for(channels))
        return random.random(shape, "float32")

    def _fill(
        self,
        given: Tensor,
        known: Tensor,
        numbers: Tensor,
        temperature: Tensor,
        labels: Tensor | None = None,
        averaged: bool = True,
        cached: bool = True,
    ) -> Tensor:
        """Draws the unknown pixels."""
        network = self.network_in_use("network", averaged)

        def draw(outputs: Tensor, numbers: Tensor) -> Tensor:
            outputs = self.likelihood.tempered(ops.cast(outputs, "float32"), temperature)
            return self.likelihood.draw(outputs, numbers)

        if cached:
            inputs = [] if labels is None else [as_input(labels, network)]
            return PixelPlan(network).scan(draw, given, known, numbers, inputs)
        height, width, channels = self.image_shape
        times = 1 if self.likelihood.is_joint else channels
        places = ops.reshape(ops.arange(height * width * channels), (1, height, width, channels))

        def value(number: Tensor, images: Tensor) -> Tensor:
            """The images with one value drawn, by the whole network."""
            outputs = self._outputs(network, images, labels, training=False)
            drawn = ops.where(known, given, draw(outputs, numbers))
            is_present = places // (channels // times) == number
            return ops.where(is_present, drawn, images)

        return ops.fori_loop(0, height * width * times, value, ops.zeros_like(given))

    # ---- likelihood ------------------------------------------------------------------------------

    def log_prob(
        self, images: ImagesLike, labels: LabelsLike = None, batch_size: int = 100
    ) -> np.ndarray:
        """Computes the exact log probability of images.

        Args:
            images: Array `(n, height, width, channels)`, floats in [-1, 1] or integer levels.
            labels: Conditional models: integers `(n,)`; the probability is given the label.
            batch_size: Integer, images at a time.

        Returns:
            Float64 array `(n,)`, in nats.

        Raises:
            ValueError: The images or labels do not fit the model.

        Example:
        ```python
        images, _ = binary_test.draw(10, seed=0)
        nats = -pixel_cnn.log_prob(images)
        ```
        """
        values = self.log_prob_of_values(images, labels, batch_size)
        return values.sum(axis=(1, 2, 3), dtype="float64")

    def log_prob_of_values(
        self, images: ImagesLike, labels: LabelsLike = None, batch_size: int = 100
    ) -> Array:
        """Computes the log probability of each value, given those before it.

        Args:
            images: As for `log_prob`.
            labels: As for `log_prob`.
            batch_size: Integer, images at a time.

        Returns:
            Float32 array `(n, height, width, channels)`, in nats. Its sum is that of `log_prob`.

        Example: which pixels surprise the model.
        ```python
        images, _ = binary_test.draw(10, seed=0)
        surprise = -pixel_cnn.log_prob_of_values(images)
        ```
        """
        arrays = self.checked_arrays(images, labels)
        self.likelihood.check_images(arrays[0])
        return self._of_values(arrays, "log_prob_of_values", batch_size)

    def entropy(self, images: ImagesLike, labels: LabelsLike = None, batch_size: int = 16) -> Array:
        """Computes how uncertain the model is about each value, given those before it.

        Args:
            images: As for `log_prob`.
            labels: As for `log_prob`.
            batch_size: Integer, images at a time.

        Returns:
            Float32 array `(n, height, width, channels)`, in bits.

        Example: the picture of where digits are undecided.
        ```python
        images, _ = binary_test.draw(4, seed=0)
        bits = pixel_cnn.entropy(images)
        kgan.images.show(bits * 2 - 1)
        ```
        """
        nats = self._of_values(self.checked_arrays(images, labels), "entropy", batch_size)
        return nats / np.float32(math.log(2.0))

    def _of_values(self, arrays: list[np.ndarray], measure: str, batch_size: int) -> Array:
        """A measure of the likelihood for each value of images, given those before it."""
        size = integer("batch_size", batch_size)
        found = self.predict_in_batches(PixelCNN._measured, arrays, size, measure=measure)
        return np.asarray(found, "float32")

    def _measured(self, images: Tensor, labels: Tensor | None = None, *, measure: str) -> Tensor:
        outputs = self._outputs(self.network_in_use("network"), images, labels, training=False)
        return getattr(self.likelihood, measure)(images, outputs)

    def export(self, filepath: Any, *args: Any, **kwargs: Any) -> None:
        """Exports the network that samples are made with: `keras.Model.export`.

        Args:
            filepath: The file or directory.
            *args: As for `keras.Model.export`.
            **kwargs: As for `keras.Model.export`.
        """
        export_network(self.network_in_use("network"), filepath, *args, **kwargs)


def _discrete(likelihood: likelihoods.Likelihood) -> likelihoods.DiscreteLikelihood:
    if isinstance(likelihood, likelihoods.DiscreteLikelihood):
        return likelihood
    raise ValueError(
        "Expected a likelihood of images with finitely many levels, a "
        "kgan.likelihoods.DiscreteLikelihood, such as 'bernoulli' or "
        f"'discretized_logistic_mixture'. Received: likelihood={likelihood.name!r}."
    )


def _check_causal(network: Network) -> None:
    """Raises a ValueError if the graph of a network shows that it is not causal."""
    # Only the cached way to sample needs to know all layers.
    with contextlib.suppress(UnknownLayerError):
        PixelPlan(network)


def _causal_mask(known: npt.ArrayLike, n: int, size: Sequence[int]) -> npt.NDArray[np.bool_]:
    """Which pixels are known, `(n, height, width)`."""
    pixels = size[0] * size[1]
    mask = np.asarray(known)
    if mask.ndim == 0 and mask.dtype.kind in "iu":
        count = integer("known", known, least=0)
        if count > pixels:
            raise ValueError(
                f"Expected at most {pixels} known pixels, those of an image. "
                f"Received: known={count}."
            )
        mask = (np.arange(pixels) < count).reshape(size)
    if mask.dtype != bool or mask.shape not in (tuple(size), (n, *size)):
        raise ValueError(
            "Expected `known` to be a number of pixels, or booleans of shape "
            f"{tuple(size)} or {(n, *size)}. Received: dtype {mask.dtype}, shape {mask.shape}."
        )
    mask = np.broadcast_to(mask, (n, *size))
    flat = mask.reshape(n, pixels)
    if (flat[:, 1:] & ~flat[:, :-1]).any():
        raise ValueError(
            "Expected known pixels to come before all unknown ones, row by row from the top. "
            "Received: a known pixel after an unknown one. The model draws each pixel given those "
            "before it, and cannot take account of later ones."
        )
    return mask

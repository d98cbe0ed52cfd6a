"""The base classes of likelihoods."""

import functools
import re
from typing import ClassVar, Literal

import keras
import numpy as np
import numpy.typing as npt
from keras import ops

from kgan._arguments import integer
from kgan._levels import level_of
from kgan._noise import for_batch
from kgan._typing import Config, Noise, Tensor

Support = Literal["binary", "levels", "density"]

_PART = 1 << 20  # values that are checked at once

_EXPECTED = {
    "binary": "Expected binary images, each value exactly -1 or 1.",
    "levels": "Expected each value at one of the {} levels: level / {:g} - 1.",
    "density": "Expected images of finite values.",
}
_REMEDIES = {
    "binary": " Use a kgan.data.ImageDataset with binarize=... and value_range=(-1, 1), or the "
    "likelihood 'discretized_logistic' for grey images.",
    "levels": " Use a kgan.data.ImageDataset with value_range=(-1, 1), without added noise.",
    "density": "",
}


class Likelihood(keras.layers.Layer):
    """Base class of likelihoods: p(images | outputs of a decoder).

    Subclass it, implement `log_prob`, `mean` and `sample`, and give the object to a model. Register
    the subclass with `keras.saving.register_keras_serializable` so that a saved model finds it. It
    is a layer so that the model trains and saves its variables (`self.add_weight`).

    Images are floats in [-1, 1], `(batch, height, width, channels)`. A decoder's outputs have shape
    `(batch, height, width, channels * outputs_per_channel())`. The first `channels` of them are one
    parameter for each channel, the next `channels` another.

    All methods compute in float32, whatever the dtype policy.

    Args:
        name: String. Defaults to the likelihood's registered name.

    Example:
    ```python
    @keras.saving.register_keras_serializable(package="mine")
    class Laplace(kgan.likelihoods.Likelihood):
        def log_prob(self, images, outputs, training=False):
            return -keras.ops.sum(keras.ops.abs(images - outputs) + np.log(2), axis=(1, 2, 3))

        def mean(self, outputs):
            return keras.ops.clip(outputs, -1, 1)

        def sample(self, outputs, noise):
            shares = keras.random.uniform(keras.ops.shape(outputs), -0.5, 0.5, seed=noise)
            signs = keras.ops.sign(shares)
            return outputs - signs * keras.ops.log(1 - 2 * keras.ops.abs(shares))


    networks = kgan.networks.dense_vae((28, 28, 1), likelihood=Laplace())
    vae = kgan.VAE(*networks, likelihood=Laplace())
    ```
    """

    support: ClassVar[Support]
    """The images that it is a distribution over: `"binary"` images of -1 and 1, `"levels"` (8-bit
    images, 256 levels from -1 to 1) or `"density"` (images of real numbers)."""

    def __init__(self, name: str | None = None) -> None:
        super().__init__(name=name or _name_of(type(self)), dtype="float32")
        self.built = True

    def outputs_per_channel(self) -> int:
        """Returns how many numbers a decoder gives for each pixel and channel."""
        return 1

    def outputs_for(self, channels: int) -> int:
        """Returns how many numbers a decoder gives for each pixel of images of so many channels."""
        return channels * self.outputs_per_channel()

    def log_prob(self, images: Tensor, outputs: Tensor, training: bool = False) -> Tensor:
        """Computes the log-likelihood of each image.

        Args:
            images: Float tensor `(batch, height, width, channels)` in [-1, 1].
            outputs: Float tensor `(batch, height, width, channels * outputs_per_channel())`.
            training: Whether this is a training step. Some likelihoods then update their state.

        Returns:
            Float32 tensor `(batch,)`: the sum over pixels and channels, in nats.
        """
        raise NotImplementedError

    def mean(self, outputs: Tensor) -> Tensor:
        """Computes the expected images, float32 `(batch, height, width, channels)` in [-1, 1]."""
        raise NotImplementedError

    def sample(self, outputs: Tensor, noise: Noise) -> Tensor:
        """Draws one image for each output.

        Args:
            outputs: Float tensor `(batch, height, width, channels * outputs_per_channel())`.
            noise: A `keras.random.SeedGenerator`.

        Returns:
            Float32 tensor `(batch, height, width, channels)`.
        """
        raise NotImplementedError

    def check_images(self, images: np.ndarray) -> None:
        """Raises a ValueError for images outside the support; see `check_support`."""
        check_support(self.support, images)

    def get_config(self) -> Config:
        """Returns the constructor's arguments, for saving."""
        return {"name": self.name}

    def _float32(self, images: Tensor, outputs: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Returns images and the parameters of the outputs in float32, of the same shape."""
        images, parameters = ops.cast(images, "float32"), self._split(outputs)
        if tuple(images.shape[1:]) != tuple(parameters[0].shape[1:]):
            expected = (*images.shape[1:-1], images.shape[-1] * self.outputs_per_channel())
            raise ValueError(
                f"Expected a decoder with outputs (batch, {', '.join(map(str, expected))}) for the "
                f"likelihood {self.name!r} of images {tuple(images.shape)}. "
                f"Received: outputs of shape {tuple(outputs.shape)}. Change the decoder's last "
                f"layer: it gives {self.outputs_per_channel()} per channel."
            )
        return images, parameters

    def _split(self, outputs: Tensor) -> tuple[Tensor, ...]:
        """Returns each parameter, float32 `(batch, height, width, channels)`."""
        count = self.outputs_per_channel()
        if outputs.shape[-1] % count:
            raise ValueError(
                f"Expected outputs with {count} numbers per channel for the likelihood "
                f"{self.name!r}. Received: shape {tuple(outputs.shape)}. Change the decoder's last "
                "layer."
            )
        outputs = ops.cast(outputs, "float32")
        return tuple(ops.split(outputs, count, axis=-1)) if count > 1 else (outputs,)


class DiscreteLikelihood(Likelihood):
    """Base class of likelihoods of images whose values are one of finitely many levels.

    They also tell the probability of each value, and turn uniform random numbers into values, so
    that `kgan.PixelCNN` can draw images one pixel at a time.

    Subclass it and implement `log_prob_of_values`, `mean`, `draw` and `tempered`.

    Args:
        levels: Integer of at least 2, how many values there are, evenly from -1 to 1.
        name: String. Defaults to the likelihood's registered name.

    Raises:
        ValueError: `levels` is not an integer of at least 2.

    Example:
    ```python
    likelihood = kgan.likelihoods.Categorical(levels=4)
    assert isinstance(likelihood, kgan.likelihoods.DiscreteLikelihood)
    outputs = np.zeros((8, 28, 28, likelihood.outputs_for(channels=1)), "float32")
    images = likelihood.draw(outputs, np.random.uniform(size=(8, 28, 28, 1)))
    assert np.allclose(likelihood.log_prob_of_values(images, outputs), -np.log(4))
    ```
    """

    is_joint: ClassVar[bool] = False
    """Whether the outputs say how a channel depends on the channels before it. If not, given the
    outputs, the channels of a pixel are independent."""

    def __init__(self, levels: int = 256, name: str | None = None) -> None:
        super().__init__(name)
        self.levels = integer("levels", levels, least=2)

    @property
    def support(self) -> Support:  # type: ignore[override]  # of each object
        """`"binary"` for two levels, `"levels"` for more."""
        return "binary" if self.levels == 2 else "levels"

    def numbers_for(self, channels: int) -> int:
        """Returns how many uniform numbers `draw` needs for each pixel."""
        return channels

    def log_prob_of_values(self, images: Tensor, outputs: Tensor) -> Tensor:
        """Computes the log probability of each value, given the earlier channels of its pixel.

        Args:
            images: Float tensor `(batch, height, width, channels)`, at the levels.
            outputs: Float tensor `(batch, height, width, outputs_for(channels))`.

        Returns:
            Float32 tensor like `images`, in nats.
        """
        raise NotImplementedError

    def draw(self, outputs: Tensor, numbers: Tensor) -> Tensor:
        """Draws one image for each output, by the inverse of the distribution function.

        Args:
            outputs: Float tensor `(batch, height, width, outputs_for(channels))`.
            numbers: Float tensor `(batch, height, width, numbers_for(channels))`, uniform in
                [0, 1).

        Returns:
            Float32 tensor `(batch, height, width, channels)`, at the levels.
        """
        raise NotImplementedError

    def tempered(self, outputs: Tensor, temperature: Tensor) -> Tensor:
        """Makes outputs more certain (temperatures below 1) or less so (above 1).

        Args:
            outputs: Float tensor `(batch, height, width, outputs_for(channels))`.
            temperature: Float scalar above 0.

        Returns:
            Float32 tensor like `outputs`.
        """
        raise NotImplementedError

    def entropy(self, images: Tensor, outputs: Tensor) -> Tensor:
        """Computes the entropy of each value, given the earlier channels of its pixel.

        Args:
            images: Float tensor `(batch, height, width, channels)`, at the levels. The earlier
                channels are taken from it.
            outputs: Float tensor `(batch, height, width, outputs_for(channels))`.

        Returns:
            Float32 tensor like `images`, in nats.
        """
        images = ops.cast(images, "float32")
        channels = images.shape[-1]

        def add(number: Tensor, total: Tensor) -> Tensor:
            is_channel = ops.equal(ops.arange(channels), number % channels)
            tried = ops.where(is_channel, self.value_of(number // channels), images)
            log_prob = self.log_prob_of_values(tried, outputs)
            return total - ops.where(is_channel, ops.exp(log_prob) * log_prob, 0.0)

        return ops.fori_loop(0, self.levels * channels, add, ops.zeros_like(images))

    def log_prob(self, images: Tensor, outputs: Tensor, training: bool = False) -> Tensor:
        """Computes the log-likelihood of each image, float32 `(batch,)`, see `Likelihood`."""
        del training
        return total(self.log_prob_of_values(images, outputs))

    def sample(self, outputs: Tensor, noise: Noise) -> Tensor:
        """Draws one image for each output, see `Likelihood`."""
        numbers = self.numbers_for(self.channels_of(outputs))
        return self.draw(outputs, uniform(outputs[..., :1], noise, numbers))

    def channels_of(self, outputs: Tensor) -> int:
        """Returns the channels of the images that outputs are a distribution over."""
        return int(self._split(outputs)[0].shape[-1])

    def check_images(self, images: np.ndarray) -> None:
        """Raises a ValueError for images outside the support; see `check_support`."""
        check_support(self.support, images, self.levels)

    def level_of(self, images: Tensor) -> Tensor:
        """Returns the levels of images, int32 from 0 to `levels - 1`."""
        return level_of(images, self.levels)

    def value_of(self, level: Tensor) -> Tensor:
        """Returns the values of levels, float32 in [-1, 1]."""
        # Rounded once, so that both ends are exact.
        most = self.levels - 1
        return (2.0 * ops.cast(level, "float32") - most) / most

    def get_config(self) -> Config:
        """Returns the constructor's arguments, for saving."""
        return {**super().get_config(), "levels": self.levels}


def check_support(support: str, images: np.ndarray, levels: int = 256) -> None:
    """Checks that images lie in the support of a likelihood.

    Args:
        support: `"binary"`, `"levels"` or `"density"`, see `Likelihood.support`.
        images: Float array of any shape.
        levels: Integer, the number of levels from -1 to 1 with `support="levels"`.

    Raises:
        ValueError: Some values are outside the support.

    Example:
    ```python
    images, _ = train.draw(16, seed=0)
    kgan.likelihoods.check_support("levels", images)
    ```
    """
    values = np.asarray(images).reshape(-1)
    # A part at a time: in float64 the whole would take several times the memory of the images.
    parts = [
        _outside(support, levels, values[first : first + _PART].astype("float64"))
        for first in range(0, len(values), _PART)
    ]
    outside = np.concatenate(parts) if parts else np.zeros(0)
    if len(outside):
        expected = _EXPECTED[support].format(levels, (levels - 1) / 2)
        raise ValueError(
            f"{expected} Received: {len(outside) / len(values):.1%} other values, such as "
            f"{outside[0]:g}.{_REMEDIES[support]}"
        )


def _outside(support: str, levels: int, values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Returns the values that are outside a support."""
    if support == "binary":
        is_inside = np.abs(values) == 1.0
    elif support == "levels":
        # A hundredth of a level: float32 holds the levels far better than this.
        level = (values + 1.0) * (0.5 * (levels - 1))
        with np.errstate(invalid="ignore"):
            is_inside = (np.abs(level - np.rint(level)) < 0.01) & (np.abs(values) <= 1.0)
    else:
        is_inside = np.isfinite(values)
    outside: npt.NDArray[np.float64] = values[~is_inside]
    return outside


def _name_of(kind: type[Likelihood]) -> str:
    """Returns the name of a class in snake case, without the number that Keras would append."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", kind.__name__).lower()


def total(values: Tensor) -> Tensor:
    """Returns the sum for each image, `(batch,)`."""
    return ops.sum(values, axis=tuple(range(1, len(values.shape))))


def uniform(like: Tensor, noise: Noise, numbers: int) -> Tensor:
    """Returns uniform numbers in [0, 1), float32, several for each pixel of a tensor."""
    draw = functools.partial(keras.random.uniform, dtype="float32")
    return for_batch(draw, ops.shape(like)[0], *like.shape[1:-1], numbers, noise=noise)

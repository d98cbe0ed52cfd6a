"""Likelihoods of images under the outputs of a decoder, by name or object.

A likelihood turns the numbers that a decoder gives for each pixel into a distribution over images.
To add one, write a class and name it in `_LIKELIHOODS`; models, recipes and tests find it there.
"""

import functools
import math
import re
from typing import ClassVar, Literal

import keras
import numpy as np
import numpy.typing as npt
from keras import ops

from kgan._arguments import integer
from kgan._noise import for_batch
from kgan._registry import find
from kgan._typing import Config, Noise, Tensor

__all__ = [
    "Bernoulli",
    "DiscretizedLogistic",
    "DiscretizedLogisticMixture",
    "Gaussian",
    "Likelihood",
    "check_support",
    "get",
    "names",
]

Support = Literal["binary", "levels", "density"]

_HALF_LEVEL = 1.0 / 255.0  # 256 levels on [-1, 1] are 2/255 apart
_PART = 1 << 20  # values that are checked at once

_EXPECTED = {
    "binary": "Expected binary images, each value exactly -1 or 1.",
    "levels": "Expected each value at one of the {levels} levels 2 * level / {last} - 1.",
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


@keras.saving.register_keras_serializable(package="kgan")
class Bernoulli(Likelihood):
    """Likelihood of binary images; each output is the logit of a value of 1.

    `log p = sum(t log s(l) + (1 - t) log(1 - s(l)))`, with the logits `l`, the sigmoid `s` and
    `t = (image + 1) / 2`, which is 0 or 1.

    Grey values have no probability here. Cross-entropy with grey targets is not a likelihood, so
    models with this likelihood raise an error for grey images: load them with
    `ImageDataset(binarize=...)`.

    Args:
        name: String, see `Likelihood`.

    Example:
    ```python
    likelihood = kgan.likelihoods.Bernoulli()
    images, logits = np.ones((8, 28, 28, 1)), np.zeros((8, 28, 28, 1))
    nats = -likelihood.log_prob(images, logits)
    assert np.allclose(nats, 28 * 28 * np.log(2))
    ```
    """

    support = "binary"

    def log_prob(self, images: Tensor, outputs: Tensor, training: bool = False) -> Tensor:
        """Computes the log-likelihood of each image, float32 `(batch,)`, see `Likelihood`."""
        del training
        images, (logits,) = self._float32(images, outputs)
        # log s(l) = -softplus(-l) and log(1 - s(l)) = -softplus(l), without overflow.
        return -_total(ops.softplus(-images * logits))

    def mean(self, outputs: Tensor) -> Tensor:
        """Computes the expected images, `2 s(logits) - 1`."""
        (logits,) = self._split(outputs)
        return ops.tanh(0.5 * logits)

    def sample(self, outputs: Tensor, noise: Noise) -> Tensor:
        """Draws images of -1 and 1."""
        (logits,) = self._split(outputs)
        is_one = _uniform(logits, noise) < ops.sigmoid(logits)
        return 2.0 * ops.cast(is_one, "float32") - 1.0


@keras.saving.register_keras_serializable(package="kgan")
class DiscretizedLogistic(Likelihood):
    """Likelihood of 8-bit images: a logistic distribution, rounded to the nearest of 256 levels.

    The outputs are the location m of each channel, then the log of its scale s. A level x between
    -1 and 1 has the probability `F(x + 1/255) - F(x - 1/255)`, with the logistic distribution
    function `F(x) = sigmoid((x - m) / s)`. The lowest and the highest level get the whole tails, so
    the 256 probabilities sum to 1.

    The difference of two sigmoids is computed in closed form in log space. No probability is too
    small for it, so it needs no approximation by the density for small probabilities.

    Args:
        min_log_scale: Float, below which a log scale counts as this value. The default is a scale
            of about a ninth of a level.
        name: String, see `Likelihood`.

    Example:
    ```python
    likelihood = kgan.likelihoods.DiscretizedLogistic()
    networks = kgan.networks.conv_vae((28, 28, 1), likelihood=likelihood)
    grey_vae = kgan.VAE(*networks, likelihood=likelihood)
    ```

    Reference:
        [Salimans et al., 2017](https://arxiv.org/abs/1701.05517) (PixelCNN++), with one component
        for each channel.
    """

    support = "levels"

    _MAX_LOG_SCALE = 20.0  # far beyond use; keeps the width of a level, in scales, above 0

    def __init__(self, min_log_scale: float = -7.0, name: str | None = None) -> None:
        super().__init__(name)
        if not -30.0 <= min_log_scale < self._MAX_LOG_SCALE:
            raise ValueError(
                f"Expected `min_log_scale` to be at least -30 and below {self._MAX_LOG_SCALE:g}. "
                f"Received: min_log_scale={min_log_scale!r}."
            )
        self.min_log_scale = float(min_log_scale)

    def outputs_per_channel(self) -> int:
        """Returns 2: a location and a log scale."""
        return 2

    def log_prob(self, images: Tensor, outputs: Tensor, training: bool = False) -> Tensor:
        """Computes the log-likelihood of each image, float32 `(batch,)`, see `Likelihood`."""
        del training
        images, parameters = self._float32(images, outputs)
        return _total(self._log_prob_of_values(images, *parameters))

    def _log_prob_of_values(self, images: Tensor, location: Tensor, log_scale: Tensor) -> Tensor:
        precision = ops.exp(-self._bounded(log_scale))
        centred = images - location
        upper = (centred + _HALF_LEVEL) * precision
        lower = (centred - _HALF_LEVEL) * precision
        # With upper = lower + width:
        # s(upper) - s(lower) = (1 - exp(-width)) s(upper) (1 - s(lower)).
        # For the lowest level s(lower) is 0, for the highest s(upper) is 1.
        is_lowest = images < -1.0 + _HALF_LEVEL
        is_highest = images > 1.0 - _HALF_LEVEL
        none = ops.zeros_like(centred)
        log_upper = ops.where(is_highest, none, -ops.softplus(-upper))
        log_above_lower = ops.where(is_lowest, none, -ops.softplus(lower))
        log_width = ops.log(-ops.expm1(-2.0 * _HALF_LEVEL * precision))
        is_edge = ops.logical_or(is_lowest, is_highest)
        return log_upper + log_above_lower + ops.where(is_edge, none, log_width)

    def mean(self, outputs: Tensor) -> Tensor:
        """Computes the mean of the logistic distribution, clipped to [-1, 1].

        It is within half a level of the mean of the 256 levels, at a fraction of the cost.
        """
        location, log_scale = self._split(outputs)
        return self._mean_of_values(location, log_scale)

    def _mean_of_values(self, location: Tensor, log_scale: Tensor) -> Tensor:
        scale = ops.exp(self._bounded(log_scale))
        # -1 plus the integral of 1 - F from -1 to 1, without differences of large numbers.
        above = ops.softplus(-ops.abs(location + 1.0) / scale)
        below = ops.softplus(-ops.abs(location - 1.0) / scale)
        return ops.clip(ops.clip(location, -1.0, 1.0) + scale * (above - below), -1.0, 1.0)

    def sample(self, outputs: Tensor, noise: Noise) -> Tensor:
        """Draws 8-bit images: each value is one of the 256 levels."""
        location, log_scale = self._split(outputs)
        return self._drawn(location, log_scale, noise)

    def _drawn(self, location: Tensor, log_scale: Tensor, noise: Noise) -> Tensor:
        share = ops.maximum(_uniform(location, noise), 1e-8)
        drawn = location + ops.exp(self._bounded(log_scale)) * (ops.log(share) - ops.log1p(-share))
        level = ops.round((ops.clip(drawn, -1.0, 1.0) + 1.0) * 127.5)
        return level / 127.5 - 1.0

    def _bounded(self, log_scale: Tensor) -> Tensor:
        return ops.clip(log_scale, self.min_log_scale, self._MAX_LOG_SCALE)

    def get_config(self) -> Config:
        """Returns the constructor's arguments, for saving."""
        return {**super().get_config(), "min_log_scale": self.min_log_scale}


@keras.saving.register_keras_serializable(package="kgan")
class DiscretizedLogisticMixture(DiscretizedLogistic):
    """Likelihood of 8-bit images: a mixture of rounded logistic distributions for each value.

    A mixture can have peaks at several levels, as the pixels at the edge of a stroke need: they are
    black, white or anything between. On digits it saves about a quarter of the bits of a single
    distribution.

    The outputs are the logit of each component's weight, then their locations, then the logs of
    their scales. The locations are relative to points that lie evenly between -1 and 1, so that the
    components differ from the start.

    Args:
        components: Integer, at least 2.
        min_log_scale: Float, see `DiscretizedLogistic`.
        name: String, see `Likelihood`.

    Example:
    ```python
    likelihood = kgan.likelihoods.DiscretizedLogisticMixture(components=5)
    networks = kgan.networks.dense_vae(latent_dim=8, width=16, likelihood=likelihood)
    vae = kgan.VAE(*networks, likelihood=likelihood)
    ```

    Reference:
        [Salimans et al., 2017](https://arxiv.org/abs/1701.05517) (PixelCNN++), with independent
        channels.
    """

    def __init__(
        self, components: int = 5, min_log_scale: float = -7.0, name: str | None = None
    ) -> None:
        super().__init__(min_log_scale, name)
        self.components = integer("components", components, least=2)

    def outputs_per_channel(self) -> int:
        """Returns three for each component: a weight, a location and a log scale."""
        return 3 * self.components

    def log_prob(self, images: Tensor, outputs: Tensor, training: bool = False) -> Tensor:
        """Computes the log-likelihood of each image, float32 `(batch,)`, see `Likelihood`."""
        del training
        images, _ = self._float32(images, outputs)
        log_weight, location, log_scale = self._components(outputs)
        each = self._log_prob_of_values(images[..., None, :], location, log_scale)
        return _total(ops.logsumexp(log_weight + each, axis=-2))

    def mean(self, outputs: Tensor) -> Tensor:
        """Computes the mean of the mixture, see `DiscretizedLogistic.mean`."""
        log_weight, location, log_scale = self._components(outputs)
        means = self._mean_of_values(location, log_scale)
        return ops.clip(ops.sum(ops.exp(log_weight) * means, axis=-2), -1.0, 1.0)

    def sample(self, outputs: Tensor, noise: Noise) -> Tensor:
        """Draws 8-bit images: each value is one of the 256 levels."""
        log_weight, location, log_scale = self._components(outputs)
        # A component is chosen where the sum of weights passes a random number.
        total = ops.cumsum(ops.exp(log_weight), axis=-2)
        passed = total[..., :-1, :] <= _uniform(location[..., 0, :], noise)[..., None, :]
        chosen = ops.sum(ops.cast(passed, "int32"), axis=-2, keepdims=True)
        place = ops.reshape(ops.arange(self.components, dtype="int32"), (-1, 1))
        is_chosen = ops.cast(ops.equal(place, chosen), "float32")
        return self._drawn(
            ops.sum(is_chosen * location, axis=-2), ops.sum(is_chosen * log_scale, axis=-2), noise
        )

    def _components(self, outputs: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Log weights, locations, log scales, `(batch, height, width, components, channels)`."""
        self._split(outputs)  # checks the number of outputs
        shape = (*ops.shape(outputs)[:3], 3, self.components, -1)
        outputs = ops.reshape(ops.cast(outputs, "float32"), shape)
        points = np.linspace(-1.0, 1.0, self.components, dtype="float32")[:, None]
        log_weight = ops.log_softmax(outputs[..., 0, :, :], axis=-2)
        location = outputs[..., 1, :, :] + ops.convert_to_tensor(points)
        return log_weight, location, outputs[..., 2, :, :]

    def get_config(self) -> Config:
        """Returns the constructor's arguments, for saving."""
        return {**super().get_config(), "components": self.components}


@keras.saving.register_keras_serializable(package="kgan")
class Gaussian(Likelihood):
    """Density of images: each output is the mean of a Gaussian.

    A density of 8-bit images has no upper bound, since images lie on 256 levels: it is not
    comparable with the likelihoods of binary or 8-bit images. The variance decides how a VAE weighs
    reconstruction against the KL divergence, so learn it in place of guessing a weight.

    Log variances have a smooth lower bound: `-12 + softplus(v + 12)` in place of `v`. A standard
    deviation of exp(-6) is about a third of a level.

    Args:
        variance: One of:

            - `"learnt"`: one trained number, the log variance of all values.
            - `"per_pixel"`: the decoder gives it. The outputs are the mean of each channel, then
              the log variance of each channel.
            - `"optimal"`: the mean squared error of the batch, the value that maximises the
              likelihood of the batch. Evaluation takes a running mean of it, which is saved.
            - a float: fixed. With 0.5, the negative log-likelihood is the sum of squared errors
              plus a constant.
        decay: Float in [0, 1), the share of the running mean that each step keeps, with
            `variance="optimal"`.
        name: String, see `Likelihood`.

    Example:
    ```python
    likelihood = kgan.likelihoods.Gaussian("optimal")
    networks = kgan.networks.conv_vae((28, 28, 1), likelihood=likelihood)
    sigma_vae = kgan.VAE(*networks, likelihood=likelihood)
    ```

    Reference:
        [Rybkin et al., 2021](https://arxiv.org/abs/2006.13202) for "learnt" and "optimal", as in
        sigma-VAE.
    """

    support = "density"

    _MIN_LOG_VARIANCE = -12.0
    _KINDS = ("learnt", "per_pixel", "optimal")

    def __init__(
        self, variance: str | float = "learnt", decay: float = 0.99, name: str | None = None
    ) -> None:
        super().__init__(name)
        is_number = isinstance(variance, (int, float, np.number)) and not isinstance(variance, bool)
        if variance not in self._KINDS and not (is_number and 0 < float(variance) < math.inf):
            raise ValueError(
                "Expected `variance` to be 'learnt', 'per_pixel', 'optimal' or a number above 0. "
                f"Received: variance={variance!r}."
            )
        if not 0 <= decay < 1:
            raise ValueError(f"Expected `decay` to be in [0, 1). Received: decay={decay!r}.")
        self.variance: str | float = float(variance) if is_number else variance
        self.decay = float(decay)
        if variance == "learnt":
            self.log_variance = self.add_weight(
                shape=(), initializer="zeros", dtype="float32", name="log_variance"
            )
        elif variance == "optimal":
            # "mean": all devices that share a batch count alike.
            self.running_variance = self._statistic("running_variance")
            # The share of the running mean that is no longer its initial 0.
            self.filled = self._statistic("filled")

    def _statistic(self, name: str) -> keras.Variable:
        return self.add_weight(
            shape=(),
            initializer="zeros",
            dtype="float32",
            trainable=False,
            aggregation="mean",
            name=name,
        )

    def outputs_per_channel(self) -> int:
        """Returns 2 with `variance="per_pixel"`, otherwise 1."""
        return 2 if self.variance == "per_pixel" else 1

    def log_prob(self, images: Tensor, outputs: Tensor, training: bool = False) -> Tensor:
        """Computes the log density of each image, float32 `(batch,)`, see `Likelihood`."""
        images, (mean, *rest) = self._float32(images, outputs)
        squares = ops.square(images - mean)
        if training and self.variance == "optimal":
            log_variance = self._of_the_batch(squares)
        else:
            log_variance = self._log_variance(*rest)
        scaled = squares * ops.exp(-log_variance)
        return -0.5 * _total(scaled + log_variance + math.log(2.0 * math.pi))

    def _of_the_batch(self, squares: Tensor) -> Tensor:
        """Returns the log of the batch's mean squared error, and moves the running mean to it."""
        # The derivative with respect to the variance is 0 at the maximum: it can be left out.
        variance = ops.stop_gradient(ops.mean(squares))
        self.running_variance.assign(
            self.decay * self.running_variance + (1.0 - self.decay) * variance
        )
        self.filled.assign(self.decay * self.filled + (1.0 - self.decay))
        return self._log_of(variance)

    def _log_variance(self, given: Tensor | None = None) -> Tensor:
        """Returns the log variance outside training, a scalar or one for each value."""
        if given is not None:
            return self._bounded(given)
        if self.variance == "learnt":
            return self._bounded(self.log_variance)
        if self.variance == "optimal":
            filled = ops.convert_to_tensor(self.filled)
            running = ops.convert_to_tensor(self.running_variance)
            is_new = filled == 0.0  # before training the variance is 1
            one = ops.ones_like(filled)
            return self._log_of(ops.where(is_new, one, running / ops.where(is_new, one, filled)))
        return ops.convert_to_tensor(math.log(float(self.variance)), "float32")

    def _bounded(self, log_variance: Tensor) -> Tensor:
        least = self._MIN_LOG_VARIANCE
        return least + ops.softplus(log_variance - least)

    def _log_of(self, variance: Tensor) -> Tensor:
        return ops.log(ops.maximum(variance, math.exp(self._MIN_LOG_VARIANCE)))

    def mean(self, outputs: Tensor) -> Tensor:
        """Computes the means, clipped to [-1, 1]."""
        return ops.clip(self._split(outputs)[0], -1.0, 1.0)

    def sample(self, outputs: Tensor, noise: Noise) -> Tensor:
        """Draws images of real numbers, also beyond [-1, 1]."""
        mean, *rest = self._split(outputs)
        draw = functools.partial(keras.random.normal, dtype="float32")
        noises = for_batch(draw, ops.shape(mean)[0], *mean.shape[1:], noise=noise)
        return mean + ops.exp(0.5 * self._log_variance(*rest)) * noises

    def get_config(self) -> Config:
        """Returns the constructor's arguments, for saving."""
        return {**super().get_config(), "variance": self.variance, "decay": self.decay}


def check_support(support: str, images: np.ndarray, levels: int = 256) -> None:
    """Checks that images lie in the support of a likelihood.

    Args:
        support: `"binary"`, `"levels"` or `"density"`, see `Likelihood.support`.
        images: Float array of any shape.
        levels: Integer, how many values a pixel can have with the support `"levels"`. Defaults to
            `256`.

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
        _outside(support, values[first : first + _PART].astype("float64"), levels)
        for first in range(0, len(values), _PART)
    ]
    outside = np.concatenate(parts) if parts else np.zeros(0)
    if len(outside):
        raise ValueError(
            f"{_EXPECTED[support].format(levels=levels, last=levels - 1)} Received: "
            f"{len(outside) / len(values):.1%} other values, such as {outside[0]:g}."
            f"{_REMEDIES[support]}"
        )


def _outside(support: str, values: npt.NDArray[np.float64], levels: int) -> npt.NDArray[np.float64]:
    """Returns the values that are outside a support."""
    if support == "binary":
        is_inside = np.abs(values) == 1.0
    elif support == "levels":
        # A hundredth of a level: float32 holds the levels far better than this.
        level = (values + 1.0) * ((levels - 1) / 2)
        with np.errstate(invalid="ignore"):
            is_inside = (np.abs(level - np.rint(level)) < 0.01) & (np.abs(values) <= 1.0)
    else:
        is_inside = np.isfinite(values)
    outside: npt.NDArray[np.float64] = values[~is_inside]
    return outside


_LIKELIHOODS: dict[str, type[Likelihood]] = {
    "bernoulli": Bernoulli,
    "discretized_logistic": DiscretizedLogistic,
    "discretized_logistic_mixture": DiscretizedLogisticMixture,
    "gaussian": Gaussian,
}


def names() -> list[str]:
    """Returns the names that `get` knows.

    Example:
    ```python
    assert "bernoulli" in kgan.likelihoods.names()
    ```
    """
    return list(_LIKELIHOODS)


def get(identifier: str | Likelihood | type[Likelihood]) -> Likelihood:
    """Finds a likelihood by its name.

    Args:
        identifier: One of `kgan.likelihoods.names()`, a `Likelihood`, or a subclass of it that
            needs no arguments.

    Returns:
        The `Likelihood`.

    Raises:
        ValueError: The name is unknown, or the object is not a likelihood.

    Example:
    ```python
    kgan.likelihoods.get("bernoulli")
    ```
    """
    likelihood: Likelihood = find(
        identifier,
        _LIKELIHOODS,
        Likelihood,
        what="a likelihood",
        argument="likelihood",
        public="kgan.likelihoods.Likelihood",
    )
    return likelihood


def _name_of(kind: type[Likelihood]) -> str:
    """Returns the name of a class, without the number that Keras would append."""
    own = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", kind.__name__).lower()
    return next((name for name, known in _LIKELIHOODS.items() if known is kind), own)


def _total(values: Tensor) -> Tensor:
    """Returns the sum for each image, `(batch,)`."""
    return ops.sum(values, axis=tuple(range(1, len(values.shape))))


def _uniform(like: Tensor, noise: Noise) -> Tensor:
    """Returns uniform numbers in [0, 1), float32, in the shape of a tensor."""
    draw = functools.partial(keras.random.uniform, dtype="float32")
    return for_batch(draw, ops.shape(like)[0], *like.shape[1:], noise=noise)

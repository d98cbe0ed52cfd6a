"""Discretised logistic distributions and mixtures of them: likelihoods of 8-bit images."""

import keras
import numpy as np
from keras import ops

from kgan._arguments import integer
from kgan._typing import Config, Tensor
from kgan.likelihoods.likelihood import DiscreteLikelihood


@keras.saving.register_keras_serializable(package="kgan")
class DiscretizedLogistic(DiscreteLikelihood):
    """Likelihood of 8-bit images: a logistic distribution, rounded to the nearest of 256 levels.

    The outputs are the location m of each channel, then the log of its scale s. A level x between
    -1 and 1 has the probability `F(x + 1/255) - F(x - 1/255)`, with the logistic distribution
    function `F(x) = sigmoid((x - m) / s)`. The lowest and the highest level get the whole tails, so
    the 256 probabilities sum to 1.

    The difference of two sigmoids is computed in closed form in log space. No probability is too
    small for it, so it needs no approximation by the density for small probabilities.

    Args:
        min_log_scale: Float, below which a log scale counts as this value. The default is a scale
            of about a ninth of a level of 256.
        levels: Integer, see `DiscreteLikelihood`.
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

    _MAX_LOG_SCALE = 20.0  # far beyond use; keeps the width of a level, in scales, above 0

    def __init__(
        self, min_log_scale: float = -7.0, levels: int = 256, name: str | None = None
    ) -> None:
        super().__init__(levels, name)
        if not -30.0 <= min_log_scale < self._MAX_LOG_SCALE:
            raise ValueError(
                f"Expected `min_log_scale` to be at least -30 and below {self._MAX_LOG_SCALE:g}. "
                f"Received: min_log_scale={min_log_scale!r}."
            )
        self.min_log_scale = float(min_log_scale)

    def outputs_per_channel(self) -> int:
        """Returns 2: a location and a log scale."""
        return 2

    def log_prob_of_values(self, images: Tensor, outputs: Tensor) -> Tensor:
        """Computes the log probability of each value, see `DiscreteLikelihood`."""
        images, parameters = self._float32(images, outputs)
        return self._log_prob(images, *parameters)

    @property
    def _half_level(self) -> float:
        return 1.0 / (self.levels - 1)

    def _log_prob(self, images: Tensor, location: Tensor, log_scale: Tensor) -> Tensor:
        half = self._half_level
        precision = ops.exp(-self._bounded(log_scale))
        centred = images - location
        upper = (centred + half) * precision
        lower = (centred - half) * precision
        # With upper = lower + width:
        # s(upper) - s(lower) = (1 - exp(-width)) s(upper) (1 - s(lower)).
        # For the lowest level s(lower) is 0, for the highest s(upper) is 1.
        is_lowest = images < -1.0 + half
        is_highest = images > 1.0 - half
        none = ops.zeros_like(centred)
        log_upper = ops.where(is_highest, none, -ops.softplus(-upper))
        log_above_lower = ops.where(is_lowest, none, -ops.softplus(lower))
        log_width = ops.log(-ops.expm1(-2.0 * half * precision))
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

    def draw(self, outputs: Tensor, numbers: Tensor) -> Tensor:
        """Draws images, each value at one of the levels."""
        location, log_scale = self._split(outputs)
        return self._drawn(location, log_scale, numbers)

    def _drawn(self, location: Tensor, log_scale: Tensor, numbers: Tensor) -> Tensor:
        share = ops.clip(ops.cast(numbers, "float32"), 1e-8, 1.0 - 6e-8)
        drawn = location + ops.exp(self._bounded(log_scale)) * (ops.log(share) - ops.log1p(-share))
        return self.value_of(self.level_of(ops.clip(drawn, -1.0, 1.0)))

    def tempered(self, outputs: Tensor, temperature: Tensor) -> Tensor:
        """Multiplies the scales by the temperature."""
        location, log_scale = self._split(outputs)
        return ops.concatenate([location, self._tempered(log_scale, temperature)], axis=-1)

    def _tempered(self, log_scale: Tensor, temperature: Tensor) -> Tensor:
        return self._bounded(log_scale) + ops.log(temperature)

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
        levels: Integer, see `DiscreteLikelihood`.
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
        self,
        components: int = 5,
        min_log_scale: float = -7.0,
        levels: int = 256,
        name: str | None = None,
    ) -> None:
        super().__init__(min_log_scale, levels, name)
        self.components = integer("components", components, least=2)

    def outputs_per_channel(self) -> int:
        """Returns three for each component: a weight, a location and a log scale."""
        return 3 * self.components

    def numbers_for(self, channels: int) -> int:
        """Returns two for each channel: for its component and for its value."""
        return 2 * channels

    def log_prob_of_values(self, images: Tensor, outputs: Tensor) -> Tensor:
        """Computes the log probability of each value, see `DiscreteLikelihood`."""
        images, _ = self._float32(images, outputs)
        log_weight, location, log_scale = self._components(outputs)
        each = self._log_prob(images[..., None, :], location, log_scale)
        return ops.logsumexp(log_weight + each, axis=-2)

    def mean(self, outputs: Tensor) -> Tensor:
        """Computes the mean of the mixture, see `DiscretizedLogistic.mean`."""
        log_weight, location, log_scale = self._components(outputs)
        means = self._mean_of_values(location, log_scale)
        return ops.clip(ops.sum(ops.exp(log_weight) * means, axis=-2), -1.0, 1.0)

    def draw(self, outputs: Tensor, numbers: Tensor) -> Tensor:
        """Draws images, each value at one of the levels."""
        log_weight, location, log_scale = self._components(outputs)
        for_component, for_value = ops.split(ops.convert_to_tensor(numbers), 2, axis=-1)
        is_chosen = chosen(log_weight, for_component)
        return self._drawn(
            ops.sum(is_chosen * location, axis=-2),
            ops.sum(is_chosen * log_scale, axis=-2),
            for_value,
        )

    def tempered(self, outputs: Tensor, temperature: Tensor) -> Tensor:
        """Multiplies the scales by the temperature, and divides the weights' logits by it."""
        weights, location, log_scale = ops.split(ops.cast(outputs, "float32"), 3, axis=-1)
        log_scale = self._tempered(log_scale, temperature)
        return ops.concatenate([weights / temperature, location, log_scale], axis=-1)

    def _components(self, outputs: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Log weights, locations, log scales, `(batch, height, width, components, channels)`."""
        self._split(outputs)  # checks the number of outputs
        channels = outputs.shape[-1] // self.outputs_per_channel()
        shape = (*ops.shape(outputs)[:-1], 3, self.components, channels)
        outputs = ops.reshape(ops.cast(outputs, "float32"), shape)
        log_weight = ops.log_softmax(outputs[..., 0, :, :], axis=-2)
        return log_weight, outputs[..., 1, :, :] + self._points(), outputs[..., 2, :, :]

    def _points(self) -> Tensor:
        """Where the locations are relative to, `(components, 1)`."""
        points = np.linspace(-1.0, 1.0, self.components, dtype="float32")[:, None]
        return ops.convert_to_tensor(points)

    def get_config(self) -> Config:
        """Returns the constructor's arguments, for saving."""
        return {**super().get_config(), "components": self.components}


def chosen(log_weight: Tensor, numbers: Tensor) -> Tensor:
    """Chooses a component of each mixture.

    Args:
        log_weight: Float32 `(..., components, n)`, the logs of weights with a sum of 1.
        numbers: Float32 `(..., n)`, uniform in [0, 1).

    Returns:
        Float32 `(..., components, n)`: 1 for the component that was chosen, 0 for the others.
    """
    # A component is chosen where the sum of weights passes a random number.
    total = ops.cumsum(ops.exp(log_weight), axis=-2)
    passed = total[..., :-1, :] <= ops.cast(numbers, "float32")[..., None, :]
    place = ops.sum(ops.cast(passed, "int32"), axis=-2, keepdims=True)
    places = ops.reshape(ops.arange(log_weight.shape[-2], dtype="int32"), (-1, 1))
    return ops.cast(ops.equal(places, place), "float32")

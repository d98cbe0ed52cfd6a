"""Mixtures of discretised logistic distributions over all channels of a pixel."""

from collections.abc import Sequence
from typing import NamedTuple

import keras
from keras import ops

from kgan._typing import Tensor
from kgan.likelihoods.logistic import DiscretizedLogisticMixture, chosen


class _Components(NamedTuple):
    """The parameters of a mixture, each float32 `(..., components, n)`.

    Attributes:
        log_weight: n = 1, the logs of weights.
        location: n = channels, before the earlier channels are added.
        log_scale: n = channels.
        coefficients: n = channels * (channels - 1) / 2, in [-1, 1]: those of channel 1, then 2.
    """

    log_weight: Tensor
    location: Tensor
    log_scale: Tensor
    coefficients: Tensor


@keras.saving.register_keras_serializable(package="kgan")
class JointLogisticMixture(DiscretizedLogisticMixture):
    """Likelihood of colour images: each component of the mixture is a distribution over a pixel.

    As `DiscretizedLogisticMixture`, but one component is chosen for all channels of a pixel, and
    within it the location of a channel is linear in the channels before it: green depends on red,
    and blue on both. For images of one channel the two are the same distribution.

    The outputs are the logit of each component's weight, then their locations, then the logs of
    their scales (channel after channel for each component), then the coefficients, which pass a
    tanh.

    Args:
        components: Integer, at least 2.
        min_log_scale: Float, see `DiscretizedLogistic`.
        levels: Integer, see `DiscreteLikelihood`.
        name: String, see `Likelihood`.

    Example:
    ```python
    likelihood = kgan.likelihoods.JointLogisticMixture(components=10)
    assert likelihood.outputs_for(channels=3) == 100
    ```

    Reference:
        [Salimans et al., 2017](https://arxiv.org/abs/1701.05517) (PixelCNN++).
    """

    is_joint = True

    def __init__(
        self,
        components: int = 10,
        min_log_scale: float = -7.0,
        levels: int = 256,
        name: str | None = None,
    ) -> None:
        super().__init__(components, min_log_scale, levels, name)

    def outputs_for(self, channels: int) -> int:
        """Returns how many numbers a network gives for each pixel."""
        return self.components * (1 + 2 * channels + channels * (channels - 1) // 2)

    def outputs_per_channel(self) -> int:
        """Raises a TypeError: they are shared by the channels."""
        raise TypeError(
            f"Expected outputs_for(channels): the likelihood {self.name!r} has outputs for a "
            "pixel, not for each channel. For a VAE, use 'discretized_logistic_mixture'."
        )

    def numbers_for(self, channels: int) -> int:
        """Returns one for the component, and one for each channel."""
        return 1 + channels

    def channels_of(self, outputs: Tensor) -> int:
        """Returns the channels of the images that outputs are a distribution over."""
        size = int(outputs.shape[-1])
        for channels in range(1, size + 1):
            if self.outputs_for(channels) == size:
                return channels
        raise ValueError(
            f"Expected {self.outputs_for(1)} outputs for each pixel of one channel, or "
            f"{self.outputs_for(3)} of three, for the likelihood {self.name!r}. "
            f"Received: shape {tuple(outputs.shape)}. Change the network's last layer."
        )

    def log_prob_of_values(self, images: Tensor, outputs: Tensor) -> Tensor:
        """Computes the log probability of each value, see `DiscreteLikelihood`."""
        images = ops.cast(images, "float32")
        parts = self._mixture(outputs)
        location = ops.stack(
            [
                self._location(parts, [images[..., None, place] for place in range(channel)])
                for channel in range(images.shape[-1])
            ],
            axis=-1,
        )
        each = self._log_prob(images[..., None, :], location, parts.log_scale)
        # p(channels to c) / p(channels before c)
        joint = ops.logsumexp(parts.log_weight + ops.cumsum(each, axis=-1), axis=-2)
        before = ops.concatenate([ops.zeros_like(joint[..., :1]), joint[..., :-1]], axis=-1)
        return joint - before

    def mean(self, outputs: Tensor) -> Tensor:
        """Computes the mean of the mixture, see `DiscretizedLogistic.mean`."""
        parts = self._mixture(outputs)
        means: list[Tensor] = []
        for channel in range(self.channels_of(outputs)):
            location = self._location(parts, means)
            means.append(self._mean_of_values(location, parts.log_scale[..., channel]))
        weights = ops.exp(parts.log_weight)
        return ops.clip(ops.sum(weights * ops.stack(means, axis=-1), axis=-2), -1.0, 1.0)

    def draw(self, outputs: Tensor, numbers: Tensor) -> Tensor:
        """Draws images, each value at one of the levels."""
        parts = self._mixture(outputs)
        is_chosen = chosen(parts.log_weight, numbers[..., :1])
        # That component alone, so that each is a mixture of one.
        parts = _Components(*(ops.sum(is_chosen * each, axis=-2, keepdims=True) for each in parts))
        drawn: list[Tensor] = []
        for channel in range(self.channels_of(outputs)):
            location, log_scale = self._location(parts, drawn), parts.log_scale[..., channel]
            drawn.append(self._drawn(location, log_scale, numbers[..., 1 + channel, None]))
        return ops.concatenate(drawn, axis=-1)

    def tempered(self, outputs: Tensor, temperature: Tensor) -> Tensor:
        """Multiplies the scales by the temperature, and divides the weights' logits by it."""
        outputs = ops.cast(outputs, "float32")
        count, channels = self.components, self.channels_of(outputs)
        scales = slice(count * (1 + channels), count * (1 + 2 * channels))
        return ops.concatenate(
            [
                outputs[..., :count] / temperature,
                outputs[..., count : scales.start],
                self._tempered(outputs[..., scales], temperature),
                outputs[..., scales.stop :],
            ],
            axis=-1,
        )

    def _location(self, parts: _Components, earlier: Sequence[Tensor]) -> Tensor:
        """The locations of a channel in each component, `(..., components)`.

        Args:
            parts: The mixture.
            earlier: The values of all channels before it, each `(..., 1)` or `(..., components)`.
        """
        channel = len(earlier)
        first = channel * (channel - 1) // 2
        location = parts.location[..., channel]
        for place, value in enumerate(earlier):
            location = location + parts.coefficients[..., first + place] * value
        return location

    def _mixture(self, outputs: Tensor) -> _Components:
        channels, count = self.channels_of(outputs), self.components
        outputs = ops.cast(outputs, "float32")
        pairs = channels * (channels - 1) // 2

        def part(first: int, each: int) -> Tensor:
            some = outputs[..., count * first : count * (first + each)]
            return ops.reshape(some, (*ops.shape(outputs)[:-1], count, each))

        return _Components(
            ops.log_softmax(part(0, 1), axis=-2),
            part(1, channels) + self._points(),
            part(1 + channels, channels),
            ops.tanh(part(1 + 2 * channels, pairs)),
        )

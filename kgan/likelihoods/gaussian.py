"""The density of images of real numbers."""

import functools
import math

import keras
import numpy as np
from keras import ops

from kgan._noise import for_batch
from kgan._typing import Config, Noise, Tensor
from kgan.likelihoods.likelihood import Likelihood, total


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
        return -0.5 * total(scaled + log_variance + math.log(2.0 * math.pi))

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

"""InfoGAN: part of the latent is codes, which the discriminator finds again in the images."""

import math
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from kgan._arguments import integer
from kgan._noise import for_batch
from kgan.models import network_checks
from kgan.models.gan import GAN
from kgan.models.latent_model import arcs

Tensor = Any

# Of the log of a continuous code's variance. Codes that could be told ever more exactly would be
# worth ever more, and drown what the images are to look like.
_LOG_VARIANCES = (-6.0, 3.0)


@keras.saving.register_keras_serializable(package="kgan")
class InfoGAN(GAN):
    """A GAN whose latents have parts that mean something, found without labels.

    The last numbers of a latent are *codes*: of each categorical one, one of its values, as a
    one-hot vector, all equally likely; then each continuous one, uniform in [-1, 1]. The rest is
    noise. The discriminator tells in a second output which codes made an image, and both networks
    learn to make that easy: so the codes get to decide what shows most, of digits often which digit
    it is, how slanted and how wide.

    The logs have, beside those of `GAN`, `categorical_information` and `continuous_information`:
    in nats, how much the images are known to tell of the codes; a lower bound of their mutual
    information. Of one categorical code of 10 values it can reach log 10 = 2.30.

    `compile(auxiliary_weight=...)` weighs the information against the adversarial loss.

    Args:
        generator: As for `GAN`, unconditional. Its latents are as long as noise and codes together.
        discriminator: Functional or Sequential `keras.Model` from images to `[logits, found]`.
            `found`, `(batch, sum(categorical) + 2 * continuous)`, are logits for the values of each
            categorical code, then the means of the continuous ones, then the logs of their
            variances, clipped to [-6, 3].
        categorical: Integers, how many values each categorical code has. May be empty.
        continuous: Integer, how many continuous codes there are.
        continuous_weight: Float, how much the continuous codes' information counts against that of
            the categorical ones. There is no end to how exactly a number can be told: with 1, the
            images soon tell those, and look like nothing else.
        seed: Integer, starts the latents of training. Defaults to a random one.
        name: String.

    Raises:
        ValueError: There is no code at all, or the networks do not fit each other or the codes.

    Example:
    ```python
    generator, discriminator = kgan.networks.dcgan(latent_dim=62 + 10 + 2, codes=10 + 2 * 2)
    gan = kgan.InfoGAN(generator, discriminator, categorical=(10,), continuous=2)
    gan.compile()
    gan.fit(train, epochs=10)
    images = gan.traverse(code=1, n=10, steps=8)  # ten rows in which the second code alone changes
    probabilities, means = gan.find_codes(images[:, 0])
    ```

    Reference:
        [Chen et al., 2016](https://arxiv.org/abs/1606.03657).
    """

    def __init__(
        self,
        generator: Any,
        discriminator: Any,
        categorical: Sequence[int] = (10,),
        continuous: int = 0,
        continuous_weight: float = 0.1,
        seed: int | None = None,
        name: str | None = None,
    ) -> None:
        if not np.iterable(categorical):
            raise ValueError(
                "Expected `categorical` to be a sequence of integers, one for each code, such as "
                f"(10,). Received: categorical={categorical!r}."
            )
        self.categorical = tuple(integer("categorical", n, least=2) for n in categorical)
        self.continuous = integer("continuous", continuous, least=0)
        if not self.categorical and not self.continuous:
            raise ValueError("Expected at least one code. Received: categorical=(), continuous=0.")
        super().__init__(generator, discriminator, seed=seed, name=name)
        self.continuous_weight = float(continuous_weight)

    def _check_networks(self, generator: Any, discriminator: Any, pack: int) -> None:
        network_checks.check_networks(generator, discriminator, pack)
        codes = sum(self.categorical)
        size, found = codes + self.continuous, codes + 2 * self.continuous
        network_checks.check_codes(generator, discriminator, size, found)

    @property
    def noise_dim(self) -> int:
        """How many numbers of a latent are noise."""
        return self.latent_dim - sum(self.categorical) - self.continuous

    # ---- latents ---------------------------------------------------------------------------------

    def _sample_latents(self, count: Any, noise: Any) -> Tensor:
        parts = [for_batch(keras.random.normal, count, self.noise_dim, noise=noise)]
        if self.categorical:
            drawn = for_batch(keras.random.uniform, count, len(self.categorical), noise=noise)
            for index, values in enumerate(self.categorical):
                # A number just below 1 can come out of the product as `values`.
                value = ops.minimum(ops.floor(drawn[:, index] * values), values - 1)
                parts.append(ops.one_hot(ops.cast(value, "int32"), values, dtype="float32"))
        if self.continuous:
            drawn = for_batch(keras.random.uniform, count, self.continuous, noise=noise)
            parts.append(2.0 * drawn - 1.0)
        return ops.concatenate(parts, axis=1)

    def _draw_latents(self, random: np.random.Generator, n: int) -> np.ndarray:
        parts: list[Any] = [random.standard_normal((n, self.noise_dim), "float32")]
        parts += [np.eye(values)[random.integers(values, size=n)] for values in self.categorical]
        parts.append(random.uniform(-1.0, 1.0, (n, self.continuous)))
        return np.concatenate(parts, axis=1).astype("float32")

    def _between(self, start: np.ndarray, end: np.ndarray, steps: int) -> np.ndarray:
        # There is nothing between two categories: the way keeps those that it starts with.
        noise = arcs(start[:, : self.noise_dim], end[:, : self.noise_dim], steps)
        codes = np.repeat(start[:, None, self.noise_dim :], steps, axis=1)
        if self.continuous:
            shares = np.linspace(0.0, 1.0, steps)[:, None]
            first, last = (ends[:, None, -self.continuous :] for ends in (start, end))
            codes[..., -self.continuous :] = (1 - shares) * first + shares * last
        return np.concatenate([noise, codes], axis=2).astype("float32")

    # ---- what the second output is for -----------------------------------------------------------

    @property
    def _auxiliary_logs(self) -> tuple[str, ...]:  # type: ignore[override]
        kinds = (("categorical", self.categorical), ("continuous", self.continuous))
        return tuple(f"{kind}_information" for kind, codes in kinds if codes)

    def _asked(self, latents: Tensor, labels: Tensor | None) -> Tensor:
        del labels
        return latents[:, self.noise_dim :]

    def _auxiliary_loss(
        self, real_found: Tensor, fake_found: Tensor, labels: Tensor | None, asked: Tensor
    ) -> tuple[Tensor, dict[str, Tensor]]:
        del real_found, labels  # of real images no codes are known
        categorical, continuous = self._unlikelihoods(fake_found, asked)
        told = {
            "categorical_information": sum(map(math.log, self.categorical)) - categorical,
            "continuous_information": self.continuous * math.log(2.0) - continuous,
        }
        loss = categorical + self.continuous_weight * continuous
        return loss, {name: told[name] for name in self._auxiliary_logs}

    def _unlikelihood(self, found: Tensor, asked: Tensor | None) -> Tensor:
        categorical, continuous = self._unlikelihoods(found, asked)
        return categorical + self.continuous_weight * continuous

    def _unlikelihoods(self, found: Tensor, asked: Any) -> tuple[Tensor, Tensor]:
        """Minus the mean log likelihood of the categorical and of the continuous codes."""
        categorical = continuous = 0.0
        at = 0
        for values in self.categorical:
            span = slice(at, at + values)
            log_shares = ops.log_softmax(found[:, span], axis=-1)
            categorical -= ops.mean(ops.sum(asked[:, span] * log_shares, axis=-1))
            at += values
        if self.continuous:
            means, log_variances = found[:, at : at + self.continuous], found[:, -self.continuous :]
            log_variances = ops.clip(log_variances, *_LOG_VARIANCES)
            misses = ops.square(asked[:, at:] - means) * ops.exp(-log_variances)
            terms = 0.5 * (math.log(2.0 * math.pi) + log_variances + misses)
            continuous = ops.mean(ops.sum(terms, axis=-1))
        return categorical, continuous

    # ---- codes -----------------------------------------------------------------------------------

    def traverse(
        self,
        code: int,
        n: int,
        steps: int = 8,
        extent: float = 1.0,
        seed: int | None = None,
        averaged: bool = True,
    ) -> np.ndarray:
        """Makes images in which one code alone changes.

        Args:
            code: Integer, which one: the categorical ones come first, then the continuous.
            n: Integer, how many latents it is changed in.
            steps: Integer of at least 2, how many values a continuous code takes, evenly from
                `-extent` to `extent`. A categorical one takes each of its own.
            extent: Float. Beyond 1, values are larger than any of training.
            seed: Integer, chooses the latents.
            averaged: As for `generate`.

        Returns:
            Float32 array `(n, steps, height, width, channels)`.

        Raises:
            ValueError: There is no such code, or a number is too small.
        """
        n, steps = integer("n", n), integer("steps", steps, least=2)
        kinds = len(self.categorical)
        if not 0 <= integer("code", code, least=0) < kinds + self.continuous:
            raise ValueError(
                f"Expected a code below {kinds + self.continuous}: {kinds} categorical, then "
                f"{self.continuous} continuous. Received: code={code}."
            )
        latents = self._draw_latents(np.random.default_rng(seed), n)
        if code < kinds:
            first = self.noise_dim + sum(self.categorical[:code])
            span = slice(first, first + self.categorical[code])
            values = np.eye(self.categorical[code])
        else:
            first = self.noise_dim + sum(self.categorical) + code - kinds
            span = slice(first, first + 1)
            values = np.linspace(-extent, extent, steps)[:, None]
        latents = np.repeat(latents[:, None], len(values), axis=1)
        latents[:, :, span] = values
        flat = latents.reshape(-1, self.latent_dim)
        images = self._images_from(flat, None, averaged=averaged)
        return images.reshape(n, len(values), *images.shape[1:])

    def find_codes(
        self, images: Any, batch_size: int = 256
    ) -> tuple[tuple[np.ndarray, ...], np.ndarray]:
        """Tells which codes images have, generated ones or real.

        Args:
            images: Float array `(n, height, width, channels)`, in the range of the generator's
                output.
            batch_size: Integer, how many images are looked at at a time.

        Returns:
            `(probabilities, means)`: of each categorical code float32 `(n, values)`, and of the
            continuous ones float32 `(n, continuous)`.
        """
        images = np.asarray(images, "float32")
        _, found = self._predict(self.discriminator, images, len(images), batch_size)
        *logits, means, _ = np.split(
            np.asarray(found, "float32"),
            np.cumsum([*self.categorical, self.continuous]),
            axis=1,
        )
        shares = [np.exp(each - each.max(axis=1, keepdims=True)) for each in logits]
        return tuple(each / each.sum(axis=1, keepdims=True) for each in shares), means

    # ---- saving ----------------------------------------------------------------------------------

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments, for saving."""
        config = super().get_config()
        for name in ("num_classes", "pack"):
            del config[name]
        return {
            **config,
            "categorical": self.categorical,
            "continuous": self.continuous,
            "continuous_weight": self.continuous_weight,
        }

"""InfoGAN: part of the latent is codes, which the discriminator finds again in the images."""

import math
from collections.abc import Sequence

import keras
import numpy as np
from keras import ops

from kgan._arguments import integer
from kgan._noise import for_batch
from kgan._typing import Array, Images, Logs, Network, Noise, Tensor
from kgan.models import network_checks
from kgan.models.critic import Head
from kgan.models.gan import GAN
from kgan.models.latent_model import arcs
from kgan.training.log_names import LogName, register

# The range of the log variance of a continuous code. Without it, ever more exact codes
# would lower the loss without end, and outweigh the look of the images.
_LOG_VARIANCES = (-6.0, 3.0)

_INFORMATION = "Information about the codes, in nats"

register(
    LogName("categorical_information", "categorical", _INFORMATION, order=30),
    LogName("continuous_information", "continuous", _INFORMATION, order=31),
)


@keras.saving.register_keras_serializable(package="kgan")
class InfoGAN(GAN):
    """A GAN whose latents have parts with a meaning, found without labels.

    The last numbers of a latent are *codes*: a one-hot vector for each categorical code, all values
    equally likely; then each continuous code, uniform in [-1, 1]. The rest is noise. A second
    output of the discriminator predicts which codes made an image, and both networks learn to make
    that easy. So the codes come to control what is most visible: for digits often which digit it
    is, how slanted and how wide.

    In addition to those of `GAN`, the logs have `categorical_information` and
    `continuous_information`, in nats: lower bounds of the mutual information of images and codes.
    With one categorical code of 10 values it can reach log 10 = 2.30.

    `compile(auxiliary_weight=...)` weighs the information against the adversarial loss.

    Args:
        generator: As for `GAN`, unconditional. Its latents hold the noise and the codes.
        discriminator: Functional or Sequential `keras.Model` from images to `[logits, found]`.
            `found`, `(batch, sum(categorical) + 2 * continuous)`, are logits for the values of each
            categorical code, then the means of the continuous codes, then their log variances,
            clipped to [-6, 3].
        categorical: Integers, the number of values of each categorical code. May be empty.
        continuous: Integer, the number of continuous codes.
        continuous_weight: Float, the weight of the continuous codes' information. A number can be
            predicted ever more exactly: with a weight of 1, the images soon show these codes and
            little else.
        seed: Integer, starts the latents of training. Defaults to a random one.
        name: String.

    Raises:
        ValueError: There is no code at all, or the networks do not fit each other or the codes.

    Example:
    ```python
    generator, discriminator = kgan.networks.dcgan(latent_dim=62 + 10 + 2, codes=10 + 2 * 2)
    infogan = kgan.InfoGAN(generator, discriminator, categorical=(10,), continuous=2)
    infogan.compile()
    infogan.fit(train, epochs=10)
    images = infogan.traverse(code=1, n=10, steps=8)  # ten rows, the second code alone changes
    probabilities, means = infogan.find_codes(images[:, 0])
    ```

    Reference:
        [Chen et al., 2016](https://arxiv.org/abs/1606.03657).
    """

    arguments = ("categorical", "continuous", "continuous_weight")

    def __init__(
        self,
        generator: Network,
        discriminator: Network,
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

    def _check_networks(self, generator: Network, discriminator: Network, pack: int) -> None:
        network_checks.check_networks(generator, discriminator, pack)
        codes = sum(self.categorical)
        size, found = codes + self.continuous, codes + 2 * self.continuous
        network_checks.check_codes(generator, discriminator, size, found)

    @property
    def noise_dim(self) -> int:
        """The number of entries of a latent that are noise."""
        return self.latent_dim - sum(self.categorical) - self.continuous

    # ---- latents ---------------------------------------------------------------------------------

    def _sample_latents(self, count: Tensor, noise: Noise) -> Tensor:
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

    @property
    def normal_dim(self) -> int:
        """The number of values of a latent that are normally distributed: its noise."""
        return self.noise_dim

    def _draw_latents(self, random: np.random.Generator, n: int) -> Array:
        parts: list[np.ndarray] = [random.standard_normal((n, self.noise_dim), "float32")]
        parts += [np.eye(values)[random.integers(values, size=n)] for values in self.categorical]
        parts.append(random.uniform(-1.0, 1.0, (n, self.continuous)))
        return np.concatenate(parts, axis=1).astype("float32")

    def _between(self, start: Array, end: Array, steps: int) -> Array:
        # There is nothing between two categories: a path keeps those that it starts with.
        noise = arcs(start[:, : self.noise_dim], end[:, : self.noise_dim], steps)
        codes = np.repeat(start[:, None, self.noise_dim :], steps, axis=1)
        if self.continuous:
            shares = np.linspace(0.0, 1.0, steps)[:, None]
            first, last = (ends[:, None, -self.continuous :] for ends in (start, end))
            codes[..., -self.continuous :] = (1 - shares) * first + shares * last
        return np.concatenate([noise, codes], axis=2).astype("float32")

    # ---- the second output -----------------------------------------------------------------------

    def _make_head(self) -> Head:
        return CodesHead(self.categorical, self.continuous, self.continuous_weight)

    def _targets(self, latents: Tensor, labels: Tensor | None) -> Tensor:
        del labels
        return latents[:, self.noise_dim :]

    # ---- codes -----------------------------------------------------------------------------------

    def traverse(
        self,
        code: int,
        n: int,
        steps: int = 8,
        extent: float = 1.0,
        seed: int | None = None,
        averaged: bool = True,
    ) -> Images:
        """Makes images in which one code alone changes.

        Args:
            code: Integer, its number: the categorical codes come first, then the continuous.
            n: Integer, the number of latents that it is changed in.
            steps: Integer of at least 2, the number of values of a continuous code, evenly from
                `-extent` to `extent`. A categorical code takes each of its values.
            extent: Float. Beyond 1, values are larger than any in training.
            seed: Integer, chooses the latents.
            averaged: As for `generate`.

        Returns:
            Float32 array `(n, steps, height, width, channels)`.

        Raises:
            ValueError: There is no such code, or a number is too small.

        Example:
        ```python
        networks = kgan.networks.dcgan(latent_dim=62 + 10, codes=10)
        infogan = kgan.InfoGAN(*networks, categorical=(10,))
        rows = infogan.traverse(code=0, n=4, seed=1)  # a row for each latent
        assert rows.shape == (4, 10, 28, 28, 1)
        ```
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
        return self._decode_paths(latents, averaged=averaged)

    def find_codes(self, images: Images, batch_size: int = 256) -> tuple[tuple[Array, ...], Array]:
        """Predicts the codes of images, generated or real.

        Args:
            images: Float array `(n, height, width, channels)`, in the range of the generator's
                output.
            batch_size: Integer, images at a time.

        Returns:
            `(probabilities, means)`: float32 `(n, values)` for each categorical code, and float32
            `(n, continuous)` for the continuous ones.

        Example:
        ```python
        networks = kgan.networks.dcgan(latent_dim=62 + 10, codes=10)
        infogan = kgan.InfoGAN(*networks, categorical=(10,))
        (probabilities,), _means = infogan.find_codes(infogan.generate(8, seed=1))
        values = probabilities.argmax(axis=1)  # the likeliest value of the code for each image
        ```
        """
        images = np.asarray(images, "float32")
        found = self.predict_in_batches(InfoGAN._found, [images], integer("batch_size", batch_size))
        *logits, means, _ = np.split(
            np.asarray(found, "float32"),
            np.cumsum([*self.categorical, self.continuous]),
            axis=1,
        )
        shares = [np.exp(each - each.max(axis=1, keepdims=True)) for each in logits]
        return tuple(each / each.sum(axis=1, keepdims=True) for each in shares), means

    def _found(self, images: Tensor) -> Tensor:
        _, found = self.run(self.discriminator, [images], training=False)
        return found


class CodesHead:
    """The second output of an InfoGAN: logits, means and log variances of the codes.

    Args:
        categorical: Integers, the number of values of each categorical code.
        continuous: Integer, the number of continuous codes.
        continuous_weight: Float, the weight of their information.
    """

    def __init__(
        self, categorical: Sequence[int], continuous: int, continuous_weight: float
    ) -> None:
        self.categorical = categorical
        self.continuous = continuous
        self.continuous_weight = continuous_weight
        kinds = {"categorical": categorical, "continuous": continuous}
        self.log_names = tuple(f"{kind}_information" for kind, codes in kinds.items() if codes)

    def discriminator_loss(
        self, real_found: Tensor, fake_found: Tensor, labels: Tensor | None, targets: Tensor
    ) -> tuple[Tensor, Logs]:
        """Negative log-likelihood of the codes, of generated images alone."""
        del real_found, labels  # the codes of real images are not known
        categorical, continuous = self._losses(fake_found, targets)
        information = {
            "categorical_information": sum(map(math.log, self.categorical)) - categorical,
            "continuous_information": self.continuous * math.log(2.0) - continuous,
        }
        loss = categorical + self.continuous_weight * continuous
        return loss, {name: information[name] for name in self.log_names}

    def generator_loss(self, found: Tensor, targets: Tensor) -> Tensor:
        """Negative log-likelihood of the codes that the images were made from."""
        categorical, continuous = self._losses(found, targets)
        return categorical + self.continuous_weight * continuous

    def _losses(self, found: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Mean negative log-likelihoods of the categorical and of the continuous codes."""
        categorical = continuous = 0.0
        at = 0
        for values in self.categorical:
            span = slice(at, at + values)
            log_probabilities = ops.log_softmax(found[:, span], axis=-1)
            categorical -= ops.mean(ops.sum(targets[:, span] * log_probabilities, axis=-1))
            at += values
        if self.continuous:
            means, log_variances = found[:, at : at + self.continuous], found[:, -self.continuous :]
            log_variances = ops.clip(log_variances, *_LOG_VARIANCES)
            errors = ops.square(targets[:, at:] - means) * ops.exp(-log_variances)
            terms = 0.5 * (math.log(2.0 * math.pi) + log_variances + errors)
            continuous = ops.mean(ops.sum(terms, axis=-1))
        return categorical, continuous

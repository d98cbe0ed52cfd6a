"""Adversarial losses, by name or object.

A loss computes two scalars from logits: one that the discriminator minimises and one that the
generator minimises. To add a loss, write a class and name it in `_LOSSES`. Then
`compile(loss=...)`, the command and the tests find it.
"""

import keras
from keras import ops

from kgan._registry import find
from kgan._typing import Config, Tensor

__all__ = [
    "AdversarialLoss",
    "Hinge",
    "LeastSquares",
    "Minimax",
    "NonSaturating",
    "Relativistic",
    "RelativisticAverage",
    "RelativisticAverageHinge",
    "RelativisticAverageLeastSquares",
    "Wasserstein",
    "get",
    "names",
]


class AdversarialLoss:
    """The losses of the two networks of a GAN.

    Subclass it, implement both methods, and pass the object to `GAN.compile(loss=...)`. Register
    the subclass with `keras.saving.register_keras_serializable` so that a saved GAN can be loaded.

    Logits are the discriminator's raw outputs, float32, of any shape that starts with the batch:
    `(batch, 1)` for one score per image, `(batch, height, width, 1)` for one score per patch.

    Example:
    ```python
    @keras.saving.register_keras_serializable(package="mine")
    class Exponential(kgan.losses.AdversarialLoss):
        def discriminator_loss(self, real_logits, fake_logits):
            return keras.ops.mean(keras.ops.exp(-real_logits) + keras.ops.exp(fake_logits))

        def generator_loss(self, fake_logits, real_logits=None):
            return keras.ops.mean(keras.ops.exp(-fake_logits))


    gan.compile(loss=Exponential())
    ```
    """

    generator_needs_real_logits = False
    """Whether `generator_loss` reads `real_logits`, which cost a pass through the discriminator."""

    def discriminator_loss(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        """The scalar that the discriminator minimises."""
        raise NotImplementedError

    def generator_loss(self, fake_logits: Tensor, real_logits: Tensor | None = None) -> Tensor:
        """The scalar that the generator minimises."""
        raise NotImplementedError

    def get_config(self) -> Config:
        """The constructor's arguments, for saving."""
        return {}

    @classmethod
    def from_config(cls, config: Config) -> "AdversarialLoss":
        """The loss that `get_config` described."""
        return cls(**config)


@keras.saving.register_keras_serializable(package="kgan")
class Minimax(AdversarialLoss):
    """The original GAN loss: the generator maximises the discriminator's cross-entropy.

    `D: -log s(real) - log(1 - s(fake))`, `G: log(1 - s(fake))`, with `s` the sigmoid. The
    generator's gradient vanishes where the discriminator is certain. `NonSaturating` fixes that.

    Args:
        label_smoothing: Float e in [0, 1). The discriminator's target for real images is the
            probability 1 - e. Targets for generated images are not smoothed: that would reward the
            generator for staying where it is.

    Example:
    ```python
    gan.compile(loss=kgan.losses.Minimax(label_smoothing=0.1))
    ```

    Reference:
        [Goodfellow et al., 2014](https://arxiv.org/abs/1406.2661), equation 1;
        [Salimans et al., 2016](https://arxiv.org/abs/1606.03498), section 3.4, for the smoothing.
    """

    def __init__(self, label_smoothing: float = 0.0) -> None:
        if not 0 <= label_smoothing < 1:
            raise ValueError(
                "Expected `label_smoothing` to be in [0, 1). "
                f"Received: label_smoothing={label_smoothing!r}."
            )
        self.label_smoothing = float(label_smoothing)

    def discriminator_loss(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        # softplus(-x) = -log(sigmoid(x)), without the overflow; and softplus(x) = softplus(-x) + x.
        loss = ops.mean(ops.softplus(-real_logits)) + ops.mean(ops.softplus(fake_logits))
        if self.label_smoothing:
            loss += self.label_smoothing * ops.mean(real_logits)
        return loss

    def generator_loss(self, fake_logits: Tensor, real_logits: Tensor | None = None) -> Tensor:
        del real_logits
        return -ops.mean(ops.softplus(fake_logits))

    def get_config(self) -> Config:
        """The constructor's arguments, for saving."""
        return {"label_smoothing": self.label_smoothing}


@keras.saving.register_keras_serializable(package="kgan")
class NonSaturating(Minimax):
    """Cross-entropy for both networks: the default loss.

    `D: -log s(real) - log(1 - s(fake))`, `G: -log s(fake)`, with `s` the sigmoid.

    Args:
        label_smoothing: See `Minimax`.

    Example:
    ```python
    gan.compile(loss=kgan.losses.NonSaturating(label_smoothing=0.1))
    ```

    Reference:
        [Goodfellow et al., 2014](https://arxiv.org/abs/1406.2661), section 3.
    """

    def generator_loss(self, fake_logits: Tensor, real_logits: Tensor | None = None) -> Tensor:
        del real_logits
        return ops.mean(ops.softplus(-fake_logits))


@keras.saving.register_keras_serializable(package="kgan")
class LeastSquares(AdversarialLoss):
    """Squared distance of the logits from targets (LSGAN).

    `D: (real - b)^2 / 2 + (fake - a)^2 / 2`, `G: (fake - c)^2 / 2`.

    Args:
        fake: Float `a`, the discriminator's target for generated images.
        real: Float `b`, the discriminator's target for real images.
        generator: Float `c`, the generator's target for generated images.

    Example:
    ```python
    gan.compile(loss=kgan.losses.LeastSquares(fake=-1.0, real=1.0, generator=0.0))
    ```

    Reference:
        [Mao et al., 2017](https://arxiv.org/abs/1611.04076), equation 2; the defaults are those of
        equation 9.
    """

    def __init__(self, fake: float = 0.0, real: float = 1.0, generator: float = 1.0) -> None:
        self.fake = float(fake)
        self.real = float(real)
        self.generator = float(generator)

    def discriminator_loss(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        return 0.5 * (
            ops.mean(ops.square(real_logits - self.real))
            + ops.mean(ops.square(fake_logits - self.fake))
        )

    def generator_loss(self, fake_logits: Tensor, real_logits: Tensor | None = None) -> Tensor:
        del real_logits
        return 0.5 * ops.mean(ops.square(fake_logits - self.generator))

    def get_config(self) -> Config:
        """The constructor's arguments, for saving."""
        return {"fake": self.fake, "real": self.real, "generator": self.generator}


@keras.saving.register_keras_serializable(package="kgan")
class Wasserstein(AdversarialLoss):
    """The difference of the mean scores, an estimate of the earth mover's distance (WGAN).

    `D: mean(fake) - mean(real)`, `G: -mean(fake)`. The estimate is valid only for a 1-Lipschitz
    discriminator. Constrain it with `kgan.constraints.Clip`, or use a gradient penalty.

    Example:
    ```python
    gan.compile(loss=kgan.losses.Wasserstein(), penalties=kgan.penalties.GradientPenalty())
    ```

    Reference:
        [Arjovsky et al., 2017](https://arxiv.org/abs/1701.07875), algorithm 1.
    """

    def discriminator_loss(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        return ops.mean(fake_logits) - ops.mean(real_logits)

    def generator_loss(self, fake_logits: Tensor, real_logits: Tensor | None = None) -> Tensor:
        del real_logits
        return -ops.mean(fake_logits)


@keras.saving.register_keras_serializable(package="kgan")
class Hinge(Wasserstein):
    """Hinge loss: pushes scores of real images above 1 and of generated images below -1.

    `D: max(0, 1 - real) + max(0, 1 + fake)`, `G: -mean(fake)`.

    Example:
    ```python
    real, fake = keras.ops.array([[2.0]]), keras.ops.array([[-2.0]])
    assert kgan.losses.Hinge().discriminator_loss(real, fake) == 0.0  # both beyond the margin
    gan.compile(loss="hinge")
    ```

    Reference:
        [Lim and Ye, 2017](https://arxiv.org/abs/1705.02894);
        [Miyato et al., 2018](https://arxiv.org/abs/1802.05957), equations 16 and 17.
    """

    def discriminator_loss(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        return ops.mean(ops.relu(1.0 - real_logits)) + ops.mean(ops.relu(1.0 + fake_logits))


@keras.saving.register_keras_serializable(package="kgan")
class Relativistic(AdversarialLoss):
    """Compares each generated image with one real image (relativistic pairing, RpGAN).

    `D: -log s(real - fake)`, `G: -log s(fake - real)`, with `s` the sigmoid. Image `i` of the
    generated batch is paired with image `i` of the real batch.

    Example:
    ```python
    penalties = [kgan.penalties.R1(1.0), kgan.penalties.R2(1.0)]
    gan.compile(loss=kgan.losses.Relativistic(), penalties=penalties)
    ```

    Reference:
        [Jolicoeur-Martineau, 2018](https://arxiv.org/abs/1807.00734);
        [Huang et al., 2024](https://arxiv.org/abs/2501.05441), section 2.
    """

    generator_needs_real_logits = True

    def discriminator_loss(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        return ops.mean(ops.softplus(fake_logits - real_logits))

    def generator_loss(self, fake_logits: Tensor, real_logits: Tensor | None = None) -> Tensor:
        return ops.mean(ops.softplus(real_logits - fake_logits))


@keras.saving.register_keras_serializable(package="kgan")
class RelativisticAverage(AdversarialLoss):
    """Compares each image with the mean score of the other kind of images (RaGAN).

    `D: -log s(real - F) - log(1 - s(fake - R))`, `G: -log s(fake - R) - log(1 - s(real - F))`, with
    `s` the sigmoid, `R` and `F` the batch's mean scores of real and generated images.

    Example:
    ```python
    gan.compile(loss=kgan.losses.RelativisticAverage())
    ```

    Reference:
        [Jolicoeur-Martineau, 2018](https://arxiv.org/abs/1807.00734), section 4.
    """

    generator_needs_real_logits = True

    def discriminator_loss(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        return ops.mean(ops.softplus(ops.mean(fake_logits) - real_logits)) + ops.mean(
            ops.softplus(fake_logits - ops.mean(real_logits))
        )

    def generator_loss(self, fake_logits: Tensor, real_logits: Tensor | None = None) -> Tensor:
        # The same formula with the two kinds of images exchanged.
        return self.discriminator_loss(fake_logits, real_logits)


@keras.saving.register_keras_serializable(package="kgan")
class RelativisticAverageHinge(RelativisticAverage):
    """`RelativisticAverage` with the hinge loss instead of the cross-entropy.

    `D: max(0, 1 - real + F) + max(0, 1 + fake - R)`, `G: max(0, 1 - fake + R) + max(0, 1 + real -
    F)`, with `R` and `F` the batch's mean scores of real and generated images.

    Example:
    ```python
    gan.compile(loss=kgan.losses.RelativisticAverageHinge())
    ```

    Reference:
        [Jolicoeur-Martineau, 2018](https://arxiv.org/abs/1807.00734), appendix C.
    """

    def discriminator_loss(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        return ops.mean(ops.relu(1.0 - real_logits + ops.mean(fake_logits))) + ops.mean(
            ops.relu(1.0 + fake_logits - ops.mean(real_logits))
        )


@keras.saving.register_keras_serializable(package="kgan")
class RelativisticAverageLeastSquares(RelativisticAverage):
    """`RelativisticAverage` with squared distances instead of the cross-entropy.

    `D: (real - F - 1)^2 + (fake - R + 1)^2`, `G: (fake - R - 1)^2 + (real - F + 1)^2`, with `R` and
    `F` the batch's mean scores of real and generated images.

    Example:
    ```python
    gan.compile(loss=kgan.losses.RelativisticAverageLeastSquares())
    ```

    Reference:
        [Jolicoeur-Martineau, 2018](https://arxiv.org/abs/1807.00734), appendix C.
    """

    def discriminator_loss(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        return ops.mean(ops.square(real_logits - ops.mean(fake_logits) - 1.0)) + ops.mean(
            ops.square(fake_logits - ops.mean(real_logits) + 1.0)
        )


_LOSSES: dict[str, type[AdversarialLoss]] = {
    "non_saturating": NonSaturating,
    "minimax": Minimax,
    "least_squares": LeastSquares,
    "hinge": Hinge,
    "wasserstein": Wasserstein,
    "relativistic": Relativistic,
    "relativistic_average": RelativisticAverage,
    "relativistic_average_hinge": RelativisticAverageHinge,
    "relativistic_average_least_squares": RelativisticAverageLeastSquares,
}


def names() -> list[str]:
    """The names that `get` knows.

    Example:
    ```python
    assert "hinge" in kgan.losses.names()
    ```
    """
    return list(_LOSSES)


def get(identifier: str | AdversarialLoss | type[AdversarialLoss]) -> AdversarialLoss:
    """Finds an adversarial loss.

    Args:
        identifier: A name from `kgan.losses.names()`, an `AdversarialLoss`, or a subclass of it
            that needs no arguments.

    Returns:
        The loss object.

    Raises:
        ValueError: The name is unknown, or the object is not an adversarial loss.

    Example:
    ```python
    kgan.losses.get("hinge")
    ```
    """
    loss: AdversarialLoss = find(
        identifier,
        _LOSSES,
        AdversarialLoss,
        what="an adversarial loss",
        argument="loss",
        public="kgan.losses.AdversarialLoss",
    )
    return loss

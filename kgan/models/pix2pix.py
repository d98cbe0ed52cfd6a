"""Image translation from pairs: pix2pix."""

from collections.abc import Sequence
from typing import Any, ClassVar

import keras
import numpy.typing as npt
from keras import ops

from kgan import losses
from kgan._typing import Batch, Images, Layer, Logs, Network, Optimizer, Shape, Tensor
from kgan.models import network_checks
from kgan.models.adversarial import Adversarial
from kgan.models.critic import Critic
from kgan.models.exporting import export_network
from kgan.models.translation_model import TranslationModel, mean_distance, weight
from kgan.penalties import Penalty
from kgan.training.batch_spec import BatchSpec


@keras.saving.register_keras_serializable(package="kgan")
class Pix2Pix(Adversarial, TranslationModel):
    """Image translation from pairs (pix2pix).

    The *generator* translates an image. The *discriminator* sees the image and a translation
    together, and separates true translations from generated ones. The generator is trained to get
    high scores and to be close to the true translation. With the distance alone (L1), translations
    are blurred, since the best answer is the median of all possible ones. The discriminator pushes
    the generator to choose one.

    The input of the discriminator decides whether it is conditional. A conditional one takes the
    channels of image and translation together, in this order. The other kind takes only those of a
    translation.

    The logs of `fit` and `evaluate` are means over the epoch so far: those of `GAN`, and
    `l1_error`, the mean absolute difference from the true translation, without its weight.
    `generator_loss` is the adversarial loss alone.

    Args:
        generator: Functional or Sequential `keras.Model` from images, float
            `(batch, height, width, channels)`, to images of the same height and width, by default
            in [-1, 1].
        discriminator: Functional or Sequential `keras.Model` from images of as many channels as
            both together, or as the translations alone, to logits, `(batch, 1)` or
            `(batch, rows, columns, 1)`.
        seed: Integer, starts the noise of training. Defaults to a random one.
        name: String.

    Raises:
        ValueError: The networks do not fit each other, or the discriminator ends in a sigmoid.

    Example:
    ```python
    digits = kgan.data.load_digits("train").images
    pairs = kgan.data.PairedDataset(*kgan.data.pairs.outlines(digits), batch_size=32, seed=0)
    model = kgan.Pix2Pix(*kgan.networks.pix2pix((28, 28, 1), width=8))
    model.compile()
    model.fit(pairs, epochs=1)
    inputs, targets = pairs.draw(8, seed=0)
    translations = model.translate(inputs)
    ```

    Reference:
        [Isola et al., 2017](https://arxiv.org/abs/1611.07004).
    """

    networks = ("generator", "discriminator")
    roles: ClassVar = {"generator": ("generator",), "discriminator": ("discriminator",)}
    averaged = ("generator",)
    compile_arguments: ClassVar = {
        **Adversarial.ADVERSARIAL_ARGUMENTS,
        "l1_weight": "l1_weight",
    }

    def __init__(
        self,
        generator: Network,
        discriminator: Network,
        seed: int | None = None,
        name: str | None = None,
    ) -> None:
        network_checks.check_translators(
            {"generator": generator},
            {"discriminator": discriminator},
            {"discriminator": _judged_shapes(generator)},
        )
        super().__init__(seed=seed, name=name)
        self.generator = generator
        self.discriminator = discriminator
        self.image_shape: Shape = tuple(generator.outputs[0].shape[1:])
        self.built = True

    def compile(  # type: ignore[override]  # with the optimizers by their names
        self,
        generator_optimizer: str | Optimizer | None = None,
        discriminator_optimizer: str | Optimizer | None = None,
        loss: str | losses.AdversarialLoss = "non_saturating",
        l1_weight: float = 100.0,
        penalties: str | Penalty | Sequence[str | Penalty] | None = None,
        ema_decay: float | None = None,
        augmentation: str | Layer | None = None,
        **kwargs: Any,
    ) -> None:
        """Configures the training. Every argument has a default that works.

        Args:
            generator_optimizer: String or `keras.optimizers.Optimizer`. Defaults to
                `Adam(2e-4, beta_1=0.5)`.
            discriminator_optimizer: The same; a different object.
            loss: A name out of `kgan.losses.names()`, or a `kgan.losses.AdversarialLoss`.
            l1_weight: Float of at least 0, the weight of the mean absolute difference from the true
                translation in the generator's loss.
            penalties: Terms that are added to the discriminator's loss, as for `GAN.compile`. The
                gradient penalties of a conditional discriminator use the gradient with respect to
                image and translation together.
            ema_decay: As for `GAN.compile`; `translate` then uses the average.
            augmentation: As for `GAN.compile`. Image and translation get the same changes.
            **kwargs: Keras's own `run_eagerly`, `steps_per_execution` and `jit_compile`.

        Raises:
            ValueError: A name is unknown, a number out of its range, or both networks were given
                the same optimizer.

        Example:
        ```python
        model = kgan.Pix2Pix(*kgan.networks.pix2pix((28, 28, 1), width=8))
        model.compile(loss="hinge", l1_weight=10.0, ema_decay=0.999)
        ```

        Reference:
            [Isola et al., 2017](https://arxiv.org/abs/1611.07004), equation 4.
        """
        self.l1_weight = weight("l1_weight", l1_weight)
        self._check_options(kwargs)
        with self.making_variables(ema_decay):
            judged = tuple(self.discriminator.inputs[0].shape[1:])
            self.set_adversary(loss, penalties, augmentation, judged)
        self.critic = Critic(
            self.discriminator,
            self.adversarial_loss,
            self.training_noise,
            self.penalties,
            self.augmentation,
        )
        super().compile(
            generator_optimizer=generator_optimizer,
            discriminator_optimizer=discriminator_optimizer,
            ema_decay=ema_decay,
            **kwargs,
        )

    def log_names(self) -> list[str]:
        """The names of all logs, in the order in which they are shown."""
        return [*self.critic.log_names(), "l1_error"]

    def batch_spec(self, training: bool) -> BatchSpec:
        """Images as the generator takes them, and targets as it makes them."""
        del training
        return BatchSpec(
            shape=tuple(self.generator.inputs[0].shape),
            consumer="generator",
            value_range=(-1.0, 1.0),
            range_reason="that of all images in a translation",
            name="inputs",
            is_paired=True,
            second=BatchSpec(
                shape=tuple(self.generator.outputs[0].shape),
                consumer="loss",
                **network_checks.range_of(self.generator),
                name="targets",
            ),
        )

    # ---- the algorithm ---------------------------------------------------------------------------

    def training_step(self, batch: Batch) -> Logs:
        """Updates the discriminator, then the generator, on one batch."""

        def generator_objective() -> tuple[Tensor, Logs]:
            # One pass through the generator serves both updates.
            fake = self.run(self.generator, [batch.images], training=True)
            real_judged = self._judged(batch.images, batch.second)
            fake_judged = self._judged(batch.images, fake)
            logs = self.update_critic(real_judged, fake_judged)
            loss = self.critic.generator_loss_on(fake_judged, real_judged)
            l1_error = mean_distance(fake, batch.second)
            logs |= {"l1_error": l1_error, "generator_loss": loss}
            return loss + self.l1_weight * l1_error, logs

        generator = self.minimize("generator", generator_objective)
        self.follow()
        return self.record(batch, generator_gradient_norm=generator.gradient_norm, **generator.aux)

    def _judged(self, images: Tensor, translations: Tensor) -> Tensor:
        """The input of the discriminator for images and their translations."""
        channels = self.discriminator.inputs[0].shape[-1]
        if channels == translations.shape[-1]:
            return translations
        return ops.concatenate([images, translations], axis=-1)

    def evaluation_step(self, batch: Batch) -> Logs:
        """Measures both losses on one batch of held-out pairs, without training."""
        fake = self.run(self.generator, [batch.images], training=False)
        real_verdict = self.critic.judge(self._judged(batch.images, batch.second))
        fake_verdict = self.critic.judge(self._judged(batch.images, fake))
        loss, logs = self.critic.discriminator_loss(real_verdict, fake_verdict)
        return self.record(
            batch,
            discriminator_loss=loss + self.regularisation("discriminator"),
            generator_loss=self.critic.generator_loss(fake_verdict, real_verdict),
            l1_error=mean_distance(fake, batch.second),
            **logs,
        )

    # ---- images ----------------------------------------------------------------------------------

    def translate(
        self,
        images: npt.ArrayLike,
        to: None = None,
        dropout: bool = False,
        seed: int | None = None,
        batch_size: int = 64,
        averaged: bool = True,
    ) -> Images:
        """Translates images.

        Args:
            images: Float array `(n, height, width, channels)` in [-1, 1], or uint8. The networks of
                kgan take images of any size, `kgan.networks.resnet_translator` of at least 5
                pixels on each side.
            to: None, since there is one direction.
            dropout: Whether the dropout of the generator works as in training, so that the same
                image gets different translations. Other layers work as after training.
            seed: Integer, for the dropout: the same seed and `batch_size` give the same
                translations.
            batch_size: Integer, images at a time.
            averaged: Whether to use the average of the weights, if the model keeps one.

        Returns:
            Float32 array `(n, height, width, channels of the targets)`.

        Raises:
            ValueError: The images do not fit the generator, it has no dropout, or `to` is given.

        Example:
        ```python
        outlines, digits = kgan.data.pairs.outlines(test.images[:8])
        assert pix2pix.translate(outlines).shape == digits.shape
        ```
        """
        if to is not None:
            raise ValueError(
                "Expected no `to`, since a Pix2Pix translates in one direction. "
                f"Received: to={to!r}. Leave it out."
            )
        return self.translate_by(("generator",), images, batch_size, averaged, dropout, seed)

    def export(self, filepath: Any, *args: Any, **kwargs: Any) -> None:
        """Exports the generator that `translate` uses, for serving: `keras.Model.export`.

        Args:
            filepath: The file or directory.
            *args: As for `keras.Model.export`.
            **kwargs: As for `keras.Model.export`.
        """
        export_network(self.network_in_use("generator"), filepath, *args, **kwargs)


def _judged_shapes(generator: Network) -> list[Shape]:
    """The valid inputs of a discriminator: image and translation together, or the translation."""
    if not (getattr(generator, "inputs", None) and getattr(generator, "outputs", None)):
        return []
    *size, channels = generator.outputs[0].shape
    given = generator.inputs[0].shape[-1]
    both = None if given is None or channels is None else given + channels
    return [(*size, both), (*size, channels)]

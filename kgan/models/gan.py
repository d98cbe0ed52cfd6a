"""The generative adversarial network: two networks, and the algorithm that trains them."""

from collections.abc import Sequence
from typing import Any, ClassVar

import keras
from keras import ops

from kgan import losses
from kgan._arguments import integer
from kgan._noise import for_batch
from kgan._typing import Batch, Layer, Logs, Network, Noise, Optimizer, Shape, Tensor
from kgan.models import network_checks
from kgan.models.adversarial import Adversarial
from kgan.models.critic import ClassifierHead, Critic, Head
from kgan.models.latent_model import LatentModel, as_input
from kgan.penalties import Penalty
from kgan.training.batch_spec import BatchSpec, Divisor


@keras.saving.register_keras_serializable(package="kgan")
class GAN(Adversarial, LatentModel):
    """A generative adversarial network.

    A *generator* makes images from latents, random vectors. A *discriminator* scores images, high
    for real ones. Each training step first updates the discriminator to separate the two. Then
    it updates the generator so that its images get high scores.

    The networks decide whether the GAN is conditional:

    - With one input each, `latent` and `image`, it is unconditional and ignores labels in the data.
    - With a generator of two inputs, `(latent, label)`, it is conditional. Training then needs
      `(images, labels)`. The discriminator takes the label too, `(image, label)`, or predicts it.
    - A discriminator that predicts the label has a second output, the logits of the classes. It is
      an auxiliary classifier (AC-GAN).

    The logs of `fit` and `evaluate` are means over the epoch so far:

    - `discriminator_loss` and `generator_loss`.
    - `real_score` and `fake_score`: the discriminator's mean logits.
    - `discriminator_accuracy`: how often it scores a real image above a generated one.
    - With an auxiliary classifier, `classification_loss` and `class_accuracy`: how often it finds
      the requested class in a generated image.
    - In training, `discriminator_gradient_norm` and `generator_gradient_norm`, each penalty by its
      name and without its weight, and the logs of the augmentation.

    A saved GAN resumes training where it stopped, also within an epoch. The file holds weights and
    their averages, both optimizers, the state of penalties, of the augmentation and of every source
    of noise, and the position in the data.

    Args:
        generator: Functional or Sequential `keras.Model` from latents, float `(batch, latent_dim)`,
            to images, float `(batch, height, width, channels)`, by default in [-1, 1].
            Conditional: from `[latents, labels]`, labels integer `(batch,)`.
        discriminator: Functional or Sequential `keras.Model` from such images (conditional: from
            `[images, labels]`) to logits, `(batch, 1)`, without a sigmoid. An auxiliary classifier:
            from images to `[logits, class_logits]`, the latter `(batch, num_classes)`.
        num_classes: Integer, the number of classes. Needed only by a conditional generator without
            an `Embedding` or `CategoryEncoding` layer that tells it.
        pack: Integer m: the discriminator judges m images at a time, as one with m times the
            channels, so that it sees whether they differ (PacGAN). For unconditional GANs.
        seed: Integer, starts the latents of training. Defaults to a random one.
        name: String.

    Raises:
        ValueError: The networks do not fit each other, or the discriminator ends in a sigmoid.

    Example:
    ```python
    train = kgan.data.load_mnist("train", batch_size=128)
    generator, discriminator = kgan.networks.dcgan(image_shape=(28, 28, 1), latent_dim=128)
    gan = kgan.GAN(generator, discriminator)
    gan.compile(loss="non_saturating")
    gan.fit(train, epochs=20)
    images = gan.generate(64, seed=1)
    ```

    Reference:
        [Goodfellow et al., 2014](https://arxiv.org/abs/1406.2661);
        [Mirza and Osindero, 2014](https://arxiv.org/abs/1411.1784) for conditional GANs;
        [Odena et al., 2017](https://arxiv.org/abs/1610.09585) for the auxiliary classifier;
        [Lin et al., 2018](https://arxiv.org/abs/1712.04086) for packing.
    """

    networks = ("generator", "discriminator")
    roles: ClassVar = {"generator": ("generator",), "discriminator": ("discriminator",)}
    averaged = ("generator",)
    arguments: ClassVar[tuple[str, ...]] = ("num_classes", "pack")
    compile_arguments: ClassVar = {
        **Adversarial.ADVERSARIAL_ARGUMENTS,
        "discriminator_steps": "discriminator_steps",
        "auxiliary_weight": "auxiliary_weight",
    }
    decoder_name = "generator"

    def __init__(
        self,
        generator: Network,
        discriminator: Network,
        num_classes: int | None = None,
        pack: int = 1,
        seed: int | None = None,
        name: str | None = None,
    ) -> None:
        pack = integer("pack", pack)
        self._check_networks(generator, discriminator, pack)
        super().__init__(seed=seed, name=name)
        self.generator = generator
        self.discriminator = discriminator

        self.latent_dim: int = generator.inputs[0].shape[1]
        self.image_shape: Shape = tuple(generator.outputs[0].shape[1:])
        predicted = discriminator.outputs[1].shape[1] if len(discriminator.outputs) == 2 else None
        self.num_classes = network_checks.resolve_num_classes(
            {"generator": generator, "discriminator": discriminator}, num_classes, predicted
        )
        self.pack = pack
        self.discriminator_steps = 1
        self.built = True

    def _check_networks(self, generator: Network, discriminator: Network, pack: int) -> None:
        network_checks.check_networks(generator, discriminator, pack)
        network_checks.check_classifier(generator, discriminator)

    # ---- compile ---------------------------------------------------------------------------------

    def compile(  # type: ignore[override]  # with the optimizers by their names
        self,
        generator_optimizer: str | Optimizer | None = None,
        discriminator_optimizer: str | Optimizer | None = None,
        loss: str | losses.AdversarialLoss = "non_saturating",
        penalties: str | Penalty | Sequence[str | Penalty] | None = None,
        discriminator_steps: int = 1,
        ema_decay: float | None = None,
        augmentation: str | Layer | None = None,
        auxiliary_weight: float = 1.0,
        **kwargs: Any,
    ) -> None:
        """Configures the training. Every argument has a default that works.

        Args:
            generator_optimizer: String or `keras.optimizers.Optimizer`. Defaults to
                `Adam(2e-4, beta_1=0.5)`.
            discriminator_optimizer: The same; a different object.
            loss: A name out of `kgan.losses.names()`, or a `kgan.losses.AdversarialLoss`.
            penalties: Terms that are added to the discriminator's loss: a name out of
                `kgan.penalties.names()`, a `kgan.penalties.Penalty`, or a list of these. Defaults
                to none.
            discriminator_steps: Integer n. Each batch is split into n equal parts, with one
                discriminator update on each part, then one generator update. The batch size must be
                a multiple of n.
            ema_decay: Float in [0, 1): keep a running average of the generator's weights, of which
                this share stays in each update (less in the first ones, when there is little to
                average). `generate`, `kgan.evaluate`, sample grids and `export` then use the
                average. Defaults to none.
            augmentation: A transformation of all images, real and generated, before the
                discriminator sees them in training: a name out of `kgan.augmentations.names()`, or
                a `kgan.augmentations.Augmentation`. Defaults to none.
            auxiliary_weight: Float, the weight of the losses of a discriminator's second output,
                where it has one: the auxiliary classifier's, or the information of an `InfoGAN`.
            **kwargs: Keras's own `run_eagerly`, `steps_per_execution` and `jit_compile`.

        Raises:
            ValueError: A name is unknown, a number out of its range, or both networks were given
                the same optimizer.

        Example: WGAN-GP with an average of the generator's weights.
        ```python
        gan.compile(
            generator_optimizer=keras.optimizers.Adam(1e-4, beta_1=0.0),
            discriminator_optimizer=keras.optimizers.Adam(1e-4, beta_1=0.0),
            loss="wasserstein",
            penalties=kgan.penalties.GradientPenalty(10.0),
            discriminator_steps=4,
            ema_decay=0.999,
        )
        ```

        Reference:
            [Radford et al., 2016](https://arxiv.org/abs/1511.06434) for the default optimizers;
            [Yazici et al., 2019](https://arxiv.org/abs/1806.04498) for the average.
        """
        self.discriminator_steps = integer("discriminator_steps", discriminator_steps)
        self.auxiliary_weight = float(auxiliary_weight)
        self._check_options(kwargs)
        with self.making_variables(ema_decay):
            self.set_adversary(loss, penalties, augmentation, self.image_shape)
        self.critic = self._make_critic()
        super().compile(
            generator_optimizer=generator_optimizer,
            discriminator_optimizer=discriminator_optimizer,
            ema_decay=ema_decay,
            **kwargs,
        )

    def _make_critic(self) -> Critic:
        discriminator = self.active_part(self.discriminator)
        return Critic(
            discriminator,
            self.adversarial_loss,
            self.training_noise,
            self.penalties,
            self.augmentation,
            pack=self.pack,
            head=self._make_head() if len(discriminator.outputs) == 2 else None,
            head_weight=self.auxiliary_weight,
        )

    def _make_head(self) -> Head:
        return ClassifierHead()

    def log_names(self) -> list[str]:
        """The names of all logs, in the order in which they are shown."""
        return self.critic.log_names()

    def batch_spec(self, training: bool) -> BatchSpec:
        """Images as the generator makes them, in a batch that can be split."""
        number = self.discriminator_steps if training else 1
        return BatchSpec(
            shape=network_checks.unpacked_shape(self.discriminator, self.pack),
            consumer="discriminator",
            **network_checks.range_of(self.generator),
            needs_labels=self.is_conditional,
            num_classes=self.num_classes,
            divisors=(
                Divisor(
                    number,
                    f"discriminator_steps={number}",
                    f"each is split into {number} equal parts",
                ),
                Divisor(
                    self.pack,
                    f"pack={self.pack}",
                    f"the discriminator judges {self.pack} images at a time",
                ),
            ),
        )

    # ---- the algorithm ---------------------------------------------------------------------------

    def training_step(self, batch: Batch) -> Logs:
        """Updates the discriminator, then the generator, on one batch."""
        *first, last = self._split(batch)
        critic_logs = []
        for part in first:
            fake, targets = self._make_fakes(part, self.training_noise, training=True)
            critic_logs.append(self.update_critic(part.images, fake, part.labels, targets))

        def generator_objective() -> tuple[Tensor, Logs]:
            # One pass through the generator serves both updates. The discriminator learns from the
            # images as they are; then the updated discriminator judges the generator.
            fake, targets = self._make_fakes(last, self.training_noise, training=True)
            logs = self.update_critic(last.images, fake, last.labels, targets)
            loss = self.critic.generator_loss_on(fake, last.images, last.labels, targets)
            return loss, logs

        generator = self.minimize("generator", generator_objective)
        self.follow()
        return self.record(
            last,
            generator_loss=generator.loss,
            generator_gradient_norm=generator.gradient_norm,
            **_mean_logs([*critic_logs, generator.aux]),
        )

    def evaluation_step(self, batch: Batch) -> Logs:
        """Measures both losses on one batch of held-out images, changing nothing."""
        fake, targets = self._make_fakes(batch, self.evaluation_noise, training=False)
        real_verdict = self.critic.judge(batch.images, batch.labels)
        fake_verdict = self.critic.judge(fake, batch.labels)
        loss, logs = self.critic.discriminator_loss(
            real_verdict, fake_verdict, batch.labels, targets
        )
        generator_loss = self.critic.generator_loss(fake_verdict, real_verdict, targets)
        return self.record(
            batch,
            discriminator_loss=loss + self.regularisation("discriminator"),
            generator_loss=generator_loss + self.regularisation("generator"),
            **logs,
        )

    def _make_fakes(
        self, real: Batch, noise: Noise, training: bool
    ) -> tuple[Tensor, Tensor | None]:
        """As many generated images as there are real ones, and what a head looks for in them."""
        latents = self._sample_latents(ops.shape(real.images)[0], noise)
        tensors = [latents]
        if self.is_conditional:
            tensors.append(as_input(real.labels, self.generator))
        fake = self.run(self.active_part(self.generator), tensors, training)
        return fake, self._targets(latents, real.labels)

    def _sample_latents(self, count: Tensor, noise: Noise) -> Tensor:
        """Latents of training, `(count, latent_dim)`."""
        return for_batch(keras.random.normal, count, self.latent_dim, noise=noise)

    def _targets(self, latents: Tensor, labels: Tensor | None) -> Tensor | None:
        """The requests to the generator, which a head predicts from its images."""
        del latents
        return labels

    def _split(self, batch: Batch) -> list[Batch]:
        parts = self.discriminator_steps
        if parts == 1:
            return [batch]
        # Every n-th image, not blocks: so each of several devices can split the images it has, and
        # all together have the parts that one device would have.
        return [
            Batch(*(None if each is None else each[first::parts] for each in batch))
            for first in range(parts)
        ]


def _mean_logs(logs: list[Logs]) -> Logs:
    """The means over several updates."""
    if len(logs) == 1:
        return logs[0]
    return {name: ops.mean(ops.stack([each[name] for each in logs])) for name in logs[0]}

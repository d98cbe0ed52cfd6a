"""Image translation without pairs: CycleGAN."""

from collections.abc import Sequence
from typing import Any, ClassVar, Literal, NamedTuple, TypeAlias

import keras
import numpy.typing as npt
from keras import ops

from kgan import losses
from kgan._arguments import integer
from kgan._backend.keras_internals import untrack
from kgan._typing import Batch, Images, Layer, Logs, Network, Optimizer, Tensor
from kgan.models import network_checks
from kgan.models.adversarial import Adversarial, copy_of
from kgan.models.critic import Critic
from kgan.models.exporting import export_network
from kgan.models.image_buffer import ImageBuffer
from kgan.models.translation_model import TranslationModel, mean_distance, weight
from kgan.penalties import Penalty
from kgan.training.batch_spec import BatchSpec
from kgan.training.log_names import LOSSES, LogName, register

register(
    LogName("cycle_error", "cycle", LOSSES, order=92),
    LogName("identity_error", "identity", LOSSES, order=93),
)

Domain: TypeAlias = Literal["a", "b"]


class _Passes(NamedTuple):
    """The outputs of the generators for a batch of both domains."""

    fake_a: Tensor
    fake_b: Tensor
    cycle_error: Tensor
    identity_error: Tensor | None


@keras.saving.register_keras_serializable(package="kgan")
class CycleGAN(Adversarial, TranslationModel):
    """Image translation between two domains, without pairs (CycleGAN).

    Two *generators* translate from domain a to b and back. For each domain, a *discriminator*
    separates its images from translations into it. Two more losses train the generators. A
    translation that is translated back should be the original (cycle consistency). An image that is
    "translated" into its own domain should not change (identity).

    None of these losses says which image belongs to which. The model can turn every 3 into an 8 and
    back with perfect losses. `kgan.metrics.translation` measures whether translations keep the
    class and the content.

    The logs of `fit` and `evaluate` are means over the epoch so far. Those of the discriminators
    are those of `GAN`, as means of both domains. `generator_loss` is the adversarial loss alone,
    the sum of both generators. `cycle_error` is the mean absolute difference between images and
    their cycles, and `identity_error` that between images and their translations into their own
    domain. Both errors are means of both domains, without their weights.

    Args:
        a_to_b: Functional or Sequential `keras.Model` from images of domain a, float
            `(batch, height, width, channels)`, to images of domain b of the same height and width,
            by default in [-1, 1].
        b_to_a: The same from b to a.
        discriminator_a: Functional or Sequential `keras.Model` from images of domain a to logits,
            `(batch, 1)` or `(batch, rows, columns, 1)`.
        discriminator_b: The same for domain b.
        buffer_size: Integer, the number of translations into each domain that are kept, so that its
            discriminator also sees older ones. The file of the model includes them. 0 for none.
        seed: Integer, starts the noise of training. Defaults to a random one.
        name: String.

    Raises:
        ValueError: The networks do not fit each other, or a discriminator ends in a sigmoid.

    Example:
    ```python
    task = kgan.data.pairs.thin_and_thick(kgan.data.load_digits("train").images, seed=0)
    domains = kgan.data.UnpairedDataset(task.a, task.b, batch_size=16, seed=0)
    model = kgan.CycleGAN(*kgan.networks.cyclegan((28, 28, 1), width=4, blocks=1))
    model.compile()
    model.fit(domains, epochs=1, steps_per_epoch=2)
    thick = model.translate(task.a[:8], to="b")
    ```

    Reference:
        [Zhu et al., 2017](https://arxiv.org/abs/1703.10593).
    """

    networks = ("a_to_b", "b_to_a", "discriminator_a", "discriminator_b")
    roles: ClassVar = {
        "generator": ("a_to_b", "b_to_a"),
        "discriminator": ("discriminator_a", "discriminator_b"),
    }
    averaged = ("a_to_b", "b_to_a")
    arguments: ClassVar[tuple[str, ...]] = ("buffer_size",)
    compile_arguments: ClassVar = {
        **Adversarial.ADVERSARIAL_ARGUMENTS,
        "cycle_weight": "cycle_weight",
        "identity_weight": "identity_weight",
    }

    def __init__(
        self,
        a_to_b: Network,
        b_to_a: Network,
        discriminator_a: Network,
        discriminator_b: Network,
        buffer_size: int = 50,
        seed: int | None = None,
        name: str | None = None,
    ) -> None:
        _check_networks(a_to_b, b_to_a, discriminator_a, discriminator_b)
        super().__init__(seed=seed, name=name)
        self.a_to_b = a_to_b
        self.b_to_a = b_to_a
        self.discriminator_a = discriminator_a
        self.discriminator_b = discriminator_b
        self.buffer_size = integer("buffer_size", buffer_size, least=0)
        self.buffer_a = self.buffer_b = None
        if self.buffer_size:
            self.buffer_a = ImageBuffer(buffer_size, b_to_a.outputs[0].shape[1:], "buffer_a")
            self.buffer_b = ImageBuffer(buffer_size, a_to_b.outputs[0].shape[1:], "buffer_b")
        self.built = True

    def compile(  # type: ignore[override]  # with the optimizers by their names
        self,
        generator_optimizer: str | Optimizer | None = None,
        discriminator_optimizer: str | Optimizer | None = None,
        loss: str | losses.AdversarialLoss = "least_squares",
        cycle_weight: float = 10.0,
        identity_weight: float = 5.0,
        penalties: str | Penalty | Sequence[str | Penalty] | None = None,
        ema_decay: float | None = None,
        augmentation: str | Layer | None = None,
        **kwargs: Any,
    ) -> None:
        """Configures the training. Every argument has a default that works.

        The paper lowers the learning rate evenly to 0 over the second half of training: pass
        `kgan.callbacks.LinearDecay()` to `fit`.

        Args:
            generator_optimizer: String or `keras.optimizers.Optimizer`, for both generators.
                Defaults to `Adam(2e-4, beta_1=0.5)`.
            discriminator_optimizer: The same for both discriminators; a different object.
            loss: A name out of `kgan.losses.names()`, or a `kgan.losses.AdversarialLoss`.
            cycle_weight: Float of at least 0, the weight of the cycle error of each domain.
            identity_weight: Float of at least 0, the weight of the identity error of each domain,
                which keeps colours. 0 saves one pass through each generator in each step, and is
                required if the domains have different numbers of channels.
            penalties: Terms that are added to the discriminators' losses, as for `GAN.compile`.
                Each discriminator gets its own.
            ema_decay: As for `GAN.compile`; `translate` then uses the averages.
            augmentation: As for `GAN.compile`. Each discriminator gets its own.
            **kwargs: Keras's own `run_eagerly`, `steps_per_execution` and `jit_compile`.

        Raises:
            ValueError: A name is unknown, a number out of its range, or both roles were given the
                same optimizer.

        Example:
        ```python
        model = kgan.CycleGAN(*kgan.networks.cyclegan((28, 28, 1), width=4, blocks=1))
        model.compile(identity_weight=0.0, penalties="r1")
        ```

        Reference:
            [Zhu et al., 2017](https://arxiv.org/abs/1703.10593), sections 4 and 5.2, for the
            defaults.
        """
        self.cycle_weight = weight("cycle_weight", cycle_weight)
        self.identity_weight = weight("identity_weight", identity_weight)
        shape_a, shape_b = (tuple(each.outputs[0].shape[1:]) for each in (self.b_to_a, self.a_to_b))
        if self.identity_weight and shape_a[-1] != shape_b[-1]:
            raise ValueError(
                "Expected identity_weight=0, since the domains have different numbers of channels, "
                f"{shape_a[-1]} and {shape_b[-1]}. Received: identity_weight={identity_weight}."
            )
        self._check_options(kwargs)
        with self.making_variables(ema_decay):
            self.set_adversary(loss, penalties, augmentation, shape_a)
            self._set_adversary_of_b(shape_b)
        self.critic_a = self._critic("a", self.penalties, self.augmentation)
        self.critic_b = self._critic("b", self.penalties_b, self.augmentation_b)
        super().compile(
            generator_optimizer=generator_optimizer,
            discriminator_optimizer=discriminator_optimizer,
            ema_decay=ema_decay,
            **kwargs,
        )

    def _set_adversary_of_b(self, image_shape: tuple[int | None, ...]) -> None:
        """Copies the penalties and the augmentation, which may have a state."""
        for previous in (*getattr(self, "penalties_b", ()), getattr(self, "augmentation_b", None)):
            untrack(self, previous)
        self.penalties_b = [copy_of(each) for each in self.penalties]
        self.augmentation_b = copy_of(self.augmentation)
        if self.augmentation_b is not None:
            self.augmentation_b.check(image_shape)

    def _critic(self, domain: Domain, penalties: Sequence[Penalty], augmentation: Any) -> Critic:
        return Critic(
            getattr(self, f"discriminator_{domain}"),
            self.adversarial_loss,
            self.training_noise,
            penalties,
            augmentation,
        )

    def log_names(self) -> list[str]:
        """The names of all logs, in the order in which they are shown."""
        identity = ["identity_error"] if self.identity_weight else []
        return [*self.critic_a.log_names(), "cycle_error", *identity]

    def batch_spec(self, training: bool) -> BatchSpec:
        """Images of domain a and of domain b."""
        del training
        spec_of_a, spec_of_b = (
            {
                "shape": tuple(back.outputs[0].shape),
                "consumer": "generator",
                "name": f"images of domain {domain}",
                **network_checks.range_of(back),
            }
            for domain, back in (("a", self.b_to_a), ("b", self.a_to_b))
        )
        return BatchSpec(**spec_of_a, second=BatchSpec(**spec_of_b))

    # ---- the algorithm ---------------------------------------------------------------------------

    def training_step(self, batch: Batch) -> Logs:
        """Updates both generators, then both discriminators, on one batch."""

        def generator_objective() -> tuple[Tensor, tuple[_Passes, Tensor]]:
            passes = self._pass(batch, training=True)
            adversarial = self.critic_a.generator_loss_on(
                passes.fake_a, batch.images
            ) + self.critic_b.generator_loss_on(passes.fake_b, batch.second)
            loss = adversarial + self.cycle_weight * passes.cycle_error
            if passes.identity_error is not None:
                loss = loss + self.identity_weight * passes.identity_error
            return loss, (passes, adversarial)

        generators = self.minimize("generator", generator_objective)
        passes, adversarial = generators.aux
        fake_a = self._buffered(self.buffer_a, passes.fake_a)
        fake_b = self._buffered(self.buffer_b, passes.fake_b)

        def discriminator_objective() -> tuple[Tensor, Logs]:
            options = {
                "optimizer": self.optimizer["discriminator"],
                "regularisation": self.regularisation("discriminator"),
            }
            loss_a, logs_a = self.critic_a.training_loss(batch.images, fake_a, **options)
            loss_b, logs_b = self.critic_b.training_loss(batch.second, fake_b, **options)
            return loss_a + loss_b, _means(logs_a, logs_b)

        discriminators = self.minimize("discriminator", discriminator_objective)
        self.follow()
        return self.record(
            batch,
            generator_loss=adversarial,
            generator_gradient_norm=generators.gradient_norm,
            discriminator_gradient_norm=discriminators.gradient_norm,
            **_errors(passes),
            **discriminators.aux,
        )

    def _pass(self, batch: Batch, training: bool) -> _Passes:
        """Passes a batch through the generators: translations, cycles and identities."""
        a, b = batch.images, batch.second

        def to_b(images: Tensor) -> Tensor:
            return self.run(self.a_to_b, [images], training)

        def to_a(images: Tensor) -> Tensor:
            return self.run(self.b_to_a, [images], training)

        fake_a, fake_b = to_a(b), to_b(a)
        cycle_error = mean_distance(to_a(fake_b), a) + mean_distance(to_b(fake_a), b)
        identity_error = None
        if self.identity_weight:
            identity_error = mean_distance(to_a(a), a) + mean_distance(to_b(b), b)
        return _Passes(fake_a, fake_b, cycle_error, identity_error)

    def _buffered(self, buffer: ImageBuffer | None, images: Tensor) -> Tensor:
        images = ops.stop_gradient(images)
        return images if buffer is None else buffer.exchange(images, self.training_noise)

    def evaluation_step(self, batch: Batch) -> Logs:
        """Measures the losses on one batch of held-out images, without training."""
        passes = self._pass(batch, training=False)
        (loss_a, generator_a, logs_a), (loss_b, generator_b, logs_b) = (
            _measured(critic, real, fake)
            for critic, real, fake in (
                (self.critic_a, batch.images, passes.fake_a),
                (self.critic_b, batch.second, passes.fake_b),
            )
        )
        return self.record(
            batch,
            discriminator_loss=(loss_a + loss_b) / 2 + self.regularisation("discriminator"),
            generator_loss=generator_a + generator_b,
            **_errors(passes),
            **_means(logs_a, logs_b),
        )

    # ---- images ----------------------------------------------------------------------------------

    def translate(
        self,
        images: npt.ArrayLike,
        to: Domain = "b",
        batch_size: int = 64,
        averaged: bool = True,
    ) -> Images:
        """Translates images into a domain.

        Args:
            images: Float array `(n, height, width, channels)` in [-1, 1], or uint8, of the other
                domain. Their size is as for `Pix2Pix.translate`.
            to: `"b"` or `"a"`.
            batch_size: Integer, images at a time.
            averaged: Whether to use the averages of the weights, if the model keeps them.

        Returns:
            Float32 array `(n, height, width, channels)`.

        Raises:
            ValueError: The images do not fit the generator, or there is no such domain.

        Example:
        ```python
        images, _ = test.draw(8, seed=0)
        assert cycle_gan.translate(images, to="b").shape == images.shape
        ```
        """
        return self.translate_by((_generator_to(to),), images, batch_size, averaged)

    def cycle(
        self,
        images: npt.ArrayLike,
        of: Domain = "a",
        batch_size: int = 64,
        averaged: bool = True,
    ) -> Images:
        """Translates images into the other domain and back.

        Args:
            images: As for `translate`, images of the domain `of`.
            of: `"a"` or `"b"`.
            batch_size: As for `translate`.
            averaged: As for `translate`.

        Returns:
            Float32 array of the images' shape.

        Raises:
            ValueError: As `translate`.

        Example:
        ```python
        images, _ = test.draw(8, seed=0)
        error = np.abs(cycle_gan.cycle(images, of="a") - images).mean()
        ```
        """
        back = _generator_to(of)
        there = "a_to_b" if back == "b_to_a" else "b_to_a"
        return self.translate_by((there, back), images, batch_size, averaged)

    def export(self, filepath: Any, *args: Any, to: Domain = "b", **kwargs: Any) -> None:
        """Exports the generator that `translate` uses, for serving: `keras.Model.export`.

        Args:
            filepath: The file or directory.
            *args: As for `keras.Model.export`.
            to: `"b"` or `"a"`, the domain of its translations.
            **kwargs: As for `keras.Model.export`.
        """
        export_network(self.network_in_use(_generator_to(to)), filepath, *args, **kwargs)


def _check_networks(
    a_to_b: Network, b_to_a: Network, discriminator_a: Network, discriminator_b: Network
) -> None:
    generators = {"a_to_b": a_to_b, "b_to_a": b_to_a}
    made = {
        name: [tuple(each.shape) for each in getattr(network, "outputs", None) or ()]
        for name, network in generators.items()
    }
    network_checks.check_translators(
        generators,
        {"discriminator_a": discriminator_a, "discriminator_b": discriminator_b},
        {"discriminator_a": made["b_to_a"], "discriminator_b": made["a_to_b"]},
    )
    network_checks.check_cycle(a_to_b, b_to_a)


def _generator_to(domain: str) -> str:
    names = {"a": "b_to_a", "b": "a_to_b"}
    if domain not in names:
        raise ValueError(f'Expected a domain, "a" or "b". Received: {domain!r}.')
    return names[domain]


def _measured(critic: Critic, real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor, Logs]:
    """The losses of a discriminator and of the generator that it judges, and the logs."""
    real_verdict, fake_verdict = critic.judge(real), critic.judge(fake)
    loss, logs = critic.discriminator_loss(real_verdict, fake_verdict)
    return loss, critic.generator_loss(fake_verdict, real_verdict), logs


def _errors(passes: _Passes) -> Logs:
    """The logs of cycles and identities: means of both domains."""
    logs = {"cycle_error": passes.cycle_error / 2}
    if passes.identity_error is not None:
        logs["identity_error"] = passes.identity_error / 2
    return logs


def _means(logs: Logs, others: Logs) -> Logs:
    return {name: (value + others[name]) / 2 for name, value in logs.items()}

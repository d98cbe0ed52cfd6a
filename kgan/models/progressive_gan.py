"""Progressive growing: a GAN that begins with small images, and doubles their size in stages."""

from collections.abc import Hashable, Sequence
from dataclasses import replace
from typing import Any, ClassVar

import keras
from keras import ops

from kgan import _backend, losses
from kgan._arguments import integer
from kgan._typing import Batch, Layer, Logs, Network, Optimizer, Tensor, Variable
from kgan.models import network_checks, stages
from kgan.models.gan import GAN
from kgan.penalties import Penalty
from kgan.training.batch_spec import BatchSpec
from kgan.training.log_names import LogName, register

register(
    LogName("resolution", "larger side in pixels", "Size of the images", order=1),
    LogName("fade", "new blocks", "Share of the new blocks", order=2),
)

# More images than any batch has: the bound where batches have no fixed size.
_ANY_NUMBER = 2**31


@keras.saving.register_keras_serializable(package="kgan")
class ProgressiveGAN(GAN):
    """A GAN that grows: it learns small images first, then doubles their size in stages.

    In the first stage, both networks train on images of the smallest size. Each later stage adds a
    block to both networks, for images of twice the size. The new blocks fade in while
    `fade_images` images are seen: a share `alpha` of the image comes from the new block, the rest
    from the previous stage, enlarged. Real images are mixed in the same way. Then the stage
    continues for `stable_images` images. The last stage has no end.

    The networks are built at full size once. A step runs only the layers of its stage, so early
    stages are fast. Training data always have the full size; `generate` always returns it, with
    images of earlier stages enlarged by repeating pixels.

    The number of images seen is saved, so that training resumes exactly, also within a fade. At the
    beginning of a stage the optimizers start again, as in the authors' code, because the moments of
    the old weights do not suit the new ones. A learning rate schedule starts again with them.

    In addition to those of `GAN`, the logs of training have `resolution`, the larger side of the
    images in pixels, and `fade`, the share of the new blocks. Both are means over the epoch.

    Args:
        generator: Functional `keras.Model` from latents, float `(batch, latent_dim)`, to a list of
            images of all sizes, the full size first. Each size is half of the one before, rounded
            up. `kgan.layers.FadeIn` layers blend in new blocks.
        discriminator: Functional `keras.Model` from such a list to a list of logits, `(batch, 1)`,
            each of the image at the same place.
        seed: Integer, starts the latents of training. Defaults to a random one.
        name: String.

    Raises:
        ValueError: The networks do not fit each other.

    Example:
    ```python
    train = kgan.data.load_mnist("train", batch_size=32)
    gan = kgan.ProgressiveGAN(*kgan.networks.progressive((28, 28, 1), width=8))
    gan.compile(fade_images=30_000, stable_images=30_000, ema_decay=0.999)
    gan.fit(train, epochs=6)
    print(gan.stage, gan.resolution)
    images = gan.generate(64, seed=1)
    ```

    Reference:
        [Karras et al., 2018](https://arxiv.org/abs/1710.10196).
    """

    arguments = ()
    compile_arguments: ClassVar = {
        **{k: v for k, v in GAN.compile_arguments.items() if k != "auxiliary_weight"},
        "fade_images": "fade_images",
        "stable_images": "stable_images",
    }

    def __init__(
        self,
        generator: Network,
        discriminator: Network,
        seed: int | None = None,
        name: str | None = None,
    ) -> None:
        super().__init__(generator, discriminator, seed=seed, name=name)
        self.images_seen = self._count("images_seen")
        # The optimizers' own count starts again with each stage.
        self._steps_trained = self._count("steps_trained")
        self._saved_stage = self._count("stage")
        self._stage = 0  # as `_saved_stage`, where compiled functions can read it
        # What is known of `images_seen` without reading it, which waits for the last step.
        self._images_when_read: int | None = None
        self._steps_since_read = 0
        self._largest_batch = 0

    def _count(self, name: str) -> Variable:
        return self.add_weight(
            shape=(),
            initializer="zeros",
            dtype="int32",
            trainable=False,
            aggregation="only_first_replica",
            name=name,
        )

    def _check_networks(self, generator: Network, discriminator: Network, pack: int) -> None:
        del pack
        network_checks.check_growing_networks(generator, discriminator)

    # ---- compile ---------------------------------------------------------------------------------

    def compile(  # type: ignore[override]  # with the schedule, without a second output
        self,
        generator_optimizer: str | Optimizer | None = None,
        discriminator_optimizer: str | Optimizer | None = None,
        loss: str | losses.AdversarialLoss = "wasserstein",
        penalties: str | Penalty | Sequence[str | Penalty] | None = ("gradient_penalty", "drift"),
        fade_images: int = 60_000,
        stable_images: int = 60_000,
        discriminator_steps: int = 1,
        ema_decay: float | None = None,
        augmentation: str | Layer | None = None,
        **kwargs: Any,
    ) -> None:
        """Configures the training. The defaults are those of the paper, except the schedule.

        The last of `s` stages begins after `stable_images + (s - 2) * (fade_images +
        stable_images)` images: with the defaults and images of 28 x 28, which have 4 stages, after
        5 epochs of MNIST.

        Args:
            generator_optimizer: String or `keras.optimizers.Optimizer`. Defaults to
                `Adam(1e-3, beta_1=0.0, beta_2=0.99, epsilon=1e-8)`.
            discriminator_optimizer: The same; a different object.
            loss: As for `GAN.compile`.
            penalties: As for `GAN.compile`.
            fade_images: Integer, the number of real images over which new blocks fade in. 0 for no
                fade.
            stable_images: Integer of at least 1, the number of real images in the first stage, and
                in each later one after the fade.
            discriminator_steps: As for `GAN.compile`.
            ema_decay: As for `GAN.compile`. The paper has 0.999.
            augmentation: As for `GAN.compile`. It is applied to the images of the present size.
            **kwargs: Keras's own `run_eagerly`, `steps_per_execution` and `jit_compile`. A stage
                begins between two executions.

        Raises:
            ValueError: As `GAN.compile`, or a number of images is out of its range.

        Example:
        ```python
        gan = kgan.ProgressiveGAN(*kgan.networks.progressive((32, 32, 3), width=8))
        gan.compile(fade_images=100_000, stable_images=100_000, ema_decay=0.999)
        ```

        Reference:
            [Karras et al., 2018](https://arxiv.org/abs/1710.10196), appendix A.1.
        """
        self.fade_images = integer("fade_images", fade_images, least=0)
        self.stable_images = integer("stable_images", stable_images)
        self.schedule = stages.Schedule(
            len(self.generator.outputs), self.fade_images, self.stable_images
        )
        super().compile(
            generator_optimizer,
            discriminator_optimizer,
            loss,
            penalties,
            discriminator_steps=discriminator_steps,
            ema_decay=ema_decay,
            augmentation=augmentation,
            **kwargs,
        )
        self._images_when_read = None

    def default_optimizer(self, role: str) -> Optimizer:
        """`Adam(1e-3, beta_1=0.0, beta_2=0.99, epsilon=1e-8)`, for both networks."""
        del role
        return keras.optimizers.Adam(1e-3, beta_1=0.0, beta_2=0.99, epsilon=1e-8)

    def log_names(self) -> list[str]:
        """The names of all logs, in the order in which they are shown."""
        return [*super().log_names(), "resolution", "fade"]

    def batch_spec(self, training: bool) -> BatchSpec:
        """Images of the full size in [-1, 1], in a batch that can be split."""
        return replace(
            super().batch_spec(training),
            value_range=(-1.0, 1.0),
            range_reason="the range of the images that a ProgressiveGAN makes",
        )

    # ---- stages ----------------------------------------------------------------------------------

    @property
    def stage(self) -> int:
        """The stage of the last training step: how often the smallest size was doubled."""
        return int(ops.convert_to_numpy(self._saved_stage))

    @property
    def resolution(self) -> tuple[int, int]:
        """The height and width of the images of that stage."""
        height, width = self.generator.outputs[-1 - self.stage].shape[1:3]
        return height, width

    def python_state(self) -> Hashable:
        """The stage, on which all compiled functions depend."""
        self._show(self.stage)
        self._images_when_read = None
        return self._stage

    def _show(self, stage: int) -> None:
        """Has functions compute in a stage."""
        self._stage = stage
        if self.compiled:
            self.critic.network = self.active_part(self.discriminator)

    def active_part(self, network: Layer) -> Layer:
        """The part of a network that the present stage uses."""
        return stages.part_of(network, self._stage)

    def decoder_in_use(self, averaged: bool = True) -> Network:
        """The part of the generator that the present stage uses; it makes images of full size.

        Args:
            averaged: Whether the average is wanted, if the model keeps one.
        """
        network = self.network_in_use("generator", averaged)
        return stages.part_of(network, self._stage, full_size=True)

    def _images_of(self, outputs: Tensor) -> Tensor:
        return ops.clip(outputs, -1.0, 1.0)

    def before_step(self) -> None:
        """Begins the next stage when the present one has ended."""
        if self._may_have_ended():
            images = int(ops.convert_to_numpy(self.images_seen))
            self._enter(self.schedule.stage_at(images))
            self._images_when_read, self._steps_since_read = images, 0
        self._steps_since_read += self.steps_per_execution

    def _may_have_ended(self) -> bool:
        if self._images_when_read is None:
            return True
        most = self._images_when_read + self._steps_since_read * self._largest_batch
        return most >= self.schedule.end(self._stage)

    def _enter(self, stage: int) -> None:
        if stage == self.stage:
            return
        with _backend.scope(self):
            self.optimizer.restart()
        self._saved_stage.assign(stage)
        self.make_train_function()

    def steps_made(self) -> int:
        """The number of training steps so far."""
        return int(ops.convert_to_numpy(self._steps_trained))

    # ---- the algorithm ---------------------------------------------------------------------------

    def training_step(self, batch: Batch) -> Logs:
        """Updates the discriminator, then the generator, on one batch, in the present stage."""
        parts = _backend.replicas()[1]
        self._largest_batch = max(
            self._largest_batch, (batch.images.shape[0] or _ANY_NUMBER) * parts
        )
        self._set_alpha()
        logs = super().training_step(self._of_stage(batch))
        self.images_seen.assign_add(ops.shape(batch.images)[0] * parts)
        self._steps_trained.assign_add(1)
        self._set_alpha()  # for samples
        return logs

    def evaluation_step(self, batch: Batch) -> Logs:
        """Measures both losses on one batch of held-out images, in the present stage."""
        return super().evaluation_step(self._of_stage(batch))

    def record(self, batch: Batch, **values: Tensor) -> Logs:
        """Adds a batch's values to the running means, and in training those of the growth."""
        if "generator_gradient_norm" in values:
            size = max(self.generator.outputs[-1 - self._stage].shape[1:3])
            values |= {"resolution": ops.cast(size, "float32"), "fade": self._alpha()}
        return super().record(batch, **values)

    def _alpha(self) -> Tensor:
        return self.schedule.alpha(self._stage, self.images_seen)

    def _set_alpha(self) -> None:
        """Sets the fades of both networks, and of the average."""
        alpha = self._alpha()
        networks = [self.generator, self.discriminator]
        if self.has_average:
            networks.append(self.network_in_use("generator"))
        for network in networks:
            for fade in stages.fades_of(self.active_part(network)):
                fade.alpha.assign(alpha)

    def _of_stage(self, batch: Batch) -> Batch:
        """The batch with images of the present size, mixed as generated ones are."""
        images = stages.shrunk(batch.images, len(self.generator.outputs) - 1 - self._stage)
        if self._stage:
            images = stages.faded(images, self._alpha())
        return Batch(images)

    # ---- saving ----------------------------------------------------------------------------------

    def load_own_variables(self, store: Any) -> None:
        """Loads the state, with the stage."""
        super().load_own_variables(store)
        self.python_state()

"""The generative adversarial network: two networks, and the algorithm that trains them."""

from typing import Any

import keras
from keras import ops

from kgan import _backend, augmentations, losses
from kgan._arguments import integer
from kgan._backend import graph
from kgan._noise import for_batch
from kgan.models import network_checks
from kgan.models.latent_model import LatentSampler
from kgan.models.packing import packed, unpacked
from kgan.penalties import Judged, Penalty, gradients_needed
from kgan.penalties import get as get_penalties
from kgan.training import data_checks
from kgan.training.logs import Means
from kgan.training.model import GenerativeModel
from kgan.training.optimizers import OptimizerPair, serialize

Tensor = Any
Verdict = tuple[Tensor, Tensor | None]  # logits, and what a second output finds in the images

EVALUATED = (
    "discriminator_loss",
    "generator_loss",
    "real_score",
    "fake_score",
    "discriminator_accuracy",
)
NORMS = ("discriminator_gradient_norm", "generator_gradient_norm")


@keras.saving.register_keras_serializable(package="kgan")
class GAN(LatentSampler, GenerativeModel):
    """A generative adversarial network.

    A *generator* makes images from latents, random vectors; a *discriminator* scores images, high
    for real ones. Each training step updates the discriminator to tell the two apart, then the
    generator to be taken for real.

    Whether the GAN is conditional is read off its networks. One input each, `latent` and `image`,
    make it unconditional; then labels in the data are ignored. A generator with two inputs,
    `(latent, label)`, makes it conditional; then training needs `(images, labels)`, and the
    discriminator either takes the label too, `(image, label)`, or tells it: with a second output,
    the classes' logits, it is an auxiliary classifier as well (AC-GAN).

    The logs of `fit` and `evaluate` are means over the epoch so far: `discriminator_loss`,
    `generator_loss`; `real_score` and `fake_score`, the discriminator's mean logits;
    `discriminator_accuracy`, how often it scores a real image above a fake one, whatever the loss;
    with an auxiliary classifier `classification_loss`, and `class_accuracy`, how often it finds in
    a generated image the class that was asked for; and of training also
    `discriminator_gradient_norm` and `generator_gradient_norm`, each penalty by its name and
    without its weight, and what the augmentation has to tell.

    A saved GAN takes up training where it stopped, within an epoch too: weights and their averages,
    both optimizers, the state of penalties, of the augmentation and of every source of noise, and
    how far it has come in the data are all in the file.

    Args:
        generator: Functional or Sequential `keras.Model` from latents, float `(batch, latent_dim)`,
            to images, float `(batch, height, width, channels)`, in [-1, 1] if nothing else is
            said. Conditional: from `[latents, labels]`, labels integer `(batch,)`.
        discriminator: Functional or Sequential `keras.Model` from such images (conditional: from
            `[images, labels]`) to logits, `(batch, 1)`: no sigmoid at its end. An auxiliary
            classifier: from images to `[logits, class_logits]`, the latter `(batch, num_classes)`.
        num_classes: Integer, how many classes the labels have. Needed only by a conditional
            generator in which no `Embedding` or `CategoryEncoding` layer tells it.
        pack: Integer m: the discriminator judges m images at a time, as one of m times the
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

    def __init__(
        self,
        generator: Any,
        discriminator: Any,
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
        self.averaged_generator = None
        self.penalties: list[Penalty] = []
        self.augmentation: augmentations.Augmentation | None = None
        self.latent_dim: int = generator.inputs[0].shape[1]
        self.image_shape: tuple[int | None, ...] = tuple(generator.outputs[0].shape[1:])
        self.is_conditional = len(generator.inputs) == 2
        self.has_second_output = len(discriminator.outputs) == 2
        self.num_classes = network_checks.resolve_num_classes(generator, discriminator, num_classes)
        self.pack = pack
        self.discriminator_steps = 1
        self.built = True

    def _check_networks(self, generator: Any, discriminator: Any, pack: int) -> None:
        network_checks.check_networks(generator, discriminator, pack)
        network_checks.check_classifier(generator, discriminator)

    # ---- compile ---------------------------------------------------------------------------------

    def compile(
        self,
        generator_optimizer: Any = None,
        discriminator_optimizer: Any = None,
        loss: str | losses.AdversarialLoss = "non_saturating",
        penalties: Any = None,
        discriminator_steps: int = 1,
        ema_decay: float | None = None,
        augmentation: Any = None,
        auxiliary_weight: float = 1.0,
        **kwargs: Any,
    ) -> None:
        """Configures the training. Every argument has a default that works.

        Args:
            generator_optimizer: String or `keras.optimizers.Optimizer`. Defaults to
                `Adam(2e-4, beta_1=0.5)`.
            discriminator_optimizer: Likewise; an object of its own.
            loss: A name out of `kgan.losses.names()`, or a `kgan.losses.AdversarialLoss`.
            penalties: What the discriminator pays beside it: a name out of
                `kgan.penalties.names()`, a `kgan.penalties.Penalty`, or a list of these. Defaults
                to none.
            discriminator_steps: Integer n. Each batch is split into n equal parts, the images
                dealt out in turn, with one discriminator update on each part, then one generator
                update. The batch size must be a multiple of n.
            ema_decay: Float in [0, 1): keep a running average of the generator's weights, of which
                this much stays in each step (less in the first ones, when there is little to
                average). `generate`, `evaluate` of figures, sample grids and `export` then use the
                average. Defaults to none.
            augmentation: What is done to all images, real and generated, before the discriminator
                sees them in training: a name out of `kgan.augmentations.names()`, or a
                `kgan.augmentations.Augmentation`. Defaults to nothing.
            auxiliary_weight: Float, how much it counts what a discriminator's second output finds,
                where it has one: the auxiliary classifier's loss, an `InfoGAN`'s information.
            **kwargs: Keras's own `run_eagerly`, `steps_per_execution` and `jit_compile`.

        Raises:
            ValueError: A name is unknown, a number out of its range, or both networks were given
                the same optimizer.

        Reference:
            [Radford et al., 2016](https://arxiv.org/abs/1511.06434) for the default optimizers;
            [Yazici et al., 2019](https://arxiv.org/abs/1806.04498) for the average.
        """
        discriminator_steps = integer("discriminator_steps", discriminator_steps)
        unknown = set(kwargs) - {"run_eagerly", "steps_per_execution", "jit_compile"}
        if unknown:
            raise TypeError(
                f"GAN.compile() got unexpected arguments {sorted(unknown)}. A GAN has a "
                "generator_optimizer, a discriminator_optimizer and an adversarial loss; metrics "
                "and loss weights do not apply to it."
            )
        if kwargs.get("steps_per_execution", 1) != 1 and not _backend.multiple_steps(self):
            raise ValueError(
                f"Keras's {keras.backend.backend()} backend executes one step at a time on "
                f"{_backend.devices(self)} device(s). Expected steps_per_execution=1. Received: "
                f"steps_per_execution={kwargs['steps_per_execution']}."
            )
        self.adversarial_loss = losses.get(loss)
        self.discriminator_steps = discriminator_steps
        self.auxiliary_weight = float(auxiliary_weight)
        # As given: "auto" must be resolved anew on the machine that loads the model.
        self._given_jit_compile = kwargs.get("jit_compile", "auto")
        with _backend.scope(self):
            # First: a loaded GAN has its average before it is compiled, and its variables come in
            # the same order.
            self._keep_average(ema_decay)
            # Keras does not forget by itself what it was compiled with before.
            for previous in (*self.penalties, self.augmentation, getattr(self, "_means", None)):
                self._tracker.untrack(previous)
            self.penalties = get_penalties(penalties)
            self.augmentation = augmentations.get(augmentation)
            self._means = Means(self._log_names())
            optimizer = OptimizerPair(
                self._resolve_optimizer(generator_optimizer),
                self._resolve_optimizer(discriminator_optimizer),
            )
            network_checks.check_same_devices(self, optimizer)
            # Built before Keras sees it: a checkpoint is loaded only into variables that exist.
            optimizer.build(
                self.generator.trainable_variables, self.discriminator.trainable_variables
            )
            super().compile(optimizer=optimizer, auto_scale_loss=False, **kwargs)

    def _log_names(self) -> list[str]:
        auxiliary = self._auxiliary_logs if self.has_second_output else ()
        told = () if self.augmentation is None else self.augmentation.logs
        names = [*EVALUATED, *auxiliary, *NORMS, *(p.name for p in self.penalties), *told]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(
                "Expected penalties and an augmentation with names of their own, since the logs go "
                f"by them. Received: {twice}, which others have. Give a penalty a name=..."
            )
        return names

    def _keep_average(self, decay: float | None) -> None:
        if decay is not None and not 0 <= decay < 1:
            raise ValueError(f"Expected `ema_decay` to be in [0, 1). Received: {decay!r}.")
        self.ema_decay = decay
        if decay is None:
            if self.averaged_generator is not None:
                self._tracker.untrack(self.averaged_generator)
                del self.averaged_updates
            self.averaged_generator = None
        elif self.averaged_generator is None:
            self._begin_average()

    def _begin_average(self) -> None:
        try:
            average = keras.models.clone_model(self.generator)
            average.set_weights(self.generator.get_weights())
        except (TypeError, ValueError) as error:
            raise ValueError(
                "`ema_decay` keeps its average in a copy of the generator. Expected one that "
                "keras.models.clone_model can copy: with layers that have a `get_config`, no "
                "Lambda among them, none of which is used both in a nested model and outside of "
                f"it. Received: {self.generator.name!r}, of which it says: {error}"
            ) from error
        average.trainable = False
        self.averaged_generator = average
        # Not the optimizer's count, which begins anew where the GAN is compiled anew.
        self.averaged_updates = self.add_weight(
            shape=(),
            initializer="zeros",
            dtype="float32",  # in half of that, a count ends at 256 or 2048
            trainable=False,
            aggregation="mean",
            name="averaged_updates",
        )

    def _resolve_optimizer(self, optimizer: Any) -> Any:
        if optimizer is None:
            optimizer = keras.optimizers.Adam(2e-4, beta_1=0.5)
        optimizer = keras.optimizers.get(optimizer)
        # Keras would put one loss scale around the pair. Each loss needs its own.
        scales = isinstance(optimizer, keras.optimizers.LossScaleOptimizer)
        if self._computes_in_float16() and not scales:
            optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
        return optimizer

    def _computes_in_float16(self) -> bool:
        return any(
            layer.compute_dtype == "float16"
            for network in (self.generator, self.discriminator)
            for layer in graph.computing_layers(network)
        )

    # ---- the algorithm ---------------------------------------------------------------------------

    # Sums are never `loss += ...`: on PyTorch that changes the tensor itself, which the loss may
    # need for its gradient (exp, sqrt), and the logs hold.

    def training_step(self, data: Any) -> dict[str, Tensor]:
        """Updates the discriminator, then the generator, on one batch.

        Args:
            data: `images` or `(images, labels)`: float `(batch, height, width, channels)`, in the
                range of the generator's output, and integer `(batch,)`.

        Returns:
            The logs: running means of the losses and scores.
        """
        *first, (real, labels) = self._split(*self._unpack(data))
        discriminator_logs = []
        for part, part_labels in first:
            fake, asked = self._generate_fakes(part, part_labels, self.training_noise, True)
            discriminator_logs.append(
                self._update_discriminator(part, ops.stop_gradient(fake), part_labels, asked)
            )

        def generator_objective() -> tuple[Tensor, tuple[Tensor, dict[str, Tensor]]]:
            # One pass through the generator serves both updates. The discriminator learns on the
            # images as they are, and the generator is then judged by the updated discriminator.
            fake, asked = self._generate_fakes(real, labels, self.training_noise, True)
            logs = self._update_discriminator(real, ops.stop_gradient(fake), labels, asked)
            judged = self._judge(packed(fake, self.pack), labels, training=True)
            reference = None
            if self.adversarial_loss.generator_needs_real_logits:
                reference = self._judge(packed(real, self.pack), labels, training=True)
            loss = self._generator_loss(reference, judged, asked) + _regularisation(self.generator)
            return self.optimizer.generator_optimizer.scale_loss(loss), (loss, logs)

        variables = self.generator.trainable_variables
        gradient, (loss, logs) = _backend.gradients(generator_objective, variables)
        norm = _gradient_norm(gradient, self.optimizer.generator_optimizer)
        _backend.apply(self.optimizer.generator_optimizer, gradient, variables)
        self._update_average()
        return self._logs(
            real,
            generator_loss=loss,
            generator_gradient_norm=norm,
            **_mean_logs([*discriminator_logs, logs]),
        )

    def _update_discriminator(
        self, real: Tensor, fake: Tensor, labels: Tensor | None, asked: Tensor | None
    ) -> dict[str, Tensor]:
        needed = gradients_needed(self.penalties)

        def objective() -> tuple[Tensor, dict[str, Tensor]]:
            real_verdict, real_gradient = self._examine(real, labels, "real" in needed)
            fake_verdict, fake_gradient = self._examine(fake, labels, "fake" in needed)
            loss, logs = self._discriminator_loss(real_verdict, fake_verdict, labels, asked)
            loss = loss + _regularisation(self.discriminator)
            judged = Judged(
                real,
                fake,
                real_verdict[0],
                fake_verdict[0],
                real_gradient,
                fake_gradient,
                gradient_at=lambda images: self._examine(images, labels, with_gradient=True)[1],
                noise=self.training_noise,
            )
            logs["discriminator_loss"] = loss
            for penalty in self.penalties:
                value = self._penalty(penalty, judged)
                loss = loss + penalty.weight * value
                logs[penalty.name] = value
            if self.augmentation is not None:
                # Every image of a pack has the pack's score.
                scores = ops.repeat(ops.stop_gradient(real_verdict[0]), self.pack, axis=0)
                logs.update(self.augmentation.observe(scores))
            return self.optimizer.discriminator_optimizer.scale_loss(loss), logs

        real, fake = packed(real, self.pack), packed(fake, self.pack)
        variables = self.discriminator.trainable_variables
        gradient, logs = _backend.gradients(objective, variables)
        norm = _gradient_norm(gradient, self.optimizer.discriminator_optimizer)
        _backend.apply(self.optimizer.discriminator_optimizer, gradient, variables)
        return {**logs, "discriminator_gradient_norm": norm}

    def _discriminator_loss(
        self, real: Verdict, fake: Verdict, labels: Tensor | None, asked: Tensor | None
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """What it minimises on the images themselves, and the logs."""
        (real_logits, real_found), (fake_logits, fake_found) = real, fake
        loss = self.adversarial_loss.discriminator_loss(real_logits, fake_logits)
        _check_is_scalar("discriminator_loss", self.adversarial_loss, loss)
        logs = _scores(real_logits, fake_logits)
        if self.has_second_output:
            auxiliary, told = self._auxiliary_loss(real_found, fake_found, labels, asked)
            loss = loss + self.auxiliary_weight * auxiliary
            logs.update(told)
        return loss, logs

    def _generator_loss(self, real: Verdict | None, fake: Verdict, asked: Tensor | None) -> Tensor:
        """What it minimises; the verdict on the real images may be left out if it is not needed."""
        fake_logits, fake_found = fake
        loss = self.adversarial_loss.generator_loss(fake_logits, None if real is None else real[0])
        _check_is_scalar("generator_loss", self.adversarial_loss, loss)
        if self.has_second_output:
            loss = loss + self.auxiliary_weight * self._unlikelihood(fake_found, asked)
        return loss

    # What a second output is for. Here it is the logits of the classes: an auxiliary classifier.

    _auxiliary_logs: tuple[str, ...] = ("classification_loss", "class_accuracy")

    def _auxiliary_loss(
        self, real_found: Tensor, fake_found: Tensor, labels: Tensor | None, asked: Tensor
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """What the discriminator pays for its second output, and the logs."""
        loss = self._unlikelihood(real_found, labels) + self._unlikelihood(fake_found, asked)
        found = ops.cast(ops.argmax(fake_found, axis=-1), "int32")
        right = ops.cast(ops.equal(found, ops.reshape(asked, (-1,))), "float32")
        return loss, {"classification_loss": loss, "class_accuracy": ops.mean(right)}

    def _unlikelihood(self, found: Tensor, asked: Tensor | None) -> Tensor:
        """How unlikely the second output takes what it was to find: minus the log, the mean."""
        labels = ops.reshape(asked, (-1,))
        return ops.mean(ops.sparse_categorical_crossentropy(labels, found, from_logits=True))

    def _penalty(self, penalty: Penalty, judged: Judged) -> Tensor:
        def value_of(judged: Judged) -> Tensor:
            value = penalty.value(judged)
            _check_is_scalar("value", penalty, value)
            return value

        if penalty.interval == 1:
            return value_of(judged)

        def value() -> Tensor:
            gradients = {
                f"{at}_gradient": judged.gradient_at(getattr(judged, at))
                for at in penalty.gradients
            }
            return penalty.interval * value_of(judged._replace(**gradients))

        updates = self.optimizer.discriminator_optimizer.iterations
        return _backend.now_and_then(ops.equal(ops.mod(updates, penalty.interval), 0), value)

    def _update_average(self) -> None:
        if self.averaged_generator is None:
            return
        self.averaged_updates.assign_add(1.0)
        updates = self.averaged_updates.value
        decay = ops.minimum(self.ema_decay, (1.0 + updates) / (10.0 + updates))
        _backend.average_into(
            self.averaged_generator.variables, self.generator.variables, 1.0 - decay
        )

    def evaluation_step(self, data: Any) -> dict[str, Tensor]:
        """Measures both losses on one batch of held-out images, changing nothing."""
        real, labels = self._unpack(data)
        fake, asked = self._generate_fakes(real, labels, self.evaluation_noise, training=False)
        real_verdict, fake_verdict = (
            self._judge(packed(images, self.pack), labels, training=False)
            for images in (real, fake)
        )
        loss, logs = self._discriminator_loss(real_verdict, fake_verdict, labels, asked)
        generator_loss = self._generator_loss(real_verdict, fake_verdict, asked)
        told = {
            "discriminator_loss": loss + _regularisation(self.discriminator),
            "generator_loss": generator_loss + _regularisation(self.generator),
            **logs,
        }
        means = self._logs(real, **told)
        return {name: mean for name, mean in means.items() if name in told}

    def _generate_fakes(
        self, real: Tensor, labels: Tensor | None, noise: Any, training: bool
    ) -> tuple[Tensor, Tensor | None]:
        """As many fake images as there are real ones, and what a second output is to find there."""
        latents = self._sample_latents(ops.shape(real)[0], noise)
        tensors = [latents, labels] if self.is_conditional else [latents]
        images = _backend.run(self.generator, tensors, training)
        return ops.cast(images, "float32"), self._asked(latents, labels)

    def _sample_latents(self, count: Any, noise: Any) -> Tensor:
        """Latents of training, `(count, latent_dim)`."""
        return for_batch(keras.random.normal, count, self.latent_dim, noise=noise)

    def _asked(self, latents: Tensor, labels: Tensor | None) -> Tensor | None:
        """What was asked of the generator that a second output is to find in its images."""
        del latents
        return labels

    def _examine(
        self, images: Tensor, labels: Tensor | None, with_gradient: bool
    ) -> tuple[Verdict, Tensor | None]:
        """The verdict in training, and the gradient of its logits with respect to the images."""
        if not with_gradient:
            return self._judge(images, labels, training=True), None
        gradient, verdict = _backend.input_gradient(
            lambda images: self._judge(images, labels, training=True), images
        )
        return verdict, gradient

    def _judge(self, images: Tensor, labels: Tensor | None, training: bool) -> Verdict:
        """What the discriminator says of images, packed as it takes them: all its outputs."""
        if training and self.augmentation is not None:
            images = unpacked(images, self.pack)
            images = packed(self.augmentation.augment(images, self.training_noise), self.pack)
        takes_labels = len(self.discriminator.inputs) == 2
        tensors = [images, _as_input(labels, self.discriminator)] if takes_labels else [images]
        outputs = _backend.run(self.discriminator, tensors, training)
        logits, found = outputs if self.has_second_output else (outputs, None)
        return ops.cast(logits, "float32"), None if found is None else ops.cast(found, "float32")

    def _unpack(self, data: Any) -> tuple[Tensor, Tensor | None]:
        images, labels = data_checks.split_batch(data)
        data_checks.check_batch(tuple(images.shape), images.dtype, labels is not None, model=self)
        # On PyTorch, train_on_batch hands arrays through.
        images = ops.cast(ops.convert_to_tensor(images), "float32")
        if not self.is_conditional:
            return images, None
        return images, _as_input(ops.cast(labels, "int32"), self.generator)

    def _split(self, images: Tensor, labels: Tensor | None) -> list[tuple[Tensor, Tensor | None]]:
        steps = self.discriminator_steps
        data_checks.check_divides(images.shape[0], steps, self.pack)
        if steps == 1:
            return [(images, labels)]
        # Dealt out, not cut: each of several devices can then do so with the images it has, and
        # all together have the parts that one device would have.
        return [
            (images[first::steps], None if labels is None else labels[first::steps])
            for first in range(steps)
        ]

    def _logs(self, images: Tensor, **values: Tensor) -> dict[str, Tensor]:
        """The running means, with the values of one more batch in them."""
        # Weighted, so that a short last batch counts for what it is.
        self._means.update_state(values, weight=ops.shape(images)[0])
        return self.get_metrics_result()

    def _check_data(self, x: Any, y: Any, training: bool, **options: Any) -> None:
        steps = self.discriminator_steps if training else 1
        devices = _backend.devices(self)
        data_checks.check_data(x, y, model=self, steps=steps, devices=devices, **options)

    def _check_trains(self) -> None:
        if self.compiled:
            networks = {"generator": self.generator, "discriminator": self.discriminator}
            self.optimizer.check_trains(**networks)

    def _checked(self, x: Any, training: bool) -> Any:
        x = super()._checked(x, training)
        is_of_tensorflow = hasattr(x, "element_spec") and hasattr(x, "map")
        if self.is_conditional and is_of_tensorflow:
            return data_checks.with_labels_checked(x, self.num_classes)
        return x

    def _check_batch(self, x: Any, y: Any, training: bool) -> None:
        steps = self.discriminator_steps if training else 1
        data_checks.check_values(x, y, model=self, steps=steps, devices=_backend.devices(self))

    # ---- saving ----------------------------------------------------------------------------------

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments, for saving."""
        return {
            "generator": keras.saving.serialize_keras_object(self.generator),
            "discriminator": keras.saving.serialize_keras_object(self.discriminator),
            "num_classes": self.num_classes,
            "pack": self.pack,
            "seed": self.seed,
            "name": self.name,
            "has_average": self.averaged_generator is not None,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> "GAN":
        """The GAN that `get_config` described."""
        config = dict(config)
        has_average = config.pop("has_average")
        for role in ("generator", "discriminator"):
            config[role] = keras.saving.deserialize_keras_object(
                config[role], custom_objects=custom_objects
            )
        gan = cls(**config)
        if has_average:  # which is what samples are made by, whether it is compiled or not
            with _backend.scope(gan):
                gan._begin_average()
        return gan

    def get_compile_config(self) -> dict[str, Any] | None:
        """What `compile` was given, for saving."""
        if not self.compiled:
            return None
        return {
            "generator_optimizer": serialize(self.optimizer.generator_optimizer),
            "discriminator_optimizer": serialize(self.optimizer.discriminator_optimizer),
            "learning_rate_ratio": self.optimizer.learning_rate_ratio,
            "loss": self.adversarial_loss,
            "penalties": list(self.penalties),
            "discriminator_steps": self.discriminator_steps,
            "ema_decay": self.ema_decay,
            "augmentation": self.augmentation,
            "auxiliary_weight": self.auxiliary_weight,
            "run_eagerly": self.run_eagerly,
            "steps_per_execution": self.steps_per_execution,
            "jit_compile": self._given_jit_compile,
        }

    def compile_from_config(self, config: dict[str, Any]) -> None:
        """Compiles a loaded GAN as it was; its optimizers are built, ready for their state."""
        options = dict(keras.saving.deserialize_keras_object(config))
        ratio = options.pop("learning_rate_ratio")
        if not _backend.multiple_steps(self):  # whatever saved it could do
            options["steps_per_execution"] = 1
        self.compile(**options)
        self.optimizer.learning_rate_ratio = ratio


def _as_input(labels: Tensor, network: Any) -> Tensor:
    """Labels in the shape in which the network takes them: `(batch,)` or `(batch, 1)`."""
    return ops.reshape(labels, (-1, *network.inputs[1].shape[1:]))


def _regularisation(network: Any) -> Tensor:
    """What the network's own regularizers add to its loss."""
    return sum(network.losses, 0.0)


def _check_is_scalar(method: str, of: Any, value: Any) -> None:
    shape = tuple(getattr(value, "shape", ()))
    if shape:
        raise ValueError(
            f"Expected `{method}` of {type(of).__name__} to return a scalar, as ops.mean(...) of "
            f"all images gives. Received: a tensor of shape {shape}."
        )


def _scores(real_logits: Tensor, fake_logits: Tensor) -> dict[str, Tensor]:
    """What the discriminator makes of the two, apart from any loss."""
    # Every real image against every fake one: where 0 lies between them is up to the loss.
    margins = _by_image(real_logits) - ops.reshape(_by_image(fake_logits), (1, -1))
    return {
        "real_score": ops.mean(real_logits),
        "fake_score": ops.mean(fake_logits),
        "discriminator_accuracy": (ops.mean(ops.sign(margins)) + 1.0) / 2.0,
    }


def _by_image(logits: Tensor) -> Tensor:
    """One score for each image, `(batch, 1)`, of a discriminator that may give more."""
    if tuple(logits.shape[1:]) == (1,):
        return logits
    return ops.mean(ops.reshape(logits, (ops.shape(logits)[0], -1)), axis=1, keepdims=True)


def _mean_logs(logs: list[dict[str, Tensor]]) -> dict[str, Tensor]:
    """The means over several updates."""
    if len(logs) == 1:
        return logs[0]
    return {name: ops.mean(ops.stack([each[name] for each in logs])) for name in logs[0]}


def _gradient_norm(gradient: Any, optimizer: Any) -> Tensor:
    """The Euclidean length of a gradient, all variables together, before it is applied."""
    there = [ops.cast(part, "float32") for part in gradient if part is not None]
    norm = _backend.global_norm(there) / optimizer.scale_loss(1.0)
    if isinstance(optimizer, keras.optimizers.LossScaleOptimizer):
        # A step whose gradient overflowed is left out by such an optimizer: one of no length.
        norm = ops.where(ops.isfinite(norm), norm, 0.0)
    return norm

"""The generative adversarial network: two networks, and the algorithm that trains them."""

from typing import Any

import keras
import numpy as np
from keras import ops

from kgan import _backend, losses
from kgan._arguments import integer
from kgan._backend import graph
from kgan.models import checks
from kgan.models.generative_model import GenerativeModel
from kgan.models.means import Means
from kgan.models.optimizer_pair import OptimizerPair, serialize

Tensor = Any


@keras.saving.register_keras_serializable(package="kgan")
class GAN(GenerativeModel):
    """A generative adversarial network.

    A *generator* makes images from latents, random vectors; a *discriminator* scores images, high
    for real ones. Each training step updates the discriminator to tell the two apart, then the
    generator to be taken for real.

    Whether the GAN is conditional is read off its networks. One input each, `latent` and `image`,
    make it unconditional; then labels in the data are ignored. Two inputs each, `(latent, label)`
    and `(image, label)`, make it conditional; then training needs `(images, labels)`.

    The logs of `fit` and `evaluate` are means over the epoch so far: `discriminator_loss`,
    `generator_loss`; `real_score` and `fake_score`, the discriminator's mean logits;
    `discriminator_accuracy`, how often it scores a real image above a fake one, whatever the loss;
    and of training also `discriminator_gradient_norm` and `generator_gradient_norm`.

    A saved GAN takes up training where it stopped: weights, both optimizers, the state of every
    source of noise and the number of epochs trained are all in the file.

    Args:
        generator: Functional or Sequential `keras.Model` from latents, float `(batch, latent_dim)`,
            to images, float `(batch, height, width, channels)`, in [-1, 1] if nothing else is
            said. Conditional: from `[latents, labels]`, labels integer `(batch,)`.
        discriminator: Functional or Sequential `keras.Model` from such images (conditional: from
            `[images, labels]`) to logits, `(batch, 1)`: no sigmoid at its end.
        num_classes: Integer, how many classes the labels have. Needed only by a conditional
            generator in which no `Embedding` or `CategoryEncoding` layer tells it.
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
        [Mirza and Osindero, 2014](https://arxiv.org/abs/1411.1784) for conditional GANs.
    """

    def __init__(
        self,
        generator: Any,
        discriminator: Any,
        num_classes: int | None = None,
        seed: int | None = None,
        name: str | None = None,
    ) -> None:
        checks.check_networks(generator, discriminator)
        super().__init__(seed=seed, name=name)
        self.generator = generator
        self.discriminator = discriminator
        self.latent_dim: int = generator.inputs[0].shape[1]
        self.image_shape: tuple[int | None, ...] = tuple(generator.outputs[0].shape[1:])
        self.is_conditional = len(generator.inputs) == 2
        self.num_classes = checks.resolve_num_classes(generator, discriminator, num_classes)
        self.discriminator_steps = 1
        self._means = Means(
            (
                "discriminator_loss",
                "generator_loss",
                "real_score",
                "fake_score",
                "discriminator_accuracy",
                "discriminator_gradient_norm",
                "generator_gradient_norm",
            )
        )
        self.built = True

    # ---- compile ---------------------------------------------------------------------------------

    def compile(
        self,
        generator_optimizer: Any = None,
        discriminator_optimizer: Any = None,
        loss: str | losses.AdversarialLoss = "non_saturating",
        discriminator_steps: int = 1,
        **kwargs: Any,
    ) -> None:
        """Configures the training. Every argument has a default that works.

        Args:
            generator_optimizer: String or `keras.optimizers.Optimizer`. Defaults to
                `Adam(2e-4, beta_1=0.5)`.
            discriminator_optimizer: Likewise; an object of its own.
            loss: A name out of `kgan.losses.names()`, or a `kgan.losses.AdversarialLoss`.
            discriminator_steps: Integer n. Each batch is split into n equal parts, the images
                dealt out in turn, with one discriminator update on each part, then one generator
                update. The batch size must be a multiple of n.
            **kwargs: Keras's own `run_eagerly`, `steps_per_execution` and `jit_compile`.

        Raises:
            ValueError: A loss of that name is unknown, or `discriminator_steps` is no integer of
                at least 1, or both networks were given the same optimizer.

        Reference:
            [Radford et al., 2016](https://arxiv.org/abs/1511.06434) for the default optimizers.
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
        # As given: "auto" must be resolved anew on the machine that loads the model.
        self._given_jit_compile = kwargs.get("jit_compile", "auto")
        with _backend.scope(self):
            optimizer = OptimizerPair(
                self._resolve_optimizer(generator_optimizer),
                self._resolve_optimizer(discriminator_optimizer),
            )
            checks.check_same_devices(self, optimizer)
            # Built before Keras sees it: a checkpoint is loaded only into variables that exist.
            optimizer.build(
                self.generator.trainable_variables, self.discriminator.trainable_variables
            )
            super().compile(optimizer=optimizer, auto_scale_loss=False, **kwargs)

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
            for layer in network._flatten_layers()
            # These have the policy that is global where they are loaded, and compute nothing.
            if not isinstance(layer, (keras.Model, keras.layers.InputLayer))
        )

    # ---- the algorithm ---------------------------------------------------------------------------

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
            fake = self._generate_fakes(part, part_labels, self.training_noise, training=True)
            discriminator_logs.append(
                self._update_discriminator(part, ops.stop_gradient(fake), part_labels)
            )

        def generator_objective() -> tuple[Tensor, tuple[Tensor, dict[str, Tensor]]]:
            # One pass through the generator serves both updates. The discriminator learns on the
            # images as they are, and the generator is then judged by the updated discriminator.
            fake = self._generate_fakes(real, labels, self.training_noise, training=True)
            logs = self._update_discriminator(real, ops.stop_gradient(fake), labels)
            loss = self._generator_loss(real, fake, labels, training=True)
            loss += _regularisation(self.generator)
            return self.optimizer.generator_optimizer.scale_loss(loss), (loss, logs)

        variables = self.generator.trainable_variables
        gradient, (loss, logs) = _backend.gradients(generator_objective, variables)
        norm = _gradient_norm(gradient, self.optimizer.generator_optimizer)
        _backend.apply(self.optimizer.generator_optimizer, gradient, variables)
        return self._logs(
            real,
            generator_loss=loss,
            generator_gradient_norm=norm,
            **_mean_logs([*discriminator_logs, logs]),
        )

    def _update_discriminator(
        self, real: Tensor, fake: Tensor, labels: Tensor | None
    ) -> dict[str, Tensor]:
        def objective() -> tuple[Tensor, dict[str, Tensor]]:
            real_logits = self._score(real, labels, training=True)
            fake_logits = self._score(fake, labels, training=True)
            loss = self.adversarial_loss.discriminator_loss(real_logits, fake_logits)
            loss += _regularisation(self.discriminator)
            scaled = self.optimizer.discriminator_optimizer.scale_loss(loss)
            return scaled, {"discriminator_loss": loss, **_scores(real_logits, fake_logits)}

        variables = self.discriminator.trainable_variables
        gradient, logs = _backend.gradients(objective, variables)
        norm = _gradient_norm(gradient, self.optimizer.discriminator_optimizer)
        _backend.apply(self.optimizer.discriminator_optimizer, gradient, variables)
        return {**logs, "discriminator_gradient_norm": norm}

    def _generator_loss(
        self, real: Tensor, fake: Tensor, labels: Tensor | None, training: bool
    ) -> Tensor:
        fake_logits = self._score(fake, labels, training=training)
        real_logits = None
        if self.adversarial_loss.generator_needs_real_logits:
            real_logits = self._score(real, labels, training=training)
        return self.adversarial_loss.generator_loss(fake_logits, real_logits)

    def evaluation_step(self, data: Any) -> dict[str, Tensor]:
        """Measures both losses on one batch of held-out images, changing nothing."""
        real, labels = self._unpack(data)
        fake = self._generate_fakes(real, labels, self.evaluation_noise, training=False)
        real_logits = self._score(real, labels, training=False)
        fake_logits = self._score(fake, labels, training=False)
        logs = self._logs(
            real,
            discriminator_loss=self.adversarial_loss.discriminator_loss(real_logits, fake_logits),
            generator_loss=self.adversarial_loss.generator_loss(fake_logits, real_logits),
            **_scores(real_logits, fake_logits),
        )
        return {name: value for name, value in logs.items() if not name.endswith("gradient_norm")}

    def _generate_fakes(
        self, real: Tensor, labels: Tensor | None, noise: Any, training: bool
    ) -> Tensor:
        """As many fake images as there are real ones, with their labels."""
        count = ops.shape(real)[0]
        # Where several devices work out parts of a batch, each draws the noise for all and takes
        # its own: so the images get the latents that they would get on one device.
        replica, replicas = _backend.replicas()
        latents = keras.random.normal((replicas * count, self.latent_dim), seed=noise)
        if replicas > 1:
            latents = ops.reshape(latents, (replicas, count, self.latent_dim))[replica]
        return self._run(self.generator, latents, labels, training)

    def _score(self, images: Tensor, labels: Tensor | None, training: bool) -> Tensor:
        return ops.cast(self._run(self.discriminator, images, labels, training), "float32")

    def _run(self, network: Any, tensor: Tensor, labels: Tensor | None, training: bool) -> Tensor:
        tensors = [tensor, labels] if self.is_conditional else [tensor]
        return _backend.run(network, tensors, training)

    def _unpack(self, data: Any) -> tuple[Tensor, Tensor | None]:
        images, labels = checks.split_batch(data)
        checks.check_batch(tuple(images.shape), images.dtype, labels is not None, model=self)
        images = ops.convert_to_tensor(images)  # on PyTorch, train_on_batch hands arrays through
        if not self.is_conditional:
            return images, None
        expected = self.generator.inputs[1].shape[1:]
        return images, ops.reshape(ops.cast(labels, "int32"), (-1, *expected))

    def _split(self, images: Tensor, labels: Tensor | None) -> list[tuple[Tensor, Tensor | None]]:
        steps = self.discriminator_steps
        if steps == 1:
            return [(images, labels)]
        checks.check_divides(images.shape[0], steps)
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
        checks.check_data(x, y, model=self, steps=steps, devices=devices, **options)

    # ---- images ----------------------------------------------------------------------------------

    def call(self, inputs: Any, training: bool = False) -> Tensor:
        """Images from latents; conditional: from `[latents, labels]`."""
        latents, labels = inputs if self.is_conditional else (inputs, None)
        return self._run(self.generator, latents, labels, training)

    def generate(
        self,
        n: int,
        labels: Any = None,
        seed: int | None = None,
        batch_size: int = 256,
    ) -> np.ndarray:
        """Makes images.

        Args:
            n: Integer, how many.
            labels: Conditional GANs: an integer, or integers `(n,)`. Defaults to one class after
                the other, 0, 1, 2, ..., so that all are there as evenly as n allows.
            seed: Integer. The same seed gives the same latents, on every backend. Defaults to
                other latents every time. Training is not affected either way.
            batch_size: Integer, how many images are made at a time.

        Returns:
            Float32 array `(n, height, width, channels)`, in [-1, 1] for a generator that ends in
            a tanh.

        Raises:
            ValueError: `labels` are given to an unconditional GAN, out of range, or not n.
        """
        n = integer("n", n)
        latents = np.random.default_rng(seed).standard_normal((n, self.latent_dim), "float32")
        return self._images_from(latents, self.labels_for(n, labels), batch_size)

    def interpolate(
        self, n: int, steps: int = 8, labels: Any = None, seed: int | None = None
    ) -> np.ndarray:
        """Makes images along ways from one latent to another.

        A generator that has learnt the data, and not single images of it, changes them smoothly
        and every image on the way is a likely one.

        Args:
            n: Integer, how many ways.
            steps: Integer of at least 2, images on each, both ends among them.
            labels: Conditional GANs: as for `generate`, a class for each way.
            seed: Integer, chooses the ends.

        Returns:
            Float32 array `(n, steps, height, width, channels)`. The ways are arcs around the origin
            (spherical interpolation, of the directions; lengths go evenly from one to the other):
            points on a straight line between normal latents lie nearer to the origin than any that
            the generator was trained on.

        Raises:
            ValueError: As `generate`, or `steps` is less than 2.

        Reference:
            [White, 2016](https://arxiv.org/abs/1609.04468).
        """
        n, steps = integer("n", n), integer("steps", steps, least=2)
        ends = np.random.default_rng(seed).standard_normal((2, n, self.latent_dim), "float32")
        latents = _arcs(ends[0], ends[1], steps).reshape(n * steps, self.latent_dim)
        labels = self.labels_for(n, labels)
        images = self._images_from(latents, None if labels is None else np.repeat(labels, steps))
        return images.reshape(n, steps, *images.shape[1:])

    def _images_from(
        self, latents: np.ndarray, labels: np.ndarray | None, batch_size: int = 256
    ) -> np.ndarray:
        inputs: Any = latents
        if labels is not None:
            inputs = [latents, labels.reshape(-1, *self.generator.inputs[1].shape[1:])]
        size = min(len(latents), batch_size)
        if _backend.devices(self) == 1:
            return np.asarray(self.predict(inputs, batch_size=size, verbose=0), "float32")
        # `predict` would wait for the other processes, and for a number that the devices divide.
        parts = [
            _backend.predict_on_batch(
                self, keras.tree.map_structure(lambda x, at=first: x[at : at + size], inputs)
            )
            for first in range(0, len(latents), size)
        ]
        return np.concatenate(parts).astype("float32", copy=False)

    def labels_for(self, n: int, labels: Any = None) -> np.ndarray | None:
        """The labels with which `generate(n, labels)` makes its images.

        Args:
            n: Integer, how many images.
            labels: An integer, integers `(n,)`, or None for one class after the other.

        Returns:
            Int32 array `(n,)`; None for an unconditional GAN.

        Raises:
            ValueError: The labels are out of range, not n, or given to an unconditional GAN.
        """
        if not self.is_conditional:
            if labels is not None:
                raise ValueError(
                    "Expected no labels, since this GAN is unconditional. "
                    f"Received: labels={labels!r}."
                )
            return None
        if labels is None:
            if self.num_classes is None:
                raise ValueError(
                    "The number of classes cannot be told from the generator. Give labels, or "
                    "num_classes to GAN(...)."
                )
            return np.arange(n, dtype="int32") % self.num_classes
        labels = np.asarray(labels)
        checks.check_labels(labels, self.num_classes)
        if labels.ndim == 0:
            return np.full(n, labels, "int32")
        if labels.shape != (n,):
            raise ValueError(
                f"Expected one label, or {n} of them: shape ({n},). "
                f"Received: labels of shape {labels.shape}."
            )
        return labels.astype("int32")

    def export(self, filepath: Any, *args: Any, **kwargs: Any) -> Any:
        """Exports the generator for serving: `keras.Model.export`.

        Args:
            filepath: Where to.
            *args: As for `keras.Model.export`: the format, which depends on the backend. "onnx" is
                there on all of them, with what Keras says it needs installed; the default,
                "tf_saved_model", on TensorFlow, and on JAX where TensorFlow is installed.
            **kwargs: Likewise.
        """
        # Keras exports to ONNX only what has been called, and by Keras.
        zeros = [np.zeros((1, *x.shape[1:]), x.dtype) for x in self.generator.inputs]
        graph.call(self.generator, zeros, training=False)
        return self.generator.export(filepath, *args, **kwargs)

    # ---- saving ----------------------------------------------------------------------------------

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments, for saving."""
        return {
            "generator": keras.saving.serialize_keras_object(self.generator),
            "discriminator": keras.saving.serialize_keras_object(self.discriminator),
            "num_classes": self.num_classes,
            "seed": self.seed,
            "name": self.name,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> "GAN":
        """The GAN that `get_config` described."""
        config = dict(config)
        for role in ("generator", "discriminator"):
            config[role] = keras.saving.deserialize_keras_object(
                config[role], custom_objects=custom_objects
            )
        return cls(**config)

    def get_compile_config(self) -> dict[str, Any] | None:
        """What `compile` was given, for saving."""
        if not self.compiled:
            return None
        return {
            "generator_optimizer": serialize(self.optimizer.generator_optimizer),
            "discriminator_optimizer": serialize(self.optimizer.discriminator_optimizer),
            "learning_rate_ratio": self.optimizer.learning_rate_ratio,
            "loss": self.adversarial_loss,
            "discriminator_steps": self.discriminator_steps,
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


def _regularisation(network: Any) -> Tensor:
    """What the network's own regularizers add to its loss."""
    return sum(network.losses, 0.0)


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


def _arcs(start: np.ndarray, end: np.ndarray, steps: int) -> np.ndarray:
    """Points `(n, steps, latent_dim)` on the arcs from `start` to `end`, both `(n, latent_dim)`."""
    lengths = [np.linalg.norm(latents, axis=1)[:, None, None] for latents in (start, end)]
    directions = [
        latents[:, None] / length for latents, length in zip((start, end), lengths, strict=True)
    ]
    cosines = np.sum(directions[0] * directions[1], axis=2, keepdims=True)
    angles = np.arccos(np.clip(cosines, -1.0, 1.0))
    shares = np.linspace(0.0, 1.0, steps)[:, None]
    weights = np.sin((1 - shares) * angles), np.sin(shares * angles)
    points = weights[0] * directions[0] + weights[1] * directions[1]
    # Opposite directions have no one arc between them: there, the way is the straight line.
    sines = np.sin(angles)
    has_arc = sines > 1e-3
    points = points / np.where(has_arc, sines, 1.0)
    points *= (1 - shares) * lengths[0] + shares * lengths[1]
    line = (1 - shares) * start[:, None] + shares * end[:, None]
    return np.where(has_arc, points, line).astype("float32")

"""The generative adversarial network: two networks, and the algorithm that trains them."""

from typing import Any

import keras
import numpy as np
from keras import ops

from kgan import losses
from kgan._backend import ImperativeSteps, gradients
from kgan.models import checks
from kgan.models.feed import feed
from kgan.models.optimizer_pair import OptimizerPair

Tensor = Any


@keras.saving.register_keras_serializable(package="kgan")
class GAN(ImperativeSteps, keras.Model):
    """A generative adversarial network.

    A *generator* makes images from latents, random vectors; a *discriminator* scores images, high
    for real ones. Each training step updates the discriminator to tell the two apart, then the
    generator to be taken for real.

    Whether the GAN is conditional is read off its networks. One input each, `latent` and `image`,
    make it unconditional; then labels in the data are ignored. Two inputs each, `(latent, label)`
    and `(image, label)`, make it conditional; then training needs `(images, labels)`.

    The logs of `fit` and `evaluate` are means over the epoch so far: `discriminator_loss`,
    `generator_loss`, and `real_score` and `fake_score`, the discriminator's mean logits.

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
        super().__init__(name=name)
        self.generator = generator
        self.discriminator = discriminator
        self.seed = seed
        self.latent_dim: int = generator.inputs[0].shape[1]
        self.image_shape: tuple[int | None, ...] = tuple(generator.outputs[0].shape[1:])
        self.is_conditional = len(generator.inputs) == 2
        self.num_classes = checks.resolve_num_classes(generator, discriminator, num_classes)
        self.discriminator_steps = 1
        self.epochs_trained = 0
        # Held-out data gets noise of its own: validating must not change the training that follows.
        self.training_noise = keras.random.SeedGenerator(seed)
        self.evaluation_noise = keras.random.SeedGenerator(0)
        self._trackers = [
            keras.metrics.Mean(name=name)
            for name in ("discriminator_loss", "generator_loss", "real_score", "fake_score")
        ]
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
            discriminator_steps: Integer n. Each batch is split into n equal parts, with one
                discriminator update on each, then one generator update. The batch size must be a
                multiple of n.
            **kwargs: Keras's own `run_eagerly`, `steps_per_execution` and `jit_compile`.

        Raises:
            ValueError: A loss of that name is unknown, or `discriminator_steps` is no integer of
                at least 1, or both networks were given the same optimizer.

        Reference:
            [Radford et al., 2016](https://arxiv.org/abs/1511.06434) for the default optimizers.
        """
        if not isinstance(discriminator_steps, (int, np.integer)) or discriminator_steps < 1:
            raise ValueError(
                "Expected `discriminator_steps` to be an integer of at least 1. "
                f"Received: discriminator_steps={discriminator_steps!r}."
            )
        unknown = set(kwargs) - {"run_eagerly", "steps_per_execution", "jit_compile"}
        if unknown:
            raise TypeError(
                f"GAN.compile() got unexpected arguments {sorted(unknown)}. A GAN has a "
                "generator_optimizer, a discriminator_optimizer and an adversarial loss; metrics "
                "and loss weights do not apply to it."
            )
        self.adversarial_loss = losses.get(loss)
        self.discriminator_steps = int(discriminator_steps)
        # As given: "auto" must be resolved anew on the machine that loads the model.
        self._given_jit_compile = kwargs.get("jit_compile", "auto")
        optimizer = OptimizerPair(
            self._resolve_optimizer(generator_optimizer),
            self._resolve_optimizer(discriminator_optimizer),
        )
        # Built before Keras sees it: a checkpoint is loaded only into variables that exist.
        optimizer.build(self.generator.trainable_variables, self.discriminator.trainable_variables)
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
        parts = self._split(*self._unpack(data))
        for real, labels in parts[:-1]:
            fake = self._generate_fakes(real, labels, self.training_noise, training=True)
            self._update_discriminator(real, fake, labels)

        real, labels = parts[-1]

        def generator_objective() -> tuple[Tensor, Tensor]:
            # One pass through the generator serves both updates. The discriminator learns on the
            # images as they are, and the generator is then judged by the updated discriminator.
            fake = self._generate_fakes(real, labels, self.training_noise, training=True)
            self._update_discriminator(real, ops.stop_gradient(fake), labels)
            loss = self._generator_loss(real, fake, labels, training=True)
            loss += _regularisation(self.generator)
            return self.optimizer.generator_optimizer.scale_loss(loss), loss

        variables = self.generator.trainable_variables
        gradient, loss = gradients(generator_objective, variables)
        self.optimizer.generator_optimizer.apply(gradient, variables)
        self._track(real, generator_loss=loss)
        return self.get_metrics_result()

    def _update_discriminator(self, real: Tensor, fake: Tensor, labels: Tensor | None) -> None:
        def objective() -> tuple[Tensor, tuple[Tensor, Tensor, Tensor]]:
            real_logits = self._score(real, labels, training=True)
            fake_logits = self._score(fake, labels, training=True)
            loss = self.adversarial_loss.discriminator_loss(real_logits, fake_logits)
            loss += _regularisation(self.discriminator)
            scaled = self.optimizer.discriminator_optimizer.scale_loss(loss)
            return scaled, (loss, ops.mean(real_logits), ops.mean(fake_logits))

        variables = self.discriminator.trainable_variables
        gradient, (loss, real_score, fake_score) = gradients(objective, variables)
        self.optimizer.discriminator_optimizer.apply(gradient, variables)
        self._track(real, discriminator_loss=loss, real_score=real_score, fake_score=fake_score)

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
        self._track(
            real,
            discriminator_loss=self.adversarial_loss.discriminator_loss(real_logits, fake_logits),
            generator_loss=self.adversarial_loss.generator_loss(fake_logits, real_logits),
            real_score=ops.mean(real_logits),
            fake_score=ops.mean(fake_logits),
        )
        return self.get_metrics_result()

    def _generate_fakes(
        self, real: Tensor, labels: Tensor | None, noise: Any, training: bool
    ) -> Tensor:
        """As many fake images as there are real ones, with their labels."""
        latents = keras.random.normal((ops.shape(real)[0], self.latent_dim), seed=noise)
        return self._run(self.generator, latents, labels, training)

    def _score(self, images: Tensor, labels: Tensor | None, training: bool) -> Tensor:
        return ops.cast(self._run(self.discriminator, images, labels, training), "float32")

    def _run(self, network: Any, tensor: Tensor, labels: Tensor | None, training: bool) -> Tensor:
        if isinstance(network, keras.Sequential):  # which always has one input, and no `input`
            return network(tensor, training=training)
        tensors = [tensor, labels] if self.is_conditional else [tensor]
        # The inputs may have been given bare, in a list or in a dict.
        return network(keras.tree.pack_sequence_as(network.input, tensors), training=training)

    def _unpack(self, data: Any) -> tuple[Tensor, Tensor | None]:
        images, labels = checks.split_batch(data)
        checks.check_batch(tuple(images.shape), images.dtype, labels is not None, model=self)
        if not self.is_conditional:
            return images, None
        expected = self.generator.inputs[1].shape[1:]
        return images, ops.reshape(ops.cast(labels, "int32"), (-1, *expected))

    def _split(self, images: Tensor, labels: Tensor | None) -> list[tuple[Tensor, Tensor | None]]:
        steps = self.discriminator_steps
        if steps == 1:
            return [(images, labels)]
        checks.check_divides(images.shape[0], steps)
        label_parts = [None] * steps if labels is None else ops.split(labels, steps)
        return list(zip(ops.split(images, steps), label_parts, strict=True))

    def _track(self, images: Tensor, **values: Tensor) -> None:
        count = ops.shape(images)[0]  # so that a short last batch counts for what it is
        for tracker in self._trackers:
            if tracker.name in values:
                tracker.update_state(values[tracker.name], sample_weight=count)

    @property
    def metrics(self) -> list[Any]:
        """The running means behind the logs, and what a subclass adds."""
        # Keras's own `loss` would stand in every log and never be told anything.
        return [metric for metric in super().metrics if metric.name != "loss"]

    # ---- Keras's entry points --------------------------------------------------------------------

    def fit(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        epochs: int = 1,
        **kwargs: Any,
    ) -> Any:
        """Trains the GAN: `keras.Model.fit`, with the data checked before the first step.

        Args:
            x: A `kgan.data.ImageDataset` or whatever else `keras.Model.fit` takes: arrays, a
                `tf.data.Dataset`, a `PyDataset`, a generator; of `images` or `(images, labels)`
                (a generator: of `(images,)`).
                Images are float, in the range of the generator's output. Of an ImageDataset the
                GAN takes the epoch after those that it was trained, so that a reloaded GAN goes on
                with the batches it would have had.
            y: Integer `(samples,)`, the labels where `x` is an array and the GAN conditional.
            batch_size: Integer, where `x` is an array. Defaults to 32.
            epochs: Integer, as for `keras.Model.fit`: the number of the last epoch.
            **kwargs: As for `keras.Model.fit`: `callbacks`, `validation_data`, `initial_epoch`,
                ...; but `shuffle` is for arrays. Datasets shuffle themselves: the order in which
                Keras would put their batches hangs on global random state that no checkpoint
                holds.

        Returns:
            A `keras.callbacks.History`.

        Raises:
            ValueError: The data do not fit the networks, labels are missing or out of range, or
                `discriminator_steps` does not divide a batch.
        """
        for name in ("sample_weight", "class_weight"):
            if kwargs.get(name) is not None:
                raise TypeError(f"A GAN weighs all images alike. Received: {name}.")
        checks.check_data(
            x,
            y,
            model=self,
            batch_size=batch_size,
            steps=self.discriminator_steps,
            validation_split=kwargs.get("validation_split", 0.0),
        )
        kwargs["validation_data"] = self._held_out(kwargs.get("validation_data"))
        kwargs.setdefault("shuffle", hasattr(x, "shape"))
        steps = kwargs.get("steps_per_epoch")
        dataset, x = x, feed(x, epoch=lambda: self.epochs_trained, steps=steps)
        if x is not dataset:
            kwargs["steps_per_epoch"] = None
        keeper = _EpochKeeper(self, dataset)
        callbacks = kwargs.pop("callbacks", None)
        if isinstance(callbacks, keras.callbacks.CallbackList):
            callbacks.callbacks.insert(0, keeper)
        else:
            given = callbacks if isinstance(callbacks, (list, tuple)) else [callbacks]
            callbacks = [keeper, *(callback for callback in given if callback is not None)]
        try:
            return super().fit(x, y, batch_size, epochs, callbacks=callbacks, **kwargs)
        finally:
            if isinstance(callbacks, keras.callbacks.CallbackList):
                callbacks.callbacks.remove(keeper)

    def _held_out(self, data: Any) -> Any:
        """Validation data as `fit` takes them, checked."""
        if data is None:
            return None
        x, y = checks.split_batch(data) if isinstance(data, (list, tuple)) else (data, None)
        checks.check_data(x, y, model=self)
        return feed(data, epoch=lambda: 0)

    def evaluate(self, x: Any = None, *args: Any, **kwargs: Any) -> Any:
        """Measures the losses on held-out images: `keras.Model.evaluate`.

        The same images get the same latents each time, so that a change in the figures is one of
        the networks. For that, an ImageDataset is read as in its epoch 0.
        """
        self.evaluation_noise.state.assign([0, 0])
        return super().evaluate(feed(x, epoch=lambda: 0), *args, **kwargs)

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
        if not isinstance(n, (int, np.integer)) or n < 1:
            raise ValueError(f"Expected `n` to be an integer of at least 1. Received: n={n!r}.")
        latents = np.random.default_rng(seed).standard_normal((n, self.latent_dim), "float32")
        inputs: Any = latents
        if self.is_conditional:
            label_shape = self.generator.inputs[1].shape[1:]
            inputs = [latents, self.labels_for(n, labels).reshape(n, *label_shape)]
        elif labels is not None:
            raise ValueError(
                f"Expected no labels, since this GAN is unconditional. Received: labels={labels!r}."
            )
        images = self.predict(inputs, batch_size=min(n, batch_size), verbose=0)
        return np.asarray(images, "float32")

    def labels_for(self, n: int, labels: Any = None) -> np.ndarray:
        """The labels with which a conditional GAN's `generate(n, labels)` makes its images.

        Args:
            n: Integer, how many images.
            labels: An integer, integers `(n,)`, or None for one class after the other.

        Returns:
            Int32 array `(n,)`.

        Raises:
            ValueError: The labels are out of range or not n.
        """
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
        """Exports the generator for serving: `keras.Model.export`."""
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
            "generator_optimizer": self.optimizer.generator_optimizer,
            "discriminator_optimizer": self.optimizer.discriminator_optimizer,
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
        self.compile(**options)
        self.optimizer.learning_rate_ratio = ratio

    def _noise_states(self) -> list[Any]:
        """Every random generator's state: the GAN's latents, the networks' dropout."""
        return [v for v in self.variables if v.name == "seed_generator_state"]

    def save_own_variables(self, store: Any) -> None:
        """Stores what Keras's files leave out: the noise's states and the count of epochs."""
        super().save_own_variables(store)
        for index, state in enumerate(self._noise_states()):
            store[f"noise_{index}"] = ops.convert_to_numpy(state)
        store["epochs_trained"] = np.asarray(self.epochs_trained, "int64")

    def load_own_variables(self, store: Any) -> None:
        """Loads what `save_own_variables` stored."""
        # Those that Keras's own version stored are numbered.
        numbered = [key for key in store.keys() if key.isdigit()]  # noqa: SIM118  (no dict)
        super().load_own_variables({key: store[key] for key in numbered})
        for index, state in enumerate(self._noise_states()):
            state.assign(store[f"noise_{index}"])
        self.epochs_trained = int(np.asarray(store["epochs_trained"]))


def _regularisation(network: Any) -> Tensor:
    """What the network's own regularizers add to its loss."""
    return sum(network.losses, 0.0)


class _EpochKeeper(keras.callbacks.Callback):
    """Counts the epochs that a GAN was trained, and keeps its dataset in step with the count."""

    def __init__(self, gan: GAN, dataset: Any) -> None:
        super().__init__()
        self.gan = gan
        self.dataset = dataset

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        del epoch, logs
        self._tell_dataset()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        # First in the list of callbacks, so that a checkpoint written by another counts this one.
        del epoch, logs
        self.gan.epochs_trained += 1
        self._tell_dataset()

    def _tell_dataset(self) -> None:
        if hasattr(self.dataset, "epoch"):
            self.dataset.epoch = self.gan.epochs_trained

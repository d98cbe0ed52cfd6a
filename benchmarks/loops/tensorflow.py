"""The plain loops in TensorFlow: one compiled step with gradient tapes, on Keras's layers and Adam.

See `loops`.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

import kgan
from loops import ADAM_OF_GAN, ADAM_OF_VAE, Adam


class PlainLoop:
    """The part that the loops of all families share."""

    losses = 0  # how many a step returns

    def __init__(
        self,
        network: str,
        weights: Sequence[np.ndarray],
        latent_dim: int,
        width: int,
        dropout: float = 0.3,
    ) -> None:
        make = getattr(kgan.networks, network)
        self.networks = tuple(make(latent_dim=latent_dim, width=width))
        remaining = list(weights)
        for each in self.networks:
            count = len(each.weights)
            each.set_weights(remaining[:count])
            del remaining[:count]
            for layer in each.layers:
                if isinstance(layer, keras.layers.Dropout):
                    layer.rate = dropout
        self.latent_dim = latent_dim
        self.totals = tf.Variable(tf.zeros(self.losses))
        # Keras makes the same choice for kgan: XLA where there is a GPU.
        self._compiled = tf.function(self._counted_step, jit_compile=device()[1])

    def weights(self) -> list[np.ndarray]:
        """Returns all weights, in the order and layout in which they were given."""
        return [weight for network in self.networks for weight in network.get_weights()]

    def place(self, images: np.ndarray) -> Any:
        """Puts float images, NHWC, where the steps run."""
        return tf.constant(images)

    def step(self, images: Any, noise: Any = None) -> tuple[Any, ...]:
        """Trains on one batch that `place` has placed, and returns the losses."""
        return self._compiled(images, noise)

    def train(self, batches: Iterable[np.ndarray]) -> tuple[float, ...]:
        """Trains on batches of bytes, NHWC, and returns the mean losses."""
        self.totals.assign(tf.zeros(self.losses))
        count = 0
        for pixels in batches:
            self._compiled(tf.constant(pixels), None)
            count += 1
        return tuple((self.totals / count).numpy().tolist())

    def _counted_step(self, images: Any, noise: Any) -> tuple[Any, ...]:
        if noise is None:
            noise = tf.random.normal((images.shape[0], self.latent_dim))
        losses = self._stated_step(images, noise)
        self.totals.assign_add(losses)
        return losses

    def _stated_step(self, images: Any, noise: Any) -> tuple[Any, ...]:
        raise NotImplementedError


class PlainGAN(PlainLoop):
    """The loop of a GAN."""

    losses = 2

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.adams = [_adam(ADAM_OF_GAN, network.trainable_variables) for network in self.networks]

    def _stated_step(self, images: Any, noise: Any) -> tuple[Any, Any]:
        generator, discriminator = self.networks
        real = images
        if images.dtype == tf.uint8:
            real = tf.cast(images, tf.float32) * (2 / 255) - 1
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(_values(generator))
            fake = generator(noise, training=True)
        with tf.GradientTape(watch_accessed_variables=False) as inner:
            inner.watch(_values(discriminator))
            real_logits = discriminator(real, training=True)
            fake_logits = discriminator(fake, training=True)
            loss = tf.reduce_mean(tf.nn.softplus(-real_logits))
            loss += tf.reduce_mean(tf.nn.softplus(fake_logits))
        gradient = inner.gradient(loss, _values(discriminator))
        self.adams[1].apply(gradient, discriminator.trainable_variables)

        with tf.GradientTape(watch_accessed_variables=False) as outer:
            outer.watch(fake)
            fake_logits = discriminator(fake, training=True)
            generator_loss = tf.reduce_mean(tf.nn.softplus(-fake_logits))
        gradient = tape.gradient(fake, _values(generator), outer.gradient(generator_loss, fake))
        self.adams[0].apply(gradient, generator.trainable_variables)
        return loss, generator_loss


class PlainVAE(PlainLoop):
    """The loop of a VAE."""

    losses = 3

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.variables = [v for network in self.networks for v in network.trainable_variables]
        self.adam = _adam(ADAM_OF_VAE, self.variables)

    def _stated_step(self, images: Any, noise: Any) -> tuple[Any, Any, Any]:
        encoder, decoder = self.networks
        if images.dtype == tf.uint8:
            is_on = tf.random.uniform(images.shape) < tf.cast(images, tf.float32) / 255
            images = tf.where(is_on, 1.0, -1.0)
        values = [variable.value for variable in self.variables]
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(values)
            mean, log_variance = encoder(images, training=True)
            logits = decoder(mean + tf.exp(0.5 * log_variance) * noise, training=True)
            cross_entropy = tf.nn.sigmoid_cross_entropy_with_logits(0.5 * images + 0.5, logits)
            reconstruction = tf.reduce_mean(tf.reduce_sum(cross_entropy, (1, 2, 3)))
            divergence = 0.5 * (mean**2 + tf.exp(log_variance) - 1.0 - log_variance)
            kl = tf.reduce_mean(tf.reduce_sum(divergence, 1))
            loss = reconstruction + kl
        self.adam.apply(tape.gradient(loss, values), self.variables)
        return loss, reconstruction, kl


LOOPS = {"dcgan": PlainGAN, "mlp": PlainGAN, "dense_vae": PlainVAE}


def _adam(numbers: Adam, variables: Sequence[Any]) -> Any:
    adam = keras.optimizers.Adam(numbers.learning_rate, *numbers.betas, epsilon=numbers.epsilon)
    adam.build(variables)
    return adam


def _values(network: Any) -> list[Any]:
    return [variable.value for variable in network.trainable_variables]


def compiled_step(model: Any, batch: Any) -> Callable[[int], None]:
    step = tf.function(model.train_step, jit_compile=model.jit_compile)
    placed = tf.nest.map_structure(tf.constant, batch)

    def run(count: int) -> None:
        for _ in range(count):
            logs = step(placed)
        wait(tuple(logs.values()))

    return run


def wait(losses: Sequence[Any]) -> None:
    float(losses[0])


def device() -> tuple[str, bool]:
    gpus = tf.config.list_physical_devices("GPU")
    if not gpus:
        return "CPU", False
    return tf.config.experimental.get_device_details(gpus[0]).get("device_name", "GPU"), True


def peak_memory() -> int | None:
    if not tf.config.list_physical_devices("GPU"):
        return None
    return int(tf.config.experimental.get_memory_info("GPU:0")["peak"])

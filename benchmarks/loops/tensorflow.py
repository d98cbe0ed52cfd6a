"""The plain loop in TensorFlow: one compiled step with two tapes, on Keras's layers and Adam."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

import kgan
from loops import BETAS, EPSILON, LEARNING_RATE


class PlainLoop:
    """See `loops`."""

    def __init__(
        self,
        network: str,
        weights: Sequence[np.ndarray],
        latent_dim: int,
        width: int,
        dropout: float = 0.3,
    ) -> None:
        make = getattr(kgan.networks, network)
        self.generator, self.discriminator = make(latent_dim=latent_dim, width=width)
        for layer in self.discriminator.layers:
            if isinstance(layer, keras.layers.Dropout):
                layer.rate = dropout
        count = len(self.generator.weights)
        self.generator.set_weights(weights[:count])
        self.discriminator.set_weights(weights[count:])
        self.latent_dim = latent_dim
        self.adams = [
            keras.optimizers.Adam(LEARNING_RATE, *BETAS, epsilon=EPSILON) for _ in range(2)
        ]
        self.adams[0].build(self.generator.trainable_variables)
        self.adams[1].build(self.discriminator.trainable_variables)
        self.totals = tf.Variable(tf.zeros(2))
        # Keras chooses as much for kgan: XLA where there is a GPU.
        self._step = tf.function(self._stated_step, jit_compile=device()[1])

    def weights(self) -> list[np.ndarray]:
        """All weights, in the order and the layout in which they were given."""
        return [*self.generator.get_weights(), *self.discriminator.get_weights()]

    def place(self, images: np.ndarray) -> Any:
        """Puts float images, NHWC, where the steps run."""
        return tf.constant(images)

    def _stated_step(self, real: Any, latents: Any) -> tuple[Any, Any]:
        if real.dtype == tf.uint8:
            real = tf.cast(real, tf.float32) * (2 / 255) - 1
        if latents is None:
            latents = tf.random.normal((real.shape[0], self.latent_dim))
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(_values(self.generator))
            fake = self.generator(latents, training=True)
        with tf.GradientTape(watch_accessed_variables=False) as inner:
            inner.watch(_values(self.discriminator))
            real_logits = self.discriminator(real, training=True)
            fake_logits = self.discriminator(fake, training=True)
            loss = tf.reduce_mean(tf.nn.softplus(-real_logits))
            loss += tf.reduce_mean(tf.nn.softplus(fake_logits))
        theirs = self.discriminator.trainable_variables
        self.adams[1].apply(inner.gradient(loss, _values(self.discriminator)), theirs)

        with tf.GradientTape(watch_accessed_variables=False) as outer:
            outer.watch(fake)
            fake_logits = self.discriminator(fake, training=True)
            wrong = tf.reduce_mean(tf.nn.softplus(-fake_logits))
        gradient = tape.gradient(fake, _values(self.generator), outer.gradient(wrong, fake))
        self.adams[0].apply(gradient, self.generator.trainable_variables)
        self.totals.assign_add([loss, wrong])
        return loss, wrong

    def step(self, real: Any, latents: Any = None) -> tuple[Any, Any]:
        """Trains on one batch that `place` has placed; the two losses."""
        return self._step(real, latents)

    def train(self, batches: Iterable[np.ndarray]) -> tuple[float, float]:
        """Trains on batches of bytes, NHWC; the means of the two losses."""
        self.totals.assign(tf.zeros(2))
        count = 0
        for pixels in batches:
            self._step(tf.constant(pixels), None)
            count += 1
        discriminator_loss, generator_loss = (self.totals / count).numpy().tolist()
        return discriminator_loss, generator_loss


def _values(network: Any) -> list[Any]:
    return [variable.value for variable in network.trainable_variables]


def compiled_step(gan: Any, images: np.ndarray) -> Callable[[int], None]:
    step = tf.function(gan.train_step, jit_compile=gan.jit_compile)
    placed = tf.constant(images)

    def run(count: int) -> None:
        for _ in range(count):
            logs = step(placed)
        float(logs["generator_loss"])

    return run


def device() -> tuple[str, bool]:
    gpus = tf.config.list_physical_devices("GPU")
    if not gpus:
        return "CPU", False
    return tf.config.experimental.get_device_details(gpus[0]).get("device_name", "GPU"), True


def peak_memory() -> int | None:
    if not tf.config.list_physical_devices("GPU"):
        return None
    return int(tf.config.experimental.get_memory_info("GPU:0")["peak"])

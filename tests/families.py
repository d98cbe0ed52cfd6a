"""The families of models that test_families.py tests, one tiny model of each.

Also a script, so that the same models can be trained and loaded in other processes:

`python families.py load FOLDER` trains every model in the folder for an epoch and saves its state;
`python families.py devices FOLDER` trains every family on two devices and saves its state.

A new family needs an entry in `FAMILIES`.
"""

# ruff: noqa: I001

import contextlib
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import kgan  # sets TensorFlow's switches, so it stands first
import keras
import numpy as np

SHAPE = (8, 8, 1)
LATENT = 4
BATCH = 16


@dataclass(frozen=True)
class Family:
    """A tiny model of a family, and the data it trains on.

    Args:
        make: Makes the model, not compiled; called with `num_classes` if `conditional`.
        options: Arguments for `compile`.
        data: Arguments for `ImageDataset`.
        conditional: Whether it takes labels.
        averages: Whether `compile` takes `ema_decay`.
        by_batch: Whether the loss of a batch depends on each device's part of it, as batch
            statistics do: then several devices train something else.
        rounding: The relative difference between states that rounding on several devices may make.
        second: The kind of second images in the data: "pairs", "domains" or None.
    """

    make: Callable[..., kgan.training.GenerativeModel]
    options: dict[str, Any] = field(default_factory=dict)
    data: dict[str, Any] = field(default_factory=dict)
    conditional: bool = False
    averages: bool = True
    by_batch: bool = False
    rounding: float = 1e-3
    second: str | None = None

    def build(self, **options):
        """The model, compiled."""
        keras.utils.set_random_seed(1)
        model = self.make(num_classes=3) if self.conditional else self.make()
        model.compile(**{**self.options, **options})
        return model

    def dataset(self, count=96, seed=5, **options):
        random = np.random.default_rng(0)
        images = random.integers(0, 256, (count, 8, 8), dtype="uint8")
        options = {"batch_size": BATCH, "seed": seed, **self.data, **options}
        if self.second is not None:
            others = random.integers(0, 256, (count, 8, 8), dtype="uint8")
            make = {"pairs": kgan.data.PairedDataset, "domains": kgan.data.UnpairedDataset}
            return make[self.second](images, others, **options)
        labels = (np.arange(count) % 3).astype("int32")
        return kgan.data.ImageDataset(images, labels, **options)


def samples(model, n=2, seed=0, **options):
    """Images that a model makes: samples, or translations of the same images."""
    if isinstance(model, kgan.training.capabilities.Generates):
        return model.generate(n, seed=seed, **options)
    images = np.random.default_rng(seed).uniform(-1, 1, (n, *SHAPE)).astype("float32")
    return model.translate(images, **options)


def gan(num_classes=None):
    """Networks without what is another thing on several devices: batch statistics and dropout."""
    generator, _ = kgan.networks.mlp(SHAPE, latent_dim=LATENT, width=4, num_classes=num_classes)
    inputs = image = keras.Input(SHAPE)
    x = keras.layers.Flatten()(image)
    if num_classes is not None:
        label = keras.Input((), dtype="int32")
        x = keras.layers.Concatenate()([x, keras.layers.Embedding(num_classes, 4)(label)])
        inputs = [image, label]
    x = keras.layers.Dense(8, activation="leaky_relu")(x)
    return kgan.GAN(generator, keras.Model(inputs, keras.layers.Dense(1)(x)), seed=3)


def info_gan():
    networks = kgan.networks.dcgan(SHAPE, latent_dim=LATENT + 3 + 1, width=4, codes=3 + 2)
    return kgan.InfoGAN(*networks, categorical=(3,), continuous=1, seed=3)


def progressive_gan():
    """Without batch statistics; it grows and fades within the epochs of these tests."""
    networks = kgan.networks.progressive(SHAPE, LATENT, width=4, group_size=None)
    return kgan.ProgressiveGAN(*networks, seed=3)


def vae(num_classes=None, likelihood="bernoulli"):
    networks = kgan.networks.dense_vae(
        SHAPE, LATENT, num_classes=num_classes, width=8, blocks=1, likelihood=likelihood
    )
    return kgan.VAE(*networks, likelihood=likelihood, seed=3)


def pixel_cnn(likelihood="discretized_logistic_mixture", num_classes=None):
    networks = kgan.networks.pixel_cnn(
        SHAPE, num_classes, likelihood=likelihood, width=4, blocks=1, first_kernel_size=(2, 3)
    )
    return kgan.PixelCNN(*networks, likelihood=likelihood, seed=3)


def pixel_rnn():
    """With many levels, so that a single step of training changes samples."""
    likelihood = "discretized_logistic_mixture"
    networks = kgan.networks.pixel_rnn(SHAPE, likelihood=likelihood, width=4, layers=1)
    return kgan.PixelRNN(*networks, likelihood=likelihood, seed=3)


def pix2pix():
    return kgan.Pix2Pix(*kgan.networks.pix2pix(SHAPE, width=4, dropout=0.2), seed=3)


def cycle_gan(buffer_size):
    networks = kgan.networks.cyclegan(
        SHAPE, translator="unet", depth=1, width=4, receptive_field=16
    )
    return kgan.CycleGAN(*networks, buffer_size=buffer_size, seed=3)


FAMILIES = {
    "gan": Family(gan, {"penalties": ["r1", "lecam"]}),
    "conditional_gan": Family(
        gan, {"discriminator_steps": 2, "loss": "relativistic"}, conditional=True
    ),
    "info_gan": Family(info_gan, by_batch=True),
    "progressive_gan": Family(progressive_gan, {"stable_images": 40, "fade_images": 200}),
    "vae": Family(vae, {"warm_up": 4, "free_bits": 0.1}, {"binarize": "dynamic"}),
    "iwae": Family(vae, {"importance_samples": 3}, {"binarize": "static"}, conditional=True),
    "pixel_cnn": Family(pixel_cnn),
    "conditional_pixel_cnn": Family(
        lambda num_classes: pixel_cnn("discretized_logistic", num_classes), conditional=True
    ),
    # Dropout is different on each device.
    "pix2pix": Family(pix2pix, {"penalties": "r1"}, by_batch=True, second="pairs"),
    # A buffer that fills within the second epoch; several devices would keep other images in it.
    "cycle_gan": Family(lambda: cycle_gan(20), second="domains", by_batch=True),
    "cycle_gan_of_states": Family(
        lambda: cycle_gan(0),
        {"penalties": ["lecam"], "identity_weight": 0.0},
        rounding=1e-2,  # it grows where an absolute value changes its slope
        second="domains",
    ),
    "pixel_rnn": Family(pixel_rnn),
    "vae_of_levels": Family(lambda: vae(likelihood="discretized_logistic"), {"beta": 2.0}),
}


def state(model):
    """All that a model consists of, by names that are the same in every process."""
    variables = [*model.variables, *model.optimizer.variables]
    return {
        f"{number:03}": keras.ops.convert_to_numpy(variable)
        for number, variable in enumerate(variables)
    }


def load(folder):
    for name, family in FAMILIES.items():
        model = keras.saving.load_model(folder / f"{name}.keras")
        model.fit(family.dataset(), initial_epoch=1, epochs=2, verbose=0)
        np.savez(folder / f"{name}-loaded.npz", **state(model))


def devices(folder):
    scope = two_devices()
    for name, family in FAMILIES.items():
        with scope():
            model = family.build()
            model.fit(family.dataset(), epochs=1, verbose=0)
        np.savez(folder / f"{name}-devices.npz", **state(model))


def two_devices():
    """Makes a context in which models are made for two devices, each time it is called."""
    if keras.backend.backend() == "jax":
        distribution = keras.distribution.DataParallel(devices=keras.distribution.list_devices())
        keras.distribution.set_distribution(distribution)
        return contextlib.nullcontext
    import tensorflow as tf

    cpu = tf.config.list_physical_devices("CPU")[0]
    half = tf.config.LogicalDeviceConfiguration()
    tf.config.set_logical_device_configuration(cpu, [half, half])
    return tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"]).scope


if __name__ == "__main__":
    {"load": load, "devices": devices}[sys.argv[1]](Path(sys.argv[2]))

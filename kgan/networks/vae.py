"""Encoders and decoders of variational autoencoders."""

from collections.abc import Sequence
from typing import NamedTuple

import keras
from keras import layers

from kgan import likelihoods
from kgan._arguments import integer
from kgan._typing import Network, Tensor
from kgan.networks import conditioning, pyramid


class VAENetworks(NamedTuple):
    """The networks of a `kgan.VAE`.

    Attributes:
        encoder: From images (and labels) to `[mean, log_variance]`, both float32
            `(batch, latent_dim)`.
        decoder: From latents (and labels) to the outputs of a likelihood, float32
            `(batch, height, width, channels * outputs_per_channel)`.
    """

    encoder: Network
    decoder: Network


def dense_vae(
    image_shape: Sequence[int] = (28, 28, 1),
    latent_dim: int = 40,
    num_classes: int | None = None,
    width: int = 300,
    blocks: int = 2,
    likelihood: str | likelihoods.Likelihood = "bernoulli",
) -> VAENetworks:
    """An encoder and a decoder of dense residual blocks, for small images.

    Both start with a dense layer and SiLU. Then each block adds to its input `x` the output of two
    layers, `Dense(silu(Dense(x)))`. On digits these networks reach higher likelihoods than plain
    dense or convolutional ones of the same cost.

    Args:
        image_shape: Three integers, `(height, width, channels)`.
        latent_dim: Integer, the size of the latents.
        num_classes: Integer, makes both networks conditional on a label below it. Defaults to
            unconditional ones.
        width: Integer, units of each hidden layer.
        blocks: Integer, residual blocks of each network.
        likelihood: As for `kgan.VAE`: it decides how many outputs the decoder has for each pixel.

    Returns:
        `(encoder, decoder)`, a `VAENetworks`.

    Raises:
        ValueError: A size is not an integer of at least 1, or the likelihood is unknown.

    Example:
    ```python
    vae = kgan.VAE(*kgan.networks.dense_vae((28, 28, 1), latent_dim=40))
    ```

    Reference:
        [Kingma and Welling, 2014](https://arxiv.org/abs/1312.6114), whose networks have one hidden
        layer.
    """
    shape = conditioning.check_sizes(
        image_shape, latent_dim=latent_dim, num_classes=num_classes, width=width, blocks=blocks
    )
    inputs, image, label = _image_inputs(shape, num_classes)
    x = _with_label(layers.Flatten()(image), label, num_classes)
    encoder = keras.Model(inputs, _posterior(_hidden(x, width, blocks), latent_dim), name="encoder")

    inputs, x = _latent_inputs(latent_dim, num_classes)
    x = _hidden(x, width, blocks)
    height, image_width, channels = shape
    outputs = likelihoods.get(likelihood).outputs_for(channels)
    x = layers.Dense(height * image_width * outputs, dtype="float32")(x)
    x = layers.Reshape((height, image_width, outputs), dtype="float32")(x)
    return VAENetworks(encoder, keras.Model(inputs, x, name="decoder"))


def _hidden(x: Tensor, width: int, blocks: int) -> Tensor:
    x = layers.Dense(width, activation="silu")(x)
    for _ in range(blocks):
        x = layers.Add()([x, layers.Dense(width)(layers.Dense(width, activation="silu")(x))])
    return x


@conditioning.channels_last()
def conv_vae(
    image_shape: Sequence[int] = (28, 28, 1),
    latent_dim: int = 40,
    num_classes: int | None = None,
    width: int = 32,
    units: int = 256,
    likelihood: str | likelihoods.Likelihood = "bernoulli",
) -> VAENetworks:
    """An encoder and a decoder of convolutions that mirror each other.

    The encoder halves the image with convolutions, 4x4 with stride 2, until at most 4 pixels a side
    are left, then has one dense layer. The decoder does the same in reverse.

    Args:
        image_shape: Three integers, `(height, width, channels)`, the larger side at least 5.
        latent_dim: Integer, the size of the latents.
        num_classes: Integer, makes both networks conditional on a label below it. Defaults to
            unconditional ones.
        width: Integer, the number of channels next to the image; it doubles with every halving.
        units: Integer, of the dense layers.
        likelihood: As for `kgan.VAE`.

    Returns:
        `(encoder, decoder)`, a `VAENetworks`.

    Raises:
        ValueError: A size is not an integer of at least 1, the image is too small, or the
            likelihood is unknown.

    Example:
    ```python
    networks = kgan.networks.conv_vae((32, 32, 3), likelihood="discretized_logistic")
    vae = kgan.VAE(*networks, likelihood="discretized_logistic")
    ```
    """
    shape = conditioning.check_sizes(
        image_shape, latent_dim=latent_dim, num_classes=num_classes, width=width
    )
    integer("units", units)
    sizes = pyramid.halved(shape)
    inputs, x, label = _image_inputs(shape, num_classes)
    for level in range(len(sizes) - 1):
        x = layers.Conv2D(width * 2**level, 4, strides=2, padding="same", activation="relu")(x)
    x = _with_label(layers.Flatten()(x), label, num_classes)
    x = layers.Dense(units, activation="relu")(x)
    encoder = keras.Model(inputs, _posterior(x, latent_dim), name="encoder")

    inputs, x = _latent_inputs(latent_dim, num_classes)
    *larger, smallest = sizes
    channels = width * 2 ** (len(larger) - 1)
    x = layers.Dense(units, activation="relu")(x)
    x = layers.Dense(smallest[0] * smallest[1] * channels, activation="relu")(x)
    x = layers.Reshape((*smallest, channels))(x)
    for size in larger[:0:-1]:
        channels //= 2
        x = layers.Conv2DTranspose(channels, 4, strides=2, padding="same", activation="relu")(x)
        x = pyramid.cropped(x, size)
    outputs = likelihoods.get(likelihood).outputs_for(shape[2])
    x = layers.Conv2DTranspose(outputs, 4, strides=2, padding="same", dtype="float32")(x)
    return VAENetworks(encoder, keras.Model(inputs, pyramid.cropped(x, sizes[0]), name="decoder"))


def _image_inputs(
    shape: tuple[int, int, int], num_classes: int | None
) -> tuple[Tensor | list[Tensor], Tensor, Tensor | None]:
    """A network's inputs, and the image and the label among them."""
    image = keras.Input(shape, name="image")
    if num_classes is None:
        return image, image, None
    label = conditioning.label_input()
    return [image, label], image, label


def _latent_inputs(
    latent_dim: int, num_classes: int | None
) -> tuple[Tensor | list[Tensor], Tensor]:
    """A network's inputs, and the latents, joined with the label."""
    latent = keras.Input((latent_dim,), name="latent")
    if num_classes is None:
        return latent, latent
    label = conditioning.label_input()
    return [latent, label], conditioning.join_latent(latent, label, num_classes)


def _with_label(x: Tensor, label: Tensor | None, num_classes: int | None) -> Tensor:
    if label is None or num_classes is None:
        return x
    return conditioning.join_latent(x, label, num_classes)


def _posterior(x: Tensor, latent_dim: int) -> list[Tensor]:
    # float32 whatever the policy: the KL divergence needs it.
    return [
        layers.Dense(latent_dim, dtype="float32", name="mean")(x),
        layers.Dense(latent_dim, dtype="float32", name="log_variance")(x),
    ]

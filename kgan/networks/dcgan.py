"""Deep convolutional GAN, in a shape that is quick on a CPU as well."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import layers

from kgan.networks import conditioning


def dcgan(
    image_shape: Sequence[int] = (28, 28, 1),
    latent_dim: int = 128,
    num_classes: int | None = None,
    width: int = 64,
) -> tuple[Any, Any]:
    """Two convolutional networks that mirror each other.

    The generator begins with a map of 4 to 7 pixels a side and doubles it with transposed
    convolutions, 4x4 with stride 2, with batch normalisation and ReLU between them; the last of
    them makes the image. The discriminator halves the image with convolutions, 4x4 with stride 2,
    and LeakyReLU. A 28x28 image takes two doublings, one of 32x32 three.

    The image's channels come straight out of the last doubling. A convolution at full size after
    it, as many DCGANs for MNIST have, costs a CPU more than all other layers together.

    Args:
        image_shape: Three integers, `(height, width, channels)`. Height and width must each be
            4, 5, 6 or 7 times the same power of 2: 28, 32, 48, 64, 128, ...
        latent_dim: Integer, the size of the latents.
        num_classes: Integer, makes both networks conditional on a label below it. Defaults to
            unconditional ones.
        width: Integer, the number of channels next to the image; it doubles with every halving.

    Returns:
        `(generator, discriminator)`. The generator maps latents, float `(batch, latent_dim)`
        (conditional: and labels, int32 `(batch,)`), to images, float `(batch, *image_shape)`, in
        [-1, 1]; the discriminator maps images (and labels) to logits, float `(batch, 1)`.

    Raises:
        ValueError: A size is not an integer of at least 1, or the height and width have no such
            power of 2.

    Example:
    ```python
    generator, discriminator = kgan.networks.dcgan((28, 28, 1), latent_dim=128, num_classes=10)
    gan = kgan.GAN(generator, discriminator)
    ```

    Reference:
        [Radford et al., 2016](https://arxiv.org/abs/1511.06434). Unlike there, the discriminator
        has no batch normalisation.
    """
    shape = conditioning.check_sizes(
        image_shape, latent_dim=latent_dim, num_classes=num_classes, width=width
    )
    doublings = _doublings(shape)
    return (
        _generator(shape, latent_dim, num_classes, width, doublings),
        _discriminator(shape, num_classes, width, doublings),
    )


def _doublings(image_shape: tuple[int, int, int]) -> int:
    """How often a map of 4 to 7 pixels a side must be doubled to give the image."""
    height, width, _ = image_shape
    for doublings in range(1, 12):
        scale = 2**doublings
        whole = height % scale == 0 and width % scale == 0
        if whole and height // scale in range(4, 8) and width // scale in range(4, 8):
            return doublings
    raise ValueError(
        "Expected a height and width that are each 4 to 7 times the same power of 2, such as 28, "
        f"32, 48 or 64. Received: image_shape={image_shape}. Pad or resize the images: "
        "kgan.data.ImageDataset(..., pad_to=(32, 32)) pads."
    )


def _generator(
    image_shape: tuple[int, int, int],
    latent_dim: int,
    num_classes: int | None,
    width: int,
    doublings: int,
) -> Any:
    inputs = x = keras.Input((latent_dim,), name="latent")
    if num_classes is not None:
        label = conditioning.label_input()
        inputs, x = [x, label], conditioning.join_latent(x, label, num_classes)
    base = image_shape[0] // 2**doublings, image_shape[1] // 2**doublings
    channels = width * 2 ** (doublings - 1)
    x = layers.Dense(base[0] * base[1] * channels, use_bias=False)(x)
    x = layers.Reshape((*base, channels))(x)
    x = _normalised(x)
    for _ in range(doublings - 1):
        channels //= 2
        x = layers.Conv2DTranspose(channels, 4, strides=2, padding="same", use_bias=False)(x)
        x = _normalised(x)
    # float32 whatever the policy: the range ends matter more than the speed of the last layer.
    images = layers.Conv2DTranspose(
        image_shape[2], 4, strides=2, padding="same", activation="tanh", dtype="float32"
    )(x)
    return keras.Model(inputs, images, name="generator")


def _normalised(x: Any) -> Any:
    return layers.ReLU()(layers.BatchNormalization(momentum=0.9)(x))


def _discriminator(
    image_shape: tuple[int, int, int], num_classes: int | None, width: int, doublings: int
) -> Any:
    inputs = x = keras.Input(image_shape, name="image")
    if num_classes is not None:
        label = conditioning.label_input()
        inputs, x = [x, label], conditioning.join_image(x, label, num_classes)
    for level in range(doublings):
        x = layers.Conv2D(width * 2**level, 4, strides=2, padding="same")(x)
        x = layers.LeakyReLU(negative_slope=0.2)(x)
    logits = layers.Dense(1, dtype="float32")(layers.Flatten()(x))
    return keras.Model(inputs, logits, name="discriminator")

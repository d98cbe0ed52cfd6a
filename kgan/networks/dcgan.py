"""Deep convolutional GAN, in a shape that is quick on a CPU as well."""

from collections.abc import Sequence

import keras
from keras import layers

from kgan._arguments import integer
from kgan._typing import Network, Tensor
from kgan.networks import conditioning, pyramid


@conditioning.channels_last()
def dcgan(
    image_shape: Sequence[int] = (28, 28, 1),
    latent_dim: int = 128,
    num_classes: int | None = None,
    width: int = 64,
    classifier: bool = False,
    codes: int = 0,
    pack: int = 1,
) -> conditioning.GANPair:
    """Two convolutional networks that mirror each other.

    The discriminator halves the image with convolutions, 4x4 with stride 2, and LeakyReLU, until at
    most 4 pixels a side are left: 28, 14, 7, 4. The generator starts there and doubles with
    transposed convolutions, with batch normalisation and ReLU between them. It crops where the size
    that it mirrors is odd. The last one makes the image.

    Digits need the maps of 4x4: with 7x7 as the smallest, strokes are right and shapes are not. The
    last doubling gives the image's channels directly. A convolution at full size after it, as in
    many DCGANs for MNIST, takes a CPU longer than all other layers together.

    Args:
        image_shape: Three integers, `(height, width, channels)`, the larger side at least 5.
        latent_dim: Integer, the size of the latents.
        num_classes: Integer, makes both networks conditional on a label below it. Defaults to
            unconditional ones.
        width: Integer, the number of channels next to the image; it doubles with every halving.
        classifier: Whether a conditional discriminator predicts the label instead of taking it: its
            second output is then the logits of the classes, `(batch, num_classes)`.
        codes: Integer, for unconditional networks: the size of a second output of the
            discriminator, `(batch, codes)`, for `kgan.InfoGAN`. Defaults to no such output.
        pack: Integer, the number of images that the discriminator takes as one, as in
            `GAN(..., pack=pack)`.

    Returns:
        `(generator, discriminator)`, a `GANPair`. The generator maps latents, float
        `(batch, latent_dim)` (conditional: and labels, int32 `(batch,)`), to images, float
        `(batch, *image_shape)`, in [-1, 1]; the discriminator maps images (and labels) to logits,
        float `(batch, 1)`.

    Raises:
        ValueError: A size is not an integer of at least 1, the image is too small, a classifier is
            asked for without classes, or both classes and codes are.

    Example:
    ```python
    generator, discriminator = kgan.networks.dcgan((28, 28, 1), latent_dim=128, num_classes=10)
    gan = kgan.GAN(generator, discriminator)
    ```

    Reference:
        [Radford et al., 2016](https://arxiv.org/abs/1511.06434); unlike there, the discriminator
        has batch normalisation only where it is conditional. It takes the label by projection:
        [Miyato and Koyama, 2018](https://arxiv.org/abs/1802.05637).
    """
    shape = conditioning.check_sizes(
        image_shape, latent_dim=latent_dim, num_classes=num_classes, width=width, pack=pack
    )
    if classifier and num_classes is None:
        raise ValueError("Expected num_classes for a classifier. Received: num_classes=None.")
    codes = integer("codes", codes, least=0)
    if codes and num_classes is not None:
        raise ValueError(
            "Expected either classes or codes, since a discriminator has one second output. "
            f"Received: num_classes={num_classes} and codes={codes}."
        )
    second = ("classes", num_classes) if classifier else ("codes", codes)
    sizes = pyramid.halved(shape)
    return conditioning.GANPair(
        _generator(shape, latent_dim, num_classes, width, sizes),
        _discriminator(conditioning.packed(shape, pack), num_classes, width, sizes, second),
    )


def _generator(
    image_shape: tuple[int, int, int],
    latent_dim: int,
    num_classes: int | None,
    width: int,
    sizes: list[tuple[int, int]],
) -> Network:
    inputs = x = keras.Input((latent_dim,), name="latent")
    if num_classes is not None:
        label = conditioning.label_input()
        inputs, x = [x, label], conditioning.join_latent(x, label, num_classes)
    *larger, smallest = sizes
    channels = width * 2 ** (len(larger) - 1)
    x = layers.Dense(smallest[0] * smallest[1] * channels, use_bias=False)(x)
    x = _normalised(layers.Reshape((*smallest, channels))(x))
    for size in larger[:0:-1]:
        channels //= 2
        x = layers.Conv2DTranspose(channels, 4, strides=2, padding="same", use_bias=False)(x)
        x = _normalised(pyramid.cropped(x, size))
    # float32 whatever the policy: exact ends of the range matter more than speed here.
    images = layers.Conv2DTranspose(
        image_shape[2], 4, strides=2, padding="same", activation="tanh", dtype="float32"
    )(x)
    return keras.Model(inputs, pyramid.cropped(images, sizes[0]), name="generator")


def _normalised(x: Tensor) -> Tensor:
    return layers.ReLU()(layers.BatchNormalization(momentum=0.9)(x))


def _discriminator(
    image_shape: tuple[int, int, int],
    num_classes: int | None,
    width: int,
    sizes: list[tuple[int, int]],
    second: tuple[str, int | None],
) -> Network:
    image = x = keras.Input(image_shape, name="image")
    for level in range(len(sizes) - 1):
        x = layers.Conv2D(width * 2**level, 4, strides=2, padding="same")(x)
        if level and num_classes is not None:
            # Without it the conditional pair soon makes one image a class, for every latent.
            x = layers.BatchNormalization(momentum=0.9)(x)
        x = layers.LeakyReLU(negative_slope=0.2)(x)
    features = layers.Flatten()(x)
    logits = layers.Dense(1, dtype="float32")(features)
    name, units = second
    if units:
        found = layers.Dense(units, dtype="float32", name=name)(features)
        return keras.Model(image, [logits, found], name="discriminator")
    if num_classes is None:
        return keras.Model(image, logits, name="discriminator")
    label = conditioning.label_input()
    logits = conditioning.project(logits, features, label, num_classes)
    return keras.Model([image, label], logits, name="discriminator")

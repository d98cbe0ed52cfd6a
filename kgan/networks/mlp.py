"""The first GAN of most courses: two multilayer perceptrons."""

import math
from collections.abc import Sequence

import keras
from keras import layers

from kgan._typing import Network
from kgan.networks import conditioning


def mlp(
    image_shape: Sequence[int] = (28, 28, 1),
    latent_dim: int = 100,
    num_classes: int | None = None,
    width: int = 256,
    pack: int = 1,
) -> conditioning.GANPair:
    """Two multilayer perceptrons, no convolution in either.

    At the default width the generator is 100-256-512-1024-784 and the discriminator
    784-1024-512-256-1, with LeakyReLU of slope 0.2 in both and a dropout of 0.3 in the
    discriminator.

    Args:
        image_shape: Three integers, `(height, width, channels)`.
        latent_dim: Integer, the size of the latents.
        num_classes: Integer, makes both networks conditional on a label below it. Defaults to
            unconditional ones.
        width: Integer, the size of the narrowest hidden layer; the others have 2 and 4 times that.
        pack: Integer, the number of images that the discriminator takes as one, as in
            `GAN(..., pack=pack)`.

    Returns:
        `(generator, discriminator)`, a `GANPair`. The generator maps latents, float
        `(batch, latent_dim)` (conditional: and labels, int32 `(batch,)`), to images, float
        `(batch, *image_shape)`, in [-1, 1]; the discriminator maps images (and labels) to logits,
        float `(batch, 1)`.

    Raises:
        ValueError: A size is not an integer of at least 1.

    Example:
    ```python
    generator, discriminator = kgan.networks.mlp()
    gan = kgan.GAN(generator, discriminator)
    ```

    Reference:
        [Goodfellow et al., 2014](https://arxiv.org/abs/1406.2661), whose MNIST networks these
        follow in kind.
    """
    shape = conditioning.check_sizes(
        image_shape, latent_dim=latent_dim, num_classes=num_classes, width=width, pack=pack
    )
    return conditioning.GANPair(
        _generator(shape, latent_dim, num_classes, width),
        _discriminator(conditioning.packed(shape, pack), num_classes, width),
    )


def _generator(
    image_shape: tuple[int, int, int], latent_dim: int, num_classes: int | None, width: int
) -> Network:
    inputs = x = keras.Input((latent_dim,), name="latent")
    if num_classes is not None:
        label = conditioning.label_input()
        inputs, x = [x, label], conditioning.join_latent(x, label, num_classes)
    for units in (width, 2 * width, 4 * width):
        x = layers.Dense(units)(x)
        x = layers.LeakyReLU(negative_slope=0.2)(x)
    # float32 whatever the policy: exact ends of the range matter more than speed here.
    x = layers.Dense(math.prod(image_shape), activation="tanh", dtype="float32")(x)
    return keras.Model(inputs, layers.Reshape(image_shape, dtype="float32")(x), name="generator")


def _discriminator(
    image_shape: tuple[int, int, int], num_classes: int | None, width: int
) -> Network:
    inputs = x = keras.Input(image_shape, name="image")
    if num_classes is not None:
        label = conditioning.label_input()
        inputs, x = [x, label], conditioning.join_image(x, label, num_classes)
    x = layers.Flatten()(x)
    for units in (4 * width, 2 * width, width):
        x = layers.Dense(units)(x)
        x = layers.LeakyReLU(negative_slope=0.2)(x)
        x = layers.Dropout(0.3)(x)
    return keras.Model(inputs, layers.Dense(1, dtype="float32")(x), name="discriminator")

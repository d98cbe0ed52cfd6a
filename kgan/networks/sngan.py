"""Residual networks with spectral normalisation, as in SN-GAN."""

from collections.abc import Sequence

import keras
from keras import layers

from kgan._typing import Network, Tensor
from kgan.layers import ConditionalBatchNormalization
from kgan.networks import conditioning, pyramid, spectral


@conditioning.channels_last()
def sngan(
    image_shape: Sequence[int] = (28, 28, 1),
    latent_dim: int = 128,
    num_classes: int | None = None,
    width: int = 16,
    pack: int = 1,
) -> conditioning.GANPair:
    """Two residual networks, with spectral normalisation in the discriminator.

    The discriminator halves the image with residual blocks until at most 4 pixels a side are left,
    28, 14, 7, 4, has one more block there, and sums over all positions. A block is two 3x3
    convolutions, each after a ReLU, and averages 2x2 pixels at its end. The skip connection has a
    1x1 convolution. The generator mirrors that: its blocks have batch normalisation before every
    ReLU and double by repeating pixels. Labels choose the scale and shift of the generator's
    normalisation, and are projected in the discriminator.

    Use it with `loss="hinge"`, Adam with `beta_1=0`, and up to 5 updates of the discriminator for
    each of the generator.

    Args:
        image_shape: Three integers, `(height, width, channels)`, the larger side at least 5.
        latent_dim: Integer, the size of the latents.
        num_classes: Integer, makes both networks conditional on a label below it. Defaults to
            unconditional ones.
        width: Integer, the number of channels next to the image; it doubles with every halving.
        pack: Integer, the number of images that the discriminator takes as one, as in
            `GAN(..., pack=pack)`.

    Returns:
        `(generator, discriminator)`, a `GANPair`. The generator maps latents, float
        `(batch, latent_dim)` (conditional: and labels, int32 `(batch,)`), to images, float
        `(batch, *image_shape)`, in [-1, 1]; the discriminator maps images (and labels) to logits,
        float `(batch, 1)`.

    Raises:
        ValueError: A size is not an integer of at least 1, or the image is too small.

    Example:
    ```python
    gan = kgan.GAN(*kgan.networks.sngan((28, 28, 1), num_classes=10))
    gan.compile(
        keras.optimizers.Adam(2e-4, beta_1=0.0),
        keras.optimizers.Adam(2e-4, beta_1=0.0),
        loss="hinge",
    )
    ```

    Reference:
        [Miyato et al., 2018](https://arxiv.org/abs/1802.05957), appendix B.4; unlike there, the
        channels double with every halving. Labels enter as in
        [Miyato and Koyama, 2018](https://arxiv.org/abs/1802.05637).
    """
    shape = conditioning.check_sizes(
        image_shape, latent_dim=latent_dim, num_classes=num_classes, width=width, pack=pack
    )
    sizes = pyramid.halved(shape)
    return conditioning.GANPair(
        _generator(shape, latent_dim, num_classes, width, sizes),
        spectral.discriminator(
            conditioning.packed(shape, pack), num_classes, width, len(sizes) - 1
        ),
    )


def _generator(
    image_shape: tuple[int, int, int],
    latent_dim: int,
    num_classes: int | None,
    width: int,
    sizes: list[tuple[int, int]],
) -> Network:
    latent = keras.Input((latent_dim,), name="latent")
    label = None if num_classes is None else conditioning.label_input()

    def active(x: Tensor) -> Tensor:
        if num_classes is None:
            x = layers.BatchNormalization(momentum=0.9)(x)
        else:
            # Not all 1, so that the classes differ from the first step on.
            scales = keras.initializers.RandomNormal(1.0, 0.02)
            normalise = ConditionalBatchNormalization(num_classes, gamma_initializer=scales)
            x = normalise([x, label])
        return layers.ReLU()(x)

    *larger, smallest = sizes
    channels = width * 2 ** (len(larger) - 1)
    x = layers.Dense(smallest[0] * smallest[1] * channels)(latent)
    x = layers.Reshape((*smallest, channels))(x)
    for level in reversed(range(len(larger))):
        channels, size = width * 2**level, larger[level]
        y = layers.Conv2D(channels, 3, padding="same")(pyramid.doubled(active(x), size))
        y = layers.Conv2D(channels, 3, padding="same")(active(y))
        # A 1x1 convolution before the pixels are repeated gives the same at a quarter of the cost.
        around = pyramid.doubled(layers.Conv2D(channels, 1)(x), size)
        x = layers.Add()([around, y])
    x = layers.ReLU()(layers.BatchNormalization(momentum=0.9)(x))
    # float32 whatever the policy: exact ends of the range matter more than speed here.
    images = layers.Conv2D(image_shape[2], 3, padding="same", activation="tanh", dtype="float32")(x)
    return keras.Model(latent if label is None else [latent, label], images, name="generator")

"""Residual networks without normalisation, as in R3GAN."""

from collections.abc import Sequence

import keras
from keras import layers

from kgan._typing import Network, Tensor
from kgan.layers import Downsample, FromBasis, OntoBasis, Upsample
from kgan.networks import conditioning, pyramid

SLOPE = 0.2  # of LeakyReLU


@conditioning.channels_last()
def resnet(
    image_shape: Sequence[int] = (28, 28, 1),
    latent_dim: int = 64,
    num_classes: int | None = None,
    width: int = 16,
    blocks: int = 1,
    expansion: int = 1,
    group_width: int | None = None,
    pack: int = 1,
) -> conditioning.GANPair:
    """Two residual networks that mirror each other, with no normalisation in either.

    Both have one stage of residual blocks for each size of the image, which is halved until
    at most 4 pixels a side are left: 28, 14, 7, 4. A block adds to its input the output of 1x1, 3x3
    and 1x1 convolutions, with LeakyReLU between them. Between stages, outside the blocks, a 1x1
    convolution changes the number of channels, and a `(1, 2, 1)` filter halves or doubles.

    The generator starts with one learnt map of the smallest size for each channel, times a linear
    function of the latent, and ends in a 1x1 convolution. The discriminator mirrors that. Labels
    are embedded and joined to the latent, and projected in the discriminator. The last convolution
    of every block starts at zero and the others small, so that the depth does not matter at first.

    Use it with `loss="relativistic"`, the penalties `R1` and `R2`, and Adam with `beta_1=0`. These
    keep it stable instead of normalisation.

    Args:
        image_shape: Three integers, `(height, width, channels)`, the larger side at least 5.
        latent_dim: Integer, the size of the latents.
        num_classes: Integer, makes both networks conditional on a label below it. Defaults to
            unconditional ones.
        width: Integer, the number of channels next to the image; it doubles with every halving.
        blocks: Integer, residual blocks in each stage.
        expansion: Integer, the channels of the 3x3 convolution divided by those of the block; 2 in
            the paper.
        group_width: Integer that divides `width * expansion`, the channels of each group of that
            convolution; 16 in the paper, on GPUs. On a CPU, TensorFlow takes many times as long
            with 2 groups as with 1. Defaults to no groups.
        pack: Integer, the number of images that the discriminator takes as one, as in
            `GAN(..., pack=pack)`.

    Returns:
        `(generator, discriminator)`, a `GANPair`. The generator maps latents, float
        `(batch, latent_dim)` (conditional: and labels, int32 `(batch,)`), to images, float
        `(batch, *image_shape)`, in [-1, 1]; the discriminator maps images (and labels) to logits,
        float `(batch, 1)`.

    Raises:
        ValueError: A size is not an integer of at least 1, the image is too small, or the width of
            a group does not divide the channels.

    Example:
    ```python
    gan = kgan.GAN(*kgan.networks.resnet((28, 28, 1), latent_dim=64))
    gan.compile(
        keras.optimizers.Adam(5e-4, beta_1=0.0),
        keras.optimizers.Adam(5e-4, beta_1=0.0),
        loss="relativistic",
        penalties=[kgan.penalties.R1(1.0), kgan.penalties.R2(1.0)],
        ema_decay=0.99,
    )
    ```

    Reference:
        [Huang et al., 2024](https://arxiv.org/abs/2501.05441), section 3; unlike there, the
        channels double with every halving, images pass through a tanh, labels are embedded as Keras
        does by default, and the discriminator's logit has a part that does not depend on them.
    """
    shape = conditioning.check_sizes(
        image_shape,
        latent_dim=latent_dim,
        num_classes=num_classes,
        width=width,
        blocks=blocks,
        expansion=expansion,
        group_width=group_width,
        pack=pack,
    )
    if group_width is not None and width * expansion % group_width:
        raise ValueError(
            f"Expected `group_width` to divide width * expansion = {width * expansion}. "
            f"Received: group_width={group_width}."
        )
    sizes = pyramid.halved(shape)
    block = _Block(blocks * len(sizes), expansion, group_width)
    stages = [(size, width * 2**level) for level, size in enumerate(sizes)]
    return conditioning.GANPair(
        _generator(shape, latent_dim, num_classes, stages, blocks, block),
        _discriminator(conditioning.packed(shape, pack), num_classes, stages, blocks, block),
    )


class _Block:
    """Makes residual blocks for a network that has `depth` of them."""

    def __init__(self, depth: int, expansion: int, group_width: int | None) -> None:
        # He's variance for LeakyReLU. Of m = 3 layers in each of L branches, those that do not
        # start at zero are scaled by L^(-1 / (2m - 2)), or the first update would grow with L:
        # Zhang et al., 2019 (https://arxiv.org/abs/1901.09321).
        self._scale = 2.0 / (1.0 + SLOPE**2) / depth**0.5
        self._expansion = expansion
        self._group_width = group_width

    def __call__(self, x: Tensor) -> Tensor:
        channels = x.shape[-1]
        within = channels * self._expansion
        y = _leaky(layers.Conv2D(within, 1, kernel_initializer=_variance(self._scale))(x))
        y = layers.Conv2D(
            within,
            3,
            padding="same",
            groups=within // (self._group_width or within),
            kernel_initializer=_variance(self._scale),
        )(y)
        y = layers.Conv2D(channels, 1, use_bias=False, kernel_initializer="zeros")(_leaky(y))
        return layers.Add()([x, y])


def _leaky(x: Tensor) -> Tensor:
    return layers.LeakyReLU(negative_slope=SLOPE)(x)


def _variance(scale: float) -> keras.initializers.Initializer:
    """Normal weights: sums over the inputs have `scale` times the inputs' variance."""
    return keras.initializers.VarianceScaling(scale, "fan_in", "untruncated_normal")


def _linear(x: Tensor, channels: int) -> Tensor:
    """Changes the number of channels."""
    return layers.Conv2D(channels, 1, use_bias=False, kernel_initializer=_variance(1.0))(x)


def _generator(
    image_shape: tuple[int, int, int],
    latent_dim: int,
    num_classes: int | None,
    stages: list[tuple[tuple[int, int], int]],
    blocks: int,
    block: _Block,
) -> Network:
    inputs = x = keras.Input((latent_dim,), name="latent")
    if num_classes is not None:
        label = conditioning.label_input()
        inputs, x = [x, label], conditioning.join_latent(x, label, num_classes)
    size, channels = stages[-1]
    x = layers.Dense(channels, use_bias=False, kernel_initializer=_variance(1.0))(x)
    x = FromBasis(*size)(x)
    for level, (size, channels) in enumerate(stages[::-1]):
        if level:
            x = pyramid.cropped(Upsample()(_linear(x, channels)), size)
        for _ in range(blocks):
            x = block(x)
    # float32 whatever the policy: exact ends of the range matter more than speed here.
    images = layers.Conv2D(
        image_shape[2],
        1,
        activation="tanh",
        kernel_initializer=_variance(1.0),
        dtype="float32",
    )(x)
    return keras.Model(inputs, images, name="generator")


def _discriminator(
    image_shape: tuple[int, int, int],
    num_classes: int | None,
    stages: list[tuple[tuple[int, int], int]],
    blocks: int,
    block: _Block,
) -> Network:
    image = x = keras.Input(image_shape, name="image")
    for level, (_, channels) in enumerate(stages):
        x = _linear(Downsample()(x) if level else x, channels)
        for _ in range(blocks):
            x = block(x)
    features = OntoBasis()(x)
    logits = layers.Dense(1, kernel_initializer=_variance(1.0), dtype="float32")(features)
    if num_classes is None:
        return keras.Model(image, logits, name="discriminator")
    label = conditioning.label_input()
    logits = conditioning.project(logits, features, label, num_classes)
    return keras.Model([image, label], logits, name="discriminator")

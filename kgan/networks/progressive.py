"""Networks that grow during training, from the smallest images to the full size."""

import math
from collections.abc import Sequence

import keras
from keras import layers

from kgan._arguments import integer
from kgan._typing import Network, Tensor
from kgan.layers import (
    EqualizedConv2D,
    EqualizedDense,
    FadeIn,
    MinibatchStandardDeviation,
    PixelNormalization,
)
from kgan.networks import conditioning, pyramid

_SLOPE = 0.2


@conditioning.channels_last()
def progressive(
    image_shape: Sequence[int] = (28, 28, 1),
    latent_dim: int = 64,
    width: int = 16,
    max_width: int = 512,
    group_size: int | None = 4,
) -> conditioning.GANPair:
    """Two networks for images of growing size, as in progressive growing of GANs.

    The sizes are those of the image halved until at most 4 pixels a side are left: 28, 14, 7, 4.
    The generator has an output for each size, the discriminator an input and an output for each.
    Both list the full size first. The layers of one size use those of the smaller sizes, and none
    of the larger ones.

    A block of the generator repeats pixels and has two 3x3 convolutions, each followed by a leaky
    ReLU and pixel normalisation. The discriminator mirrors it and averages 2x2 pixels. Its last
    block has the standard deviation over the minibatch as one more feature. `FadeIn` layers blend a
    new block with the output of the smaller size. All weights have equalised learning rates.

    Use it with `kgan.ProgressiveGAN`, whose defaults are those of the paper.

    Args:
        image_shape: Three integers, `(height, width, channels)`, the larger side at least 5.
        latent_dim: Integer, the size of the latents.
        width: Integer, the number of channels next to the image of full size; it doubles with every
            halving.
        max_width: Integer, the largest number of channels.
        group_size: Integer, the number of images in a group of the minibatch standard deviation;
            or None for networks without it.

    Returns:
        `(generator, discriminator)`, a `GANPair`. The generator maps latents, float
        `(batch, latent_dim)`, to a list of images of all sizes, the full size first. They are not
        limited to [-1, 1]. The discriminator maps such a list to a list of logits, float
        `(batch, 1)`.

    Raises:
        ValueError: A size is not an integer of at least 1, or the image is too small.

    Example:
    ```python
    networks = kgan.networks.progressive((28, 28, 1), latent_dim=64, width=8)
    assert [image.shape[1] for image in networks.generator.outputs] == [28, 14, 7, 4]
    gan = kgan.ProgressiveGAN(*networks)
    ```

    Reference:
        [Karras et al., 2018](https://arxiv.org/abs/1710.10196), table 2.
    """
    shape = conditioning.check_sizes(
        image_shape, latent_dim=latent_dim, width=width, max_width=max_width
    )
    if group_size is not None:
        integer("group_size", group_size)
    sizes = pyramid.halved(shape)
    widths = [min(width * 2**level, max_width) for level in range(len(sizes))]
    return conditioning.GANPair(
        _generator(latent_dim, shape[2], sizes, widths),
        _discriminator(shape[2], sizes, widths, group_size),
    )


def _generator(
    latent_dim: int, image_channels: int, sizes: list[tuple[int, int]], widths: list[int]
) -> Network:
    """The generator; sizes and widths come with the full size first."""
    latent = keras.Input((latent_dim,), name="latent")
    height, width = sizes[-1]
    # The authors' gain for this layer, which sums over few inputs.
    first = EqualizedDense(height * width * widths[-1], gain=math.sqrt(2.0) / 4)
    x = layers.Reshape((height, width, widths[-1]))(first(PixelNormalization()(latent)))
    x = PixelNormalization()(layers.LeakyReLU(negative_slope=_SLOPE)(x))
    x = _normalised_convolution(x, widths[-1])
    images = [_to_image(x, image_channels)]
    previous = images[0]
    for level in reversed(range(len(sizes) - 1)):
        x = pyramid.doubled(x, sizes[level])
        for _ in range(2):
            x = _normalised_convolution(x, widths[level])
        new = _to_image(x, image_channels)
        images.insert(0, FadeIn(dtype="float32")([pyramid.doubled(previous, sizes[level]), new]))
        previous = new
    return keras.Model(latent, images, name="generator")


def _normalised_convolution(x: Tensor, channels: int) -> Tensor:
    return PixelNormalization()(_convolution(x, channels))


def _to_image(x: Tensor, channels: int) -> Tensor:
    # float32 whatever the policy, as images are.
    return EqualizedConv2D(channels, 1, gain=1.0, dtype="float32")(x)


def _convolution(x: Tensor, channels: int, kernel_size: int = 3) -> Tensor:
    x = EqualizedConv2D(channels, kernel_size, padding="same")(x)
    return layers.LeakyReLU(negative_slope=_SLOPE)(x)


def _discriminator(
    image_channels: int, sizes: list[tuple[int, int]], widths: list[int], group_size: int | None
) -> Network:
    """The discriminator; sizes and widths come with the full size first.

    It is built once for each size, of the same layers.
    """
    blocks = [_Block(widths[level], widths[level + 1]) for level in range(len(sizes) - 1)]
    last = _LastBlock(widths[-1], group_size)
    from_image = [_Active(EqualizedConv2D(width, 1)) for width in widths]
    images = [keras.Input((*size, image_channels), name=f"image_{size[0]}") for size in sizes]
    logits = []
    for level, image in enumerate(images):
        x = from_image[level](image)
        for below in range(level, len(blocks)):
            x = pyramid.halved_maps(blocks[below](x))
            if below == level:
                old = from_image[level + 1](pyramid.halved_maps(image))
                x = FadeIn()([old, x])
        logits.append(last(x))
    return keras.Model(images, logits, name="discriminator")


class _Active:
    """A layer followed by a leaky ReLU, which can be used several times."""

    def __init__(self, layer: keras.layers.Layer) -> None:
        self._layer = layer

    def __call__(self, x: Tensor) -> Tensor:
        return layers.LeakyReLU(negative_slope=_SLOPE)(self._layer(x))


class _Block:
    """Two convolutions of the discriminator."""

    def __init__(self, channels: int, channels_below: int) -> None:
        self._convolutions = [
            _Active(EqualizedConv2D(width, 3, padding="same"))
            for width in (channels, channels_below)
        ]

    def __call__(self, x: Tensor) -> Tensor:
        for convolution in self._convolutions:
            x = convolution(x)
        return x


class _LastBlock:
    """The layers from the smallest maps to logits."""

    def __init__(self, channels: int, group_size: int | None) -> None:
        self._deviation = group_size and MinibatchStandardDeviation(group_size)
        self._convolution = _Active(EqualizedConv2D(channels, 3, padding="same"))
        self._dense = _Active(EqualizedDense(channels))
        self._logits = EqualizedDense(1, gain=1.0, dtype="float32")

    def __call__(self, x: Tensor) -> Tensor:
        if self._deviation:
            x = self._deviation(x)
        x = layers.Flatten()(self._convolution(x))
        return self._logits(self._dense(x))

"""Networks that grow during training, from the smallest images to the full size."""

import math
from collections.abc import Sequence

import keras
from keras import layers

from kgan._arguments import integer
from kgan._typing import Layer, Network, Tensor
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
    units = height * width * widths[-1]
    first = EqualizedDense(units, gain=math.sqrt(2.0) / 4, name="stage_0_dense")
    x = layers.Reshape((height, width, widths[-1]))(first(PixelNormalization()(latent)))
    x = PixelNormalization()(layers.LeakyReLU(negative_slope=_SLOPE)(x))
    x = PixelNormalization()(_convolution(widths[-1], "stage_0_convolution")(x))
    images = [previous := _to_image(image_channels, 0)(x)]
    for stage, size in enumerate(reversed(sizes[:-1]), start=1):
        x = pyramid.doubled(x, size)
        for number in range(2):
            layer = _convolution(widths[-1 - stage], f"stage_{stage}_convolution_{number}")
            x = PixelNormalization()(layer(x))
        new = _to_image(image_channels, stage)(x)
        fade = FadeIn(dtype="float32", name=f"stage_{stage}_fade")
        images.insert(0, fade([pyramid.doubled(previous, size), new]))
        previous = new
    return keras.Model(latent, images, name="generator")


def _to_image(channels: int, stage: int) -> Layer:
    # float32 whatever the policy, as images are.
    name = f"stage_{stage}_to_image"
    return EqualizedConv2D(channels, 1, gain=1.0, dtype="float32", name=name)


class _Active:
    """A layer followed by a leaky ReLU. It can be used several times."""

    def __init__(self, layer: Layer) -> None:
        self._layer = layer

    def __call__(self, x: Tensor) -> Tensor:
        return layers.LeakyReLU(negative_slope=_SLOPE)(self._layer(x))


def _convolution(channels: int, name: str, kernel_size: int = 3) -> _Active:
    return _Active(EqualizedConv2D(channels, kernel_size, padding="same", name=name))


def _discriminator(
    image_channels: int, sizes: list[tuple[int, int]], widths: list[int], group_size: int | None
) -> Network:
    """The discriminator; sizes and widths come with the full size first.

    The layers of a stage are called once for that stage and once for each later one.
    """
    last = len(sizes) - 1
    from_image = [
        _convolution(widths[last - stage], f"stage_{stage}_from_image", 1)
        for stage in range(last + 1)
    ]
    blocks = [
        [
            _convolution(widths[last - stage + number], f"stage_{stage}_convolution_{number}")
            for number in range(2)
        ]
        for stage in range(1, last + 1)
    ]
    to_logits = _ToLogits(widths[-1], group_size)
    images = [
        keras.Input((*size, image_channels), name=f"stage_{last - level}_image")
        for level, size in enumerate(sizes)
    ]
    logits = []
    for stage, image in zip(range(last, -1, -1), images, strict=True):
        x = from_image[stage](image)
        for below in range(stage, 0, -1):
            for layer in blocks[below - 1]:
                x = layer(x)
            x = pyramid.halved_maps(x)
            if below == stage:
                old = from_image[stage - 1](pyramid.halved_maps(image))
                x = FadeIn(name=f"stage_{stage}_fade")([old, x])
        logits.append(to_logits(x))
    return keras.Model(images, logits, name="discriminator")


class _ToLogits:
    """The layers from the smallest maps to logits."""

    def __init__(self, channels: int, group_size: int | None) -> None:
        self._deviation = group_size and MinibatchStandardDeviation(group_size)
        self._convolution = _convolution(channels, "stage_0_convolution")
        self._dense = _Active(EqualizedDense(channels, name="stage_0_dense"))
        self._logits = EqualizedDense(1, gain=1.0, dtype="float32", name="stage_0_logits")

    def __call__(self, x: Tensor) -> Tensor:
        if self._deviation:
            x = self._deviation(x)
        x = layers.Flatten()(self._convolution(x))
        return self._logits(self._dense(x))

"""Networks from images to images of the same size, for image translation."""

from collections.abc import Callable, Sequence
from functools import partial

import keras
from keras import layers

from kgan._arguments import integer
from kgan._registry import find_name
from kgan._typing import Network, Tensor
from kgan.layers import CropLike, ReflectionPadding2D
from kgan.networks import conditioning

_MOST_WIDTHS = 8  # as in pix2pix, channels stop at eight times the first width


@conditioning.channels_last()
def unet(
    image_shape: Sequence[int] = (28, 28, 1),
    target_channels: int | None = None,
    width: int = 32,
    depth: int | None = None,
    normalization: str | None = "instance",
    dropout: float = 0.0,
    upsampling: str = "resize",
) -> Network:
    """Builds a U-Net, which translates images and keeps their details.

    It halves images and doubles them again. Each halving is a 4x4 convolution with stride 2 and a
    leaky ReLU. Each doubling ends in a ReLU. Skip connections join the maps of each size, and the
    input image itself, to the maps of the same size in the second half. So details need not pass
    through the smallest maps. Channels double with each halving, up to eight times `width`.

    The network also translates images of other sizes, see `kgan.Pix2Pix.translate`.

    Args:
        image_shape: Three integers, `(height, width, channels)` of the images to translate.
        target_channels: Integer, the channels of the translations. Defaults to those of the images.
        width: Integer, the channels after the first halving.
        depth: Integer, how often images are halved. By default, they are halved at least once, and
            until the smaller side has at most 4 pixels.
        normalization: `"instance"` (each image by itself), `"batch"`, or None. The first, the
            smallest and the last maps are not normalised.
        dropout: Float in [0, 1), the fraction of values that the first two doublings drop in
            training.
        upsampling: `"resize"` repeats pixels before a 3x3 convolution, and makes no checkerboards.
            `"transposed"` is a 4x4 transposed convolution as in the paper, and faster.

    Returns:
        A `keras.Model` from float `(batch, height, width, channels)` to images, float32
        `(batch, height, width, target_channels)`, in [-1, 1].

    Raises:
        ValueError: A size is not an integer of at least 1, the image is too small for `depth`
            halvings, or a name is unknown.

    Example:
    ```python
    generator = kgan.networks.unet((28, 28, 1), target_channels=3, width=8)
    assert generator.output_shape == (None, 28, 28, 3)
    ```

    Reference:
        [Ronneberger et al., 2015](https://arxiv.org/abs/1505.04597);
        [Isola et al., 2017](https://arxiv.org/abs/1611.07004), appendix 6.1.1. Unlike in the paper,
        the input image is joined to the last maps, and dropout is off by default.
    """
    shape = conditioning.check_sizes(image_shape, target_channels=target_channels, width=width)
    depth = _depth(shape, depth)
    normalise = normalization_of(normalization)
    double = _upsampling(upsampling)
    is_plain = normalization is None  # a mean is subtracted otherwise, and every bias with it
    inputs = x = keras.Input(shape, name="image")
    skips = [x]
    for level in range(depth):
        is_end = level in (0, depth - 1)
        x = layers.Conv2D(
            _channels(width, level), 4, strides=2, padding="same", use_bias=is_plain or is_end
        )(x)
        x = layers.LeakyReLU(negative_slope=0.2)(x if is_end else normalise(x))
        skips.append(x)
    skips.pop()
    for level in reversed(range(depth)):
        channels = _channels(width, level - 1) if level else max(1, width // 2)
        x = double(x, channels, skips[level], is_plain or not level)
        if level:
            x = normalise(x)
        if dropout and level >= depth - 2:
            x = layers.Dropout(dropout)(x)
        x = layers.Concatenate()([layers.ReLU()(x), skips[level]])
    return keras.Model(inputs, _images(x, target_channels or shape[2], 3), name="generator")


@conditioning.channels_last()
def resnet_translator(
    image_shape: Sequence[int] = (28, 28, 1),
    target_channels: int | None = None,
    width: int = 32,
    blocks: int = 6,
    normalization: str | None = "instance",
    dropout: float = 0.0,
    upsampling: str = "resize",
) -> Network:
    """Builds a residual network, which translates images at a quarter of their size.

    Its layers are a 7x7 convolution, two 3x3 convolutions with stride 2, residual blocks of two 3x3
    convolutions, two doublings and a 7x7 convolution. The 7x7 convolutions and the residual blocks
    pad images with their mirror image, which leaves fewer marks at the borders than zeros.

    The network also translates images of other sizes, see `kgan.Pix2Pix.translate`.

    Args:
        image_shape: Three integers, `(height, width, channels)` of the images to translate, of at
            least 5 pixels on each side.
        target_channels: Integer, the channels of the translations. Defaults to those of the images.
        width: Integer, the channels at full size; it doubles with each halving.
        blocks: Integer, the number of residual blocks. The paper has 6 for 128x128 pixels and 9 for
            256x256.
        normalization: `"instance"` (each image by itself), `"batch"`, or None.
        dropout: Float in [0, 1), the fraction of values that each residual block drops in
            training.
        upsampling: `"resize"` repeats pixels before a 3x3 convolution, and makes no checkerboards.
            `"transposed"` is a 4x4 transposed convolution, and faster.

    Returns:
        A `keras.Model` from float `(batch, height, width, channels)` to images, float32
        `(batch, height, width, target_channels)`, in [-1, 1].

    Raises:
        ValueError: A size is not an integer of at least 1, the image is too small, or a name is
            unknown.

    Example:
    ```python
    generator = kgan.networks.resnet_translator((32, 32, 3), width=8, blocks=2)
    assert generator.output_shape == (None, 32, 32, 3)
    ```

    Reference:
        [Johnson et al., 2016](https://arxiv.org/abs/1603.08155);
        [Zhu et al., 2017](https://arxiv.org/abs/1703.10593), appendix 7.2.
    """
    shape = conditioning.check_sizes(
        image_shape, target_channels=target_channels, width=width, blocks=blocks
    )
    if min(shape[:2]) < 5:
        raise ValueError(
            "Expected images of at least 5 pixels on each side. "
            f"Received: image_shape={tuple(image_shape)}."
        )
    normalise = normalization_of(normalization)
    double = _upsampling(upsampling)
    is_plain = normalization is None  # a mean is subtracted otherwise, and every bias with it

    def active(x: Tensor) -> Tensor:
        return layers.ReLU()(normalise(x))

    def padded(x: Tensor, channels: int, size: int = 3) -> Tensor:
        x = ReflectionPadding2D(size // 2)(x)
        return layers.Conv2D(channels, size, use_bias=is_plain)(x)

    inputs = x = keras.Input(shape, name="image")
    x = active(padded(x, width, size=7))
    skips = []
    for level in (1, 2):
        skips.append(x)
        x = layers.Conv2D(width * 2**level, 3, strides=2, padding="same", use_bias=is_plain)(x)
        x = active(x)
    for _ in range(blocks):
        y = active(padded(x, width * 4))
        if dropout:
            y = layers.Dropout(dropout)(y)
        x = layers.Add()([x, normalise(padded(y, width * 4))])
    for level in (1, 0):
        x = active(double(x, width * 2**level, skips[level], is_plain))
    x = ReflectionPadding2D(3)(x)
    outputs = _images(x, target_channels or shape[2], 7, padding="valid")
    return keras.Model(inputs, outputs, name="generator")


def normalization_of(name: str | None) -> Callable[[Tensor], Tensor]:
    """The function that normalises maps, by the name of a normalisation, or None."""
    makers: dict[str, Callable[[], layers.Layer]] = {
        "instance": partial(layers.GroupNormalization, groups=-1, epsilon=1e-5),
        "batch": partial(layers.BatchNormalization, momentum=0.9),
    }
    if name is None:
        return lambda x: x
    make = find_name(name, makers, what="a normalization")

    def normalised(x: Tensor) -> Tensor:
        return make()(x)  # a new layer at each place

    return normalised


def _upsampling(name: str) -> Callable[[Tensor, int, Tensor, bool], Tensor]:
    """The function `(maps, channels, like, use_bias)` that doubles maps to the size of others."""

    def resized(x: Tensor, channels: int, like: Tensor, use_bias: bool) -> Tensor:
        x = CropLike()([layers.UpSampling2D()(x), like])
        return layers.Conv2D(channels, 3, padding="same", use_bias=use_bias)(x)

    def transposed(x: Tensor, channels: int, like: Tensor, use_bias: bool) -> Tensor:
        make = layers.Conv2DTranspose(channels, 4, strides=2, padding="same", use_bias=use_bias)
        return CropLike()([make(x), like])

    return find_name(
        name, {"resize": resized, "transposed": transposed}, what="a kind of upsampling"
    )


def _channels(width: int, level: int) -> int:
    return int(width * min(2**level, _MOST_WIDTHS))


def _depth(image_shape: tuple[int, int, int], depth: int | None) -> int:
    """How often a U-Net halves images."""
    size, most = min(image_shape[:2]), 0
    while size > 1:
        size, most = (size + 1) // 2, most + 1
    if depth is None:
        depth = max(1, most - 2)
    if integer("depth", depth) > most:
        raise ValueError(
            f"Expected images that can be halved {depth} times. "
            f"Received: image_shape={image_shape}, which can be halved {most} times."
        )
    return depth


def _images(x: Tensor, channels: int, size: int, padding: str = "same") -> Tensor:
    """Images in [-1, 1]. float32 whatever the policy: exact ends of the range matter here."""
    make = layers.Conv2D(channels, size, padding=padding, activation="tanh", dtype="float32")
    return make(x)

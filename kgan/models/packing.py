"""Several images as one, for a discriminator that judges them together (PacGAN).

Reference:
    [Lin et al., 2018](https://arxiv.org/abs/1712.04086).
"""

from keras import ops

from kgan._typing import Tensor


def packed(images: Tensor, pack: int) -> Tensor:
    """Every `pack` consecutive images as one, with the channels of all."""
    if pack == 1:
        return images
    count, height, width, channels = ops.shape(images)
    images = ops.reshape(images, (count // pack, pack, height, width, channels))
    images = ops.transpose(images, (0, 2, 3, 1, 4))
    return ops.reshape(images, (count // pack, height, width, pack * channels))


def unpacked(images: Tensor, pack: int) -> Tensor:
    """The inverse of `packed`."""
    if pack == 1:
        return images
    count, height, width, channels = ops.shape(images)
    images = ops.reshape(images, (count, height, width, pack, channels // pack))
    images = ops.transpose(images, (0, 3, 1, 2, 4))
    return ops.reshape(images, (count * pack, height, width, channels // pack))

"""Discriminators that score each patch of an image."""

from collections.abc import Sequence

import keras
from keras import layers

from kgan._typing import Network
from kgan.networks import conditioning
from kgan.networks.translators import normalization_of

# Receptive fields, and the number of halvings before the last two convolutions, which do not halve.
_HALVINGS = {1: None, 16: 1, 34: 2, 70: 3, 142: 4}
_MOST_WIDTHS = 8  # as in the paper


@conditioning.channels_last()
def patch_discriminator(
    image_shape: Sequence[int] = (28, 28, 1),
    receptive_field: int = 34,
    width: int = 32,
    normalization: str | None = "instance",
) -> Network:
    """Builds a PatchGAN discriminator, with a logit for each patch of an image.

    It judges texture and detail. It does not compare pixels that are further apart than its
    receptive field, except by the statistics of an instance normalisation. Its layers are 4x4
    convolutions with stride 2 and leaky ReLUs, then two 4x4 convolutions without a stride. Channels
    double with each layer, up to eight times `width`. With a receptive field of 1, there are only
    1x1 convolutions, which judge each pixel.

    Args:
        image_shape: Three integers, `(height, width, channels)`. For a discriminator that sees
            inputs and targets, as in `kgan.Pix2Pix`, `channels` counts both together.
        receptive_field: Integer, the side of a patch in pixels: 1, 16, 34, 70 or 142.
        width: Integer, the channels after the first convolution.
        normalization: `"instance"`, `"batch"` or None. The first and the last layer are not
            normalised.

    Returns:
        A `keras.Model` from images, float `(batch, height, width, channels)`, to logits, float32
        `(batch, rows, columns, 1)`.

    Raises:
        ValueError: A size is not an integer of at least 1, or a value is unknown.

    Example:
    ```python
    discriminator = kgan.networks.patch_discriminator((28, 28, 2), receptive_field=16)
    assert discriminator.output_shape == (None, 14, 14, 1)
    ```

    Reference:
        [Isola et al., 2017](https://arxiv.org/abs/1611.07004), appendix 6.1.2, with receptive
        fields of 1, 16, 70 and 286.
    """
    shape = conditioning.check_sizes(image_shape, width=width)
    if receptive_field not in list(_HALVINGS):  # a value that cannot be hashed raises the error too
        raise ValueError(
            f"Expected `receptive_field` to be one of {sorted(_HALVINGS)}. "
            f"Received: receptive_field={receptive_field!r}."
        )
    normalise = normalization_of(normalization)
    halvings = _HALVINGS[receptive_field]
    inputs = x = keras.Input(shape, name="image")
    if halvings is None:
        strides, size = [1], 1
    else:
        strides, size = [2] * halvings, 4
    for level, stride in enumerate([*strides, 1]):
        channels = width * min(2**level, _MOST_WIDTHS)
        is_plain = normalization is None or not level
        x = layers.Conv2D(channels, size, strides=stride, padding="same", use_bias=is_plain)(x)
        x = layers.LeakyReLU(negative_slope=0.2)(x if is_plain else normalise(x))
    # float32 whatever the policy, as all logits are.
    logits = layers.Conv2D(1, size, padding="same", dtype="float32")(x)
    return keras.Model(inputs, logits, name="discriminator")

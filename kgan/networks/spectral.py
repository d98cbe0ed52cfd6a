"""Parts of residual networks with spectral normalisation, which several families share."""

from collections.abc import Callable

import keras
from keras import layers, ops

from kgan._typing import Layer, Network, Tensor
from kgan.layers import SelfAttention, SpectralNormalization
from kgan.networks import conditioning, pyramid

# All singular values of an orthogonal kernel are the same, so the power iteration is right after
# one step from any start.
ORTHOGONAL = "orthogonal"


def normalised(layer: Layer) -> Layer:
    """A layer with spectral normalisation."""
    return SpectralNormalization(layer, dtype=layer.dtype_policy)


def convolution(
    x: Tensor,
    channels: int,
    kernel_size: int,
    regularizer: keras.regularizers.Regularizer | None = None,
) -> Tensor:
    """A convolution with spectral normalisation."""
    layer = layers.Conv2D(
        channels,
        kernel_size,
        padding="same",
        kernel_initializer=ORTHOGONAL,
        kernel_regularizer=regularizer,
    )
    return normalised(layer)(x)


def attention_at(
    sizes: list[tuple[int, int]], attention_size: int | None
) -> Callable[[Tensor], Tensor]:
    """A function that adds self-attention to maps of one size, and returns others unchanged.

    Args:
        sizes: Heights and widths of all maps, as of `pyramid.halved`.
        attention_size: Integer, the larger side of the maps, or None for no attention.

    Raises:
        ValueError: No maps have that size.
    """
    sides = [max(size) for size in sizes[1:]]
    if attention_size is not None and attention_size not in sides:
        raise ValueError(
            f"Expected `attention_size` to be a size of the maps, one of {sides}, or None. "
            f"Received: attention_size={attention_size!r}."
        )

    def attend(x: Tensor) -> Tensor:
        return SelfAttention()(x) if max(x.shape[1:3]) == attention_size else x

    return attend


def discriminator(
    image_shape: tuple[int, int, int],
    num_classes: int | None,
    width: int,
    halvings: int,
    attend: Callable[[Tensor], Tensor] = lambda x: x,
) -> Network:
    """The discriminator of `sngan`, with a projection of the label.

    Args:
        image_shape: Three integers, `(height, width, channels)`.
        num_classes: Integer, or None for an unconditional one.
        width: Integer, the number of channels next to the image; it doubles with every halving.
        halvings: Integer, how often the image is halved.
        attend: Applied to the maps after every block.

    Returns:
        A `keras.Model` from images (and labels) to logits `(batch, 1)`.
    """
    image = x = keras.Input(image_shape, name="image")
    for level in range(halvings + 1):
        channels = width * 2 ** min(level, halvings - 1)
        around, y = x, x
        if level:  # the image itself keeps its values below 0
            y = layers.ReLU()(y)
        y = layers.ReLU()(convolution(y, channels, 3))
        y = convolution(y, channels, 3)
        if level < halvings:
            y = pyramid.halved_maps(y)
            # A 1x1 convolution after the mean gives the same at a quarter of the cost.
            around = convolution(pyramid.halved_maps(around), channels, 1)
        x = attend(layers.Add()([around, y]))
    features = ops.sum(layers.ReLU()(x), axis=(1, 2))
    head = layers.Dense(1, kernel_initializer=ORTHOGONAL, dtype="float32")
    logits = normalised(head)(features)
    if num_classes is None:
        return keras.Model(image, logits, name="discriminator")
    label = conditioning.label_input()
    logits = conditioning.project(logits, features, label, num_classes, wrap=normalised)
    return keras.Model([image, label], logits, name="discriminator")

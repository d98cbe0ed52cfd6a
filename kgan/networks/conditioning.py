"""Parts that network families share: return types, inputs, labels, packed images."""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import keras
import numpy as np
from keras import layers

from kgan._arguments import integer
from kgan._typing import Layer, Network, Tensor


class GANPair(NamedTuple):
    """The networks of a `kgan.GAN`.

    Attributes:
        generator: From latents, float `(batch, latent_dim)`, and labels if it is conditional, to
            images.
        discriminator: From images, and labels, to logits `(batch, 1)`, and a second output if there
            is one.
    """

    generator: Network
    discriminator: Network


@contextlib.contextmanager
def channels_last() -> Iterator[None]:
    """A context in which layers take channels last, whatever the user's default is."""
    before = keras.config.image_data_format()
    keras.config.set_image_data_format("channels_last")
    try:
        yield
    finally:
        keras.config.set_image_data_format(before)


def label_input() -> Tensor:
    """The input for integer labels, shape `(batch,)`."""
    return keras.Input((), dtype="int32", name="label")


def join_latent(latent: Tensor, label: Tensor, num_classes: int) -> Tensor:
    """Vectors followed by an embedding of the label, `(batch, latent_dim + 50)`."""
    embedding = layers.Embedding(num_classes, 50, name="label_embedding")(label)
    return layers.Concatenate(name="latent_and_label")([latent, embedding])


def join_image(image: Tensor, label: Tensor, num_classes: int) -> Tensor:
    """Images with one more channel, an embedding of the label."""
    height, width, _ = image.shape[1:]
    plane = layers.Embedding(num_classes, height * width, name="label_embedding")(label)
    plane = layers.Reshape((height, width, 1), name="label_plane")(plane)
    return layers.Concatenate(name="image_and_label")([image, plane])


def project(
    logits: Tensor,
    features: Tensor,
    label: Tensor,
    num_classes: int,
    wrap: Callable[[Layer], Layer] = lambda layer: layer,
) -> Tensor:
    """Adds the dot product of features with an embedding of the label to logits (projection).

    Args:
        logits: Float `(batch, 1)`.
        features: Float `(batch, n)`.
        label: Integer `(batch,)`.
        num_classes: Integer.
        wrap: Wraps the embedding layer, for example to normalise its weights.

    Reference:
        [Miyato and Koyama, 2018](https://arxiv.org/abs/1802.05637).
    """
    embedding = layers.Embedding(num_classes, features.shape[-1], name="label_embedding")
    embedding = wrap(embedding)(label)
    # float32 whatever the policy, as logits are.
    match = layers.Dot(axes=-1, dtype="float32", name="label_match")([features, embedding])
    return layers.Add(dtype="float32")([logits, match])


def packed(image_shape: tuple[int, int, int], pack: int) -> tuple[int, int, int]:
    """The shape of `pack` images as the one that a discriminator takes."""
    height, width, channels = image_shape
    return height, width, pack * channels


def check_sizes(image_shape: Sequence[int], **sizes: int | None) -> tuple[int, int, int]:
    """Checks the sizes that a network function was given.

    Args:
        image_shape: As the caller got it.
        **sizes: Other arguments that must be integers of at least 1, or None.

    Returns:
        `image_shape` as `(height, width, channels)`.

    Raises:
        ValueError: A size is not an integer of at least 1, or the shape is not three of them.
    """
    shape: Any = tuple(image_shape) if np.iterable(image_shape) else ()
    if len(shape) != 3 or any(not isinstance(n, (int, np.integer)) or n < 1 for n in shape):
        raise ValueError(
            "Expected `image_shape` to be (height, width, channels), for MNIST (28, 28, 1). "
            f"Received: image_shape={image_shape!r}."
        )
    for name, size in sizes.items():
        if size is not None:
            integer(name, size)
    return tuple(int(n) for n in shape)  # type: ignore[return-value]  # three, as was checked

"""What the networks take: images with their channels last, class labels, several as one."""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import keras
import numpy as np
from keras import layers

from kgan._arguments import integer


@contextlib.contextmanager
def channels_last() -> Iterator[None]:
    """A context in which layers take images as kgan has them, whatever the user's default is."""
    before = keras.config.image_data_format()
    keras.config.set_image_data_format("channels_last")
    try:
        yield
    finally:
        keras.config.set_image_data_format(before)


def label_input() -> Any:
    """The input for integer labels, shape `(batch,)`."""
    return keras.Input((), dtype="int32", name="label")


def join_latent(latent: Any, label: Any, num_classes: int) -> Any:
    """Latents with the label's embedding behind them, `(batch, latent_dim + 50)`."""
    embedding = layers.Embedding(num_classes, 50, name="label_embedding")(label)
    return layers.Concatenate(name="latent_and_label")([latent, embedding])


def join_image(image: Any, label: Any, num_classes: int) -> Any:
    """Images with one more channel, which the label's embedding fills."""
    height, width, _ = image.shape[1:]
    plane = layers.Embedding(num_classes, height * width, name="label_embedding")(label)
    plane = layers.Reshape((height, width, 1), name="label_plane")(plane)
    return layers.Concatenate(name="image_and_label")([image, plane])


def project(
    logits: Any,
    features: Any,
    label: Any,
    num_classes: int,
    wrap: Callable[[Any], Any] = lambda layer: layer,
) -> Any:
    """Logits, and how well features match the label: their dot product with its embedding.

    Args:
        logits: Float `(batch, 1)`.
        features: Float `(batch, n)`.
        label: Integer `(batch,)`.
        num_classes: Integer.
        wrap: What is done to the embedding layer: a normalisation of its weights, say.

    Reference:
        [Miyato and Koyama, 2018](https://arxiv.org/abs/1802.05637).
    """
    embedding = layers.Embedding(num_classes, features.shape[-1], name="label_embedding")
    embedding = wrap(embedding)(label)
    # float32 whatever the policy, as logits are.
    match = layers.Dot(axes=-1, dtype="float32", name="label_match")([features, embedding])
    return layers.Add(dtype="float32")([logits, match])


def packed(image_shape: tuple[int, int, int], pack: int) -> tuple[int, int, int]:
    """The shape of `pack` images as a discriminator takes them for one."""
    height, width, channels = image_shape
    return height, width, pack * channels


def check_sizes(image_shape: Sequence[int], **sizes: int | None) -> tuple[int, int, int]:
    """Returns `image_shape` as (height, width, channels), or says what is wrong with the arguments.

    Args:
        image_shape: What the caller got.
        **sizes: Other arguments that must be integers of at least 1, None where left out.

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

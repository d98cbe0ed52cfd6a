"""Parts that causal networks share: return type, first convolutions, head."""

from collections.abc import Sequence
from typing import NamedTuple

import keras
from keras import layers

from kgan import likelihoods
from kgan._typing import Network, Tensor
from kgan.layers import CausalConv2D, ChannelHead, LevelEmbedding


class AutoregressiveNetwork(NamedTuple):
    """The network of a `kgan.PixelCNN` or a `kgan.PixelRNN`.

    Attributes:
        network: From images (and labels) to the outputs of a likelihood, float32
            `(batch, height, width, likelihood.outputs_for(channels))`.
    """

    network: Network


def embedded(
    image: Tensor, likelihood: likelihoods.Likelihood, embedding_width: int | None
) -> Tensor:
    """The image, or a trained vector for each of its levels if there is an `embedding_width`."""
    if embedding_width is None:
        return image
    levels = getattr(likelihood, "levels", 256)
    return LevelEmbedding(levels, embedding_width, name="level_embedding")(image)


def first_stacks(
    x: Tensor, height: int, width: int, kernel_size: Sequence[int]
) -> tuple[Tensor | None, Tensor]:
    """The two stacks' first convolutions, which leave out the row and the pixel itself."""
    rows, columns = kernel_size
    left = (1, max(columns // 2, 1))
    horizontal = CausalConv2D(width, left, "horizontal", strict=True, name="horizontal")(x)
    if height == 1:
        return None, horizontal
    vertical = CausalConv2D(width, (rows, columns), "vertical", strict=True, name="vertical")(x)
    joined = layers.Conv2D(width, 1, use_bias=False, name="joined")(vertical)
    return vertical, layers.Add()([horizontal, joined])


def with_head(
    image: Tensor,
    label: Tensor | None,
    features: Tensor,
    likelihood: likelihoods.Likelihood,
    width: int,
) -> AutoregressiveNetwork:
    """The network that gives the outputs of a likelihood from features of earlier pixels."""
    outputs = _head(image, features, likelihood, width)
    inputs = image if label is None else [image, label]
    return AutoregressiveNetwork(keras.Model(inputs, outputs, name="network"))


def _head(
    image: Tensor, features: Tensor, likelihood: likelihoods.Likelihood, width: int
) -> Tensor:
    channels = image.shape[-1]
    x = layers.ReLU()(layers.Conv2D(width, 1, name="hidden")(layers.ReLU()(features)))
    if channels == 1 or getattr(likelihood, "is_joint", False):
        size = likelihood.outputs_for(channels)
        return layers.Conv2D(size, 1, dtype="float32", name="outputs")(x)
    return ChannelHead(likelihood.outputs_per_channel(), width, name="channel_head")([x, image])

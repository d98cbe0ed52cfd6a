"""Causal networks of autoregressive models: two stacks of gated convolutions."""

from collections.abc import Sequence
from dataclasses import dataclass

import keras
from keras import layers

from kgan import likelihoods
from kgan._arguments import integer
from kgan._typing import Tensor
from kgan.layers import CausalAttention, CausalConv2D, Gate
from kgan.layers.causal_convolution import Stack
from kgan.networks import autoregressive, conditioning


def pixel_cnn(
    image_shape: Sequence[int] = (28, 28, 1),
    num_classes: int | None = None,
    likelihood: str | likelihoods.Likelihood = "bernoulli",
    width: int = 48,
    blocks: int = 6,
    kernel_size: Sequence[int] = (2, 3),
    first_kernel_size: Sequence[int] = (3, 7),
    dilations: Sequence[int] = (1,),
    attention_heads: int = 0,
    embedding_width: int | None = None,
    dropout: float = 0.0,
) -> autoregressive.AutoregressiveNetwork:
    """The network of a gated PixelCNN, with a vertical and a horizontal stack.

    The vertical stack sees the rows above a pixel, the horizontal one the pixels to the left of it
    and the vertical stack. Each block adds a gated convolution to both. Images of one row need no
    vertical stack and get none.

    Args:
        image_shape: Three integers, `(height, width, channels)`.
        num_classes: Integer, makes the network conditional on a label below it. Defaults to an
            unconditional one.
        likelihood: As for `kgan.PixelCNN`: it decides how many outputs there are for each pixel.
        width: Integer, the channels of each stack.
        blocks: Integer, the number of blocks.
        kernel_size: Integers `(rows, columns)` of the vertical convolutions in blocks, with an odd
            number of columns. The horizontal ones have the left half, `columns // 2 + 1`.
        first_kernel_size: The same for the first convolution, which sees the image.
        dilations: Integers, the distances of the kernels' rows and columns in the blocks, one after
            the other, again and again. Larger ones see more of the image with as few weights.
        attention_heads: Integer, the heads of a self-attention over all earlier pixels after half
            of the blocks. Defaults to 0: none.
        embedding_width: Integer, the size of a trained vector for each level in place of its value,
            for levels without an order, such as characters. Defaults to `None`: the value.
        dropout: Float in [0, 1), the share of features that training drops in each block.

    Returns:
        `(network,)`, an `AutoregressiveNetwork`.

    Raises:
        ValueError: A size is not an integer of at least 1, or the likelihood is unknown or not one
            of finitely many levels.

    Example:
    ```python
    pixel_cnn = kgan.PixelCNN(*kgan.networks.pixel_cnn((28, 28, 1), width=8, blocks=2))
    ```

    Reference:
        [van den Oord et al., 2016](https://arxiv.org/abs/1606.05328) (Gated PixelCNN);
        [Chen et al., 2018](https://arxiv.org/abs/1712.09763) (PixelSNAIL) for attention.
    """
    shape = conditioning.check_sizes(
        image_shape, num_classes=num_classes, width=width, blocks=blocks
    )
    given = likelihoods.get(likelihood)
    image = keras.Input(shape, name="image")
    label = None if num_classes is None else conditioning.label_input()
    x = autoregressive.embedded(image, given, embedding_width)
    vertical, horizontal = autoregressive.first_stacks(x, shape[0], width, first_kernel_size)
    for number in range(blocks):
        dilation = integer("dilations", dilations[number % len(dilations)])
        block = _Block(f"{number}", kernel_size, dilation, label, num_classes, dropout)
        vertical, horizontal = block(vertical, horizontal)
        if attention_heads and number == (blocks - 1) // 2:
            attended = CausalAttention(attention_heads, width // 2, name="attention")(horizontal)
            attended = layers.Conv2D(width, 1, name="attention_residual")(attended)
            horizontal = layers.Add()([horizontal, attended])
    return autoregressive.with_head(image, label, horizontal, given, 2 * width)


@dataclass(frozen=True)
class _Block:
    """Adds a gated convolution to each of the two stacks."""

    name: str
    kernel_size: Sequence[int]
    dilation: int
    label: Tensor | None
    num_classes: int | None
    dropout: float

    def __call__(self, vertical: Tensor | None, horizontal: Tensor) -> tuple[Tensor | None, Tensor]:
        rows, columns = self.kernel_size
        width = horizontal.shape[-1]
        parts = []
        if vertical is not None:
            seen = self._convolved(vertical, (rows, columns), "vertical")
            # Without a residual connection, whose sums would grow and saturate the gates.
            vertical = self._gated([seen], "vertical")
            joined = layers.Conv2D(2 * width, 1, use_bias=False, name=f"joined_{self.name}")
            parts = [joined(vertical)]
        parts.append(self._convolved(horizontal, (1, columns // 2 + 1), "horizontal"))
        residual = layers.Conv2D(width, 1, name=f"residual_{self.name}")
        return vertical, layers.Add()([horizontal, residual(self._gated(parts, "horizontal"))])

    def _convolved(self, x: Tensor, kernel_size: tuple[int, int], stack: Stack) -> Tensor:
        return CausalConv2D(
            2 * x.shape[-1],
            kernel_size,
            stack,
            dilation=self.dilation,
            name=f"{stack}_{self.name}",
        )(x)

    def _gated(self, parts: list[Tensor], stack: Stack) -> Tensor:
        if self.label is not None:
            size = parts[0].shape[-1]
            bias = layers.Embedding(
                self.num_classes,
                size,
                embeddings_initializer="zeros",
                name=f"{stack}_label_{self.name}",
            )(self.label)
            parts = [*parts, layers.Reshape((1, 1, size))(bias)]
        x = Gate("tanh")(layers.Add()(parts) if len(parts) > 1 else parts[0])
        return layers.Dropout(self.dropout)(x) if self.dropout else x

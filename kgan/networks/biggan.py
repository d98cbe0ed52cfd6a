"""Residual networks for many classes, as in BigGAN."""

from collections.abc import Callable, Sequence

import keras
from keras import layers

from kgan._arguments import integer
from kgan._typing import Layer, Network, Tensor
from kgan.networks import conditioning, pyramid, spectral
from kgan.regularizers import OffDiagonalOrthogonal


@conditioning.channels_last()
def biggan(
    image_shape: Sequence[int] = (28, 28, 1),
    latent_dim: int = 80,
    num_classes: int | None = None,
    width: int = 16,
    embedding_dim: int = 32,
    attention_size: int | None = None,
    orthogonal_weight: float = 1e-4,
    pack: int = 1,
) -> conditioning.GANPair:
    """Two residual networks, with spectral normalisation and skip connections from the latent.

    The latent is cut into chunks: one for the first layer of the generator, and one for each of its
    blocks. A block gets its chunk joined to an embedding of the label, which all blocks share. Two
    linear functions of that are the scales and shifts of its batch normalisation. So each size of
    the image has its own part of the latent. All convolutions and linear functions have spectral
    normalisation and begin orthogonal; a regularisation loss keeps the filters of the generator
    different from each other.

    The discriminator is that of `sngan`: residual blocks until at most 4 pixels a side are left, a
    sum over all positions, and a projection of the label.

    Use it with `loss="hinge"`, Adam with `beta_1=0`, two or more updates of the discriminator for
    each of the generator, and an average of the weights. `generate(truncation=...)` exchanges
    variety for quality.

    Args:
        image_shape: Three integers, `(height, width, channels)`, the larger side at least 5.
        latent_dim: Integer, the size of the latents, at least one for each chunk. If chunks cannot
            be equal, the first is the largest.
        num_classes: Integer, makes both networks conditional on a label below it. Defaults to
            unconditional ones.
        width: Integer, the number of channels next to the image; it doubles with every halving.
        embedding_dim: Integer, the size of the embedding of the label in the generator.
        attention_size: Integer, the larger side of the maps that get self-attention in both
            networks, such as 16 for images of 32 x 32. Defaults to `None`: no attention.
        orthogonal_weight: Float, the weight of `kgan.regularizers.OffDiagonalOrthogonal` for the
            convolutions of the generator. 0 for none.
        pack: Integer, the number of images that the discriminator takes as one, as in
            `GAN(..., pack=pack)`.

    Returns:
        `(generator, discriminator)`, a `GANPair`. The generator maps latents, float
        `(batch, latent_dim)` (conditional: and labels, int32 `(batch,)`), to images, float
        `(batch, *image_shape)`, in [-1, 1]; the discriminator maps images (and labels) to logits,
        float `(batch, 1)`.

    Raises:
        ValueError: A size is not an integer of at least 1, the image is too small, there are fewer
            latents than chunks, or no maps have the size `attention_size`.

    Example:
    ```python
    networks = kgan.networks.biggan((32, 32, 3), num_classes=10, width=8, attention_size=16)
    gan = kgan.GAN(*networks)
    gan.compile(
        keras.optimizers.Adam(2e-4, beta_1=0.0),
        keras.optimizers.Adam(2e-4, beta_1=0.0),
        loss="hinge",
        discriminator_steps=2,
        ema_decay=0.999,
    )
    ```

    Reference:
        [Brock et al., 2019](https://arxiv.org/abs/1809.11096); unlike there, the channels double
        with every halving up to the smallest size.
    """
    shape = conditioning.check_sizes(
        image_shape,
        latent_dim=latent_dim,
        num_classes=num_classes,
        width=width,
        pack=pack,
    )
    integer("embedding_dim", embedding_dim)
    sizes = pyramid.halved(shape)
    if latent_dim < len(sizes):
        raise ValueError(
            f"Expected at least {len(sizes)} latents, one for each chunk. "
            f"Received: latent_dim={latent_dim}."
        )
    attend = spectral.attention_at(sizes, attention_size)
    regularizer = OffDiagonalOrthogonal(orthogonal_weight) if orthogonal_weight else None
    generator = _Generator(num_classes, embedding_dim, attend, regularizer)
    return conditioning.GANPair(
        generator.build(shape, latent_dim, width, sizes),
        spectral.discriminator(
            conditioning.packed(shape, pack), num_classes, width, len(sizes) - 1, attend
        ),
    )


class _Generator:
    """Builds the generator.

    Args:
        num_classes: Integer, or None for an unconditional one.
        embedding_dim: Integer.
        attend: Applied to the maps after every block.
        regularizer: That of convolutions, or None.
    """

    def __init__(
        self,
        num_classes: int | None,
        embedding_dim: int,
        attend: Callable[[Tensor], Tensor],
        regularizer: OffDiagonalOrthogonal | None,
    ) -> None:
        self._num_classes = num_classes
        self._embedding_dim = embedding_dim
        self._attend = attend
        self._regularizer = regularizer

    def build(
        self,
        image_shape: tuple[int, int, int],
        latent_dim: int,
        width: int,
        sizes: list[tuple[int, int]],
    ) -> Network:
        """Builds the network for images of a shape and maps of these sizes."""
        inputs, chunks = self._inputs(latent_dim, len(sizes))
        *larger, smallest = sizes
        channels = width * 2 ** (len(larger) - 1)
        first = layers.Dense(
            smallest[0] * smallest[1] * channels, kernel_initializer=spectral.ORTHOGONAL
        )
        x = spectral.normalised(first)(chunks[0])
        x = layers.Reshape((*smallest, channels))(x)
        for level, condition in zip(reversed(range(len(larger))), chunks[1:], strict=True):
            x = self._attend(self._block(x, condition, width * 2**level, larger[level]))
        x = layers.ReLU()(layers.BatchNormalization(momentum=0.9)(x))
        # float32 whatever the policy: exact ends of the range matter more than speed here.
        last = layers.Conv2D(
            image_shape[2],
            3,
            padding="same",
            activation="tanh",
            kernel_initializer=spectral.ORTHOGONAL,
            dtype="float32",
        )
        return keras.Model(inputs, spectral.normalised(last)(x), name="generator")

    def _inputs(self, latent_dim: int, count: int) -> tuple[Tensor | list[Tensor], list[Tensor]]:
        """The inputs, and the chunks of the latent: those of blocks joined with the label."""
        latent = keras.Input((latent_dim,), name="latent")
        size = latent_dim // count
        start = latent_dim - (count - 1) * size
        chunks = [latent[:, :start]]
        chunks += [latent[:, at : at + size] for at in range(start, latent_dim, size)]
        if self._num_classes is None:
            return latent, chunks
        label = conditioning.label_input()
        embedding = layers.Embedding(
            self._num_classes, self._embedding_dim, name="label_embedding"
        )(label)
        joined = [layers.Concatenate()([chunk, embedding]) for chunk in chunks[1:]]
        return [latent, label], [chunks[0], *joined]

    def _block(self, x: Tensor, condition: Tensor, channels: int, size: tuple[int, int]) -> Tensor:
        """A residual block that doubles the maps, up to a size."""
        y = pyramid.doubled(_active(x, condition), size)
        y = self._convolution(y, channels, 3)
        y = self._convolution(_active(y, condition), channels, 3)
        # A 1x1 convolution before the pixels are repeated gives the same at a quarter of the cost.
        around = pyramid.doubled(self._convolution(x, channels, 1), size)
        return layers.Add()([around, y])

    def _convolution(self, x: Tensor, channels: int, kernel_size: int) -> Tensor:
        return spectral.convolution(x, channels, kernel_size, self._regularizer)


def _active(x: Tensor, condition: Tensor) -> Tensor:
    """Batch normalisation with scales and shifts from a condition, and a ReLU."""
    channels = x.shape[-1]
    x = layers.BatchNormalization(momentum=0.9, center=False, scale=False)(x)
    scale, shift = (
        layers.Reshape((1, 1, channels))(spectral.normalised(_linear(channels))(condition))
        for _ in range(2)
    )
    return layers.ReLU()(layers.Add()([x, layers.Multiply()([x, scale]), shift]))


def _linear(units: int) -> Layer:
    return layers.Dense(units, use_bias=False, kernel_initializer=spectral.ORTHOGONAL)

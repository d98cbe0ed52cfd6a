"""The plain loop of `kgan.networks.biggan` in PyTorch: modules, channels last, autograd.

`PlainBigGAN` computes what `kgan.GAN` computes with these networks, the hinge loss, two updates of
the discriminator for each of the generator, and an average of the generator's weights. Its
interface is that of the other loops, see `loops`, with these differences:

- its networks are for square images whose side is 4 times a power of 2, and conditional;
- `place` and `step` take `(images, labels)`, and `train` batches of such pairs;
- the noise of a step is a tensor for each of its parts.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from loops import Adam
from loops.torch import PlainLoop

ADAM = Adam(2e-4, (0.0, 0.999))
PARTS = 2  # updates of the discriminator, each on its own part of the batch
DECAY = 0.999  # of the average
ORTHOGONAL_WEIGHT = 1e-4


class Normalised(nn.Module):
    """Spectral normalisation of a layer, with one power iteration in each call."""

    def __init__(self, layer: Any) -> None:
        super().__init__()
        self.layer = layer
        self.register_buffer("u", torch.zeros(1, self._matrix().shape[0]))

    def _matrix(self) -> Any:
        weight = self.layer.weight
        return weight.T if isinstance(self.layer, nn.Embedding) else _matrix(weight)

    def weight(self) -> Any:
        """The layer's weight, divided by its largest singular value."""
        weight, matrix = self.layer.weight, self._matrix()
        with torch.no_grad():
            v = functional.normalize(torch.mm(self.u, matrix))
            u = functional.normalize(torch.mm(v, matrix.T))
            self.u.copy_(u)
        return weight / torch.sum(torch.mm(u, matrix) * v)

    def forward(self, x: Any) -> Any:
        """Applies the layer with its normalised weight."""
        layer, weight = self.layer, self.weight()
        if isinstance(layer, nn.Conv2d):
            return functional.conv2d(x, weight, layer.bias, padding=layer.padding)
        if isinstance(layer, nn.Embedding):
            return functional.embedding(x, weight)
        return functional.linear(x, weight, layer.bias)


def _matrix(weight: Any) -> Any:
    """A weight as a matrix with a row for each output, without a copy in channels last."""
    return weight.permute(0, 2, 3, 1).flatten(1) if weight.ndim == 4 else weight


def convolution(before: int, after: int, size: int, bias: bool = True) -> Normalised:
    return Normalised(nn.Conv2d(before, after, size, padding=size // 2, bias=bias))


class Attention(nn.Module):
    """The self-attention of `kgan.layers.SelfAttention`."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        few, half = max(channels // 8, 1), max(channels // 2, 1)
        self.gamma = nn.Parameter(torch.zeros(1))
        self.query = convolution(channels, few, 1, bias=False)
        self.key = convolution(channels, few, 1, bias=False)
        self.values = convolution(channels, half, 1, bias=False)
        self.output = convolution(half, channels, 1, bias=False)

    def forward(self, x: Any) -> Any:
        """Adds the features of all positions."""
        query = self.query(x).permute(0, 2, 3, 1).flatten(1, 2)
        key = functional.max_pool2d(self.key(x), 2).permute(0, 2, 3, 1).flatten(1, 2)
        values = functional.max_pool2d(self.values(x), 2).permute(0, 2, 3, 1).flatten(1, 2)
        found = torch.bmm(torch.bmm(query, key.mT).softmax(2), values)
        found = found.view(-1, *x.shape[2:], found.shape[2]).permute(0, 3, 1, 2)
        return torch.addcmul(x, self.gamma, self.output(found))


class ConditionalNorm(nn.Module):
    """Batch normalisation, the scales (minus 1) and shifts from a condition, and a ReLU."""

    def __init__(self, channels: int, condition: int) -> None:
        super().__init__()
        # In the order of Keras's weights, as are all modules here.
        self.scale = Normalised(nn.Linear(condition, channels, bias=False))
        self.norm = nn.BatchNorm2d(channels, eps=1e-3, momentum=0.1, affine=False)
        self.shift = Normalised(nn.Linear(condition, channels, bias=False))

    def forward(self, x: Any, condition: Any) -> Any:
        """Normalises, scales, shifts and rectifies maps."""
        scale, shift = (part(condition)[:, :, None, None] for part in (self.scale, self.shift))
        return torch.addcmul(shift, self.norm(x), 1 + scale).relu_()


class GeneratorBlock(nn.Module):
    """A residual block that doubles the maps."""

    def __init__(self, before: int, after: int, condition: int) -> None:
        super().__init__()
        self.norm1 = ConditionalNorm(before, condition)
        self.convolution1 = convolution(before, after, 3)
        self.norm2 = ConditionalNorm(after, condition)
        self.shortcut = convolution(before, after, 1)
        self.convolution2 = convolution(after, after, 3)

    def forward(self, x: Any, condition: Any) -> Any:
        """Computes the block."""
        y = self.convolution1(doubled(self.norm1(x, condition)))
        y = self.convolution2(self.norm2(y, condition))
        return y.add_(doubled(self.shortcut(x)))


def doubled(x: Any) -> Any:
    return functional.interpolate(x, scale_factor=2)


class Generator(nn.Module):
    """The generator of `kgan.networks.biggan`."""

    def __init__(self, case: "Sizes") -> None:
        super().__init__()
        levels = case.levels
        self.chunk = case.latent_dim // (levels + 1)
        self.start = case.latent_dim - levels * self.chunk
        self.embedding = nn.Embedding(case.num_classes, case.embedding_dim)
        channels = case.width * 2 ** (levels - 1)
        self.first = Normalised(nn.Linear(self.start, 4 * 4 * channels))
        self.blocks = nn.ModuleList()
        for level in reversed(range(levels)):
            after = case.width * 2**level
            self.blocks.append(GeneratorBlock(channels, after, self.chunk + case.embedding_dim))
            if case.side >> level == case.attention_size:
                self.blocks.append(Attention(after))
            channels = after
        self.norm = nn.BatchNorm2d(channels, eps=1e-3, momentum=0.1)
        self.last = convolution(channels, case.channels, 3)

    def forward(self, latent: Any, label: Any) -> Any:
        """Computes images."""
        embedding = self.embedding(label)
        x = self.first(latent[:, : self.start]).view(len(latent), 4, 4, -1).permute(0, 3, 1, 2)
        chunks = iter(latent[:, self.start :].split(self.chunk, dim=1))
        for block in self.blocks:
            if isinstance(block, Attention):
                x = block(x)
            else:
                x = block(x, torch.cat([next(chunks), embedding], dim=1))
        return torch.tanh(self.last(self.norm(x).relu_()))

    def regularised(self) -> list[Any]:
        """The weights whose rows the loss keeps different from each other."""
        return [
            part.layer.weight
            for block in self.blocks
            if isinstance(block, GeneratorBlock)
            for part in (block.convolution1, block.shortcut, block.convolution2)
        ]


class DiscriminatorBlock(nn.Module):
    """A residual block, which may halve the maps."""

    def __init__(self, before: int, after: int, is_first: bool, halves: bool) -> None:
        super().__init__()
        self.is_first = is_first
        self.halves = halves
        self.convolution1 = convolution(before, after, 3)
        self.convolution2 = convolution(after, after, 3)
        if halves:
            self.shortcut = convolution(before, after, 1)

    def forward(self, x: Any) -> Any:
        """Computes the block."""
        y = self.convolution1(x if self.is_first else functional.relu(x))
        y = self.convolution2(y.relu_())
        if not self.halves:
            return y.add_(x)
        return functional.avg_pool2d(y, 2).add_(self.shortcut(functional.avg_pool2d(x, 2)))


class Discriminator(nn.Module):
    """The discriminator of `kgan.networks.biggan`, with a projection of the label."""

    def __init__(self, case: "Sizes") -> None:
        super().__init__()
        levels, before = case.levels, case.channels
        blocks: list[Any] = []
        for level in range(levels + 1):
            after = case.width * 2 ** min(level, levels - 1)
            blocks.append(DiscriminatorBlock(before, after, not level, level < levels))
            if level < levels and case.side >> (level + 1) == case.attention_size:
                blocks.append(Attention(after))
            before = after
        self.blocks = nn.Sequential(*blocks)
        self.embedding = Normalised(nn.Embedding(case.num_classes, before))
        self.head = Normalised(nn.Linear(before, 1))

    def forward(self, images: Any, label: Any) -> Any:
        """Computes logits."""
        features = self.blocks(images).relu_().sum((2, 3))
        return self.head(features) + (features * self.embedding(label)).sum(1, keepdim=True)


class Sizes:
    """The arguments of `kgan.networks.biggan`."""

    embedding_dim = 32

    def __init__(
        self,
        image_shape: tuple[int, int, int],
        latent_dim: int,
        num_classes: int,
        width: int,
        attention_size: int | None = None,
    ) -> None:
        self.side, _, self.channels = image_shape
        self.levels = (self.side // 4).bit_length() - 1
        self.latent_dim = latent_dim
        self.num_classes = num_classes
        self.width = width
        self.attention_size = attention_size


class PlainBigGAN(PlainLoop):
    """The loop of a BigGAN.

    Args:
        weights: As for `PlainLoop`: those of the generator, then those of the discriminator.
        **sizes: The arguments of `kgan.networks.biggan`.
    """

    adam = ADAM
    losses = 2

    def __init__(self, weights: Sequence[np.ndarray], **sizes: Any) -> None:
        case = Sizes(**sizes)
        networks = Generator(case), Discriminator(case)
        super().__init__(networks, weights, case.latent_dim)
        self.adams = [self._adam(network) for network in self.networks]
        self.averages = [tensor.detach().clone() for tensor in self._followed()]
        self.updates = 0

    def _followed(self) -> list[Any]:
        """The tensors of the generator that have an average: also statistics."""
        return [tensor.detach() for tensor, _ in self._tensors(self.networks[0])]

    def average(self) -> list[np.ndarray]:
        """The average of the generator's weights, in the order and layout of `weights`."""
        tensors = self._tensors(self.networks[0])
        return [
            np.array(average.permute(np.argsort(axes).tolist()).cpu())
            for average, (_, axes) in zip(self.averages, tensors, strict=True)
        ]

    def place(  # type: ignore[override]  # with their labels
        self, batch: tuple[np.ndarray, np.ndarray]
    ) -> tuple[Any, Any]:
        """Puts float images, NHWC, and their labels where the steps run."""
        images, labels = batch
        return super().place(images), torch.from_numpy(labels).to(self.device).long()

    def _floats(self, batch: tuple[Any, Any]) -> tuple[Any, Any]:
        return batch[0].float().mul_(2 / 255).sub_(1), batch[1]

    def step(self, batch: tuple[Any, Any], noise: Sequence[Any] | None = None) -> tuple[Any, ...]:
        """Trains on one batch that `place` has placed, and returns the losses."""
        if noise is None:
            shape = (PARTS, len(batch[0]) // PARTS, self.latent_dim)
            noise = torch.randn(shape, device=self.device).unbind()
        return self._stated_step(batch, noise)

    def _stated_step(self, batch: tuple[Any, Any], noise: Sequence[Any]) -> tuple[Any, Any]:
        generator, discriminator = self.networks
        images, labels = batch
        losses = []
        for part in range(PARTS):
            real, label = images[part::PARTS], labels[part::PARTS]
            # One pass through the generator serves the last update of the discriminator and the
            # update of the generator.
            with torch.set_grad_enabled(part == PARTS - 1):
                fake = generator(noise[part], label)
            losses.append(self._update_discriminator(real, fake.detach(), label))

        discriminator.requires_grad_(False)
        loss = -discriminator(fake, label).mean()
        discriminator.requires_grad_(True)
        loss = loss + ORTHOGONAL_WEIGHT * sum(map(_similarity, generator.regularised()))
        self.adams[0].zero_grad()
        loss.backward()
        self.adams[0].step()
        self._follow()
        return torch.stack(losses).mean(), loss.detach()

    def _update_discriminator(self, real: Any, fake: Any, label: Any) -> Any:
        discriminator = self.networks[1]
        real_logits, fake_logits = discriminator(real, label), discriminator(fake, label)
        loss = functional.relu(1 - real_logits).mean() + functional.relu(1 + fake_logits).mean()
        self.adams[1].zero_grad()
        loss.backward()
        self.adams[1].step()
        return loss.detach()

    def _follow(self) -> None:
        self.updates += 1
        kept = min(DECAY, (1 + self.updates) / (10 + self.updates))
        torch._foreach_lerp_(self.averages, self._followed(), 1 - kept)


def _similarity(weight: Any) -> Any:
    """The sum of the squared dot products of different rows."""
    matrix = _matrix(weight)
    return torch.mm(matrix, matrix.T).fill_diagonal_(0).square().sum()

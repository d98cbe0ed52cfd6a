"""The plain loops of image translation in PyTorch: modules, channels last, autograd.

`PlainPix2Pix` and `PlainCycleGAN` compute what `kgan.Pix2Pix` and `kgan.CycleGAN` compute with the
networks of `kgan.networks.pix2pix` and `kgan.networks.cyclegan`, with instance normalisation and
the defaults of `compile`. Their interface is that of the other loops, see `loops`, with these
differences:

- their arguments are the weights and `Sizes`;
- `place` and `step` take a pair of images, `(inputs, targets)` or `(a, b)`, and no noise;
- `step` returns the logs of kgan that are losses, in the order of `LOSSES` of the class.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from loops import SLOPE
from loops.torch import Crop, PlainLoop

EPSILON = 1e-5  # of the normalisation
HALVINGS = {16: 1, 34: 2, 70: 3}  # of a PatchGAN, by its receptive field
L1_WEIGHT, CYCLE_WEIGHT, IDENTITY_WEIGHT = 100.0, 10.0, 5.0


@dataclass(frozen=True)
class Sizes:
    """The sizes of the networks, as the functions of kgan name them."""

    translator: str
    width: int
    receptive_field: int
    side: int = 28
    blocks: int = 3  # of a ResNet


class InstanceNorm(nn.Module):
    """Normalises each map of each image by itself, then scales and shifts it."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Any) -> Any:
        """Normalises maps."""
        # A group for each channel: the same as `functional.instance_norm`, which leaves channels
        # last and takes up to a fifth more of the step.
        return functional.group_norm(x, x.shape[1], self.weight, self.bias, EPSILON)


def convolution(
    side: int, before: int, after: int, size: int, stride: int = 1, bias: bool = False
) -> list[Any]:
    """A convolution with TensorFlow's "same" padding of square maps of this side."""
    total = max((-(-side // stride) - 1) * stride + size - side, 0)
    half, is_uneven = divmod(total, 2)
    if not is_uneven:
        return [nn.Conv2d(before, after, size, stride, half, bias=bias)]
    pad = nn.ZeroPad2d((half, half + 1, half, half + 1))
    return [pad, nn.Conv2d(before, after, size, stride, bias=bias)]


def reflected(before: int, after: int, size: int, bias: bool = False) -> list[Any]:
    """A convolution of maps that are padded with their mirror image."""
    return [nn.ReflectionPad2d(size // 2), nn.Conv2d(before, after, size, bias=bias)]


def doubled(side: int, before: int, after: int, bias: bool = False) -> list[Any]:
    """Repeats pixels, crops the maps to a side, and applies a convolution."""
    crop = [Crop(side)] if side % 2 else []
    return [nn.Upsample(scale_factor=2), *crop, *convolution(side, before, after, 3, bias=bias)]


def leaky() -> Any:
    return nn.LeakyReLU(SLOPE, inplace=True)


def rectified(channels: int) -> list[Any]:
    return [InstanceNorm(channels), nn.ReLU(inplace=True)]


class UNet(nn.Module):
    """The generator of `kgan.networks.unet` for images of one channel."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        sides = [sizes.side]
        while sides[-1] > 4:
            sides.append((sides[-1] + 1) // 2)
        depth = len(sides) - 1
        widths = [1, *(sizes.width * min(2**level, 8) for level in range(depth))]
        self.down, self.up = nn.ModuleList(), nn.ModuleList()
        for level in range(depth):
            before, after = widths[level : level + 2]
            is_end = level in (0, depth - 1)
            halve = convolution(sides[level], before, after, 4, 2, bias=is_end)
            norm = [] if is_end else [InstanceNorm(after)]
            self.down.append(nn.Sequential(*halve, *norm, leaky()))
        before = widths[depth]
        for level in reversed(range(depth)):
            after = widths[level] if level else sizes.width // 2
            double = doubled(sides[level], before, after, bias=not level)
            active = rectified(after) if level else [nn.ReLU(inplace=True)]
            self.up.append(nn.Sequential(*double, *active))
            before = after + widths[level]
        self.last = nn.Conv2d(before, 1, 3, padding=1)

    def forward(self, x: Any) -> Any:
        """Computes translations."""
        skips = []
        for part in self.down:
            skips.append(x)
            x = part(x)
        for part in self.up:
            x = torch.cat([part(x), skips.pop()], dim=1)
        return torch.tanh(self.last(x))


class ResidualBlock(nn.Module):
    """Adds two convolutions of maps to them."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            *reflected(channels, channels, 3),
            *rectified(channels),
            *reflected(channels, channels, 3),
            InstanceNorm(channels),
        )

    def forward(self, x: Any) -> Any:
        """Computes the block."""
        return x + self.layers(x)


def resnet(sizes: Sizes) -> Any:
    """The generator of `kgan.networks.resnet_translator` for images of one channel."""
    width, side = sizes.width, sizes.side
    half = (side + 1) // 2
    return nn.Sequential(
        *reflected(1, width, 7),
        *rectified(width),
        *convolution(side, width, 2 * width, 3, 2),
        *rectified(2 * width),
        *convolution(half, 2 * width, 4 * width, 3, 2),
        *rectified(4 * width),
        *(ResidualBlock(4 * width) for _ in range(sizes.blocks)),
        *doubled(half, 4 * width, 2 * width),
        *rectified(2 * width),
        *doubled(side, 2 * width, width),
        *rectified(width),
        *reflected(width, 1, 7, bias=True),
        nn.Tanh(),
    )


TRANSLATORS = {"unet": UNet, "resnet": resnet}


def patch_discriminator(sizes: Sizes, channels: int) -> Any:
    """The discriminator of `kgan.networks.patch_discriminator`."""
    strides = [*[2] * HALVINGS[sizes.receptive_field], 1]
    layers: list[Any] = []
    before, side, after = channels, sizes.side, sizes.width
    for level, stride in enumerate(strides):
        layers += convolution(side, before, after, 4, stride, bias=not level)
        layers += [InstanceNorm(after), leaky()] if level else [leaky()]
        before, side, after = after, -(-side // stride), 2 * after
    return nn.Sequential(*layers, *convolution(side, before, 1, 4, bias=True))


class PlainTranslation(PlainLoop):
    """The part that both loops share.

    Args:
        networks: PyTorch modules, in the order of the model's constructor.
        weights: The weights of kgan's networks, in the same order.
    """

    def __init__(self, networks: Sequence[Any], weights: Sequence[np.ndarray]) -> None:
        super().__init__(networks, weights, latent_dim=0)
        half = len(networks) // 2
        self.generators, self.discriminators = self.networks[:half], self.networks[half:]
        self.adams = [self._adam(*self.generators), self._adam(*self.discriminators)]

    def place(  # type: ignore[override]  # two sets of images
        self, batch: tuple[np.ndarray, np.ndarray]
    ) -> tuple[Any, Any]:
        """Puts pairs of float images, NHWC, where the steps run."""
        first, second = (PlainLoop.place(self, images) for images in batch)
        return first, second

    def step(self, images: Any, noise: Any = None) -> tuple[Any, ...]:
        """Trains on one batch that `place` has placed, and returns the losses."""
        return self._stated_step(images, noise)

    def _update(self, index: int, loss: Any) -> None:
        """Lowers a loss with the optimizer of the generators, 0, or of the discriminators, 1."""
        self.adams[index].zero_grad()
        loss.backward()
        self.adams[index].step()

    def _freeze(self, is_frozen: bool) -> None:
        """Has the gradients of the discriminators' weights computed or left out."""
        for network in self.discriminators:
            network.requires_grad_(not is_frozen)


class PlainPix2Pix(PlainTranslation):
    """The loop of `kgan.Pix2Pix`."""

    LOSSES = ("discriminator_loss", "generator_loss", "l1_error")

    def __init__(self, weights: Sequence[np.ndarray], sizes: Sizes) -> None:
        networks = TRANSLATORS[sizes.translator](sizes), patch_discriminator(sizes, channels=2)
        super().__init__(networks, weights)

    def _stated_step(self, images: Any, noise: Any) -> tuple[Any, ...]:
        del noise
        inputs, targets = images
        (generator,), (discriminator,) = self.generators, self.discriminators
        # One pass through the generator serves both updates.
        fake = generator(inputs)
        real_logits = discriminator(torch.cat([inputs, targets], dim=1))
        fake_logits = discriminator(torch.cat([inputs, fake.detach()], dim=1))
        loss = functional.softplus(-real_logits).mean() + functional.softplus(fake_logits).mean()
        self._update(1, loss)

        self._freeze(True)
        fake_logits = discriminator(torch.cat([inputs, fake], dim=1))
        generator_loss = functional.softplus(-fake_logits).mean()
        l1_error = functional.l1_loss(fake, targets)
        self._update(0, generator_loss + L1_WEIGHT * l1_error)
        self._freeze(False)
        return loss.detach(), generator_loss.detach(), l1_error.detach()


class Buffer:
    """Keeps images, and exchanges half of the new ones for older ones once it is full."""

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.images: Any = None

    def exchange(self, images: Any) -> Any:
        """Takes new images, and gives back as many, some of them older."""
        if self.images is None:
            self.images = images[:0]
        free = self.capacity - len(self.images)
        if free > 0:
            self.images = torch.cat([self.images, images[:free]])
        new = images[max(free, 0) :]
        is_old = torch.rand(len(new)) < 0.5
        places = torch.randperm(self.capacity)[: len(new)][is_old]
        given = images.clone()
        given[max(free, 0) :][is_old] = self.images[places]
        self.images[places] = new[is_old]
        return given


class PlainCycleGAN(PlainTranslation):
    """The loop of `kgan.CycleGAN`.

    Args:
        weights: As for `PlainTranslation`.
        sizes: The sizes of the networks.
        buffer_size: As for `kgan.CycleGAN`.
    """

    LOSSES = ("discriminator_loss", "generator_loss", "cycle_error", "identity_error")

    def __init__(self, weights: Sequence[np.ndarray], sizes: Sizes, buffer_size: int = 50) -> None:
        make = TRANSLATORS[sizes.translator]
        generators = make(sizes), make(sizes)
        discriminators = (patch_discriminator(sizes, channels=1) for _ in range(2))
        super().__init__((*generators, *discriminators), weights)
        self.buffers = [Buffer(buffer_size) for _ in range(2)] if buffer_size else []

    def _stated_step(self, images: Any, noise: Any) -> tuple[Any, ...]:
        del noise
        a, b = images
        to_b, to_a = self.generators
        self._freeze(True)
        fakes = fake_a, fake_b = to_a(b), to_b(a)
        cycle = functional.l1_loss(to_a(fake_b), a) + functional.l1_loss(to_b(fake_a), b)
        identity = functional.l1_loss(to_a(a), a) + functional.l1_loss(to_b(b), b)
        pairs = zip(self.discriminators, fakes, strict=True)
        adversarial = sum(half_square(judge(fake) - 1) for judge, fake in pairs)
        self._update(0, adversarial + CYCLE_WEIGHT * cycle + IDENTITY_WEIGHT * identity)
        self._freeze(False)

        shown = [fake.detach() for fake in fakes]
        if self.buffers:
            pairs = zip(self.buffers, shown, strict=True)
            shown = [buffer.exchange(fake) for buffer, fake in pairs]
        loss = sum(
            half_square(judge(real) - 1) + half_square(judge(fake))
            for judge, real, fake in zip(self.discriminators, images, shown, strict=True)
        )
        self._update(1, loss)
        return loss.detach() / 2, adversarial.detach(), cycle.detach() / 2, identity.detach() / 2


def half_square(x: Any) -> Any:
    return 0.5 * x.square().mean()

"""The step of progressive growing by hand, in PyTorch, for each stage. See `progressive.py`."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from loops import SLOPE

GAINS = {"to_image": 1.0, "logits": 1.0}  # of the last layers; others have the root of 2
Weights = dict[str, tuple[Any, Any]]  # kernels and biases by the names of the layers


class ByHand:
    """The step of a stage in PyTorch.

    Args:
        weights: For both networks, kernels in Keras's order of axes and biases, by the names of
            the layers.
        stage: Integer.
        sizes: Integers, the sides of the images of all stages.
        alpha: Float, how far the fade is.
    """

    def __init__(
        self, weights: Sequence[Any], stage: int, sizes: Sequence[int], alpha: float
    ) -> None:
        self.stage, self.sizes, self.alpha = stage, sizes, alpha
        generator, discriminator = (parameters(each) for each in weights)
        self.generator, self.discriminator = generator, discriminator
        self.scales = {
            id(kernel): scale(name, kernel, is_generator=network is generator)
            for network in (generator, discriminator)
            for name, (kernel, _) in network.items()
        }
        self.optimizers = [
            torch.optim.Adam(
                [tensor for pair in network.values() for tensor in pair],
                1e-3,
                (0.0, 0.99),
                1e-8,
                fused=True,
            )
            for network in (generator, discriminator)
        ]

    def layer(self, x: Any, pair: tuple[Any, Any]) -> Any:
        """The output of a convolution or a dense layer with an equalised learning rate."""
        kernel, bias = pair
        kernel = kernel * self.scales[id(pair[0])]
        if kernel.ndim == 2:
            return functional.linear(x, kernel, bias)
        return functional.conv2d(x, kernel, bias, padding=kernel.shape[-1] // 2)

    def active(self, x: Any, pair: tuple[Any, Any]) -> Any:
        """The same, with a leaky ReLU."""
        return functional.leaky_relu(self.layer(x, pair), SLOPE)

    def generate(self, latents: Any) -> Any:
        """The generator's images of the stage."""
        w = self.generator
        x = self.active(normalised(latents), w["stage_0_dense"])
        side = self.sizes[0]
        x = x.view(len(x), side, side, -1).permute(0, 3, 1, 2)
        x = normalised(self.active(normalised(x), w["stage_0_convolution"]))
        for stage in range(1, self.stage + 1):
            before, x = x, doubled(x, self.sizes[stage])
            for number in range(2):
                x = normalised(self.active(x, w[f"stage_{stage}_convolution_{number}"]))
        images = self.layer(x, w[f"stage_{self.stage}_to_image"])
        if self.stage:
            old = self.layer(before, w[f"stage_{self.stage - 1}_to_image"])
            images = torch.lerp(doubled(old, self.sizes[self.stage]), images, self.alpha)
        return images

    def judge(self, images: Any) -> Any:
        """The discriminator's logits."""
        w = self.discriminator
        x = self.active(images, w[f"stage_{self.stage}_from_image"])
        for stage in range(self.stage, 0, -1):
            for number in range(2):
                x = self.active(x, w[f"stage_{stage}_convolution_{number}"])
            x = halved(x)
            if stage == self.stage:
                old = self.active(halved(images), w[f"stage_{stage - 1}_from_image"])
                x = torch.lerp(old, x, self.alpha)
        x = torch.cat([x, deviation(x)], dim=1)
        x = self.active(x, w["stage_0_convolution"]).permute(0, 2, 3, 1).flatten(1)
        return self.layer(self.active(x, w["stage_0_dense"]), w["stage_0_logits"])

    def step(self, images: Any, latents: Any, shares: Any) -> tuple[Any, Any]:
        """Trains on one batch, `(batch, channels, height, width)`, and returns the losses."""
        real = images
        for _ in range(len(self.sizes) - 1 - self.stage):
            real = halved(real)
        if self.stage:
            real = torch.lerp(doubled(halved(real), self.sizes[self.stage]), real, self.alpha)
        fake = self.generate(latents)
        real_logits, fake_logits = self.judge(real), self.judge(fake.detach())
        between = torch.lerp(fake.detach(), real, shares).requires_grad_()
        (gradient,) = torch.autograd.grad(self.judge(between).sum(), between, create_graph=True)
        lengths = gradient.square().sum((1, 2, 3)).clamp_min(1e-12).sqrt()
        loss = (
            fake_logits.mean()
            - real_logits.mean()
            + 10.0 * (lengths - 1).square().mean()
            + 0.001 * real_logits.square().mean()
        )
        self.optimizers[1].zero_grad()
        loss.backward()
        self.optimizers[1].step()
        generator_loss = -self.judge(fake).mean()
        self.optimizers[0].zero_grad()
        generator_loss.backward(inputs=[t for pair in self.generator.values() for t in pair])
        self.optimizers[0].step()
        return loss.detach(), generator_loss.detach()


def parameters(weights: Weights) -> Weights:
    """Tensors that train, in PyTorch's order of axes and in the memory layout of channels last."""

    def tensor(array: np.ndarray) -> Any:
        value = torch.tensor(array)
        if value.ndim == 4:
            value = value.permute(3, 2, 0, 1).contiguous(memory_format=torch.channels_last)
        elif value.ndim == 2:
            value = value.T.contiguous()
        return value.requires_grad_()

    return {name: (tensor(kernel), tensor(bias)) for name, (kernel, bias) in weights.items()}


def scale(name: str, kernel: Any, is_generator: bool) -> float:
    gain = next((gain for end, gain in GAINS.items() if name.endswith(end)), math.sqrt(2.0))
    if is_generator and name == "stage_0_dense":
        gain /= 4
    return gain / math.sqrt(math.prod(kernel.shape[1:]))


def normalised(x: Any) -> Any:
    return x * torch.rsqrt(x.square().mean(1, keepdim=True) + 1e-8)


def doubled(x: Any, side: int) -> Any:
    return functional.interpolate(x, scale_factor=2, mode="nearest")[:, :, :side, :side]


def halved(x: Any) -> Any:
    return functional.avg_pool2d(x, 2, ceil_mode=True)


def deviation(x: Any) -> Any:
    """The minibatch standard deviation in groups of 4, as one more channel."""
    count, channels, height, width = x.shape
    groups = x.reshape(4, count // 4, channels, height, width)
    value = (groups.var(0, correction=0) + 1e-8).sqrt().mean((1, 2, 3))
    return value.repeat(4).view(count, 1, 1, 1).expand(count, 1, height, width)

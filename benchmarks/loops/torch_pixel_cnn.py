"""The plain loop of a PixelCNN in PyTorch: modules, channels last, autograd.

`PlainPixelCNN` computes what `kgan.PixelCNN` computes with the network of
`kgan.networks.pixel_cnn`, for binary images of one channel. It is written as such networks usually
are: with square kernels of odd sizes whose unused weights a mask sets to zero. Its interface is
that of the other loops, see `loops`, with these differences:

- its arguments are the weights and `Sizes`;
- the weights are a dictionary of the arrays of each layer, by its name in the Keras network;
- `place` and `step` take images, and no noise.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from loops import Adam

ADAM = Adam(3e-3, (0.9, 0.99))


@dataclass(frozen=True)
class Sizes:
    """The sizes of the network, as `kgan.networks.pixel_cnn` names them."""

    width: int
    blocks: int
    dilations: Sequence[int] = (1,)
    kernel_size: tuple[int, int] = (2, 3)
    first_kernel_size: tuple[int, int] = (3, 7)


class MaskedConvolution(nn.Conv2d):
    """A convolution with a square kernel, of which a mask keeps the places before the centre.

    Of a vertical kernel it keeps the last `rows` rows up to the centre (strict: above it), of a
    horizontal one the `columns` places up to the centre (strict: to the left of it).
    """

    def __init__(
        self,
        before: int,
        after: int,
        kernel_size: tuple[int, int],
        is_vertical: bool,
        is_strict: bool = False,
        dilation: int = 1,
    ) -> None:
        rows, columns = kernel_size
        above = rows - 1 + is_strict if is_vertical else 0
        side = columns // 2 if is_vertical else columns - 1 + is_strict
        size = (2 * above + 1, 2 * side + 1)
        padding = (above * dilation, side * dilation)
        super().__init__(before, after, size, padding=padding, dilation=dilation)
        self.kept = (
            (slice(0, rows), slice(None)) if is_vertical else (slice(None), slice(0, columns))
        )
        mask = torch.zeros(self.weight.shape)
        mask[:, :, self.kept[0], self.kept[1]] = 1.0
        self.register_buffer("mask", mask)

    def forward(self, x: Any) -> Any:
        """Applies the convolution."""
        return functional.conv2d(
            x, self.weight * self.mask, self.bias, padding=self.padding, dilation=self.dilation
        )


def gate(x: Any) -> Any:
    values, gates = x.chunk(2, dim=1)
    return torch.tanh(values) * (torch.tanh(gates) + 1)


class Block(nn.Module):
    """A gated convolution of each stack."""

    def __init__(self, sizes: Sizes, dilation: int) -> None:
        super().__init__()
        width = sizes.width
        left = (1, sizes.kernel_size[1] // 2 + 1)
        self.vertical = MaskedConvolution(
            width, 2 * width, sizes.kernel_size, is_vertical=True, dilation=dilation
        )
        self.horizontal = MaskedConvolution(
            width, 2 * width, left, is_vertical=False, dilation=dilation
        )
        self.joined = nn.Conv2d(width, 2 * width, 1, bias=False)
        self.residual = nn.Conv2d(width, width, 1)

    def forward(self, vertical: Any, horizontal: Any) -> tuple[Any, Any]:
        """Computes both stacks."""
        vertical = gate(self.vertical(vertical))
        x = gate(self.horizontal(horizontal) + self.joined(vertical))
        return vertical, horizontal + self.residual(x)


class PixelCNN(nn.Module):
    """The network."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        width = sizes.width
        left = (1, max(sizes.first_kernel_size[1] // 2, 1))
        self.vertical = MaskedConvolution(
            1, width, sizes.first_kernel_size, is_vertical=True, is_strict=True
        )
        self.horizontal = MaskedConvolution(1, width, left, is_vertical=False, is_strict=True)
        self.joined = nn.Conv2d(width, width, 1, bias=False)
        self.blocks = nn.ModuleList(
            Block(sizes, sizes.dilations[number % len(sizes.dilations)])
            for number in range(sizes.blocks)
        )
        self.hidden = nn.Conv2d(width, 2 * width, 1)
        self.outputs = nn.Conv2d(2 * width, 1, 1)

    def forward(self, x: Any) -> Any:
        """Computes the logit of each pixel."""
        vertical = self.vertical(x)
        horizontal = self.horizontal(x) + self.joined(vertical)
        for block in self.blocks:
            vertical, horizontal = block(vertical, horizontal)
        return self.outputs(functional.relu(self.hidden(functional.relu(horizontal))))

    def by_name(self) -> dict[str, nn.Conv2d]:
        """The layers by their names in the Keras network."""
        found: dict[str, nn.Conv2d] = {}
        for name, layer in self.named_modules():
            if isinstance(layer, nn.Conv2d):
                _, number, of_block = (*name.split("."), "", "")[:3]
                found[f"{of_block}_{number}" if of_block else name] = layer
        return found


def _kept(layer: nn.Conv2d) -> Any:
    """The weights that a mask keeps."""
    rows, columns = layer.kept if isinstance(layer, MaskedConvolution) else (slice(None),) * 2
    return layer.weight.detach()[:, :, rows, columns]


class PlainPixelCNN:
    """The loop."""

    LOSSES = ("loss",)

    def __init__(self, weights: Mapping[str, Sequence[np.ndarray]], sizes: Sizes) -> None:
        self.network = PixelCNN(sizes).to(memory_format=torch.channels_last)
        self.names = list(weights)
        with torch.no_grad():
            for name, layer in self.network.by_name().items():
                kernel, *bias = weights[name]
                _kept(layer).copy_(torch.from_numpy(kernel.transpose(3, 2, 0, 1)))
                if layer.bias is not None:
                    layer.bias.copy_(torch.from_numpy(bias[0]))
        self.adams = [
            torch.optim.Adam(
                self.network.parameters(), ADAM.learning_rate, ADAM.betas, ADAM.epsilon, fused=True
            )
        ]

    def place(self, images: np.ndarray) -> Any:
        """Puts images where the steps run."""
        placed = torch.from_numpy(np.ascontiguousarray(images.transpose(0, 3, 1, 2)))
        return placed.to(memory_format=torch.channels_last)

    def step(self, images: Any) -> tuple[Any]:
        """One step on placed images."""
        (adam,) = self.adams
        adam.zero_grad(set_to_none=True)
        logits = self.network(images)
        loss = functional.softplus(-images * logits).sum(dim=(1, 2, 3)).mean()
        loss.backward()
        adam.step()
        return (loss.detach(),)

    def weights(self) -> list[np.ndarray]:
        """The weights, in the order and layout in which they were given."""
        layers = self.network.by_name()
        found = []
        for name in self.names:
            layer = layers[name]
            found.append(np.array(_kept(layer).permute(2, 3, 1, 0)))
            if layer.bias is not None:
                found.append(np.array(layer.bias.detach()))
        return found

"""The plain loop in PyTorch: modules, channels last, autograd, its own Adam."""

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from loops import BETAS, EPSILON, LEARNING_RATE, SLOPE


class ToMaps(nn.Module):
    """Vectors into maps, which lie in memory channels last."""

    def __init__(self, *shape: int) -> None:
        super().__init__()
        self.shape = shape

    def forward(self, x: Any) -> Any:
        """Lays them out anew."""
        return x.view(-1, *self.shape).permute(0, 3, 1, 2)


class ToVectors(nn.Module):
    """Maps that lie in memory channels last into vectors, in the order in which they lie."""

    def forward(self, x: Any) -> Any:
        """Lays them out anew."""
        return x.permute(0, 2, 3, 1).flatten(1)


class Crop(nn.Module):
    """The upper left of maps."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size

    def forward(self, x: Any) -> Any:
        """Cuts the rest off."""
        return x[:, :, : self.size, : self.size]


def dcgan(latent_dim: int, width: int, dropout: float) -> tuple[Any, Any]:
    del dropout

    def leaky() -> Any:
        return nn.LeakyReLU(SLOPE, inplace=True)

    def normalised(channels: int) -> list[Any]:
        return [nn.BatchNorm2d(channels, eps=1e-3, momentum=0.1), nn.ReLU(inplace=True)]

    generator = nn.Sequential(
        nn.Linear(latent_dim, 4 * 4 * 4 * width, bias=False),
        ToMaps(4, 4, 4 * width),
        *normalised(4 * width),
        nn.ConvTranspose2d(4 * width, 2 * width, 4, 2, 1, bias=False),
        Crop(7),
        *normalised(2 * width),
        nn.ConvTranspose2d(2 * width, width, 4, 2, 1, bias=False),
        *normalised(width),
        nn.ConvTranspose2d(width, 1, 4, 2, 1),
        nn.Tanh(),
    )
    discriminator = nn.Sequential(
        nn.Conv2d(1, width, 4, 2, 1),
        leaky(),
        nn.Conv2d(width, 2 * width, 4, 2, 1),
        leaky(),
        nn.ZeroPad2d((1, 2, 1, 2)),
        nn.Conv2d(2 * width, 4 * width, 4, 2),
        leaky(),
        ToVectors(),
        nn.Linear(4 * 4 * 4 * width, 1),
    )
    return generator, discriminator


def mlp(latent_dim: int, width: int, dropout: float) -> tuple[Any, Any]:
    def hidden(*sizes: int, rate: float = 0.0) -> Iterator[Any]:
        for before, after in itertools.pairwise(sizes):
            yield nn.Linear(before, after)
            yield nn.LeakyReLU(SLOPE, inplace=True)
            if rate:
                yield nn.Dropout(rate)

    generator = nn.Sequential(
        *hidden(latent_dim, width, 2 * width, 4 * width),
        nn.Linear(4 * width, 28 * 28),
        nn.Tanh(),
        ToMaps(28, 28, 1),
    )
    discriminator = nn.Sequential(
        ToVectors(),
        *hidden(28 * 28, 4 * width, 2 * width, width, rate=dropout),
        nn.Linear(width, 1),
    )
    return generator, discriminator


NETWORKS = {"dcgan": dcgan, "mlp": mlp}


class PlainLoop:
    """See `loops`.

    Args:
        network: As `loops` says, and so are `weights`, `latent_dim`, `width` and `dropout`.
        epsilon: Adam's, which in PyTorch stands beside the corrected second moment.
        bfloat16: Whether to run both networks under autocast.
    """

    def __init__(
        self,
        network: str,
        weights: Sequence[np.ndarray],
        latent_dim: int,
        width: int,
        dropout: float = 0.3,
        epsilon: float = EPSILON,
        bfloat16: bool = False,
    ) -> None:
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.latent_dim = latent_dim
        self.autocast = torch.autocast(self.device.type, torch.bfloat16, enabled=bfloat16)
        self.generator, self.discriminator = (
            each.to(self.device, memory_format=torch.channels_last)
            for each in NETWORKS[network](latent_dim, width, dropout)
        )
        with torch.no_grad():
            for tensor, value in zip(self._tensors(), weights, strict=True):
                tensor.copy_(_from_keras(torch.from_numpy(value)))
        self.adams = [
            torch.optim.Adam(each.parameters(), LEARNING_RATE, BETAS, epsilon, fused=True)
            for each in (self.generator, self.discriminator)
        ]

    def _tensors(self) -> list[Any]:
        return [
            tensor
            for part in (*self.generator, *self.discriminator)
            for tensor in (*part.parameters(), *part.buffers())
            if tensor.ndim  # else it counts a normalisation's batches
        ]

    def weights(self) -> list[np.ndarray]:
        """All weights, in the order and the layout in which they were given."""
        return [np.array(_to_keras(tensor.detach()).cpu()) for tensor in self._tensors()]

    def place(self, images: np.ndarray) -> Any:
        """Puts float images, NHWC, where the steps run."""
        return torch.from_numpy(images).to(self.device).permute(0, 3, 1, 2)

    def step(self, real: Any, latents: Any = None) -> tuple[Any, Any]:
        """Trains on one batch that `place` has placed; the two losses."""
        if latents is None:
            latents = torch.randn(len(real), self.latent_dim, device=self.device)
        generator_adam, discriminator_adam = self.adams
        with self.autocast:
            fake = self.generator(latents)
            real_logits = self.discriminator(real).float()
            fake_logits = self.discriminator(fake.detach()).float()
        loss = functional.softplus(-real_logits).mean() + functional.softplus(fake_logits).mean()
        discriminator_adam.zero_grad()
        loss.backward()
        discriminator_adam.step()

        with self.autocast:
            fake_logits = self.discriminator(fake).float()
        generator_loss = functional.softplus(-fake_logits).mean()
        generator_adam.zero_grad()
        generator_loss.backward(inputs=list(self.generator.parameters()))
        generator_adam.step()
        return loss.detach(), generator_loss.detach()

    def train(self, batches: Iterable[np.ndarray]) -> tuple[float, float]:
        """Trains on batches of bytes, NHWC; the means of the two losses."""
        totals = torch.zeros(2, device=self.device)
        count = 0
        for pixels in batches:
            real = self.place(pixels).float().mul_(2 / 255).sub_(1)
            totals += torch.stack(self.step(real))
            count += 1
        discriminator_loss, generator_loss = (totals / count).tolist()
        return discriminator_loss, generator_loss


def _from_keras(weight: Any) -> Any:
    """Keras has inputs before outputs, and both behind a kernel's height and width."""
    return (
        weight.permute(3, 2, 0, 1) if weight.ndim == 4 else weight.T if weight.ndim == 2 else weight
    )


def _to_keras(weight: Any) -> Any:
    return (
        weight.permute(2, 3, 1, 0) if weight.ndim == 4 else weight.T if weight.ndim == 2 else weight
    )


def compiled_step(gan: Any, images: np.ndarray) -> Callable[[int], None]:
    step = torch.compile(gan.train_step) if gan.jit_compile else gan.train_step
    on_gpu = torch.cuda.is_available()
    placed = torch.from_numpy(images).to("cuda" if on_gpu else "cpu")

    def run(count: int) -> None:
        for _ in range(count):
            step(placed)
        if on_gpu:
            torch.cuda.synchronize()

    return run


def device() -> tuple[str, bool]:
    if torch.cuda.is_available():
        return torch.cuda.get_device_name(), True
    return f"CPU, {torch.get_num_threads()} threads", False


def peak_memory() -> int | None:
    return torch.cuda.max_memory_allocated() if torch.cuda.is_available() else None

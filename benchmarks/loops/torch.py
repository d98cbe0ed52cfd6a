"""The plain loops in PyTorch: modules, channels last, autograd, PyTorch's own Adam.

See `loops`.
"""

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional
from torch.utils._pytree import tree_map

from loops import ADAM_OF_GAN, ADAM_OF_VAE, SLOPE


class ToMaps(nn.Module):
    """Makes maps of vectors, in channels-last memory format."""

    def __init__(self, *shape: int) -> None:
        super().__init__()
        self.shape = shape

    def forward(self, x: Any) -> Any:
        """Reshapes the input."""
        return x.view(-1, *self.shape).permute(0, 3, 1, 2)


class ToVectors(nn.Module):
    """Makes vectors of maps in channels-last memory format, in the order of that memory."""

    def forward(self, x: Any) -> Any:
        """Reshapes the input."""
        return x.permute(0, 2, 3, 1).flatten(1)


class Crop(nn.Module):
    """Takes the upper left part of maps."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size

    def forward(self, x: Any) -> Any:
        """Crops the input."""
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


class ResidualBlock(nn.Module):
    """Adds to its input the output of two dense layers."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(width, width), nn.SiLU(), nn.Linear(width, width))

    def forward(self, x: Any) -> Any:
        """Computes `x + layers(x)`."""
        return x + self.layers(x)


class Encoder(nn.Module):
    """The encoder of `dense_vae`."""

    def __init__(self, latent_dim: int, width: int) -> None:
        super().__init__()
        self.hidden = nn.Sequential(
            ToVectors(),
            nn.Linear(28 * 28, width),
            nn.SiLU(),
            ResidualBlock(width),
            ResidualBlock(width),
        )
        self.mean = nn.Linear(width, latent_dim)
        self.log_variance = nn.Linear(width, latent_dim)

    def forward(self, x: Any) -> tuple[Any, Any]:
        """Computes the mean and the log variance of the latents."""
        x = self.hidden(x)
        return self.mean(x), self.log_variance(x)


def dense_vae(latent_dim: int, width: int, dropout: float) -> tuple[Any, Any]:
    del dropout
    decoder = nn.Sequential(
        nn.Linear(latent_dim, width),
        nn.SiLU(),
        ResidualBlock(width),
        ResidualBlock(width),
        nn.Linear(width, 28 * 28),
        ToMaps(28, 28, 1),
    )
    return Encoder(latent_dim, width), decoder


NETWORKS = {"dcgan": dcgan, "mlp": mlp, "dense_vae": dense_vae}


class PlainLoop:
    """The part that the loops of all families share.

    Args:
        networks: PyTorch modules, in the order of the model's constructor.
        weights: As `loops` says, as is `latent_dim`.
        epsilon: Adam's, which PyTorch adds to the root of the corrected second moment.
        bfloat16: Whether the networks run under autocast.
    """

    adam = ADAM_OF_GAN
    losses = 0  # how many a step returns

    def __init__(
        self,
        networks: Sequence[Any],
        weights: Sequence[np.ndarray],
        latent_dim: int,
        epsilon: float | None = None,
        bfloat16: bool = False,
    ) -> None:
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.latent_dim = latent_dim
        self.autocast = torch.autocast(self.device.type, torch.bfloat16, enabled=bfloat16)
        self.epsilon = self.adam.epsilon if epsilon is None else epsilon
        self.networks = tuple(
            each.to(self.device, memory_format=torch.channels_last) for each in networks
        )
        with torch.no_grad():
            tensors = self._tensors(*self.networks)
            for (tensor, axes), value in zip(tensors, weights, strict=True):
                tensor.copy_(torch.from_numpy(np.atleast_1d(value)).permute(axes))

    def _tensors(self, *networks: Any) -> list[tuple[Any, tuple[int, ...]]]:
        """The weights of networks, each with the axes of Keras's weight in PyTorch's order."""
        return [
            (tensor, _axes_from_keras(part, tensor))
            for network in networks
            for part in network.modules()
            for tensor in (*part.parameters(recurse=False), *part.buffers(recurse=False))
            if tensor.ndim  # the others count the batches of a normalisation
        ]

    def _adam(self, *networks: Any) -> Any:
        parameters = [tensor for network in networks for tensor in network.parameters()]
        rate, betas = self.adam.learning_rate, self.adam.betas
        return torch.optim.Adam(parameters, rate, betas, self.epsilon, fused=True)

    def weights(self) -> list[np.ndarray]:
        """Returns all weights, in the order and layout in which they were given."""
        return [
            np.array(tensor.detach().permute(np.argsort(axes).tolist()).cpu())
            for tensor, axes in self._tensors(*self.networks)
        ]

    def place(self, images: np.ndarray) -> Any:
        """Puts float images, NHWC, where the steps run."""
        return torch.from_numpy(images).to(self.device).permute(0, 3, 1, 2)

    def step(self, images: Any, noise: Any = None) -> tuple[Any, ...]:
        """Trains on one batch that `place` has placed, and returns the losses."""
        if noise is None:
            noise = torch.randn(len(images), self.latent_dim, device=self.device)
        return self._stated_step(images, noise)

    def train(self, batches: Iterable[np.ndarray]) -> tuple[float, ...]:
        """Trains on batches of bytes, NHWC, and returns the mean losses."""
        totals = torch.zeros(self.losses, device=self.device)
        count = 0
        for pixels in batches:
            totals += torch.stack(self.step(self._floats(self.place(pixels))))
            count += 1
        return tuple((totals / count).tolist())

    def _floats(self, pixels: Any) -> Any:
        """Returns bytes as the images that a step takes."""
        raise NotImplementedError

    def _stated_step(self, images: Any, noise: Any) -> tuple[Any, ...]:
        raise NotImplementedError


class NamedLoop(PlainLoop):
    """A loop of networks by name; its arguments are those that `loops` says."""

    def __init__(
        self,
        network: str,
        weights: Sequence[np.ndarray],
        latent_dim: int,
        width: int,
        dropout: float = 0.3,
        **options: Any,
    ) -> None:
        networks = NETWORKS[network](latent_dim, width, dropout)
        super().__init__(networks, weights, latent_dim, **options)


class PlainGAN(NamedLoop):
    """The loop of a GAN."""

    losses = 2

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.adams = [self._adam(network) for network in self.networks]

    def _floats(self, pixels: Any) -> Any:
        return pixels.float().mul_(2 / 255).sub_(1)

    def _stated_step(self, images: Any, noise: Any) -> tuple[Any, Any]:
        generator, discriminator = self.networks
        generator_adam, discriminator_adam = self.adams
        with self.autocast:
            fake = generator(noise)
            real_logits = discriminator(images).float()
            fake_logits = discriminator(fake.detach()).float()
        loss = functional.softplus(-real_logits).mean() + functional.softplus(fake_logits).mean()
        discriminator_adam.zero_grad()
        loss.backward()
        discriminator_adam.step()

        with self.autocast:
            fake_logits = discriminator(fake).float()
        generator_loss = functional.softplus(-fake_logits).mean()
        generator_adam.zero_grad()
        generator_loss.backward(inputs=list(generator.parameters()))
        generator_adam.step()
        return loss.detach(), generator_loss.detach()


class PlainVAE(NamedLoop):
    """The loop of a VAE."""

    adam = ADAM_OF_VAE
    losses = 3

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.optimizer = self._adam(*self.networks)

    def _floats(self, pixels: Any) -> Any:
        is_on = torch.rand(pixels.shape, device=self.device) < pixels / 255
        return is_on.float().mul_(2).sub_(1)

    def _stated_step(self, images: Any, noise: Any) -> tuple[Any, Any, Any]:
        encoder, decoder = self.networks
        with self.autocast:
            mean, log_variance = (each.float() for each in encoder(images))
            logits = decoder(mean + torch.exp(0.5 * log_variance) * noise).float()
        reconstruction = functional.binary_cross_entropy_with_logits(
            logits, 0.5 * images + 0.5, reduction="sum"
        ) / len(images)
        kl = 0.5 * (mean**2 + log_variance.exp() - 1 - log_variance).sum(1).mean()
        loss = reconstruction + kl
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return loss.detach(), reconstruction.detach(), kl.detach()


LOOPS = {"dcgan": PlainGAN, "mlp": PlainGAN, "dense_vae": PlainVAE}


def _axes_from_keras(module: Any, weight: Any) -> tuple[int, ...]:
    """Keras has inputs before outputs, both after a kernel's height and width."""
    if weight.ndim == 4:
        return 3, 2, 0, 1
    is_dense = isinstance(module, nn.Linear) and weight.ndim == 2
    return (1, 0) if is_dense else tuple(range(weight.ndim))


def compiled_step(model: Any, batch: Any) -> Callable[[int], None]:
    step = torch.compile(model.train_step) if model.jit_compile else model.train_step
    on_gpu = torch.cuda.is_available()
    placed = tree_map(lambda x: torch.from_numpy(x).to("cuda" if on_gpu else "cpu"), batch)

    def run(count: int) -> None:
        for _ in range(count):
            step(placed)
        if on_gpu:
            torch.cuda.synchronize()

    return run


def wait(losses: Sequence[Any]) -> None:
    losses[0].item()


def device() -> tuple[str, bool]:
    if torch.cuda.is_available():
        return torch.cuda.get_device_name(), True
    return f"CPU, {torch.get_num_threads()} threads", False


def peak_memory() -> int | None:
    return torch.cuda.max_memory_allocated() if torch.cuda.is_available() else None

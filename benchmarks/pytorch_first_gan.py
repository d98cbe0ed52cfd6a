"""The first GAN of most courses as they write it in PyTorch, to hold kgan's recipes against.

Two multilayer perceptrons, binary cross-entropy of probabilities, Adam with a learning rate of 2e-4
and PyTorch's own momentum, batches of 64. Its images lie in memory as floats, which spares it
torchvision's reading of them one by one.
"""

import itertools
from typing import Any

import numpy as np
import torch
from torch import nn

LATENT_DIM = 100
BATCH_SIZE = 64


def _generator() -> Any:
    sizes = (LATENT_DIM, 256, 512, 1024)
    hidden = [
        layer
        for inputs, outputs in itertools.pairwise(sizes)
        for layer in (nn.Linear(inputs, outputs), nn.LeakyReLU(0.2))
    ]
    return nn.Sequential(*hidden, nn.Linear(sizes[-1], 784), nn.Tanh())


def _discriminator() -> Any:
    sizes = (784, 1024, 512, 256)
    hidden = [
        layer
        for inputs, outputs in itertools.pairwise(sizes)
        for layer in (nn.Linear(inputs, outputs), nn.LeakyReLU(0.2), nn.Dropout(0.3))
    ]
    return nn.Sequential(*hidden, nn.Linear(sizes[-1], 1), nn.Sigmoid())


class FirstGAN:
    """Trains, and samples as kgan's models do.

    Args:
        images: MNIST's training images, uint8 `(N, 28, 28, 1)`.
        seed: Integer, for the weights, the order of the images and the latents.
    """

    def __init__(self, images: np.ndarray, seed: int) -> None:
        torch.manual_seed(seed)
        self.images = torch.from_numpy(images.reshape(-1, 784)).float() / 127.5 - 1
        self.generator = _generator()
        self.discriminator = _discriminator()
        self.optimizers = [
            torch.optim.Adam(network.parameters(), lr=2e-4)
            for network in (self.generator, self.discriminator)
        ]
        self.batches: Any = iter(())

    def train(self, steps: int) -> None:
        """Takes so many steps."""
        for _ in range(steps):
            batch = next(self.batches, None)
            if batch is None:
                order = torch.randperm(len(self.images)).split(BATCH_SIZE)
                self.batches = iter(order)
                batch = next(self.batches)
            self._step(self.images[batch])

    def _step(self, real: Any) -> None:
        generator_optimizer, discriminator_optimizer = self.optimizers
        loss = nn.BCELoss()
        ones, zeros = torch.ones(len(real), 1), torch.zeros(len(real), 1)

        discriminator_optimizer.zero_grad()
        fake = self.generator(torch.randn(len(real), LATENT_DIM))
        judged = loss(self.discriminator(real), ones) + loss(
            self.discriminator(fake.detach()), zeros
        )
        judged.backward()
        discriminator_optimizer.step()

        generator_optimizer.zero_grad()
        fake = self.generator(torch.randn(len(real), LATENT_DIM))
        loss(self.discriminator(fake), ones).backward()
        generator_optimizer.step()

    def generate(self, n: int, seed: int | None = None) -> np.ndarray:
        """Images, float `(n, 28, 28, 1)` in [-1, 1]."""
        noise = torch.Generator()
        noise.manual_seed(0 if seed is None else seed)
        with torch.no_grad():
            images = self.generator(torch.randn(n, LATENT_DIM, generator=noise))
        return images.numpy().reshape(n, 28, 28, 1)

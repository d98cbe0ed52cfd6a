"""A GAN's training step by hand on each backend, to hold kgan's against.

A plain loop does what kgan does, on the same networks: one pass through the generator serves both
updates; the discriminator is updated on the real images and on the generator's, in a pass each,
then the generator through the updated discriminator. The loss is the non-saturating one, both
optimizers are Adam with Keras's epsilon. Beside that it keeps the sums of both losses and nothing
else. The networks are `kgan.networks.dcgan` for images of 28x28x1 and `kgan.networks.mlp`, written
out for PyTorch and for JAX; TensorFlow's loop runs Keras's layers.

A backend's module gives:

- `PlainLoop(network, weights, latent_dim, width, dropout, **options)`: `network` is "dcgan" or
  "mlp"; `weights` are those of Keras's generator and then of its discriminator, with
    - `step(images, latents=None) -> (discriminator_loss, generator_loss)`: one step on `images`
      that `place` has placed; it draws the latents if it is not given any;
    - `train(batches) -> (discriminator_loss, generator_loss)`: a step on each batch of bytes, NHWC,
      and the means of the losses, once all is done;
    - `place(images)`: float images, NHWC, in [-1, 1], put where the steps run, in their layout;
    - `weights() -> list`: as they were given, in the same order and layout;
- `compiled_step(gan, images)`: a function of a count that runs so many of a compiled kgan's own
  steps, without `fit`, on one batch that lies on the device already, and waits for them;
- `device() -> (name, is_gpu)`: what the steps run on;
- `peak_memory()`: the most memory of the device that was in use so far, in bytes; None where the
  backend cannot tell.
"""

import importlib
import importlib.util
from collections.abc import Iterator
from typing import Any

import numpy as np

BACKENDS = ("tensorflow", "jax", "torch")
LEARNING_RATE = 2e-4
BETAS = (0.5, 0.999)
EPSILON = 1e-7
SLOPE = 0.2  # of every leaky ReLU


def load(backend: str) -> Any:
    """The module of a backend."""
    return importlib.import_module(f"loops.{backend}")


def is_installed(backend: str) -> bool:
    """Whether there is such a backend on this machine."""
    return importlib.util.find_spec(backend) is not None


def shuffled_batches(images: np.ndarray, batch_size: int) -> Iterator[np.ndarray]:
    """Batches of bytes without an end, in a new order each time that all were seen."""
    generator = np.random.default_rng(0)
    while True:
        order = generator.permutation(len(images))
        for first in range(0, len(images) - batch_size + 1, batch_size):
            yield images[order[first : first + batch_size]]

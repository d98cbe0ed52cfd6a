"""Training loops written by hand on each backend, to compare kgan with.

A plain loop computes the same as kgan, on the same networks. It keeps the sums of the losses and
nothing else.

- GAN (`kgan.networks.dcgan` for 28x28x1 images, `kgan.networks.mlp`): one pass through the
  generator serves both updates. The discriminator is updated on real and generated images, in a
  pass each. Then the generator is updated through the new discriminator. The loss is the
  non-saturating one.
- VAE (`kgan.networks.dense_vae`): the loss is the negative ELBO with the Bernoulli likelihood, in
  nats for each image.

The optimizer is Adam, with Keras's epsilon. The networks are written out for PyTorch and JAX. The
loop in TensorFlow runs Keras's layers.

The module of a backend has:

- `LOOPS`: a class for each network, by its name in `kgan.networks`. `LOOPS[network](network,
  weights, latent_dim, width, dropout=0.3, **options)` takes the weights of the Keras networks in
  the order of the model's constructor. Its objects have:
    - `step(images, noise=None) -> losses`: one step on `images` that `place` has placed. The noise
      is normal, `(batch, latent_dim)`. By default the loop draws it. The losses are
      `(discriminator_loss, generator_loss)` or `(loss, reconstruction, kl)`;
    - `train(batches) -> losses`: a step on each batch of bytes, NHWC, and the mean losses once all
      steps are done. The loop of the VAE binarises the bytes at random;
    - `place(images)`: puts float images, NHWC, in [-1, 1], where the steps run, in their layout;
    - `weights() -> list`: in the order and layout in which they were given;
- `compiled_step(model, batch)`: a function of a count. It runs that many of kgan's compiled steps,
  without `fit`, on one batch that is already on the device, and waits for them. The batch is
  images, or `(images, labels)`;
- `wait(losses)`: waits until the step that returned these losses is done;
- `device() -> (name, is_gpu)`: the device of the steps;
- `peak_memory()`: the peak memory of the device so far, in bytes, or None where the backend does
  not count it.
"""

import importlib
import importlib.util
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

BACKENDS = ("tensorflow", "jax", "torch")
SLOPE = 0.2  # of every leaky ReLU


@dataclass(frozen=True)
class Adam:
    """The numbers of an Adam optimizer; the defaults of `compile`."""

    learning_rate: float
    betas: tuple[float, float]
    epsilon: float = 1e-7


ADAM_OF_GAN = Adam(2e-4, (0.5, 0.999))
ADAM_OF_VAE = Adam(1e-3, (0.9, 0.999))


def load(backend: str) -> Any:
    """Imports the module of a backend."""
    return importlib.import_module(f"loops.{backend}")


def is_installed(backend: str) -> bool:
    """Whether the backend is installed."""
    return importlib.util.find_spec(backend) is not None


def shuffled_batches(images: np.ndarray, batch_size: int) -> Iterator[np.ndarray]:
    """Yields batches of bytes without end, in a new order in each pass over the images."""
    generator = np.random.default_rng(0)
    while True:
        order = generator.permutation(len(images))
        for first in range(0, len(images) - batch_size + 1, batch_size):
            yield images[order[first : first + batch_size]]

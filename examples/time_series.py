# python examples/time_series.py   (makes its own data)
"""A model of a time series whose entropy is known, so that you can see how good it is.

The series is a noisy oscillation: an autoregressive process of order 2 on 32 levels. Each level is
the nearest one to `a x[t-1] + b x[t-2] + noise`. So the series is a Markov chain with a known
transition matrix, and no model can be below its entropy.

It prints nats per step: those of the process, of the model on held-out series, and of the best
model that sees one step or none. It also draws continuations of the beginning of a series.
"""

import argparse
import math

import kgan  # first: it sets a switch that TensorFlow reads once
import keras
import numpy as np

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--epochs", type=int, default=20)
parser.add_argument("--steps-per-epoch", type=int, help="batches to an epoch (default: all)")
parser.add_argument("--output", default="samples", help="where the picture goes")
arguments = parser.parse_args()

LEVELS, LENGTH, KNOWN = 32, 64, 24
PERIOD, DECAY, NOISE = 12.0, 0.95, 0.08
random = np.random.default_rng(0)


def transitions() -> np.ndarray:
    """The probability of each level after each pair of levels, `(x[t-2], x[t-1], x[t])`."""
    values = np.linspace(-1.0, 1.0, LEVELS)
    a, b = 2 * DECAY * math.cos(2 * math.pi / PERIOD), -(DECAY**2)
    means = a * values[None, :] + b * values[:, None]
    borders = (values[1:] + values[:-1]) / 2
    z = (borders - means[..., None]) / (NOISE * math.sqrt(2))
    below = 0.5 * (1 + np.vectorize(math.erf)(z))
    return np.diff(below, prepend=0.0, append=1.0)


def stationary(matrix: np.ndarray) -> np.ndarray:
    """The probability of each pair of levels, `(x[t-1], x[t])`, after a long time."""
    pairs = np.full((LEVELS, LEVELS), 1 / LEVELS**2)
    for _ in range(1000):
        pairs = np.einsum("ij,ijk->jk", pairs, matrix)
    return pairs / pairs.sum()


def draw_series(count: int, matrix: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    """Series of levels, uint8 `(count, 1, LENGTH, 1)`."""
    series = np.empty((count, LENGTH), "uint8")
    first = random.choice(LEVELS**2, count, p=pairs.ravel())
    series[:, 0], series[:, 1] = first // LEVELS, first % LEVELS
    for step in range(2, LENGTH):
        chances = matrix[series[:, step - 2], series[:, step - 1]].cumsum(axis=1)
        series[:, step] = (random.random((count, 1)) > chances[:, :-1]).sum(axis=1)
    return series[:, None, :, None]


def entropy(probabilities: np.ndarray) -> float:
    """Nats."""
    return float(-np.sum(probabilities * np.log(np.maximum(probabilities, 1e-300))))


matrix = transitions()
pairs = stationary(matrix)
# Entropies of one, two and three steps. Each further step adds the same as the third.
one, two = entropy(pairs.sum(axis=0)), entropy(pairs)
rate = entropy(pairs[..., None] * matrix) - two
known = {
    "independent steps": one,
    "given one step": (one + (LENGTH - 1) * (two - one)) / LENGTH,
    "the process": (two + (LENGTH - 2) * rate) / LENGTH,
}

train, test = draw_series(16_000, matrix, pairs), draw_series(1000, matrix, pairs)
likelihood = kgan.likelihoods.Categorical(levels=LEVELS)
networks = kgan.networks.pixel_cnn(
    (1, LENGTH, 1),
    likelihood=likelihood,
    width=32,
    blocks=3,
    dilations=(1, 2, 4),
    first_kernel_size=(1, 5),
)
model = kgan.PixelCNN(*networks, likelihood=likelihood, seed=0)
model.compile(keras.optimizers.Adam(3e-3), ema_decay=0.99)
model.fit(
    train,
    batch_size=64,
    epochs=arguments.epochs,
    steps_per_epoch=arguments.steps_per_epoch,
    callbacks=[kgan.callbacks.LinearDecay(start=0.2)],
)

nats = -model.log_prob(test) / LENGTH
error = nats.std(ddof=1) / math.sqrt(len(nats))
print(f"Entropy rate of the process: {rate:.4f} nats per step, after its first two steps.")
for name, value in known.items():
    print(f"{name:18s} {value:.4f} nats per step")
print(f"{'the model':18s} {nats.mean():.4f} nats per step, ± {error:.4f}")

# The beginning of a series, and four continuations of it.
made = model.generate(4, prompt=test[0, 0, :KNOWN, 0], seed=0)
levels = model.to_levels(made)[:, 0, :, 0]
print(f"{KNOWN} known steps: {levels[0, :KNOWN].tolist()}")
for row in levels:
    print(f"continued: {row[KNOWN:].tolist()}")
curves = (np.eye(LEVELS, dtype="uint8")[levels] * 255).transpose(0, 2, 1)[:, ::-1, :, None]
picture = kgan.images.grid(curves, columns=1, scale=4)
kgan.images.save_png(f"{arguments.output}/continuations.png", picture)

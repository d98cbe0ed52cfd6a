"""Whether a long training keeps what it should have let go: `python benchmarks/long_run.py`.

A small GAN is trained for 10,000 steps in one `fit` of 20 epochs, with a grid of samples, a
checkpoint, the history with its picture, an evaluation and a look for collapse after each. At the
end of every epoch it is counted what the process holds: resident memory, open files, threads, and
objects that Python's garbage collector tracks. What is there when a fifth of the steps are done is
held against what is there at the end. The exit code is 1 if memory or objects have grown by more
than 1 %, or files or threads at all.

    KERAS_BACKEND=jax python benchmarks/long_run.py --steps 2000 --network dcgan --conditional

Linux only: the counts are read from /proc.
"""

import argparse
import gc
import os
import pathlib
import statistics
import sys
import tempfile
import time
from typing import Any, NamedTuple

import kgan  # before keras: it sets a switch that TensorFlow reads once
import keras

TOLERANCE = 0.01
WARM_UP = 0.2
WINDOW = 3  # epochs of which the median counts: the allocator gives back in its own time


class Held(NamedTuple):
    """What the process holds."""

    memory: float  # MiB, resident
    files: int
    threads: int
    objects: int


def held() -> Held:
    """Counts, when all that can go has gone."""
    gc.collect()
    pages = int(pathlib.Path("/proc/self/statm").read_text().split()[1])
    return Held(
        pages * os.sysconf("SC_PAGE_SIZE") / 2**20,
        # Less the one by which the directory is read.
        len(os.listdir("/proc/self/fd")) - 1,  # noqa: PTH208
        len(os.listdir("/proc/self/task")),  # noqa: PTH208
        len(gc.get_objects()),
    )


class Count(keras.callbacks.Callback):
    """Counts at the end of every epoch."""

    def __init__(self) -> None:
        super().__init__()
        self.epochs: list[Held] = []
        self._start = time.monotonic()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Counts, and says it now and then."""
        del logs
        self.epochs.append(held())
        if (epoch + 1) % max(1, self.params["epochs"] // 10) == 0:
            print(
                f"{(epoch + 1) * self.params['steps']:7,}"
                f"{self.epochs[-1].memory:12,.1f}{self.epochs[-1].files:8}"
                f"{self.epochs[-1].threads:10}{self.epochs[-1].objects:12,}"
                f"{time.monotonic() - self._start:9.0f}",
                flush=True,
            )


def train(options: argparse.Namespace, directory: pathlib.Path) -> list[Held]:
    """Trains, and returns what was held at the end of each epoch."""
    dataset = kgan.data.load_digits("train", batch_size=options.batch_size, seed=0)
    generator, discriminator = getattr(kgan.networks, options.network)(
        image_shape=dataset.image_shape,
        latent_dim=8,
        width=4,
        num_classes=dataset.num_classes if options.conditional else None,
    )
    gan = kgan.GAN(generator, discriminator, seed=0)
    gan.compile(penalties=kgan.penalties.R1(1.0, interval=4), ema_decay=0.99)
    count = Count()
    gan.fit(
        dataset,
        epochs=options.epochs,
        steps_per_epoch=options.steps // options.epochs,
        validation_data=dataset if options.validate else None,
        verbose=0,
        callbacks=[
            kgan.callbacks.PeriodicEvaluation(dataset, count=100),
            # An alarm is a sign of the GAN, which is too small to be a good one: none is wanted.
            kgan.callbacks.CollapseAlarm(dataset, count=100, patience=options.epochs + 1),
            kgan.callbacks.TerminateOnNaN(),
            kgan.callbacks.LossHistory(directory / "history.csv", plot=directory / "losses.png"),
            kgan.callbacks.SampleGrid(directory / "samples"),
            kgan.callbacks.Checkpoint(directory / "gan.keras"),
            count,
        ],
    )
    return count.epochs


def growth(epochs: list[Held]) -> tuple[Held, Held]:
    """What was held once warmed up, and at the end: medians over a few epochs."""
    first = int(len(epochs) * WARM_UP)
    return tuple(
        Held(*(statistics.median(values) for values in zip(*part, strict=True)))
        for part in (epochs[first : first + WINDOW], epochs[-WINDOW:])
    )  # type: ignore[return-value]


def main() -> int:
    """Trains, prints the table and the verdict."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=10_000)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--network", choices=("mlp", "dcgan"), default="mlp")
    parser.add_argument("--conditional", action="store_true")
    parser.add_argument("--validate", action="store_true", help="measure held-out losses too")
    options = parser.parse_args()
    if options.epochs * (1 - WARM_UP) < 2 * WINDOW:
        parser.error(f"expected --epochs of at least {int(2 * WINDOW / (1 - WARM_UP)) + 1}")

    print(f"{keras.backend.backend()}, {options.network}, {vars(options)}")
    print(f"{'steps':>7}{'memory, MiB':>12}{'files':>8}{'threads':>10}{'objects':>12}{'s':>9}")
    with tempfile.TemporaryDirectory() as directory:
        before, after = growth(train(options, pathlib.Path(directory)))
    grown = []
    for name, first, last in zip(Held._fields, before, after, strict=True):
        limit = first * TOLERANCE if name in {"memory", "objects"} else 0
        print(f"{name:8} {first:12,.1f} -> {last:12,.1f}  {(last - first) / first:+.2%}")
        if last - first > limit:
            grown.append(name)
    print(f"Grown: {', '.join(grown)}." if grown else "Nothing has grown.")
    return int(bool(grown))


if __name__ == "__main__":
    sys.exit(main())

# python benchmarks/sample_quality.py --data-dir DIR
"""How good are the samples after the same time: the first GAN of most courses, and the default.

First the time of a training step of each is measured, side by side. The first GAN is then trained
for 5, 10 and 20 epochs, the default recipe for as many steps as take that long; so what else the
machine does meanwhile changes nothing. Prints a Markdown table.
"""

import argparse
import statistics
import time
from typing import Any

import kgan  # before keras: it sets a switch that TensorFlow reads once
import keras

FIRST, DEFAULT = "first_gan", kgan.recipes.DEFAULT
SHOWN = ("fcd", "kid", "precision", "recall", "density", "coverage", "class_divergence")


class EvaluatedAt(keras.callbacks.Callback):
    """Evaluates after given numbers of steps, and ends training after the last.

    Args:
        evaluator: A `kgan.metrics.Evaluator`.
        marks: Integers, ascending: steps.
    """

    def __init__(self, evaluator: kgan.metrics.Evaluator, marks: list[int]) -> None:
        super().__init__()
        self.evaluator = evaluator
        self.marks = marks
        self.steps = 0
        self.evaluations: list[kgan.metrics.Evaluation] = []

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Evaluates if it is time."""
        del batch, logs
        self.steps += 1
        if self.steps == self.marks[len(self.evaluations)]:
            self.evaluations.append(self.evaluator.evaluate(self.model))
            print(f"after {self.steps} steps\n{self.evaluations[-1]}\n", flush=True)
            self.model.stop_training = len(self.evaluations) == len(self.marks)


def load(recipe: str, data_dir: str | None) -> Any:
    """MNIST in the recipe's batches."""
    size = kgan.recipes.get(recipe).batch_size
    return kgan.data.load_mnist("train", data_dir=data_dir, batch_size=size, seed=0)


def step_seconds(data_dir: str | None, rounds: int = 7, steps: int = 200) -> dict[str, float]:
    """The median time of a step of both recipes in `fit`, measured in turn."""
    gans = {name: kgan.recipes.get(name).build(seed=0) for name in (FIRST, DEFAULT)}
    taken: dict[str, list[float]] = {name: [] for name in gans}
    for _ in range(rounds + 1):
        for name, gan in gans.items():
            start = time.perf_counter()
            gan.fit(load(name, data_dir), steps_per_epoch=steps, verbose=0)
            taken[name].append((time.perf_counter() - start) / steps)
    # Without the first round, in which they are compiled.
    return {name: statistics.median(times[1:]) for name, times in taken.items()}


def main() -> None:
    """Runs both and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data-dir", help="the folder of the four MNIST files")
    parser.add_argument("--epochs", type=int, nargs="+", default=[5, 10, 20])
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()

    seconds = step_seconds(options.data_dir)
    print(f"ms a step: { {name: round(1e3 * s, 1) for name, s in seconds.items()} }", flush=True)
    first_epoch = len(load(FIRST, options.data_dir))
    marks = [epochs * first_epoch for epochs in options.epochs]
    evaluator = kgan.metrics.Evaluator(load(FIRST, options.data_dir), options.count, thorough=False)
    rows = []
    for recipe in (FIRST, DEFAULT):
        train = load(recipe, options.data_dir)
        steps = [round(mark * seconds[FIRST] / seconds[recipe]) for mark in marks]
        gan = kgan.recipes.get(recipe).build(seed=options.seed)
        evaluated = EvaluatedAt(evaluator, steps)
        gan.fit(train, epochs=1000, verbose=0, callbacks=[evaluated])
        for mark, found in zip(steps, evaluated.evaluations, strict=True):
            cells = [kgan.metrics.MEASURES[name].format(found[name]) for name in SHOWN]
            rows.append(
                [recipe, f"{mark / len(train):.1f}", f"{mark * seconds[recipe]:.0f}", *cells]
            )
    floors = [kgan.metrics.MEASURES[name].format(evaluator.floors[name].value) for name in SHOWN]
    rows.append(["*real images*", "", "", *floors])

    print("| recipe | epochs | s | " + " | ".join(SHOWN) + " |")
    print("|---|---|---|" + "---|" * len(SHOWN))
    for row in rows:
        print(f"| {' | '.join(row)} |")


if __name__ == "__main__":
    main()

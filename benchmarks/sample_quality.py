# python benchmarks/sample_quality.py --data-dir DIR
"""How good are the samples after the same time: the first GAN of most courses, and the default.

The first is trained for 5, 10 and 20 epochs; the default recipe for as many seconds of training as
each of those took, in the same process. Evaluating stops the clock. Prints a Markdown table.
"""

import argparse
import time
from typing import Any

import kgan  # before keras: it sets a switch that TensorFlow reads once
import keras

SHOWN = ("fcd", "kid", "precision", "recall", "density", "coverage", "class_divergence")


class EvaluatedAt(keras.callbacks.Callback):
    """Evaluates whenever as much training is done, and notes how long the training took.

    Args:
        evaluator: A `kgan.metrics.Evaluator`.
        marks: Numbers, ascending: epochs or seconds.
        unit: `"epochs"` or `"seconds"`.
    """

    def __init__(self, evaluator: kgan.metrics.Evaluator, marks: list[float], unit: str) -> None:
        super().__init__()
        self.evaluator = evaluator
        self.marks = list(marks)
        self.unit = unit
        self.rows: list[tuple[float, float, kgan.metrics.Evaluation]] = []
        self.evaluating = 0.0
        self.batches = 0

    def on_train_begin(self, logs: Any = None) -> None:
        """Starts the clock."""
        del logs
        self.start = time.perf_counter()

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Evaluates if it is time."""
        del batch, logs
        self.batches += 1
        seconds = time.perf_counter() - self.start - self.evaluating
        epochs = self.batches / self.params["steps"]
        done = epochs if self.unit == "epochs" else seconds
        if self.marks and done >= self.marks[0]:
            self.marks.pop(0)
            evaluation = self.evaluator.evaluate(self.model)
            self.rows.append((epochs, seconds, evaluation))
            print(f"{epochs:.1f} epochs, {seconds:.0f} s\n{evaluation}\n", flush=True)
            self.evaluating = time.perf_counter() - self.start - seconds
            self.model.stop_training = not self.marks


def run(
    recipe: str, train: Any, evaluator: Any, marks: list[float], unit: str, seed: int
) -> list[tuple[float, float, kgan.metrics.Evaluation]]:
    """Trains a recipe until its last mark."""
    gan = kgan.recipes.get(recipe).build(train.image_shape, train.num_classes, seed=seed)
    evaluated = EvaluatedAt(evaluator, marks, unit)
    gan.fit(train, epochs=1000, verbose=0, callbacks=[evaluated])
    return evaluated.rows


def main() -> None:
    """Runs both and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data-dir", help="the folder of the four MNIST files")
    parser.add_argument("--epochs", type=int, nargs="+", default=[5, 10, 20])
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()

    def load(recipe: str) -> Any:
        size = kgan.recipes.get(recipe).batch_size
        return kgan.data.load_mnist("train", data_dir=options.data_dir, batch_size=size, seed=0)

    train = load("first_gan")
    evaluator = kgan.metrics.Evaluator(train, options.count, thorough=False)
    print(f"floors: {evaluator.floors}\n", flush=True)
    first = run("first_gan", train, evaluator, options.epochs, "epochs", options.seed)
    seconds = [row[1] for row in first]
    default = kgan.recipes.DEFAULT
    then = run(default, load(default), evaluator, seconds, "seconds", options.seed)

    print("| recipe | epochs | s | " + " | ".join(SHOWN) + " |")
    print("|---|---|---|" + "---|" * len(SHOWN))
    for recipe, rows in (("first_gan", first), (default, then)):
        for epochs, taken, evaluation in rows:
            cells = [kgan.metrics.MEASURES[name].format(evaluation[name]) for name in SHOWN]
            print(f"| {recipe} | {epochs:.0f} | {taken:.0f} | {' | '.join(cells)} |")
    cells = [kgan.metrics.MEASURES[name].format(evaluator.floors[name].value) for name in SHOWN]
    print(f"| *real images* | | | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()

"""Measures the sample quality of each recipe on MNIST, and the time to reach it.

    python benchmarks/sample_quality.py train r3gan dcgan --epochs 5 --data-dir DIR --results OUT
    python benchmarks/sample_quality.py time --data-dir DIR --results OUT
    python benchmarks/sample_quality.py table --results OUT

`train` trains recipes from each of `--seeds`. The name `original` is the first GAN of most courses
as they write it in PyTorch (`pytorch_first_gan.py`). After each of `--epochs`, or of `--steps`, it
compares 10,000 samples with as many training images, and keeps the scores, a picture of samples and
the model. An interrupted training resumes from the last model in `--results`.

`time` measures a training step of the named models, by default of all trained ones, side by side in
turns, on all cores. The table's seconds are the steps multiplied by that time, so other work on the
machine during training does not change them. They do not include evaluation.

`table` prints Markdown: the mean over seeds, with the lowest and the highest if there are several.

The name of a recipe may change its fields, with values in JSON. A dot changes one entry of a field
that is a dictionary: 'dcgan+batch_size=64+compile.loss="hinge"'.
"""

import argparse
import dataclasses
import json
import pathlib
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import kgan

ORIGINAL = "original"
SHOWN = ("fcd", "kid", "precision", "recall", "coverage", "class_divergence", "label_accuracy")
Run = Callable[[int], None]  # trains for so many steps


def load(batch_size: int, data_dir: str | None, seed: int) -> Any:
    return kgan.data.load_mnist("train", data_dir=data_dir, batch_size=batch_size, seed=seed)


def make(name: str, seed: int, data_dir: str | None) -> tuple[Any, Run, int]:
    """Returns the model, a function that trains it for some steps, and the batch size."""
    if name == ORIGINAL:
        import pytorch_first_gan  # noqa: PLC0415

        images = load(1, data_dir, seed).images
        gan = pytorch_first_gan.FirstGAN(images.reshape(-1, 28, 28, 1), seed)
        return gan, gan.train, pytorch_first_gan.BATCH_SIZE
    recipe_name, *changes = name.split("+")
    recipe = kgan.recipes.get(recipe_name)
    for change in changes:
        recipe = changed(recipe, *change.split("=", 1))
    model = recipe.build(num_classes=10, seed=seed)
    size = recipe.batch_size
    data = load(size, data_dir, seed)

    def train(steps: int) -> None:
        model.fit(
            data,
            steps_per_epoch=steps,
            initial_epoch=model.epochs_trained,
            epochs=model.epochs_trained + 1,
            verbose=0,
        )

    return model, train, size


def changed(recipe: Any, place: str, value: str) -> Any:
    """Returns a recipe with another value in a field, or in an entry of a field."""
    field, _, entry = place.partition(".")
    new = json.loads(value)
    if entry:
        new = {**getattr(recipe, field), entry: new}
    return dataclasses.replace(recipe, **{field: new})


def train(name: str, seed: int, options: argparse.Namespace) -> None:
    """Trains a recipe from a seed, and keeps its results."""
    model, run, size = make(name, seed, options.data_dir)
    evaluator = kgan.metrics.Evaluator(load(size, options.data_dir, 0), thorough=False)
    steps_an_epoch, done = 60_000 // size, 0
    marks = options.steps or [round(epochs * steps_an_epoch) for epochs in options.epochs]
    for mark in sorted(marks):
        path = f"{options.results}/{re.sub('[^a-z0-9_.=+]+', '_', name)}-{seed}-{mark}"
        kept = pathlib.Path(f"{path}.keras")
        if kept.exists():  # written last
            model.load_weights(kept)
            done = mark
            continue
        run(mark - done)
        done = mark
        found = evaluator.evaluate(model)
        figures = {shown: found[shown] for shown in SHOWN if shown in found.figures}
        epochs = round(done / steps_an_epoch, 3)
        row = {"name": name, "seed": seed, "epochs": epochs, "steps": done, **figures}
        pathlib.Path(f"{path}.json").write_text(json.dumps(row))
        picture = kgan.images.grid(kgan.images.to_uint8(model.generate(100, seed=0)))
        kgan.images.save_png(f"{path}.png", picture)
        if name != ORIGINAL:
            model.save(f"{path}.keras")
        print(json.dumps(row), flush=True)


def time_steps(names: list[str], options: argparse.Namespace, rounds: int = 5) -> None:
    """Keeps the median seconds of a step of each model. They take turns, each in a process."""
    workers = {
        name: subprocess.Popen(
            [sys.executable, __file__, "worker", name, *_data_dir(options)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for name in names
    }
    taken: dict[str, list[float]] = {name: [] for name in names}
    for _ in range(rounds + 1):
        for name, worker in workers.items():
            assert worker.stdin is not None
            assert worker.stdout is not None
            worker.stdin.write("go\n")
            worker.stdin.flush()
            taken[name].append(float(worker.stdout.readline()))
    for worker in workers.values():
        worker.communicate()
    # Without the first round, in which the steps are compiled.
    seconds = {name: statistics.median(times[1:]) for name, times in taken.items()}
    (options.results / "seconds.json").write_text(json.dumps(seconds))
    print(json.dumps(seconds))


def work(name: str, options: argparse.Namespace, least: float = 3.0) -> None:
    """Trains for some seconds at each line of input, and prints the seconds of a step."""
    _, run, _ = make(name, 0, options.data_dir)
    steps = 20
    for _ in sys.stdin:
        start = time.perf_counter()
        run(steps)
        taken = (time.perf_counter() - start) / steps
        print(taken, flush=True)
        steps = max(20, round(least / taken))


def results(options: argparse.Namespace) -> list[dict[str, Any]]:
    """Returns the kept scores."""
    return [json.loads(path.read_text()) for path in sorted(options.results.glob("*-*-*.json"))]


def print_table(options: argparse.Namespace) -> None:
    """Prints the table of the kept scores."""
    rows: dict[tuple[str, float], list[dict[str, Any]]] = {}
    for row in results(options):
        rows.setdefault((row["name"], row["epochs"]), []).append(row)
    times = options.results / "seconds.json"
    seconds = json.loads(times.read_text()) if times.exists() else {}
    print("| recipe | epochs | steps | s | seeds | " + " | ".join(SHOWN) + " |")
    print("|---" * (5 + len(SHOWN)) + "|")
    for (name, epochs), found in sorted(rows.items()):
        steps = found[0]["steps"]
        spent = f"{seconds[name] * steps:.0f}" if name in seconds else ""
        cells = [name, f"{epochs:g}", f"{steps:,}", spent, str(len(found))]
        for shown in SHOWN:
            values = [row[shown] for row in found if shown in row]
            form = kgan.metrics.MEASURES[shown].format
            cell = form(statistics.mean(values)) if values else ""
            if len(values) > 1:
                cell += f" ({form(min(values))} to {form(max(values))})"
            cells.append(cell)
        print(f"| {' | '.join(cells)} |")


def _data_dir(options: argparse.Namespace) -> list[str]:
    return ["--data-dir", options.data_dir] if options.data_dir else []


def main() -> None:
    """Runs the command."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=("train", "time", "table", "worker"))
    parser.add_argument("names", nargs="*", help="recipes, with or without changes, or 'original'")
    parser.add_argument("--data-dir", help="the directory of the four MNIST files")
    parser.add_argument("--results", type=pathlib.Path, default=pathlib.Path("sample_quality"))
    parser.add_argument("--epochs", type=float, nargs="+", default=[5.0])
    parser.add_argument("--steps", type=int, nargs="+", help="instead of --epochs")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    options = parser.parse_args()
    if options.what != "worker":  # it keeps nothing
        options.results.mkdir(parents=True, exist_ok=True)
    if options.what == "train":
        for name in options.names:
            for seed in options.seeds:
                train(name, seed, options)
    elif options.what == "time":
        trained = {row["name"] for row in results(options)}
        time_steps(options.names or sorted(trained & {ORIGINAL, *kgan.recipes.names()}), options)
    elif options.what == "worker":
        work(options.names[0], options)
    else:
        print_table(options)


if __name__ == "__main__":
    main()

"""Measures the quality of translations on a task of `kgan.data.TASKS`.

    python benchmarks/translation_quality.py outlines --model pix2pix --data-dir DIR --results OUT
    python benchmarks/translation_quality.py thin_and_thick --model cyclegan --data-dir DIR

The models, each with the networks of its recipe:

- cyclegan: the recipe, on a task with domains;
- pix2pix: the recipe, on a task with pairs. On a task with domains whose true translations are
  known, it trains on those, from the first domain to the second: what pairs are worth;
- regression: the generator of the recipe pix2pix alone, which minimises the mean absolute error of
  the same pairs. It shows what the adversary adds.

The script prints the seconds of training, and `kgan.metrics.translation` of the test split in each
direction. The picture in `--results` shows inputs, translations and, where they are known, the
truths below them.

`--set` changes the recipe, with values in JSON: `--set epochs=12 compile.identity_weight=5`.
"""

import argparse
import dataclasses
import json
import pathlib
import time
from typing import Any

import kgan  # before keras: it enables TensorFlow's oneDNN kernels
import keras
import numpy as np

RECIPES = {"cyclegan": "cyclegan", "pix2pix": "pix2pix", "regression": "pix2pix"}
SHOWN = 24


class Regression:
    """A generator that minimises the mean absolute error of pairs."""

    def __init__(self, generator: Any, optimizer: Any) -> None:
        self.generator = generator
        generator.compile(optimizer, loss="mae")

    def fit(self, *args: Any, **kwargs: Any) -> Any:
        """Trains it: `keras.Model.fit`."""
        return self.generator.fit(*args, **kwargs)

    def translate(self, images: Any, to: None = None) -> np.ndarray:
        """Translates images."""
        del to
        parts = np.array_split(np.asarray(images), max(1, len(images) // 256))
        return np.concatenate(
            [keras.ops.convert_to_numpy(self.generator(part, training=False)) for part in parts]
        )


def changed(recipe: Any, change: str) -> Any:
    """Returns the recipe with a field, or an entry of a field, set to another value."""
    name, _, value = change.partition("=")
    field, _, entry = name.partition(".")
    new = json.loads(value)
    return dataclasses.replace(
        recipe, **{field: {**getattr(recipe, field), entry: new} if entry else new}
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("task", choices=kgan.data.TASKS)
    parser.add_argument("--model", choices=RECIPES, required=True)
    parser.add_argument("--data-dir", help="the directory of the data set's files")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--count", type=int, default=10_000, help="test images, at most")
    parser.add_argument("--steps-per-epoch", type=int, help="batches in an epoch (default: all)")
    parser.add_argument("--set", nargs="*", default=[], metavar="NAME=JSON", dest="changes")
    parser.add_argument("--horizontal-flip", action="store_true")
    parser.add_argument("--results", type=pathlib.Path)
    arguments = parser.parse_args()

    recipe = kgan.recipes.get(RECIPES[arguments.model])
    for change in arguments.changes:
        recipe = changed(recipe, change)
    train, test = (
        kgan.data.load_task(arguments.task, split, data_dir=arguments.data_dir, seed=arguments.seed)
        for split in ("train", "test")
    )
    directions = test.directions
    make: Any = kgan.data.UnpairedDataset
    images = train.directions[0].inputs, train.directions[0].targets
    if arguments.model != "cyclegan":
        directions = test.directions[:1]
        make, images = kgan.data.PairedDataset, pairs_of(train)
    dataset = make(
        *images,
        batch_size=recipe.batch_size,
        seed=arguments.seed,
        steps_per_epoch=arguments.steps_per_epoch,
        horizontal_flip=arguments.horizontal_flip,
    )
    model: Any = recipe.build(**dataset.build_options, seed=arguments.seed)
    if arguments.model == "regression":
        optimizer = keras.optimizers.Adam(**recipe.optimizers["generator"])
        model = Regression(model.generator, optimizer)

    start = time.perf_counter(), time.process_time()
    model.fit(dataset, epochs=recipe.epochs, callbacks=recipe.make_callbacks(), verbose=2)
    seconds, of_processor = time.perf_counter() - start[0], time.process_time() - start[1]
    print(f"{arguments.model} on {arguments.task}: {seconds:.0f} s, {of_processor:.0f} processor s")
    for direction in directions:
        report(model, direction, arguments)


def pairs_of(task: Any) -> tuple[np.ndarray, np.ndarray]:
    """Returns the inputs of a task and their true translations."""
    first, *others = task.directions
    if first.truths is None:
        raise SystemExit(f"The true translations of {task.name} are not known.")
    if first.is_paired:
        return first.inputs, first.truths
    back = others[0]
    return (
        np.concatenate([first.inputs, back.truths]),
        np.concatenate([first.truths, back.inputs]),
    )


def report(model: Any, direction: Any, arguments: argparse.Namespace) -> None:
    to = None if arguments.model != "cyclegan" else direction.to
    found = kgan.metrics.translation(
        model,
        direction.inputs,
        direction.targets,
        paired=direction.is_paired,
        truths=None if direction.is_paired else direction.truths,
        labels=direction.labels,
        target_labels=direction.target_labels,
        to=to,
        count=arguments.count,
    )
    print(found)
    for finding in kgan.report.verdict(translation=found):
        print(f"{finding.tone}: {finding.text}")
    if arguments.results is not None:
        shown = direction.inputs[:SHOWN]
        made = kgan.images.to_uint8(
            kgan.training.capabilities.translated(model, as_floats(shown), to)
        )
        rows = [shown, made, *([] if direction.truths is None else [direction.truths[:SHOWN]])]
        name = f"{arguments.task}_{arguments.model}{f'_to_{to}' if to else ''}.png"
        picture = kgan.images.paired_grid(*rows, columns=SHOWN // 2)
        kgan.images.save_png(arguments.results / name, picture)
        if hasattr(model, "save"):
            model.save(arguments.results / f"{arguments.task}_{arguments.model}.keras")


def as_floats(pictures: np.ndarray) -> np.ndarray:
    return pictures.astype("float32") / np.float32(127.5) - 1


if __name__ == "__main__":
    main()

"""Counts how many of Stacked-MNIST's 1,000 modes a recipe covers during training.

    python benchmarks/stacked_mnist.py r3gan --data-dir DIR --steps 20000 --every 2000

Three digits as the channels of one image make 1,000 classes. The modes and their divergence from
equal shares are measured on 26,000 samples, as in the papers; perfectly equal shares would have a
divergence of about 0.019 by chance. Each evaluation adds a row of JSON, a picture of 64 samples and
the model to a directory in `--results`, named after the recipe and options of the run. An
interrupted run resumes from there.

On a GPU there is time for more: `--width 64 --batch-size 256 --steps 200000 --every 10000`.

Reference: Metz et al., 2017 (https://arxiv.org/abs/1611.02163); Huang et al., 2024
(https://arxiv.org/abs/2501.05441), Table 1.
"""

import argparse
import dataclasses
import json
import pathlib
import time
from typing import Any

import kgan  # before keras: it sets a switch that TensorFlow reads once
import keras

SHOWN = ("modes", "mode_divergence", "fcd", "kid", "precision", "recall", "coverage")


def build(options: argparse.Namespace, shape: tuple[int, ...]) -> Any:
    """Builds the recipe's model for colour images, with the given width."""
    recipe = kgan.recipes.get(options.recipe)
    if options.width:
        recipe = dataclasses.replace(
            recipe, network_options={**recipe.network_options, "width": options.width}
        )
    return recipe.build(shape, seed=options.seed)


def main() -> None:
    """Trains, evaluates and records."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("recipe", choices=kgan.recipes.names())
    parser.add_argument("--data-dir", help="the directory of the four MNIST files")
    parser.add_argument("--results", type=pathlib.Path, default=pathlib.Path("stacked_mnist"))
    parser.add_argument("--steps", type=int, default=20_000)
    parser.add_argument("--every", type=int, default=2_000, help="steps between evaluations")
    parser.add_argument("--count", type=int, default=26_000, help="samples of an evaluation")
    parser.add_argument("--width", type=int, help="width of the networks; defaults to the recipe's")
    parser.add_argument("--batch-size", type=int, help="defaults to the recipe's")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()

    size = options.batch_size or kgan.recipes.get(options.recipe).batch_size
    # The directory's name: it holds the model of one run only.
    run = {
        "recipe": options.recipe,
        "seed": options.seed,
        "width": options.width,
        "batch_size": size,
        "every": options.every,
    }
    results = options.results / "-".join(
        f"{name}={value}" for name, value in run.items() if value is not None
    )
    results.mkdir(parents=True, exist_ok=True)
    saved, rows = results / "model.keras", results / "rows.jsonl"
    data = kgan.data.load_stacked_mnist(
        "train", data_dir=options.data_dir, batch_size=size, seed=options.seed
    )
    model = keras.saving.load_model(saved) if saved.exists() else build(options, data.image_shape)
    evaluator = kgan.metrics.Evaluator(data, options.count, thorough=False)
    while model.epochs_trained * options.every < options.steps:
        start = time.perf_counter()
        model.fit(
            data,
            steps_per_epoch=options.every,
            initial_epoch=model.epochs_trained,
            epochs=model.epochs_trained + 1,
        )
        seconds = time.perf_counter() - start
        found = evaluator.evaluate(model)
        row = {
            **run,
            "steps": model.epochs_trained * options.every,
            "seconds": round(seconds, 1),
            **{name: found[name] for name in SHOWN},
        }
        # Before the model: after an interruption a row may be repeated, but is never missing.
        with rows.open("a") as file:
            print(json.dumps(row), file=file)
        model.save(saved)
        picture = kgan.images.grid(kgan.images.to_uint8(model.generate(64, seed=0)))
        kgan.images.save_png(results / f"{row['steps']}.png", picture)
        print(f"{found}\n", flush=True)


if __name__ == "__main__":
    main()

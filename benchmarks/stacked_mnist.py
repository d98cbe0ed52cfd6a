"""How many of Stacked-MNIST's 1,000 modes a recipe holds, while it trains.

    python benchmarks/stacked_mnist.py r3gan --data-dir DIR --steps 20000 --every 2000

Three digits as the channels of one image make 1,000 classes. Modes and their divergence from even
shares are of 26,000 samples, as in the papers; chance alone leaves a divergence of about 0.019. The
figures are rows of JSON beside pictures of 64 samples, in a folder of `--results` that is named by
the run's recipe and options. The model is saved at each row, and a run that was stopped goes on
from there.

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
    """The recipe's GAN for colour images, in the width that was asked for."""
    recipe = kgan.recipes.get(options.recipe)
    if options.width:
        recipe = dataclasses.replace(
            recipe, network_options={**recipe.network_options, "width": options.width}
        )
    return recipe.build(shape, seed=options.seed)


def main() -> None:
    """Trains, evaluates and writes down."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("recipe", choices=kgan.recipes.names())
    parser.add_argument("--data-dir", help="the folder of the four MNIST files")
    parser.add_argument("--results", type=pathlib.Path, default=pathlib.Path("stacked_mnist"))
    parser.add_argument("--steps", type=int, default=20_000)
    parser.add_argument("--every", type=int, default=2_000, help="steps between evaluations")
    parser.add_argument("--count", type=int, default=26_000, help="samples of an evaluation")
    parser.add_argument("--width", type=int, help="of the networks; defaults to the recipe's")
    parser.add_argument("--batch-size", type=int, help="defaults to the recipe's")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()

    size = options.batch_size or kgan.recipes.get(options.recipe).batch_size
    # What makes another run of it: a folder holds the model of one run only.
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
    saved, rows = results / "gan.keras", results / "rows.jsonl"
    data = kgan.data.load_stacked_mnist(
        "train", data_dir=options.data_dir, batch_size=size, seed=options.seed
    )
    gan = keras.saving.load_model(saved) if saved.exists() else build(options, data.image_shape)
    evaluator = kgan.metrics.Evaluator(data, options.count, thorough=False)
    while gan.epochs_trained * options.every < options.steps:
        start = time.perf_counter()
        gan.fit(
            data,
            steps_per_epoch=options.every,
            initial_epoch=gan.epochs_trained,
            epochs=gan.epochs_trained + 1,
        )
        seconds = time.perf_counter() - start
        found = evaluator.evaluate(gan)
        row = {
            **run,
            "steps": gan.epochs_trained * options.every,
            "seconds": round(seconds, 1),
            **{name: found[name] for name in SHOWN},
        }
        # First: a row that is there twice says more than one that is not there.
        with rows.open("a") as file:
            print(json.dumps(row), file=file)
        gan.save(saved)
        picture = kgan.images.grid(kgan.images.to_uint8(gan.generate(64, seed=0)))
        kgan.images.save_png(results / f"{row['steps']}.png", picture)
        print(f"{found}\n", flush=True)


if __name__ == "__main__":
    main()

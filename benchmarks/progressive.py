"""Compares steps of progressive growing with PyTorch: `python benchmarks/progressive.py`.

The loop by hand computes the same as `kgan.ProgressiveGAN` in the middle of a fade, on the same
networks, `kgan.networks.progressive`: real images are halved and faded, one pass through the
generator serves both updates, WGAN-GP with drift, Adam. It is written for PyTorch, in its memory
layout of channels last, and has only the layers of its stage. See `loops/progressive.py`.

The script starts a process for each installed backend. It first compares the losses of both on the
same images, from the same weights and latents. Then both take turns. The numbers are milliseconds
and medians over `--rounds` turns, with the quartiles of the ratio.

`--one-core` keeps each process on one core and measures its processor time instead of the clock's.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

import loops

LATENT_DIM = 64
SIDES = (4, 7, 14, 28)
ALPHA = 0.5  # in a stage with a fade


# ---- kgan ----------------------------------------------------------------------------------------


def make_model(stage: int, width: int) -> Any:
    """A `kgan.ProgressiveGAN` for images of 28 x 28, which stays in a fade for long."""
    import keras  # noqa: PLC0415

    import kgan  # noqa: PLC0415

    keras.utils.set_random_seed(0)
    networks = kgan.networks.progressive((28, 28, 1), LATENT_DIM, width)
    model = kgan.ProgressiveGAN(*networks, seed=0)
    model.compile(fade_images=2**26, stable_images=2**26)
    schedule = model.schedule
    model.images_seen.assign(schedule.start(stage) + (int(ALPHA * 2**26) if stage else 0))
    model.before_step()
    return model


def weights_of(model: Any) -> list[Any]:
    from kgan.models import stages  # noqa: PLC0415

    return [
        {
            layer.name: tuple(layer.get_weights())
            for layer in stages.part_of(network, model.stage).layers
            if len(layer.get_weights()) == 2
        }
        for network in (model.generator, model.discriminator)
    ]


def make_by_hand(model: Any) -> Any:
    """The same by hand, with the same weights."""
    from loops.progressive import ByHand  # noqa: PLC0415

    return ByHand(weights_of(model), model.stage, SIDES, ALPHA)


def check(stage: int, width: int, batch: np.ndarray) -> None:
    """Raises an error if the losses of the first steps differ."""
    import keras  # noqa: PLC0415
    import torch  # noqa: PLC0415

    model = make_model(stage, width)
    hand = make_by_hand(model)
    source = model.training_noise
    for _ in range(2):
        state = np.array(keras.ops.convert_to_numpy(source.state))
        latents, shares = (
            torch.tensor(np.array(keras.ops.convert_to_numpy(draw(shape, seed=source))))
            for draw, shape in (
                (keras.random.normal, (len(batch), LATENT_DIM)),
                (keras.random.uniform, (len(batch), 1, 1, 1)),
            )
        )
        source.state.assign(state)
        expected = [float(loss) for loss in hand.step(placed(batch), latents, shares)]
        logs = model.train_on_batch(batch, return_dict=True)
        penalties = 10.0 * logs["gradient_penalty"] + 0.001 * logs["drift"]
        found = [logs["discriminator_loss"] + penalties, logs["generator_loss"]]
        np.testing.assert_allclose(found, expected, rtol=1e-2, atol=1e-2)


def placed(batch: np.ndarray) -> Any:
    import torch  # noqa: PLC0415

    return torch.from_numpy(batch).permute(0, 3, 1, 2)


def measure(stage: int, batch: np.ndarray, arguments: argparse.Namespace) -> Any:
    import kgan  # noqa: PLC0415

    import torch  # noqa: PLC0415

    check(stage, arguments.width, batch)
    model = make_model(stage, arguments.width)
    hand = make_by_hand(model)
    images = np.random.default_rng(0).integers(0, 256, (4096, 28, 28), dtype="uint8")

    def fit(count: int) -> None:
        data = kgan.data.ImageDataset(images, batch_size=len(batch), seed=0, steps_per_epoch=count)
        model.fit(data, verbose=0)

    def by_hand(count: int) -> None:
        for _ in range(count):
            drawn = images[np.random.randint(0, len(images), len(batch))]
            pixels = placed(drawn[..., np.newaxis]).float().mul_(2 / 255).sub_(1)
            latents, shares = torch.randn(len(batch), LATENT_DIM), torch.rand(len(batch), 1, 1, 1)
            losses = hand.step(pixels, latents, shares)
        losses[0].item()

    clock = time.process_time if arguments.one_core else time.perf_counter

    def milliseconds(run: Callable[[int], None], count: int) -> float:
        start = clock()
        run(count)
        return 1000 * (clock() - start) / count

    runs = {"by hand": by_hand, "kgan": fit}
    for run in runs.values():
        run(3)
    count = max(3, round(1000 * arguments.seconds / milliseconds(by_hand, 5)))
    times: dict[str, list[float]] = {name: [] for name in runs}
    for turn in range(arguments.rounds):
        for name in list(runs)[:: 1 if turn % 2 else -1]:
            times[name].append(milliseconds(runs[name], count))
    return times


def serve(arguments: argparse.Namespace) -> None:
    if arguments.one_core:  # before the backends count the cores and start their threads
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    batch = np.random.default_rng(1).uniform(-1, 1, (arguments.batch_size, 28, 28, 1))
    for stage in arguments.stages:
        print(json.dumps(measure(stage, batch.astype("float32"), arguments)), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--backends", nargs="+", choices=loops.BACKENDS, default=loops.BACKENDS)
    parser.add_argument("--stages", nargs="+", type=int, default=[0, 1, 2, 3])
    parser.add_argument("--width", type=int, default=16)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=2.0, help="of a turn of the loop by hand")
    parser.add_argument("--one-core", action="store_true", help="one core, its processor time")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve:
        serve(arguments)
        return
    for backend in filter(loops.is_installed, arguments.backends):
        process = subprocess.Popen(
            [sys.executable, *sys.argv, "--serve"],
            env={**os.environ, "KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "3"},
            stdout=subprocess.PIPE,
            text=True,
        )
        print(f"{backend}: ms a step, batch {arguments.batch_size}, width {arguments.width}")
        for stage, line in zip(arguments.stages, process.stdout or (), strict=False):
            times = json.loads(line)
            ratios = [a / b for a, b in zip(times["kgan"], times["by hand"], strict=True)]
            low, median, high = np.quantile(ratios, (0.25, 0.5, 0.75))
            numbers = "".join(f"{name} {statistics.median(times[name]):8.2f}  " for name in times)
            print(f"stage {stage}: {numbers} {median:.2f}x ({low:.2f}-{high:.2f})", flush=True)
        if process.wait():
            raise SystemExit(f"{backend} failed")


if __name__ == "__main__":
    main()

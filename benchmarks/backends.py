"""What kgan adds to a training step on each backend: `python benchmarks/backends.py`.

On every backend that is installed, in a process of its own with KERAS_BACKEND set, these train the
same networks from MNIST's bytes (`--data-dir DIR` or KGAN_DATA_DIR; else from random ones):

- plain: the loop that one writes by hand on that backend, see `loops/`; its data are NumPy, fancy
  indexing, and what is on the device normalises them;
- fit: `GAN.fit` from an `ImageDataset`, and what it costs of plain;
- step: kgan's compiled step alone on one batch, and what it costs of plain;
- guarded: `fit` with `TerminateOnNaN`, which looks at the logs of every step, and what it costs of
  `fit` without.

Before anything is timed, three steps of `fit` and of the plain loop on the same images, from the
same weights and latents and without dropout, are checked to give the same losses and weights, but
for rounding. Then all take turns, in an order that turns too: a turn, of which there are
`--rounds`, is as many steps as the plain loop does in `--seconds`, the start of `fit` counted in.
Milliseconds are medians of the rounds; what it costs is the median of the rounds' ratios, with
their quartiles.

`--one-core` keeps each process on one core and takes its processor time in place of the clock's:
ratios that hold still on a machine which does other work too.

JAX's plain loop has, as kgan has, a gradient of transposed convolutions of its own, which a CPU
works out several times as fast as the one that JAX derives; `--derived-gradient` leaves it that.
"""

import argparse
import itertools
import json
import math
import os
import pathlib
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

import loops


@dataclass(frozen=True)
class Case:
    """Networks and a batch."""

    network: str
    latent_dim: int
    width: int
    batch_size: int

    def __str__(self) -> str:
        return f"{self.network}, width {self.width}, batch {self.batch_size}"


CASES = (
    Case("dcgan", 128, 64, 128),
    Case("dcgan", 128, 64, 64),
    Case("dcgan", 64, 24, 32),  # the recipe dcgan's
    Case("mlp", 100, 256, 128),
    Case("mlp", 100, 256, 64),  # the recipe first_gan's
)
CHECKED_STEPS = 3
# Of the way that weights go: where a gradient is next to 0, rounding decides its sign, and Adam's
# first step makes all signs count alike.
TOLERANCE = 0.05
COMPARED = (("fit", "plain"), ("step", "plain"), ("guarded", "fit"))
Run = Callable[[int], Any]  # runs so many steps and waits for them


def load_images(data_dir: pathlib.Path | None) -> np.ndarray:
    """MNIST's training images, or as many stand-ins, `(60000, 28, 28, 1)`."""
    import kgan  # noqa: PLC0415

    if data_dir is None:
        return np.random.default_rng(0).integers(0, 256, (60_000, 28, 28, 1), dtype="uint8")
    return kgan.data.load_mnist("train", data_dir).images


def make_gan(case: Case, dropout: bool = True, **compile_options: Any) -> Any:
    import keras  # noqa: PLC0415

    import kgan  # noqa: PLC0415

    keras.utils.set_random_seed(0)
    make = getattr(kgan.networks, case.network)
    generator, discriminator = make(latent_dim=case.latent_dim, width=case.width)
    for layer in discriminator.layers:
        if isinstance(layer, keras.layers.Dropout) and not dropout:
            layer.rate = 0.0
    gan = kgan.GAN(generator, discriminator, seed=0)
    gan.compile(**compile_options)
    return gan


def make_plain(case: Case, module: Any, gan: Any, **options: Any) -> Any:
    weights = [*gan.generator.get_weights(), *gan.discriminator.get_weights()]
    return module.PlainLoop(case.network, weights, case.latent_dim, case.width, **options)


def dataset(images: np.ndarray, batch_size: int, steps: int) -> Any:
    import kgan  # noqa: PLC0415

    return kgan.data.ImageDataset(images, batch_size=batch_size, seed=0, steps_per_epoch=steps)


def check(case: Case, backend: str, images: np.ndarray, **options: Any) -> None:
    """Raises where `fit` and the plain loop do not compute the same."""
    gan = make_gan(case, dropout=False)
    options["dropout"] = 0.0
    if backend == "torch":  # what is Keras's epsilon in the first step
        options["epsilon"] = loops.EPSILON / math.sqrt(1 - loops.BETAS[1])
    plain = make_plain(case, loops.load(backend), gan, **options)
    before = plain.weights()
    latents = latents_to_come(gan, case.batch_size, CHECKED_STEPS)
    data = dataset(images, case.batch_size, steps=1)
    for index in range(CHECKED_STEPS):
        placed = plain.place(data.batch(index, 0))
        expected = [float(loss) for loss in plain.step(placed, latents[index])]
        logs = gan.fit(data, epochs=index + 1, initial_epoch=index, verbose=0).history
        losses = [logs["discriminator_loss"][0], logs["generator_loss"][0]]
        np.testing.assert_allclose(losses, expected, rtol=1e-3, err_msg=f"step {index}: losses")
        check_weights(gan, before, plain.weights())


def latents_to_come(gan: Any, batch_size: int, steps: int) -> list[Any]:
    """The latents that the next steps of `gan` will draw."""
    import keras  # noqa: PLC0415

    noise = gan.training_noise
    state = np.array(keras.ops.convert_to_numpy(noise.state))
    drawn = [keras.random.normal((batch_size, gan.latent_dim), seed=noise) for _ in range(steps)]
    noise.state.assign(state)
    return drawn


def check_weights(gan: Any, before: list[np.ndarray], expected: list[np.ndarray]) -> None:
    """Each weight has to have moved as the plain loop moved it, but for a twentieth of the way."""
    import keras  # noqa: PLC0415

    variables = [*gan.generator.weights, *gan.discriminator.weights]
    for variable, old, wanted in zip(variables, before, expected, strict=True):
        new = keras.ops.convert_to_numpy(variable)
        moved, error = np.linalg.norm(new - old), np.linalg.norm(new - wanted)
        allowed = TOLERANCE * moved
        if variable.name == "moving_variance":  # PyTorch's is n / (n - 1) of the batch's
            allowed += 1e-3 * np.linalg.norm(wanted)
        if not moved or not error <= allowed:
            raise AssertionError(f"{variable.path} is off by {error}, of {allowed} allowed")


def contenders(case: Case, backend: str, images: np.ndarray, **options: Any) -> dict[str, Run]:
    import kgan  # noqa: PLC0415

    gan = make_gan(case)
    module = loops.load(backend)
    plain = make_plain(case, module, gan, **options)
    stream = loops.shuffled_batches(images, case.batch_size)
    guards = [kgan.callbacks.TerminateOnNaN()]

    def fit(count: int, callbacks: Any = None) -> None:
        gan.fit(dataset(images, case.batch_size, count), verbose=0, callbacks=callbacks)

    return {
        "plain": lambda count: plain.train(itertools.islice(stream, count)),
        "fit": fit,
        "step": module.compiled_step(gan, dataset(images, case.batch_size, 1).batch(0, 0)),
        "guarded": lambda count: fit(count, guards),
    }


def milliseconds(run: Run, count: int, clock: Callable[[], float] = time.perf_counter) -> float:
    """Of a step, out of so many."""
    start = clock()
    run(count)
    return 1000 * (clock() - start) / count


def measure(case: Case, backend: str, images: np.ndarray, arguments: argparse.Namespace) -> Any:
    derived = arguments.derived_gradient and backend == "jax"
    options = {"derived_gradient": True} if derived else {}
    check(case, backend, images, **options)
    runs = contenders(case, backend, images, **options)
    for run in runs.values():
        run(3)
    clock = time.process_time if arguments.one_core else time.perf_counter
    count = max(3, round(1000 * arguments.seconds / milliseconds(runs["plain"], 5, clock)))
    times: dict[str, list[float]] = {name: [] for name in runs}
    order = list(runs)
    for _ in range(arguments.rounds):
        for name in order:
            times[name].append(milliseconds(runs[name], count, clock))
        order = [*order[1:], order[0]]
    return times


def serve(backend: str, arguments: argparse.Namespace) -> None:
    """A backend's process: prints what it runs on, then a line of JSON for each case."""
    if arguments.one_core:  # before the backends count the cores and start their threads
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    images = load_images(arguments.data_dir)
    print(loops.load(backend).device()[0], flush=True)
    for case in chosen(arguments):
        print(json.dumps(measure(case, backend, images, arguments)), flush=True)


def chosen(arguments: argparse.Namespace) -> list[Case]:
    return [case for case in CASES if case.network in arguments.networks]


def row(times: dict[str, list[float]]) -> str:
    cells = [f"{statistics.median(times['plain']):8.2f}"]
    for name, base in COMPARED:
        ratios = [a / b for a, b in zip(times[name], times[base], strict=True)]
        low, median, high = np.quantile(ratios, (0.25, 0.5, 0.75))
        cells.append(f"{statistics.median(times[name]):8.2f} {median:5.2f}x ({low:.2f}-{high:.2f})")
    return "  ".join(cells)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data-dir", type=pathlib.Path, default=os.environ.get("KGAN_DATA_DIR"))
    parser.add_argument("--backends", nargs="+", choices=loops.BACKENDS, default=loops.BACKENDS)
    parser.add_argument("--networks", nargs="+", choices=("dcgan", "mlp"), default=("dcgan", "mlp"))
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=3.0, help="to a turn of the plain loop")
    parser.add_argument("--one-core", action="store_true", help="one core, its processor time")
    parser.add_argument("--derived-gradient", action="store_true", help="in JAX's plain loop")
    parser.add_argument("--serve", choices=loops.BACKENDS, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve:
        serve(arguments.serve, arguments)
        return
    for backend in arguments.backends:
        if not loops.is_installed(backend):
            print(f"{backend}: not installed")
            continue
        process = subprocess.Popen(
            [sys.executable, *sys.argv, "--serve", backend],
            env={**os.environ, "KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "3"},
            stdout=subprocess.PIPE,
            text=True,
        )
        lines = iter(process.stdout or ())
        print(f"{backend} on {next(lines, 'nothing').strip()}: ms a step")
        print(
            f"{'':27}   plain", *(f"{name:>8}{f'of {of}':>20}" for name, of in COMPARED), sep="  "
        )
        for case, line in zip(chosen(arguments), lines, strict=False):
            print(f"{case!s:27}{row(json.loads(line))}", flush=True)
        if process.wait():
            raise SystemExit(f"{backend} failed")


if __name__ == "__main__":
    main()

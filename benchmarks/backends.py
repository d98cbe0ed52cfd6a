"""Measures the cost of kgan over a hand-written loop: `python benchmarks/backends.py`.

The script starts a process for each installed backend, with KERAS_BACKEND set. These contenders
train the same networks from MNIST's bytes (`--data-dir DIR` or KGAN_DATA_DIR, otherwise random
bytes):

- plain: the hand-written loop for that backend, see `loops/`. NumPy's fancy indexing makes the
  batches, and the device normalises them, or binarises them for a VAE;
- fit: `fit` of `kgan.GAN` or `kgan.VAE` from an `ImageDataset`, relative to plain;
- step: kgan's compiled step alone, on one batch on the device, relative to the plain loop's step on
  that batch;
- guarded: `fit` with `TerminateOnNaN`, which reads the logs after every step, relative to `fit`
  without it.

The script first compares three steps of `fit` and of the plain loop, on the same images, from the
same weights and noise, without dropout. Losses and weights must be equal up to rounding.

Then the contenders take turns, in a rotating order. Each of the `--rounds` turns has as many steps
as the plain loop does in `--seconds`, and includes the start of `fit`. Milliseconds are medians
over the rounds. Ratios are medians of the rounds' ratios, with their quartiles.

`--one-core` keeps each process on one core and measures its processor time instead of the clock's.
The ratios are then stable on a machine that does other work too.

On a CPU, JAX's plain loop has a hand-written gradient of transposed convolutions, as kgan has. It
is several times as fast as the gradient that JAX derives. `--derived-gradient` uses that one.
"""

import argparse
import functools
import itertools
import json
import math
import os
import pathlib
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

import loops


@dataclass(frozen=True)
class Family:
    """A class of models, and its logs and data."""

    model: str
    losses: tuple[str, ...]  # in the logs, in the order in which a plain loop returns them
    binarize: Literal["dynamic"] | None = None


GAN = Family("GAN", ("discriminator_loss", "generator_loss"))
VAE = Family("VAE", ("loss", "reconstruction", "kl"), binarize="dynamic")
FAMILIES = {"dcgan": GAN, "mlp": GAN, "dense_vae": VAE}


@dataclass(frozen=True)
class Case:
    """Networks and a batch size."""

    network: str
    latent_dim: int
    width: int
    batch_size: int

    @property
    def family(self) -> Family:
        """The family of the network's model."""
        return FAMILIES[self.network]

    def __str__(self) -> str:
        return f"{self.network}, width {self.width}, batch {self.batch_size}"


CASES = (
    Case("dcgan", 128, 64, 128),
    Case("dcgan", 128, 64, 64),
    Case("dcgan", 64, 24, 32),  # as in the recipe dcgan
    Case("mlp", 100, 256, 128),
    Case("mlp", 100, 256, 64),  # as in the recipe first_gan
    Case("dense_vae", 40, 300, 100),  # the defaults of the networks
)
CHECKED_STEPS = 3
# Relative to the change of a weight: where a gradient is almost 0, rounding decides its sign, and
# Adam's first step gives all signs the same size.
TOLERANCE = 0.05
COMPARED = (("fit", "plain"), ("step", "plain step"), ("guarded", "fit"))
Run = Callable[[int], Any]  # runs that many steps and waits for them


@functools.cache
def load_images(data_dir: pathlib.Path | None) -> np.ndarray:
    """Returns MNIST's training images, or random bytes of the same shape, `(60000, 28, 28, 1)`."""
    import kgan  # noqa: PLC0415

    if data_dir is None:
        return np.random.default_rng(0).integers(0, 256, (60_000, 28, 28, 1), dtype="uint8")
    return kgan.data.load_mnist("train", data_dir).images


def make_model(case: Case, dropout: bool = True, **compile_options: Any) -> Any:
    import keras  # noqa: PLC0415

    import kgan  # noqa: PLC0415

    keras.utils.set_random_seed(0)
    make = getattr(kgan.networks, case.network)
    networks = make(latent_dim=case.latent_dim, width=case.width)
    for layer in itertools.chain.from_iterable(network.layers for network in networks):
        if isinstance(layer, keras.layers.Dropout) and not dropout:
            layer.rate = 0.0
    model = getattr(kgan, case.family.model)(*networks, seed=0)
    model.compile(**compile_options)
    return model


def networks_of(model: Any) -> list[Any]:
    """Returns the networks of a model, in the order of its constructor."""
    return [getattr(model, name) for name in model.networks]


def make_plain(case: Case, module: Any, model: Any, **options: Any) -> Any:
    weights = [weight for network in networks_of(model) for weight in network.get_weights()]
    make = module.LOOPS[case.network]
    return make(case.network, weights, case.latent_dim, case.width, **options)


def dataset(case: Case, images: np.ndarray, steps: int) -> Any:
    import kgan  # noqa: PLC0415

    return kgan.data.ImageDataset(
        images,
        batch_size=case.batch_size,
        seed=0,
        steps_per_epoch=steps,
        binarize=case.family.binarize,
    )


def check(case: Case, backend: str, images: np.ndarray, **options: Any) -> None:
    """Raises an error if `fit` and the plain loop do not compute the same."""
    model = make_model(case, dropout=False)
    module = loops.load(backend)
    options["dropout"] = 0.0
    if backend == "torch":  # equals Keras's epsilon in the first step
        adam = module.LOOPS[case.network].adam
        options["epsilon"] = adam.epsilon / math.sqrt(1 - adam.betas[1])
    plain = make_plain(case, module, model, **options)
    before = plain.weights()
    noise = noise_to_come(model, case.batch_size, CHECKED_STEPS)
    data = dataset(case, images, steps=1)
    for index in range(CHECKED_STEPS):
        placed = plain.place(data.batch(index, 0))
        expected = [float(loss) for loss in plain.step(placed, noise[index])]
        logs = model.fit(data, epochs=index + 1, initial_epoch=index, verbose=0).history
        losses = [logs[name][0] for name in case.family.losses]
        np.testing.assert_allclose(losses, expected, rtol=1e-3, err_msg=f"step {index}: losses")
        check_weights(networks_of(model), before, plain.weights())


def noise_to_come(model: Any, batch_size: int, steps: int) -> list[Any]:
    """Returns the noise of the next steps: latents of a GAN, or the numbers that sample them."""
    import keras  # noqa: PLC0415

    source = model.training_noise
    state = np.array(keras.ops.convert_to_numpy(source.state))
    shape = (batch_size, model.latent_dim)
    drawn = [keras.random.normal(shape, seed=source) for _ in range(steps)]
    source.state.assign(state)
    return drawn


def check_weights(
    networks: list[Any],
    before: list[np.ndarray],
    expected: list[np.ndarray],
    least: float = 0.0,
    tolerance: float = TOLERANCE,
) -> None:
    """Checks that each weight changed as in the plain loop, up to a fraction of the change.

    Args:
        networks: Those of kgan.
        before: Their weights before the steps.
        expected: The plain loop's weights after the steps.
        least: The change of each number that is taken instead of a smaller one, for weights whose
            gradient is rounding alone: biases that a normalisation subtracts.
        tolerance: That fraction.
    """
    import keras  # noqa: PLC0415

    variables = [variable for network in networks for variable in network.weights]
    for variable, old, wanted in zip(variables, before, expected, strict=True):
        new = keras.ops.convert_to_numpy(variable)
        moved, error = np.linalg.norm(new - old), np.linalg.norm(new - wanted)
        allowed = tolerance * max(moved, least * np.sqrt(old.size))
        if variable.name == "moving_variance":  # PyTorch's is n / (n - 1) of the batch's
            allowed += 1e-3 * np.linalg.norm(wanted)
        if not moved or not error <= allowed:
            raise AssertionError(f"{variable.path} is off by {error}, of {allowed} allowed")


def use_keras_epsilon(adam: Any, epsilon: float) -> None:
    """Sets PyTorch's epsilon of the next step: Keras adds it before the bias correction."""
    for group in adam.param_groups:
        state = adam.state[group["params"][0]]
        step = 1 + (float(state["step"]) if state else 0)
        group["eps"] = epsilon / math.sqrt(1 - group["betas"][1] ** step)


def contenders(case: Case, backend: str, images: np.ndarray, **options: Any) -> dict[str, Run]:
    import kgan  # noqa: PLC0415

    model = make_model(case)
    module = loops.load(backend)
    plain = make_plain(case, module, model, **options)
    stream = loops.shuffled_batches(images, case.batch_size)
    guards = [kgan.callbacks.TerminateOnNaN()]
    batch = dataset(case, images, 1).batch(0, 0)

    def fit(count: int, callbacks: Any = None) -> None:
        model.fit(dataset(case, images, count), verbose=0, callbacks=callbacks)

    return {
        "plain": lambda count: plain.train(itertools.islice(stream, count)),
        "plain step": plain_step(plain, module, batch),
        "fit": fit,
        "step": module.compiled_step(model, batch),
        "guarded": lambda count: fit(count, guards),
    }


def plain_step(plain: Any, module: Any, batch: np.ndarray) -> Run:
    """Returns a function of a count: runs that many plain steps on one batch on the device."""
    placed = plain.place(batch)

    def run(count: int) -> Any:
        for _ in range(count):
            losses = plain.step(placed)
        module.wait(losses)
        return losses

    return run


def milliseconds(run: Run, count: int, clock: Callable[[], float] = time.perf_counter) -> float:
    """Returns the time of a step, averaged over `count` steps."""
    start = clock()
    run(count)
    return 1000 * (clock() - start) / count


def measure(case: Case, backend: str, images: np.ndarray, arguments: argparse.Namespace) -> Any:
    derived = arguments.derived_gradient and backend == "jax"
    options = {"derived_gradient": True} if derived else {}
    check(case, backend, images, **options)
    return take_turns(contenders(case, backend, images, **options), "plain", arguments)


def take_turns(
    runs: dict[str, Run], plain: str, arguments: argparse.Namespace
) -> dict[str, list[float]]:
    """Returns the milliseconds a step of each contender in each round.

    Args:
        runs: The contenders, by name.
        plain: The name of the one that does as many steps in a turn as fit into `--seconds`.
        arguments: Those of `add_arguments`.
    """
    clock = time.process_time if arguments.one_core else time.perf_counter
    for run in runs.values():
        run(3)
    count = max(3, round(1000 * arguments.seconds / milliseconds(runs[plain], 5, clock)))
    times: dict[str, list[float]] = {name: [] for name in runs}
    order = list(runs)
    for _ in range(arguments.rounds):
        for name in order:
            times[name].append(milliseconds(runs[name], count, clock))
        order = [*order[1:], order[0]]
    return times


def chosen(arguments: argparse.Namespace) -> list[Case]:
    return [case for case in CASES if case.network in arguments.networks]


def cells(
    times: dict[str, list[float]], bases: Sequence[str], compared: Sequence[tuple[str, str]]
) -> str:
    """Returns medians of `bases`, and of the others with their ratios, as a row of a table."""
    cells = [f"{statistics.median(times[name]):10.2f}" for name in bases]
    for name, base in compared:
        ratios = [a / b for a, b in zip(times[name], times[base], strict=True)]
        low, median, high = np.quantile(ratios, (0.25, 0.5, 0.75))
        cells.append(f"{statistics.median(times[name]):8.2f} {median:5.2f}x ({low:.2f}-{high:.2f})")
    return "  ".join(cells)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments that `take_turns` and `run` read."""
    parser.add_argument("--backends", nargs="+", choices=loops.BACKENDS, default=loops.BACKENDS)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=3.0, help="of a turn of the plain loop")
    parser.add_argument("--one-core", action="store_true", help="one core, its processor time")
    parser.add_argument("--serve", choices=loops.BACKENDS, help=argparse.SUPPRESS)


def run(
    arguments: argparse.Namespace,
    cases: Sequence[Any],
    times_of: Callable[[Any, str], dict[str, list[float]]],
    bases: Sequence[str],
    compared: Sequence[tuple[str, str]],
) -> None:
    """Prints a table for each installed backend, with a row for each case.

    The script starts itself again for each backend, with `--serve`. That process prints its device,
    then a line of JSON for each case.

    Args:
        arguments: Those of `add_arguments`.
        cases: What the rows are of.
        times_of: Returns the times that `take_turns` measured for a case on a backend.
        bases: Names of contenders, whose times the rows have.
        compared: Pairs of names: a contender, and the base of its ratio.
    """
    if arguments.serve:
        if arguments.one_core:  # before the backends count the cores and start their threads
            os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
        print(loops.load(arguments.serve).device()[0], flush=True)
        for case in cases:
            print(json.dumps(times_of(case, arguments.serve)), flush=True)
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
        titles = [*(f"{name:>10}" for name in bases)]
        titles += [f"{name:>8}{f'of {of}':>20}" for name, of in compared]
        print(f"{'':36}", *titles, sep="  ")
        for case, line in zip(cases, lines, strict=False):
            print(f"{case!s:36}  {cells(json.loads(line), bases, compared)}", flush=True)
        if process.wait():
            raise SystemExit(f"{backend} failed")


def against_torch(
    model: Any, plain: Any, dataset: Callable[[int], Any], backend: str
) -> dict[str, Run]:
    """Returns kgan's step and `fit`, and a loop by hand in PyTorch for any backend.

    Args:
        model: The model of kgan, compiled.
        plain: The loop.
        dataset: Makes data for a number of steps.
        backend: That of kgan.
    """
    batch = dataset(1).batch(0, 0)
    return {
        "by hand": plain_step(plain, loops.load("torch"), batch),
        "step": loops.load(backend).compiled_step(model, batch),
        "fit": lambda count: model.fit(dataset(count), verbose=0),
    }


def run_numbered(
    parser: argparse.ArgumentParser,
    all_cases: Sequence[Any],
    check: Callable[[Any], None],
    contenders: Callable[[Any, str], dict[str, Run]],
) -> None:
    """Runs a script that compares kgan with loops by hand in PyTorch, in the chosen cases.

    Args:
        parser: Its parser, without arguments.
        all_cases: The cases, which `--cases` numbers from 1.
        check: Raises an error if both do not compute the same in a case.
        contenders: Returns what `against_torch` returns, for a case and a backend.
    """
    counted = range(1, len(all_cases) + 1)
    parser.add_argument("--cases", nargs="+", type=int, choices=counted, default=counted)
    add_arguments(parser)
    arguments = parser.parse_args()

    def measured(case: Any, backend: str) -> dict[str, list[float]]:
        check(case)
        return take_turns(contenders(case, backend), "by hand", arguments)

    run(
        arguments,
        [all_cases[number - 1] for number in arguments.cases],
        measured,
        ("by hand",),
        (("step", "by hand"), ("fit", "by hand")),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data-dir", type=pathlib.Path, default=os.environ.get("KGAN_DATA_DIR"))
    parser.add_argument("--networks", nargs="+", choices=FAMILIES, default=FAMILIES)
    parser.add_argument("--derived-gradient", action="store_true", help="in JAX's plain loop")
    add_arguments(parser)
    arguments = parser.parse_args()

    run(
        arguments,
        chosen(arguments),
        lambda case, backend: measure(case, backend, load_images(arguments.data_dir), arguments),
        ("plain", "plain step"),
        COMPARED,
    )


if __name__ == "__main__":
    main()

"""Measures steps per second on a GPU: `python benchmarks/gpu.py --data-dir DIR`.

kgan trains the networks of `--network` on each installed backend that sees the GPU. The default is
`kgan.networks.dcgan` for MNIST with 128 latents. Each setting has its own process, and runs each
batch size in turn:

- default: no options;
- jit_compile on and off;
- 8 steps per execution;
- guarded: with `TerminateOnNaN`, which waits for every step;
- Keras's policy mixed_bfloat16;
- plain: the hand-written loop of `loops/` for that backend, without kgan. PyTorch's, the reference
  for all others, also runs in bfloat16 under autocast.

The table has medians of: `fit` from an ImageDataset (the plain loop reads NumPy); the step alone,
on one batch on the device; the share of `fit` outside the step, which is data transfer and the work
of `fit` itself; the device's peak memory, as the backend counts it; and the seconds of the first
step, with compilation. `of PyTorch` compares `fit` with the plain PyTorch loop of the same batch
size and precision: above 1 is faster. All backends keep their defaults for TF32: JAX and TensorFlow
use it, PyTorch uses it in convolutions.

Without a GPU the script only reports that. Test the script itself on any machine with
`--device cpu --steps 3 --rounds 1 --width 8 --batches 8`.
"""

import argparse
import gc
import itertools
import json
import os
import pathlib
import platform
import statistics
import subprocess
import sys
import time
from typing import Any

import backends
import loops

PLAIN = {"plain": {}, "plain, bfloat16": {"bfloat16": True}}
COMPILE: dict[str, dict[str, Any]] = {
    "default": {},
    "jit_compile": {"jit_compile": True},
    "no jit_compile": {"jit_compile": False},
    "8 steps per execution": {"steps_per_execution": 8},
    "guarded": {},
    "mixed_bfloat16": {},
}
SETTINGS = (*PLAIN, *COMPILE)
LATENT_DIM = {"dcgan": 128, "dense_vae": 40}
# Of the first batches: 2 log 2 = 1.39 for an untrained discriminator, and 784 log 2 = 543 nats for
# an untrained decoder.
FIRST_LOSS = {"GAN": (0.8, 2.5), "VAE": (100.0, 700.0)}
LONGEST = 20.0  # seconds of a turn; slow steps get fewer of them


def probe(backend: str) -> None:
    """Prints the device and versions of a backend."""
    import keras  # noqa: PLC0415

    name, is_gpu = loops.load(backend).device()
    version = sys.modules[backend].__version__
    print(
        json.dumps({"name": name, "is_gpu": is_gpu, "version": version, "keras": keras.version()})
    )


def serve(backend: str, setting: str, arguments: argparse.Namespace) -> None:
    """Runs the process of a setting: prints a line of JSON for each batch size."""
    import keras  # noqa: PLC0415

    if setting == "mixed_bfloat16":
        keras.config.set_dtype_policy("mixed_bfloat16")
    images = backends.load_images(arguments.data_dir)
    # In rising order, since not every backend can reset its peak memory.
    for batch_size in sorted(arguments.batches):
        case = backends.Case(
            arguments.network, LATENT_DIM[arguments.network], arguments.width, batch_size
        )
        print(json.dumps(measure(case, backend, setting, images, arguments)), flush=True)
        gc.collect()


def measure(
    case: backends.Case, backend: str, setting: str, images: Any, arguments: argparse.Namespace
) -> dict[str, Any]:
    module = loops.load(backend)
    make = plain_runs if setting in PLAIN else kgan_runs
    fit, make_step = make(case, module, setting, images)
    start = time.perf_counter()
    loss = fit(1)
    first = time.perf_counter() - start
    low, high = FIRST_LOSS[case.family.model]
    if not low < loss < high:
        raise ValueError(f"the first loss is {loss}")
    fit(8)
    # Read before the step is compiled separately, with copies of the weights.
    count = steps_of_a_turn(fit, arguments.steps)
    fit(count)
    memory = module.peak_memory()
    step = make_step()
    step(3)
    times: dict[str, list[float]] = {"fit": [], "step": []}
    for _ in range(arguments.rounds):
        times["fit"].append(backends.milliseconds(fit, count))
        times["step"].append(backends.milliseconds(step, count))
    return {"times": times, "memory": memory, "first": first}


def steps_of_a_turn(fit: backends.Run, wanted: int) -> int:
    milliseconds = backends.milliseconds(fit, 8)
    return max(3, min(wanted, int(1000 * LONGEST / milliseconds)))


def kgan_runs(case: backends.Case, module: Any, setting: str, images: Any) -> tuple[Any, Any]:
    import kgan  # noqa: PLC0415

    model = backends.make_model(case, **COMPILE[setting])
    callbacks = [kgan.callbacks.TerminateOnNaN()] if setting == "guarded" else None

    def fit(count: int) -> float:
        data = backends.dataset(case, images, count)
        history = model.fit(data, verbose=0, callbacks=callbacks).history
        return float(history[case.family.losses[0]][0])

    batch = backends.dataset(case, images, 1).batch(0, 0)
    return fit, lambda: module.compiled_step(model, batch)


def plain_runs(case: backends.Case, module: Any, setting: str, images: Any) -> tuple[Any, Any]:
    loop = backends.make_plain(case, module, backends.make_model(case), **PLAIN[setting])
    stream = loops.shuffled_batches(images, case.batch_size)
    batch = backends.dataset(case, images, 1).batch(0, 0)
    return (
        lambda count: loop.train(itertools.islice(stream, count))[0],
        lambda: backends.plain_step(loop, module, batch),
    )


def refused(backend: str, setting: str) -> str | None:
    """Returns the reason why a backend lacks a setting, or None."""
    if setting == "plain, bfloat16" and backend != "torch":
        return "only the plain loop in PyTorch supports it"
    if setting == "8 steps per execution" and backend == "torch":
        return "Keras does not support it on PyTorch"
    return None


def environment(backend: str, device: str) -> dict[str, str]:
    changed = {"KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "3"}
    if device == "cpu":
        changed |= {"CUDA_VISIBLE_DEVICES": "-1", "JAX_PLATFORMS": "cpu"}
    return {**os.environ, **changed}


def call(backend: str, arguments: argparse.Namespace, *more: str) -> tuple[list[Any], str]:
    """Returns the JSON that a process printed, and its error, or an empty string."""
    command = [sys.executable, *sys.argv, "--serve", backend, *more]
    try:
        ended = subprocess.run(
            command,
            env=environment(backend, arguments.device),
            capture_output=True,
            text=True,
            timeout=arguments.timeout,
            check=False,
        )
        output, error = ended.stdout, ""
        if ended.returncode:
            error = (ended.stderr.strip().splitlines() or [f"exit {ended.returncode}"])[-1]
    except subprocess.TimeoutExpired as expired:
        output = (expired.stdout or b"").decode()
        error = f"timed out after {arguments.timeout} seconds"
    return [json.loads(line) for line in output.splitlines() if line.startswith("{")], error


def usable(arguments: argparse.Namespace) -> list[str]:
    """Returns the backends to measure. Prints the device of each, or why it is skipped."""
    found = []
    for backend in arguments.backends:
        if not loops.is_installed(backend):
            print(f"{backend}: skipped, not installed")
            continue
        told, error = call(backend, arguments, "--probe")
        if error:
            print(f"{backend}: skipped, {error}")
            continue
        about = told[0]
        title = f"{backend} {about['version']}, Keras {about['keras']}, on {about['name']}"
        if arguments.device == "gpu" and not about["is_gpu"]:
            print(f"{title}: skipped, sees no GPU")
            continue
        print(title)
        found.append(backend)
    return found


def row(result: dict[str, Any], plain: float | None) -> str:
    fit, step = (statistics.median(result["times"][name]) for name in ("fit", "step"))
    memory = "-" if result["memory"] is None else f"{result['memory'] / 2**20:.0f}"
    of_plain = "-" if plain is None else f"{plain / fit:.2f}x"
    return (
        f"{1000 / fit:10.1f} {1000 / step:10.1f} {1 - step / fit:8.0%} {memory:>8}"
        f" {result['first']:8.1f} {of_plain:>11}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data-dir", type=pathlib.Path, default=os.environ.get("KGAN_DATA_DIR"))
    parser.add_argument("--device", choices=("gpu", "cpu"), default="gpu")
    parser.add_argument("--backends", nargs="+", choices=loops.BACKENDS, default=loops.BACKENDS)
    parser.add_argument("--settings", nargs="+", choices=SETTINGS, default=SETTINGS)
    parser.add_argument("--batches", nargs="+", type=int, default=[128, 512])
    parser.add_argument("--network", choices=LATENT_DIM, default="dcgan")
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=200, help="of a turn, fewer if they are slow")
    parser.add_argument("--timeout", type=int, default=600, help="seconds for a setting")
    parser.add_argument("--serve", help=argparse.SUPPRESS)
    parser.add_argument("--probe", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--setting", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.probe:
        probe(arguments.serve)
        return
    if arguments.serve:
        serve(arguments.serve, arguments.setting, arguments)
        return

    print(f"Python {platform.python_version()}, {platform.platform()}")
    found = usable(arguments)
    if not found:
        raise SystemExit(
            "No backend sees a GPU. This benchmark needs a GPU, and a backend built for it (for "
            'NVIDIA: the CUDA wheel of torch, "jax[cuda12]" or "tensorflow[and-cuda]"). '
            "Test the script without one: --device cpu --steps 3 --rounds 1 --width 8 --batches 8."
        )
    print(
        f"\n{'':40}{'fit':>10} {'step':>10} {'not the':>8} {'memory':>8} {'first':>8}"
        f" {'fit, of':>11}"
        f"\n{'backend, setting, batch':40}{'a second':>10} {'a second':>10} {'step':>8} {'MiB':>8}"
        f" {'s':>8} {'PyTorch':>11}"
    )
    # The plain PyTorch loop first: the others are compared with it.
    plain: dict[tuple[bool, int], float] = {}
    for backend in sorted(found, key=lambda name: name != "torch"):
        for setting in (name for name in SETTINGS if name in arguments.settings):
            reason = refused(backend, setting)
            if reason:
                print(f"{backend}, {setting}: skipped, {reason}", flush=True)
                continue
            results, error = call(backend, arguments, "--setting", setting)
            is_bfloat16 = "bfloat16" in setting
            for batch_size, result in zip(sorted(arguments.batches), results, strict=False):
                if backend == "torch" and setting in PLAIN:
                    plain[is_bfloat16, batch_size] = statistics.median(result["times"]["fit"])
                name = f"{backend}, {setting}, {batch_size}"
                print(f"{name:40}{row(result, plain.get((is_bfloat16, batch_size)))}", flush=True)
            if error:
                print(f"{backend}, {setting}: failed, {error}", flush=True)


if __name__ == "__main__":
    main()

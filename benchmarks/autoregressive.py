"""Measures training and sampling of a PixelCNN: `python benchmarks/autoregressive.py`.

The step. On each installed backend, the step of `kgan.PixelCNN` takes turns with a PyTorch loop
written by hand (`loops/torch_pixel_cnn.py`, channels last), in one process. The loop has the same
network as it is usually written: square kernels with masks. kgan's layers shift and crop, and have
no weights that a mask sets to zero. The networks are those of the recipe `pixelcnn_binary` and a
narrower one, in float32, on random binary images of 28x28x1 in batches of 32.

The script first compares three steps of `fit` and of the loop, on the same images, from the same
weights. Losses and weights must be equal up to rounding.

The columns, `--rounds`, `--seconds` and `--one-core` are as in `translation.py`.

Sampling, with `--sampling`. The network of the recipe draws 100 images in the cached way, for
images of 28x28x1 (binary, 8 bits) and of 32x32x3. The naive way, which computes the whole network
for each pixel, is the time of such a pass, the least of `--passes`, times the number of pixels.
Seconds are the least of three draws, without compilation.
"""

import argparse
import dataclasses
import functools
import time
from collections.abc import Callable
from typing import Any

import numpy as np

import backends

SIDE = 28
BATCH_SIZE = 32
DRAWN = 100


@dataclasses.dataclass(frozen=True)
class Case:
    """The sizes of a network."""

    width: int
    blocks: int
    dilations: tuple[int, ...] = (1, 2, 4)

    def __str__(self) -> str:
        return f"pixel_cnn, width {self.width}, {self.blocks} blocks"


CASES = (Case(48, 6), Case(24, 3))
SAMPLED = (
    ("binary 28x28x1", (28, 28, 1), "bernoulli"),
    ("8-bit 28x28x1", (28, 28, 1), "discretized_logistic_mixture"),
    ("8-bit 32x32x3", (32, 32, 3), "joint_logistic_mixture"),
)


def make_model(case: Case, epsilon: float = 1e-7) -> Any:
    import keras  # noqa: PLC0415

    import kgan  # noqa: PLC0415

    keras.utils.set_random_seed(0)
    networks: Any = kgan.networks.pixel_cnn((SIDE, SIDE, 1), **dataclasses.asdict(case))
    model = kgan.PixelCNN(networks.network, seed=0)
    model.compile(keras.optimizers.Adam(3e-3, 0.9, 0.99, epsilon=epsilon))
    return model


def make_plain(case: Case, model: Any) -> Any:
    from loops import torch_pixel_cnn as plain  # noqa: PLC0415

    weights = {layer.name: layer.get_weights() for layer in model.network.layers if layer.weights}
    return plain.PlainPixelCNN(weights, plain.Sizes(**dataclasses.asdict(case)))


def dataset(steps: int) -> Any:
    import kgan  # noqa: PLC0415

    shape = (steps * BATCH_SIZE, SIDE, SIDE, 1)
    images = np.random.default_rng(0).integers(0, 256, shape, dtype="uint8")
    return kgan.data.ImageDataset(images, batch_size=BATCH_SIZE, seed=0, binarize="dynamic")


def check(case: Case) -> None:
    """Raises an error if `fit` and the loop do not compute the same."""
    # Large: Adam would divide gradients by their own size, and make rounding as large as them.
    epsilon = 1e-2
    model = make_model(case, epsilon)
    plain = make_plain(case, model)
    for adam in plain.adams:
        adam.register_step_pre_hook(lambda adam, *_: backends.use_keras_epsilon(adam, epsilon))
    before = plain.weights()
    data = dataset(steps=1)
    for index in range(backends.CHECKED_STEPS):
        expected = [float(loss) for loss in plain.step(plain.place(data.batch(index, 0)))]
        logs = model.fit(data, epochs=index + 1, initial_epoch=index, verbose=0).history
        losses = [logs[name][0] for name in plain.LOSSES]
        np.testing.assert_allclose(losses, expected, rtol=1e-3, err_msg=f"step {index}: losses")
        tolerance = backends.TOLERANCE * (index + 1)
        backends.check_weights([model.network], before, plain.weights(), tolerance=tolerance)


def contenders(case: Case, backend: str) -> dict[str, backends.Run]:
    model = make_model(case)
    return backends.against_torch(model, make_plain(case, model), dataset, backend)


def measure_sampling(passes: int) -> None:
    """Prints the seconds of drawing images, on the backend of this process."""
    import keras  # noqa: PLC0415

    import kgan  # noqa: PLC0415

    print(f"{keras.backend.backend()}: seconds to draw {DRAWN} images")
    print(f"{'':18}{'cached':>10}{'naive':>10}{'ratio':>8}")
    for title, shape, likelihood in SAMPLED:
        options = {**dataclasses.asdict(CASES[0]), "likelihood": likelihood}
        networks: Any = kgan.networks.pixel_cnn(shape, **options)
        model = kgan.PixelCNN(networks.network, likelihood=likelihood, seed=0)
        model.generate(DRAWN, seed=0)  # compiles
        cached = _seconds(functools.partial(model.generate, DRAWN, seed=0), 3)
        naive = _naive_seconds(model, passes)
        print(f"{title:18}{cached:10.2f}{naive:10.1f}{naive / cached:7.0f}x", flush=True)


def _naive_seconds(model: Any, passes: int) -> float:
    """The seconds of the naive way: a pass of the whole network for each pixel."""
    height, width, _ = model.image_shape
    images = np.full((DRAWN, *model.image_shape), -1.0, "float32")
    run = functools.partial(model.predict_on_batch, images)
    run()  # compiles
    return _seconds(run, passes) * height * width


def _seconds(call: Callable[[], Any], times: int) -> float:
    """The least seconds of several calls."""
    found = []
    for _ in range(times):
        started = time.perf_counter()
        call()
        found.append(time.perf_counter() - started)
    return min(found)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sampling", action="store_true", help="measure sampling, not the step")
    parser.add_argument("--passes", type=int, default=3, help="of the whole network")
    arguments, _ = parser.parse_known_args()
    if arguments.sampling:
        measure_sampling(arguments.passes)
        return
    backends.run_numbered(parser, CASES, check, contenders)


if __name__ == "__main__":
    main()

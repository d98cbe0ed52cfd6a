"""Measures the cost of a step of image translation: `python benchmarks/translation.py`.

On each installed backend, the steps of `kgan.Pix2Pix` and `kgan.CycleGAN` take turns with PyTorch
loops written by hand for the same networks (`loops/torch_translation.py`, channels last), in one
process:

- by hand: a step of the loop, on one batch;
- step: kgan's compiled step on that batch, relative to the loop;
- fit: `fit` of the model from a `PairedDataset` or an `UnpairedDataset`, relative to the loop.

The images are random, of 28x28x1, and the batch is 32. Networks have instance normalisation and
double maps by repeating pixels. All else is as `compile` has it by default: the L1 weight is 100,
the weight of cycles 10 and that of identities 5. The buffers of CycleGAN keep 50 images.

The script first compares three steps of `fit` and of the loop, on the same images, from the same
weights. Losses and weights must be equal up to rounding. Here CycleGAN has no buffers, since these
draw random numbers.

Each of the `--rounds` turns has as many steps as the loop does in `--seconds`, and includes the
start of `fit`. Milliseconds are medians over the rounds. Ratios are medians of the rounds' ratios,
with their quartiles. `--one-core` keeps each process on one core and measures its processor time,
as in `backends.py`.
"""

import argparse
import dataclasses
from typing import Any

import numpy as np

import backends

SIDE = 28
BATCH_SIZE = 32


@dataclasses.dataclass(frozen=True)
class Case:
    """A family and its networks."""

    family: str
    translator: str
    width: int
    receptive_field: int
    blocks: int | None = None  # of a ResNet

    def __str__(self) -> str:
        blocks = f", {self.blocks} blocks" if self.blocks else ""
        return f"{self.family}, {self.translator}, width {self.width}{blocks}"

    @property
    def options(self) -> dict[str, Any]:
        """The arguments of the networks, and of the sizes of the loop."""
        options = dataclasses.asdict(self)
        del options["family"]
        return {name: value for name, value in options.items() if value is not None}


CASES = (
    Case("pix2pix", "unet", 24, 34),
    Case("cyclegan", "unet", 16, 16),
    Case("cyclegan", "resnet", 16, 16, blocks=3),
)


def make_model(case: Case, epsilon: float = 1e-7, buffer_size: int = 50) -> Any:
    import keras  # noqa: PLC0415

    import kgan  # noqa: PLC0415

    keras.utils.set_random_seed(0)
    networks: Any = getattr(kgan.networks, case.family)((SIDE, SIDE, 1), **case.options)
    options = {} if case.family == "pix2pix" else {"buffer_size": buffer_size}
    make: Any = kgan.Pix2Pix if case.family == "pix2pix" else kgan.CycleGAN
    model = make(*networks, seed=0, **options)
    model.compile(*(keras.optimizers.Adam(2e-4, 0.5, epsilon=epsilon) for _ in range(2)))
    return model


def make_plain(case: Case, model: Any) -> Any:
    from loops import torch_translation as plain  # noqa: PLC0415

    weights = [w for network in backends.networks_of(model) for w in network.get_weights()]
    sizes = plain.Sizes(side=SIDE, **case.options)
    if case.family == "pix2pix":
        return plain.PlainPix2Pix(weights, sizes)
    return plain.PlainCycleGAN(weights, sizes, model.buffer_size)


def dataset(case: Case, steps: int) -> Any:
    import kgan  # noqa: PLC0415

    shape = (2, steps * BATCH_SIZE, SIDE, SIDE, 1)
    images = np.random.default_rng(0).integers(0, 256, shape, dtype="uint8")
    make: Any = kgan.data.PairedDataset if case.family == "pix2pix" else kgan.data.UnpairedDataset
    return make(*images, batch_size=BATCH_SIZE, seed=0)


def check(case: Case) -> None:
    """Raises an error if `fit` and the loop do not compute the same."""
    # Large: Adam would divide gradients by their own size, and make rounding as large as them.
    epsilon = 1e-2
    model = make_model(case, epsilon, buffer_size=0)
    plain = make_plain(case, model)
    for adam in plain.adams:
        adam.register_step_pre_hook(lambda adam, *_: backends.use_keras_epsilon(adam, epsilon))
    before = plain.weights()
    data = dataset(case, steps=1)
    for index in range(backends.CHECKED_STEPS):
        placed = plain.place(data.batch(index, 0))
        expected = [float(loss) for loss in plain.step(placed)]
        logs = model.fit(data, epochs=index + 1, initial_epoch=index, verbose=0).history
        losses = [logs[name][0] for name in plain.LOSSES]
        np.testing.assert_allclose(losses, expected, rtol=1e-3, err_msg=f"step {index}: losses")
        # L1 errors have gradients that jump, so that rounding grows from step to step.
        tolerance = backends.TOLERANCE * (index + 1)
        networks = backends.networks_of(model)
        backends.check_weights(networks, before, plain.weights(), tolerance=tolerance)


def contenders(case: Case, backend: str) -> dict[str, backends.Run]:
    model = make_model(case)
    return backends.against_torch(
        model, make_plain(case, model), lambda count: dataset(case, count), backend
    )


def main() -> None:
    backends.run_numbered(argparse.ArgumentParser(description=__doc__), CASES, check, contenders)


if __name__ == "__main__":
    main()

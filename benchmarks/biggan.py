"""Measures the cost of a BigGAN's step in kgan: `python benchmarks/biggan.py`.

On each installed backend, kgan's step takes turns with a PyTorch loop written by hand for the same
networks (`loops/torch_biggan.py`, channels last), in one process:

- by hand: a step of the loop, on one batch;
- step: kgan's compiled step on that batch, relative to the loop;
- fit: `fit` of `kgan.GAN` from an `ImageDataset`, relative to the loop.

The networks are conditional, for random images of 32x32x3. The loss is the hinge loss, with two
updates of the discriminator for each of the generator, and an average of the generator's weights.

The script first compares three steps of `fit` and of the loop, on the same images, from the same
weights and noise. Losses, weights and averages must be equal up to rounding.

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

IMAGE_SHAPE = (32, 32, 3)
NUM_CLASSES = 10


@dataclasses.dataclass(frozen=True)
class Case:
    """Networks and a batch size."""

    width: int
    batch_size: int
    latent_dim: int = 128
    attention_size: int | None = None

    def __str__(self) -> str:
        attention = f", attention at {self.attention_size}" if self.attention_size else ""
        return f"width {self.width}, batch {self.batch_size}{attention}"

    @property
    def sizes(self) -> dict[str, Any]:
        """The arguments of `kgan.networks.biggan`."""
        return {
            "image_shape": IMAGE_SHAPE,
            "latent_dim": self.latent_dim,
            "num_classes": NUM_CLASSES,
            "width": self.width,
            "attention_size": self.attention_size,
        }


CASES = (Case(16, 64), Case(16, 64, attention_size=16), Case(32, 64, attention_size=16))


def make_model(case: Case, epsilon: float = 1e-7) -> Any:
    import keras  # noqa: PLC0415

    import kgan  # noqa: PLC0415
    from loops import torch_biggan as plain  # noqa: PLC0415

    keras.utils.set_random_seed(0)
    networks = kgan.networks.biggan(**case.sizes)
    for variable in (variable for network in networks for variable in network.weights):
        if variable.path.startswith("self_attention") and variable.name == "gamma":
            variable.assign(0.5)  # at its start, 0, most gradients of the attention would be 0
    model = kgan.GAN(*networks, seed=0)
    rate, betas = plain.ADAM.learning_rate, plain.ADAM.betas
    generator, discriminator = (
        keras.optimizers.Adam(rate, *betas, epsilon=epsilon) for _ in range(2)
    )
    model.compile(
        generator,
        discriminator,
        loss="hinge",
        discriminator_steps=plain.PARTS,
        ema_decay=plain.DECAY,
    )
    return model


def make_plain(case: Case, model: Any) -> Any:
    from loops.torch_biggan import PlainBigGAN  # noqa: PLC0415

    weights = [w for network in backends.networks_of(model) for w in network.get_weights()]
    return PlainBigGAN(weights, **case.sizes)


def dataset(case: Case, steps: int) -> Any:
    import kgan  # noqa: PLC0415

    random = np.random.default_rng(0)
    count = steps * case.batch_size
    return kgan.data.ImageDataset(
        random.integers(0, 256, (count, *IMAGE_SHAPE), dtype="uint8"),
        random.integers(0, NUM_CLASSES, count, dtype="int32"),
        batch_size=case.batch_size,
        seed=0,
    )


def check(case: Case) -> None:
    """Raises an error if `fit` and the loop do not compute the same."""
    from loops import torch_biggan  # noqa: PLC0415

    # Large: a normalisation subtracts most biases of the generator. Their gradient is rounding
    # alone, which Adam would make as large as the others.
    epsilon = 1e-4
    model = make_model(case, epsilon)
    plain = make_plain(case, model)
    for adam in plain.adams:
        adam.register_step_pre_hook(lambda adam, *_: backends.use_keras_epsilon(adam, epsilon))
    before = plain.weights()
    noise = noise_to_come(case, model, backends.CHECKED_STEPS, torch_biggan.PARTS)
    data = dataset(case, steps=1)
    least = 0.05 * torch_biggan.ADAM.learning_rate
    for index in range(backends.CHECKED_STEPS):
        placed = plain.place(data.batch(index, 0))
        expected = [float(loss) for loss in plain.step(placed, noise[index])]
        logs = model.fit(data, epochs=index + 1, initial_epoch=index, verbose=0).history
        losses = [logs[name][0] for name in ("discriminator_loss", "generator_loss")]
        np.testing.assert_allclose(losses, expected, rtol=1e-3, err_msg=f"step {index}: losses")
        networks = backends.networks_of(model)
        backends.check_weights(networks, before, plain.weights(), least)
        average = [model.network_in_use("generator")]
        backends.check_weights(average, before[: len(plain.averages)], plain.average(), least)


def noise_to_come(case: Case, model: Any, steps: int, parts: int) -> list[list[Any]]:
    """Returns the latents of the next steps, a tensor of PyTorch for each part of a batch."""
    import keras  # noqa: PLC0415
    import torch  # noqa: PLC0415

    drawn = backends.noise_to_come(model, case.batch_size // parts, steps * parts)
    tensors = [torch.from_numpy(np.array(keras.ops.convert_to_numpy(each))) for each in drawn]
    return [tensors[first : first + parts] for first in range(0, len(tensors), parts)]


def contenders(case: Case, backend: str) -> dict[str, backends.Run]:
    model = make_model(case)
    return backends.against_torch(
        model, make_plain(case, model), lambda count: dataset(case, count), backend
    )


def main() -> None:
    backends.run_numbered(argparse.ArgumentParser(description=__doc__), CASES, check, contenders)


if __name__ == "__main__":
    main()

"""Compares steps of progressive growing with PyTorch: `python benchmarks/progressive.py`.

The loop by hand computes the same as `kgan.ProgressiveGAN` in the middle of a fade, on the same
networks, `kgan.networks.progressive`: real images are halved and faded, one pass through the
generator serves both updates, WGAN-GP with drift, Adam. It is written for PyTorch, in its memory
layout of channels last, and has only the layers of its stage. See `loops/progressive.py`.

The script first compares the losses of both on the same images, from the same weights and latents.
Then both take turns, as in `backends.py`, which explains the numbers and `--one-core`.
"""

import argparse
from typing import Any

import numpy as np

import backends

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

    return backends.take_turns({"by hand": by_hand, "fit": fit}, "by hand", arguments)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--stages", nargs="+", type=int, default=[0, 1, 2, 3])
    parser.add_argument("--width", type=int, default=16)
    parser.add_argument("--batch-size", type=int, default=32)
    backends.add_arguments(parser)
    arguments = parser.parse_args()
    shape = arguments.batch_size, 28, 28, 1
    batch = np.random.default_rng(1).uniform(-1, 1, shape).astype("float32")
    backends.run(
        arguments,
        arguments.stages,
        lambda stage, _: measure(stage, batch, arguments),
        ("by hand",),
        (("fit", "by hand"),),
    )


if __name__ == "__main__":
    main()

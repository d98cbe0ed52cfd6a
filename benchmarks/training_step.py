"""Times a GAN's training step on the CPU: `python benchmarks/training_step.py`.

The networks and the batch of 64 are those of Keras's DCGAN example (latent 128; the discriminator
has convolutions of 64 and 128, stride 2, and a global maximum; the generator a dense layer of
7x7x128, two transposed convolutions of 128 and a 7x7 convolution with a sigmoid). They are trained
by:

- the example's own loop, with TensorFlow's default settings on this machine;
- the same without oneDNN, which is TensorFlow's default on x86 processors without VNNI;
- kgan: the compiled step alone, and `fit` from an ImageDataset;
- PyTorch, channels last, as in the example, and with one pass through the generator as in kgan;

and kgan's recipe dcgan with its own batch size, which shows the cost of `fit` for short steps.

Each contender has its own process, since TensorFlow reads its switches once. All warm up, then take
turns. The script prints medians of the rounds, and ratios of the medians. It first checks that each
first loss is that of an untrained GAN.
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

BATCH = 64
LATENT = 128
Step = Callable[[int], float]  # runs so many steps and returns the last discriminator loss


def real_images() -> np.ndarray:
    """Returns random bytes: the values of the pixels do not change the time."""
    return np.random.default_rng(0).integers(0, 256, (16 * BATCH, 28, 28, 1), dtype="uint8")


def keras_networks() -> tuple[Any, Any]:
    import keras  # noqa: PLC0415
    from keras import layers  # noqa: PLC0415

    def leaky() -> Any:
        return layers.LeakyReLU(negative_slope=0.2)

    generator = keras.Sequential(
        [
            keras.Input((LATENT,)),
            layers.Dense(7 * 7 * 128),
            leaky(),
            layers.Reshape((7, 7, 128)),
            layers.Conv2DTranspose(128, 4, strides=2, padding="same"),
            leaky(),
            layers.Conv2DTranspose(128, 4, strides=2, padding="same"),
            leaky(),
            layers.Conv2D(1, 7, padding="same", activation="sigmoid"),
        ]
    )
    discriminator = keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            layers.Conv2D(64, 3, strides=2, padding="same"),
            leaky(),
            layers.Conv2D(128, 3, strides=2, padding="same"),
            leaky(),
            layers.GlobalMaxPooling2D(),
            layers.Dense(1),
        ]
    )
    return generator, discriminator


def keras_example() -> Step:
    """Builds the example's step: two passes through the generator, smoothed labels."""
    import keras  # noqa: PLC0415
    import tensorflow as tf  # noqa: PLC0415

    generator, discriminator = keras_networks()
    optimizers = keras.optimizers.Adam(3e-4), keras.optimizers.Adam(3e-4)
    optimizers[0].build(generator.trainable_weights)
    optimizers[1].build(discriminator.trainable_weights)
    cross_entropy = keras.losses.BinaryCrossentropy(from_logits=True)
    seed = keras.random.SeedGenerator(0)

    @tf.function
    def step(real: Any) -> Any:
        latents = keras.random.normal((BATCH, LATENT), seed=seed)
        both = tf.concat([generator(latents), real], axis=0)
        labels = tf.concat([tf.ones((BATCH, 1)), tf.zeros((BATCH, 1))], axis=0)
        labels += 0.05 * keras.random.uniform((2 * BATCH, 1), seed=seed)
        with tf.GradientTape() as tape:
            loss = cross_entropy(labels, discriminator(both))
        weights = discriminator.trainable_weights
        optimizers[1].apply(tape.gradient(loss, weights), weights)
        latents = keras.random.normal((BATCH, LATENT), seed=seed)
        with tf.GradientTape() as tape:
            wrong = cross_entropy(tf.zeros((BATCH, 1)), discriminator(generator(latents)))
        weights = generator.trainable_weights
        optimizers[0].apply(tape.gradient(wrong, weights), weights)
        return loss

    batch = tf.constant(real_images()[:BATCH] / 255.0, "float32")
    # The cross-entropy over both halves is half the sum that kgan reports.
    return lambda count: 2 * float([step(batch) for _ in range(count)][-1])


def kgan_example(through_fit: bool) -> Step:
    import keras  # noqa: PLC0415

    import kgan  # noqa: PLC0415

    gan = kgan.GAN(*keras_networks())
    gan.compile(keras.optimizers.Adam(3e-4), keras.optimizers.Adam(3e-4))
    return steps_of(gan, BATCH, (0, 1), through_fit)


def kgan_recipe(through_fit: bool) -> Step:
    import kgan  # noqa: PLC0415

    recipe = kgan.recipes.get("dcgan")
    return steps_of(recipe.build(), recipe.batch_size, (-1, 1), through_fit)


def steps_of(gan: Any, batch_size: int, value_range: Any, through_fit: bool) -> Step:
    import kgan  # noqa: PLC0415

    def dataset(steps: int) -> Any:
        return kgan.data.ImageDataset(
            real_images(),
            batch_size=batch_size,
            value_range=value_range,
            seed=0,
            steps_per_epoch=steps,
        )

    if through_fit:
        return lambda count: float(
            gan.fit(dataset(count), verbose=0).history["discriminator_loss"][0]
        )
    import tensorflow as tf  # noqa: PLC0415

    step = tf.function(gan.train_step)
    batch = tf.constant(dataset(1)[0])
    return lambda count: float([step(batch) for _ in range(count)][-1]["discriminator_loss"])


def torch_example(shared: bool) -> Step:
    import torch  # noqa: PLC0415
    from torch import nn  # noqa: PLC0415

    last = torch.channels_last

    class ToMap(nn.Module):
        def forward(self, x: Any) -> Any:
            return x.view(-1, 7, 7, 128).permute(0, 3, 1, 2)

    generator = nn.Sequential(
        nn.Linear(LATENT, 7 * 7 * 128),
        nn.LeakyReLU(0.2),
        ToMap(),
        nn.ConvTranspose2d(128, 128, 4, 2, 1),
        nn.LeakyReLU(0.2),
        nn.ConvTranspose2d(128, 128, 4, 2, 1),
        nn.LeakyReLU(0.2),
        nn.Conv2d(128, 1, 7, padding=3),
        nn.Sigmoid(),
    ).to(memory_format=last)
    discriminator = nn.Sequential(
        nn.Conv2d(1, 64, 3, 2, 1),
        nn.LeakyReLU(0.2),
        nn.Conv2d(64, 128, 3, 2, 1),
        nn.LeakyReLU(0.2),
        nn.AdaptiveMaxPool2d(1),
        nn.Flatten(),
        nn.Linear(128, 1),
    ).to(memory_format=last)
    adams = [torch.optim.Adam(n.parameters(), 3e-4) for n in (generator, discriminator)]
    cross_entropy = nn.functional.binary_cross_entropy_with_logits
    pixels = torch.from_numpy(real_images()[:BATCH]).permute(0, 3, 1, 2) / 255
    real = pixels.contiguous(memory_format=last)
    ones, zeros = torch.ones(BATCH, 1), torch.zeros(BATCH, 1)

    def step() -> float:
        fake = generator(torch.randn(BATCH, LATENT)) if shared else None
        if fake is None:
            with torch.no_grad():
                seen = generator(torch.randn(BATCH, LATENT))
        else:
            seen = fake.detach()
        labels = torch.cat([ones, zeros])
        labels = labels + 0.05 * torch.rand_like(labels)
        adams[1].zero_grad()
        loss = cross_entropy(discriminator(torch.cat([seen, real])), labels)
        loss.backward()
        adams[1].step()
        if fake is None:
            fake = generator(torch.randn(BATCH, LATENT))
        adams[0].zero_grad()
        cross_entropy(discriminator(fake), zeros).backward()
        adams[0].step()
        return 2 * loss.item()

    return lambda count: [step() for _ in range(count)][-1]


CONTENDERS: dict[str, tuple[Callable[[], Step], dict[str, str | None]]] = {
    "Keras example, default": (keras_example, {"TF_ENABLE_ONEDNN_OPTS": None}),
    "Keras example, oneDNN off": (keras_example, {"TF_ENABLE_ONEDNN_OPTS": "0"}),
    "PyTorch": (lambda: torch_example(shared=False), {}),
    "PyTorch, shared pass": (lambda: torch_example(shared=True), {}),
    "kgan, compiled step": (lambda: kgan_example(through_fit=False), {}),
    "kgan, fit": (lambda: kgan_example(through_fit=True), {}),
    "kgan recipe, compiled step": (lambda: kgan_recipe(through_fit=False), {}),
    "kgan recipe, fit": (lambda: kgan_recipe(through_fit=True), {}),
}


def serve(name: str) -> None:
    """Runs a contender's process: warms up, then runs as many steps as each input line says."""
    step = CONTENDERS[name][0]()
    first = step(1)
    if not 0.8 < first < 2.5:  # 2 log 2 = 1.39 for an untrained discriminator
        raise SystemExit(f"{name}: the first loss is {first}")
    step(5)
    print(json.dumps({"ready": True}), flush=True)
    for line in sys.stdin:
        count = int(line)
        start = time.perf_counter()
        step(count)
        print(json.dumps({"ms": 1000 * (time.perf_counter() - start) / count}), flush=True)


def start(name: str) -> "subprocess.Popen[str]":
    environment = {**os.environ, "KERAS_BACKEND": "tensorflow", "TF_CPP_MIN_LOG_LEVEL": "3"}
    for variable, value in CONTENDERS[name][1].items():
        environment.pop(variable, None)
        if value is not None:
            environment[variable] = value
    process = subprocess.Popen(
        [sys.executable, __file__, "--serve", name],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=environment,
        text=True,
    )
    answer(process)
    return process


def answer(process: "subprocess.Popen[str]") -> Any:
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line:
        raise SystemExit(f"{process.args!r} ended; run it alone to see why")
    return json.loads(line)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument(
        "--steps", type=int, default=30, help="of a round; ten times as many for short steps"
    )
    parser.add_argument("--serve", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve:
        serve(arguments.serve)
        return
    processes = {name: start(name) for name in CONTENDERS}
    times: dict[str, list[float]] = {name: [] for name in processes}
    order = list(processes)
    for _ in range(arguments.rounds):
        for name in order:
            stdin = processes[name].stdin
            assert stdin is not None
            # Short steps need more of them, since the start of `fit` takes time.
            stdin.write(f"{arguments.steps * (10 if 'recipe' in name else 1)}\n")
            stdin.flush()
            times[name].append(answer(processes[name])["ms"])
        order = [*order[1:], order[0]]
    for process in processes.values():
        process.kill()

    medians = {name: statistics.median(each) for name, each in times.items()}
    for name, milliseconds in medians.items():
        reference = medians["kgan recipe, fit" if "recipe" in name else "kgan, fit"]
        print(
            f"{name:28} {milliseconds:7.1f} ms a step   {milliseconds / reference:5.2f}x kgan's fit"
        )


if __name__ == "__main__":
    main()

"""Compares ways to feed one epoch of MNIST: `python benchmarks/data_path.py --data-dir DIR`.

One shuffled epoch of MNIST (with `--dataset stacked_mnist` of Stacked-MNIST, three digits as the
channels of one image, from kgan and NumPy alone) in normalised float32 batches of 128, from:

- kgan: `kgan.data.ImageDataset`, in a plain loop, a new permutation each epoch;
- memcpy: finished, already shuffled floats copied into one batch that is reused;
- NumPy: fancy indexing (of Stacked-MNIST by channels, into one array of bytes), cast, multiply,
  subtract, with permutations made beforehand;
- tf.data: from_tensor_slices of uint8, shuffle over all, batch, map (cast, normalise), prefetch;
- a PyTorch DataLoader over a Dataset that converts one sample at a time, in this process.

All in one run, in interleaved rounds whose order turns; medians, and ratios of the medians. Before
anything is timed each is checked to give every image, and the same values for it.
"""

import argparse
import pathlib
import statistics
import time
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

import kgan

BATCH_SIZE = 128
# Seconds between two epochs: the threads of the one before (tf.data's, PyTorch's) come to rest.
REST = 0.3


def kgan_epoch(images: Any) -> Callable[[], Iterable[Any]]:
    dataset = kgan.data.ImageDataset(images, batch_size=BATCH_SIZE, seed=0)
    return lambda: dataset


def memcpy_epoch(images: Any) -> Callable[[], Iterable[Any]]:
    order = np.random.default_rng(0).permutation(len(images))
    finished = (images[order] / 255 * 2 - 1).astype(np.float32)[..., None]
    batch = np.empty((BATCH_SIZE, *finished.shape[1:]), np.float32)

    def epoch() -> Iterable[Any]:
        for first in range(0, len(images) - BATCH_SIZE + 1, BATCH_SIZE):
            np.copyto(batch, finished[first : first + BATCH_SIZE])
            yield batch

    return epoch


def numpy_epoch(images: Any) -> Callable[[], Iterable[Any]]:
    order = np.random.default_rng(0).permutation(len(images))
    scale, one = np.float32(2 / 255), np.float32(1)

    def epoch() -> Iterable[Any]:
        for first in range(0, len(images) - BATCH_SIZE + 1, BATCH_SIZE):
            batch = images[order[first : first + BATCH_SIZE], ..., None].astype(np.float32)
            batch *= scale
            batch -= one
            yield batch

    return epoch


def kgan_stacked_epoch(images: Any) -> Callable[[], Iterable[Any]]:
    dataset = kgan.data.StackedImageDataset(images, batch_size=BATCH_SIZE, seed=0)
    return lambda: dataset


def numpy_stacked_epoch(images: Any) -> Callable[[], Iterable[Any]]:
    generator = np.random.default_rng(0)
    orders = [generator.permutation(len(images)) for _ in range(3)]
    pixels = np.empty((BATCH_SIZE, *images.shape[1:], 3), np.uint8)
    scale, one = np.float32(2 / 255), np.float32(1)

    def epoch() -> Iterable[Any]:
        for first in range(0, len(images) - BATCH_SIZE + 1, BATCH_SIZE):
            for channel, order in enumerate(orders):
                pixels[..., channel] = images[order[first : first + BATCH_SIZE]]
            batch = pixels.astype(np.float32)
            batch *= scale
            batch -= one
            yield batch

    return epoch


def tf_data_epoch(images: Any) -> Callable[[], Iterable[Any]]:
    import tensorflow as tf  # noqa: PLC0415

    dataset = (
        tf.data.Dataset.from_tensor_slices(images[..., None])
        .shuffle(len(images), reshuffle_each_iteration=True)
        .batch(BATCH_SIZE, drop_remainder=True)
        .map(
            lambda batch: tf.cast(batch, tf.float32) * (2 / 255) - 1,
            num_parallel_calls=tf.data.AUTOTUNE,
        )
        .prefetch(tf.data.AUTOTUNE)
    )
    return lambda: dataset


def torch_epoch(images: Any) -> Callable[[], Iterable[Any]]:
    import torch  # noqa: PLC0415

    class PerSample(torch.utils.data.Dataset):  # type: ignore[type-arg, unused-ignore]
        def __len__(self) -> int:
            return len(images)

        def __getitem__(self, index: int) -> Any:
            return (
                torch.from_numpy(images[index]).unsqueeze(-1).float().div_(255).sub_(0.5).div_(0.5)
            )

    loader = torch.utils.data.DataLoader(
        PerSample(), batch_size=BATCH_SIZE, shuffle=True, drop_last=True, num_workers=0
    )
    return lambda: loader


WORK: dict[str, dict[str, Callable[[Any], Callable[[], Iterable[Any]]]]] = {
    "mnist": {
        "kgan": kgan_epoch,
        "memcpy": memcpy_epoch,
        "NumPy": numpy_epoch,
        "tf.data": tf_data_epoch,
        "PyTorch DataLoader": torch_epoch,
    },
    "stacked_mnist": {"kgan": kgan_stacked_epoch, "NumPy": numpy_stacked_epoch},
}
CHANNELS = {"mnist": 1, "stacked_mnist": 3}


def check(name: str, batches: Iterable[Any], images: Any, channels: int) -> None:
    """Every batch whole, no image twice in a channel, and values as they should be."""
    levels = (np.arange(256) / 255 * 2 - 1).astype(np.float32)
    known: dict[bytes, int] = {}
    for image in images:
        known[image.tobytes()] = known.get(image.tobytes(), 0) + 1
    left = [dict(known) for _ in range(channels)]
    count = 0
    for batch in batches:
        values = np.array(batch)
        if values.shape != (BATCH_SIZE, 28, 28, channels) or values.dtype != np.float32:
            raise SystemExit(f"{name} gave {values.dtype} {values.shape}")
        pixels = np.rint((values + 1) * 127.5).astype(np.uint8)
        np.testing.assert_allclose(values, levels[pixels], rtol=0, atol=2e-7)
        for channel, of_channel in enumerate(left):
            for image in pixels[..., channel]:
                of_channel[image.tobytes()] -= 1
        count += 1
    if count != len(images) // BATCH_SIZE:
        raise SystemExit(f"{name} gave {count} batches")
    if min(min(of_channel.values()) for of_channel in left) < 0:
        raise SystemExit(f"{name} gave an image twice")


def timed(epoch: Callable[[], Iterable[Any]]) -> float:
    """Milliseconds that an epoch takes."""
    start = time.perf_counter()
    for _batch in epoch():
        pass
    return 1000 * (time.perf_counter() - start)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data-dir", type=pathlib.Path, required=True)
    parser.add_argument("--dataset", choices=WORK, default="mnist")
    parser.add_argument("--rounds", type=int, default=9)
    arguments = parser.parse_args()
    images = kgan.data.read_idx_images(arguments.data_dir / "train-images-idx3-ubyte.gz")

    epochs = {name: make(images) for name, make in WORK[arguments.dataset].items()}
    for name, epoch in epochs.items():
        check(name, epoch(), images, CHANNELS[arguments.dataset])
    times: dict[str, list[float]] = {name: [] for name in epochs}
    order = list(epochs)
    for _ in range(arguments.rounds):
        for name in order:
            time.sleep(REST)
            times[name].append(timed(epochs[name]))
        order = [*order[1:], order[0]]
    medians = {name: statistics.median(each) for name, each in times.items()}
    for name, milliseconds in medians.items():
        ratio = milliseconds / medians["kgan"]
        print(f"{name:20} {milliseconds:8.1f} ms   kgan is {ratio:6.2f}x as fast")


if __name__ == "__main__":
    main()

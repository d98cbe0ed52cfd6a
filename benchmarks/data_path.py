"""Compares ways to feed one epoch of MNIST: `python benchmarks/data_path.py --data-dir DIR`.

Each makes one shuffled epoch of MNIST in normalised float32 batches of 128:

- kgan: `kgan.data.ImageDataset`, in a plain loop, a new permutation each epoch;
- kgan, threshold and kgan, dynamic: the same, binarised in these two ways;
- kgan, flips, kgan, crops and kgan, flips and crops: the same, with half of the images mirrored,
  with windows of 28 x 28 of the images padded to 36 x 36, and with both;
- kgan, uint8 and kgan, 16 levels: the same as integers, all 256 of them or quantised to 16. Their
  batches have a quarter of the bytes;
- kgan, pairs: `kgan.data.PairedDataset` with the same images as inputs and as targets. These are
  twice the bytes, so that half the speed of "kgan" is the same speed per byte;
- kgan, domains: `kgan.data.UnpairedDataset` with the same images in both domains, the same bytes;
- memcpy: finished, already shuffled floats copied into one batch that is reused;
- NumPy: fancy indexing, cast, multiply, subtract, with permutations made beforehand;
- NumPy, dynamic: the same, then a uniform random number for each pixel;
- tf.data: from_tensor_slices of uint8, shuffle over all, batch, map (cast, normalise), prefetch;
- a PyTorch DataLoader over a Dataset that converts one sample at a time, in this process.

With `--dataset random_colour` the images are 50,000 random ones of 32 x 32 x 3, as many as CIFAR-10
has, padded to 40 x 40 for crops. With `--dataset stacked_mnist` it is an epoch of Stacked-MNIST,
three digits as the channels of one image, from kgan and NumPy (by channels, into one array of
bytes).

All run in one process, in interleaved rounds whose order turns. It prints medians and their ratios.
Before anything is timed, each is checked: every image comes once and has the right values. Of a
binarised epoch, the number of pixels that are on is checked.
"""

import argparse
import pathlib
import statistics
import time
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

import kgan
from kgan.data import Binarization

BATCH_SIZE = 128
# Seconds between two epochs: the threads of the one before (tf.data's, PyTorch's) come to rest.
REST = 0.3


def kgan_epoch(images: Any) -> Callable[[], Iterable[Any]]:
    dataset = kgan.data.ImageDataset(images, batch_size=BATCH_SIZE, seed=0)
    return lambda: dataset


def kgan_binarized_epoch(way: Binarization) -> Callable[[Any], Callable[[], Iterable[Any]]]:
    def make(images: Any) -> Callable[[], Iterable[Any]]:
        dataset = kgan.data.ImageDataset(images, batch_size=BATCH_SIZE, seed=0, binarize=way)
        return lambda: dataset

    return make


def kgan_augmented_epoch(flip: bool, crop: bool) -> Callable[[Any], Callable[[], Iterable[Any]]]:
    def make(images: Any) -> Callable[[], Iterable[Any]]:
        height, width = images.shape[1:3]
        dataset = kgan.data.ImageDataset(
            images,
            batch_size=BATCH_SIZE,
            seed=0,
            horizontal_flip=flip,
            pad_to=(height + 8, width + 8) if crop else None,
            crop=(height, width) if crop else None,
        )
        return lambda: dataset

    return make


def kgan_integer_epoch(levels: int) -> Callable[[Any], Callable[[], Iterable[Any]]]:
    def make(images: Any) -> Callable[[], Iterable[Any]]:
        dataset = kgan.data.ImageDataset(
            images, batch_size=BATCH_SIZE, seed=0, dtype="uint8", levels=levels
        )
        return lambda: dataset

    return make


def kgan_paired_epoch(images: Any) -> Callable[[], Iterable[Any]]:
    dataset = kgan.data.PairedDataset(images, images, batch_size=BATCH_SIZE, seed=0)
    return lambda: dataset


def kgan_unpaired_epoch(images: Any) -> Callable[[], Iterable[Any]]:
    dataset = kgan.data.UnpairedDataset(images, images, batch_size=BATCH_SIZE, seed=0)
    return lambda: dataset


def numpy_dynamic_epoch(images: Any) -> Callable[[], Iterable[Any]]:
    generator = np.random.default_rng(0)
    order = generator.permutation(len(images))
    shares = (np.arange(256) / 255).astype(np.float32)
    low, high = np.float32(-1), np.float32(1)

    def epoch() -> Iterable[Any]:
        for first in range(0, len(images) - BATCH_SIZE + 1, BATCH_SIZE):
            share = shares[images[order[first : first + BATCH_SIZE], ..., None]]
            yield np.where(generator.random(share.shape, np.float32) < share, high, low)

    return epoch


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


AUGMENTED = {
    "kgan, flips": kgan_augmented_epoch(flip=True, crop=False),
    "kgan, crops": kgan_augmented_epoch(flip=False, crop=True),
    "kgan, flips and crops": kgan_augmented_epoch(flip=True, crop=True),
}
LEVELS = {"kgan, uint8": 256, "kgan, 16 levels": 16}
INTEGERS = {name: kgan_integer_epoch(levels) for name, levels in LEVELS.items()}
PAIRS = "kgan, pairs"
OF_TWO = {PAIRS: kgan_paired_epoch, "kgan, domains": kgan_unpaired_epoch}
WORK: dict[str, dict[str, Callable[[Any], Callable[[], Iterable[Any]]]]] = {
    "mnist": {
        "kgan": kgan_epoch,
        "kgan, threshold": kgan_binarized_epoch("threshold"),
        "kgan, dynamic": kgan_binarized_epoch("dynamic"),
        **INTEGERS,
        **AUGMENTED,
        **OF_TWO,
        "memcpy": memcpy_epoch,
        "NumPy": numpy_epoch,
        "NumPy, dynamic": numpy_dynamic_epoch,
        "tf.data": tf_data_epoch,
        "PyTorch DataLoader": torch_epoch,
    },
    "random_colour": {"kgan": kgan_epoch, **INTEGERS, **AUGMENTED, **OF_TWO},
    "stacked_mnist": {"kgan": kgan_stacked_epoch, "NumPy": numpy_stacked_epoch},
}
CHANNELS = {"mnist": 1, "random_colour": 0, "stacked_mnist": 3}  # 0: those of the images


def check_augmented(name: str, batches: Iterable[Any], images: Any) -> None:
    """Checks the shape and the count of batches, and that each image is one of those, moved."""
    known = {np.sort(image, axis=None).tobytes() for image in images}
    count = whole = 0
    for batch in batches:
        if batch.shape[1:3] != images.shape[1:3] or batch.dtype != np.float32:
            raise SystemExit(f"{name} gave {batch.dtype} {batch.shape}")
        pixels = np.sort(np.rint((batch + 1) * 127.5).astype(np.uint8).reshape(len(batch), -1))
        whole += sum(each.tobytes() in known for each in pixels)
        count += len(batch)
    # Crops of MNIST mostly cut off nothing but the background.
    expected = {"kgan, flips": 1.0}.get(name, 0.0)
    if count != len(images) // BATCH_SIZE * BATCH_SIZE or whole < expected * count:
        raise SystemExit(f"{name} gave {count} images, {whole} of them whole")


def check(name: str, batches: Iterable[Any], images: Any, channels: int) -> None:
    """Checks that batches are whole, values right, and no image comes twice in a channel."""
    shape = images.shape[1:] if channels == 0 else (*images.shape[1:], channels)
    if channels == 0:  # each image once, with all of its channels
        batches = (np.asarray(batch)[..., np.newaxis] for batch in batches)
        channels, shape = 1, (*shape, 1)
    levels = (np.arange(256) / 255 * 2 - 1).astype(np.float32)
    known: dict[bytes, int] = {}
    for image in images:
        known[image.tobytes()] = known.get(image.tobytes(), 0) + 1
    left = [dict(known) for _ in range(channels)]
    count = 0
    for batch in batches:
        values = np.array(batch)
        if values.shape != (BATCH_SIZE, *shape) or values.dtype != np.float32:
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


def check_integers(name: str, batches: Iterable[Any], images: Any, channels: int) -> None:
    """Checks batches of levels as `check` does, as the floats and the pixels that they mean."""
    levels = LEVELS[name]
    step = 255 // (levels - 1)

    def floats() -> Iterable[Any]:
        for batch in batches:
            if batch.dtype != np.uint8 or batch.max() >= levels:
                raise SystemExit(f"{name} gave {batch.dtype} up to {batch.max()}")
            yield (batch * np.uint8(step) / np.float32(255) * 2 - 1).astype(np.float32)

    check(name, floats(), images // np.uint8(256 // levels) * np.uint8(step), channels)


def check_binarized(name: str, batches: Iterable[Any], share: float) -> None:
    """Checks that the values are the two ends, with about the given share of the high end."""
    on = count = 0
    for batch in batches:
        values = np.array(batch)
        if values.dtype != np.float32 or not np.isin(values, [-1, 1]).all():
            raise SystemExit(f"{name} gave {values.dtype} that are not -1 and 1")
        on += int((values == 1).sum())
        count += values.size
    # The images of the last, short batch are missing.
    if abs(on / count - share) > 1e-3:
        raise SystemExit(f"{name} gave {on / count:.4f} of the pixels on, not {share:.4f}")


def timed(epoch: Callable[[], Iterable[Any]]) -> float:
    """Milliseconds that an epoch takes."""
    start = time.perf_counter()
    for _batch in epoch():
        pass
    return 1000 * (time.perf_counter() - start)


def check_both(name: str, batches: Iterable[Any], images: Any, channels: int) -> None:
    inputs, targets = zip(*batches, strict=True)
    if name == PAIRS:
        np.testing.assert_array_equal(inputs, targets)
    for each in (inputs, targets):
        check(name, each, images, channels)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data-dir", type=pathlib.Path)
    parser.add_argument("--dataset", choices=WORK, default="mnist")
    parser.add_argument("--rounds", type=int, default=9)
    arguments = parser.parse_args()
    if arguments.dataset == "random_colour":
        images = np.random.default_rng(0).integers(0, 256, (50_000, 32, 32, 3), np.uint8)
    elif arguments.data_dir is None:
        parser.error("the data set needs --data-dir")
    else:
        images = kgan.data.read_idx_images(arguments.data_dir / "train-images-idx3-ubyte.gz")

    epochs = {name: make(images) for name, make in WORK[arguments.dataset].items()}
    grey = float(images.mean() / 255)
    shares = {
        "kgan, threshold": float((images > 127).mean()),
        "kgan, dynamic": grey,
        "NumPy, dynamic": grey,
    }
    for name, epoch in epochs.items():
        if name in OF_TWO:
            check_both(name, epoch(), images, CHANNELS[arguments.dataset])
        elif name in INTEGERS:
            check_integers(name, epoch(), images, CHANNELS[arguments.dataset])
        elif name in AUGMENTED:
            check_augmented(name, epoch(), images)
        elif name in shares:
            check_binarized(name, epoch(), shares[name])
        else:
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
        print(f"{name:22} {milliseconds:8.1f} ms   kgan is {ratio:6.2f}x as fast")


if __name__ == "__main__":
    main()

"""Compares ways to read a folder of pictures: `python benchmarks/image_folder.py DIR`.

DIR has a folder of pictures for each class, such as CIFAR-10 as 32x32 JPEG files. Each way makes
shuffled batches of 128 with labels, twice: the first pass lists and decodes everything, a later
epoch is what training repeats.

- kgan: `kgan.data.load_image_folder` into a new cache, then an epoch of its batches;
- Keras: `keras.utils.image_dataset_from_directory`, on TensorFlow;
- PyTorch: a Dataset as torchvision's ImageFolder (PIL open, convert, NumPy) in a `DataLoader` with
  two processes that stay.

Each runs in a fresh process, whose imports are not timed, in interleaved rounds whose order
turns. All files are read once before, so that they are in the page cache. The results are medians
and their ratios, and the processor seconds of both passes, which other programs disturb less. With
`--large N`, N pictures of 500x400 pixels are made and read at 64x64 instead, cut to the middle.
With `--decoders`, the decoders alone are compared, in one thread.
"""

import argparse
import io
import json
import os
import pathlib
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from PIL import Image, ImageFilter

BATCH_SIZE = 128
PROCESSES = 2


def files_of(directory: pathlib.Path) -> list[tuple[str, int]]:
    """The path and the class of each picture."""
    found = []
    for label, name in enumerate(sorted(path.name for path in directory.iterdir())):
        with os.scandir(directory / name) as entries:
            found += [(entry.path, label) for entry in entries]
    return sorted(found)


def kgan_passes(directory: pathlib.Path, size: int) -> Callable[[], Iterable[Any]]:
    import kgan  # noqa: PLC0415

    with tempfile.TemporaryDirectory() as cache:
        return kgan.data.load_image_folder(
            directory, size, batch_size=BATCH_SIZE, seed=0, cache_dir=cache, verbose=False
        ).__iter__


def keras_passes(directory: pathlib.Path, size: int) -> Callable[[], Iterable[Any]]:
    import keras  # noqa: PLC0415

    dataset = keras.utils.image_dataset_from_directory(
        directory,
        image_size=(size, size),
        batch_size=BATCH_SIZE,
        seed=0,
        crop_to_aspect_ratio=size != 32,
        verbose=False,
    )
    return lambda: dataset


def torch_passes(directory: pathlib.Path, size: int) -> Callable[[], Iterable[Any]]:
    import torch  # noqa: PLC0415

    class Folder(torch.utils.data.Dataset):  # type: ignore[type-arg, unused-ignore]
        def __init__(self) -> None:
            self.files = files_of(directory)

        def __len__(self) -> int:
            return len(self.files)

        def __getitem__(self, index: int) -> Any:
            path, label = self.files[index]
            with open(path, "rb") as file:  # noqa: PTH123 (as torchvision's loader)
                picture = Image.open(file).convert("RGB")
            if picture.size != (size, size):
                scale = size / min(picture.size)
                width, height = (round(side * scale) for side in picture.size)
                left, top = (width - size) // 2, (height - size) // 2
                picture = picture.resize((width, height), Image.Resampling.BILINEAR)
                picture = picture.crop((left, top, left + size, top + size))
            pixels = torch.from_numpy(np.array(picture))
            return pixels.permute(2, 0, 1).float().div_(255).sub_(0.5).div_(0.5), label

    loader = torch.utils.data.DataLoader(
        Folder(),
        batch_size=BATCH_SIZE,
        shuffle=True,
        num_workers=PROCESSES,
        persistent_workers=True,
    )
    return lambda: loader


WAYS = {"kgan": kgan_passes, "Keras": keras_passes, "PyTorch": torch_passes}


def processor_seconds() -> float:
    """Those that this process and its children have used."""
    kinds = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    return sum(sum(resource.getrusage(kind)[:2]) for kind in kinds)


def measure(way: str, directory: pathlib.Path, size: int) -> list[float]:
    """Seconds of the first pass, of the second, and of the processors for both."""
    if way == "PyTorch":
        import torch  # noqa: PLC0415

        torch.zeros(1)
    else:
        import kgan  # noqa: PLC0415
        import keras  # noqa: PLC0415

        keras.ops.zeros(1)  # the backend starts
        _ = kgan.data.load_image_folder
    used = processor_seconds()
    start = time.perf_counter()
    passes = WAYS[way](directory, size)
    seconds = []
    for _ in range(2):
        for _batch in passes():
            pass
        now = time.perf_counter()
        seconds.append(now - start)
        start = now
    del passes, _batch  # ends the processes that PyTorch keeps, so that they are counted
    return [*seconds, processor_seconds() - used]


def measure_in_process(way: str, directory: pathlib.Path, size: int) -> list[float]:
    command = [sys.executable, __file__, str(directory), "--size", str(size), "--only", way]
    environment = {**os.environ, "KERAS_BACKEND": "tensorflow", "TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE)
    seconds: list[float] = json.loads(done.stdout.splitlines()[-1])
    return seconds


def compare(directory: pathlib.Path, size: int, rounds: int) -> None:
    count = len([pathlib.Path(path).read_bytes() for path, _ in files_of(directory)])
    times: dict[str, list[list[float]]] = {way: [] for way in WAYS}
    order = list(WAYS)
    for _ in range(rounds):
        for way in order:
            times[way].append(measure_in_process(way, directory, size))
        order = [*order[1:], order[0]]
    print(f"{count:,} pictures, medians of {rounds} rounds")
    medians = {
        way: [statistics.median(part) for part in zip(*each, strict=True)]
        for way, each in times.items()
    }
    print(
        f"{'':8}" + "".join(f"{name:>24}" for name in ("first pass", "later epoch", "processors"))
    )
    for way, seconds in medians.items():
        cells = [
            f"{mine:10.3f} s {mine / kgans:10.1f}x"
            for mine, kgans in zip(seconds, medians["kgan"], strict=True)
        ]
        print(f"{way:8}" + "".join(cells))


def make_large(directory: pathlib.Path, count: int) -> None:
    """Writes smooth noise with some grain, as photographs have, in one class."""
    generator = np.random.default_rng(0)
    (directory / "noise").mkdir()
    for number in range(count):
        coarse = Image.fromarray(generator.integers(0, 256, (20, 25, 3), dtype="uint8"))
        smooth = np.asarray(coarse.resize((500, 400), Image.Resampling.BICUBIC)).astype(int)
        grain = np.clip(smooth + generator.integers(-12, 13, smooth.shape), 0, 255)
        picture = Image.fromarray(grain.astype("uint8")).filter(ImageFilter.GaussianBlur(0.8))
        picture.save(directory / "noise" / f"{number:05}.jpg", quality=90)


def decoders() -> dict[str, Callable[[bytes], Any]]:
    """The decoders that are installed."""
    import simplejpeg  # noqa: PLC0415
    import tensorflow as tf  # noqa: PLC0415

    found: dict[str, Callable[[bytes], Any]] = {
        "simplejpeg": simplejpeg.decode_jpeg,
        "Pillow": lambda data: np.asarray(Image.open(io.BytesIO(data)).convert("RGB")),
        "TensorFlow": lambda data: tf.io.decode_jpeg(data).numpy(),
    }
    try:
        import cv2  # type: ignore[import-not-found, unused-ignore] # noqa: PLC0415
    except ImportError:
        return found
    found["OpenCV"] = lambda data: cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR_RGB)
    return found


def compare_decoders(directory: pathlib.Path, rounds: int) -> None:
    contents = [pathlib.Path(path).read_bytes() for path, _ in files_of(directory)[::25]][:2000]
    times: dict[str, list[float]] = {}
    for _ in range(rounds):
        for name, decode in decoders().items():
            start = time.perf_counter()
            for data in contents:
                decode(data)
            times.setdefault(name, []).append((time.perf_counter() - start) / len(contents))
    for name, seconds in times.items():
        ratio = statistics.median(seconds) / statistics.median(times["simplejpeg"])
        print(f"{name:12} {1e6 * statistics.median(seconds):8.1f} us   {ratio:5.1f}x simplejpeg's")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("directory", type=pathlib.Path, nargs="?")
    parser.add_argument("--large", type=int, help="make so many pictures of 500x400 pixels")
    parser.add_argument("--size", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--decoders", action="store_true")
    parser.add_argument("--only", choices=WAYS, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.only:
        print(json.dumps(measure(arguments.only, arguments.directory, arguments.size)))
        return
    with tempfile.TemporaryDirectory() as made:
        directory = arguments.directory
        size = arguments.size
        if arguments.large:
            directory, size = pathlib.Path(made), 64
            make_large(directory, arguments.large)
        elif directory is None:
            parser.error("give DIR or --large N")
        if arguments.decoders:
            compare_decoders(directory, arguments.rounds)
        else:
            compare(directory, size, arguments.rounds)


if __name__ == "__main__":
    main()

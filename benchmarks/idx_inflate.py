"""Times reading gzipped IDX: `python benchmarks/idx_inflate.py --data-dir DIR`.

From train-images-idx3-ubyte.gz to a checked uint8 array: kgan against Python's gzip with NumPy, and
the libraries that inflate, each alone. Interleaved rounds; medians, and ratios of the medians. The
arrays are compared before anything is timed.
"""

import argparse
import functools
import gzip
import importlib
import pathlib
import statistics
import time
import zlib
from collections.abc import Callable
from typing import Any

import deflate
import numpy as np

import kgan


def with_gzip_and_numpy(path: pathlib.Path) -> Any:
    """Reads an IDX file of uint8 images as most loaders do."""
    with gzip.open(path) as file:
        content = file.read()
    rank = content[3]
    shape = [int(size) for size in np.frombuffer(content, ">u4", rank, offset=4)]
    return np.frombuffer(content, np.uint8, offset=4 + 4 * rank).reshape(shape).copy()


def inflaters(data: bytes, size: int) -> dict[str, Callable[[], Any]]:
    """What of the libraries is installed."""
    found: dict[str, Callable[[], Any]] = {
        "zlib": lambda: zlib.decompress(data, 31, size),
        "deflate (libdeflate)": lambda: deflate.gzip_decompress(data, size),
    }
    for label, module_name in (("isal", "isal.isal_zlib"), ("zlib-ng", "zlib_ng.zlib_ng")):
        try:
            module = importlib.import_module(module_name)
        except ImportError:
            continue
        found[label] = functools.partial(module.decompress, data, 31, size)
    return found


def measure(work: dict[str, Callable[[], Any]], rounds: int) -> dict[str, float]:
    """Median milliseconds of each."""
    times: dict[str, list[float]] = {name: [] for name in work}
    for _ in range(rounds):
        for name, function in work.items():
            start = time.perf_counter()
            function()
            times[name].append(1000 * (time.perf_counter() - start))
    return {name: statistics.median(each) for name, each in times.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data-dir", type=pathlib.Path, required=True)
    parser.add_argument("--rounds", type=int, default=9)
    arguments = parser.parse_args()
    path = arguments.data_dir / "train-images-idx3-ubyte.gz"
    data = path.read_bytes()
    content = gzip.decompress(data)

    work: dict[str, Callable[[], Any]] = {
        "gzip + NumPy": lambda: with_gzip_and_numpy(path),
        "kgan.data.read_idx": lambda: kgan.data.read_idx(path),
    }
    np.testing.assert_array_equal(work["kgan.data.read_idx"](), work["gzip + NumPy"]())
    for name, function in inflaters(data, len(content)).items():
        if bytes(function()) != content:
            raise SystemExit(f"{name} gave other bytes")
        work[f"inflating alone: {name}"] = function

    medians = measure(work, arguments.rounds)
    for name, milliseconds in medians.items():
        ratio = medians["gzip + NumPy"] / milliseconds
        print(f"{name:40} {milliseconds:7.1f} ms   {ratio:5.2f}x gzip + NumPy's speed")


if __name__ == "__main__":
    main()

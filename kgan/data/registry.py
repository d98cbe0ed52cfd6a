"""Data sets by name, for the command line and for recipes.

To add one, write its loader `load_x(split, **dataset_options)`, with `data_dir` if it reads files.
Then add a line to `DATASETS`.
"""

import inspect
import os
from collections.abc import Callable
from typing import Any

from kgan._registry import did_you_mean
from kgan.data.cifar10 import load_cifar10
from kgan.data.digits import load_digits
from kgan.data.folder_splits import FOLDER, load_folder
from kgan.data.image_dataset import ImageDataset
from kgan.data.mnist import load_fashion_mnist, load_kmnist, load_mnist, load_stacked_mnist
from kgan.data.text import load_text
from kgan.data.tfds import from_tfds

DATASETS: dict[str, Callable[..., ImageDataset]] = {
    "mnist": load_mnist,
    "fashion_mnist": load_fashion_mnist,
    "kmnist": load_kmnist,
    "stacked_mnist": load_stacked_mnist,
    "cifar10": load_cifar10,
    "digits": load_digits,
    "python_docstrings": load_text,
    FOLDER: load_folder,
}

TFDS_PREFIX = "tfds:"


def load_dataset(
    name: str,
    split: str = "train",
    data_dir: str | os.PathLike[str] | None = None,
    **options: Any,
) -> ImageDataset:
    """Loads a data set by its name.

    Args:
        name: String, a key of `kgan.data.DATASETS`, or `"tfds:NAME"` for the data set NAME of
            tensorflow-datasets. With `"folder"`, `data_dir` is a folder of pictures.
        split: String, a split that its loader knows. Defaults to `"train"`.
        data_dir: Path of the directory with its files, for data sets that read files. Defaults to
            None: the loader's own places.
        **options: Arguments of the loader, such as `batch_size` and `binarize`.

    Returns:
        A `kgan.data.ImageDataset`.

    Raises:
        ValueError: The name is unknown, `data_dir` is given for a data set that reads no files, or
            the data set has no such option.

    Example:
    ```python
    train = kgan.data.load_dataset("mnist", "train", batch_size=64)
    ```

    A part of a data set of tensorflow-datasets:

    ```python
    numbers = kgan.data.load_dataset("tfds:svhn_cropped", "train[:50%]")  # downloads 1.5 GB
    ```
    """
    if name.startswith(TFDS_PREFIX):
        return from_tfds(name.removeprefix(TFDS_PREFIX), split, data_dir=data_dir, **options)
    if name not in DATASETS:
        choices = ", ".join(repr(known) for known in DATASETS)
        raise ValueError(
            f"Expected the name of a data set: {choices} or 'tfds:NAME' for NAME of "
            f"tensorflow-datasets. Received: {name!r}.{did_you_mean(name, DATASETS)}"
        )
    loader = DATASETS[name]
    parameters = inspect.signature(loader).parameters
    if "image_size" in options and "image_size" not in parameters:
        raise ValueError(
            f"Expected no image_size, since the images of {name!r} have one size. Received: "
            f"image_size={options['image_size']!r}. Leave image_size (--image-size) out."
        )
    if data_dir is None:
        return loader(split, **options)
    if "data_dir" not in parameters:
        raise ValueError(
            f"Expected no data_dir, since the data set {name!r} reads no files. "
            f"Received: data_dir={os.fspath(data_dir)!r}. Leave data_dir (--data-dir) out."
        )
    return loader(split, data_dir=data_dir, **options)

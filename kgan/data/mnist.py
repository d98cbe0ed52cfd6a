"""Loaders of MNIST, Fashion-MNIST, KMNIST and Stacked-MNIST, from local files or a download."""

import os
from typing import Any, TypeVar

from kgan.data._locate import locate
from kgan.data._published import FASHION_MNIST, KMNIST, MNIST, Source
from kgan.data.idx import read_idx_images, read_idx_labels
from kgan.data.image_dataset import ImageDataset
from kgan.data.stacked import StackedImageDataset

_Dataset = TypeVar("_Dataset", bound=ImageDataset)


def load_mnist(
    split: str = "train",
    data_dir: str | os.PathLike[str] | None = None,
    *,
    download: bool = True,
    **dataset_options: Any,
) -> ImageDataset:
    """Loads MNIST: handwritten digits, 60,000 for training and 10,000 for testing.

    The loader searches these places for the files:

    1. `data_dir`. If it is given, no other place is searched.
    2. The directory in the environment variable `KGAN_DATA_DIR`.
    3. kgan's cache, `datasets/kgan/mnist` under `$KERAS_HOME` or, by default, `~/.keras`.

    Missing files are downloaded into the cache and checked against pinned SHA-256 digests. An
    interrupted download leaves no file of that name.

    A directory may hold the files itself, or in a folder `mnist/` or `MNIST/raw/` (torchvision's
    layout). Files may be gzipped (`train-images-idx3-ubyte.gz`), plain (`train-images-idx3-ubyte`),
    or have a dot in their names (`train-images.idx3-ubyte`). Each may be in a folder of the same
    name, as in some archives.

    Fashion-MNIST and KMNIST use the same file names. A file that is known to belong to one of them
    raises an error. All sets share `KGAN_DATA_DIR`: there, files of 60,000 or 10,000 images whose
    bytes are unknown count only in the folder of a set. Files with another number of images are
    taken as your own version of the set.

    Args:
        split: String, `"train"` (60,000 images) or `"test"` (10,000). Defaults to `"train"`.
        data_dir: Path of the directory that holds the files. Defaults to None: the places above.
        download: Boolean, whether to download missing files. Defaults to `True`.
        **dataset_options: Arguments of `kgan.data.ImageDataset`: `batch_size`, `shuffle`, `seed`,
            `value_range`, `dtype`, `levels`, `binarize` and others.

    Returns:
        A `kgan.data.ImageDataset` of uint8 images `(N, 28, 28, 1)`, 0 for the background and 255
        for the ink, with int32 labels `(N,)` from 0 to 9. Unconditional models ignore the labels.

    Raises:
        FileNotFoundError: `data_dir` lacks the files, or they are missing and `download=False`.
        ConnectionError: The files are missing and cannot be downloaded.
        ValueError: The split is unknown, a file is damaged or of the wrong kind or belongs to
            another data set, or the numbers of images and labels differ.

    Example:
    ```python
    train = kgan.data.load_mnist("train", batch_size=128, seed=1)
    gan.fit(train, epochs=20)
    ```

    Reference:
        - [LeCun et al., 1998, Gradient-based learning applied to document recognition](
          https://doi.org/10.1109/5.726791)
    """
    return _load(ImageDataset, MNIST, split, data_dir, download, dataset_options)


def load_fashion_mnist(
    split: str = "train",
    data_dir: str | os.PathLike[str] | None = None,
    *,
    download: bool = True,
    **dataset_options: Any,
) -> ImageDataset:
    """Loads Fashion-MNIST: images of clothes, 60,000 for training and 10,000 for testing.

    The classes are T-shirt, trouser, pullover, dress, coat, sandal, shirt, sneaker, bag and
    ankle boot, in this order. Files are searched as by `kgan.data.load_mnist`, in the folders
    `fashion_mnist/` and `FashionMNIST/raw/`.

    Args:
        split: String, `"train"` (60,000 images) or `"test"` (10,000). Defaults to `"train"`.
        data_dir: Path of the directory that holds the files. Defaults to None: the places that
            `load_mnist` searches.
        download: Boolean, whether to download missing files. Defaults to `True`.
        **dataset_options: Arguments of `kgan.data.ImageDataset`.

    Returns:
        A `kgan.data.ImageDataset` of uint8 images `(N, 28, 28, 1)`, 0 for the background, with
        int32 labels `(N,)` from 0 to 9.

    Raises:
        FileNotFoundError: `data_dir` lacks the files, or they are missing and `download=False`.
        ConnectionError: The files are missing and cannot be downloaded.
        ValueError: As for `kgan.data.load_mnist`.

    Example:
    ```python
    train = kgan.data.load_fashion_mnist("train", batch_size=128)
    ```

    Reference:
        - [Xiao et al., 2017, Fashion-MNIST: a novel image dataset for benchmarking machine learning
          algorithms](https://arxiv.org/abs/1708.07747)
    """
    return _load(ImageDataset, FASHION_MNIST, split, data_dir, download, dataset_options)


def load_kmnist(
    split: str = "train",
    data_dir: str | os.PathLike[str] | None = None,
    *,
    download: bool = True,
    **dataset_options: Any,
) -> ImageDataset:
    """Loads KMNIST: cursive Japanese characters, 60,000 for training and 10,000 for testing.

    The classes are the hiragana o, ki, su, tsu, na, ha, ma, ya, re and wo, in this order. Files are
    searched as by `kgan.data.load_mnist`, in the folders `kmnist/` and `KMNIST/raw/`.

    Args:
        split: String, `"train"` (60,000 images) or `"test"` (10,000). Defaults to `"train"`.
        data_dir: Path of the directory that holds the files. Defaults to None: the places that
            `load_mnist` searches.
        download: Boolean, whether to download missing files. Defaults to `True`.
        **dataset_options: Arguments of `kgan.data.ImageDataset`.

    Returns:
        A `kgan.data.ImageDataset` of uint8 images `(N, 28, 28, 1)`, 0 for the background and 255
        for the ink, with int32 labels `(N,)` from 0 to 9.

    Raises:
        FileNotFoundError: `data_dir` lacks the files, or they are missing and `download=False`.
        ConnectionError: The files are missing and cannot be downloaded.
        ValueError: As for `kgan.data.load_mnist`.

    Example:
    ```python
    train = kgan.data.load_kmnist("train", batch_size=128)
    ```

    Reference:
        - [Clanuwat et al., 2018, Deep learning for classical Japanese literature](
          https://arxiv.org/abs/1812.01718)
    """
    return _load(ImageDataset, KMNIST, split, data_dir, download, dataset_options)


def load_stacked_mnist(
    split: str = "train",
    data_dir: str | os.PathLike[str] | None = None,
    *,
    download: bool = True,
    **dataset_options: Any,
) -> StackedImageDataset:
    """Loads Stacked-MNIST: three digits of MNIST as the channels of one image, 1,000 classes.

    It is the usual benchmark of mode collapse. A classifier of digits reads the channels of
    generated images, and the metrics are how many of the 1,000 numbers occur and how evenly.
    `kgan.data.StackedImageDataset` draws new digits for each channel in each pass. Files are
    searched as by `kgan.data.load_mnist`.

    Args:
        split: String, `"train"` (from 60,000 digits) or `"test"` (from 10,000). Defaults to
            `"train"`.
        data_dir: Path of the directory that holds MNIST's files. Defaults to None: the places that
            `load_mnist` searches.
        download: Boolean, whether to download missing files. Defaults to `True`.
        **dataset_options: Arguments of `kgan.data.StackedImageDataset`: `batch_size`, `seed`,
            `stack` and others.

    Returns:
        A `kgan.data.StackedImageDataset` of images `(28, 28, 3)` with labels from 0 to 999: the
        digits a, b and c have the label 100a + 10b + c.

    Raises:
        FileNotFoundError: `data_dir` lacks the files, or they are missing and `download=False`.
        ConnectionError: The files are missing and cannot be downloaded.
        ValueError: As for `kgan.data.load_mnist`.

    Example:
    ```python
    train = kgan.data.load_stacked_mnist("train", batch_size=128)
    ```

    Reference:
        - [Metz et al., 2017, Unrolled generative adversarial networks](
          https://arxiv.org/abs/1611.02163)
        - [Lin et al., 2018, PacGAN: the power of two samples in generative adversarial networks](
          https://arxiv.org/abs/1712.04086), the usual protocol
    """
    return _load(StackedImageDataset, MNIST, split, data_dir, download, dataset_options)


def _load(
    kind: type[_Dataset],
    source: Source,
    split: str,
    data_dir: str | os.PathLike[str] | None,
    download: bool,
    dataset_options: dict[str, Any],
) -> _Dataset:
    if split not in source.splits:
        choices = " or ".join(repr(name) for name in source.splits)
        raise ValueError(f"Expected {choices}, the splits of {source.title}. Received: {split!r}.")
    images_path, labels_path = locate(source, split, data_dir, download)
    images = read_idx_images(images_path)
    labels = read_idx_labels(labels_path)
    if len(images) != len(labels):
        raise ValueError(
            "Expected as many images as labels. "
            f"Received: {len(images)} images in {images_path} and {len(labels)} labels in "
            f"{labels_path}. Take both files from one source."
        )
    # Not counted from the labels: a small set may lack a digit.
    dataset_options.setdefault("num_classes", source.num_classes)
    return kind(images, labels, **dataset_options)

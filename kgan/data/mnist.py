"""MNIST, Fashion-MNIST, KMNIST and Stacked-MNIST, from files on disk or downloaded."""

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
    """Handwritten digits: 60,000 to train with and 10,000 to test with.

    The four files are looked for in

    1. `data_dir`, when it is given, and then nowhere else;
    2. the directory that the environment variable `KGAN_DATA_DIR` names;
    3. kgan's cache, `datasets/kgan/mnist` under `$KERAS_HOME`, else under `~/.keras`.

    When none has them they are downloaded into the cache, with progress, and checked against
    pinned SHA-256 digests; an interrupted download leaves no file of that name there.

    A directory may hold the files itself, or in a folder `mnist/` or `MNIST/raw/` (torchvision's
    layout). They may be gzipped (`train-images-idx3-ubyte.gz`), plain (`train-images-idx3-ubyte`),
    or spelt with a dot (`train-images.idx3-ubyte`). Fashion-MNIST and KMNIST use the same names:
    a file that is known to belong to one of them is refused, and in `KGAN_DATA_DIR`, which all
    three share, files of as many images outside a folder of their own are passed over when they
    cannot be told. Those of other numbers are taken for what is asked for.

    Args:
        split: `"train"` (60,000 images) or `"test"` (10,000).
        data_dir: directory that holds the files, or None to look in the places above.
        download: whether to download what is nowhere to be found.
        **dataset_options: passed on to `kgan.data.ImageDataset`: `batch_size`, `shuffle`, `seed`,
            `value_range`, `dtype` and so on.

    Returns:
        A `kgan.data.ImageDataset` over uint8 images of shape `(N, 28, 28, 1)`, 0 for the background
        and 255 for the ink, with labels 0 to 9, int32 `(N,)`. An unconditional GAN ignores the
        labels.

    Raises:
        FileNotFoundError: `data_dir` lacks the files, or nothing has them and `download=False`.
        ConnectionError: the files are not here and cannot be downloaded.
        ValueError: an unknown split; a file that is damaged, not what its name says, or another
            data set's; images and labels of different numbers.

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
    """Pictures of clothes: 60,000 to train with and 10,000 to test with.

    The classes are T-shirt, trouser, pullover, dress, coat, sandal, shirt, sneaker, bag and
    ankle boot, in this order. Files are found as by `kgan.data.load_mnist`, with the folders
    `fashion_mnist/` and `FashionMNIST/raw/`.

    Args:
        split: `"train"` (60,000 images) or `"test"` (10,000).
        data_dir: directory that holds the files, or None to look where `load_mnist` does.
        download: whether to download what is nowhere to be found.
        **dataset_options: passed on to `kgan.data.ImageDataset`.

    Returns:
        A `kgan.data.ImageDataset` over uint8 images of shape `(N, 28, 28, 1)`, 0 for the
        background, with labels 0 to 9, int32 `(N,)`.

    Raises:
        FileNotFoundError: `data_dir` lacks the files, or nothing has them and `download=False`.
        ConnectionError: the files are not here and cannot be downloaded.
        ValueError: as for `kgan.data.load_mnist`.

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
    """Cursive Japanese characters (Kuzushiji): 60,000 to train with and 10,000 to test with.

    The classes are the hiragana o, ki, su, tsu, na, ha, ma, ya, re and wo, in this order. Files
    are found as by `kgan.data.load_mnist`, with the folders `kmnist/` and `KMNIST/raw/`.

    Args:
        split: `"train"` (60,000 images) or `"test"` (10,000).
        data_dir: directory that holds the files, or None to look where `load_mnist` does.
        download: whether to download what is nowhere to be found.
        **dataset_options: passed on to `kgan.data.ImageDataset`.

    Returns:
        A `kgan.data.ImageDataset` over uint8 images of shape `(N, 28, 28, 1)`, 0 for the background
        and 255 for the ink, with labels 0 to 9, int32 `(N,)`.

    Raises:
        FileNotFoundError: `data_dir` lacks the files, or nothing has them and `download=False`.
        ConnectionError: the files are not here and cannot be downloaded.
        ValueError: as for `kgan.data.load_mnist`.

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
    """Three digits of MNIST as the three channels of one image: 1,000 classes.

    The benchmark of mode collapse: a generator is asked for images, a classifier of digits reads
    their channels, and what counts is how many of the 1,000 numbers occur and how evenly. Digits
    are drawn for each channel and each pass anew, by `kgan.data.StackedImageDataset`. Files are
    found as by `kgan.data.load_mnist`.

    Args:
        split: `"train"` (from 60,000 digits) or `"test"` (from 10,000).
        data_dir: directory that holds MNIST's files, or None to look where `load_mnist` does.
        download: whether to download what is nowhere to be found.
        **dataset_options: passed on to `kgan.data.StackedImageDataset`: `batch_size`, `seed`,
            `stack` and so on.

    Returns:
        A `kgan.data.StackedImageDataset` that makes images of shape `(28, 28, 3)`, with labels 0 to
        999: three digits a, b and c have the label 100a + 10b + c.

    Raises:
        FileNotFoundError: `data_dir` lacks the files, or nothing has them and `download=False`.
        ConnectionError: the files are not here and cannot be downloaded.
        ValueError: as for `kgan.data.load_mnist`.

    Example:
    ```python
    train = kgan.data.load_stacked_mnist("train", batch_size=128)
    ```

    Reference:
        - [Metz et al., 2017, Unrolled generative adversarial networks](
          https://arxiv.org/abs/1611.02163)
        - [Lin et al., 2018, PacGAN: the power of two samples in generative adversarial networks](
          https://arxiv.org/abs/1712.04086), whose protocol is the usual one
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
        raise ValueError(
            f"Unknown split of {source.title}. Expected {choices}. Received: {split!r}"
        )
    images_path, labels_path = locate(source, split, data_dir, download)
    images = read_idx_images(images_path)
    labels = read_idx_labels(labels_path)
    if len(images) != len(labels):
        raise ValueError(
            "Expected as many images as labels. "
            f"Received: {len(images)} images in {images_path} and {len(labels)} labels in "
            f"{labels_path}. Take both files from one place."
        )
    # Named, not counted, so that a batch or a small split without some digit has the same classes.
    dataset_options.setdefault("num_classes", source.num_classes)
    return kind(images, labels, **dataset_options)

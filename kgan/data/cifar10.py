"""The loader of CIFAR-10, from local files, Keras's cache or a download."""

import os
import pathlib
from typing import Any

from kgan._files import cache_directory
from kgan.data import _cifar
from kgan.data._download import download as download_file
from kgan.data._download import is_cached
from kgan.data._locate import DATA_DIR_VARIABLE, content_of
from kgan.data.image_dataset import ImageDataset

CLASS_NAMES = (
    "airplane",
    "automobile",
    "bird",
    "cat",
    "deer",
    "dog",
    "frog",
    "horse",
    "ship",
    "truck",
)

_FOLDERS = (".", "cifar10")
# Where `keras.datasets.cifar10` extracts its archive, by its version.
_KERAS_FOLDERS = ("cifar-10-batches-py-target", ".")


def load_cifar10(
    split: str = "train",
    data_dir: str | os.PathLike[str] | None = None,
    *,
    download: bool = True,
    **dataset_options: Any,
) -> ImageDataset:
    """Loads CIFAR-10: small colour photographs, 50,000 for training and 10,000 for testing.

    The loader searches these places for the original files:

    1. `data_dir`. If it is given, no other place is searched.
    2. The directory in the environment variable `KGAN_DATA_DIR`.
    3. Keras's cache: the files that `keras.datasets.cifar10` extracted.
    4. kgan's cache, `datasets/kgan/cifar10` under `$KERAS_HOME` or, by default, `~/.keras`.

    If the set is missing, its archive (170 MB) is downloaded into kgan's cache and checked against
    a pinned SHA-256 digest. An interrupted download leaves no file of that name.

    A directory, or its folder `cifar10/`, may hold the archive `cifar-10-binary.tar.gz` or
    `cifar-10-python.tar.gz`, the folder that is in it, or the files themselves. Reading an archive
    takes some seconds each time. No code that a file of the Python version names is run.

    Args:
        split: String, `"train"` (50,000 images) or `"test"` (10,000). Defaults to `"train"`.
        data_dir: Path of the directory that holds the files. Defaults to None: the places above.
        download: Boolean, whether to download the set if it is missing. Defaults to `True`.
        **dataset_options: Arguments of `kgan.data.ImageDataset`: `batch_size`, `horizontal_flip`,
            `crop` and others.

    Returns:
        A `kgan.data.ImageDataset` of uint8 images `(N, 32, 32, 3)` with int32 labels `(N,)` from 0
        to 9. Its `class_names` are airplane, automobile, bird, cat, deer, dog, frog, horse, ship
        and truck.

    Raises:
        FileNotFoundError: `data_dir` lacks the files, or they are missing and `download=False`.
        ConnectionError: The files are missing and cannot be downloaded.
        ValueError: The split is unknown, or a file is damaged.

    Example:
    ```python
    train = kgan.data.load_cifar10("train", horizontal_flip=True)  # downloads 170 MB
    ```

    Reference:
        - [Krizhevsky, 2009, Learning multiple layers of features from tiny images](
          https://www.cs.toronto.edu/~kriz/learning-features-2009-TR.pdf)
    """
    if split not in _cifar.BATCHES:
        choices = " or ".join(repr(name) for name in _cifar.BATCHES)
        raise ValueError(f"Expected {choices}, the splits of CIFAR-10. Received: {split!r}.")
    images, labels = _cifar.read(*_locate(split, data_dir, download), split)
    dataset_options.setdefault("num_classes", len(CLASS_NAMES))
    dataset_options.setdefault("class_names", CLASS_NAMES)
    return ImageDataset(images, labels, **dataset_options)


def _locate(
    split: str, data_dir: str | os.PathLike[str] | None, allow_download: bool
) -> tuple[pathlib.Path, _cifar.Form]:
    """Finds the folder or archive of a split, and downloads the archive if it is missing."""
    if data_dir is not None:
        directory = pathlib.Path(data_dir).expanduser()
        found = _find(directory, _FOLDERS, split)
        if found is None:
            raise FileNotFoundError(
                f"Expected CIFAR-10 ({split}) in {directory}, or in its folder cifar10: "
                f"{_wanted()}. {content_of(directory)} Put it there, or leave data_dir out to "
                "download it."
            )
        return found
    cache = cache_directory("cifar10")
    keras_cache = cache.parent.parent
    return (
        _in_shared_directory(split)
        or _find(keras_cache, _KERAS_FOLDERS, split)
        or _in_cache(cache, allow_download)
    )


def _in_shared_directory(split: str) -> tuple[pathlib.Path, _cifar.Form] | None:
    shared = os.environ.get(DATA_DIR_VARIABLE)
    if not shared:
        return None
    try:
        return _find(pathlib.Path(shared).expanduser(), _FOLDERS, split)
    except PermissionError:  # other places may have the set
        return None


def _find(
    directory: pathlib.Path, folders: tuple[str, ...], split: str
) -> tuple[pathlib.Path, _cifar.Form] | None:
    for folder in folders:
        found = _cifar.find(directory / folder, split)
        if found is not None:
            return found
    return None


def _in_cache(directory: pathlib.Path, allow_download: bool) -> tuple[pathlib.Path, _cifar.Form]:
    archive = _cifar.ARCHIVE
    if not is_cached(archive, directory):
        if not allow_download:
            raise FileNotFoundError(
                f"CIFAR-10 is not in {directory}, and download=False.\n{_advice()}"
            )
        try:
            download_file(archive, _cifar.MIRRORS, directory)
        except ConnectionError as error:
            raise ConnectionError(
                "CIFAR-10 is not on this machine and could not be downloaded:\n"
                f"{error}\n{_advice()}"
            ) from error
    return directory / archive.name, _cifar.FORMS[0]


def _wanted() -> str:
    return " or ".join(name for form in _cifar.FORMS for name in (form.archive, f"{form.folder}/"))


def _advice() -> str:
    return (
        "To fix this, do one of the following:\n"
        f"- Put {_wanted()} into a directory, and pass it as data_dir (--data-dir on the command "
        f"line) or in the environment variable {DATA_DIR_VARIABLE}.\n"
        "- Try again with a network connection.\n"
        "- Use kgan.data.load_digits() (--dataset digits), which needs no download."
    )

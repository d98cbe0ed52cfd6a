"""The data set "folder" of the command line: pictures in a folder, with or without splits."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from kgan.data._decoding import header_size
from kgan.data.image_dataset import ImageDataset
from kgan.data.image_folder import list_pictures, load_image_folder

FOLDER = "folder"
"""The name of this data set."""

LARGEST_SIZE = 64
"""The side of images, in pixels, if no size is given and the pictures are larger."""

_TRAIN, _TEST = "train", "test"
_SPLITS = {_TRAIN, _TEST, "val", "valid", "validation"}


def load_folder(
    split: str = _TRAIN,
    *,
    data_dir: str | os.PathLike[str] | None = None,
    image_size: int | tuple[int, int] | None = None,
    class_names: Sequence[str] | None = None,
    **options: Any,
) -> ImageDataset:
    """Loads pictures from a folder, or from one of its splits.

    If all folders in `data_dir` are named `train`, `test`, `val`, `valid` or `validation`, and
    `train` is one of them, they are splits. Otherwise, all pictures are for training.

    Args:
        split: String, the name of a split. Defaults to `"train"`.
        data_dir: Path of the folder. It has no default.
        image_size: Integer, or pair of integers `(height, width)`. Defaults to `None`: the size of
            the first picture for training, or 64 if one of its sides is longer.
        class_names: As for `kgan.data.load_image_folder`. Defaults to `None`: the folders for
            training.
        **options: Arguments of `kgan.data.load_image_folder` and `kgan.data.ImageDataset`.

    Returns:
        A `kgan.data.ImageDataset`.

    Raises:
        FileNotFoundError: There is no such folder.
        ValueError: There is no `data_dir`, or the folder has no such split.
    """
    if data_dir is None:
        raise ValueError(
            "Expected the folder of pictures as data_dir (--data DIR). Received: none."
        )
    train, wanted = split_folders(Path(data_dir).expanduser(), split)
    if image_size is None:
        image_size = default_image_size(train)
    if split == _TRAIN:
        return load_image_folder(train, image_size, class_names=class_names, **options)
    names = class_names or list_pictures(train).class_names
    return load_image_folder(wanted, image_size, class_names=names, **options)


def split_folders(folder: Path, split: str) -> tuple[Path, Path]:
    """Finds the folders of the training split and of another split in a folder.

    Args:
        folder: The folder, with or without splits.
        split: The name of the other split, which may be `"train"` too.

    Returns:
        Both folders. They are `folder` itself if it has no splits.

    Raises:
        ValueError: There is no such split.
    """
    splits = _splits(folder)
    if splits:
        if split not in splits:
            raise ValueError(
                f"Expected a split of {folder}: {', '.join(sorted(splits))}. Received: {split!r}. "
                f"Add pictures in {folder / split}, or choose another split."
            )
        return folder / _TRAIN, folder / split
    if split != _TRAIN:
        raise ValueError(
            f"Expected pictures for the split {split!r} in {folder / split}. Received: a folder "
            f"without splits, whose pictures are all for training. Move them to "
            f"{folder / _TRAIN}, and held-out pictures to {folder / split}."
        )
    return folder, folder


def default_image_size(folder: Path, halves: bool = False) -> tuple[int, int]:
    """The size of the first picture in a folder, or 64 x 64 if one of its sides is longer.

    Args:
        folder: The folder.
        halves: Whether each picture holds two images side by side: the size is that of one.
    """
    size = header_size(list_pictures(folder, labels=False).pictures[0].path)
    if size is not None and halves:
        size = size[0], max(1, size[1] // 2)
    if size is None or max(size) > LARGEST_SIZE:
        return LARGEST_SIZE, LARGEST_SIZE
    return size


def _splits(folder: Path) -> set[str]:
    """The names of the splits of a folder; none if its folders are not splits."""
    if not folder.is_dir():
        return set()
    names = {
        each.name for each in folder.iterdir() if each.is_dir() and not each.name.startswith(".")
    }
    return names if _TRAIN in names and names <= _SPLITS else set()

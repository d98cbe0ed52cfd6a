"""Pairs and unpaired domains from folders of pictures."""

import os
from pathlib import Path
from typing import Any, Literal, TypeAlias

from kgan.data._decoders import shown
from kgan.data._decoding import PictureState
from kgan.data.image_folder import (
    Listing,
    Loading,
    check_choice,
    checked_loading,
    list_pictures,
    load_pictures,
)
from kgan.data.paired import PairedDataset, UnpairedDataset

Half: TypeAlias = Literal["left", "right"]

_HALVES = ("left", "right")

# Arguments of `load_image_folder` that the loaders pass on. A pair needs both of its pictures, so
# `on_unreadable` is not one of them.
_OF_PICTURES = ("resize", "background", "max_pixels", "cache_dir", "processes", "verbose")


def load_pairs(
    directory: str | os.PathLike[str],
    image_size: int | tuple[int, int] | None = None,
    *,
    folders: tuple[str, str] | None = None,
    input_half: Half = "left",
    channels: int | None = None,
    input_channels: int | None = None,
    **options: Any,
) -> PairedDataset:
    """Loads pairs of pictures from a folder, for image-to-image translation.

    There are two layouts:

    - **Side by side**, the default, as in the data sets of pix2pix: each picture holds both halves,
      and its width is twice that of an image. The halves are cut apart before they are resized.
    - **Two folders**, with `folders=("sketches", "photos")`: a pair is two pictures with the same
      relative path. Their extensions may differ.

    Pictures are decoded once into a cache, as by `kgan.data.load_image_folder`, and read as memory
    maps. Folders inside are not classes.

    Args:
        directory: Path of the folder.
        image_size: Integer, or pair of integers `(height, width)`, of an input and of a target, not
            of both side by side. Defaults to `None`: the size of the pictures or of their halves.
        folders: Pair of strings, the folders in `directory` that hold the inputs and the targets.
            Defaults to `None`: both are side by side in one picture.
        input_half: String, `"left"` or `"right"`, the half that is the input. It has no effect with
            `folders`. Defaults to `"left"`.
        channels: Integer, 3 or 1, for the targets. Defaults to `None`: 1 if all files are in a grey
            format, 3 otherwise.
        input_channels: Integer, 3 or 1, for the inputs. Defaults to `None`: `channels` if that is
            given, and otherwise found in the same way.
        **options: `resize`, `background`, `max_pixels`, `cache_dir`, `processes` and `verbose` of
            `kgan.data.load_image_folder`, and arguments of `kgan.data.PairedDataset`.

    Returns:
        A `kgan.data.PairedDataset`.

    Raises:
        FileNotFoundError: There is no such folder.
        OSError: A folder cannot be read, or the cache cannot be written.
        ValueError: A picture has no partner or cannot be decoded, a picture with two halves has an
            odd width, the sizes of inputs and targets differ, or an argument is not valid.

    Example:
    ```python
    import pathlib

    import numpy as np
    from PIL import Image

    pathlib.Path("facades/train").mkdir(parents=True)
    rng = np.random.default_rng(0)
    for number in range(8):
        both = rng.integers(0, 256, (32, 64, 3), dtype="uint8")
        Image.fromarray(both).save(f"facades/train/{number}.png")

    pairs = kgan.data.load_pairs("facades/train", input_half="right", batch_size=4, seed=0)
    inputs, targets = pairs[0]  # both float32 (4, 32, 32, 3) in [-1, 1]
    ```
    """
    check_choice("input_half", input_half, _HALVES)
    if input_channels is None:
        input_channels = channels
    given = _taken(options)
    of_inputs = _loading(image_size, channels=input_channels, **given)
    of_targets = _loading(image_size, channels=channels, **given)
    root = Path(directory).expanduser()
    if folders is None:
        listing = list_pictures(root, labels=False)
        target_half = _HALVES[1 - _HALVES.index(input_half)]
        inputs, _ = load_pictures(root, listing, _of_half(of_inputs, input_half))
        targets, _ = load_pictures(root, listing, _of_half(of_targets, target_half))
    else:
        first, second = _two_folders(root, folders)
        pictures, partners = list_partners(first, second)
        inputs, _ = load_pictures(first, pictures, of_inputs)
        targets, _ = load_pictures(second, partners, of_targets)
    return PairedDataset(inputs, targets, **options)


def load_domains(
    directory: str | os.PathLike[str],
    image_size: int | tuple[int, int] | None = None,
    *,
    folders: tuple[str, str] = ("trainA", "trainB"),
    channels: int | None = None,
    **options: Any,
) -> UnpairedDataset:
    """Loads two unpaired domains of pictures from two folders, for CycleGAN.

    The folders may hold different numbers of pictures. They are decoded once into a cache, as by
    `kgan.data.load_image_folder`, and read as memory maps. Folders inside are not classes.

    Args:
        directory: Path of the folder that holds both.
        image_size: Integer, or pair of integers `(height, width)`. Defaults to `None`: the size of
            the pictures.
        folders: Pair of strings, the folders of domain a and of domain b. Defaults to
            `("trainA", "trainB")`.
        channels: Integer, 3 or 1. Defaults to `None`: in each domain, 1 if all files are in a grey
            format, 3 otherwise.
        **options: `resize`, `background`, `max_pixels`, `cache_dir`, `processes` and `verbose` of
            `kgan.data.load_image_folder`, and arguments of `kgan.data.UnpairedDataset`.

    Returns:
        A `kgan.data.UnpairedDataset`.

    Raises:
        FileNotFoundError: There is no such folder.
        OSError: A folder cannot be read, or the cache cannot be written.
        ValueError: A folder has no pictures, a picture cannot be decoded, the sizes differ, or an
            argument is not valid.

    Example:
    ```python
    import pathlib

    import numpy as np
    from PIL import Image

    rng = np.random.default_rng(0)
    for name, count in (("trainA", 8), ("trainB", 5)):
        pathlib.Path("horse2zebra", name).mkdir(parents=True)
        for number in range(count):
            pixels = rng.integers(0, 256, (32, 32, 3), dtype="uint8")
            Image.fromarray(pixels).save(f"horse2zebra/{name}/{number}.jpg")

    domains = kgan.data.load_domains("horse2zebra", batch_size=4, seed=0)
    a, b = domains[0]  # both float32 (4, 32, 32, 3) in [-1, 1]
    ```
    """
    loading = _loading(image_size, channels=channels, **_taken(options))
    a, b = (
        load_pictures(folder, list_pictures(folder, labels=False), loading)[0]
        for folder in _two_folders(Path(directory).expanduser(), folders)
    )
    return UnpairedDataset(a, b, **options)


def list_partners(first: Path, second: Path) -> tuple[Listing, Listing]:
    """Lists the pictures of two folders that have the same names.

    The name of a picture is its path in the folder, without extension.

    Returns:
        Two listings without classes, in the order of the names.

    Raises:
        ValueError: A picture has no partner of the same name, or several.
    """
    pictures, partners = _by_name(first), _by_name(second)
    for here, there, folder in ((pictures, partners, second), (partners, pictures, first)):
        alone = sorted(here.keys() - there.keys())
        if alone:
            more = f", and {len(alone) - 1:,} more" if len(alone) > 1 else ""
            raise ValueError(
                f"Expected a partner of the same name in {shown(str(folder))} for each picture. "
                f"Received: none for {shown(here[alone[0]].path)}{more}. Add the partner, or "
                "remove the picture."
            )
    # Not in the order of the files, which depends on their extensions.
    names = sorted(pictures)
    first_listing, second_listing = (
        Listing([found[name] for name in names], None, None) for found in (pictures, partners)
    )
    return first_listing, second_listing


def _by_name(folder: Path) -> dict[str, PictureState]:
    """The pictures of a folder by their names."""
    found: dict[str, PictureState] = {}
    for picture in list_pictures(folder, labels=False).pictures:
        name = Path(picture.path).relative_to(folder).with_suffix("").as_posix()
        if name in found:
            raise ValueError(
                "Expected one picture of each name. Received: "
                f"{shown(found[name].path)} and {shown(picture.path)}. Rename or remove one of "
                "them."
            )
        found[name] = picture
    return found


def _two_folders(directory: Path, folders: Any) -> tuple[Path, Path]:
    is_pair = isinstance(folders, (tuple, list)) and len(folders) == 2
    if not is_pair or not all(isinstance(name, (str, os.PathLike)) for name in folders):
        raise ValueError(
            f"Expected `folders` to be the names of two folders. Received: folders={folders!r}."
        )
    first, second = folders
    return directory / first, directory / second


def _loading(image_size: int | tuple[int, int] | None, **options: Any) -> Loading:
    return checked_loading(image_size, **options)._replace(can_skip=False)


def _taken(options: dict[str, Any]) -> dict[str, Any]:
    """Takes the options about pictures out of all options."""
    return {name: options.pop(name) for name in _OF_PICTURES if name in options}


def _of_half(loading: Loading, half: str) -> Loading:
    return loading._replace(form=loading.form._replace(half=half))

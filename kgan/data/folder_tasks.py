"""Translation tasks from folders of pictures, with or without splits, for the command line."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from kgan.data.folder_pairs import load_domains, load_pairs
from kgan.data.folder_splits import default_image_size, split_folders
from kgan.data.image_folder import EXTENSIONS
from kgan.data.tasks import Direction, TranslationTask, both_ways

if TYPE_CHECKING:
    import os

    from kgan.data.tasks import Kind

# The folders that hold the inputs and the targets of pairs.
_OF_PAIRS = ("inputs", "targets")


def load_folder_task(
    kind: Kind,
    split: str = "train",
    data_dir: str | os.PathLike[str] | None = None,
    image_size: int | tuple[int, int] | None = None,
    input_half: str = "left",
    **options: Any,
) -> TranslationTask:
    """Loads pairs or domains from a folder, or from one of its splits.

    Domains are in the folders `trainA` and `trainB`, and those of the split `"test"` in `testA` and
    `testB`. Pairs are in one of three layouts:

    - in `trainA` and `trainB`, under the same names;
    - in the folders `inputs` and `targets`, under the same names;
    - side by side in each picture.

    The last two may lie in the folders `train` and `test`. Without these, all pairs are for
    training.

    Args:
        kind: String, `"pairs"` or `"domains"`.
        split: String, the name of a split. Defaults to `"train"`.
        data_dir: Path of the folder. It has no default.
        image_size: Integer, or pair of integers `(height, width)`. Defaults to `None`: the size of
            the first picture or half for training, or 64 if one of its sides is longer.
        input_half: String, `"left"` or `"right"`: the half of a picture that is the input. Defaults
            to `"left"`.
        **options: Arguments of `kgan.data.load_pairs` or `kgan.data.load_domains`.

    Returns:
        A `TranslationTask`, without labels. Domains have no true translations.

    Raises:
        FileNotFoundError: There is no such folder.
        ValueError: There is no `data_dir`, or the folder has none of these layouts.
    """
    if data_dir is None:
        raise ValueError(f"Expected the folder of {kind} as data_dir (--data DIR). Received: none.")
    folder = Path(data_dir).expanduser()
    if not folder.is_dir():
        raise FileNotFoundError(f"Expected a folder of pictures. Received: {folder}: no folder.")
    if kind == "domains":
        return _domains(folder, split, image_size, options)
    return _pairs(folder, split, image_size, {"input_half": input_half, **options})


def _pairs(folder: Path, split: str, image_size: Any, options: dict[str, Any]) -> TranslationTask:
    if _has(folder, _letters("train")):
        train = wanted = folder
        names: tuple[str, str] | None = _checked_letters(folder, split, "pairs")
        of_training = _letters("train")[0]
    else:
        train, wanted = split_folders(folder, split)
        names = _OF_PAIRS if _has(train, _OF_PAIRS) else None
        of_training = _OF_PAIRS[0] if names else ""
    _check_layout(folder, wanted, names)
    size = image_size or default_image_size(train / of_training, halves=names is None)
    dataset = load_pairs(wanted, size, folders=names, **options)
    inputs, targets = dataset.inputs.images, dataset.targets.images
    return TranslationTask(folder.name, dataset, (Direction(inputs, targets, truths=targets),))


def _domains(folder: Path, split: str, image_size: Any, options: dict[str, Any]) -> TranslationTask:
    names = _checked_letters(folder, split, "domains")
    size = image_size or default_image_size(folder / _letters("train")[0])
    dataset = load_domains(folder, size, folders=names, **options)
    return TranslationTask(folder.name, dataset, both_ways(dataset.a.images, dataset.b.images))


def _letters(split: str) -> tuple[str, str]:
    return f"{split}A", f"{split}B"


def _checked_letters(folder: Path, split: str, kind: Kind) -> tuple[str, str]:
    """The names of the two folders of a split, which must be there."""
    names = _letters(split)
    if not _has(folder, names):
        raise ValueError(
            f"Expected the folders {names[0]} and {names[1]} in {folder}, for {kind} of pictures. "
            f"Received: {_content(folder)}."
        )
    return names


def _has(folder: Path, names: tuple[str, str]) -> bool:
    return all((folder / name).is_dir() for name in names)


def _check_layout(folder: Path, wanted: Path, names: tuple[str, str] | None) -> None:
    """Checks that a split has two folders, or pictures that lie in it directly.

    Pictures in other folders are classes, not pairs.
    """
    found = wanted.iterdir()
    if (
        any(each.suffix.lower() in EXTENSIONS for each in found)
        if names is None
        else _has(wanted, names)
    ):
        return
    raise ValueError(
        f"Expected pairs of pictures in {folder}: both side by side in each picture, or in the "
        f"folders {_OF_PAIRS[0]} and {_OF_PAIRS[1]} under the same names, or in "
        f"{' and '.join(_letters('train'))}. Received: {_content(wanted)}."
    )


def _content(folder: Path) -> str:
    names = sorted(each.name for each in folder.iterdir() if not each.name.startswith("."))
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return f"{folder} with {', '.join(names[:5])}{more}" if names else f"{folder}, which is empty"

"""The inputs that several subcommands share: a saved model, and a data set for it."""

from __future__ import annotations

import contextlib
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from kgan.cli import argument_types

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence
    from pathlib import Path

    from kgan.data import ImageDataset
    from kgan.runs import RunConfig, SavedRun
    from kgan.training import GenerativeModel

_BINARIZATIONS = ("dynamic", "static", "threshold", "none")


def add_model(parser: argparse.ArgumentParser) -> None:
    """Adds the argument for a saved model."""
    parser.add_argument(
        "model", metavar="RUN", type=argument_types.path, help="a run directory, or a model.keras"
    )


def add_dataset(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments for a data set."""
    parser.add_argument("--dataset", metavar="NAME", help="(default: that of the run)")
    parser.add_argument("--data-dir", metavar="DIR", help="the directory of the data set's files")
    parser.add_argument(
        "--data", metavar="DIR", type=argument_types.directory, help="a folder of pictures instead"
    )
    parser.add_argument(
        "--binarize",
        choices=_BINARIZATIONS,
        help="how images are binarised for a model of binary images (default: as in the run)",
    )


def add_task(parser: argparse.ArgumentParser, default: str = "by the recipe") -> None:
    """Adds the argument for a translation task."""
    parser.add_argument(
        "--task",
        metavar="NAME",
        help="for a recipe that needs pairs or domains, the task that is made from the images of "
        f"the data set, such as outlines or thin_and_thick (default: {default})",
    )


@dataclass(frozen=True)
class DataSource:
    """The data set of a subcommand.

    Args:
        name: The name of the data set.
        data_dir: The directory of its files, or None.
        options: Further arguments for `kgan.data.load_dataset`.
    """

    name: str
    data_dir: str | None
    options: dict[str, Any]
    _loaded: dict[str, ImageDataset] = field(default_factory=dict, init=False)

    def load(self, split: str) -> ImageDataset:
        """Loads a split, once."""
        if split not in self._loaded:
            self._loaded[split] = self._load(split)
        return self._loaded[split]

    def _load(self, split: str) -> ImageDataset:
        from kgan import data

        # Standard output is for results, which another program may read.
        with contextlib.redirect_stdout(sys.stderr):  # a download prints its progress
            return data.load_dataset(self.name, split, data_dir=self.data_dir, **self.options)


def check_names_one(options: argparse.Namespace) -> None:
    """Raises a ValueError if the options name a folder of pictures and another data set."""
    if options.data is not None and (options.dataset is not None or options.data_dir is not None):
        raise ValueError("Expected --data, or --dataset and --data-dir. Received: both.")


def lacks(path: Path, model: GenerativeModel, capability: str) -> ValueError:
    """The error about a model that cannot do what a subcommand needs.

    Args:
        path: Where the model is.
        model: The model.
        capability: What it should do: "generates images".
    """
    return ValueError(
        f"Expected a model that {capability}. Received: {path}, which holds a "
        f"{type(model).__name__}."
    )


def label(text: str, names: Sequence[str] | None, argument: str = "--label") -> int:
    """The number of a class, given by its number or its name.

    Args:
        text: The number or the name.
        names: The names of all classes, if they have names.
        argument: The name of the argument, for the error.

    Raises:
        ValueError: There is no such class.
    """
    if names is not None and text in names:
        return names.index(text)
    if text.isdecimal():
        return int(text)
    known = "" if names is None else f": {', '.join(names)}"
    raise ValueError(
        f"Expected {argument} to give a class by number or name{known}. Received: {text}."
    )


def data_source(saved: SavedRun, options: argparse.Namespace) -> DataSource:
    """The data that the options name, or those of the run.

    Raises:
        ValueError: There is neither.
    """
    from kgan import runs

    check_names_one(options)
    asked = options.dataset if options.data is None else runs.FOLDER
    config = _config(saved, is_needed=asked is None)
    name = asked or config.dataset
    if name is None:
        raise ValueError(
            f"Expected --dataset NAME, since there is no config.json next to {saved.path} that "
            "names the training images. Received: no --dataset."
        )
    data_dir = (
        options.data or options.data_dir or (config.data_dir if name == config.dataset else None)
    )
    # Images are drawn, not batched: a small data set need not fill a batch.
    given = {**runs.dataset_options(config), "drop_remainder": False}
    if name == runs.FOLDER:
        given |= _of_pictures(saved.model, config)
    if options.binarize is not None:
        given["binarize"] = None if options.binarize == "none" else options.binarize
    return DataSource(name, data_dir, given)


def _of_pictures(model: GenerativeModel, config: RunConfig) -> dict[str, Any]:
    """The options with which pictures have the size that a model makes, and its classes."""
    from kgan.models.latent_model import LatentModel
    from kgan.training.capabilities import is_conditional

    size = config.image_size
    names = config.class_names if is_conditional(model) else None
    return {
        "image_size": model.image_shape[:2] if isinstance(model, LatentModel) else size,
        "class_names": names,
    }


def _config(saved: SavedRun, is_needed: bool) -> RunConfig:
    from kgan import runs

    try:
        found = saved.config
    except ValueError:
        if is_needed:
            raise
        found = None  # another program wrote the file
    return found or runs.RunConfig()

"""The inputs that several subcommands share: a saved model, and a data set for it."""

from __future__ import annotations

import contextlib
import sys
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from kgan.cli import argument_types

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence
    from pathlib import Path

    from kgan.data import ImageDataset, TranslationTask
    from kgan.data.tasks import Kind
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


@dataclass(frozen=True)
class TaskSource:
    """The translation task of a subcommand.

    Args:
        config: The settings of the run, with the data and the task that the options name.
        kind: `"pairs"` or `"domains"`, the content of a folder of pictures.
        options: Further arguments for `kgan.runs.load_task`.
    """

    config: RunConfig
    kind: Kind
    options: dict[str, Any]

    @property
    def name(self) -> str:
        """The name of the data set and the task."""
        return self.config.data_name

    def load(self, split: str) -> TranslationTask:
        """Loads a split."""
        from kgan import runs

        # Standard output is for results, which another program may read.
        with contextlib.redirect_stdout(sys.stderr):  # a download prints its progress
            return runs.load_task(self.config, split, self.kind, **self.options)


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


def check_not_given(
    options: argparse.Namespace, names: Sequence[str], model: GenerativeModel
) -> None:
    """Checks that options have their defaults, since they do not apply to a model.

    Args:
        options: All options of the subcommand, with its parser's `default_of`.
        names: The names of the options.
        model: The model.

    Raises:
        ValueError: One has another value.
    """
    for name in names:
        if getattr(options, name) != options.default_of(name):
            option = f"--{name.replace('_', '-')}"
            raise ValueError(
                f"Expected no {option}, which does not apply to a {type(model).__name__}. "
                f"Received: {option}. Leave it out."
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


def task_source(saved: SavedRun, options: argparse.Namespace) -> TaskSource:
    """The translation task that the options name, or that of the run.

    Raises:
        ValueError: There is neither.
    """
    from kgan import runs
    from kgan.training.capabilities import Cycles

    check_names_one(options)
    config = _config(saved, is_needed=options.task is None and options.data is None)
    if options.data is not None:
        # Pairs or domains, unless a task is made of the pictures.
        config = replace(config, dataset=runs.FOLDER, data_dir=options.data, task=options.task)
    else:
        config = _with_task(config, options)
    if config.task is None and config.dataset != runs.FOLDER:
        raise ValueError(
            f"Expected --task NAME or --data DIR, since there is no config.json next to "
            f"{saved.path} that names a task. Received: neither."
        )
    _check_directions(saved.model, config.task)
    # Images are measured, not batched: few of them need not fill a batch.
    given: dict[str, Any] = {"batch_size": 1}
    size = config.image_size or saved.model.batch_spec(training=False).shape[1:3]
    if config.dataset == runs.FOLDER and None not in size:
        given["image_size"] = tuple(size)
    kind: Kind = "domains" if isinstance(saved.model, Cycles) else "pairs"
    return TaskSource(config, kind, given)


def _check_directions(model: GenerativeModel, task: str | None) -> None:
    """Raises a ValueError for a task with two directions and a model with one."""
    from kgan import data
    from kgan.training.capabilities import Cycles

    if task in data.TASKS and data.TASKS[task].kind == "domains" and not isinstance(model, Cycles):
        fitting = [name for name, each in data.TASKS.items() if each.kind == "pairs"]
        raise ValueError(
            f"Expected a task with pairs, one of {fitting}, since a {type(model).__name__} "
            f"translates in one direction. Received: task={task!r}, which has domains."
        )


def _with_task(config: RunConfig, options: argparse.Namespace) -> RunConfig:
    """The configuration with the task and the data set that the options name."""
    from kgan import data

    task: str | None = options.task or config.task
    entry = None if task is None else data.TASKS.get(task)
    fixed = entry.dataset if entry is not None and entry.is_fixed else None
    dataset = options.dataset or fixed or config.dataset
    data_dir = options.data_dir or (config.data_dir if dataset == config.dataset else None)
    return replace(config, task=task, dataset=dataset, data_dir=data_dir)


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

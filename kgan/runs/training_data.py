"""The training data of a run: images, pairs or domains, as its recipe needs them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeAlias

from kgan import data, recipes
from kgan._registry import find_name
from kgan.data.folder_splits import FOLDER
from kgan.data.folder_tasks import load_folder_task
from kgan.recipes.recipe import TRANSLATION

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from kgan._typing import Say
    from kgan.data.tasks import Kind
    from kgan.recipes import Recipe
    from kgan.runs.config import RunConfig

TrainingData: TypeAlias = data.ImageDataset | data.PairedDataset | data.UnpairedDataset

_MNIST, _DIGITS = "mnist", "digits"


def load_data(config: RunConfig, say: Say = print) -> tuple[RunConfig, TrainingData]:
    """Loads the training data of a run, and chooses them if the configuration names none.

    Args:
        config: The configuration.
        say: Called with a line of text if MNIST is not available. Defaults to `print`.

    Returns:
        The configuration with the names of its data set and its task, the size of its images, the
        names of its classes and the precision of its networks; and the data set: a
        `kgan.data.PairedDataset` or a `kgan.data.UnpairedDataset` if the recipe needs one, and a
        `kgan.data.ImageDataset` otherwise.

    Raises:
        OSError: The data set is not available.
        ValueError: The recipe, the task or the data set is unknown, or an option does not fit the
            data set.

    Example:
    ```python
    config = kgan.runs.RunConfig(dataset="digits", recipe="vae", batch_size=8)
    config, dataset = kgan.runs.load_data(config)
    assert (dataset.batch_size, dataset.binarize) == (8, "dynamic")  # as the recipe needs them
    ```
    """
    recipe = recipes.get(config.recipe)
    if recipe.needs in TRANSLATION:
        config = _with_dataset_of_task(replace(config, task=_checked_task(config, recipe)))
        config, dataset = _loaded(config, _load_translation, say)
    else:
        _check_no_task(config)
        config, dataset = _loaded(config, _load_images, say)
    return _resolved(config, dataset), dataset


def load_task(
    config: RunConfig, split: str, kind: Kind | None = None, **options: Any
) -> data.TranslationTask:
    """Loads a split of the translation task of a run.

    Args:
        config: The configuration of a run whose recipe needs pairs or domains.
        split: String, the name of a split.
        kind: `"pairs"` or `"domains"`, the content of a folder of pictures. Defaults to the need of
            the recipe.
        **options: Arguments of `kgan.data.load_task`.

    Returns:
        A `kgan.data.TranslationTask`.

    Raises:
        OSError: The data set is not available.
        ValueError: The data set or its folder has no such split.

    Example:
    ```python
    config = kgan.runs.RunConfig(dataset="digits", task="outlines")
    test = kgan.runs.load_task(config, "test")
    assert len(test.directions[0].inputs) == 297
    ```
    """
    options = {"seed": config.seed, **options}
    if config.task is not None:
        return data.load_task(config.task, split, config.dataset, config.data_dir, **options)
    if kind is None:
        kind = "domains" if recipes.get(config.recipe).needs == "domains" else "pairs"
    return load_folder_task(kind, split, config.data_dir, input_half=config.input_half, **options)


def dataset_options(config: RunConfig) -> Mapping[str, Any]:
    """Returns the arguments for `kgan.data.load_dataset` that the recipe of a run states.

    Args:
        config: The settings of the run.

    Returns:
        A mapping, empty if the recipe is not one of this version of kgan.

    Example:
    ```python
    assert kgan.runs.dataset_options(kgan.runs.RunConfig(recipe="vae")) == {"binarize": "dynamic"}
    ```
    """
    recipe = recipes.RECIPES.get(config.recipe)
    return {} if recipe is None else recipe.data


def _loaded(
    config: RunConfig, load: Callable[[RunConfig], TrainingData], say: Say
) -> tuple[RunConfig, TrainingData]:
    """Loads the data set: the named one, or the recipe's, or MNIST, or else the digits."""
    name = config.dataset or recipes.get(config.recipe).dataset
    if name is not None:
        config = replace(config, dataset=name)
        return config, load(config)
    config = replace(config, dataset=_MNIST)
    try:
        return config, load(config)
    except OSError as error:
        if config.data_dir is not None:
            raise
        say(f"MNIST is not available: {error}\nTraining on scikit-learn's digits instead.")
    config = replace(config, dataset=_DIGITS)
    return config, load(config)


def _load_images(config: RunConfig) -> TrainingData:
    assert config.dataset is not None
    options = {**_training_options(config), **dataset_options(config)}
    return data.load_dataset(config.dataset, "train", data_dir=config.data_dir, **options)


def _load_translation(config: RunConfig) -> TrainingData:
    return load_task(config, "train", **_training_options(config)).dataset


def _training_options(config: RunConfig) -> dict[str, Any]:
    """The options for the training data that the run was given, and not by its recipe."""
    options: dict[str, Any] = {
        "batch_size": config.batch_size or recipes.get(config.recipe).batch_size,
        "seed": config.seed,
    }
    if config.image_size is not None:
        options["image_size"] = tuple(config.image_size)
    if config.horizontal_flip:
        options["horizontal_flip"] = True
    return options


def _checked_task(config: RunConfig, recipe: Recipe) -> str | None:
    """The name of the task, or None for pairs or domains in a folder.

    Raises:
        ValueError: There is no such task, or it is not of the kind that the recipe needs.
    """
    if config.task is None and config.dataset == FOLDER:
        return None
    name = config.task or recipe.data.get("task")
    task = find_name(name, data.TASKS, what="a translation task", argument="task")
    if task.kind != recipe.needs:
        fitting = [each for each, entry in data.TASKS.items() if entry.kind == recipe.needs]
        raise ValueError(
            f"Expected a task with {recipe.needs}, which the recipe {config.recipe!r} needs: one "
            f"of {fitting}. Received: task={name!r}, which has {task.kind}."
        )
    return name


def _with_dataset_of_task(config: RunConfig) -> RunConfig:
    """Names the data set of a task. MNIST stays open, since the digits can replace it."""
    if config.dataset is not None or config.task is None:
        return config
    task = data.TASKS[config.task]
    is_open = task.dataset == _MNIST and not task.is_fixed
    return config if is_open else replace(config, dataset=task.dataset)


def _check_no_task(config: RunConfig) -> None:
    if config.task is not None:
        known = [name for name, each in recipes.RECIPES.items() if each.needs in TRANSLATION]
        raise ValueError(
            f"Expected no task (--task), since the recipe {config.recipe!r} does not translate "
            f"images. Received: task={config.task!r}. Choose one of the recipes {known}."
        )


def _resolved(config: RunConfig, dataset: TrainingData) -> RunConfig:
    """The configuration with what a resumed run and other commands cannot read from the data."""
    size = config.image_size
    if config.dataset == FOLDER and size is None:
        size = list(dataset.image_shape[:2])
    names = None if dataset.class_names is None else list(dataset.class_names)
    policy = config.dtype_policy or recipes.get(config.recipe).dtype_policy or "float32"
    return replace(config, image_size=size, class_names=names, dtype_policy=policy)

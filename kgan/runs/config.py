"""The configuration of a run, and its file."""

import inspect
import json
import os
import platform
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

import keras

from kgan import recipes
from kgan._core import __version__
from kgan._files import written_whole
from kgan.data.folder_splits import FOLDER

_KEPT = (
    "dataset",
    "task",
    "input_half",
    "image_size",
    "horizontal_flip",
    "recipe",
    "initial",
    "freeze_discriminator",
    "seed",
    "dtype_policy",
)


@dataclass(frozen=True)
class RunConfig:
    """The settings of a run, as in its `config.json`. None leaves one to the recipe or the data.

    Args:
        dataset: A name that `kgan.data.load_dataset` takes. Defaults to that of the recipe, to
            MNIST if the recipe names none, and to the digits in scikit-learn if MNIST is not
            available.
        data_dir: The directory of the data set's files, or of the pictures for `"folder"`.
        task: A name out of `kgan.data.TASKS`, for a recipe that translates images. Defaults to the
            recipe's, or to the pairs or domains in a folder of pictures.
        input_half: `"left"` or `"right"`, the half that is the input in pictures of both.
        image_size: List of two integers, the height and width of images from a folder of pictures.
        horizontal_flip: Boolean, whether training images are mirrored at random.
        class_names: List of strings, the names of the classes, if the data set has them.
        recipe: A name out of `kgan.recipes.names()`.
        initial: The path of the run or the model from whose weights training started. Defaults to
            random weights.
        freeze_discriminator: Integer, the number of lower layers of the discriminator that keep
            their weights.
        epochs: Integer, the total number of epochs, in all sessions together.
        steps_per_epoch: Integer, batches to an epoch. Defaults to one pass through the data, or to
            as many as make `kgan.runs.FEWEST_IMAGES` images, if that is more.
        batch_size: Integer.
        seed: Integer, for weights, noise and the order of the data.
        evaluation_count: Integer, the number of samples to evaluate after every epoch; 0 for none.
        save_every: Integer, the number of batches between saves within an epoch.
        dtype_policy: The name of the networks' dtype policy in Keras, such as `"mixed_bfloat16"`.
            Defaults to `None`: that of the recipe.
    """

    dataset: str | None = None
    data_dir: str | None = None
    task: str | None = None
    input_half: str = "left"
    image_size: list[int] | None = None
    horizontal_flip: bool = False
    class_names: list[str] | None = None
    recipe: str = recipes.DEFAULT
    initial: str | None = None
    freeze_discriminator: int = 0
    epochs: int | None = None
    steps_per_epoch: int | None = None
    batch_size: int | None = None
    seed: int = 0
    evaluation_count: int = 2000
    save_every: int = 1000
    dtype_policy: str | None = None

    def updated(self, given: Mapping[str, Any]) -> "RunConfig":
        """Returns this configuration with the `given` values that are not None.

        Args:
            given: New values, by the names of settings.

        Raises:
            ValueError: A setting would change that a resumed run keeps, such as the recipe.
        """
        given = {name: value for name, value in given.items() if value is not None}
        for name in _KEPT:
            if name in given and given[name] != getattr(self, name):
                raise ValueError(
                    f"A resumed run keeps its {name}. Expected {getattr(self, name)!r}, or no "
                    f"value. Received: {given[name]!r}. Start another run for that."
                )
        return replace(self, **given)

    @property
    def data_name(self) -> str:
        """The name of the data set, or of the folder of pictures, with that of the task."""
        if self.dataset == FOLDER and self.data_dir is not None:
            name = Path(self.data_dir).name
        else:
            name = self.dataset or "digits"
        return name if self.task is None else f"{name}-{self.task}"


def read_config(path: str | os.PathLike[str]) -> RunConfig:
    """Reads the configuration of a run.

    Args:
        path: The `config.json` of the run.

    Returns:
        A `RunConfig`.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The file is not the configuration of a run.

    Example:
    ```python
    config, dataset = kgan.runs.load_data(kgan.runs.RunConfig(dataset="digits"))
    run = kgan.runs.Run.begin("runs/read", config, dataset)
    assert kgan.runs.read_config("runs/read/config.json") == config
    ```
    """
    try:
        config = RunConfig(**json.loads(Path(path).read_text())["run"])
        _check_types(config)
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f"Expected {path} to be the configuration of a kgan run. Received: {error}."
        ) from error
    return config


def read_versions(path: Path) -> dict[str, str]:
    """Reads the versions that `write_config` wrote, of the packages that trained last.

    Args:
        path: A `config.json`.
    """
    versions = json.loads(path.read_text()).get("versions", {})
    return {str(name): str(version) for name, version in versions.items()}


def _check_types(config: RunConfig) -> None:
    for name, kind in get_type_hints(RunConfig).items():
        value = getattr(config, name)
        kinds = [get_origin(each) or each for each in get_args(kind) or (kind,)]
        # For Python, True is an int.
        if type(value) not in kinds:
            raise TypeError(f"{name}={value!r}, not {inspect.formatannotation(kind)}")


def write_config(path: Path, config: RunConfig) -> None:
    """Writes a configuration, with the versions of all that the run depends on."""
    content = {
        "run": asdict(config),
        "versions": {
            "kgan": __version__,
            "keras": keras.version(),
            "backend": keras.backend.backend(),
            "python": platform.python_version(),
        },
    }
    with written_whole(path) as temporary:
        temporary.write_text(json.dumps(content, indent=2) + "\n")

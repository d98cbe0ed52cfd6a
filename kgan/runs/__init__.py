"""A training run in a directory of its own, which can be stopped and resumed.

gan.keras       the model, from which training goes on, with the next batch
samples/        a grid of samples after every epoch
training.gif    the grids as an animation
history.csv     the logs of every epoch, with the figures of its samples
losses.png      losses and scores as a picture
config.json     what the run was asked for, and with which versions
"""

import contextlib
import inspect
import itertools
import json
import os
import platform
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, get_type_hints

import keras

from kgan import callbacks, data, recipes
from kgan._core import __version__
from kgan._files import remove_unfinished, written_whole
from kgan.callbacks.checkpoint import loading
from kgan.callbacks.loss_history import read_history
from kgan.metrics.evaluator import FEWEST, default_features
from kgan.models import GAN

if sys.platform != "win32":
    import fcntl

MODEL = "gan.keras"
CONFIG = "config.json"
HISTORY = "history.csv"
LOSSES = "losses.png"
SAMPLES = "samples"
ANIMATION = "training.gif"
# An epoch of small data spans several passes: recipes count epochs, and a network needs steps.
FEWEST_IMAGES = 32_000


@dataclass(frozen=True)
class RunConfig:
    """What a run is asked for; None where that is left to the recipe or to chance.

    Args:
        dataset: A name that `kgan.data.load_dataset` takes. Defaults to MNIST where it can be had,
            and the digits that scikit-learn carries where not.
        data_dir: Where the data set's files are.
        recipe: A name out of `kgan.recipes.names()`.
        epochs: Integer, how many the run has in the end, all sessions together.
        steps_per_epoch: Integer, batches to an epoch. Defaults to one pass through the data, or
            as many as make `FEWEST_IMAGES`, if that is more.
        batch_size: Integer.
        seed: Integer, for weights, noise and the order of the data.
        evaluation_count: Integer, how many samples are evaluated after every epoch; 0 for none.
        save_every: Integer, batches from one save of the model to the next, within an epoch.
        dtype_policy: The name of the networks' dtype policy in Keras, as `"mixed_bfloat16"`.
    """

    dataset: str | None = None
    data_dir: str | None = None
    recipe: str = recipes.DEFAULT
    epochs: int | None = None
    steps_per_epoch: int | None = None
    batch_size: int | None = None
    seed: int = 0
    evaluation_count: int = 2000
    save_every: int = 1000
    dtype_policy: str = "float32"

    def updated(self, given: dict[str, Any]) -> "RunConfig":
        """This configuration with what was `given` (and is not None) in its place.

        Raises:
            ValueError: It would no longer be the same run.
        """
        given = {name: value for name, value in given.items() if value is not None}
        for name in ("dataset", "recipe", "seed", "dtype_policy"):
            if name in given and given[name] != getattr(self, name):
                raise ValueError(
                    f"A resumed run keeps its {name}. Expected {getattr(self, name)!r}, or nothing "
                    f"said of it. Received: {given[name]!r}. Begin another run for that."
                )
        return replace(self, **given)


def new_directory(root: str | Path, config: RunConfig) -> Path:
    """Makes the first directory below `root` that no run has taken, named for the config."""
    dataset = re.sub(r"[^\w.-]+", "-", config.dataset or "digits")
    Path(root).mkdir(parents=True, exist_ok=True)
    for number in itertools.count(1):
        directory = Path(root) / f"{dataset}-{config.recipe}-{number:03d}"
        # To find it free and to make it are one: of two runs that begin together, one gets it.
        with contextlib.suppress(FileExistsError):
            directory.mkdir()
            return directory
    raise AssertionError("unreachable")


@contextlib.contextmanager
def held(directory: Path) -> Iterator[None]:
    """A context in which no other process can hold the directory: two runs would mix their files.

    It ends with the process, whatever ends that. On Windows, and on file systems that know no
    locks, nothing is held.

    Raises:
        BlockingIOError: Another process holds it.
    """
    if sys.platform == "win32":
        yield
    else:
        descriptor = os.open(directory, os.O_RDONLY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(descriptor)
            raise BlockingIOError(
                f"Expected a directory that no other process trains in. Received: {directory}, in "
                "which one does. Wait for it to end, or give another --output."
            ) from error
        except OSError:  # the file system knows no locks
            pass
        try:
            yield
        finally:
            os.close(descriptor)


def _remove_unfinished(directory: Path) -> None:
    """Removes what a run that was killed has left: its own files, nobody else's."""
    names = (MODEL, CONFIG, HISTORY, LOSSES, ANIMATION)
    remove_unfinished(directory, "|".join(map(re.escape, names)))
    remove_unfinished(directory / SAMPLES, r"epoch_\d+\.png")


def check_is_free(directory: Path) -> None:
    """Refuses a directory that holds a run already.

    Raises:
        FileExistsError: It does.
    """
    if directory.exists() and not directory.is_dir():
        raise FileExistsError(f"Expected a directory for the run. Received: {directory}, a file.")
    if (directory / MODEL).exists():
        raise FileExistsError(
            f"Expected a directory without a run. Received: {directory}, which has one. Give "
            "--resume to go on with it, or another --output."
        )


def read_config(directory: Path) -> RunConfig:
    """The configuration of the run in a directory.

    Raises:
        FileNotFoundError: There is no run to go on with.
        ValueError: The file is not one that kgan wrote.
    """
    for name in (CONFIG, MODEL):
        if not (directory / name).is_file():
            raise FileNotFoundError(
                f"Expected a run to resume in {directory}. Received: a directory without {name}. "
                "Leave --resume out to begin a run there."
            )
    return _parsed_config(directory / CONFIG)


def config_beside(model: Path) -> RunConfig | None:
    """The configuration of the run that a model is of, or None where it has left its directory.

    Args:
        model: A `gan.keras`, or the directory it is in.

    Raises:
        ValueError: The configuration is not one that kgan wrote.
    """
    path = _directory_of(model) / CONFIG
    return _parsed_config(path) if path.is_file() else None


def history_beside(model: Path) -> list[dict[str, float]] | None:
    """The logs of the run that a model is of, or None where it has left its directory.

    Raises:
        ValueError: They are not what kgan wrote.
    """
    path = _directory_of(model) / HISTORY
    return read_history(path) if path.is_file() else None


def _directory_of(model: Path) -> Path:
    """The directory that a model is in, of its own path or already that of the directory."""
    return model if model.is_dir() else model.parent


def _parsed_config(path: Path) -> RunConfig:
    try:
        config = RunConfig(**json.loads(path.read_text())["run"])
        for name, kind in get_type_hints(RunConfig).items():
            value = getattr(config, name)
            # To Python, True is an int.
            if isinstance(value, bool) or not isinstance(value, kind):
                raise TypeError(f"{name}={value!r}, not {inspect.formatannotation(kind)}")
        return config
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f"Expected {path} to be the configuration of a kgan run. Received: {error}"
        ) from error


def load_gan(path: Path, **options: Any) -> GAN:
    """Loads the GAN in a file, or in a run's directory.

    Args:
        path: A `gan.keras`, or the directory it is in.
        **options: For `keras.saving.load_model`.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is not a GAN that kgan saved, or damaged.
    """
    path = path / MODEL if path.is_dir() else path
    if not path.is_file():
        raise FileNotFoundError(f"Expected a model saved by kgan. Received: {path}: no such file.")
    with loading(f"Expected a model saved by kgan. Received: {path}, which cannot be loaded"):
        gan = keras.saving.load_model(path, **options)
    if not isinstance(gan, GAN):
        raise ValueError(
            f"Expected a model saved by kgan. Received: {path}, which holds a {type(gan).__name__}."
        )
    return gan


def load_data(config: RunConfig, say: Callable[[str], None]) -> tuple[RunConfig, Any]:
    """Loads the training data, and settles which they are if that was left open.

    Returns:
        The config with its data set named, and the `ImageDataset`.
    """
    recipe = recipes.get(config.recipe)

    def load(name: str) -> data.ImageDataset:
        return data.load_dataset(
            name,
            "train",
            data_dir=config.data_dir,
            batch_size=config.batch_size or recipe.batch_size,
            seed=config.seed,
        )

    if config.dataset is not None:
        return config, load(config.dataset)
    try:
        return replace(config, dataset="mnist"), load("mnist")
    except OSError as error:
        if config.data_dir is not None:
            raise
        say(f"MNIST could not be had: {error}\nTraining on scikit-learn's digits instead.")
        return replace(config, dataset="digits"), load("digits")


@dataclass
class Run:
    """A run that is ready to train.

    Args:
        directory: Where its files go.
        config: What it was asked for.
        dataset: The training data.
        gan: A compiled `kgan.GAN`.
    """

    directory: Path
    config: RunConfig
    dataset: Any
    gan: GAN
    _nan_guard: callbacks.TerminateOnNaN = field(default_factory=callbacks.TerminateOnNaN)

    @classmethod
    def begin(cls, directory: Path | None, config: RunConfig, dataset: Any) -> "Run":
        """Makes a new run in a directory that has none.

        Args:
            directory: Where its files go, or None for a new one below `runs/`.
            config: What it is asked for.
            dataset: The training data.

        Raises:
            FileExistsError: There is a run already.
        """
        if directory is not None:
            check_is_free(directory)
        recipe = recipes.get(config.recipe)
        gan = replace(recipe, dtype_policy=config.dtype_policy).build(
            dataset.image_shape, num_classes=dataset.num_classes, seed=config.seed
        )
        # As late as can be: what failed before leaves no directory behind.
        directory = directory or new_directory("runs", config)
        _remove_unfinished(directory)  # of a run that was killed before it had a model
        run = cls(directory, config, dataset, gan)
        # Saved before the first step: a run that is killed in its first epoch can be resumed too.
        # The model last: where there is one, there is a run.
        run._write_config()
        gan.save(directory / MODEL)
        return run

    @classmethod
    def resume(cls, directory: Path, config: RunConfig, dataset: Any) -> "Run":
        """Goes on with the run in a directory."""
        gan = load_gan(directory)
        _remove_unfinished(directory)
        run = cls(directory, config, dataset, gan)
        run._write_config()
        return run

    @property
    def diverged(self) -> bool:
        """Whether training ended because something was no longer a finite number."""
        return self._nan_guard.first is not None

    @property
    def epochs(self) -> int:
        """How many epochs the run has in the end."""
        return self.config.epochs or recipes.get(self.config.recipe).epochs

    @property
    def steps_per_epoch(self) -> int:
        """How many batches an epoch has."""
        fewest = FEWEST_IMAGES // self.dataset.batch_size
        return self.config.steps_per_epoch or max(len(self.dataset), fewest)

    def train(self, time_limit: float | None = None, verbose: int | str = "auto") -> int | None:
        """Trains until the epochs are done, the time is over or a signal says to stop.

        Args:
            time_limit: Float, seconds.
            verbose: As for `keras.Model.fit`.

        Returns:
            The number of the signal that ended training, or None.
        """
        chosen: list[Any] = [
            *self._evaluation(),
            self._nan_guard,
            callbacks.LossHistory(self.directory / HISTORY, plot=self.directory / LOSSES),
            callbacks.SampleGrid(self.directory / SAMPLES, animation=f"../{ANIMATION}"),
            callbacks.Checkpoint(self.directory / MODEL, every_batches=self.config.save_every),
        ]
        if time_limit is not None:
            chosen.insert(0, callbacks.TimeLimit(time_limit))
        on_signal = callbacks.StopOnSignal()
        self.gan.fit(
            self.dataset,
            initial_epoch=self.gan.epochs_trained,
            epochs=self.epochs,
            steps_per_epoch=self.steps_per_epoch,
            callbacks=[on_signal, *chosen],
            verbose=verbose,
        )
        return on_signal.received

    def _evaluation(self) -> list[Any]:
        """What looks at samples after every epoch, before the callbacks that read the logs."""
        if len(self.dataset.images) < FEWEST:  # of so few no figure says anything
            return []
        chosen: list[Any] = [callbacks.CollapseAlarm(self.dataset)]
        count = self.config.evaluation_count
        # Images that kgan has no features for go without figures.
        if count and default_features(self.dataset) is not None:
            chosen.insert(0, callbacks.PeriodicEvaluation(self.dataset, count=count))
        return chosen

    def _write_config(self) -> None:
        content = {
            "run": asdict(self.config),
            "versions": {
                "kgan": __version__,
                "keras": keras.version(),
                "backend": keras.backend.backend(),
                "python": platform.python_version(),
            },
        }
        with written_whole(self.directory / CONFIG) as temporary:
            temporary.write_text(json.dumps(content, indent=2) + "\n")

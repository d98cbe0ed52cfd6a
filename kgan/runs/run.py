"""Runs: begun, resumed, or opened to use their model."""

import functools
import os
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import keras

from kgan import callbacks, recipes
from kgan._environment import register_classes
from kgan.callbacks.checkpoint import loading
from kgan.callbacks.loss_history import read_history
from kgan.data.paired import TranslationDataset
from kgan.metrics.datasets import compared_with
from kgan.metrics.evaluator import FEWEST, default_features, is_sequence
from kgan.runs import directory as files
from kgan.runs.config import RunConfig, read_config, read_versions, write_config
from kgan.runs.training_data import TrainingData
from kgan.training import GenerativeModel
from kgan.training.capabilities import Encodes, Generates, Translates, classes_of

# An epoch of small data spans several passes: recipes count epochs, and networks need steps.
FEWEST_IMAGES = 32_000
_RECONSTRUCTED = 32
_TRANSLATED = 16
_SEQUENCES = 32


@dataclass(frozen=True)
class SavedRun:
    """A saved model, and the files of its run. `Run.open` returns one.

    Args:
        path: The file of the model.
        model: The model.
    """

    path: Path
    model: GenerativeModel

    @functools.cached_property
    def config(self) -> RunConfig | None:
        """The configuration of the run, or None if the file is no longer in its directory.

        Raises:
            ValueError: There is a `config.json` that kgan did not write.
        """
        path = self.path.parent / files.CONFIG
        return read_config(path) if path.is_file() else None

    @property
    def versions(self) -> dict[str, str] | None:
        """The versions of the packages that trained last, or None if that is not known.

        Raises:
            ValueError: There is a `config.json` that kgan did not write.
        """
        return None if self.config is None else read_versions(self.path.parent / files.CONFIG)

    @property
    def class_names(self) -> list[str] | None:
        """The names of the classes, or None if they have none or another program wrote the file."""
        try:
            return None if self.config is None else self.config.class_names
        except ValueError:
            return None

    @functools.cached_property
    def history(self) -> list[dict[str, float]] | None:
        """The logs of each epoch, or None if the file is no longer in its directory.

        Raises:
            ValueError: There is a `history.csv` that kgan did not write.
        """
        path = self.path.parent / files.HISTORY
        return read_history(path) if path.is_file() else None


@dataclass
class Run:
    """A run that is ready to train.

    `Run.begin` starts a run, `Run.resume` continues one, and `Run.open` loads the model of one.
    A run trains with the callbacks of `kgan train`, which write the files of its directory.

    Args:
        directory: The directory of its files.
        config: Its settings.
        dataset: The training data.
        model: A compiled `kgan.training.GenerativeModel`.
    """

    directory: Path
    config: RunConfig
    dataset: TrainingData
    model: GenerativeModel
    _nan_guard: callbacks.TerminateOnNaN = field(default_factory=callbacks.TerminateOnNaN)

    @classmethod
    def begin(
        cls,
        directory: str | os.PathLike[str] | None,
        config: RunConfig,
        dataset: TrainingData,
        initial: GenerativeModel | None = None,
    ) -> "Run":
        """Starts a new run in a directory that has none.

        Args:
            directory: The directory of its files, or None for a new one below `runs/`.
            config: Its settings, as `load_data` returns them.
            dataset: The training data.
            initial: The model from whose weights it starts, which `config.initial` names. Defaults
                to random weights.

        Returns:
            The `Run`, whose model is saved and not yet trained.

        Raises:
            FileExistsError: The directory has a run already.
            ValueError: The recipe cannot be built for such data, or the weights do not fit.
        """
        if directory is not None:
            directory = Path(directory)
            files.check_is_free(directory)
        recipe = recipes.get(config.recipe)
        policy = config.dtype_policy or recipe.dtype_policy
        model = replace(recipe, dtype_policy=policy).build(
            **dataset.build_options, seed=config.seed, initial=initial, frozen=_frozen(config)
        )
        # As late as possible: an error before leaves no directory behind.
        if directory is None:
            directory = files.new_directory("runs", config.data_name, config.recipe)
        files.remove_unfinished(directory)  # of a run that was killed before it had a model
        run = cls(directory, config, dataset, model)
        # Saved before the first step: a run that is killed in its first epoch can be resumed too.
        # The model last: a directory with a model has a run.
        write_config(directory / files.CONFIG, config)
        model.save(directory / files.MODEL)
        return run

    @classmethod
    def resume(
        cls, directory: str | os.PathLike[str], config: RunConfig, dataset: TrainingData
    ) -> "Run":
        """Continues the run in a directory.

        Args:
            directory: The directory of its files.
            config: Its settings from now on.
            dataset: The training data.

        Returns:
            The `Run`, with the model as it was saved last.

        Raises:
            FileNotFoundError: The directory has no model.
            ValueError: The model is damaged.
        """
        directory = Path(directory)
        model = cls.open(directory).model
        files.remove_unfinished(directory)
        run = cls(directory, config, dataset, model)
        write_config(directory / files.CONFIG, config)
        return run

    @staticmethod
    def open(path: str | os.PathLike[str], **options: Any) -> SavedRun:
        """Loads a model, and finds the files of its run.

        Args:
            path: The directory of a run, or the file or unzipped folder of a model.
            **options: Arguments for `keras.saving.load_model`.

        Returns:
            A `SavedRun`: `model`, and `config` and `history` if the file is in its directory.

        Raises:
            FileNotFoundError: There is no such file.
            ValueError: The file is damaged, or no model that kgan saved.
        """
        path = Path(path)
        if path.is_dir() and not files.is_unzipped_model(path):
            if not (path / files.MODEL).is_file():
                raise FileNotFoundError(
                    f"Expected a run directory, with a file {files.MODEL}. Received: {path}, a "
                    "directory without it. Give the directory that `kgan train` made."
                )
            path = path / files.MODEL
        if not path.exists():
            raise FileNotFoundError(
                f"Expected a model saved by kgan. Received: {path}: no such file."
            )
        register_classes()
        with loading(f"Expected a model saved by kgan. Received: {path}, which cannot be loaded"):
            model = keras.saving.load_model(path, **options)
        if not isinstance(model, GenerativeModel):
            raise ValueError(
                f"Expected a model saved by kgan. Received: {path}, which holds a "
                f"{type(model).__name__}."
            )
        return SavedRun(path, model)

    @property
    def diverged(self) -> bool:
        """Whether training ended because a log was NaN or infinite."""
        return self._nan_guard.first is not None

    @property
    def epochs(self) -> int:
        """The total number of epochs of the run."""
        return self.config.epochs or recipes.get(self.config.recipe).epochs

    @property
    def steps_per_epoch(self) -> int:
        """The number of batches in an epoch."""
        fewest = FEWEST_IMAGES // self.dataset.batch_size
        return self.config.steps_per_epoch or max(len(self.dataset), fewest)

    def train(self, time_limit: float | None = None, verbose: int | str = "auto") -> int | None:
        """Trains until all epochs are done, the time is over or a signal arrives.

        Args:
            time_limit: Float, seconds.
            verbose: As for `keras.Model.fit`.

        Returns:
            The number of the signal that ended training, or None.
        """
        on_signal = callbacks.StopOnSignal()
        limits = [] if time_limit is None else [callbacks.TimeLimit(time_limit)]
        self.model.fit(
            self.dataset,
            initial_epoch=self.model.epochs_trained,
            epochs=self.epochs,
            steps_per_epoch=self.steps_per_epoch,
            callbacks=[on_signal, *limits, *self._callbacks()],
            verbose=verbose,
        )
        return on_signal.received

    def _callbacks(self) -> list[keras.callbacks.Callback]:
        """The callbacks for what the model can do."""
        return [
            *recipes.get(self.config.recipe).make_callbacks(),
            *self._evaluation(),
            self._nan_guard,
            callbacks.LossHistory(
                self.directory / files.HISTORY, plot=self.directory / files.LOSSES
            ),
            *self._grids(),
            callbacks.Checkpoint(
                self.directory / files.MODEL, every_batches=self.config.save_every
            ),
        ]

    def _evaluation(self) -> list[keras.callbacks.Callback]:
        """Callbacks that evaluate samples, before the callbacks that read the logs."""
        if isinstance(self.dataset, TranslationDataset):  # these metrics are of samples
            return []
        if len(self.dataset.images) < FEWEST:  # too few for any metric
            return []
        real = compared_with(self.model, self.dataset)
        chosen: list[keras.callbacks.Callback] = [callbacks.CollapseAlarm(real)]
        count = self.config.evaluation_count
        # There are no metrics for images that kgan has no features for.
        has_features = default_features(real) is not None
        if count and has_features and isinstance(self.model, Generates):
            chosen.insert(0, callbacks.PeriodicEvaluation(real, count=count))
        return chosen

    def _grids(self) -> list[keras.callbacks.Callback]:
        if isinstance(self.dataset, TranslationDataset):
            return _translation_grids(self.directory, self.dataset, self.model)
        chosen: list[keras.callbacks.Callback] = []
        if isinstance(self.model, Generates):
            names = self.dataset.class_names
            # Sequences are as long as several images are wide: below each other.
            layout: dict[str, Any] = {}
            if is_sequence(self.dataset):
                layout = {"columns": 1, "rows": _SEQUENCES}
            chosen.append(
                callbacks.SampleGrid(
                    self.directory / files.SAMPLES,
                    **layout,
                    animation=f"../{files.ANIMATION}",
                    # A recipe may give the model other classes than the data set has.
                    class_names=names if names and len(names) == classes_of(self.model) else None,
                )
            )
        if isinstance(self.model, Encodes):
            count = min(_RECONSTRUCTED, len(self.dataset.images))
            images, labels = self.dataset.draw(count, seed=0)
            chosen.append(
                callbacks.SampleGrid(
                    self.directory / files.RECONSTRUCTIONS,
                    animation=None,
                    value_range=self.dataset.as_floats().value_range,
                    inputs=images if labels is None else (images, labels),
                )
            )
        return chosen


def _translation_grids(
    directory: Path, dataset: TranslationDataset, model: GenerativeModel
) -> list[keras.callbacks.Callback]:
    """A grid of translations for each direction. The first one has the animation of the run."""
    if not isinstance(model, Translates):
        return []
    first, second = dataset.draw(min(_TRANSLATED, dataset.smallest), seed=0)
    places = (files.SAMPLES, f"../{files.ANIMATION}"), (files.SAMPLES_TO_A, None)
    return [
        callbacks.SampleGrid(
            directory / name,
            animation=animation,
            value_range=dataset.value_range,
            inputs=inputs,
            targets=targets if to is None else None,
            to=to,
        )
        for to, (inputs, targets), (name, animation) in zip(
            dataset.directions, ((first, second), (second, first)), places, strict=False
        )
    ]


def _frozen(config: RunConfig) -> dict[str, int]:
    count = config.freeze_discriminator
    return {"discriminator": count} if count else {}


def load(path: str | os.PathLike[str], **options: Any) -> GenerativeModel:
    """Loads a trained model from a run directory or a file.

    `keras.saving.load_model` loads the file `model.keras` in a run directory too, but not the
    directory: it takes that for a folder of another format, and fails with an unrelated error.

    Args:
        path: The directory of a run, as `kgan train` makes it, or a file that `model.save` wrote,
            or a folder that `model.save(folder, zipped=False)` wrote.
        **options: Arguments for `keras.saving.load_model`, such as `compile=False`.

    Returns:
        The model, ready to generate, evaluate or train further.

    Raises:
        FileNotFoundError: There is no such file, or no `model.keras` in the directory.
        ValueError: The file is damaged, or does not hold a model that kgan saved.
        TypeError: `path` is not a path.

    Example:
    ```python
    gan.save("gan.keras")
    model = kgan.load("gan.keras")  # or the directory of a run: "runs/mnist-dcgan_r1-001"
    assert np.array_equal(model.generate(4, seed=1), gan.generate(4, seed=1))
    ```
    """
    if not isinstance(path, (str, os.PathLike)):
        raise TypeError(
            "Expected the path of a run directory or of a file in .keras. "
            f"Received: path={path!r}, a {type(path).__name__}."
        )
    return Run.open(path, **options).model

"""The directory of a run: the names of its files, and the lock on it."""

import contextlib
import itertools
import os
import re
from collections.abc import Iterator
from pathlib import Path

from kgan._files import held as _held
from kgan._files import remove_unfinished as _remove_unfinished

MODEL = "model.keras"
CONFIG = "config.json"
HISTORY = "history.csv"
LOSSES = "losses.png"
SAMPLES = "samples"
SAMPLES_TO_A = "samples_to_a"
RECONSTRUCTIONS = "reconstructions"
ANIMATION = "training.gif"


def is_unzipped_model(path: Path) -> bool:
    """Whether a directory is a model that Keras saved with `zipped=False`."""
    return all((path / name).is_file() for name in ("metadata.json", "model.weights.h5"))


def new_directory(root: str | os.PathLike[str], dataset: str, recipe: str) -> Path:
    """Makes a new directory for a run: the first below `root` that no run has taken.

    Args:
        root: The directory of all runs.
        dataset: String, the name of the data set.
        recipe: String, the name of the recipe.

    Returns:
        The path `<root>/<dataset>-<recipe>-<number>`.

    Example:
    ```python
    directory = kgan.runs.new_directory("runs", "digits", "vae")
    assert directory.name == "digits-vae-001"
    ```
    """
    name = re.sub(r"[^\w.-]+", "-", dataset)
    Path(root).mkdir(parents=True, exist_ok=True)
    for number in itertools.count(1):
        directory = Path(root) / f"{name}-{recipe}-{number:03d}"
        # One step checks that it is free and makes it: of two runs that begin together, one gets
        # it.
        with contextlib.suppress(FileExistsError):
            directory.mkdir()
            return directory
    raise AssertionError("unreachable")


@contextlib.contextmanager
def held(directory: str | os.PathLike[str]) -> Iterator[None]:
    """Locks the directory of a run, so that no other process trains in it at the same time.

    There is no lock on Windows and on file systems without locks.

    Args:
        directory: The directory, which exists.

    Returns:
        A context manager.

    Raises:
        BlockingIOError: Another process has the lock.

    Example:
    ```python
    directory = kgan.runs.new_directory("runs", "digits", "dcgan_r1")
    with kgan.runs.held(directory):
        print(f"no other process trains in {directory}")
    ```
    """
    directory = Path(directory)
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(_held(directory))
        except BlockingIOError as error:
            raise BlockingIOError(
                f"Expected a directory that no other process trains in. Received: {directory}, in "
                "which one does. Wait until it ends, or give another --output."
            ) from error
        yield


def check_is_free(directory: str | os.PathLike[str]) -> None:
    """Checks that a directory has no run yet.

    Args:
        directory: The directory, which need not exist.

    Raises:
        FileExistsError: It has one, or it is a file.

    Example:
    ```python
    kgan.runs.check_is_free("runs/new")
    ```
    """
    directory = Path(directory)
    if directory.exists() and not directory.is_dir():
        raise FileExistsError(f"Expected a directory for the run. Received: {directory}, a file.")
    if (directory / MODEL).exists():
        raise FileExistsError(
            f"Expected a directory without a run. Received: {directory}, which has one. Give "
            "--resume to continue it, or another --output."
        )


def check_has_run(directory: str | os.PathLike[str]) -> None:
    """Checks that a directory has a run.

    Args:
        directory: The directory.

    Raises:
        FileNotFoundError: Its model or its configuration is missing.

    Example:
    ```python
    try:
        kgan.runs.check_has_run("runs/new")
    except FileNotFoundError as error:
        print(error)
    ```
    """
    directory = Path(directory)
    for name in (CONFIG, MODEL):
        if not (directory / name).is_file():
            raise FileNotFoundError(
                f"Expected a run to resume in {directory}. Received: a directory without {name}. "
                "Leave --resume out to start a run there."
            )


def remove_unfinished(directory: Path) -> None:
    """Removes the incomplete files that a killed run left, and no others."""
    names = (MODEL, CONFIG, HISTORY, LOSSES, ANIMATION)
    _remove_unfinished(directory, "|".join(map(re.escape, names)))
    for grids in (SAMPLES, SAMPLES_TO_A, RECONSTRUCTIONS):
        _remove_unfinished(directory / grids, r"epoch_\d+\.png")

"""The logs of a run, as a table and as a picture."""

import contextlib
import csv
import os
from pathlib import Path
from typing import Any

import keras

from kgan import _backend
from kgan._files import written_whole


class LossHistory(keras.callbacks.Callback):
    """Writes the logs of every epoch so far to a CSV file, and draws them if asked to.

    Unlike Keras's `CSVLogger` it takes logs that turn up in some epochs only, and the files are
    whole at any moment. Epochs are counted from 1. Of several processes that train a model
    together, the chief writes.

    Args:
        path: The CSV file.
        plot: A `.png` for the losses and scores. Defaults to none.
        resume: Whether to keep the epochs that the file holds from before; those that are trained
            again are replaced.

    Example:
    ```python
    history = kgan.callbacks.LossHistory("history.csv", plot="losses.png")
    gan.fit(train, epochs=20, callbacks=[history])
    ```
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        plot: str | os.PathLike[str] | None = None,
        resume: bool = False,
    ) -> None:
        super().__init__()
        self.path = Path(path)
        self.plot = plot
        self.resume = resume
        self._epochs: list[dict[str, float]] = []

    def on_train_begin(self, logs: Any = None) -> None:
        """Reads the epochs before this run, if it is to go on with them."""
        del logs
        self._epochs = read_history(self.path) if self.resume and self.path.exists() else []

    def get_state(self) -> dict[str, int]:
        """What a resumed training goes on with: how many epochs there were."""
        return {"epochs": len(self._epochs)}

    def set_state(self, state: dict[str, int]) -> None:
        """Goes on from there, with the epochs in the file."""
        self._epochs = read_history(self.path)[: state["epochs"]] if self.path.exists() else []

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Writes, and draws."""
        if not _backend.is_chief(self.model):
            return
        row = {"epoch": epoch + 1.0, **_numbers(logs or {})}
        self._epochs = [before for before in self._epochs if before["epoch"] <= epoch] + [row]
        write_history(self.path, self._epochs)
        if self.plot is not None:
            plot_losses(self.plot, self._epochs)


def _numbers(logs: dict[str, Any]) -> dict[str, float]:
    """The logs that are numbers: a loop of somebody's own may have others."""
    numbers = {}
    for name, value in logs.items():
        with contextlib.suppress(TypeError, ValueError):
            numbers[name] = float(value)
    return numbers


def write_history(path: str | os.PathLike[str], epochs: list[dict[str, float]]) -> None:
    """Writes a CSV file with a column for every name in any epoch's logs."""
    names = list(dict.fromkeys(name for logs in epochs for name in logs))
    with (
        written_whole(path) as temporary,
        temporary.open("w", newline="", encoding="utf-8") as file,
    ):
        writer = csv.DictWriter(file, names)
        writer.writeheader()
        writer.writerows({**logs, "epoch": int(logs["epoch"])} for logs in epochs)


def read_history(path: str | os.PathLike[str]) -> list[dict[str, float]]:
    """Reads what `write_history` wrote: the logs of each epoch."""
    with Path(path).open(newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        try:
            epochs = [{name: float(n) for name, n in row.items() if n} for row in reader]
        except (TypeError, ValueError) as error:
            raise ValueError(f"Expected {path} to hold numbers. Received: {error}") from error
    if not all("epoch" in logs for logs in epochs):
        raise ValueError(
            f"Expected {path} to have a column `epoch`, filled in every row, as kgan writes it. "
            f"Received: the columns {reader.fieldnames}."
        )
    return epochs


def plot_losses(path: str | os.PathLike[str], epochs: list[dict[str, float]]) -> None:
    """Draws losses above, the discriminator's mean scores below.

    Args:
        path: Where the PNG is written.
        epochs: The logs of each epoch, with its number under `epoch`.
    """
    # Imported here: it takes a third of a second, and most sessions never plot.
    from matplotlib.figure import Figure  # noqa: PLC0415

    figure = Figure(figsize=(8, 6), dpi=100, layout="constrained")
    panels = figure.subplots(2, 1, sharex=True)
    every = sorted({name for logs in epochs for name in logs})
    shown = (
        ("loss", [name for name in every if name.endswith("loss")]),
        ("mean logit", [name for name in every if name.endswith(("real_score", "fake_score"))]),
    )
    for panel, (label, names) in zip(panels, shown, strict=True):
        for name in names:
            points = [(logs["epoch"], logs[name]) for logs in epochs if name in logs]
            panel.plot(*zip(*points, strict=True), marker="o", markersize=3, label=_words(name))
        panel.set_ylabel(label)
        panel.grid(alpha=0.3)
        if names:
            panel.legend(frameon=False)
    panels[-1].set_xlabel("epoch")
    panels[-1].xaxis.get_major_locator().set_params(integer=True)
    with written_whole(path) as temporary:
        figure.savefig(temporary, format="png")


def _words(name: str) -> str:
    return name.replace("val_", "held-out ").replace("_", " ")

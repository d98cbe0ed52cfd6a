"""The logs of a run, as a table and as a picture."""

import contextlib
import csv
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kgan import _backend
from kgan._files import written_whole
from kgan.training.callback import Callback
from kgan.training.log_names import in_panels

_PLOTTED_PANELS = 2


class LossHistory(Callback):
    """Writes the logs of every epoch so far to a CSV file, and can plot them.

    Unlike Keras's `CSVLogger` it accepts logs that appear only in some epochs, and the files are
    complete at any moment. Epochs are counted from 1. Of several processes that train a model
    together, the chief writes.

    Args:
        path: The CSV file.
        plot: A `.png` file for the plot of the losses. Defaults to none.
        resume: Whether to keep the epochs that the file already holds. Epochs that are trained
            again are replaced.

    Example:
    ```python
    history = kgan.callbacks.LossHistory("history.csv", plot="losses.png")
    model.fit(train, epochs=20, callbacks=[history])
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

    def on_train_begin(self, logs: Mapping[str, Any] | None = None) -> None:
        """Reads the epochs of earlier sessions, with `resume`."""
        del logs
        self._epochs = read_history(self.path) if self.resume and self.path.exists() else []

    def get_state(self) -> dict[str, int]:
        """The number of epochs so far, for a resumed training."""
        return {"epochs": len(self._epochs)}

    def set_state(self, state: dict[str, int]) -> None:
        """Restores that many epochs from the file."""
        self._epochs = read_history(self.path)[: state["epochs"]] if self.path.exists() else []

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Writes the file, and the plot."""
        if not _backend.is_chief(self.model):
            return
        row = {"epoch": epoch + 1.0, **_numbers(logs or {})}
        self._epochs = [before for before in self._epochs if before["epoch"] <= epoch] + [row]
        write_history(self.path, self._epochs)
        if self.plot is not None:
            plot_losses(self.plot, self._epochs)


def _numbers(logs: Mapping[str, Any]) -> dict[str, float]:
    """The logs that are numbers: a custom loop may have others."""
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
    """Reads a file of `write_history`: the logs of each epoch.

    Raises:
        ValueError: The file is not one that kgan wrote.
    """
    with Path(path).open(newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        try:
            epochs = [{name: float(n) for name, n in row.items() if n} for row in reader]
        except (TypeError, ValueError) as error:
            raise ValueError(f"Expected {path} to hold numbers. Received: {error}.") from error
    if not all("epoch" in logs for logs in epochs):
        raise ValueError(
            f"Expected {path} to have a column `epoch`, filled in every row, as kgan writes it. "
            f"Received: the columns {reader.fieldnames}."
        )
    return epochs


def plot_losses(path: str | os.PathLike[str], epochs: list[dict[str, float]]) -> None:
    """Plots the first two panels of the logs: for a GAN, losses and mean scores.

    Args:
        path: The PNG file.
        epochs: The logs of each epoch, with its number under `epoch`.
    """
    # Imported here: it takes a third of a second, and most sessions never plot.
    from matplotlib.figure import Figure  # noqa: PLC0415

    names = dict.fromkeys(name for logs in epochs for name in logs if name != "epoch")
    plotted = list(in_panels(names).items())[:_PLOTTED_PANELS]
    count = max(len(plotted), 1)
    figure = Figure(figsize=(8, 3 * count), dpi=100, layout="constrained")
    panels = figure.subplots(count, 1, sharex=True, squeeze=False)[:, 0]
    for panel, (title, within) in zip(panels, plotted, strict=False):
        for described in within:
            name = described.name
            points = [(logs["epoch"], logs[name]) for logs in epochs if name in logs]
            line = zip(*points, strict=True)
            panel.plot(*line, marker="o", markersize=3, label=described.label)
        panel.set_ylabel(title)
        panel.grid(alpha=0.3)
        panel.legend(frameon=False)
    panels[-1].set_xlabel("epoch")
    panels[-1].xaxis.get_major_locator().set_params(integer=True)
    with written_whole(path) as temporary:
        figure.savefig(temporary, format="png")

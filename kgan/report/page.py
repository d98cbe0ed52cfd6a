"""The page: one HTML file that needs no other, nor a network."""

import base64
import datetime
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
import numpy as np

from kgan._core import __version__
from kgan._files import written_whole
from kgan.images import grid, png_bytes
from kgan.metrics import MEASURES, Evaluation, Figure
from kgan.metrics.figures import FEW_CLASSES, notes_on
from kgan.report import charts
from kgan.report.verdict import verdict

_SAMPLES = 100
_PAIRS = 24
_SAMPLES_OF_A_CLASS = 10
_SHOWN_CLASSES = 10

_BETTER = {
    "lower": ("↓", "lower is better"),
    "higher": ("↑", "higher is better"),
    "floor": ("→", "nearest to real is better"),
}


@dataclass(frozen=True)
class Panel:
    """A picture, and what it shows.

    Args:
        title: String.
        caption: String.
        picture: uint8 `(height, width, channels)`.
        rows: The names of its rows, or none.
    """

    title: str
    caption: str
    picture: np.ndarray
    rows: Sequence[str] = ()

    @property
    def source(self) -> str:
        """The picture as the address of an image."""
        return "data:image/png;base64," + base64.b64encode(png_bytes(self.picture)).decode()


@dataclass(frozen=True)
class Row:
    """A figure, as it is printed.

    Args:
        title: String.
        explanation: String, what it tells.
        arrow: String, which way is better.
        direction: String, the same in words.
        value: String.
        count: String, N.
        notes: Strings, the spread and the interval.
        floor: String, or None.
        floor_count: String, or None.
        bar: Two floats from 0 to 100, where value and floor stand on a scale from 0, or None.
    """

    title: str
    explanation: str
    arrow: str
    direction: str
    value: str
    count: str
    notes: list[str]
    floor: str | None
    floor_count: str | None
    bar: tuple[float, float] | None


def write_report(
    directory: str | os.PathLike[str],
    evaluation: Evaluation,
    *,
    model: str,
    dataset: str,
    history: Sequence[Mapping[str, float]] | None = None,
    interpolation: np.ndarray | None = None,
) -> Path:
    """Writes an evaluation as a page to look at: `report.html`, one file that holds everything.

    What an evaluation or a training does not have is left out.

    Args:
        directory: Where the page goes. It is made if it is not there.
        evaluation: A `kgan.metrics.Evaluation`.
        model: String, what was evaluated.
        dataset: String, what it was compared with.
        history: The logs of each epoch, with its number under `epoch`, as
            `kgan.callbacks.LossHistory` writes them. Defaults to none.
        interpolation: uint8 `(rows, steps, height, width, channels)`, images on ways from one
            latent to another. Defaults to none.

    Returns:
        The path of the page.

    Raises:
        ValueError: The interpolation has another shape.

    Example:
    ```python
    evaluation = kgan.evaluate(gan, train)
    page = write_report("report", evaluation, model="gan.keras", dataset="mnist")
    ```
    """
    if interpolation is not None and np.ndim(interpolation) != 5:
        raise ValueError(
            "Expected `interpolation` to be an array (rows, steps, height, width, channels). "
            f"Received: shape {np.shape(interpolation)}."
        )
    training, figures = charts.history_charts(history or [])
    now = datetime.datetime.now(datetime.timezone.utc)
    text = _template().render(
        model=model,
        dataset=dataset,
        evaluation=evaluation,
        count=max((figure.count for figure in evaluation.figures.values()), default=0),
        now=now,
        version=__version__,
        findings=verdict(evaluation),
        panels=_panels(evaluation, interpolation),
        rows=[_row(name, figure) for name, figure in evaluation.figures.items()],
        shares=_shares(evaluation),
        modes=_modes(evaluation),
        training=training,
        figures=figures,
        chart_size=(charts.WIDTH, charts.HEIGHT),
    )
    path = Path(directory) / "report.html"
    with written_whole(path) as temporary:
        temporary.write_bytes(text.encode("utf-8", "replace"))  # names of files need not be text
    return path


def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("report.html")


def _row(name: str, figure: Figure) -> Row:
    measure = MEASURES[name]

    def printed(value: float) -> str:
        return "∞" if math.isinf(value) else measure.format(value)

    floor, floor_count = None, None
    if figure.floor is not None:
        floor, floor_count = printed(figure.floor), f"{figure.floor_count:,}"
    return Row(
        charts.headline(measure.title),
        measure.explanation,
        *_BETTER[measure.better],
        printed(figure.value),
        f"{figure.count:,}",
        notes_on(measure, figure),
        floor,
        floor_count,
        _bar(measure.better, figure),
    )


def _bar(better: str, figure: Figure) -> tuple[float, float] | None:
    if figure.floor is None or not math.isfinite(figure.value + figure.floor):
        return None
    end = max(figure.value, figure.floor)
    # Shares are of 1; any other scale ends at the greater of the two.
    if better != "lower" and end <= 1:
        end = 1.0
    if end <= 0:
        return None
    value, floor = (round(100 * max(x, 0.0) / end, 2) for x in (figure.value, figure.floor))
    return value, floor


def _panels(evaluation: Evaluation, interpolation: np.ndarray | None) -> list[Panel]:
    panels: list[Panel] = []
    if evaluation.samples.shape[3] not in {1, 3}:
        return panels  # of two channels there is no picture
    if len(evaluation.samples):
        shown = evaluation.samples[:_SAMPLES]
        caption = f"The first {len(shown)} samples, chosen by no one."
        panels.append(Panel("As they come", caption, grid(shown, gap=1)))
    panels += _class_panels(evaluation)
    if evaluation.neighbours is not None and len(evaluation.neighbours):
        nearest = evaluation.neighbours[:_PAIRS]
        pairs = np.concatenate([evaluation.samples[: len(nearest)], nearest], axis=2)
        caption = (
            "Pairs: on the left a sample, on the right the training image that is nearest to it, "
            "pixel by pixel. A generator that copies shows the same image twice."
        )
        panels.append(Panel("Nearest training images", caption, grid(pairs, columns=4, gap=3)))
    if interpolation is not None and interpolation.size:
        steps = interpolation.shape[1]
        flat = interpolation.reshape(-1, *interpolation.shape[2:])
        caption = "Each row is a way from one latent to another, in equal steps."
        panels.append(Panel("Between samples", caption, grid(flat, columns=steps, gap=1)))
    return panels


def _class_panels(evaluation: Evaluation) -> list[Panel]:
    asked = evaluation.sample_labels is not None
    classes = evaluation.sample_labels if asked else evaluation.sample_classes
    if classes is None or not len(classes):
        return []
    shares = evaluation.sample_shares
    # Asked-for classes need not be those that the classifier tells.
    total = int(classes.max()) + 1 if asked or shares is None else len(shares)
    if total > FEW_CLASSES:
        return []
    shown = range(min(total, _SHOWN_CLASSES))
    rows = [evaluation.samples[classes == number][:_SAMPLES_OF_A_CLASS] for number in shown]
    columns = max(map(len, rows))
    if not columns:
        return []
    # The ground of the grid, where a class has fewer.
    tiles = np.full((len(rows), columns, *evaluation.samples.shape[1:]), 127, "uint8")
    for tile_row, images in zip(tiles, rows, strict=True):
        tile_row[: len(images)] = images
    source = "that was asked for" if asked else "that the classifier sees in them"
    caption = f"Samples by the class {source}."
    if len(shown) < total:
        caption += f" The first {len(shown)} of {total} classes."
    picture = grid(tiles.reshape(-1, *tiles.shape[2:]), columns=columns, gap=1)
    return [Panel("By class", caption, picture, [str(number) for number in shown])]


def _shares(evaluation: Evaluation) -> list[dict[str, Any]]:
    """The classes, with their shares as percentages and as lengths of bars."""
    fake, real = evaluation.sample_shares, evaluation.real_shares
    if fake is None or real is None or len(fake) > FEW_CLASSES:
        return []
    longest = max(fake.max(), real.max())
    return [
        {
            "name": number,
            "fake": f"{share:.1%}",
            "real": f"{real_share:.1%}",
            "bar": (round(100 * share / longest, 2), round(100 * real_share / longest, 2)),
        }
        for number, (share, real_share) in enumerate(zip(fake, real, strict=True))
    ]


def _modes(evaluation: Evaluation) -> charts.Chart | None:
    """The shares of very many classes, the most frequent first."""
    fake, real = evaluation.sample_shares, evaluation.real_shares
    if fake is None or real is None or len(fake) <= FEW_CLASSES:
        return None
    curves = {
        name: [
            (float(rank), 100 * float(share)) for rank, share in enumerate(np.sort(shares)[::-1], 1)
        ]
        for name, shares in (("samples", fake), ("real images", real))
    }
    title = "Share of each mode in percent, the most frequent first"
    return charts.line_chart(title, curves, step="mode")

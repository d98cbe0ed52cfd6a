"""The page: one HTML file that needs no other file and no connection."""

import base64
import datetime
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
import numpy as np

from kgan._core import __version__
from kgan._files import written_whole
from kgan._typing import Pictures
from kgan.images import class_grid, grid, paired_grid, png_bytes
from kgan.metrics import (
    MEASURES,
    Evaluation,
    Figure,
    LikelihoodEvaluation,
    ReconstructionEvaluation,
    TranslationEvaluation,
    TruncationCurve,
)
from kgan.metrics.figures import FEW_CLASSES, notes_on, title_of
from kgan.report import charts
from kgan.report.completions import Completions
from kgan.report.latent_space import SIZE, LatentSpace, scatter_plot
from kgan.report.verdict import verdict
from kgan.training.log_names import headline

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
    """A picture with its title.

    Args:
        title: String.
        caption: String, what it shows.
        picture: uint8 `(height, width, channels)`.
        rows: The names of its rows, or none.
    """

    title: str
    caption: str
    picture: Pictures
    rows: Sequence[str] = ()

    @property
    def source(self) -> str:
        """The picture as the address of an image."""
        return "data:image/png;base64," + base64.b64encode(png_bytes(self.picture)).decode()


@dataclass(frozen=True)
class Row:
    """A metric, as printed.

    Args:
        title: String.
        explanation: String, what it measures.
        arrow: String, the direction of better values.
        direction: String, the same for people.
        value: String.
        count: String, N.
        notes: Strings, the spread and the interval.
        floor: String, or None.
        floor_count: String, or None.
        bar: Two floats from 0 to 100, the positions of value and floor on a scale from 0, or None.
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


@dataclass(frozen=True)
class Table:
    """Results of the model next to those of methods without a network.

    Args:
        title: String.
        heads: The heads of its columns.
        rows: The cells of each row, the first of which is a title.
        model: Integer, the row of the model, or None if all rows are about it.
        note: String, what the numbers depend on.
    """

    title: str
    heads: Sequence[str]
    rows: Sequence[Sequence[str]]
    model: int | None
    note: str


def write_report(
    directory: str | os.PathLike[str],
    evaluation: Evaluation | None = None,
    *,
    model: str,
    dataset: str,
    history: Sequence[Mapping[str, float]] | None = None,
    interpolation: Pictures | None = None,
    path_names: Sequence[str] = (),
    likelihood: LikelihoodEvaluation | None = None,
    reconstruction: ReconstructionEvaluation | None = None,
    latents: LatentSpace | None = None,
    truncation: TruncationCurve | None = None,
    translation: TranslationEvaluation | None = None,
    completions: Completions | None = None,
) -> Path:
    """Writes the results of an evaluation as a page: `report.html`, one file with everything in it.

    Results that are not given are left out.

    Args:
        directory: The directory of the page. It is created if necessary.
        evaluation: A `kgan.metrics.Evaluation` of samples.
        model: String, the name of the model.
        dataset: String, the name of the data that samples were compared with.
        history: The logs of each epoch, with its number under `epoch`, as
            `kgan.callbacks.LossHistory` writes them.
        interpolation: uint8 `(rows, steps, height, width, channels)`, images on paths from one
            latent to another.
        path_names: Strings, the names of those rows, such as their classes. Defaults to no names.
        likelihood: A `kgan.metrics.LikelihoodEvaluation`.
        reconstruction: A `kgan.metrics.ReconstructionEvaluation`.
        latents: A `kgan.report.LatentSpace`.
        truncation: A `kgan.metrics.TruncationCurve`.
        translation: A `kgan.metrics.TranslationEvaluation`.
        completions: A `kgan.report.Completions`.

    Returns:
        The path of the page.

    Raises:
        ValueError: The interpolation has another shape, or another number of rows than names.

    Example:
    ```python
    evaluation = kgan.evaluate(gan, train)
    page = kgan.report.write_report("report", evaluation, model="dcgan", dataset="mnist")
    ```
    """
    if interpolation is not None and np.ndim(interpolation) != 5:
        raise ValueError(
            "Expected `interpolation` to be an array (rows, steps, height, width, channels). "
            f"Received: shape {np.shape(interpolation)}."
        )
    if path_names and (interpolation is None or len(path_names) != len(interpolation)):
        raise ValueError(
            "Expected one of `path_names` for each row of `interpolation`. "
            f"Received: path_names={list(path_names)!r}."
        )
    training, metrics = charts.history_charts(history or [])
    now = datetime.datetime.now(datetime.timezone.utc)
    figures = {} if evaluation is None else evaluation.figures
    text = _template().render(
        model=model,
        dataset=dataset,
        evaluation=evaluation,
        count=max((figure.count for figure in figures.values()), default=0),
        now=now,
        version=__version__,
        findings=verdict(evaluation, likelihood, translation),
        panels=[
            *_sample_panels(evaluation),
            *_interpolation_panels(interpolation, path_names),
            *_reconstruction_panels(reconstruction),
            *_translation_panels(translation),
            *_latent_panels(latents),
            *_completion_panels(completions),
        ],
        rows=[] if evaluation is None else [_row(evaluation, name) for name in figures],
        tables=[
            *_likelihood_table(likelihood),
            *_reconstruction_table(reconstruction),
            *_translation_table(translation),
        ],
        latents=latents,
        points=[] if latents is None else scatter_plot(latents),
        plot_size=SIZE,
        shares=_shares(evaluation),
        modes=_modes(evaluation),
        training=training,
        metrics=metrics,
        truncation=[] if truncation is None else _truncation_charts(truncation),
        chart_size=(charts.WIDTH, charts.HEIGHT),
    )
    path = Path(directory) / "report.html"
    with written_whole(path) as temporary:
        temporary.write_bytes(text.encode("utf-8", "replace"))  # names of files need not be text
    return path


def _truncation_charts(curve: TruncationCurve) -> list[charts.Chart]:
    """Precision and recall, and the distance, over the truncations that are finite."""

    def points(name: str) -> list[tuple[float, float]]:
        pairs = zip(curve.truncations, curve.figures, strict=True)
        return [(truncation, figures[name].value) for truncation, figures in pairs]

    shares = [charts.Curve(name, points(name)) for name in ("precision", "recall")]
    title = title_of("fcd", curve.features)
    drawn = [
        charts.line_chart("Precision and recall", shares, step="truncation"),
        charts.line_chart(title, [charts.Curve(title, points("fcd"))], step="truncation"),
    ]
    return [chart for chart in drawn if chart is not None]


def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("report.html")


def _row(evaluation: Evaluation, name: str) -> Row:
    measure, figure = MEASURES[name], evaluation.figures[name]

    def printed(value: float) -> str:
        return "∞" if math.isinf(value) else measure.format(value)

    floor, floor_count = None, None
    if figure.floor is not None:
        floor, floor_count = printed(figure.floor), f"{figure.floor_count:,}"
    return Row(
        headline(evaluation.title(name)),
        measure.explanation,
        *_BETTER[measure.better],
        printed(figure.value),
        f"{figure.count:,}",
        notes_on(measure, figure),
        floor,
        floor_count,
        _bar(measure.better, figure),
    )


def _likelihood_table(likelihood: LikelihoodEvaluation | None) -> Iterator[Table]:
    if likelihood is None:
        return
    is_density = likelihood.support == "density"  # whose bits do not correspond to a code
    bits = likelihood.dimensions * math.log(2.0)

    def row(title: str, nats: float, note: str) -> tuple[str, ...]:
        return (title, f"{nats:,.2f}", *(() if is_density else (f"{nats / bits:.3f}",)), note)

    limits = [floor for floor in likelihood.floors if floor.is_limit]
    tables = [floor for floor in likelihood.floors if not floor.is_limit]
    rows = [
        *(row(headline(each.title), each.nats, "no model can be lower") for each in limits),
        row("Model", likelihood.nats, f"± {likelihood.standard_error:.2f} nats"),
        *(row(headline(each.title), each.nats, "") for each in tables),
    ]
    heads = ("Negative log-likelihood", "Nats", *(() if is_density else ("Bits/dim",)), "")
    note = likelihood.protocol
    if likelihood.fitted_on:
        note += f" The tables are fitted on {likelihood.fitted_on}. A useful model is lower."
    yield Table("Likelihood", heads, rows, len(limits), note)


def _reconstruction_table(reconstruction: ReconstructionEvaluation | None) -> Iterator[Table]:
    if reconstruction is None:
        return
    error = reconstruction.standard_error
    rows = [("Model", reconstruction.error, reconstruction.count, f"± {error:.5f}")]
    rows += [(headline(each.title), each.error, each.count, "") for each in reconstruction.floors]
    rows.sort(key=lambda row: row[1])
    binarized = reconstruction.binarize
    note = "The mean squared error of pixels on [0, 1]."
    note += "" if binarized is None else f" Images are binarised: {binarized}."
    if reconstruction.floors:
        note += f" The other rows need no network; {reconstruction.fitted_count:,} training images."
    yield Table(
        "Reconstruction",
        ("Reconstruction error", "MSE", "N", ""),
        [(title, f"{mse:.5f}", f"{count:,}", note) for title, mse, count, note in rows],
        [title for title, *_ in rows].index("Model"),
        note,
    )


def _translation_table(translation: TranslationEvaluation | None) -> Iterator[Table]:
    if translation is None:
        return
    table = translation._table()
    (_, *heads, _), *rows = table.rows
    note = (
        f"Features: {translation.features}. Untranslated: the inputs in place of the translations. "
        "Mean image: that of the target domain. Real: real images of the target domain. "
    )
    yield Table(
        "Translation",
        ("Metric", *map(headline, heads), ""),
        [(headline(title), *cells) for title, *cells in rows],
        None,
        note + " ".join(translation.remarks()),
    )


def _bar(better: str, figure: Figure) -> tuple[float, float] | None:
    if figure.floor is None or not math.isfinite(figure.value + figure.floor):
        return None
    end = max(figure.value, figure.floor)
    # Shares end at 1; any other scale ends at the greater of the two.
    if better != "lower" and end <= 1:
        end = 1.0
    if end <= 0:
        return None
    value, floor = (round(100 * max(x, 0.0) / end, 2) for x in (figure.value, figure.floor))
    return value, floor


def _sample_panels(evaluation: Evaluation | None) -> Iterator[Panel]:
    if evaluation is None or not _has_pictures(evaluation.samples):
        return
    shown = evaluation.samples[:_SAMPLES]
    caption = f"The first {len(shown)} samples, not cherry-picked."
    yield Panel("Uncurated samples", caption, grid(shown, gap=1))
    yield from _class_panels(evaluation)
    if evaluation.neighbours is not None and len(evaluation.neighbours):
        nearest = evaluation.neighbours[:_PAIRS]
        pairs = np.concatenate([evaluation.samples[: len(nearest)], nearest], axis=2)
        caption = (
            "Pairs: on the left a sample, on the right the training image that is nearest to it, "
            "pixel by pixel. A model that copies shows the same image twice."
        )
        yield Panel("Nearest training images", caption, grid(pairs, columns=4, gap=3))


def _interpolation_panels(
    interpolation: Pictures | None, path_names: Sequence[str]
) -> Iterator[Panel]:
    if interpolation is None or not _has_pictures(interpolation):
        return
    steps = interpolation.shape[1]
    flat = interpolation.reshape(-1, *interpolation.shape[2:])
    caption = "Each row is a path from one latent to another, in equal steps."
    yield Panel("Between samples", caption, grid(flat, columns=steps, gap=1), path_names)


def _reconstruction_panels(reconstruction: ReconstructionEvaluation | None) -> Iterator[Panel]:
    if reconstruction is None or not _has_pictures(reconstruction.images):
        return
    picture = paired_grid(reconstruction.images, reconstruction.reconstructions, columns=8)
    caption = "Each row of held-out images is followed by the row of their reconstructions."
    yield Panel("Reconstructions", caption, picture)


def _translation_panels(translation: TranslationEvaluation | None) -> Iterator[Panel]:
    if translation is None or not _has_pictures(translation.translations):
        return
    shown = {
        "inputs": translation.inputs,
        "translations": translation.translations,
        "true translations": translation.truths,
    }
    if translation.truths is None:
        shown["inputs after a translation and the translation back"] = translation.cycles
    size = translation.translations.shape[1:3]
    rows = {
        name: images
        for name, images in shown.items()
        if images is not None and _has_pictures(images) and images.shape[1:3] == size
    }
    caption = f"Below each other: {', '.join(rows)}. Not cherry-picked."
    yield Panel("Translations", caption, paired_grid(*rows.values(), columns=8))


def _latent_panels(latents: LatentSpace | None) -> Iterator[Panel]:
    if latents is None or latents.grid is None or not _has_pictures(latents.grid):
        return
    flat = latents.grid.reshape(-1, *latents.grid.shape[2:])
    caption = "The images that the two latents decode to, at evenly spaced quantiles of the prior."
    picture = grid(flat, columns=latents.grid.shape[1], gap=0)
    yield Panel("All of the latent space", caption, picture)


def _completion_panels(completions: Completions | None) -> Iterator[Panel]:
    if completions is None or not _has_pictures(completions.images):
        return
    shown = (completions.images, completions.known, *completions.completions)
    caption = (
        "Below each other: held-out images, what the model was given of them, and its completions. "
        "Not cherry-picked."
    )
    yield Panel("Completions", caption, paired_grid(*shown, columns=len(completions.images)))
    pictures = completions.entropy_pictures
    caption = (
        "The uncertainty about each pixel of the same images, given all pixels before it: black is "
        f"certain, white is {completions.entropy.sum(axis=-1).max():.2f} bits."
    )
    yield Panel("Where it is undecided", caption, grid(pictures, columns=len(pictures), gap=1))


def _has_pictures(images: Pictures) -> bool:
    """Whether there are images, of a number of channels that pictures can have."""
    return bool(images.size) and images.shape[-1] in {1, 3}


def _class_panels(evaluation: Evaluation) -> list[Panel]:
    asked = evaluation.sample_labels is not None
    classes = evaluation.sample_labels if asked else evaluation.sample_classes
    if classes is None or not len(classes):
        return []
    shares = evaluation.sample_shares
    # The requested classes may differ from those of the classifier.
    total = int(classes.max()) + 1 if asked or shares is None else len(shares)
    if total > FEW_CLASSES:
        return []
    shown = range(min(total, _SHOWN_CLASSES))
    places = np.concatenate(
        [np.flatnonzero(classes == number)[:_SAMPLES_OF_A_CLASS] for number in shown]
    )
    if not len(places):
        return []
    source = "that was requested" if asked else "that the classifier sees in them"
    caption = f"Samples by the class {source}."
    if len(shown) < total:
        caption += f" The first {len(shown)} of {total} classes."
    picture = class_grid(evaluation.samples[places], classes[places], shown, gap=1)
    names = [evaluation.class_name(number) for number in shown]
    return [Panel("By class", caption, picture, names)]


def _shares(evaluation: Evaluation | None) -> list[dict[str, Any]]:
    """The classes, with their shares as percentages and as lengths of bars."""
    if evaluation is None:
        return []
    fake, real = evaluation.sample_shares, evaluation.real_shares
    if fake is None or real is None or len(fake) > FEW_CLASSES:
        return []
    longest = max(fake.max(), real.max())
    return [
        {
            "name": evaluation.class_name(number),
            "fake": f"{share:.1%}",
            "real": f"{real_share:.1%}",
            "bar": (round(100 * share / longest, 2), round(100 * real_share / longest, 2)),
        }
        for number, (share, real_share) in enumerate(zip(fake, real, strict=True))
    ]


def _modes(evaluation: Evaluation | None) -> charts.Chart | None:
    """The shares of many classes, the most frequent first."""
    if evaluation is None:
        return None
    fake, real = evaluation.sample_shares, evaluation.real_shares
    if fake is None or real is None or len(fake) <= FEW_CLASSES:
        return None
    curves = [
        charts.Curve(name, [(float(rank), 100 * share) for rank, share in _ranked(shares)])
        for name, shares in (("samples", fake), ("real images", real))
    ]
    title = "Share of each mode in percent, the most frequent first"
    return charts.line_chart(title, curves, step="mode")


def _ranked(shares: np.ndarray) -> Iterator[tuple[int, float]]:
    return enumerate(np.sort(shares)[::-1].tolist(), 1)

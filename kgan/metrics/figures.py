"""All figures that the features of two sets of images give, from one pass over them."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from kgan.metrics.bootstrap import bootstrap_interval
from kgan.metrics.classes import class_divergence, inception_score, mode_coverage
from kgan.metrics.distances import frechet_distance, kernel_distance
from kgan.metrics.features import Features
from kgan.metrics.neighbours import compare_neighbours, duplicate_distance, support_size

_KID_SUBSETS = 100
_KID_SUBSET_SIZE = 1000
_HALVES = 40  # what is known of a spread from them is good to a ninth
# More classes than this are modes: no one reads their names, and their shares among the real images
# are themselves mostly chance.
FEW_CLASSES = 100


@dataclass(frozen=True)
class Measure:
    """What a figure is, whatever its value.

    Args:
        title: String, for people.
        better: `"lower"`, `"higher"` or `"floor"`: the nearer to the floor.
        digits: Integer, decimals that are worth printing.
        explanation: String, one plain sentence about what it tells.
    """

    title: str
    better: str
    digits: int = 3
    explanation: str = ""

    def format(self, value: float) -> str:
        """The value as people read it."""
        return f"{value:,.{self.digits}f}"


MEASURES = {
    "fcd": Measure(
        "Fréchet classifier distance",
        "lower",
        2,
        "How far the features of samples are from those of real images, on the whole: 0 where they "
        "are spread alike.",
    ),
    "kid": Measure(
        "kernel distance",
        "lower",
        explanation="The same, whatever shape the spread has: 0 where samples cannot be told from "
        "real images.",
    ),
    "precision": Measure(
        "precision",
        "higher",
        explanation="The share of samples that lie among the real images: fidelity.",
    ),
    "recall": Measure(
        "recall",
        "higher",
        explanation="The share of real images that lie among the samples: variety.",
    ),
    "density": Measure(
        "density",
        "higher",
        explanation="How closely the samples keep to where real images are many: fidelity that odd "
        "real images cannot raise.",
    ),
    "coverage": Measure(
        "coverage",
        "higher",
        explanation="The share of real images with a sample close by: variety that odd samples "
        "cannot raise.",
    ),
    "label_accuracy": Measure(
        "label accuracy",
        "higher",
        4,
        "The share of samples in which the classifier sees the class that was asked for.",
    ),
    "class_divergence": Measure(
        "KL of class shares to real",
        "lower",
        4,
        "How far the shares of the classes are from those among real images: 0 where they are the "
        "same.",
    ),
    "modes": Measure("modes", "higher", 0, "How many of the classes have a sample at all."),
    "mode_divergence": Measure(
        "KL of modes to uniform",
        "lower",
        4,
        "How unevenly the samples are spread over the modes: 0 where each has as many.",
    ),
    "inception_score": Measure(
        "inception score",
        "floor",
        2,
        "High where each sample is clearly of one class and all classes are there; blind to real "
        "images.",
    ),
    "support": Measure(
        "support (birthday paradox)",
        "higher",
        0,
        "How many different images there seem to be, judged by how often two samples are the same.",
    ),
    "authenticity": Measure(
        "authenticity (no copies)",
        "floor",
        explanation="The share of samples whose nearest training image has a fellow that is "
        "nearer still.",
    ),
}


@dataclass(frozen=True)
class Figure:
    """One result, with what it takes to read it.

    Args:
        value: Float.
        count: Integer N, the samples that it was taken from.
        spread: Float, the standard deviation over subsets, or None.
        interval: Two floats, a 95% interval, or None where none was asked for or can be had.
        floor: Float, the same figure of real images in the samples' place, or None.
        floor_count: Integer, the N of that.
    """

    value: float
    count: int
    spread: float | None = None
    interval: tuple[float, float] | None = None
    floor: float | None = None
    floor_count: int | None = None


def notes_on(measure: Measure, figure: Figure) -> list[str]:
    """How sure a figure is, as people read it: its spread and its interval, if it has them."""
    notes = []
    if figure.spread is not None:
        notes.append(f"± {measure.format(figure.spread)}")
    if figure.interval is not None:
        low, high = map(measure.format, figure.interval)
        notes.append(f"95%: {low} to {high}")
    return notes


def compare(
    real: Features,
    fake: Features,
    num_classes: int | None = None,
    labels: Any = None,
    resamples: int = 0,
    seed: int = 0,
) -> dict[str, Figure]:
    """Works out the figures that are quick, for `PeriodicEvaluation` too.

    Args:
        real: Features of N real images.
        fake: Features of M samples, from the same extractor.
        num_classes: Integer, how many classes the extractor tells, or None.
        labels: Integer `(M,)`, the classes that were asked for, or None.
        resamples: Integer, for the intervals, or 0 for none. Those of the kernel distance and of
            what nearest neighbours tell are of subsets, whose number is fixed.
        seed: Integer, for subsets and resamples.

    Returns:
        Some of `MEASURES`, without floors.
    """

    def figure(
        statistic: Callable[..., float], *samples: Any, most: float = math.inf, drawn: bool = True
    ) -> Figure:
        value, interval = float(statistic(*samples)), None
        if resamples and drawn and math.isfinite(value):
            low, high = bootstrap_interval(statistic, *samples, resamples=resamples, seed=seed)
            if math.isfinite(low) and math.isfinite(high):
                interval = _within(low, high, most)
        return Figure(value, len(fake), interval=interval)

    fewest, size = min(len(real), len(fake)), real.vectors.shape[1]
    figures = {
        # A covariance of no more samples than features is not of full rank, and that of a resample
        # of them is of a lower one: what that does to the distance is no measure of chance.
        "fcd": figure(frechet_distance, real.vectors, fake.vectors, drawn=fewest > size),
        "kid": _kernel_figure(real, fake, with_interval=resamples > 0, seed=seed),
        **_neighbour_figures(real, fake, with_intervals=resamples > 0, seed=seed),
    }
    if fake.classes is not None and real.classes is not None and num_classes is not None:
        modes, to_uniform = mode_coverage(fake.classes, num_classes)
        figures["modes"] = Figure(modes, len(fake))
        if num_classes > FEW_CLASSES:
            figures["mode_divergence"] = Figure(to_uniform, len(fake))
        else:
            figures["class_divergence"] = figure(
                lambda shown, real: class_divergence(shown, real, num_classes),
                fake.classes,
                real.classes,
            )
        if labels is not None:
            figures["label_accuracy"] = figure(np.mean, fake.classes == labels, most=1.0)
    if fake.probabilities is not None:
        score, spread = inception_score(fake.probabilities)
        figures["inception_score"] = Figure(score, len(fake), spread=spread)
    return figures


def _kernel_figure(real: Features, fake: Features, with_interval: bool, seed: int) -> Figure:
    fewest = min(len(real), len(fake))
    size = min(_KID_SUBSET_SIZE, fewest // 2)  # of the whole set there would be one subset only
    mean, spread = kernel_distance(real.vectors, fake.vectors, _KID_SUBSETS, size, seed=seed)
    interval = None
    if with_interval:
        # The variance of a mean falls with its number, from subsets' size to that of the sets; and
        # subsets that hold much of their set differ less than new sets of their size would.
        error = 1.96 * spread * math.sqrt(size / fewest / (1 - size / fewest))
        interval = (mean - error, mean + error)
    return Figure(mean, len(fake), spread, interval)


def _neighbour_figures(
    real: Features, fake: Features, with_intervals: bool, seed: int
) -> dict[str, Figure]:
    values = _neighbour_values(real.vectors, fake.vectors)
    intervals = dict.fromkeys(values)
    if with_intervals:
        # Resamples with repeats would have neighbours at no distance. Halves of both sets, which
        # share half of their samples, differ as much as new sets of the whole size would.
        generator = np.random.default_rng(seed)
        halves = [
            _neighbour_values(*(_half(x.vectors, generator) for x in (real, fake)))
            for _ in range(_HALVES)
        ]
        for name, value in values.items():
            error = 1.96 * float(np.std([half[name] for half in halves], ddof=1))
            most = math.inf if name == "density" else 1.0
            intervals[name] = _within(value - error, value + error, most)
    return {
        name: Figure(value, len(fake), interval=intervals[name]) for name, value in values.items()
    }


def _neighbour_values(real: Any, fake: Any) -> dict[str, float]:
    compared = compare_neighbours(real, fake)
    return {
        "precision": float(compared.precise.mean()),
        "recall": float(compared.recalled.mean()),
        "density": float(compared.density.mean()),
        "coverage": float(compared.covered.mean()),
    }


def _half(array: Any, generator: np.random.Generator) -> Any:
    return array[generator.choice(len(array), len(array) // 2, replace=False)]


def _within(low: float, high: float, most: float) -> tuple[float, float]:
    """An interval of what is at least 0 and at most `most`."""
    return min(max(low, 0.0), most), min(max(high, 0.0), most)


def support_figure(real: Features, fake: Features) -> Figure:
    """Estimates how many different images the samples come from."""
    same = duplicate_distance(real.vectors)
    return Figure(support_size(fake.vectors, same), len(fake))

"""All figures that the features of two sets of images give, from one pass over them."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from kgan.metrics.bootstrap import bootstrap_interval
from kgan.metrics.classes import class_divergence, inception_score, mode_coverage
from kgan.metrics.distances import frechet_distance, kernel_distance
from kgan.metrics.features import Features
from kgan.metrics.neighbours import compare_neighbours, duplicate_distance, support_size

_KID_SUBSETS = 100
_KID_SUBSET_SIZE = 1000
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
        interval: Two floats, a 95% interval, or None where none was asked for.
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
        resamples: Integer, for the intervals, or 0 for none.
        seed: Integer, for subsets and resamples.

    Returns:
        Some of `MEASURES`, without floors.
    """

    def figure(statistic: Callable[..., float], *samples: Any) -> Figure:
        value, interval = float(statistic(*samples)), None
        if resamples and math.isfinite(value):
            interval = bootstrap_interval(statistic, *samples, resamples=resamples, seed=seed)
        return Figure(value, len(fake), interval=interval)

    def share(there: Any) -> Figure:
        found = figure(np.mean, there)
        if found.interval is None:
            return found
        low, high = found.interval
        return replace(found, interval=(max(low, 0.0), min(high, 1.0)))

    compared = compare_neighbours(real.vectors, fake.vectors)
    figures = {
        "fcd": figure(frechet_distance, real.vectors, fake.vectors),
        "kid": _kernel_figure(real, fake, with_interval=resamples > 0, seed=seed),
        "precision": share(compared.precise),
        "recall": share(compared.recalled),
        "density": figure(np.mean, compared.density),
        "coverage": share(compared.covered),
    }
    real_classes = real.classes
    if fake.classes is not None and real_classes is not None and num_classes is not None:
        modes, to_uniform = mode_coverage(fake.classes, num_classes)
        figures["modes"] = Figure(modes, len(fake))
        if num_classes > FEW_CLASSES:
            figures["mode_divergence"] = Figure(to_uniform, len(fake))
        else:
            figures["class_divergence"] = figure(
                lambda shown: class_divergence(shown, real_classes, num_classes), fake.classes
            )
        if labels is not None:
            figures["label_accuracy"] = share(fake.classes == labels)
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


def support_figure(real: Features, fake: Features) -> Figure:
    """Estimates how many different images the samples come from."""
    same = duplicate_distance(real.vectors)
    return Figure(support_size(fake.vectors, same), len(fake))

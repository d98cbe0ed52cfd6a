"""All metrics of two sets of images, computed from their features."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from kgan._progress import silent
from kgan._typing import Say
from kgan.metrics import cifar10_classifier, mnist_classifier
from kgan.metrics.bootstrap import bootstrap_interval
from kgan.metrics.classes import class_divergence, inception_score, mode_coverage
from kgan.metrics.distances import frechet_distance, kernel_distance
from kgan.metrics.features import Features
from kgan.metrics.neighbours import compare_neighbours, duplicate_distance, support_size

_KID_SUBSETS = 100
_KID_SUBSET_SIZE = 1000
_HALVES = 40  # they give a standard deviation to within a ninth
# By the names of the extractors with the published weights. Others are no FID.
_FID_TITLES = {"inception": "FID", "inception_clean": "FID (clean)"}
# More classes than this are modes: too many to list, and with shares among the real images that are
# mostly chance.
FEW_CLASSES = 100


@dataclass(frozen=True)
class Measure:
    """Describes a metric.

    Args:
        title: String, printed.
        better: `"lower"`, `"higher"` or `"floor"`: the nearer to the floor the better.
        digits: Integer, how many decimals to print.
        explanation: String, one sentence about what it measures.
    """

    title: str
    better: str
    digits: int = 3
    explanation: str = ""

    def format(self, value: float) -> str:
        """Returns the value as a string with `digits` decimals."""
        return f"{value:,.{self.digits}f}"


MEASURES = {
    "fcd": Measure(
        "Fréchet distance",
        "lower",
        2,
        "The distance between the features of samples and of real images: 0 if means and "
        "covariances are the same.",
    ),
    "kid": Measure(
        "kernel distance",
        "lower",
        explanation="Another distance between these features: 0 on average if their distributions "
        "are the same, for any N.",
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
        explanation="How densely real images surround the samples: fidelity that outliers among "
        "the real images cannot raise.",
    ),
    "coverage": Measure(
        "coverage",
        "higher",
        explanation="The share of real images with a sample nearby: variety that outliers among "
        "the samples cannot raise.",
    ),
    "label_accuracy": Measure(
        "label accuracy",
        "higher",
        4,
        "The share of samples in which the classifier sees the requested class.",
    ),
    "class_divergence": Measure(
        "KL of class shares to real",
        "lower",
        4,
        "The divergence of the classes' shares among samples from those among real images: 0 if "
        "they are the same.",
    ),
    "modes": Measure("modes", "higher", 0, "The number of classes that have a sample."),
    "mode_divergence": Measure(
        "KL of modes to uniform",
        "lower",
        4,
        "How unevenly the samples are distributed over the modes: 0 if each has the same number.",
    ),
    "inception_score": Measure(
        "inception score",
        "floor",
        2,
        "High if each sample clearly belongs to one class and all classes occur. It ignores the "
        "real images.",
    ),
    "support": Measure(
        "support (birthday paradox)",
        "higher",
        0,
        "An estimate of the number of different images, from how often two samples are the same.",
    ),
    "authenticity": Measure(
        "authenticity (no copies)",
        "floor",
        explanation="The share of samples that are not closer to a training image than that "
        "image's own nearest neighbour.",
    ),
}


@dataclass(frozen=True)
class Figure:
    """One score, with its number of samples, spread, interval and floor.

    Args:
        value: Float.
        count: Integer N, the number of samples.
        spread: Float, the standard deviation over subsets, or None.
        interval: Two floats, a 95% interval, or None if it was not requested or is not available.
        floor: Float, the score of real images in place of the samples, or None.
        floor_count: Integer, the N of the floor.
    """

    value: float
    count: int
    spread: float | None = None
    interval: tuple[float, float] | None = None
    floor: float | None = None
    floor_count: int | None = None


def title_of(name: str, features: str) -> str:
    """Returns the printed title of a metric, which names the features where they decide it.

    Args:
        name: String, a key of `MEASURES`.
        features: String, the name of the extractor.
    """
    title = MEASURES[name].title
    if name != "fcd":
        return title
    if features in _FID_TITLES:
        return _FID_TITLES[features]
    if features.startswith((mnist_classifier.CLASSIFIER_NAME, cifar10_classifier.CLASSIFIER_NAME)):
        return "Fréchet classifier distance"  # FCD
    return f"{title} ({features})"


def notes_on(measure: Measure, figure: Figure) -> list[str]:
    """Returns how certain a score is, as text: its spread and its interval, if it has them."""
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
    say: Say | None = None,
) -> dict[str, Figure]:
    """Computes the scores that need only features, also for `PeriodicEvaluation`.

    Args:
        real: Features of N real images.
        fake: Features of M samples, from the same extractor.
        num_classes: Integer, how many classes the extractor distinguishes, or None.
        labels: Integer `(M,)`, the requested classes, or None.
        resamples: Integer, the number of resamples for intervals, or 0 for no intervals. Intervals
            of the kernel distance and of the neighbour-based scores come from a fixed number of
            subsets instead.
        seed: Integer, selects subsets and resamples.
        say: Called with a line of text about each step. Defaults to nothing.

    Returns:
        Dictionary of some of `MEASURES`, without floors.
    """
    say = say or silent

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
    # With no more samples than features, a covariance does not have full rank. Resamples have lower
    # ranks still, so their distances do not measure chance.
    say("Fréchet distance")
    figures = {"fcd": figure(frechet_distance, real.vectors, fake.vectors, drawn=fewest > size)}
    say("kernel distance")
    figures["kid"] = _kernel_figure(real, fake, with_interval=resamples > 0, seed=seed)
    say("precision, recall, density and coverage")
    figures |= _neighbour_figures(real, fake, with_intervals=resamples > 0, seed=seed)
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
    size = min(_KID_SUBSET_SIZE, fewest // 2)  # the whole set has only one subset
    mean, spread = kernel_distance(real.vectors, fake.vectors, _KID_SUBSETS, size, seed=seed)
    interval = None
    if with_interval:
        # The variance of a mean falls in proportion to the number, from the size of the subsets to
        # that of the sets. Subsets that hold much of their set differ less than new sets would.
        error = 1.96 * spread * math.sqrt(size / fewest / (1 - size / fewest))
        interval = (mean - error, mean + error)
    return Figure(mean, len(fake), spread, interval)


def _neighbour_figures(
    real: Features, fake: Features, with_intervals: bool, seed: int
) -> dict[str, Figure]:
    values = _neighbour_values(real.vectors, fake.vectors)
    intervals = dict.fromkeys(values)
    if with_intervals:
        # Resamples with repeats have neighbours at distance 0, so take random halves of both sets.
        # Two halves share half of their samples, so they differ as much as new sets of the whole
        # size do.
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
    """Returns an interval clipped to [0, most]."""
    return min(max(low, 0.0), most), min(max(high, 0.0), most)


def support_figure(real: Features, fake: Features) -> Figure:
    """Estimates how many different images the generator makes."""
    same = duplicate_distance(real.vectors)
    return Figure(support_size(fake.vectors, same), len(fake))

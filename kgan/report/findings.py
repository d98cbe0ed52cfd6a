"""Sentences about scores next to their floors, which verdicts are made of."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

from kgan.metrics import Figure
from kgan.metrics.figures import Measure

# Differences of fewer standard errors than this count as chance.
CHANCE = 3.0
# A distance of more times its floor is far from it. Held-out real images have about twice the
# distance of those that were trained on.
FAR = 3.0


@dataclass(frozen=True)
class Finding:
    """A sentence of the verdict.

    Args:
        tone: `"bad"`, `"fair"` or `"good"`.
        text: String.
    """

    tone: str
    text: str


@dataclass(frozen=True)
class Share:
    """Describes a metric that is a share, the higher the better.

    Args:
        good: Float, the multiple of the floor above which it is near the floor.
        bad: Float, the multiple of the floor below which it is far from it.
        texts: The text for each tone that is worth one.
    """

    good: float
    bad: float
    texts: dict[str, str]


def of_share(share: Share, measure: Measure, figure: Figure | None) -> Iterator[Finding]:
    """Yields a sentence about a share next to that of real images."""
    if figure is None or figure.floor is None:
        return
    if figure.value >= share.good * figure.floor or not is_below(figure):
        tone = "good"
    else:
        tone = "bad" if figure.value < share.bad * figure.floor else "fair"
    if tone in share.texts:
        yield Finding(tone, f"{share.texts[tone]}: {against(measure, figure)}.")


def of_distance(subject: str, measure: Measure, figure: Figure | None) -> Iterator[Finding]:
    """Yields a sentence about a Fréchet distance next to that of real images.

    Args:
        subject: String, the plural name of the images.
        measure: The description of the distance.
        figure: The distance, or None.
    """
    # The distance of fewer images is larger, so it is not a floor for more images.
    if figure is None or not figure.floor or (figure.floor_count or 0) > figure.count:
        return
    ratio = figure.value / figure.floor
    if ratio > FAR:
        tone, how = "fair", "differently from"
    elif figure.floor_count == figure.count:
        tone, how = "good", "like"
    else:
        return
    text = f"Features of {subject} are distributed {how} those of real images"
    yield Finding(tone, f"{text}: {against(measure, figure)}.")


def is_below(figure: Figure) -> bool:
    """Whether a share is below its floor by more than chance explains."""
    floor, floor_count = figure.floor or 0.0, figure.floor_count or figure.count
    error = math.sqrt(max(floor * (1 - floor), 0.0) * (1 / figure.count + 1 / floor_count))
    return figure.value < floor - CHANCE * error


def against(measure: Measure, figure: Figure) -> str:
    """Returns a score and that of real images, as text."""
    title = short_title(measure)
    value, floor = measure.format(figure.value), measure.format(figure.floor or 0.0)
    return f"{title} {value}, real images {floor}"


def short_title(measure: Measure) -> str:
    """Returns the title of a metric as a sentence about it needs it."""
    return measure.title.partition(" (")[0].removeprefix("label ")

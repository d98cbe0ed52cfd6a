"""What figures say in words: only what follows from a figure beside its floor.

The thresholds are such that each generator with a known fault in `docs/evaluation.md` is found out,
and real images that were held out are not.
"""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from kgan.metrics import MEASURES, Evaluation, Figure
from kgan.metrics.figures import FEW_CLASSES

# Differences of fewer standard errors than this are put down to chance.
_CHANCE = 3.0
# There are many classes to be mistaken about.
_CHANCE_OF_CLASSES = 4.0


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
class _Share:
    """How a figure that is a share, the higher the better, is put into words.

    Args:
        good: Float, the multiple of the floor from which on it is near the floor.
        bad: Float, the multiple below which it is far from it.
        texts: For each tone what it means, if it is worth saying.
    """

    good: float
    bad: float
    texts: dict[str, str]


_SHARES = {
    "precision": _Share(
        0.9,
        0.5,
        {
            "good": "Samples lie where real images lie",
            "fair": "Some samples are unlike any real image",
            "bad": "Most samples are unlike any real image",
        },
    ),
    "recall": _Share(
        0.9,
        0.5,
        {
            "good": "Variety is close to that of real images",
            "fair": "Some of the variety of real images is missing",
            "bad": "Much of the variety of real images is missing",
        },
    ),
    "coverage": _Share(
        0.9,
        0.5,
        {
            "fair": "Some real images have no sample like them",
            "bad": "Most real images have no sample like them",
        },
    ),
    "label_accuracy": _Share(
        0.98,
        0.9,
        {
            "good": "Samples are of the class that was asked for",
            "fair": "Some samples are not of the class that was asked for",
            "bad": "Many samples are not of the class that was asked for",
        },
    ),
}


def verdict(evaluation: Evaluation) -> list[Finding]:
    """Says what the figures of an evaluation show.

    Args:
        evaluation: A `kgan.metrics.Evaluation`.

    Returns:
        `Finding`s, the gravest first. Of figures without a floor nothing is said.
    """
    figures = evaluation.figures
    found = [finding for name in _SHARES for finding in _of_share(name, figures.get(name))]
    found += _of_distance(figures.get("fcd"))
    found += _of_classes(evaluation)
    found += _of_modes(evaluation)
    found += _of_repeats(figures.get("support"))
    found += _of_copies(figures.get("authenticity"))
    return sorted(found, key=lambda finding: ("bad", "fair", "good").index(finding.tone))


def _of_share(name: str, figure: Figure | None) -> Iterator[Finding]:
    if figure is None or figure.floor is None:
        return
    share = _SHARES[name]
    if figure.value >= share.good * figure.floor or not _is_below(figure):
        tone = "good"
    else:
        tone = "bad" if figure.value < share.bad * figure.floor else "fair"
    if tone in share.texts:
        yield Finding(tone, f"{share.texts[tone]}: {_beside(name, figure)}.")


def _of_distance(figure: Figure | None) -> Iterator[Finding]:
    # The distance of fewer images is larger: a floor of more of them is none.
    if figure is None or not figure.floor or (figure.floor_count or 0) > figure.count:
        return
    ratio = figure.value / figure.floor
    # Real images that were held out have about twice the distance of those that were not.
    if ratio > 3:
        tone, how = "fair", "unlike"
    elif figure.floor_count == figure.count:
        tone, how = "good", "much like"
    else:
        return
    beside = _beside("fcd", figure)
    yield Finding(tone, f"Features of samples are spread {how} those of real images: {beside}.")


def _of_classes(evaluation: Evaluation) -> Iterator[Finding]:
    fake, real = evaluation.sample_shares, evaluation.real_shares
    counted = evaluation.figures.get("modes")
    if fake is None or real is None or counted is None or not 1 < len(real) <= FEW_CLASSES:
        return
    there = real > 0
    ratios = np.divide(fake, real, out=np.where(fake > 0, np.inf, 1.0), where=there)
    pooled = (fake + real) / 2
    errors = np.sqrt(pooled * (1 - pooled) * 2 / counted.count)
    sure = np.abs(fake - real) > _CHANCE_OF_CLASSES * errors
    missing = np.flatnonzero(sure & (ratios < 0.2))
    few = np.flatnonzero(sure & (ratios >= 0.2) & (ratios < 0.8))
    many = np.flatnonzero(sure & there & (ratios > 1.25))
    if len(missing):
        yield Finding("bad", f"{_classes(missing)} missing, or nearly so.")
    for places, word, worst in ((few, "under-produced", np.min), (many, "over-produced", np.max)):
        if len(places):
            ratio = f"{worst(ratios[places]):.2f} times"
            how = f"{ratio} its" if len(places) == 1 else f"at worst {ratio} their"
            yield Finding("fair", f"{_classes(places)} {word}: {how} share among real images.")
    if ((ratios >= 0.8) & (ratios <= 1.25)).all():
        yield Finding(
            "good", f"All {there.sum()} classes are there, about as often as among real images."
        )


def _of_modes(evaluation: Evaluation) -> Iterator[Finding]:
    figure, shares = evaluation.figures.get("modes"), evaluation.sample_shares
    if figure is None or shares is None or len(shares) <= FEW_CLASSES:
        return
    # Of how many images modes are counted decides how many there can be.
    if not figure.floor or figure.floor_count != figure.count:
        return
    ratio = figure.value / figure.floor
    tone = "good" if ratio >= 0.99 else "fair" if ratio >= 0.9 else "bad"
    said = {
        "good": "The modes are there",
        "fair": "Some modes are missing",
        "bad": "Many modes are missing",
    }
    beside = f"of {len(shares):,}, as many real images {figure.floor:,.0f}"
    yield Finding(tone, f"{said[tone]}: samples show {figure.value:,.0f} {beside}.")


def _of_repeats(figure: Figure | None) -> Iterator[Finding]:
    if figure is None or figure.floor is None:
        return
    if figure.value < figure.count and figure.value < figure.floor / 2:
        text = (
            f"Samples repeat one another: there seem to be about {figure.value:,.0f} different "
            f"ones, among {figure.count:,}."
        )
        yield Finding("bad", text)


def _of_copies(figure: Figure | None) -> Iterator[Finding]:
    if figure is None or not figure.floor:
        return
    beside = _beside("authenticity", figure)
    if not _is_below(figure):
        yield Finding("good", f"No sign of copies of training images: {beside}.")
    elif figure.value < 0.5 * figure.floor:
        text = f"Many samples lie on top of training images, as copies do: {beside}."
        yield Finding("bad", text)
    else:
        text = f"Samples lie nearer to training images than other real images do: {beside}."
        yield Finding("fair", text)


def _is_below(figure: Figure) -> bool:
    """Whether a share is below its floor by more than chance makes it."""
    floor, floor_count = figure.floor or 0.0, figure.floor_count or figure.count
    error = math.sqrt(max(floor * (1 - floor), 0.0) * (1 / figure.count + 1 / floor_count))
    return figure.value < floor - _CHANCE * error


def _beside(name: str, figure: Figure) -> str:
    measure = MEASURES[name]
    title = "accuracy" if name == "label_accuracy" else measure.title.partition(" (")[0]
    value, floor = measure.format(figure.value), measure.format(figure.floor or 0.0)
    return f"{title} {value}, real images {floor}"


def _classes(places: Iterable[int]) -> str:
    names = [str(place) for place in places]
    if len(names) == 1:
        return f"Class {names[0]} is"
    if len(names) > 10:
        names = [*names[:8], f"{len(names) - 8} others"]
    return f"Classes {', '.join(names[:-1])} and {names[-1]} are"

"""Findings as sentences: only what follows from a result next to its floor.

With these thresholds, each generator with a known fault in `docs/explanation/metrics.md` is
detected, and held-out real images are not.
"""

from collections.abc import Iterable, Iterator

import numpy as np

from kgan.metrics import (
    MEASURES,
    Evaluation,
    Figure,
    LikelihoodEvaluation,
    TranslationEvaluation,
)
from kgan.metrics.figures import FEW_CLASSES
from kgan.report.findings import CHANCE, Finding, Share, against, is_below, of_distance, of_share
from kgan.report.translation_findings import of_translation

# More standard errors than `CHANCE`, since there are many classes.
_CHANCE_OF_CLASSES = 4.0


_SHARES = {
    "precision": Share(
        0.9,
        0.5,
        {
            "good": "Samples lie where real images lie",
            "fair": "Some samples are unlike any real image",
            "bad": "Most samples are unlike any real image",
        },
    ),
    "recall": Share(
        0.9,
        0.5,
        {
            "good": "Variety is close to that of real images",
            "fair": "Some of the variety of real images is missing",
            "bad": "Much of the variety of real images is missing",
        },
    ),
    "coverage": Share(
        0.9,
        0.5,
        {
            "fair": "Some real images have no sample like them",
            "bad": "Most real images have no sample like them",
        },
    ),
    "label_accuracy": Share(
        0.98,
        0.9,
        {
            "good": "Samples show the requested class",
            "fair": "Some samples do not show the requested class",
            "bad": "Many samples do not show the requested class",
        },
    ),
}


def verdict(
    evaluation: Evaluation | None = None,
    likelihood: LikelihoodEvaluation | None = None,
    translation: TranslationEvaluation | None = None,
) -> list[Finding]:
    """Describes what the results of an evaluation show.

    Args:
        evaluation: A `kgan.metrics.Evaluation`, or None.
        likelihood: A `kgan.metrics.LikelihoodEvaluation`, or None.
        translation: A `kgan.metrics.TranslationEvaluation`, or None.

    Returns:
        `Finding`s, the worst first. Metrics without a floor have none.

    Example:
    ```python
    for finding in kgan.report.verdict(kgan.evaluate(gan, train)):
        print(f"{finding.tone}: {finding.text}")
    ```
    """
    found = [*_of_likelihood(likelihood), *of_translation(translation)]
    if evaluation is not None:
        figures = evaluation.figures
        for name, share in _SHARES.items():
            found += of_share(share, MEASURES[name], figures.get(name))
        found += of_distance("samples", MEASURES["fcd"], figures.get("fcd"))
        found += _of_classes(evaluation)
        found += _of_modes(evaluation)
        found += _of_repeats(figures.get("support"))
        found += _of_copies(figures.get("authenticity"))
    return sorted(found, key=lambda finding: ("bad", "fair", "good").index(finding.tone))


def _of_likelihood(likelihood: LikelihoodEvaluation | None) -> Iterator[Finding]:
    if likelihood is None:
        return
    if likelihood.is_impossible:
        text = (
            f"The likelihood is impossible: {likelihood.nats:.2f} nats are below the entropy of "
            f"the drawing, {likelihood.limit:.2f}. The model sees the pixels that it predicts, or "
            "its likelihood is wrong."
        )
        yield Finding("bad", text)
        return
    tables = [floor for floor in likelihood.floors if not floor.is_limit]
    if not tables:
        return
    best = min(tables, key=lambda floor: floor.nats)
    error = CHANCE * likelihood.standard_error
    against = f"{likelihood.nats:.2f} nats, {best.title} {best.nats:.2f}"
    if likelihood.nats < best.nats - error:
        yield Finding("good", f"The likelihood is better than that of a table: {against}.")
    elif likelihood.nats > best.nats + error:
        yield Finding("bad", f"The likelihood is worse than that of a table: {against}.")


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
        yield Finding("bad", f"{_classes(missing, evaluation)} missing or nearly missing.")
    for places, word, worst in ((few, "under-produced", np.min), (many, "over-produced", np.max)):
        if len(places):
            ratio = f"{worst(ratios[places]):.2f} times"
            how = f"{ratio} its" if len(places) == 1 else f"at worst {ratio} their"
            which = _classes(places, evaluation)
            yield Finding("fair", f"{which} {word}: {how} share among real images.")
    if ((ratios >= 0.8) & (ratios <= 1.25)).all():
        yield Finding(
            "good", f"All {there.sum()} classes occur, about as often as among real images."
        )


def _of_modes(evaluation: Evaluation) -> Iterator[Finding]:
    figure, shares = evaluation.figures.get("modes"), evaluation.sample_shares
    if figure is None or shares is None or len(shares) <= FEW_CLASSES:
        return
    # The number of samples bounds the number of modes.
    if not figure.floor or figure.floor_count != figure.count:
        return
    ratio = figure.value / figure.floor
    tone = "good" if ratio >= 0.99 else "fair" if ratio >= 0.9 else "bad"
    texts = {
        "good": "The modes are there",
        "fair": "Some modes are missing",
        "bad": "Many modes are missing",
    }
    against = f"of {len(shares):,}, and as many real images {figure.floor:,.0f}"
    yield Finding(tone, f"{texts[tone]}: samples show {figure.value:,.0f} {against}.")


def _of_repeats(figure: Figure | None) -> Iterator[Finding]:
    if figure is None or figure.floor is None:
        return
    if figure.value < figure.count and figure.value < figure.floor / 2:
        text = (
            f"Samples repeat: there seem to be only about {figure.value:,.0f} different ones among "
            f"{figure.count:,}."
        )
        yield Finding("bad", text)


def _of_copies(figure: Figure | None) -> Iterator[Finding]:
    if figure is None or not figure.floor:
        return
    scores = against(MEASURES["authenticity"], figure)
    if not is_below(figure):
        yield Finding("good", f"No sign of copies of training images: {scores}.")
    elif figure.value < 0.5 * figure.floor:
        text = f"Many samples are as close to training images as copies: {scores}."
        yield Finding("bad", text)
    else:
        text = f"Samples are closer to training images than other real images are: {scores}."
        yield Finding("fair", text)


def _classes(places: Iterable[int], evaluation: Evaluation) -> str:
    names = [evaluation.class_name(place) for place in places]
    if len(names) == 1:
        return f"Class {names[0]} is"
    if len(names) > 10:
        names = [*names[:8], f"{len(names) - 8} others"]
    return f"Classes {', '.join(names[:-1])} and {names[-1]} are"

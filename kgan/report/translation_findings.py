"""Findings about translations: known failures by name, and scores next to their floors.

The failures are those of unpaired translation, which losses do not show. A test shows a translator
with each of them, and a perfect one.
"""

from collections.abc import Iterator

from kgan.metrics import TRANSLATION_MEASURES, TranslationEvaluation, TranslationFigure
from kgan.report.findings import FAR, Finding, Share, of_distance, of_share, short_title

_CLASS_KEPT = Share(
    0.98,
    0.9,
    {
        "good": "Translations keep their class",
        "fair": "Some translations lose their class",
        "bad": "Many translations lose their class",
    },
)
# Classes are permuted if a renaming explains at least this share of the translations, and this much
# more than no renaming does. By chance it explains little more than the largest class's share.
_PERMUTED_SHARE = 0.7
_PERMUTED_GAIN = 0.1
_SHOWN_CLASSES = 5
# A translator returns its inputs if it changes them by less than this share of the true change.
_UNCHANGED = 0.1
# The same on [0, 1] where the true change is not known. Then the distance must not improve either:
# some tasks change few pixels.
_UNCHANGED_PIXELS = 0.02
_UNCHANGED_DISTANCE = 0.8
# All inputs get one output if translations vary by less than this, relative to targets. Blurred
# translations vary by more.
_ONE_OUTPUT = 0.1
# Colours are inverted if the error, or the distance, with inverted colours is less than this share
# of it, and clearly lower than that of the mean image: noise is as bad with inverted colours.
_INVERTED = 0.5
_BETTER_THAN_MEAN = 0.75
# Dropout does nothing if it changes translations by less than this share of the difference between
# targets.
_SAME = 0.02


def of_translation(translation: TranslationEvaluation | None) -> Iterator[Finding]:
    """Yields sentences about translations, if there are any."""
    if translation is None:
        return
    failures = [
        *_of_permutation(translation),
        *_of_identity(translation),
        *_of_one_output(translation),
        *_of_inversion(translation),
    ]
    yield from failures
    yield from _of_classes(translation)
    yield from _of_distance(translation)
    yield from _of_errors(translation.figures.get("error"))
    yield from _of_cycles(translation.figures.get("cycle_error"))
    yield from _of_diversity(translation.figures.get("diversity"))


def _are_permuted(translation: TranslationEvaluation) -> bool:
    classes = translation.classes
    if classes is None or classes.permuted_share is None:
        return False
    least = max(_PERMUTED_SHARE, classes.kept + _PERMUTED_GAIN)
    return classes.permuted_share >= least


def _of_permutation(translation: TranslationEvaluation) -> Iterator[Finding]:
    classes = translation.classes
    if classes is None or classes.permutation is None or not _are_permuted(translation):
        return
    renamed = [pair for pair in classes.permutation.items() if pair[0] != pair[1]]
    shown = ", ".join(f"{label} becomes {seen}" for label, seen in renamed[:_SHOWN_CLASSES])
    others = len(renamed) - _SHOWN_CLASSES
    more = f", and {others} more" if others > 0 else ""
    text = (
        f"Classes are permuted: {classes.kept:.1%} of the translations keep their class, and a "
        f"renaming of classes explains {classes.permuted_share:.1%}: {shown}{more}."
    )
    cycle = translation.figures.get("cycle_error")
    if cycle is not None:
        score = TRANSLATION_MEASURES["cycle_error"].format(cycle.value)
        text += f" The cycle error of {score} does not show this."
    yield Finding("bad", text)


def _of_identity(translation: TranslationEvaluation) -> Iterator[Finding]:
    signs, distance = translation.signs, translation.figures["fcd"]
    if signs.change is None:
        return
    text = f"Translations are nearly the inputs: the mean difference is {signs.change:.4f}"
    if signs.true_change is not None:
        if signs.change < _UNCHANGED * signs.true_change:
            yield Finding("bad", f"{text}, that of true translations {signs.true_change:.4f}.")
        return
    before = distance.untranslated
    if before is None or not _is_far(before, distance):
        return
    if signs.change < _UNCHANGED_PIXELS and distance.value > _UNCHANGED_DISTANCE * before:
        yield Finding("bad", f"{text}.")


def _of_one_output(translation: TranslationEvaluation) -> Iterator[Finding]:
    spread = translation.signs.spread
    if spread < _ONE_OUTPUT:
        text = "All inputs get nearly the same translation: the variance between translations is"
        yield Finding("bad", f"{text} {spread:.3f} times that between targets.")


def _of_inversion(translation: TranslationEvaluation) -> Iterator[Finding]:
    signs = translation.signs
    figure = translation.figures[signs.inverted_measure]
    if signs.spread < _ONE_OUTPUT or signs.inverted >= _INVERTED:
        return
    inverted = signs.inverted * figure.value
    if figure.mean_image is not None and inverted < _BETTER_THAN_MEAN * figure.mean_image:
        measure = TRANSLATION_MEASURES[signs.inverted_measure]
        text = (
            f"Colours are inverted: {short_title(measure)} {measure.format(figure.value)}, with "
            f"inverted colours {measure.format(inverted)}."
        )
        yield Finding("bad", text)


def _of_classes(translation: TranslationEvaluation) -> Iterator[Finding]:
    if _are_permuted(translation):
        return
    measure, figure = TRANSLATION_MEASURES["class_kept"], translation.figures.get("class_kept")
    for finding in of_share(_CLASS_KEPT, measure, figure):
        notes = "" if finding.tone == "good" else ", ".join(translation.notes("class_kept"))
        text = f"{finding.text} The most frequent confusion: {notes}." if notes else finding.text
        yield Finding(finding.tone, text)


def _of_distance(translation: TranslationEvaluation) -> Iterator[Finding]:
    measure, figure = TRANSLATION_MEASURES["fcd"], translation.figures["fcd"]
    before = figure.untranslated
    if before is not None and figure.value >= before and _is_far(before, figure):
        text = (
            "Translations are no closer to the target domain than their inputs: "
            f"{short_title(measure)} {measure.format(figure.value)}, untranslated "
            f"{measure.format(before)}."
        )
        yield Finding("bad", text)
    else:
        yield from of_distance("translations", measure, figure)


def _is_far(distance: float, figure: TranslationFigure) -> bool:
    """Whether a distance is clearly larger than that of real images."""
    return figure.floor is not None and distance > FAR * figure.floor


def _of_errors(figure: TranslationFigure | None) -> Iterator[Finding]:
    if figure is None:
        return
    measure = TRANSLATION_MEASURES["error"]
    others = {"untranslated": figure.untranslated, "mean image": figure.mean_image}
    known = {name: score for name, score in others.items() if score is not None}
    scores = ", ".join(f"{name} {measure.format(score)}" for name, score in known.items())
    is_best = figure.value < min(known.values())
    # Only fair: where one input has many true translations, the mean of them has a low error.
    tone, how = ("good", "closer to") if is_best else ("fair", "no closer to")
    text = f"Translations are {how} the true ones than images without a translation"
    yield Finding(tone, f"{text}: error {measure.format(figure.value)}, {scores}.")


def _of_cycles(figure: TranslationFigure | None) -> Iterator[Finding]:
    if figure is None or figure.mean_image is None or figure.value < figure.mean_image:
        return
    measure = TRANSLATION_MEASURES["cycle_error"]
    text = (
        "Cycles do not return to their inputs: cycle error "
        f"{measure.format(figure.value)}, mean input {measure.format(figure.mean_image)}."
    )
    yield Finding("bad", text)


def _of_diversity(figure: TranslationFigure | None) -> Iterator[Finding]:
    if figure is None or figure.floor is None or figure.value >= _SAME * figure.floor:
        return
    measure = TRANSLATION_MEASURES["diversity"]
    text = (
        "Dropout hardly changes the translations of an input: difference "
        f"{measure.format(figure.value)}, different targets {measure.format(figure.floor)}."
    )
    yield Finding("fair", text)

"""Metrics of image translations: realism in the target domain, and preserved content."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from kgan._arguments import integer
from kgan._progress import now_and_then
from kgan._typing import Config, Pictures, Say
from kgan.metrics import pixels
from kgan.metrics._json import plain
from kgan.metrics._printing import Printed, Table
from kgan.metrics._translation_sources import TranslatedImages, Translator
from kgan.metrics.cache import cached_features
from kgan.metrics.datasets import Data
from kgan.metrics.distances import frechet_distance
from kgan.metrics.evaluator import LEAST_ACCURACY, extractor_for
from kgan.metrics.features import Extractor, Features, extract
from kgan.metrics.figures import MEASURES, Figure, Measure, notes_on, title_of
from kgan.metrics.translated_classes import TranslatedClasses, translated_classes
from kgan.training.capabilities import Translates

_CYCLED = 1000  # inputs that are translated and back
_REPEATED = 256  # inputs that are translated several times
_KEPT = 24

TRANSLATION_MEASURES = {
    "error": Measure(
        "error (L1)",
        "lower",
        4,
        "The mean absolute difference from the true translations, of pixels on [0, 1].",
    ),
    "psnr": Measure(
        "PSNR in dB",
        "higher",
        2,
        "The peak signal-to-noise ratio against the true translations, the mean over images: at "
        "most 58.92, for equal images.",
    ),
    "ssim": Measure(
        "SSIM",
        "higher",
        4,
        "The structural similarity to the true translations, the mean over images: 1 if they are "
        "the same.",
    ),
    "fcd": MEASURES["fcd"],
    "class_kept": Measure(
        "class kept",
        "higher",
        4,
        "The share of translations in which the classifier sees the class that they should have.",
    ),
    "cycle_error": Measure(
        "cycle error (L1)",
        "lower",
        4,
        "The mean absolute difference between inputs and their translations back, of pixels on "
        "[0, 1]. It is also low if classes are permuted.",
    ),
    "diversity": Measure(
        "diversity (L1)",
        "higher",
        4,
        "The mean absolute difference between translations of the same input with different "
        "dropout, of pixels on [0, 1].",
    ),
}


@dataclass(frozen=True)
class TranslationFigure(Figure):
    """One score of translations, next to the scores of methods without a network.

    The floor is the score of real images of the target domain: of the true translations, where they
    are known. `Figure` has the other fields.

    Args:
        untranslated: Float, the score of the inputs in place of their translations, or None.
        mean_image: Float, the score of the mean image of the target domain in place of every
            translation, or None. For the cycle error, it is the mean of the inputs.
    """

    untranslated: float | None = None
    mean_image: float | None = None


@dataclass(frozen=True)
class TranslationSigns:
    """Numbers that show the known failures of translators.

    Args:
        change: Float, the mean absolute difference between translations and inputs on [0, 1], or
            None if they have different shapes. About 0 for a model that returns its inputs.
        true_change: Float, the same between true translations and inputs, or None.
        spread: Float, the variance between translations, relative to the variance between targets.
            About 0 for a model with one output for all inputs.
        inverted: Float, the error of the translations with inverted colours, relative to their
            error. Without true translations, the same of Fréchet distances. Below 1 if inverted
            translations are better.
        inverted_measure: String, `"error"` or `"fcd"`.
    """

    change: float | None
    true_change: float | None
    spread: float
    inverted: float
    inverted_measure: str


@dataclass(frozen=True, repr=False)
class TranslationEvaluation(Printed):
    """The quality of a model's translations.

    `print` and notebooks show a table of the scores. `evaluation["fcd"]` is the value of one.

    Args:
        figures: Dictionary of `TranslationFigure`s, one for each score.
            `kgan.metrics.TRANSLATION_MEASURES` describes them.
        signs: `TranslationSigns`, which show the known failures.
        classes: A `TranslatedClasses`, which classes became which, or None without labels.
        features: String, the name of the extractor.
        seed: Integer, which selected the images.
        inputs: uint8 `(m, H, W, C)`, some of the inputs.
        translations: uint8 `(m, H, W, C)`, their translations.
        truths: uint8 `(m, H, W, C)`, their true translations, or None.
        cycles: uint8 `(m, H, W, C)`, the inputs after a translation and the translation back, or
            None.

    Example:
    ```python
    task = kgan.data.pairs.outlines(test.images)

    class Negative:
        def translate(self, images, to=None):
            return -images

    found = kgan.metrics.translation(Negative(), *task, paired=True, labels=test.labels, count=100)
    print(found["class_kept"], found.figures["class_kept"].floor)
    kgan.images.show(kgan.images.paired_grid(found.inputs, found.translations, found.truths))
    ```
    """

    figures: dict[str, TranslationFigure]
    signs: TranslationSigns
    classes: TranslatedClasses | None
    features: str
    seed: int
    inputs: Pictures
    translations: Pictures
    truths: Pictures | None = None
    cycles: Pictures | None = None

    def __getitem__(self, name: str) -> float:
        return self.figures[name].value

    def title(self, name: str) -> str:
        """Returns the printed title of a score, which names the features where it matters."""
        return (
            title_of(name, self.features) if name in MEASURES else TRANSLATION_MEASURES[name].title
        )

    def to_dict(self) -> Config:
        """Returns all numbers, without the images, as JSON takes them."""
        return {
            "features": self.features,
            "seed": self.seed,
            "figures": {name: plain(asdict(figure)) for name, figure in self.figures.items()},
            "signs": plain(asdict(self.signs)),
            "classes": None if self.classes is None else self.classes.to_dict(),
        }

    def notes(self, name: str) -> list[str]:
        """Returns remarks on a score, as text: its spread, or the most frequent confusion."""
        notes = notes_on(TRANSLATION_MEASURES[name], self.figures[name])
        if name == "class_kept" and self.classes is not None and self.classes.confusion is not None:
            label, seen, share = self.classes.confusion
            notes.append(f"{label} becomes {seen}: {share:.1%}")
        return notes

    def remarks(self) -> list[str]:
        """Returns sentences about the signs of known failures."""
        signs, found = self.signs, []
        if self.classes is not None and self.classes.permuted_share is not None:
            share = self.classes.permuted_share
            found.append(f"A one-to-one renaming of classes explains {share:.1%} of translations.")
        if signs.change is not None:
            text = f"The mean difference between translations and inputs is {signs.change:.4f}"
            if signs.true_change is not None:
                text += f", that of true translations {signs.true_change:.4f}"
            found.append(f"{text}.")
        found.append(
            f"The variance between translations is {signs.spread:.2f} times that between targets."
        )
        title = self.title(signs.inverted_measure)
        found.append(f"With inverted colours, the {title} is {signs.inverted:.2f} times as large.")
        return found

    def _table(self) -> Table:
        heads = ("", "translations", "untranslated", "mean image", "real", "N", "")
        return Table(
            [heads, *(self._row(name) for name in self.figures)],
            before=[f"Features: {self.features}. `real`: real images of the target domain."],
            after=self.remarks(),
        )

    def _row(self, name: str) -> tuple[str, ...]:
        figure, measure = self.figures[name], TRANSLATION_MEASURES[name]
        scores = (figure.value, figure.untranslated, figure.mean_image, figure.floor)
        cells = ["" if score is None else measure.format(score) for score in scores]
        return self.title(name), *cells, f"{figure.count:,}", ", ".join(self.notes(name))


def translation(
    model: Translates,
    inputs: Data,
    targets: Data,
    *,
    paired: bool = False,
    truths: Data | None = None,
    labels: npt.ArrayLike | None = None,
    target_labels: npt.ArrayLike | None = None,
    to: str | None = None,
    count: int = 10_000,
    seed: int = 0,
    features: Any = None,
    diversity_draws: int = 0,
    value_range: tuple[float, float] = (-1.0, 1.0),
    batch_size: int = 64,
    say: Say | None = None,
) -> TranslationEvaluation:
    """Measures whether translations of images look real, and whether they keep the content.

    Each score is next to the scores of the untranslated inputs, of the mean target and of real
    images, where they can be computed. A low cycle error does not show that the content is kept,
    since a model can permute classes and permute them back. Give `labels` to detect this.

    The Fréchet distance compares translations with as many targets, which are not the true
    translations of the same inputs. So it uses at most half of the targets.

    Args:
        model: A model with `translate(images)`, see `kgan.training.capabilities.Translates`. It
            gets and returns floats in `value_range`. With `cycle(images)`, its cycle error is
            measured too.
        inputs: Uint8 images to translate, `(N, H, W)` or `(N, H, W, C)`, or a
            `kgan.data.ImageDataset`. Use images that the model was not trained on.
        targets: Uint8 images of the target domain, or a `kgan.data.ImageDataset`.
        paired: Whether `targets` are the true translations of `inputs`, in the same order.
        truths: Uint8 images, the true translations of `inputs`, if they are known but `targets` are
            other images. Defaults to `None`.
        labels: Integers `(N,)`, the classes that the translations should have, in most tasks those
            of the `inputs`. An integer means one class for all. Defaults to `None`: the classes are
            not checked. They are not checked either if the classifier is right on less than half of
            the real images, since the labels then belong to other classes.
        target_labels: Integers, the classes of `targets`, for the accuracy of the classifier where
            the true translations are not known.
        to: `"a"` or `"b"`, for a model that translates both ways. Defaults to `None`, the model's
            default.
        count: Integer of at least 20, the number of inputs that are translated. If there are fewer
            inputs, all are translated. Do not compare distances of different counts.
        seed: Integer, which selects the images.
        features: The features for the distance and the classes, as for `kgan.evaluate`.
        diversity_draws: Integer, how often some of the inputs are translated with
            `translate(images, dropout=True, seed=...)`, for the diversity: at least 2. Defaults to
            0: the diversity is not measured.
        value_range: Two floats, the values of black and white for the model.
        batch_size: Integer, images at a time.
        say: Called with a line of text about each step of the work. Defaults to writing a line to
            standard error at most every five seconds.

    Returns:
        A `TranslationEvaluation`: `print` it, or read `evaluation["class_kept"]`.

    Raises:
        TypeError: The model does not translate images, or its `translate` has no `dropout`.
        ValueError: Translations have another shape than the targets, there are fewer than 20 inputs
            or targets, the numbers of images and labels do not fit, `diversity_draws` is 1, or the
            images need `features`.
        DivergedError: Translations are not finite.

    Example:
    ```python
    task = kgan.data.pairs.thin_and_thick(test.images, seed=0)
    labels = test.labels[task.rows_of_a]

    class Identity:
        def translate(self, images, to=None):
            return images

    found = kgan.metrics.translation(
        Identity(), task.a, task.b, truths=task.partners_of_a, labels=labels, count=100
    )
    print(found)  # a table of all scores, with those of the inputs and of real images
    for finding in kgan.report.verdict(translation=found):
        print(finding.text)
    ```
    """
    if not isinstance(model, Translates):
        raise TypeError(
            "Expected a model that translates images, with `translate(images)`. "
            f"Received: {type(model).__name__}."
        )
    integer("batch_size", batch_size)
    if integer("diversity_draws", diversity_draws, least=0) == 1:
        raise ValueError(
            "Expected `diversity_draws` to be 0, or at least 2 translations to compare. "
            "Received: diversity_draws=1."
        )
    images = TranslatedImages(inputs, targets, paired, truths, labels, target_labels, count, seed)
    translator = Translator(model, to, value_range, batch_size)
    if diversity_draws:
        translator.draws(images.inputs[:1], images.shape, seed)  # an error shows before the work
    measured = _Measured(images, translator, features, say or now_and_then())
    return measured.evaluation(diversity_draws, seed)


class _Measured:
    """Translations and everything that they are compared with, and their features."""

    def __init__(
        self, images: TranslatedImages, translator: Translator, features: Any, say: Say
    ) -> None:
        self.images = images
        self.translator = translator
        self.say = say
        self.extractor: Extractor = extractor_for(features, images.target_dataset)
        self.mean = pixels.mean_image(images.reference)
        say(f"translations of {len(images.inputs):,} images")
        self.translations = translator.translations(images.inputs, images.shape)
        self.cycles = translator.cycles(images.inputs[:_CYCLED])
        say("features")
        self.seen = extract(self.extractor, self.translations, say)
        self.seen_in_mean = self.extractor(self.mean)
        self.seen_in_reference = cached_features(self.extractor, images.reference, say)
        untranslated = images.untranslated
        self.seen_in_inputs = (
            None if untranslated is None else cached_features(self.extractor, untranslated, say)
        )

    def evaluation(self, draws: int, seed: int) -> TranslationEvaluation:
        """Returns all scores."""
        figures: dict[str, TranslationFigure] = self._of_pixels()
        self.say("Fréchet distance")
        figures["fcd"] = self._distance()
        accuracy = self._accuracy_on_real()
        classes = self._classes(accuracy)
        if classes is not None:
            figures["class_kept"] = self._class_kept(classes, accuracy)
        if self.cycles is not None:
            figures["cycle_error"] = self._cycle_error(self.cycles)
        if draws:
            self.say(f"{draws} translations of the same inputs")
            figures["diversity"] = self._diversity(draws, seed)
        truths = self.images.truths
        return TranslationEvaluation(
            figures={name: figures[name] for name in TRANSLATION_MEASURES if name in figures},
            signs=self._signs(figures),
            classes=classes,
            features=self.extractor.name,
            seed=seed,
            inputs=_few(self.images.inputs),
            translations=_few(self.translations),
            truths=None if truths is None else _few(truths),
            cycles=None if self.cycles is None else _few(self.cycles),
        )

    def _of_pixels(self) -> dict[str, TranslationFigure]:
        """Returns the errors against the true translations, if they are known."""
        truths, untranslated = self.images.truths, self.images.untranslated
        if truths is None:
            return {}
        measures: dict[str, pixels.Comparison] = {
            "error": pixels.absolute_errors,
            "psnr": pixels.signal_to_noise,
        }
        if pixels.can_measure_similarity(self.images.shape):
            measures["ssim"] = pixels.structural_similarity
        self.say("errors of pixels")

        def score(measure: pixels.Comparison, images: Pictures) -> float:
            return float(measure(truths, images).mean())

        return {
            name: TranslationFigure(
                score(measure, self.translations),
                len(truths),
                untranslated=None if untranslated is None else score(measure, untranslated),
                mean_image=score(measure, self.mean),
            )
            for name, measure in measures.items()
        }

    def _distance(self) -> TranslationFigure:
        count = len(self.images.reference)
        others = cached_features(self.extractor, self.images.others, self.say)
        inputs = self.seen_in_inputs
        return TranslationFigure(
            self._distance_of(self.seen.vectors[:count]),
            count,
            floor=self._distance_of(others.vectors),
            floor_count=count,
            untranslated=None if inputs is None else self._distance_of(inputs.vectors[:count]),
            mean_image=self._distance_of(np.repeat(self.seen_in_mean.vectors, count, axis=0)),
        )

    def _distance_of(self, vectors: npt.NDArray[np.float32]) -> float:
        return frechet_distance(self.seen_in_reference.vectors, vectors)

    def _accuracy_on_real(self) -> tuple[float, int] | None:
        """Returns the classifier's accuracy on real images of the target domain, and their N."""
        images = self.images
        if images.truths is not None and images.labels is not None:
            seen = cached_features(self.extractor, images.truths, self.say).classes
            labels = images.labels
        elif images.reference_labels is not None:
            seen, labels = self.seen_in_reference.classes, images.reference_labels
        else:
            return None
        return None if seen is None else (float(np.mean(seen == labels)), len(labels))

    def _classes(self, accuracy: tuple[float, int] | None) -> TranslatedClasses | None:
        labels, seen, number = self.images.labels, self.seen.classes, self.extractor.num_classes
        if labels is None or seen is None or number is None:
            return None
        if accuracy is not None and accuracy[0] < LEAST_ACCURACY:
            return None  # the classifier knows other classes than the labels
        return translated_classes(labels, seen, number)

    def _class_kept(
        self, classes: TranslatedClasses, accuracy: tuple[float, int] | None
    ) -> TranslationFigure:
        def kept(features: Features | None) -> float | None:
            return None if features is None else float(np.mean(features.classes == labels))

        labels = self.images.labels
        floor, floor_count = accuracy or (None, None)
        return TranslationFigure(
            classes.kept,
            len(self.translations),
            floor=floor,
            floor_count=floor_count,
            untranslated=kept(self.seen_in_inputs),
            mean_image=kept(self.seen_in_mean),
        )

    def _cycle_error(self, cycles: Pictures) -> TranslationFigure:
        inputs = self.images.inputs[: len(cycles)]
        mean = pixels.mean_image(inputs)
        return TranslationFigure(
            float(pixels.absolute_errors(inputs, cycles).mean()),
            len(cycles),
            mean_image=float(pixels.absolute_errors(inputs, mean).mean()),
        )

    def _diversity(self, draws: int, seed: int) -> TranslationFigure:
        inputs, shape = self.images.inputs[:_REPEATED], self.images.shape
        drawn = [self.translator.draws(inputs, shape, seed + number) for number in range(draws)]
        errors = [
            pixels.absolute_errors(first, second).mean()
            for place, first in enumerate(drawn)
            for second in drawn[:place]
        ]
        # Different targets differ more than translations of the same input can.
        targets = self.images.reference[:_REPEATED]
        return TranslationFigure(
            float(np.mean(errors)),
            len(inputs),
            floor=float(pixels.absolute_errors(targets, np.roll(targets, 1, axis=0)).mean()),
            floor_count=len(targets),
        )

    def _signs(self, figures: dict[str, TranslationFigure]) -> TranslationSigns:
        truths, untranslated = self.images.truths, self.images.untranslated

        def change(images: Pictures | None) -> float | None:
            if images is None or untranslated is None:
                return None
            return float(pixels.absolute_errors(untranslated, images).mean())

        targets = pixels.variance(self.images.reference)
        measure = "fcd" if truths is None else "error"
        return TranslationSigns(
            change=change(self.translations),
            true_change=change(truths),
            spread=_ratio(pixels.variance(self.translations), targets),
            inverted=_ratio(self._inverted(), figures[measure].value),
            inverted_measure=measure,
        )

    def _inverted(self) -> float:
        """Returns the error, or the distance, of the translations with inverted colours."""
        if self.images.truths is not None:
            inverted = 255 - self.translations
            return float(pixels.absolute_errors(self.images.truths, inverted).mean())
        inverted = 255 - self.translations[: len(self.images.reference)]
        return self._distance_of(extract(self.extractor, inverted, self.say).vectors)


def _few(images: Pictures) -> Pictures:
    return images[:_KEPT].copy()  # a view would keep all of them in memory


def _ratio(value: float, other: float) -> float:
    """Returns the ratio of two values of at least 0, where 0 / 0 is 1."""
    if other == 0:
        return 1.0 if value == 0 else float("inf")
    return value / other

"""Scores of translators whose failures are known, and of perfect ones."""

import functools
import json
import re

import numpy as np
import pytest

import kgan
from kgan import metrics, report
from kgan.metrics import pixels
from kgan.metrics.outputs import DivergedError

COUNT = 240
CLASSES = 4


class Classifier:
    """Sees which quarter of an image is bright: the class. Its features are a small image."""

    name = "quarters"
    num_classes = CLASSES

    def __call__(self, images):
        quarters = images.reshape(len(images), 2, 6, 2, 6, -1).mean(axis=(2, 4, 5))
        small = images.reshape(len(images), 4, 3, 4, 3, -1).mean(axis=(2, 4, 5))
        vectors = small.reshape(len(images), -1).astype("float32") / np.float32(64.0)
        return metrics.Features(vectors, quarters.reshape(len(images), 4).argmax(axis=1))

    def fingerprint(self):
        return None


class Translator:
    """Translates by a function of floats."""

    def __init__(self, function):
        self.function = function

    def translate(self, images, to=None):
        return self.function(images)


class Flickering(Translator):
    """With dropout, all images of a draw have the same level: brighter where the seed is 7."""

    def __init__(self, function, scale):
        super().__init__(function)
        self.scale = scale

    def translate(self, images, to=None, dropout=False, seed=None):
        if not dropout:
            return super().translate(images)
        return np.full(images.shape, self.scale * (seed == 7), "float32")


class Cycling(Translator):
    """Translates both ways."""

    def __init__(self, function, back=lambda images: images):
        super().__init__(function)
        self.back = back
        self.asked = set()

    def translate(self, images, to="b"):
        self.asked.add(to)
        return super().translate(images)

    def cycle(self, images, of="a"):
        self.asked.add(f"cycle {of}")
        return self.back(images)


def domain(count, seed, classes=None):
    """Images with a square in one quarter, the class, on a dark ground; and their classes."""
    generator = np.random.default_rng(seed)
    labels = generator.integers(0, CLASSES, count) if classes is None else classes
    images = generator.integers(0, 60, (count, 2, 6, 2, 6, 1))
    squares = generator.integers(180, 256, (count, 6, 6, 1))
    for image, square, label in zip(images, squares, labels, strict=True):
        image[label // 2, :, label % 2] = square
    return images.reshape(count, 12, 12, 1).astype("uint8"), labels


def to_b(pictures):
    """The true translation: brighter grounds. It keeps the class."""
    return (pictures // 2 + 120).astype("uint8")


INPUTS, LABELS = domain(COUNT, 0)
TRUTHS = to_b(INPUTS)
OTHERS, OTHER_LABELS = domain(2 * COUNT, 1)
TARGETS = to_b(OTHERS)


def as_floats(pictures):
    return pictures.astype("float32") / np.float32(127.5) - 1


def true(images):
    return as_floats(to_b(kgan.images.to_uint8(images)))


def permuted(images):
    """Moves the square to the next quarter, and translates that image."""
    pictures = kgan.images.to_uint8(images)
    labels = Classifier()(pictures).classes[:, None, None, None]
    beside = np.roll(pictures, 6, axis=2)
    return as_floats(to_b(np.where(labels % 2 == 0, beside, np.roll(beside, 6, axis=1))))


def confused(images):
    """Translates class 0 as class 1, and keeps the others."""
    labels = Classifier()(kgan.images.to_uint8(images)).classes[:, None, None, None]
    return np.where(labels == 0, permuted(images), true(images))


def inverted(images):
    return -true(images)


def one_output(images):
    return np.broadcast_to(as_floats(TARGETS[:1]), images.shape)


def noise(images):
    return np.random.default_rng(4).uniform(-1, 1, images.shape).astype("float32")


def identity(images):
    return images


def measured(model, **options):
    model = model if hasattr(model, "translate") else Translator(model)
    options = {"features": Classifier(), "labels": LABELS, "target_labels": OTHER_LABELS} | options
    return metrics.translation(model, INPUTS, TARGETS, **options)


with_truths = functools.partial(measured, truths=TRUTHS)


def errors_of(images):
    return np.abs(images / 255.0 - TRUTHS / 255.0).mean()


def test_scores_and_those_of_the_inputs_and_of_real_images():
    found = with_truths(confused)
    translations = kgan.images.to_uint8(confused(as_floats(INPUTS)))
    order = np.random.default_rng(0)
    order.permutation(COUNT)
    columns = order.permutation(2 * COUNT)
    reference = TARGETS[columns[COUNT:]]
    mean = np.rint(reference.mean(axis=0, keepdims=True)).astype("uint8")
    figure = found.figures["error"]
    assert figure.count == COUNT
    assert figure.value == pytest.approx(errors_of(translations), rel=1e-5)
    assert figure.untranslated == pytest.approx(errors_of(INPUTS), rel=1e-5)
    assert figure.mean_image == pytest.approx(errors_of(mean), rel=1e-5)
    for name, measure in (
        ("psnr", pixels.signal_to_noise),
        ("ssim", pixels.structural_similarity),
    ):
        assert found[name] == pytest.approx(measure(translations, TRUTHS).mean())
        assert found.figures[name].untranslated == pytest.approx(measure(INPUTS, TRUTHS).mean())
    vectors = functools.partial(metrics.frechet_distance, Classifier()(reference).vectors)
    figure = found.figures["fcd"]
    assert figure.count == figure.floor_count == COUNT
    assert figure.floor == pytest.approx(vectors(Classifier()(TARGETS[columns[:COUNT]]).vectors))
    assert figure.value == pytest.approx(vectors(Classifier()(translations).vectors), rel=1e-4)
    assert figure.untranslated == pytest.approx(vectors(Classifier()(INPUTS).vectors), rel=1e-4)
    figure = found.figures["class_kept"]
    assert figure.value == pytest.approx(np.mean(LABELS != 0))
    assert (figure.untranslated, figure.floor) == (1.0, 1.0)
    assert figure.mean_image == pytest.approx(
        np.mean(Classifier()(mean).classes[0] == LABELS), abs=1e-9
    )


def test_the_distance_of_paired_images_is_to_other_targets():
    found = metrics.translation(
        Translator(true), OTHERS, TARGETS, paired=True, features=Classifier(), count=2 * COUNT
    )
    figure = found.figures["fcd"]
    assert figure.count == COUNT
    assert figure.value == figure.floor > 0.0
    assert found["error"] == 0.0
    assert found.figures["error"].count == 2 * COUNT


def test_the_other_targets_of_sorted_pairs_have_all_classes():
    order = np.argsort(OTHER_LABELS, kind="stable")
    options = {"paired": True, "features": "pixels", "count": 60}
    found = metrics.translation(Translator(true), OTHERS[order], TARGETS[order], **options)
    assert found.signs.spread == pytest.approx(1.0, abs=0.2)


@pytest.mark.parametrize("measure", [measured, with_truths])
def test_a_perfect_translation_has_no_failure(measure):
    found = measure(Cycling(true))
    assert found.figures["class_kept"].value == 1.0
    assert found.signs.spread == pytest.approx(1.0, abs=0.1)
    assert {finding.tone for finding in report.verdict(translation=found)} == {"good"}


FAILURES = {
    "permuted": (permuted, "Classes are permuted: 0.0% of"),
    "identity": (identity, "Translations are nearly the inputs: the mean difference is 0.0000"),
    "inverted": (inverted, "Colours are inverted: "),
    "one output": (one_output, "All inputs get nearly the same translation: "),
}


@pytest.mark.parametrize("measure", [measured, with_truths])
@pytest.mark.parametrize("name", FAILURES)
def test_every_known_failure_has_its_name(measure, name):
    function, _ = FAILURES[name]
    findings = report.verdict(translation=measure(function))
    named = {
        key
        for key, (_, text) in FAILURES.items()
        for finding in findings
        if finding.text.startswith(text)
    }
    assert named == {name}
    assert findings[0].tone == "bad"


@pytest.mark.parametrize("measure", [measured, with_truths])
def test_noise_has_no_failure_of_another_name(measure):
    texts = [finding.text for finding in report.verdict(translation=measure(noise))]
    assert any(text.startswith("Many translations lose their class") for text in texts)
    for _, text in FAILURES.values():
        assert not any(found.startswith(text) for found in texts)


def test_permuted_classes_are_named_with_the_cycle_error():
    found = measured(Cycling(permuted))
    assert found["cycle_error"] == 0.0
    assert found.classes.permutation == {0: 1, 1: 2, 2: 3, 3: 0}
    assert found.classes.permuted_share == 1.0
    (text, *_) = (finding.text for finding in report.verdict(translation=found))
    assert text == (
        "Classes are permuted: 0.0% of the translations keep their class, and a renaming of "
        "classes explains 100.0%: 0 becomes 1, 1 becomes 2, 2 becomes 3, 3 becomes 0. The cycle "
        "error of 0.0000 does not show this."
    )


def test_a_single_confusion_is_no_permutation():
    found = measured(confused)
    assert found.classes.confusion == (0, 1, 1.0)
    (text,) = (
        finding.text
        for finding in report.verdict(translation=found)
        if finding.tone == "bad" and "class" in finding.text
    )
    assert text.startswith("Many translations lose their class: class kept 0.7")
    assert text.endswith("The most frequent confusion: 0 becomes 1: 100.0%.")


def test_cycles_are_measured_in_the_direction_of_the_translation():
    for to, asked in (("a", {"a", "cycle b"}), ("b", {"b", "cycle a"}), (None, {"b", "cycle a"})):
        model = Cycling(true, back=lambda images: np.clip(images + 0.2, -1, 1))
        found = measured(model, to=to)
        assert model.asked == asked
        # Grounds are from 0 to 60, squares from 180 to 255, and the error is 25.5 levels.
        moved = np.minimum(INPUTS + 25.5, 255.0) - INPUTS
        assert found["cycle_error"] == pytest.approx(moved.mean() / 255, abs=0.002)
        assert found.figures["cycle_error"].mean_image > 0.1
        assert found.cycles.shape == (24, 12, 12, 1)
    assert "cycle_error" not in measured(true).figures


def test_cycles_that_lose_the_image():
    found = measured(Cycling(true, back=lambda images: images[::-1]))
    texts = [finding.text for finding in report.verdict(translation=found)]
    assert any(text.startswith("Cycles do not return to their inputs") for text in texts)


def test_diversity_is_the_difference_between_draws():
    found = measured(Flickering(true, scale=0.5), diversity_draws=3, seed=5)
    # Levels of draws 5, 6 and 7 on [0, 1], as 8 bits: 0.5, 0.5 and 0.75. Two of three pairs differ.
    assert found["diversity"] == pytest.approx(0.25 * 2 / 3, abs=1 / 255)
    assert found.figures["diversity"].count == COUNT
    texts = [finding.text for finding in report.verdict(translation=found)]
    assert not any(text.startswith("Dropout hardly") for text in texts)
    found = measured(Flickering(true, scale=0.0), diversity_draws=2)
    assert found["diversity"] == 0.0
    texts = [finding.text for finding in report.verdict(translation=found)]
    assert any(text.startswith("Dropout hardly changes the translations") for text in texts)
    assert "diversity" not in measured(true).figures

    class NotMeasured(Translator):
        def translate(self, images, to=None):
            raise AssertionError

    with pytest.raises(TypeError, match=r"dropout=True, seed=.*Received: NotMeasured"):
        measured(NotMeasured(true), diversity_draws=2)


@pytest.mark.parametrize(("low", "high"), [(0.0, 1.0), (0.0, 255.0)])
def test_the_range_of_the_model(low, high):
    def scaled(images):
        unit = (images - low) / (high - low)
        return true(2 * unit - 1) * (high - low) / 2 + (high + low) / 2

    found = with_truths(scaled, value_range=(low, high))
    assert found["error"] == 0.0
    pictures = with_truths(lambda images: to_b(kgan.images.to_uint8(images)))  # uint8 outputs
    assert pictures["error"] == 0.0


def test_outputs_in_another_range_warn():
    with pytest.warns(UserWarning, match=r"range of the data set, \[-1, 1\]"):
        measured(lambda images: (images + 1) / 2)


def test_coloured_translations_of_grey_inputs():
    colours = np.repeat(TARGETS, 3, axis=3)

    def coloured(images):
        return np.repeat(true(images), 3, axis=3)

    found = metrics.translation(
        Translator(coloured), OTHERS, colours, paired=True, features="pixels", count=60
    )
    assert found["error"] == 0.0
    assert found.figures["error"].untranslated == pytest.approx(
        np.abs(OTHERS / 255.0 - TARGETS / 255.0).mean(), rel=0.05
    )
    assert found.translations.shape == (24, 12, 12, 3)
    assert found.classes is None
    back = metrics.translation(
        Translator(lambda images: images[..., :1]), colours, OTHERS, features="pixels", count=60
    )
    assert back.figures["fcd"].untranslated is None
    assert back.signs.change is None
    assert report.verdict(translation=back)


def test_one_label_stands_for_all_and_labels_of_other_classes_are_not_used():
    found = measured(true, labels=2, target_labels=OTHER_LABELS)
    assert found["class_kept"] == pytest.approx(np.mean(LABELS == 2))
    assert found.classes.permutation is None
    found = with_truths(true, labels=(LABELS + 1) % CLASSES)
    assert "class_kept" not in found.figures


def test_the_table_and_the_json_say_the_same():
    found = with_truths(Cycling(confused))
    table = str(found)
    read = json.loads(json.dumps(found.to_dict()))
    assert list(read["figures"]) == ["error", "psnr", "ssim", "fcd", "class_kept", "cycle_error"]
    for name, figure in read["figures"].items():
        measure = metrics.TRANSLATION_MEASURES[name]
        (line,) = [each for each in table.splitlines() if each.startswith(found.title(name))]
        assert measure.format(figure["value"]) in line
    assert "0 becomes 1: 100.0%" in table
    assert read["classes"]["confusion"] == [0, 1, 1.0]
    assert read["classes"]["permuted_share"] == found.classes.permuted_share
    assert f"{found.signs.true_change:.4f}" in table
    np.testing.assert_array_equal(found.truths, to_b(found.inputs))


def test_what_cannot_be_measured():
    with pytest.raises(TypeError, match=r"`translate\(images\)`. Received: Classifier"):
        metrics.translation(Classifier(), INPUTS, TARGETS)
    with pytest.raises(DivergedError, match="finite translations"):
        measured(lambda images: images * np.nan)
    with pytest.raises(ValueError, match=r"shape \(64, 12, 12, 1\). Received: \(64, 3, 12, 1\)"):
        measured(lambda images: images[:, :3])
    for options, message in (
        ({"truths": TRUTHS[:50]}, "Received: 240 inputs and 50 translations"),
        ({"truths": TRUTHS, "paired": True}, "Received: both"),
        ({"truths": TRUTHS[:, :6]}, r"\(12, 12, 1\). Received: \(6, 12, 1\)"),
        ({"labels": LABELS[:50]}, r"`labels` .*\(240,\).*shape \(50,\)"),
        ({"target_labels": LABELS}, r"`target_labels` .*\(480,\).*shape \(240,\)"),
        ({"count": 3}, "count=3"),
        ({"diversity_draws": 1}, "at least 2 translations to compare. Received: diversity_draws=1"),
        ({"to": "c"}, re.escape("'a' or 'b'. Received: to='c'")),
    ):
        with pytest.raises(ValueError, match=message):
            measured(Cycling(true), **options)
    with pytest.raises(ValueError, match=r"Expected at least 20 inputs .* Received: 7. Add"):
        metrics.translation(Translator(true), INPUTS[:7], TARGETS)


def test_without_scikit_image_there_is_no_similarity(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "skimage.metrics", None)
    assert "ssim" not in with_truths(true).figures


def test_digits_with_the_classifier_of_kgan():
    digits = kgan.data.load_digits("train")
    task = kgan.data.pairs.thin_and_thick(digits.images, seed=0)
    found = metrics.translation(
        Translator(identity),
        task.a,
        task.b,
        truths=task.partners_of_a,
        labels=digits.labels[task.rows_of_a],
        count=100,
    )
    assert found.features == "mnist_classifier"
    figure = found.figures["class_kept"]
    assert figure.value == figure.untranslated > 0.8
    assert figure.floor > 0.8
    assert found.signs.change == 0.0

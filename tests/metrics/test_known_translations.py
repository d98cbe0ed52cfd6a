# python tests/metrics/test_known_translations.py --data-dir DIR
"""Translators with known failures, from thin to thick digits, and what the verdict says of them.

Run as a script it prints the table of docs/explanation/metrics.md.
"""

import argparse
import os

import numpy as np
import pytest
from scipy import ndimage

import kgan
from kgan import metrics, report

pytestmark = [
    pytest.mark.backend_free,
    pytest.mark.skipif(
        not os.environ.get("KGAN_DATA_DIR"), reason="KGAN_DATA_DIR names no full MNIST"
    ),
]

CROSS = ndimage.generate_binary_structure(2, 1)[np.newaxis, :, :, np.newaxis]


class Translator:
    """Translates with a function of uint8 images and their digits, and back without an error."""

    def __init__(self, task, labels, function):
        self.digits = {image.tobytes(): digit for image, digit in zip(task.a, labels, strict=True)}
        self.function = function

    def translate(self, images, to="b"):
        pictures = kgan.images.to_uint8(images)
        digits = np.array([self.digits[picture.tobytes()] for picture in pictures])
        return self.function(pictures, digits).astype("float32") / np.float32(127.5) - 1

    def cycle(self, images, of="a"):
        return images


def thick(pictures, digits=None):
    """The true translations."""
    return ndimage.grey_dilation(pictures, footprint=CROSS)


def known_translators(task, labels):
    """Translators by what is wrong with them."""
    rows = [np.flatnonzero(labels == digit) for digit in range(10)]

    def others(wanted):
        return thick(task.a[[rows[d][n % len(rows[d])] for n, d in enumerate(wanted)]])

    functions = {
        "none": thick,
        "permuted classes": lambda _, digits: others((digits + 1) % 10),
        "4 and 9 exchanged": lambda _, digits: others(
            np.array([0, 1, 2, 3, 9, 5, 6, 7, 8, 4])[digits]
        ),
        "identity": lambda pictures, _: pictures,
        "one output for all": lambda pictures, _: np.repeat(thick(task.a[:1]), len(pictures), 0),
        "inverted colours": lambda pictures, _: 255 - thick(pictures),
        "blurred": lambda pictures, _: ndimage.gaussian_filter(thick(pictures), (0, 1.5, 1.5, 0)),
    }
    return {name: Translator(task, labels, function) for name, function in functions.items()}


def thin_and_thick(data_dir=None):
    test = kgan.data.load_mnist("test", data_dir=data_dir)
    task = kgan.data.pairs.thin_and_thick(test.images, seed=0)
    labels = {"labels": test.labels[task.rows_of_a], "target_labels": test.labels[task.rows_of_b]}
    return task, labels


# What a sentence of the verdict begins with, if it names the failure.
NAMES = {
    "Classes are permuted": {"permuted classes", "4 and 9 exchanged"},
    "Translations are nearly the inputs": {"identity"},
    "All inputs get nearly the same translation": {"one output for all"},
    "Colours are inverted": {"inverted colours"},
}
FAILURES = ["none", *sorted(set().union(*NAMES.values())), "blurred"]


@pytest.fixture(scope="module")
def task():
    return thin_and_thick()


@pytest.mark.parametrize("knows_truths", [True, False])
@pytest.mark.parametrize("failure", FAILURES)
def test_the_verdict_names_each_failure_and_no_other(task, failure, knows_truths):
    task, labels = task
    truths = task.partners_of_a if knows_truths else None
    model = known_translators(task, labels["labels"])[failure]
    found = metrics.translation(model, task.a, task.b, truths=truths, count=2000, **labels)
    texts = [finding.text for finding in report.verdict(translation=found)]
    for beginning, failures in NAMES.items():
        is_named = any(text.startswith(beginning) for text in texts)
        assert is_named == (failure in failures), texts
    if failure == "none":
        assert found["fcd"] < 2 * found.figures["fcd"].floor
        if knows_truths:
            assert found["error"] == 0.0


COLUMNS = ("error", "psnr", "ssim", "fcd", "class_kept", "cycle_error")


def main():
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data-dir", help="the folder of the four MNIST files")
    task, labels = thin_and_thick(parser.parse_args().data_dir)
    print(f"| failure | {' | '.join(COLUMNS)} | renaming | change | spread | inverted |")
    print("|---" * (len(COLUMNS) + 5) + "|")
    for name, model in known_translators(task, labels["labels"]).items():
        found = metrics.translation(
            model, task.a, task.b, truths=task.partners_of_a, count=5000, **labels
        )
        cells = [metrics.TRANSLATION_MEASURES[key].format(found[key]) for key in COLUMNS]
        signs = found.signs
        cells += [f"{found.classes.permuted_share:.4f}", f"{signs.change:.4f}"]
        cells += [f"{signs.spread:.2f}", f"{signs.inverted:.2f}"]
        print(f"| {name} | {' | '.join(cells)} |")
    print(found)


if __name__ == "__main__":
    main()

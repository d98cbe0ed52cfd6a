# python tests/metrics/test_known_faults.py --data-dir DIR
"""Generators with known faults, and which figure catches which.

Run as a script it prints the table of docs/explanation/metrics.md.
"""

import argparse
import os

import numpy as np
import pytest
from scipy import ndimage

import kgan
from kgan import metrics
from kgan.callbacks.collapse_alarm import signs_in_features

pytestmark = [
    pytest.mark.backend_free,
    pytest.mark.skipif(
        not os.environ.get("KGAN_DATA_DIR"), reason="KGAN_DATA_DIR names no full MNIST"
    ),
]


class Faulty:
    """A generator that shows test digits, all but for its fault.

    Args:
        draw: Takes a random generator and labels, of the real images; returns uint8 images.
        num_classes: 10 for a conditional one.
    """

    def __init__(self, draw, num_classes=None):
        self.draw = draw
        self.num_classes = num_classes

    def generate(self, n, labels=None, seed=None):
        generator = np.random.default_rng(seed)
        if labels is None:
            labels = generator.integers(10, size=n)
        return self.draw(generator, labels) / np.float32(127.5) - 1


def faulty_generators(data_dir=None):
    """Generators by what is wrong with them."""
    train = kgan.data.load_mnist("train", data_dir=data_dir)
    test = kgan.data.load_mnist("test", data_dir=data_dir)
    places = [np.flatnonzero(test.labels == digit) for digit in range(10)]
    own = [np.flatnonzero(train.labels[:100] == digit) for digit in range(10)]

    def digits(generator, labels):
        # Each test digit about once: drawn one by one, some would come twice or three times.
        orders = [
            np.concatenate([generator.permutation(p) for _ in range(len(labels) // len(p) + 1)])
            for p in places
        ]
        taken = [0] * 10
        rows = np.empty(len(labels), int)
        for index, label in enumerate(labels):
            rows[index] = orders[label][taken[label]]
            taken[label] += 1
        return test.images[rows]

    def only(*kept):
        return lambda generator, labels: digits(generator, np.asarray(kept)[labels % len(kept)])

    def blurred(generator, labels):
        return ndimage.gaussian_filter(digits(generator, labels), (0, 1, 1, 0))

    def noisy(generator, labels):
        shown = digits(generator, labels) + 40 * generator.standard_normal((len(labels), 28, 28, 1))
        return np.clip(shown, 0, 255)

    def copies(generator, labels):
        return train.images[[generator.choice(own[label]) for label in labels]]

    return {
        "none": Faulty(digits),
        "one digit": Faulty(only(3)),
        "half the digits": Faulty(only(0, 1, 2, 3, 4)),
        "two digits lost": Faulty(only(0, 1, 2, 3, 4, 5, 6, 7)),
        "blurred": Faulty(blurred),
        "noisy": Faulty(noisy),
        "copies of 100 training images": Faulty(copies),
        "labels swapped": Faulty(lambda g, labels: digits(g, 9 - labels), num_classes=10),
    }


# A figure catches a fault if it is that much worse than its floor.
def catching(evaluation):
    """The names of the figures that are clearly off their floors."""
    found = set()
    for name, figure in evaluation.figures.items():
        value, floor = figure.value, figure.floor
        if name == "fcd":
            off = value > 5 * floor
        elif name == "kid":
            off = value > 5 * abs(floor) + 0.5
        elif name == "class_divergence":
            off = value > 0.02
        elif name == "support":
            off = value < figure.count
        elif name == "inception_score":
            off = value < 0.9 * floor
        else:
            off = value < 0.8 * floor
        if off:
            found.add(name)
    return found


DISTANCES = {"fcd", "kid"}
CLASSES = {"class_divergence", "inception_score"}
CAUGHT_BY = {
    "none": set(),
    "one digit": DISTANCES | CLASSES | {"recall", "coverage", "modes"},
    "half the digits": DISTANCES | CLASSES | {"recall", "coverage"},
    "two digits lost": DISTANCES | CLASSES,
    "blurred": DISTANCES | {"recall", "coverage"},
    "noisy": DISTANCES | CLASSES | {"precision", "recall", "density", "coverage"},
    "copies of 100 training images": DISTANCES | {"recall", "coverage", "support", "authenticity"},
    "labels swapped": {"label_accuracy"},
}
SIGNS = {
    "none": set(),
    "one digit": {"spread", "missing_classes"},
    "half the digits": {"missing_classes"},
    "two digits lost": {"missing_classes"},
    "blurred": set(),
    "copies of 100 training images": {"repeats"},
    "labels swapped": set(),
}


@pytest.fixture(scope="module")
def generators():
    return faulty_generators()


@pytest.fixture(scope="module")
def training():
    train = kgan.data.load_mnist("train")
    return kgan.data.ImageDataset(train.images[:8000], train.labels[:8000])


@pytest.fixture(scope="module")
def evaluator(training):
    return metrics.Evaluator(training, 2000)


@pytest.fixture(scope="module")
def alarm(training):
    return metrics.Evaluator(training, 500, thorough=False)


@pytest.mark.parametrize("fault", CAUGHT_BY)
def test_each_fault_is_caught_by_the_figures_that_it_should_be(generators, evaluator, fault):
    evaluation = evaluator.evaluate(generators[fault])
    assert catching(evaluation) == CAUGHT_BY[fault], str(evaluation)


@pytest.mark.parametrize("fault", SIGNS)
def test_the_alarm_sees_the_signs_that_it_should(generators, alarm, fault):
    _, _, fake = alarm.sample(generators[fault])
    assert {sign for sign, _ in signs_in_features(alarm.real, fake, 10)} == SIGNS[fault]


def main():
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data-dir", help="the folder of the four MNIST files")
    options = parser.parse_args()
    train = kgan.data.load_mnist("train", data_dir=options.data_dir)
    evaluator = metrics.Evaluator(train, 10_000)
    rows = {}
    for fault, generator in faulty_generators(options.data_dir).items():
        evaluation = evaluator.evaluate(generator)
        caught = catching(evaluation)
        rows[fault] = {
            name: ("**{}**" if name in caught else "{}").format(
                metrics.MEASURES[name].format(figure.value)
            )
            for name, figure in evaluation.figures.items()
        }
    names = [name for name in metrics.MEASURES if any(name in row for row in rows.values())]
    print("| fault | " + " | ".join(names) + " |")
    print("|---|" + "---|" * len(names))
    for fault, row in rows.items():
        print(f"| {fault} | " + " | ".join(row.get(name, "") for name in names) + " |")
    floors = [metrics.MEASURES[n].format(evaluator.floors[n].value) for n in names]
    print("| *floor* | " + " | ".join(f"*{floor}*" for floor in floors) + " |")


if __name__ == "__main__":
    main()

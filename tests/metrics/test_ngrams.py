"""N-grams with Witten-Bell smoothing against counting one value at a time."""

import collections
import itertools
import math

import numpy as np
import pytest

import kgan
from kgan import metrics
from kgan.metrics import ngrams, tables

pytestmark = pytest.mark.backend_free


def text_like(count, length=7, levels=4, seed=0, channels=1):
    """Sequences whose values resemble those before them."""
    generator = np.random.default_rng(seed)
    steps = generator.integers(-1, 2, (count, length * channels))
    sequences = np.abs(generator.integers(0, levels, (count, 1)) + steps.cumsum(axis=1)) % levels
    return sequences.astype("uint8").reshape(count, 1, length, channels)


class Counted:
    """The same n-gram by dictionaries."""

    def __init__(self, training, levels, order):
        self.levels, self.order = levels, order
        self.counts = collections.defaultdict(collections.Counter)
        for sequence in training.reshape(len(training), -1).tolist():
            for place, value in enumerate(sequence):
                for before in range(min(order - 1, place) + 1):
                    self.counts[tuple(sequence[place - before : place])][value] += 1

    def probability(self, value, context):
        lower = self.probability(value, context[1:]) if context else 1 / self.levels
        counts = self.counts.get(context)
        if not counts:
            return lower
        kinds = len(counts)
        return (counts[value] + kinds * lower) / (sum(counts.values()) + kinds)

    def nats(self, images):
        total = 0.0
        for sequence in images.reshape(len(images), -1).tolist():
            for place, value in enumerate(sequence):
                context = tuple(sequence[max(0, place - self.order + 1) : place])
                total -= math.log(self.probability(value, context))
        return total / len(images)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(("levels", "order"), [(4, 1), (4, 3), (256, 5), (2, 16), (4, 30)])
def test_ngrams_are_those_of_counting(levels, order, channels):
    training = text_like(30, levels=min(levels, 9), channels=channels)
    images = text_like(12, levels=min(levels, 9), seed=1, channels=channels)
    expected = Counted(training, levels, order).nats(images)
    assert ngrams.ngram_nats(images, training, levels, order) == pytest.approx(expected)


def test_the_probabilities_of_all_sequences_sum_to_one():
    training = text_like(20, length=4, levels=3)
    every = np.array(list(itertools.product(range(3), repeat=4)), "uint8").reshape(-1, 1, 4, 1)
    nats = [ngrams.ngram_nats(one[None], training, 3, order=3) for one in every]
    assert np.exp(-np.array(nats)).sum() == pytest.approx(1.0)


def test_without_training_images_each_half_is_measured_by_the_other():
    images = text_like(21)
    first, second = images[:10], images[10:]
    expected = 10 * ngrams.ngram_nats(first, second, 4, 3) + 11 * ngrams.ngram_nats(
        second, first, 4, 3
    )
    assert ngrams.ngram_nats(images, None, 4, 3) == pytest.approx(expected / 21)


def test_a_cycle_is_learned():
    # Each value decides the next one, so that only the first of a sequence costs much.
    cycle = (np.arange(12) + np.arange(400)[:, None]) % 4
    images = cycle.astype("uint8").reshape(400, 1, 12, 1)
    assert ngrams.ngram_nats(images, images, 4, 2) == pytest.approx(math.log(4), abs=0.05)


def test_more_bits_than_an_integer_has():
    with pytest.raises(ValueError, match=r"at most 62 bits\. Received: order=8 of 256 levels"):
        ngrams.ngram_nats(text_like(4), None, 256, 8)


# ---- in the likelihood of sequences --------------------------------------------------------------


class Uniform:
    """A model of images whose values are all equally likely.

    Args:
        levels: 2 or 256.
    """

    likelihood_is_exact = True

    def __init__(self, levels=256):
        self.levels = levels
        self.likelihood_support = "binary" if levels == 2 else "levels"

    def log_prob(self, images, labels=None):
        return np.full(len(images), -math.prod(images.shape[1:]) * math.log(self.levels))


def sequences(count, seed=0, **options):
    pictures = text_like(count, length=20, levels=200, seed=seed) + np.uint8(40)
    return kgan.data.ImageDataset(pictures, batch_size=4, **options)


def test_sequences_have_ngrams_as_floors_and_a_perplexity():
    train, test = sequences(60), sequences(20, seed=1)
    found = metrics.likelihood(Uniform(), test, training=train)
    shown = np.rint((test.draw(20, 0)[0] + 1) * 127.5).astype("uint8")
    expected = {
        "3-gram (Witten-Bell)": ngrams.ngram_nats(shown, train.images, 256, 3),
        "5-gram (Witten-Bell)": ngrams.ngram_nats(shown, train.images, 256, 5),
        "one histogram": tables.histogram_nats(shown, train.images, 256),
    }
    assert {floor.title: floor.nats for floor in found.floors} == pytest.approx(expected)
    assert found.is_sequence
    assert found.perplexity == pytest.approx(256.0)
    assert found.to_dict()["perplexity"] == pytest.approx(256.0)
    heads, model, *_ = (line for line in str(found).splitlines() if "  " in line)
    assert heads.split()[-2:] == ["bits/dim", "perplexity"]
    assert model.split()[:4] == ["model", f"{20 * math.log(256):.2f}", "8.000", "256.000"]
    assert "Data: sequences of 8-bit values" in found.protocol
    assert "perplexity" not in found.protocol


def test_binary_sequences_have_longer_ngrams():
    found = metrics.likelihood(Uniform(2), sequences(30, binarize="threshold"))
    titles = {floor.title for floor in found.floors}
    assert titles == {"8-gram (Witten-Bell)", "16-gram (Witten-Bell)", "one histogram"}
    assert found.perplexity == pytest.approx(2.0)


def test_pictures_have_no_perplexity_in_their_table():
    pictures = np.random.default_rng(0).integers(0, 256, (8, 2, 6, 1), dtype="uint8")
    found = metrics.likelihood(Uniform(), kgan.data.ImageDataset(pictures, batch_size=4))
    assert not found.is_sequence
    assert "erplexity" not in str(found)
    assert found.to_dict()["perplexity"] is None


def test_metrics_of_samples_are_for_pictures():
    dataset = sequences(60)
    with pytest.raises(ValueError, match=r"\(1, 20, 1\), which are sequences.*features='pixels'"):
        kgan.evaluate(lambda n: dataset.images[:n], dataset, count=20)
    found = kgan.evaluate(lambda n: dataset.images[:n], dataset, count=20, features="pixels")
    assert found.features == "pixels"

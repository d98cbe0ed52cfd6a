"""Confusions and permutations of classes against all permutations."""

import itertools
import json

import numpy as np
import pytest

from kgan.metrics import translated_classes

pytestmark = pytest.mark.backend_free


@pytest.mark.parametrize("seed", range(5))
def test_the_renaming_is_the_best_of_all(seed):
    labels, seen = np.random.default_rng(seed).integers(0, 5, (2, 200))
    found = translated_classes(labels, seen, 5)
    for row, column in itertools.product(range(5), repeat=2):
        assert found.matrix[row, column] == np.sum((labels == row) & (seen == column))
    assert found.kept == np.mean(labels == seen)
    shares = [
        np.mean(np.asarray(permutation)[labels] == seen)
        for permutation in itertools.permutations(range(5))
    ]
    assert found.permuted_share == pytest.approx(max(shares))
    renamed = np.array([found.permutation[label] for label in range(5)])
    assert np.mean(renamed[labels] == seen) == pytest.approx(max(shares))


def test_classes_without_images_are_not_renamed():
    found = translated_classes([1, 1, 3, 3], [2, 2, 3, 0], 4)
    assert found.permutation in ({1: 2, 3: 3}, {1: 2, 3: 0})
    assert found.permuted_share == 0.75
    assert found.confusion == (1, 2, 1.0)
    assert json.loads(json.dumps(found.to_dict()))["permutation"]["1"] == 2


def test_one_class_has_no_renaming_and_no_error_no_confusion():
    found = translated_classes([2, 2, 2], [2, 2, 2], 4)
    assert found.kept == 1.0
    assert found.confusion is None
    assert found.permutation is None
    assert found.permuted_share is None


def test_classes_are_checked():
    with pytest.raises(ValueError, match="below num_classes=4"):
        translated_classes([0, 4], [0, 0], 4)

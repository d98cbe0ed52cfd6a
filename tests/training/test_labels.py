"""The labels that models are given."""

import numpy as np
import pytest

from kgan.training.labels import as_options, labels_for, labels_of, names_of, row_classes

pytestmark = pytest.mark.backend_free


class Model:
    def __init__(self, num_classes):
        self.num_classes = num_classes


class Unknown(Model):
    is_conditional = True


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        (None, [0, 1, 2, 0, 1]),
        (2, [2] * 5),
        (np.int64(1), [1] * 5),
        ([0, 2, 2, 1, 0], [0, 2, 2, 1, 0]),
        (np.array([2.0, 1, 0, 1, 2]), [2, 1, 0, 1, 2]),
    ],
)
def test_labels_of_generated_images(labels, expected):
    found = labels_for(Model(3), 5, labels)
    assert found.dtype == np.int32
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(
    ("model", "labels", "message"),
    [
        (Model(None), 1, "Expected no labels"),
        (Model(3), 3, "labels from 3 to 3"),
        (Model(3), -1, "labels from -1 to -1"),
        (Model(3), [0, 1], r"or 5 of them.*shape \(2,\)"),
        (Unknown(None), None, "Give labels, or build it with num_classes"),
    ],
)
def test_labels_that_do_not_fit_are_refused(model, labels, message):
    with pytest.raises(ValueError, match=message):
        labels_for(model, 5, labels)


def test_models_without_labels_get_none():
    assert labels_for(Model(None), 5) is None
    assert labels_of(Model(None), np.arange(3)) is None
    assert as_options(None) == {}


def test_a_model_that_does_not_know_its_classes_takes_those_that_are_given():
    np.testing.assert_array_equal(labels_for(Unknown(None), 2, [40, 7]), [40, 7])


def test_labels_of_real_images():
    labels = np.arange(3)
    assert labels_of(Model(3), labels) is labels
    assert as_options(labels) == {"labels": labels}
    with pytest.raises(ValueError, match="a data set with labels for a conditional model"):
        labels_of(Model(3), None)


def test_rows_of_classes():
    for classes, rows, expected in (
        (3, None, [0, 1, 2]),
        (3, 5, [0, 1, 2, 0, 1]),
        (10, 4, [0, 3, 6, 9]),
        (10, 1, [0]),
    ):
        np.testing.assert_array_equal(row_classes(classes, rows), expected)
    assert len(row_classes(1000)) == 16
    assert row_classes(1000)[-1] == 999


def test_names_of_classes():
    labels = np.array([2, 0], "int32")
    assert names_of(labels) == ["2", "0"]
    assert names_of(labels, ["cat", "dog", "fox"]) == ["fox", "cat"]
    assert names_of(labels, ["cat", "dog"]) == ["2", "cat"]  # a class without a name

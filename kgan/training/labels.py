"""The labels that models are given: the one place where classes are chosen and checked."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from kgan._arguments import integer
from kgan._typing import Labels, LabelsLike
from kgan.training import data_checks
from kgan.training.capabilities import classes_of, is_conditional

MOST_ROWS = 16
"""The highest number of rows of a grid with a row for each class."""


def labels_for(model: Any, n: int, labels: LabelsLike = None) -> Labels | None:
    """Returns the labels with which a model generates n images.

    Args:
        model: An object with `generate`, see `kgan.training.capabilities.Generates`.
        n: Integer, the number of images.
        labels: An integer, integers `(n,)`, or None for one class after the other, 0, 1, 2, ..., so
            that all come as evenly as n allows.

    Returns:
        Int32 array `(n,)`; None for an unconditional model.

    Raises:
        ValueError: The labels are out of range, not n, or given to an unconditional model; or there
            are none, and the model does not know its number of classes.
    """
    if not is_conditional(model):
        if labels is not None:
            raise ValueError(
                "Expected no labels, since this model is unconditional. "
                f"Received: labels={labels!r}."
            )
        return None
    if labels is None:
        return np.arange(n, dtype="int32") % classes_of(model)
    data_checks.check_labels(labels, model.num_classes)
    labels = np.asarray(labels)
    if labels.ndim == 0:
        return np.full(n, labels, "int32")
    if labels.shape != (n,):
        raise ValueError(
            f"Expected one label, or {n} of them: shape ({n},). "
            f"Received: labels of shape {labels.shape}."
        )
    return labels.astype("int32")


def labels_of(model: Any, labels: Labels | None) -> Labels | None:
    """Returns the labels of real images that a model takes with them: None if it takes none.

    Args:
        model: Any model.
        labels: The labels of the images, or None if the data set has none.

    Raises:
        ValueError: The model is conditional, and there are no labels.
    """
    if not is_conditional(model):
        return None
    if labels is None:
        raise ValueError(
            "Expected a data set with labels for a conditional model. Received: no labels."
        )
    return labels


def as_options(labels: Labels | None) -> dict[str, Any]:
    """Returns labels as keyword arguments: none for a model whose methods need not take labels."""
    return {} if labels is None else {"labels": labels}


def row_classes(classes: int, rows: int | None = None) -> Labels:
    """Returns the class of each row of a grid of samples.

    Args:
        classes: Integer, the number of classes.
        rows: Integer, the number of rows. Defaults to one for each class, at most 16.

    Returns:
        Int32 array `(rows,)`. With fewer rows than classes, they are spread evenly from the first
        class to the last; with more, the classes begin again.
    """
    rows = integer("rows", rows or min(classes, MOST_ROWS))
    shown = np.linspace(0, classes - 1, rows).round() if rows < classes else np.arange(rows)
    return shown.astype("int32") % classes


def names_of(labels: Labels, class_names: Sequence[str] | None = None) -> list[str]:
    """Returns the names of classes, or their numbers if they have no names.

    Args:
        labels: Integer array `(n,)`.
        class_names: The names of all classes, or None.

    Returns:
        n strings.
    """
    return [name_of(label, class_names) for label in labels.tolist()]


def name_of(label: int, class_names: Sequence[str] | None = None) -> str:
    """Returns the name of a class, or its number if it has no name.

    Args:
        label: Integer, the number of the class.
        class_names: The names of the first classes or of all, or None.
    """
    if class_names is None or label >= len(class_names):
        return str(label)
    return class_names[label]

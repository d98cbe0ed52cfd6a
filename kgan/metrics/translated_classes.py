"""The classes of translations: whether they are kept, confused or permuted."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.optimize import linear_sum_assignment

from kgan._typing import Config
from kgan.metrics import _checks
from kgan.metrics._json import plain


@dataclass(frozen=True)
class TranslatedClasses:
    """Which classes became which.

    Args:
        matrix: Int64 `(K, K)`: in row i and column j, how many translations of class i the
            classifier takes for class j.
        kept: Float, the share of translations with the class that they should have.
        confusion: `(label, seen, share)`: the class that most often becomes another one, that one,
            and the share of its translations. None if all classes are kept.
        permutation: Dictionary from each label to another class, or its own, with no class twice:
            the renaming that explains the most translations. None for fewer than two labels.
        permuted_share: Float, the share of translations that this renaming explains, or None.
    """

    matrix: npt.NDArray[np.int64]
    kept: float
    confusion: tuple[int, int, float] | None
    permutation: dict[int, int] | None
    permuted_share: float | None

    def to_dict(self) -> Config:
        """Returns everything as JSON takes it."""
        return {
            "matrix": plain(self.matrix),
            "kept": self.kept,
            "confusion": plain(self.confusion),
            "permutation": None
            if self.permutation is None
            else {str(label): seen for label, seen in self.permutation.items()},
            "permuted_share": self.permuted_share,
        }


def translated_classes(
    labels: npt.ArrayLike, seen: npt.ArrayLike, num_classes: int
) -> TranslatedClasses:
    """Counts which classes became which, and finds the renaming that explains the most.

    Args:
        labels: Integer `(N,)`, the classes that the translations should have.
        seen: Integer `(N,)`, the classes that a classifier sees in them.
        num_classes: Integer K.

    Returns:
        `TranslatedClasses`.

    Raises:
        ValueError: Classes are not integers from 0 to K - 1.

    Example:
    ```python
    labels = np.arange(100) % 10
    found = kgan.metrics.translated_classes(labels, (labels + 1) % 10, num_classes=10)
    assert found.kept == 0.0
    assert found.permuted_share == 1.0
    assert found.permutation[9] == 0
    ```
    """
    labels = _checks.classes("labels", labels, num_classes)
    seen = _checks.classes("seen", seen, num_classes)
    matrix = np.bincount(labels * num_classes + seen, minlength=num_classes**2)
    matrix = matrix.reshape(num_classes, num_classes).astype("int64")
    permutation, permuted_share = _best_permutation(matrix)
    return TranslatedClasses(
        matrix=matrix,
        kept=float(np.trace(matrix) / len(labels)),
        confusion=_most_confused(matrix),
        permutation=permutation,
        permuted_share=permuted_share,
    )


def _most_confused(matrix: npt.NDArray[np.int64]) -> tuple[int, int, float] | None:
    others = matrix.astype("float64")
    np.fill_diagonal(others, 0.0)
    shares = others / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    label, seen = np.unravel_index(np.argmax(shares), shares.shape)
    share = float(shares[label, seen])
    return (int(label), int(seen), share) if share > 0 else None


def _best_permutation(
    matrix: npt.NDArray[np.int64],
) -> tuple[dict[int, int] | None, float | None]:
    there = np.flatnonzero(matrix.sum(axis=1))
    if len(there) < 2:  # the class of most translations would explain the most
        return None, None
    rows, columns = linear_sum_assignment(matrix[there], maximize=True)
    permutation = dict(zip(there[rows].tolist(), columns.tolist(), strict=True))
    return permutation, float(matrix[there][rows, columns].sum() / matrix.sum())

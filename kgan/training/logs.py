"""What the logs say: running means."""

from collections.abc import Mapping, Sequence
from typing import Any

import keras
from keras import ops


class Means(keras.metrics.Metric):
    """Running means of several numbers that are told together.

    One metric instead of a `keras.metrics.Mean` for each: a step of a small network takes about as
    long as a dozen of those.

    Args:
        names: Strings, the numbers' names in the logs.
        name: String.
    """

    def __init__(self, names: Sequence[str], name: str = "means") -> None:
        super().__init__(name=name)
        self.names = tuple(names)
        self.totals = self.add_variable((len(names),), "zeros", name="totals")
        self.count = self.add_variable((), "zeros", name="count")

    def update_state(self, values: Mapping[str, Any], weight: Any = 1.0) -> None:
        """Counts numbers in.

        Args:
            values: Float32 scalars, by names out of `names`. A name that is left out counts as 0.
            weight: Scalar, how much they count for.
        """
        unknown = set(values) - set(self.names)
        if unknown:
            raise ValueError(
                f"Expected numbers by the names that were given, {self.names}. Received others "
                f"too: {sorted(unknown)}. An Augmentation's `logs` name all that it gives."
            )
        weight = ops.cast(weight, "float32")
        row = ops.stack([values.get(name, 0.0) for name in self.names])
        self.totals.assign_add(row * weight)
        self.count.assign_add(weight)

    def result(self) -> dict[str, Any]:
        """The means; 0 where nothing was told."""
        means = ops.divide_no_nan(self.totals, self.count)
        return dict(zip(self.names, ops.unstack(means), strict=True))

"""Running means: what the logs report."""

from collections.abc import Mapping, Sequence

import keras
from keras import ops

from kgan import _backend
from kgan._typing import Logs, Tensor


class Means(keras.metrics.Metric):
    """Running means of several numbers that are updated together.

    One metric instead of a `keras.metrics.Mean` for each: a step of a small network takes about as
    long as a dozen of those.

    Args:
        names: Strings, the numbers' names in the logs.
        name: String.
    """

    def __init__(self, names: Sequence[str], name: str = "means") -> None:
        super().__init__(name=name)
        self.names = tuple(names)
        # The last one is that of the weights.
        self.sums = self.add_variable((len(names) + 1,), "zeros", name="sums")

    def update_state(self, values: Mapping[str, Tensor], weight: Tensor = 1.0) -> None:
        """Adds numbers to the means.

        Args:
            values: Float32 scalars, by names out of `names`. A name that is left out counts as 0.
            weight: Scalar of at least 1, their weight in the mean.
        """
        unknown = set(values) - set(self.names)
        if unknown:
            raise ValueError(
                f"Expected logs by the names that the model declared, {self.names}. Received "
                f"others too: {sorted(unknown)}. Add them to the model's `log_names`, or to the "
                "augmentation's `logs`."
            )
        _backend.accumulate(self.sums, [*(values.get(n, 0.0) for n in self.names), 1.0], weight)

    def result(self) -> Logs:
        """The means; 0 before the first update."""
        sums = self.sums.value
        means = sums[:-1] / ops.maximum(sums[-1], 1.0)
        return dict(zip(self.names, ops.unstack(means), strict=True))

"""The TensorFlow backend: gradient tapes, and steps that Keras compiles as they stand."""

from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

Logs = dict[str, Any]


class ImperativeSteps:
    """Shows Keras's TensorFlow trainer the steps that a model states imperatively."""

    def training_step(self, data: Any) -> Logs:
        """Updates the model on one batch and returns the logs."""
        raise NotImplementedError

    def evaluation_step(self, data: Any) -> Logs:
        """Measures the model on one batch and returns the logs."""
        raise NotImplementedError

    def train_step(self, data: Any) -> Logs:
        """What Keras's trainer calls for a batch of training data."""
        return self.training_step(data)

    def test_step(self, data: Any) -> Logs:
        """What Keras's trainer calls for a batch of held-out data."""
        return self.evaluation_step(data)


def gradients(fn: Callable[[], tuple[Any, Any]], variables: Sequence[Any]) -> tuple[list[Any], Any]:
    """Differentiates what `fn` computes.

    Args:
        fn: Takes nothing and returns `(loss, aux)`: a scalar tensor, and a structure of tensors
            that is handed through. It may assign to variables, and may itself call `gradients`
            for other variables.
        variables: The `keras.Variable`s to differentiate with respect to.

    Returns:
        `(gradients, aux)`, a gradient for each variable, in order.
    """
    values = [variable.value for variable in variables]
    # Only these variables are watched: a tape that watched all would hold on to the work of
    # every other network that `fn` passes through.
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(values)
        loss, aux = fn()
    return tape.gradient(loss, values), aux

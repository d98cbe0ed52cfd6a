"""The TensorFlow backend: gradient tapes, steps that Keras compiles as they stand, tf.data."""

from collections.abc import Callable, Sequence
from typing import Any

import keras
import tensorflow as tf

Logs = dict[str, Any]

MULTIPLE_STEPS = True


class ImperativeSteps:
    """Shows Keras's TensorFlow trainer the steps that a model states imperatively."""

    def train_step(self: Any, data: Any) -> Logs:
        """What Keras's trainer calls for a batch of training data."""
        return self.training_step(data)

    def test_step(self: Any, data: Any) -> Logs:
        """What Keras's trainer calls for a batch of held-out data."""
        return self.evaluation_step(data)


def gradients(fn: Callable[[], tuple[Any, Any]], variables: Sequence[Any]) -> tuple[list[Any], Any]:
    """Differentiates what `fn` computes, as `kgan._backend` says."""
    values = [variable.value for variable in variables]
    # Only these variables are watched: a tape that watched all would hold on to the work of
    # every other network that `fn` passes through.
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(values)
        loss, aux = fn()
    # An embedding's gradient comes as slices, in which a row that was looked up twice stands twice:
    # right for an optimizer, wrong for whoever squares it.
    gradient = [
        tf.convert_to_tensor(part) if isinstance(part, tf.IndexedSlices) else part
        for part in tape.gradient(loss, values)
    ]
    return gradient, aux


def input_gradient(fn: Callable[[Any], Any], x: Any) -> Any:
    """Differentiates `fn(x)` with respect to `x`, as `kgan._backend` says."""
    x = tf.convert_to_tensor(x)
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(x)
        total = tf.reduce_sum(fn(x))
    return tape.gradient(total, x, unconnected_gradients="zero")


def apply(optimizer: Any, gradient: Sequence[Any], variables: Sequence[Any]) -> None:
    """Updates variables by an optimizer that was built for them, as `kgan._backend` says."""
    optimizer.apply(list(gradient), list(variables))


def readable(dataset: Any) -> Any:
    """Turns a `PyDataset` into a `tf.data.Dataset` that costs a step next to nothing.

    Keras's own way, `from_generator` with autotuning, has two costs that this one avoids. A
    generator makes TensorFlow have the C library give memory back at once (M_TRIM_THRESHOLD), so
    that every step faults its pages in anew. And an iterator that is done with waits for the
    autotuner to wake, which it does ever more seldom: up to half the time of a short epoch.

    Args:
        dataset: A `keras.utils.PyDataset`; batch `i` is a function of `i` and of the epoch alone.
            One that wants worker processes is returned as it is, for Keras to manage them.

    Returns:
        A `tf.data.Dataset` of the same batches in the same order, read anew each time.
    """
    if dataset.use_multiprocessing:
        return dataset
    first, last = dataset[0], dataset[len(dataset) - 1]
    specs = keras.tree.map_structure(_spec, first, last)
    types = [spec.dtype for spec in keras.tree.flatten(specs)]

    def make(index: Any) -> list[Any]:
        return list(keras.tree.flatten(dataset[int(index)]))

    def batch(index: Any) -> Any:
        parts = tf.numpy_function(make, [index], types)
        tensors = keras.tree.pack_sequence_as(specs, parts)
        return keras.tree.map_structure(_with_shape, tensors, specs)

    calls = dataset.workers if dataset.workers > 1 else None
    options = tf.data.Options()
    options.autotune.enabled = False
    options.deterministic = True
    batches = tf.data.Dataset.range(len(dataset)).map(batch, num_parallel_calls=calls)
    return batches.prefetch(2).with_options(options)


def _spec(first: Any, last: Any) -> Any:
    size = first.shape[0] if first.shape == last.shape else None
    return tf.TensorSpec((size, *first.shape[1:]), first.dtype)


def _with_shape(tensor: Any, spec: Any) -> Any:
    tensor.set_shape(spec.shape)
    return tensor

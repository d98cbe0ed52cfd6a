"""`tf.data.Dataset`s, on which models train whatever the backend is."""

from typing import Any


def labels_between(dataset: Any, least: int, most: int | None, expected: str) -> Any:
    """A dataset of `(images, labels)` that raises an error where labels are not in a range.

    Args:
        dataset: A `tf.data.Dataset`, batched.
        least: Integer.
        most: Integer, or None for no bound.
        expected: String, what the error says first.

    Returns:
        A `tf.data.Dataset` of the same batches. Reading it may raise a
        `tensorflow.errors.InvalidArgumentError`.
    """
    import tensorflow as tf  # noqa: PLC0415  (whoever has such a dataset has it)

    def checked(images: Any, labels: Any) -> Any:
        numbers = tf.cast(labels, "int64")
        low, high = tf.reduce_min(numbers), tf.reduce_max(numbers)
        is_right = (low >= least) & (most is None or high <= most)
        said = [f"{expected} Received: labels from", low, "to", high]
        with tf.control_dependencies([tf.debugging.Assert(is_right, said)]):
            return images, tf.identity(labels)

    return dataset.map(checked)

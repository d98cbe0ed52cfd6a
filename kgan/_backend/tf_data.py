"""`tf.data.Dataset`s, on which models train whatever the backend is."""

from typing import Any


def labels_below(dataset: Any, num_classes: int | None, expected: str) -> Any:
    """A dataset of `(images, labels)` that raises an error where a label is no class.

    Args:
        dataset: A `tf.data.Dataset`, batched.
        num_classes: Integer, or None if that is not known.
        expected: String, what the error says first.

    Returns:
        A `tf.data.Dataset` of the same batches. Reading it may raise a
        `tensorflow.errors.InvalidArgumentError`.
    """
    import tensorflow as tf  # noqa: PLC0415  (whoever has such a dataset has it)

    def checked(images: Any, labels: Any) -> Any:
        numbers = tf.cast(labels, "int64")
        low, high = tf.reduce_min(numbers), tf.reduce_max(numbers)
        is_right = (low >= 0) & (num_classes is None or high < num_classes)
        said = [f"{expected} Received: labels from", low, "to", high]
        with tf.control_dependencies([tf.debugging.Assert(is_right, said)]):
            return images, tf.identity(labels)

    return dataset.map(checked)

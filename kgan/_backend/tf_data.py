"""`tf.data.Dataset`s, on which models train whatever the backend is.

TensorFlow is imported inside the functions: anyone who has such a dataset has TensorFlow.
"""

from typing import Any

from kgan._typing import Shape


def is_empty(dataset: Any) -> bool:
    """Whether a dataset is known to have no batch."""
    return hasattr(dataset, "cardinality") and int(dataset.cardinality()) == 0


def checked(
    dataset: Any,
    *,
    shape: Shape,
    limits: tuple[float | None, float | None],
    range_text: str,
    num_classes: int | None,
    label_text: str | None,
) -> Any:
    """The same dataset, which raises an error at a batch that a model cannot train on.

    A compiled step cannot raise it: there, most labels that are not a class become zeros or NaN
    without an error.

    Args:
        dataset: A `tf.data.Dataset` of images or `(images, labels)`, batched.
        shape: The shape of a batch of images, for datasets that do not know it.
        limits: Two floats between which pixels lie, or Nones.
        range_text: String, begins the error about pixels.
        num_classes: Integer, or None if that is not known.
        label_text: String, begins the error about labels; None where labels are not used.

    Returns:
        A `tf.data.Dataset` of the same batches. Reading it may raise a
        `tensorflow.errors.InvalidArgumentError`.
    """
    import tensorflow as tf  # noqa: PLC0415

    def with_images_checked(images: Any) -> Any:
        images = tf.ensure_shape(images, shape)
        low, high = limits
        if low is None or high is None or not images.dtype.is_floating:
            return images
        least, most = tf.reduce_min(images), tf.reduce_max(images)
        is_right = (least >= tf.cast(low, images.dtype)) & (most <= tf.cast(high, images.dtype))
        said = [f"{range_text} Received: values from", least, "to", most]
        with tf.control_dependencies([tf.debugging.Assert(is_right, said)]):
            return tf.identity(images)

    def with_labels_checked(labels: Any) -> Any:
        if label_text is None or labels.dtype == tf.string:
            return labels
        numbers = tf.cast(labels, "int64")
        low, high = tf.reduce_min(numbers), tf.reduce_max(numbers)
        is_right = (low >= 0) & (num_classes is None or high < num_classes)
        is_right &= tf.reduce_all(tf.cast(numbers, labels.dtype) == labels)
        said = [f"{label_text} Received: labels from", tf.reduce_min(labels), "to", high]
        with tf.control_dependencies([tf.debugging.Assert(is_right, said)]):
            return tf.identity(labels)

    def check(*batch: Any) -> Any:
        images, *rest = batch
        parts = [with_images_checked(images), *map(with_labels_checked, rest[:1]), *rest[1:]]
        return tuple(parts) if len(parts) > 1 else parts[0]

    return dataset.map(check)

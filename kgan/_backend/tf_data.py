"""`tf.data.Dataset`s, on which models train whatever the backend is.

TensorFlow is imported inside the functions: anyone who has such a dataset has TensorFlow.
"""

from typing import Any, NamedTuple

from kgan._typing import Shape


class ImageRule(NamedTuple):
    """The requirements on a batch of images.

    Attributes:
        shape: Its shape, for datasets that do not know it.
        limits: Two floats between which pixels lie, or None.
        range_text: String, begins the error about pixels.
    """

    shape: Shape
    limits: tuple[float, float] | None
    range_text: str


def is_empty(dataset: Any) -> bool:
    """Whether a dataset is known to have no batch."""
    return hasattr(dataset, "cardinality") and int(dataset.cardinality()) == 0


def checked(
    dataset: Any,
    *,
    images: ImageRule,
    second: ImageRule | None,
    num_classes: int | None,
    label_text: str | None,
) -> Any:
    """The same dataset, which raises an error at a batch that a model cannot train on.

    A compiled step cannot raise it: there, most labels that are not a class become zeros or NaN
    without an error.

    Args:
        dataset: A `tf.data.Dataset` of images, `(images, labels)` or `(images, second images)`,
            batched.
        images: The rule for images.
        second: The rule for second images, or None where they are not used.
        num_classes: Integer, or None if that is not known.
        label_text: String, begins the error about labels; None where labels are not used.

    Returns:
        A `tf.data.Dataset` of the same batches. Reading it may raise a
        `tensorflow.errors.InvalidArgumentError`.
    """
    import tensorflow as tf  # noqa: PLC0415

    def with_images_checked(given: Any, rule: ImageRule) -> Any:
        given = tf.ensure_shape(given, rule.shape)
        if rule.limits is None or not given.dtype.is_floating:
            return given
        low, high = (tf.cast(limit, given.dtype) for limit in rule.limits)
        least, most = tf.reduce_min(given), tf.reduce_max(given)
        said = [f"{rule.range_text} Received: values from", least, "to", most]
        with tf.control_dependencies([tf.debugging.Assert((least >= low) & (most <= high), said)]):
            return tf.identity(given)

    def with_second_checked(given: Any) -> Any:
        return with_images_checked(given, second) if second is not None else given

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
        given, *rest = batch
        check_y = with_labels_checked if second is None else with_second_checked
        parts = [with_images_checked(given, images), *map(check_y, rest[:1]), *rest[1:]]
        return tuple(parts) if len(parts) > 1 else parts[0]

    return dataset.map(check)

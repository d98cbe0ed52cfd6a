"""What can be known to be wrong with data before a step trains on them, said in words.

Each function raises an error that names what was expected, what was received, and the mend: a
ValueError, of weights a TypeError.
"""

import math
from typing import Any

import keras
import numpy as np

from kgan._backend.tf_data import labels_below
from kgan.models.network_checks import fits, last_operation, shown, unpacked_shape
from kgan.training.feed import ends_of_pass, is_indexed

_LOOKED_AT = 32  # images: enough to tell a range
_RANGES = {"tanh": (-1.0, 1.0), "sigmoid": (0.0, 1.0)}


def check_labels(labels: Any, num_classes: int | None) -> None:
    """Refuses labels that are no class of the model.

    Args:
        labels: Array-like of integers, `()`, `(n,)` or `(n, 1)`.
        num_classes: How many classes there are, or None if that is not known.
    """
    labels = keras.ops.convert_to_numpy(labels)
    _check_shape_of_labels(labels.shape)
    if labels.size == 0:
        return
    if labels.dtype.kind not in "iub" and not np.array_equal(labels, labels.astype("int64")):
        raise ValueError(f"Expected integer labels. Received: labels of dtype {labels.dtype}.")
    low, high = int(labels.min()), int(labels.max())
    if low < 0 or (num_classes is not None and high >= num_classes):
        raise ValueError(f"{_known(num_classes)} Received: labels from {low} to {high}.")


def with_labels_checked(dataset: Any, num_classes: int | None) -> Any:
    """A `tf.data.Dataset` of `(images, labels)` that refuses labels as above, when they come.

    A compiled step could not: of labels that are no class most make zeros in silence, or NaN.
    """
    return labels_below(dataset, num_classes, _known(num_classes))


def _known(num_classes: int | None) -> str:
    most = "up" if num_classes is None else f"to {num_classes - 1}"
    return f"Expected labels from 0 {most}, the classes that the generator knows."


def _check_shape_of_labels(shape: tuple[int | None, ...]) -> None:
    if len(shape) > 2 or (len(shape) == 2 and shape[1] != 1):
        raise ValueError(
            "Expected integer labels of shape (n,), one class for each image. Received: labels of "
            f"shape {shape}. Of one-hot labels give labels.argmax(axis=-1)."
        )


def check_data(
    x: Any,
    y: Any = None,
    *,
    model: Any,
    batch_size: int | None = None,
    steps: int = 1,
    devices: int = 1,
    validation_split: float = 0.0,
    validation_batch_size: int | None = None,
) -> None:
    """Refuses data that the model would stumble over, as far as they tell before they are read.

    Args:
        x: What `fit` or `evaluate` got: an array, a `keras.utils.PyDataset`, a `tf.data.Dataset`,
            a PyTorch `DataLoader`, a generator.
        y: The labels beside an array.
        model: The `GAN`.
        batch_size: Integer, where `x` is an array.
        steps: `discriminator_steps`.
        devices: Integer, how many devices share a batch. Times `steps`, it must divide every one.
        validation_split: Float, the part of an array that is held out.
        validation_batch_size: Integer, of that part. Defaults to `batch_size`.
    """
    if isinstance(x, keras.utils.PyDataset):
        ends = ends_of_pass(x) if is_indexed(x) else [x[n] for n in {0, (x.num_batches or 1) - 1}]
        for batch in ends:
            check_values(*split_batch(batch), model=model, steps=steps, devices=devices)
        if model.is_conditional and is_indexed(x) and getattr(x, "labels", None) is not None:
            check_labels(x.labels, model.num_classes)  # all of them are at hand
    elif hasattr(x, "element_spec"):
        images, labels = split_batch(x.element_spec)
        if not hasattr(images, "shape") and not keras.tree.is_nested(images):
            return  # parts for several devices, which somebody has distributed already
        _check_is_tensor(images)
        if images.shape.rank is not None:
            check_batch(tuple(images.shape), images.dtype.name, labels is not None, model=model)
            if model.is_conditional and labels.shape.rank is not None:
                _check_shape_of_labels(tuple(labels.shape))
            _check_spec_divides(images.shape[0], steps, model.pack, devices)
    elif hasattr(x, "shape") and hasattr(x, "dtype"):
        check_batch(tuple(x.shape), x.dtype, y is not None, model=model)
        _check_range(x[:_LOOKED_AT], model)
        if model.is_conditional:
            check_labels(y, model.num_classes)
        count = math.floor(len(x) * (1.0 - validation_split))
        _check_lengths(count, batch_size, steps, model.pack, devices)
        _check_lengths(len(x) - count, validation_batch_size or batch_size, 1, model.pack, devices)
    elif isinstance(x, (list, tuple, dict)) or not hasattr(x, "__iter__"):
        _check_is_tensor(x)
    # A generator's batches are checked as they come. Of what PyTorch's DataLoader gives, each step
    # checks the shape.


def _check_lengths(count: int, batch_size: int | None, steps: int, pack: int, devices: int) -> None:
    """Refuses so many images in batches that cannot be split into equal parts."""
    size = min(batch_size or 32, count)
    for length in {size, count % size or size} if size else ():
        check_divides(length, steps, pack, devices)


def check_values(images: Any, labels: Any, *, model: Any, steps: int = 1, devices: int = 1) -> None:
    """Refuses a batch of arrays or tensors that the model would stumble over.

    Args:
        images: Array or tensor `(batch, height, width, channels)`.
        labels: Array-like of integers, or None.
        model: The `GAN`.
        steps: `discriminator_steps`.
        devices: Integer, how many devices share the batch.
    """
    _check_is_tensor(images)
    check_batch(tuple(images.shape), images.dtype, labels is not None, model=model)
    # As an array first: to slice a tensor takes TensorFlow longer than all else here.
    _check_range(keras.ops.convert_to_numpy(images)[:_LOOKED_AT], model)
    if model.is_conditional:
        check_labels(labels, model.num_classes)
        if len(labels) != images.shape[0]:
            raise ValueError(
                f"Expected a label for each image. Received: {images.shape[0]} images and "
                f"{len(labels)} labels."
            )
    check_divides(images.shape[0], steps, model.pack, devices)


def _check_range(images: Any, model: Any) -> None:
    """Refuses images that are not finite, or far from all that the generator can make."""
    if 0 in images.shape:
        return
    images = keras.ops.convert_to_numpy(images)
    if not np.isfinite(images).all():
        raise ValueError("Expected finite images. Received: NaN or infinity among their values.")
    _, activation = last_operation(model.generator.outputs[0])
    if activation not in _RANGES:
        return
    (least, most), (low, high) = _RANGES[activation], (float(images.min()), float(images.max()))
    slack = (most - least) / 4  # whoever adds noise goes somewhat beyond
    if low < least - slack or high > most + slack:
        raise ValueError(
            f"Expected images in the range of the generator, which ends in {activation!r}: "
            f"[{least:g}, {most:g}]. Received: values from {low:g} to {high:g}. "
            "kgan.data.ImageDataset(images) makes images in [-1, 1] of uint8 ones; of floats from "
            "0 to 255, so does images / 127.5 - 1."
        )


def split_batch(data: Any) -> tuple[Any, Any]:
    """A batch as `(images, labels)`, with labels None where there are none."""
    images, labels, weights = keras.utils.unpack_x_y_sample_weight(data)
    check_weights(sample_weight=weights)
    return images, labels


def as_one(labels: Any) -> Any:
    """Labels as they are, but of a list an array: Keras takes a list for one of several arrays."""
    return np.asarray(labels) if isinstance(labels, (list, tuple)) else labels


def check_weights(**weights: Any) -> None:
    """Refuses weights of images or classes."""
    given = [name for name, value in weights.items() if value is not None]
    if given:
        raise TypeError(
            "Generative models weigh all images alike. Expected images, or images and labels. "
            f"Received: {' and '.join(given)}."
        )


def check_batch(shape: tuple[Any, ...], dtype: Any, has_labels: bool, *, model: Any) -> None:
    """Refuses a batch that the model's discriminator cannot take.

    Args:
        shape: The images' shape, None where a size is not known.
        dtype: Their dtype, or its name.
        has_labels: Whether labels come with them.
        model: The `GAN`.
    """
    expected = unpacked_shape(model.discriminator, model.pack)
    if not fits(shape, expected):
        raise ValueError(
            f"Expected images of shape {shown(expected)}, as the discriminator takes them. "
            f"Received: shape {shown(shape)}."
        )
    if "float" not in keras.backend.standardize_dtype(dtype):
        raise ValueError(
            "Expected images as floats in the generator's range, [-1, 1] for a tanh. Received: "
            f"dtype {keras.backend.standardize_dtype(dtype)}. kgan.data.ImageDataset(images) makes "
            "normalised batches of uint8 images."
        )
    if model.is_conditional and not has_labels:
        raise ValueError(
            "A conditional GAN trains on (images, labels). Received: images without labels. Give "
            "fit a dataset with labels, or networks built without num_classes."
        )


def check_divides(batch: int | None, steps: int, pack: int = 1, devices: int = 1) -> None:
    """Refuses a batch, of a size that is known, which cannot be split into equal parts.

    Args:
        batch: Integer, the images in it, or None.
        steps: `discriminator_steps`.
        pack: Integer, how many images the discriminator judges at a time.
        devices: Integer, how many devices share the batch.
    """
    least = steps * pack * devices
    if batch is None or batch % least == 0:
        return
    parts, why = _parts(steps, pack, devices)
    raise ValueError(
        f"Expected batches that {parts} divides, since {why}. Received: a batch of {batch}. Choose "
        f"a batch size that is a multiple of {least}, and drop_remainder=True for the last batch."
    )


def _check_spec_divides(batch: int | None, steps: int, pack: int, devices: int) -> None:
    if batch is None and steps * pack * devices > 1:
        parts, why = _parts(steps, pack, devices)
        raise ValueError(
            f"Expected batches of one size, which {parts} divides, since {why}. Received: a "
            "tf.data.Dataset whose batches have no fixed size. Batch it with drop_remainder=True."
        )
    check_divides(batch, steps, pack, devices)


def _parts(steps: int, pack: int, devices: int) -> tuple[str, str]:
    """What a batch is split by, and why."""
    factors = [
        (steps, f"discriminator_steps={steps}", f"each is split into {steps} equal parts"),
        (pack, f"pack={pack}", f"the discriminator judges {pack} images at a time"),
        (devices, f"the number of devices, {devices},", "each device gets as large a part"),
    ]
    named = [(name, why) for number, name, why in factors if number > 1]
    return " times ".join(name for name, _ in named), " and ".join(why for _, why in named)


def _check_is_tensor(images: Any) -> None:
    if not hasattr(images, "shape"):
        raise ValueError(
            "Expected images as one array or tensor, alone or as (images, labels). "
            f"Received: a {type(images).__name__}."
        )

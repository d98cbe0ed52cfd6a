"""Validates training data against a `BatchSpec`, before the first step where possible.

Other faults are found when a batch arrives, in every kind of container. Each
function raises a ValueError (for weights, a TypeError) that says what was expected, what was
received and how to fix it.
"""

import copy
import functools
import math
import types
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np

from kgan._backend import tf_data
from kgan._typing import Data, LabelsLike, Shape, Tensor
from kgan.training.batch_spec import BatchSpec, fits, shown
from kgan.training.feed import ends_of_pass, is_indexed, worker_options

_INSPECTED = 32  # images: enough to see a range


class DataRangeWarning(UserWarning):
    """Images that fill only part of the range that the model makes."""


# ---- labels --------------------------------------------------------------------------------------


def check_labels(labels: LabelsLike, num_classes: int | None) -> None:
    """Checks that labels are classes of the model.

    Args:
        labels: Array-like of integers, `()`, `(n,)` or `(n, 1)`.
        num_classes: How many classes there are, or None if that is not known.
    """
    labels = keras.ops.convert_to_numpy(labels)
    _check_label_shape(labels.shape)
    if labels.size == 0:
        return
    if labels.dtype.kind not in "iubf":
        raise ValueError(
            f"Expected integer labels. Received: labels of dtype {labels.dtype}, such as "
            f"{labels.flat[0]!r}. Number the classes: np.unique(names, return_inverse=True)[1]."
        )
    if labels.dtype.kind == "f" and not np.array_equal(labels, np.floor(labels)):
        raise ValueError(f"Expected integer labels. Received: labels of dtype {labels.dtype}.")
    low, high = int(labels.min()), int(labels.max())
    if low < 0 or (num_classes is not None and high >= num_classes):
        raise ValueError(f"{_classes(num_classes)} Received: labels from {low} to {high}.")


def _classes(num_classes: int | None) -> str:
    most = "up" if num_classes is None else f"to {num_classes - 1}"
    return f"Expected labels from 0 {most}, the classes that the model knows."


def _check_label_shape(shape: Shape) -> None:
    if len(shape) > 2 or (len(shape) == 2 and shape[1] != 1):
        raise ValueError(
            "Expected integer labels of shape (n,), one class for each image. Received: labels of "
            f"shape {tuple(shape)}. Convert one-hot labels with labels.argmax(axis=-1)."
        )


# ---- whole data sets -----------------------------------------------------------------------------


def check_data(
    x: Data,
    y: LabelsLike = None,
    *,
    spec: BatchSpec,
    batch_size: int | None = None,
    validation_split: float = 0.0,
    validation: tuple[BatchSpec, int | None] | None = None,
) -> None:
    """Checks data before any of them are trained on, as far as their container tells.

    Args:
        x: What `fit` or `evaluate` got: an array, a `keras.utils.PyDataset`, a `tf.data.Dataset`,
            a PyTorch `DataLoader`, a generator.
        y: The labels or the second images of an array, or None.
        spec: What each batch must be.
        batch_size: Integer, where `x` is an array. Defaults to 32.
        validation_split: Float, the share of an array that is held out.
        validation: The `BatchSpec` and the batch size of that share.
    """
    if isinstance(x, keras.utils.PyDataset):
        _check_py_dataset(x, spec)
    elif hasattr(x, "element_spec"):
        _check_element_spec(x, spec)
    elif hasattr(x, "shape") and hasattr(x, "dtype"):
        check_values(x, y, spec=spec, divides=False)
        count = math.floor(len(x) * (1.0 - validation_split))
        _check_lengths(count, batch_size, spec)
        if validation is not None:
            _check_lengths(len(x) - count, validation[1] or batch_size, validation[0])
    elif isinstance(x, (list, tuple, dict)) or not hasattr(x, "__iter__"):
        _check_is_tensor(x, spec)
    elif not isinstance(x, types.GeneratorType) and _length(x) == 0:
        raise ValueError(_NO_BATCH.format(type(x).__name__))
    # Batches of generators and loaders are checked when they arrive: `checked`.


_NO_BATCH = (
    "Expected data with at least one batch. Received: a {} without any. Lower the batch size, or "
    "check how the data set was filtered."
)


def _length(x: Data) -> int | None:
    try:
        return len(x)
    except TypeError:  # of an iterable of unknown length
        return None


def _check_py_dataset(x: Data, spec: BatchSpec) -> None:
    if spec.is_paired and getattr(x, "kind", None) == "domains":
        raise ValueError(
            "Expected pairs: this model learns from the true translation of each image. Received: "
            f"{type(x).__name__}, whose images do not belong together. Use a "
            "kgan.data.PairedDataset, or train a kgan.CycleGAN."
        )
    if not is_indexed(x) and x.num_batches == 0:
        raise ValueError(_NO_BATCH.format(type(x).__name__))
    ends = ends_of_pass(x) if is_indexed(x) else [x[n] for n in {0, (x.num_batches or 1) - 1}]
    for batch in ends:
        check_values(*split_batch(batch), spec=spec)
    if spec.needs_labels and is_indexed(x) and getattr(x, "labels", None) is not None:
        check_labels(x.labels, spec.num_classes)


def _check_element_spec(x: Data, spec: BatchSpec) -> None:
    images, y = split_batch(x.element_spec)
    if not hasattr(images, "shape") and not keras.tree.is_nested(images):
        return  # a dataset that was already distributed, with a part for each device
    _check_is_tensor(images, spec)
    if tf_data.is_empty(x):
        raise ValueError(_NO_BATCH.format("tf.data.Dataset"))
    if images.shape.rank is None or (y is not None and y.shape.rank is None):
        return
    check_batch(images, y, spec=spec)
    if spec.needs_labels and y is not None:
        _check_label_shape(tuple(y.shape))
    _check_spec_divides(images.shape[0], spec)


def _check_lengths(count: int, batch_size: int | None, spec: BatchSpec) -> None:
    """Checks the sizes of the batches that Keras makes of `count` images."""
    size = min(batch_size or 32, count)
    for length in {size, count % size or size} if size else ():
        check_divides(length, spec)


# ---- batches as they arrive ----------------------------------------------------------------------


def checked(x: Data, spec: BatchSpec) -> Any:
    """The same data, with every batch checked when it arrives.

    Args:
        x: What `fit` got; arrays and indexed datasets, which are checked beforehand, come back as
            they are.
        spec: What each batch must be.

    Returns:
        A container of the same kind. A `tf.data.Dataset` raises a
        `tensorflow.errors.InvalidArgumentError`, others raise a ValueError.
    """
    check = functools.partial(_passed, spec=spec)  # picklable, for worker processes
    if isinstance(x, types.GeneratorType):
        return _checked_batches(x, check)
    if isinstance(x, keras.utils.PyDataset):
        return x if is_indexed(x) else _CheckedDataset(x, check)
    if hasattr(x, "element_spec") and hasattr(x, "map"):
        return tf_data.checked(
            x,
            images=_image_rule(spec),
            second=None if spec.second is None else _image_rule(spec.second),
            num_classes=spec.num_classes,
            label_text=_classes(spec.num_classes) if spec.needs_labels else None,
        )
    if hasattr(x, "collate_fn"):  # a PyTorch DataLoader, which Keras wants as it is
        return _checked_loader(x, check)
    return x


def _image_rule(spec: BatchSpec) -> tf_data.ImageRule:
    return tf_data.ImageRule(spec.shape, spec.limits, _range_text(spec))


def _passed(batch: Any, spec: BatchSpec) -> Any:
    """The batch, if it is what it must be."""
    check_values(*split_batch(batch), spec=spec)
    return batch


def _checked_batches(batches: Iterator[Any], check: Callable[[Any], Any]) -> Iterator[Any]:
    for batch in batches:
        yield check(batch)


class _CheckedDataset(keras.utils.PyDataset):
    """A `PyDataset` that checks each batch of another when it is made."""

    def __init__(self, dataset: Any, check: Callable[[Any], Any]) -> None:
        super().__init__(**worker_options(dataset))
        self.dataset = dataset
        self.check = check

    @property
    def num_batches(self) -> int | None:
        return self.dataset.num_batches

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> Any:
        return self.check(self.dataset[index])

    def on_epoch_begin(self) -> None:
        self.dataset.on_epoch_begin()

    def on_epoch_end(self) -> None:
        self.dataset.on_epoch_end()


class _CheckedCollation:
    """Makes a batch of samples for a `DataLoader`: picklable, for its worker processes."""

    def __init__(self, collate: Callable[[Any], Any], check: Callable[[Any], Any]) -> None:
        self.collate, self.check = collate, check

    def __call__(self, samples: Any) -> Any:
        return self.check(self.collate(samples))


def _checked_loader(loader: Any, check: Callable[[Any], Any]) -> Any:
    twin = copy.copy(loader)
    twin.collate_fn = _CheckedCollation(loader.collate_fn, check)
    return twin


def check_values(images: Tensor, y: Any, *, spec: BatchSpec, divides: bool = True) -> None:
    """Checks a batch of arrays or tensors.

    Args:
        images: Array or tensor `(batch, height, width, channels)`.
        y: Array-like of integers, the labels; the second images; or None.
        spec: What the batch must be.
        divides: Whether its size counts: not that of a whole array, which Keras cuts into batches.
    """
    _check_is_tensor(images, spec)
    check_batch(images, y, spec=spec)
    count = images.shape[0]
    if count == 0:
        raise ValueError("Expected at least one image. Received: an empty array.")
    _check_range(images, spec, is_whole=not divides)
    what = "label"
    if spec.needs_labels:
        check_labels(y, spec.num_classes)
    elif spec.second is not None:
        what = "second image"
        _check_range(y, spec.second, is_whole=not divides)
    else:
        y = None
    if y is not None and len(y) != count:
        raise ValueError(
            f"Expected a {what} for each image. Received: {count} images and {len(y)} {what}s."
        )
    if divides:
        check_divides(count, spec)


def _check_range(images: Tensor, spec: BatchSpec, is_whole: bool) -> None:
    """Checks that images are finite, and near the range that the model makes."""
    # As an array first: slicing a tensor takes TensorFlow longer than all else here.
    images = keras.ops.convert_to_numpy(images[:_INSPECTED] if is_whole else images)
    images = images[:_INSPECTED]
    if images.size == 0:
        return
    if not np.isfinite(images).all():
        raise ValueError("Expected finite images. Received: NaN or infinity among their values.")
    if spec.limits is None or spec.value_range is None:
        return
    if images.dtype.kind in "iu":  # of which `_check_images` lets only levels through
        _check_levels(images, spec)
        return
    (least, most), (low, high) = spec.limits, (float(images.min()), float(images.max()))
    if low < least or high > most:
        raise ValueError(f"{_range_text(spec)} Received: values from {low:g} to {high:g}.")
    if spec.binary and not np.isin(images, spec.value_range).all():
        raise ValueError(f"{_range_text(spec)} Received: values between the two.")
    if spec.levels is not None:
        _check_is_at_levels(images, spec)
    if spec.value_range == (-1.0, 1.0) and low >= 0 and high > 0:
        warnings.warn(
            f"The images have values from {low:g} to {high:g}, and the model makes images in "
            "[-1, 1]. If they are in [0, 1], scale them: images * 2 - 1.",
            DataRangeWarning,
            stacklevel=5,
        )


def _check_levels(images: np.ndarray, spec: BatchSpec) -> None:
    """Checks integers, which are levels."""
    assert spec.levels is not None
    low, high = int(images.min()), int(images.max())
    if low < 0 or high >= spec.levels:
        raise ValueError(
            f"Expected integers from 0 to {spec.levels - 1}, since {spec.range_reason}. "
            f"Received: integers from {low} to {high}. "
            "kgan.data.ImageDataset(images, dtype='uint8', levels=...) makes them from uint8 "
            "images."
        )


def _check_is_at_levels(images: np.ndarray, spec: BatchSpec) -> None:
    """Checks that each value is at one of the levels; values between them would be rounded."""
    assert spec.levels is not None
    assert spec.value_range is not None
    low, high = spec.value_range
    level = (images.astype("float64") - low) * ((spec.levels - 1) / (high - low))
    # Half precision holds 256 levels to a tenth.
    is_between = np.abs(level - np.rint(level)) > 0.15
    if is_between.any():
        raise ValueError(
            f"Expected values at {spec.levels} levels from {low:g} to {high:g}, since "
            f"{spec.range_reason}. Received: values between them, such as "
            f"{float(images[is_between][0]):g}. Add no noise to the images, and give "
            "kgan.data.ImageDataset the same number of levels: levels=..."
        )


def _range_text(spec: BatchSpec) -> str:
    if spec.value_range is None:
        return ""
    low, high = spec.value_range
    if spec.binary:
        return (
            f"Expected binary images, with pixels of {low:g} and {high:g} only: "
            f"{spec.range_reason}. kgan.data.ImageDataset(images, binarize='dynamic') makes them "
            "from uint8 images."
        )
    return (
        f"Expected images in [{low:g}, {high:g}]: {spec.range_reason}. Make them from uint8 images "
        "with kgan.data.ImageDataset(images), or from floats in 0..255 with images / 127.5 - 1."
    )


_TWO_KINDS = (
    "Give fit a kgan.data.PairedDataset, a kgan.data.UnpairedDataset, or two arrays: fit(x, y)."
)


def _kinds(spec: BatchSpec) -> str:
    """The names of both kinds of images of a model."""
    return f"({spec.name}{'' if spec.second is None else f', {spec.second.name}'})"


def check_batch(images: Any, y: Any, *, spec: BatchSpec) -> None:
    """Checks what is known of a batch without its values.

    Args:
        images: The images, or anything else with their `shape`, None where a size is not known, and
            their `dtype`.
        y: The same for labels or for second images; None where there are none.
        spec: What the batch must be.
    """
    _check_images(images, spec)
    if spec.second is not None:
        if y is None:
            raise ValueError(
                f"This model trains on two kinds of images, {_kinds(spec)}. Received: one. "
                f"{_TWO_KINDS}"
            )
        _check_is_tensor(y, spec)
        if len(y.shape) < 3:
            raise ValueError(
                f"This model trains on two kinds of images, {_kinds(spec)}. Received: one, with "
                f"labels. {_TWO_KINDS}"
            )
        _check_images(y, spec.second)
    elif spec.needs_labels and y is None:
        raise ValueError(
            "A conditional model trains on (images, labels). Received: images without labels. Give "
            "fit a dataset with labels, or networks built without num_classes."
        )
    elif not spec.needs_labels and len(getattr(y, "shape", ())) > 2:
        raise ValueError(
            "This model trains on one kind of image. Expected images, or images and labels. "
            f"Received: second images of shape {shown(tuple(y.shape))} in a batch. Give it one "
            "part of the data set, such as PairedDataset(...).targets or UnpairedDataset(...).b, "
            "or use a model that translates images."
        )


def _check_images(images: Any, spec: BatchSpec) -> None:
    """Checks the shape and the dtype of images."""
    shape, dtype = tuple(images.shape), images.dtype
    if not fits(shape, spec.shape):
        is_one = len(shape) == len(spec.shape) - 1 and fits((None, *shape), spec.shape)
        raise ValueError(
            f"Expected {spec.name} of shape {shown(spec.shape)}, as the {spec.consumer} takes "
            "them. "
            + (
                f"Received: one image of shape {tuple(shape)}. Batch it: images[None] of an array, "
                "dataset.batch(32) of a tf.data.Dataset."
                if is_one
                else f"Received: shape {shown(shape)}."
            )
        )
    name = _dtype_name(dtype)
    is_level = spec.levels is not None and name.startswith(("int", "uint"))
    if "float" not in name and not is_level:
        low, high = spec.value_range or (-1.0, 1.0)
        raise ValueError(
            f"Expected {spec.name} as floats in [{low:g}, {high:g}]. Received: dtype "
            f"{name}. kgan.data.ImageDataset(images, dtype='float32') makes "
            "normalised batches from uint8 images."
        )


def _dtype_name(dtype: Any) -> str:
    dtype = getattr(dtype, "name", dtype)  # TensorFlow's own dtypes
    try:
        return keras.backend.standardize_dtype(dtype)
    except (ValueError, TypeError):  # strings, objects, complex numbers
        return str(dtype)


def check_divides(batch: int | None, spec: BatchSpec) -> None:
    """Checks that a batch of a known size can be split into equal parts."""
    if batch is None or batch % spec.divisor == 0:
        return
    factors, reasons = _factors(spec)
    raise ValueError(
        f"Expected batches whose size is a multiple of {factors}, because {reasons}. Received: a "
        f"batch of {batch}. Choose a batch size that is a multiple of {spec.divisor}, and "
        "drop_remainder=True for the last batch."
    )


def _check_spec_divides(batch: int | None, spec: BatchSpec) -> None:
    if batch is None and spec.divisor > 1:
        factors, reasons = _factors(spec)
        raise ValueError(
            f"Expected batches of one size, a multiple of {factors}, because {reasons}. Received: "
            "a tf.data.Dataset whose batches have no fixed size. Batch it with drop_remainder=True."
        )
    check_divides(batch, spec)


def _factors(spec: BatchSpec) -> tuple[str, str]:
    """The product that divides a batch, and the reasons for it."""
    found = spec.divided()
    return " times ".join(each.name for each in found), " and ".join(each.reason for each in found)


def _check_is_tensor(images: Tensor, spec: BatchSpec) -> None:
    if hasattr(images, "shape"):
        return
    if spec.second is not None:
        raise ValueError(
            f"Expected two arrays or tensors, {_kinds(spec)}. "
            f"Received: a {type(images).__name__}. {_TWO_KINDS}"
        )
    raise ValueError(
        "Expected images as one array or tensor, alone or as (images, labels). "
        f"Received: a {type(images).__name__}."
    )


# ---- parts of a batch ----------------------------------------------------------------------------


def split_batch(data: Any) -> tuple[Tensor, Any]:
    """A batch as `(images, y)`: labels, second images, or None where there are none."""
    images, y, weights = keras.utils.unpack_x_y_sample_weight(data)
    check_weights(sample_weight=weights)
    return images, y


def as_array(y: Any) -> Any:
    """Labels as they are; a list as an array, since Keras takes a list for several arrays."""
    return np.asarray(y) if isinstance(y, (list, tuple)) else y


def check_weights(**weights: Any) -> None:
    """Checks that no weights of images or classes are given."""
    given = [name for name, value in weights.items() if value is not None]
    if given:
        raise TypeError(
            "Generative models weigh all images alike. Expected images, or images and labels. "
            f"Received: {' and '.join(given)}."
        )

"""Loads image data sets of tensorflow-datasets."""

import difflib
import os
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt

from kgan.data.image_dataset import ImageDataset

UNLABELLED = -1  # the label of tensorflow-datasets for images whose class is unknown
_READ_SIZE = 256  # images read at a time


def from_tfds(
    name: str,
    split: str = "train",
    *,
    data_dir: str | os.PathLike[str] | None = None,
    image_key: str = "image",
    label_key: str | None = "label",
    download: bool = True,
    **dataset_options: Any,
) -> ImageDataset:
    """Loads an image data set of tensorflow-datasets into memory.

    Its images must be uint8 and of one size. They are read once into one array, so a batch takes as
    little time as a batch of MNIST.

    This needs tensorflow-datasets: `pip install "kgan[tfds]"`.

    Args:
        name: String, the name in tensorflow-datasets, with a configuration or version if needed:
            `"svhn_cropped"`, `"mnist_corrupted/fog"`, `"cifar10:3.0.2"`.
        split: String, a split, a part of one or a sum: `"train"`, `"train[:10%]"`,
            `"train+test"`. Defaults to `"train"`.
        data_dir: Path of the directory where tensorflow-datasets keeps its data. Defaults to None:
            `~/tensorflow_datasets`.
        image_key: String, the feature that holds the images. Defaults to `"image"`.
        label_key: String, the feature that holds the labels, or None for no labels. Defaults to
            `"label"`, if the data set has it.
        download: Boolean, whether to download and prepare a data set that is not in `data_dir`.
            Defaults to `True`.
        **dataset_options: Arguments of `kgan.data.ImageDataset`: `batch_size`, `shuffle`, `seed`,
            `value_range`, `dtype`, `levels`, `binarize` and others.

    Returns:
        A `kgan.data.ImageDataset` of uint8 images `(N, H, W, C)` in the order of
        tensorflow-datasets, with int32 labels `(N,)` and the names of its classes. It has no labels
        if the data set has none or all are unknown (-1).

    Raises:
        ImportError: tensorflow-datasets is not installed.
        FileNotFoundError: The data set is not prepared, and `download=False`.
        ValueError: The name or split is unknown, the data set has no such images or labels, or the
            images have several sizes.

    Example:
    ```python
    train = kgan.data.from_tfds("cifar10", batch_size=64, seed=1)  # downloads 160 MB
    networks = kgan.networks.dcgan(train.image_shape)
    gan = kgan.GAN(*networks)
    gan.compile()
    gan.fit(train, epochs=20)
    ```

    Reference:
        - [TensorFlow Datasets, a collection of ready-to-use datasets](
          https://www.tensorflow.org/datasets)
    """
    tfds = _import_tfds()
    builder = _builder(tfds, name, data_dir)
    features = builder.info.features
    shape = _image_shape(name, features, image_key, tfds)
    label_key = _checked_label_key(name, features, label_key)
    if download:
        builder.download_and_prepare()
    elif not builder.is_prepared():
        raise FileNotFoundError(
            f"{name!r} is not prepared in {builder.data_path}, and download=False. Pass "
            "download=True, or the data_dir in which tensorflow-datasets prepared it."
        )
    keys = {key: True for key in (image_key, label_key) if key is not None}
    columns = _read(tfds, builder, split, shape, keys)
    labels = columns[label_key] if label_key is not None else None
    if labels is None or (labels == UNLABELLED).all():
        return ImageDataset(columns[image_key], **dataset_options)
    num_classes = getattr(features[label_key], "num_classes", None)
    dataset_options.setdefault("num_classes", num_classes)
    if dataset_options["num_classes"] == num_classes:
        dataset_options.setdefault("class_names", _class_names(features[label_key]))
    return ImageDataset(columns[image_key], labels, **dataset_options)


def _class_names(feature: Any) -> list[str] | None:
    """Returns the names of the classes, or None if they are only numbers, as for digits."""
    if not getattr(feature, "num_classes", None):
        return None
    names = list(feature.names)
    return None if names == [str(number) for number in range(len(names))] else names


def _import_tfds() -> ModuleType:
    try:
        import tensorflow_datasets  # noqa: PLC0415
    except ImportError as error:
        raise ImportError(
            f"from_tfds needs tensorflow-datasets, but cannot import it ({error}). "
            'Install it: pip install "kgan[tfds]".'
        ) from error
    return tensorflow_datasets


def _builder(tfds: ModuleType, name: str, data_dir: str | os.PathLike[str] | None) -> Any:
    try:
        return tfds.builder(name, data_dir=data_dir)
    except tfds.core.DatasetNotFoundError as error:
        # The original message lists all data sets.
        known = tfds.list_builders()
        near = difflib.get_close_matches(name.partition("/")[0], known, n=3, cutoff=0.5)
        advice = f" Did you mean {' or '.join(repr(match) for match in near)}?" if near else ""
        raise ValueError(
            "Expected the name of a data set from https://www.tensorflow.org/datasets/catalog. "
            f"Received: {name!r}.{advice}"
        ) from error


def _image_shape(
    name: str, features: Any, image_key: str, tfds: ModuleType
) -> tuple[int | None, ...]:
    """Returns the declared shape (H, W, C), with None for lengths that vary."""
    kinds = dict(features) if isinstance(features, tfds.features.FeaturesDict) else {}
    feature = kinds.get(image_key)
    if not isinstance(feature, tfds.features.Image):
        images = [key for key, kind in kinds.items() if isinstance(kind, tfds.features.Image)]
        advice = f"Pass image_key={images[0]!r}." if images else "It is not an image data set."
        raise ValueError(
            f"Expected the feature {image_key!r} of {name!r} to hold images. "
            f"Received: features {', '.join(sorted(kinds))}. {advice}"
        )
    if feature.np_dtype != np.uint8:
        raise ValueError(
            f"Expected images of uint8 in {name!r}. Received: {np.dtype(feature.np_dtype).name}. "
            "Convert them and make an ImageDataset of the array."
        )
    return tuple(feature.shape)


def _checked_label_key(name: str, features: Any, label_key: str | None) -> str | None:
    if label_key is None or (label_key == "label" and label_key not in features):
        return None
    if label_key not in features:
        raise ValueError(
            f"Expected a feature {label_key!r} of {name!r} for the labels. "
            f"Received: features {', '.join(sorted(features))}. Pass one of them as label_key, or "
            "None for no labels."
        )
    feature = features[label_key]
    if feature.shape != () or not np.issubdtype(feature.np_dtype, np.integer):
        raise ValueError(
            f"Expected one integer for each image in the feature {label_key!r} of {name!r}. "
            f"Received: {feature!r}. Pass another label_key, or None for no labels."
        )
    return label_key


def _read(
    tfds: ModuleType,
    builder: Any,
    split: str,
    shape: tuple[int | None, ...],
    keys: dict[str, bool],
) -> dict[str, npt.NDArray[Any]]:
    """Reads the features `keys` of a split, each into one array of N rows.

    tensorflow-datasets checks that the number of examples is that of its metadata.
    """
    count = builder.info.splits[split].num_examples
    if count == 0:
        raise ValueError(
            f"Expected a split with images. Received: {split!r} of {builder.name!r} is empty."
        )
    # Images of unknown size are read one at a time: only equal sizes can be batched.
    read_size = 1 if None in shape else _READ_SIZE
    dataset = builder.as_dataset(
        split=split,
        batch_size=read_size,
        shuffle_files=False,
        decoders=tfds.decode.PartialDecoding(keys),
    )
    columns: dict[str, npt.NDArray[Any]] = {}
    filled = 0
    for block in tfds.as_numpy(dataset):
        for key, values in block.items():
            if key not in columns:
                columns[key] = np.empty((count, *values.shape[1:]), values.dtype)
            elif columns[key].shape[1:] != values.shape[1:]:
                raise ValueError(
                    f"Expected images of one size in {builder.name!r}. Received: "
                    f"{_size(columns[key])} and, at image {filled}, {_size(values)}. Resize them "
                    "to one size and make an ImageDataset of the array."
                )
            columns[key][filled : filled + len(values)] = values
        filled += read_size
    return columns


def _size(images: npt.NDArray[Any]) -> str:
    return "x".join(str(length) for length in images.shape[1:])

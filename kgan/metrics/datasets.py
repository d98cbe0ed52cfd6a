"""The data sets that metrics accept."""

from collections.abc import Sequence
from typing import Any, Protocol, TypeAlias, runtime_checkable

import numpy as np

from kgan._typing import Images, Labels, Pictures
from kgan.data import ImageDataset
from kgan.images import to_uint8
from kgan.training.capabilities import draws_binary


class Drawable(Protocol):
    """A data set that images can be drawn from, as `kgan.data.ImageDataset` is."""

    images: Pictures
    image_shape: tuple[int, int, int]
    value_range: tuple[float, float]
    num_classes: int | None

    def draw(self, count: int, seed: int) -> tuple[Images, Labels | None]:
        """Returns images `(count, height, width, channels)` as in a batch, and their labels."""


@runtime_checkable
class Stacked(Protocol):
    """A data set whose images are stacks of grey images, each drawn at random.

    It has no fixed set of images: as many as wanted can be drawn.
    """

    stack: int


@runtime_checkable
class Binarized(Protocol):
    """A data set that can binarise its images.

    `binarize` is `"dynamic"`, `"static"`, `"threshold"`, or None where pixels keep their levels.
    """

    binarize: str | None


@runtime_checkable
class Quantized(Protocol):
    """A data set that can quantise its images.

    `levels` is how many values a pixel can have, at most 256.
    """

    levels: int


@runtime_checkable
class Cropped(Protocol):
    """A data set that can crop its images.

    `crop` is `(height, width)`, or None for whole images.
    """

    crop: tuple[int, int] | None


@runtime_checkable
class Named(Protocol):
    """A data set that knows the names of its classes, or None if they have none."""

    @property
    def class_names(self) -> Sequence[str] | None:
        """The names of all classes, in order."""


Data: TypeAlias = Any
"""A data set as users give it: a `Drawable`, or an array of uint8 images."""


def as_dataset(images: Data) -> Drawable:
    """Returns a data set of floats, or makes one of an array of uint8 images.

    An `ImageDataset` with `dtype="uint8"` becomes the same one with floats in [-1, 1], since
    metrics measure floats.

    Raises:
        ValueError: It is neither.
    """
    if isinstance(images, ImageDataset):
        images = images.as_floats()
    if hasattr(images, "draw"):
        dataset: Drawable = images
        return dataset
    if not hasattr(images, "__array__") and not isinstance(images, list | tuple):
        raise ValueError(
            "Expected a kgan.data.ImageDataset, or uint8 images (N, H, W) or (N, H, W, C). "
            f"Received: {type(images).__name__}. Put the images of other data sets into one array, "
            "for batches of floats in [-1, 1] ((numpy.concatenate(batches) + 1) * 127.5)"
            ".round().astype('uint8')."
        )
    made: Drawable = ImageDataset(images, batch_size=1)
    return made


def binarization(dataset: Drawable) -> str | None:
    """Returns how a data set binarises its images, or None if it does not."""
    return dataset.binarize if isinstance(dataset, Binarized) else None


def compared_with(model: Any, dataset: ImageDataset) -> ImageDataset:
    """Returns the real images that a model's samples are compared with.

    A decoder's samples are means of pixels, so that they are compared with grey images even if it
    trains on binary ones.
    """
    return dataset if draws_binary(model) else dataset.unbinarized()


def levels_of(dataset: Drawable) -> int:
    """Returns how many values a pixel of a data set can have."""
    if binarization(dataset) is not None:
        return 2
    return dataset.levels if isinstance(dataset, Quantized) else 256


def class_names_of(dataset: Drawable) -> tuple[str, ...] | None:
    """Returns the names of the classes of a data set, or None if it knows none."""
    names = dataset.class_names if isinstance(dataset, Named) else None
    return None if names is None else tuple(names)


def available(dataset: Drawable, wanted: int) -> int:
    """Returns how many images can be drawn, up to `wanted`."""
    return wanted if isinstance(dataset, Stacked) else min(wanted, len(dataset.images))


def level_pictures(dataset: Drawable) -> Pictures:
    """Returns all images before binarisation and padding, or the cropped centres of all images."""
    if not (_is_cropped(dataset) and isinstance(dataset, ImageDataset)):
        return dataset.images
    images, _ = dataset.unbinarized().draw(len(dataset.images), 0)
    return to_uint8(images, dataset.value_range)


def all_pictures(dataset: Drawable, seed: int) -> Pictures | None:
    """Returns all images as `draw` makes them, None if they are endless.

    They are padded, cropped in the centre and binarised or quantised, and not flipped.

    Args:
        dataset: A data set.
        seed: Integer, for images that are binarised at random.
    """
    if isinstance(dataset, Stacked):
        return None
    if _is_cropped(dataset) or levels_of(dataset) < 256:
        images, _ = dataset.draw(len(dataset.images), seed)
        return to_uint8(images, dataset.value_range)
    pictures = dataset.images
    extra = [dataset.image_shape[axis] - pictures.shape[axis + 1] for axis in (0, 1)]
    around = [(pixels // 2, pixels - pixels // 2) for pixels in extra]
    return np.pad(pictures, ((0, 0), *around, (0, 0))) if any(extra) else pictures


def _is_cropped(dataset: Drawable) -> bool:
    return isinstance(dataset, Cropped) and dataset.crop is not None

"""What an autoregressive model makes of half an image, and where it is undecided."""

from dataclasses import dataclass

import numpy as np

from kgan._typing import Array, Images, Pictures
from kgan.data import ImageDataset
from kgan.images import to_uint8
from kgan.training.capabilities import Completes
from kgan.training.labels import as_options, labels_of

_IMAGES = 8
_DRAWS = 4


@dataclass(frozen=True)
class Completions:
    """Held-out images, completed from their first pixels.

    Args:
        images: uint8 `(n, height, width, channels)`.
        known: uint8 like `images`: what the model was given. Unknown pixels are grey.
        completions: uint8 `(draws, n, height, width, channels)`.
        entropy: Float32 like `images`, the uncertainty about each value of `images`, in bits.
    """

    images: Pictures
    known: Pictures
    completions: Pictures
    entropy: Array

    @property
    def entropy_pictures(self) -> Pictures:
        """The entropy of each pixel as a picture: black is certain, white the most undecided."""
        of_pixels = self.entropy.sum(axis=-1, keepdims=True)
        most = max(float(of_pixels.max()), 1e-6)
        return np.rint(of_pixels / most * 255.0).clip(0, 255).astype("uint8")


def completions(model: Completes, dataset: ImageDataset, seed: int = 0) -> Completions:
    """Has a model complete held-out images: the lower half, or the second half of a sequence.

    Args:
        model: A model with `complete` and `entropy`. A conditional one gets the labels.
        dataset: Held-out images, in [-1, 1].
        seed: Integer, chooses the images and the draws.

    Returns:
        A `Completions`, for `kgan.report.write_report`.

    Example:
    ```python
    completed = kgan.report.completions(pixel_cnn, binary_test)
    page = kgan.report.write_report(
        "report", model="pixelcnn", dataset="mnist", completions=completed
    )
    ```
    """
    images, labels = dataset.draw(min(_IMAGES, len(dataset.images)), seed)
    options = as_options(labels_of(model, labels))
    height, width = images.shape[1:3]
    count = height // 2 * width if height > 1 else width // 2
    drawn = [
        model.complete(images, count, seed=seed + number, **options) for number in range(_DRAWS)
    ]
    return Completions(
        to_uint8(images),
        to_uint8(_only_known(images, count)),
        to_uint8(np.stack(drawn)),
        np.asarray(model.entropy(images, **options), "float32"),
    )


def _only_known(images: Images, count: int) -> Images:
    """The images, grey after the first pixels."""
    height, width = images.shape[1:3]
    is_known = np.arange(height * width).reshape(1, height, width, 1) < count
    return np.where(is_known, images, np.float32(0))

"""The handwritten digits of scikit-learn, made to look like MNIST."""

from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from kgan.data.image_dataset import ImageDataset

# The images are in the order of their writers, so the last ones are by other writers.
TRAIN_COUNT = 1_500

_MARGIN = 2  # cells around the 8x8 ones: a digit then takes 20 of 28 pixels, as in MNIST
_FINE_SIZE = 120  # pixels a side while strokes are sharpened: 10 for a cell, 4 for a final pixel
_CANVAS_SIZE = 30  # final pixels a side, of which the middle 28 are kept


def load_digits(split: str = "train", **dataset_options: Any) -> ImageDataset:
    """Loads 1,797 handwritten digits from scikit-learn, without a download.

    They are 8x8 images with values from 0 to 16. Each is enlarged to fill 20 of 28 pixels, and its
    strokes are sharpened to the width and contrast of MNIST's. So you can try on them what you
    would do with MNIST.

    Args:
        split: String, `"train"` (the first 1,500), `"test"` (the other 297, mostly by writers who
            are not in `"train"`) or `"all"`. Defaults to `"train"`.
        **dataset_options: Arguments of `kgan.data.ImageDataset`: `batch_size`, `shuffle`, `seed`,
            `value_range`, `dtype`, `levels`, `binarize` and others.

    Returns:
        A `kgan.data.ImageDataset` of uint8 images `(N, 28, 28, 1)`, 0 for the background and up to
        255 for the ink, with int32 labels `(N,)` from 0 to 9.

    Raises:
        ValueError: The split is unknown.

    Example:
    ```python
    train = kgan.data.load_digits("train", batch_size=64, seed=1)
    gan.fit(train, epochs=100)
    ```

    Reference:
        - [Alpaydin and Kaynak, 1998, Optical recognition of handwritten digits](
          https://doi.org/10.24432/C50P49): this is its test set
    """
    parts = {"train": slice(0, TRAIN_COUNT), "test": slice(TRAIN_COUNT, None), "all": slice(None)}
    if split not in parts:
        choices = ", ".join(repr(name) for name in parts)
        raise ValueError(f"Expected a split of the digits, one of {choices}. Received: {split!r}.")
    # Imported here: scikit-learn takes a second to load, and no other data set needs it.
    from sklearn import datasets  # noqa: PLC0415

    bunch = datasets.load_digits()
    images = np.stack([_enlarge(image) for image in bunch.images[parts[split]]])
    labels = bunch.target[parts[split]].astype("uint8")
    dataset_options.setdefault("num_classes", 10)
    return ImageDataset(images, labels, **dataset_options)


def _enlarge(image: npt.NDArray[np.float64]) -> npt.NDArray[np.uint8]:
    """Turns (8, 8) values in [0, 16] into (28, 28) uint8 with strokes like MNIST's.

    A cell of the original counts how many of its 4x4 pixels had ink. Half covered cells are the
    edges of strokes, and enlarging alone leaves a grey haze there. So the ramp from 0.4 to 0.8 of
    full cover, at a fine resolution, becomes the edge. Digits are then as bright on average as
    MNIST's (33 of 255), and their loops stay open.
    """
    cover = np.pad(image, _MARGIN).astype("float32") / 16.0
    fine = Image.fromarray(cover).resize((_FINE_SIZE, _FINE_SIZE), Image.Resampling.BICUBIC)
    ink = np.clip((np.asarray(fine) - 0.4) / 0.4, 0.0, 1.0)
    canvas = Image.fromarray(ink * np.float32(255.0)).resize(
        (_CANVAS_SIZE, _CANVAS_SIZE), Image.Resampling.BOX
    )
    return np.asarray(canvas)[1:-1, 1:-1].round().astype("uint8")

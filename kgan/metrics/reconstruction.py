"""The reconstruction error of models."""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from sklearn.decomposition import PCA

from kgan._arguments import integer
from kgan._progress import now_and_then
from kgan._typing import Config, Images, Pictures, Say
from kgan.metrics._json import plain
from kgan.metrics._printing import Printed, Table
from kgan.metrics.datasets import Data, Drawable, as_dataset, available, binarization
from kgan.metrics.neighbours import nearest_neighbours
from kgan.metrics.outputs import checked_batches
from kgan.training.capabilities import Encodes
from kgan.training.labels import as_options, labels_of

_FITTED_VALUES = 2**26  # of training images for the floors: 256 MiB, all of MNIST
_NEAREST_SOUGHT = 1000
_COMPONENTS = (16, 32, 64)
_KEPT = 24


@dataclass(frozen=True)
class ReconstructionFloor:
    """The reconstruction error of a method without a network.

    Args:
        title: String.
        error: Float, mean squared error on [0, 1].
        count: Integer, how many images it is the mean of.
    """

    title: str
    error: float
    count: int


@dataclass(frozen=True, repr=False)
class ReconstructionEvaluation(Printed):
    """The reconstruction error of a model on a data set.

    `print` and notebooks show it as a table.

    Args:
        error: Float, the mean squared error over images, pixels and channels, of images on [0, 1].
        standard_error: Float, the standard error of that mean over images.
        count: Integer, how many images.
        binarize: String, how the data set binarises, or None.
        floors: Tuple of `ReconstructionFloor`, the smallest error first.
        fitted_count: Integer, how many training images the floors are computed from.
        image_errors: Float64 `(count,)`, the mean squared error of each image.
        images: uint8 `(m, height, width, channels)`, some of the images.
        reconstructions: uint8, their reconstructions.

    Example:
    ```python
    found = kgan.metrics.reconstruction(vae, test)
    kgan.images.show(kgan.images.paired_grid(found.images, found.reconstructions))
    ```
    """

    error: float
    standard_error: float
    count: int
    binarize: str | None
    floors: tuple[ReconstructionFloor, ...]
    fitted_count: int
    image_errors: npt.NDArray[np.float64]
    images: Pictures
    reconstructions: Pictures

    def to_dict(self) -> Config:
        """Returns all numbers except those of single images, as JSON takes them."""
        return {
            "error": plain(self.error),
            "standard_error": plain(self.standard_error),
            "count": self.count,
            "binarize": self.binarize,
            "floors": [plain(vars(floor)) for floor in self.floors],
            "fitted_count": self.fitted_count,
        }

    def _table(self) -> Table:
        results = [("model", self.error, self.count, f"± {self.standard_error:.5f}")]
        results += [(floor.title, floor.error, floor.count, "") for floor in self.floors]
        rows = [("reconstruction error", "MSE", "N", "")]
        rows += [
            (title, f"{error:.5f}", f"{count:,}", note) for title, error, count, note in results
        ]
        binarized = "" if self.binarize is None else f" Images binarised: {self.binarize}."
        return Table(
            rows,
            after=[
                f"Mean squared error of pixels on [0, 1].{binarized} The floors are computed from "
                f"{self.fitted_count:,} images."
            ],
        )


def reconstruction(
    model: Encodes,
    dataset: Data,
    count: int = 10_000,
    training: Data | None = None,
    seed: int = 0,
    batch_size: int = 256,
    say: Say | None = None,
) -> ReconstructionEvaluation:
    """Measures the error of a model's reconstructions: the mean squared error on [0, 1].

    The floors need no network: the mean training image, the nearest training image, and
    the first 16, 32 and 64 principal components. Compare a model with as many latents as there are
    components.

    Args:
        model: A model with `reconstruct(images)`, see `kgan.training.capabilities.Encodes`. A
            conditional one gets the labels of the images.
        dataset: A `kgan.data.ImageDataset`, or uint8 images `(N, H, W)` or `(N, H, W, C)`. The test
            set, as a rule.
        count: Integer, how many images; fewer if the data set has fewer.
        training: The training set, for the floors. Without it there are none.
        seed: Integer, of the draw.
        batch_size: Integer, images at a time.
        say: Called with a line of text about each step of the work. Defaults to writing a line to
            standard error every five seconds at most: nothing about quick work.

    Returns:
        A `ReconstructionEvaluation`: `print` it, or take `.error`.

    Raises:
        TypeError: The model does not reconstruct images.
        ValueError: Reconstructions have another shape than the images, or a conditional model lacks
            labels.
        DivergedError: Reconstructions are not finite.

    Example:
    ```python
    found = kgan.metrics.reconstruction(vae, test, training=train)
    print(found)
    print(found.error, found.floors[0])
    ```
    """
    if not isinstance(model, Encodes):
        raise TypeError(
            "Expected a model that reconstructs images, with `encode` and `reconstruct`. "
            f"Received: {type(model).__name__}."
        )
    batch_size = integer("batch_size", batch_size)
    say = say or now_and_then()
    dataset = as_dataset(dataset)
    images, labels = dataset.draw(available(dataset, integer("count", count, least=2)), seed)
    labels = labels_of(model, labels)
    say(f"reconstructions of {len(images):,} images")

    def reconstructed(rows: slice) -> Images:
        options = as_options(None if labels is None else labels[rows])
        return model.reconstruct(images[rows], **options)

    shape = images.shape[1:]
    parts = checked_batches("reconstructions", reconstructed, len(images), shape, batch_size)
    reconstructions = _on_unit(np.concatenate(list(parts)), dataset)
    images = _on_unit(images, dataset)
    errors = _errors(images, reconstructions)
    floors, fitted_count = _floors(images, dataset, training, seed, say)
    return ReconstructionEvaluation(
        error=float(errors.mean()),
        standard_error=float(errors.std(ddof=1) / math.sqrt(len(errors))),
        count=len(errors),
        binarize=binarization(dataset),
        floors=floors,
        fitted_count=fitted_count,
        image_errors=errors,
        images=_pictures(images[:_KEPT]),
        reconstructions=_pictures(reconstructions[:_KEPT]),
    )


def _on_unit(images: Images, dataset: Drawable) -> Images:
    """Returns images on [0, 1], float32."""
    low, high = dataset.value_range
    return (np.asarray(images, "float32") - np.float32(low)) / np.float32(high - low)


def _pictures(images: Images) -> Pictures:
    return np.rint(np.clip(images, 0.0, 1.0) * 255.0).astype("uint8")


def _errors(images: Images, others: Images) -> npt.NDArray[np.float64]:
    """Returns the mean squared error of each image, `(n,)`."""
    return np.mean(np.square(images - others), axis=(1, 2, 3), dtype="float64")


def _floors(
    images: Images, dataset: Drawable, training: Data | None, seed: int, say: Say
) -> tuple[tuple[ReconstructionFloor, ...], int]:
    if training is None:
        return (), 0
    training = as_dataset(training)
    if training.image_shape != dataset.image_shape:
        raise ValueError(
            f"Expected `training` to have images of the data set's shape {dataset.image_shape}. "
            f"Received: {training.image_shape}."
        )
    wanted = max(2, _FITTED_VALUES // math.prod(training.image_shape))
    drawn, _ = training.draw(available(training, min(wanted, 60_000)), seed)
    fitted = _on_unit(drawn, training)
    say("floors: the mean image, the nearest training image, principal components")
    sought = images[:_NEAREST_SOUGHT]
    _, places = nearest_neighbours(sought, fitted)
    found = [
        _floor("mean training image", images, np.broadcast_to(fitted.mean(axis=0), images.shape)),
        _floor("nearest training image", sought, fitted[places[:, 0]]),
        *_principal_components(images, fitted, seed),
    ]
    return tuple(sorted(found, key=lambda floor: floor.error)), len(fitted)


def _floor(title: str, images: Images, others: Images) -> ReconstructionFloor:
    return ReconstructionFloor(title, float(_errors(images, others).mean()), len(images))


def _principal_components(images: Images, fitted: Images, seed: int) -> list[ReconstructionFloor]:
    flat, shown = (array.reshape(len(array), -1) for array in (fitted, images))
    most = min(flat.shape)
    counts = [count for count in _COMPONENTS if count <= most]
    if not counts:
        return []
    pca = PCA(counts[-1], random_state=seed).fit(flat)
    codes = pca.transform(shown)

    def decoded(count: int) -> Images:
        restored = codes[:, :count] @ pca.components_[:count] + pca.mean_
        return np.clip(restored, 0.0, 1.0).reshape(images.shape)  # which lowers the error

    return [_floor(f"{count} principal components", images, decoded(count)) for count in counts]

"""The latent space of a model as pictures: where images are in it, and what it decodes to."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np
from sklearn.decomposition import PCA

from kgan._typing import Array, Labels, Pictures
from kgan.data import ImageDataset
from kgan.images import to_uint8
from kgan.training.capabilities import Encodes, Interpolates, Latent, is_conditional
from kgan.training.labels import as_options, labels_for, labels_of, name_of, names_of

_POINTS = 2000
_GRID = 15
_PATHS, _STEPS = 8, 10


@dataclass(frozen=True)
class LatentSpace:
    """The positions of images in the latent space of a model, in two dimensions.

    Args:
        points: Float32 `(n, 2)`.
        labels: Integer `(n,)`, the classes of the images, or None.
        dimensions: Integer, the dimensions of the latent space.
        explained: Float, the share of the variance of all latents that the two dimensions keep.
        grid: uint8 `(rows, columns, height, width, channels)`, the images that latents on a grid
            decode to, or None if there are more than two dimensions.
        class_names: Strings, the names of the classes, or None if they have none.
    """

    points: Array
    labels: Labels | None
    dimensions: int
    explained: float
    grid: Pictures | None = None
    class_names: tuple[str, ...] | None = None


def latent_space(model: Encodes, dataset: ImageDataset, seed: int = 0) -> LatentSpace:
    """Finds the latents of images and projects them to two dimensions.

    More than two dimensions are projected on their first two principal components.

    Args:
        model: A model with `encode(images)`. A conditional one gets the labels of the images.
        dataset: Held-out images; at most 2,000 of them are used.
        seed: Integer, chooses the images.

    Returns:
        A `LatentSpace`, with a grid of images if the model has two latents and `decode`.

    Example:
    ```python
    space = kgan.report.latent_space(vae, test)
    page = kgan.report.write_report("report", model="vae", dataset="mnist", latents=space)
    ```
    """
    images, labels = dataset.draw(min(_POINTS, len(dataset.images)), seed)
    options = as_options(labels_of(model, labels))
    latents = np.asarray(model.encode(images, **options), "float32").reshape(len(images), -1)
    points, explained = _projected(latents)
    return LatentSpace(
        points,
        labels,
        latents.shape[1],
        explained,
        _decoded_grid(model, dataset),
        dataset.class_names,
    )


def _projected(latents: Array) -> tuple[Array, float]:
    """Two dimensions of latents, and the share of the variance that they keep."""
    dimensions = latents.shape[1]
    if dimensions <= 2:
        return np.pad(latents, ((0, 0), (0, 2 - dimensions))), 1.0
    pca = PCA(2, random_state=0)
    points = pca.fit_transform(latents)
    return np.asarray(points, "float32"), float(np.sum(pca.explained_variance_ratio_))


def _decoded_grid(model: Any, dataset: ImageDataset) -> Pictures | None:
    """The images of a grid of two latents, at evenly spaced quantiles of the prior.

    A conditional model decodes them as its first class.
    """
    if not isinstance(model, Latent) or model.latent_dim != 2:
        return None
    quantiles = [NormalDist().inv_cdf((place + 0.5) / _GRID) for place in range(_GRID)]
    across, down = np.meshgrid(quantiles, quantiles[::-1])
    latents = np.stack([across, down], axis=-1).reshape(-1, 2).astype("float32")
    first_class = labels_for(model, len(latents), 0 if is_conditional(model) else None)
    images = to_uint8(model.decode(latents, **as_options(first_class)), dataset.value_range)
    return images.reshape(_GRID, _GRID, *images.shape[1:])


def interpolation(model: Any, seed: int = 0) -> Pictures | None:
    """Images on paths between latents, for a report.

    Args:
        model: Any model.
        seed: Integer, chooses the latents.

    Returns:
        uint8 `(paths, steps, height, width, channels)`; None if the model has no `interpolate`.

    Example:
    ```python
    paths = kgan.report.interpolation(gan)
    page = kgan.report.write_report("report", model="gan", dataset="mnist", interpolation=paths)
    ```
    """
    if not isinstance(model, Interpolates):
        return None
    return to_uint8(model.interpolate(_PATHS, steps=_STEPS, seed=seed))


def path_names(model: Any, class_names: Sequence[str] | None = None) -> list[str]:
    """The names of the rows of `interpolation(model)`: the classes of its paths.

    Args:
        model: Any model.
        class_names: Strings, the names of the model's classes. Defaults to `None`: their numbers.

    Returns:
        Strings, one for each path; none if the model is unconditional or has no `interpolate`.

    Example:
    ```python
    picture = kgan.images.show(
        kgan.report.interpolation(gan), row_names=kgan.report.path_names(gan)
    )
    ```
    """
    labels = labels_for(model, _PATHS) if isinstance(model, Interpolates) else None
    return [] if labels is None else names_of(labels, class_names)


SIZE = 420
_MARGIN = 10


@dataclass(frozen=True)
class Group:
    """The points of one class in a scatter plot.

    Args:
        name: String, the class, or empty if there are no classes.
        kind: Integer, the number of its colour.
        path: String, the points as an SVG path of round dots.
    """

    name: str
    kind: int
    path: str


def scatter_plot(space: LatentSpace, most_classes: int = 10) -> Sequence[Group]:
    """Places the points of a latent space in a square of `SIZE`.

    Args:
        space: A `LatentSpace`.
        most_classes: Integer, the number of colours. With more classes, all points have one.

    Returns:
        A `Group` for each class.
    """
    low, high = space.points.min(axis=0), space.points.max(axis=0)
    extent = float(np.max(high - low)) or 1.0  # the same scale on both axes
    centred = (space.points - (low + high) / 2) / extent
    places = SIZE / 2 + centred * [1, -1] * (SIZE - 2 * _MARGIN)
    labels = space.labels
    if labels is None or labels.max() >= most_classes:
        return [Group("", 0, _dots(places))]
    return [
        Group(name_of(label, space.class_names), label, _dots(places[labels == label]))
        for label in np.unique(labels).tolist()
    ]


def _dots(places: np.ndarray) -> str:
    """An SVG path of lines without length, which round line caps make dots of."""
    return "".join(f"M{x:.1f} {y:.1f}h0" for x, y in places)

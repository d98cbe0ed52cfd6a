"""How good is a generator?"""

import functools
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from kgan._arguments import integer
from kgan.data import ImageDataset, StackedImageDataset
from kgan.images import to_uint8
from kgan.metrics import features as extractors
from kgan.metrics import neighbours
from kgan.metrics.cache import cached_features
from kgan.metrics.classes import class_shares
from kgan.metrics.evaluation import Evaluation
from kgan.metrics.features import Features, Images
from kgan.metrics.figures import MEASURES, Figure, compare, support_figure

FEWEST = 20  # below this, neighbours and covariances say nothing
# Pixels are many: nearest neighbours among all training images are sought for this many samples.
_COPIES_SOUGHT = 1000
# Enough for whoever wants to look, without holding on to all of them.
_KEPT_SAMPLES = 1000
_KEPT_NEIGHBOURS = 24
# The share of real images whose labels a classifier must see, for its classes to be the dataset's:
# of those that are not, such as Fashion-MNIST's, it is about one in as many as there are.
_LEAST_ACCURACY = 0.5


class DivergedError(ValueError):
    """Samples are NaN or infinite."""


def evaluate(
    model: Any,
    dataset: Any,
    count: int = 10_000,
    seed: int = 0,
    features: Any = None,
    bootstrap: int = 0,
    say: Callable[[str], None] | None = None,
) -> Evaluation:
    """Says how good a generator is: quality, variety, modes, copies.

    Samples and real images are compared as 8-bit pictures. Real images and latents are chosen by
    `seed`: the same model and dataset give the same figures. Beside each figure stands its floor,
    what other real images of the dataset get in the samples' place; where the dataset has fewer
    than twice `count` images, the floor is taken between the two halves of those compared.

    Args:
        model: Anything with `generate(n, seed=...)` that returns float images `(n, H, W, C)` in the
            dataset's `value_range`. If it has a `num_classes` that is not None, or a true
            `is_conditional`, it is asked for the classes of the real images,
            `generate(n, labels=..., seed=...)`.
        dataset: A `kgan.data.ImageDataset`, or uint8 images `(N, H, W)` or `(N, H, W, C)` for a
            model in [-1, 1]. The training set, as a rule: copies are sought in it.
        count: Integer, how many samples are compared with as many real images; fewer if the dataset
            has fewer. Figures of different counts are not to be compared.
        seed: Integer.
        features: What distances are taken in: see `kgan.metrics.get_features`. Defaults to kgan's
            classifier of digits for grey images and for Stacked-MNIST: of grey images that are no
            digits, distances in it tell little and classes nothing. Where the dataset's labels
            show that, no class is named. Photographs need a model such as InceptionV3, in a
            `kgan.metrics.FeatureExtractor`.
        bootstrap: Integer, how many resamples 95% intervals are taken from; 0 for no intervals.
        say: Called with a line of text about each step of the work.

    Returns:
        A `kgan.metrics.Evaluation`: `print` it, or take `evaluation["fcd"]`.

    Raises:
        ValueError: The images are not finite or not of the dataset's shape, or the dataset wants
            `features` to be named, or holds too few images.

    Example:
    ```python
    evaluation = kgan.evaluate(gan, kgan.data.load_mnist("train"))
    print(evaluation)
    assert evaluation["coverage"] > 0.5
    ```
    """
    return Evaluator(dataset, count, seed, features, bootstrap, say=say).evaluate(model)


class Evaluator:
    """`kgan.evaluate` for many models, or one at many times: real features are taken once.

    Args:
        dataset: As for `kgan.evaluate`, like the others.
        count: Integer.
        seed: Integer.
        features: An extractor, or what one is made of.
        bootstrap: Integer.
        thorough: Whether to look for copies and estimate the support too, which takes longer.
        say: Called with lines of text, or None.

    `num_classes` is how many classes of the dataset the features tell, or None: not those of
    another dataset, by which most real images are not what their labels say.

    Raises:
        ValueError: As `kgan.evaluate`.
    """

    def __init__(
        self,
        dataset: Any,
        count: int = 10_000,
        seed: int = 0,
        features: Any = None,
        bootstrap: int = 0,
        thorough: bool = True,
        say: Callable[[str], None] | None = None,
    ) -> None:
        integer("count", count, least=FEWEST)
        dataset = as_dataset(dataset)
        self.dataset = dataset
        self.seed = seed
        self.bootstrap = integer("bootstrap", bootstrap, least=0)
        self.thorough = thorough
        if features is None:
            features = default_features(dataset)
        if features is None:
            raise ValueError(
                "kgan's own features are of handwritten digits. Expected `features` for other "
                "images, such as kgan.metrics.FeatureExtractor(keras.applications.InceptionV3"
                "(include_top=False, pooling='avg'), image_size=(299, 299)), or 'pixels'. "
                f"Received: features=None for images of shape {dataset.image_shape}."
            )
        self.extractor = extractors.get(features)
        self._say = say or _say_nothing
        there = 2 * count if isinstance(dataset, StackedImageDataset) else len(dataset.images)
        if there < FEWEST:
            raise ValueError(f"Expected at least {FEWEST} real images. Received: {there}.")
        self.count = min(count, there)
        images, labels = dataset.draw(min(2 * self.count, there), seed)
        self._images = to_uint8(images, dataset.value_range)
        self._labels = labels
        self._say(f"features of {self.count:,} real images")
        self.real = cached_features(self.extractor, self._images[: self.count])
        self._training = _training_images(dataset) if thorough else None
        seen = self.real.classes
        if seen is None or labels is None:
            is_theirs = True
        else:
            is_theirs = bool(np.mean(seen == labels[: self.count]) >= _LEAST_ACCURACY)
        self.num_classes: int | None = self.extractor.num_classes if is_theirs else None

    def evaluate(self, model: Any) -> Evaluation:
        """Evaluates a generator.

        Args:
            model: As for `kgan.evaluate`.

        Returns:
            An `Evaluation`.

        Raises:
            ValueError: The images are not of the real ones' shape.
            DivergedError: They are not finite.
        """
        floors = self.floors
        images, labels, fake = self.sample(model)
        self._say("figures")
        figures = self._figures(self.real, fake, labels, self.bootstrap)
        nearest = None
        if self._training is not None:
            self._say("nearest training images")
            figures["authenticity"] = _authenticity(images, self._training)
            _, places = neighbours.nearest_neighbours(images[:_KEPT_NEIGHBOURS], self._training)
            nearest = self._training[places[:, 0]]
        shares, seen = self._shares(fake), fake.classes
        return Evaluation(
            figures={
                name: _beside(name, figures[name], floors.get(name))
                for name in MEASURES
                if name in figures
            },
            features=self.extractor.name,
            seed=self.seed,
            samples=images[:_KEPT_SAMPLES].copy(),  # a view would hold all of them
            sample_classes=None if seen is None or shares is None else seen[:_KEPT_SAMPLES],
            sample_labels=None if labels is None else labels[:_KEPT_SAMPLES],
            neighbours=nearest,
            sample_shares=shares,
            real_shares=self._shares(self.real),
        )

    def sample(self, model: Any) -> tuple[Images, Any, Features]:
        """Makes samples.

        Args:
            model: As for `kgan.evaluate`.

        Returns:
            `(images, labels, features)`: the samples as uint8 pictures, the classes they were asked
            for or None, and their features.

        Raises:
            ValueError: The images are not of the real ones' shape.
            DivergedError: They are not finite.
        """
        self._say(f"{self.count:,} samples and their features")
        images, labels = self._generate(model, self.count)
        broken = ~np.isfinite(images).reshape(self.count, -1).all(axis=1)
        if broken.any():
            raise DivergedError(
                f"Expected samples that are finite. Received: NaN or infinity in {broken.sum():,} "
                f"of {self.count:,}. The training has diverged: evaluate a model from before that."
            )
        pictures = to_uint8(images, self.dataset.value_range)
        return pictures, labels, self.extractor(pictures)

    def check(self, model: Any) -> None:
        """Makes two samples: what does not fit should show before an epoch is trained.

        Raises:
            ValueError: They are no images as the dataset has them.
        """
        self._generate(model, 2)

    def _generate(self, model: Any, count: int) -> tuple[np.ndarray, Any]:
        """Samples, and the labels they were asked for or None."""
        labels = self._labels[:count] if self._asks_for_labels(model) else None
        told = {} if labels is None else {"labels": labels}
        images = np.asarray(model.generate(count, seed=self.seed, **told))
        expected = (count, *self._images.shape[1:])
        if images.shape != expected or not np.issubdtype(images.dtype, np.floating):
            raise ValueError(
                f"Expected generate({count}) to give float images as the dataset has them, "
                f"{expected} in {self.dataset.value_range}. "
                f"Received: {images.dtype} of shape {images.shape}."
            )
        return images, labels

    def names_for(self, model: Any) -> list[str]:
        """The names of the figures that `evaluate(model)` gives."""
        unasked = () if self._asks_for_labels(model) else ("label_accuracy",)
        return [name for name in MEASURES if name in self.floors and name not in unasked]

    def _asks_for_labels(self, model: Any) -> bool:
        is_conditional = getattr(model, "is_conditional", False)
        knows_classes = getattr(model, "num_classes", None) is not None
        return self._labels is not None and (is_conditional or knows_classes)

    def _figures(
        self, real: Features, fake: Features, labels: Any, resamples: int = 0
    ) -> dict[str, Figure]:
        # Labels of other classes than the extractor's cannot be held against what it sees. How the
        # images are spread over its own classes can still be compared.
        figures = compare(
            real,
            fake,
            num_classes=self.extractor.num_classes,
            labels=None if self.num_classes is None else labels,
            resamples=resamples,
            seed=self.seed,
        )
        if self.thorough:
            figures["support"] = support_figure(real, fake)
        return figures

    @functools.cached_property
    def floors(self) -> dict[str, Figure]:
        """The figures that real images get in the samples' place."""
        if len(self._images) == 2 * self.count:
            first = self.count
            real, others = self.real, cached_features(self.extractor, self._images[first:])
        else:
            first = self.count // 2
            real, others = _rows(self.real, 0, first), _rows(self.real, first, 2 * first)
        self._say("the floors: figures of real images")
        labels = None if self._labels is None else self._labels[first : first + len(others)]
        figures = self._figures(real, others, labels)
        if self._training is not None:
            figures["authenticity"] = _authenticity_of_held_out(self._images, self._training)
        return figures

    def _shares(self, features: Features) -> Any:
        if features.classes is None or self.num_classes is None:
            return None
        return class_shares(features.classes, self.num_classes)


def _say_nothing(text: str) -> None:
    del text


def as_dataset(images: Any) -> Any:
    """The dataset that was given, or one of the images that were."""
    if hasattr(images, "draw"):
        return images
    if not hasattr(images, "__array__") and not isinstance(images, list | tuple):
        raise ValueError(
            "Expected a kgan.data.ImageDataset, or uint8 images (N, H, W) or (N, H, W, C). Put "
            "the images of other datasets into one such array: of batches of floats in [-1, 1], "
            "((numpy.concatenate(batches) + 1) * 127.5).round().astype('uint8'). "
            f"Received: {type(images).__name__}."
        )
    return ImageDataset(images, batch_size=1)


def default_features(dataset: Any) -> Any:
    """The features for a dataset, by name or object, or None where kgan has none of its own."""
    if isinstance(dataset, StackedImageDataset):
        return extractors.stacked_mnist_features(dataset.stack)
    return "mnist" if dataset.image_shape[2] == 1 else None


def _training_images(dataset: Any) -> Images | None:
    """All images a generator may have copied, padded as it saw them; None if they are endless."""
    if isinstance(dataset, StackedImageDataset):
        return None
    images: Images = dataset.images
    extra = [dataset.image_shape[axis] - images.shape[axis + 1] for axis in (0, 1)]
    around = [(pixels // 2, pixels - pixels // 2) for pixels in extra]
    return np.pad(images, ((0, 0), *around, (0, 0))) if any(extra) else images


def _authenticity(images: Images, training: Images) -> Figure:
    sought = images[:_COPIES_SOUGHT]
    return Figure(neighbours.authenticity(sought, training), len(sought))


def _authenticity_of_held_out(images: Images, training: Images) -> Figure:
    """The same for some of the training images, as if they were not in the training set."""
    sought = images[: min(_COPIES_SOUGHT, len(images) // 2)]
    distances, places = neighbours.nearest_neighbours(sought, training)
    return _authenticity(sought, np.delete(training, places[distances[:, 0] == 0, 0], axis=0))


def _rows(features: Features, first: int, last: int) -> Features:
    parts = {name: array[first:last] for name, array in vars(features).items() if array is not None}
    return Features(**parts)


def _beside(name: str, figure: Figure, floor: Figure | None) -> Figure:
    # The inception score rises with N: that of fewer images is no floor.
    if floor is None or (name == "inception_score" and floor.count < figure.count):
        return figure
    return replace(figure, floor=floor.value, floor_count=floor.count)

"""Evaluates the samples of a generator."""

import functools
from dataclasses import replace
from typing import Any

import numpy as np

from kgan._arguments import integer
from kgan._progress import now_and_then, silent
from kgan._typing import Labels, Pictures, Say
from kgan._warnings import warn_outside
from kgan.images import to_uint8
from kgan.metrics import features as extractors
from kgan.metrics import neighbours
from kgan.metrics._sources import (
    SampleSource,
    Source,
    as_floats,
    as_source,
    check_samples,
    range_problem,
    with_channel,
)
from kgan.metrics.cache import cached_features
from kgan.metrics.cifar10_classifier import IMAGE_SIZE as CIFAR10_SIZE
from kgan.metrics.classes import class_shares
from kgan.metrics.datasets import (
    Data,
    Drawable,
    Stacked,
    all_pictures,
    as_dataset,
    available,
    class_names_of,
)
from kgan.metrics.evaluation import Evaluation
from kgan.metrics.features import Extractor, Features
from kgan.metrics.figures import MEASURES, Figure, compare, support_figure
from kgan.metrics.outputs import DivergedError

FEWEST = 20  # fewer samples say nothing about neighbours and covariances
# Nearest neighbours in pixels among all training images take long: only this many samples get them.
_COPIES_SOUGHT = 1000
# Enough samples to look at, without keeping all of them in memory.
_KEPT_SAMPLES = 1000
_KEPT_NEIGHBOURS = 24
# The classes of a classifier are those of the data set if it agrees with at least this share of
# the labels. A classifier of other classes agrees by chance, with about one label in K.
LEAST_ACCURACY = 0.5


def evaluate(
    model: SampleSource,
    dataset: Data,
    count: int = 10_000,
    seed: int = 0,
    features: Any = None,
    bootstrap: int = 0,
    say: Say | None = None,
) -> Evaluation:
    """Measures the quality, variety, modes and copies of a generator's samples.

    It compares samples with real images, both as 8-bit pictures. `seed` selects the real images and
    the latents, so the same model and data set give the same scores. Each score comes with its
    floor: the score of other real images of the data set in place of the samples. If the data set
    has fewer than twice `count` images, the floor compares two halves of the real images, and the
    printed table says so.

    It checks two samples before any work.

    Args:
        model: Where the samples come from, float images `(n, H, W, C)` in the data set's
            `value_range` or uint8 images; grey ones may be `(n, H, W)`. One of:

            - an object with `generate(n, seed=...)`, such as every kgan model. If it is conditional
              (`num_classes` is not None, or `is_conditional` is true), it gets the classes of the
              real images: `generate(n, labels=..., seed=...)`;
            - a `keras.Model` from latents `(batch, d)` to images. It gets standard normal latents;
            - a function from n to n images, which `seed` does not affect;
            - an array of samples. If it has fewer than `count`, as many real images are compared.
        dataset: A `kgan.data.ImageDataset`, or uint8 images `(N, H, W)` or `(N, H, W, C)` for
            samples in [-1, 1]. Use the training set: it is searched for copies.
        count: Integer, how many samples to compare with as many real images; fewer if the data set
            has fewer. Do not compare scores of different counts.
        seed: Integer.
        features: The features in which distances are measured, see `kgan.metrics.get_features`.
            Defaults to kgan's classifier of digits for grey images and for Stacked-MNIST, and to
            that of CIFAR-10 for colour images of 32 x 32. Of images that are of other things,
            their distances say little and their classes nothing. If the labels of the data set show
            that, no score uses the classes. Images of one row, which are sequences, have no
            default. Other images need `"inception"`, the features of FID,
            or a model in a `kgan.metrics.FeatureExtractor`.
        bootstrap: Integer, the number of resamples for 95% intervals, or 0 for no intervals.
        say: Called with a line of text about each step of the work. Defaults to writing a line to
            standard error every five seconds at most: nothing about quick work.

    Returns:
        A `kgan.metrics.Evaluation`: `print` it, or read `evaluation["fcd"]`.

    Raises:
        TypeError: `model` is not a source of samples.
        ValueError: Samples are not finite or not of the data set's shape, the data set needs
            `features`, or it has too few images.

    Example:
    ```python
    evaluation = kgan.evaluate(gan, train)
    print(evaluation)  # a table of all scores, with their floors
    print(evaluation["fcd"], evaluation.figures["fcd"].floor)
    ```
    """
    integer("count", count, least=FEWEST)
    dataset = as_dataset(dataset)
    source = as_source(model)
    if source.most is not None:
        count = integer("the number of samples", min(count, source.most), least=FEWEST)
    _first_samples(source, dataset, seed)
    evaluator = Evaluator(dataset, count, seed, features, bootstrap, say=say or now_and_then())
    return evaluator.evaluate(model)


class Evaluator:
    """`kgan.evaluate` for several models, or for one model at several times.

    It computes the features of the real images once.

    Args:
        dataset: See `kgan.evaluate`, as for the other arguments.
        count: Integer.
        seed: Integer.
        features: An extractor, or anything that `kgan.metrics.get_features` accepts.
        bootstrap: Integer.
        thorough: Whether to look for copies and estimate the support too, which takes longer.
        say: Called with lines of text. Defaults to nothing.

    `num_classes` is the number of classes that the features distinguish, or None. It is also None
    if the labels of most real images differ from these classes: the data set has other classes.

    Raises:
        ValueError: As `kgan.evaluate`.

    Example:
    ```python
    evaluator = kgan.metrics.Evaluator(train, count=100)
    for each in (gan, vae):
        print(each.name, evaluator.evaluate(each)["fcd"])
    ```
    """

    def __init__(
        self,
        dataset: Data,
        count: int = 10_000,
        seed: int = 0,
        features: Any = None,
        bootstrap: int = 0,
        thorough: bool = True,
        say: Say | None = None,
    ) -> None:
        integer("count", count, least=FEWEST)
        self.dataset = as_dataset(dataset)
        self.seed = seed
        self.bootstrap = integer("bootstrap", bootstrap, least=0)
        self.thorough = thorough
        self.extractor = extractor_for(features, self.dataset)
        self.say = say or silent
        self._has_warned = False
        there = available(self.dataset, 2 * count)
        if there < FEWEST:
            raise ValueError(f"Expected at least {FEWEST} real images. Received: {there}.")
        self.count = min(count, there)
        images, labels = self.dataset.draw(min(2 * self.count, there), seed)
        self._images = to_uint8(images, self.dataset.value_range)
        self._labels = labels
        self.say(f"features of {self.count:,} real images")
        self.real = cached_features(self.extractor, self._images[: self.count], self.say)
        self._training = all_pictures(self.dataset, seed) if thorough else None
        seen = self.real.classes
        if seen is None or labels is None:
            is_theirs = True
        else:
            is_theirs = bool(np.mean(seen == labels[: self.count]) >= LEAST_ACCURACY)
        self.num_classes: int | None = self.extractor.num_classes if is_theirs else None

    def evaluate(self, model: SampleSource) -> Evaluation:
        """Evaluates samples.

        Args:
            model: See `kgan.evaluate`. An array has at least `count` samples.

        Returns:
            An `Evaluation`.

        Raises:
            TypeError: It is not a source of samples.
            ValueError: Samples do not have the real images' shape.
            DivergedError: Samples are not finite.
        """
        images, labels, fake = self.sample(model)
        floors = self.floors
        figures = self._figures(self.real, fake, labels, self.say, self.bootstrap)
        nearest = None
        if self._training is not None:
            self.say("nearest training images")
            figures["authenticity"] = _authenticity(images, self._training)
            _, places = neighbours.nearest_neighbours(images[:_KEPT_NEIGHBOURS], self._training)
            nearest = self._training[places[:, 0]]
        shares, seen = self._shares(fake), fake.classes
        return Evaluation(
            figures={
                name: _with_floor(name, figures[name], floors.get(name))
                for name in MEASURES
                if name in figures
            },
            features=self.extractor.name,
            seed=self.seed,
            samples=images[:_KEPT_SAMPLES].copy(),  # a view would keep all of them in memory
            sample_classes=None if seen is None or shares is None else seen[:_KEPT_SAMPLES],
            sample_labels=None if labels is None else labels[:_KEPT_SAMPLES],
            neighbours=nearest,
            sample_shares=shares,
            real_shares=self._shares(self.real),
            class_names=class_names_of(self.dataset),
        )

    def sample(self, model: SampleSource) -> tuple[Pictures, Labels | None, Features]:
        """Generates samples.

        Args:
            model: See `kgan.evaluate`.

        Returns:
            `(images, labels, features)`: uint8 samples, the requested classes or None, and the
            features of the samples.

        Raises:
            TypeError: It is not a source of samples.
            ValueError: Samples do not have the real images' shape.
            DivergedError: Samples are not finite.
        """
        source = self._source(model)
        self.say(f"{self.count:,} samples and their features")
        labels = self._labels_for(source)
        images = _samples(source, self.dataset, self.count, labels, self.seed)
        broken = ~np.isfinite(images).reshape(self.count, -1).all(axis=1)
        if broken.any():
            raise DivergedError(
                f"Expected finite samples. Received: NaN or infinity in {broken.sum():,} of "
                f"{self.count:,}. The training has diverged: evaluate an earlier checkpoint."
            )
        self._check_range(images)
        pictures = to_uint8(as_floats(images, self.dataset.value_range), self.dataset.value_range)
        return pictures, labels, extractors.extract(self.extractor, pictures, self.say)

    def check(self, model: SampleSource) -> None:
        """Generates two samples, to find what does not fit before any work.

        Raises:
            TypeError: It is not a source of samples.
            ValueError: The samples do not have the data set's shape, or an array has too few.
        """
        _first_samples(self._source(model), self.dataset, self.seed, self._labels)

    def _source(self, model: SampleSource) -> Source:
        source = as_source(model)
        if source.most is not None and source.most < self.count:
            raise ValueError(
                f"Expected at least count={self.count} samples. Received: {source.most}. Give the "
                "Evaluator a smaller `count`."
            )
        return source

    def names_for(self, model: SampleSource) -> list[str]:
        """Returns the names of the scores that `evaluate(model)` gives."""
        absent = ("label_accuracy",) if self._labels_for(as_source(model)) is None else ()
        return [name for name in MEASURES if name in self.floors and name not in absent]

    def _labels_for(self, source: Source) -> Labels | None:
        """Returns the classes to request from a source, or None if it takes no labels."""
        if self._labels is None or not source.takes_labels:
            return None
        return self._labels[: self.count]

    def _check_range(self, images: np.ndarray) -> None:
        """Warns, once, of samples that seem to have another range than the data set."""
        problem = range_problem(images, self.dataset.value_range)
        if problem is not None and not self._has_warned:
            self._has_warned = True
            warn_outside(problem)

    def _figures(
        self,
        real: Features,
        fake: Features,
        labels: Labels | None,
        say: Say,
        resamples: int = 0,
    ) -> dict[str, Figure]:
        # Labels of other classes than the extractor's cannot be compared with what it sees. The
        # shares of classes can still be compared.
        figures = compare(
            real,
            fake,
            num_classes=self.extractor.num_classes,
            labels=None if self.num_classes is None else labels,
            resamples=resamples,
            seed=self.seed,
            say=say,
        )
        if self.thorough:
            say("support")
            figures["support"] = support_figure(real, fake)
        return figures

    @functools.cached_property
    def floors(self) -> dict[str, Figure]:
        """The scores of real images in place of the samples."""
        if len(self._images) == 2 * self.count:
            first = self.count
            real = self.real
            others = cached_features(self.extractor, self._images[first:], self.say)
        else:
            first = self.count // 2
            real, others = _rows(self.real, 0, first), _rows(self.real, first, 2 * first)
        labels = None if self._labels is None else self._labels[first : first + len(others)]
        figures = self._figures(real, others, labels, lambda text: self.say(f"floors: {text}"))
        if self._training is not None:
            figures["authenticity"] = _authenticity_of_held_out(self._images, self._training)
        return figures

    def _shares(self, features: Features) -> Any:
        if features.classes is None or self.num_classes is None:
            return None
        return class_shares(features.classes, self.num_classes)


def is_sequence(dataset: Drawable) -> bool:
    """Returns whether the images have one row: texts or time series, not pictures."""
    return dataset.image_shape[0] == 1


def default_features(dataset: Drawable) -> Any:
    """Returns the features for a data set, by name or object, or None if kgan has none for it."""
    if isinstance(dataset, Stacked):
        return extractors.stacked_mnist_features(dataset.stack)
    if is_sequence(dataset):
        return None
    if dataset.image_shape[2] == 1:
        return "mnist"
    return "cifar10" if dataset.image_shape == (*CIFAR10_SIZE, 3) else None


def extractor_for(features: Any, dataset: Drawable) -> Extractor:
    """Returns an extractor, by default the one that suits a data set.

    Args:
        features: Anything that `kgan.metrics.get_features` accepts, or None.
        dataset: The data set.

    Raises:
        ValueError: The name is unknown, or there is no default for the data set.
    """
    if features is None:
        features = default_features(dataset)
    if features is None and is_sequence(dataset):
        raise ValueError(
            "Expected pictures, since metrics of samples compare the features of pictures. "
            f"Received: images of one row, {dataset.image_shape}, which are sequences. "
            "Measure their likelihood with kgan.metrics.likelihood, or pass features='pixels'."
        )
    if features is None:
        raise ValueError(
            "Expected `features` for images that are neither grey digits nor 32x32 in colour: "
            "'inception' (the features of FID), 'pixels', or a kgan.metrics.FeatureExtractor. "
            f"Received: features=None for images of shape {dataset.image_shape}."
        )
    return extractors.get(features)


def _samples(
    source: Source, dataset: Drawable, count: int, labels: Labels | None, seed: int
) -> np.ndarray:
    images = with_channel(source.samples(count, labels, seed), dataset.image_shape)
    check_samples(images, count, dataset.image_shape, dataset.value_range)
    return images


def _first_samples(
    source: Source, dataset: Drawable, seed: int, labels: Labels | None = None
) -> None:
    """Generates two samples and checks their shape."""
    if source.takes_labels and labels is None:
        _, labels = dataset.draw(2, seed)
    given = labels[:2] if source.takes_labels and labels is not None else None
    _samples(source, dataset, 2, given, seed)


def _authenticity(images: Pictures, training: Pictures) -> Figure:
    sought = images[:_COPIES_SOUGHT]
    return Figure(neighbours.authenticity(sought, training), len(sought))


def _authenticity_of_held_out(images: Pictures, training: Pictures) -> Figure:
    """Returns the authenticity of some training images, as if they were not in the training set."""
    sought = images[: min(_COPIES_SOUGHT, len(images) // 2)]
    distances, places = neighbours.nearest_neighbours(sought, training)
    return _authenticity(sought, np.delete(training, places[distances[:, 0] == 0, 0], axis=0))


def _rows(features: Features, first: int, last: int) -> Features:
    parts = {name: array[first:last] for name, array in vars(features).items() if array is not None}
    return Features(**parts)


def _with_floor(name: str, figure: Figure, floor: Figure | None) -> Figure:
    # The inception score rises with N: the score of fewer images is not its floor.
    if floor is None or (name == "inception_score" and floor.count < figure.count):
        return figure
    return replace(figure, floor=floor.value, floor_count=floor.count)

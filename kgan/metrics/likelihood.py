"""The likelihood of a data set under a model, with its protocol and its floors."""

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from kgan._arguments import integer
from kgan._progress import now_and_then
from kgan._typing import Config, Labels, Pictures, Say
from kgan.likelihoods import check_support
from kgan.metrics import ngrams, tables
from kgan.metrics._json import plain
from kgan.metrics._printing import Printed, Table
from kgan.metrics.datasets import (
    Data,
    Drawable,
    Stacked,
    as_dataset,
    available,
    binarization,
    level_pictures,
    levels_of,
)
from kgan.metrics.outputs import DivergedError
from kgan.training.capabilities import Completes, HasLikelihood
from kgan.training.labels import as_options, labels_of

_STACKED_COUNT = 10_000
_FITTED = 60_000  # training images that the tables are fitted on
_SUPPORTS = ("binary", "levels", "density")
_MOST_NATS = 700.0  # for a value, above which its perplexity would overflow
_IMPOSSIBLE_ERRORS = 5.0  # standard errors below the limit that chance cannot explain

_BINARIZED = {
    "dynamic": "binary images, dynamic binarisation (each pixel on with probability level / 255, "
    "one draw)",
    "static": "binary images, static binarisation (a fixed draw with probability level / 255; not "
    "the file of Larochelle and Murray)",
    "threshold": "binary images, thresholded (level > 127): a much easier data set than a random "
    "binarisation, not comparable with it",
}
_UNBINARIZED = {
    "binary": "binary images as the data set has them",
    "levels": "{depth} images",
    "density": "real numbers",
}
_SEQUENCES = {
    "binary": "sequences of binary values",
    "levels": "sequences of {depth} values, such as characters",
    "density": "sequences of real numbers",
}
# The orders of the n-grams of sequences. Higher ones do not improve on these with as many
# sequences as tables of counts are fitted on.
_ORDERS = {"binary": (8, 16), "levels": (3, 5)}
_NOT_COMPARABLE = (
    "a density of images without dequantisation: it has no upper bound, and is not comparable with "
    "likelihoods of binary or 8-bit images"
)


@dataclass(frozen=True)
class LikelihoodFloor:
    """The likelihood of a method without a network, for comparison.

    Args:
        title: String.
        nats: Float, the mean negative log-likelihood of an image.
        is_limit: Whether no model can be below it. Otherwise every useful model is below it.
    """

    title: str
    nats: float
    is_limit: bool = False


@dataclass(frozen=True, repr=False)
class LikelihoodEvaluation(Printed):
    """The negative log-likelihood of a data set under a model.

    `print` and notebooks show it as a table, with the protocol that decides which results it can be
    compared with.

    Args:
        nats: Float, the mean negative log-likelihood of an image. A bound from above, unless
            `is_exact`.
        standard_error: Float, the standard error of that mean over images.
        count: Integer, how many images there were.
        image_shape: Tuple `(height, width, channels)` of the images, after padding.
        unpadded_shape: The same without padding.
        support: String, `"binary"`, `"levels"` or `"density"`.
        binarize: String, how the data set binarises, or None.
        is_exact: Whether the likelihood is exact, not a bound or an estimate.
        samples: Integer, importance samples for each image, or None where it is exact.
        seed: Integer, of the draw of the images and of the importance samples.
        floors: Tuple of `LikelihoodFloor`, fewest nats first.
        fitted_on: String, the images that the floors are fitted on.
        image_nats: Float64 `(count,)`, the negative log-likelihood of each image.
        levels: Integer, how many values a pixel can have.

    Example:
    ```python
    found = kgan.metrics.likelihood(vae, test, samples=10)
    print(found.protocol)
    print(f"{found.nats:.2f} nats, {found.bits_per_dimension:.3f} bits per dimension")
    ```
    """

    nats: float
    standard_error: float
    count: int
    image_shape: tuple[int, int, int]
    unpadded_shape: tuple[int, int, int]
    support: str
    binarize: str | None
    is_exact: bool
    samples: int | None
    seed: int
    floors: tuple[LikelihoodFloor, ...] = ()
    fitted_on: str = ""
    image_nats: npt.NDArray[np.float64] = field(default_factory=lambda: np.empty(0))
    levels: int = 256

    @property
    def dimensions(self) -> int:
        """D, the numbers in an image: height x width x channels."""
        return math.prod(self.image_shape)

    @property
    def bits_per_dimension(self) -> float:
        """Returns nats / (D ln 2)."""
        return self._bits(self.nats)

    @property
    def is_sequence(self) -> bool:
        """Whether the images have one row, as texts and time series."""
        return self.image_shape[0] == 1

    @property
    def perplexity(self) -> float:
        """Returns 2 ** bits_per_dimension, for sequences that of a character or a value."""
        return self._perplexity(self.nats)

    def _perplexity(self, nats: float) -> float:
        return math.exp(min(nats / self.dimensions, _MOST_NATS))

    def _bits(self, nats: float) -> float:
        return nats / (self.dimensions * math.log(2.0))

    @property
    def protocol(self) -> str:
        """The data, D and the kind of estimate: only results of one protocol are comparable."""
        return ". ".join(self._protocol()) + "."

    def _protocol(self) -> list[str]:
        kinds = _SEQUENCES if self.is_sequence else _UNBINARIZED
        depth = "8-bit" if self.levels == 256 else f"{self.levels}-level"
        data = _BINARIZED.get(self.binarize or "", kinds[self.support]).format(depth=depth)
        sentences = [
            f"Data: {data}; {self.count:,} images, seed {self.seed}",
            f"D = {_product(self.image_shape)} = {self.dimensions:,}{self._padding()}",
        ]
        if self.is_exact:
            sentences.append("Exact likelihood")
        else:
            several = "sample" if self.samples == 1 else "importance samples"
            sentences.append(
                f"Upper bound on the negative log-likelihood, {self.samples:,} {several} for each "
                "image"
            )
        if self.support == "density":
            sentences.append(f"This is {_NOT_COMPARABLE}")
        return sentences

    def _padding(self) -> str:
        if self.image_shape == self.unpadded_shape:
            return ""
        bits = self.nats / (math.prod(self.unpadded_shape) * math.log(2.0))
        return (
            f", with padding. By the D of the data, {_product(self.unpadded_shape)}, the same nats "
            f"are {bits:.3f} bits/dim"
        )

    @property
    def limit(self) -> float | None:
        """The nats that no model can be below in expectation, or None if that is not known."""
        return next((floor.nats for floor in self.floors if floor.is_limit), None)

    @property
    def is_impossible(self) -> bool:
        """Whether the nats are below the limit by more than chance: the model has an error."""
        if self.limit is None:
            return False
        return self.nats < self.limit - _IMPOSSIBLE_ERRORS * self.standard_error

    def to_dict(self) -> Config:
        """Returns all numbers except those of single images, as JSON takes them."""
        return {
            "nats": plain(self.nats),
            "standard_error": plain(self.standard_error),
            "bits_per_dimension": plain(self.bits_per_dimension),
            "perplexity": plain(self.perplexity) if self._has_perplexity else None,
            "dimensions": self.dimensions,
            "count": self.count,
            "image_shape": list(self.image_shape),
            "unpadded_shape": list(self.unpadded_shape),
            "support": self.support,
            "binarize": self.binarize,
            "levels": self.levels,
            "is_exact": self.is_exact,
            "samples": self.samples,
            "seed": self.seed,
            "protocol": self.protocol,
            "floors": [
                {
                    "title": floor.title,
                    "nats": plain(floor.nats),
                    "bits_per_dimension": plain(self._bits(floor.nats)),
                    "is_limit": floor.is_limit,
                }
                for floor in self.floors
            ],
            "fitted_on": self.fitted_on,
        }

    def _table(self) -> Table:
        heads = ["negative log-likelihood", "nats", "bits/dim", ""]
        if self._has_perplexity:
            heads.insert(-1, "perplexity")
        rows = [tuple(heads)]
        rows += [
            self._row(floor.title, floor.nats, "no model can be lower")
            for floor in self.floors
            if floor.is_limit
        ]
        rows.append(self._row("model", self.nats, f"± {self.standard_error:.2f} nats"))
        rows += [
            self._row(floor.title, floor.nats, "") for floor in self.floors if not floor.is_limit
        ]
        lines = [f"{sentence}." for sentence in self._protocol()]
        if self.fitted_on:
            lines.append(f"The tables are fitted on {self.fitted_on}. A useful model is lower.")
        if self._has_perplexity:
            lines.append("Perplexity is 2 ** bits/dim, of one value or character.")
        if self.is_impossible:
            lines.append(
                "These nats are impossible: they are below the entropy of the drawing. The model "
                "sees the pixels that it predicts, or its likelihood is wrong."
            )
        return Table(rows, after=lines)

    @property
    def _has_perplexity(self) -> bool:
        return self.is_sequence and self.support != "density"

    def _row(self, title: str, nats: float, note: str) -> tuple[str, ...]:
        # The bits of a density do not correspond to a code.
        bits = "" if self.support == "density" else f"{self._bits(nats):.3f}"
        perplexity = [f"{self._perplexity(nats):.3f}"] if self._has_perplexity else []
        return title, f"{nats:,.2f}", bits, *perplexity, note


def likelihood(
    model: HasLikelihood,
    dataset: Data,
    samples: int = 5000,
    count: int | None = None,
    batch_size: int = 100,
    seed: int = 0,
    training: Data | None = None,
    say: Say | None = None,
) -> LikelihoodEvaluation:
    """Measures the negative log-likelihood of a data set under a model, in nats and bits/dim.

    The result names the protocol. Results of different protocols cannot be compared: the
    binarisation of the data set, the number of dimensions, and a bound in place of an exact
    likelihood change it by more than models differ.

    The result also has the floors of the same images: the entropy of a random binarisation,
    which no model can be below, and tables of counts, which every useful model is below. For
    sequences, images of one row, the tables are n-grams, and the result has the perplexity.

    Args:
        model: A model with `log_prob`, see `kgan.training.capabilities.HasLikelihood`. A
            conditional one gets the labels of the images.
        dataset: A `kgan.data.ImageDataset` in [-1, 1] or with `dtype="uint8"`, or uint8 images
            `(N, H, W)` or `(N, H, W, C)`. The test set, as a rule. With `levels`, the model gets
            quantised images.
        samples: Integer, importance samples for each image, where the likelihood is not exact. 1
            gives the evidence lower bound (ELBO). Time is in proportion to it; 5,000 are usual in
            tables of results, 200 are within a fraction of a nat.
        count: Integer, how many images, drawn by `seed`. Defaults to all of them.
        batch_size: Integer, images at a time.
        seed: Integer, of the draw and of the importance samples.
        training: The training set, which the tables are fitted on. Without it, each half of the
            images has the tables of the other half, which are worse because they are fitted on
            fewer images.
        say: Called with a line of text about each step of the work. Defaults to writing a line to
            standard error every five seconds at most: nothing about quick work.

    Returns:
        A `LikelihoodEvaluation`: `print` it, or take `.nats` and `.bits_per_dimension`.

    Raises:
        TypeError: The model has no likelihood.
        ValueError: The images are outside the support of the model's likelihood, or a conditional
            model lacks labels.
        DivergedError: Log-likelihoods are not finite.

    Example:
    ```python
    found = kgan.metrics.likelihood(vae, test, samples=10, training=train)
    print(found)
    print(found.nats, found.bits_per_dimension)
    ```
    """
    _check_model(model)
    samples = integer("samples", samples)
    batch_size = integer("batch_size", batch_size)
    say = say or now_and_then()
    dataset = as_dataset(dataset)
    wanted = integer("count", _count(dataset) if count is None else count, least=2)
    images, labels = dataset.draw(available(dataset, wanted), seed)
    images = np.asarray(images, "float32")
    support = model.likelihood_support
    levels = 2 if support == "binary" else levels_of(dataset)
    check_support(support, images, model.levels if isinstance(model, Completes) else levels)
    log_probs = _log_probs(model, images, labels_of(model, labels), samples, batch_size, seed, say)
    floors, fitted_on = _floors(support, levels, dataset, images, training, seed, say)
    # A crop can be smaller than the images.
    height, width = map(min, dataset.images.shape[1:3], dataset.image_shape[:2])
    return LikelihoodEvaluation(
        nats=float(-log_probs.mean()),
        standard_error=float(log_probs.std(ddof=1) / math.sqrt(len(log_probs))),
        count=len(images),
        image_shape=dataset.image_shape,
        unpadded_shape=(height, width, dataset.image_shape[2]),
        support=support,
        binarize=binarization(dataset),
        is_exact=model.likelihood_is_exact,
        samples=None if model.likelihood_is_exact else samples,
        seed=seed,
        floors=floors,
        fitted_on=fitted_on,
        image_nats=-log_probs,
        levels=levels,
    )


def _check_model(model: Any) -> None:
    if not isinstance(model, HasLikelihood):
        raise TypeError(
            "Expected a model with a likelihood, with `log_prob`, `likelihood_support` and "
            "`likelihood_is_exact`. GANs have none: measure them with kgan.evaluate. "
            f"Received: {type(model).__name__}."
        )
    if model.likelihood_support not in _SUPPORTS:
        raise ValueError(
            f"Expected `likelihood_support` to be one of {_SUPPORTS}. "
            f"Received: {model.likelihood_support!r}."
        )


def _count(dataset: Drawable) -> int:
    return _STACKED_COUNT if isinstance(dataset, Stacked) else len(dataset.images)


def _log_probs(
    model: HasLikelihood,
    images: npt.NDArray[np.float32],
    labels: Labels | None,
    samples: int,
    batch_size: int,
    seed: int,
    say: Say,
) -> npt.NDArray[np.float64]:
    """Returns the log-likelihood of each image, `(n,)`."""
    found = []
    for number, first in enumerate(range(0, len(images), batch_size)):
        rows = slice(first, first + batch_size)
        say(f"log-likelihoods of images {first + 1:,} to {min(rows.stop, len(images)):,}")
        options = as_options(None if labels is None else labels[rows])
        if not model.likelihood_is_exact:
            # Other samples for each batch, so that their errors average out.
            state = np.random.SeedSequence((seed, number)).generate_state(1)
            options |= {"samples": samples, "seed": int(state[0]) % 2**31}
        found.append(np.asarray(model.log_prob(images[rows], **options), "float64"))
        if found[-1].shape != images[rows].shape[:1]:
            raise ValueError(
                f"Expected log_prob to give one number for each image, {images[rows].shape[:1]}. "
                f"Received: shape {found[-1].shape}."
            )
    log_probs = np.concatenate(found)
    broken = ~np.isfinite(log_probs)
    if broken.any():
        raise DivergedError(
            f"Expected finite log-likelihoods. Received: NaN or infinity for {broken.sum():,} of "
            f"{len(log_probs):,} images, the first at index {int(np.argmax(broken))}."
        )
    return log_probs


def _floors(
    support: str,
    levels: int,
    dataset: Drawable,
    images: npt.NDArray[np.float32],
    training: Data | None,
    seed: int,
    say: Say,
) -> tuple[tuple[LikelihoodFloor, ...], str]:
    """Returns the floors of a support, and what they are fitted on."""
    if support == "density":
        return (), ""
    fitted, fitted_on = _training_pictures(support, levels, dataset, training, seed)
    shown = _values(images, levels)
    found = [
        LikelihoodFloor(title, measure(shown, fitted, levels))
        for title, measure in _tables(levels, images.shape[1] == 1, say)
    ]
    if support == "binary" and binarization(dataset) in {"dynamic", "static"}:
        grey = level_pictures(dataset)
        stacked = dataset.image_shape[2] // grey.shape[3]
        entropy = stacked * tables.drawing_entropy(grey)
        found.append(LikelihoodFloor("entropy of the drawing", entropy, is_limit=True))
    return tuple(sorted(found, key=lambda floor: floor.nats)), fitted_on


def _tables(
    levels: int, is_sequence: bool, say: Say
) -> list[tuple[str, Callable[[Pictures, Pictures | None, int], float]]]:
    say("floors: tables of counts")
    if is_sequence:
        several = [
            (f"{order}-gram (Witten-Bell)", functools.partial(ngrams.ngram_nats, order=order))
            for order in _ORDERS["binary" if levels == 2 else "levels"]
        ]
        return [*several, ("one histogram", tables.histogram_nats)]
    if levels == 2:
        return [
            ("table of 18 causal neighbours", tables.neighbour_nats),
            ("independent pixels", tables.position_nats),
        ]
    return [
        ("table of 3 causal neighbours", tables.neighbour_nats),
        ("one histogram for each pixel", tables.position_nats),
        ("one histogram", tables.histogram_nats),
    ]


def _training_pictures(
    support: str, levels: int, dataset: Drawable, training: Data | None, seed: int
) -> tuple[Pictures | None, str]:
    if training is None:
        return None, "the images of the other half of this data set"
    training = as_dataset(training)
    expected, received = _description(dataset), _description(training)
    if received != expected:
        raise ValueError(
            "Expected `training` to be binarised, quantised and shaped as the data set, "
            f"{expected}. Received: {received}."
        )
    images, _ = training.draw(available(training, _FITTED), seed)
    check_support(support, images, levels)
    return _values(images, levels), f"{len(images):,} training images"


def _description(dataset: Drawable) -> str:
    levels = f"levels={levels_of(dataset)}"
    return f"binarize={binarization(dataset)!r}, {levels} and {dataset.image_shape}"


def _values(images: npt.NDArray[np.float32], levels: int) -> Pictures:
    """Returns images as levels from 0 to `levels - 1`."""
    return np.rint((np.asarray(images, "float32") + 1.0) * ((levels - 1) / 2)).astype("uint8")


def _product(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape))

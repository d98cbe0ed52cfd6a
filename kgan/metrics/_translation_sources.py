"""The images that a translation is measured with, and the model that translates them."""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from kgan._arguments import integer
from kgan._typing import Images, Pictures
from kgan._warnings import warn_outside
from kgan.images import to_uint8
from kgan.metrics._sources import as_floats, range_problem
from kgan.metrics.datasets import Data, all_pictures, as_dataset
from kgan.metrics.evaluator import FEWEST
from kgan.metrics.outputs import checked_batches
from kgan.training.capabilities import Cycles, Translates, cycled, translated


class TranslatedImages:
    """The images that are compared, drawn at random.

    `reference` are as many targets as `others`, and none of them is the truth of the first inputs.
    """

    def __init__(
        self,
        inputs: Data,
        targets: Data,
        paired: bool,
        truths: Data | None,
        labels: npt.ArrayLike | None,
        target_labels: npt.ArrayLike | None,
        count: int,
        seed: int,
    ) -> None:
        self.target_dataset = as_dataset(targets)
        all_inputs, all_targets = _pictures(inputs), _pictures(self.target_dataset)
        if paired and truths is not None:
            raise ValueError(
                "Expected no `truths` with paired=True, since `targets` are the true translations. "
                "Received: both."
            )
        all_truths = all_targets if paired else None if truths is None else _pictures(truths)
        if all_truths is not None and len(all_truths) != len(all_inputs):
            raise ValueError(
                "Expected a true translation for each input. "
                f"Received: {len(all_inputs)} inputs and {len(all_truths)} translations."
            )
        for name, images in (("inputs", all_inputs), ("targets", all_targets)):
            if len(images) < FEWEST:
                raise ValueError(
                    f"Expected at least {FEWEST} {name} to measure translations. "
                    f"Received: {len(images)}. Add held-out images, or choose another split."
                )
        integer("count", count, least=FEWEST)
        generator = np.random.default_rng(seed)
        rows = generator.permutation(len(all_inputs))[:count]
        columns = generator.permutation(len(all_targets))
        if paired:
            # The inputs of the other targets, so that no translation meets its own truth.
            columns = np.concatenate([rows, columns[~np.isin(columns, rows)]])
        self.inputs = all_inputs[rows]
        self.truths = None if all_truths is None else all_truths[rows]
        self.labels = _labels("labels", labels, len(all_inputs), rows)
        half = min(len(rows), len(columns) // 2)
        self.others = all_targets[columns[:half]]
        self.reference = all_targets[columns[-half:]]
        self.reference_labels = _labels(
            "target_labels", target_labels, len(all_targets), columns[-half:]
        )
        self.shape = all_targets.shape[1:]
        if self.truths is not None and self.truths.shape[1:] != self.shape:
            raise ValueError(
                "Expected true translations of the shape of the targets, "
                f"{self.shape}. Received: {self.truths.shape[1:]}."
            )

    @property
    def untranslated(self) -> Pictures | None:
        """The inputs with as many channels as the targets, or None if the shapes do not fit."""
        if self.inputs.shape[1:] == self.shape:
            return self.inputs
        if self.inputs.shape[1:] == (*self.shape[:2], 1):
            return np.repeat(self.inputs, self.shape[2], axis=3)
        return None


class Translator:
    """A model that takes and returns uint8 images."""

    def __init__(
        self,
        model: Translates,
        to: str | None,
        value_range: tuple[float, float],
        batch_size: int,
    ) -> None:
        self.model = model
        self.to = to
        self.value_range = value_range
        self.batch_size = batch_size

    def translations(self, pictures: Pictures, shape: tuple[int, ...]) -> Pictures:
        """Returns the translation of each image."""
        return self._apply(lambda images: translated(self.model, images, self.to), pictures, shape)

    def draws(self, pictures: Pictures, shape: tuple[int, ...], seed: int) -> Pictures:
        """Returns the translation of each image with dropout."""
        translate: Callable[..., Images] = self.model.translate
        options: dict[str, Any] = {} if self.to is None else {"to": self.to}
        try:
            return self._apply(
                lambda images: translate(images, dropout=True, seed=seed, **options),
                pictures,
                shape,
            )
        except TypeError as error:
            raise TypeError(
                "Expected a model with `translate(images, dropout=True, seed=...)`, since "
                f"`diversity_draws` was given. Received: {type(self.model).__name__}."
            ) from error

    def cycles(self, pictures: Pictures) -> Pictures | None:
        """Returns images after both translations, or None if the model has only one."""
        model = self.model
        if not isinstance(model, Cycles):
            return None
        return self._apply(
            lambda images: cycled(model, images, self.to), pictures, pictures.shape[1:]
        )

    def _apply(
        self, function: Callable[[Images], Images], pictures: Pictures, shape: tuple[int, ...]
    ) -> Pictures:
        parts = checked_batches(
            "translations",
            lambda rows: function(as_floats(pictures[rows], self.value_range)),
            len(pictures),
            shape,
            self.batch_size,
        )
        found: list[Pictures] = []
        for part in parts:
            problem = None if found else range_problem(part, self.value_range)
            if problem is not None:
                warn_outside(problem)
            found.append(to_uint8(as_floats(part, self.value_range), self.value_range))
        return np.concatenate(found)


def _pictures(images: Data) -> Pictures:
    pictures = all_pictures(as_dataset(images), 0)
    if pictures is None:
        raise ValueError(
            "Expected a fixed set of images to translate. Received: a data set that draws its "
            "images at random. Give an array of some of them."
        )
    return pictures


def _labels(
    name: str, labels: npt.ArrayLike | None, count: int, rows: npt.NDArray[np.integer]
) -> npt.NDArray[np.int64] | None:
    if labels is None:
        return None
    array = np.asarray(labels)
    if not np.issubdtype(array.dtype, np.integer) or array.shape not in {(), (count,)}:
        raise ValueError(
            f"Expected `{name}` to be an integer, or integers ({count},), one for each image. "
            f"Received: {array.dtype} of shape {array.shape}."
        )
    return np.broadcast_to(array, count)[rows].astype("int64")

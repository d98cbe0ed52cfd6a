"""Metrics of sample quality and variety in the logs, while a model trains."""

import math
from dataclasses import asdict, replace
from typing import Any

import numpy as np

from kgan._arguments import integer
from kgan._typing import Pictures
from kgan.metrics import MEASURES, Evaluation, Evaluator, Figure
from kgan.metrics.datasets import class_names_of
from kgan.metrics.outputs import DivergedError
from kgan.training.callback import Callback
from kgan.training.log_names import hide

_IN_PROGRESS = {"fcd", "coverage"}  # one for the quality of samples, one for their variety

hide(*(name for name in MEASURES if name not in _IN_PROGRESS))


class PeriodicEvaluation(Callback):
    """Evaluates samples after some epochs, and adds the results to the logs.

    The names in the logs are `val_` and those of `kgan.metrics.MEASURES`: `val_fcd`, `val_kid`,
    `val_precision`, `val_recall`, `val_density`, `val_coverage`, and those of the classes.
    Callbacks *after* this one in the list can monitor them: `ModelCheckpoint` and `EarlyStopping`
    with `monitor="val_fcd", mode="min"`, `CSVLogger`, `TensorBoard`. The progress line of `fit`
    shows `val_fcd` and `val_coverage`; the history has all.

    In the epochs between evaluations, the results are NaN, which no monitor takes for an
    improvement. `EarlyStopping` counts those epochs: multiply its patience by `every`. The first
    epoch of a `fit` is always evaluated, since monitors take the first value for the best so far.

    Works in `fit`, and in a custom loop through `keras.callbacks.CallbackList`. That list gives
    callbacks a copy of the logs, so a custom loop finds the results in `evaluations`. Training is
    not affected: a run with this callback ends in the same weights as one without.

    Args:
        dataset: A `kgan.data.ImageDataset` or uint8 images; see `kgan.evaluate`.
        every: Integer n: the first epoch is evaluated, and every n-th.
        count: Integer, the number of samples, and of real images. Metrics of fewer than 10,000 are
            good for comparing epochs of a run; `evaluations` has the floors.
        seed: Integer, chooses latents and real images, the same ones each time.
        features: See `kgan.metrics.get_features`.

    `evaluations` holds each `kgan.metrics.Evaluation`, by the epoch's number from 1. Only the last
    one has pictures, to save memory, and only if training was not resumed since.

    Raises:
        ValueError: `every` or `count` is out of range, or the data set needs explicit `features`.

    Example:
    ```python
    evaluation = kgan.callbacks.PeriodicEvaluation(train, every=2)
    best = keras.callbacks.ModelCheckpoint(
        "best.keras", monitor="val_fcd", mode="min", save_best_only=True
    )
    model.fit(train, epochs=20, callbacks=[evaluation, best])
    ```
    """

    def __init__(
        self,
        dataset: Any,
        every: int = 1,
        count: int = 2000,
        seed: int = 0,
        features: Any = None,
    ) -> None:
        super().__init__()
        self.every = integer("every", every)
        self.evaluations: dict[int, Evaluation] = {}
        self._is_first = True
        self._evaluator = Evaluator(dataset, count, seed, features, thorough=False)

    def on_train_begin(self, logs: Any = None) -> None:
        """Makes two samples, so that a mismatch shows before an epoch is trained."""
        del logs
        self._evaluator.check(self.model)
        self.evaluations.clear()
        self._is_first = True

    def get_state(self) -> dict[str, Any]:
        """The evaluations without their pictures, for a resumed training."""
        return {
            "is_first": self._is_first,
            "evaluations": [
                {
                    "epoch": epoch,
                    "figures": {name: asdict(each) for name, each in evaluation.figures.items()},
                    "shares": [
                        None if shares is None else shares.tolist()
                        for shares in (evaluation.sample_shares, evaluation.real_shares)
                    ],
                }
                for epoch, evaluation in self.evaluations.items()
            ],
        }

    def set_state(self, state: dict[str, Any]) -> None:
        """Restores the state that `get_state` returned."""
        self._is_first = state["is_first"]
        evaluator = self._evaluator
        for kept in state["evaluations"]:
            sample_shares, real_shares = (
                None if shares is None else np.asarray(shares) for shares in kept["shares"]
            )
            self.evaluations[kept["epoch"]] = Evaluation(
                {name: Figure(**figure) for name, figure in kept["figures"].items()},
                features=evaluator.extractor.name,
                seed=evaluator.seed,
                samples=self._no_pictures(),
                sample_shares=sample_shares,
                real_shares=real_shares,
                class_names=class_names_of(evaluator.dataset),
            )

    def _no_pictures(self) -> Pictures:
        return np.zeros((0, *self._evaluator.dataset.image_shape), "uint8")

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Evaluates, if it is this epoch's turn, and adds the results to the logs."""
        values = dict.fromkeys(self._evaluator.names_for(self.model), math.nan)
        is_turn = self._is_first or (epoch + 1) % self.every == 0
        self._is_first = False
        if is_turn:
            try:
                evaluation = self._evaluator.evaluate(self.model)
            except DivergedError:
                pass  # the logs say NaN, which callbacks know how to handle
            else:
                self._drop_pictures_of_last()
                self.evaluations[epoch + 1] = evaluation
                values = {name: figure.value for name, figure in evaluation.figures.items()}
        if logs is not None:
            logs.update({f"val_{name}": value for name, value in values.items()})

    def _drop_pictures_of_last(self) -> None:
        if self.evaluations:
            epoch, kept = self.evaluations.popitem()  # those before it have none any more
            self.evaluations[epoch] = replace(
                kept, samples=self._no_pictures(), sample_classes=None, sample_labels=None
            )

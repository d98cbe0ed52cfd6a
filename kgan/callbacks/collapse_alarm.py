"""Signs that a GAN has collapsed, looked for after every epoch, and said in words."""

import statistics
import warnings
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import keras
import numpy as np

from kgan._arguments import integer
from kgan.metrics.classes import class_shares
from kgan.metrics.datasets import as_dataset
from kgan.metrics.evaluator import DivergedError, Evaluator, default_features
from kgan.metrics.features import Features
from kgan.metrics.neighbours import duplicate_distance, support_size

# Healthy runs of kgan's recipes on MNIST stay well within these; see docs/evaluation.md.
_LEAST_SPREAD = 0.25  # of that of real images
_LEAST_CLASS_SHARE = 0.2  # of that among real images
_LEAST_EXPECTED = 20  # samples of a class, for its absence to be no chance
_LEAST_SUPPORT = 0.1  # of that of real images
_CERTAIN = 0.999
_GRADIENT_FACTOR = 100.0  # against the median of earlier epochs
_GRADIENT_RANGE = (1e-6, 1e4)

Signs = Iterator[tuple[str, str]]


class CollapseWarning(UserWarning):
    """A GAN shows a sign of collapse."""


@dataclass(frozen=True)
class Alarm:
    """A sign of collapse.

    Args:
        epoch: Integer, from 1, at whose end it was seen.
        sign: String, its name.
        message: String, what was seen and what usually helps.
    """

    epoch: int
    sign: str
    message: str


class CollapseAlarm(keras.callbacks.Callback):
    """Warns when training has gone wrong in one of the ways that losses do not show.

    After every epoch it looks for cheap signs, and gives a `CollapseWarning` that names the sign
    and what usually helps when one appears:

    - `spread`: the samples' features vary far less than those of real images;
    - `missing_classes`: classes that real images have are all but absent (where the features tell
      the classes of the dataset, and few enough for 20 samples of each);
    - `repeats`: the same images come again and again;
    - `discriminator_certain`, `discriminator_fooled`: the discriminator tells real from fake every
      time, or is wrong every time;
    - `vanished_gradient of the generator`, `exploded_gradient of the discriminator` and so on:
      against earlier epochs, or below 1e-6 or above 1e4 whatever they were;
    - `diverged`: samples are NaN or infinite.

    The first three ask the model for `generate(n, seed=...)`; the others read the logs of a
    `kgan.GAN`, and are passed over where the logs have no such entries.

    Works in `fit`, and in a loop of one's own through `keras.callbacks.CallbackList`.

    Args:
        dataset: A `kgan.data.ImageDataset` or uint8 images: the real ones.
        count: Integer, samples to look at.
        features: See `kgan.metrics.get_features`. Defaults to those of `kgan.evaluate`, or to
            pixels where it has none for such images.
        patience: Integer, epochs in a row that a sign must be there.
        stop: Whether training ends at an alarm.
        seed: Integer, chooses latents and real images.

    `alarms` holds each `Alarm` of the training so far.

    Raises:
        ValueError: `count` or `patience` is out of range.

    Example:
    ```python
    gan.fit(train, epochs=20, callbacks=[kgan.callbacks.CollapseAlarm(train, stop=True)])
    ```
    """

    def __init__(
        self,
        dataset: Any,
        count: int = 500,
        features: Any = None,
        patience: int = 1,
        stop: bool = False,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.patience = integer("patience", patience)
        self.stop = stop
        self.alarms: list[Alarm] = []
        dataset = as_dataset(dataset)
        if features is None:
            features = default_features(dataset) or "pixels"
        self._evaluator = Evaluator(dataset, count, seed, features, thorough=False)
        self._norms: dict[str, list[float]] = {}
        self._seen: dict[str, int] = {}

    def on_train_begin(self, logs: Any = None) -> None:
        """Makes two samples: what does not fit should show before an epoch is trained."""
        del logs
        self._evaluator.check(self.model)
        self.alarms.clear()
        self._norms.clear()
        self._seen.clear()

    def get_state(self) -> dict[str, Any]:
        """What a resumed training goes on with: alarms, gradients, and signs that are there."""
        alarms = [asdict(alarm) for alarm in self.alarms]
        return {"alarms": alarms, "norms": self._norms, "seen": self._seen}

    def set_state(self, state: dict[str, Any]) -> None:
        """Goes on from there."""
        self.alarms[:] = [Alarm(**alarm) for alarm in state["alarms"]]
        self._norms, self._seen = state["norms"], state["seen"]

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Looks for the signs."""
        found = {**dict(self._signs_in_samples()), **dict(self._signs_in_logs(logs or {}))}
        self._seen = {sign: self._seen.get(sign, 0) + 1 for sign in found}
        for sign, epochs in self._seen.items():
            # Said when it appears, and again only if it had gone meanwhile.
            if epochs == self.patience:
                alarm = Alarm(epoch + 1, sign, f"After epoch {epoch + 1}: {found[sign]}")
                self.alarms.append(alarm)
                warnings.warn(alarm.message, CollapseWarning, stacklevel=2)
                if self.stop:
                    self.model.stop_training = True

    def _signs_in_samples(self) -> Signs:
        try:
            _, _, fake = self._evaluator.sample(self.model)
        except DivergedError as error:
            yield "diverged", str(error)
            return
        real = self._evaluator.real
        yield from signs_in_features(real, fake, self._evaluator.num_classes)

    def _signs_in_logs(self, logs: dict[str, Any]) -> Signs:
        accuracy = logs.get("discriminator_accuracy")
        if accuracy is not None and accuracy >= _CERTAIN:
            yield (
                "discriminator_certain",
                f"the discriminator tells real from fake in {accuracy:.2%} of all pairs, so the "
                "generator learns little from it. What helps: a lower learning rate or fewer "
                "steps for the discriminator, dropout in it, a gradient penalty, or a loss that "
                "does not saturate.",
            )
        if accuracy is not None and accuracy <= 1 - _CERTAIN:
            yield (
                "discriminator_fooled",
                f"the discriminator ranks real above fake in {accuracy:.2%} of all pairs only: it "
                "has it the wrong way round. What helps: a higher learning rate or more steps for "
                "the discriminator; check that its loss is not negated.",
            )
        for name, norm in logs.items():
            if name.endswith("_gradient_norm") and not name.startswith("val_"):
                earlier = self._norms.setdefault(name, [])
                network = name.removesuffix("_gradient_norm")
                signs = list(signs_in_gradient(network, norm, earlier))
                yield from signs
                if not signs:  # what is wrong must not become what is usual
                    earlier.append(norm)


def signs_in_features(real: Features, fake: Features, num_classes: int | None) -> Signs:
    """Looks for signs of collapse in the features of as many samples as real images.

    Args:
        real: Features of real images.
        fake: Features of samples.
        num_classes: Integer, how many classes the features tell, or None.

    Yields:
        `(sign, message)`.
    """
    spread = fake.vectors.var(axis=0).sum() / max(real.vectors.var(axis=0).sum(), 1e-12)
    if spread < _LEAST_SPREAD:
        yield (
            "spread",
            f"the samples vary {spread:.2f} times as much as real images. They are too much alike: "
            "the generator may be collapsing. What helps: a lower learning rate for the generator, "
            "a gradient penalty, the relativistic loss, showing the discriminator several samples "
            "at once.",
        )
    if fake.classes is not None and real.classes is not None and num_classes is not None:
        expected = class_shares(real.classes, num_classes)
        shares = class_shares(fake.classes, num_classes)
        told = expected * len(fake) >= _LEAST_EXPECTED
        missing = np.flatnonzero(told & (shares < _LEAST_CLASS_SHARE * expected))
        if len(missing):
            yield (
                "missing_classes",
                f"samples of {_listed(missing)} are all but absent: the generator has lost these "
                "modes, or not found them yet. What helps: a lower learning rate for the "
                "generator, a gradient penalty, the relativistic loss, larger batches, or a "
                "conditional GAN.",
            )
    same = duplicate_distance(real.vectors)
    # Fainter samples lie nearer to one another without being the same, by the root of `spread`, and
    # blurred ones by more, since what sets the nearest apart is their detail. Copies stay copies.
    support = support_size(fake.vectors, same * min(1.0, spread))
    if support < _LEAST_SUPPORT * support_size(real.vectors, same):
        yield (
            "repeats",
            f"samples repeat so often that there can be only about {support:,.0f} different ones. "
            "The generator ignores its latents. What helps: a gradient penalty, the relativistic "
            "loss, showing the discriminator several samples at once; check that the latents reach "
            "the generator.",
        )


def signs_in_gradient(network: str, norm: float, earlier: list[float]) -> Signs:
    """Looks for a gradient that has vanished or exploded.

    Args:
        network: String, whose gradient it is.
        norm: Float, its mean length in this epoch.
        earlier: Floats, those of earlier epochs without such a sign.

    Yields:
        `(sign, message)`.
    """
    low, high = _GRADIENT_RANGE
    usual = statistics.median(earlier) if earlier else None
    if usual is not None and usual > 0:
        low, high = max(low, usual / _GRADIENT_FACTOR), min(high, usual * _GRADIENT_FACTOR)
    before = "" if usual is None else f", and was {usual:.3g} in earlier epochs"
    if norm < low:
        yield (
            f"vanished_gradient of the {network}",
            f"the gradient of the {network} has vanished: its mean length is {norm:.3g}{before}. "
            "The network no longer learns. What helps: for the generator, the non-saturating loss "
            "and a discriminator that is less certain; for the discriminator, samples that are "
            "not yet perfect to it: a lower learning rate for the generator.",
        )
    elif not norm <= high:  # NaN is not either
        yield (
            f"exploded_gradient of the {network}",
            f"the gradient of the {network} has exploded: its mean length is {norm:.3g}{before}. "
            "What helps: lower learning rates, clipping (`global_clipnorm=1.0` of the optimizer), "
            "a gradient penalty on the discriminator.",
        )


def _listed(classes: np.ndarray) -> str:
    names = ", ".join(map(str, classes[:10]))
    return f"{'class' if len(classes) == 1 else 'classes'} {names}" + (
        ", ..." if len(classes) > 10 else ""
    )

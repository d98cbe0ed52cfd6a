"""Signs of collapse, looked for after every epoch."""

import statistics
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from kgan._arguments import integer
from kgan.metrics.classes import class_shares
from kgan.metrics.datasets import as_dataset, class_names_of
from kgan.metrics.evaluator import Evaluator, default_features
from kgan.metrics.features import Features
from kgan.metrics.neighbours import duplicate_distance, support_size
from kgan.metrics.outputs import DivergedError
from kgan.training.callback import Callback
from kgan.training.capabilities import Generates
from kgan.training.labels import names_of
from kgan.training.log_names import HELD_OUT, Gradient, describe
from kgan.training.optimizers import Optimizers

# Healthy runs of kgan's recipes on MNIST stay well within these; see docs/explanation/metrics.md.
_LEAST_SPREAD = 0.25  # relative to real images
_LEAST_CLASS_SHARE = 0.2  # relative to real images
_LEAST_EXPECTED = 20  # samples of a class, so that its absence is not chance
_LEAST_SUPPORT = 0.1  # relative to real images
# Signs in the samples of a model that has only begun to learn. Its logs may be beyond any limit.
_EARLY = frozenset({"spread", "missing_classes"})
_GRADIENT_FACTOR = 100.0  # relative to the median of earlier epochs
_GRADIENT_RANGE = (1e-6, 1e4)

Signs = Iterator[tuple[str, str]]


class CollapseWarning(UserWarning):
    """A model shows a sign of collapse."""


@dataclass(frozen=True)
class Alarm:
    """A sign of collapse.

    Args:
        epoch: Integer, from 1, the epoch at whose end it appeared.
        sign: String, its name.
        message: String, what it is and what usually helps.
    """

    epoch: int
    sign: str
    message: str


class CollapseAlarm(Callback):
    """Warns when training has gone wrong in one of the ways that losses do not show.

    After every epoch it looks for signs that are cheap to compute. When one appears, it gives a
    `CollapseWarning` with the name of the sign and what usually helps.

    Signs in samples, of models with `generate(n, seed=...)`:

    - `spread`: the features of samples vary far less than those of real images;
    - `missing_classes`: classes of the real images are nearly absent (if the features tell the
      classes of the data set, and these are few enough for 20 samples of each);
    - `repeats`: the same images appear again and again;
    - `diverged`: samples are NaN or infinite.

    Signs in the logs, by the limits that families state in `kgan.training.log_names`:

    - `discriminator_certain`, `discriminator_fooled`: the discriminator of a GAN tells real from
      fake every time, or is wrong every time;
    - `posterior_collapse`: the latents of a VAE hold almost no information about the images;
    - `vanished_gradient of the generator`, `exploded_gradient of the discriminator` and so on:
      relative to earlier epochs, or below 1e-6 or above 1e4 in any case.

    A model that has only begun to learn also shows some of these signs. So `spread`,
    `missing_classes`, `discriminator_certain`, `discriminator_fooled` and `posterior_collapse`
    count only after `warm_up` training steps. The other signs always count.

    Works in `fit`, and in a custom loop through `keras.callbacks.CallbackList`.

    Args:
        dataset: A `kgan.data.ImageDataset` or uint8 images: the real ones.
        count: Integer, the number of samples.
        features: See `kgan.metrics.get_features`. Defaults to those of `kgan.evaluate`, or to
            pixels if it has none for such images.
        patience: Integer, the number of epochs in a row that show the sign before the warning.
        stop: Whether a warning ends training.
        seed: Integer, chooses latents and real images.
        warm_up: Integer, the number of training steps before signs of a model that has not learned
            yet count. Lower it to watch a short training. A resumed training continues the
            warm-up. A model that is not of kgan has none. Defaults to `3000`.

    `alarms` holds each `Alarm` of the training so far.

    Raises:
        ValueError: `count`, `patience` or `warm_up` is out of range.

    Example:
    ```python
    model.fit(train, epochs=20, callbacks=[kgan.callbacks.CollapseAlarm(train, stop=True)])
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
        warm_up: int = 3000,
    ) -> None:
        super().__init__()
        self.warm_up = integer("warm_up", warm_up, least=0)
        self.patience = integer("patience", patience)
        self.stop = stop
        self.alarms: list[Alarm] = []
        dataset = as_dataset(dataset)
        if features is None:
            features = default_features(dataset) or "pixels"
        self._evaluator = Evaluator(dataset, count, seed, features, thorough=False)
        self._norms: dict[str, list[float]] = {}
        self._seen: dict[str, int] = {}

    def on_train_begin(self, logs: Mapping[str, Any] | None = None) -> None:
        """Makes two samples, so that a mismatch shows before an epoch is trained."""
        del logs
        if isinstance(self.model, Generates):
            self._evaluator.check(self.model)
        self.alarms.clear()
        self._norms.clear()
        self._seen.clear()

    def get_state(self) -> dict[str, Any]:
        """Alarms, gradients and present signs, for a resumed training."""
        alarms = [asdict(alarm) for alarm in self.alarms]
        return {"alarms": alarms, "norms": self._norms, "seen": self._seen}

    def set_state(self, state: dict[str, Any]) -> None:
        """Restores the state that `get_state` returned."""
        self.alarms[:] = [Alarm(**alarm) for alarm in state["alarms"]]
        self._norms, self._seen = state["norms"], state["seen"]

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Looks for the signs."""
        found = {**dict(self._signs_in_samples()), **dict(self._signs_in_logs(logs or {}))}
        if self._is_warming_up():
            early = _EARLY | {limit.sign for name in logs or {} for limit in describe(name).limits}
            found = {sign: text for sign, text in found.items() if sign not in early}
        self._seen = {sign: self._seen.get(sign, 0) + 1 for sign in found}
        for sign, epochs in self._seen.items():
            # Reported when it appears, and again only if it was gone meanwhile.
            if epochs == self.patience:
                alarm = Alarm(epoch + 1, sign, f"After epoch {epoch + 1}: {found[sign]}")
                self.alarms.append(alarm)
                warnings.warn(alarm.message, CollapseWarning, stacklevel=2)
                if self.stop:
                    self.model.stop_training = True

    def _is_warming_up(self) -> bool:
        optimizer = getattr(self.model, "optimizer", None)
        return isinstance(optimizer, Optimizers) and optimizer.steps_made() < self.warm_up

    def _signs_in_samples(self) -> Signs:
        if not isinstance(self.model, Generates):
            return
        try:
            _, _, fake = self._evaluator.sample(self.model)
        except DivergedError as error:
            yield "diverged", str(error)
            return
        real = self._evaluator.real
        names = class_names_of(self._evaluator.dataset)
        yield from signs_in_features(real, fake, self._evaluator.num_classes, names)

    def _signs_in_logs(self, logs: Mapping[str, Any]) -> Signs:
        for name, value in logs.items():
            if name.startswith(HELD_OUT):
                continue
            described = describe(name)
            for limit in described.limits:
                if limit.is_reached(value):
                    yield limit.sign, limit.message.format(value=value)
            if described.gradient is not None:
                earlier = self._norms.setdefault(name, [])
                signs = list(signs_in_gradient(described.gradient, value, earlier))
                yield from signs
                if not signs:  # a bad value must not become the usual one
                    earlier.append(value)


def signs_in_features(
    real: Features,
    fake: Features,
    num_classes: int | None,
    class_names: Sequence[str] | None = None,
) -> Signs:
    """Looks for signs of collapse in the features of as many samples as real images.

    Args:
        real: Features of real images.
        fake: Features of samples.
        num_classes: Integer, the number of classes that the features distinguish, or None.
        class_names: Strings, the names of these classes, or None.

    Yields:
        `(sign, message)`.
    """
    spread = fake.vectors.var(axis=0).sum() / max(real.vectors.var(axis=0).sum(), 1e-12)
    if spread < _LEAST_SPREAD:
        yield (
            "spread",
            f"the samples vary {spread:.2f} times as much as real images. They are too similar: "
            "the model may be collapsing. What helps: a lower learning rate; for a GAN also a "
            "gradient penalty, the relativistic loss, or a discriminator that sees several samples "
            "at once.",
        )
    if fake.classes is not None and real.classes is not None and num_classes is not None:
        expected = class_shares(real.classes, num_classes)
        shares = class_shares(fake.classes, num_classes)
        countable = expected * len(fake) >= _LEAST_EXPECTED
        missing = np.flatnonzero(countable & (shares < _LEAST_CLASS_SHARE * expected))
        if len(missing):
            yield (
                "missing_classes",
                f"samples of {_listed(missing, class_names)} are nearly absent: the model has lost "
                "these modes, or has not found them yet. What helps: a lower learning rate, larger "
                "batches, or a conditional model; for a GAN also a gradient penalty or the "
                "relativistic loss.",
            )
    same = duplicate_distance(real.vectors)
    # Fainter samples are closer to each other without being the same, by the root of `spread`.
    # Blurred ones are closer still, since the nearest differ in their details. Copies stay copies.
    support = support_size(fake.vectors, same * min(1.0, spread))
    if support < _LEAST_SUPPORT * support_size(real.vectors, same):
        yield (
            "repeats",
            f"samples repeat so often that there can be only about {support:,.0f} different ones. "
            "The model ignores its latents: check that they reach the network that makes images. "
            "What helps a GAN: a gradient penalty, the relativistic loss, or a discriminator that "
            "sees several samples at once.",
        )


def signs_in_gradient(gradient: Gradient, norm: float, earlier: list[float]) -> Signs:
    """Looks for a gradient that has vanished or exploded.

    Args:
        gradient: A `kgan.training.log_names.Gradient`.
        norm: Float, its mean length in this epoch.
        earlier: Floats, the lengths in earlier epochs without such a sign.

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
            f"vanished_gradient of the {gradient.of}",
            f"the gradient of the {gradient.of} has vanished: its mean length is {norm:.3g}"
            f"{before}. It no longer learns. {gradient.vanished}".rstrip(),
        )
    elif not norm <= high:  # also if it is NaN
        yield (
            f"exploded_gradient of the {gradient.of}",
            f"the gradient of the {gradient.of} has exploded: its mean length is {norm:.3g}"
            f"{before}. What helps: lower learning rates, clipping (`global_clipnorm=1.0` of the "
            f"optimizer). {gradient.exploded}".rstrip(),
        )


def _listed(classes: np.ndarray, class_names: Sequence[str] | None) -> str:
    names = ", ".join(names_of(classes[:10], class_names))
    return f"{'class' if len(classes) == 1 else 'classes'} {names}" + (
        ", ..." if len(classes) > 10 else ""
    )

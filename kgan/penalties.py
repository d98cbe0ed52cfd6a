"""Penalties: terms added to the discriminator's loss, by name or object.

Most of them limit the gradient of the scores with respect to images. To add a penalty, write a
class and name it in `_PENALTIES`. Then `compile(penalties=...)`, the recipes and the tests find it.
"""

import re
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import keras
from keras import ops

from kgan._arguments import integer
from kgan._noise import for_batch
from kgan._registry import find
from kgan._typing import Config, Noise, Tensor

__all__ = [
    "DRAGAN",
    "R1",
    "R2",
    "Drift",
    "GradientPenalty",
    "Judged",
    "LeCam",
    "Penalty",
    "get",
    "names",
]


class Judged(NamedTuple):
    """The discriminator's results for one batch: the inputs of a penalty.

    Attributes:
        real: Real images, float32 `(batch, height, width, channels)`.
        fake: Generated images, of the same shape.
        real_logits: The scores of the real images, float32 `(batch, ...)`.
        fake_logits: The scores of the generated images.
        real_gradient: The gradient of the sum of the real images' scores with respect to the
            images. None unless the penalty has "real" in its `gradients`.
        fake_gradient: The same gradient at the generated images. None unless the penalty has "fake"
            in its `gradients`.
        gradient_at: A function that computes this gradient at other images.
        noise: The `keras.random.SeedGenerator` of training.
    """

    real: Tensor
    fake: Tensor
    real_logits: Tensor
    fake_logits: Tensor
    real_gradient: Tensor | None
    fake_gradient: Tensor | None
    gradient_at: Callable[[Tensor], Tensor]
    noise: Noise


class Penalty(keras.layers.Layer):
    """A term that is added to the discriminator's loss.

    Subclass it, implement `value`, and pass the object to `GAN.compile(penalties=...)`. Register
    the subclass with `keras.saving.register_keras_serializable` so that a saved GAN can be loaded.
    A penalty is a layer, so its variables (`self.add_weight`) are saved with the GAN.

    Args:
        weight: Float of at least 0, the factor of `value` in the loss.
        interval: Integer n. Compute the penalty only in every n-th discriminator update, with n
            times the weight. This is faster, but not equivalent: the authors of R3GAN found that
            their models for Stacked-MNIST do not converge with it. Updates without the penalty
            count as 0 in the logs, so that the mean is correct.
        name: String, the name in the logs. Defaults to the name of the penalty. For a subclass
            `MyPenalty`, this is "my_penalty".

    Raises:
        ValueError: `weight` or `interval` is out of range.

    Example:
    ```python
    @keras.saving.register_keras_serializable(package="mine")
    class SmallScores(kgan.penalties.Penalty):
        def value(self, judged):
            logits = keras.ops.concatenate([judged.real_logits, judged.fake_logits])
            return keras.ops.mean(keras.ops.square(logits))


    gan.compile(penalties=SmallScores(weight=0.001))
    ```
    """

    gradients: tuple[str, ...] = ()
    """The images at which the penalty needs the gradient: "real", "fake" or both."""

    def __init__(self, weight: float = 10.0, interval: int = 1, name: str | None = None) -> None:
        super().__init__(name=name or _name_of(type(self)), dtype="float32")
        if not weight >= 0:
            raise ValueError(
                f"Expected `weight` to be a number of at least 0. Received: weight={weight!r}."
            )
        self.weight = float(weight)
        self.interval = integer("interval", interval)
        self.built = True

    def value(self, judged: Judged) -> Tensor:
        """Computes the penalty without its weight.

        Args:
            judged: A `Judged`.

        Returns:
            A float32 scalar.
        """
        raise NotImplementedError

    def get_config(self) -> Config:
        """The constructor's arguments, for saving."""
        return {"weight": self.weight, "interval": self.interval, "name": self.name}


def _squared_lengths(gradient: Tensor) -> Tensor:
    """The squared Euclidean length of each image's gradient, `(batch,)`."""
    return ops.sum(ops.square(gradient), axis=tuple(range(1, len(gradient.shape))))


def _distance_from(gradient: Tensor, target: float, one_sided: bool) -> Tensor:
    """The mean squared distance of the gradients' lengths from the target."""
    # The root has no slope at 0, where the penalty must not become NaN: a gradient that is 0 is
    # left alone, as if it had none of the directions in which it could grow.
    lengths = ops.sqrt(ops.maximum(_squared_lengths(gradient), 1e-12))
    excess = lengths - target
    return ops.mean(ops.square(ops.relu(excess) if one_sided else excess))


def _shares(real: Tensor, noise: Noise) -> Tensor:
    """One uniform number in [0, 1) for each image, `(batch, 1, 1, 1)`."""
    ones = [1] * (len(real.shape) - 1)
    return for_batch(keras.random.uniform, ops.shape(real)[0], *ones, noise=noise)


@keras.saving.register_keras_serializable(package="kgan")
class GradientPenalty(Penalty):
    """Keeps the gradient's length near 1 between real and generated images (WGAN-GP).

    `mean((|gradient at x| - 1)^2)` with `x = u real + (1 - u) fake`, one uniform `u` per pair.

    Args:
        weight: Float.
        target: Float, the length of the gradient at which the penalty is 0.
        one_sided: Whether to penalise only longer gradients.
        interval: Integer, see `Penalty`.
        name: String, see `Penalty`.

    Example:
    ```python
    gan.compile(loss="wasserstein", penalties=kgan.penalties.GradientPenalty(weight=10.0))
    ```

    Reference:
        [Gulrajani et al., 2017](https://arxiv.org/abs/1704.00028), equation 3;
        [Petzka et al., 2018](https://arxiv.org/abs/1709.08894) for the one-sided form.
    """

    def __init__(
        self,
        weight: float = 10.0,
        target: float = 1.0,
        one_sided: bool = False,
        interval: int = 1,
        name: str | None = None,
    ) -> None:
        super().__init__(weight, interval, name)
        self.target = float(target)
        self.one_sided = bool(one_sided)

    def value(self, judged: Judged) -> Tensor:
        """Computes the penalty without its weight."""
        shares = _shares(judged.real, judged.noise)
        between = shares * judged.real + (1.0 - shares) * judged.fake
        return _distance_from(judged.gradient_at(between), self.target, self.one_sided)

    def get_config(self) -> Config:
        """The constructor's arguments, for saving."""
        return {**super().get_config(), "target": self.target, "one_sided": self.one_sided}


@keras.saving.register_keras_serializable(package="kgan")
class DRAGAN(Penalty):
    """Keeps the gradient's length near 1 around real images.

    `mean((|gradient at x| - 1)^2)`, with `x` at a random point between a real image and the same
    image with added noise. The noise is uniform, up to half the standard deviation of the batch.

    Args:
        weight: Float.
        interval: Integer, see `Penalty`.
        name: String, see `Penalty`.

    Example:
    ```python
    gan.compile(penalties=kgan.penalties.DRAGAN(weight=10.0))
    ```

    Reference:
        [Kodali et al., 2017](https://arxiv.org/abs/1705.07215), as in the authors' code. The
        paper has normal noise, and no random point in between.
    """

    def value(self, judged: Judged) -> Tensor:
        """Computes the penalty without its weight."""
        real = judged.real
        count, *shape = ops.shape(real)
        added = for_batch(keras.random.uniform, count, *shape, noise=judged.noise)
        near = real + _shares(real, judged.noise) * 0.5 * ops.std(real) * added
        return _distance_from(judged.gradient_at(near), 1.0, one_sided=False)


@keras.saving.register_keras_serializable(package="kgan")
class R1(Penalty):
    """Keeps the gradient at real images small: `mean(|gradient at real|^2) / 2`.

    Args:
        weight: Float, gamma in the papers.
        interval: Integer, see `Penalty`.
        name: String, see `Penalty`.

    Example:
    ```python
    gan.compile(penalties=kgan.penalties.R1(weight=0.1))
    ```

    Reference:
        [Mescheder et al., 2018](https://arxiv.org/abs/1801.04406), equation 9.
    """

    gradients = ("real",)

    def value(self, judged: Judged) -> Tensor:
        """Computes the penalty without its weight."""
        return 0.5 * ops.mean(_squared_lengths(judged.real_gradient))


@keras.saving.register_keras_serializable(package="kgan")
class R2(Penalty):
    """Keeps the gradient at generated images small: `mean(|gradient at fake|^2) / 2`.

    Args:
        weight: Float, gamma in the papers.
        interval: Integer, see `Penalty`.
        name: String, see `Penalty`.

    Example:
    ```python
    gan.compile(penalties=[kgan.penalties.R1(weight=1.0), kgan.penalties.R2(weight=1.0)])
    ```

    Reference:
        [Mescheder et al., 2018](https://arxiv.org/abs/1801.04406), equation 10;
        [Huang et al., 2024](https://arxiv.org/abs/2501.05441), for its use with `R1`.
    """

    gradients = ("fake",)

    def value(self, judged: Judged) -> Tensor:
        """Computes the penalty without its weight."""
        return 0.5 * ops.mean(_squared_lengths(judged.fake_gradient))


@keras.saving.register_keras_serializable(package="kgan")
class LeCam(Penalty):
    """Limits how far scores move from the running mean of the other kind; for small data sets.

    `mean(max(0, real - F)^2) + mean(max(0, R - fake)^2)`, with `R` and `F` the running means of the
    scores of real and generated images.

    Args:
        weight: Float.
        decay: Float in [0, 1), the fraction of the running means that is kept in each step.
        name: String, see `Penalty`.

    Example:
    ```python
    gan.compile(penalties=kgan.penalties.LeCam(weight=0.3))
    ```

    Reference:
        [Tseng et al., 2021](https://arxiv.org/abs/2104.03310), as in the authors' code.
    """

    def __init__(self, weight: float = 0.3, decay: float = 0.99, name: str | None = None) -> None:
        super().__init__(weight, name=name)
        if not 0 <= decay < 1:
            raise ValueError(f"Expected `decay` to be in [0, 1). Received: decay={decay!r}.")
        self.decay = float(decay)
        # "mean": the results of several devices on their parts of a batch have equal weights.
        self.means = self.add_weight(
            shape=(2,), initializer="zeros", trainable=False, aggregation="mean", name="means"
        )
        # The fraction of the means that comes from scores, not from the initial zeros.
        self.filled = self.add_weight(
            shape=(), initializer="zeros", trainable=False, aggregation="mean", name="filled"
        )

    def value(self, judged: Judged) -> Tensor:
        """Computes the penalty without its weight, and updates the running means."""
        present = ops.stack([ops.mean(judged.real_logits), ops.mean(judged.fake_logits)])
        new = 1.0 - self.decay
        self.means.assign(self.decay * self.means + new * ops.stop_gradient(present))
        self.filled.assign(self.decay * self.filled + new)
        # Read back: with several devices, this is the mean of their results.
        real_mean, fake_mean = ops.unstack(self.means / self.filled)
        return ops.mean(ops.square(ops.relu(judged.real_logits - fake_mean))) + ops.mean(
            ops.square(ops.relu(real_mean - judged.fake_logits))
        )

    def get_config(self) -> Config:
        """The constructor's arguments, for saving."""
        return {"weight": self.weight, "decay": self.decay, "name": self.name}


@keras.saving.register_keras_serializable(package="kgan")
class Drift(Penalty):
    """Keeps the scores of real images near 0: `mean(real^2)`.

    The Wasserstein loss does not change if a number is added to all scores. Without this penalty
    they can drift away from 0.

    Args:
        weight: Float.
        interval: Integer, see `Penalty`.
        name: String, see `Penalty`.

    Example:
    ```python
    gan.compile(loss="wasserstein", penalties=["gradient_penalty", kgan.penalties.Drift(0.001)])
    ```

    Reference:
        [Karras et al., 2018](https://arxiv.org/abs/1710.10196), appendix A.1.
    """

    def __init__(self, weight: float = 0.001, interval: int = 1, name: str | None = None) -> None:
        super().__init__(weight, interval, name)

    def value(self, judged: Judged) -> Tensor:
        """Computes the penalty without its weight."""
        return ops.mean(ops.square(judged.real_logits))


_PENALTIES: dict[str, type[Penalty]] = {
    "gradient_penalty": GradientPenalty,
    "r1": R1,
    "r2": R2,
    "dragan": DRAGAN,
    "lecam": LeCam,
    "drift": Drift,
}


def _name_of(kind: type[Penalty]) -> str:
    """The name of a kind of penalty in the logs. Keras would add numbers to it."""
    own = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", kind.__name__).lower()
    return next((name for name, known in _PENALTIES.items() if known is kind), own)


def names() -> list[str]:
    """The names that `get` knows.

    Example:
    ```python
    assert "r1" in kgan.penalties.names()
    ```
    """
    return list(_PENALTIES)


def get(
    identifier: str | Penalty | type[Penalty] | Sequence[str | Penalty | type[Penalty]] | None,
) -> list[Penalty]:
    """Finds penalties.

    Args:
        identifier: A name from `kgan.penalties.names()`, for the penalty with its default weight; a
            `Penalty`; a subclass of it that needs no arguments; a list of these; or None.

    Returns:
        List of `Penalty` objects.

    Raises:
        ValueError: A name is unknown, an object is not a penalty, or two have the same name.

    Example:
    ```python
    kgan.penalties.get(["r1", kgan.penalties.R2(weight=1.0)])
    ```
    """
    if identifier is None:
        return []
    several: list[Any] = [identifier]
    if isinstance(identifier, (list, tuple)):
        several = list(identifier)
    found = [make(each) for each in several]
    taken = [penalty.name for penalty in found]
    if len(set(taken)) < len(taken):
        raise ValueError(
            f"Expected penalties with different names in the logs. Received: {taken}. Give one of "
            "them another name=..."
        )
    return found


def make(identifier: str | Penalty | type[Penalty], **arguments: Any) -> Penalty:
    """Makes one penalty.

    Args:
        identifier: A name from `kgan.penalties.names()`, a subclass of `Penalty`, or a `Penalty`,
            which is returned unchanged.
        **arguments: Arguments of the penalty, if it is given by its name or class.

    Returns:
        The `Penalty`.

    Raises:
        ValueError: The name is unknown, or the object is not a penalty.
    """
    penalty: Penalty = find(
        identifier,
        _PENALTIES,
        Penalty,
        what="a penalty",
        argument="penalties",
        public="kgan.penalties.Penalty",
        **arguments,
    )
    return penalty


def gradients_needed(penalties: Sequence[Penalty]) -> set[str]:
    """The images at which penalties need the gradient in every update: "real", "fake"."""
    return {at for penalty in penalties if penalty.interval == 1 for at in penalty.gradients}

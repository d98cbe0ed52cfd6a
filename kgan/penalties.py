"""Penalties: what the discriminator pays beside its adversarial loss, by name or object.

Most are on the gradient of its scores with respect to images, which they keep from growing without
bound. To add one, write a class and name it in `_PENALTIES`; `compile(penalties=...)`, the recipes
and the tests find it there.
"""

import re
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import keras
from keras import ops

from kgan._arguments import integer
from kgan._noise import for_batch
from kgan._registry import find

Tensor = Any


class Judged(NamedTuple):
    """What the discriminator makes of one batch: all that a penalty can be worked out from.

    Attributes:
        real: Real images, float32 `(batch, height, width, channels)`.
        fake: Generated images, of the same shape.
        real_logits: The scores of the real images, float32 `(batch, ...)`.
        fake_logits: The scores of the generated images.
        real_gradient: The gradient of the summed scores of the real images with respect to them;
            None unless the penalty has "real" in its `gradients`.
        fake_gradient: Likewise at the generated images, for "fake".
        gradient_at: A function that gives that gradient at other images.
        noise: The `keras.random.SeedGenerator` of training.
    """

    real: Tensor
    fake: Tensor
    real_logits: Tensor
    fake_logits: Tensor
    real_gradient: Tensor | None
    fake_gradient: Tensor | None
    gradient_at: Callable[[Tensor], Tensor]
    noise: Any


class Penalty(keras.layers.Layer):
    """What the discriminator pays beside its adversarial loss.

    Subclass it, implement `value`, and give the object to `GAN.compile(penalties=...)`. Register
    the subclass with `keras.saving.register_keras_serializable` so that a saved GAN finds it. It is
    a layer so that variables it keeps (`self.add_weight`) are saved with the GAN.

    Args:
        weight: Float, what `value` is multiplied with in the loss.
        interval: Integer n: work it out in every n-th discriminator update only, for n times the
            weight. Cheaper, and not the same: R3GAN's authors found that their models for
            Stacked-MNIST do not converge with it. In the updates between, the logs count 0, so
            that their mean is right.
        name: String, its name in the logs. Defaults to the penalty's own, of a subclass `MyPenalty`
            "my_penalty".
    """

    gradients: tuple[str, ...] = ()
    """At which images it needs the gradient of the scores: "real", "fake" or both."""

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
        """The penalty without its weight, a float32 scalar."""
        raise NotImplementedError

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments, for saving."""
        return {"weight": self.weight, "interval": self.interval, "name": self.name}


def _squared_lengths(gradient: Tensor) -> Tensor:
    """Of each image's gradient, `(batch,)`."""
    return ops.sum(ops.square(gradient), axis=tuple(range(1, len(gradient.shape))))


def _distance_from(gradient: Tensor, target: float, one_sided: bool) -> Tensor:
    """The mean over images of how far the gradient's length is from the target, squared."""
    # The root has no slope at 0, where the penalty must not become NaN: a gradient that is 0 is
    # left alone, as if it had none of the directions in which it could grow.
    lengths = ops.sqrt(ops.maximum(_squared_lengths(gradient), 1e-12))
    excess = lengths - target
    return ops.mean(ops.square(ops.relu(excess) if one_sided else excess))


def _shares(real: Tensor, noise: Any) -> Tensor:
    """One uniform number in [0, 1) for each image, `(batch, 1, 1, 1)`."""
    ones = [1] * (len(real.shape) - 1)
    return for_batch(keras.random.uniform, ops.shape(real)[0], *ones, noise=noise)


@keras.saving.register_keras_serializable(package="kgan")
class GradientPenalty(Penalty):
    """Keeps the gradient's length near 1 between real and generated images (WGAN-GP).

    `mean((|gradient at x| - 1)^2)` with `x = u real + (1 - u) fake`, one uniform `u` for each pair.

    Args:
        weight: Float.
        target: Float, the length that costs nothing.
        one_sided: Whether only longer gradients cost.
        interval: Integer, see `Penalty`.
        name: String, see `Penalty`.

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
        """The penalty without its weight."""
        shares = _shares(judged.real, judged.noise)
        between = shares * judged.real + (1.0 - shares) * judged.fake
        return _distance_from(judged.gradient_at(between), self.target, self.one_sided)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments, for saving."""
        return {**super().get_config(), "target": self.target, "one_sided": self.one_sided}


@keras.saving.register_keras_serializable(package="kgan")
class DRAGAN(Penalty):
    """Keeps the gradient's length near 1 around real images.

    `mean((|gradient at x| - 1)^2)` with `x` between a real image and that image with noise added to
    it, uniform up to half of the batch's standard deviation.

    Args:
        weight: Float.
        interval: Integer, see `Penalty`.
        name: String, see `Penalty`.

    Reference:
        [Kodali et al., 2017](https://arxiv.org/abs/1705.07215), in the form of the authors' code;
        the paper has normal noise, and no point in between.
    """

    def value(self, judged: Judged) -> Tensor:
        """The penalty without its weight."""
        real = judged.real
        count, *shape = ops.shape(real)
        added = for_batch(keras.random.uniform, count, *shape, noise=judged.noise)
        near = real + _shares(real, judged.noise) * 0.5 * ops.std(real) * added
        return _distance_from(judged.gradient_at(near), 1.0, one_sided=False)


@keras.saving.register_keras_serializable(package="kgan")
class R1(Penalty):
    """Keeps the gradient at real images small: `mean(|gradient at real|^2) / 2`.

    Args:
        weight: Float, the papers' gamma.
        interval: Integer, see `Penalty`.
        name: String, see `Penalty`.

    Reference:
        [Mescheder et al., 2018](https://arxiv.org/abs/1801.04406), equation 9.
    """

    gradients = ("real",)

    def value(self, judged: Judged) -> Tensor:
        """The penalty without its weight."""
        return 0.5 * ops.mean(_squared_lengths(judged.real_gradient))


@keras.saving.register_keras_serializable(package="kgan")
class R2(Penalty):
    """Keeps the gradient at generated images small: `mean(|gradient at fake|^2) / 2`.

    Args:
        weight: Float, the papers' gamma.
        interval: Integer, see `Penalty`.
        name: String, see `Penalty`.

    Reference:
        [Mescheder et al., 2018](https://arxiv.org/abs/1801.04406), equation 10;
        [Huang et al., 2024](https://arxiv.org/abs/2501.05441), for its use together with `R1`.
    """

    gradients = ("fake",)

    def value(self, judged: Judged) -> Tensor:
        """The penalty without its weight."""
        return 0.5 * ops.mean(_squared_lengths(judged.fake_gradient))


@keras.saving.register_keras_serializable(package="kgan")
class LeCam(Penalty):
    """Keeps scores near what the other kind of images has had of late; for few data.

    `mean(max(0, real - F)^2) + mean(max(0, R - fake)^2)`, with `R` and `F` the running means of the
    scores of real and generated images.

    Args:
        weight: Float.
        decay: Float, how much of the running means is kept in a step.
        name: String, see `Penalty`.

    Reference:
        [Tseng et al., 2021](https://arxiv.org/abs/2104.03310), in the form of the authors' code.
    """

    def __init__(self, weight: float = 0.3, decay: float = 0.99, name: str | None = None) -> None:
        super().__init__(weight, name=name)
        if not 0 <= decay < 1:
            raise ValueError(f"Expected `decay` to be in [0, 1). Received: decay={decay!r}.")
        self.decay = float(decay)
        # "mean": what each of several devices finds on its part of the batch counts alike.
        self.means = self.add_weight(
            shape=(2,), initializer="zeros", trainable=False, aggregation="mean", name="means"
        )
        # How much of the means is no longer the zeros that they began as.
        self.filled = self.add_weight(
            shape=(), initializer="zeros", trainable=False, aggregation="mean", name="filled"
        )

    def value(self, judged: Judged) -> Tensor:
        """The penalty without its weight; moves the running means."""
        present = ops.stack([ops.mean(judged.real_logits), ops.mean(judged.fake_logits)])
        new = 1.0 - self.decay
        self.means.assign(self.decay * self.means + new * ops.stop_gradient(present))
        self.filled.assign(self.decay * self.filled + new)
        # Read back: where several devices share the batch, that is the mean of what they found.
        real_mean, fake_mean = ops.unstack(self.means / self.filled)
        return ops.mean(ops.square(ops.relu(judged.real_logits - fake_mean))) + ops.mean(
            ops.square(ops.relu(real_mean - judged.fake_logits))
        )

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments, for saving."""
        return {"weight": self.weight, "decay": self.decay, "name": self.name}


_PENALTIES: dict[str, type[Penalty]] = {
    "gradient_penalty": GradientPenalty,
    "r1": R1,
    "r2": R2,
    "dragan": DRAGAN,
    "lecam": LeCam,
}


def _name_of(kind: type[Penalty]) -> str:
    """The name of a kind of penalty in the logs: always the same, where Keras would count."""
    own = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", kind.__name__).lower()
    return next((name for name, known in _PENALTIES.items() if known is kind), own)


def names() -> list[str]:
    """The names that `get` knows."""
    return list(_PENALTIES)


def get(identifier: Any) -> list[Penalty]:
    """Finds penalties.

    Args:
        identifier: A name out of `kgan.penalties.names()`, which stands for the penalty with its
            default weight; a `Penalty`, or a subclass of it that needs no arguments; a list of
            these; or None for none.

    Returns:
        List of `Penalty` objects.

    Raises:
        ValueError: A name is unknown, an object is no penalty, or two have the same name.

    Example:
    ```python
    kgan.penalties.get(["r1", kgan.penalties.R2(weight=1.0)])
    ```
    """
    if identifier is None:
        return []
    several = identifier if isinstance(identifier, (list, tuple)) else [identifier]
    found = [make(each) for each in several]
    taken = [penalty.name for penalty in found]
    if len(set(taken)) < len(taken):
        raise ValueError(
            f"Expected penalties of different names, since the logs go by them. Received: {taken}. "
            "Give one of them a name=..."
        )
    return found


def make(identifier: Any, **arguments: Any) -> Penalty:
    """Makes one penalty.

    Args:
        identifier: A name out of `kgan.penalties.names()`; a subclass of `Penalty`; or a `Penalty`,
            which is left as it is.
        **arguments: For the penalty, where it is given by its name or class.

    Returns:
        The `Penalty`.

    Raises:
        ValueError: The name is unknown, or the object is no penalty.
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
    """At which images penalties need the gradient in every update."""
    return {at for penalty in penalties if penalty.interval == 1 for at in penalty.gradients}

"""The capabilities of models beyond training, as Protocols.

Callbacks, metrics, the command and the report ask for a capability, never for a class. An object of
any library works if it has the methods.
"""

from typing import Any, Protocol, runtime_checkable

import numpy as np

from kgan._typing import Array, Images

__all__ = [
    "Completes",
    "Conditional",
    "Cycles",
    "Encodes",
    "Generates",
    "HasLikelihood",
    "Interpolates",
    "Latent",
    "Translates",
    "classes_of",
    "cycled",
    "draws_binary",
    "is_conditional",
    "translated",
]

_OTHER_DOMAIN = {"a": "b", "b": "a"}


@runtime_checkable
class Generates(Protocol):
    """Makes images."""

    def generate(self, n: int, *, seed: int | None = None) -> Images:
        """Returns float images `(n, height, width, channels)`; a seed makes them repeatable."""


@runtime_checkable
class Conditional(Protocol):
    """Makes images of a class that is asked for, where `num_classes` is not None."""

    num_classes: int | None


@runtime_checkable
class Latent(Protocol):
    """Makes images from latents."""

    latent_dim: int

    def draw_latents(self, n: int, seed: int | None = None) -> Array:
        """Returns latents `(n, latent_dim)` as `generate(n, seed=seed)` uses them."""

    def decode(self, latents: Any, labels: Any = None) -> Images:
        """Returns the images of latents, `(n, height, width, channels)`."""


@runtime_checkable
class Interpolates(Protocol):
    """Makes images on paths from one latent to another."""

    def interpolate(self, n: int, steps: int = 8, *, seed: int | None = None) -> Images:
        """Returns the images of n paths, `(n, steps, height, width, channels)`."""


@runtime_checkable
class Encodes(Protocol):
    """Finds the latents of images, and makes the images again from them."""

    def encode(self, images: Any, labels: Any = None) -> Array:
        """Returns the latents of images, `(n, latent_dim)`."""

    def reconstruct(self, images: Any, labels: Any = None) -> Images:
        """Returns the images that the latents of images give."""


@runtime_checkable
class HasLikelihood(Protocol):
    """Says how probable images are under the model.

    `likelihood_support` is what the likelihood is a distribution over: `"binary"` images,
    `"levels"` (256, as 8-bit images have, or fewer) or `"density"` (real numbers).
    `likelihood_is_exact` is False where `log_prob` is a lower bound or an estimate.
    """

    likelihood_support: str
    likelihood_is_exact: bool

    def log_prob(self, images: Any, labels: Any = None, **options: Any) -> np.ndarray:
        """Returns the log probability of each image in nats, float64 `(n,)`."""


@runtime_checkable
class Completes(Protocol):
    """Draws the rest of images, given their first pixels, and says where it is undecided.

    `levels` is how many values a pixel can have.
    """

    levels: int

    def complete(
        self, images: Any, known: Any, labels: Any = None, *, seed: int | None = None
    ) -> Images:
        """Returns the images with all pixels after the first `known` ones drawn."""

    def entropy(self, images: Any, labels: Any = None) -> Array:
        """Returns the entropy of each value given those before it, in bits, like `images`."""


@runtime_checkable
class Translates(Protocol):
    """Turns images of one kind into images of another."""

    def translate(self, images: Any, to: str | None = None) -> Images:
        """Returns the translations, in the same order."""


@runtime_checkable
class Cycles(Protocol):
    """Turns images of one kind, "a" or "b", into images of the other kind and back."""

    def cycle(self, images: Any, of: str = "a") -> Images:
        """Returns images after both translations, in the same order."""


def translated(model: Translates, images: Images, to: str | None = None) -> Images:
    """Returns the translations of images.

    Args:
        model: A model with `translate`.
        images: Float `(n, height, width, channels)`, in the range of the model.
        to: `"a"` or `"b"`, the kind of the translations. Defaults to `None`: the model's default,
            for models with one direction.

    Example:
    ```python
    class Negative:
        def translate(self, images, to=None):
            return -images

    images, _ = test.draw(4, seed=0)
    negatives = kgan.training.capabilities.translated(Negative(), images)
    assert np.array_equal(negatives, -images)
    ```
    """
    return model.translate(images) if to is None else model.translate(images, to=to)


def cycled(model: Cycles, images: Images, to: str | None = None) -> Images:
    """Returns images after a translation and the translation back.

    Args:
        model: A model with `cycle`.
        images: Float `(n, height, width, channels)`, in the range of the model.
        to: `"a"` or `"b"`, the kind that the images are translated to first, as for `translated`.

    Raises:
        ValueError: `to` is another string.

    Example:
    ```python
    class Negative:
        def cycle(self, images, of="a"):
            return -(-images)

    images, _ = test.draw(4, seed=0)
    back = kgan.training.capabilities.cycled(Negative(), images, to="b")
    assert np.array_equal(back, images)
    ```
    """
    if to is None:
        return model.cycle(images)
    if to not in _OTHER_DOMAIN:
        raise ValueError(f"Expected `to` to be 'a' or 'b'. Received: to={to!r}.")
    return model.cycle(images, of=_OTHER_DOMAIN[to])


def draws_binary(model: Any) -> bool:
    """Returns whether the samples of a model are binary images, and not means of them.

    A VAE of binary images generates the probability of each pixel, which is grey.

    Args:
        model: Any object.

    Example:
    ```python
    assert kgan.training.capabilities.draws_binary(pixel_cnn)
    assert not kgan.training.capabilities.draws_binary(vae)
    ```
    """
    return isinstance(model, Completes) and model.levels == 2


def classes_of(model: Any) -> int | None:
    """Returns how many classes a model can be asked for, or None if it takes no labels.

    Args:
        model: Any object.

    Raises:
        ValueError: The model says that it is conditional, and does not know its classes.

    Example:
    ```python
    assert kgan.training.capabilities.classes_of(gan) == 10
    assert kgan.training.capabilities.classes_of(vae) is None
    ```
    """
    count = getattr(model, "num_classes", None)
    if count is None and getattr(model, "is_conditional", False):
        raise ValueError(
            "Expected a conditional model to know its number of classes. Received: "
            "num_classes=None. Give labels, or build it with num_classes=..., for example "
            "GAN(..., num_classes=10)."
        )
    return count


def is_conditional(model: Any) -> bool:
    """Returns whether `generate` of a model takes labels.

    Example:
    ```python
    assert kgan.training.capabilities.is_conditional(gan)
    assert not kgan.training.capabilities.is_conditional(vae)
    ```
    """
    return bool(getattr(model, "is_conditional", getattr(model, "num_classes", None) is not None))

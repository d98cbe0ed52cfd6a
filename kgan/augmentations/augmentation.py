"""Augmentations: what is done to all images before the discriminator sees them, by name or object.

Real and generated images get the same treatment, and the generator learns through it: so the
discriminator cannot learn few data by heart, and nothing of it leaks into what is generated. To add
one, write a class and name it in `_AUGMENTATIONS`; `compile(augmentation=...)`, the recipes and the
tests find it there.
"""

from typing import Any

import keras

from kgan._names import did_you_mean

Tensor = Any


class Augmentation(keras.layers.Layer):
    """What is done to images before the discriminator sees them.

    Subclass it, implement `augment` in `keras.ops`, and give the object to
    `GAN.compile(augmentation=...)`. Register the subclass with
    `keras.saving.register_keras_serializable` so that a saved GAN finds it. It is a layer so that
    variables it keeps (`self.add_weight`) are saved with the GAN.

    Args:
        name: String.
    """

    logs: tuple[str, ...] = ()
    """The names of what `observe` returns."""

    def __init__(self, name: str | None = None) -> None:
        super().__init__(name=name, dtype="float32")
        self.built = True

    def augment(self, images: Tensor, noise: Any) -> Tensor:
        """Changes images at random, each in its own way.

        Args:
            images: Float32 `(batch, height, width, channels)`.
            noise: The `keras.random.SeedGenerator` of training.

        Returns:
            Images of the same shape, through which gradients flow.
        """
        raise NotImplementedError

    def observe(self, real_logits: Tensor) -> dict[str, Tensor]:
        """Told the scores of the real images once per discriminator update, to adapt to them.

        Args:
            real_logits: Float32 `(batch, ...)`; no gradient flows from here.

        Returns:
            What is to stand in the logs: float32 scalars by the names in `logs`.
        """
        del real_logits
        return {}

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments, for saving."""
        return {"name": self.name}


_AUGMENTATIONS: dict[str, type[Augmentation]] = {}


def names() -> list[str]:
    """The names that `get` knows."""
    return list(_AUGMENTATIONS)


def get(identifier: Any) -> Augmentation | None:
    """Finds an augmentation.

    Args:
        identifier: A name out of `kgan.augmentations.names()`, an `Augmentation`, or None for none.

    Returns:
        The object, or None.

    Raises:
        ValueError: The name is unknown, or the object is no augmentation.
    """
    if identifier is None or isinstance(identifier, Augmentation):
        return identifier
    if isinstance(identifier, str):
        if identifier in _AUGMENTATIONS:
            return _AUGMENTATIONS[identifier]()
        raise ValueError(
            f"Expected the name of an augmentation, one of {names()}. "
            f"Received: augmentation={identifier!r}.{did_you_mean(identifier, _AUGMENTATIONS)}"
        )
    raise ValueError(
        f"Expected an augmentation: one of the names {names()}, or an object of a subclass of "
        f"kgan.augmentations.Augmentation. Received: {identifier!r} of type "
        f"{type(identifier).__name__}."
    )

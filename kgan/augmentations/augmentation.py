"""What all augmentations are."""

from collections.abc import Collection, Iterable
from typing import Any

import keras

from kgan._registry import did_you_mean

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


def check_choice(argument: str, chosen: Any, known: Collection[str]) -> tuple[str, ...]:
    """Checks an argument that picks some of several names.

    Args:
        argument: String, the argument's name.
        chosen: What was received: a name, or several.
        known: The names there are.

    Returns:
        The names as a tuple.

    Raises:
        ValueError: There is no name, one that is unknown, or one twice.
    """
    names = (chosen,) if isinstance(chosen, str) else chosen
    names = tuple(names) if isinstance(names, Iterable) else ()
    wrong = [name for name in names if name not in known]
    if not names or wrong or len(set(names)) < len(names):
        hint = did_you_mean(wrong[0], known) if wrong else ""
        raise ValueError(
            f"Expected `{argument}` to be one or more of {tuple(known)}, each at most once. "
            f"Received: {argument}={chosen!r}.{hint}"
        )
    return names

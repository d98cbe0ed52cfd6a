"""Augmentations: what is done to all images before the discriminator sees them, by name or object.

Real and generated images get the same treatment, and the generator learns through it: so the
discriminator cannot learn few data by heart, and nothing of it leaks into what is generated. To add
one, write a class and name it in `_AUGMENTATIONS`; `compile(augmentation=...)`, the recipes and the
tests find it there.
"""

from typing import Any

from kgan._registry import find
from kgan.augmentations.adaptive import AdaptiveAugment
from kgan.augmentations.augmentation import Augmentation
from kgan.augmentations.diff_augment import DiffAugment

__all__ = ["AdaptiveAugment", "Augmentation", "DiffAugment", "get", "names"]

_AUGMENTATIONS: dict[str, type[Augmentation]] = {
    "diff_augment": DiffAugment,
    "adaptive": AdaptiveAugment,
}


def names() -> list[str]:
    """The names that `get` knows."""
    return list(_AUGMENTATIONS)


def get(identifier: Any) -> Augmentation | None:
    """Finds an augmentation.

    Args:
        identifier: A name out of `kgan.augmentations.names()`, which stands for the augmentation
            with its defaults; an `Augmentation`, or a subclass of it that needs no arguments; or
            None for none.

    Returns:
        The object, or None.

    Raises:
        ValueError: The name is unknown, or the object is no augmentation.

    Example:
    ```python
    kgan.augmentations.get("diff_augment")
    ```
    """
    if identifier is None:
        return None
    augmentation: Augmentation = find(
        identifier,
        _AUGMENTATIONS,
        Augmentation,
        what="an augmentation",
        argument="augmentation",
        public="kgan.augmentations.Augmentation",
    )
    return augmentation

"""Augmentations: random changes to all images before the discriminator sees them.

Real and generated images are changed in the same way, and the generator's gradient passes through
the changes. So the discriminator cannot memorise a small data set, and the changes do not appear in
generated images. To add an augmentation, write a class and name it in `_AUGMENTATIONS`. Then
`compile(augmentation=...)`, the recipes and the tests find it.
"""

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
    """The names that `get` knows.

    Example:
    ```python
    assert "diff_augment" in kgan.augmentations.names()
    ```
    """
    return list(_AUGMENTATIONS)


def get(identifier: str | Augmentation | type[Augmentation] | None) -> Augmentation | None:
    """Finds an augmentation.

    Args:
        identifier: A name from `kgan.augmentations.names()`, for the augmentation with its default
            arguments; an `Augmentation`; a subclass of it that needs no arguments; or None.

    Returns:
        The object, or None.

    Raises:
        ValueError: The name is unknown, or the object is not an augmentation.

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

"""The base class of all augmentations."""

from collections.abc import Collection, Iterable

import keras

from kgan._registry import did_you_mean
from kgan._typing import Config, Logs, Noise, Shape, Tensor


class Augmentation(keras.layers.Layer):
    """Changes images before the discriminator sees them.

    Subclass it, implement `augment` in `keras.ops`, and pass the object to
    `GAN.compile(augmentation=...)`. Register the subclass with
    `keras.saving.register_keras_serializable` so that a saved GAN can be loaded. An augmentation is
    a layer, so its variables (`self.add_weight`) are saved with the GAN.

    Args:
        name: String.

    Example:
    ```python
    @keras.saving.register_keras_serializable(package="mine")
    class Noise(kgan.augmentations.Augmentation):
        def augment(self, images, noise):
            return images + 0.1 * keras.random.normal(keras.ops.shape(images), seed=noise)


    gan.compile(augmentation=Noise())
    ```
    """

    logs: tuple[str, ...] = ()
    """The names of the logs that `observe` returns."""

    def __init__(self, name: str | None = None) -> None:
        super().__init__(name=name, dtype="float32")
        self.built = True

    def check(self, image_shape: Shape) -> None:
        """Raises an error for images that the augmentation cannot change.

        Args:
            image_shape: The shape of one image. None means an unknown size.

        Raises:
            ValueError: The augmentation cannot change such images.
        """
        del image_shape

    def augment(self, images: Tensor, noise: Noise) -> Tensor:
        """Changes each image at random.

        Args:
            images: Float32 `(batch, height, width, channels)`.
            noise: The `keras.random.SeedGenerator` of training.

        Returns:
            Images of the same shape, differentiable with respect to `images`.
        """
        raise NotImplementedError

    def observe(self, real_logits: Tensor) -> Logs:
        """Adapts to the scores of real images. Called once per discriminator update.

        Args:
            real_logits: Float32 `(batch, ...)`, the scores. They carry no gradient.

        Returns:
            The logs: float32 scalars, with the names in `logs`.
        """
        del real_logits
        return {}

    def get_config(self) -> Config:
        """The constructor's arguments, for saving."""
        return {"name": self.name}


def check_choice(
    argument: str, chosen: str | Iterable[str], known: Collection[str]
) -> tuple[str, ...]:
    """Checks an argument that selects some of several names.

    Args:
        argument: String, the argument's name.
        chosen: The argument: a name, or several.
        known: All valid names.

    Returns:
        The names as a tuple.

    Raises:
        ValueError: No name is given, one is unknown, or one is given twice.
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


def check_image_shape(image_shape: Shape, received: str) -> None:
    """Checks that images have rows, columns and channels, in this order.

    Args:
        image_shape: The shape of one image.
        received: String, the name of the augmentation, for the error.

    Raises:
        ValueError: They do not.
    """
    shape = tuple(image_shape)
    if len(shape) != 3 or None in shape:
        raise ValueError(
            "Expected images of shape (height, width, channels) with known sizes. "
            f"Received: augmentation {received} for data of shape {shape}. For other data, write "
            "a subclass of kgan.augmentations.Augmentation."
        )
    first, height, width = (int(size or 0) for size in shape)
    if first in {1, 3} and height == width > 4:
        raise ValueError(
            "Expected the channels last: (height, width, channels). "
            f"Received: augmentation {received} for images of shape {shape}, which have the "
            "channels first. Transpose the images, for example with np.moveaxis(images, 1, -1)."
        )

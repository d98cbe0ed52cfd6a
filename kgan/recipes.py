"""Named recipes: networks, loss and optimizers that work together, as plain data.

To add one, put a `Recipe` into `RECIPES`; the command and the tests find it there.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import keras

from kgan import networks
from kgan._names import did_you_mean
from kgan.models import GAN


@dataclass(frozen=True)
class Recipe:
    """What it takes to train a GAN of one kind.

    Args:
        summary: String, a line that says what it is.
        network: The name of a function in `kgan.networks`.
        reference: String, the paper.
        network_options: Arguments for that function besides the data's shape and classes.
        conditional: Whether the networks take labels.
        loss: A name out of `kgan.losses.names()`.
        discriminator_steps: Integer, discriminator updates to one of the generator.
        generator_learning_rate: Float, for Adam.
        discriminator_learning_rate: Float, for Adam.
        beta_1: Float, Adam's decay of the mean of gradients, for both.
        batch_size: Integer.
        epochs: Integer, how many the command trains if it is not told.
    """

    summary: str
    network: str
    reference: str
    network_options: dict[str, Any] = field(default_factory=dict)
    conditional: bool = False
    loss: str = "non_saturating"
    discriminator_steps: int = 1
    generator_learning_rate: float = 2e-4
    discriminator_learning_rate: float = 2e-4
    beta_1: float = 0.5
    batch_size: int = 64
    epochs: int = 20

    def build(
        self,
        image_shape: Sequence[int] = (28, 28, 1),
        num_classes: int | None = None,
        seed: int | None = None,
        **compile_options: Any,
    ) -> GAN:
        """Makes the GAN, compiled and ready for `fit`.

        Args:
            image_shape: Three integers, `(height, width, channels)`.
            num_classes: Integer, how many classes the data have; a conditional recipe needs it,
                the others ignore it.
            seed: Integer, for the weights and the noise; it is also set as the global seed of
                Python, NumPy and Keras. Defaults to random ones.
            **compile_options: For `GAN.compile`, in place of the recipe's.

        Returns:
            A compiled `kgan.GAN`.

        Raises:
            ValueError: A conditional recipe got no `num_classes`, or the network does not come in
                that shape.
        """
        if self.conditional and num_classes is None:
            raise ValueError(
                "This recipe is conditional: it needs data with labels. Received: num_classes=None."
            )
        if seed is not None:
            keras.utils.set_random_seed(seed)
        make = getattr(networks, self.network)
        generator, discriminator = make(
            image_shape=image_shape,
            num_classes=num_classes if self.conditional else None,
            **self.network_options,
        )
        gan = GAN(generator, discriminator, seed=seed)
        options: dict[str, Any] = {
            "generator_optimizer": keras.optimizers.Adam(
                self.generator_learning_rate, beta_1=self.beta_1
            ),
            "discriminator_optimizer": keras.optimizers.Adam(
                self.discriminator_learning_rate, beta_1=self.beta_1
            ),
            "loss": self.loss,
            "discriminator_steps": self.discriminator_steps,
        }
        gan.compile(**{**options, **compile_options})
        return gan


RECIPES: dict[str, Recipe] = {
    "dcgan": Recipe(
        summary="a small convolutional GAN, quick on a CPU",
        network="dcgan",
        reference="https://arxiv.org/abs/1511.06434",
        network_options={"latent_dim": 64, "width": 24},
        generator_learning_rate=1e-3,
        discriminator_learning_rate=5e-4,
        batch_size=32,
        epochs=4,
    ),
    "conditional_dcgan": Recipe(
        summary="the same, told which class to make",
        network="dcgan",
        reference="https://arxiv.org/abs/1411.1784",
        network_options={"latent_dim": 64, "width": 24},
        conditional=True,
        generator_learning_rate=1e-3,
        discriminator_learning_rate=5e-4,
        batch_size=32,
        epochs=4,
    ),
    "first_gan": Recipe(
        summary="the first GAN of most courses: two multilayer perceptrons",
        network="mlp",
        reference="https://arxiv.org/abs/1406.2661",
        network_options={"latent_dim": 100, "width": 256},
    ),
}

DEFAULT = "dcgan"


def names() -> list[str]:
    """The names that `get` knows."""
    return list(RECIPES)


def get(name: str) -> Recipe:
    """Finds a recipe.

    Args:
        name: String, one of `kgan.recipes.names()`.

    Returns:
        The `Recipe`.

    Raises:
        ValueError: There is none of that name.

    Example:
    ```python
    gan = kgan.recipes.get("conditional_dcgan").build((28, 28, 1), num_classes=10)
    ```
    """
    if name in RECIPES:
        return RECIPES[name]
    raise ValueError(
        f"Expected a recipe, one of {names()}. Received: {name!r}.{did_you_mean(name, RECIPES)}"
    )

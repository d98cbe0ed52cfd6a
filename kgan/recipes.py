"""Named recipes: networks, loss, penalties and optimizers that work together, as plain data.

To add one, put a `Recipe` into `RECIPES`; the command and the tests find it there.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import keras

from kgan import models, networks, penalties
from kgan._names import did_you_mean


@dataclass(frozen=True)
class Recipe:
    """What it takes to train a GAN of one kind.

    Args:
        summary: String, a line that says what it is.
        network: The name of a function in `kgan.networks`.
        reference: String, the paper.
        network_options: Arguments for that function besides the data's shape and classes.
        model: The name of a class in `kgan.models` that trains them.
        model_options: Arguments for that class besides the networks and the seed.
        conditional: Whether the networks take labels.
        differences: String, where the recipe is not the paper's, and why.
        loss: A name out of `kgan.losses.names()`.
        penalties: Names out of `kgan.penalties.names()`, each with its arguments.
        discriminator_steps: Integer, discriminator updates to one of the generator.
        ema_decay: Float, of the generator's averaged weights; None for no average.
        augmentation: A name out of `kgan.augmentations.names()`.
        generator_learning_rate: Float, for Adam.
        discriminator_learning_rate: Float, for Adam.
        beta_1: Float, Adam's decay of the mean of gradients, for both.
        beta_2: Float, Adam's decay of the mean of their squares, for both.
        batch_size: Integer.
        epochs: Integer, how many the command trains if it is not told.
    """

    summary: str
    network: str
    reference: str
    network_options: dict[str, Any] = field(default_factory=dict)
    model: str = "GAN"
    model_options: dict[str, Any] = field(default_factory=dict)
    conditional: bool = False
    differences: str = ""
    loss: str = "non_saturating"
    penalties: dict[str, dict[str, Any]] = field(default_factory=dict)
    discriminator_steps: int = 1
    ema_decay: float | None = None
    augmentation: str | None = None
    generator_learning_rate: float = 2e-4
    discriminator_learning_rate: float = 2e-4
    beta_1: float = 0.5
    beta_2: float = 0.999
    batch_size: int = 64
    epochs: int = 20

    def build(
        self,
        image_shape: Sequence[int] = (28, 28, 1),
        num_classes: int | None = None,
        seed: int | None = None,
        **compile_options: Any,
    ) -> models.GAN:
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
        make_model = getattr(models, self.model)
        gan: models.GAN = make_model(generator, discriminator, seed=seed, **self.model_options)
        options: dict[str, Any] = {
            "generator_optimizer": self._adam(self.generator_learning_rate),
            "discriminator_optimizer": self._adam(self.discriminator_learning_rate),
            "loss": self.loss,
            "penalties": [penalties.make(name, **given) for name, given in self.penalties.items()],
            "discriminator_steps": self.discriminator_steps,
            "ema_decay": self.ema_decay,
            "augmentation": self.augmentation,
        }
        gan.compile(**{**options, **compile_options})
        return gan

    def _adam(self, learning_rate: float) -> Any:
        return keras.optimizers.Adam(learning_rate, beta_1=self.beta_1, beta_2=self.beta_2)


_DCGAN = Recipe(
    summary="a small convolutional GAN, quick on a CPU",
    network="dcgan",
    reference="https://arxiv.org/abs/1511.06434",
    network_options={"latent_dim": 64, "width": 24},
    generator_learning_rate=1e-3,
    discriminator_learning_rate=5e-4,
    batch_size=32,
    epochs=4,
)
# Of papers whose own networks are other ones.
_ON_DCGAN = replace(_DCGAN, differences="kgan's small DCGAN, and averaged weights", ema_decay=0.999)

RECIPES: dict[str, Recipe] = {
    "dcgan": _DCGAN,
    "conditional_dcgan": replace(
        _DCGAN,
        summary="the same, told which class to make",
        reference="https://arxiv.org/abs/1411.1784",
        conditional=True,
    ),
    "lsgan": replace(
        _ON_DCGAN,
        summary="least squares in place of the cross-entropy",
        reference="https://arxiv.org/abs/1611.04076",
        loss="least_squares",
    ),
    "wgan_gp": replace(
        _ON_DCGAN,
        summary="a critic that is kept Lipschitz by a gradient penalty",
        reference="https://arxiv.org/abs/1704.00028",
        differences="kgan's small DCGAN, larger steps, and averaged weights",
        loss="wasserstein",
        penalties={"gradient_penalty": {"weight": 10.0}},
        discriminator_steps=5,
        generator_learning_rate=5e-4,
        beta_1=0.0,
        beta_2=0.9,
        ema_decay=0.99,
        batch_size=160,
        epochs=12,
    ),
    "pacgan": replace(
        _ON_DCGAN,
        summary="a discriminator that judges two images at a time, against lost modes",
        reference="https://arxiv.org/abs/1712.04086",
        network_options={**_DCGAN.network_options, "pack": 2},
        model_options={"pack": 2},
    ),
    "acgan": replace(
        _ON_DCGAN,
        summary="a discriminator that tells the class, and is not told it",
        reference="https://arxiv.org/abs/1610.09585",
        network_options={**_DCGAN.network_options, "classifier": True},
        conditional=True,
    ),
    "infogan": replace(
        _ON_DCGAN,
        summary="codes in the latent that come to mean something, without labels",
        reference="https://arxiv.org/abs/1606.03657",
        network_options={"latent_dim": 64, "width": 24, "codes": 10 + 2 * 2},
        model="InfoGAN",
        model_options={"categorical": (10,), "continuous": 2},
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

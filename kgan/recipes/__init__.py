"""Named recipes: networks, loss, penalties and optimizers that work together, as plain data.

To add one, put a `Recipe` into `RECIPES`; the command and the tests find it there.
"""

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import keras

from kgan import models, networks, penalties
from kgan._registry import did_you_mean


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
        dtype_policy: The name of the networks' dtype policy in Keras, as `"mixed_bfloat16"`.
            Defaults to the global one.
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
    dtype_policy: str | None = None

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
        with _global_dtype_policy(self.dtype_policy):
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


@contextlib.contextmanager
def _global_dtype_policy(name: str | None) -> Iterator[None]:
    """A context in which layers are made with that dtype policy; None leaves it as it is."""
    if name is None:
        yield
        return
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(name)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


_NETWORKS = {"latent_dim": 64, "width": 24}

_DCGAN = Recipe(
    summary="a small convolutional GAN, quick on a CPU",
    network="dcgan",
    reference="https://arxiv.org/abs/1511.06434",
    differences="small, and batches of 32",
    network_options=_NETWORKS,
    batch_size=32,
)
# At 1e-3 and 5e-4 `dcgan` loses again what it had reached: docs/recipes.md. R1 allows for more, and
# a shorter memory of squares has Adam follow.
_DCGAN_R1 = replace(
    _DCGAN,
    summary="the same, kept stable by R1, with averaged weights: the best for its time",
    reference="https://arxiv.org/abs/1801.04406",
    differences="a small DCGAN in place of residual networks, weight 0.1 for R1, Adam's beta_1=0.5",
    penalties={"r1": {"weight": 0.1}},
    ema_decay=0.999,
    generator_learning_rate=3e-3,
    discriminator_learning_rate=2e-3,
    beta_2=0.99,
    epochs=4,
)
# Of papers whose own networks are other ones.
_LIKE_DEFAULT = "the networks, R1, the optimizers and the average are the default recipe's"

RECIPES: dict[str, Recipe] = {
    "dcgan": _DCGAN,
    "dcgan_r1": _DCGAN_R1,
    "conditional_dcgan": replace(
        _DCGAN_R1,
        summary="the default, told which class to make",
        reference="https://arxiv.org/abs/1411.1784",
        differences=_LIKE_DEFAULT + "; labels by embedding and projection",
        conditional=True,
    ),
    "lsgan": replace(
        _DCGAN_R1,
        summary="least squares in place of the cross-entropy",
        reference="https://arxiv.org/abs/1611.04076",
        differences=_LIKE_DEFAULT,
        loss="least_squares",
    ),
    "wgan_gp": replace(
        _DCGAN,
        summary="a critic that is kept Lipschitz by a gradient penalty",
        reference="https://arxiv.org/abs/1704.00028",
        differences="kgan's small DCGAN, larger steps, and averaged weights",
        loss="wasserstein",
        penalties={"gradient_penalty": {"weight": 10.0}},
        discriminator_steps=5,
        ema_decay=0.99,
        generator_learning_rate=5e-4,
        discriminator_learning_rate=5e-4,
        beta_1=0.0,
        beta_2=0.9,
        batch_size=160,
        epochs=12,
    ),
    "pacgan": replace(
        _DCGAN_R1,
        summary="a discriminator that judges two images at a time, against lost modes",
        reference="https://arxiv.org/abs/1712.04086",
        differences=_LIKE_DEFAULT,
        network_options={**_NETWORKS, "pack": 2},
        model_options={"pack": 2},
    ),
    "acgan": replace(
        _DCGAN_R1,
        summary="a discriminator that tells the class, and is not told it",
        reference="https://arxiv.org/abs/1610.09585",
        differences=_LIKE_DEFAULT,
        network_options={**_NETWORKS, "classifier": True},
        conditional=True,
    ),
    "infogan": replace(
        _DCGAN_R1,
        summary="codes in the latent that come to mean something, without labels",
        reference="https://arxiv.org/abs/1606.03657",
        differences=_LIKE_DEFAULT + "; continuous codes weigh a tenth",
        network_options={**_NETWORKS, "codes": 10 + 2 * 2},
        model="InfoGAN",
        model_options={"categorical": (10,), "continuous": 2},
    ),
    "sngan": Recipe(
        summary="residual networks, the discriminator's spectrally normalised",
        network="sngan",
        reference="https://arxiv.org/abs/1802.05957",
        differences="narrower, one update of each network a step, Adam at 4e-4 with beta_2=0.99, "
        "averaged weights",
        network_options={"latent_dim": 64, "width": 16},
        loss="hinge",
        ema_decay=0.999,
        generator_learning_rate=4e-4,
        discriminator_learning_rate=4e-4,
        beta_1=0.0,
        beta_2=0.99,
        batch_size=32,
        epochs=4,
    ),
    "r3gan": Recipe(
        summary="residual networks without normalisation, a relativistic loss, R1 and R2",
        network="resnet",
        reference="https://arxiv.org/abs/2501.05441",
        differences="narrower, with one block a size, no groups, no expansion; nothing is annealed",
        network_options={"latent_dim": 64, "width": 16},
        loss="relativistic",
        penalties={"r1": {"weight": 0.5}, "r2": {"weight": 0.5}},
        ema_decay=0.999,
        generator_learning_rate=5e-4,
        discriminator_learning_rate=5e-4,
        beta_1=0.0,
        beta_2=0.99,
        batch_size=32,
        epochs=4,
    ),
    "first_gan": Recipe(
        summary="the first GAN of most courses: two multilayer perceptrons",
        network="mlp",
        reference="https://arxiv.org/abs/1406.2661",
        differences="Adam's beta_1=0.5, where courses leave it at 0.9",
        network_options={"latent_dim": 100, "width": 256},
    ),
}

DEFAULT = "dcgan_r1"


def names() -> list[str]:
    """The names that `get` knows."""
    return list(RECIPES)


def get(name: str = DEFAULT) -> Recipe:
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

"""The arguments of `compile` that all models with a critic share."""

from collections.abc import Sequence
from typing import Any, ClassVar

import keras
from keras import ops

from kgan import augmentations, losses
from kgan._backend.keras_internals import untrack
from kgan._typing import Layer, Logs, Optimizer, Shape, Tensor
from kgan.penalties import Penalty
from kgan.penalties import get as get_penalties


class Adversarial:
    """Mixin of models with critics: adversarial loss, penalties and augmentation.

    They are attributes of the model, which saves them. A family lists `ADVERSARIAL_ARGUMENTS` among
    its `compile_arguments`, and calls `set_adversary` in its `compile`, in `making_variables`.
    """

    ADVERSARIAL_ARGUMENTS: ClassVar = {
        "loss": "adversarial_loss",
        "penalties": "penalties",
        "augmentation": "augmentation",
    }

    # No values here: on PyTorch, an attribute of the class would hide a layer of that name.
    adversarial_loss: losses.AdversarialLoss
    penalties: list[Penalty]
    augmentation: augmentations.Augmentation | None

    def set_adversary(
        self,
        loss: str | losses.AdversarialLoss,
        penalties: str | Penalty | Sequence[str | Penalty] | None,
        augmentation: str | Layer | None,
        image_shape: Shape,
    ) -> None:
        """Replaces the loss, the penalties and the augmentation.

        Args:
            loss: As for `compile`.
            penalties: As for `compile`.
            augmentation: As for `compile`.
            image_shape: The shape of one image that the discriminator sees.
        """
        for previous in (*getattr(self, "penalties", ()), getattr(self, "augmentation", None)):
            untrack(self, previous)
        self.adversarial_loss = losses.get(loss)
        self.penalties = get_penalties(penalties)
        self.augmentation = augmentations.get(augmentation)
        if self.augmentation is not None:
            self.augmentation.check(image_shape)

    def update_critic(
        self: Any,
        real: Tensor,
        fake: Tensor,
        labels: Tensor | None = None,
        targets: Tensor | None = None,
    ) -> Logs:
        """Updates the discriminator of a model with one critic, `self.critic`.

        Args:
            real: Real images, float32 `(batch, height, width, channels)`.
            fake: Generated images, which get no gradient.
            labels: Integer `(batch,)`, or None.
            targets: What the critic's head looks for in the generated images, or None.

        Returns:
            The logs of the critic, and the length of its gradient.
        """
        critic = self.minimize(
            "discriminator",
            lambda: self.critic.training_loss(
                real,
                ops.stop_gradient(fake),
                labels,
                targets,
                optimizer=self.optimizer["discriminator"],
                regularisation=self.regularisation("discriminator"),
            ),
        )
        return {**critic.aux, "discriminator_gradient_norm": critic.gradient_norm}

    def default_optimizer(self, role: str) -> Optimizer:
        """`Adam(2e-4, beta_1=0.5)`, for all networks."""
        del role
        return keras.optimizers.Adam(2e-4, beta_1=0.5)


def copy_of(layer: Any) -> Any:
    """Returns a new penalty or augmentation with the same arguments, or None for None."""
    return None if layer is None else type(layer).from_config(layer.get_config())

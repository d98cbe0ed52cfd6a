"""The two optimizers of a GAN, as the one that Keras sees."""

from collections.abc import Sequence
from typing import Any

import keras


@keras.saving.register_keras_serializable(package="kgan")
class OptimizerPair(keras.optimizers.Optimizer):
    """Holds a generator's and a discriminator's optimizer.

    Keras's trainer, its callbacks and its files know one `model.optimizer`. This one stands there:
    its variables are those of both, it builds both, and it saves both. Updates are applied through
    `generator_optimizer` and `discriminator_optimizer` themselves.

    `learning_rate` reads as the generator's. Setting it, as `LearningRateScheduler` and
    `ReduceLROnPlateau` do, scales the discriminator's by the same factor.

    Args:
        generator_optimizer: `keras.optimizers.Optimizer`.
        discriminator_optimizer: `keras.optimizers.Optimizer`, another object.
        name: String.
    """

    def __init__(
        self,
        generator_optimizer: Any,
        discriminator_optimizer: Any,
        name: str = "optimizer_pair",
    ) -> None:
        if generator_optimizer is discriminator_optimizer:
            raise ValueError(
                "The generator and the discriminator need an optimizer each: an optimizer keeps "
                "moments for the weights it was built with. Received the same object for both: "
                f"{generator_optimizer!r}. Make two."
            )
        super().__init__(learning_rate=0.0, name=name)
        self.generator_optimizer = generator_optimizer
        self.discriminator_optimizer = discriminator_optimizer

    def build(
        self, generator_variables: Sequence[Any], discriminator_variables: Sequence[Any] = ()
    ) -> None:
        """Makes both optimizers' variables, so that they can be loaded before the first step."""
        self.generator_optimizer.build(list(generator_variables))
        self.discriminator_optimizer.build(list(discriminator_variables))
        self.built = True

    @property
    def variables(self) -> list[Any]:
        """The variables of both optimizers, the generator's first."""
        return [*self.generator_optimizer.variables, *self.discriminator_optimizer.variables]

    @property
    def iterations(self) -> Any:
        """How many updates the generator has had."""
        return self.generator_optimizer.iterations

    @property
    def learning_rate(self) -> Any:
        """The generator's learning rate."""
        return self.generator_optimizer.learning_rate

    @learning_rate.setter
    def learning_rate(self, value: Any) -> None:
        before = float(keras.ops.convert_to_numpy(self.generator_optimizer.learning_rate))
        factor = float(keras.ops.convert_to_numpy(value)) / before if before else 1.0
        other = float(keras.ops.convert_to_numpy(self.discriminator_optimizer.learning_rate))
        self.generator_optimizer.learning_rate = value
        self.discriminator_optimizer.learning_rate = other * factor

    def finalize_variable_values(self, var_list: Sequence[Any]) -> None:
        """Overwrites weights with their averages where an optimizer was made with `use_ema`."""
        known = {id(variable) for variable in var_list}
        for optimizer in (self.generator_optimizer, self.discriminator_optimizer):
            inner = getattr(optimizer, "inner_optimizer", optimizer)
            own = [v for v in inner._trainable_variables if id(v) in known]
            optimizer.finalize_variable_values(own)

    def apply(self, grads: Any, trainable_variables: Any = None) -> None:
        """Refuses: one list of gradients cannot say which network each is for."""
        raise NotImplementedError(
            "Apply gradients through `optimizer.generator_optimizer` or "
            "`optimizer.discriminator_optimizer`."
        )

    # Keras saves the two optimizers as this one's attributes; saved here too, they would be twice.
    def save_own_variables(self, store: Any) -> None:
        """Stores nothing of its own."""

    def load_own_variables(self, store: Any) -> None:
        """Loads nothing of its own."""

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments, for saving."""
        return {
            "generator_optimizer": keras.optimizers.serialize(self.generator_optimizer),
            "discriminator_optimizer": keras.optimizers.serialize(self.discriminator_optimizer),
            "name": self.name,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> "OptimizerPair":
        """The pair that `get_config` described."""
        config = dict(config)
        for key in ("generator_optimizer", "discriminator_optimizer"):
            config[key] = keras.optimizers.deserialize(config[key], custom_objects=custom_objects)
        return cls(**config)

"""The two optimizers of a GAN, as the one that Keras sees."""

from collections.abc import Sequence
from typing import Any

import keras

from kgan._versions import KERAS

_Schedule = keras.optimizers.schedules.LearningRateSchedule


@keras.saving.register_keras_serializable(package="kgan")
class OptimizerPair(keras.optimizers.Optimizer):
    """Holds a generator's and a discriminator's optimizer.

    Keras's trainer, its callbacks and its files know one `model.optimizer`. This one stands there:
    its variables are those of both, it builds both, and it saves both. Updates are applied through
    `generator_optimizer` and `discriminator_optimizer` themselves.

    `learning_rate` reads as the generator's. Setting it, as `LearningRateScheduler` and
    `ReduceLROnPlateau` do, sets the discriminator's too, in the ratio that the two began with.

    Args:
        generator_optimizer: `keras.optimizers.Optimizer`.
        discriminator_optimizer: `keras.optimizers.Optimizer`, another object.
        learning_rate_ratio: Float, the discriminator's learning rate to one of the generator.
            Defaults to what it is now, or to 1 where that of the generator is 0.
        name: String.
    """

    def __init__(
        self,
        generator_optimizer: Any,
        discriminator_optimizer: Any,
        learning_rate_ratio: float | None = None,
        name: str = "optimizer_pair",
    ) -> None:
        if _innermost(generator_optimizer) is _innermost(discriminator_optimizer):
            raise ValueError(
                "The generator and the discriminator need an optimizer each: an optimizer keeps "
                "moments for the weights it was built with. Received the same object for both: "
                f"{_innermost(generator_optimizer)!r}. Make two."
            )
        super().__init__(learning_rate=0.0, name=name)
        self.generator_optimizer = generator_optimizer
        self.discriminator_optimizer = discriminator_optimizer
        self.finalizes = True  # not where Keras's `fit` ends and the training goes on
        # Kept, not worked out anew at each change: a rate may pass through 0.
        self.learning_rate_ratio = learning_rate_ratio or self._present_ratio()

    def _present_ratio(self) -> float:
        rates = [
            float(keras.ops.convert_to_numpy(optimizer.learning_rate))
            for optimizer in (self.discriminator_optimizer, self.generator_optimizer)
        ]
        return rates[0] / rates[1] if rates[1] else 1.0

    def build(
        self, generator_variables: Sequence[Any], discriminator_variables: Sequence[Any] = ()
    ) -> None:
        """Makes both optimizers' variables, so that they can be loaded before the first step."""
        _build(self.generator_optimizer, generator_variables, "generator")
        _build(self.discriminator_optimizer, discriminator_variables, "discriminator")
        # What Keras's `SwapEMAWeights` exchanges with `_model_variables_moving_average`.
        self._trainable_variables = [
            v for optimizer in self._averaging() for v in optimizer._trainable_variables
        ]
        self.built = True

    def check_trains(self, **networks: Any) -> None:
        """Refuses to train other weights than those it was built for, or none.

        Args:
            **networks: The `generator` and the `discriminator`.

        Raises:
            ValueError: Layers were frozen, or are no longer.
        """
        for role, network in networks.items():
            variables = network.trainable_variables
            if not variables:
                raise ValueError(
                    f"Expected a {role} with weights to train. Received: {network.name!r}, which "
                    "has none. If it was frozen, as for a GAN made of two Keras models it had to "
                    f"be: here each network is trained in its turn. Set `{role}.trainable = True` "
                    "and compile again."
                )
            known = _innermost(getattr(self, f"{role}_optimizer"))._trainable_variables
            if [id(variable) for variable in known] != [id(variable) for variable in variables]:
                raise ValueError(
                    f"Expected the {role} to train the weights that it had when it was compiled. "
                    f"Received: {len(variables)} weights to train in place of {len(known)}, or "
                    "others. After layers are frozen or unfrozen, compile again."
                )

    def _averaging(self) -> list[Any]:
        """The optimizers that were made with `use_ema=True`, the generator's first."""
        both = _innermost(self.generator_optimizer), _innermost(self.discriminator_optimizer)
        return [optimizer for optimizer in both if optimizer.use_ema]

    @property
    def _model_variables_moving_average(self) -> list[Any]:
        averaging = self._averaging()
        if not averaging:
            # No AttributeError: of that, SwapEMAWeights would make one that knows of one optimizer.
            raise ValueError(
                "SwapEMAWeights needs the averages that an optimizer keeps. Expected "
                "`generator_optimizer`, `discriminator_optimizer` or both to be made with "
                "`use_ema=True`. Received: neither. `GAN.compile(ema_decay=...)` keeps an average "
                "of the generator by which samples are made without such a callback."
            )
        of_discriminator_alone = averaging == [_innermost(self.discriminator_optimizer)]
        if of_discriminator_alone and KERAS < (3, 15):
            # Which takes it that averages are those of the model's first weights.
            raise ValueError(
                "SwapEMAWeights would put the discriminator's averages into the generator. "
                "Expected Keras 3.15 or later, or a `generator_optimizer` that is made with "
                f"`use_ema=True` too. Received: Keras {keras.version()}."
            )
        return [v for optimizer in averaging for v in optimizer._model_variables_moving_average]

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
        for role in ("generator", "discriminator"):
            optimizer = _innermost(getattr(self, f"{role}_optimizer"))
            if isinstance(optimizer._learning_rate, _Schedule):
                raise TypeError(
                    f"The {role}'s optimizer has a learning rate schedule, "
                    f"{optimizer._learning_rate!r}: its rate cannot be set. Give both optimizers "
                    "plain learning rates to have a callback move them."
                )
        rate = float(keras.ops.convert_to_numpy(value))
        self.generator_optimizer.learning_rate = rate
        self.discriminator_optimizer.learning_rate = rate * self.learning_rate_ratio

    def finalize_variable_values(self, var_list: Sequence[Any]) -> None:
        """Overwrites weights with their averages where an optimizer was made with `use_ema`."""
        if not self.finalizes:
            return
        known = {id(variable) for variable in var_list}
        for optimizer in (self.generator_optimizer, self.discriminator_optimizer):
            own = [v for v in _innermost(optimizer)._trainable_variables if id(v) in known]
            optimizer.finalize_variable_values(own)
            if _innermost(optimizer).use_ema:
                for variable in own:
                    # On JAX it has the average's own array now, and training on would give the
                    # same memory away twice.
                    variable.assign(keras.ops.copy(variable))

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
            "generator_optimizer": serialize(self.generator_optimizer),
            "discriminator_optimizer": serialize(self.discriminator_optimizer),
            "learning_rate_ratio": self.learning_rate_ratio,
            "name": self.name,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> "OptimizerPair":
        """The pair that `get_config` described."""
        config = dict(config)
        for key in ("generator_optimizer", "discriminator_optimizer"):
            config[key] = keras.optimizers.deserialize(config[key], custom_objects=custom_objects)
        return cls(**config)


def serialize(optimizer: Any) -> dict[str, Any]:
    """An optimizer's configuration, from which every backend can make its own."""
    return _portable(keras.optimizers.serialize(optimizer))


def _portable(config: dict[str, Any]) -> dict[str, Any]:
    # On PyTorch, Keras makes an `Adam` of a class that is that backend's, and serializes it as one.
    # Other backends would load that very class, and fail at the first step.
    if config["module"].startswith("keras.src.backend."):
        config = {**config, "module": "keras.optimizers", "registered_name": None}
    inner = config["config"].get("inner_optimizer")
    if inner is not None:
        config["config"] = {**config["config"], "inner_optimizer": _portable(inner)}
    return config


def _innermost(optimizer: Any) -> Any:
    """The optimizer within a LossScaleOptimizer, or itself."""
    return getattr(optimizer, "inner_optimizer", optimizer)


def _build(optimizer: Any, variables: Sequence[Any], role: str) -> None:
    if not optimizer.built:
        optimizer.build(list(variables))
        return
    known = [id(variable) for variable in _innermost(optimizer)._trainable_variables]
    if known != [id(variable) for variable in variables]:
        raise ValueError(
            f"Expected a new optimizer for the {role}. Received: {optimizer!r}, which was built "
            "for the weights of another model. An optimizer keeps moments for its weights: make "
            "one for each model."
        )

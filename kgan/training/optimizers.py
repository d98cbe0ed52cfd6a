"""All optimizers of a model, as the one that Keras sees."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import keras

from kgan._backend.keras_internals import (
    has_updated,
    innermost,
    learning_rate_of,
    moving_averages,
    steps_of,
    trained_variables,
)
from kgan._typing import Config, Network, Optimizer, Tensor, Variable
from kgan._versions import KERAS

_Schedule = keras.optimizers.schedules.LearningRateSchedule

SOLE_ROLE = "model"
"""The role of the optimizer in a family that has one for all its networks."""


def optimizer_argument(role: str) -> str:
    """The name of the argument of `compile` that takes the optimizer of a role.

    Example:
    ```python
    assert kgan.training.optimizer_argument("generator") == "generator_optimizer"
    ```
    """
    return "optimizer" if role == SOLE_ROLE else f"{role}_optimizer"


@keras.saving.register_keras_serializable(package="kgan")
class Optimizers(keras.optimizers.Optimizer):
    """Holds the optimizers of a model, one for each role.

    Keras's trainer, its callbacks and its files know one `model.optimizer`. This is that one: it
    has the variables of all, builds all and saves all. Updates are applied through the optimizers
    themselves: `optimizers["generator"]`, which is also `optimizers.generator_optimizer`.

    `learning_rate` reads as that of the first role. Setting it, as `LearningRateScheduler` and
    `ReduceLROnPlateau` do, sets the others too, in the ratios that they began with.

    Args:
        by_role: Dictionary of `keras.optimizers.Optimizer`s by role, each a different object.
        learning_rate_ratios: Dictionary of floats, the learning rate of each role divided by that
            of the first. Defaults to the present ratios, or to 1 where the first rate is 0.
        name: String.

    Raises:
        ValueError: Two roles have the same optimizer.

    Example:
    ```python
    optimizers = kgan.training.Optimizers(
        {"generator": keras.optimizers.Adam(2e-4), "discriminator": keras.optimizers.Adam(4e-4)}
    )
    optimizers.learning_rate = 1e-4
    assert np.isclose(optimizers["discriminator"].learning_rate, 2e-4)  # the ratio stays
    ```
    """

    def __init__(
        self,
        by_role: Mapping[str, Optimizer],
        learning_rate_ratios: Mapping[str, float] | None = None,
        name: str = "optimizers",
    ) -> None:
        _check_differ(by_role)
        super().__init__(learning_rate=0.0, name=name)
        self.roles = tuple(by_role)
        for role, optimizer in by_role.items():  # attributes: so Keras saves them
            setattr(self, f"{role}_optimizer", optimizer)
        self.finalizes = True  # False where Keras's `fit` ends and the training does not
        # Kept, not computed at each change: a rate may pass through 0.
        self.learning_rate_ratios = dict(learning_rate_ratios or self._present_ratios())

    # No properties: Keras saves what it finds in properties too, under their names.

    def __getitem__(self, role: str) -> Optimizer:
        """The optimizer of a role."""
        return getattr(self, f"{role}_optimizer")

    def items(self) -> list[tuple[str, Optimizer]]:
        """The roles, each with its optimizer."""
        return [(role, self[role]) for role in self.roles]

    def _all(self) -> list[Optimizer]:
        return [self[role] for role in self.roles]

    def _present_ratios(self) -> dict[str, float]:
        rates = {
            role: float(keras.ops.convert_to_numpy(optimizer.learning_rate))
            for role, optimizer in self.items()
        }
        first = rates[self.roles[0]]
        return {role: rate / first if first else 1.0 for role, rate in rates.items()}

    def build(self, variables: Mapping[str, Sequence[Variable]]) -> None:
        """Creates the variables of all optimizers, so that files can be loaded into them.

        Args:
            variables: By role, the variables that its optimizer trains.
        """
        for role, optimizer in self.items():
            _build(optimizer, variables[role], role)
        # What Keras's `SwapEMAWeights` exchanges with `_model_variables_moving_average`.
        self._trainable_variables = [
            v for optimizer in self._averaging() for v in trained_variables(optimizer)
        ]
        self.built = True

    def check_trains(self, parts: Mapping[str, Iterable[Network]]) -> None:
        """Checks that each role trains the weights that its optimizer was built for.

        Args:
            parts: By role, the networks that it trains.

        Raises:
            ValueError: Layers were frozen or unfrozen since, or a network has nothing to train.
        """
        for role, networks in parts.items():
            variables = [v for network in networks for v in network.trainable_variables]
            if not variables:
                network = next(iter(networks))
                raise ValueError(
                    f"Expected a {role} with weights to train. Received: {network.name!r}, which "
                    "has none. Do not freeze it, since each network is trained in turn: set "
                    f"`{role}.trainable = True` and compile again."
                )
            known = trained_variables(self[role])
            if [id(variable) for variable in known] != [id(variable) for variable in variables]:
                raise ValueError(
                    f"Expected the {role} to train the weights that it had when it was compiled. "
                    f"Received: {len(variables)} weights to train instead of {len(known)}, or "
                    "others. After layers are frozen or unfrozen, compile again."
                )

    def _averaging(self) -> list[Optimizer]:
        """The optimizers that were made with `use_ema=True`, in the order of roles."""
        return [inner for inner in map(innermost, self._all()) if inner.use_ema]

    @property
    def _model_variables_moving_average(self) -> list[Variable]:
        averaging = self._averaging()
        if not averaging:
            arguments = ", ".join(f"`{optimizer_argument(role)}`" for role in self.roles)
            # Not an AttributeError: from that, SwapEMAWeights would conclude that there is another
            # optimizer inside.
            raise ValueError(
                "SwapEMAWeights needs the averages that an optimizer keeps. Expected an optimizer "
                f"made with `use_ema=True` among {arguments}. Received: none. "
                "`compile(ema_decay=...)` keeps an average for sampling without such a callback."
            )
        lacks_first = averaging[0] is not innermost(self[self.roles[0]])
        if lacks_first and KERAS < (3, 15):
            # The callback assumes that averages are those of the model's first weights.
            raise ValueError(
                f"SwapEMAWeights would put the averages into the {self.roles[0]}. Expected Keras "
                f"3.15 or later, or `{optimizer_argument(self.roles[0])}` made with `use_ema=True` "
                f"too. Received: Keras {keras.version()}."
            )
        return [v for optimizer in averaging for v in moving_averages(optimizer)]

    @property
    def variables(self) -> list[Variable]:
        """The variables of all optimizers, in the order of roles."""
        return [v for optimizer in self._all() for v in optimizer.variables]

    @property
    def iterations(self) -> Variable:
        """The number of updates of the first role."""
        return self[self.roles[0]].iterations

    def steps_made(self) -> int:
        """The number of training steps: with gradient accumulation, not each is an update."""
        return int(keras.ops.convert_to_numpy(steps_of(self[self.roles[0]])))

    def restart(self) -> None:
        """Gives the optimizers the state of new ones. Learning rates and loss scales stay."""
        for optimizer in map(innermost, self._all()):
            # Not the rate itself, which may be a schedule of a class that Keras cannot find.
            fresh = type(optimizer).from_config({**optimizer.get_config(), "learning_rate": 0.0})
            fresh.build(trained_variables(optimizer))
            pairs = zip(_without_rate(optimizer), _without_rate(fresh), strict=True)
            for variable, value in pairs:
                variable.assign(keras.ops.copy(value))

    def has_updated(self, role: str) -> Tensor | None:
        """Whether the last step of a role updated weights: a boolean scalar, or None for always.

        Args:
            role: String, the role.
        """
        return has_updated(self[role])

    @property
    def learning_rate(self) -> Tensor:
        """The learning rate of the first role."""
        return self[self.roles[0]].learning_rate

    @learning_rate.setter
    def learning_rate(self, value: Tensor) -> None:
        for role, optimizer in self.items():
            schedule = learning_rate_of(optimizer)
            if isinstance(schedule, _Schedule):
                raise TypeError(
                    f"The {role}'s optimizer has a learning rate schedule, {schedule!r}: its rate "
                    "cannot be set. Give all optimizers plain learning rates for a callback to "
                    "change."
                )
        rate = float(keras.ops.convert_to_numpy(value))
        for role, optimizer in self.items():
            optimizer.learning_rate = rate * self.learning_rate_ratios[role]

    def finalize_variable_values(self, var_list: Sequence[Variable]) -> None:
        """Overwrites weights with their averages where an optimizer was made with `use_ema`."""
        if not self.finalizes:
            return
        known = {id(variable) for variable in var_list}
        for optimizer in self._all():
            own = [v for v in trained_variables(optimizer) if id(v) in known]
            optimizer.finalize_variable_values(own)
            if innermost(optimizer).use_ema:
                for variable in own:
                    # On JAX it now has the average's own array, and further training would give
                    # the same memory away twice.
                    variable.assign(keras.ops.copy(variable))

    def apply(self, grads: Any, trainable_variables: Any = None) -> None:
        """Raises an error: one list of gradients cannot say which role each is for."""
        del grads, trainable_variables
        names = " or ".join(f"`optimizer.{role}_optimizer`" for role in self.roles)
        raise NotImplementedError(f"Apply gradients through {names}.")

    # Keras saves the optimizers as attributes of this one. Saved here too, they would be twice.
    def save_own_variables(self, store: Any) -> None:
        """Stores nothing: its optimizers do."""

    def load_own_variables(self, store: Any) -> None:
        """Loads nothing: its optimizers do."""

    def get_config(self) -> Config:
        """The constructor's arguments, for saving."""
        return {
            "by_role": {role: serialize(optimizer) for role, optimizer in self.items()},
            "learning_rate_ratios": self.learning_rate_ratios,
            "name": self.name,
        }

    @classmethod
    def from_config(cls, config: Config, custom_objects: Config | None = None) -> "Optimizers":
        """The optimizers that `get_config` described."""
        config = dict(config)
        config["by_role"] = {
            role: keras.optimizers.deserialize(each, custom_objects=custom_objects)
            for role, each in config["by_role"].items()
        }
        return cls(**config)


def _without_rate(optimizer: Optimizer) -> list[Variable]:
    return [v for v in optimizer.variables if v.name != "learning_rate"]


def serialize(optimizer: Optimizer) -> Config:
    """An optimizer's configuration, from which every backend can make its own."""
    return _portable(keras.optimizers.serialize(optimizer))


def _portable(config: Config) -> Config:
    # On PyTorch, Keras makes an `Adam` of a class that is that backend's, and serializes it as one.
    # Other backends would load that very class, and fail at the first step.
    if config["module"].startswith("keras.src.backend."):
        config = {**config, "module": "keras.optimizers", "registered_name": None}
    inner = config["config"].get("inner_optimizer")
    if inner is not None:
        config["config"] = {**config["config"], "inner_optimizer": _portable(inner)}
    return config


def _check_differ(by_role: Mapping[str, Optimizer]) -> None:
    seen: dict[int, str] = {}
    for role, optimizer in by_role.items():
        inner = innermost(optimizer)
        other = seen.setdefault(id(inner), role)
        if other != role:
            raise ValueError(
                f"The {other} and the {role} need an optimizer each: an optimizer keeps moments "
                "for the weights it was built with. Received the same object for both: "
                f"{inner!r}. Make two."
            )


def _build(optimizer: Optimizer, variables: Sequence[Variable], role: str) -> None:
    if not optimizer.built:
        optimizer.build(list(variables))
        return
    known = [id(variable) for variable in trained_variables(optimizer)]
    if known != [id(variable) for variable in variables]:
        raise ValueError(
            f"Expected a new optimizer for the {role}. Received: {optimizer!r}, which was built "
            "for the weights of another model. Make a new one for each model: an optimizer keeps "
            "moments for its weights."
        )

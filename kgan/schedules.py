"""Weights that change with the number of training steps, from 0 to 1."""

import keras
from keras import ops

from kgan._arguments import integer
from kgan._registry import find
from kgan._typing import Config, Tensor

__all__ = ["Constant", "Cyclical", "Linear", "Schedule", "get"]


class Schedule:
    """A weight between 0 and 1 that depends on the number of training steps.

    Subclass it, implement `__call__` and `get_config`, and register the subclass with
    `keras.saving.register_keras_serializable`. The model counts the steps and saves the count, so a
    resumed training continues with the right weight.

    Example:
    ```python
    @keras.saving.register_keras_serializable(package="mine")
    class Late(kgan.schedules.Schedule):
        def __call__(self, step):
            return keras.ops.where(step < 1000, 0.0, 1.0)


    vae.compile(warm_up=Late())
    ```
    """

    def __call__(self, step: Tensor) -> Tensor:
        """The weight.

        Args:
            step: Float32 scalar, the number of steps before this one.

        Returns:
            Float32 scalar.
        """
        raise NotImplementedError

    def get_config(self) -> Config:
        """The constructor's arguments, for saving."""
        return {}

    @classmethod
    def from_config(cls, config: Config) -> "Schedule":
        """The schedule that `get_config` described."""
        return cls(**config)


@keras.saving.register_keras_serializable(package="kgan")
class Constant(Schedule):
    """A weight of 1 from the first step.

    Example:
    ```python
    assert kgan.schedules.Constant()(keras.ops.array(0.0)) == 1.0
    ```
    """

    def __call__(self, step: Tensor) -> Tensor:
        """1."""
        return ops.ones_like(step)


@keras.saving.register_keras_serializable(package="kgan")
class Linear(Schedule):
    """A weight that grows evenly from 0 to 1, and stays there.

    Args:
        steps: Integer, the training steps that it takes.

    Example:
    ```python
    schedule = kgan.schedules.Linear(steps=1000)
    assert [float(schedule(step)) for step in (0.0, 500.0, 2000.0)] == [0.0, 0.5, 1.0]
    vae.compile(warm_up=schedule)  # or warm_up=1000
    ```

    Reference:
        [Bowman et al., 2016](https://arxiv.org/abs/1511.06349); [Sønderby et al.,
        2016](https://arxiv.org/abs/1602.02282), who call it warm-up.
    """

    def __init__(self, steps: int) -> None:
        self.steps = integer("steps", steps)

    def __call__(self, step: Tensor) -> Tensor:
        """`min(1, step / steps)`."""
        return ops.minimum(1.0, step / float(self.steps))

    def get_config(self) -> Config:
        """The constructor's arguments, for saving."""
        return {"steps": self.steps}


@keras.saving.register_keras_serializable(package="kgan")
class Cyclical(Schedule):
    """A weight that grows from 0 to 1 in the first part of every cycle, and stays for the rest.

    Args:
        steps: Integer, the training steps of a cycle.
        ramp: Float in (0, 1], the share of a cycle in which the weight grows.

    Example:
    ```python
    schedule = kgan.schedules.Cyclical(steps=1000, ramp=0.5)
    assert [float(schedule(step)) for step in (0.0, 250.0, 500.0, 999.0)] == [0.0, 0.5, 1.0, 1.0]
    vae.compile(warm_up=schedule)
    ```

    Reference:
        [Fu et al., 2019](https://arxiv.org/abs/1903.10145).
    """

    def __init__(self, steps: int, ramp: float = 0.5) -> None:
        self.steps = integer("steps", steps)
        if not 0 < ramp <= 1:
            raise ValueError(f"Expected `ramp` to be above 0 and at most 1. Received: ramp={ramp}.")
        self.ramp = float(ramp)

    def __call__(self, step: Tensor) -> Tensor:
        """`min(1, (step mod steps) / (ramp * steps))`."""
        within = ops.mod(step, float(self.steps))
        return ops.minimum(1.0, within / (self.ramp * self.steps))

    def get_config(self) -> Config:
        """The constructor's arguments, for saving."""
        return {"steps": self.steps, "ramp": self.ramp}


def get(identifier: int | Schedule | None) -> Schedule:
    """Finds a schedule.

    Args:
        identifier: A `Schedule`, an integer n for `Linear(n)`, or None for a constant weight of 1.

    Returns:
        The schedule.

    Raises:
        ValueError: It is none of these.

    Example:
    ```python
    assert kgan.schedules.get(1000).steps == 1000
    ```
    """
    if identifier is None:
        return Constant()
    if isinstance(identifier, int):
        return Linear(identifier)
    schedule: Schedule = find(
        identifier,
        {"constant": Constant},
        Schedule,
        what="a schedule",
        argument="schedule",
        public="kgan.schedules.Schedule",
    )
    return schedule

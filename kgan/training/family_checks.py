"""Checks of what the class of a family declares, made when Python makes the class."""

import inspect
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kgan.training.model import GenerativeModel

_ENGINE_ARGUMENTS = ("self", "seed", "name")


def check_class(cls: "type[GenerativeModel]", engine: "type[GenerativeModel]") -> None:
    """Checks what a subclass of `GenerativeModel` declares.

    Args:
        cls: The subclass.
        engine: `GenerativeModel` itself.

    Raises:
        TypeError: The class hides a private method of the engine, a declaration names no network,
            or saving would lose an argument of the constructor.
    """
    _check_private_names(cls, engine)
    _check_declarations(cls)
    _check_saved_arguments(cls)


def _check_private_names(cls: "type[GenerativeModel]", engine: "type[GenerativeModel]") -> None:
    private = {name for name in vars(engine) if name.startswith("_") and not name.endswith("__")}
    hidden = sorted(private & set(vars(cls)))
    if hidden:
        raise TypeError(
            f"Expected {cls.__name__} to have its own names. Received: {', '.join(hidden)}, "
            f"private in {engine.__name__}. Choose other names."
        )


def _check_declarations(cls: "type[GenerativeModel]") -> None:
    unknown = sorted(set(cls.averaged) - set(cls.networks))
    if unknown:
        raise TypeError(
            f"Expected {cls.__name__}.averaged to name networks out of {cls.networks}. "
            f"Received: {', '.join(map(repr, unknown))}."
        )
    known = {*cls.networks, *cls.arguments}
    for role, parts in cls.roles.items():
        unknown = sorted(set(parts) - known)
        if unknown:
            raise TypeError(
                f"Expected the parts of role {role!r} of {cls.__name__} to be named in `networks` "
                f"or `arguments`, {sorted(known)}. Received: {', '.join(map(repr, unknown))}."
            )


def _check_saved_arguments(cls: "type[GenerativeModel]") -> None:
    # A class with its own `get_config` saves what it wants.
    if "__init__" not in vars(cls) or "get_config" in vars(cls):
        return
    parameters = inspect.signature(cls.__init__).parameters.values()
    named = [
        each.name for each in parameters if each.kind not in {each.VAR_POSITIONAL, each.VAR_KEYWORD}
    ]
    lost = sorted(set(named) - {*_ENGINE_ARGUMENTS, *cls.networks, *cls.arguments})
    if lost:
        raise TypeError(
            f"Expected each argument of {cls.__name__}() in `networks` or `arguments`: others are "
            f"not saved. Received also: {', '.join(lost)}. Name them there, or write `get_config`."
        )

"""Finds objects by name, with one error message for all misspelt names."""

import difflib
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

T = TypeVar("T")


def did_you_mean(name: object, known: Iterable[str]) -> str:
    """Ends an error message: " Did you mean 'hinge'?", or nothing if no known name is similar."""
    if not isinstance(name, str):
        return ""
    folded = {each.casefold(): each for each in known}
    near = difflib.get_close_matches(name.casefold(), folded, n=1)
    return f" Did you mean {folded[near[0]]!r}?" if near else ""


def find_name(name: object, table: Mapping[str, T], *, what: str, argument: str = "") -> T:
    """Finds an entry of a table by its name.

    Args:
        name: The name that was received.
        table: Entries by their names.
        what: String, the kind of the entries: "a recipe".
        argument: String, the argument that holds the name, for the message. Defaults to none.

    Returns:
        The entry.

    Raises:
        ValueError: There is no such name.
    """
    if isinstance(name, str) and name in table:
        return table[name]
    received = f"{argument}={name!r}" if argument else repr(name)
    raise ValueError(
        f"Expected the name of {what}, one of {list(table)}. Received: {received}."
        f"{did_you_mean(name, table)}"
    )


def check_names(names: Iterable[str], known: Iterable[str], *, what: str) -> None:
    """Checks that all names are known, such as those of options.

    Args:
        names: The names that were received.
        known: The valid names.
        what: String, the kind of the names: "an option of kgan.networks.dcgan".

    Raises:
        ValueError: A name is unknown.
    """
    table = dict.fromkeys(known)
    for name in names:
        find_name(name, table, what=what)


def find(
    identifier: Any,
    table: Mapping[str, Any],
    base: type,
    *,
    what: str,
    argument: str,
    public: str,
    **arguments: Any,
) -> Any:
    """Finds an object that is given by its name, by its class, or as it is.

    Args:
        identifier: The name, class or object that was received.
        table: Subclasses of `base` by their names.
        base: The class of all such objects.
        what: String, the kind of object: "a penalty".
        argument: String, the argument that it was received as.
        public: String, where users find `base`.
        **arguments: Arguments for the class, if no object is given.

    Returns:
        The object.

    Raises:
        ValueError: The name is unknown, or the object is not a `base`.
    """
    if isinstance(identifier, base):
        return identifier
    if isinstance(identifier, type) and issubclass(identifier, base):
        return identifier(**arguments)
    if not isinstance(identifier, str):
        raise ValueError(
            f"Expected {what}: one of the names {list(table)}, or an object of a subclass of "
            f"{public}. Received: {argument}={identifier!r} of type {type(identifier).__name__}."
        )
    return find_name(identifier, table, what=what, argument=argument)(**arguments)

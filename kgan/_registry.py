"""Things by their names, which people mistype."""

import difflib
from collections.abc import Iterable, Mapping
from typing import Any


def did_you_mean(name: Any, known: Iterable[str]) -> str:
    """Ends an error message: " Did you mean 'hinge'?", or nothing where no name is near."""
    near = difflib.get_close_matches(name, list(known), n=1) if isinstance(name, str) else []
    return f" Did you mean {near[0]!r}?" if near else ""


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
        identifier: What was received.
        table: Subclasses of `base` by their names.
        base: The class that all such objects are of.
        what: String, what is looked for: "a penalty".
        argument: String, the argument that it is received as.
        public: String, where users find `base`.
        **arguments: For the class, where no object is given.

    Returns:
        The object.

    Raises:
        ValueError: The name is unknown, or the object is none of `base`.
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
    if identifier not in table:
        raise ValueError(
            f"Expected the name of {what}, one of {list(table)}. "
            f"Received: {argument}={identifier!r}.{did_you_mean(identifier, table)}"
        )
    return table[identifier](**arguments)

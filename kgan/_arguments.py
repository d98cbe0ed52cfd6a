"""Checks of arguments that many functions share."""

import operator
from typing import Any


def integer(name: str, value: Any, least: int = 1) -> int:
    """Checks a count, a size, a seed.

    Args:
        name: String, the argument's.
        value: What was received.
        least: Integer, the lowest valid value.

    Returns:
        The value as an int.

    Raises:
        ValueError: It is not an integer, or below `least`.
    """
    try:
        number = operator.index(value)
    except TypeError:
        number = least - 1
    if number < least:
        raise ValueError(
            f"Expected `{name}` to be an integer of at least {least}. Received: {name}={value!r}."
        )
    return number


def check_fixed_size(input_shape: Any) -> None:
    """Checks that the images that a layer takes have a known size.

    Raises:
        ValueError: Height or width is None.
    """
    if None in input_shape[1:3]:
        raise ValueError(
            "Expected images of a fixed height and width. Received: inputs of shape "
            f"{tuple(input_shape)}."
        )

"""The types of arguments: functions from text to a value, which raise an error about bad text."""

import argparse
import os
from collections.abc import Callable
from pathlib import Path


def path(text: str) -> Path:
    """A path, with `~` expanded: no shell expands that of `--output=~/run`."""
    # Not Path.expanduser, which raises an error if there is no such home directory.
    return Path(os.path.expanduser(text))  # noqa: PTH111


def _ending_in(*suffixes: str) -> Callable[[str], Path]:
    def checked(text: str) -> Path:
        if Path(text).suffix.lower() not in suffixes:
            raise argparse.ArgumentTypeError(
                f"expected a name in {' or '.join(suffixes)}, received {text!r}"
            )
        return path(text)

    return checked


picture = _ending_in(".png")
"""A path that ends in .png."""

picture_or_arrays = _ending_in(".png", ".npz")
"""A path that ends in .png or .npz."""

samples = _ending_in(".png", ".npz", ".txt")
"""A path that ends in .png, .npz or .txt."""

film_or_picture = _ending_in(".gif", ".png")
"""A path that ends in .gif or .png."""


def positive(text: str) -> int:
    """An integer of at least 1."""
    return _integer(text, least=1)


def image_size(text: str) -> list[int]:
    """A side, or height and width as 48x64: the list of height and width."""
    sides = text.lower().split("x")
    if len(sides) > 2 or not all(side.isdecimal() and int(side) >= 1 for side in sides):
        raise argparse.ArgumentTypeError(
            f"expected a side in pixels, or HEIGHTxWIDTH such as 48x64, received {text!r}"
        )
    return [int(sides[0]), int(sides[-1])]


def directory(text: str) -> str:
    """The absolute path of a directory or file: a run can be resumed from another directory."""
    return os.path.abspath(path(text))  # noqa: PTH100


def count(text: str) -> int:
    """An integer of at least 0."""
    return _integer(text, least=0)


def steps(text: str) -> int:
    """An integer of at least 2: both ends of a path."""
    return _integer(text, least=2)


def _integer(text: str, least: int) -> int:
    if not (text.isdecimal() and int(text) >= least):
        raise argparse.ArgumentTypeError(
            f"expected an integer of at least {least}, received {text!r}"
        )
    return int(text)


def evaluation_count(text: str) -> int:
    """0, or an integer of at least 20: fewer samples say nothing."""
    if not (text.isdecimal() and (int(text) == 0 or int(text) >= 20)):
        raise argparse.ArgumentTypeError(
            f"expected 0 or an integer of at least 20, received {text!r}"
        )
    return int(text)


def seed(text: str) -> int:
    """An integer of at least 0 that all random generators take."""
    if not (text.isdecimal() and int(text) < 2**31):
        raise argparse.ArgumentTypeError(
            f"expected an integer from 0 to 2^31 - 1, received {text!r}"
        )
    return int(text)


def numbers_above_zero(text: str) -> list[float]:
    """Finite numbers above 0, with commas between them."""
    return [above_zero(number) for number in text.split(",")]


def above_zero(text: str) -> float:
    """A finite number above 0."""
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0 < number < float("inf"):
        raise argparse.ArgumentTypeError(f"expected a number above 0, received {text!r}")
    return number

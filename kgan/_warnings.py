"""Warnings that name the line of the user's program that caused them."""

import pathlib
import sys
import warnings

_PACKAGE = str(pathlib.Path(__file__).parent)


def warn_outside(message: str, category: type[Warning] = UserWarning) -> None:
    """Warns at the innermost line outside kgan that led here."""
    level = 1
    frame = sys._getframe()
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_PACKAGE):
        frame = frame.f_back
        level += 1
    warnings.warn(message, category, stacklevel=level)

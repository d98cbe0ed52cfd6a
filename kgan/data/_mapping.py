"""Arrays that are memory maps of files: found, and opened again in another process."""

import os
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt


class MappedFile(NamedTuple):
    """A C-contiguous array in a file.

    Attributes:
        path: String, the file.
        dtype: String, the dtype of the array.
        shape: Its shape.
        offset: Integer, the byte at which it begins.
    """

    path: str
    dtype: str
    shape: tuple[int, ...]
    offset: int

    def open(self) -> npt.NDArray[Any]:
        """Maps the array, read-only.

        Raises:
            FileNotFoundError: The file is not on this machine any more.
        """
        return np.asarray(np.memmap(self.path, self.dtype, "r", self.offset, self.shape))


def file_of(array: npt.NDArray[Any]) -> MappedFile | None:
    """The part of a file that an array shows; None for arrays in memory.

    A map that was changed in memory alone, with mode "c", counts as an array in memory.
    """
    owner: Any = array
    while owner is not None and not isinstance(owner, np.memmap):
        owner = getattr(owner, "base", None)
    if owner is None or owner.filename is None or owner.mode == "c" or not array.flags.c_contiguous:
        return None
    while isinstance(owner.base, np.memmap):
        owner = owner.base
    start = array.__array_interface__["data"][0] - owner.__array_interface__["data"][0]
    return MappedFile(os.fspath(owner.filename), array.dtype.str, array.shape, owner.offset + start)

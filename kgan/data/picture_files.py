"""Single picture files, for models that are applied to pictures."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from kgan.data._decoders import shown
from kgan.data._decoding import PictureError, Target, decode_into, header_size, quiet_pillow
from kgan.data.image_folder import list_pictures

if TYPE_CHECKING:
    from collections.abc import Iterable

    from kgan._typing import Pictures

_MAX_PIXELS = 2**26  # as for `load_image_folder`
_WHITE = (255, 255, 255)


def find_pictures(paths: Iterable[Path]) -> list[Path]:
    """Finds files, and all pictures in folders.

    Args:
        paths: Files and folders.

    Returns:
        The files, each once, in the order of `paths`. Those of a folder are in the order of their
        names.

    Raises:
        FileNotFoundError: There is no such file or folder.
        ValueError: A folder has no pictures.
    """
    found: dict[Path, None] = {}
    for path in paths:
        if path.is_dir():
            listed = list_pictures(path, labels=False).pictures
            found |= dict.fromkeys(Path(each.path) for each in listed)
        elif path.is_file():
            found[path] = None
        else:
            raise FileNotFoundError(
                "Expected pictures, or folders of pictures. Received: "
                f"{shown(str(path))}: no such file."
            )
    return list(found)


def read_picture(path: Path, channels: int, size: tuple[int, int] | None = None) -> Pictures:
    """Reads a picture in the form in which data sets of pictures have it.

    Args:
        path: The file, in any of the formats of `kgan.data.load_image_folder`.
        channels: Integer, 3 for colour or 1 for grey.
        size: Pair of integers `(height, width)`: the picture is scaled, and its middle is cut out.
            Defaults to `None`: its own size.

    Returns:
        Uint8 array `(height, width, channels)`.

    Raises:
        ValueError: The file is no picture that can be decoded.
    """
    # Of a file without a size, decoding raises the error.
    height, width = size or header_size(str(path)) or (1, 1)
    target = Target(height, width, channels, "center_crop", _WHITE, _MAX_PIXELS)
    if height * width > _MAX_PIXELS:
        raise _unreadable(path, f"{height}x{width} pixels, more than {_MAX_PIXELS:,}")
    pixels = np.zeros((height, width, channels), np.uint8)
    try:
        with quiet_pillow():
            decode_into(pixels, path.read_bytes(), target)
    except PictureError as error:
        raise _unreadable(path, error.reason) from error
    return pixels


def _unreadable(path: Path, reason: str) -> ValueError:
    return ValueError(
        f"Expected a picture that can be decoded. Received: {shown(str(path))}: {reason}. Remove "
        "or replace it."
    )

"""`kgan translate`: translates pictures by a trained model."""

from __future__ import annotations

import collections
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from kgan.cli import argument_types, inputs
from kgan.cli.terminal import say, without_native_noise

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Sequence

    from PIL import Image

    from kgan._typing import Pictures
    from kgan.training import GenerativeModel

_ARRAYS = ".npz"
_MOST_AT_ONCE = 64  # pictures
_MOST_PIXELS_AT_ONCE = 2**22  # of all pictures in memory together, unless one has more
_MOST_IN_GRID = 32
_GRID_SIDE = 256  # pixels, of the longer side of a picture in the grid


def add(commands: Any) -> None:
    """Adds the parser."""
    translate = commands.add_parser(
        "translate",
        help="translate pictures by a trained model",
        description="Translate pictures by a model of pairs or domains, such as a Pix2Pix or a "
        "CycleGAN. Each translation is a PNG file with the name of its input.",
    )
    inputs.add_model(translate)
    translate.add_argument(
        "inputs",
        metavar="INPUT",
        nargs="+",
        type=argument_types.path,
        help="a picture, a folder of pictures, or .npz with `images`, uint8 (N, H, W, C)",
    )
    translate.add_argument(
        "--to",
        choices=("a", "b"),
        help="the domain to translate to, for a model of two domains (default: b)",
    )
    translate.add_argument(
        "--image-size",
        metavar="SIZE",
        type=argument_types.image_size,
        help="the side of images, or HEIGHTxWIDTH: pictures are scaled and the middle is cut out "
        "(default: each picture's own size)",
    )
    translate.add_argument(
        "--output",
        metavar="DIR",
        type=argument_types.path,
        default=Path("translations"),
        help="the directory of the translations (default: translations)",
    )
    translate.add_argument(
        "--grid",
        metavar="FILE",
        type=argument_types.picture,
        help=f"also write a grid of the first {_MOST_IN_GRID} pictures and their translations, "
        "as .png",
    )
    translate.set_defaults(run=run, needs_backend=True)


class _Batch(NamedTuple):
    """Pictures of one size.

    Attributes:
        names: Strings, the names of their translations: one for each, or one for a file of arrays.
        pictures: Uint8 `(n, height, width, channels)`.
        source: The first file of the pictures, for error messages.
    """

    names: list[str]
    pictures: Pictures
    source: Path


def run(options: argparse.Namespace) -> int:
    """Writes the translations."""
    import numpy as np

    with without_native_noise():
        from kgan import images, runs
        from kgan.data.picture_files import find_pictures
        from kgan.training.capabilities import Translates, translated
    if options.output.exists() and not options.output.is_dir():
        raise FileExistsError(
            f"Expected --output to be a directory. Received: {options.output}, a file."
        )
    paths = find_pictures(options.inputs)
    model = runs.Run.open(options.model, compile=False).model
    if not isinstance(model, Translates):
        raise inputs.lacks(
            options.model, model, "translates images, such as a Pix2Pix or a CycleGAN"
        )
    channels = _channels(model, options)
    tiles: list[tuple[Pictures, Pictures]] = []
    count = 0
    for batch in _batches(paths, channels, options.image_size):
        floats = batch.pictures.astype(np.float32) / np.float32(127.5) - np.float32(1.0)
        try:
            made = images.to_uint8(translated(model, floats, options.to))
        except ValueError as error:
            raise ValueError(f"{batch.source}: {error}") from error
        _save(options.output, batch.names, made)
        count += len(made)
        left = _MOST_IN_GRID - len(tiles) if options.grid is not None else 0
        tiles += zip(batch.pictures[:left], made[:left], strict=True)
    if options.grid is not None:
        before, after = (_tiles(each) for each in zip(*tiles, strict=True))
        images.save_png(options.grid, images.paired_grid(before, after))
        say(f"Grid: {options.grid}")
    say(f"{count} {'translation' if count == 1 else 'translations'}: {options.output}")
    return 0


def _channels(model: GenerativeModel, options: argparse.Namespace) -> int:
    """The number of channels of the images that the model translates."""
    from kgan.training.capabilities import Cycles

    if options.to is not None and not isinstance(model, Cycles):
        raise ValueError(
            "Expected no --to, since this model has one direction. Received: --to "
            f"{options.to} and {options.model}, which holds a {type(model).__name__}."
        )
    spec = model.batch_spec(training=True)
    if options.to == "a" and spec.second is not None:
        spec = spec.second
    channels = spec.shape[-1]
    if channels not in {1, 3}:
        raise ValueError(
            "Expected a model of images with 1 or 3 channels, as pictures have. Received: "
            f"{options.model}, a model of {channels}."
        )
    return channels


def _batches(
    paths: Sequence[Path], channels: int, image_size: list[int] | None
) -> Iterator[_Batch]:
    """The pictures in their order. Neighbours of one size are in one batch."""
    from kgan.data.picture_files import read_picture

    size = None if image_size is None else (image_size[0], image_size[1])
    waiting: list[tuple[str, Pictures, Path]] = []
    for path, name in zip(paths, output_names(paths), strict=True):
        if path.suffix.lower() == _ARRAYS:
            yield from _stacked(waiting)
            waiting = []
            yield _Batch([name], _arrays(path, channels), path)
            continue
        try:
            picture = read_picture(path, channels, size)
        except ValueError:
            yield from _stacked(waiting)  # the error loses no translation of an earlier picture
            raise
        most = min(_MOST_AT_ONCE, _MOST_PIXELS_AT_ONCE // picture.size)
        if waiting and (picture.shape != waiting[0][1].shape or len(waiting) >= most):
            yield from _stacked(waiting)
            waiting = []
        waiting.append((name, picture, path))
    yield from _stacked(waiting)


def _stacked(waiting: Sequence[tuple[str, Pictures, Path]]) -> Iterator[_Batch]:
    """The batch of these pictures, if there are any."""
    import numpy as np

    if waiting:
        names, pictures, paths = zip(*waiting, strict=True)
        yield _Batch([*names], np.stack(pictures), paths[0])


def _arrays(path: Path, channels: int) -> Pictures:
    """The images of a file of arrays."""
    import numpy as np

    try:
        if not zipfile.is_zipfile(path):
            raise ValueError("a file that is not of this format, or is cut off")
        with np.load(path, allow_pickle=False) as arrays:
            if "images" not in arrays:
                raise ValueError(f"arrays named {', '.join(arrays) or 'nothing'}")
            found = arrays["images"]
        if (
            found.dtype != np.uint8
            or found.ndim != 4
            or found.shape[-1] != channels
            or not found.size
        ):
            raise ValueError(f"{found.dtype} of shape {found.shape}")
    except (ValueError, zipfile.BadZipFile) as error:
        raise ValueError(
            f"Expected `images`, uint8 (N, H, W, {channels}) for this model, in {path}. "
            f"Received: {error}."
        ) from error
    return found


def output_names(paths: Sequence[Path]) -> list[str]:
    """The names of the translations: those of the inputs, in .png or .npz.

    Where two would have the same name, both get that of their folder in front. If that does not
    help, they get their extension, and at last their number.
    """
    levels = [0] * len(paths)
    while True:
        names = [
            _name(path, level, number)
            for number, (path, level) in enumerate(zip(paths, levels, strict=True))
        ]
        # Some file systems do not distinguish upper and lower case.
        counts = collections.Counter(name.casefold() for name in names)
        repeated = [counts[name.casefold()] > 1 for name in names]
        if not any(repeated):
            return names
        levels = [level + again for level, again in zip(levels, repeated, strict=True)]


def _name(path: Path, level: int, number: int) -> str:
    name = path.stem
    if level >= 1:
        name = f"{path.absolute().parent.name}_{name}"
    if level >= 2:
        name = f"{name}_{path.suffix[1:]}"
    if level >= 3:
        name = f"{name}_{number}"
    return name + (_ARRAYS if path.suffix.lower() == _ARRAYS else ".png")


def _save(directory: Path, names: Sequence[str], made: Pictures) -> None:
    from kgan import images

    if names[0].endswith(_ARRAYS):
        images.save_npz(directory / names[0], images=made)
        return
    for name, picture in zip(names, made, strict=True):
        images.save_png(directory / name, picture)


def _tiles(pictures: Sequence[Pictures]) -> Pictures:
    """Pictures of several sizes, all scaled to that of the first, on white."""
    import numpy as np
    from PIL import ImageOps

    height, width = pictures[0].shape[:2]
    scale = min(1.0, _GRID_SIDE / max(height, width))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    padded = [ImageOps.pad(_as_pillow(each), size, color="white") for each in pictures]
    return np.stack(list(map(np.asarray, padded))).reshape(len(padded), size[1], size[0], -1)


def _as_pillow(picture: Pictures) -> Image.Image:
    from PIL import Image

    return Image.fromarray(picture[..., 0] if picture.shape[-1] == 1 else picture)

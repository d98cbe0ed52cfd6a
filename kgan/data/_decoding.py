"""Decodes picture files into uint8 arrays, also as a worker process.

This module imports neither kgan nor Keras: worker processes load it by its path, and are ready in a
fraction of a second. `kgan.data._workers` starts them.

Baseline and progressive JPEG files are decoded by simplejpeg (libjpeg-turbo), everything else by
Pillow. Both give the same pixels for a JPEG. In `benchmarks/image_folder.py`, simplejpeg is the
quickest: a CIFAR-10 picture takes it 6 us, OpenCV 15 us and Pillow 70 us.
"""

import contextlib
import io
import os
import pickle
import signal
import stat
import sys
import warnings
from collections.abc import Iterator, Sequence
from typing import IO, Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt
import simplejpeg
from PIL import Image, UnidentifiedImageError

Pixels: TypeAlias = npt.NDArray[np.uint8]

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP")

UNREADABLE = "unreadable"
CHANGED = "changed"
OTHER_SIZE = "other size"
COLOUR = "colour"

# Larger pictures are first reduced to so many times the target, by averaging blocks of pixels.
# Levels of noisy pictures move by 0.5 on average and by 3 at most, and resizing takes half the
# time. With a gap of 2, levels move by up to 14.
_GAP = 3

_ORIENTATION = 0x0112  # the tag of EXIF
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_EXIF = b"Exif\0\0"
_EXIF_WITHIN = 1 << 17  # the segment comes early, and has at most 64 KB

# libjpeg-turbo warns of these in many files of cameras and editors; their pixels are complete.
_HARMLESS = ("extraneous bytes before marker", "Invalid SOS parameters")
_BROKEN = ("Premature end", "Corrupt JPEG")

# No format stores more bytes for a pixel; headers and the later frames of a GIF come on top.
_BYTES_PER_PIXEL = 8
_EXTRA_BYTES = 1 << 26


class Target(NamedTuple):
    """The form that all pictures get.

    Attributes:
        height: Integer, pixels.
        width: Integer, pixels.
        channels: Integer, 1 or 3.
        resize: String, one of `kgan.data.image_folder.RESIZE`.
        background: Three integers, the colour behind transparent pixels and of padding.
        max_pixels: Integer, larger pictures are not decoded.
        allow_colour: Boolean, whether a grey target takes colour pictures.
        half: String, `"left"` or `"right"`, the part of each picture that is used; None for whole
            pictures.
    """

    height: int
    width: int
    channels: int
    resize: str
    background: tuple[int, int, int]
    max_pixels: int
    allow_colour: bool = True
    half: str | None = None


class PictureState(NamedTuple):
    """A picture file and the state in which it was listed."""

    path: str
    size: int
    modified: int
    changed: int


class Fault(NamedTuple):
    """A picture of a chunk that was not decoded: its position there, the kind and the reason."""

    position: int
    kind: str
    reason: str


class PictureError(Exception):
    """A picture that cannot be decoded as asked."""

    def __init__(self, kind: str, reason: str) -> None:
        super().__init__(reason)
        self.kind = kind
        self.reason = reason


def decode_chunk(
    pictures: Sequence[PictureState], target: Target, path: str, offset: int
) -> list[Fault]:
    """Decodes pictures and writes them to a file, one after the other.

    They are written in one piece, so that a full disk is an error here and not a signal, as it
    would be in a memory map.

    Args:
        pictures: The files.
        target: The form of the pictures.
        path: The file to write to, which exists.
        offset: Integer, the place of the first picture in it.

    Returns:
        The pictures that could not be decoded. Their places in the file hold zeros.

    Raises:
        OSError: The file cannot be written; the error names it.
    """
    shape = len(pictures), target.height, target.width, target.channels
    pixels = np.zeros(shape, np.uint8)
    faults = []
    with quiet_pillow():
        for position, state in enumerate(pictures):
            try:
                decode_into(pixels[position], read_unchanged(state, target.max_pixels), target)
            except PictureError as error:
                pixels[position] = 0
                faults.append(Fault(position, error.kind, error.reason))
    try:
        with open(path, "rb+", buffering=0) as file:  # noqa: PTH123 (a string, from another process)
            file.seek(offset)
            view = pixels.reshape(-1).data
            while view:
                view = view[file.write(view) :]
    except OSError as error:
        raise OSError(error.errno, error.strerror, path) from error
    return faults


def read_unchanged(state: PictureState, max_pixels: int) -> bytes:
    """Reads a file that is still as it was listed.

    Raises:
        PictureError: It changed, cannot be read, or is too large for a picture.
    """
    if state.size < 0:
        raise _of_no_file(state.path)
    if state.size > max_pixels * _BYTES_PER_PIXEL + _EXTRA_BYTES:
        raise PictureError(
            UNREADABLE, f"{state.size:,} bytes, too many for a picture of {max_pixels:,} pixels"
        )
    data, now = _read(state.path, state.size)
    if (now.st_size, now.st_mtime_ns, now.st_ctime_ns) != state[1:] or len(data) != state.size:
        raise PictureError(CHANGED, "it changed")
    if not data:
        raise PictureError(UNREADABLE, "the file is empty")
    return data


def _of_no_file(path: str) -> PictureError:
    """The error of a path that was not a file when it was listed, such as a broken link."""
    try:
        mode = os.stat(path).st_mode  # noqa: PTH116
    except OSError as error:
        return PictureError(UNREADABLE, error.strerror or str(error))
    if stat.S_ISREG(mode):
        return PictureError(CHANGED, "it appeared")
    return PictureError(UNREADABLE, "not a regular file")


def _read(path: str, size: int) -> tuple[bytes, os.stat_result]:
    # O_NONBLOCK: a file that was replaced by a pipe must not make this wait.
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | _BINARY)
        try:
            data = os.read(descriptor, size)
            while len(data) < size and (more := os.read(descriptor, size - len(data))):
                data += more
            # After reading, so that a change meanwhile shows.
            return data, os.fstat(descriptor)
        finally:
            os.close(descriptor)
    except FileNotFoundError as error:
        raise PictureError(CHANGED, "it was removed") from error
    except OSError as error:
        raise PictureError(UNREADABLE, error.strerror or str(error)) from error


_BINARY = getattr(os, "O_BINARY", 0)


def decode_into(out: Pixels, data: bytes, target: Target) -> None:
    """Decodes one picture.

    Args:
        out: Uint8 `(height, width, channels)` of the target, which gets the pixels.
        data: The content of the file.
        target: The form of the picture.

    Raises:
        PictureError: The picture cannot be decoded, or not in this form.
    """
    if data.startswith(b"\xff\xd8") and _decode_jpeg(out, data, target):
        return
    picture = decoded(data, target.max_pixels)
    if not (target.allow_colour or is_grey(picture)):
        raise PictureError(COLOUR, "it has colour")
    flat = _flattened(_half(picture, target), target)
    out[...] = np.asarray(_resized(flat, target)).reshape(out.shape)


def _decode_jpeg(out: Pixels, data: bytes, target: Target) -> bool:
    """Decodes a JPEG file by simplejpeg, if that can: returns whether it did."""
    turn = _turn(data)
    if turn is None and target.channels == 3 and not target.half and _decode_in_place(out, data):
        return True
    try:
        height, width, colours, _ = simplejpeg.decode_jpeg_header(data)
    except ValueError:
        return False
    if colours not in {"YCbCr", "RGB", "Gray"}:
        return False
    check_pixels(width, height, target.max_pixels)
    if colours != "Gray" and not target.allow_colour:
        raise PictureError(COLOUR, "it has colour")
    # A colour picture becomes grey by Pillow, as those of other formats do.
    grey = colours == "Gray" and target.channels == 1
    # libjpeg decodes at a fraction of the size, averaging, if the resizing needs no more.
    side = 0 if target.resize == "none" or target.half else _GAP * max(target.height, target.width)
    pixels = _simplejpeg(data, "GRAY" if grey else "RGB", side)
    if pixels is None:
        return False
    picture = Image.fromarray(pixels[..., 0] if grey else pixels)
    if turn is not None:
        picture = picture.transpose(turn)
    flat = _flattened(_half(picture, target), target)
    out[...] = np.asarray(_resized(flat, target)).reshape(out.shape)
    return True


def _decode_in_place(out: Pixels, data: bytes) -> bool:
    """Decodes a JPEG file of the right size without a copy: returns whether it did.

    This is the common case of small pictures, where each microsecond counts.
    """
    try:
        return simplejpeg.decode_jpeg(data, "RGB", buffer=out).shape == out.shape
    except ValueError:  # too large for the array, broken, or only for Pillow
        return False


def _turn(data: bytes) -> Image.Transpose | None:
    """How to turn the pixels of a JPEG file, by its EXIF data."""
    if data.find(_EXIF, 0, _EXIF_WITHIN) < 0:
        return None
    try:
        with Image.open(io.BytesIO(data), formats=("JPEG",)) as picture:
            return _TURNS.get(picture.getexif().get(_ORIENTATION, 1))
    except Exception:  # broken EXIF data, as in `decoded`
        return None


def _simplejpeg(data: bytes, space: str, side: int) -> Pixels | None:
    """The pixels of a JPEG file, of at least so many a side; None if only Pillow can decode it."""
    options = {"min_height": side, "min_width": side, "min_factor": 2 if side else 1}
    try:
        return simplejpeg.decode_jpeg(data, space, **options)
    except ValueError as error:
        reason = str(error)
    if any(words in reason for words in _HARMLESS):
        return simplejpeg.decode_jpeg(data, space, strict=False, **options)
    if any(words in reason for words in _BROKEN):
        raise PictureError(UNREADABLE, reason)
    return None


def decoded(data: bytes, max_pixels: int) -> Image.Image:
    """Decodes a picture by Pillow: its first frame, upright.

    Args:
        data: The content of the file.
        max_pixels: Integer, larger pictures are not decoded.

    Returns:
        The picture, in any mode.

    Raises:
        PictureError: It cannot be decoded, or is too large.
    """
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as picture:
            check_pixels(picture.width, picture.height, max_pixels)
            picture.load()
            turn = _TURNS.get(picture.getexif().get(_ORIENTATION, 1))
            upright = picture if turn is None else picture.transpose(turn)
    except PictureError:
        raise
    except UnidentifiedImageError as error:
        raise PictureError(UNREADABLE, "not a JPEG, PNG, WebP, GIF or BMP file") from error
    # Broken files make Pillow's decoders raise errors of many classes.
    except Exception as error:
        raise PictureError(UNREADABLE, str(error) or type(error).__name__) from error
    return upright


def check_pixels(width: int, height: int, max_pixels: int) -> None:
    """Checks the size that a header states, before anything of that size is allocated.

    Raises:
        PictureError: It is above the limit.
    """
    if width * height > max_pixels:
        raise PictureError(
            UNREADABLE, f"{width:,} x {height:,} pixels, more than max_pixels={max_pixels:,}"
        )


def is_grey(picture: Image.Image) -> bool:
    """Whether the format of a picture holds no colour."""
    return picture.mode in {"1", "L", "LA", "La", "F"} or picture.mode.startswith("I")


def oriented_size(picture: Image.Image) -> tuple[int, int]:
    """The height and width of an opened picture when it is upright."""
    width, height = picture.size
    turned = picture.getexif().get(_ORIENTATION, 1) in {5, 6, 7, 8}
    return (width, height) if turned else (height, width)


def _half(picture: Image.Image, target: Target) -> Image.Image:
    """The part of an upright picture that the target uses. Resizing must not see the other half."""
    if target.half is None:
        return picture
    width, height = picture.size
    if width % 2:
        raise PictureError(UNREADABLE, f"an odd width of {width} pixels, which has no two halves")
    left = 0 if target.half == "left" else width // 2
    return picture.crop((left, 0, left + width // 2, height))


def _flattened(picture: Image.Image, target: Target) -> Image.Image:
    """The picture in mode L or RGB, on the background if it is transparent."""
    if picture.mode.startswith("I"):
        levels = np.clip(np.asarray(picture).astype(np.int64), 0, 65535)
        picture = Image.fromarray(((levels + 128) // 257).astype(np.uint8))
    if picture.has_transparency_data:
        canvas = Image.new("RGBA", picture.size, (*target.background, 255))
        picture = Image.alpha_composite(canvas, picture.convert("RGBA")).convert("RGB")
    return picture.convert("L" if target.channels == 1 else "RGB")


def _resized(picture: Image.Image, target: Target) -> Image.Image:
    width, height = picture.size
    size = target.width, target.height
    if picture.size == size:
        return picture
    if target.resize == "none":
        raise PictureError(OTHER_SIZE, f"{height}x{width} pixels")
    if target.resize == "stretch":
        return picture.resize(size, Image.Resampling.LANCZOS, reducing_gap=_GAP)
    horizontal, vertical = width / target.width, height / target.height
    if target.resize == "center_crop":
        scale = min(horizontal, vertical)
        left, top = (width - target.width * scale) / 2, (height - target.height * scale) / 2
        # Within the picture, whatever rounding does.
        box = max(left, 0.0), max(top, 0.0), min(width - left, width), min(height - top, height)
        return picture.resize(size, Image.Resampling.LANCZOS, box, _GAP)
    scale = max(horizontal, vertical)
    inner = (
        min(max(round(width / scale), 1), target.width),
        min(max(round(height / scale), 1), target.height),
    )
    colour = Image.new("RGB", (1, 1), target.background).convert(picture.mode).getpixel((0, 0))
    canvas = Image.new(picture.mode, size, colour)
    place = (target.width - inner[0]) // 2, (target.height - inner[1]) // 2
    resized = picture.resize(inner, Image.Resampling.LANCZOS, reducing_gap=_GAP)
    canvas.paste(resized, place)
    return canvas


@contextlib.contextmanager
def quiet_pillow() -> Iterator[None]:
    """Has Pillow leave large pictures to `check_pixels`, and not warn of odd files."""
    limit = Image.MAX_IMAGE_PIXELS
    Image.MAX_IMAGE_PIXELS = None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        Image.MAX_IMAGE_PIXELS = limit


def probed(state: PictureState, max_pixels: int) -> tuple[int, int, bool]:
    """Reads a picture's height, width and whether it is grey.

    Raises:
        PictureError: It cannot be read.
    """
    data = read_unchanged(state, max_pixels)
    with quiet_pillow():
        picture = decoded(data, max_pixels)
    return picture.height, picture.width, is_grey(picture)


def header_size(path: str) -> tuple[int, int] | None:
    """The height and width that the header of a picture states, or None."""
    try:
        with quiet_pillow(), Image.open(path, formats=FORMATS) as picture:
            return oriented_size(picture)
    except Exception:  # as in `decoded`
        return None


def serve(requests: IO[bytes], replies: IO[bytes]) -> None:
    """Decodes chunks until the requests end.

    Each request is a pickled tuple (pictures, target, path, offset), a reply the faults or an
    error, in built-in types only: this module has another name in the process that asks.
    """
    while True:
        try:
            pictures, target, path, offset = pickle.load(requests)  # noqa: S301 (from our parent)
        except EOFError:
            return
        states = [PictureState(*state) for state in pictures]
        answer: list[tuple[Any, ...]] | OSError
        try:
            answer = list(map(tuple, decode_chunk(states, Target(*target), path, offset)))
        except OSError as error:
            answer = error
        pickle.dump(answer, replies)
        replies.flush()


def main() -> None:
    """Runs a worker process, on its standard input and output."""
    # The parent stops its workers; Ctrl-C goes to it and to them.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    replies = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # so that nothing else gets between the replies
    # A parent that was killed is no error.
    with contextlib.suppress(BrokenPipeError):
        serve(sys.stdin.buffer, replies)

"""Data sets from a folder of pictures, decoded once into a memory map."""

import contextlib
import gc
import itertools
import operator
import os
import stat
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeAlias, get_args

import numpy as np

from kgan._arguments import integer
from kgan._files import cache_directory
from kgan._registry import did_you_mean
from kgan._typing import Labels, Pictures
from kgan._warnings import warn_outside
from kgan.data._checks import DataWarning
from kgan.data._decoders import shown
from kgan.data._decoding import PictureState
from kgan.data._picture_cache import DecodedPictures, Options, decoded_pictures, listed_faults
from kgan.data.image_dataset import ImageDataset

Resize: TypeAlias = Literal["center_crop", "pad", "stretch", "none"]
RESIZE = get_args(Resize)

EXTENSIONS = (".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".gif", ".bmp", ".dib")

_NO_CLASS = "__MACOSX"  # a folder that macOS adds to archives


def load_image_folder(
    directory: str | os.PathLike[str],
    image_size: int | tuple[int, int] | None = None,
    *,
    channels: int | None = None,
    resize: Resize = "center_crop",
    background: tuple[int, int, int] = (255, 255, 255),
    labels: bool = True,
    class_names: Sequence[str] | None = None,
    on_unreadable: Literal["error", "skip"] = "error",
    max_pixels: int = 2**26,
    cache_dir: str | os.PathLike[str] | None = None,
    processes: int | None = None,
    verbose: bool = True,
    **dataset_options: Any,
) -> ImageDataset:
    """Loads a folder of JPEG, PNG, WebP, GIF and BMP pictures, of any number and size.

    The pictures are decoded once, by several processes, into a file of uint8 pixels. The dataset
    reads that file as a memory map. So the pictures may exceed memory, and an epoch takes as little
    time as with an array.

    **Classes.** Each folder in `directory` that holds pictures is a class, in the order of their
    names. Pictures in folders below it belong to the same class. If all pictures lie in `directory`
    itself, there are no labels. Pictures in both places are an error, unless `labels=False`. A
    folder without pictures is no class, and causes a warning. Within a class, pictures are in the
    order of their relative paths.

    **Files.** Pictures are found by the extensions .jpg, .jpeg, .jpe, .jfif, .png, .webp, .gif,
    .bmp and .dib, in any case. Their content decides how they are decoded. Other files, and hidden
    files and folders, which begin with a dot, are left out. Links are followed.

    **Pixels.** Pictures are turned upright by their EXIF data. Transparent pixels get the
    `background`. 16-bit levels are rounded to 8 bits, and CMYK is converted without a colour
    profile. A GIF or WebP film gives its first frame. Resizing is Pillow's `LANCZOS`, which
    averages over all pixels of a larger picture. A much larger picture is first reduced to about 3
    times the size by averaging blocks of pixels, which moves levels by about 3 at most.

    **The cache.** It is made for the path of the folder, these options, and the relative path,
    size, modification time and change time of each picture. The content is not read to decide
    whether the cache is current. When pictures change, they are decoded again, and the old file is
    removed. An interrupted call resumes where it stopped. The file is complete or absent, and
    several processes make it only once. Delete the cache whenever you like.

    Args:
        directory: Path of the folder.
        image_size: Integer, or pair of integers `(height, width)`. Defaults to `None`: the size of
            the pictures, which must then all have the same.
        channels: Integer, 3 for colour or 1 for grey. Defaults to `None`: 1 if every file is in a
            grey format, 3 otherwise.
        resize: String, how a picture of another size gets `image_size`: `"center_crop"` scales the
            shorter side and cuts the middle out, `"pad"` scales the longer side and adds
            `background`, `"stretch"` scales each side by itself, and `"none"` raises an error.
            Defaults to `"center_crop"`.
        background: Three integers from 0 to 255: red, green and blue. Defaults to white.
        labels: Boolean, whether folders are classes. With `False`, all pictures below `directory`
            are used, without labels. Defaults to `True`.
        class_names: Strings, the folders of all classes in order, such as `train.class_names` for
            the test set. Defaults to `None`: the folders that hold pictures, sorted.
        on_unreadable: String, `"error"`, or `"skip"` to leave out pictures that cannot be decoded,
            with a warning that lists them. Defaults to `"error"`.
        max_pixels: Integer, pictures of more pixels are unreadable. Their headers say so: they are
            not decoded. A process needs up to about 16 bytes for each. Defaults to 67 million.
        cache_dir: Path of the directory for caches. Defaults to `None`:
            `~/.keras/datasets/kgan/image_folders`, or the same below the environment variable
            `KERAS_HOME`.
        processes: Integer, the processes that decode, this one included. It does not change the
            images. Defaults to `None`: one for each processor, or this one alone for few pictures.
        verbose: Boolean, whether to print the size of the cache before it is made, and progress.
            Defaults to `True`.
        **dataset_options: Arguments of `kgan.data.ImageDataset`: `batch_size`, `shuffle`, `seed`,
            `value_range`, `dtype`, `levels` and others.

    Returns:
        A `kgan.data.ImageDataset` of uint8 images `(N, H, W, C)`. With classes, it has int32 labels
        `(N,)` and `class_names`.

    Raises:
        FileNotFoundError: There is no such folder.
        OSError: A folder cannot be read, the cache cannot be written, or the disk has too little
            space for it.
        ValueError: There are no pictures, some cannot be decoded, they have several sizes and
            `image_size` is `None`, one changes while it is decoded, links form a loop, or an
            argument is outside the limits above.

    Warns:
        DataWarning: Pictures were left out, or a folder has no pictures.

    Example:
    ```python
    import pathlib

    import numpy as np
    from PIL import Image

    rng = np.random.default_rng(0)
    for name in ("cats", "dogs"):
        pathlib.Path("pets", name).mkdir(parents=True)
        for number in range(8):
            pixels = rng.integers(0, 256, (48, 64, 3), dtype="uint8")
            Image.fromarray(pixels).save(f"pets/{name}/{number}.jpg")

    pets = kgan.data.load_image_folder("pets", image_size=32, batch_size=4, seed=0)
    pets.class_names  # ("cats", "dogs")
    images, labels = pets[0]  # float32 (4, 32, 32, 3) in [-1, 1], int32 (4,)
    ```
    """
    loading = checked_loading(
        image_size,
        channels=channels,
        resize=resize,
        background=background,
        on_unreadable=on_unreadable,
        max_pixels=max_pixels,
        cache_dir=cache_dir,
        processes=processes,
        verbose=verbose,
    )
    folder = Path(directory).expanduser()
    listing = list_pictures(folder, labels, class_names)
    images, classes = load_pictures(folder, listing, loading)
    if listing.class_names is not None:
        dataset_options.setdefault("class_names", listing.class_names)
        dataset_options.setdefault("num_classes", len(listing.class_names))
    return ImageDataset(images, classes, **dataset_options)


class Loading(NamedTuple):
    """How pictures are loaded.

    Attributes:
        form: The options that decide the pixels.
        on_unreadable: String, see `load_image_folder`.
        caches: Path, the directory for caches.
        processes: Integer, or None, see `load_image_folder`.
        verbose: Boolean.
        can_skip: Boolean, whether the caller of the loader can choose `on_unreadable`.
    """

    form: Options
    on_unreadable: str
    caches: Path
    processes: int | None
    verbose: bool
    can_skip: bool = True


def checked_loading(
    image_size: int | tuple[int, int] | None = None,
    *,
    channels: int | None = None,
    resize: Resize = "center_crop",
    background: tuple[int, int, int] = (255, 255, 255),
    on_unreadable: Literal["error", "skip"] = "error",
    max_pixels: int = 2**26,
    cache_dir: str | os.PathLike[str] | None = None,
    processes: int | None = None,
    verbose: bool = True,
) -> Loading:
    """Checks the arguments of `load_image_folder` about pictures, before any is read."""
    form = Options(
        _checked_size(image_size),
        _checked_channels(channels),
        check_choice("resize", resize, RESIZE),
        _checked_background(background),
        integer("max_pixels", max_pixels),
    )
    check_choice("on_unreadable", on_unreadable, ("error", "skip"))
    if processes is not None:
        integer("processes", processes, 1)
    caches = cache_directory("image_folders") if cache_dir is None else Path(cache_dir).expanduser()
    return Loading(form, on_unreadable, caches, processes, verbose)


def load_pictures(
    folder: Path, listing: "Listing", loading: Loading
) -> tuple[Pictures, Labels | None]:
    """Decodes pictures of a folder, or opens the cache that has them.

    Args:
        folder: The folder.
        listing: Its pictures, in the order of the images.
        loading: How they are loaded.

    Returns:
        The images, a read-only memory map, uint8 `(N, H, W, C)`; and the labels of those that were
        not left out, int32 `(N,)`, or None if there are no classes.

    Raises:
        OSError: The cache cannot be written, or the disk has too little space for it.
        ValueError: Some pictures cannot be decoded, or not in this form.
    """
    decoded = decoded_pictures(
        folder,
        listing.pictures,
        loading.form,
        loading.caches,
        loading.processes,
        loading.verbose,
    )
    classes = listing.labels
    if decoded.unreadable:
        _report_unreadable(folder, listing, decoded, loading)
        if classes is not None:
            classes = np.delete(classes, list(decoded.unreadable))
    return decoded.images, classes


class Listing(NamedTuple):
    """The pictures of a folder, in the order of the images.

    Attributes:
        pictures: Their files.
        labels: Int32 `(N,)`, or None if there are no classes.
        class_names: Strings, one for each class, or None.
    """

    pictures: list[PictureState]
    labels: Labels | None
    class_names: tuple[str, ...] | None


@contextlib.contextmanager
def _uncollected() -> Iterator[None]:
    """Pauses garbage collection.

    A new object for each file makes Python search all objects for garbage, also those of the
    backend. That takes longer than the listing itself, and none of these is garbage.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def list_pictures(
    folder: Path, labels: bool = True, class_names: Sequence[str] | None = None
) -> Listing:
    """Lists the pictures of a folder and their classes, see `load_image_folder`.

    Args:
        folder: The folder.
        labels: Boolean, whether the folders in it are classes.
        class_names: Strings, the folders of all classes in order; None for those that are there.

    Returns:
        The pictures, sorted by class and by path.
    """
    with _uncollected():
        return _listed(folder, labels, class_names)


def _listed(folder: Path, labels: bool, class_names: Sequence[str] | None) -> Listing:
    if not folder.exists():
        raise FileNotFoundError(f"Expected a folder of pictures. Received: {folder}, not found.")
    if not folder.is_dir():
        raise ValueError(f"Expected a folder of pictures. Received: {folder}, a file.")
    root = str(folder)
    inside, folders = _scan(root)
    identity = _identity(root)
    below = {Path(path).name: _in_order(_below(path, (identity,))) for path in sorted(folders)}
    if not inside and not any(below.values()):
        raise ValueError(
            f"Expected pictures ({', '.join(EXTENSIONS)}) in {shown(root)} or in folders of it. "
            f"Received: {_content(folder)}."
        )
    if not labels:
        everything = itertools.chain(inside, *below.values())
        return Listing(_in_order(everything), None, None)
    if not any(below.values()):
        if class_names is not None:
            raise ValueError(
                f"Expected a folder for each of class_names in {shown(root)}. Received: pictures "
                "without folders. Leave class_names out."
            )
        return Listing(_in_order(inside), None, None)
    if inside:
        raise ValueError(
            "Expected all pictures in folders, one for each class, or none. Received: "
            f"{shown(min(inside).path)}, which has no class, and pictures in folders. Move it, or "
            "pass labels=False to use all pictures without classes."
        )
    return _with_classes(folder, below, class_names)


def _with_classes(
    folder: Path, below: dict[str, list[PictureState]], class_names: Sequence[str] | None
) -> Listing:
    held = {shown(name): pictures for name, pictures in below.items() if pictures}
    if class_names is None:
        empty = [shown(name) for name in below if not below[name] and name != _NO_CLASS]
        if empty:
            warn_outside(
                f"Expected pictures in every folder of {shown(str(folder))}. Received: none in "
                f"{', '.join(empty[:10])}, which get no class. Pass class_names to number all "
                "classes yourself.",
                DataWarning,
            )
        names = tuple(held)
    else:
        names = tuple(class_names)
        unknown = [name for name in held if name not in names]
        if unknown:
            raise ValueError(
                f"Expected folders of the classes {', '.join(names)} in {shown(str(folder))}. "
                f"Received: {', '.join(unknown)}. Add them to class_names, or move them."
            )
    counts = [len(held.get(name, ())) for name in names]
    pictures = [picture for name in names for picture in held.get(name, ())]
    return Listing(pictures, np.repeat(np.arange(len(names), dtype=np.int32), counts), names)


def _below(folder: str, ancestors: tuple[tuple[int, int], ...]) -> Iterator[PictureState]:
    """Gives the pictures at any depth below a folder."""
    left = [(folder, ancestors)]
    while left:
        current, above = left.pop()
        identity = _identity(current)
        if identity in above:
            raise ValueError(
                f"Expected folders without loops. Received: {shown(current)}, a link to a folder "
                "that contains it. Remove the link."
            )
        pictures, folders = _scan(current)
        yield from pictures
        left.extend((path, (*above, identity)) for path in folders)


def _in_order(pictures: Iterable[PictureState]) -> list[PictureState]:
    return sorted(pictures, key=operator.itemgetter(0))


def _identity(folder: str) -> tuple[int, int]:
    status = os.stat(folder)  # noqa: PTH116
    return status.st_dev, status.st_ino


def _scan(folder: str) -> tuple[list[PictureState], list[str]]:
    """The pictures and the folders in a folder, without hidden ones."""
    pictures, folders = [], []
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                name = entry.name
                if name.startswith("."):
                    continue
                if _is_folder(entry):
                    folders.append(entry.path)
                elif name[name.rfind(".") :].lower() in EXTENSIONS:
                    pictures.append(_state(entry))
    except OSError as error:
        raise OSError(
            error.errno,
            f"Expected a folder that can be read ({error.strerror}). Change its permissions, or "
            "move it away",
            shown(folder),
        ) from error
    return pictures, folders


def _is_folder(entry: "os.DirEntry[str]") -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def _state(entry: "os.DirEntry[str]") -> PictureState:
    try:
        status = entry.stat()
    except OSError:  # a broken link; the reason is reported when it is decoded
        return PictureState(entry.path, -1, 0, 0)
    if not stat.S_ISREG(status.st_mode):
        return PictureState(entry.path, -1, 0, 0)
    return PictureState(entry.path, status.st_size, status.st_mtime_ns, status.st_ctime_ns)


def _content(folder: Path) -> str:
    """Describes the files of a folder without pictures."""
    names = sorted(shown(path.name) + "/" * path.is_dir() for path in folder.iterdir())
    if not names:
        return "an empty folder"
    more = f" and {len(names) - 10} more" if len(names) > 10 else ""
    return f"a folder with {', '.join(names[:10])}{more}, without pictures"


def _report_unreadable(
    folder: Path, listing: Listing, decoded: DecodedPictures, loading: Loading
) -> None:
    """Raises an error or warns, and writes the whole list next to the cache."""
    count = len(decoded.unreadable)
    everything = listed_faults(listing.pictures, decoded.unreadable, most=count)
    path = decoded.path / "unreadable.txt"
    try:
        path.write_text(everything + "\n", "utf-8")
        kept = f" All are listed in {shown(str(path))}." if count > 10 else ""
    except OSError:  # a cache that can only be read
        kept = ""
    received = (
        f"Expected pictures that can be decoded in {shown(str(folder))}. Received: {count:,} of "
        f"{len(listing.pictures):,} that cannot:\n"
        f"{listed_faults(listing.pictures, decoded.unreadable)}\n"
    )
    if loading.on_unreadable == "error":
        other = "pass on_unreadable='skip'" if loading.can_skip else "replace them"
        raise ValueError(f"{received}Remove them, or {other}.{kept}")
    warn_outside(f"{received}They were left out.{kept}", DataWarning)


def _checked_size(image_size: Any) -> tuple[int, int] | None:
    if image_size is None:
        return None
    try:
        sides = tuple(image_size) if isinstance(image_size, (tuple, list)) else (image_size,) * 2
        height, width = (integer("image_size", side) for side in sides)
    except ValueError:
        raise ValueError(
            "Expected `image_size` to be an integer of at least 1, or a pair of them "
            f"(height, width). Received: image_size={image_size!r}."
        ) from None
    return height, width


def _checked_channels(channels: Any) -> int | None:
    if channels not in {None, 1, 3}:
        raise ValueError(
            "Expected `channels` to be 3 for colour, 1 for grey, or None. "
            f"Received: channels={channels!r}."
        )
    return None if channels is None else int(channels)


def check_choice(name: str, value: Any, choices: Sequence[str]) -> str:
    """Returns a value that is one of the choices, or raises an error."""
    if value not in choices:
        raise ValueError(
            f"Expected `{name}` to be one of {', '.join(map(repr, choices))}. "
            f"Received: {name}={value!r}.{did_you_mean(value, choices)}"
        )
    return str(value)


def _checked_background(background: Any) -> tuple[int, int, int]:
    try:
        red, green, blue = (integer("background", value, 0) for value in background)
    except (TypeError, ValueError):
        red = green = blue = 256
    if max(red, green, blue) > 255:
        raise ValueError(
            "Expected `background` to be three integers from 0 to 255. "
            f"Received: background={background!r}."
        )
    return red, green, blue

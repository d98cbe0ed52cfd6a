"""Decoded pictures on disk: one `.npy` file for each state of a folder and each set of options.

A cache is a directory `<folder>-<place>-<state>`:

- `<place>` is a digest of the folder's path and the options, `<state>` of the relative path, size,
  modification time and change time of every picture. The content is not read for it. Whatever
  writes to a file moves its change time, even where a program sets the modification time back.
- `images.npy` holds the pixels, uint8 `(N, H, W, C)`; `index.json` the names and the rest.

While it is made, its name ends in `.partial`. It is renamed when it is complete and on disk. A
journal holds the chunks that are on disk, so that an interrupted build resumes. A process that
builds has a lock on the directory, and others wait for it.
"""

import contextlib
import errno
import hashlib
import itertools
import json
import os
import re
import shutil
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import keras
import numpy as np

from kgan._files import held
from kgan._typing import Pictures
from kgan.data import _decoding
from kgan.data._decoders import Chunk, decode_chunks, shown
from kgan.data._decoding import Fault, PictureError, PictureState, Target

_IMAGES = "images.npy"
_INDEX = "index.json"
_PLAN = "plan.json"
_JOURNAL = "journal.jsonl"
_PARTIAL = ".partial"

_VERSION = 1  # of the decoded pixels and of the files
_HEADER_SIZE = 128
_CHUNK_BYTES = 2 << 20
_MOST_IN_CHUNK = 512
_SECONDS_BETWEEN_SYNCS = 2.0
_SECONDS_BETWEEN_TRIES = 0.2
_SIZES_IN_ERROR = 2_000  # pictures whose headers are read for the error on several sizes
_FEW_PICTURES = 256  # decoded in this process, before others would be ready


class Options(NamedTuple):
    """The options that decide the pixels.

    Attributes:
        size: Pair of integers `(height, width)`, or None for that of the pictures.
        channels: Integer, 1 or 3, or None for 1 if all pictures are grey and 3 otherwise.
        resize: String, see `kgan.data.load_image_folder`.
        background: Three integers.
        max_pixels: Integer.
        half: String, `"left"` or `"right"`, or None for whole pictures.
    """

    size: tuple[int, int] | None
    channels: int | None
    resize: str
    background: tuple[int, int, int]
    max_pixels: int
    half: str | None = None

    def target(self, size: tuple[int, int], grey: bool) -> Target:
        """The form of the pictures, given the size and greyness of the first."""
        height, width = size
        return Target(
            *(self.size or (height, width // 2 if self.half else width)),
            channels=self.channels or (1 if grey else 3),
            resize=self.resize if self.size else "none",
            background=self.background,
            max_pixels=self.max_pixels,
            allow_colour=self.channels is not None or not grey,
            half=self.half,
        )


class DecodedPictures(NamedTuple):
    """The pictures of a folder.

    Attributes:
        images: Read-only memory map, uint8 `(N, H, W, C)`.
        unreadable: Positions in the list of files and reasons, for the pictures left out.
        path: The directory of the cache.
    """

    images: Pictures
    unreadable: dict[int, str]
    path: Path


def decoded_pictures(
    folder: Path,
    pictures: Sequence[PictureState],
    options: Options,
    caches: Path,
    processes: int | None = None,
    verbose: bool = True,
) -> DecodedPictures:
    """Decodes pictures, or opens the cache that has them.

    Args:
        folder: The folder that holds the pictures.
        pictures: Their files, in the order of the images.
        options: The form of the images.
        caches: The directory of all caches.
        processes: Integer, the processes that decode, this one included. Defaults to one for each
            processor, and to this one alone for few pictures.
        verbose: Boolean, whether to print what is done.

    Returns:
        The images of all pictures that can be decoded.

    Raises:
        ValueError: A picture has another size than it must have, a picture changed, or none can be
            decoded.
        OSError: The cache cannot be written.
    """
    place, state = _key(folder, pictures, options)
    cache = caches / f"{place}-{state}"
    if (found := _opened(cache)) is not None:
        return found
    caches.mkdir(parents=True, exist_ok=True)
    with _held_when_free(cache.with_name(cache.name + _PARTIAL), cache, verbose) as partial:
        # Another process may have made it meanwhile.
        if (found := _opened(cache)) is not None:
            return found
        _Build(partial, folder, pictures, options, processes, verbose).run()
        shutil.rmtree(cache, ignore_errors=True)  # a damaged one
        partial.rename(cache)
    _remove_outdated(caches, place, cache)
    found = _opened(cache)
    if found is None:
        raise OSError(errno.EIO, "Expected the cache that was just written", str(cache))
    return found


def _key(folder: Path, pictures: Sequence[PictureState], options: Options) -> tuple[str, str]:
    """The names for the place and the options, and for the state of the pictures."""
    root = os.path.realpath(folder)
    place = hashlib.sha256(os.fsencode(f"{_VERSION}\0{root}\0{tuple(options)!r}"))
    skip = _prefix(folder)
    lines = [f"{path[skip:]}\0{size}\0{m}\0{c}\0" for path, size, m, c in pictures]
    state = hashlib.sha256(os.fsencode("".join(lines)))
    name = re.sub(r"[^A-Za-z0-9_.-]+", "-", Path(root).name)[:40]
    return f"{name}-{place.hexdigest()[:12]}", state.hexdigest()[:32]


def _prefix(folder: Path) -> int:
    """The length of what all paths of pictures begin with."""
    return len(str(folder / "_")) - 1


def _opened(cache: Path) -> DecodedPictures | None:
    """Opens a cache; None if there is none, or a damaged one."""
    try:
        index = json.loads((cache / _INDEX).read_text("ascii"))
        images = np.load(cache / _IMAGES, mmap_mode="r", allow_pickle=False)
        if images.dtype != np.uint8 or list(images.shape) != index["shape"]:
            return None
        unreadable = {int(position): reason for position, reason in index["unreadable"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return DecodedPictures(images, unreadable, cache)


@contextlib.contextmanager
def _held_when_free(partial: Path, cache: Path, verbose: bool) -> Iterator[Path]:
    """Makes and locks a directory, when no other process has it."""
    waiting = False
    while True:
        partial.mkdir(exist_ok=True)
        with contextlib.ExitStack() as stack:
            try:
                stack.enter_context(held(partial))
            except (BlockingIOError, FileNotFoundError):
                if verbose and not waiting:
                    print(f"Another process decodes into {shown(str(cache))}. Waiting.")  # noqa: T201
                waiting = True
                time.sleep(_SECONDS_BETWEEN_TRIES)
                continue
            # If the other process renamed what is locked here, this makes a new one.
            partial.mkdir(exist_ok=True)
            try:
                yield partial
            finally:
                with contextlib.suppress(OSError):  # it was renamed, or holds a build to resume
                    partial.rmdir()
            return


def _remove_outdated(caches: Path, place: str, cache: Path) -> None:
    """Removes the caches of earlier states of a folder, which would fill the disk."""
    for other in caches.glob(f"{place}-*"):
        if other == cache:
            continue
        with contextlib.suppress(OSError), held(other):
            shutil.rmtree(other, ignore_errors=True)


class _Plan(NamedTuple):
    """The target of a build, and how many pictures its chunks have."""

    target: Target
    rows: int


class _Build:
    """One cache that is being made, in a directory that this process holds."""

    def __init__(
        self,
        partial: Path,
        folder: Path,
        pictures: Sequence[PictureState],
        options: Options,
        processes: int | None,
        verbose: bool,
    ) -> None:
        self._partial = partial
        self._folder = folder
        self._pictures = pictures
        self._options = options
        self._processes = _processes(len(pictures)) if processes is None else processes
        self._verbose = verbose

    def run(self) -> None:
        """Decodes the pictures that are not decoded yet, and completes the cache."""
        plan = self._read_plan()
        if plan is None:
            plan = self._begin()
        try:
            faults = self._decode(plan)
        except _ColourError:  # the first picture was grey, and this one is not
            self._options = self._options._replace(channels=3)
            plan = self._begin()
            faults = self._decode(plan)
        self._complete(plan, faults)

    # The plan.

    def _read_plan(self) -> _Plan | None:
        """The plan of a build that was interrupted."""
        try:
            if not (self._partial / _JOURNAL).exists():
                return None
            saved = json.loads((self._partial / _PLAN).read_text("ascii"))
            fields = {**saved["target"], "background": tuple(saved["target"]["background"])}
            plan = _Plan(Target(**fields), int(saved["rows"]))
            size = (self._partial / _IMAGES).stat().st_size
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return plan if size == self._file_size(plan.target) else None

    def _new_plan(self) -> _Plan:
        known = self._options.size is not None and self._options.channels is not None
        target = self._options.target(*(((0, 0), False) if known else self._first()))
        rows = _CHUNK_BYTES // (target.height * target.width * target.channels)
        return _Plan(target, min(max(rows, 1), _MOST_IN_CHUNK))

    def _first(self) -> tuple[tuple[int, int], bool]:
        """The size of the first picture that can be read, and whether it is grey."""
        faults = {}
        for position, picture in enumerate(self._pictures):
            try:
                height, width, grey = _decoding.probed(picture, self._options.max_pixels)
            except PictureError as error:
                if error.kind != _decoding.UNREADABLE:
                    raise _changed(picture.path, error.reason) from error
                faults[position] = error.reason
            else:
                return (height, width), grey
        raise self._none_readable(faults)

    def _file_size(self, target: Target) -> int:
        size = target.height * target.width * target.channels
        return _HEADER_SIZE + len(self._pictures) * size

    def _begin(self) -> _Plan:
        """Makes the files of a new build, if the disk has space for them."""
        plan = self._new_plan()
        for name in (_JOURNAL, _PLAN, _IMAGES):
            (self._partial / name).unlink(missing_ok=True)
        size = self._file_size(plan.target)
        free = shutil.disk_usage(self._partial).free
        if free < size:
            raise OSError(
                errno.ENOSPC,
                f"Expected {_bytes(size)} of free space for the decoded pictures. Received: "
                f"{_bytes(free)}. Pass another cache_dir, or a smaller image_size",
                str(self._partial.parent),
            )
        with (self._partial / _IMAGES).open("wb") as file:
            file.write(_header(len(self._pictures), plan.target))
            file.truncate(size)
        saved = {"target": plan.target._asdict(), "rows": plan.rows}
        (self._partial / _PLAN).write_text(json.dumps(saved), "ascii")
        (self._partial / _JOURNAL).touch()
        return plan

    # The pictures.

    def _decode(self, plan: _Plan) -> dict[int, str]:
        """Decodes what is left. Returns the pictures that cannot be decoded, and the reasons."""
        faults: dict[int, str] = {}
        chunks = self._chunks(plan)
        with _Journal(self._partial / _JOURNAL, self._partial / _IMAGES) as journal:
            finished = journal.read()
            for number, of_chunk in finished.items():
                faults.update(self._checked(chunks[number], of_chunk))
            left = [chunk for chunk in chunks if chunk.number not in finished]
            self._say(plan, sum(len(chunk.pictures) for chunk in left))
            progress = self._progress(sum(len(chunks[number].pictures) for number in finished))
            images = self._partial / _IMAGES
            decoding = decode_chunks(left, plan.target, images, self._processes)
            with contextlib.closing(decoding):
                for chunk, of_chunk in decoding:
                    faults.update(self._checked(chunk, of_chunk))
                    journal.add(chunk.number, of_chunk)
                    progress(len(chunk.pictures))
        if len(faults) == len(self._pictures):
            raise self._none_readable(faults)
        return faults

    def _chunks(self, plan: _Plan) -> list[Chunk]:
        size = plan.target.height * plan.target.width * plan.target.channels
        return [
            Chunk(
                number,
                first,
                self._pictures[first : first + plan.rows],
                _HEADER_SIZE + first * size,
            )
            for number, first in enumerate(range(0, len(self._pictures), plan.rows))
        ]

    def _checked(self, chunk: Chunk, faults: Iterable[Fault]) -> dict[int, str]:
        """The pictures of a chunk that must be left out.

        Raises:
            ValueError: A picture changed, or has another size than the others.
        """
        unreadable = {}
        for fault in faults:
            picture = chunk.pictures[fault.position]
            if fault.kind == _decoding.CHANGED:
                raise _changed(picture.path, fault.reason)
            if fault.kind == _decoding.COLOUR:
                raise _ColourError
            if fault.kind == _decoding.OTHER_SIZE:
                raise self._several_sizes(picture, fault.reason)
            unreadable[chunk.first + fault.position] = fault.reason
        return unreadable

    def _none_readable(self, faults: dict[int, str]) -> ValueError:
        return ValueError(
            f"Expected pictures in {shown(str(self._folder))}. Received: {len(faults):,} files "
            f"that cannot be decoded:\n{listed_faults(self._pictures, faults)}"
        )

    def _several_sizes(self, picture: PictureState, reason: str) -> ValueError:
        path = shown(picture.path)
        if self._options.size is not None:
            height, width = self._options.size
            return ValueError(
                f"Expected pictures of {height}x{width} pixels, since resize='none'. Received: "
                f"{path} of {reason}. Choose another way to resize, or another image_size."
            )
        some = self._pictures[:: max(len(self._pictures) // _SIZES_IN_ERROR, 1)]
        sizes = {size for one in (*some, picture) if (size := _decoding.header_size(one.path))}
        smallest, largest = (
            "x".join(str(end(size[axis] for size in sizes)) for axis in (0, 1))
            for end in (min, max)
        )
        return ValueError(
            "Expected pictures of one size, since image_size=None. Received: pictures from "
            f"{smallest} to {largest} pixels in {shown(str(self._folder))}, such as {path} of "
            f"{reason}. Pass image_size=64, or (height, width)."
        )

    # What the user sees.

    def _say(self, plan: _Plan, left: int) -> None:
        if not self._verbose:
            return
        height, width, channels = plan.target[:3]
        already = len(self._pictures) - left
        resumed = f" {already:,} were decoded before." if already else ""
        print(  # noqa: T201
            f"Decoding {left:,} pictures of {shown(str(self._folder))} once, as {height}x{width}x"
            f"{channels}: {_bytes(self._file_size(plan.target))} in "
            f"{shown(str(self._partial.parent))}.{resumed}"
        )

    def _progress(self, already: int) -> Callable[[int], None]:
        """Makes a function that is told how many more pictures are decoded."""
        # A log file gets one line.
        kind = (1 if sys.stdout.isatty() else 2) if self._verbose else 0
        bar = keras.utils.Progbar(len(self._pictures), verbose=kind, unit_name="picture")
        if already:
            bar.update(already)
        return bar.add

    # The end.

    def _complete(self, plan: _Plan, faults: dict[int, str]) -> None:
        """Closes the gaps of unreadable pictures, and writes the index."""
        images = self._partial / _IMAGES
        count = len(self._pictures) - len(faults)
        # An interruption from here on starts again: without a journal, nothing is resumed.
        (self._partial / _JOURNAL).unlink()
        if faults:
            _close_gaps(images, len(self._pictures), plan.target, sorted(faults))
        _sync(images)
        skip = _prefix(self._folder)
        index = {
            "version": _VERSION,
            "directory": str(self._folder),
            "options": self._options._asdict(),
            "shape": [count, plan.target.height, plan.target.width, plan.target.channels],
            "pictures": [picture.path[skip:] for picture in self._pictures],
            "unreadable": faults,
        }
        # As ASCII: names that are not UTF-8 are kept too.
        (self._partial / _INDEX).write_text(json.dumps(index), "ascii")
        _sync(self._partial / _INDEX)
        (self._partial / _PLAN).unlink()


class _ColourError(Exception):
    """A picture in colour, after grey ones had decided the channels."""


class _Journal:
    """The chunks of a build that are on disk.

    A line is written after the pixels of its chunk are on disk, at most every few seconds and when
    the build ends or fails. So a loss of power costs seconds of work, and never leaves a hole.
    """

    def __init__(self, path: Path, images: Path) -> None:
        self._path = path
        self._images = images
        self._lines: list[str] = []
        self._synced = time.monotonic()

    def __enter__(self) -> "_Journal":
        return self

    def __exit__(self, *error: object) -> None:
        self._flush()

    def read(self) -> dict[int, list[Fault]]:
        """The faults of each finished chunk."""
        finished = {}
        for line in self._path.read_text("ascii").splitlines():
            with contextlib.suppress(ValueError, TypeError):  # a line that was cut off
                number, faults = json.loads(line)
                finished[int(number)] = [Fault(*fault) for fault in faults]
        return finished

    def add(self, number: int, faults: Sequence[Fault]) -> None:
        """Notes a chunk that was written."""
        self._lines.append(json.dumps([number, faults]))
        if time.monotonic() - self._synced > _SECONDS_BETWEEN_SYNCS:
            self._flush()

    def _flush(self) -> None:
        if self._lines:
            _sync(self._images)
            with self._path.open("a", encoding="ascii") as file:
                file.write("\n".join(self._lines) + "\n")
            self._lines.clear()
        self._synced = time.monotonic()


def _processes(pictures: int) -> int:
    """How many processes decode so many pictures."""
    if pictures < _FEW_PICTURES:
        return 1
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on Linux
        return os.cpu_count() or 1


def _header(count: int, target: Target) -> bytes:
    """The header of a `.npy` file, of the same size for every shape."""
    shape = count, target.height, target.width, target.channels
    text = repr({"descr": "|u1", "fortran_order": False, "shape": shape})
    size = _HEADER_SIZE - 10
    return b"\x93NUMPY\x01\x00" + size.to_bytes(2, "little") + f"{text:<{size - 1}}\n".encode()


def _close_gaps(path: Path, count: int, target: Target, missing: Sequence[int]) -> None:
    """Moves the rows behind missing ones down, and cuts the file."""
    shape = count, target.height, target.width, target.channels
    rows = np.memmap(path, np.uint8, "r+", _HEADER_SIZE, shape)
    block = max(_CHUNK_BYTES // (rows[0].size), 1)  # NumPy copies what overlaps
    end, moved = missing[0], rows[:0]
    for gap, following in itertools.pairwise([*missing, count]):
        for first in range(gap + 1, following, block):
            moved = rows[first : min(first + block, following)]
            rows[end : end + len(moved)] = moved
            end += len(moved)
    row_size = rows[0].size
    rows.flush()
    del rows, moved
    with path.open("rb+") as file:
        file.write(_header(end, target))
        file.truncate(_HEADER_SIZE + end * row_size)


def _sync(path: Path) -> None:
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def _bytes(size: int) -> str:
    for unit, scale in (("GB", 1e9), ("MB", 1e6)):
        if size >= scale:
            return f"{size / scale:.1f} {unit}"
    return f"{size / 1e3:.1f} kB"


def _changed(path: str, reason: str) -> ValueError:
    return ValueError(
        "Expected pictures that do not change while they are decoded. Received: "
        f"{shown(path)}: {reason}. Wait until the folder is complete, and load it again."
    )


def listed_faults(pictures: Sequence[PictureState], faults: dict[int, str], most: int = 10) -> str:
    """The first unreadable pictures and the reasons, one a line."""
    lines = [
        f"  {shown(pictures[position].path)}: {faults[position]}"
        for position in sorted(faults)[:most]
    ]
    if len(faults) > most:
        lines.append(f"  and {len(faults) - most:,} more")
    return "\n".join(lines)

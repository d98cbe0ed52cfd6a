"""Where the files of one split lie: a given directory, `KGAN_DATA_DIR`, the cache, the network."""

import os
import pathlib
from typing import NamedTuple

from kgan._files import cache_directory
from kgan.data._download import download, is_cached
from kgan.data._published import (
    PUBLISHED_COUNTS,
    SOURCES,
    FilePair,
    PublishedFile,
    Source,
    source_of,
)
from kgan.data.idx import read_idx_labels

DATA_DIR_VARIABLE = "KGAN_DATA_DIR"


class PathPair(NamedTuple):
    """The images and the labels of one split, on this machine."""

    images: pathlib.Path
    labels: pathlib.Path


def locate(
    source: Source, split: str, data_dir: str | os.PathLike[str] | None, allow_download: bool
) -> PathPair:
    """Find the two files of one split, downloading them if they are nowhere.

    Args:
        source: the data set.
        split: a key of `source.splits`.
        data_dir: where to look, and then nowhere else; or None.
        allow_download: whether to download what is nowhere to be found.

    Returns:
        Paths of the image file and of the label file, which exist.

    Raises:
        FileNotFoundError: `data_dir` lacks the files, or nothing has them and downloading is off.
        ConnectionError: they are not here and cannot be downloaded.
        ValueError: the files are known to be another data set's.
    """
    if data_dir is not None:
        return _in_given_directory(source, split, pathlib.Path(data_dir).expanduser())
    passed_over = ""
    shared = os.environ.get(DATA_DIR_VARIABLE)
    if shared:
        directory = pathlib.Path(shared).expanduser()
        try:
            found = _in_shared_directory(source, split, directory)
        except PermissionError as error:
            found = f"it cannot be read ({error})."
        if isinstance(found, PathPair):
            return found
        passed_over = f"\n{DATA_DIR_VARIABLE}={shared} was passed over: {found}"
    return _in_cache(source, split, allow_download, passed_over)


def _in_given_directory(source: Source, split: str, directory: pathlib.Path) -> PathPair:
    for folder in (*source.folders, "."):
        pair = _pair_in(directory / folder, source.splits[split])
        if pair is not None:
            _refuse_another_source(source, pair)
            return pair
    raise FileNotFoundError(
        f"No {source.title} ({split}) in {directory}. Looked there, and in its folders "
        f"{' and '.join(source.folders)}, for {_names_wanted(source.splits[split])}, with or "
        f"without .gz. {_what_is_in(directory)} Put both files there, or leave data_dir out to "
        "have them downloaded."
    )


def _in_shared_directory(source: Source, split: str, directory: pathlib.Path) -> PathPair | str:
    """The files in `KGAN_DATA_DIR`, or why there are none to be used.

    Every data set looks there, so that files outside a folder of their own count only when they
    cannot be taken for another set's.
    """
    for folder in source.folders:
        pair = _pair_in(directory / folder, source.splits[split])
        if pair is not None:
            _refuse_another_source(source, pair)
            return pair
    pair = _pair_in(directory, source.splits[split])
    if pair is None:
        return f"it lacks {_names_wanted(source.splits[split])}. {_what_is_in(directory)}"
    origin = _origin(source, pair)
    if origin is None and len(read_idx_labels(pair.labels)) == PUBLISHED_COUNTS[split]:
        return (
            f"its {split} files hold as many images as {source.title}'s, but their bytes are not "
            f"those published, so they may be another set's. If they are {source.title}, move "
            f"them into its folder {source.folders[0]}, or name their directory with data_dir."
        )
    if origin is not None and origin.name != source.name:
        return f"its {split} files are {origin.title}'s, by their SHA-256."
    return pair


def _in_cache(source: Source, split: str, allow_download: bool, passed_over: str) -> PathPair:
    directory = cache_directory(source.name)
    files = source.splits[split]
    missing = [file for file in (files.images, files.labels) if not is_cached(file, directory)]
    if missing and not allow_download:
        raise FileNotFoundError(
            f"{source.title} ({split}) is not on this machine, and download=False. Looked in "
            f"{directory}.{passed_over}\n{_advice(source)}"
        )
    try:
        for file in missing:
            download(file, source.mirrors, directory)
    except ConnectionError as error:
        raise ConnectionError(
            f"{source.title} ({split}) is not on this machine and could not be downloaded:\n"
            f"{error}{passed_over}\n{_advice(source)}"
        ) from error
    return PathPair(directory / files.images.name, directory / files.labels.name)


def _pair_in(directory: pathlib.Path, files: FilePair) -> PathPair | None:
    images = _file_in(directory, files.images)
    labels = _file_in(directory, files.labels)
    return PathPair(images, labels) if images and labels else None


def _file_in(directory: pathlib.Path, file: PublishedFile) -> pathlib.Path | None:
    plain = file.name.removesuffix(".gz")
    dotted = plain.replace("-idx", ".idx")
    for name in (file.name, plain, f"{dotted}.gz", dotted):
        path = directory / name
        if path.is_file():
            return path
    return None


def _origin(source: Source, pair: PathPair) -> Source | None:
    """Whose published files these are, if any."""
    # Its own images are not asked for: that would read all of them, and their labels tell as much.
    others = [other for other in SOURCES if other.name != source.name]
    return source_of(pair.images, others) or source_of(pair.labels, SOURCES)


def _refuse_another_source(source: Source, pair: PathPair) -> None:
    origin = _origin(source, pair)
    if origin is not None and origin.name != source.name:
        raise ValueError(
            f"Expected {source.title}'s files in {pair.labels.parent}. Received: {origin.title}'s, "
            f"by their SHA-256. Load them with kgan.data.load_{origin.name}(), or put "
            f"{source.title}'s there."
        )


def _names_wanted(files: FilePair) -> str:
    return f"{files.images.name} and {files.labels.name}"


def _what_is_in(directory: pathlib.Path) -> str:
    if not directory.exists():
        return "That directory does not exist."
    if not directory.is_dir():
        return "That is not a directory."
    names = sorted(path.name for path in directory.iterdir())
    if not names:
        return "That directory is empty."
    more = f" and {len(names) - 10} more" if len(names) > 10 else ""
    return f"It holds {', '.join(names[:10])}{more}."


def _advice(source: Source) -> str:
    names = [file.name for pair in source.splits.values() for file in (pair.images, pair.labels)]
    return (
        "To mend it, do one of these:\n"
        f"- put {', '.join(names)} (gzipped or not) into a directory, and name it with data_dir "
        f"(--data-dir on the command line) or with the environment variable {DATA_DIR_VARIABLE};\n"
        "- call again when the network can be reached;\n"
        "- use kgan.data.load_digits() (--dataset digits), which needs no download."
    )

"""Finds the files of a split: in a given directory, `KGAN_DATA_DIR`, the cache or the network."""

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
    """The image file and the label file of one split, on this machine."""

    images: pathlib.Path
    labels: pathlib.Path


def locate(
    source: Source, split: str, data_dir: str | os.PathLike[str] | None, allow_download: bool
) -> PathPair:
    """Finds the two files of one split, and downloads them if they are missing.

    Args:
        source: The data set.
        split: String, a key of `source.splits`.
        data_dir: Path of the only directory to search, or None.
        allow_download: Boolean, whether to download missing files.

    Returns:
        Paths of the image file and of the label file, which exist.

    Raises:
        FileNotFoundError: `data_dir` lacks the files, or the files are missing and
            `allow_download` is False.
        ConnectionError: The files are missing and cannot be downloaded.
        ValueError: The files are known to belong to another data set.
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
        passed_over = f"\n{DATA_DIR_VARIABLE}={shared} was not used: {found}"
    return _in_cache(source, split, allow_download, passed_over)


def _in_given_directory(source: Source, split: str, directory: pathlib.Path) -> PathPair:
    for folder in (*source.folders, "."):
        pair = _pair_in(directory / folder, source.splits[split])
        if pair is not None:
            _refuse_another_source(source, pair)
            return pair
    raise FileNotFoundError(
        f"Expected {source.title} ({split}) in {directory}, or in its folders "
        f"{' and '.join(source.folders)}: {_names_wanted(source.splits[split])}, with or without "
        f".gz. {content_of(directory)} Put both files there, or leave data_dir out to download "
        "them."
    )


def _in_shared_directory(source: Source, split: str, directory: pathlib.Path) -> PathPair | str:
    """Returns the files in `KGAN_DATA_DIR`, or the reason why they cannot be used.

    All data sets share this directory. So files outside the folder of a set count only if they
    cannot belong to another set.
    """
    for folder in source.folders:
        pair = _pair_in(directory / folder, source.splits[split])
        if pair is not None:
            _refuse_another_source(source, pair)
            return pair
    pair = _pair_in(directory, source.splits[split])
    if pair is None:
        return f"it lacks {_names_wanted(source.splits[split])}. {content_of(directory)}"
    origin = _origin(source, pair)
    if origin is None and len(read_idx_labels(pair.labels)) == PUBLISHED_COUNTS[split]:
        return (
            f"its {split} files hold as many images as {source.title}'s, but not the published "
            f"bytes, so they may be another set's. If they are {source.title}, move them into its "
            f"folder {source.folders[0]}, or pass their directory as data_dir."
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
            f"{source.title} ({split}) is not in {directory}, and download=False.{passed_over}\n"
            f"{_advice(source)}"
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
    names = (file.name, plain, f"{dotted}.gz", dotted)
    # Some archives hold each file in a folder of the same name.
    for folder in (directory, *(directory / name for name in names)):
        for name in names:
            path = folder / name
            if path.is_file():
                return path
    return None


def _origin(source: Source, pair: PathPair) -> Source | None:
    """Returns the data set whose published files these are, or None."""
    # The images of `source` itself are not checked: that would read them all, and the labels are
    # enough.
    others = [other for other in SOURCES if other.name != source.name]
    return source_of(pair.images, others) or source_of(pair.labels, SOURCES)


def _refuse_another_source(source: Source, pair: PathPair) -> None:
    origin = _origin(source, pair)
    if origin is not None and origin.name != source.name:
        raise ValueError(
            f"Expected {source.title}'s files in {pair.labels.parent}. Received: {origin.title}'s, "
            f"by their SHA-256. Load them with kgan.data.load_{origin.name}(), or put "
            f"{source.title}'s files there."
        )


def _names_wanted(files: FilePair) -> str:
    return f"{files.images.name} and {files.labels.name}"


def content_of(directory: pathlib.Path) -> str:
    """Says what a directory holds, for an error message."""
    if not directory.exists():
        return "Received: a directory that does not exist."
    if not directory.is_dir():
        return "Received: a path that is not a directory."
    names = sorted(path.name + "/" * path.is_dir() for path in directory.iterdir())
    if not names:
        return "Received: a directory that is empty."
    more = f" and {len(names) - 10} more" if len(names) > 10 else ""
    return f"Received: a directory with {', '.join(names[:10])}{more}."


def _advice(source: Source) -> str:
    names = [file.name for pair in source.splits.values() for file in (pair.images, pair.labels)]
    return (
        "To fix this, do one of the following:\n"
        f"- Put {', '.join(names)} (gzipped or not) into a directory, and pass it as data_dir "
        f"(--data-dir on the command line) or in the environment variable {DATA_DIR_VARIABLE}.\n"
        "- Try again with a network connection.\n"
        "- Use kgan.data.load_digits() (--dataset digits), which needs no download."
    )

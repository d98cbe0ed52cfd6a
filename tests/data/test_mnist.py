"""MNIST and its kin: where files are looked for, what is refused, what a failed download leaves."""

import dataclasses
import errno
import gzip
import importlib.util
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

import kgan
from kgan.data import _locate, mnist
from kgan.data._published import SOURCES, FilePair, PublishedFile, sha256_of

pytestmark = pytest.mark.backend_free

REAL_DIRECTORY = os.environ.get("KGAN_DATA_DIR", "")
REAL_FOLDERS = [
    folder
    for folder in (Path(REAL_DIRECTORY, name) for name in ("mnist", "MNIST/raw", "."))
    if REAL_DIRECTORY and (folder / "t10k-images-idx3-ubyte.gz").is_file()
]
needs_mnist = pytest.mark.skipif(
    not REAL_FOLDERS, reason="KGAN_DATA_DIR does not name a directory with MNIST"
)
LOADERS = [kgan.data.load_mnist, kgan.data.load_fashion_mnist, kgan.data.load_kmnist]
STEMS = {"train": "train", "test": "t10k"}


@pytest.fixture(autouse=True)
def _bare_machine(monkeypatch, tmp_path):
    """No KGAN_DATA_DIR, an empty cache, and no server to download from."""
    monkeypatch.delenv("KGAN_DATA_DIR", raising=False)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras_home"))
    for name in ("MNIST", "FASHION_MNIST", "KMNIST"):
        source = getattr(mnist, name)
        nowhere = (tmp_path / "no_such_mirror").as_uri() + "/"
        monkeypatch.setattr(mnist, name, dataclasses.replace(source, mirrors=(nowhere,)))


def _idx(array):
    header = bytes([0, 0, 8, array.ndim])
    return header + b"".join(n.to_bytes(4, "big") for n in array.shape) + array.tobytes()


def _write(path, array):
    path.parent.mkdir(parents=True, exist_ok=True)
    content = _idx(array)
    # mtime is fixed so that the same array gives the same bytes, hence the same digest.
    path.write_bytes(gzip.compress(content, mtime=0) if path.suffix == ".gz" else content)


def _write_set(directory, images, labels, split="train", ending="-idx{}-ubyte.gz"):
    stem = STEMS[split]
    _write(directory / f"{stem}-images{ending.format(3)}", images)
    _write(directory / f"{stem}-labels{ending.format(1)}", labels)


def _sample(count=6, start=0):
    images = (np.arange(count * 28 * 28).reshape(count, 28, 28) + start).astype("uint8")
    return images, (np.arange(count, dtype="uint8") + start) % 10


def _same(dataset, images, labels):
    np.testing.assert_array_equal(np.reshape(dataset.images, images.shape), images)
    np.testing.assert_array_equal(dataset.labels, labels)


@pytest.mark.parametrize("loader", LOADERS)
@pytest.mark.parametrize(
    "ending", ["-idx{}-ubyte.gz", "-idx{}-ubyte", ".idx{}-ubyte", ".idx{}-ubyte.gz"]
)
@pytest.mark.parametrize("split", ["train", "test"])
def test_every_spelling_is_read(tmp_path, loader, ending, split):
    images, labels = _sample()
    _write_set(tmp_path, images, labels, split, ending)
    dataset = loader(split, tmp_path, batch_size=2)
    _same(dataset, images, labels)
    assert dataset.num_classes == 10
    assert dataset.images.dtype == np.uint8


@pytest.mark.parametrize(
    ("loader", "folder"),
    [
        (kgan.data.load_mnist, "mnist"),
        (kgan.data.load_mnist, "MNIST/raw"),
        (kgan.data.load_fashion_mnist, "fashion_mnist"),
        (kgan.data.load_fashion_mnist, "FashionMNIST/raw"),
        (kgan.data.load_kmnist, "kmnist"),
        (kgan.data.load_kmnist, "KMNIST/raw"),
    ],
)
@pytest.mark.parametrize("where", ["data_dir", "KGAN_DATA_DIR"])
def test_a_folder_of_its_own_comes_before_the_files_beside_it(
    tmp_path, monkeypatch, loader, folder, where
):
    own = _sample(start=3)
    _write_set(tmp_path / folder, *own)
    _write_set(tmp_path, *_sample())
    if where == "data_dir":
        dataset = loader("train", str(tmp_path), batch_size=2)
    else:
        monkeypatch.setenv("KGAN_DATA_DIR", str(tmp_path))
        dataset = loader("train", batch_size=2)
    _same(dataset, *own)


def test_options_reach_the_dataset(tmp_path):
    _write_set(tmp_path, *_sample())
    options = {"batch_size": 2, "seed": 7, "value_range": (0, 1), "dtype": "float16"}
    first = next(iter(kgan.data.load_mnist("train", tmp_path, **options)))
    again = next(iter(kgan.data.load_mnist("train", tmp_path, **options)))
    np.testing.assert_array_equal(first[0], again[0])
    assert first[0].shape == (2, 28, 28, 1)
    assert first[0].dtype == np.float16
    assert first[0].min() >= 0
    assert kgan.data.load_mnist("train", tmp_path, batch_size=3, num_classes=12).num_classes == 12


@pytest.mark.parametrize("split", ["train", "test"])
def test_stacked_mnist_is_made_of_mnist(tmp_path, monkeypatch, split):
    images, labels = _sample()
    _write_set(tmp_path, images, labels, split)
    options = {"batch_size": 4, "value_range": (0, 255), "drop_remainder": False}
    given = kgan.data.load_stacked_mnist(split, tmp_path, download=False, seed=7, **options)
    monkeypatch.setenv("KGAN_DATA_DIR", str(tmp_path))
    for dataset in (given, kgan.data.load_stacked_mnist(split, seed=7, **options)):
        _same(dataset, images, labels)
        # Of ten digits, although these few files lack some.
        assert (dataset.num_classes, dataset.image_shape) == (1000, (28, 28, 3))
        batches = list(dataset)
        assert [len(batch) for batch, _ in batches] == [4, 2]
        for batch, numbers in batches:
            for image, number in zip(batch, numbers, strict=True):
                for channel, digit in enumerate(f"{number:03}"):
                    (place,) = np.flatnonzero((images == image[..., channel]).all(axis=(1, 2)))
                    assert labels[place] == int(digit)
    assert kgan.data.load_stacked_mnist(split, tmp_path, batch_size=1, stack=2).num_classes == 100


@pytest.mark.parametrize("loader", [*LOADERS, kgan.data.load_stacked_mnist])
def test_unknown_split(tmp_path, loader):
    with pytest.raises(ValueError, match=r"Expected 'train' or 'test'.*'validation'"):
        loader("validation", tmp_path)


def test_given_directory_without_the_files_is_never_made_up_for(tmp_path, monkeypatch):
    # What KGAN_DATA_DIR has must not be taken when the caller named a directory.
    _write_set(tmp_path / "elsewhere", *_sample())
    monkeypatch.setenv("KGAN_DATA_DIR", str(tmp_path / "elsewhere"))
    given = tmp_path / "given"
    _write_set(given, *_sample(), split="test")
    (given / "train-labels-idx1-ubyte.gz").write_bytes(b"")
    with pytest.raises(FileNotFoundError) as caught:
        kgan.data.load_mnist("train", given)
    message = str(caught.value)
    for part in (
        str(given),
        "train-images-idx3-ubyte.gz",
        "t10k-labels-idx1-ubyte.gz",
        "MNIST/raw",
    ):
        assert part in message
    assert not (tmp_path / "keras_home").exists()


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda path: None, "does not exist"),
        (lambda path: path.mkdir(), "is empty"),
        (lambda path: path.write_bytes(b"x"), "is not a directory"),
    ],
)
def test_what_is_there_instead(tmp_path, make, said):
    make(tmp_path / "given")
    with pytest.raises(FileNotFoundError, match=said):
        kgan.data.load_mnist("train", tmp_path / "given")


# As in an archive of MNIST on Kaggle: each file in a folder of its name.
@pytest.mark.parametrize("ending", ["-idx{}-ubyte", ".idx{}-ubyte", "-idx{}-ubyte.gz"])
@pytest.mark.parametrize("folder", ["-idx{}-ubyte", "-idx{}-ubyte.gz"])
def test_a_file_may_be_in_a_folder_of_its_name(tmp_path, monkeypatch, ending, folder):
    images, labels = _sample()
    _write_set(tmp_path / "files", images, labels, ending=ending)
    for kind, rank in (("images", 3), ("labels", 1)):
        nested = tmp_path / "given" / f"train-{kind}{folder.format(rank)}"
        nested.mkdir(parents=True)
        shutil.move(tmp_path / "files" / f"train-{kind}{ending.format(rank)}", nested)
    _same(kgan.data.load_mnist("train", tmp_path / "given", batch_size=2), images, labels)
    monkeypatch.setenv("KGAN_DATA_DIR", str(tmp_path / "given"))
    _same(kgan.data.load_mnist("train", batch_size=2), images, labels)


def test_a_folder_of_a_files_name_without_the_file_is_shown_as_a_folder(tmp_path):
    _write_set(tmp_path, *_sample())
    (tmp_path / "train-images-idx3-ubyte.gz").unlink()
    (tmp_path / "train-images-idx3-ubyte").mkdir()
    with pytest.raises(FileNotFoundError, match=r"directory with train-images-idx3-ubyte/, train-"):
        kgan.data.load_mnist("train", tmp_path)


def test_images_and_labels_of_different_numbers(tmp_path):
    images, labels = _sample(6)
    _write_set(tmp_path, images, labels[:5])
    with pytest.raises(ValueError, match=r"6 images in .*train-images.* and 5 labels in .*labels"):
        kgan.data.load_mnist("train", tmp_path)


@pytest.mark.parametrize("wrong", ["images", "labels"])
def test_the_wrong_kind_of_file_is_named(tmp_path, wrong):
    images, labels = _sample()
    pair = (labels, labels) if wrong == "images" else (images, images)
    _write_set(tmp_path, *pair)
    with pytest.raises(ValueError, match=f"train-{wrong}-idx"):
        kgan.data.load_mnist("train", tmp_path)


@pytest.mark.parametrize("loader", LOADERS)
def test_environment_directory(tmp_path, monkeypatch, loader):
    images, labels = _sample()
    _write_set(tmp_path, images, labels)
    monkeypatch.setenv("KGAN_DATA_DIR", str(tmp_path))
    _same(loader(batch_size=2), images, labels)


def test_nothing_anywhere_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setenv("KGAN_DATA_DIR", str(tmp_path / "typo"))
    with pytest.raises(ConnectionError) as caught:
        kgan.data.load_mnist("test", batch_size=1)
    message = str(caught.value)
    names = [
        f"{stem}-{kind}-ubyte.gz"
        for stem in STEMS.values()
        for kind in ("images-idx3", "labels-idx1")
    ]
    for part in (*names, "no_such_mirror", "typo was not used", "--data-dir", "load_digits()"):
        assert part in message


def test_download_can_be_forbidden(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"download=False(.|\n)*load_digits\(\)"):
        kgan.data.load_mnist(download=False)
    assert not (tmp_path / "keras_home").exists()


# Telling the data sets apart. Small ones stand in for MNIST and Fashion-MNIST.


def _published(path):
    return PublishedFile(path.name, path.stat().st_size, sha256_of(path))


@pytest.fixture
def little_sources(tmp_path, monkeypatch):
    """Directories whose files count as the published ones of MNIST and of Fashion-MNIST."""
    directories = {}
    for start, name in enumerate(["MNIST", "FASHION_MNIST"]):
        source = getattr(mnist, name)
        directory = directories[source.name] = tmp_path / "published" / source.name / "files"
        splits = {}
        for split, stem in STEMS.items():
            _write_set(directory, *_sample(6, start), split)
            splits[split] = FilePair(
                _published(directory / f"{stem}-images-idx3-ubyte.gz"),
                _published(directory / f"{stem}-labels-idx1-ubyte.gz"),
            )
        monkeypatch.setattr(mnist, name, dataclasses.replace(source, splits=splits))
    monkeypatch.setattr(_locate, "SOURCES", (mnist.MNIST, mnist.FASHION_MNIST))
    monkeypatch.setattr(_locate, "PUBLISHED_COUNTS", {"train": 6, "test": 6})
    return directories


def test_another_sets_files_are_refused_in_data_dir(little_sources):
    _same(kgan.data.load_mnist("train", little_sources["mnist"], batch_size=1), *_sample(6, 0))
    _same(
        kgan.data.load_fashion_mnist("train", little_sources["fashion_mnist"], batch_size=1),
        *_sample(6, 1),
    )
    with pytest.raises(ValueError, match=r"Expected Fashion-MNIST.*MNIST's.*load_mnist"):
        kgan.data.load_fashion_mnist("train", little_sources["mnist"], batch_size=1)
    with pytest.raises(ValueError, match=r"Expected MNIST.*Fashion-MNIST's.*load_fashion_mnist"):
        kgan.data.load_mnist("train", little_sources["fashion_mnist"], batch_size=1)


def test_another_sets_images_are_refused_beside_right_labels(little_sources):
    images = "train-images-idx3-ubyte.gz"
    shutil.copy(little_sources["fashion_mnist"] / images, little_sources["mnist"] / images)
    with pytest.raises(ValueError, match=r"Expected MNIST.*Fashion-MNIST's"):
        kgan.data.load_mnist("train", little_sources["mnist"], batch_size=1)


def test_another_sets_files_are_passed_over_in_the_environment(little_sources, monkeypatch):
    monkeypatch.setenv("KGAN_DATA_DIR", str(little_sources["mnist"]))
    _same(kgan.data.load_mnist("train", batch_size=1), *_sample(6, 0))
    with pytest.raises(ConnectionError, match=r"not used: its train files are MNIST's"):
        kgan.data.load_fashion_mnist("train", batch_size=1)
    shutil.copytree(little_sources["fashion_mnist"], little_sources["mnist"] / "fashion_mnist")
    _same(kgan.data.load_fashion_mnist("train", batch_size=1), *_sample(6, 1))


def test_a_directory_in_the_environment_that_cannot_be_read_is_passed_over(
    little_sources, monkeypatch
):
    def is_file(path, ask=Path.is_file):
        if "locked" in path.parts:
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return ask(path)

    monkeypatch.setenv("KGAN_DATA_DIR", "/locked")
    monkeypatch.setattr(Path, "is_file", is_file)
    with pytest.raises(FileNotFoundError, match=r"not used: it cannot be read .*denied"):
        kgan.data.load_mnist("train", batch_size=1, download=False)


def test_files_that_may_be_any_sets_need_a_folder_of_their_own(
    little_sources, tmp_path, monkeypatch
):
    shared = tmp_path / "shared"
    images, labels = _sample(6, 1)
    _write_set(shared, images, labels, ending="-idx{}-ubyte")
    monkeypatch.setenv("KGAN_DATA_DIR", str(shared))
    for loader in (kgan.data.load_mnist, kgan.data.load_fashion_mnist):
        with pytest.raises(ConnectionError, match=r"may be another set's"):
            loader("train")
        _same(loader("train", shared, batch_size=1), images, labels)  # the caller says which it is
    _write_set(shared / "fashion_mnist", images, labels, ending="-idx{}-ubyte")
    _same(kgan.data.load_fashion_mnist("train", batch_size=1), images, labels)


def test_another_sets_files_are_refused_in_a_named_folder(little_sources, tmp_path, monkeypatch):
    shutil.copytree(little_sources["fashion_mnist"], tmp_path / "shared" / "mnist")
    monkeypatch.setenv("KGAN_DATA_DIR", str(tmp_path / "shared"))
    with pytest.raises(ValueError, match=r"Expected MNIST.*Fashion-MNIST's"):
        kgan.data.load_mnist("train", batch_size=1)


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.name)
def test_pinned_digests_are_those_of_tensorflow_datasets(source):
    package = importlib.util.find_spec("tensorflow_datasets")
    if package is None:
        pytest.skip("tensorflow-datasets is not installed")
    folder = Path(package.submodule_search_locations[0]) / "url_checksums"
    lines = (folder / f"{source.name}.txt").read_text().splitlines()
    theirs = {tuple(line.split("\t")[1:]) for line in lines}
    ours = {
        (str(file.size), file.sha256, file.name)
        for pair in source.splits.values()
        for file in (pair.images, pair.labels)
    }
    assert ours == theirs


# The real files, where they are.


@needs_mnist
@pytest.mark.parametrize(
    ("split", "histogram", "mean"),
    [
        ("train", [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949], 33.318421),
        ("test", [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009], 33.791224),
    ],
)
def test_real_mnist(monkeypatch, split, histogram, mean):
    monkeypatch.setenv("KGAN_DATA_DIR", REAL_DIRECTORY)
    dataset = kgan.data.load_mnist(split)
    assert dataset.image_shape == (28, 28, 1)
    assert dataset.num_classes == 10
    np.testing.assert_array_equal(np.bincount(dataset.labels), histogram)
    assert dataset.images.mean() == pytest.approx(mean, abs=1e-6)


@needs_mnist
def test_real_stacked_mnist_has_its_thousand_modes(monkeypatch):
    monkeypatch.setenv("KGAN_DATA_DIR", REAL_DIRECTORY)
    dataset = kgan.data.load_stacked_mnist("test", seed=0)
    images, labels = dataset.draw(26_000, seed=0)
    assert images.shape == (26_000, 28, 28, 3)
    counts = np.bincount(labels, minlength=1000)
    assert len(counts) == 1000
    # 26 of each on average, and about 18 of 555, since fives are the rarest.
    assert counts.min() >= 5
    np.testing.assert_array_equal(np.bincount(labels[:10_000] // 100), np.bincount(dataset.labels))
    np.testing.assert_array_equal(np.bincount(labels[:10_000] % 10), np.bincount(dataset.labels))


@needs_mnist
def test_real_mnist_is_known_also_after_gunzip(tmp_path, monkeypatch):
    for name in ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"):
        packed = (REAL_FOLDERS[0] / f"{name}.gz").read_bytes()
        (tmp_path / name).write_bytes(gzip.decompress(packed))
    with pytest.raises(ValueError, match=r"Expected KMNIST's files.*Received: MNIST's"):
        kgan.data.load_kmnist("test", tmp_path)
    monkeypatch.setenv("KGAN_DATA_DIR", str(tmp_path))
    assert len(kgan.data.load_mnist("test", batch_size=1).images) == 10_000

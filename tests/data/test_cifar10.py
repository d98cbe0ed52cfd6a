"""CIFAR-10 from files in the original layouts, made here; damaged, hostile and missing ones."""

import gzip
import hashlib
import io
import pickle
import struct
import tarfile

import numpy as np
import pytest

import kgan
from kgan.data import _cifar, _download, cifar10
from kgan.data._published import PublishedFile

pytestmark = pytest.mark.backend_free

COUNT = 4  # images in a file
NAMES = [*(f"data_batch_{number}" for number in range(1, 6)), "test_batch"]
GENERATOR = np.random.default_rng(0)
# Channels first, as in the files.
PIXELS = {name: GENERATOR.integers(0, 256, (COUNT, 3, 32, 32), np.uint8) for name in NAMES}
LABELS = {name: GENERATOR.integers(0, 10, COUNT, np.uint8) for name in NAMES}


def binary(name):
    records = np.concatenate([LABELS[name][:, None], PIXELS[name].reshape(COUNT, -1)], axis=1)
    return records.tobytes()


def short(text):
    """A string as Python 2 pickles it: bytes."""
    return b"U" + bytes([len(text)]) + text


def python2_pickle(name, dtype=b"u1", columns=3072):
    """The opcodes of the original files: Python 2, protocol 2, a NumPy array and a list."""
    content = PIXELS[name].tobytes()
    array = b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85" + short(b"b")
    array += b"\x87R(K\x01K" + bytes([COUNT]) + b"M" + struct.pack("<H", columns) + b"\x86"
    array += b"cnumpy\ndtype\n" + short(dtype) + b"K\x00K\x01\x87R"
    array += b"(K\x03" + short(b"|") + b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
    array += b"\x89T" + struct.pack("<i", len(content)) + content + b"tb"
    labels = b"](" + b"".join(b"K" + bytes([label]) for label in LABELS[name]) + b"e"
    head = short(b"batch_label") + short(b"training batch")
    return b"\x80\x02}(" + head + short(b"labels") + labels + short(b"data") + array + b"u."


def python3_pickle(name, protocol=2):
    return pickle.dumps(
        {"data": PIXELS[name].reshape(COUNT, 3072), b"labels": LABELS[name].tolist()}, protocol
    )


FORMS = {
    "binary": ("cifar-10-batches-bin", "cifar-10-binary.tar.gz", ".bin", binary),
    "python": ("cifar-10-batches-py", "cifar-10-python.tar.gz", "", python2_pickle),
}


def write_folder(directory, form):
    _, _, suffix, content = FORMS[form]
    directory.mkdir(parents=True, exist_ok=True)
    for name in NAMES:
        (directory / f"{name}{suffix}").write_bytes(content(name))


def write_archive(directory, form, contents=None):
    folder, archive, suffix, content = FORMS[form]
    contents = contents or {f"{name}{suffix}": content(name) for name in NAMES}
    directory.mkdir(parents=True, exist_ok=True)
    with tarfile.open(directory / archive, "w:gz") as file:
        info = tarfile.TarInfo(folder)
        info.type = tarfile.DIRTYPE
        file.addfile(info)
        for name, each in {**contents, "readme.html": b"<p>"}.items():
            info = tarfile.TarInfo(f"{folder}/{name}")
            info.size = len(each)
            file.addfile(info, io.BytesIO(each))
    return directory / archive


def check(dataset, split):
    names = NAMES[:5] if split == "train" else NAMES[5:]
    expected = np.concatenate([PIXELS[name].transpose(0, 2, 3, 1) for name in names])
    np.testing.assert_array_equal(dataset.images, expected)
    np.testing.assert_array_equal(dataset.labels, np.concatenate([LABELS[name] for name in names]))
    assert dataset.labels.dtype == np.int32
    assert dataset.num_classes == 10
    assert dataset.class_names[3] == "cat"


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """An empty cache of Keras's, and no directory of data."""
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    monkeypatch.delenv("KGAN_DATA_DIR", raising=False)
    return tmp_path / "keras" / "datasets"


@pytest.mark.parametrize("split", ["train", "test"])
@pytest.mark.parametrize("form", FORMS)
def test_every_layout(tmp_path, form, split):
    folder = FORMS[form][0]
    write_folder(tmp_path / "plain", form)
    write_folder(tmp_path / "unpacked" / folder, form)
    write_folder(tmp_path / "named" / "cifar10" / folder, form)
    write_archive(tmp_path / "archive", form)
    for name in ("plain", "unpacked", "named", "archive"):
        check(kgan.data.load_cifar10(split, tmp_path / name, batch_size=1), split)


@pytest.mark.parametrize("protocol", [0, 1, 2, 4, 5])
def test_pickles_of_python_3(protocol):
    if protocol == 5:  # has its arrays in another way
        with pytest.raises(ValueError, match="is not allowed"):
            _cifar.parse_pickle(python3_pickle("test_batch", 5), "here")
        return
    images, labels = _cifar.parse_pickle(python3_pickle("test_batch", protocol), "here")
    np.testing.assert_array_equal(images, PIXELS["test_batch"].transpose(0, 2, 3, 1))
    np.testing.assert_array_equal(labels, LABELS["test_batch"])


@pytest.mark.parametrize(
    "folder", ["cifar-10-batches-py-target/cifar-10-batches-py", "cifar-10-batches-py"]
)
def test_keras_cache(cache, folder):
    write_folder(cache / folder, "python")
    check(kgan.data.load_cifar10("test", download=False, batch_size=1), "test")


def test_the_shared_directory_comes_first(tmp_path, cache, monkeypatch):
    write_folder(tmp_path / "shared" / "cifar-10-batches-bin", "binary")
    (cache / "cifar-10-batches-py").mkdir(parents=True)
    for name in NAMES:
        (cache / "cifar-10-batches-py" / name).write_bytes(b"never read")
    monkeypatch.setenv("KGAN_DATA_DIR", str(tmp_path / "shared"))
    check(kgan.data.load_dataset("cifar10", "train", batch_size=1), "train")


def test_options_reach_the_dataset(tmp_path):
    write_folder(tmp_path, "binary")
    dataset = kgan.data.load_dataset(
        "cifar10",
        "test",
        tmp_path,
        batch_size=2,
        horizontal_flip=True,
        pad_to=(40, 40),
        crop=(32, 32),
        seed=1,
    )
    assert dataset[0][0].shape == (2, 32, 32, 3)
    assert dataset.horizontal_flip


def test_missing_files_are_named(tmp_path, cache):
    with pytest.raises(FileNotFoundError, match=r"cifar-10-binary.tar.gz.*directory that is empty"):
        kgan.data.load_cifar10("train", tmp_path)
    with pytest.raises(FileNotFoundError, match=r"download=False.\nTo fix this.*\n.*--data-dir"):
        kgan.data.load_cifar10("train", download=False)
    with pytest.raises(ValueError, match=r"'train' or 'test'.*Received: 'all'"):
        kgan.data.load_cifar10("all")
    # A test file alone is no training set.
    write_folder(tmp_path, "binary")
    (tmp_path / "data_batch_3.bin").unlink()
    with pytest.raises(FileNotFoundError, match=r"data_batch_1\.bin"):
        kgan.data.load_cifar10("train", tmp_path)
    check(kgan.data.load_cifar10("test", tmp_path, batch_size=1), "test")


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (b"", "images of 3073 bytes each.*Received: 0 bytes"),
        (binary("test_batch")[:-1], r"3073 bytes each in .*test_batch.bin.*Received: 12291 bytes"),
        (b"\x0a" + bytes(3072), "label from 0 to 9 .* one of them 10"),
        (bytes(2 * 10_000 * 3073 + 1), "at most 61460000 bytes.*Received: 61460001"),
    ],
)
def test_wrong_binary_files(tmp_path, content, match):
    (tmp_path / "test_batch.bin").write_bytes(content)
    with pytest.raises(ValueError, match=match):
        kgan.data.load_cifar10("test", tmp_path)


class Attack:
    def __reduce__(self):
        return print, ("an attack ran",)


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (b"", "EOFError"),
        (b"nonsense", "Expected a batch of CIFAR-10"),
        (python2_pickle("test_batch")[:-20], "Expected a batch"),
        (pickle.dumps(Attack()), r"builtins.print, which is not allowed"),
        (pickle.dumps(Attack(), 0), r"print, which is not allowed"),
        (pickle.dumps({"data": [1], "labels": [1]}), "Expected a batch"),
        (pickle.dumps({"labels": [1]}), "KeyError"),
        (python2_pickle("test_batch", dtype=b"f8"), "not of 3072 bytes an image"),
        (python2_pickle("test_batch", dtype=b"O8"), "not of 3072 bytes an image"),
        (python2_pickle("test_batch", columns=3071), r"shape \(4, 3071\)"),
        (pickle.dumps({"data": np.zeros((2, 3072), np.uint8), "labels": [1]}, 2), "2 images and"),
        (pickle.dumps({"data": np.zeros((1, 3072), np.uint8), "labels": [-1]}, 2), "of them -1"),
        (pickle.dumps({"data": np.zeros((0, 3072), np.uint8), "labels": []}, 4), "0 images and"),
        (pickle.dumps([1, 2]), "Expected a batch"),
    ],
)
def test_wrong_pickles(tmp_path, content, match, capsys):
    (tmp_path / "test_batch").write_bytes(content)
    with pytest.raises(ValueError, match=match):
        kgan.data.load_cifar10("test", tmp_path)
    assert "attack" not in capsys.readouterr().out


def test_the_attack_would_work(capsys):
    pickle.loads(pickle.dumps(Attack()))
    assert "an attack ran" in capsys.readouterr().out


@pytest.mark.parametrize("length", [0, 10, 100, 5_000, 20_000])
def test_truncated_archives(tmp_path, length):
    path = write_archive(tmp_path, "binary")
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(ValueError, match=r"Expected (a gzipped archive|the files) of CIFAR-10"):
        kgan.data.load_cifar10("train", tmp_path)


def test_archives_that_are_something_else(tmp_path):
    path = write_archive(tmp_path, "binary", {"other.bin": b"1"})
    with pytest.raises(ValueError, match=r"without test_batch.bin"):
        kgan.data.load_cifar10("test", tmp_path)
    path.write_bytes(gzip.compress(b"not a tar" * 1000))
    with pytest.raises(ValueError, match=r"Expected a gzipped archive|without"):
        kgan.data.load_cifar10("test", tmp_path)
    path.write_bytes(b"not gzipped" * 1000)
    with pytest.raises(ValueError, match=r"Expected a gzipped archive"):
        kgan.data.load_cifar10("test", tmp_path)


def test_links_and_large_members_are_not_read(tmp_path):
    secret = tmp_path / "secret"
    secret.write_bytes(binary("test_batch"))
    for make in (tarfile.SYMTYPE, tarfile.LNKTYPE):
        with tarfile.open(tmp_path / "cifar-10-binary.tar.gz", "w:gz") as file:
            info = tarfile.TarInfo("cifar-10-batches-bin/test_batch.bin")
            info.type, info.linkname = make, str(secret)
            file.addfile(info)
        with pytest.raises(ValueError, match=r"without test_batch\.bin"):
            kgan.data.load_cifar10("test", tmp_path)
    # A member that would take 8 GB of memory; the archive has some kilobytes.
    info = tarfile.TarInfo("cifar-10-batches-bin/test_batch.bin")
    info.size = 2**33 - 1
    (tmp_path / "cifar-10-binary.tar.gz").write_bytes(gzip.compress(info.tobuf() + bytes(20_000)))
    with pytest.raises(ValueError, match=r"at most 61460000 bytes.*Received: 8589934591"):
        kgan.data.load_cifar10("test", tmp_path)


def pinned(path, **changes):
    content = path.read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    published = {"name": path.name, "size": len(content), "sha256": digest}
    return PublishedFile(**(published | changes))


def test_a_download_is_checked_and_kept(tmp_path, cache, monkeypatch):
    path = write_archive(tmp_path / "server", "binary")
    monkeypatch.setattr(_cifar, "MIRRORS", ["http://nowhere.invalid/", "http://mirror/"])
    monkeypatch.setattr(_cifar, "ARCHIVE", pinned(path))
    asked = []

    def chunks(url):
        asked.append(url)
        if "nowhere" in url:
            raise ConnectionError("no such host")
        yield path.read_bytes()

    monkeypatch.setattr(_download, "_chunks", chunks)
    check(kgan.data.load_cifar10("train", batch_size=1), "train")
    assert asked == [
        f"http://{host}/cifar-10-binary.tar.gz" for host in ("nowhere.invalid", "mirror")
    ]
    check(kgan.data.load_cifar10("test", batch_size=1), "test")
    assert len(asked) == 2
    assert [each.name for each in (cache / "kgan" / "cifar10").iterdir()] == [path.name]


def test_a_download_of_other_bytes_is_refused(tmp_path, cache, monkeypatch):
    path = write_archive(tmp_path / "server", "binary")
    monkeypatch.setattr(_cifar, "ARCHIVE", pinned(path, sha256="0" * 64))
    monkeypatch.setattr(_download, "_chunks", lambda url: (path.read_bytes() for _ in range(1)))
    with pytest.raises(ConnectionError, match=r"(?s)with SHA-256 0{64}, received.*To fix this"):
        kgan.data.load_cifar10("train")
    assert not list((cache / "kgan" / "cifar10").iterdir())


def test_the_pinned_archive():
    assert _cifar.ARCHIVE.size == 170_052_171
    assert len(cifar10.CLASS_NAMES) == 10

"""Data sets by name."""

import gzip

import numpy as np
import pytest

import kgan

pytestmark = pytest.mark.backend_free


# The splits of "folder" are folders: test_folder_splits.py.
@pytest.mark.parametrize("name", [name for name in kgan.data.DATASETS if name != "folder"])
def test_every_loader_names_its_splits(name):
    with pytest.raises(ValueError, match=r"'train'.*'test'.*Received: 'nonsense'"):
        kgan.data.load_dataset(name, "nonsense")


def test_digits_by_name():
    dataset = kgan.data.load_dataset("digits", "test", batch_size=32)
    assert len(dataset.images) == 297
    assert dataset.batch_size == 32


@pytest.mark.parametrize("name", ["mnist", "fashion_mnist", "kmnist", "stacked_mnist"])
def test_directory_reaches_the_loader(tmp_path, name):
    images = np.arange(2 * 28 * 28).astype("uint8").reshape(2, 28, 28)
    content = bytes([0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 28, 0, 0, 0, 28]) + images.tobytes()
    (tmp_path / "t10k-images-idx3-ubyte").write_bytes(content)
    labels = gzip.compress(bytes([0, 0, 8, 1, 0, 0, 0, 2, 4, 9]))
    (tmp_path / "t10k-labels-idx1-ubyte.gz").write_bytes(labels)
    dataset = kgan.data.load_dataset(name, "test", tmp_path, batch_size=1)
    np.testing.assert_array_equal(np.reshape(dataset.images, (2, 28, 28)), images)
    np.testing.assert_array_equal(dataset.labels, [4, 9])


def test_unknown_name_gives_the_choices_and_the_nearest():
    with pytest.raises(ValueError, match=r"'folder' or 'tfds:NAME'.*'minst'.*Did you mean 'mnist'"):
        kgan.data.load_dataset("minst")


def test_directory_for_a_set_without_files(tmp_path):
    with pytest.raises(
        ValueError, match=r"'digits' reads no files.*Received: data_dir=.*--data-dir"
    ):
        kgan.data.load_dataset("digits", data_dir=tmp_path)

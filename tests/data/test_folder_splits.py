"""The data set "folder": which pictures are for training, in which size and which classes."""

import numpy as np
import pytest
from PIL import Image

from kgan import data

pytestmark = pytest.mark.backend_free


@pytest.fixture(autouse=True)
def caches_of_its_own(monkeypatch, tmp_path_factory):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path_factory.mktemp("keras")))


def put(folder, level, size=(8, 6), count=2):
    """Writes pictures of one level, plus 100: lower ones look like a mistake."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        pixels = np.full((*size, 3), 100 + level, "uint8")
        Image.fromarray(pixels).save(folder / f"{number}.png")


def load(folder, split="train", **options):
    options = {"batch_size": 1, "verbose": False, **options}
    return data.load_dataset("folder", split, data_dir=folder, **options)


def test_without_splits_all_pictures_are_for_training(tmp_path):
    put(tmp_path / "pets" / "cat", 10)
    put(tmp_path / "pets" / "train", 20)  # a class like another one, next to others
    dataset = load(tmp_path / "pets")
    assert dataset.class_names == ("cat", "train")
    assert dataset.images[:, 0, 0, 0].tolist() == [110, 110, 120, 120]
    with pytest.raises(ValueError, match=r"without splits.* Move them to .*train"):
        load(tmp_path / "pets", "test")


def test_splits_have_the_classes_of_training(tmp_path):
    for name, level in (("cat", 10), ("dog", 20), ("horse", 30)):
        put(tmp_path / "train" / name, level)
    put(tmp_path / "test" / "dog", 40)
    (tmp_path / ".hidden").mkdir()
    assert load(tmp_path).images[:, 0, 0, 0].tolist() == [110, 110, 120, 120, 130, 130]
    test = load(tmp_path, "test")
    assert (test.labels.tolist(), test.num_classes) == ([1, 1], 3)
    assert test.class_names == ("cat", "dog", "horse")
    with pytest.raises(ValueError, match=r"a split of .*: test, train\. Received: 'val'"):
        load(tmp_path, "val")


def test_splits_without_classes(tmp_path):
    put(tmp_path / "train", 10)
    put(tmp_path / "val", 20, count=1)
    assert load(tmp_path).labels is None
    assert load(tmp_path, "val").images.shape == (1, 8, 6, 3)


@pytest.mark.parametrize(
    ("size", "asked", "expected"),
    [
        ((8, 6), None, (8, 6)),
        ((64, 64), None, (64, 64)),
        ((65, 8), None, (64, 64)),
        ((65, 8), (4, 5), (4, 5)),
        ((8, 6), 7, (7, 7)),
    ],
)
def test_the_size_of_images(tmp_path, size, asked, expected):
    put(tmp_path / "pictures", 10, size)
    found = load(tmp_path / "pictures", image_size=asked).image_shape
    assert found == (*expected, 3)


def test_others_get_the_size_of_the_first_picture(tmp_path):
    put(tmp_path / "pictures", 10, (8, 6), count=1)
    put(tmp_path / "pictures" / "more", 20, (40, 20))
    with pytest.raises(ValueError, match="which has no class"):
        load(tmp_path / "pictures")
    assert load(tmp_path / "pictures", labels=False).images.shape == (3, 8, 6, 3)


def test_wrong_options(tmp_path):
    with pytest.raises(ValueError, match=r"the folder of pictures as data_dir \(--data DIR\)"):
        data.load_dataset("folder")
    with pytest.raises(FileNotFoundError, match="a folder of pictures"):
        load(tmp_path / "missing")
    with pytest.raises(ValueError, match=r"no image_size, since the images of 'digits' have one"):
        data.load_dataset("digits", image_size=32)

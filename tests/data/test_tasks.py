"""Translation tasks by name, and pairs and domains in folders with splits."""

import numpy as np
import pytest
from PIL import Image

import kgan
from kgan import data
from kgan.data.folder_tasks import load_folder_task

pytestmark = pytest.mark.backend_free

ON_DIGITS = ("outlines", "small", "hole", "thin_and_thick", "upright_and_slanted", "colour_rule")


@pytest.mark.parametrize("name", ON_DIGITS)
@pytest.mark.parametrize("split", ["train", "test"])
def test_a_task_has_the_images_of_its_function(name, split):
    task = data.load_task(name, split, "digits", seed=3, batch_size=8)
    source = data.load_digits(split)
    make = getattr(data.pairs, name)
    assert task.dataset.kind == data.TASKS[name].kind
    assert (task.dataset.batch_size, task.dataset.seed) == (8, 3)
    if task.dataset.kind == "pairs":
        (direction,) = task.directions
        inputs, targets = make(source.images)
        expected = data.Direction(inputs, targets, source.labels, targets, None, source.labels)
        _assert_same(direction, expected)
        np.testing.assert_array_equal(task.dataset.inputs.images, inputs)
        np.testing.assert_array_equal(task.dataset.targets.images, targets)
        return
    made = make(source.images, seed=3)
    to_b, to_a = task.directions
    of_a, of_b = (source.labels[rows] for rows in (made.rows_of_a, made.rows_of_b))
    _assert_same(to_b, data.Direction(made.a, made.b, of_a, made.partners_of_a, "b", of_b))
    _assert_same(to_a, data.Direction(made.b, made.a, of_b, made.partners_of_b, "a", of_a))
    np.testing.assert_array_equal(task.dataset.a.images, made.a)
    np.testing.assert_array_equal(task.dataset.b.images, made.b)


def _assert_same(found, expected):
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, other)
    assert found.is_paired == (expected.to is None)


@pytest.mark.parametrize("name", ["thin_and_thick", "colour_rule"])
def test_no_partner_is_in_the_training_data(name):
    task = data.load_task(name, "train", "digits", batch_size=8)
    to_b, to_a = task.directions
    for partners, domain in ((to_b.truths, task.dataset.b), (to_a.truths, task.dataset.a)):
        seen = {image.tobytes() for image in domain.images}
        assert not any(image.tobytes() in seen for image in partners)


def test_the_digits_and_mnist(data_dir, monkeypatch):
    monkeypatch.setenv("KGAN_DATA_DIR", str(data_dir))
    task = data.load_task("digits_to_mnist", "test", batch_size=4)
    to_b, to_a = task.directions
    digits, mnist = data.load_digits("test"), data.load_mnist("test")
    a, b = (digits.images, digits.labels), (mnist.images, mnist.labels)
    _assert_same(to_b, data.Direction(a[0], b[0], a[1], None, "b", b[1]))
    _assert_same(to_a, data.Direction(b[0], a[0], b[1], None, "a", a[1]))


def _colours(count=40):
    images = np.random.default_rng(0).integers(0, 256, (count, 8, 8, 3), dtype="uint8")
    return data.ImageDataset(images, np.arange(count) % 10, batch_size=1)


def test_horses_become_deer(monkeypatch):
    source = _colours()
    monkeypatch.setitem(data.DATASETS, "cifar10", lambda split, **options: source)
    task = data.load_task("horse_to_deer", batch_size=2)
    to_b, to_a = task.directions
    np.testing.assert_array_equal(to_b.inputs, source.images[7::10])
    np.testing.assert_array_equal(to_a.inputs, source.images[4::10])
    np.testing.assert_array_equal(to_b.labels, [4, 4, 4, 4])  # the class that is wanted
    np.testing.assert_array_equal(to_a.labels, [7, 7, 7, 7])
    np.testing.assert_array_equal(to_b.target_labels, to_b.labels)
    assert to_b.truths is None


def test_grey_uses_the_colour_images_of_cifar10(monkeypatch):
    source = _colours()
    monkeypatch.setitem(data.DATASETS, "cifar10", lambda split, **options: source)
    task = data.load_task("grey", batch_size=2, horizontal_flip=True)
    assert task.dataset.build_options == {"image_shape": (8, 8, 1), "target_channels": 3}
    assert task.dataset.contents == "40 pairs of 8x8x1 and 8x8x3"
    np.testing.assert_array_equal(task.directions[0].targets, source.images)
    assert "horizontal_flip=True" in repr(task.dataset)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("outline",), r"a translation task, one of .*'outline'\. Did you mean 'outlines'\?"),
        (("horse_to_deer", "train", "digits"), "Expected no other data set, since the task"),
        (("outlines", "train", "stacked_mnist"), "Expected a data set of whole images"),
        (("outlines", "nonsense", "digits"), "Expected a split of the digits"),
        (("grey", "train", "digits"), "Expected colour images"),
        (("outlines", "train", "minst"), "Did you mean 'mnist'"),
    ],
)
def test_errors(data_dir, monkeypatch, arguments, message):
    monkeypatch.setenv("KGAN_DATA_DIR", str(data_dir))
    with pytest.raises(ValueError, match=message):
        data.load_task(*arguments)


# ---- folders -------------------------------------------------------------------------------------


def _write(folder, count=3, size=(6, 8)):
    """Writes pictures `(height, width)` and returns their pixels."""
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(len(str(folder)))
    pixels = random.integers(0, 256, (count, *size, 3), dtype="uint8")
    for number, each in enumerate(pixels):
        Image.fromarray(each).save(folder / f"{number}.png")
    return pixels


@pytest.mark.parametrize("half", ["left", "right"])
def test_pictures_side_by_side_with_splits(tmp_path, half):
    train, test = (_write(tmp_path / split, size=(6, 16)) for split in ("train", "test"))
    for split, pixels in (("train", train), ("test", test)):
        task = load_folder_task("pairs", split, tmp_path, input_half=half, batch_size=2)
        (direction,) = task.directions
        halves = pixels[:, :, :8], pixels[:, :, 8:]
        inputs, targets = halves if half == "left" else halves[::-1]
        _assert_same(direction, data.Direction(inputs, targets, None, targets, None))
    assert task.name == tmp_path.name


@pytest.mark.parametrize("folders", [{"train": "train", "test": "test"}, {"train": ""}])
def test_inputs_and_targets(tmp_path, folders):
    written = {
        split: [_write(tmp_path / folder / name) for name in ("inputs", "targets")]
        for split, folder in folders.items()
    }
    for split, (inputs, targets) in written.items():
        task = load_folder_task("pairs", split, tmp_path, batch_size=2)
        _assert_same(task.directions[0], data.Direction(inputs, targets, None, targets, None))


@pytest.mark.parametrize("kind", ["pairs", "domains"])
def test_folders_a_and_b(tmp_path, kind):
    for split in ("train", "test"):
        a, b = (_write(tmp_path / f"{split}{letter}") for letter in "AB")
        task = load_folder_task(kind, split, tmp_path, batch_size=2)
        truths = b if kind == "pairs" else None
        to = None if kind == "pairs" else "b"
        _assert_same(task.directions[0], data.Direction(a, b, None, truths, to))
        assert task.dataset.kind == kind


def test_large_pictures_are_scaled_unless_a_size_is_given(tmp_path):
    _write(tmp_path, size=(70, 160))
    load = load_folder_task
    assert load("pairs", "train", tmp_path, batch_size=1).dataset.image_shape == (64, 64, 3)
    task = load("pairs", "train", tmp_path, image_size=(7, 9), batch_size=1)
    assert task.dataset.image_shape == (7, 9, 3)


@pytest.mark.parametrize(
    ("kind", "split", "message"),
    [
        ("pairs", "train", "Expected pairs of pictures in .* Received: .* with cats, dogs"),
        ("pairs", "test", "without splits"),
        ("domains", "train", "Expected the folders trainA and trainB in .* with cats, dogs"),
        ("domains", "test", "Expected the folders testA and testB"),
    ],
)
def test_folders_of_classes_are_neither(pictures_dir, kind, split, message):
    with pytest.raises(ValueError, match=message):
        load_folder_task(kind, split, pictures_dir)


@pytest.mark.parametrize("kind", ["pairs", "domains"])
def test_folders_a_and_b_without_the_split(tmp_path, kind):
    for letter in "AB":
        _write(tmp_path / f"train{letter}")
    message = f"Expected the folders testA and testB in .*, for {kind} .* with trainA, trainB"
    with pytest.raises(ValueError, match=message):
        load_folder_task(kind, "test", tmp_path)


def test_a_folder_must_be_given_and_there(tmp_path):
    with pytest.raises(ValueError, match=r"Expected the folder of pairs as data_dir \(--data DIR"):
        load_folder_task("pairs")
    with pytest.raises(FileNotFoundError, match="missing: no folder"):
        load_folder_task("domains", data_dir=tmp_path / "missing")


def test_a_folder_of_pictures_has_tasks_too(tmp_path):
    pixels = _write(tmp_path)
    task = kgan.data.load_task("outlines", "train", "folder", tmp_path, image_size=6, batch_size=2)
    assert task.dataset.build_options == {"image_shape": (6, 6, 1), "target_channels": 3}
    assert len(task.directions[0].targets) == len(pixels)

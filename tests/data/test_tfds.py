"""from_tfds, against data sets that tensorflow-datasets itself builds in a temporary directory."""

import sys

import numpy as np
import pytest

import kgan

tfds = pytest.importorskip("tensorflow_datasets")

# tensorflow-datasets asks protobuf a question that some versions of it deprecate.
pytestmark = [
    pytest.mark.backend_free,
    pytest.mark.filterwarnings(r"ignore:label\(\) is deprecated:DeprecationWarning"),
]

NUM_CLASSES = 4


def _example(index, size=(6, 5), channels=3):
    """An image that says which one it is, and its label."""
    pixels = np.arange(size[0] * size[1] * channels).reshape(*size, channels)
    return {"image": (pixels + 7 * index).astype("uint8"), "label": index % NUM_CLASSES}


def _build(directory, name, features, examples):
    tfds.dataset_builders.store_as_tfds_dataset(
        name=name,
        version="1.0.0",
        features=tfds.features.FeaturesDict(features),
        split_datasets={
            split: [(n, {key: row[key] for key in features}) for n, row in enumerate(of_split)]
            for split, of_split in examples.items()
        },
        data_dir=directory,
        disable_shuffling=True,  # so that the order is known
    )


@pytest.fixture(scope="module")
def directory(tmp_path_factory):
    """Several little data sets, built once."""
    directory = tmp_path_factory.mktemp("tfds")
    label = tfds.features.ClassLabel(num_classes=NUM_CLASSES)
    colour, any_size = (tfds.features.Image(shape=shape) for shape in ((6, 5, 3), (None, None, 3)))
    examples = [_example(index) for index in range(10)]
    with_test = {"train": examples, "test": [_example(index) for index in range(10, 13)]}
    _build(directory, "labelled", {"image": colour, "label": label}, with_test)
    _build(directory, "unlabelled", {"image": colour}, {"train": examples})
    _build(directory, "same_size", {"image": any_size, "label": label}, {"train": examples})
    mixed = [*examples, _example(10, (8, 5))]
    _build(directory, "mixed_size", {"image": any_size, "label": label}, {"train": mixed})
    unknown = [{**example, "label": -1} for example in examples]
    _build(directory, "unknown_labels", {"image": colour, "label": label}, {"train": unknown})
    deep = tfds.features.Image(shape=(6, 5, 3), dtype=np.uint16, encoding_format="png")
    sixteen = [{"image": example["image"].astype("uint16")} for example in examples]
    _build(directory, "sixteen_bit", {"image": deep}, {"train": sixteen})
    numbers = {"value": tfds.features.Scalar(np.int64), "label": label}
    _build(directory, "no_images", numbers, {"train": [{"value": 1, "label": 1}]})
    named = {
        "photo": tfds.features.Image(shape=(6, 5, 3)),
        "kind": tfds.features.Scalar(np.int32),
        "boxes": tfds.features.Sequence(tfds.features.BBoxFeature()),
    }
    boxes = [[], [tfds.features.BBox(0.0, 0.0, 1.0, 1.0)]]
    rows = [
        {"photo": example["image"], "kind": 5 + index, "boxes": boxes[index % 2]}
        for index, example in enumerate(examples)
    ]
    _build(directory, "other_names", named, {"train": rows})
    return directory


def _expected(indices):
    examples = [_example(index) for index in indices]
    images = np.stack([example["image"] for example in examples])
    return images, np.array([example["label"] for example in examples])


@pytest.mark.parametrize("name", ["labelled", "same_size"])
def test_images_and_labels_are_equal(directory, name):
    dataset = kgan.data.from_tfds(name, data_dir=directory, batch_size=2)
    images, labels = _expected(range(10))
    np.testing.assert_array_equal(dataset.images, images)
    np.testing.assert_array_equal(dataset.labels, labels)
    assert dataset.images.dtype == np.uint8
    assert dataset.image_shape == (6, 5, 3)
    assert dataset.num_classes == NUM_CLASSES
    assert dataset.class_names is None  # tensorflow-datasets has only numbers for them


@pytest.mark.parametrize(
    ("split", "indices"),
    [("test", range(10, 13)), ("train[2:5]", range(2, 5)), ("train+test", range(13))],
)
def test_splits_and_parts_of_them(directory, split, indices):
    dataset = kgan.data.from_tfds("labelled", split, data_dir=directory, batch_size=1)
    images, labels = _expected(indices)
    np.testing.assert_array_equal(dataset.images, images)
    np.testing.assert_array_equal(dataset.labels, labels)


def test_more_images_than_are_read_at_a_time(directory, monkeypatch):
    monkeypatch.setattr("kgan.data.tfds._READ_SIZE", 4)
    dataset = kgan.data.from_tfds("labelled", data_dir=directory, batch_size=1)
    np.testing.assert_array_equal(dataset.images, _expected(range(10))[0])


@pytest.mark.parametrize(
    ("name", "options"),
    [("unlabelled", {}), ("unknown_labels", {}), ("labelled", {"label_key": None})],
)
def test_no_labels(directory, name, options):
    dataset = kgan.data.from_tfds(name, data_dir=directory, batch_size=2, **options)
    np.testing.assert_array_equal(dataset.images, _expected(range(10))[0])
    assert dataset.labels is None
    assert dataset.num_classes is None


def test_other_keys_and_features_that_cannot_be_batched(directory):
    dataset = kgan.data.from_tfds(
        "other_names",
        data_dir=directory,
        image_key="photo",
        label_key="kind",
        batch_size=2,
        num_classes=20,
    )
    np.testing.assert_array_equal(dataset.images, _expected(range(10))[0])
    np.testing.assert_array_equal(dataset.labels, np.arange(5, 15))
    assert dataset.num_classes == 20


def test_options_and_the_name_reach_the_dataset(directory):
    dataset = kgan.data.load_dataset(
        "tfds:labelled", "train", directory, batch_size=5, value_range=(0, 1), seed=1
    )
    images, labels = next(iter(dataset))
    assert images.shape == (5, 6, 5, 3)
    assert labels.shape == (5,)
    assert images.min() >= 0


@pytest.mark.parametrize(
    ("name", "options", "said"),
    [
        ("mixed_size", {}, r"one size in 'mixed_size'. Received: 6x5x3 and, at image 10, 8x5x3"),
        ("sixteen_bit", {}, r"uint8 in 'sixteen_bit'. Received: uint16"),
        ("no_images", {}, r"features label, value. It is not an image data set"),
        ("other_names", {}, r"features boxes, kind, photo. Pass image_key='photo'"),
        ("labelled", {"label_key": "class"}, r"a feature 'class'.*image, label"),
        ("labelled", {"label_key": "image"}, r"one integer for each image in the feature 'image'"),
        ("labelled", {"split": "validation"}, r"(?s)'validation'.*'train'"),
        ("labelled", {"split": "train[:0]"}, r"'train\[:0\]' of 'labelled' is empty"),
        ("cifar_10", {}, r"Received: 'cifar_10'. Did you mean 'cifar10'"),
    ],
)
def test_what_cannot_be_had(directory, name, options, said):
    with pytest.raises(ValueError, match=said):
        kgan.data.from_tfds(name, data_dir=directory, **options)


class LittleShapes(tfds.core.GeneratorBasedBuilder):
    """A data set with code, as those of tensorflow-datasets have, so that it must be prepared."""

    VERSION = tfds.core.Version("1.0.0")

    def _info(self):
        features = {
            "image": tfds.features.Image(shape=(6, 5, 1)),
            "label": tfds.features.ClassLabel(names=["dot", "line"]),
        }
        return tfds.core.DatasetInfo(builder=self, features=tfds.features.FeaturesDict(features))

    def _split_generators(self, dl_manager):
        return {"train": self._generate_examples()}

    def _generate_examples(self):
        for index in range(4):
            yield index, {"image": np.full((6, 5, 1), 80 * index, "uint8"), "label": index % 2}


def test_preparing_happens_only_when_allowed(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"'little_shapes' is not prepared.*download=True"):
        kgan.data.from_tfds("little_shapes", data_dir=tmp_path, download=False)
    dataset = kgan.data.from_tfds("little_shapes", data_dir=tmp_path, batch_size=1)
    # tensorflow-datasets shuffles what it prepares, but images keep their labels.
    values = dataset.images[:, 0, 0, 0] // 80
    assert sorted(values) == [0, 1, 2, 3]
    np.testing.assert_array_equal(dataset.labels, values % 2)
    assert dataset.num_classes == 2
    assert dataset.class_names == ("dot", "line")
    options = {"data_dir": tmp_path, "batch_size": 1}
    renamed = kgan.data.from_tfds("little_shapes", class_names=["a", "b"], **options)
    assert renamed.class_names == ("a", "b")
    more = kgan.data.from_tfds("little_shapes", num_classes=3, **options)
    assert (more.num_classes, more.class_names) == (3, None)
    again = kgan.data.from_tfds("little_shapes", data_dir=tmp_path, download=False, batch_size=1)
    np.testing.assert_array_equal(again.images, dataset.images)


def test_without_tensorflow_datasets(monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow_datasets", None)
    with pytest.raises(ImportError, match=r'pip install "kgan\[tfds\]"'):
        kgan.data.from_tfds("mnist")

"""Data are checked the same in every container: arrays, tf.data, loaders, datasets, generators."""

import pickle

import keras
import numpy as np
import pytest

import kgan

# Keras warns that a generator of unknown length has ended.
pytestmark = pytest.mark.filterwarnings("ignore:Your input ran out of data")

RIGHT = np.random.default_rng(0).uniform(-1, 1, (48, 8, 8, 1)).astype("float32")
LABELS = (np.arange(48) % 3).astype("int32")


class Pairs(keras.utils.PyDataset):
    """A custom dataset of batches of 16."""

    def __init__(self, *arrays):
        super().__init__()
        self.arrays = arrays

    def __len__(self):
        return 3

    def __getitem__(self, index):
        return tuple(array[16 * index : 16 * (index + 1)] for array in self.arrays)


def of_tensorflow(*arrays):
    tf = pytest.importorskip("tensorflow")
    return tf.data.Dataset.from_tensor_slices(arrays).batch(16)


def of_torch(*arrays):
    torch = pytest.importorskip("torch")
    data = torch.utils.data.TensorDataset(*map(torch.as_tensor, arrays))
    return torch.utils.data.DataLoader(data, batch_size=16)


def of_generator(*arrays):
    return (batch for batch in (Pairs(*arrays)[index] for index in range(3)))


CONTAINERS = [Pairs, of_tensorflow, of_torch, of_generator]


def fit_fails(gan, data, match):
    # TensorFlow makes errors of its own of those in its datasets and in generators.
    with pytest.raises(Exception, match=match):
        gan.fit(data, epochs=1, verbose=0)


@pytest.mark.parametrize("container", CONTAINERS)
def test_images_out_of_range(make_gan, container):
    gan = make_gan("mlp")
    assert gan.fit(container(RIGHT), verbose=0).history
    fit_fails(gan, container((RIGHT + 1) * 127.5), r"(?s)in \[-1, 1\].*values from")


@pytest.mark.parametrize("container", CONTAINERS)
@pytest.mark.parametrize("wrong", [-1, 3, 0.5])
def test_labels_out_of_range_in_a_middle_batch(make_gan, container, wrong):
    labels = LABELS.astype("float32")
    labels[20] = wrong
    message = "integer labels|labels from|the classes that"
    fit_fails(make_gan("mlp", num_classes=3), container(RIGHT, labels), message)


def test_a_tensorflow_dataset_of_unknown_rank(make_gan):
    tf = pytest.importorskip("tensorflow")

    def batches():
        yield RIGHT[:16]
        yield RIGHT[16:32]

    data = tf.data.Dataset.from_generator(batches, output_types=tf.float32)
    gan = make_gan("mlp")
    gan.fit(data, epochs=1, verbose=0)
    assert gan.epochs_trained == 1


def test_data_without_a_batch(make_gan):
    gan = make_gan("mlp")
    for data in (RIGHT[:0], of_tensorflow(RIGHT[:0])):
        with pytest.raises(ValueError, match=r"empty|at least one batch"):
            gan.fit(data, verbose=0)
    assert gan.epochs_trained == 0


def test_data_that_are_not_batched(make_gan):
    tf = pytest.importorskip("tensorflow")
    gan = make_gan("mlp")
    for call in (
        lambda: gan.fit(tf.data.Dataset.from_tensor_slices(RIGHT), verbose=0),
        lambda: gan.train_on_batch(RIGHT[0]),
    ):
        with pytest.raises(ValueError, match=r"one image of shape \(8, 8, 1\). Batch it"):
            call()


def test_a_loader_of_dictionaries(make_gan):
    torch = pytest.importorskip("torch")
    data = [{"image": image} for image in RIGHT]
    loader = torch.utils.data.DataLoader(data, batch_size=16)
    fit_fails(make_gan("mlp"), loader, "Received: a dict")


def test_labels_as_names(make_gan):
    names = np.array(["cat", "dog", "hen"])[LABELS]
    with pytest.raises(ValueError, match="Number the classes"):
        make_gan("mlp", num_classes=3).fit(RIGHT, names, verbose=0)


@pytest.mark.parametrize("container", [Pairs, of_torch])
def test_checks_go_to_worker_processes(make_gan, container):
    from kgan.training.data_checks import checked

    data = checked(container((RIGHT + 1) * 127.5), make_gan("mlp").batch_spec(training=True))
    check = data if container is Pairs else data.collate_fn
    check = pickle.loads(pickle.dumps(check.check))
    assert check((RIGHT[:16],))[0] is not None
    with pytest.raises(ValueError, match=r"in \[-1, 1\].*values from"):
        check((RIGHT[:16] * 100,))


def test_worker_processes_that_are_spawned(make_gan, images, monkeypatch):
    """What they are given can be pickled, and knows its epoch."""
    from kgan.training.feed import feed

    gan = make_gan("mlp")
    gan.epochs_trained = 2
    data = kgan.data.ImageDataset(images, batch_size=16, seed=0, use_multiprocessing=True)
    monkeypatch.setattr("kgan._backend.readable", lambda part, model: part(0, 1))
    batches = feed(data, lambda: gan.epochs_trained, model=gan)
    twin = pickle.loads(pickle.dumps(batches))
    np.testing.assert_array_equal(twin[1], data.batch(2, 1))

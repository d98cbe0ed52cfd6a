"""What all tests share: small networks, small data, and quiet, repeatable backends."""

import os
import signal

# Before anything imports TensorFlow.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
os.environ["MPLBACKEND"] = "agg"
# Compiling takes longer than running what is compiled; so too in processes that tests start.
os.environ.setdefault("JAX_DISABLE_MOST_OPTIMIZATIONS", "1")

import kgan  # noqa: I001  (sets TensorFlow's switches, so it stands first)
import keras
import numpy as np
import pytest
from PIL import Image

from kgan.training import GenerativeModel, log_names


# Which start processes of their own, and wait for them.
LONGEST = {"test_backends.py", "test_distribution.py", "test_examples.py", "test_killed.py"}


def pytest_collection_modifyitems(items):
    """Has the longest files come first, so that of several workers none is left with one."""
    items.sort(key=lambda item: item.path.name not in LONGEST)


@pytest.fixture(autouse=True, scope="session")
def _cache_of_its_own(tmp_path_factory):
    os.environ["KERAS_HOME"] = str(tmp_path_factory.mktemp("keras_home"))


@pytest.fixture(autouse=True)
def _fresh_state():
    keras.utils.set_random_seed(1)


@pytest.fixture
def interruptible():
    """Has Ctrl-C interrupt, also in a process that a shell began in the background."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def images() -> np.ndarray:
    """96 uint8 images of 8x8 with bright bars: (96, 8, 8)."""
    generator = np.random.default_rng(0)
    array = generator.integers(0, 40, (96, 8, 8), dtype="uint8")
    array[np.arange(96), generator.integers(0, 8, 96)] = 255
    return array


@pytest.fixture
def labels() -> np.ndarray:
    return (np.arange(96) % 3).astype("int32")


@pytest.fixture
def dataset(images, labels) -> kgan.data.ImageDataset:
    return kgan.data.ImageDataset(images, labels, batch_size=16, seed=5)


@pytest.fixture
def make_gan():
    """Makes a small GAN for 8x8 images: `make_gan(network, num_classes, **compile_options)`."""

    def make(network: str = "dcgan", num_classes: int | None = None, **compile_options):
        networks = getattr(kgan.networks, network)(
            image_shape=(8, 8, 1), latent_dim=4, num_classes=num_classes, width=4
        )
        gan = kgan.GAN(*networks, seed=3)
        gan.compile(**compile_options)
        return gan

    return make


@pytest.fixture(scope="session")
def write_mnist_files():
    """Writes MNIST's four files, with digits of scikit-learn's in them, into a directory."""

    def write(directory, count):
        directory.mkdir(exist_ok=True)
        digits = kgan.data.load_digits("all")
        images, labels = digits.images[:count, ..., 0], digits.labels[:count].astype("uint8")
        for prefix in ("train", "t10k"):
            kgan.data.write_idx(directory / f"{prefix}-images-idx3-ubyte.gz", np.array(images))
            kgan.data.write_idx(directory / f"{prefix}-labels-idx1-ubyte.gz", labels)
        return directory

    return write


@pytest.fixture(scope="session")
def data_dir(tmp_path_factory, write_mnist_files):
    """MNIST's four files, with 200 digits of scikit-learn's in them."""
    return write_mnist_files(tmp_path_factory.mktemp("data"), 200)


@pytest.fixture(scope="session")
def pictures_dir(tmp_path_factory):
    """Small colour pictures in two folders, `cats` and `dogs`."""
    directory = tmp_path_factory.mktemp("pictures")
    random = np.random.default_rng(0)
    for name in ("cats", "dogs"):
        (directory / name).mkdir()
        for number in range(32):
            pixels = random.integers(0, 256, (20, 24, 3), dtype="uint8")
            Image.fromarray(pixels).save(directory / name / f"{number}.png")
    return directory


@pytest.fixture
def little(monkeypatch, tmp_path, data_dir, pictures_dir):
    """What examples find: little data, pictures in a folder, and a `fit` of one epoch."""
    monkeypatch.setenv("KGAN_DATA_DIR", str(data_dir))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(log_names, "_TABLE", dict(log_names._TABLE))
    fit, draw, evaluate = GenerativeModel.fit, kgan.data.ImageDataset.draw, kgan.evaluate

    def fit_one_epoch(self, *args, epochs=1, initial_epoch=0, **options):
        last = min(epochs, initial_epoch + 1)
        options.setdefault("verbose", 0)
        return fit(self, *args, epochs=last, initial_epoch=initial_epoch, **options)

    def draw_few(self, count, *args, **options):
        return draw(self, min(count, len(self.images)), *args, **options)

    def evaluate_few(*args, bootstrap=0, **options):
        return evaluate(*args, bootstrap=min(bootstrap, 2), count=100, **options)

    monkeypatch.setattr(kgan, "evaluate", evaluate_few)
    monkeypatch.setattr(GenerativeModel, "fit", fit_one_epoch)
    monkeypatch.setattr(kgan.data.ImageDataset, "draw", draw_few)
    (tmp_path / "pictures").symlink_to(pictures_dir)

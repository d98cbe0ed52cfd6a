"""scikit-learn's digits, enlarged."""

import numpy as np
import pytest
from sklearn import datasets

import kgan

pytestmark = pytest.mark.backend_free


@pytest.fixture(scope="module")
def everything():
    return kgan.data.load_digits("all", batch_size=64)


def _images(dataset):
    return np.reshape(dataset.images, (-1, 28, 28))


def test_labels_are_those_of_scikit_learn(everything):
    np.testing.assert_array_equal(everything.labels, datasets.load_digits().target)
    assert everything.num_classes == 10
    assert everything.image_shape == (28, 28, 1)


def test_splits_share_no_image_and_leave_none_out(everything):
    train, test = kgan.data.load_digits(), kgan.data.load_digits("test")
    assert (len(train.images), len(test.images)) == (1500, 297)
    np.testing.assert_array_equal(
        np.concatenate([_images(train), _images(test)]), _images(everything)
    )
    np.testing.assert_array_equal(np.concatenate([train.labels, test.labels]), everything.labels)


def test_pictures_are_like_mnist(everything):
    images = _images(everything)
    assert images.dtype == np.uint8
    # Exactly black around the 20x20 box that MNIST's digits fill, up to one pixel of smoothing.
    border = np.ones((28, 28), bool)
    border[3:-3, 3:-3] = False
    assert (images[:, border] == 0).all()
    # Every digit has ink of full strength, most of the picture is black, and the mean is MNIST's.
    assert (images.max((1, 2)) >= 250).all()
    assert 0.7 < (images == 0).mean() < 0.85
    assert images.mean() == pytest.approx(33.3, abs=2)


def test_pictures_are_the_same_digits(everything):
    # Each 28x28 picture, brought down to 8x8 again, is most like the original that it came from.
    originals = datasets.load_digits().images.reshape(-1, 64)[:300]
    middle = _images(everything)[:300, 4:-4, 4:-4].astype(float)
    # 20 pixels to 8 cells: five pixels for two cells, so repeat each twice and average five.
    small = middle.repeat(2, 1).repeat(2, 2).reshape(-1, 8, 5, 8, 5).mean((2, 4)).reshape(-1, 64)
    correlation = np.corrcoef(originals, small)[:300, 300:]
    assert (correlation.argmax(1) == np.arange(300)).mean() > 0.98
    assert np.diag(correlation).min() > 0.8


def test_options_reach_the_dataset():
    dataset = kgan.data.load_digits("train", batch_size=50, value_range=(0, 1), seed=3)
    images, labels = next(iter(dataset))
    assert images.shape == (50, 28, 28, 1)
    assert labels.shape == (50,)
    assert images.min() >= 0


def test_unknown_split():
    with pytest.raises(ValueError, match=r"'train', 'test', 'all'. Received: 'valid'"):
        kgan.data.load_digits("valid")

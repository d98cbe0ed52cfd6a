"""A small classifier of handwritten digits. Most metrics of kgan use its features.

`tools/train_mnist_classifier.py` trains it and writes its weights next to this file.
"""

import functools
from pathlib import Path

import keras

from kgan._typing import Network
from kgan.metrics._classifiers import convolution, pooling, shipped

WEIGHTS = Path(__file__).with_name("mnist_classifier.npz")
WEIGHTS_SHA256 = "9fa2842783458c6ec353a96ed4df246b83bad6675c4472e22444b4e36cf9a8e9"

CLASSIFIER_NAME = "mnist_classifier"
IMAGE_SIZE = (28, 28)
NUM_FEATURES = 128
NUM_CLASSES = 10


def build_mnist_classifier(initializer: str = "zeros") -> Network:
    """Builds the untrained network.

    Args:
        initializer: String, for the kernels.

    Returns:
        `keras.Model` from grey images, float `(batch, 28, 28, 1)` in [-1, 1], to the tuple
        `(features, logits)`, float `(batch, 128)` and `(batch, 10)`.
    """
    images = keras.Input((*IMAGE_SIZE, 1), name="image", dtype="float32")
    x = convolution(images, 24, kernel_size=5, initializer=initializer)
    x = pooling(x)
    x = convolution(x, 48, kernel_size=3, initializer=initializer)
    x = convolution(x, 48, kernel_size=3, initializer=initializer)
    x = pooling(x)
    x = convolution(x, 96, kernel_size=3, initializer=initializer)
    x = keras.layers.Flatten(dtype="float32")(pooling(x))
    options = {"kernel_initializer": initializer, "dtype": "float32"}
    features = keras.layers.Dense(NUM_FEATURES, "relu", name="features", **options)(x)
    dropped = keras.layers.Dropout(0.3, seed=0, dtype="float32")(features)
    logits = keras.layers.Dense(NUM_CLASSES, name="logits", **options)(dropped)
    return keras.Model(images, (features, logits), name=CLASSIFIER_NAME)


@functools.cache
def load_mnist_classifier() -> Network:
    """Returns the trained network of `build_mnist_classifier`, the same object every time.

    Raises:
        ValueError: The file of weights is not that of this version of kgan.
    """
    return shipped(build_mnist_classifier, WEIGHTS, WEIGHTS_SHA256)

"""A small classifier of handwritten digits. Most metrics of kgan use its features.

`tools/train_mnist_classifier.py` trains it and writes its weights next to this file.
"""

import functools
import hashlib
from pathlib import Path

import keras
import numpy as np

from kgan import _backend
from kgan._typing import Network, Tensor

WEIGHTS = Path(__file__).with_name("mnist_classifier.npz")
# Distances are only comparable if their features are the same.
WEIGHTS_SHA256 = "9fa2842783458c6ec353a96ed4df246b83bad6675c4472e22444b4e36cf9a8e9"

CLASSIFIER_NAME = "mnist_classifier"
IMAGE_SIZE = (28, 28)
NUM_FEATURES = 128
NUM_CLASSES = 10


def build_mnist_classifier(initializer: str = "zeros") -> Network:
    """Builds the untrained network.

    It computes in float32 and channels last, whatever Keras's settings are. It does not use global
    random state, so that evaluation does not change training and training does not change it.

    Args:
        initializer: String, for the kernels.

    Returns:
        `keras.Model` from grey images, float `(batch, 28, 28, 1)` in [-1, 1], to the tuple
        `(features, logits)`, float `(batch, 128)` and `(batch, 10)`.
    """
    images = keras.Input((*IMAGE_SIZE, 1), name="image", dtype="float32")
    x = _convolution(images, 24, kernel_size=5, initializer=initializer)
    x = _pooling(x)
    x = _convolution(x, 48, kernel_size=3, initializer=initializer)
    x = _convolution(x, 48, kernel_size=3, initializer=initializer)
    x = _pooling(x)
    x = _convolution(x, 96, kernel_size=3, initializer=initializer)
    x = keras.layers.Flatten(dtype="float32")(_pooling(x))
    options = {"kernel_initializer": initializer, "dtype": "float32"}
    features = keras.layers.Dense(NUM_FEATURES, "relu", name="features", **options)(x)
    dropped = keras.layers.Dropout(0.3, seed=0, dtype="float32")(features)
    logits = keras.layers.Dense(NUM_CLASSES, name="logits", **options)(dropped)
    return keras.Model(images, (features, logits), name=CLASSIFIER_NAME)


def _convolution(x: Tensor, filters: int, kernel_size: int, initializer: str) -> Tensor:
    x = keras.layers.Conv2D(
        filters,
        kernel_size,
        padding="same",
        use_bias=False,
        kernel_initializer=initializer,
        data_format="channels_last",
        dtype="float32",
    )(x)
    return keras.layers.ReLU(dtype="float32")(keras.layers.BatchNormalization(dtype="float32")(x))


def _pooling(x: Tensor) -> Tensor:
    return keras.layers.MaxPooling2D(data_format="channels_last", dtype="float32")(x)


@functools.cache
def load_mnist_classifier() -> Network:
    """Returns the trained network of `build_mnist_classifier`, the same object every time.

    Raises:
        ValueError: The file of weights is not that of this version of kgan.
    """
    digest = hashlib.sha256(WEIGHTS.read_bytes()).hexdigest()
    if digest != WEIGHTS_SHA256:
        raise ValueError(
            f"Expected {WEIGHTS} to be the file that came with kgan, SHA-256 {WEIGHTS_SHA256}. "
            f"Received: {digest}. Install kgan again."
        )
    return _backend.alone(_loaded)  # one of several processes may evaluate alone


def _loaded() -> Network:
    classifier = build_mnist_classifier()
    classifier.set_weights(read_weights(WEIGHTS))
    classifier.trainable = False
    return classifier


def read_weights(path: Path) -> list[np.ndarray]:
    """Reads a file of `write_weights`, as float32."""
    with np.load(path, allow_pickle=False) as file:
        return [file[str(number)].astype("float32") for number in range(len(file.files))]

"""A small classifier of CIFAR-10. Its features are those of metrics of 32x32 colour images.

`tools/train_cifar10_classifier.py` trains it and writes its weights next to this file.
"""

import functools
from pathlib import Path

import keras

from kgan._typing import Network, Tensor
from kgan.metrics._classifiers import convolution, pooling, shipped

WEIGHTS = Path(__file__).with_name("cifar10_classifier.npz")
WEIGHTS_SHA256 = "808c4a87d73f991f683fd6a5206a44714380c5b41b35c5541588683bd384865b"

CLASSIFIER_NAME = "cifar10_classifier"
IMAGE_SIZE = (32, 32)
NUM_FEATURES = 144
NUM_CLASSES = 10


def build_cifar10_classifier(initializer: str = "zeros", mirrored: bool = True) -> Network:
    """Builds the untrained network: ten convolutions, six of them in residual blocks.

    Args:
        initializer: String, for the kernels.
        mirrored: Whether the features are the mean of those of the image and of its mirror image.
            Training is faster without. The weights are the same.

    Returns:
        `keras.Model` from colour images, float `(batch, 32, 32, 3)` in [-1, 1], to the tuple
        `(features, logits)`, float `(batch, 144)` and `(batch, 10)`.
    """
    images = keras.Input((*IMAGE_SIZE, 3), name="image", dtype="float32")
    describe = _convolutions(initializer)
    features = describe(images)
    if mirrored:
        mirror_image = keras.ops.flip(images, axis=2)
        features = keras.layers.Average(dtype="float32")([features, describe(mirror_image)])
    logits = keras.layers.Dense(
        NUM_CLASSES, name="logits", kernel_initializer=initializer, dtype="float32"
    )(features)
    return keras.Model(images, (features, logits), name=CLASSIFIER_NAME)


def _convolutions(initializer: str) -> Network:
    """A network from images to features."""
    images = keras.Input((*IMAGE_SIZE, 3), name="image", dtype="float32")
    x = convolution(images, 32, kernel_size=3, initializer=initializer)
    x = pooling(convolution(x, 64, kernel_size=3, initializer=initializer))
    x = _residual(x, 64, initializer)
    x = pooling(convolution(x, 128, kernel_size=3, initializer=initializer))
    x = _residual(x, 128, initializer)
    x = pooling(convolution(x, NUM_FEATURES, kernel_size=3, initializer=initializer))
    x = _residual(x, NUM_FEATURES, initializer)
    features = keras.layers.GlobalAveragePooling2D(data_format="channels_last", dtype="float32")(x)
    return keras.Model(images, features, name="features")


def _residual(x: Tensor, filters: int, initializer: str) -> Tensor:
    y = x
    for _ in range(2):
        y = convolution(y, filters, kernel_size=3, initializer=initializer)
    return keras.layers.Add(dtype="float32")([x, y])


@functools.cache
def load_cifar10_classifier() -> Network:
    """Returns the trained network of `build_cifar10_classifier`, the same object every time.

    Raises:
        ValueError: The file of weights is not that of this version of kgan.
    """
    return shipped(build_cifar10_classifier, WEIGHTS, WEIGHTS_SHA256)

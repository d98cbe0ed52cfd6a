# python tools/train_cifar10_classifier.py --data DIR
"""Trains the classifier that `kgan.metrics` takes features of 32x32 colour images from.

DIR holds CIFAR-10 as pictures, in `train/CLASS/` and `test/CLASS/`. Writes the weights and prints
the SHA-256 of their file, which belongs into `kgan/metrics/cifar10_classifier.py`, and the accuracy
on the 10,000 test pictures, measured on the file as it is shipped, in 16 bits. The test pictures
choose nothing: the weights are those after the last epoch.
"""

import kgan  # before keras
import argparse
import hashlib
from pathlib import Path

import keras
import numpy as np
from keras import ops

from kgan._typing import Tensor
from kgan.metrics import _classifiers, cifar10_classifier


def main() -> None:
    """Runs the script."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="the folder of train/ and test/")
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--output", type=Path, default=cifar10_classifier.WEIGHTS)
    options = parser.parse_args()

    keras.utils.set_random_seed(0)
    train = kgan.data.load_image_folder(
        options.data / "train",
        batch_size=250,
        seed=0,
        pad_to=(40, 40),
        crop=cifar10_classifier.IMAGE_SIZE,
        horizontal_flip=True,
    )
    classifier = cifar10_classifier.build_cifar10_classifier("he_normal")
    fit(classifier, train, options.epochs)

    _classifiers.write_weights(classifier, options.output)
    shipped = cifar10_classifier.build_cifar10_classifier()
    shipped.set_weights(_classifiers.read_weights(options.output))
    print("SHA-256", hashlib.sha256(options.output.read_bytes()).hexdigest())
    print("accuracy on the test pictures", accuracy(shipped, options.data / "test"))


def fit(classifier: keras.Model, train: kgan.data.ImageDataset, epochs: int) -> None:
    """Trains on pictures that are mirrored, and moved by up to 4 pixels, at random."""
    steps = epochs * len(train)
    rate = keras.optimizers.schedules.CosineDecay(
        0.0, steps - steps // 6, warmup_target=0.2, warmup_steps=steps // 6
    )
    trained = keras.Model(classifier.input, classifier.outputs[1])
    trained.compile(
        keras.optimizers.SGD(rate, momentum=0.9, nesterov=True, weight_decay=5e-4),
        smoothed_cross_entropy,
        metrics=["accuracy"],
    )
    trained.fit(train, epochs=epochs, verbose=2, shuffle=False)


def smoothed_cross_entropy(labels: Tensor, logits: Tensor) -> Tensor:
    """The cross-entropy with 0.9 of the probability on the label and 0.1 on all classes."""
    wanted = ops.one_hot(ops.reshape(labels, (-1,)), cifar10_classifier.NUM_CLASSES)
    return keras.losses.categorical_crossentropy(
        wanted, logits, from_logits=True, label_smoothing=0.1
    )


def accuracy(classifier: keras.Model, directory: Path) -> float:
    """The share of the pictures in a folder that the classifier names rightly."""
    test = kgan.data.load_image_folder(directory, batch_size=500, shuffle=False)
    right = [
        np.argmax(classifier(images, training=False)[1], axis=-1) == labels
        for images, labels in test
    ]
    return float(np.mean(right))


if __name__ == "__main__":
    main()

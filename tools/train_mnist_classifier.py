# python tools/train_mnist_classifier.py --data-dir DIR
"""Trains the classifier that `kgan.metrics` takes features from, and writes its weights.

Prints the file's SHA-256, which belongs into `kgan/metrics/mnist_classifier.py`, and its accuracy
on the 10,000 test digits, measured on the file as it is shipped, in 16 bits. The test digits choose
nothing: the weights are those after the last epoch.
"""

import kgan  # before keras
import argparse
import hashlib
from pathlib import Path

import keras
import numpy as np

from kgan.metrics import _classifiers, mnist_classifier


def main() -> None:
    """Runs the script."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data-dir", help="the folder of the four MNIST files")
    parser.add_argument("--epochs", type=int, default=24)
    parser.add_argument("--output", type=Path, default=mnist_classifier.WEIGHTS)
    options = parser.parse_args()

    keras.utils.set_random_seed(0)
    train = kgan.data.load_mnist("train", data_dir=options.data_dir, batch_size=128, seed=0)
    classifier = mnist_classifier.build_mnist_classifier("he_normal")
    fit(classifier, train, options.epochs)

    _classifiers.write_weights(classifier, options.output)
    shipped = mnist_classifier.build_mnist_classifier()
    shipped.set_weights(_classifiers.read_weights(options.output))
    print("SHA-256", hashlib.sha256(options.output.read_bytes()).hexdigest())
    print("accuracy on the test digits", accuracy(shipped, options.data_dir))


def fit(classifier: keras.Model, train: kgan.data.ImageDataset, epochs: int) -> None:
    """Trains on digits that are turned, sized, and moved at random."""
    outside = {"fill_mode": "constant", "fill_value": -1.0}
    augmented = keras.Sequential(
        [
            keras.Input((*mnist_classifier.IMAGE_SIZE, 1)),
            keras.layers.RandomRotation(0.035, **outside, seed=1),  # of a turn: 12.6 degrees
            keras.layers.RandomZoom(0.1, **outside, seed=2),
            keras.layers.RandomTranslation(0.08, 0.08, **outside, seed=3),
            keras.Model(classifier.input, classifier.outputs[1]),
        ]
    )
    rate = keras.optimizers.schedules.CosineDecay(
        0.0, epochs * len(train), warmup_target=2e-3, warmup_steps=len(train)
    )
    augmented.compile(
        keras.optimizers.AdamW(rate, weight_decay=1e-2, use_ema=True, ema_momentum=0.998),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    augmented.fit(train, epochs=epochs, verbose=2, shuffle=False)


def accuracy(classifier: keras.Model, data_dir: str | None) -> float:
    """The share of the test digits that the classifier names rightly."""
    test = kgan.data.load_mnist("test", data_dir=data_dir, batch_size=500, shuffle=False)
    right = [
        np.argmax(classifier(images, training=False)[1], axis=-1) == labels
        for images, labels in test
    ]
    return float(np.mean(right))


if __name__ == "__main__":
    main()

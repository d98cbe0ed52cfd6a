# python tools/train_cifar10_classifier.py --data DIR
"""Trains the classifier that `kgan.metrics` takes features of 32x32 colour images from.

DIR holds CIFAR-10 as pictures, in `train/CLASS/` and `test/CLASS/`. Writes the weights and prints
the SHA-256 of their file, which belongs into `kgan/metrics/cifar10_classifier.py`, and the accuracy
on the 10,000 test pictures, measured on the file as it is shipped, in 16 bits. The weights are
those after the last epoch.
"""

import kgan  # before keras
import argparse
import hashlib
from pathlib import Path

import keras
import numpy as np
from keras import ops

from kgan._typing import Network, Tensor
from kgan.metrics import _classifiers, cifar10_classifier
from kgan.models import standing_statistics

BATCH_SIZE = 250
STEPS = 50_000 // BATCH_SIZE


def main() -> None:
    """Runs the script."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="the folder of train/ and test/")
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--mixed-epochs", type=int, default=8, help="further ones, with CutMix")
    parser.add_argument("--last-epochs", type=int, default=4, help="further ones, without")
    parser.add_argument("--output", type=Path, default=cifar10_classifier.WEIGHTS)
    options = parser.parse_args()

    keras.utils.set_random_seed(0)
    classifier = cifar10_classifier.build_cifar10_classifier("he_normal", mirrored=False)
    train = options.data / "train"
    fit(classifier, load(train, 0), options.epochs, warmed_up(0.2, options.epochs))
    first = classifier.get_weights()
    mixed = CutMix(load(train, 1))
    fit(classifier, mixed, options.mixed_epochs, decaying(0.1, options.mixed_epochs))
    average_with(classifier, first, load(train, 2))
    fit(classifier, load(train, 2), options.last_epochs, decaying(0.03, options.last_epochs))

    _classifiers.write_weights(classifier, options.output)
    shipped = cifar10_classifier.build_cifar10_classifier()
    shipped.set_weights(_classifiers.read_weights(options.output))
    print("SHA-256", hashlib.sha256(options.output.read_bytes()).hexdigest())
    print("accuracy on the test pictures", accuracy(shipped, options.data / "test"))


def load(directory: Path, seed: int) -> kgan.data.ImageDataset:
    """Loads pictures that are mirrored, and moved by up to 4 pixels, at random."""
    return kgan.data.load_image_folder(
        directory,
        batch_size=BATCH_SIZE,
        seed=seed,
        pad_to=(40, 40),
        crop=cifar10_classifier.IMAGE_SIZE,
        horizontal_flip=True,
    )


class CutMix(keras.utils.PyDataset):
    """Batches in half of which a rectangle of each image, and its share of the label, is another's.

    Args:
        images: The images with their labels.

    Reference:
        [Yun et al., 2019](https://arxiv.org/abs/1905.04899).
    """

    def __init__(self, images: kgan.data.ImageDataset) -> None:
        super().__init__()
        self._images = images
        self._epoch = 0
        self._random = np.random.default_rng(0)

    def __len__(self) -> int:
        return len(self._images)

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        images, labels = map(np.array, self._images.batch(self._epoch, index))
        wanted = np.eye(cifar10_classifier.NUM_CLASSES, dtype="float32")[labels]
        if self._random.random() < 0.5:
            return images, wanted
        sizes = images.shape[1:3]
        # The sides of the rectangle, as parts of those of the image: its area is uniform.
        part = np.sqrt(self._random.random())
        middles = [self._random.integers(size) for size in sizes]
        ends = [
            [int(np.clip(middle + side * part * size / 2, 0, size)) for side in (-1, 1)]
            for middle, size in zip(middles, sizes, strict=True)
        ]
        rows, columns = (slice(*each) for each in ends)
        images[:, rows, columns] = images[::-1, rows, columns].copy()
        mixed = np.prod([end - start for start, end in ends]) / np.prod(sizes)
        return images, (1 - mixed) * wanted + mixed * wanted[::-1]

    def on_epoch_end(self) -> None:
        """Moves to the next epoch."""
        self._epoch += 1


def warmed_up(rate: float, epochs: int) -> keras.optimizers.schedules.LearningRateSchedule:
    """A rate that grows for a sixth of the training, then falls to 0 along a cosine."""
    steps = epochs * STEPS
    return keras.optimizers.schedules.CosineDecay(
        0.0, steps - steps // 6, warmup_target=rate, warmup_steps=steps // 6
    )


def decaying(rate: float, epochs: int) -> keras.optimizers.schedules.LearningRateSchedule:
    """A rate that falls to 0 along a cosine."""
    return keras.optimizers.schedules.CosineDecay(rate, epochs * STEPS)


def fit(
    classifier: Network,
    train: keras.utils.PyDataset,
    epochs: int,
    rate: keras.optimizers.schedules.LearningRateSchedule,
) -> None:
    """Trains with label smoothing and weight decay."""
    trained = keras.Model(classifier.input, classifier.outputs[1])
    trained.compile(
        keras.optimizers.SGD(rate, momentum=0.9, nesterov=True, weight_decay=5e-4),
        smoothed_cross_entropy,
    )
    trained.fit(train, epochs=epochs, verbose=2, shuffle=False)


def average_with(
    classifier: Network, others: list[np.ndarray], images: kgan.data.ImageDataset
) -> None:
    """Averages the weights with others, and collects the statistics of the result."""
    classifier.set_weights(
        [(one + other) / 2 for one, other in zip(classifier.get_weights(), others, strict=True)]
    )
    count = min(80, len(images))
    batches = (np.array(images.batch(0, index)[0]) for index in range(count))
    standing_statistics.collect(
        classifier, lambda: classifier(next(batches), training=True), batches=count
    )


def smoothed_cross_entropy(labels: Tensor, logits: Tensor) -> Tensor:
    """The cross-entropy, with a tenth of the probability spread over all classes."""
    is_mixed = len(labels.shape) == 2
    wanted = labels if is_mixed else ops.one_hot(labels, cifar10_classifier.NUM_CLASSES)
    return keras.losses.categorical_crossentropy(
        wanted, logits, from_logits=True, label_smoothing=0.1
    )


def accuracy(classifier: keras.Model, directory: Path) -> float:
    """The share of the pictures in a folder that the classifier names rightly."""
    test = kgan.data.load_image_folder(
        directory, batch_size=500, shuffle=False, drop_remainder=False
    )
    right = [
        np.argmax(classifier(images, training=False)[1], axis=-1) == labels
        for images, labels in test
    ]
    return float(np.mean(right))


if __name__ == "__main__":
    main()

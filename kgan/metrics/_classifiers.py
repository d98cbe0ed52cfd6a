"""What the classifiers that come with kgan have in common: their layers and their files."""

import hashlib
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np

from kgan import _backend
from kgan._files import written_whole
from kgan._typing import Network, Tensor

# All layers compute in float32 and channels last, whatever Keras's settings are. They do not use
# global random state, so that evaluation does not change training and training does not change it.


def convolution(x: Tensor, filters: int, kernel_size: int, initializer: str) -> Tensor:
    """A convolution, batch normalisation and ReLU."""
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


def pooling(x: Tensor) -> Tensor:
    """The largest of 2x2 pixels."""
    return keras.layers.MaxPooling2D(data_format="channels_last", dtype="float32")(x)


def shipped(build: Callable[[], Network], path: Path, sha256: str) -> Network:
    """Builds a network with the weights that came with kgan. They cannot be trained further.

    Args:
        build: Builds the untrained network.
        path: The file of its weights.
        sha256: String, that of the file. Distances are only comparable if their features are the
            same.

    Raises:
        ValueError: The file is not that of this version of kgan.
    """
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    if digest != sha256:
        raise ValueError(
            f"Expected {path} to be the file that came with kgan, SHA-256 {sha256}. "
            f"Received: {digest}. Install kgan again."
        )

    def load() -> Network:
        classifier = build()
        classifier.set_weights(read_weights(path))
        classifier.trainable = False
        return classifier

    return _backend.alone(load)  # one of several processes may evaluate alone


def write_weights(classifier: Network, path: Path) -> None:
    """Writes the weights of a classifier, in 16 bits."""
    with written_whole(path) as temporary, temporary.open("wb") as file:
        arrays = [weights.astype("float16") for weights in classifier.get_weights()]
        np.savez_compressed(file, **{str(number): array for number, array in enumerate(arrays)})


def read_weights(path: Path) -> list[np.ndarray]:
    """Reads a file of `write_weights`, as float32."""
    with np.load(path, allow_pickle=False) as file:
        return [file[str(number)].astype("float32") for number in range(len(file.files))]

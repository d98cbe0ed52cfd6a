"""The Inception network of the Fréchet Inception distance (FID), and the file of its weights.

It is the network of TensorFlow's `inception-2015-12-05.tgz`. It differs from the InceptionV3 of
keras.applications: average pooling without padding, maximum pooling in the last block, 1,008
classes, and its weights. FIDs are only comparable with these weights.

The names of layers are those of the usual file, `pt_inception-2015-12-05-6726825d.pth`, with `_`
for `.`.
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy.typing as npt

from kgan import _backend
from kgan._files import cache_directory
from kgan._typing import Layer, Network, Tensor
from kgan.data._download import download
from kgan.data._locate import DATA_DIR_VARIABLE
from kgan.data._published import PublishedFile, sha256_of
from kgan.metrics._torch_files import read_tensors

NETWORK_NAME = "inception"
IMAGE_SIZE = (299, 299)
NUM_FEATURES = 2048
NUM_CLASSES = 1008
# Inputs for pixels 0 and 255: the network takes (pixel - 128) / 128.
VALUE_RANGE = (-1.0, 127.0 / 128.0)

# The same bytes under two names. Their SHA-256 begins with the digits in the names.
WEIGHTS_SHA256 = "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2"
_WEIGHTS_SIZE = 95_628_359
PUBLISHED = {
    "pt_inception-2015-12-05-6726825d.pth": (
        "https://github.com/mseitzer/pytorch-fid/releases/download/fid_weights/"
    ),
    "weights-inception-2015-12-05-6726825d.pth": (
        "https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/"
    ),
}

Weights = dict[str, npt.NDArray[Any]]


def build_inception() -> Network:
    """Builds the network without weights.

    Its layers compute in float32 and channels last, whatever Keras's settings are, and use no
    global random state.

    Returns:
        `keras.Model` from colour images, float `(batch, 299, 299, 3)` in `VALUE_RANGE`, to the
        tuple `(features, logits)`, float `(batch, 2048)` and `(batch, 1008)`. The logits are those
        without biases, as the inception score takes them.
    """
    images = keras.Input((*IMAGE_SIZE, 3), name="image", dtype="float32")
    x = _convolution(images, "Conv2d_1a_3x3", 32, 3, strides=2, padding="valid")
    x = _convolution(x, "Conv2d_2a_3x3", 32, 3, padding="valid")
    x = _convolution(x, "Conv2d_2b_3x3", 64, 3)
    x = _halved(x, "MaxPool_1")
    x = _convolution(x, "Conv2d_3b_1x1", 80, 1)
    x = _convolution(x, "Conv2d_4a_3x3", 192, 3, padding="valid")
    x = _halved(x, "MaxPool_2")
    x = _block_a(x, "Mixed_5b", pooled=32)
    x = _block_a(x, "Mixed_5c", pooled=64)
    x = _block_a(x, "Mixed_5d", pooled=64)
    x = _block_b(x, "Mixed_6a")
    x = _block_c(x, "Mixed_6b", width=128)
    x = _block_c(x, "Mixed_6c", width=160)
    x = _block_c(x, "Mixed_6d", width=160)
    x = _block_c(x, "Mixed_6e", width=192)
    x = _block_d(x, "Mixed_7a")
    x = _block_e(x, "Mixed_7b", pooling=keras.layers.AveragePooling2D)
    x = _block_e(x, "Mixed_7c", pooling=keras.layers.MaxPooling2D)
    features = keras.layers.GlobalAveragePooling2D(
        data_format="channels_last", dtype="float32", name="AvgPool"
    )(x)
    logits = keras.layers.Dense(
        NUM_CLASSES, use_bias=False, kernel_initializer="zeros", dtype="float32", name="fc"
    )(features)
    return keras.Model(images, (features, logits), name=NETWORK_NAME)


def load_inception(weights: str | os.PathLike[str] | None = None) -> tuple[Network, str]:
    """Builds the network with its weights. They cannot be trained further.

    Args:
        weights: Path of the file of weights. Defaults to the published file in `KGAN_DATA_DIR` or
            in kgan's cache. If neither has it, it is downloaded.

    Returns:
        `(network, digest)`: the network, and the SHA-256 of the file in hexadecimal.

    Raises:
        ConnectionError: The weights cannot be downloaded.
        OSError: The file cannot be read.
        ValueError: The file does not hold the weights of this network.
    """
    path = published_weights() if weights is None else Path(weights).expanduser()
    digest = sha256_of(path)
    tensors = read_tensors(path)

    def load() -> Network:
        network = build_inception()
        set_weights(network, tensors, str(path))
        network.trainable = False
        return network

    return _backend.alone(load), digest  # one of several processes may evaluate alone


def set_weights(network: Network, tensors: Weights, source: str) -> None:
    """Gives the network the weights of a file.

    Args:
        network: The result of `build_inception`.
        tensors: Dictionary of arrays by PyTorch's names.
        source: String, where they are from, for messages.

    Raises:
        ValueError: A tensor is missing or has another shape.
    """
    by_layer = {name.replace(".", "_"): tensor for name, tensor in tensors.items()}

    def taken(name: str, shape: tuple[int, ...]) -> npt.NDArray[Any]:
        tensor = by_layer.get(name)
        if tensor is None or tensor.shape != shape:
            received = "no such tensor" if tensor is None else f"the shape {tensor.shape}"
            raise ValueError(
                f"Expected {source} to hold {name} of shape {shape}. Received: {received}. Use "
                f"{next(iter(PUBLISHED))}, the weights of FID."
            )
        return tensor

    for layer in network.layers:
        if isinstance(layer, keras.layers.Conv2D):
            height, width, channels, filters = layer.kernel.shape
            kernel = taken(f"{layer.name}_weight", (filters, channels, height, width))
            layer.set_weights([kernel.transpose(2, 3, 1, 0)])
        elif isinstance(layer, keras.layers.BatchNormalization):
            parts = ("weight", "bias", "running_mean", "running_var")
            shape = tuple(layer.gamma.shape)
            layer.set_weights([taken(f"{layer.name}_{part}", shape) for part in parts])
        elif isinstance(layer, keras.layers.Dense):
            layer.set_weights([taken(f"{layer.name}_weight", (NUM_CLASSES, NUM_FEATURES)).T])


def published_weights() -> Path:
    """Finds the published file of weights in `KGAN_DATA_DIR` or in the cache, or downloads it.

    Returns:
        Path of the file, whose SHA-256 is `WEIGHTS_SHA256`.

    Raises:
        ConnectionError: It cannot be downloaded.
        ValueError: A file of its name in `KGAN_DATA_DIR` has other bytes.
    """
    shared = os.environ.get(DATA_DIR_VARIABLE)
    for name in PUBLISHED if shared else ():
        path = Path(str(shared)).expanduser() / name
        if path.is_file():
            digest = sha256_of(path)
            if digest != WEIGHTS_SHA256:
                raise ValueError(
                    f"Expected {path} to have the SHA-256 {WEIGHTS_SHA256}. Received: {digest}. "
                    "Download it again, or remove it."
                )
            return path
    directory = cache_directory(NETWORK_NAME)
    for name in PUBLISHED:
        path = directory / name
        if path.is_file() and sha256_of(path) == WEIGHTS_SHA256:
            return path
    return _downloaded(directory)


def _downloaded(directory: Path) -> Path:
    failures = []
    for name, folder in PUBLISHED.items():
        file = PublishedFile(name, _WEIGHTS_SIZE, WEIGHTS_SHA256)
        try:
            return download(file, [folder], directory)
        except ConnectionError as error:
            failures.append(str(error))
    reasons = "\n".join(failures)
    raise ConnectionError(
        "The weights of FID's Inception network are not on this machine and could not be "
        f"downloaded:\n{reasons}\n"
        "To fix this, do one of the following:\n"
        f"- Put {' or '.join(PUBLISHED)} (the same file) into the directory in the environment "
        f"variable {DATA_DIR_VARIABLE}.\n"
        "- Give its path: kgan.metrics.inception_features(weights=PATH).\n"
        "- Try again with a network connection."
    )


def _convolution(
    x: Tensor,
    name: str,
    filters: int,
    kernel_size: int | tuple[int, int],
    strides: int = 1,
    padding: str = "same",
) -> Tensor:
    """A convolution, batch normalisation and ReLU."""
    x = keras.layers.Conv2D(
        filters,
        kernel_size,
        strides=strides,
        padding=padding,
        use_bias=False,
        kernel_initializer="zeros",
        data_format="channels_last",
        dtype="float32",
        name=f"{name}_conv",
    )(x)
    x = keras.layers.BatchNormalization(epsilon=1e-3, dtype="float32", name=f"{name}_bn")(x)
    return keras.layers.ReLU(dtype="float32", name=name)(x)


def _halved(x: Tensor, name: str) -> Tensor:
    """The largest of 3x3 pixels, in steps of 2."""
    return keras.layers.MaxPooling2D(
        3, strides=2, data_format="channels_last", dtype="float32", name=name
    )(x)


def _smoothed(x: Tensor, pooling: type[Layer], name: str) -> Tensor:
    """Pools 3x3 pixels, in steps of 1. Pixels outside the image do not count."""
    layer = pooling(
        3, strides=1, padding="same", data_format="channels_last", dtype="float32", name=name
    )
    return layer(x)


def _joined(branches: list[Tensor], name: str) -> Tensor:
    return keras.layers.Concatenate(axis=3, dtype="float32", name=name)(branches)


Branch = Callable[..., Tensor]


def _branches(name: str) -> Branch:
    """Returns `_convolution`, with names in a block."""

    def convolution(x: Tensor, branch: str, *arguments: Any, **options: Any) -> Tensor:
        return _convolution(x, f"{name}_{branch}", *arguments, **options)

    return convolution


def _block_a(x: Tensor, name: str, pooled: int) -> Tensor:
    convolution = _branches(name)
    a = convolution(x, "branch1x1", 64, 1)
    b = convolution(x, "branch5x5_1", 48, 1)
    b = convolution(b, "branch5x5_2", 64, 5)
    c = convolution(x, "branch3x3dbl_1", 64, 1)
    c = convolution(c, "branch3x3dbl_2", 96, 3)
    c = convolution(c, "branch3x3dbl_3", 96, 3)
    d = _smoothed(x, keras.layers.AveragePooling2D, f"{name}_pool")
    d = convolution(d, "branch_pool", pooled, 1)
    return _joined([a, b, c, d], name)


def _block_b(x: Tensor, name: str) -> Tensor:
    convolution = _branches(name)
    a = convolution(x, "branch3x3", 384, 3, strides=2, padding="valid")
    b = convolution(x, "branch3x3dbl_1", 64, 1)
    b = convolution(b, "branch3x3dbl_2", 96, 3)
    b = convolution(b, "branch3x3dbl_3", 96, 3, strides=2, padding="valid")
    return _joined([a, b, _halved(x, f"{name}_pool")], name)


def _block_c(x: Tensor, name: str, width: int) -> Tensor:
    convolution = _branches(name)
    a = convolution(x, "branch1x1", 192, 1)
    b = convolution(x, "branch7x7_1", width, 1)
    b = convolution(b, "branch7x7_2", width, (1, 7))
    b = convolution(b, "branch7x7_3", 192, (7, 1))
    c = convolution(x, "branch7x7dbl_1", width, 1)
    c = convolution(c, "branch7x7dbl_2", width, (7, 1))
    c = convolution(c, "branch7x7dbl_3", width, (1, 7))
    c = convolution(c, "branch7x7dbl_4", width, (7, 1))
    c = convolution(c, "branch7x7dbl_5", 192, (1, 7))
    d = _smoothed(x, keras.layers.AveragePooling2D, f"{name}_pool")
    d = convolution(d, "branch_pool", 192, 1)
    return _joined([a, b, c, d], name)


def _block_d(x: Tensor, name: str) -> Tensor:
    convolution = _branches(name)
    a = convolution(x, "branch3x3_1", 192, 1)
    a = convolution(a, "branch3x3_2", 320, 3, strides=2, padding="valid")
    b = convolution(x, "branch7x7x3_1", 192, 1)
    b = convolution(b, "branch7x7x3_2", 192, (1, 7))
    b = convolution(b, "branch7x7x3_3", 192, (7, 1))
    b = convolution(b, "branch7x7x3_4", 192, 3, strides=2, padding="valid")
    return _joined([a, b, _halved(x, f"{name}_pool")], name)


def _block_e(x: Tensor, name: str, pooling: type[Layer]) -> Tensor:
    convolution = _branches(name)

    def split(x: Tensor, row: str, column: str) -> list[Tensor]:
        return [convolution(x, row, 384, (1, 3)), convolution(x, column, 384, (3, 1))]

    a = convolution(x, "branch1x1", 320, 1)
    b = convolution(x, "branch3x3_1", 384, 1)
    c = convolution(x, "branch3x3dbl_1", 448, 1)
    c = convolution(c, "branch3x3dbl_2", 384, 3)
    d = _smoothed(x, pooling, f"{name}_pool")
    d = convolution(d, "branch_pool", 192, 1)
    b = split(b, "branch3x3_2a", "branch3x3_2b")
    c = split(c, "branch3x3dbl_3a", "branch3x3dbl_3b")
    return _joined([a, *b, *c, d], name)

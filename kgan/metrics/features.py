"""Features of images. Most metrics compare the features of two sets of images."""

import functools
import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Protocol

import keras
import numpy as np
import numpy.typing as npt
from keras import ops

from kgan import _backend
from kgan._progress import silent
from kgan._registry import did_you_mean, find_name
from kgan._typing import Network, Pictures, Say, Tensor
from kgan.metrics import inception
from kgan.metrics._resizing import RESIZES
from kgan.metrics.cifar10_classifier import load_cifar10_classifier
from kgan.metrics.mnist_classifier import load_mnist_classifier

# Images between two reports of progress: a multiple of the usual sizes of batches.
_CHUNK = 1024


@dataclass(frozen=True)
class Features:
    """The features of images.

    Args:
        vectors: Float32 `(N, D)`.
        classes: Int64 `(N,)`, the likeliest class, or None if the extractor is not a classifier.
        probabilities: Float32 `(N, K)` of the classes, or None.
    """

    vectors: npt.NDArray[np.float32]
    classes: npt.NDArray[np.int64] | None = None
    probabilities: npt.NDArray[np.float32] | None = None

    def __len__(self) -> int:
        return len(self.vectors)


class Extractor(Protocol):
    """Computes features of uint8 images."""

    name: str
    num_classes: int | None

    def __call__(self, images: Pictures) -> Features:
        """Returns the features of uint8 images `(N, H, W, C)`."""

    def fingerprint(self) -> str | None:
        """Returns a digest of everything that determines the features; None disables the cache."""


class FeatureExtractor:
    """Computes features with any `keras.Model`.

    Call it with uint8 images `(N, H, W, C)`, as `kgan.images.to_uint8` makes them from the output
    of a generator. It converts them to the size, channels and value range of the model's input, and
    returns their `Features`.

    Args:
        model: `keras.Model` from images `(batch, height, width, channels)` to features
            `(batch, D)`, or to the tuple `(features, logits)`, the logits `(batch, K)` of classes.
        value_range: Two floats, the model's inputs for pixels 0 and 255.
        image_size: Two integers, height and width. Defaults to those of the model's input.
        name: String, printed in reports. Defaults to the model's name.
        batch_size: Integer, images at a time.
        resize: String, how images of another size are resized: `"antialias"`, bilinear with
            antialiasing; `"tensorflow"`, as TensorFlow 1 and the first papers with FID; `"clean"`,
            as clean-fid.

    Raises:
        ValueError: The model's input has no fixed size and `image_size` is not given, its output
            has another form, or `resize` is unknown.

    Example:
    ```python
    network = keras.Sequential(
        [keras.Input((32, 32, 3)), keras.layers.Conv2D(8, 3), keras.layers.GlobalAvgPool2D()]
    )
    extractor = kgan.metrics.FeatureExtractor(network, value_range=(0, 1))
    photographs = np.zeros((4, 48, 48, 3), "uint8")
    assert extractor(photographs).vectors.shape == (4, 8)
    ```

    Features of another network for photographs (those of FID are
    `kgan.metrics.inception_features()`):

    ```python
    # downloads the weights
    network = keras.applications.EfficientNetV2B0(include_top=False, pooling="avg")
    features = kgan.metrics.FeatureExtractor(network, value_range=(0, 255), image_size=(224, 224))
    ```
    """

    def __init__(
        self,
        model: Network,
        value_range: tuple[float, float] = (-1.0, 1.0),
        image_size: tuple[int, int] | None = None,
        name: str | None = None,
        batch_size: int = 256,
        resize: str = "antialias",
    ) -> None:
        self.model = model
        self.value_range = value_range
        self.name = name or model.name
        self.batch_size = batch_size
        if not isinstance(model.input_shape, tuple) or len(model.input_shape) != 4:
            raise ValueError(
                f"Expected {self.name} to take images (batch, height, width, channels). "
                f"Received: inputs of shape {model.input_shape}."
            )
        height, width, self.channels = model.input_shape[1:]
        self.image_size = tuple(image_size or (height, width))
        self.resize = resize
        self._resized = find_name(resize, RESIZES, what="a way to resize", argument="resize")
        if None in self.image_size:
            raise ValueError(
                f"Expected {self.name} to have an input of a fixed size. "
                f"Received: an input of shape {model.input_shape}. Give image_size=(height, width)."
            )
        outputs = model.output_shape if isinstance(model.output_shape, list | tuple) else ()
        shapes = [outputs] if all(isinstance(n, int | None) for n in outputs) else list(outputs)
        if len(shapes) not in {1, 2} or any(len(shape) != 2 for shape in shapes):
            raise ValueError(
                f"Expected {self.name} to return features (batch, D), or the tuple of features and "
                f"logits (batch, K). Received: outputs of shape {model.output_shape}. "
                "keras.applications return features with include_top=False, pooling='avg'."
            )
        self._has_logits = len(shapes) == 2
        self.num_classes: int | None = shapes[1][1] if self._has_logits else None

    def __call__(self, images: Pictures) -> Features:
        """Returns the features of uint8 images `(N, H, W, C)`."""
        vectors, logits = [], []
        for first in range(0, len(images), self.batch_size):
            batch = images[first : first + self.batch_size]
            outputs = self._run(self._prepared(batch))
            vectors.append(outputs[0][: len(batch)])
            if self._has_logits:
                logits.append(outputs[1][: len(batch)])
        if not logits:
            return Features(np.concatenate(vectors))
        probabilities = _softmax(np.concatenate(logits))
        return Features(np.concatenate(vectors), probabilities.argmax(axis=1), probabilities)

    def _run(self, batch: Tensor) -> list[npt.NDArray[np.float32]]:
        outputs = keras.tree.flatten(_backend.predict_on_batch(self.model, batch))
        return [np.asarray(output, "float32") for output in outputs]

    def _prepared(self, batch: Pictures) -> npt.NDArray[np.float32]:
        if batch.shape[3] not in {1, self.channels}:
            raise ValueError(
                f"Expected images of {self.channels} channels for {self.name}, or grey images. "
                f"Received: images of shape {batch.shape[1:]}."
            )
        low, high = self.value_range
        x = self._resized(batch, self.image_size)
        x = x * np.float32((high - low) / 255.0) + np.float32(low)
        if x.shape[3] != self.channels:
            x = np.repeat(x, self.channels, axis=3)
        # All batches have one size, since each other size would be compiled.
        missing = self.batch_size - len(x)
        return np.pad(x, ((0, missing), (0, 0), (0, 0), (0, 0))) if missing else x

    def fingerprint(self) -> str:
        """Returns a hexadecimal digest of everything that determines the features."""
        settings = (self.name, self.value_range, self.image_size, self.resize)
        digest = hashlib.sha256(repr(settings).encode())
        for variable in self.model.weights:
            digest.update(np.ascontiguousarray(ops.convert_to_numpy(variable)).tobytes())
        # Models of the same weights can differ: outputs for a fixed image tell them apart.
        shape = (2, *self.image_size, self.channels)
        probe = np.random.default_rng(0).uniform(*self.value_range, shape).astype("float32")
        for output in keras.tree.flatten(self.model(probe, training=False)):
            digest.update(ops.convert_to_numpy(output).tobytes())
        return digest.hexdigest()


class ChannelFeatures:
    """Computes the features of each channel separately, as for Stacked-MNIST.

    The features of an image are those of its channels, concatenated. The classes of the channels
    are the digits of its class, so three digits give a mode from 0 to 999.

    Args:
        extractor: A `FeatureExtractor` for grey images, with a classifier.
        channels: Integer, the number of channels of the images.

    Example:
    ```python
    extractor = kgan.metrics.ChannelFeatures(kgan.metrics.mnist_features(), channels=3)
    numbers = kgan.data.load_stacked_mnist("train")
    images, _ = numbers.draw(16, seed=0)
    classes = extractor(kgan.images.to_uint8(images)).classes  # from 0 to 999
    ```
    """

    def __init__(self, extractor: FeatureExtractor, channels: int = 3) -> None:
        if extractor.num_classes is None:
            raise ValueError(f"Expected a classifier. Received: {extractor.name}.")
        self.extractor = extractor
        self.channels = channels
        self._base = extractor.num_classes
        self.name = f"{extractor.name}, each of {channels} channels"
        self.num_classes: int | None = extractor.num_classes**channels

    def __call__(self, images: Pictures) -> Features:
        """Returns the features of uint8 images `(N, H, W, channels)`."""
        if images.shape[3] != self.channels:
            raise ValueError(
                f"Expected images of {self.channels} channels. Received: shape {images.shape[1:]}."
            )
        parts = [self.extractor(images[..., c : c + 1]) for c in range(self.channels)]
        classes = np.zeros(len(images), np.int64)
        for part in parts:
            classes = classes * self._base + np.asarray(part.classes)
        return Features(np.concatenate([part.vectors for part in parts], axis=1), classes)

    def fingerprint(self) -> str:
        """Returns a hexadecimal digest of everything that determines the features."""
        return f"{self.extractor.fingerprint()}x{self.channels}"


class _InceptionFeatures(FeatureExtractor):
    """The features of FID. The classes are not those of any other data set, so none are counted.

    Args:
        weights: See `inception_features`, as for the other arguments.
        resize: String.
        batch_size: Integer.
    """

    def __init__(
        self, weights: str | os.PathLike[str] | None, resize: str, batch_size: int
    ) -> None:
        find_name(resize, _INCEPTION_NAMES, what="a way to resize for FID", argument="resize")
        network, self._digest = inception.load_inception(weights)
        name = _INCEPTION_NAMES[resize]
        if self._digest != inception.WEIGHTS_SHA256:
            name = f"{name}, weights {self._digest[:8]}"
        super().__init__(network, inception.VALUE_RANGE, None, name, batch_size, resize)
        self.num_classes = None

    def __call__(self, images: Pictures) -> Features:
        """Returns the features of uint8 images `(N, H, W, C)`."""
        return replace(super().__call__(images), classes=None)

    def fingerprint(self) -> str:
        """Returns a hexadecimal digest of everything that determines the features.

        The file determines them, so every backend has the same one, and can use the same cache.
        """
        return hashlib.sha256(repr(("inception 1", self.resize, self._digest)).encode()).hexdigest()


class PixelFeatures:
    """Uses the pixels as features. They suit any images, but distances ignore the content.

    Example:
    ```python
    images, _ = train.draw(16, seed=0)
    features = kgan.metrics.PixelFeatures()(kgan.images.to_uint8(images))
    assert features.vectors.shape == (16, 28 * 28)
    ```
    """

    name = "pixels"
    num_classes: int | None = None

    def __call__(self, images: Pictures) -> Features:
        """Returns the pixels of uint8 images `(N, H, W, C)`, as floats in [0, 1]."""
        return Features(images.reshape(len(images), -1).astype("float32") / np.float32(255.0))

    def fingerprint(self) -> None:
        """Returns None: these features need no cache."""


def mnist_features() -> FeatureExtractor:
    """Returns kgan's classifier of handwritten digits: 128 features and 10 classes.

    Example:
    ```python
    images, labels = test.draw(100, seed=0)
    features = kgan.metrics.mnist_features()(kgan.images.to_uint8(images))
    accuracy = np.mean(features.classes == labels)
    ```
    """
    return FeatureExtractor(load_mnist_classifier())


def cifar10_features() -> FeatureExtractor:
    """Returns kgan's classifier of CIFAR-10: 144 features and 10 classes.

    Example:
    ```python
    extractor = kgan.metrics.get_features("cifar10")
    images = np.zeros((8, 32, 32, 3), "uint8")
    assert extractor(images).vectors.shape == (8, 144)
    ```
    """
    return FeatureExtractor(load_cifar10_classifier())


def stacked_mnist_features(stack: int = 3) -> ChannelFeatures:
    """Returns kgan's classifier for each channel: 384 features and 1,000 classes for 3 channels.

    Example:
    ```python
    images, labels = kgan.data.load_stacked_mnist("test").draw(16, seed=0)
    features = kgan.metrics.stacked_mnist_features()(kgan.images.to_uint8(images))
    assert features.vectors.shape == (16, 3 * 128)
    ```
    """
    return ChannelFeatures(mnist_features(), stack)


# The names of the extractors, by how they resize.
_INCEPTION_NAMES = {
    "tensorflow": inception.NETWORK_NAME,
    "clean": f"{inception.NETWORK_NAME}_clean",
}


def inception_features(
    weights: str | os.PathLike[str] | None = None,
    resize: str = "tensorflow",
    batch_size: int = 32,
) -> FeatureExtractor:
    """Returns the features of FID: 2,048 features of Inception, with the weights of papers.

    With them, `kgan.evaluate` reports the FID as papers do, and the inception score. Images have
    any size, grey or in colour; grey ones are repeated for each channel.

    The weights are those of `pt_inception-2015-12-05-6726825d.pth`, 96 MB. kgan looks for this file
    in the directory in `KGAN_DATA_DIR`, then in its cache, and otherwise downloads it. Its SHA-256
    is checked.

    Args:
        weights: Path of the file. The name of the extractor says so if it is another file, and the
            distance is then not called FID.
        resize: String, how images are resized to 299 x 299. `"tensorflow"` is the bilinear resizing
            of TensorFlow 1, as in the original code and torch-fidelity. `"clean"` is the bicubic
            resizing with antialiasing of clean-fid.
        batch_size: Integer, images at a time. 32 need about 2 GB.

    Returns:
        A `FeatureExtractor`.

    Raises:
        ConnectionError: The weights cannot be downloaded.
        OSError: The file cannot be read.
        ValueError: The file does not hold these weights, or `resize` is unknown.

    Example:
    ```python
    # downloads the weights
    features = kgan.metrics.inception_features()
    evaluation = kgan.evaluate(gan, train, count=50_000, features=features)
    print(evaluation.title("fcd"), evaluation["fcd"])  # FID
    ```

    Reference:
        [Heusel et al., 2017](https://arxiv.org/abs/1706.08500), [Parmar et al.,
        2022](https://arxiv.org/abs/2104.11222).
    """
    return _InceptionFeatures(weights, resize, batch_size)


EXTRACTORS: dict[str, Callable[[], Extractor]] = {
    "mnist": mnist_features,
    "cifar10": cifar10_features,
    "stacked_mnist": stacked_mnist_features,
    "inception": inception_features,
    "inception_clean": functools.partial(inception_features, resize="clean"),
    "pixels": PixelFeatures,
}


def get(features: Any) -> Extractor:
    """Finds an extractor.

    Args:
        features: One of:

            - `"mnist"`, kgan's classifier of digits; `"stacked_mnist"`, the same for each channel;
              `"cifar10"`, kgan's classifier of CIFAR-10; `"inception"` and `"inception_clean"`, the
              network of FID, see `inception_features`; `"pixels"`, the pixels themselves;
            - a `keras.Model` for images in [-1, 1], see `FeatureExtractor`;
            - an `Extractor`, which is returned as it is.

    Returns:
        An `Extractor`.

    Raises:
        ValueError: The name is unknown, or the object is not an extractor.

    Example:
    ```python
    extractor = kgan.metrics.get_features("pixels")
    evaluation = kgan.evaluate(gan, train, features=extractor)
    ```
    """
    if isinstance(features, str):
        if features not in EXTRACTORS:
            raise ValueError(
                f"Expected features by name, one of {', '.join(map(repr, EXTRACTORS))}, a "
                f"keras.Model or an extractor. Received: {features!r}."
                f"{did_you_mean(features, EXTRACTORS)}"
            )
        return EXTRACTORS[features]()
    if isinstance(features, keras.Model):
        return FeatureExtractor(features)
    lacking = [n for n in ("name", "num_classes", "fingerprint") if not hasattr(features, n)]
    if lacking or not callable(features):
        raise ValueError(
            "Expected features by name, a keras.Model or an extractor. "
            f"Received: {features!r}, which lacks {', '.join(lacking) or 'a call'}."
        )
    extractor: Extractor = features
    return extractor


def extract(extractor: Extractor, images: Pictures, say: Say = silent) -> Features:
    """Computes features in parts, and reports the progress.

    Args:
        extractor: See `get`.
        images: uint8 `(N, H, W, C)`.
        say: Called with a line of text after every part but the last.

    Returns:
        `extractor(images)`.
    """
    parts: list[Features] = []
    for first in range(0, max(len(images), 1), _CHUNK):
        if first:
            say(f"features: {first:,} of {len(images):,} images")
        parts.append(extractor(images[first : first + _CHUNK]))
    if len(parts) == 1:
        return parts[0]
    joined: dict[str, Any] = {}
    for name, array in vars(parts[0]).items():
        arrays = [getattr(part, name) for part in parts]
        joined[name] = None if array is None else np.concatenate(arrays)
    return Features(**joined)


def _softmax(logits: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    exponentials: npt.NDArray[np.float32] = np.exp(logits - np.max(logits, axis=1, keepdims=True))
    return exponentials / np.sum(exponentials, axis=1, keepdims=True)

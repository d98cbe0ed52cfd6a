"""The common part of models that translate images."""

import contextlib
import math
import numbers
import weakref
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
from keras import ops

from kgan import _backend
from kgan._arguments import integer
from kgan._backend.keras_internals import graph_of, layers_of
from kgan._typing import Images, Network, Tensor
from kgan.training import data_checks
from kgan.training.batch_spec import BatchSpec
from kgan.training.log_names import LOSSES, LogName, register
from kgan.training.model import GenerativeModel

register(LogName("l1_error", "L1 error", LOSSES, order=91))

_DROPOUTS = (keras.layers.Dropout, keras.layers.GaussianDropout, keras.layers.AlphaDropout)

# Networks for other image sizes, which share the layers of the original.
_of_size: weakref.WeakKeyDictionary[Network, dict[tuple[int, int], Network]] = (
    weakref.WeakKeyDictionary()
)


class TranslationModel(GenerativeModel):
    """Base class of models that translate images.

    A family calls `translate_by` with the names of the networks that make its translations.

    Example:
    ```python
    assert isinstance(pix2pix, kgan.models.TranslationModel)
    ```
    """

    def translate_by(
        self,
        chain: tuple[str, ...],
        images: npt.ArrayLike,
        batch_size: int,
        averaged: bool,
        dropout: bool = False,
        seed: int | None = None,
    ) -> Images:
        """Passes images through networks, one after the other.

        Args:
            chain: Strings out of `networks`, in the order in which they are called.
            images: As `Pix2Pix.translate` takes them.
            batch_size: Integer, images at a time.
            averaged: Whether to use the averages of the weights, if the model keeps them.
            dropout: Whether layers of dropout work as in training.
            seed: Integer, for the dropout.

        Returns:
            Float32 array `(n, height, width, channels)`.

        Example:
        ```python
        images, _ = test.draw(4, seed=0)
        thick = cycle_gan.translate_by(("a_to_b",), images, batch_size=2, averaged=True)
        ```
        """
        networks = [self.network_in_use(name, averaged) for name in chain]
        array = _checked(images, networks[0])
        size = array.shape[1:3]
        for network in networks:
            at_size(network, size)  # here, since TensorFlow cannot build it while it compiles
        options = {"chain": chain, "size": size, "averaged": averaged, "dropout": dropout}
        count = integer("batch_size", batch_size)
        if not dropout:
            return self._translations([array], count, options)
        random = np.random.default_rng(seed)
        parts = []
        for first in range(0, len(array), count):
            with _dropping(networks, random):
                parts.append(self._translations([array[first : first + count]], count, options))
        return np.concatenate(parts)

    def _translations(
        self, arrays: list[np.ndarray], count: int, options: dict[str, Any]
    ) -> Images:
        images = self.predict_in_batches(TranslationModel._pass_on, arrays, count, **options)
        return np.asarray(images, "float32")

    def _pass_on(
        self,
        images: Tensor,
        chain: tuple[str, ...],
        size: tuple[int, int],
        averaged: bool,
        dropout: bool,
    ) -> Tensor:
        for name in chain:
            network = at_size(self.network_in_use(name, averaged), size)
            images = ops.cast(_backend.run(network, [images], training=dropout), "float32")
        return images


def _checked(images: npt.ArrayLike, network: Network) -> Images:
    """Images as floats in [-1, 1], as a network takes them."""
    array = np.asarray(ops.convert_to_numpy(images))
    channels = network.inputs[0].shape[-1]
    if array.ndim == 3 and channels == 1 and array.shape[-1] != 1:
        array = array[..., np.newaxis]
    if array.dtype == np.uint8:
        array = array.astype("float32") / 127.5 - 1.0
    spec = BatchSpec((None, None, None, channels), network.name, (-1.0, 1.0), "that of the model")
    data_checks.check_values(array, None, spec=spec, divides=False)
    return array.astype("float32")


def at_size(network: Network, size: tuple[int, int]) -> Network:
    """The network for images of another size, with the same layers and weights.

    Args:
        network: A Functional or Sequential `keras.Model` from images to images.
        size: Two integers, height and width.

    Returns:
        The network itself, if it takes that size.

    Raises:
        ValueError: Its layers depend on the size.
    """
    built, channels = network.inputs[0].shape[1:3], network.inputs[0].shape[3]
    if all(own in (None, side) for own, side in zip(built, size, strict=True)):
        return network
    others = _of_size.setdefault(network, {})
    if size not in others:
        image = keras.Input((*size, channels), dtype=network.inputs[0].dtype)
        graph = graph_of(network)  # of a Sequential too
        assert graph is not None
        # A list of one image, where the network takes a list.
        given = keras.tree.map_structure(lambda _: image, graph.input)
        try:
            with _plain_errors():
                others[size] = keras.models.clone_model(
                    graph, input_tensors=given, clone_function=lambda layer: layer
                )
        except ValueError as error:
            raise ValueError(
                f"Expected images of {built[0]}x{built[1]} pixels, for which {network.name!r} was "
                f"built, or layers that take any size. Received: images of {size[0]}x{size[1]} "
                f"pixels. {error}"
            ) from error
    return others[size]


@contextlib.contextmanager
def _plain_errors() -> Iterator[None]:
    """A context in which Keras does not wrap the errors of layers in a text about their calls."""
    is_filtering = keras.config.is_traceback_filtering_enabled()
    keras.config.disable_traceback_filtering()
    try:
        yield
    finally:
        if is_filtering:
            keras.config.enable_traceback_filtering()


@contextlib.contextmanager
def _dropping(networks: list[Network], random: np.random.Generator) -> Iterator[None]:
    """A context in which only dropout works as in training.

    The dropout of later training steps is not affected.
    """
    layers = [layer for network in networks for layer in layers_of(network)]
    states = [layer.seed_generator.state for layer in layers if isinstance(layer, _DROPOUTS)]
    if not states:
        raise ValueError(
            "Expected a generator with dropout, which makes translations differ. Received: "
            "dropout=True and a network without it. Build it with dropout: "
            "kgan.networks.pix2pix(..., dropout=0.5)."
        )
    before = [ops.convert_to_numpy(state) for state in states]
    # In training mode they would normalise by the batch; frozen layers never do.
    frozen = [
        layer
        for layer in layers
        if isinstance(layer, keras.layers.BatchNormalization) and layer.trainable
    ]
    for layer in frozen:
        layer.trainable = False
    for state, old in zip(states, before, strict=True):
        state.assign(random.integers(0, 2**31, old.shape).astype(old.dtype))
    noise = keras.random.SeedGenerator(int(random.integers(2**31)))
    try:
        with _backend.seeded(noise):
            yield
    finally:
        for layer in frozen:
            layer.trainable = True
        for state, old in zip(states, before, strict=True):
            state.assign(old)


def mean_distance(images: Tensor, others: Tensor) -> Tensor:
    """The mean absolute difference of images: float32 scalar."""
    return ops.mean(ops.abs(images - others))


def weight(name: str, value: object) -> float:
    """Checks the weight of a loss.

    Args:
        name: String, the argument's.
        value: What was received.

    Returns:
        The value as a float.

    Raises:
        ValueError: It is not a finite number of at least 0.
    """
    number = float(value) if isinstance(value, numbers.Real) else math.nan
    if not 0 <= number < math.inf:
        raise ValueError(
            f"Expected `{name}` to be a finite number of at least 0. Received: {name}={value!r}."
        )
    return number

"""Statistics of batch normalisation over many batches, exactly."""

from collections.abc import Callable

import keras
import numpy as np

from kgan._backend.keras_internals import layers_of
from kgan._typing import Array, Layer, Network


def normalizations(network: Network) -> list[Layer]:
    """The layers of batch normalisation in a network, at any depth."""
    return [
        layer for layer in layers_of(network) if isinstance(layer, keras.layers.BatchNormalization)
    ]


def collect(network: Network, run: Callable[[], None], batches: int) -> None:
    """Replaces the moving averages of batch normalisation by the statistics of some batches.

    No other variable of the network changes.

    Args:
        network: The network.
        run: Runs the network in training mode on a new batch. All batches have one size.
        batches: Integer, how many times to run it.

    Raises:
        ValueError: The network has no layer of batch normalisation.
    """
    layers = normalizations(network)
    if not layers:
        raise ValueError(
            "Expected a network with batch normalisation, whose statistics can be collected. "
            f"Received: {network.name!r}, which has none."
        )
    before = [(variable, _array(variable)) for variable in network.non_trainable_variables]
    states = [(layer.momentum, layer.trainable) for layer in layers]
    means: list[list[Array]] = [[] for _ in layers]
    squares: list[list[Array]] = [[] for _ in layers]
    try:
        for layer in layers:
            layer.momentum = 0.0  # so that the averages are those of the last batch
            layer.trainable = (
                True  # an average of weights is frozen, and frozen layers use old statistics
            )
        for _ in range(batches):
            run()
            for layer, mean, square in zip(layers, means, squares, strict=True):
                mean.append(_array(layer.moving_mean).astype("float64"))
                square.append(_array(layer.moving_variance).astype("float64") + mean[-1] ** 2)
    finally:
        for layer, (momentum, trainable) in zip(layers, states, strict=True):
            layer.momentum, layer.trainable = momentum, trainable
        for variable, value in before:
            variable.assign(value)
    for layer, mean, square in zip(layers, means, squares, strict=True):
        _assign(layer, np.mean(mean, axis=0), np.mean(square, axis=0))


def _assign(layer: Layer, mean: Array, square: Array) -> None:
    layer.moving_mean.assign(mean.astype("float32"))
    layer.moving_variance.assign((square - mean**2).clip(min=0.0).astype("float32"))


def _array(variable: keras.Variable) -> Array:
    return np.array(keras.ops.convert_to_numpy(variable))

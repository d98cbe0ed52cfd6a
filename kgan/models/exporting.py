"""The export of one network of a model, for serving."""

from typing import Any

import numpy as np

from kgan._backend import graph
from kgan._typing import Network


def export_network(network: Network, filepath: Any, *args: Any, **kwargs: Any) -> None:
    """Exports a network: `keras.Model.export`.

    Args:
        network: A built network.
        filepath: The file or directory.
        *args: As for `keras.Model.export`: the format, which depends on the backend. "onnx" works
            on all of them, with the packages that Keras asks for; the default, "tf_saved_model", on
            TensorFlow, and on JAX where TensorFlow is installed.
        **kwargs: As for `keras.Model.export`.
    """
    # Keras exports to ONNX only what has been called, and by Keras.
    zeros = [np.zeros((1, *x.shape[1:]), x.dtype) for x in network.inputs]
    graph.call(network, zeros, training=False)
    network.export(filepath, *args, **kwargs)

"""Running averages of a network's weights."""

import zlib
from collections.abc import Callable

import keras
from keras import ops

from kgan import _backend
from kgan._typing import Network, Tensor


class AveragedNetwork(keras.layers.Layer):
    """A copy of a network whose weights follow those of the original (EMA).

    After each update of the network, `average = d * average + (1 - d) * weights`, with
    `d = min(decay, (1 + n) / (10 + n))` after n updates: less in the first steps, when there is
    little to average. Weights that are not floats, and the statistics of batch normalisation, are
    averaged with the rest.

    Args:
        network: The network to follow: one that `keras.models.clone_model` can copy.
        name: String, the name of the copy and of this layer, which summaries list.

    Raises:
        ValueError: The network cannot be copied.

    Reference:
        [Yazici et al., 2019](https://arxiv.org/abs/1806.04498).
    """

    def __init__(self, network: Network, name: str) -> None:
        super().__init__(name=name, dtype="float32")
        self.network = _copy(network, name)
        # Not the optimizer's count, which starts again when the model is compiled again.
        self.updates = self.add_weight(
            shape=(),
            initializer="zeros",
            dtype="float32",  # in half precision a count ends at 256 or 2048
            trainable=False,
            aggregation="mean",
            name="updates",
        )
        self.built = True

    def restart(self, network: Network) -> None:
        """Starts again from the network's weights, which were set from outside."""
        self.network.set_weights(network.get_weights())
        self.updates.assign(0.0)

    def follow(
        self,
        network: Network,
        decay: float,
        has_updated: Tensor | None = None,
        part: Callable[[Network], Network] = lambda network: network,
    ) -> None:
        """Moves the average by one step towards the network's weights.

        Args:
            network: The network.
            decay: Float, the share of the average that stays.
            has_updated: Boolean scalar, whether there are new weights to follow: gradient
                accumulation makes an update only every few steps. Defaults to always.
            part: Gives the part of a network that the average follows, of the network and of its
                copy. Defaults to all of it.
        """
        moves = 1.0 if has_updated is None else ops.cast(has_updated, "float32")
        self.updates.assign_add(moves)
        updates = self.updates.value
        kept = ops.minimum(decay, (1.0 + updates) / (10.0 + updates))
        if has_updated is not None:
            kept = ops.where(has_updated, kept, 1.0)
        averages, variables = part(self.network).variables, part(network).variables
        _backend.average_into(averages, variables, 1.0 - kept)


def fingerprint(network: Network) -> int:
    """A checksum of a network's weights, which changes when they are set."""
    checksum = 0
    for value in network.get_weights():
        checksum = zlib.crc32(value.tobytes(), checksum)
    return checksum


def _copy(network: Network, name: str) -> Network:
    try:
        # So that weights of the two have different paths, by which TensorBoard names histograms.
        with keras.name_scope(name):
            copy = keras.models.clone_model(network)
        copy.set_weights(network.get_weights())
    except (TypeError, ValueError) as error:
        raise ValueError(
            "`ema_decay` keeps its average in a copy of the network. Expected a network that "
            "keras.models.clone_model can copy: layers with a `get_config`, no Lambda, none used "
            f"both in a nested model and outside of it. Received: {network.name!r}, for which it "
            f"says: {error}"
        ) from error
    copy.trainable = False
    copy.name = name
    return copy

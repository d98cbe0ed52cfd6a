"""Outputs for each channel, given the channels before it."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from kgan import _backend
from kgan._arguments import integer
from kgan._typing import Config, Shape, Tensor


@keras.saving.register_keras_serializable(package="kgan")
class ChannelHead(keras.layers.Layer):
    """A hidden and an output layer for each channel, which also see the channels before it.

    An autoregressive model predicts red from earlier pixels, green from these and red, blue from
    these, red and green. With features `f` of the earlier pixels, the outputs of channel c are
    `O_c relu(F_c f + E_c x)`, where `x` are the values of the pixel's channels before c.

    Args:
        outputs_per_channel: Integer, the outputs for each channel.
        width: Integer, the units of each hidden layer.
        **kwargs: `name`, `trainable` and `dtype`, as for `keras.layers.Layer`.

    Raises:
        ValueError: A number is not an integer of at least 1.

    Example:
    ```python
    features, image = keras.Input((32, 32, 64)), keras.Input((32, 32, 3))
    outputs = kgan.layers.ChannelHead(outputs_per_channel=4, width=32)([features, image])
    assert outputs.shape == (None, 32, 32, 12)
    ```

    Reference:
        [van den Oord et al., 2016](https://arxiv.org/abs/1601.06759), for the order of channels.
    """

    def __init__(self, outputs_per_channel: int, width: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.outputs_per_channel = integer("outputs_per_channel", outputs_per_channel)
        self.width = integer("width", width)
        self.is_channelwise = True

    def build(self, input_shape: Sequence[Shape]) -> None:
        """Builds the layers of each channel."""
        features, image = input_shape
        channels = int(image[-1] or 1)
        policy = self.dtype_policy
        self.of_features = [
            keras.layers.Dense(self.width, dtype=policy, name=f"features_{channel}")
            for channel in range(channels)
        ]
        self.of_earlier = [
            keras.layers.Dense(self.width, use_bias=False, dtype=policy, name=f"earlier_{channel}")
            for channel in range(1, channels)
        ]
        self.to_outputs = [
            keras.layers.Dense(self.outputs_per_channel, dtype="float32", name=f"outputs_{channel}")
            for channel in range(channels)
        ]
        for channel in range(channels):
            self.of_features[channel].build(features)
            self.to_outputs[channel].build((*features[:-1], self.width))
            if channel:
                self.of_earlier[channel - 1].build((*image[:-1], channel))

    def call(self, inputs: Sequence[Tensor]) -> Tensor:
        """Computes the outputs.

        Args:
            inputs: `[features, image]`, float `(batch, height, width, n)` and
                `(batch, height, width, channels)`.

        Returns:
            Float32 `(batch, height, width, channels * outputs_per_channel)`: the first outputs of
            each channel, then the second ones, as likelihoods take them.
        """
        features, image = inputs
        each = []
        for channel, to_outputs in enumerate(self.to_outputs):
            hidden = _backend.run_layer(self.of_features[channel], features, False)
            if channel:
                earlier = self.of_earlier[channel - 1]
                hidden = hidden + _backend.run_layer(earlier, image[..., :channel], False)
            each.append(_backend.run_layer(to_outputs, ops.relu(hidden), False))
        stacked = ops.stack(each, axis=-1)
        return ops.reshape(stacked, (*ops.shape(stacked)[:-2], self._outputs(len(each))))

    def _outputs(self, channels: int) -> int:
        return channels * self.outputs_per_channel

    def compute_output_spec(self, inputs: Sequence[keras.KerasTensor]) -> keras.KerasTensor:
        """The shape of the outputs, which are float32 whatever the policy."""
        features, image = inputs
        shape = (*features.shape[:-1], self._outputs(int(image.shape[-1])))
        return keras.KerasTensor(shape, dtype="float32")

    def get_config(self) -> Config:
        """The constructor's arguments, for saving."""
        return {
            **super().get_config(),
            "outputs_per_channel": self.outputs_per_channel,
            "width": self.width,
        }

"""Gated units."""

from typing import Any

import keras
from keras import ops

from kgan._typing import Config, Shape, Tensor


@keras.saving.register_keras_serializable(package="kgan")
class Gate(keras.layers.Layer):
    """Half of the channels, each multiplied by a gate that one of the other half opens.

    With the halves `a` and `b` of the input's channels, the output is `f(a) * (1 + tanh(b))`, for
    the activation `f`. The second factor is `2 sigmoid(2 b)`, the usual gate except for two factors
    that the weights of the next and the previous layer absorb. Processors compute a tanh faster.

    Args:
        activation: String or function, as for `keras.layers.Activation`. `"tanh"` is the gated
            unit of PixelCNN. Defaults to `"linear"`, a gated linear unit.
        **kwargs: `name`, `trainable` and `dtype`, as for `keras.layers.Layer`.

    Example:
    ```python
    x = keras.Input((28, 28, 64))
    assert kgan.layers.Gate("tanh")(x).shape == (None, 28, 28, 32)
    ```

    Reference:
        [van den Oord et al., 2016](https://arxiv.org/abs/1606.05328);
        [Dauphin et al., 2017](https://arxiv.org/abs/1612.08083) for the gated linear unit.
    """

    def __init__(self, activation: Any = "linear", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.activation = keras.activations.get(activation)
        self.is_pointwise = True
        self.built = True

    def call(self, inputs: Tensor) -> Tensor:
        """Applies the gates.

        Args:
            inputs: Float `(..., channels)`, an even number of channels.

        Returns:
            Float tensor `(..., channels / 2)`.
        """
        values, gates = ops.split(inputs, 2, axis=-1)
        return self.activation(values) * (ops.tanh(gates) + 1)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """The shape of the inputs, with half of their channels."""
        channels = input_shape[-1]
        if channels is None or channels % 2:
            raise ValueError(
                f"Expected an even number of channels. Received: an input of shape {input_shape}."
            )
        return (*input_shape[:-1], channels // 2)

    def get_config(self) -> Config:
        """The constructor's arguments, for saving."""
        return {
            **super().get_config(),
            "activation": keras.activations.serialize(self.activation),
        }

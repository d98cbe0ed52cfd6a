"""Layers whose weights are scaled when they are used: equalised learning rates."""

import math
from typing import Any

import keras
from keras import ops

from kgan._typing import Config, Shape, Tensor


def he_constant(kernel_shape: Shape, gain: float) -> float:
    """`gain / sqrt(inputs)`, with the number of inputs that a kernel sums over for each output."""
    return gain / math.sqrt(math.prod(int(size or 0) for size in kernel_shape[:-1]))


class _Equalized(keras.layers.Layer):
    """What the layers have in common: standard normal weights, and the gain."""

    def __init__(self, *args: Any, gain: float = math.sqrt(2.0), **kwargs: Any) -> None:
        kwargs.setdefault("kernel_initializer", keras.initializers.RandomNormal(stddev=1.0))
        super().__init__(*args, **kwargs)
        self.gain = float(gain)

    @property
    def scale(self) -> float:
        """The factor of the kernel: He's constant."""
        return he_constant(self.kernel.shape, self.gain)

    def get_config(self) -> Config:
        """The constructor's arguments, for saving."""
        return {**super().get_config(), "gain": self.gain}


@keras.saving.register_keras_serializable(package="kgan")
class EqualizedConv2D(_Equalized, keras.layers.Conv2D):
    """A convolution with an equalised learning rate.

    The kernel starts with standard normal numbers. Whenever it is used, it is multiplied by He's
    constant, `gain / sqrt(inputs)`, where `inputs` is the number of values that an output sums
    over. The outputs then have the scale of He's initialisation. Adam's steps do not depend on the
    scale of a gradient, so all layers with such kernels learn at the same relative speed.

    Args:
        *args: As for `keras.layers.Conv2D`.
        gain: Float. The default, the root of 2, keeps the variance in front of a ReLU. 1 keeps it
            in a layer without one.
        **kwargs: As for `keras.layers.Conv2D`. `kernel_initializer` defaults to standard normal
            numbers.

    Example:
    ```python
    x = keras.Input((28, 28, 16))
    y = kgan.layers.EqualizedConv2D(32, 3, padding="same")(x)
    assert y.shape == (None, 28, 28, 32)
    ```

    Reference:
        [Karras et al., 2018](https://arxiv.org/abs/1710.10196), section 4.1.
    """

    def convolution_op(self, inputs: Tensor, kernel: Tensor) -> Tensor:
        """Convolves with the scaled kernel."""
        return super().convolution_op(inputs, kernel * self.scale)


@keras.saving.register_keras_serializable(package="kgan")
class EqualizedDense(_Equalized, keras.layers.Dense):
    """A dense layer with an equalised learning rate. See `EqualizedConv2D`.

    Args:
        *args: As for `keras.layers.Dense`.
        gain: Float. The root of 2 keeps the variance in front of a ReLU, 1 in a layer without one.
        **kwargs: As for `keras.layers.Dense`. `kernel_initializer` defaults to standard normal
            numbers.

    Example:
    ```python
    x = keras.Input((64,))
    logits = kgan.layers.EqualizedDense(1, gain=1.0)(x)
    assert logits.shape == (None, 1)
    ```

    Reference:
        [Karras et al., 2018](https://arxiv.org/abs/1710.10196), section 4.1.
    """

    def call(self, inputs: Tensor, training: bool | None = None) -> Tensor:
        """The outputs, `(..., units)`.

        Args:
            inputs: Float `(..., features)`.
            training: Has no effect.
        """
        del training
        x = ops.matmul(inputs, self.kernel * self.scale)
        if self.use_bias:
            x = ops.add(x, self.bias)
        return x if self.activation is None else self.activation(x)

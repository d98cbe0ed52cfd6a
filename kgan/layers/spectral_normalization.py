"""Spectral normalisation: a wrapper that divides a kernel by its largest singular value."""

from typing import Any

import keras

from kgan import _backend
from kgan._arguments import integer
from kgan._backend.kernel_wrapper import KernelWrapper
from kgan._typing import Config, Layer, Shape, Tensor


@keras.saving.register_keras_serializable(package="kgan")
class SpectralNormalization(KernelWrapper):
    """Divides the kernel of a layer by its largest singular value.

    Wherever the layer reads its kernel, it gets `W / s(W)`, with `W` the kernel as a matrix of
    shape `(other axes, last axis)` and `s(W)` its largest singular value. A dense layer then has a
    Lipschitz constant of 1. For a convolution, the constant also depends on how the filter overlaps
    itself. Power iteration estimates `s`, with one step in each training call. Its vector `u` is a
    weight. In inference, the layer does one step from the present `u` and changes nothing.

    `keras.layers.SpectralNormalization` instead overwrites the kernel with `W / s(W)` in every
    training call, which changes the weights that the optimizer works on. On TensorFlow and PyTorch,
    its gradient leaves out `s`. Here the gradient passes through `s` on every backend, as in
    equation 12 of the paper.

    Args:
        layer: A `keras.layers.Layer` with a `kernel`, such as `Dense`, `Conv2D` or
            `Conv2DTranspose`, or with `embeddings`.
        power_iterations: Integer, the number of steps of power iteration in each training call.
        **kwargs: `name`, `trainable` and `dtype`, as for `keras.layers.Layer`.

    Raises:
        ValueError: The layer has neither a kernel nor embeddings, or `power_iterations` is not an
            integer of at least 1.

    Example:
    ```python
    x = keras.Input((28, 28, 1))
    y = kgan.layers.SpectralNormalization(keras.layers.Conv2D(64, 3, padding="same"))(x)
    ```

    Reference:
        [Miyato et al., 2018](https://arxiv.org/abs/1802.05957), algorithm 1.
    """

    def __init__(self, layer: Layer, power_iterations: int = 1, **kwargs: Any) -> None:
        # No autocast: the iteration needs the kernel in the precision in which it is kept. The
        # wrapped layer casts what it reads to its own compute dtype.
        super().__init__(layer, autocast=False, **kwargs)
        self.power_iterations = integer("power_iterations", power_iterations)

    def build(self, input_shape: Shape) -> None:
        """Builds the wrapped layer, and the vector of the power iteration."""
        super().build(input_shape)
        self.u = self.add_weight(
            shape=(1, self.kernel.shape[-1]),
            initializer="random_normal",
            trainable=False,
            autocast=False,
            aggregation="mean",
            name="u",
        )

    def new_kernel(self, training: bool) -> Tensor:
        """The kernel divided by its largest singular value. Updates `u` in training."""
        # At least one step: a random `u` may be almost orthogonal to the rows of the matrix.
        iterations = self.power_iterations if training else 1
        return _backend.normalised(self.kernel, self.u, iterations, update=training)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """The output shape of the wrapped layer."""
        return self.layer.compute_output_shape(input_shape)

    def compute_output_spec(self, inputs: Tensor, training: bool | None = None) -> Tensor:
        """The symbolic output of the wrapped layer."""
        del training
        return self.layer.compute_output_spec(inputs)

    def get_config(self) -> Config:
        """The constructor's arguments, for saving."""
        return {**super().get_config(), "power_iterations": self.power_iterations}

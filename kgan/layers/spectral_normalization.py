"""Spectral normalisation: a wrapper that divides a kernel by its largest singular value."""

from typing import Any

import keras
from keras import ops

from kgan._arguments import integer
from kgan._typing import Config, Layer, Shape, Tensor


@keras.saving.register_keras_serializable(package="kgan")
class SpectralNormalization(keras.layers.Wrapper):
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
        kernel = getattr(self.layer, "kernel", None)
        kernel = getattr(self.layer, "embeddings", None) if kernel is None else kernel
        if not isinstance(kernel, keras.Variable):
            raise ValueError(
                "Expected a layer with a variable `kernel` or `embeddings`, such as Dense, Conv2D, "
                f"Conv2DTranspose or Embedding. Received: layer={self.layer!r}."
            )
        # Not tracked by Keras, which would save the kernel of the layer twice.
        object.__setattr__(self, "kernel", kernel)
        self.u = self.add_weight(
            shape=(1, kernel.shape[-1]),
            initializer="random_normal",
            trainable=False,
            autocast=False,
            aggregation="mean",
            name="u",
        )

    def call(self, inputs: Tensor, training: bool | None = None) -> Tensor:
        """Calls the wrapped layer with its normalised kernel.

        Args:
            inputs: The inputs of the layer.
            training: Whether to update the estimate of the singular value.

        Returns:
            The outputs of the layer.
        """
        values = [(variable, variable.value) for variable in self.layer.variables]
        values.append((self.kernel, self._normalised_kernel(bool(training))))
        # In this scope, the layer reads the normalised kernel wherever it reads the variable.
        with keras.StatelessScope(values, collect_losses=True) as scope:
            outputs = self.layer(inputs)
        for variable in self.layer.non_trainable_variables:
            if variable is not self.kernel:  # the kernel of a frozen layer is not trainable
                variable.assign(scope.get_current_value(variable))
        for loss in scope.losses:
            self.add_loss(loss)
        return outputs

    def _normalised_kernel(self, training: bool) -> Tensor:
        kernel = ops.cast(self.kernel.value, self.u.dtype)
        matrix = ops.reshape(kernel, (-1, kernel.shape[-1]))
        # The paper treats both vectors as constants: s(W) = v W u has the gradient v u.
        constant = ops.stop_gradient(matrix)
        # At least one step: a random `u` may be almost orthogonal to the rows of the matrix.
        u, v = _iterate(constant, _unit(self.u.value), self.power_iterations if training else 1)
        if training:
            # A kernel of zeros has no singular direction.
            u = ops.where(ops.any(u != 0), u, self.u.value)
            self.u.assign(u)
        sigma = ops.sum(ops.matmul(v, matrix) * u)
        return kernel / ops.where(sigma > 0, sigma, 1.0)

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


def _unit(vector: Tensor) -> Tensor:
    """A vector of length 1 in the same direction. Zeros stay zeros."""
    length = ops.sqrt(ops.sum(ops.square(vector)))
    return vector / ops.where(length > 0, length, 1.0)


def _iterate(matrix: Tensor, u: Tensor, iterations: int) -> tuple[Tensor, Tensor]:
    """Updates the singular vectors `u` (1, columns) and `v` (1, rows) by power iteration."""
    for _ in range(iterations):
        v = _unit(ops.matmul(u, ops.transpose(matrix)))
        u = _unit(ops.matmul(v, matrix))
    return u, v

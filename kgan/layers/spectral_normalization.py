"""A wrapper that divides a layer's kernel by its largest singular value."""

from typing import Any

import keras
from keras import ops

from kgan._arguments import integer

Tensor = Any


@keras.saving.register_keras_serializable(package="kgan")
class SpectralNormalization(keras.layers.Wrapper):
    """Has a layer compute with its kernel divided by the kernel's largest singular value.

    The kernel, as a matrix `W` of shape `(everything else, last axis)`, is replaced by `W / s(W)`
    wherever the layer reads it, so that the layer stretches no input by more than 1 (a convolution:
    by little more than a constant that depends on how its filter overlaps itself). `s` is found by
    power iteration, one step of it each time that the layer is called in training; its vector `u`
    is kept as a weight. Where the layer is not in training, `s` is taken one step on from the `u`
    that there is, and nothing is changed.

    `keras.layers.SpectralNormalization` writes `W / s(W)` into the kernel in every call in training
    instead. That takes from the optimizer the weights that it works on, and on TensorFlow and
    PyTorch its gradient does not pass through `s`: this one's does, everywhere, as in equation 12
    of the paper.

    Args:
        layer: A `keras.layers.Layer` with a `kernel`, such as `Dense`, `Conv2D` or
            `Conv2DTranspose`, or with `embeddings`.
        power_iterations: Integer, steps of power iteration in each call in training.
        **kwargs: Keras's own `name`, `trainable` and `dtype`.

    Raises:
        ValueError: The layer has neither kernel nor embeddings, or `power_iterations` is not an
            integer of at least 1.

    Example:
    ```python
    x = kgan.layers.SpectralNormalization(keras.layers.Conv2D(64, 3, padding="same"))(x)
    ```

    Reference:
        [Miyato et al., 2018](https://arxiv.org/abs/1802.05957), algorithm 1.
    """

    def __init__(self, layer: Any, power_iterations: int = 1, **kwargs: Any) -> None:
        # Not cast here: the iteration needs the kernel in the precision in which it is kept. The
        # layer within casts what it reads to the precision in which it computes.
        super().__init__(layer, autocast=False, **kwargs)
        self.power_iterations = integer("power_iterations", power_iterations)

    def build(self, input_shape: Any) -> None:
        """Builds the layer within, and the vector of the power iteration."""
        super().build(input_shape)
        kernel = getattr(self.layer, "kernel", None)
        kernel = getattr(self.layer, "embeddings", None) if kernel is None else kernel
        if not isinstance(kernel, keras.Variable):
            raise ValueError(
                "Expected a layer with a variable `kernel` or `embeddings`, such as Dense, Conv2D, "
                f"Conv2DTranspose or Embedding. Received: layer={self.layer!r}."
            )
        # Past Keras, which would write the layer's kernel into files as one of this wrapper's too.
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
        """What the layer within makes of the inputs, by its normalised kernel."""
        values = [(variable, variable.value) for variable in self.layer.variables]
        values.append((self.kernel, self._normalised_kernel(bool(training))))
        # Within the scope the layer reads this expression wherever it reads its variable.
        with keras.StatelessScope(values, collect_losses=True) as scope:
            outputs = self.layer(inputs)
        for variable in self.layer.non_trainable_variables:
            if variable is not self.kernel:  # which a frozen layer has among these
                variable.assign(scope.get_current_value(variable))
        for loss in scope.losses:
            self.add_loss(loss)
        return outputs

    def _normalised_kernel(self, training: bool) -> Tensor:
        kernel = ops.cast(self.kernel.value, self.u.dtype)
        matrix = ops.reshape(kernel, (-1, kernel.shape[-1]))
        # The paper takes both vectors as constants: s(W) = v W u has the gradient v u.
        constant = ops.stop_gradient(matrix)
        # At least one step, since a random `u` may lie almost all beside the rows of the matrix.
        u, v = _iterate(constant, _unit(self.u.value), self.power_iterations if training else 1)
        if training:
            # A kernel of zeros has no direction to follow.
            u = ops.where(ops.any(u != 0), u, self.u.value)
            self.u.assign(u)
        sigma = ops.sum(ops.matmul(v, matrix) * u)
        return kernel / ops.where(sigma > 0, sigma, 1.0)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """The shape that the layer within gives."""
        return self.layer.compute_output_shape(input_shape)

    def compute_output_spec(self, inputs: Any, training: bool | None = None) -> Any:
        """The shape and dtype that the layer within gives."""
        del training
        return self.layer.compute_output_spec(inputs)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments, for saving."""
        return {**super().get_config(), "power_iterations": self.power_iterations}


def _unit(vector: Tensor) -> Tensor:
    """A vector of length 1 in the same direction; zeros stay zeros."""
    length = ops.sqrt(ops.sum(ops.square(vector)))
    return vector / ops.where(length > 0, length, 1.0)


def _iterate(matrix: Tensor, u: Tensor, iterations: int) -> tuple[Tensor, Tensor]:
    """The two singular vectors `u` (1, columns) and `v` (1, rows), one step nearer or more."""
    for _ in range(iterations):
        v = _unit(ops.matmul(u, ops.transpose(matrix)))
        u = _unit(ops.matmul(v, matrix))
    return u, v

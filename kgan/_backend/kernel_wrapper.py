"""A wrapper that gives its layer another kernel."""

import keras

from kgan._typing import Shape, Tensor, Variable


class KernelWrapper(keras.layers.Wrapper):
    """Calls a layer with a kernel that is computed from the layer's own.

    A subclass computes it in `new_kernel`. It has no weights that are regularised, and adds no
    losses but those of the layer. `_backend.run` may call the layer without `call`.
    """

    kernel: Variable
    """The variable that the layer reads: its kernel, or its embeddings. Set in `build`."""

    def build(self, input_shape: Shape) -> None:
        """Builds the wrapped layer, and finds its kernel.

        Raises:
            ValueError: The layer has neither a kernel nor embeddings.
        """
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

    def new_kernel(self, training: bool) -> Tensor:
        """The kernel that the layer gets, in the shape of `kernel`."""
        raise NotImplementedError

    def call(self, inputs: Tensor, training: bool | None = None) -> Tensor:
        """Calls the wrapped layer with the new kernel.

        Args:
            inputs: The inputs of the layer.
            training: Whether to update the state of the wrapper.

        Returns:
            The outputs of the layer.
        """
        values = [(variable, variable.value) for variable in self.layer.variables]
        values.append((self.kernel, self.new_kernel(bool(training))))
        # In this scope, the layer reads the new kernel wherever it reads the variable.
        with keras.StatelessScope(values, collect_losses=True) as scope:
            outputs = self.layer(inputs)
        for variable in self.layer.non_trainable_variables:
            if variable is not self.kernel:  # the kernel of a frozen layer is not trainable
                variable.assign(scope.get_current_value(variable))
        for loss in scope.losses:
            self.add_loss(loss)
        return outputs

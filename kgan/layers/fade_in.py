"""The fade from one tensor to another, for networks that grow."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from kgan._typing import Shape, Tensor


@keras.saving.register_keras_serializable(package="kgan")
class FadeIn(keras.layers.Layer):
    """Mixes two tensors of the same shape: `alpha * new + (1 - alpha) * old`.

    `alpha` is a weight that does not train. It starts at 0, and the model that grows the network
    assigns to it, as `kgan.ProgressiveGAN` does in every step. At 0 the output is exactly `old`, at
    1 exactly `new`.

    Its arguments are those of every Keras layer: `name`, `trainable` and `dtype`.

    Example:
    ```python
    fade = kgan.layers.FadeIn()
    old, new = keras.ops.zeros((1, 8, 8, 3)), keras.ops.ones((1, 8, 8, 3))
    assert keras.ops.max(fade([old, new])) == 0.0
    fade.alpha.assign(0.25)
    assert keras.ops.max(fade([old, new])) == 0.25
    ```

    Reference:
        [Karras et al., 2018](https://arxiv.org/abs/1710.10196), figure 2.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.alpha = self.add_weight(
            shape=(),
            initializer="zeros",
            dtype="float32",
            trainable=False,
            autocast=False,
            aggregation="mean",
            name="alpha",
        )
        self.built = True

    def call(self, inputs: Sequence[Tensor]) -> Tensor:
        """The mixture.

        Args:
            inputs: `[old, new]`, two tensors of the same shape.
        """
        old, new = inputs
        return mixture(old, new, ops.cast(self.alpha, new.dtype))

    def compute_output_shape(self, input_shape: Sequence[Shape]) -> Shape:
        """The shape of each of the inputs."""
        return tuple(input_shape[1])


def mixture(old: Tensor, new: Tensor, alpha: Tensor) -> Tensor:
    """`alpha * new + (1 - alpha) * old`, which is exact at 0 and at 1."""
    return alpha * new + (1.0 - alpha) * old

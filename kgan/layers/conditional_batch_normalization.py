"""Batch normalisation with a scale and shift per class."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from kgan._arguments import integer
from kgan._typing import Config, Shape, Tensor


@keras.saving.register_keras_serializable(package="kgan")
class ConditionalBatchNormalization(keras.layers.Layer):
    """Batch normalisation with a separate scale and shift for each class.

    Call it as `layer([x, labels])`, with `x` float `(batch, ..., channels)` and `labels` integer
    `(batch,)` or `(batch, 1)`. It computes
    `gamma[label] * (x - mean) / sqrt(variance + epsilon) + beta[label]`. Mean and variance are
    those of the whole batch in training, and their moving averages in inference, as in
    `keras.layers.BatchNormalization`.

    Args:
        num_classes: Integer, the number of classes.
        momentum: Float, the fraction of the moving averages that is kept in each step.
        epsilon: Float, added to the variance.
        gamma_initializer: The initial scales, `(num_classes, channels)`: a name or a
            `keras.initializers.Initializer`. By default, all classes start with the same scales.
        beta_initializer: The initial shifts, in the same form.
        **kwargs: `name`, `trainable` and `dtype`, as for `keras.layers.Layer`.

    Raises:
        ValueError: `num_classes` is not an integer of at least 1.

    Example:
    ```python
    x, labels = keras.Input((7, 7, 64)), keras.Input((), dtype="int32")
    y = kgan.layers.ConditionalBatchNormalization(num_classes=10)([x, labels])
    ```

    Reference:
        [Dumoulin et al., 2017](https://arxiv.org/abs/1610.07629), section 2.2;
        [de Vries et al., 2017](https://arxiv.org/abs/1707.00683).
    """

    def __init__(
        self,
        num_classes: int,
        momentum: float = 0.9,
        epsilon: float = 1e-3,
        gamma_initializer: str | keras.initializers.Initializer = "ones",
        beta_initializer: str | keras.initializers.Initializer = "zeros",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.num_classes = integer("num_classes", num_classes)
        self.momentum = float(momentum)
        self.epsilon = float(epsilon)
        self.gamma_initializer = keras.initializers.get(gamma_initializer)
        self.beta_initializer = keras.initializers.get(beta_initializer)

    def build(self, input_shape: Sequence[Shape]) -> None:
        """Builds the normalisation and the two tables, which have one row per class."""
        shape, labels_shape = input_shape
        self.normalization = keras.layers.BatchNormalization(
            momentum=self.momentum,
            epsilon=self.epsilon,
            center=False,
            scale=False,
            dtype=self.dtype_policy,
            name="normalization",
        )
        self.normalization.build(shape)
        self.gamma, self.beta = (
            keras.layers.Embedding(
                self.num_classes,
                shape[-1],
                embeddings_initializer=start,
                dtype=self.dtype_policy,
                name=name,
            )
            for name, start in (
                ("gamma", self.gamma_initializer),
                ("beta", self.beta_initializer),
            )
        )
        for table in (self.gamma, self.beta):
            table.build(labels_shape)

    def call(self, inputs: Sequence[Tensor], training: bool | None = None) -> Tensor:
        """Normalises `x`.

        Args:
            inputs: `[x, labels]`.
            training: Whether to use the statistics of the batch, and update the moving averages.

        Returns:
            A tensor of the shape and dtype of `x`.
        """
        x, labels = inputs
        labels = ops.reshape(ops.cast(labels, "int32"), (-1, *[1] * (len(x.shape) - 2)))
        x = self.normalization(x, training=training)
        return self.gamma(labels) * x + self.beta(labels)

    def compute_output_shape(self, input_shape: Sequence[Shape]) -> Shape:
        """The shape of `x`."""
        return input_shape[0]

    def get_config(self) -> Config:
        """The constructor's arguments, for saving."""
        return {
            **super().get_config(),
            "num_classes": self.num_classes,
            "momentum": self.momentum,
            "epsilon": self.epsilon,
            "gamma_initializer": keras.initializers.serialize(self.gamma_initializer),
            "beta_initializer": keras.initializers.serialize(self.beta_initializer),
        }

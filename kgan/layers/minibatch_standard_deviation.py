"""Lets a discriminator see how much images differ from one another."""

from typing import Any

import keras
from keras import ops

from kgan._arguments import integer

Tensor = Any


@keras.saving.register_keras_serializable(package="kgan")
class MinibatchStandardDeviation(keras.layers.Layer):
    """Adds one channel: how much the features differ between the images of a group.

    The batch is dealt out into groups of `group_size`. Of each group, the standard deviation over
    its images is taken for every feature at every place, and the mean of them all fills a new last
    channel of the group's images. A generator that makes one image of many latents is told by it.

    Where the group size does not divide the batch, the groups have up to one less than twice as
    many images: there are `batch // group_size` of them, or one if the batch is smaller than that.
    Where several devices share a batch, on TensorFlow each groups the images that it has.

    Args:
        group_size: Integer, the number of images in a group.
        **kwargs: Keras's own `name`, `trainable` and `dtype`.

    Raises:
        ValueError: `group_size` is not an integer of at least 1.

    Example:
    ```python
    x = kgan.layers.MinibatchStandardDeviation()(x)  # (batch, 4, 4, 512) -> (batch, 4, 4, 513)
    ```

    Reference:
        [Karras et al., 2018](https://arxiv.org/abs/1710.10196), section 3;
        [Karras et al., 2020](https://arxiv.org/abs/1912.04958) for groups of 4, image `i` in group
        `i mod (batch / 4)`.
    """

    def __init__(self, group_size: int = 4, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.group_size = integer("group_size", group_size)

    def call(self, inputs: Tensor) -> Tensor:
        """The features, `(batch, ..., channels + 1)`."""
        shape = ops.shape(inputs)
        # The squares of small differences would be 0 in float16.
        features = ops.reshape(ops.cast(inputs, "float32"), (shape[0], -1))
        groups = shape[0] // self.group_size
        # A tensor only where the number of images is one; JAX cannot compile the shapes of those.
        groups = max(groups, 1) if isinstance(groups, int) else ops.maximum(groups, 1)
        group = ops.mod(ops.arange(shape[0]), groups)
        # A matrix with a 1 where the image (row) is in the group (column), so that any number of
        # images can be divided, also where it is not known when the graph is made.
        member = ops.cast(group[:, None] == ops.arange(groups)[None, :], "float32")
        mean_of = ops.transpose(member / ops.sum(member, axis=0, keepdims=True))
        means = ops.matmul(member, ops.matmul(mean_of, features))
        variance = ops.matmul(mean_of, ops.square(features - means))
        # Where all are the same, the root alone would have no slope.
        deviation = ops.mean(ops.sqrt(variance + 1e-8), axis=1, keepdims=True)
        deviation = ops.reshape(ops.matmul(member, deviation), (-1, *[1] * (len(shape) - 1)))
        channel = ops.broadcast_to(ops.cast(deviation, inputs.dtype), (*shape[:-1], 1))
        return ops.concatenate([inputs, channel], axis=-1)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """One channel more."""
        return (*input_shape[:-1], input_shape[-1] + 1)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments, for saving."""
        return {**super().get_config(), "group_size": self.group_size}

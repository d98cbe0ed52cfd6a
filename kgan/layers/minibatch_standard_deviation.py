"""Minibatch standard deviation: shows a discriminator how much the images of a batch differ."""

from typing import Any

import keras
from keras import ops

from kgan._arguments import integer
from kgan._typing import Config, Shape, Tensor


@keras.saving.register_keras_serializable(package="kgan")
class MinibatchStandardDeviation(keras.layers.Layer):
    """Adds a channel with the mean standard deviation of the features in a group of images.

    The layer divides the batch into groups of `group_size` images. For each group, it computes the
    standard deviation of every feature at every position over the images. The mean of these numbers
    fills a new last channel of the images in the group. So a discriminator can detect a generator
    that makes the same image from many latents.

    If the group size does not divide the batch, there are `batch // group_size` groups, or one for
    a smaller batch. A group then has at most `2 * group_size - 1` images. On TensorFlow with
    several devices, each device groups its own images.

    Args:
        group_size: Integer, the number of images in a group.
        **kwargs: `name`, `trainable` and `dtype`, as for `keras.layers.Layer`.

    Raises:
        ValueError: `group_size` is not an integer of at least 1.

    Example:
    ```python
    x = keras.Input((4, 4, 512))
    y = kgan.layers.MinibatchStandardDeviation()(x)
    assert y.shape == (None, 4, 4, 513)
    ```

    Reference:
        [Karras et al., 2018](https://arxiv.org/abs/1710.10196), section 3;
        [Karras et al., 2020](https://arxiv.org/abs/1912.04958) for groups of 4, with image `i`
        in group `i mod (batch / 4)`.
    """

    def __init__(self, group_size: int = 4, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.group_size = integer("group_size", group_size)

    def call(self, inputs: Tensor) -> Tensor:
        """Adds the channel.

        Args:
            inputs: Float `(batch, ..., channels)`.

        Returns:
            A tensor `(batch, ..., channels + 1)` of the same dtype.
        """
        shape = ops.shape(inputs)
        # In float16, the squares of small differences would be 0.
        features = ops.reshape(ops.cast(inputs, "float32"), (shape[0], -1))
        groups = shape[0] // self.group_size
        # A tensor only if the batch size is a tensor: JAX cannot compile shapes that are tensors.
        groups = max(groups, 1) if isinstance(groups, int) else ops.maximum(groups, 1)
        group = ops.mod(ops.arange(shape[0]), groups)
        # A matrix with a 1 where the image (row) is in the group (column). It works for any batch
        # size, including one that is not known when the graph is made.
        member = ops.cast(group[:, None] == ops.arange(groups)[None, :], "float32")
        mean_of = ops.transpose(member / ops.sum(member, axis=0, keepdims=True))
        means = ops.matmul(member, ops.matmul(mean_of, features))
        variance = ops.matmul(mean_of, ops.square(features - means))
        # Without the constant, the root would have no gradient where all images are the same.
        deviation = ops.mean(ops.sqrt(variance + 1e-8), axis=1, keepdims=True)
        deviation = ops.reshape(ops.matmul(member, deviation), (-1, *[1] * (len(shape) - 1)))
        channel = ops.broadcast_to(ops.cast(deviation, inputs.dtype), (*shape[:-1], 1))
        return ops.concatenate([inputs, channel], axis=-1)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """`(batch, ..., channels + 1)`."""
        *others, channels = input_shape
        return (*others, None if channels is None else channels + 1)

    def get_config(self) -> Config:
        """The constructor's arguments, for saving."""
        return {**super().get_config(), "group_size": self.group_size}

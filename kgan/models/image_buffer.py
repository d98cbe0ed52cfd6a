"""A buffer of generated images, from which a discriminator also sees older ones."""

import keras
from keras import ops

from kgan._arguments import integer
from kgan._noise import for_batch
from kgan._typing import Noise, Shape, Tensor


class ImageBuffer(keras.layers.Layer):
    """Keeps generated images, and exchanges half of the new ones for older ones.

    A discriminator that sees only the latest images can chase a generator in circles. The first
    images fill the buffer, which returns them unchanged. After that, each new image has two equally
    likely outcomes: the buffer returns it, or exchanges it for a random older one.

    The buffer is saved with its model. With TensorFlow on several devices, it keeps the images of
    the first device.

    Args:
        capacity: Integer of at least 1, the number of images that it keeps. A larger batch
            exchanges at most that many of its images.
        image_shape: Three integers, the shape of one image.
        name: String.

    Raises:
        ValueError: `capacity` is not such an integer, or a size of the image is not known.

    Reference:
        [Shrivastava et al., 2017](https://arxiv.org/abs/1612.07828), section 2.3, as in the code of
        [Zhu et al., 2017](https://arxiv.org/abs/1703.10593).
    """

    def __init__(self, capacity: int, image_shape: Shape, name: str | None = None) -> None:
        super().__init__(name=name, dtype="float32")
        self.capacity = integer("capacity", capacity)
        if None in image_shape:
            raise ValueError(
                "Expected networks for images of a known size, which a buffer can keep. Received: "
                f"images of shape {tuple(image_shape)}. Build them for one size, or pass "
                "buffer_size=0."
            )
        options = {
            "initializer": "zeros",
            "trainable": False,
            "aggregation": "only_first_replica",
        }
        self.images = self.add_weight(shape=(self.capacity, *image_shape), name="images", **options)
        # Float, since TensorFlow has no integer variables on some devices.
        self.count = self.add_weight(shape=(), name="count", **options)
        self.built = True

    def exchange(self, images: Tensor, noise: Noise) -> Tensor:
        """Takes new images, and returns as many, some of them older.

        Args:
            images: Float32 `(batch, height, width, channels)`, without a gradient.
            noise: The `keras.random.SeedGenerator` of training.

        Returns:
            Float32 of the same shape.
        """
        batch = ops.shape(images)[0]
        exchanged = (
            min(batch, self.capacity)
            if isinstance(batch, int)
            else ops.minimum(batch, self.capacity)
        )
        new, rest = images[:exchanged], images[exchanged:]
        order = ops.cast(ops.arange(exchanged), "int32")
        count = ops.cast(self.count, "int32")
        is_full = count >= self.capacity
        # Different places for all images of a batch, so that none overwrites another.
        shuffled = ops.argsort(keras.random.uniform((self.capacity,), seed=noise))
        free = count + order
        places = ops.where(
            is_full, ops.cast(shuffled[:exchanged], "int32"), ops.mod(free, self.capacity)
        )
        draws = for_batch(keras.random.uniform, batch, noise=noise)[:exchanged]
        is_old = ops.logical_and(is_full, draws < 0.5)
        is_kept = ops.logical_or(is_old, free < self.capacity)
        old = ops.take(self.images, places, axis=0)
        given = ops.where(_by_image(is_old), old, new)
        stored = ops.where(_by_image(is_kept), new, old)
        self.images.assign(
            ops.scatter_update(self.images.value, ops.expand_dims(places, -1), stored)
        )
        filled = ops.minimum(count + exchanged, self.capacity)
        self.count.assign(ops.cast(filled, "float32"))
        return ops.concatenate([given, rest], axis=0)


def _by_image(values: Tensor) -> Tensor:
    """A value for each image, in a shape that fits a batch of images."""
    return ops.reshape(values, (-1, 1, 1, 1))

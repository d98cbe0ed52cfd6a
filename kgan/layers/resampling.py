"""Halving and doubling of images with a smoothing filter, so that nothing aliases."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from kgan._arguments import check_fixed_size

Tensor = Any


class _Resampling(keras.layers.Layer):
    """Multiplies the rows and the columns of images by a matrix, each.

    A filter that is the same for rows and columns, then every second pixel, is a sparse matrix on
    either side. As products they are quick on every backend, and so are their gradients'
    gradients, which cannot be said of depthwise convolutions.
    """

    def __init__(self, taps: Sequence[float] = (1, 2, 1), **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.taps = tuple(float(tap) for tap in taps)
        if not self.taps or min(self.taps) < 0 or sum(self.taps) == 0:
            raise ValueError(
                "Expected `taps` to be numbers of at least 0, not all of them 0, such as "
                f"(1, 2, 1). Received: taps={taps!r}."
            )

    def build(self, input_shape: Any) -> None:
        """Checks that the images' size is known."""
        check_fixed_size(input_shape)

    def _matrix(self, size: int) -> Any:
        """The `(new size, size)` matrix that does it to a row of pixels."""
        raise NotImplementedError

    def _size(self, size: int) -> int:
        raise NotImplementedError

    def call(self, inputs: Tensor) -> Tensor:
        """The images, resampled."""
        height, width, channels = inputs.shape[1:]
        rows, columns = (
            ops.convert_to_tensor(self._matrix(size), dtype=inputs.dtype)
            for size in (height, width)
        )
        x = ops.matmul(rows, ops.reshape(inputs, (-1, height, width * channels)))
        x = ops.matmul(columns, ops.reshape(x, (-1, width, channels)))
        return ops.reshape(x, (-1, self._size(height), self._size(width), channels))

    def compute_output_shape(self, input_shape: Any) -> Any:
        """The new height and width."""
        batch, height, width, channels = input_shape
        return (batch, self._size(height), self._size(width), channels)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments, for saving."""
        return {**super().get_config(), "taps": list(self.taps)}


@keras.saving.register_keras_serializable(package="kgan")
class Downsample(_Resampling):
    """Halves images: a smoothing filter, then every second pixel.

    `taps` is the filter along rows and along columns. `(1, 2, 1)` is centred on the pixels 0, 2,
    4..., `(1, 3, 3, 1)` between 0 and 1, 2 and 3... An odd size is rounded up. Beyond the border
    the pixels there are repeated, and the filter is scaled to sum to 1: what is constant stays
    what it is, up to the border.

    Args:
        taps: Numbers of at least 0, the filter's weights.
        **kwargs: Keras's own `name`, `trainable` and `dtype`.

    Raises:
        ValueError: `taps` will not do, or the images have no fixed height and width.

    Example:
    ```python
    x = kgan.layers.Downsample()(x)  # (batch, 7, 7, 64) -> (batch, 4, 4, 64)
    ```

    Reference:
        [Zhang, 2019](https://arxiv.org/abs/1904.11486);
        [Karras et al., 2019](https://arxiv.org/abs/1812.04948), which use `(1, 2, 1)`, and
        [2020](https://arxiv.org/abs/1912.04958), which use `(1, 3, 3, 1)`.
    """

    def _size(self, size: int) -> int:
        return (size + 1) // 2

    def _matrix(self, size: int) -> Any:
        taps = np.array(self.taps)
        matrix = np.zeros((self._size(size), size))
        for row in range(len(matrix)):
            for place, tap in enumerate(taps / taps.sum(), 2 * row - (len(taps) - 1) // 2):
                matrix[row, np.clip(place, 0, size - 1)] += tap
        return matrix


@keras.saving.register_keras_serializable(package="kgan")
class Upsample(_Resampling):
    """Doubles images: zeros between the pixels, then a smoothing filter.

    `taps` is the filter along rows and along columns. With `(1, 2, 1)` a new pixel between two is
    their mean, the others stay as they are; `(1, 3, 3, 1)` is the usual bilinear doubling. Beyond
    the border the pixels there are repeated, and the filter is scaled so that what is constant
    stays what it is. Where an odd size is wanted, crop what it gives at the end.

    Args:
        taps: Numbers of at least 0, the filter's weights; those at odd and those at even places
            must each have some above 0.
        **kwargs: Keras's own `name`, `trainable` and `dtype`.

    Raises:
        ValueError: `taps` will not do, or the images have no fixed height and width.

    Example:
    ```python
    x = kgan.layers.Upsample()(x)  # (batch, 4, 4, 64) -> (batch, 8, 8, 64)
    ```

    Reference:
        [Karras et al., 2019](https://arxiv.org/abs/1812.04948), which use `(1, 2, 1)`, and
        [2020](https://arxiv.org/abs/1912.04958), which use `(1, 3, 3, 1)`.
    """

    def __init__(self, taps: Sequence[float] = (1, 2, 1), **kwargs: Any) -> None:
        super().__init__(taps, **kwargs)
        if not all(sum(self.taps[phase::2]) for phase in (0, 1)):
            raise ValueError(
                "Expected `taps` with weights above 0 at odd and at even places: the others see "
                f"only the zeros between the pixels. Received: taps={taps!r}."
            )

    def _size(self, size: int) -> int:
        return 2 * size

    def _matrix(self, size: int) -> Any:
        matrix = np.zeros((2 * size, size))
        for row in range(len(matrix)):
            for place, tap in enumerate(self.taps, row - len(self.taps) // 2):
                if place % 2 == 0:  # the others are zeros
                    matrix[row, np.clip(place // 2, 0, size - 1)] += tap
        return matrix / matrix.sum(axis=1, keepdims=True)

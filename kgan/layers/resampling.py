"""Halves and doubles the size of images with a smoothing filter, without aliasing."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
from keras import ops

from kgan._arguments import check_fixed_size
from kgan._typing import Config, Shape, Tensor


class _Resampling(keras.layers.Layer):
    """Multiplies the rows and the columns of images by a matrix.

    A separable filter followed by a selection of pixels is a product with a sparse matrix on each
    side. Matrix products are fast on every backend, and so are their second derivatives. Depthwise
    convolutions are not.
    """

    def __init__(self, taps: Sequence[float] = (1, 2, 1), **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.taps = tuple(float(tap) for tap in taps)
        if not self.taps or min(self.taps) < 0 or sum(self.taps) == 0:
            raise ValueError(
                "Expected `taps` to be numbers of at least 0, and some above 0, such as "
                f"(1, 2, 1). Received: taps={taps!r}."
            )

    def build(self, input_shape: Shape) -> None:
        """Checks that the size of the images is known."""
        check_fixed_size(input_shape)

    def _matrix(self, size: int) -> npt.NDArray[np.float64]:
        """The matrix `(new size, size)` that resamples a row of pixels."""
        raise NotImplementedError

    def _size(self, size: int) -> int:
        raise NotImplementedError

    def call(self, inputs: Tensor) -> Tensor:
        """The resampled images."""
        height, width, channels = inputs.shape[1:]
        rows, columns = (
            ops.convert_to_tensor(self._matrix(size), dtype=inputs.dtype)
            for size in (height, width)
        )
        x = ops.matmul(rows, ops.reshape(inputs, (-1, height, width * channels)))
        x = ops.matmul(columns, ops.reshape(x, (-1, width, channels)))
        return ops.reshape(x, (-1, self._size(height), self._size(width), channels))

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """`(batch, new height, new width, channels)`."""
        check_fixed_size(input_shape)
        batch, height, width, channels = input_shape
        return (batch, self._size(int(height or 0)), self._size(int(width or 0)), channels)

    def get_config(self) -> Config:
        """The constructor's arguments, for saving."""
        return {**super().get_config(), "taps": list(self.taps)}


@keras.saving.register_keras_serializable(package="kgan")
class Downsample(_Resampling):
    """Halves the size of images: a smoothing filter, then every second pixel.

    `taps` is the filter along rows and along columns. `(1, 2, 1)` is centred on pixels 0, 2, 4 and
    so on; `(1, 3, 3, 1)` is centred between pixels 0 and 1, 2 and 3 and so on. Odd sizes are
    rounded up. The pixels at the border are repeated outside the image, and the filter is scaled to
    sum to 1. So a constant image stays constant.

    Args:
        taps: Numbers of at least 0, the weights of the filter.
        **kwargs: `name`, `trainable` and `dtype`, as for `keras.layers.Layer`.

    Raises:
        ValueError: `taps` are not valid, or the height or width of the images is not known.

    Example:
    ```python
    x = keras.Input((7, 7, 64))
    y = kgan.layers.Downsample()(x)
    assert y.shape == (None, 4, 4, 64)
    ```

    Reference:
        [Zhang, 2019](https://arxiv.org/abs/1904.11486);
        [Karras et al., 2019](https://arxiv.org/abs/1812.04948), which use `(1, 2, 1)`, and
        [2020](https://arxiv.org/abs/1912.04958), which use `(1, 3, 3, 1)`.
    """

    def _size(self, size: int) -> int:
        return (size + 1) // 2

    def _matrix(self, size: int) -> npt.NDArray[np.float64]:
        taps = np.array(self.taps)
        matrix = np.zeros((self._size(size), size))
        for row in range(len(matrix)):
            for place, tap in enumerate(taps / taps.sum(), 2 * row - (len(taps) - 1) // 2):
                matrix[row, np.clip(place, 0, size - 1)] += tap
        return matrix


@keras.saving.register_keras_serializable(package="kgan")
class Upsample(_Resampling):
    """Doubles the size of images: zeros between the pixels, then a smoothing filter.

    `taps` is the filter along rows and along columns. With `(1, 2, 1)`, a new pixel is the mean of
    its two neighbours, and the other pixels are unchanged. `(1, 3, 3, 1)` is the usual bilinear
    interpolation. The pixels at the border are repeated outside the image, and the filter is scaled
    so that a constant image stays constant. For an odd size, crop the result.

    Args:
        taps: Numbers of at least 0, the weights of the filter. Some at odd places and some at even
            places must be above 0.
        **kwargs: `name`, `trainable` and `dtype`, as for `keras.layers.Layer`.

    Raises:
        ValueError: `taps` are not valid, or the height or width of the images is not known.

    Example:
    ```python
    x = keras.Input((4, 4, 64))
    y = kgan.layers.Upsample()(x)
    assert y.shape == (None, 8, 8, 64)
    ```

    Reference:
        [Karras et al., 2019](https://arxiv.org/abs/1812.04948), which use `(1, 2, 1)`, and
        [2020](https://arxiv.org/abs/1912.04958), which use `(1, 3, 3, 1)`.
    """

    def __init__(self, taps: Sequence[float] = (1, 2, 1), **kwargs: Any) -> None:
        super().__init__(taps, **kwargs)
        if not all(sum(self.taps[phase::2]) for phase in (0, 1)):
            raise ValueError(
                "Expected `taps` with weights above 0 at odd and at even places: otherwise some "
                f"pixels would see only the zeros between pixels. Received: taps={taps!r}."
            )

    def _size(self, size: int) -> int:
        return 2 * size

    def _matrix(self, size: int) -> npt.NDArray[np.float64]:
        matrix = np.zeros((2 * size, size))
        for row in range(len(matrix)):
            for place, tap in enumerate(self.taps, row - len(self.taps) // 2):
                if place % 2 == 0:  # other places hold zeros
                    matrix[row, np.clip(place // 2, 0, size - 1)] += tap
        return matrix / matrix.sum(axis=1, keepdims=True)

"""Errors of images against the images that they should be, pixel by pixel.

All functions take uint8 images `(n, height, width, channels)` and return a score for each of them.
"""

from collections.abc import Callable, Iterator
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from kgan._typing import Pictures

Scores: TypeAlias = npt.NDArray[np.float64]
Comparison: TypeAlias = Callable[[Pictures, Pictures], Scores]

_CHUNK = 1 << 22  # pixels at a time
_ROUNDING = 1.0 / (12.0 * 255.0**2)  # the mean squared error of rounding to 8 bits, on [0, 1]
_SSIM_WINDOW = 11  # of a Gaussian with a standard deviation of 1.5, as the paper has it


def absolute_errors(images: Pictures, others: Pictures) -> Scores:
    """Returns the mean absolute difference of each image on [0, 1]: L1.

    Args:
        images: Uint8 `(n, height, width, channels)`.
        others: Uint8 of the same shape, or a single image `(1, height, width, channels)`.
    """
    return _of_chunks(lambda first, second: np.abs(first - second), images, others) / 255.0


def squared_errors(images: Pictures, others: Pictures) -> Scores:
    """Returns the mean squared difference of each image on [0, 1]; see `absolute_errors`."""
    return _of_chunks(lambda first, second: np.square(first - second), images, others) / 255.0**2


def signal_to_noise(images: Pictures, others: Pictures) -> Scores:
    """Returns the peak signal-to-noise ratio (PSNR) of each image in dB.

    It is at most 58.92, the ratio for the error of rounding to 8 bits, so that a few equal images
    do not make the mean infinite. See `absolute_errors` for the arguments.
    """
    return -10.0 * np.log10(np.maximum(squared_errors(images, others), _ROUNDING))


def can_measure_similarity(image_shape: tuple[int, ...]) -> bool:
    """Returns whether scikit-image is there, and images are large enough for its SSIM."""
    try:
        import skimage.metrics  # noqa: F401, PLC0415
    except ImportError:
        return False
    return min(image_shape[:2]) >= _SSIM_WINDOW


def structural_similarity(images: Pictures, others: Pictures) -> Scores:
    """Returns the structural similarity (SSIM) of each image, by scikit-image.

    The window is the Gaussian of the paper. See `absolute_errors` for the arguments.

    Reference:
        [Wang et al., 2004](https://doi.org/10.1109/TIP.2003.819861).
    """
    # Imported here, since it is an optional dependency.
    from skimage.metrics import structural_similarity as similarity  # noqa: PLC0415

    options = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
    pairs = zip(images, np.broadcast_to(others, images.shape), strict=True)
    found = [similarity(*pair, data_range=255, channel_axis=-1, **options) for pair in pairs]
    return np.asarray(found, "float64")


def variance(images: Pictures) -> float:
    """Returns the mean over pixels of the variance between images, on [0, 1]."""
    mean = _mean(images)
    squares = sum(np.square(images[rows] - mean).sum() for rows in _chunks(images))
    return float(squares / images.size / 255.0**2)


def mean_image(images: Pictures) -> Pictures:
    """Returns the mean image, uint8 `(1, height, width, channels)`."""
    return np.rint(_mean(images)).astype("uint8")


def _mean(images: Pictures) -> Scores:
    return images.mean(axis=0, dtype="float64", keepdims=True)


def _of_chunks(
    measure: Callable[[np.ndarray, np.ndarray], np.ndarray], images: Pictures, others: Pictures
) -> Scores:
    others = np.broadcast_to(others, images.shape)
    parts = [
        measure(images[rows].astype("float32"), others[rows].astype("float32"))
        .reshape(len(images[rows]), -1)
        .mean(axis=1, dtype="float64")
        for rows in _chunks(images)
    ]
    return np.concatenate(parts)


def _chunks(images: Pictures) -> Iterator[slice]:
    """Yields slices of images, since floats take much memory."""
    size = max(1, _CHUNK // images[0].size)
    return (slice(first, first + size) for first in range(0, len(images), size))

"""Images that are halved and doubled repeatedly: their sizes, and layers for that."""

from keras import layers

from kgan._typing import Tensor


def halved(image_shape: tuple[int, int, int]) -> list[tuple[int, int]]:
    """Heights and widths from the image's own down to at most 4, each half of the one before.

    Args:
        image_shape: Three integers, `(height, width, channels)`.

    Returns:
        Pairs of integers, at least two.

    Raises:
        ValueError: The image is too small to be halved.
    """
    sizes = [image_shape[:2]]
    while max(sizes[-1]) > 4:
        height, width = sizes[-1]
        sizes.append(((height + 1) // 2, (width + 1) // 2))
    if len(sizes) == 1:
        raise ValueError(
            "Expected images of at least 5 pixels on their larger side. "
            f"Received: image_shape={image_shape}."
        )
    return sizes


def cropped(x: Tensor, size: tuple[int, int]) -> Tensor:
    """Crops the end of maps to a size: the size that was halved may have been odd."""
    height, width = x.shape[1] - size[0], x.shape[2] - size[1]
    if height or width:
        x = layers.Cropping2D(((0, height), (0, width)), dtype=x.dtype)(x)
    return x


def halved_maps(x: Tensor) -> Tensor:
    """Averages 2x2 pixels. Odd sizes are rounded up: pixels at the end are averaged with none."""
    return layers.AveragePooling2D(2, padding="same", dtype=x.dtype)(x)


def doubled(x: Tensor, size: tuple[int, int]) -> Tensor:
    """Repeats every pixel in both directions, up to a size."""
    return cropped(layers.UpSampling2D(2, dtype=x.dtype)(x), size)

"""Translation tasks made from images: pairs, and unpaired domains whose true pairs are known.

Each function takes uint8 images, such as `kgan.data.load_mnist("train").images`.
"""

import functools
from collections.abc import Callable
from typing import NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from kgan._arguments import integer
from kgan._typing import Pictures
from kgan.data import _checks
from kgan.data.image_dataset import Rows, random_generator, random_order

__all__ = [
    "Domains",
    "Pairs",
    "colour_rule",
    "grey",
    "hole",
    "outlines",
    "small",
    "thin_and_thick",
    "upright_and_slanted",
]

_Floats: TypeAlias = npt.NDArray[np.float32]

_LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # of ITU-R BT.601, as Pillow has it
_AT_ONCE = 1024  # images whose floats are in memory
_SLANT = 0.5  # columns to the right for each row up: about 27 degrees


class Pairs(NamedTuple):
    """Aligned images, for `kgan.data.PairedDataset(*pairs)`.

    Attributes:
        inputs: Uint8 `(N, H, W, C)`.
        targets: Uint8 `(N, H, W, C)`, the true translation of each input.

    Example:
    ```python
    task = kgan.data.pairs.small(train.images)
    pairs = kgan.data.PairedDataset(task.inputs, task.targets, batch_size=32, seed=0)
    ```
    """

    inputs: Pictures
    targets: Pictures


class Domains(NamedTuple):
    """Two unpaired domains and the hidden pairs, for `kgan.data.UnpairedDataset(a, b)`.

    The two domains are made from different images: each image is in one of them only. Train on `a`
    and `b` alone, and measure against the partners.

    Attributes:
        a: Uint8 `(N, H, W, C)`, the first domain.
        b: Uint8 `(M, H, W, C)`, the second domain.
        partners_of_a: Uint8, the true translation of each image of `a` into the second domain.
        partners_of_b: Uint8, the true translation of each image of `b` into the first domain.
        rows_of_a: Int64 `(N,)`, the image that each of `a` was made from: `labels[rows_of_a]` are
            the labels of `a`.
        rows_of_b: Int64 `(M,)`, the same for `b`.

    Example:
    ```python
    task = kgan.data.pairs.thin_and_thick(train.images, seed=0)
    domains = kgan.data.UnpairedDataset(task.a, task.b, batch_size=32, seed=0)
    labels_of_a = train.labels[task.rows_of_a]
    ```
    """

    a: Pictures
    b: Pictures
    partners_of_a: Pictures
    partners_of_b: Pictures
    rows_of_a: Rows
    rows_of_b: Rows


def outlines(images: npt.ArrayLike) -> Pairs:
    """Makes pairs of outlines and images: a translator fills the outlines in.

    An outline is the morphological edge of the luma: what dilation by a cross of 3 x 3 pixels adds.

    Args:
        images: Uint8 array of shape `(N, H, W)` or `(N, H, W, C)`, with 1 or 3 channels.

    Returns:
        The `Pairs` of outlines `(N, H, W, 1)` and images `(N, H, W, C)`.

    Raises:
        ValueError: These are not such images.

    Example:
    ```python
    task = kgan.data.pairs.outlines(train.images)
    pairs = kgan.data.PairedDataset(*task, batch_size=32, seed=0)
    ```
    """
    targets = _checks.checked_images(images)
    luma = _luma(targets)
    return Pairs(_dilated(luma) - luma, targets)


def small(images: npt.ArrayLike, factor: int = 4) -> Pairs:
    """Makes pairs of coarse and sharp images: a translator does super-resolution.

    A coarse image holds the mean of each block of pixels. It is enlarged again, so that both have
    one size: MNIST's 28 x 28 pixels become 7 x 7 blocks.

    Args:
        images: Uint8 array of shape `(N, H, W)` or `(N, H, W, C)`.
        factor: Integer of at least 2 that divides height and width, the side of a block. Defaults
            to `4`.

    Returns:
        The `Pairs` of coarse and sharp images, both `(N, H, W, C)`.

    Raises:
        ValueError: These are not such images, or `factor` does not divide their sides.

    Example:
    ```python
    task = kgan.data.pairs.small(train.images)
    assert task.inputs.shape == task.targets.shape
    ```
    """
    targets = _checks.checked_images(images)
    side = integer("factor", factor, 2)
    count, height, width, channels = targets.shape
    if height % side or width % side:
        raise ValueError(
            "Expected `factor` to divide the height and the width of the images. Received: "
            f"factor={side} and images of {height}x{width} pixels."
        )
    blocks = targets.reshape(count, height // side, side, width // side, side, channels)
    # In integers, rounded to the nearest level: floats would take four times the memory.
    means = (blocks.sum(axis=(2, 4), dtype=np.uint32) + side**2 // 2) // side**2
    inputs = means.astype(np.uint8).repeat(side, axis=1).repeat(side, axis=2)
    return Pairs(inputs, targets)


def hole(images: npt.ArrayLike, level: int = 128) -> Pairs:
    """Makes pairs of images with a hole and whole images: a translator paints the hole.

    The hole is in the centre, and has half the height and half the width of the image.

    Args:
        images: Uint8 array of shape `(N, H, W)` or `(N, H, W, C)`, at least 2 pixels a side.
        level: Integer from 0 to 255, the level of all pixels in the hole. Defaults to `128`, which
            differs from the black ground of digits.

    Returns:
        The `Pairs` of images with and without a hole, both `(N, H, W, C)`.

    Raises:
        ValueError: These are not such images, or `level` is outside its limits.

    Example:
    ```python
    task = kgan.data.pairs.hole(train.images)
    assert (task.inputs[:, 7:21, 7:21] == 128).all()
    ```
    """
    targets = _checks.checked_images(images)
    if integer("level", level, 0) > 255:
        raise ValueError(f"Expected `level` to be at most 255. Received: level={level}.")
    height, width = targets.shape[1:3]
    top, left = height // 4, width // 4
    inputs = targets.copy()
    inputs[:, top : top + height // 2, left : left + width // 2] = level
    return Pairs(inputs, targets)


def grey(images: npt.ArrayLike) -> Pairs:
    """Makes pairs of grey and colour images: a translator colours them.

    Args:
        images: Uint8 array of shape `(N, H, W, 3)`, red, green and blue.

    Returns:
        The `Pairs` of the luma `(N, H, W, 1)` and the images `(N, H, W, 3)`.

    Raises:
        ValueError: These are not such images.

    Example:
    ```python
    colours = kgan.data.pairs.colour_rule(train.images, seed=0).a
    task = kgan.data.pairs.grey(colours)
    ```

    The photographs of CIFAR-10:

    ```python
    photographs = kgan.data.load_cifar10("train").images  # downloads 170 MB
    task = kgan.data.pairs.grey(photographs)
    ```
    """
    targets = _checks.checked_images(images)
    if targets.shape[3] != 3:
        raise ValueError(
            f"Expected colour images, shape (N, H, W, 3). Received: shape {targets.shape}."
        )
    return Pairs(_luma(targets), targets)


def thin_and_thick(images: npt.ArrayLike, seed: int = 0) -> Domains:
    """Makes unpaired domains of thin and thick strokes.

    Thin strokes are those of the images. Thick ones are dilated by a cross of 3 x 3 pixels, which
    keeps 98 % of MNIST's digits readable for kgan's classifier.

    Args:
        images: Uint8 array of shape `(N, H, W)` or `(N, H, W, 1)`, bright strokes on black.
        seed: Integer of at least 0, which half of the images goes into which domain. Defaults to
            `0`.

    Returns:
        The `Domains`: thin `a` and thick `b`, `(N, H, W, 1)`.

    Raises:
        ValueError: These are not such images, or fewer than 2.

    Example:
    ```python
    task = kgan.data.pairs.thin_and_thick(train.images, seed=0)
    domains = kgan.data.UnpairedDataset(task.a, task.b, batch_size=32, seed=0)
    assert (task.partners_of_a >= task.a).all()
    ```
    """
    strokes = _strokes(images)
    return _domains(strokes, _dilated(strokes), seed)


def upright_and_slanted(images: npt.ArrayLike, seed: int = 0) -> Domains:
    """Makes unpaired domains of upright and slanted digits.

    The slant of each image is measured by its second moments. An upright image is sheared by it, so
    that no slant is left. A slanted one leans to the right by 1 column for every 2 rows.

    Args:
        images: Uint8 array of shape `(N, H, W)` or `(N, H, W, 1)`, bright strokes on black.
        seed: Integer of at least 0, which half of the images goes into which domain. Defaults to
            `0`.

    Returns:
        The `Domains`: upright `a` and slanted `b`, `(N, H, W, 1)`.

    Raises:
        ValueError: These are not such images, or fewer than 2.

    Example:
    ```python
    task = kgan.data.pairs.upright_and_slanted(train.images, seed=0)
    domains = kgan.data.UnpairedDataset(task.a, task.b, batch_size=32, seed=0)
    ```
    """
    strokes = _strokes(images)
    upright, slanted = (
        _by_chunks(functools.partial(_sheared, slant=slant), strokes) for slant in (0.0, _SLANT)
    )
    return _domains(upright, slanted, seed)


def colour_rule(images: npt.ArrayLike, seed: int = 0) -> Domains:
    """Makes unpaired domains of coloured strokes on black, and black strokes on a coloured ground.

    The rule: the colour of the strokes becomes the colour of the ground. Each image has a random
    hue. Unpaired images cannot show which hue belongs to which, so that a CycleGAN chooses one of
    many rules. The partners show whether it chose this one.

    Args:
        images: Uint8 array of shape `(N, H, W)` or `(N, H, W, 1)`, bright strokes on black.
        seed: Integer of at least 0, for the hues, and which half of the images goes into which
            domain. Defaults to `0`.

    Returns:
        The `Domains`, `(N, H, W, 3)`: strokes in colour `a`, and ground in colour `b`.

    Raises:
        ValueError: These are not such images, or fewer than 2.

    Example:
    ```python
    task = kgan.data.pairs.colour_rule(train.images, seed=0)
    assert task.a.shape[1:] == (28, 28, 3)
    ```
    """
    strokes = _strokes(images)
    hues = random_generator(integer("seed", seed, 0), 1).uniform(0.0, 6.0, len(strokes))
    colours = _colours(hues)[:, np.newaxis, np.newaxis]
    ink, ground = (_by_chunks(_products, levels, colours) for levels in (strokes, 255 - strokes))
    return _domains(ink, ground, seed)


def _domains(a: Pictures, b: Pictures, seed: int) -> Domains:
    """Hides the pairs `(a, b)`: half of the rows go to each domain."""
    if len(a) < 2:
        raise ValueError(
            f"Expected at least 2 images, 1 for each domain. Received: {len(a)} image."
        )
    order = random_order(random_generator(integer("seed", seed, 0)), len(a))
    first, second = order[: len(a) // 2], order[len(a) // 2 :]
    return Domains(a[first], b[second], b[first], a[second], first, second)


def _strokes(images: npt.ArrayLike) -> Pictures:
    strokes = _checks.checked_images(images)
    if strokes.shape[3] != 1:
        raise ValueError(
            "Expected grey images, shape (N, H, W) or (N, H, W, 1). Received: shape "
            f"{strokes.shape}."
        )
    return strokes


def _by_chunks(change: Callable[..., Pictures], *arrays: np.ndarray) -> Pictures:
    """Changes a few images at a time, since floats and indices take much memory."""
    chunks = (slice(first, first + _AT_ONCE) for first in range(0, len(arrays[0]), _AT_ONCE))
    return np.concatenate([change(*(array[chunk] for array in arrays)) for chunk in chunks])


def _luma(images: Pictures) -> Pictures:
    """The luma `(N, H, W, 1)` of grey or colour images."""
    if images.shape[3] == 1:
        return images
    if images.shape[3] != 3:
        raise ValueError(
            f"Expected images of 1 or 3 channels. Received: images of shape {images.shape}."
        )
    return _by_chunks(lambda chunk: np.rint(chunk @ _LUMA[:, np.newaxis]).astype(np.uint8), images)


def _dilated(images: Pictures) -> Pictures:
    """The highest level of each pixel and of its four neighbours."""
    dilated = images.copy()
    for here, there in ((slice(1, None), slice(None, -1)), (slice(None, -1), slice(1, None))):
        np.maximum(dilated[:, here], images[:, there], out=dilated[:, here])
        np.maximum(dilated[:, :, here], images[:, :, there], out=dilated[:, :, here])
    return dilated


def _sheared(images: Pictures, slant: float) -> Pictures:
    """Moves the rows of images `(N, H, W, 1)` so that their strokes have the given slant."""
    levels = images[..., 0].astype(np.float32)
    height, width = levels.shape[1:]
    row = np.arange(height, dtype=np.float32)[:, np.newaxis]
    column = np.arange(width, dtype=np.float32)
    # Without strokes there is no slant: the quotients are then 0.
    mass = np.maximum(levels.sum(axis=(1, 2), keepdims=True), 1.0)
    down = row - (levels * row).sum(axis=(1, 2), keepdims=True) / mass
    right = column - (levels * column).sum(axis=(1, 2), keepdims=True) / mass
    own = (levels * down * right).sum(axis=(1, 2), keepdims=True)
    own /= np.maximum((levels * down**2).sum(axis=(1, 2), keepdims=True), 1.0)
    source = column + (own + slant) * down
    left = np.floor(source)
    after = source - left
    sheared = (1 - after) * _columns(levels, left) + after * _columns(levels, left + 1)
    return np.rint(sheared).astype(np.uint8)[..., np.newaxis]


def _columns(levels: _Floats, column: _Floats) -> _Floats:
    """The levels at other columns of the same rows; 0 outside the image."""
    last = levels.shape[2] - 1
    inside = (column >= 0) & (column <= last)
    picked = np.take_along_axis(levels, np.clip(column, 0, last).astype(np.int64), axis=2)
    return np.where(inside, picked, np.float32(0.0))


def _colours(hues: npt.NDArray[np.float64]) -> _Floats:
    """Saturated colours `(N, 3)` in [0, 1] of hues in [0, 6]: red is 0, green 2 and blue 4."""
    distance = np.abs((hues[:, np.newaxis] - np.array([0.0, 2.0, 4.0]) + 3.0) % 6.0 - 3.0)
    return np.clip(2.0 - distance, 0.0, 1.0).astype(np.float32)


def _products(levels: Pictures, colours: _Floats) -> Pictures:
    """Levels `(N, H, W, 1)` times the colour of each image."""
    return np.rint(levels * colours).astype(np.uint8)

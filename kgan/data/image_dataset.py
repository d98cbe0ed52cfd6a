"""Batches of images for training: gathered, normalised and padded in one pass over memory."""

from __future__ import annotations

import copy
import functools
import math
from typing import TYPE_CHECKING, Any, TypeAlias, TypedDict

import numpy as np
import numpy.typing as npt

from kgan import _core
from kgan._arguments import integer
from kgan.data import _checks, _mapping
from kgan.data._epochs import EpochDataset

if TYPE_CHECKING:
    from collections.abc import Sequence

    from typing_extensions import Self

    from kgan._typing import Images, Labels, Pictures
    from kgan.data._checks import Binarization

Rows: TypeAlias = npt.NDArray[np.int64]

STATIC_BINARIZATION_SEED = 2011
"""The seed of `binarize="static"`: all data sets, seeds and epochs share its draws."""

# Near the border of two passes, a batch of the first may be asked for after one of the second.
_CACHED_PERMUTATIONS = 2

# Keep the random numbers of binarisation, and of flips and crops, apart from those of the orders.
_BINARIZATION_KEY = 2**31
_WINDOW_KEY = 2**31 + 1


class Windows(TypedDict, total=False):
    """The arguments of `_core.gather` that say which window of an image is in a batch."""

    crop: tuple[int, int] | None
    random_crop: bool
    random_flip: bool
    window_key: int


class ImageDataset(EpochDataset["Images | tuple[Images, Labels]"]):
    """Shuffled batches of normalised images, with or without labels, made from uint8 images.

    It works in `fit` on every Keras backend. In a plain `for` loop it gives the batches of one
    epoch, and then moves to the next epoch. Native code makes each batch when it is asked for, and
    holds no lock meanwhile. A batch holds images `(B, H, W, C)` of `dtype` in `value_range`. Pixel
    0 becomes exactly the low end and pixel 255 exactly the high end; each of the 256 levels is
    rounded once. With labels, a batch is the tuple `(images, labels)`, the labels int32 `(B,)`.

    With `dtype="uint8"`, a batch holds the pixels as integers, one byte each. Autoregressive models
    need them. GANs and VAEs need floats. With `levels`, native code quantises the images: pixel v
    becomes level `q = v * levels // 256`. Integer batches hold q. Float batches hold
    `low + (high - low) * q / (levels - 1)`, rounded once, so that they also reach both ends of
    `value_range`.

    Batch `index` of epoch `epoch` depends on `seed`, `epoch` and `index` alone. The same seed gives
    the same batches in the same order in any process, whatever `workers` is. Set `epoch` to repeat
    or resume an epoch. Two defaults of Keras's `fit` can change the order:

    - `fit(shuffle=True)`, the default, permutes the batches of other Keras models by Python's
      global random numbers. Pass `fit(..., shuffle=False)` to keep the dataset's own order; its
      images are shuffled anyway.
    - `fit(steps_per_epoch=...)` with several workers repeats and drops batches. Give
      `steps_per_epoch` to the dataset instead.

    With `binarize`, every pixel becomes exactly the low or the high end of `value_range`, as
    Bernoulli likelihoods need. With `dtype="uint8"`, it becomes 0 or 1. Likelihoods on data that
    was binarised in different ways cannot be compared, so state the way with every result:

    - `"dynamic"`: a pixel of level v is on with probability v / 255, drawn again in each pass. The
      draw depends on `seed`, the number of the pass, the image's row in `images` and the pixel's
      position alone. Batch size, `part`, `workers` and processor do not change it.
    - `"static"`: the same draw, but once and for all: it depends on the image's row and the pixel's
      position alone. Every dataset of the same images has the same pixels, whatever its `seed`. It
      is not the file that Larochelle and Murray published, which needs a download. Results on that
      file are close, not equal.
    - `"threshold"`: a pixel is on if its level is above 127. This set is much easier to model than
      the other two.

    With `horizontal_flip` and `crop`, native code mirrors and crops images in the same pass over
    memory. It first pads, then crops, then flips. `pad_to=(40, 40), crop=(32, 32)` is the usual
    augmentation of CIFAR-10. The draws depend on `seed`, the number of the pass and the image's row
    in `images` alone, as those of binarisation do. `draw` never flips, and crops in the centre, so
    that metrics compare with the images themselves. For validation, make a dataset without these
    options.

    The images are not copied, unless they are not C-contiguous. Do not write to them while the
    dataset is in use. They may be a memory map, such as `np.load("images.npy", mmap_mode="r")`, and
    larger than memory. A pickled dataset then names the file instead of holding the images.

    Args:
        images: Integer, uint8 array of shape `(N, H, W)` or `(N, H, W, C)`.
        labels: Integer array of shape `(N,)` or `(N, 1)`, classes from 0. Defaults to `None`: no
            labels.
        batch_size: Integer of at least 1. Defaults to `128`.
        shuffle: Boolean, whether each pass over the images takes them in a new random order.
            Defaults to `True`.
        seed: Integer of at least 0. Defaults to `None`: drawn from Python's `random`, as Keras
            draws its seeds, so that `keras.utils.set_random_seed` makes it reproducible. Several
            processes that train one model need an explicit seed.
        value_range: Pair of floats, the values of pixels 0 and 255. Only for float dtypes. Defaults
            to `(-1, 1)`.
        dtype: String, `"float32"`, `"float16"`, `"bfloat16"` or `"uint8"`. Defaults to
            `"float32"`.
        drop_remainder: Boolean, whether to leave out the last, short batch of a pass. Defaults to
            `True`.
        pad_to: Pair of integers `(height, width)`, at least those of the images. The images are
            centred in pixels of level 0; an odd row or column comes after them. Defaults to `None`:
            no padding.
        num_classes: Integer above every label. Defaults to `None`: the highest label plus 1.
        steps_per_epoch: Integer of at least 1, the batches in an epoch. Epochs then share passes or
            span several, and every image still comes once in each pass. Defaults to `None`: an
            epoch is one pass.
        workers: Integer, the threads (or processes) in which Keras makes batches during `fit`. A
            batch takes well under a millisecond, so more than 1 rarely helps. Defaults to `1`.
        use_multiprocessing: Boolean, whether the workers are processes. Defaults to `False`.
        max_queue_size: Integer, the batches that Keras keeps ready when there are several workers.
            Defaults to `10`.
        binarize: String, `"dynamic"`, `"static"` or `"threshold"`. Defaults to `None`: pixels keep
            their levels.
        horizontal_flip: Boolean, whether each image is mirrored, left to right, with probability
            1/2 in each pass. Defaults to `False`.
        crop: Pair of integers `(height, width)`, at least 1 and at most those of the padded images.
            Each image of a batch is a window of that size, at a position that is uniformly random
            in each pass. Defaults to `None`: whole images.
        class_names: Strings, the names of all classes. Defaults to `None`: the classes have numbers
            only.
        levels: Integer from 2 to 256, the number of values that a pixel can have. Not with
            `binarize`, which has 2. Defaults to `None`: 256, the levels of the images.

    Raises:
        ValueError: An argument is outside the limits above, the numbers of images and labels
            differ, `drop_remainder` leaves no batch, or two arguments exclude each other: `levels`
            and `binarize`, or `value_range` and `dtype="uint8"`.

    Warns:
        DataWarning: The data look like a mistake: no pixel is above 16, channels seem to come
            first, or, without `num_classes`, a class below the highest label has no image.

    Example:
    ```python
    images = kgan.data.read_idx_images("train-images-idx3-ubyte.gz")
    train = kgan.data.ImageDataset(images, batch_size=128, seed=0)
    for batch in train:
        assert batch.shape == (128, 28, 28, 1)  # float32 in [-1, 1]

    integers = kgan.data.ImageDataset(images, dtype="uint8", levels=16, seed=0)
    assert integers[0].dtype == "uint8" and integers[0].max() == 15
    ```

    Reference:
        - [Salakhutdinov and Murray, 2008, On the quantitative analysis of deep belief networks](
          https://doi.org/10.1145/1390156.1390266), which binarises MNIST by random draws
        - [Larochelle and Murray, 2011, The neural autoregressive distribution estimator](
          https://proceedings.mlr.press/v15/larochelle11a.html), which fixes them
    """

    def __init__(
        self,
        images: npt.ArrayLike,
        labels: npt.ArrayLike | None = None,
        batch_size: int = 128,
        shuffle: bool = True,
        seed: int | None = None,
        value_range: tuple[float, float] = (-1, 1),
        dtype: str = "float32",
        drop_remainder: bool = True,
        pad_to: tuple[int, int] | None = None,
        num_classes: int | None = None,
        steps_per_epoch: int | None = None,
        workers: int = 1,
        use_multiprocessing: bool = False,
        max_queue_size: int = 10,
        binarize: Binarization | None = None,
        horizontal_flip: bool = False,
        crop: tuple[int, int] | None = None,
        class_names: Sequence[str] | None = None,
        levels: int | None = None,
    ) -> None:
        super().__init__(
            workers=workers, use_multiprocessing=use_multiprocessing, max_queue_size=max_queue_size
        )
        self._images = _checks.checked_images(images)
        self._labels = None if labels is None else _checks.checked_labels(labels, self._images)
        if num_classes is None and class_names is not None and self._labels is not None:
            num_classes = len(class_names)
        self._num_classes = _checks.checked_num_classes(num_classes, self._labels)
        self._class_names = _checks.checked_class_names(class_names, self._num_classes)
        self._batch_size = integer("batch_size", batch_size, 1)
        self._shuffle = bool(shuffle)
        self._drop_remainder = bool(drop_remainder)
        self._seed_was_given = seed is not None
        self._seed = _checks.drawn_seed() if seed is None else integer("seed", seed, 0)
        self._dtype = _checks.checked_dtype(dtype)
        self._value_range = _checks.checked_value_range(value_range, self._dtype)
        self._pad_to = _checks.checked_pad_to(pad_to, self._images)
        self._binarize = _checks.checked_binarize(binarize)
        self._levels = _checks.checked_levels(levels, self._binarize)
        self._horizontal_flip = bool(horizontal_flip)
        self._crop = _checks.checked_crop(crop, self._pad_to)
        if self._horizontal_flip or self._crop is not None:
            _checks.check_channels_of_windows(self._images)
        # (0, 255) keeps pixels as they are, whatever they mean.
        if self._binarize is not None or self.value_range != (0, 255):
            _checks.warn_of_low_levels(self._images)
        self._batches_per_pass = self._count_batches()
        self._length = (
            self._batches_per_pass
            if steps_per_epoch is None
            else integer("steps_per_epoch", steps_per_epoch, 1)
        )
        self._set_up()

    _MADE_AGAIN = EpochDataset._MADE_AGAIN | {"_native_levels", "_permutations"}

    def _set_up(self) -> None:
        super()._set_up()
        self._native_levels = (
            _core.Levels.integers(self.levels)
            if self._dtype == "uint8"
            # Binary pixels are levels 0 and 255, whose values are the ends of the range.
            else _core.Levels(*self._value_range, self._dtype, self._levels or _core.MAX_LEVELS)
        )
        self._permutations: dict[int, Rows] = {}

    def __getstate__(self) -> dict[str, object]:
        state = super().__getstate__()
        state["_images"] = _mapping.file_of(self._images) or self._images
        return state

    def __setstate__(self, state: dict[str, object]) -> None:
        images = state["_images"]
        if isinstance(images, _mapping.MappedFile):
            state = state | {"_images": images.open()}
        super().__setstate__(state)

    def __repr__(self) -> str:
        classes = "no labels" if self.num_classes is None else f"{self.num_classes:,} classes"
        return (
            f"<{type(self).__name__}: {len(self._images):,} images {self.image_shape}, {classes}, "
            f"batch_size={self._batch_size}{self._pixel_options()}>"
        )

    def _pixel_options(self) -> str:
        """The options that change pixels, where they are not the defaults, as text."""
        options = {
            "dtype": self._dtype if self._dtype == "uint8" else None,
            "levels": self._levels,
            "binarize": self._binarize,
            "horizontal_flip": self._horizontal_flip or None,
            "crop": self._crop,
        }
        given = {name: value for name, value in options.items() if value is not None}
        return "".join(f", {name}={value!r}" for name, value in given.items())

    @property
    def images(self) -> Pictures:
        """The images before padding, crops, flips and binarisation, uint8 `(N, H, W, C)`."""
        return self._images

    @property
    def labels(self) -> Labels | None:
        """The labels, int32 `(N,)`, or `None`."""
        return self._labels

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """`(H, W, C)` of the images in a batch, after padding and crops."""
        height, width = self._crop or self._pad_to
        return height, width, self._images.shape[3]

    @property
    def build_options(self) -> dict[str, Any]:
        """The arguments of `kgan.recipes.Recipe.build` for such images."""
        return {"image_shape": self.image_shape, "num_classes": self.num_classes}

    @property
    def contents(self) -> str:
        """The number and the size of the images, as text."""
        return f"{len(self._images)} images of {size_text(self.image_shape)}"

    @property
    def num_classes(self) -> int | None:
        """Number of classes, or `None` if there are no labels."""
        return self._num_classes

    @property
    def class_names(self) -> tuple[str, ...] | None:
        """The names of all classes, or `None` if they have none."""
        return self._class_names

    @property
    def batch_size(self) -> int:
        """Images in a batch."""
        return self._batch_size

    @property
    def shuffle(self) -> bool:
        """Whether each pass takes the images in a new order."""
        return self._shuffle

    @property
    def seed(self) -> int:
        """The seed of all orders, flips, crops and dynamic binarisation, given or drawn."""
        return self._seed

    @property
    def is_reproducible(self) -> bool:
        """Whether other processes make the same batches: the seed was given, or is not used."""
        draws = self._binarize == "dynamic" or self._horizontal_flip or self._crop is not None
        return self._seed_was_given or not (self._shuffle or draws)

    @property
    def value_range(self) -> tuple[float, float]:
        """The values of pixels 0 and 255. With `dtype="uint8"`, 0 and `levels - 1`."""
        return (0.0, self.levels - 1.0) if self._dtype == "uint8" else self._value_range

    @property
    def dtype(self) -> str:
        """Name of the dtype of the images in a batch."""
        return self._dtype

    @property
    def levels(self) -> int:
        """How many values a pixel of a batch can have: 2 if binarised, otherwise up to 256."""
        return 2 if self._binarize is not None else self._levels or _core.MAX_LEVELS

    @property
    def binarize(self) -> Binarization | None:
        """How pixels are binarised, or `None` if they keep their levels."""
        return self._binarize

    @property
    def horizontal_flip(self) -> bool:
        """Whether each image is mirrored with probability 1/2."""
        return self._horizontal_flip

    @property
    def crop(self) -> tuple[int, int] | None:
        """Height and width of the random window of each image, or `None` for whole images."""
        return self._crop

    def unbinarized(self) -> ImageDataset:
        """Returns the same data set with the levels of its pixels, or itself if it has them.

        Example:
        ```python
        binary = kgan.data.load_mnist("train", binarize="dynamic")
        grey = binary.unbinarized()
        assert grey.binarize is None
        ```
        """
        return self if self._binarize is None else self._changed(_binarize=None)

    def as_floats(self) -> ImageDataset:
        """Returns the same data set as float32 in [-1, 1], or itself if it has floats.

        It has the same seed, draws and levels.

        Example:
        ```python
        integers = kgan.data.load_mnist("train", dtype="uint8", levels=16, seed=0)
        floats = integers.as_floats()
        assert (floats.dtype, floats.levels, floats.value_range) == ("float32", 16, (-1.0, 1.0))
        ```
        """
        return self if self._dtype != "uint8" else self._changed(_dtype="float32")

    def _changed(self, **attributes: object) -> Self:
        other = copy.copy(self)
        for name, value in attributes.items():
            setattr(other, name, value)
        other._set_up()
        return other

    @property
    def drop_remainder(self) -> bool:
        """Whether the last, short batch of a pass is left out."""
        return self._drop_remainder

    @property
    def batches_per_pass(self) -> int:
        """Batches in a pass over the images."""
        return self._batches_per_pass

    def batch(
        self, epoch: int, index: int, part: tuple[int, int] = (0, 1)
    ) -> Images | tuple[Images, Labels]:
        """Makes a batch of any epoch, or a part of it, whatever `epoch` the dataset is at.

        Args:
            epoch: Integer of at least 0.
            index: Integer from 0 to `len(self) - 1`.
            part: Pair of integers `(i, n)`: the batch has n equal parts, and the one with number i,
                from 0, is made. If n processes make their parts from datasets of the same
                arguments and `seed`, the parts together are the whole batch. Defaults to `(0, 1)`.

        Returns:
            Images `(B, H, W, C)`, or the tuple `(images, labels)`.

        Raises:
            IndexError: `index` is outside that range.
            ValueError: The batch does not have n equal parts, or i is not one of them.

        Example:
        ```python
        first, second = (train.batch(0, 0, part=(i, 2)) for i in range(2))
        ```
        """
        number = epoch * self._length + self._checked_index(index)
        pass_number, position = divmod(number, self._batches_per_pass)
        first = position * self._batch_size
        rows = self._permutation(pass_number)[first : first + self._batch_size]
        rows = _checks.part_of(rows, part)
        binarization = self._binarization_key(self._seed, pass_number)
        images, labels = self._pick(rows, binarization, self._random_windows(pass_number))
        return images if labels is None else (images, labels)

    def draw(self, count: int, seed: int) -> tuple[Images, Labels | None]:
        """Draws different images at random, to measure a model against.

        The draw depends on `seed` alone, not on the dataset's own seed, epoch, batch size or
        shuffling; so does dynamic binarisation. A larger draw begins with the images of a smaller
        one. Images are not flipped, and `crop` takes their centre.

        Args:
            count: Integer from 1 to the number of images.
            seed: Integer of at least 0.

        Returns:
            The tuple `(images, labels)`: images `(count, H, W, C)` as in a batch, and labels int32
            `(count,)` or `None`.

        Raises:
            ValueError: There are fewer than `count` images, or an argument is not such an integer.

        Example:
        ```python
        images, _ = train.draw(10_000, seed=0)
        ```
        """
        count = integer("count", count, 1)
        seed = integer("seed", seed, 0)
        rows = self._drawn(count, seed)
        return self._pick(rows, self._binarization_key(seed), {"crop": self._crop})

    def _count_batches(self) -> int:
        count = len(self._images)
        if not self._drop_remainder:
            return math.ceil(count / self._batch_size)
        if count < self._batch_size:
            raise ValueError(
                "Expected images for at least one batch, since drop_remainder=True leaves out "
                f"short ones. Received: {count} images and batch_size={self._batch_size}. Lower "
                "batch_size (--batch-size) or pass drop_remainder=False."
            )
        return count // self._batch_size

    def _permutation(self, pass_number: int) -> Rows:
        number = pass_number if self._shuffle else 0
        permutation = self._permutations.get(number)
        if permutation is None:
            with self._lock:
                # Ask again under the lock: another thread may have made it meanwhile.
                permutation = self._permutations.get(number)
                if permutation is None:
                    while len(self._permutations) >= _CACHED_PERMUTATIONS:
                        del self._permutations[next(iter(self._permutations))]
                    permutation = self._new_permutation(number)
                    self._permutations[number] = permutation
        return permutation

    def _binarization_key(self, seed: int, *pass_number: int) -> int:
        """Selects the draws of a pass of the dataset, or of `draw`."""
        if self._binarize == "static":
            return random_key(STATIC_BINARIZATION_SEED, _BINARIZATION_KEY)
        if self._binarize == "dynamic":
            return random_key(seed, _BINARIZATION_KEY, *pass_number)
        return 0

    def _random_windows(self, pass_number: int) -> Windows:
        """The options of `_core.gather` for the flips and crops of a pass."""
        if not self._horizontal_flip and self._crop is None:
            return {}
        return {
            "crop": self._crop,
            "random_crop": self._crop is not None,
            "random_flip": self._horizontal_flip,
            "window_key": random_key(self._seed, _WINDOW_KEY, pass_number),
        }

    def _pick(self, rows: Rows, key: int, windows: Windows) -> tuple[Images, Labels | None]:
        how = "drawn" if self._binarize in {"dynamic", "static"} else self._binarize
        images = self._gather(rows, how, key, windows)
        if self._dtype == "bfloat16":
            images = images.view(_bfloat16())
        return images, self._labels_at(rows)

    # Only the methods below know what rows are. A dataset that picks its images in another way
    # overrides them.

    def _new_permutation(self, pass_number: int) -> Rows:
        """The rows of a pass, in its order."""
        if not self._shuffle:
            return np.arange(len(self._images), dtype=np.int64)
        return random_order(random_generator(self._seed, pass_number), len(self._images))

    def _drawn(self, count: int, seed: int) -> Rows:
        """The rows that `draw` takes."""
        if count > len(self._images):
            raise ValueError(
                f"Expected `count` to be at most {len(self._images)}, the number of images, since "
                f"a draw holds each image once. Received: count={count}"
            )
        return random_order(random_generator(seed), len(self._images))[:count]

    _native_gather = staticmethod(_core.gather)

    def _gather(self, rows: Rows, binarize: str | None, key: int, windows: Windows) -> Images:
        """Makes the images of a batch; the other arguments are those of `_core.gather`."""
        return self._native_gather(
            self._images,
            rows,
            self._native_levels,
            pad_to=self._pad_to,
            binarize=binarize,
            key=key,
            **windows,
        )

    def _labels_at(self, rows: Rows) -> Labels | None:
        return None if self._labels is None else self._labels[rows]


def size_text(shape: Sequence[int]) -> str:
    """The shape of an image as text: "28x28x1"."""
    return "x".join(map(str, shape))


def random_generator(seed: int, *key: int) -> np.random.Generator:
    """Independent random numbers for each seed and key."""
    sequence = np.random.SeedSequence(seed, spawn_key=key)
    return np.random.Generator(np.random.Philox(sequence))


def random_order(generator: np.random.Generator, count: int) -> Rows:
    """The numbers below `count`, shuffled."""
    return generator.permutation(count).astype(np.int64, copy=False)


@functools.lru_cache(maxsize=8)
def random_key(seed: int, *key: int) -> int:
    """64 independent random bits for each seed and key."""
    return int(np.random.SeedSequence(seed, spawn_key=key).generate_state(1, np.uint64)[0])


def _bfloat16() -> Any:
    # NumPy has no bfloat16. Keras's backends install ml_dtypes.
    import ml_dtypes  # noqa: PLC0415

    return ml_dtypes.bfloat16

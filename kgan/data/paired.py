"""Two images in each batch: aligned pairs, or two domains without pairs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeAlias

from kgan._arguments import integer
from kgan.data import _checks
from kgan.data._epochs import EpochDataset
from kgan.data.image_dataset import ImageDataset, random_key, size_text

if TYPE_CHECKING:
    import numpy.typing as npt

    from kgan._typing import Images

    TwoBatches: TypeAlias = tuple[Images, Images]

_WORKER_OPTIONS = ("workers", "use_multiprocessing", "max_queue_size")

# Keeps the random numbers of the second domain, and of its draws, apart from those of the first.
_DOMAIN_KEY = 2**31 + 2


class TranslationDataset(EpochDataset["TwoBatches"]):
    """The common part of both classes: two `ImageDataset`s, `_first` and `_second`.

    `kind` is the need of a recipe that such data meet. `directions` are the values of `to` for
    which a model translates: from `_first`, and then from `_second`.

    Args:
        options: The options of `ImageDataset`. Those for workers are taken out.
    """

    kind: ClassVar[Literal["pairs", "domains"]]
    directions: ClassVar[tuple[str | None, ...]]
    _first: ImageDataset
    _second: ImageDataset

    def __init__(self, options: dict[str, Any]) -> None:
        super().__init__(**{name: options.pop(name) for name in _WORKER_OPTIONS if name in options})
        for name in ("labels", "num_classes", "class_names"):
            if options.get(name) is not None:
                raise TypeError(
                    f"Expected images without labels: a batch of {type(self).__name__} is two "
                    f"arrays of images. Received: {name}. Leave it out."
                )

    @property
    def batch_size(self) -> int:
        """Images of each kind in a batch."""
        return self._first.batch_size

    @property
    def shuffle(self) -> bool:
        """Whether each pass takes the images in a new order."""
        return self._first.shuffle

    @property
    def seed(self) -> int:
        """The seed of all orders, flips and crops, given or drawn."""
        return self._first.seed

    @property
    def is_reproducible(self) -> bool:
        """Whether other processes make the same batches: the seed was given, or is not used."""
        return self._first.is_reproducible

    @property
    def dtype(self) -> str:
        """Name of the dtype of the images in a batch."""
        return self._first.dtype

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """`(H, W, C)` of the inputs, or of domain a, in a batch."""
        return self._first.image_shape

    @property
    def target_channels(self) -> int:
        """The number of channels of the targets, or of domain b."""
        return self._second.image_shape[2]

    @property
    def value_range(self) -> tuple[float, float]:
        """The values of pixels 0 and 255 of the targets, or of both domains."""
        return self._second.value_range

    @property
    def class_names(self) -> None:
        """`None`: there are no labels."""
        return None

    @property
    def build_options(self) -> dict[str, Any]:
        """The arguments of `kgan.recipes.Recipe.build` for such images."""
        return {"image_shape": self.image_shape, "target_channels": self.target_channels}

    def _sizes(self) -> str:
        sizes = dict.fromkeys(size_text(each.image_shape) for each in (self._first, self._second))
        return " and ".join(sizes)

    @property
    def smallest(self) -> int:
        """The number of pairs, or of images in the smaller domain: the most that `draw` gives."""
        return min(len(self._first.images), len(self._second.images))

    def draw(self, count: int, seed: int) -> TwoBatches:
        """Draws images of both kinds at random."""
        raise NotImplementedError


class PairedDataset(TranslationDataset):
    """Shuffled batches of image pairs, `(inputs, targets)`, for image-to-image translation.

    Image i of `inputs` belongs to image i of `targets`. A batch is the tuple `(inputs, targets)` of
    two arrays `(B, H, W, C)`. Both have the same rows in the same order, and each pair has the same
    random crop and flip. The two arrays may have different numbers of channels.

    It works like `kgan.data.ImageDataset`: it works in `fit` on every Keras backend, it reads
    memory maps, and native code makes each batch. Batch `index` of epoch `epoch` depends on `seed`,
    `epoch` and `index` alone, so that a resumed training sees the same batches. The targets are
    those of `ImageDataset(targets, seed=seed)` with the same options.

    Args:
        inputs: Integer, uint8 array of shape `(N, H, W)` or `(N, H, W, C)`.
        targets: Integer, uint8 array of shape `(N, H, W)` or `(N, H, W, C)`, of the same N, H and
            W.
        input_value_range: Pair of floats, the values of pixels 0 and 255 of the inputs. Defaults to
            `None`: the `value_range` of the targets.
        **options: Arguments of `kgan.data.ImageDataset` for both: `batch_size`, `shuffle`, `seed`,
            `value_range`, `dtype`, `levels`, `drop_remainder`, `pad_to`, `crop`,
            `horizontal_flip`, `steps_per_epoch` and others, but no labels.

    Raises:
        TypeError: Labels or class names are given.
        ValueError: The numbers or the sizes of inputs and targets differ, or `ImageDataset` does
            not accept an argument.

    Example:
    ```python
    digits = kgan.data.load_digits("train").images
    inputs, targets = kgan.data.pairs.outlines(digits)
    pairs = kgan.data.PairedDataset(inputs, targets, batch_size=32, seed=0)
    for outlines, digits in pairs:
        assert outlines.shape == digits.shape == (32, 28, 28, 1)  # float32 in [-1, 1]
    ```

    Reference:
        - [Isola et al., 2017, Image-to-image translation with conditional adversarial networks](
          https://arxiv.org/abs/1611.07004)
    """

    kind = "pairs"
    directions = (None,)

    def __init__(
        self,
        inputs: npt.ArrayLike,
        targets: npt.ArrayLike,
        *,
        input_value_range: tuple[float, float] | None = None,
        **options: Any,
    ) -> None:
        super().__init__(options)
        of_inputs = dict(options)
        if input_value_range is not None:
            of_inputs["value_range"] = input_value_range
        inputs, targets = _checks.checked_pairs(inputs, targets)
        # The same seed gives the same orders, flips and crops: they depend on it and the row alone.
        self._first = ImageDataset(inputs, **of_inputs)
        self._second = ImageDataset(targets, **{**options, "seed": self._first.seed})
        self._length = len(self._second)
        self._set_up()

    def __repr__(self) -> str:
        return (
            f"<PairedDataset: {len(self._first.images):,} pairs {self._first.image_shape} to "
            f"{self._second.image_shape}, batch_size={self.batch_size}"
            f"{self._second._pixel_options()}>"
        )

    @property
    def contents(self) -> str:
        """The number and the size of the pairs, as text."""
        return f"{len(self._first.images)} pairs of {self._sizes()}"

    @property
    def inputs(self) -> ImageDataset:
        """The inputs alone, in the same batches."""
        return self._first

    @property
    def targets(self) -> ImageDataset:
        """The targets alone, in the same batches."""
        return self._second

    @property
    def drop_remainder(self) -> bool:
        """Whether the last, short batch of a pass is left out."""
        return self._second.drop_remainder

    @property
    def batches_per_pass(self) -> int:
        """Batches in a pass over the pairs."""
        return self._second.batches_per_pass

    def batch(self, epoch: int, index: int, part: tuple[int, int] = (0, 1)) -> TwoBatches:
        """Makes a batch of any epoch, or a part of it, whatever `epoch` the dataset is at.

        Args:
            epoch: Integer of at least 0.
            index: Integer from 0 to `len(self) - 1`.
            part: Pair of integers `(i, n)`: the batch has n equal parts, and the one with number i,
                from 0, is made. Defaults to `(0, 1)`.

        Returns:
            The tuple `(inputs, targets)` of arrays `(B, H, W, C)`.

        Raises:
            IndexError: `index` is outside that range.
            ValueError: The batch does not have n equal parts, or i is not one of them.

        Example:
        ```python
        task = kgan.data.pairs.outlines(kgan.data.load_digits("train").images)
        pairs = kgan.data.PairedDataset(*task, seed=0)
        inputs, targets = pairs.batch(epoch=3, index=0)
        ```
        """
        place = epoch, index
        return _images(self._first, place, part), _images(self._second, place, part)

    def draw(self, count: int, seed: int) -> TwoBatches:
        """Draws different pairs at random, to measure a model against.

        The draw depends on `seed` alone. A larger draw begins with the pairs of a smaller one.
        Images are not flipped, and `crop` takes their centre.

        Args:
            count: Integer from 1 to the number of pairs.
            seed: Integer of at least 0.

        Returns:
            The tuple `(inputs, targets)` of arrays `(count, H, W, C)`.

        Raises:
            ValueError: There are fewer than `count` pairs, or an argument is not such an integer.

        Example:
        ```python
        task = kgan.data.pairs.outlines(kgan.data.load_digits("train").images)
        pairs = kgan.data.PairedDataset(*task, seed=0)
        inputs, targets = pairs.draw(16, seed=0)
        ```
        """
        return self._first.draw(count, seed)[0], self._second.draw(count, seed)[0]


class UnpairedDataset(TranslationDataset):
    """Shuffled batches of two domains of images without pairs, `(a, b)`, for CycleGAN.

    A batch is the tuple `(a, b)` of two arrays `(B, H, W, C)`, one from each domain. Each domain
    has its own random order, crops and flips. The domains may differ in their numbers of images and
    of channels.

    An epoch is one pass over the larger domain. When the smaller domain is exhausted, it is
    shuffled again and continues, also across epochs. Batches are always whole: a pass leaves out
    the images that do not fill a batch, and the next pass leaves out others.

    Batch `index` of epoch `epoch` depends on `seed`, `epoch` and `index` alone, so that a resumed
    training sees the same batches. See `kgan.data.ImageDataset` for the rest. Domain a has the
    batches of `ImageDataset(a, seed=seed)`. Domain b has a seed that is derived from it.

    Args:
        a: Integer, uint8 array of shape `(N, H, W)` or `(N, H, W, C)`.
        b: Integer, uint8 array of shape `(M, H, W)` or `(M, H, W, C)`, of the same H and W.
        steps_per_epoch: Integer of at least 1, the batches in an epoch. Defaults to `None`: those
            of the larger domain.
        **options: Arguments of `kgan.data.ImageDataset` for both: `batch_size`, `shuffle`, `seed`,
            `value_range`, `dtype`, `levels`, `pad_to`, `crop`, `horizontal_flip` and others, but
            no labels and no `drop_remainder`.

    Raises:
        TypeError: Labels, class names or `drop_remainder=False` are given.
        ValueError: The sizes of the images differ between the domains, a domain has fewer images
            than a batch, or `ImageDataset` does not accept an argument.

    Example:
    ```python
    digits = kgan.data.load_digits("train").images
    mnist = kgan.data.load_mnist("test").images
    domains = kgan.data.UnpairedDataset(digits, mnist, batch_size=16, seed=0)
    a, b = domains[0]  # both float32 (16, 28, 28, 1) in [-1, 1]
    ```

    Reference:
        - [Zhu et al., 2017, Unpaired image-to-image translation using cycle-consistent adversarial
          networks](https://arxiv.org/abs/1703.10593)
    """

    kind = "domains"
    directions = ("b", "a")

    def __init__(
        self,
        a: npt.ArrayLike,
        b: npt.ArrayLike,
        *,
        steps_per_epoch: int | None = None,
        **options: Any,
    ) -> None:
        super().__init__(options)
        if not options.pop("drop_remainder", True):
            raise TypeError(
                "Expected whole batches: the domains differ in length, so a short batch of one "
                "would meet a whole batch of the other. Received: drop_remainder=False. Leave it "
                "out."
            )
        a, b = _checks.checked_domains(a, b, options.get("batch_size", 128))
        self._first = ImageDataset(a, **options)
        options["seed"] = random_key(self._first.seed, _DOMAIN_KEY)
        self._second = ImageDataset(b, **options)
        self._length = (
            max(len(self._first), len(self._second))
            if steps_per_epoch is None
            else integer("steps_per_epoch", steps_per_epoch, 1)
        )
        self._set_up()

    def __repr__(self) -> str:
        return (
            f"<UnpairedDataset: {len(self._first.images):,} images {self._first.image_shape} and "
            f"{len(self._second.images):,} images {self._second.image_shape}, "
            f"batch_size={self.batch_size}{self._second._pixel_options()}>"
        )

    @property
    def contents(self) -> str:
        """The numbers and the sizes of the images, as text."""
        return f"{len(self._first.images)} and {len(self._second.images)} images of {self._sizes()}"

    @property
    def a(self) -> ImageDataset:
        """The first domain. Its epochs are its own passes."""
        return self._first

    @property
    def b(self) -> ImageDataset:
        """The second domain. Its epochs are its own passes."""
        return self._second

    def batch(self, epoch: int, index: int, part: tuple[int, int] = (0, 1)) -> TwoBatches:
        """Makes a batch of any epoch, or a part of it, whatever `epoch` the dataset is at.

        Args:
            epoch: Integer of at least 0.
            index: Integer from 0 to `len(self) - 1`.
            part: Pair of integers `(i, n)`: the batch has n equal parts, and the one with number i,
                from 0, is made. Defaults to `(0, 1)`.

        Returns:
            The tuple `(a, b)` of arrays `(B, H, W, C)`.

        Raises:
            IndexError: `index` is outside that range.
            ValueError: The batch does not have n equal parts, or i is not one of them.

        Example:
        ```python
        task = kgan.data.pairs.thin_and_thick(kgan.data.load_digits("train").images)
        domains = kgan.data.UnpairedDataset(task.a, task.b, seed=0)
        a, b = domains.batch(epoch=3, index=0)
        ```
        """
        number = epoch * self._length + self._checked_index(index)
        first, second = (
            _images(domain, divmod(number, len(domain)), part)
            for domain in (self._first, self._second)
        )
        return first, second

    def draw(self, count: int, seed: int) -> TwoBatches:
        """Draws different images of each domain at random, to measure a model against.

        The draws depend on `seed` alone, and the two are independent. A larger draw begins with the
        images of a smaller one. Images are not flipped, and `crop` takes their centre.

        Args:
            count: Integer from 1 to the number of images in the smaller domain.
            seed: Integer of at least 0.

        Returns:
            The tuple `(a, b)` of arrays `(count, H, W, C)`.

        Raises:
            ValueError: A domain has fewer than `count` images, or an argument is not such an
                integer.

        Example:
        ```python
        task = kgan.data.pairs.thin_and_thick(kgan.data.load_digits("train").images)
        domains = kgan.data.UnpairedDataset(task.a, task.b, seed=0)
        a, b = domains.draw(16, seed=0)
        ```
        """
        images, _ = self._first.draw(count, seed)
        others, _ = self._second.draw(count, random_key(seed, _DOMAIN_KEY))
        return images, others


def _images(dataset: ImageDataset, place: tuple[int, int], part: tuple[int, int]) -> Images:
    """A part of the batch of a dataset without labels, at an epoch and an index."""
    batch = dataset.batch(*place, part=part)
    assert not isinstance(batch, tuple)
    return batch

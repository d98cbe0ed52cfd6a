"""Translation tasks by name, for the command line and for recipes.

To add one, write a function of a data set, its split and a seed that returns its directions. Then
add a line to `TASKS`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias

import numpy as np

from kgan._registry import find_name
from kgan.data import pairs
from kgan.data.digits import load_digits
from kgan.data.paired import PairedDataset, UnpairedDataset
from kgan.data.registry import load_dataset

if TYPE_CHECKING:
    import os
    from collections.abc import Callable

    from kgan._typing import Labels, Pictures
    from kgan.data.image_dataset import ImageDataset
    from kgan.data.pairs import Domains, Pairs

__all__ = ["TASKS", "Direction", "Task", "TranslationTask", "load_task"]

Kind: TypeAlias = Literal["pairs", "domains"]
Domain: TypeAlias = Literal["a", "b"]

# Options that belong to the images of a task, and not to its pairs or domains.
_OF_SOURCE = ("image_size",)


class Direction(NamedTuple):
    """The images that measure the translation in one direction.

    Attributes:
        inputs: Uint8 `(N, H, W, C)`, the images to translate.
        targets: Uint8 `(M, H, W, C)`, images of the kind that translations should be.
        labels: Int32 `(N,)`, the class that each translation should have, or None.
        truths: Uint8 `(N, H, W, C)`, the true translation of each input, or None. With domains,
            models never train on them.
        to: String, the domain of the translations, `"a"` or `"b"`. None for pairs.
        target_labels: Int32 `(M,)`, the classes of the targets, or None.

    Example:
    ```python
    (direction,) = kgan.data.load_task("outlines", "test", "digits", batch_size=1).directions
    assert (direction.truths == direction.targets).all()
    ```
    """

    inputs: Pictures
    targets: Pictures
    labels: Labels | None = None
    truths: Pictures | None = None
    to: Domain | None = None
    target_labels: Labels | None = None

    @property
    def is_paired(self) -> bool:
        """Whether target i is the true translation of input i."""
        return self.to is None


@dataclass(frozen=True)
class TranslationTask:
    """The data of a translation task: for training, and for measuring.

    Args:
        name: String.
        dataset: The training data, a `kgan.data.PairedDataset` or a `kgan.data.UnpairedDataset`.
        directions: The `Direction`s to measure: one for pairs, and for domains the one from a to b
            and the one from b to a.

    Example:
    ```python
    task = kgan.data.load_task("thin_and_thick", "train", "digits", batch_size=16)
    to_b, to_a = task.directions
    assert (to_b.to, to_a.to) == ("b", "a")
    ```
    """

    name: str
    dataset: PairedDataset | UnpairedDataset
    directions: tuple[Direction, ...]

    @classmethod
    def of(cls, name: str, directions: tuple[Direction, ...], **options: Any) -> TranslationTask:
        """Makes a task from its directions.

        Args:
            name: String.
            directions: One `Direction` for pairs, or the two of `both_ways`.
            **options: Arguments of the data set.

        Returns:
            The `TranslationTask`.
        """
        make = PairedDataset if directions[0].is_paired else UnpairedDataset
        dataset = make(directions[0].inputs, directions[0].targets, **options)
        return cls(name, dataset, directions)


@dataclass(frozen=True)
class Task:
    """An entry of `kgan.data.TASKS`.

    Args:
        summary: String, the two kinds of images.
        kind: String, `"pairs"` or `"domains"`.
        make: Makes the directions from a data set, the name of its split and a seed.
        dataset: String, the data set that it uses by default.
        is_fixed: Whether it takes no other data set.
    """

    summary: str
    kind: Kind
    make: Callable[[ImageDataset, str, int], tuple[Direction, ...]]
    dataset: str = "mnist"
    is_fixed: bool = False


class _Classes(NamedTuple):
    """The classes of two domains, and those that their translations should have."""

    a: Labels | None = None
    b: Labels | None = None
    wanted_of_a: Labels | None = None
    wanted_of_b: Labels | None = None

    @classmethod
    def kept(cls, a: Labels, b: Labels) -> _Classes:
        """Those of a task that keeps the class."""
        return cls(a, b, a, b)


_NO_CLASSES = _Classes()


def both_ways(
    a: Pictures,
    b: Pictures,
    classes: _Classes = _NO_CLASSES,
    truths: tuple[Pictures | None, Pictures | None] = (None, None),
) -> tuple[Direction, Direction]:
    """The directions between two domains.

    Args:
        a: The first domain.
        b: The second domain.
        classes: The classes of both.
        truths: The true translations of a, and of b.
    """
    return (
        Direction(a, b, classes.wanted_of_a, truths[0], "b", classes.b),
        Direction(b, a, classes.wanted_of_b, truths[1], "a", classes.a),
    )


def _pairs(summary: str, make: Callable[..., Pairs], dataset: str = "mnist") -> Task:
    def directions(source: ImageDataset, split: str, seed: int) -> tuple[Direction, ...]:
        del split, seed
        inputs, targets = make(source.images)
        labels = source.labels
        return (Direction(inputs, targets, labels, targets, target_labels=labels),)

    return Task(summary, "pairs", directions, dataset)


def _domains(summary: str, make: Callable[..., Domains]) -> Task:
    def directions(source: ImageDataset, split: str, seed: int) -> tuple[Direction, ...]:
        del split
        made = make(source.images, seed)
        labels, classes = source.labels, _NO_CLASSES
        if labels is not None:
            classes = _Classes.kept(labels[made.rows_of_a], labels[made.rows_of_b])
        return both_ways(made.a, made.b, classes, (made.partners_of_a, made.partners_of_b))

    return Task(summary, "domains", directions)


def _digits_to_mnist(mnist: ImageDataset, split: str, seed: int) -> tuple[Direction, ...]:
    del seed
    digits = load_digits(split, batch_size=1)
    assert digits.labels is not None
    assert mnist.labels is not None
    return both_ways(digits.images, mnist.images, _Classes.kept(digits.labels, mnist.labels))


def _classes(summary: str, dataset: str, first: int, second: int) -> Task:
    """Two classes of a data set. A translation should have the class of the other domain."""

    def directions(source: ImageDataset, split: str, seed: int) -> tuple[Direction, ...]:
        del split, seed
        assert source.labels is not None
        a, b = (source.images[source.labels == label] for label in (first, second))
        of_a, of_b = np.full(len(a), first, np.int32), np.full(len(b), second, np.int32)
        wanted = np.full(len(a), second, np.int32), np.full(len(b), first, np.int32)
        return both_ways(a, b, _Classes(of_a, of_b, *wanted))

    return Task(summary, "domains", directions, dataset, is_fixed=True)


TASKS: dict[str, Task] = {
    "outlines": _pairs("outlines to images", pairs.outlines),
    "small": _pairs("blocks of 4 x 4 pixels to sharp images", pairs.small),
    "hole": _pairs("images with a grey square in the centre to whole images", pairs.hole),
    "grey": _pairs("grey images to colour images", pairs.grey, "cifar10"),
    "thin_and_thick": _domains("thin and thick strokes", pairs.thin_and_thick),
    "upright_and_slanted": _domains("upright and slanted digits", pairs.upright_and_slanted),
    "colour_rule": _domains(
        "strokes in colour on black, and black strokes on colour", pairs.colour_rule
    ),
    "digits_to_mnist": Task(
        "the digits in scikit-learn and those of MNIST", "domains", _digits_to_mnist, is_fixed=True
    ),
    "horse_to_deer": _classes("the horses and the deer of CIFAR-10", "cifar10", 7, 4),
}


def load_task(
    task: str,
    split: str = "train",
    dataset: str | None = None,
    data_dir: str | os.PathLike[str] | None = None,
    seed: int = 0,
    **dataset_options: Any,
) -> TranslationTask:
    """Loads a translation task by its name: the training data, and what measures a translation.

    Most tasks are made from the images of a data set, by the functions of `kgan.data.pairs`.
    `"digits_to_mnist"` and `"horse_to_deer"` are two real sets of images, without true
    translations.

    Args:
        task: String, a key of `kgan.data.TASKS`.
        split: String, a split of the data set. Defaults to `"train"`.
        dataset: String, the data set whose images are used, a name that `kgan.data.load_dataset`
            takes. Defaults to `None`: MNIST, or CIFAR-10 for `"grey"` and `"horse_to_deer"`.
        data_dir: Path of the directory with its files. Defaults to `None`: the loader's own places.
        seed: Integer of at least 0, for the orders, and for the division into two domains. Defaults
            to `0`.
        **dataset_options: Arguments of `kgan.data.PairedDataset` or `kgan.data.UnpairedDataset`,
            such as `batch_size`; and `image_size` for a folder of pictures.

    Returns:
        A `TranslationTask`. Its `dataset` is for `fit`. Its `directions` hold the inputs, targets,
        labels and true translations.

    Raises:
        OSError: The data set is not available.
        ValueError: The task is unknown, or does not take that data set.

    Example:
    ```python
    train = kgan.data.load_task("outlines", "train", "digits", batch_size=32)
    outlines, digits = train.dataset[0]  # float32 (32, 28, 28, 1) in [-1, 1]
    test = kgan.data.load_task("outlines", "test", "digits")
    labels = test.directions[0].labels
    ```
    """
    entry = find_name(task, TASKS, what="a translation task", argument="task")
    name = dataset or entry.dataset
    if entry.is_fixed and name != entry.dataset:
        raise ValueError(
            f"Expected no other data set, since the task {task!r} has its own images. Received: "
            f"dataset={name!r}. Leave dataset (--dataset, --data) out."
        )
    of_source = {key: dataset_options.pop(key) for key in _OF_SOURCE if key in dataset_options}
    # Its batches are not used: a small data set need not fill one.
    source = load_dataset(name, split, data_dir, batch_size=1, **of_source)
    if source.image_shape != source.images.shape[1:]:
        raise ValueError(
            f"Expected a data set of whole images for the task {task!r}. Received: {name!r}, whose "
            "images are stacked from others. Use 'mnist'."
        )
    return TranslationTask.of(task, entry.make(source, split, seed), seed=seed, **dataset_options)

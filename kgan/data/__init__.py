"""Data sets: MNIST, CIFAR-10 and others by name, pictures in folders, arrays, text and IDX files.

Names are imported when they are first used, so that IDX files can be read without Keras.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kgan.data import pairs
    from kgan.data._checks import Binarization, DataWarning
    from kgan.data.cifar10 import load_cifar10
    from kgan.data.digits import load_digits
    from kgan.data.folder_pairs import load_domains, load_pairs
    from kgan.data.idx import idx_header, read_idx, read_idx_images, read_idx_labels, write_idx
    from kgan.data.image_dataset import ImageDataset
    from kgan.data.image_folder import load_image_folder
    from kgan.data.mnist import load_fashion_mnist, load_kmnist, load_mnist, load_stacked_mnist
    from kgan.data.paired import PairedDataset, UnpairedDataset
    from kgan.data.registry import DATASETS, load_dataset
    from kgan.data.stacked import StackedImageDataset
    from kgan.data.tasks import TASKS, Direction, Task, TranslationTask, load_task
    from kgan.data.text import decode_text, encode_text, load_text
    from kgan.data.tfds import from_tfds

__all__ = [
    "DATASETS",
    "TASKS",
    "Binarization",
    "DataWarning",
    "Direction",
    "ImageDataset",
    "PairedDataset",
    "StackedImageDataset",
    "Task",
    "TranslationTask",
    "UnpairedDataset",
    "decode_text",
    "encode_text",
    "from_tfds",
    "idx_header",
    "load_cifar10",
    "load_dataset",
    "load_digits",
    "load_domains",
    "load_fashion_mnist",
    "load_image_folder",
    "load_kmnist",
    "load_mnist",
    "load_pairs",
    "load_stacked_mnist",
    "load_task",
    "load_text",
    "pairs",
    "read_idx",
    "read_idx_images",
    "read_idx_labels",
    "write_idx",
]

_MODULES = {
    "_checks": ("Binarization", "DataWarning"),
    "cifar10": ("load_cifar10",),
    "digits": ("load_digits",),
    "folder_pairs": ("load_domains", "load_pairs"),
    "idx": ("idx_header", "read_idx", "read_idx_images", "read_idx_labels", "write_idx"),
    "image_dataset": ("ImageDataset",),
    "image_folder": ("load_image_folder",),
    "mnist": ("load_fashion_mnist", "load_kmnist", "load_mnist", "load_stacked_mnist"),
    "paired": ("PairedDataset", "UnpairedDataset"),
    "registry": ("DATASETS", "load_dataset"),
    "stacked": ("StackedImageDataset",),
    "tasks": ("TASKS", "Direction", "Task", "TranslationTask", "load_task"),
    "text": ("decode_text", "encode_text", "load_text"),
    "tfds": ("from_tfds",),
}
_ORIGINS = {name: module for module, names in _MODULES.items() for name in names}


def __getattr__(name: str) -> Any:
    """Imports a name when it is first used."""
    if name == "pairs":  # a module, which the import makes an attribute
        return importlib.import_module("kgan.data.pairs")
    if name not in _ORIGINS:
        raise AttributeError(f"module 'kgan.data' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"kgan.data.{_ORIGINS[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})

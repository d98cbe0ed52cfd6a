"""Data sets: MNIST and others by name, batches of your own images, and IDX files."""

from kgan.data._checks import Binarization, DataWarning
from kgan.data.digits import load_digits
from kgan.data.idx import idx_header, read_idx, read_idx_images, read_idx_labels, write_idx
from kgan.data.image_dataset import ImageDataset
from kgan.data.mnist import load_fashion_mnist, load_kmnist, load_mnist, load_stacked_mnist
from kgan.data.registry import DATASETS, load_dataset
from kgan.data.stacked import StackedImageDataset
from kgan.data.tfds import from_tfds

__all__ = [
    "DATASETS",
    "Binarization",
    "DataWarning",
    "ImageDataset",
    "StackedImageDataset",
    "from_tfds",
    "idx_header",
    "load_dataset",
    "load_digits",
    "load_fashion_mnist",
    "load_kmnist",
    "load_mnist",
    "load_stacked_mnist",
    "read_idx",
    "read_idx_images",
    "read_idx_labels",
    "write_idx",
]

"""The published files of MNIST, Fashion-MNIST and KMNIST: names, sizes, digests and mirrors.

All three sets use the same four file names. So a file's set is identified by the SHA-256 of the
published bytes, not by its name.
"""

import dataclasses
import hashlib
import pathlib
from collections.abc import Mapping, Sequence

PUBLISHED_COUNTS = {"train": 60_000, "test": 10_000}


@dataclasses.dataclass(frozen=True)
class PublishedFile:
    """A file as its authors published it.

    Args:
        name: String, the file name with `.gz`.
        size: Integer, the length in bytes.
        sha256: String, the digest of those bytes in hexadecimal.
    """

    name: str
    size: int
    sha256: str


@dataclasses.dataclass(frozen=True)
class FilePair:
    """The images and the labels of one split.

    Args:
        images: The image file.
        labels: The label file.
    """

    images: PublishedFile
    labels: PublishedFile


@dataclasses.dataclass(frozen=True)
class Source:
    """A data set of 28x28 grey images in four gzipped IDX files.

    Args:
        name: String, kgan's name of the set and of its folder in the cache.
        title: String, the common name of the set.
        folders: Tuple of strings, folders of a data directory that may hold the files, in addition
            to the directory itself.
        mirrors: Tuple of strings, URLs of folders that hold the files, tried in order.
        splits: Mapping of `"train"` and `"test"` to their files.
        inflated_labels: Tuple of the label files after `gunzip`, if their digests are known.
            Defaults to `()`.
        num_classes: Integer, the number of classes. Defaults to `10`.
    """

    name: str
    title: str
    folders: tuple[str, ...]
    mirrors: tuple[str, ...]
    splits: Mapping[str, FilePair]
    inflated_labels: tuple[PublishedFile, ...] = ()
    num_classes: int = 10

    def published_files(self) -> list[PublishedFile]:
        """Returns every file whose bytes are known to belong to this data set."""
        pairs = self.splits.values()
        return [file for pair in pairs for file in (pair.images, pair.labels)] + list(
            self.inflated_labels
        )


# Sizes and digests are those that tensorflow-datasets pins in its url_checksums/.
MNIST = Source(
    name="mnist",
    title="MNIST",
    folders=("mnist", "MNIST/raw"),
    mirrors=(
        "https://storage.googleapis.com/cvdf-datasets/mnist/",
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
    ),
    splits={
        "train": FilePair(
            PublishedFile(
                "train-images-idx3-ubyte.gz",
                9_912_422,
                "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
            ),
            PublishedFile(
                "train-labels-idx1-ubyte.gz",
                28_881,
                "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
            ),
        ),
        "test": FilePair(
            PublishedFile(
                "t10k-images-idx3-ubyte.gz",
                1_648_877,
                "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
            ),
            PublishedFile(
                "t10k-labels-idx1-ubyte.gz",
                4_542,
                "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
            ),
        ),
    },
    inflated_labels=(
        PublishedFile(
            "train-labels-idx1-ubyte",
            60_008,
            "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
        ),
        PublishedFile(
            "t10k-labels-idx1-ubyte",
            10_008,
            "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
        ),
    ),
)

FASHION_MNIST = Source(
    name="fashion_mnist",
    title="Fashion-MNIST",
    folders=("fashion_mnist", "FashionMNIST/raw"),
    mirrors=(
        "https://storage.googleapis.com/tensorflow/tf-keras-datasets/",
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
    ),
    splits={
        "train": FilePair(
            PublishedFile(
                "train-images-idx3-ubyte.gz",
                26_421_880,
                "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
            ),
            PublishedFile(
                "train-labels-idx1-ubyte.gz",
                29_515,
                "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
            ),
        ),
        "test": FilePair(
            PublishedFile(
                "t10k-images-idx3-ubyte.gz",
                4_422_102,
                "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
            ),
            PublishedFile(
                "t10k-labels-idx1-ubyte.gz",
                5_148,
                "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
            ),
        ),
    },
)

KMNIST = Source(
    name="kmnist",
    title="KMNIST",
    folders=("kmnist", "KMNIST/raw"),
    mirrors=("http://codh.rois.ac.jp/kmnist/dataset/kmnist/",),
    splits={
        "train": FilePair(
            PublishedFile(
                "train-images-idx3-ubyte.gz",
                18_165_135,
                "51467d22d8cc72929e2a028a0428f2086b092bb31cfb79c69cc0a90ce135fde4",
            ),
            PublishedFile(
                "train-labels-idx1-ubyte.gz",
                29_497,
                "e38f9ebcd0f3ebcdec7fc8eabdcdaef93bb0df8ea12bee65224341c8183d8e17",
            ),
        ),
        "test": FilePair(
            PublishedFile(
                "t10k-images-idx3-ubyte.gz",
                3_041_136,
                "edd7a857845ad6bb1d0ba43fe7e794d164fe2dce499a1694695a792adfac43c5",
            ),
            PublishedFile(
                "t10k-labels-idx1-ubyte.gz",
                5_120,
                "20bb9a0ef54c7db3efc55a92eef5582c109615df22683c380526788f98e42a1c",
            ),
        ),
    },
)

SOURCES = (MNIST, FASHION_MNIST, KMNIST)


def sha256_of(path: pathlib.Path) -> str:
    """Returns the SHA-256 of a file's bytes in hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


def source_of(path: pathlib.Path, among: Sequence[Source]) -> Source | None:
    """Finds the data set that a file was published in, by its bytes, or None.

    The published sizes differ, so only a file of a known size is read.
    """
    size = path.stat().st_size
    for source in among:
        for file in source.published_files():
            if file.size == size and file.sha256 == sha256_of(path):
                return source
    return None

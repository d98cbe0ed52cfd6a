"""ImageDataset of a memory map: nothing is copied, whatever the size of the file."""

import pickle
import subprocess
import sys

import numpy as np
import pytest

import kgan
from kgan.data import ImageDataset, _mapping

SHAPE = (60, 4, 5, 3)


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "images.npy"
    np.save(path, np.random.default_rng(0).integers(0, 256, SHAPE, "uint8"))
    return path


@pytest.mark.backend_free
class TestMaps:
    @pytest.mark.parametrize("mode", ["r", "r+", "c"])
    def test_batches_are_those_of_the_array(self, file, mode):
        of_map = ImageDataset(np.load(file, mmap_mode=mode), batch_size=7, seed=1)
        of_array = ImageDataset(np.load(file), batch_size=7, seed=1)
        for ours, theirs in zip(of_map, of_array, strict=True):
            np.testing.assert_array_equal(ours, theirs)

    def test_images_are_not_copied(self, file):
        images = np.load(file, mmap_mode="r")
        dataset = ImageDataset(images, batch_size=7)
        assert np.shares_memory(dataset.images, images)
        assert not dataset.images.flags.writeable

    @pytest.mark.parametrize("part", [slice(None), slice(11, 40), np.s_[3:, :, :, :]])
    def test_a_pickled_dataset_names_the_file(self, file, part):
        images = np.load(file, mmap_mode="r")[part]
        dataset = ImageDataset(images, np.arange(len(images)) % 4, batch_size=7, seed=1)
        pickled = pickle.dumps(dataset)
        assert images.tobytes()[:100] not in pickled
        again = pickle.loads(pickled)
        np.testing.assert_array_equal(again.images, images)
        assert isinstance(again.images.base, np.memmap)
        for (ours, labels), (theirs, their_labels) in zip(again, dataset, strict=True):
            np.testing.assert_array_equal(ours, theirs)
            np.testing.assert_array_equal(labels, their_labels)

    def test_arrays_and_private_maps_are_pickled_with_their_pixels(self, file):
        private = np.load(file, mmap_mode="c")
        private[0] = 7  # in memory alone
        for images in (private, np.load(file)):
            again = pickle.loads(pickle.dumps(ImageDataset(images, batch_size=7)))
            np.testing.assert_array_equal(again.images, images)

    def test_parts_that_are_not_contiguous_are_in_no_file(self, file):
        images = np.load(file, mmap_mode="r")
        assert _mapping.file_of(images[::2]) is None
        assert _mapping.file_of(np.array(images)) is None

    def test_a_file_that_is_gone_is_an_error_that_names_it(self, file):
        pickled = pickle.dumps(ImageDataset(np.load(file, mmap_mode="r"), batch_size=7))
        file.unlink()
        with pytest.raises(FileNotFoundError, match=r"images\.npy"):
            pickle.loads(pickled)

    def test_dark_images_are_found_in_a_part_of_a_large_map(self, tmp_path, monkeypatch):
        monkeypatch.setattr(kgan.data._checks, "_MOST_BYTES", 1 << 20)
        path = tmp_path / "dark.npy"
        images = np.lib.format.open_memmap(path, "w+", "uint8", (64, 256, 256, 1))
        images[0, 0, 0] = 1
        with pytest.warns(kgan.data.DataWarning, match="values from 0 to 1, which become"):
            ImageDataset(images, batch_size=7)


# Trains in a process that may hold less private memory than the file has bytes: a copy of the file
# is a MemoryError. Pages of the file itself are the system's to take back.
TRAIN = """
import re, resource, sys
import keras, numpy as np
import kgan

def kilobytes(name):
    with open("/proc/self/status") as status:
        return int(re.search(rf"{name}:\\s+(\\d+)", status.read())[1])

BATCH = 16  # 1 MB: JAX prepares up to 32 batches ahead of the step that runs
images = np.load(sys.argv[1], mmap_mode="r")
gan = kgan.GAN(*kgan.networks.mlp(image_shape=images.shape[1:], latent_dim=4, width=4), seed=0)
gan.compile()
gan.fit(kgan.data.ImageDataset(images[:512], batch_size=BATCH), verbose=0)
before = kilobytes("RssAnon")
limit = (kilobytes("VmData") << 10) + images.nbytes * 3 // 4
resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
train = kgan.data.ImageDataset(images, batch_size=BATCH, seed=0)
gan.fit(train, verbose=0)
seen = sum(int(batch.max(axis=(1, 2, 3)).sum()) for batch in kgan.data.ImageDataset(
    images, batch_size=32, value_range=(0, 255)))
print(len(train), seen, (kilobytes("RssAnon") - before) >> 10)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="RLIMIT_DATA counts maps on Linux alone")
def test_training_from_a_map_above_the_memory_limit_keeps_memory_flat(tmp_path):
    path = tmp_path / "large.npy"
    count = 1 << 14  # 256 MB, of which the disk holds few
    images = np.lib.format.open_memmap(path, "w+", "uint8", (count, 128, 128, 1))
    images[:: count // 64, 5, 5] = 200
    images[0] = 255
    images.flush()
    del images
    command = [sys.executable, "-W", "ignore", "-c", TRAIN, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    batches, seen, grown = map(int, done.stdout.split()[-3:])
    assert batches == count // 16
    assert seen == 255 + 63 * 200
    assert grown < 128  # MB, half the file: backends keep some buffers

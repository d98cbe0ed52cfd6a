"""Pairs and domains from folders: halves, partners by name, and folders that are not right."""

import numpy as np
import pytest
from PIL import Image

import kgan
from kgan.data import PairedDataset, UnpairedDataset

pytestmark = pytest.mark.backend_free

OPTIONS = {"batch_size": 2, "seed": 0, "value_range": (0, 255), "verbose": False}


def save(path, pixels):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, quality=100)


def noise(count, height=6, width=8, channels=3):
    shape = (count, height, width, channels) if channels > 1 else (count, height, width)
    return np.random.default_rng(0).integers(0, 256, shape, np.uint8)


@pytest.fixture
def load(tmp_path):
    """Loads with a cache of its own: `load(loader, ...)`."""

    def load(loader, *arguments, **options):
        return loader(*arguments, **{**OPTIONS, "cache_dir": tmp_path / "cache", **options})

    return load


@pytest.fixture
def load_pairs(load):
    return lambda *arguments, **options: load(kgan.data.load_pairs, *arguments, **options)


@pytest.fixture
def load_domains(load):
    return lambda *arguments, **options: load(kgan.data.load_domains, *arguments, **options)


class TestSideBySide:
    @pytest.fixture
    def both(self, tmp_path):
        """Five pictures of 6x8 pixels, whose halves are 6x4."""
        pixels = noise(5)
        for number, picture in enumerate(pixels):
            save(tmp_path / "both" / f"{number}.png", picture)
        return pixels

    @pytest.mark.parametrize("input_half", ["left", "right"])
    def test_the_halves(self, tmp_path, both, load_pairs, input_half):
        dataset = load_pairs(tmp_path / "both", input_half=input_half)
        assert isinstance(dataset, PairedDataset)
        halves = {"left": both[:, :, :4], "right": both[:, :, 4:]}
        np.testing.assert_array_equal(dataset.inputs.images, halves.pop(input_half))
        np.testing.assert_array_equal(dataset.targets.images, *halves.values())
        inputs, targets = dataset[0]
        assert inputs.shape == targets.shape == (2, 6, 4, 3)

    def test_they_are_memory_maps_and_decoded_once(self, tmp_path, both, load_pairs, monkeypatch):
        dataset = load_pairs(tmp_path / "both")
        for half in (dataset.inputs, dataset.targets):
            assert isinstance(half.images.base, np.memmap) or isinstance(half.images, np.memmap)
        monkeypatch.setattr(kgan.data._decoding, "decode_chunk", None)
        again = load_pairs(tmp_path / "both", input_half="right")
        np.testing.assert_array_equal(again.targets.images, dataset.inputs.images)

    def test_halves_are_cut_before_they_are_resized(self, tmp_path, load_pairs):
        pixels = np.zeros((16, 32, 3), np.uint8)
        pixels[:, 16:] = 255
        for name in ("1.png", "1.jpg"):
            save(tmp_path / name.replace(".", "") / name, pixels)
        for name in ("1png", "1jpg"):
            dataset = load_pairs(tmp_path / name, 4, batch_size=1)
            assert (dataset.inputs.images == 0).all()
            assert (dataset.targets.images == 255).all()
            assert dataset.inputs.images.shape == (1, 4, 4, 3)

    def test_a_jpeg_of_the_size_of_a_half_is_cut_too(self, tmp_path, load_pairs):
        pixels = np.zeros((16, 16, 3), np.uint8)
        pixels[:, 8:] = 255
        save(tmp_path / "both" / "1.jpg", pixels)
        dataset = load_pairs(tmp_path / "both", 16, batch_size=1, resize="stretch")
        assert (dataset.inputs.images == 0).all()
        assert (dataset.targets.images == 255).all()

    def test_each_half_has_its_channels(self, tmp_path, both, load_pairs):
        dataset = load_pairs(tmp_path / "both", input_channels=1)
        assert dataset.inputs.images.shape == (5, 6, 4, 1)
        assert dataset.targets.images.shape == (5, 6, 4, 3)
        luma = kgan.data.pairs.grey(both[:, :, :4]).inputs
        assert np.abs(dataset.inputs.images.astype(int) - luma).max() <= 1
        grey = load_pairs(tmp_path / "both", channels=1)
        assert grey.inputs.images.shape == grey.targets.images.shape == (5, 6, 4, 1)

    def test_an_odd_width_names_the_pictures(self, tmp_path, both, load_pairs):
        save(tmp_path / "both" / "odd.png", noise(1, 6, 9)[0])
        with pytest.raises(ValueError, match=r"odd\.png: an odd width of 9 pixels"):
            load_pairs(tmp_path / "both", 4)

    def test_other_options(self, tmp_path, both, load_pairs):
        dataset = load_pairs(
            tmp_path / "both", horizontal_flip=True, crop=(3, 3), input_value_range=(0, 1)
        )
        assert dataset.inputs.horizontal_flip
        assert dataset.targets.crop == (3, 3)
        assert dataset.inputs.value_range == (0, 1)
        with pytest.raises(ValueError, match=r"`input_half`.*'lef'.*left"):
            load_pairs(tmp_path / "both", input_half="lef")
        with pytest.raises(TypeError, match="on_unreadable"):
            load_pairs(tmp_path / "both", on_unreadable="skip")
        with pytest.raises(FileNotFoundError, match="nowhere"):
            load_pairs(tmp_path / "nowhere")

    def test_one_pair_in_a_batch_of_one(self, tmp_path, load_pairs):
        save(tmp_path / "one" / "1.png", noise(1)[0])
        inputs, targets = load_pairs(tmp_path / "one", batch_size=1)[0]
        assert inputs.shape == targets.shape == (1, 6, 4, 3)


class TestTwoFolders:
    # In the order of the files, "1.k.png" comes after "1.png" and before "1.jpg".
    NAMES = ("0", "1", "1.k", "deep/2", "deep/2-b")

    @pytest.fixture
    def folder(self, tmp_path):
        """Five sketches in grey and their photographs, whose files differ in their extensions."""
        for name, picture in zip(self.NAMES, noise(5, channels=1), strict=True):
            save(tmp_path / "set" / "sketches" / f"{name}.png", picture)
            colour = np.repeat(255 - picture[..., None], 3, axis=-1)
            save(tmp_path / "set" / "photos" / f"{name}.bmp", colour)
        (tmp_path / "set" / "photos" / "1.bmp").rename(tmp_path / "set" / "photos" / "1.gif")
        return tmp_path / "set"

    def test_partners_have_the_same_name(self, folder, load_pairs):
        Image.open(folder / "photos" / "1.gif").save(folder / "photos" / "1.jpg", "bmp")
        (folder / "photos" / "1.gif").unlink()
        dataset = load_pairs(folder, folders=("sketches", "photos"), drop_remainder=False)
        assert dataset.inputs.images.shape == (5, 6, 8, 1)
        assert dataset.targets.images.shape == (5, 6, 8, 3)
        np.testing.assert_array_equal(dataset.inputs.images[..., 0], noise(5, channels=1))
        np.testing.assert_array_equal(
            np.broadcast_to(255 - dataset.inputs.images, (5, 6, 8, 3)), dataset.targets.images
        )
        swapped = load_pairs(folder, folders=("photos", "sketches"))
        np.testing.assert_array_equal(swapped.inputs.images, dataset.targets.images)

    def test_the_first_picture_without_a_partner_is_named(self, folder, load_pairs):
        (folder / "photos" / "deep" / "2.bmp").unlink()
        (folder / "photos" / "deep" / "2-b.bmp").unlink()
        with pytest.raises(
            ValueError, match=r"same name in .*photos.*none for .*sketches/deep/2\.png, and 1 more"
        ):
            load_pairs(folder, folders=("sketches", "photos"))
        with pytest.raises(ValueError, match=r"same name in .*photos.*sketches/deep/2\.png"):
            load_pairs(folder, folders=("photos", "sketches"))

    def test_two_pictures_of_one_name(self, folder, load_pairs):
        save(folder / "photos" / "0.png", noise(1)[0])
        with pytest.raises(ValueError, match=r"one picture of each name.*0\.bmp and .*0\.png"):
            load_pairs(folder, folders=("sketches", "photos"))

    def test_sizes_that_differ(self, folder, load_pairs):
        for name in self.NAMES:
            save(folder / "large" / f"{name}.png", noise(1, 12, 16)[0])
        with pytest.raises(ValueError, match=r"one height and width. Received: 6x8 and 12x16"):
            load_pairs(folder, folders=("sketches", "large"))
        assert load_pairs(folder, 4, folders=("sketches", "large"))[0][1].shape == (2, 4, 4, 3)

    def test_unreadable_pictures_are_named(self, folder, load_pairs):
        (folder / "photos" / "0.bmp").write_bytes(b"no picture")
        with pytest.raises(ValueError, match=r"0\.bmp(.|\n)*Remove them, or replace them"):
            load_pairs(folder, folders=("sketches", "photos"))

    @pytest.mark.parametrize("folders", ["ab", ("a",), ("a", "b", "c"), 3, ("a", 1)])
    def test_wrong_folders(self, folder, load_pairs, folders):
        with pytest.raises(ValueError, match="names of two folders"):
            load_pairs(folder, folders=folders)


class TestDomains:
    @pytest.fixture
    def folder(self, tmp_path):
        for name, count in (("trainA", 5), ("trainB", 3), ("testA", 2), ("testB", 2)):
            for number, picture in enumerate(noise(count)):
                save(tmp_path / "horses" / name / f"{number}.png", picture)
        return tmp_path / "horses"

    def test_the_two_folders(self, folder, load_domains):
        dataset = load_domains(folder)
        assert isinstance(dataset, UnpairedDataset)
        np.testing.assert_array_equal(dataset.a.images, noise(5))
        np.testing.assert_array_equal(dataset.b.images, noise(5)[:3])
        test = load_domains(folder, folders=("testA", "testB"), horizontal_flip=True)
        assert len(test.a.images) == len(test.b.images) == 2
        assert test.b.horizontal_flip

    def test_wrong_folders(self, folder, load_domains, tmp_path):
        with pytest.raises(FileNotFoundError, match="valA"):
            load_domains(folder, folders=("valA", "valB"))
        (folder / "empty").mkdir()
        with pytest.raises(ValueError, match="Received: an empty folder"):
            load_domains(folder, folders=("trainA", "empty"))
        with pytest.raises(ValueError, match=r"5 in a, 3 in b and batch_size=4"):
            load_domains(folder, batch_size=4)
        save(folder / "large" / "1.png", noise(1, 12, 16)[0])
        with pytest.raises(ValueError, match="Received: 6x8 and 12x16 pixels"):
            load_domains(folder, folders=("trainA", "large"), batch_size=1)
        assert load_domains(folder, 4, folders=("trainA", "large"), batch_size=1)[0][1].shape == (
            1,
            4,
            4,
            3,
        )

    def test_a_domain_of_one_picture(self, folder, load_domains):
        save(folder / "one" / "1.png", noise(1)[0])
        dataset = load_domains(folder, folders=("trainA", "one"), batch_size=1)
        assert len(dataset) == 5
        for _, b in dataset:
            np.testing.assert_array_equal(b, noise(1))

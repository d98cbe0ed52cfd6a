"""Folders of pictures: classes, the cache and its interruptions, and folders that are not right."""

import contextlib
import errno
import io
import os
import pathlib
import resource
import shutil
import threading
import time

import numpy as np
import pytest
from PIL import Image

import kgan
from kgan._files import held
from kgan.data import _decoders, _picture_cache, image_folder

pytestmark = pytest.mark.backend_free


def _draw(path, level, size=(4, 6), mode="L"):
    """Writes a picture of one level."""
    path.parent.mkdir(parents=True, exist_ok=True)
    colour = level if mode == "L" else (level, 0, 0)
    Image.new(mode, size[::-1], colour).save(path)


@pytest.fixture
def folder(tmp_path):
    """Two classes of five and three pictures, of levels that tell them apart."""
    for number in range(5):
        _draw(tmp_path / "pets" / "cats" / f"{number}.png", 20 + number)
    for number in range(3):
        _draw(tmp_path / "pets" / "dogs" / f"{number}.png", 30 + number)
    return tmp_path / "pets"


@pytest.fixture
def load(tmp_path):
    """Loads with a cache of its own."""

    def load(directory, image_size=None, **options):
        options = {"cache_dir": tmp_path / "cache", "batch_size": 1, "verbose": False, **options}
        return kgan.data.load_image_folder(directory, image_size, **options)

    return load


@pytest.fixture
def small_chunks(monkeypatch):
    """Two pictures in a chunk, and a journal that is written at once."""
    monkeypatch.setattr(_picture_cache, "_MOST_IN_CHUNK", 2)
    monkeypatch.setattr(_picture_cache, "_SECONDS_BETWEEN_SYNCS", -1.0)


@pytest.fixture(params=["here", "elsewhere"])
def processes(request, monkeypatch):
    """Has this process decode everything, or another one everything. Returns `processes`."""
    count = 1
    if request.param == "elsewhere":
        count = 2
        monkeypatch.setattr(_decoders, "_decode_here", lambda *arguments: None)
    monkeypatch.setattr(_picture_cache, "_processes", lambda pictures: count)
    return count


def _levels(dataset):
    """The level of each picture, which all its pixels have."""
    images = dataset.images.reshape(len(dataset.images), -1)
    assert (images == images[:, :1]).all()
    return images[:, 0].tolist()


def _caches(tmp_path):
    return sorted(path.name for path in (tmp_path / "cache").iterdir())


class TestClasses:
    def test_folders_are_classes_in_the_order_of_their_names(self, folder, load):
        dataset = load(folder)
        assert dataset.class_names == ("cats", "dogs")
        assert dataset.num_classes == 2
        assert dataset.labels.tolist() == [0, 0, 0, 0, 0, 1, 1, 1]
        assert dataset.images.shape == (8, 4, 6, 1)
        assert _levels(dataset) == [20, 21, 22, 23, 24, 30, 31, 32]

    def test_pictures_without_folders_have_no_labels(self, folder, load):
        dataset = load(folder / "cats")
        assert dataset.labels is None
        assert dataset.class_names is None
        assert _levels(dataset) == [20, 21, 22, 23, 24]

    def test_deeper_folders_belong_to_the_class_above(self, folder, load):
        _draw(folder / "cats" / "tabby" / "young" / "0.png", 50)
        _draw(folder / "cats" / "2b.png", 51)
        dataset = load(folder)
        assert dataset.class_names == ("cats", "dogs")
        assert _levels(dataset) == [20, 21, 22, 51, 23, 24, 50, 30, 31, 32]

    def test_both_layouts_are_an_error_that_names_a_file(self, folder, load):
        _draw(folder / "stray.png", 1)
        with pytest.raises(ValueError, match=r"stray\.png, which has no class"):
            load(folder)

    def test_labels_false_takes_all_pictures(self, folder, load):
        _draw(folder / "stray.png", 60)
        dataset = load(folder, labels=False)
        assert dataset.labels is None
        assert _levels(dataset) == [20, 21, 22, 23, 24, 30, 31, 32, 60]

    def test_a_folder_without_pictures_is_no_class_and_warns(self, folder, load):
        (folder / "birds").mkdir()
        with pytest.warns(kgan.data.DataWarning, match="none in birds") as caught:
            dataset = load(folder)
        assert caught[0].filename == __file__
        assert dataset.class_names == ("cats", "dogs")

    def test_class_names_number_the_classes(self, folder, load):
        dataset = load(folder, class_names=["dogs", "birds", "cats"])
        assert dataset.class_names == ("dogs", "birds", "cats")
        assert dataset.num_classes == 3
        assert dataset.labels.tolist() == [0, 0, 0, 2, 2, 2, 2, 2]
        assert _levels(dataset) == [30, 31, 32, 20, 21, 22, 23, 24]

    def test_folders_outside_class_names_are_an_error(self, folder, load):
        with pytest.raises(ValueError, match="Received: dogs"):
            load(folder, class_names=["cats"])
        with pytest.raises(ValueError, match="Leave class_names out"):
            load(folder / "cats", class_names=["cats"])

    def test_hidden_and_other_files_are_left_out(self, folder, load):
        for name in (
            ".DS_Store",
            "Thumbs.db",
            "cats/.hidden.png",
            "cats/notes.txt",
            "dogs/._0.png",
        ):
            (folder / name).write_bytes(b"no picture")
        _draw(folder / ".cache" / "0.png", 1)
        (folder / "__MACOSX" / "cats").mkdir(parents=True)
        (folder / "__MACOSX" / "cats" / "._0.png").write_bytes(b"no picture")
        assert len(load(folder).images) == 8

    def test_extensions_are_read_in_any_case_and_the_content_decides(self, tmp_path, load):
        buffer = io.BytesIO()
        Image.new("L", (3, 3), 40).save(buffer, "PNG")
        (tmp_path / "p").mkdir()
        for name in ("a.JPG", "b.Jpeg", "c.gif", "d.webp", "e.bmp"):
            (tmp_path / "p" / name).write_bytes(buffer.getvalue())
        assert _levels(load(tmp_path / "p")) == [40] * 5

    def test_links_are_followed(self, folder, tmp_path, load):
        _draw(tmp_path / "elsewhere" / "0.png", 70)
        (folder / "birds").symlink_to(tmp_path / "elsewhere")
        (folder / "cats" / "9.png").symlink_to(tmp_path / "elsewhere" / "0.png")
        dataset = load(folder)
        assert dataset.class_names == ("birds", "cats", "dogs")
        assert _levels(dataset)[:7] == [70, 20, 21, 22, 23, 24, 70]


class TestPixels:
    def test_image_size_resizes(self, folder, load):
        assert load(folder, 8).images.shape == (8, 8, 8, 1)
        assert load(folder, (2, 3)).images.shape == (8, 2, 3, 1)

    def test_without_a_size_all_pictures_have_one(self, folder, load):
        _draw(folder / "cats" / "3.png", 1, size=(9, 5))
        with pytest.raises(ValueError, match="image_size=None") as caught:
            load(folder)
        assert "pictures from 4x5 to 9x6 pixels" in str(caught.value)
        assert "image_size=64" in str(caught.value)

    def test_resize_none_names_the_picture(self, folder, load):
        with pytest.raises(ValueError, match=r"cats/0\.png of 4x6 pixels"):
            load(folder, 8, resize="none")

    def test_channels_are_1_only_if_all_pictures_are_grey(self, folder, load, small_chunks):
        assert load(folder).images.shape[3] == 1
        _draw(folder / "dogs" / "1.png", 90, mode="RGB")
        dataset = load(folder)
        assert dataset.images.shape[3] == 3
        expected = np.repeat([20, 21, 22, 23, 24, 30, 0, 32], 3).reshape(8, 3)
        expected[6] = 90, 0, 0
        np.testing.assert_array_equal(dataset.images[:, 0, 0], expected)
        assert load(folder, channels=1).images[6, 0, 0, 0] == round(0.299 * 90)
        assert load(folder / "cats", channels=3).images.shape[3] == 3

    def test_options_of_the_dataset_are_passed_on(self, folder, load):
        dataset = load(folder, batch_size=4, seed=3, value_range=(0, 1), workers=2)
        assert (dataset.batch_size, dataset.seed, dataset.workers) == (4, 3, 2)
        images, labels = dataset[0]
        assert images.shape == (4, 4, 6, 1)
        assert labels.shape == (4,)

    def test_processes_do_not_change_the_images(self, folder, load, small_chunks, processes):
        for number in range(20):
            _draw(folder / "rest" / f"{number:02}.jpg", 100 + number)
        dataset = load(folder, (3, 2), resize="pad", background=(9, 9, 9), processes=processes)
        assert dataset.images.shape == (28, 3, 2, 1)
        np.testing.assert_array_equal(dataset.images[:, 0], np.full((28, 2, 1), 9))
        expected = [20, 21, 22, 23, 24, 30, 31, 32, *range(100, 120)]
        assert dataset.images[:, 1, 0, 0].tolist() == expected

    def test_several_processes_share_the_work(self, folder, load, small_chunks, count_decoded):
        expected = [20, 21, 22, 23, 24, 30, 31, 32]
        for number in range(400):
            _draw(folder / "rest" / f"{number:03}.png", number // 2)
            expected.append(number // 2)
        assert _levels(load(folder, processes=3)) == expected


@pytest.fixture
def count_decoded(monkeypatch):
    """Counts the pictures that are decoded."""
    decoded = []
    real = _decoders._decoding.decode_chunk

    def decode_chunk(pictures, *others):
        decoded.extend(pathlib.Path(picture.path).name for picture in pictures)
        return real(pictures, *others)

    monkeypatch.setattr(_decoders._decoding, "decode_chunk", decode_chunk)
    return decoded


class TestCache:
    def test_images_are_a_read_only_map_of_a_npy_file(self, folder, tmp_path, load):
        dataset = load(folder)
        (cache,) = _caches(tmp_path)
        array = np.load(tmp_path / "cache" / cache / "images.npy")
        np.testing.assert_array_equal(array, dataset.images)
        assert not dataset.images.flags.writeable
        assert isinstance(dataset.images.base, np.memmap)

    def test_the_second_load_decodes_nothing(self, folder, load, count_decoded):
        first = load(folder)
        assert len(count_decoded) == 8
        second = load(folder)
        assert len(count_decoded) == 8
        np.testing.assert_array_equal(first.images, second.images)
        assert second.labels.tolist() == first.labels.tolist()

    def test_other_options_have_their_own_cache(self, folder, tmp_path, load):
        load(folder)
        load(folder, 8)
        load(folder, 8, resize="pad")
        load(folder, 8, resize="pad", background=(0, 0, 0))
        assert len(_caches(tmp_path)) == 4

    def test_changed_pictures_are_decoded_and_the_old_cache_goes(self, folder, tmp_path, load):
        load(folder)
        before = _caches(tmp_path)
        status = (folder / "cats" / "0.png").stat()
        _draw(folder / "cats" / "0.png", 99)
        # As a program does that keeps times; the size is the same, too.
        assert (folder / "cats" / "0.png").stat().st_size == status.st_size
        os.utime(folder / "cats" / "0.png", ns=(status.st_atime_ns, status.st_mtime_ns))
        assert _levels(load(folder))[0] == 99
        after = _caches(tmp_path)
        assert len(after) == 1
        assert after != before

    @pytest.mark.parametrize("file", ["images.npy", "index.json"])
    @pytest.mark.parametrize("damage", ["cut", "removed"])
    def test_a_damaged_cache_is_made_again(self, folder, tmp_path, load, file, damage):
        load(folder)
        path = tmp_path / "cache" / _caches(tmp_path)[0] / file
        content = path.read_bytes()
        path.unlink()
        if damage == "cut":
            path.write_bytes(content[:-1])
        assert _levels(load(folder)) == [20, 21, 22, 23, 24, 30, 31, 32]
        assert path.read_bytes() == content

    def test_the_default_is_in_the_cache_of_keras(self, folder, tmp_path, monkeypatch):
        monkeypatch.setenv("KERAS_HOME", str(tmp_path / "home"))
        kgan.data.load_image_folder(folder, batch_size=1, verbose=False)
        (cache,) = (tmp_path / "home" / "datasets" / "kgan" / "image_folders").iterdir()
        assert cache.name.startswith("pets-")

    def test_the_size_is_printed_before(self, folder, load, capsys):
        for number in range(40):
            _draw(folder / "cats" / f"more{number}.png", number)
        load(folder, 100, verbose=True)
        printed = capsys.readouterr().out
        assert printed.startswith(
            f"Decoding 48 pictures of {folder} once, as 100x100x1: 480.1 kB in"
        )

    def test_nothing_is_printed_if_not_verbose(self, folder, load, capsys):
        load(folder)
        assert capsys.readouterr() == ("", "")

    def test_another_process_is_waited_for(self, folder, tmp_path, load, capsys, count_decoded):
        load(folder)
        (cache,) = (tmp_path / "cache").iterdir()
        aside = cache.rename(tmp_path / "aside")
        partial = cache.with_name(cache.name + ".partial")
        partial.mkdir()
        count_decoded.clear()
        loaded = []
        with held(partial):  # as by another process that decodes
            thread = threading.Thread(target=lambda: loaded.append(load(folder, verbose=True)))
            thread.start()
            while "Waiting" not in capsys.readouterr().out:
                assert thread.is_alive()
                time.sleep(0.01)
            assert not loaded
            aside.rename(cache)
        thread.join(60)
        assert _levels(loaded[0]) == [20, 21, 22, 23, 24, 30, 31, 32]
        assert not count_decoded
        assert _caches(tmp_path) == [cache.name]


@contextlib.contextmanager
def interrupted(after):
    """Interrupts decoding in the block, after so many chunks."""
    real = _picture_cache.decode_chunks

    def decode_chunks(*arguments):
        for number, done in enumerate(real(*arguments)):
            if number == after:
                raise KeyboardInterrupt
            yield done

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_picture_cache, "decode_chunks", decode_chunks)
        with pytest.raises(KeyboardInterrupt):
            yield


class TestInterruptions:
    def test_a_build_resumes(self, folder, tmp_path, load, small_chunks, capsys, processes):
        with interrupted(after=2):
            load(folder, processes=processes)
        (partial,) = _caches(tmp_path)
        assert partial.endswith(".partial")
        dataset = load(folder, processes=processes, verbose=True)
        printed = capsys.readouterr().out
        assert "Decoding 4 pictures" in printed
        assert "4 were decoded before" in printed
        assert _levels(dataset) == [20, 21, 22, 23, 24, 30, 31, 32]
        assert _caches(tmp_path) == [partial.removesuffix(".partial")]

    def test_a_journal_that_was_cut_off_loses_one_chunk(
        self, folder, tmp_path, load, small_chunks, count_decoded
    ):
        with interrupted(after=3):
            load(folder)
        journal = tmp_path / "cache" / _caches(tmp_path)[0] / "journal.jsonl"
        journal.write_bytes(journal.read_bytes()[:-3])
        count_decoded.clear()
        assert _levels(load(folder)) == [20, 21, 22, 23, 24, 30, 31, 32]
        assert len(count_decoded) == 4

    def test_gaps_that_were_half_closed_start_again(self, folder, tmp_path, load, monkeypatch):
        (folder / "cats" / "1.png").write_bytes(b"broken")
        real = _picture_cache._sync

        def stop(path):
            if path.name == "images.npy" and not (path.parent / "journal.jsonl").exists():
                raise KeyboardInterrupt
            real(path)

        with monkeypatch.context() as patch:
            patch.setattr(_picture_cache, "_sync", stop)
            with pytest.raises(KeyboardInterrupt):
                load(folder, on_unreadable="skip")
        with pytest.warns(kgan.data.DataWarning, match="left out"):
            dataset = load(folder, on_unreadable="skip")
        assert _levels(dataset) == [20, 22, 23, 24, 30, 31, 32]

    def test_a_full_disk_is_an_error_and_the_build_resumes(
        self, folder, tmp_path, load, small_chunks, monkeypatch, processes
    ):
        # Anyone can set the size at which files end. The header fits, not the pixels.
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        load(folder, 64, channels=1)
        (cache,) = (tmp_path / "cache").iterdir()
        expected = (cache / "images.npy").read_bytes()
        plan = _picture_cache._Build._begin

        def limited(build):
            made = plan(build)
            resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, before[1]))
            return made

        shutil.rmtree(cache)
        with monkeypatch.context() as patch:
            patch.setattr(_picture_cache._Build, "_begin", limited)
            with pytest.raises(OSError, match=r"images\.npy"):
                load(folder, 64, channels=1, processes=processes)
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
        load(folder, 64, channels=1)
        assert (cache / "images.npy").read_bytes() == expected

    def test_a_disk_with_too_little_space_is_found_before(self, folder, load, monkeypatch):
        monkeypatch.setattr(
            _picture_cache.shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(1, 1, 319)
        )
        with pytest.raises(OSError, match=r"320 bytes|0\.3 kB") as caught:
            load(folder)
        assert caught.value.errno == errno.ENOSPC

    def test_a_process_that_dies_is_an_error_that_names_pictures(
        self, folder, load, small_chunks, monkeypatch
    ):
        monkeypatch.setattr(_decoders, "_decode_here", lambda *arguments: None)
        start = _decoders._START.replace("module.main()", "sys.stdin.buffer.read(1); sys.exit(3)")
        monkeypatch.setattr(_decoders, "_START", start)
        with pytest.raises(RuntimeError, match=r"status 3, at one of .*\.png to .*\.png"):
            load(folder, processes=2)

    def test_a_picture_that_changes_meanwhile_is_an_error(
        self, folder, tmp_path, load, small_chunks, monkeypatch, processes
    ):
        real = _picture_cache.decode_chunks

        def decode_chunks(*arguments):
            _draw(folder / "dogs" / "2.png", 77)
            return real(*arguments)

        with monkeypatch.context() as patch:
            patch.setattr(_picture_cache, "decode_chunks", decode_chunks)
            with pytest.raises(ValueError, match=r"dogs/2\.png: it changed"):
                load(folder, processes=processes)
        assert all(name.endswith(".partial") for name in _caches(tmp_path))
        assert _levels(load(folder)) == [20, 21, 22, 23, 24, 30, 31, 77]
        assert len(_caches(tmp_path)) == 1


class TestUnreadable:
    @pytest.fixture
    def broken(self, folder):
        """Three of eleven pictures cannot be decoded."""
        for number in range(3):
            _draw(folder / "birds" / f"{number}.png", 10 + number)
        content = (folder / "cats" / "2.png").read_bytes()
        (folder / "cats" / "2.png").write_bytes(content[:-30])
        (folder / "birds" / "0.png").write_bytes(b"")
        (folder / "dogs" / "2.png").write_text("a text file")
        return folder

    NAMES = ("birds/0.png: the file is empty", "cats/2.png: ", "dogs/2.png: not a JPEG")

    def test_an_error_names_all(self, broken, load):
        with pytest.raises(ValueError, match="3 of 11 that cannot") as caught:
            load(broken)
        for name in self.NAMES:
            assert f"{broken}/{name}" in str(caught.value)

    def test_the_last_picture_is_left_out(self, folder, load):
        (folder / "dogs" / "2.png").write_bytes(b"broken")
        with pytest.warns(kgan.data.DataWarning, match="left out"):
            dataset = load(folder, on_unreadable="skip")
        assert _levels(dataset) == [20, 21, 22, 23, 24, 30, 31]

    def test_skip_leaves_them_out_with_a_warning(self, broken, load, small_chunks, processes):
        with pytest.warns(kgan.data.DataWarning, match="3 of 11 that cannot") as caught:
            dataset = load(broken, on_unreadable="skip", processes=processes)
        for name in self.NAMES:
            assert f"{broken}/{name}" in str(caught[0].message)
        assert _levels(dataset) == [11, 12, 20, 21, 23, 24, 30, 31]
        assert dataset.labels.tolist() == [0, 0, 1, 1, 1, 1, 2, 2]

    def test_the_choice_needs_no_second_decoding(self, broken, load, count_decoded):
        with pytest.raises(ValueError, match="3 of 11"):
            load(broken)
        assert len(count_decoded) == 11
        with pytest.warns(kgan.data.DataWarning, match="3 of 11"):
            load(broken, on_unreadable="skip")
        with pytest.raises(ValueError, match="3 of 11"):
            load(broken)
        assert len(count_decoded) == 11

    def test_ten_are_printed_and_all_are_in_a_file(self, folder, tmp_path, load):
        for number in range(12):
            (folder / "cats" / f"bad{number:02}.jpg").write_bytes(b"x")
        with pytest.raises(ValueError, match="12 of 20") as caught:
            load(folder)
        message = str(caught.value)
        assert message.count(".jpg: ") == 10
        assert "and 2 more" in message
        (cache,) = (tmp_path / "cache").iterdir()
        assert str(cache / "unreadable.txt") in message
        assert (cache / "unreadable.txt").read_text("utf-8").count(".jpg: ") == 12

    def test_only_unreadable_pictures_are_an_error(self, tmp_path, load):
        (tmp_path / "p").mkdir()
        (tmp_path / "p" / "a.jpg").write_bytes(b"x")
        for size in (None, 8):
            with pytest.raises(ValueError, match=r"1 files that cannot be decoded:\n .*a\.jpg"):
                load(tmp_path / "p", size, channels=size and 3, on_unreadable="skip")
        assert all(name.endswith(".partial") for name in _caches(tmp_path))

    def test_large_pictures_are_refused_by_their_headers(self, folder, load):
        _draw(folder / "cats" / "3.png", 1, size=(100, 100))
        with pytest.raises(
            ValueError, match=r"3\.png: 100 x 100 pixels, more than max_pixels=9,999"
        ):
            load(folder, 4, max_pixels=9_999)
        assert len(load(folder, 4, max_pixels=10_000).images) == 8


class TestBadFolders:
    def test_nothing_there(self, tmp_path, load):
        with pytest.raises(FileNotFoundError, match=f"{tmp_path}/absent, not found"):
            load(tmp_path / "absent")
        (tmp_path / "file.png").touch()
        with pytest.raises(ValueError, match=r"file\.png, a file"):
            load(tmp_path / "file.png")

    def test_no_pictures(self, tmp_path, load):
        (tmp_path / "p").mkdir()
        with pytest.raises(ValueError, match="Received: an empty folder"):
            load(tmp_path / "p")
        (tmp_path / "p" / "notes.txt").touch()
        (tmp_path / "p" / "cats").mkdir()
        with pytest.raises(ValueError, match=r"a folder with cats/, notes\.txt, without pictures"):
            load(tmp_path / "p")
        assert not (tmp_path / "cache").exists()

    def test_one_picture(self, tmp_path, load):
        _draw(tmp_path / "p" / "only.png", 33)
        assert _levels(load(tmp_path / "p")) == [33]
        with pytest.raises(ValueError, match="1 images and batch_size=2"):
            load(tmp_path / "p", batch_size=2)

    def test_a_loop_of_links_is_named(self, folder, load):
        (folder / "cats" / "again").symlink_to(folder)
        with pytest.raises(ValueError, match=r"/cats/again, a link to a folder"):
            load(folder)

    def test_a_link_to_itself_is_unreadable(self, folder, load):
        (folder / "cats" / "self.png").symlink_to(folder / "cats" / "self.png")
        with pytest.raises(ValueError, match=r"self\.png: Too many levels"):
            load(folder)

    def test_a_folder_that_cannot_be_read_is_named(self, folder, load, monkeypatch):
        real = os.scandir

        def scandir(path):
            if str(path).endswith("dogs"):  # root may read everything
                raise PermissionError(errno.EACCES, "Permission denied", path)
            return real(path)

        monkeypatch.setattr(image_folder.os, "scandir", scandir)
        with pytest.raises(PermissionError, match=r"can be read.*dogs"):
            load(folder)

    def test_names_that_are_not_utf_8(self, folder, load, small_chunks, processes):
        odd = os.fsdecode(b"\xff\xfebirds")
        (folder / odd).mkdir()
        for number in range(3):
            _draw(folder / "new.png", 80 + number)
            (folder / "new.png").rename(folder / odd / os.fsdecode(b"\xe9%d.png" % number))
        dataset = load(folder, processes=processes)
        assert dataset.class_names == ("cats", "dogs", "\\xff\\xfebirds")
        assert _levels(dataset)[8:] == [80, 81, 82]
        assert _levels(load(folder, processes=processes))[8:] == [80, 81, 82]
        (folder / odd / os.fsdecode(b"\xe90.png")).write_bytes(b"x")
        with pytest.raises(ValueError, match="cannot") as caught:
            load(folder)
        assert r"\xff\xfebirds/\xe90.png: not a" in str(caught.value)
        str(caught.value).encode("utf-8")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"image_size": 0}, "image_size=0"),
        ({"image_size": (4, 4, 3)}, r"image_size=\(4, 4, 3\)"),
        ({"channels": 4}, "channels=4"),
        ({"resize": "centre_crop"}, "Did you mean 'center_crop'"),
        ({"on_unreadable": "ignore"}, "on_unreadable='ignore'"),
        ({"background": (0, 0, 256)}, r"background=\(0, 0, 256\)"),
        ({"background": "white"}, "background='white'"),
        ({"max_pixels": 0}, "max_pixels=0"),
        ({"processes": 0}, "processes=0"),
    ],
)
def test_arguments_are_checked_before_anything_is_read(tmp_path, load, options, words):
    with pytest.raises(ValueError, match=words):
        load(tmp_path / "absent", **options)

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from kgan import images

pytestmark = pytest.mark.backend_free


def test_to_uint8_rounds_and_clips():
    values = np.array([-2.0, -1.0, -0.5, 0.0, 0.999, 1.0, 3.0, np.nan])
    np.testing.assert_array_equal(images.to_uint8(values), [0, 0, 64, 128, 255, 255, 255, 0])
    np.testing.assert_array_equal(images.to_uint8(np.array([0.0, 0.25, 1.0]), (0, 1)), [0, 64, 255])


def test_to_uint8_inverts_normalising_at_every_level():
    levels = np.arange(256, dtype="uint8")
    for low, high in ((-1.0, 1.0), (0.0, 1.0), (-3.0, 5.0)):
        floats = (low + levels / 255.0 * (high - low)).astype("float32")
        np.testing.assert_array_equal(images.to_uint8(floats, (low, high)), levels)


def test_grid_lays_out_row_by_row():
    tiles = np.arange(5, dtype="uint8")[:, None, None, None] * np.ones((1, 2, 3, 1), "uint8")
    grid = images.grid(tiles, columns=3, gap=1)
    assert grid.shape == (5, 11, 1)
    assert [grid[0, c, 0] for c in (0, 4, 8)] == [0, 1, 2]
    assert [grid[3, c, 0] for c in (0, 4, 8)] == [3, 4, 127]
    assert (grid[2] == 127).all()
    assert (grid[:, 3] == 127).all()


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((0, 2, 2, 1), "uint8"), "at least one"),
        (np.zeros((2, 2, 2), "uint8"), "shape"),
        (np.zeros((2, 2, 2, 4), "uint8"), "channels"),
        (np.zeros((2, 2, 2, 1), "int64"), "dtype int64"),
        (np.full((2, 2, 2, 1), 255.0), r"in \[-1, 1\].*from 255 to 255.*to_uint8"),
    ],
)
def test_grid_refuses(array, message):
    with pytest.raises(ValueError, match=message):
        images.grid(array)


def test_paired_grid_has_rows_of_first_and_second_images():
    first, second = (
        np.array(levels, "uint8")[:, None, None, None] * np.ones((1, 2, 3, 1), "uint8")
        for levels in ((1, 2, 3), (11, 12, 13))
    )
    grid = images.paired_grid(first, second, columns=2, gap=1)
    assert grid.shape == (4 * 3 - 1, 2 * 4 - 1, 1)
    assert grid[::3, ::4, 0].tolist() == [[1, 2], [11, 12], [3, 127], [13, 127]]
    np.testing.assert_array_equal(images.paired_grid(first[:1], second[:1]).shape, (6, 3, 1))
    with pytest.raises(ValueError, match=r"shapes \(3, 2, 3, 1\), \(2, 2, 3, 1\)"):
        images.paired_grid(first, second[:2])
    with pytest.raises(ValueError, match="at least one image"):
        images.paired_grid(first[:0], second[:0])
    with pytest.raises(ValueError, match="shapes of none"):
        images.paired_grid()


def test_paired_grid_takes_any_number_of_rows_and_makes_grey_ones_coloured():
    grey = np.full((2, 2, 2, 1), 10, "uint8")
    coloured = np.arange(3, dtype="uint8") * np.ones((2, 2, 2, 1), "uint8")
    grid = images.paired_grid(grey, coloured, grey + 10, columns=1, gap=0)
    assert grid.shape == (2 * 3 * 2, 2, 3)
    rows = [[10] * 3, [0, 1, 2], [20] * 3]
    assert grid[::2, 0].tolist() == rows + rows


@pytest.mark.parametrize("channels", [1, 3])
def test_png_round_trip(tmp_path, channels):
    picture = np.random.default_rng(0).integers(0, 256, (5, 7, channels), dtype="uint8")
    images.save_png(tmp_path / "new" / "a.png", picture)
    np.testing.assert_array_equal(images.load_picture(tmp_path / "new" / "a.png"), picture)
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["a.png"]


def test_png_bytes_are_those_of_the_file(tmp_path):
    picture = np.arange(12, dtype="uint8").reshape(2, 2, 3)
    images.save_png(tmp_path / "a.png", picture)
    assert images.png_bytes(picture) == (tmp_path / "a.png").read_bytes()


def test_gif_holds_every_frame(tmp_path):
    frames = [np.full((4, 4, 1), level, "uint8") for level in (0, 100, 200)]
    images.save_gif(tmp_path / "a.gif", frames)
    with Image.open(tmp_path / "a.gif") as film:
        assert film.n_frames == 3
        levels = []
        for index in range(3):
            film.seek(index)
            levels.append(int(np.asarray(film.convert("L"))[0, 0]))
    assert levels == [0, 100, 200]


def test_scale_makes_a_square_of_each_pixel_and_leaves_gaps():
    tiles = np.arange(8, dtype="uint8").reshape(2, 2, 2, 1)
    grid = images.grid(tiles, columns=2, gap=1, scale=3)
    assert grid.shape == (6, 13, 1)
    np.testing.assert_array_equal(grid[:, :6, 0], np.kron(tiles[0, ..., 0], np.ones((3, 3))))
    np.testing.assert_array_equal(grid[:, 7:, 0], np.kron(tiles[1, ..., 0], np.ones((3, 3))))
    assert (grid[:, 6] == 127).all()
    np.testing.assert_array_equal(np.asarray(images.show(tiles, 2, 1, scale=3)), grid[..., 0])


@pytest.mark.parametrize("shape", [(2, 3), (2, 3, 1), (2, 3, 3)])
def test_scale_of_a_picture_and_of_frames(tmp_path, shape):
    picture = np.arange(np.prod(shape), dtype="uint8").reshape(shape)
    expected = picture.repeat(4, axis=0).repeat(4, axis=1)
    assert np.array_equal(np.asarray(images.show(picture, scale=4)), expected.squeeze())
    images.save_gif(tmp_path / "a.gif", [picture, picture + 100], scale=4)
    with Image.open(tmp_path / "a.gif") as film:
        assert film.n_frames == 2
        found = np.asarray(film.convert("RGB"))
    assert np.array_equal(found, np.broadcast_to(expected.reshape(8, 12, -1), (8, 12, 3)))


def test_scale_of_paths(tmp_path):
    paths = np.arange(2 * 3 * 4, dtype="uint8").reshape(2, 3, 2, 2, 1)
    images.save_gif(tmp_path / "a.gif", paths, scale=2)
    with Image.open(tmp_path / "a.gif") as film:
        assert film.n_frames == 3
        film.seek(1)
        expected = images.grid(paths[:, 1], scale=2)[..., 0]
        assert np.array_equal(np.asarray(film.convert("L")), expected)


@pytest.mark.parametrize("scale", [0, -1, 1.5, "2"])
def test_scale_is_a_whole_number_of_at_least_1(tmp_path, scale):
    tiles = np.zeros((2, 4, 4, 1), "uint8")
    for draw in (
        lambda: images.grid(tiles, scale=scale),
        lambda: images.show(tiles[0], scale=scale),
        lambda: images.save_gif(tmp_path / "a.gif", tiles, scale=scale),
    ):
        with pytest.raises(ValueError, match="scale"):
            draw()


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "a.png"
    images.save_png(path, np.zeros((2, 2, 1), "uint8"))
    before = path.read_bytes()

    def half(self, data):
        with self.open("wb") as file:
            file.write(data[: len(data) // 2])
        raise OSError("no space left")

    monkeypatch.setattr(Path, "write_bytes", half)
    with pytest.raises(OSError, match="no space left"):
        images.save_png(path, np.ones((2, 2, 1), "uint8"))
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


# ---- floats --------------------------------------------------------------------------------------


def as_floats(pictures):
    return pictures.astype("float32") / 127.5 - 1.0


@pytest.fixture
def pictures():
    return np.random.default_rng(0).integers(0, 256, (6, 5, 7, 3), dtype="uint8")


def film_frames(path):
    with Image.open(path) as film:
        frames = []
        for index in range(film.n_frames):
            film.seek(index)
            frames.append(np.asarray(film.convert("L")))
    return np.stack(frames)


def test_every_function_takes_floats_as_the_pictures_that_they_are(tmp_path, pictures):
    floats = as_floats(pictures)
    np.testing.assert_array_equal(images.grid(floats), images.grid(pictures))
    np.testing.assert_array_equal(
        images.paired_grid(floats, floats[::-1]), images.paired_grid(pictures, pictures[::-1])
    )
    np.testing.assert_array_equal(
        images.paired_grid(floats, pictures), images.paired_grid(pictures, pictures)
    )
    assert images.png_bytes(floats[0]) == images.png_bytes(pictures[0])
    assert images.show(floats).tobytes() == images.show(pictures).tobytes()
    for name, picture in (("a", floats[0]), ("b", pictures[0])):
        images.save_png(tmp_path / f"{name}.png", picture)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    for name, frames in (("a", floats), ("b", list(pictures)), ("c", list(floats))):
        images.save_gif(tmp_path / f"{name}.gif", frames)
    assert (tmp_path / "a.gif").read_bytes() == (tmp_path / "b.gif").read_bytes()
    assert (tmp_path / "a.gif").read_bytes() == (tmp_path / "c.gif").read_bytes()


def test_a_film_of_paths_has_a_grid_of_all_paths_in_each_frame(tmp_path):
    levels = np.linspace(-1, 1, 6).reshape(2, 3, 1, 1, 1) * np.ones((1, 1, 4, 4, 1))
    images.save_gif(tmp_path / "paths.gif", levels)
    frames = film_frames(tmp_path / "paths.gif")
    assert frames.shape == (3, 4, 10)  # two paths are a grid of one row
    np.testing.assert_array_equal(frames[:, 0, 0], images.to_uint8(np.linspace(-1, 1, 6)[:3]))
    np.testing.assert_array_equal(frames[:, 0, 6], images.to_uint8(np.linspace(-1, 1, 6)[3:]))


def test_rounding_beyond_the_range_is_clipped():
    pixels = images.show(np.array([[1.002, -1.004]], "float32"))
    np.testing.assert_array_equal(np.asarray(pixels), [[255, 0]])


@pytest.mark.parametrize(
    ("picture", "message"),
    [
        (np.full((4, 4, 1), 1.5), "from 1.5 to 1.5"),
        (np.array([[np.nan, 0.0]]), "from nan to nan"),
        (np.array([[-np.inf, 0.0]]), "from -inf to 0"),
        (np.zeros((4, 4, 1), "int64"), "dtype int64"),
        (np.zeros((4, 4), bool), "dtype bool"),
        (np.zeros((4, 4, 2), "uint8"), r"shape \(4, 4, 2\)"),
        (np.zeros((1, 2, 4, 4, 1), "uint8")[0], r"grid` makes one.*shape \(2, 4, 4, 1\)"),
        (np.zeros((0, 4, 1), "uint8"), r"shape \(0, 4, 1\)"),
    ],
)
def test_other_pictures_are_refused_and_nothing_is_written(tmp_path, picture, message):
    for write in (
        lambda: images.save_png(tmp_path / "a.png", picture),
        lambda: images.save_gif(tmp_path / "a.gif", [picture, picture]),
        lambda: images.png_bytes(picture),
    ):
        with pytest.raises(ValueError, match=message):
            write()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "frames", [[], np.zeros((0, 4, 4, 1)), [np.zeros((4, 4, 1)), np.zeros((4, 5, 1))]]
)
def test_frames_of_no_film_are_refused(tmp_path, frames):
    with pytest.raises(ValueError, match="all of the same shape"):
        images.save_gif(tmp_path / "a.gif", frames)


# ---- show ----------------------------------------------------------------------------------------


def test_a_notebook_shows_pictures_grids_and_paths(pictures):
    grey = pictures[..., :1]
    for shown, expected in (
        (images.show(grey), images.grid(grey)[..., 0]),
        (images.show(pictures, columns=2, gap=1), images.grid(pictures, 2, 1)),
        (images.show(images.grid(grey)), images.grid(grey)[..., 0]),
        (images.show(grey[0, ..., 0]), grey[0, ..., 0]),
        (images.show(pictures[0]), pictures[0]),
        (images.show(pictures.reshape(2, 3, 5, 7, 3)), images.grid(pictures, columns=3)),
    ):
        np.testing.assert_array_equal(np.asarray(shown), expected)
        # What Jupyter displays.
        with Image.open(io.BytesIO(shown._repr_png_())) as displayed:
            np.testing.assert_array_equal(np.asarray(displayed), expected)


# ---- names of rows -------------------------------------------------------------------------------


@pytest.mark.parametrize("channels", [1, 3])
def test_rows_have_names_to_the_left_of_the_same_grid(channels):
    tiles = np.full((4, 28, 28, channels), 200, "uint8")
    plain = images.grid(tiles, columns=2)
    named = images.grid(tiles, columns=2, row_names=["7", "trouser"])
    width = named.shape[1] - plain.shape[1]
    assert width > 20
    np.testing.assert_array_equal(named[:, width:], plain)
    strip = named[:, :width]
    written = (strip != 127).any(axis=(1, 2))
    assert written[:28].any()
    assert written[30:].any()
    assert not written[28:30].any()
    # Both end at the same place, and the longer one begins further left.
    first, second = ((strip[rows] != 127).any(axis=(0, 2)) for rows in (slice(28), slice(30, 58)))
    assert np.flatnonzero(first)[0] > np.flatnonzero(second)[0]
    assert abs(np.flatnonzero(first)[-1] - np.flatnonzero(second)[-1]) <= 2


def test_different_names_look_different():
    tiles = np.zeros((1, 28, 28, 1), "uint8")
    drawn = {images.grid(tiles, row_names=[str(number)]).tobytes() for number in range(10)}
    assert len(drawn) == 10


def test_names_of_any_letters_can_be_drawn():
    tiles = np.zeros((2, 4, 4, 1), "uint8")  # lower than the letters
    assert images.grid(tiles, columns=1, row_names=["手", "éàü"]).shape[0] == 10


def test_each_row_has_one_name():
    with pytest.raises(ValueError, match="Expected 2 names"):
        images.grid(np.zeros((4, 4, 4, 1), "uint8"), columns=2, row_names=["a"])

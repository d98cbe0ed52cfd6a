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
        (np.zeros((2, 2, 2, 1)), "to_uint8"),
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
    with pytest.raises(ValueError, match=r"shapes \(3, 2, 3, 1\) and \(2, 2, 3, 1\)"):
        images.paired_grid(first, second[:2])
    with pytest.raises(ValueError, match="at least one image"):
        images.paired_grid(first[:0], second[:0])


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


def test_a_failed_write_leaves_the_old_file(tmp_path):
    path = tmp_path / "a.png"
    images.save_png(path, np.zeros((2, 2, 1), "uint8"))
    before = path.read_bytes()
    with pytest.raises(TypeError):
        images.save_png(path, np.zeros((2, 2, 1), "complex64"))
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]

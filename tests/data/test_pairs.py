"""Translation tasks: their values, and the hidden pairs of unpaired domains."""

import colorsys

import numpy as np
import pytest
from PIL import Image

import kgan
from kgan.data import PairedDataset, UnpairedDataset, pairs

pytestmark = pytest.mark.backend_free

DIGITS = kgan.data.load_digits("test").images
COLOURS = np.random.default_rng(0).integers(0, 256, (30, 8, 8, 3), np.uint8)
PAIRED = [pairs.outlines, pairs.small, pairs.hole]
UNPAIRED = [pairs.thin_and_thick, pairs.upright_and_slanted, pairs.colour_rule]


def dot(height=5, width=5):
    image = np.zeros((1, height, width), np.uint8)
    image[0, 2, 2] = 200
    return image


@pytest.mark.parametrize("task", PAIRED)
@pytest.mark.parametrize("images", [DIGITS, DIGITS[..., 0], COLOURS], ids=["N1", "N", "colour"])
def test_targets_are_the_images(task, images):
    made = task(images)
    np.testing.assert_array_equal(made.targets.reshape(images.shape), images)
    assert made.inputs.dtype == np.uint8
    assert made.inputs.shape[:3] == images.shape[:3]
    inputs, targets = PairedDataset(*made, batch_size=4, seed=0)[0]
    assert inputs.shape[:3] == targets.shape[:3]


def test_an_outline_is_the_edge_of_a_cross():
    expected = np.zeros((5, 5), np.uint8)
    for row, column in ((1, 2), (3, 2), (2, 1), (2, 3)):
        expected[row, column] = 200
    np.testing.assert_array_equal(pairs.outlines(dot()).inputs[0, ..., 0], expected)
    assert pairs.outlines(np.full((1, 4, 4), 9, np.uint8)).inputs.max() == 0
    corner = np.zeros((1, 3, 3), np.uint8)
    corner[0, 0, 0] = 7
    np.testing.assert_array_equal(
        pairs.outlines(corner).inputs[0, ..., 0], [[0, 7, 0], [7, 0, 0], [0, 0, 0]]
    )


def test_outlines_of_colour_are_those_of_its_luma():
    made = pairs.outlines(COLOURS)
    assert made.inputs.shape == (30, 8, 8, 1)
    np.testing.assert_array_equal(made.inputs, pairs.outlines(pairs.grey(COLOURS).inputs).inputs)


def test_small_images_hold_the_means_of_blocks():
    made = pairs.small(COLOURS, factor=4)
    blocks = COLOURS.reshape(30, 2, 4, 2, 4, 3).mean(axis=(2, 4))
    assert np.abs(made.inputs[:, ::4, ::4] - blocks).max() <= 0.5
    for shift in (1, 2, 3):
        np.testing.assert_array_equal(made.inputs[:, shift::4], made.inputs[:, ::4])
        np.testing.assert_array_equal(made.inputs[:, :, shift::4], made.inputs[:, :, ::4])
    levels = np.array([[[0, 1], [0, 1]], [[0, 0], [0, 1]], [[255, 255], [255, 255]]], np.uint8)
    assert pairs.small(levels, factor=2).inputs[:, 0, 0, 0].tolist() == [1, 0, 255]
    with pytest.raises(ValueError, match=r"factor=3 and images of 8x8 pixels"):
        pairs.small(COLOURS, factor=3)
    with pytest.raises(ValueError, match="`factor`"):
        pairs.small(COLOURS, factor=1)


def test_a_hole_is_in_the_centre():
    made = pairs.hole(COLOURS, level=77)
    inside = np.zeros((8, 8), bool)
    inside[2:6, 2:6] = True
    assert (made.inputs[:, inside] == 77).all()
    np.testing.assert_array_equal(made.inputs[:, ~inside], COLOURS[:, ~inside])
    assert not np.shares_memory(made.inputs, COLOURS)
    with pytest.raises(ValueError, match="level=256"):
        pairs.hole(COLOURS, level=256)


def test_grey_is_luma():
    many = np.random.default_rng(1).integers(0, 256, (2100, 2, 3, 3), np.uint8)
    made = pairs.grey(many)
    assert made.inputs.shape == (2100, 2, 3, 1)
    flat = many.reshape(-1, 3, 3)
    expected = np.asarray(Image.fromarray(flat).convert("L"))
    difference = np.abs(made.inputs.reshape(expected.shape).astype(int) - expected)
    assert difference.max() <= 1
    assert difference.mean() < 0.01  # rounding at halves
    with pytest.raises(ValueError, match=r"colour images.*\(297, 28, 28, 1\)"):
        pairs.grey(DIGITS)


@pytest.mark.parametrize("task", UNPAIRED)
def test_each_image_is_in_one_domain_and_partners_are_hidden(task):
    made = task(DIGITS, seed=3)
    rows = np.concatenate([made.rows_of_a, made.rows_of_b])
    np.testing.assert_array_equal(np.sort(rows), np.arange(len(DIGITS)))
    assert [len(each) for each in made] == [148, 149, 148, 149, 148, 149]
    assert made.a.shape[1:] == made.partners_of_b.shape[1:]
    # With the rows of another seed, the same image has the same two versions.
    if task is not pairs.colour_rule:  # whose hues depend on the seed
        other = task(DIGITS, seed=4)
        versions = dict(zip(other.rows_of_a.tolist(), other.partners_of_a, strict=True))
        both = [row for row in made.rows_of_b.tolist() if row in versions]
        assert both
        for row in both:
            expected = made.b[made.rows_of_b.tolist().index(row)]
            np.testing.assert_array_equal(versions[row], expected)
        assert (other.rows_of_a != made.rows_of_a).any()
    for each, again in zip(made, task(DIGITS, seed=3), strict=True):
        np.testing.assert_array_equal(each, again)
    a, b = UnpairedDataset(made.a, made.b, batch_size=4, seed=0)[0]
    assert a.shape == b.shape
    with pytest.raises(ValueError, match="Received: 1 image"):
        task(DIGITS[:1])
    with pytest.raises(ValueError, match="grey images"):
        task(COLOURS)
    with pytest.raises(ValueError, match="`seed`"):
        task(DIGITS, seed=-1)


def test_thick_strokes_are_dilated_thin_ones():
    made = pairs.thin_and_thick(DIGITS)
    np.testing.assert_array_equal(made.a, DIGITS[made.rows_of_a])
    np.testing.assert_array_equal(made.partners_of_b, DIGITS[made.rows_of_b])
    outline = pairs.outlines(DIGITS).inputs
    np.testing.assert_array_equal(made.b, made.partners_of_b + outline[made.rows_of_b])
    assert made.b.mean() > 1.3 * made.partners_of_b.mean()


def slant(images):
    """Columns to the right per row down, by second moments."""
    levels = images[..., 0].astype(float)
    row, column = np.mgrid[:28, :28]
    mass = levels.sum(axis=(1, 2))
    down = row - ((levels * row).sum(axis=(1, 2)) / mass)[:, None, None]
    right = column - ((levels * column).sum(axis=(1, 2)) / mass)[:, None, None]
    return (levels * down * right).sum(axis=(1, 2)) / (levels * down**2).sum(axis=(1, 2))


def test_upright_digits_have_no_slant_and_slanted_ones_half_a_column():
    made = pairs.upright_and_slanted(DIGITS)
    for upright, slanted in ((made.a, made.partners_of_a), (made.partners_of_b, made.b)):
        assert np.abs(slant(upright)).max() < 0.05
        np.testing.assert_allclose(slant(slanted), -0.5, atol=0.15)
        # Rows keep their ink, unless it leaves the image.
        ink = [each.sum(axis=(2, 3)).astype(int) for each in (upright, slanted)]
        assert np.median(np.abs(ink[0] - ink[1])) <= 4
    np.testing.assert_array_equal(pairs._sheared(dot()[..., None], 0.5), dot()[..., None])
    empty = np.zeros((1, 4, 4, 1), np.uint8)
    np.testing.assert_array_equal(pairs._sheared(empty, 0.5), empty)


def test_a_line_is_sheared_by_whole_columns():
    line = np.zeros((1, 5, 9, 1), np.uint8)
    line[:, :, 4] = 100
    sheared = pairs._sheared(line, 1.0)[0, ..., 0]
    for row in range(5):
        assert np.flatnonzero(sheared[row]).tolist() == [4 - (row - 2)]
        assert sheared[row].max() == 100


def test_colours_move_from_the_strokes_to_the_ground():
    made = pairs.colour_rule(DIGITS, seed=1)
    # Where the ink is full, or absent, the colour is that of the image.
    for ink, ground, rows in (
        (made.a, made.partners_of_a, made.rows_of_a),
        (made.partners_of_b, made.b, made.rows_of_b),
    ):
        strokes = DIGITS[rows]
        colour = ink.max(axis=(1, 2), keepdims=True) / strokes.max(axis=(1, 2), keepdims=True)
        assert np.abs(ink - strokes * colour).max() <= 1.01
        assert np.abs(ground - (255 - strokes) * colour).max() <= 2.01
        np.testing.assert_allclose(colour.max(axis=-1), 1)
        np.testing.assert_allclose(colour.min(axis=-1), 0)


def test_hues_are_those_of_hsv():
    hues = np.linspace(0, 6, 61)
    expected = [colorsys.hsv_to_rgb(hue / 6 % 1, 1, 1) for hue in hues]
    np.testing.assert_allclose(pairs._colours(hues), expected, atol=1e-6)


def test_chunks_do_not_change_the_images(monkeypatch):
    whole = [pairs.upright_and_slanted(DIGITS), pairs.colour_rule(DIGITS)]
    monkeypatch.setattr(pairs, "_AT_ONCE", 7)
    for before, after in zip(
        whole, [pairs.upright_and_slanted(DIGITS), pairs.colour_rule(DIGITS)], strict=True
    ):
        np.testing.assert_array_equal(before.a, after.a)
        np.testing.assert_array_equal(before.b, after.b)


def test_other_images_are_refused():
    for task in (*PAIRED, *UNPAIRED):
        with pytest.raises(ValueError, match="uint8 images"):
            task(DIGITS / 255)
    with pytest.raises(ValueError, match="1 or 3 channels"):
        pairs.outlines(np.zeros((2, 5, 5, 2), np.uint8))

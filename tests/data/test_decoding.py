"""One picture: bytes of every format and mode become uint8 pixels, or a clear reason."""

import io
import os
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from kgan.data import _decoding
from kgan.data._decoding import PictureError, PictureState, Target, decode_into

pytestmark = pytest.mark.backend_free

SIZE = (24, 32)  # height, width
GREEN = (0, 200, 0)


def _smooth(channels=3, size=SIZE):
    """Colours that change slowly, so that JPEG keeps them to a few levels."""
    rows, columns = np.meshgrid(*(np.linspace(0, 1, side) for side in size), indexing="ij")
    planes = [rows, columns, 1 - rows, 0.2 + 0.6 * columns][:channels]
    return np.round(np.stack(planes, -1) * 255).astype("uint8")


def _encoded(picture, kind="PNG", **options):
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def _decode(data, channels=3, size=SIZE, resize="none", **fields):
    options = {"background": (255, 255, 255), "max_pixels": 10_000, **fields}
    target = Target(*size, channels=channels, resize=resize, **options)
    out = np.full((*size, channels), 77, "uint8")
    with _decoding.quiet_pillow():
        decode_into(out, data, target)
    return out


def _reason(data, **options):
    with pytest.raises(PictureError) as caught:
        _decode(data, **options)
    return caught.value


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "BMP"])
def test_lossless_colours_are_exact(kind):
    pixels = _smooth()
    options = {"lossless": True} if kind == "WEBP" else {}
    data = _encoded(Image.fromarray(pixels), kind, **options)
    np.testing.assert_array_equal(_decode(data), pixels)


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"subsampling": 0}])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_a_jpeg_has_the_pixels_that_pillow_decodes(mode, channels, options):
    data = _encoded(Image.fromarray(_smooth()).convert(mode), "JPEG", quality=90, **options)
    expected = np.asarray(Image.open(io.BytesIO(data)).convert("L" if channels == 1 else "RGB"))
    np.testing.assert_array_equal(_decode(data, channels), expected.reshape(*SIZE, channels))


def test_grey_becomes_three_equal_channels():
    pixels = _smooth(1)
    decoded = _decode(_encoded(Image.fromarray(pixels[..., 0])))
    np.testing.assert_array_equal(decoded, np.repeat(pixels, 3, axis=2))


def test_sixteen_bits_are_rounded_to_eight():
    levels = np.array([[0, 128, 129, 257, 65535, 65406]], "uint16")
    data = _encoded(Image.fromarray(levels))
    decoded = _decode(data, 1, levels.shape)
    np.testing.assert_array_equal(decoded[..., 0], np.round(levels / 257).astype("uint8"))


def test_a_palette_becomes_its_colours():
    picture = Image.fromarray(_smooth()).quantize(16)
    expected = np.asarray(picture.convert("RGB"))
    for kind in ("PNG", "BMP", "GIF"):
        np.testing.assert_array_equal(_decode(_encoded(picture, kind)), expected)


def test_transparent_pixels_get_the_background():
    pixels = np.concatenate([_smooth(), np.full((*SIZE, 1), 255, "uint8")], axis=2)
    pixels[:5, :, 3] = 0
    pixels[5, :, 3] = 51  # a fifth
    decoded = _decode(_encoded(Image.fromarray(pixels)), background=GREEN)
    np.testing.assert_array_equal(decoded[:5], np.broadcast_to(GREEN, (5, SIZE[1], 3)))
    np.testing.assert_array_equal(decoded[6:], pixels[6:, :, :3])
    mixed = 0.2 * pixels[5, :, :3] + 0.8 * np.array(GREEN)
    np.testing.assert_allclose(decoded[5], mixed, atol=1)


def test_transparency_of_grey_and_of_palettes():
    grey = Image.merge("LA", [Image.new("L", (4, 4), 30), Image.new("L", (4, 4), 0)])
    palette = Image.new("P", (4, 4), 3)
    palette.putpalette([10] * 768)
    for data in (_encoded(grey), _encoded(palette, transparency=3)):
        np.testing.assert_array_equal(_decode(data, 1, (4, 4)), np.full((4, 4, 1), 255))
        decoded = _decode(data, 3, (4, 4), background=GREEN)
        np.testing.assert_array_equal(decoded, np.broadcast_to(GREEN, (4, 4, 3)))


def test_cmyk_is_converted_as_by_pillow():
    data = _encoded(Image.fromarray(_smooth()).convert("CMYK"), "JPEG", quality=95)
    decoded = _decode(data)
    np.testing.assert_allclose(decoded.astype(int), _smooth(), atol=12)


@pytest.mark.parametrize("kind", ["GIF", "WEBP"])
def test_a_film_gives_its_first_frame(kind):
    frames = [Image.new("RGB", (4, 4), colour) for colour in ("red", "blue")]
    options = {"lossless": True} if kind == "WEBP" else {}
    data = _encoded(frames[0], kind, save_all=True, append_images=frames[1:], **options)
    np.testing.assert_array_equal(_decode(data, 3, (4, 4)), np.broadcast_to((255, 0, 0), (4, 4, 3)))


# How the rows and columns of an upright picture are stored, for each value of the EXIF tag.
STORED = {
    1: lambda upright: upright,
    2: lambda upright: upright[:, ::-1],
    3: lambda upright: upright[::-1, ::-1],
    4: lambda upright: upright[::-1],
    5: lambda upright: upright.swapaxes(0, 1),
    6: lambda upright: upright.swapaxes(0, 1)[::-1],
    7: lambda upright: upright.swapaxes(0, 1)[::-1, ::-1],
    8: lambda upright: upright.swapaxes(0, 1)[:, ::-1],
}


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
@pytest.mark.parametrize("orientation", STORED)
def test_exif_turns_pictures_upright(orientation, kind):
    upright = _smooth()
    stored = Image.fromarray(np.ascontiguousarray(STORED[orientation](upright)))
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = _encoded(stored, kind, exif=exif, **({"quality": 95} if kind == "JPEG" else {}))
    np.testing.assert_allclose(_decode(data).astype(int), upright, atol=12)


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
class TestResizing:
    """An upright picture of 40x80 whose left, middle and right have one colour each."""

    @pytest.fixture
    def data(self, kind):
        pixels = np.zeros((40, 80, 3), "uint8")
        pixels[:, :16, 0] = pixels[:, 16:64, 1] = pixels[:, 64:, 2] = 240
        return _encoded(
            Image.fromarray(pixels), kind, **({"quality": 100} if kind == "JPEG" else {})
        )

    def test_center_crop_keeps_the_middle(self, data):
        decoded = _decode(data, size=(10, 10), resize="center_crop")
        np.testing.assert_allclose(decoded, np.broadcast_to((0, 240, 0), (10, 10, 3)), atol=9)

    def test_pad_adds_the_background(self, data):
        decoded = _decode(data, size=(10, 10), resize="pad", background=(9, 8, 7))
        for rows in (decoded[:2], decoded[7:]):
            np.testing.assert_array_equal(rows, np.broadcast_to((9, 8, 7), rows.shape))
        np.testing.assert_allclose(decoded[2:7, 0], np.broadcast_to((240, 0, 0), (5, 3)), atol=9)
        np.testing.assert_allclose(decoded[2:7, 9], np.broadcast_to((0, 0, 240), (5, 3)), atol=9)

    def test_stretch_keeps_everything(self, data):
        decoded = _decode(data, size=(10, 10), resize="stretch")
        np.testing.assert_allclose(decoded[:, 0], np.broadcast_to((240, 0, 0), (10, 3)), atol=9)
        np.testing.assert_allclose(decoded[:, 9], np.broadcast_to((0, 0, 240), (10, 3)), atol=9)

    def test_none_takes_no_other_size(self, data):
        error = _reason(data, size=(10, 10))
        assert (error.kind, error.reason) == (_decoding.OTHER_SIZE, "40x80 pixels")


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
@pytest.mark.parametrize("resize", ["center_crop", "pad", "stretch"])
def test_grey_is_that_of_the_resized_colours(resize, kind):
    data = _encoded(Image.fromarray(_smooth(size=(40, 80))), kind)
    colour = _decode(data, size=(9, 13), resize=resize)
    grey = _decode(data, 1, size=(9, 13), resize=resize)
    expected = colour @ np.array([0.299, 0.587, 0.114])
    np.testing.assert_allclose(grey[..., 0], expected, atol=2)


def test_resizing_averages_over_a_larger_picture():
    # A fine chequerboard: without antialiasing it would become black or white.
    board = np.indices((64, 64)).sum(0) % 2 * 255
    data = _encoded(Image.fromarray(board.astype("uint8")))
    decoded = _decode(data, 1, (8, 8), resize="center_crop")
    np.testing.assert_allclose(decoded, 127, atol=3)


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
@pytest.mark.parametrize("side", [200, 411, 640])
def test_a_much_larger_picture_is_resized_as_by_lanczos_alone(kind, side):
    grain = np.random.default_rng(0).integers(-20, 21, (side, side, 3))
    pixels = np.clip(_smooth(size=(side, side)).astype(int) + grain, 0, 255).astype("uint8")
    data = _encoded(Image.fromarray(pixels), kind, **({"quality": 95} if kind == "JPEG" else {}))
    whole = Image.open(io.BytesIO(data)).resize((32, 32), Image.Resampling.LANCZOS)
    decoded = _decode(data, size=(32, 32), resize="stretch", max_pixels=10**6)
    error = np.abs(decoded.astype(int) - np.asarray(whole))
    assert error.max() <= 4
    assert error.mean() < 0.6


@pytest.mark.parametrize("resize", ["center_crop", "pad", "stretch"])
@pytest.mark.parametrize("size", [(1, 97), (97, 1), (7, 7), (97, 31)])
def test_every_size_is_resized(size, resize):
    data = _encoded(Image.new("RGB", size[::-1], (1, 2, 3)))
    decoded = _decode(data, size=(13, 11), resize=resize, background=(1, 2, 3))
    np.testing.assert_array_equal(decoded, np.broadcast_to((1, 2, 3), (13, 11, 3)))


def _png_header(width, height):
    """A PNG that claims a size, and has no pixels."""

    def chunk(name, content):
        body = name + content
        return struct.pack(">I", len(content)) + body + struct.pack(">I", zlib.crc32(body))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", b"")


def test_a_bomb_is_refused_by_its_header():
    assert "100,000 x 1,000 pixels" in _reason(_png_header(100_000, 1_000)).reason
    jpeg = _encoded(Image.new("RGB", (200, 100)), "JPEG")
    assert _reason(jpeg).reason == "200 x 100 pixels, more than max_pixels=10,000"
    at = jpeg.index(b"\xff\xc0") + 5
    assert (
        "60,000 x 60,000"
        in _reason(jpeg[:at] + struct.pack(">HH", 60_000, 60_000) + jpeg[at + 4 :]).reason
    )


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF", "BMP"])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_a_truncated_file_is_unreadable(kind, share):
    noise = np.random.default_rng(0).integers(0, 256, (*SIZE, 3), dtype="uint8")
    data = _encoded(Image.fromarray(noise), kind)
    error = _reason(data[: int(len(data) * share)])
    assert error.kind == _decoding.UNREADABLE


@pytest.mark.parametrize(
    "data", [b"a text file called .jpg", b"\xff\xd8\xff", b"GIF89a", b"\0" * 100]
)
def test_files_that_are_no_pictures_are_unreadable(data):
    assert _reason(data).kind == _decoding.UNREADABLE


def test_other_formats_are_not_decoded():
    error = _reason(_encoded(Image.fromarray(_smooth()), "TIFF"))
    assert error.reason == "not a JPEG, PNG, WebP, GIF or BMP file"


def test_a_jpeg_with_harmless_extra_bytes_is_decoded():
    data = _encoded(Image.fromarray(_smooth()), "JPEG")
    np.testing.assert_array_equal(_decode(data[:-2] + b"xx" + data[-2:]), _decode(data))


def test_damaged_pixels_of_a_jpeg_are_unreadable():
    noise = np.random.default_rng(0).integers(0, 256, (*SIZE, 3), dtype="uint8")
    data = _encoded(Image.fromarray(noise), "JPEG", quality=95)
    middle = len(data) // 2
    error = _reason(data[:middle] + b"\xff\xd9" + data[middle:])
    assert error.kind == _decoding.UNREADABLE


def test_colour_is_found_for_a_grey_target():
    colour, grey = Image.fromarray(_smooth()), Image.new("L", SIZE[::-1], 5)
    for kind in ("PNG", "JPEG"):
        assert _reason(_encoded(colour, kind), channels=1, allow_colour=False).kind == (
            _decoding.COLOUR
        )
        decoded = _decode(_encoded(grey, kind), channels=1, allow_colour=False)
        np.testing.assert_array_equal(decoded, np.full((*SIZE, 1), 5))


class TestFiles:
    """Files must be as they were listed."""

    @staticmethod
    def _state(path):
        status = path.stat()
        return PictureState(str(path), status.st_size, status.st_mtime_ns, status.st_ctime_ns)

    def _kind(self, state):
        with pytest.raises(PictureError) as caught:
            _decoding.read_unchanged(state, 1000)
        return caught.value.kind, caught.value.reason

    def test_an_unchanged_file_is_read(self, tmp_path):
        path = tmp_path / "a.png"
        path.write_bytes(b"content" * 1000)
        assert _decoding.read_unchanged(self._state(path), 1000) == b"content" * 1000

    def test_changes_are_found(self, tmp_path):
        path = tmp_path / "a.png"
        path.write_bytes(b"content")
        before = self._state(path)
        path.write_bytes(b"CONTENT")
        # A program that hides its change moves the change time all the same.
        os.utime(path, ns=(before.modified, before.modified))
        assert self._kind(before) == (_decoding.CHANGED, "it changed")
        path.unlink()
        assert self._kind(before) == (_decoding.CHANGED, "it was removed")

    def test_an_empty_file_and_a_huge_one_are_unreadable(self, tmp_path):
        (tmp_path / "empty.png").touch()
        assert self._kind(self._state(tmp_path / "empty.png"))[1] == "the file is empty"
        with (tmp_path / "huge.png").open("wb") as file:
            file.truncate(1 << 40)  # takes no space, and must not be read
        kind, reason = self._kind(self._state(tmp_path / "huge.png"))
        assert kind == _decoding.UNREADABLE
        assert "1,099,511,627,776 bytes" in reason

    def test_links_to_nothing_and_pipes_are_unreadable(self, tmp_path):
        (tmp_path / "broken.png").symlink_to(tmp_path / "nothing")
        (tmp_path / "loop.png").symlink_to(tmp_path / "loop.png")
        os.mkfifo(tmp_path / "pipe.png")
        for name in ("broken", "loop", "pipe"):
            state = PictureState(str(tmp_path / f"{name}.png"), -1, 0, 0)
            assert self._kind(state)[0] == _decoding.UNREADABLE


def test_a_chunk_is_written_at_its_place(tmp_path):
    states = []
    for number in range(3):
        path = tmp_path / f"{number}.png"
        Image.new("L", (2, 2), 10 * number + 10).save(path)
        states.append(TestFiles._state(path))
    (tmp_path / "1.png").write_bytes(b"broken")
    states[1] = TestFiles._state(tmp_path / "1.png")
    file = tmp_path / "pixels"
    file.write_bytes(b"\xff" * 20)
    target = Target(2, 2, 1, "none", (0, 0, 0), 100)
    (fault,) = _decoding.decode_chunk(states, target, str(file), 5)
    assert (fault.position, fault.kind) == (1, _decoding.UNREADABLE)
    content = np.frombuffer(file.read_bytes(), "uint8")
    np.testing.assert_array_equal(content, [255] * 5 + [10] * 4 + [0] * 4 + [30] * 4 + [255] * 3)


def test_pillows_own_limit_is_restored():
    before = Image.MAX_IMAGE_PIXELS
    with _decoding.quiet_pillow():
        assert Image.MAX_IMAGE_PIXELS is None
    assert before == Image.MAX_IMAGE_PIXELS

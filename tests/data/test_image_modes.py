"""optbench.data.image_modes, and image_decode of files in every mode that formats have."""

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from optbench.data.image_decode import Decoded, decode_image
from optbench.data.image_modes import ORDINARY, Odd, as_rgb
from optbench.data.image_settings import Crop
from optbench.errors import UserError


def decoded(path: Path, background: int = 255) -> Decoded:
    return decode_image(str(path), Crop(8, 8, 0.08, False, background), None)


def colour(found: Decoded) -> list[int]:
    """That of an image of one colour."""
    pixels = found.pixels.reshape(3, -1)
    assert (pixels == pixels[:, :1]).all()
    return [int(value) for value in pixels[:, 0]]


def saved(path: Path, values: np.ndarray, **options: object) -> Path:
    Image.fromarray(values).save(path, **options)
    return path


def chunk(name: bytes, data: bytes) -> bytes:
    """A part of a PNG."""
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def write_png(path: Path, kind: int, pixel: list[int], more: bytes = b"") -> Path:
    """An 8 x 8 PNG of one colour with 16 bits a channel, as Pillow can't write them."""

    row = b"\0" + np.array(pixel * 8, ">u2").tobytes()
    head = struct.pack(">IIBBBBB", 8, 8, 16, kind, 0, 0, 0)
    parts = (
        chunk(b"IHDR", head) + more + chunk(b"IDAT", zlib.compress(row * 8)) + chunk(b"IEND", b"")
    )
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + parts)
    return path


@pytest.mark.parametrize("extension", ["png", "tif", "pgm"])
@pytest.mark.parametrize(("value", "wanted"), [(0, 0), (10000, 39), (40000, 156), (65535, 255)])
def test_sixteen_bits_are_divided_by_257(
    tmp_path: Path, extension: str, value: int, wanted: int
) -> None:
    path = saved(tmp_path / f"a.{extension}", np.full((8, 8), value, np.uint16))
    assert colour(decoded(path)) == [wanted] * 3


@pytest.mark.parametrize(
    ("kind", "pixel"), [(2, [40000] * 3), (4, [40000, 65535]), (6, [40000] * 3 + [65535])]
)
def test_sixteen_bits_of_colours_and_alpha_are_eight(
    tmp_path: Path, kind: int, pixel: list[int]
) -> None:
    assert colour(decoded(write_png(tmp_path / "a.png", kind, pixel))) == [156] * 3


def test_a_transparent_grey_of_sixteen_bits_is_the_background(tmp_path: Path) -> None:
    path = write_png(tmp_path / "a.png", 0, [40000], chunk(b"tRNS", struct.pack(">H", 40000)))
    assert colour(decoded(path, 7)) == [7] * 3
    assert decoded(path).odd == Odd.TRANSPARENT


def tiff(bits: int, photometric: int, data: bytes) -> bytes:
    """A little-endian TIFF of 8 x 8 pixels, uncompressed."""
    tags = [
        *((256, 3, 1, 8), (257, 3, 1, 8), (258, 3, 1, bits), (259, 3, 1, 1)),
        *((262, 3, 1, photometric), (273, 4, 1, 8), (277, 3, 1, 1), (278, 3, 1, 8)),
        (279, 4, 1, len(data)),
    ]
    entries = b"".join(struct.pack("<HHII", *tag) for tag in tags)
    head = b"II*\0" + struct.pack("<I", 8 + len(data))
    return head + data + struct.pack("<H", len(tags)) + entries + b"\0" * 4


def test_twelve_bits_and_inverted_greys(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    path.write_bytes(tiff(12, 1, b"\xff\xff\xff" * 32))
    assert colour(decoded(path)) == [255] * 3
    path.write_bytes(tiff(16, 0, struct.pack("<H", 65535) * 64))
    assert colour(decoded(path)) == [0] * 3


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        (np.full((8, 8), 0.5, np.float32), "floating-point"),
        (np.full((8, 8), 200.0, np.float32), "floating-point"),
        (np.full((8, 8), 100000, np.int32), "32-bit or signed"),
    ],
)
def test_numbers_without_a_scale_are_refused(
    tmp_path: Path, values: np.ndarray, reason: str
) -> None:
    path = saved(tmp_path / "a.tif", values)
    with pytest.raises(UserError, match=f"{path} cannot be read .*{reason}") as caught:
        decoded(path)
    assert "\n" not in str(caught.value)


MODES = {
    **dict.fromkeys(("1", "L", "P", "RGB", "RGBX", "YCbCr", "CMYK", "HSV"), ORDINARY),
    **dict.fromkeys(("LA", "PA", "RGBA"), ORDINARY),
}


@pytest.mark.parametrize("mode", MODES)
def test_every_mode_keeps_its_grey(mode: str) -> None:
    image = Image.new("L", (4, 4), 255)
    image = (
        image.convert("RGB").convert(mode) if mode not in ("1", "L", "LA") else image.convert(mode)
    )
    found, odd = as_rgb(image, 0)
    assert (found.mode, odd) == ("RGB", MODES[mode])
    assert min(found.getpixel((0, 0))) > 250  # type: ignore[arg-type]


@pytest.mark.parametrize("mode", ["I;16", "I;16L", "I;16B", "I;16N"])
def test_every_mode_of_sixteen_bits(mode: str) -> None:
    found, odd = as_rgb(Image.new(mode, (4, 4), 40000), 0)
    assert (found.getpixel((0, 0)), odd) == ((156, 156, 156), ORDINARY)


def test_lab_is_converted_by_its_profile() -> None:
    white = Image.new("RGB", (4, 4), (255, 255, 255))
    from PIL import ImageCms

    srgb, lab = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
    found, _ = as_rgb(ImageCms.profileToProfile(white, srgb, lab, outputMode="LAB"), 0)
    assert min(found.getpixel((0, 0))) > 250  # type: ignore[arg-type]


@pytest.mark.parametrize("mode", ["LA", "La", "PA", "RGBA", "RGBa"])
def test_what_is_clear_is_the_background(mode: str) -> None:
    source = Image.new("RGBA" if mode != "PA" else "P", (4, 4), 0)
    image = source.convert(mode) if mode not in ("La", "PA") else Image.new(mode, (4, 4), 0)
    found, odd = as_rgb(image, 200)
    assert found.getpixel((0, 0)) == (200, 200, 200)
    assert Odd.TRANSPARENT in odd


def shape_in_alpha(path: Path, level: int) -> Path:
    values = np.full((8, 8, 4), level, np.uint8)
    values[..., 3] = 0
    values[2:6, 2:6, 3] = 255
    return saved(path, values)


def test_content_in_alpha_alone_is_seen(tmp_path: Path) -> None:
    black, white = (shape_in_alpha(tmp_path / f"{v}.png", v) for v in (0, 255))
    found = decoded(black)
    assert (found.pixels[0, 4, 4], found.pixels[0, 0, 0]) == (0, 255)
    assert found.odd == Odd.TRANSPARENT
    assert decoded(white).odd == Odd.TRANSPARENT | Odd.BLANK
    found = decoded(white, background=0)
    assert (found.pixels[0, 4, 4], found.pixels[0, 0, 0]) == (255, 0)


@pytest.mark.parametrize("extension", ["png", "webp"])
def test_opaque_alpha_changes_nothing(tmp_path: Path, extension: str) -> None:
    values = np.random.default_rng(0).integers(0, 256, (8, 8, 3), np.uint8)
    opaque = np.dstack([values, np.full((8, 8), 255, np.uint8)])
    path = saved(tmp_path / f"a.{extension}", opaque, lossless=True)
    found = decoded(path)
    assert np.array_equal(found.pixels.transpose(1, 2, 0), values)
    assert found.odd == ORDINARY


def test_a_transparent_colour_of_a_palette_or_key(tmp_path: Path) -> None:
    image = Image.new("P", (8, 8), 3)
    image.putpalette([0] * 9 + [200, 0, 0])
    image.save(tmp_path / "a.png", transparency=3)
    Image.new("RGB", (8, 8), (9, 9, 9)).save(tmp_path / "b.png", transparency=(9, 9, 9))
    for name in ("a.png", "b.png"):
        found = decoded(tmp_path / name)
        assert colour(found) == [255] * 3
        assert found.odd == Odd.TRANSPARENT


@pytest.mark.parametrize("extension", ["png", "webp", "tif", "gif"])
def test_of_several_frames_the_first_is_taken(tmp_path: Path, extension: str) -> None:
    frames = [Image.new("RGB", (8, 8), (value,) * 3) for value in (40, 240)]
    path = tmp_path / f"a.{extension}"
    frames[0].save(path, save_all=True, append_images=frames[1:], lossless=True)
    found = decoded(path)
    assert abs(int(found.pixels.mean()) - 40) <= 2
    assert found.odd == Odd.FRAMES


def test_an_orientation_is_ignored_as_by_torchvision(tmp_path: Path) -> None:
    values = np.zeros((8, 8), np.uint8)
    values[:, 4:] = 255
    exif = Image.Exif()
    exif[0x0112] = 6
    path = saved(tmp_path / "a.png", values, exif=exif)
    assert np.array_equal(decoded(path).pixels[0], values)


def test_what_is_too_large_is_refused_before_it_is_decoded(tmp_path: Path) -> None:
    Image.new("1", (9000, 9000)).save(tmp_path / "a.png")
    with pytest.raises(UserError, match="9000 x 9000 pixels; at most"):
        decoded(tmp_path / "a.png")
    Image.new("L", (9000, 9000)).save(tmp_path / "a.jpg", quality=5)
    assert decoded(tmp_path / "a.jpg").pixels.shape == (3, 8, 8)  # decoded at an eighth


def test_other_programs_are_not_started(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n%%EndComments\nshowpage\n")
    with pytest.raises(UserError, match="cannot identify image file"):
        decoded(path)

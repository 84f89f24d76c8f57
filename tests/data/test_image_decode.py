"""optbench.data.image_decode"""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from optbench.data.image_decode import RATIO, centre_box, decode_image, random_box
from optbench.data.image_settings import Crop
from optbench.errors import UserError

from .image_tree import write_image

CROP = Crop(size=24, resize=32, min_area=0.08, flip=True)


def test_evaluation_scales_and_cuts_the_centre(tmp_path: Path) -> None:
    write_image(tmp_path / "a.png", (64, 128))
    found = decode_image(str(tmp_path / "a.png"), CROP, None).pixels
    with Image.open(tmp_path / "a.png") as image:
        scaled = image.resize((32, 64), Image.Resampling.BILINEAR).crop((4, 20, 28, 44))
    assert (found.shape, found.dtype) == ((3, 24, 24), np.uint8)
    assert np.abs(found.transpose(1, 2, 0).astype(int) - np.asarray(scaled)).max() <= 2


def test_centre_box_stays_inside() -> None:
    assert centre_box(64, 128, CROP) == (8, 40, 56, 88)
    assert centre_box(10, 20, Crop(size=64, resize=32, min_area=0.08, flip=True)) == (0, 5, 10, 15)


def test_a_large_jpeg_shrunk_while_decoding_looks_the_same(tmp_path: Path) -> None:
    write_image(tmp_path / "a.jpg", (803, 601))
    write_image(tmp_path / "a.png", (803, 601))
    for seeds in (None, (1, 2), (3, 4)):
        jpeg, png = (
            decode_image(str(tmp_path / f"a.{e}"), CROP, seeds).pixels for e in ("jpg", "png")
        )
        assert np.abs(jpeg.astype(int) - png).mean() < 3


def test_training_crops_depend_on_the_seeds_only(tmp_path: Path) -> None:
    path = str(tmp_path / "a.png")
    write_image(Path(path), (64, 48))
    first, again, other_key, other_index = (
        decode_image(path, CROP, seeds).pixels
        for seeds in ((2**62, 2), (2**62, 2), (4, 2), (2**62, 3))
    )
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other_key)
    assert not np.array_equal(first, other_index)


def test_half_the_training_crops_are_flipped(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    ramp = np.broadcast_to(np.arange(200, dtype=np.uint8)[None, :, None], (200, 200, 3))
    Image.fromarray(np.ascontiguousarray(ramp)).save(path)
    falls = [
        bool(image[0, 0, 0] > image[0, 0, -1])
        for image in (decode_image(str(path), CROP, (0, index)).pixels for index in range(200))
    ]
    assert 70 < sum(falls) < 130
    straight = Crop(size=24, resize=32, min_area=0.08, flip=False)
    images = [decode_image(str(path), straight, (0, index)).pixels for index in range(50)]
    assert not any(image[0, 0, 0] > image[0, 0, -1] for image in images)


@pytest.mark.parametrize("size", [(400, 300), (30, 300), (300, 30), (1, 1)])
def test_random_boxes_are_inside_and_of_the_asked_area(size: tuple[int, int]) -> None:
    width, height = size
    random = np.random.default_rng(0)
    for _ in range(300):
        left, top, right, bottom = random_box(width, height, 0.25, random)
        assert 0 <= left < right <= width
        assert 0 <= top < bottom <= height
        if size == (400, 300):
            assert (right - left) * (bottom - top) > 0.24 * width * height
            assert RATIO[0] * 0.98 < (right - left) / (bottom - top) < RATIO[1] * 1.02


@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "CMYK", "1", "LA"])
def test_every_mode_becomes_colour(tmp_path: Path, mode: str) -> None:
    path = tmp_path / ("a.jpg" if mode == "CMYK" else "a.png")
    Image.new("RGB", (50, 40), (255, 255, 255)).convert(mode).save(path)
    found = decode_image(str(path), CROP, None).pixels
    assert found.shape == (3, 24, 24)
    assert found.min() > 250


@pytest.mark.parametrize("kept", [0, 100, 600])
@pytest.mark.parametrize("extension", ["jpg", "png"])
def test_a_corrupt_image_is_named_in_one_line(tmp_path: Path, kept: int, extension: str) -> None:
    path = tmp_path / f"a.{extension}"
    write_image(path, (200, 200))
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(UserError, match=f"image {path} cannot be read") as caught:
        decode_image(str(path), CROP, (1, 2))
    assert "\n" not in str(caught.value)

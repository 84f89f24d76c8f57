"""One image file to the pixels a network sees: crop, resize, flip."""

from __future__ import annotations

import math
import warnings
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image

from optbench.data.files import open_regular, reason_of
from optbench.data.image_modes import ORDINARY, Odd, as_rgb
from optbench.data.image_settings import Crop
from optbench.errors import UserError

Box = tuple[float, float, float, float]

RATIO = (3 / 4, 4 / 3)  # of random crops: width over height
ATTEMPTS = 10
FORMATS = ("JPEG", "PNG", "PPM", "BMP", "DIB", "GIF", "TIFF", "WEBP", "JPEG2000", "AVIF")
"""Whatever the ending; Pillow would have other programs read some others."""
MOST_PIXELS = 1 << 26


class Decoded(NamedTuple):
    """An image as a network sees it.

    Attributes:
        pixels: uint8 [3, size, size].
        odd: what is worth telling of the file.
    """

    pixels: npt.NDArray[np.uint8]
    odd: Odd


def decode_image(path: str, crop: Crop, seeds: tuple[int, int] | None) -> Decoded:
    """Decode a file's image: a training crop drawn from `seeds`, or the centre.

    Pixels are interpolated bilinearly. JPEGs are decoded at 1/2, 1/4 or 1/8 of their size where
    that still has enough pixels: much faster, and nearly the same picture. Of several frames the
    first is taken; an orientation in EXIF is ignored, as by torchvision's ImageFolder.

    Raises:
        UserError: the file, which it names, cannot be decoded.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of odd metadata, and of sizes
            with open_regular(path) as file, Image.open(file, formats=FORMATS) as image:
                several = image.format != "MPO" and bool(getattr(image, "is_animated", False))
                box, mirrored = _choose(image.size, crop, seeds)
                pixels, odd = _cut(image, box, crop)
    except Exception as error:  # Pillow raises nearly anything on a broken file
        reason = reason_of(error).replace(f"{path!r}", "it")
        raise UserError(f"image {path} cannot be read ({reason}): mend or delete it") from error
    array = np.asarray(pixels)[:, ::-1] if mirrored else np.asarray(pixels)
    odd |= Odd.FRAMES if several else ORDINARY
    return Decoded(np.ascontiguousarray(array.transpose(2, 0, 1)), odd)


def _choose(extent: tuple[int, int], crop: Crop, seeds: tuple[int, int] | None) -> tuple[Box, bool]:
    if seeds is None:
        return centre_box(*extent, crop), False
    random = np.random.default_rng(seeds)
    mirrored = crop.flip and bool(random.integers(2))
    return random_box(*extent, crop.min_area, random), mirrored


def _cut(image: Image.Image, box: Box, crop: Crop) -> tuple[Image.Image, Odd]:
    width, height = image.size
    size = crop.size
    shrink = min(box[2] - box[0], box[3] - box[1]) / size
    if shrink >= 2:
        image.draft("RGB", (math.ceil(width / shrink), math.ceil(height / shrink)))
    if image.width * image.height > MOST_PIXELS:
        raise ValueError(f"{width} x {height} pixels; at most {MOST_PIXELS:,} are decoded")
    across, down = image.width / width, image.height / height
    scaled = (
        box[0] * across,
        box[1] * down,
        min(box[2] * across, image.width),
        min(box[3] * down, image.height),
    )
    coloured, odd = as_rgb(image, crop.background)
    return coloured.resize((size, size), Image.Resampling.BILINEAR, box=scaled), odd


def centre_box(width: int, height: int, crop: Crop) -> Box:
    """Return (left, top, right, bottom) of the evaluation crop, in pixels of the whole image."""
    side = min(width, height) * min(crop.size / crop.resize, 1)
    left, top = (width - side) / 2, (height - side) / 2
    return left, top, left + side, top + side


def random_box(width: int, height: int, min_area: float, random: np.random.Generator) -> Box:
    """Return (left, top, right, bottom) of a training crop, in whole pixels.

    Area uniform in [min_area, 1] of the image's, ratio log-uniform in RATIO; after ATTEMPTS draws
    which do not fit, the largest centred part with a ratio in RATIO. Source: torchvision's
    RandomResizedCrop.
    """
    low, high = math.log(RATIO[0]), math.log(RATIO[1])
    for _ in range(ATTEMPTS):
        area = width * height * random.uniform(min_area, 1)
        ratio = math.exp(random.uniform(low, high))
        w, h = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
        if 0 < w <= width and 0 < h <= height:
            left = int(random.integers(width - w + 1))
            top = int(random.integers(height - h + 1))
            return left, top, left + w, top + h
    w, h = min(width, round(height * RATIO[1])), min(height, round(width / RATIO[0]))
    left, top = (width - w) // 2, (height - h) // 2
    return left, top, left + w, top + h

"""Whatever Pillow makes of an image file, as 8 bits of red, green and blue that mean the same."""

from __future__ import annotations

from enum import Flag, auto

import numpy as np
from PIL import Image

SIXTEEN = ("I;16", "I;16L", "I;16B", "I;16N")
ALPHA = ("LA", "La", "PA", "RGBA", "RGBa")
_STRAIGHT = {"La": "LA", "RGBa": "RGBA"}  # from premultiplied
_BITS_PER_SAMPLE, _PHOTOMETRIC = 258, 262  # tags of TIFF
_WHITE_IS_ZERO = 0


class Odd(Flag):
    """What is worth telling of an image once it is decoded."""

    TRANSPARENT = auto()
    BLANK = auto()
    FRAMES = auto()


ORDINARY = Odd(0)


def as_rgb(image: Image.Image, background: int) -> tuple[Image.Image, Odd]:
    """Return the image in mode RGB, and what is odd about it.

    16 bits become 8 as value / 257, and 12 likewise; transparent parts lie on the grey level
    `background`.

    Raises:
        ValueError: integers of 32 bits, or floats: nothing in the file says which numbers are black
            and white.
    """
    if image.mode in SIXTEEN or (image.mode == "I" and image.format in ("PNG", "PPM")):
        return _from_sixteen(image, background)
    if image.mode in ("I", "F"):
        numbers = "floating-point" if image.mode == "F" else "32-bit or signed"
        raise ValueError(
            f"its pixels are {numbers} numbers, and nothing says which are black and white;"
            " save it with 8 or 16 bits"
        )
    if image.mode in ALPHA or "transparency" in image.info:
        return _laid_on(image, background)
    # convert always copies
    return image if image.mode == "RGB" else image.convert("RGB"), ORDINARY


def _from_sixteen(image: Image.Image, background: int) -> tuple[Image.Image, Odd]:
    values = np.asarray(image).astype(np.uint32)
    tags = getattr(image, "tag_v2", {})
    bits = tags.get(_BITS_PER_SAMPLE, (16,))[0]
    most = (1 << bits) - 1
    if not 8 < bits <= 16 or int(values.max()) > most or (image.mode == "I" and values.min() < 0):
        raise ValueError(f"its pixels are not the {bits}-bit numbers that it says")
    grey = ((values * 255 + most // 2) // most).astype(np.uint8)
    if tags.get(_PHOTOMETRIC) == _WHITE_IS_ZERO:
        grey = 255 - grey
    clear = image.info.get("transparency")
    odd = ORDINARY
    if isinstance(clear, int) and (values == clear).any():
        grey[values == clear], odd = background, Odd.TRANSPARENT
    return Image.fromarray(grey).convert("RGB"), odd


def _laid_on(image: Image.Image, background: int) -> tuple[Image.Image, Odd]:
    straight = image.convert(_STRAIGHT[image.mode]) if image.mode in _STRAIGHT else image
    coloured = straight if straight.mode == "RGBA" else straight.convert("RGBA")
    alpha = coloured.getchannel("A")
    least, most = alpha.getextrema()
    if least == 255:
        return coloured.convert("RGB"), ORDINARY
    ground = Image.new("RGBA", coloured.size, (background,) * 3 + (255,))
    laid = Image.alpha_composite(ground, coloured).convert("RGB")
    one_colour = all(channel.getextrema()[0] == channel.getextrema()[1] for channel in laid.split())
    return laid, Odd.TRANSPARENT | (Odd.BLANK if one_colour and least != most else ORDINARY)

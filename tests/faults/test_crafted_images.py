"""Image files as a stranger may write them: one line that names the file, or what they show."""

from __future__ import annotations

import io
import os
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from few import few
from PIL import Image

from optbench.assemble.create import call
from optbench.data.image_folder import image_folder

from .sandbox import bounded
from .test_crafted_data import NO_FILES, write
from .test_crafted_pickles import assert_refused

Maker = Callable[[Path], Any]


def image(kind: str = "PNG", size: tuple[int, int] = (40, 30), **options: Any) -> bytes:
    pixels = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), np.uint8)
    content = io.BytesIO()
    Image.fromarray(pixels).save(content, kind, **options)
    return content.getvalue()


def chunk(name: bytes, data: bytes, size: int | None = None) -> bytes:
    length = struct.pack(">I", len(data) if size is None else size)
    return length + name + data + struct.pack(">I", zlib.crc32(name + data))


def png(width: int, height: int, *more: bytes, bits: int = 8, kind: int = 2) -> bytes:
    """A PNG whose header says this, with 30 rows of 40 pixels at most."""
    head = struct.pack(">IIBBBBB", width, height, bits, kind, 0, 0, 0)
    rows = chunk(b"IDAT", zlib.compress((b"\0" + bytes(120)) * 30))
    parts = chunk(b"IHDR", head) + b"".join(more) + rows + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + parts


BOMB = zlib.compress(bytes(1 << 28), 1)
ANIMATED = image("GIF", save_all=True, append_images=[Image.new("RGB", (40, 30))])


def tiff(*entries: tuple[int, int, int, int], behind: int = 0, data: bytes = bytes(64)) -> bytes:
    """A little-endian TIFF of 8 x 8 grey pixels with some tags replaced."""
    tags = {256: (3, 1, 8), 257: (3, 1, 8), 258: (3, 1, 8), 259: (3, 1, 1), 262: (3, 1, 1)}
    tags |= {273: (4, 1, 8), 277: (3, 1, 1), 278: (3, 1, 8), 279: (4, 1, len(data))}
    tags |= {tag: rest for tag, *rest in entries}  # type: ignore[misc]
    packed = b"".join(struct.pack("<HHII", tag, *tags[tag]) for tag in sorted(tags))
    directory = struct.pack("<H", len(tags)) + packed + struct.pack("<I", behind)
    return b"II*\0" + struct.pack("<I", 8 + len(data)) + data + directory


BAD: dict[str, bytes] = {
    "empty": b"",
    "text": b"hello there" * 99,
    "html": b"<!DOCTYPE html><html><body>404</body></html>",
    "half a PNG": image()[:900],
    "half a JPEG": image("JPEG")[:600],
    "half a WebP": image("WEBP")[:300],
    "half a GIF": image("GIF")[:500],
    "half a BMP": image("BMP")[:900],
    "half a TIFF": image("TIFF")[:900],
    "a damaged PNG": image()[:200] + b"\xff" * 20 + image()[220:],
    "no rows": png(40, 30)[:33] + chunk(b"IEND", b""),
    "10^9 pixels": png(1 << 15, 1 << 15),
    "2^62 pixels": png((1 << 31) - 1, (1 << 31) - 1),
    "no pixels": png(0, 30),
    "70 million pixels": image("BMP")[:18] + struct.pack("<ii", 8400, 8400) + image("BMP")[26:],
    "a text of 256 MiB": png(40, 30, chunk(b"zTXt", b"a\0\0" + BOMB)),
    "an odd depth": png(40, 30, bits=7),
    "a chunk without end": png(40, 30, chunk(b"tEXt", b"a\0b", 1 << 31)),
    "a GIF of no size": b"GIF89a\0\0\0\0\0\0\0,\0\0\0\0\0\0\0\0\0\2\1\0\0;",
    "a BMP below 0": image("BMP")[:18] + struct.pack("<ii", -40, -30) + image("BMP")[26:],
    "a PPM of 2^60 pixels": b"P6 1073741824 1073741824 255\n",
    "a PPM of odd depth": b"P6 8 8 99999999\n" + bytes(192),
    "a PPM of words": b"P3 2 1 255\n1 2 x 4 5 6\n",
    "a PFM": b"Pf\n8 8\n-1.0\n" + bytes(256),
    "floats": tiff((258, 3, 1, 32), (339, 3, 1, 3), data=bytes(256)),
    "32-bit integers": tiff((258, 3, 1, 32), (339, 3, 1, 2), data=bytes(256)),
    "signed integers": tiff((258, 3, 1, 16), (339, 3, 1, 2), data=bytes(128)),
    "a TIFF of 2^40 pixels": tiff((256, 4, 1, 1 << 20), (257, 4, 1, 1 << 20)),
    "a strip outside": tiff((273, 4, 1, 1 << 30)),
    "tags without end": tiff((270, 2, (1 << 32) - 1, 8))[:90],
    "PostScript": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n%%EndComments\nshowpage\n",
    "an icon": b"\0\0\1\0" + b"\1\0" + bytes(16),
    "a FITS": b"SIMPLE  =                    T" + b" " * 2850,
}
GOOD: dict[str, bytes] = {
    **{kind: image(kind) for kind in ("PNG", "JPEG", "BMP", "PPM", "GIF", "TIFF", "WEBP")},
    "progressive": image("JPEG", progressive=True),
    "animated": ANIMATED,
    "one pixel": image(size=(1, 1)),
    "one row": image(size=(5000, 1)),
    "one column": image(size=(1, 5000)),
    "a TIFF in a circle": tiff(behind=72),
    "a comment": png(40, 30, chunk(b"tEXt", b"a\0b")),
    "a broken profile": png(40, 30, chunk(b"iCCP", b"a\0\0" + zlib.compress(b"junk"))),
    "indices beyond the palette": png(40, 30, chunk(b"PLTE", bytes(3)), kind=3),
}


def load(root: Path, make: Maker, name: str = "bad.png") -> Any:
    """The shape of each training image's class, and the notes; every image is decoded."""
    for split in ("train", "val"):
        for group in ("cat", "dog"):
            (root / split / group).mkdir(parents=True)
            (root / split / group / "0.png").write_bytes(image())
    make(root / "train" / "cat" / name)
    given: dict[str, Any] = {"mean": [0.0] * 3, "std": [1.0] * 3, "size": 8, "resize": 8}
    dataset = call(image_folder, "dataset", root=str(root), workers=0, **given)
    source = dataset.open("train", torch.device("cpu"))
    order = torch.arange(len(source))
    labels = [targets for _, targets in source.stream(order, [(0, len(order))], 1)]
    return labels[0].tolist(), dataset.notes


@pytest.mark.parametrize("name", few(BAD, 12))
def test_a_file_is_refused_in_one_line(name: str, tmp_path: Path) -> None:
    outcome = bounded(lambda: load(tmp_path, write(BAD[name])))
    assert_refused(outcome, f"image {tmp_path}/train/cat/bad.png cannot be read (")


@pytest.mark.parametrize("name", GOOD)
def test_a_file_is_read(name: str, tmp_path: Path) -> None:
    outcome = bounded(lambda: load(tmp_path, write(GOOD[name])))
    assert outcome == ("done", ([0, 0, 1], ()))


@pytest.mark.parametrize("name", [name for name in NO_FILES if name != "a folder"])
def test_what_is_no_file_is_left_out_with_a_note(name: str, tmp_path: Path) -> None:
    outcome = bounded(lambda: load(tmp_path, NO_FILES[name]))
    assert outcome.how == "done", outcome.what
    labels, notes = outcome.what
    assert labels == [0, 1]
    assert len(notes) == 1 and "1 broken link, pipe or device (cat/bad.png)" in notes[0]


def test_an_image_that_became_a_pipe_is_refused(tmp_path: Path) -> None:
    def become() -> Any:
        load(tmp_path, write(image()))
        given: dict[str, Any] = {"mean": [0.0] * 3, "std": [1.0] * 3}
        dataset = image_folder(str(tmp_path), workers=0, **given)
        (tmp_path / "train" / "cat" / "0.png").unlink()
        os.mkfifo(tmp_path / "train" / "cat" / "0.png")
        return list(dataset.open("train", torch.device("cpu")).stream(torch.arange(1), [(0, 1)]))

    assert_refused(bounded(become), "0.png cannot be read (it is a pipe, not a file)")


@pytest.mark.parametrize(
    "name", ["a\nb.png", "\x1b[31m.png", "naïve 日本.png", os.fsdecode(b"\xff.png")]
)
def test_a_name_may_be_any(name: str, tmp_path: Path) -> None:
    assert bounded(lambda: load(tmp_path, write(image()), name)).how == "done"
    bad = tmp_path / "more"
    bad.mkdir()
    outcome = bounded(lambda: load(bad, write(b""), name))
    assert outcome.how == "refused"


def deep(path: Path) -> None:
    path = path.with_suffix("")
    path.mkdir()
    for _ in range(60):
        path = path / "in"
        path.mkdir()
    (path / "0.png").write_bytes(image())


def many_ways(path: Path) -> None:
    """Forty folders, each with two links to the next one."""
    base = path.with_suffix("")
    for number in range(40):
        (base / str(number)).mkdir(parents=True)
        for link in ("a", "b"):
            (base / str(number) / link).symlink_to(base / str(number + 1))
    (base / "39" / "0.png").write_bytes(image())


@pytest.mark.parametrize("make", [deep, many_ways])
def test_folders_in_folders_are_looked_at_once(make: Maker, tmp_path: Path) -> None:
    outcome = bounded(lambda: load(tmp_path, make))
    assert outcome.how == "done", outcome.what
    assert outcome.what[0] == [0, 0, 1]


ROOTS: dict[str, Maker] = {
    "nothing": lambda root: None,
    "no class": lambda root: (root / "train").mkdir(),
    "a class without images": lambda root: (root / "train" / "cat").mkdir(parents=True),
    "a file": lambda root: (root / "train").write_bytes(b""),
    "a pipe": lambda root: os.mkfifo(root / "train"),
    "a link to itself": lambda root: (root / "train").symlink_to("train"),
}


@pytest.mark.parametrize("name", ROOTS)
def test_a_root_without_classes_is_refused(name: str, tmp_path: Path) -> None:
    ROOTS[name](tmp_path)
    given = {"mean": [0.0] * 3, "std": [1.0] * 3}
    outcome = bounded(lambda: call(image_folder, "dataset", root=str(tmp_path), **given))
    assert_refused(outcome, f"{tmp_path}/train")

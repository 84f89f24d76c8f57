"""IDX files, archives and texts as a stranger may write them: one line, soon, in little memory."""

from __future__ import annotations

import gzip
import os
import socket
import struct
import tarfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from few import few

from optbench.assemble.create import call
from optbench.data.cifar import cifar_like
from optbench.data.mnist import FILES, mnist_like
from optbench.data.text import text

from . import crafted_pickles as crafted
from .sandbox import bounded
from .test_crafted_pickles import SETTINGS, assert_refused

Maker = Callable[[Path], Any]
ZEROS = gzip.compress(bytes(1 << 26))
"""64 MiB; 160 of them, one after the other, are 10 GiB in 10 MB."""


def write(content: bytes) -> Maker:
    return lambda path: path.write_bytes(content)


def a_socket(path: Path) -> None:
    here = os.getcwd()
    os.chdir(path.parent)  # for its name has to be short
    try:
        socket.socket(socket.AF_UNIX).bind(path.name)
    finally:
        os.chdir(here)


def sparse(content: bytes, size: int) -> Maker:
    def make(path: Path) -> None:
        path.write_bytes(content)
        os.truncate(path, size)

    return make


def link(target: str) -> Maker:
    return lambda path: path.symlink_to(target)


NO_FILES: dict[str, Maker] = {
    "a pipe": os.mkfifo,
    "a folder": lambda path: path.mkdir(),
    "a socket": a_socket,
    "a device": link("/dev/zero"),
    "a terminal": link("/dev/tty"),
    "a link to itself": lambda path: path.symlink_to(path.name),
}


def header(*sides: int, kind: int = 8) -> bytes:
    return bytes([0, 0, kind, len(sides)]) + struct.pack(f">{len(sides)}I", *sides)


IMAGES = np.random.default_rng(0).integers(0, 256, (6, 5, 4), np.uint8)
GOOD_IMAGES = header(6, 5, 4) + IMAGES.tobytes()
GOOD_LABELS = header(6) + bytes(range(6))
RAW_IMAGES = {
    "nothing in it": write(b""),
    "no dimensions": write(header()),
    "no dimensions and a byte": write(header() + b"x"),
    "one dimension": write(header(6) + bytes(6)),
    "255 dimensions": write(header(*[1] * 255) + b"x"),
    "floats": write(header(6, 5, 4, kind=0x0D) + bytes(480)),
    "signed": write(header(6, 5, 4, kind=9) + bytes(120)),
    "a header cut short": write(header(6, 5, 4)[:9]),
    "a byte too few": write(GOOD_IMAGES[:-1]),
    "a byte too many": write(GOOD_IMAGES + b"x"),
    "2^96 bytes": write(header(*[(1 << 32) - 1] * 3) + b"x"),
    "3 GB that are not there": write(header(1 << 20, 1 << 10, 3)),
    "3 GB of a hole": sparse(header(1 << 20, 1 << 10, 3), (3 << 30) + 16),
    "no images": write(header(0, 5, 4)),
    "images without a row": write(header(6, 0, 4)),
    "more images than labels": write(header(7, 5, 4) + bytes(140)),
    "images of another size": write(header(6, 5, 5) + bytes(150)),
    **NO_FILES,
}
PACKED_IMAGES = {
    "nothing": write(b""),
    "not packed": write(GOOD_IMAGES),
    "cut short": write(gzip.compress(GOOD_IMAGES)[:-12]),
    "a checksum of its own": write(gzip.compress(GOOD_IMAGES)[:-8] + bytes(8)),
    "junk behind it": write(gzip.compress(GOOD_IMAGES) + b"junk"),
    "another one behind it": write(gzip.compress(GOOD_IMAGES) + gzip.compress(b"x")),
    "10 GiB of 10 MB": write(gzip.compress(header(6, 5, 4)) + ZEROS * 160),
    "10 GiB as it says": write(gzip.compress(header(10 << 10, 1 << 10, 1 << 10)) + ZEROS * 160),
    "a million empty ones": write(gzip.compress(b"") * 1_000_000),
    "a name without end": write(b"\x1f\x8b\x08\x08" + bytes(6) + b"n" * (1 << 26)),
    **NO_FILES,
}
LABELS = {
    "labels beyond the classes": write(header(6) + bytes([0, 1, 2, 3, 4, 10])),
    "a label too few": write(header(5) + bytes(5)),
    "labels in a table": write(header(6, 1) + bytes(6)),
}


def load_idx(root: Path, name: str, make: Maker, packed: bool = False) -> Any:
    raw = root / "Toys" / "raw"
    raw.mkdir(parents=True)
    for part, file in FILES.items():
        content = GOOD_IMAGES if "images" in part else GOOD_LABELS
        if part != name:
            (raw / file).write_bytes(content)
    make(raw / (FILES[name] + (".gz" if packed else "")))
    settings = {"mirrors": [], "md5": dict.fromkeys(FILES, "0"), "mean": [0.0], "std": [1.0]}
    load = partial(call, mnist_like, "dataset", folder="Toys", root=str(root), download=False)
    return load(**settings)._splits["train"].images[:, 0]


@pytest.mark.parametrize("packed", [False, True])
def test_good_idx_files_are_read(packed: bool, tmp_path: Path) -> None:
    content = gzip.compress(GOOD_IMAGES[:50]) + gzip.compress(GOOD_IMAGES[50:]) + bytes(99)
    make = write(content if packed else GOOD_IMAGES)
    outcome = bounded(lambda: load_idx(tmp_path, "train_images", make, packed))
    assert np.array_equal(outcome.what, IMAGES)


@pytest.mark.parametrize("name", RAW_IMAGES)
def test_an_idx_file_is_refused_in_one_line(name: str, tmp_path: Path) -> None:
    outcome = bounded(lambda: load_idx(tmp_path, "train_images", RAW_IMAGES[name]))
    assert_refused(outcome, "Toys")


@pytest.mark.parametrize("name", PACKED_IMAGES)
def test_a_packed_idx_file_is_refused_in_one_line(name: str, tmp_path: Path) -> None:
    outcome = bounded(lambda: load_idx(tmp_path, "train_images", PACKED_IMAGES[name], True))
    assert_refused(outcome, "Toys")


@pytest.mark.parametrize("name", LABELS)
@pytest.mark.parametrize("split", ["train", "test"])
def test_labels_are_refused_in_one_line(name: str, split: str, tmp_path: Path) -> None:
    outcome = bounded(lambda: load_idx(tmp_path, f"{split}_labels", LABELS[name]))
    assert_refused(outcome, "Toys")


NAMES = [f"batches/{name}" for name in ("one", "two", "three")]
BATCH = crafted.batch()


def member(name: str, content: bytes = BATCH, **changes: Any) -> bytes:
    """One member's blocks; changes are of its header."""
    info = tarfile.TarInfo(name)
    info.size = len(content)
    for key, value in changes.items():
        setattr(info, key, value)
    padding = bytes(-len(content) % 512)
    return info.tobuf(tarfile.GNU_FORMAT) + content + padding


def packed(*members: bytes) -> bytes:
    return gzip.compress(b"".join(members) + bytes(1024), 1)


def with_one(*first: bytes) -> Maker:
    """An archive whose first members are these; `one` has to be among them."""
    return write(packed(*first, *map(member, NAMES[1:])))


def with_sum(block: bytes) -> bytes:
    """A header with the checksum that it should have."""
    block = block[:148] + b" " * 8 + block[156:]
    return block[:148] + b"%06o\0 " % sum(block) + block[156:]


ONE = NAMES[0]
ODD_SIZE = member(ONE)[:124] + b"hello world\0" + member(ONE)[136:512]
BELOW_0 = member(ONE)[:124] + b"\xff" * 12 + member(ONE)[136:512]
PAX = partial(member, "x", type=tarfile.XHDTYPE)
ARCHIVES = {
    "no archive": write(b"hello"),
    "nothing in it": write(gzip.compress(b"")),
    "nothing but zeros": write(packed()),
    "10 GiB of zeros": write(ZEROS * 160),
    "a member of 10 GiB": write(gzip.compress(member(ONE, b"", size=10 << 30)) + ZEROS * 160),
    "another of 10 GiB": write(gzip.compress(member("big", b"", size=10 << 30)) + ZEROS * 160),
    "a member of 2^80 bytes": with_one(member(ONE, b"", size=1 << 80)),
    "a size that is no number": with_one(with_sum(ODD_SIZE) + BATCH),
    "a size below 0": with_one(with_sum(BELOW_0) + BATCH),
    "a wrong checksum": with_one(member(ONE)[:100] + b"7" + member(ONE)[101:]),
    "cut short": write(packed(*map(member, NAMES))[:-2000]),
    "a member cut short": write(gzip.compress(b"".join(map(member, NAMES))[:-2000])),
    "a link": with_one(member("other"), member(ONE, b"", type=tarfile.SYMTYPE, linkname="other")),
    "a hard link": with_one(member("a"), member(ONE, b"", type=tarfile.LNKTYPE, linkname="a")),
    "a folder": with_one(member(ONE, b"", type=tarfile.DIRTYPE)),
    "a pipe in it": with_one(member(ONE, b"", type=tarfile.FIFOTYPE)),
    "a device in it": with_one(member(ONE, b"", type=tarfile.CHRTYPE)),
    "outside of the folder": with_one(member("../batches/one"), member("/batches/one")),
    "long names without end": with_one(*[member("@LongLink", b"x", type=b"L")] * 20_000),
    "a header of digits": with_one(PAX(content=b"1" * (1 << 20)), *[PAX(content=b"1")] * 9),
    "a pickle of another kind": with_one(member(ONE, crafted.BAD["a command"])),
    **NO_FILES,
}
GOOD_ARCHIVES = {
    "as tar writes it": with_one(member(ONE)),
    "with a dot before": with_one(member(f"./{ONE}")),
    "with more around": with_one(PAX(content=b"20 mtime=1.5\n"), member(ONE), member("more")),
    "the last of two": with_one(member(ONE, b"old"), member(ONE)),
}


def load_archive(root: Path, make: Maker) -> Any:
    make(root / "batches.tar.gz")
    loaded = call(cifar_like, "dataset", root=str(root), **{**SETTINGS, "md5": "0"})
    return loaded._splits["train"].images, loaded.notes


@pytest.mark.parametrize("name", few(ARCHIVES, 10))
def test_an_archive_is_refused_in_one_line(name: str, tmp_path: Path) -> None:
    outcome = bounded(lambda: load_archive(tmp_path, ARCHIVES[name]))
    assert_refused(outcome, f"{tmp_path}/batches")
    assert [path.name for path in tmp_path.iterdir()] == ["batches.tar.gz"]


@pytest.mark.parametrize("name", GOOD_ARCHIVES)
def test_a_good_archive_that_is_not_the_published_one_is_noted(name: str, tmp_path: Path) -> None:
    outcome = bounded(lambda: load_archive(tmp_path, GOOD_ARCHIVES[name]))
    assert outcome.how == "done", outcome.what
    images, (note,) = outcome.what
    assert np.array_equal(images.reshape(2, -1, 3072)[0], crafted.PIXELS)
    assert "batches.tar.gz" in note and "MD5" in note


TEXTS: dict[str, tuple[Maker, str]] = {
    "empty": (write(b""), "characters"),
    "too short": (write(b"abc"), "characters"),
    "no UTF-8": (write(b"abc" * 100 + b"\xff"), "characters"),
    "half of a pair": (write(b"abc" * 100 + b"\xed\xa0\x80"), "characters"),
    "cut in a character": (write(b"abc" * 100 + b"\xf0\x9f"), "characters"),
    "2 GB of a hole, by characters": (sparse(b"a", 2 << 30), "characters"),
    "1 TB of a hole, by bytes": (sparse(b"a", 1 << 40), "bytes"),
    "from the system": (link("/proc/self/status"), "bytes"),
    **{f"{name}, by bytes": (make, "bytes") for name, make in NO_FILES.items()},
    **{f"{name}, by characters": (make, "characters") for name, make in NO_FILES.items()},
}


def load_text(root: Path, make: Maker, by: str) -> Any:
    make(root / "t.txt")
    dataset = call(text, "dataset", path=str(root / "t.txt"), by=by)
    source = dataset.open("train", torch.device("cpu"))
    inputs, _ = next(iter(source.stream(torch.tensor([len(source) - 1]), [(0, 1)])))
    return [dataset.vocabulary[i] for i in inputs.flatten().tolist()]


@pytest.mark.parametrize("name", TEXTS)
def test_a_text_is_refused_in_one_line(name: str, tmp_path: Path) -> None:
    outcome = bounded(lambda: load_text(tmp_path, *TEXTS[name]))
    assert_refused(outcome, f"{tmp_path}/t.txt")


@pytest.mark.parametrize(
    ("content", "by", "size"),
    [
        ("a\0\x1b\r\n\ufeff𝄞" * 400_000, "characters", 0),
        ("a" * 1000, "characters", 0),
        ("a" * 1000, "bytes", 1 << 30),
    ],
)
def test_a_text_of_any_characters_is_read(content: str, by: str, size: int, tmp_path: Path) -> None:
    make = sparse(content.encode(), size) if size else write(content.encode())
    outcome = bounded(lambda: load_text(tmp_path, make, by))
    assert outcome.how == "done", outcome.what
    assert set(outcome.what) <= ({"\\x00"} if size else set(content))

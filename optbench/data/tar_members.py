"""Files picked out of a .tar.gz, which is read once from front to end within bounds.

Python's tarfile takes as much memory as a header asks for, and as much time as a hostile one needs.
Source of the format: POSIX.1-1988 ("ustar"); sizes in base 256 are GNU's.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from optbench.data.files import Gunzipped, Unreadable, open_regular

_BLOCK = 512
_FILES = (b"0", b"\0", b"7")
_SKIPPED = 1 << 20
LIMIT = 1 << 29  # bytes; CIFAR has 180 million


def read_members(path: Path, wanted: Collection[str], limit: int = LIMIT) -> dict[str, bytes]:
    """Return the content of the wanted members by name; leave out links and what is missing.

    Raises:
        Unreadable: it is no .tar.gz, is damaged, or unpacks to more than `limit` bytes.
    """
    found: dict[str, bytes] = {}
    with open_regular(path) as file:
        stream = Gunzipped(file, limit)
        while True:
            header = stream.read(_BLOCK)
            if header.count(0) == len(header):  # two such blocks end it, and the file may
                break
            if len(header) < _BLOCK:
                raise Unreadable("it is cut short")
            name, size, is_file = _read_header(header)
            if is_file and name in wanted:
                if size > limit:
                    raise Unreadable(f"{name} has {size:,} bytes, and at most {limit:,} are read")
                content = stream.read(size)
                if len(content) < size:
                    raise Unreadable("it is cut short")
                found[name] = content
                size = -size % _BLOCK
            else:
                size += -size % _BLOCK
            _skip(stream, size)
        while stream.read(_SKIPPED):  # to the end, where the checksum is
            pass
    return found


def _read_header(header: bytes) -> tuple[str, int, bool]:
    """Return name and size of a member, and whether it is an ordinary file."""
    told = _number(header[148:156])
    if told != sum(header[:148]) + sum(header[156:]) + 8 * ord(" "):
        raise Unreadable("it is no tar archive, or damaged")
    name, prefix = (_text(header[:100]), _text(header[345:500]))
    whole = f"{prefix}/{name}" if prefix and header[257:263] == b"ustar\0" else name
    return whole.removeprefix("./"), _number(header[124:136]), header[156:157] in _FILES


def _text(field: bytes) -> str:
    return field.partition(b"\0")[0].decode("utf-8", "replace")


def _number(field: bytes) -> int:
    if field[0] == 0x80:
        return int.from_bytes(field[1:], "big")
    try:
        return int(field.strip(b" \0") or b"0", 8)
    except ValueError:
        raise Unreadable("it is no tar archive, or damaged") from None


def _skip(stream: Gunzipped, size: int) -> None:
    while size:
        passed = len(stream.read(min(size, _SKIPPED)))
        if not passed:
            raise Unreadable("it is cut short")
        size -= passed

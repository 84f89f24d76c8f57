"""optbench.data.idx"""

import gzip
from pathlib import Path

import numpy as np
import pytest

from optbench.data.idx import read_idx
from optbench.errors import ArgumentError

ARRAY = np.arange(2 * 3 * 4, dtype=np.uint8).reshape(2, 3, 4)
CONTENT = b"\0\0\x08\x03" + np.array(ARRAY.shape, ">u4").tobytes() + ARRAY.tobytes()


def test_raw_and_gzipped_files_read_alike(tmp_path: Path) -> None:
    (tmp_path / "array").write_bytes(CONTENT)
    (tmp_path / "array.gz").write_bytes(gzip.compress(CONTENT, mtime=0))
    for name in ("array", "array.gz"):
        found = read_idx(tmp_path / name, 3)
        assert (found.dtype, found.tolist()) == (np.uint8, ARRAY.tolist())
        assert found.flags.writeable


ZIPPED = gzip.compress(CONTENT, mtime=0)


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("array", b"", "not an IDX file"),
        ("array", b"hello there", "not an IDX file"),
        ("array", b"\0\0\x0d\x01" + CONTENT[4:], "type is 13"),
        ("array", CONTENT[:9], "cut short"),
        ("array", CONTENT[:-1], "23 bytes for an array of shape"),
        ("array", CONTENT + b"x", "25 bytes for an array of shape"),
        ("array", b"\0\0\x08\x00", "0 dimensions, not 3"),
        ("array", b"\0\0\x08\xff" + b"\0" * 1020, "255 dimensions, not 3"),
        ("array", b"\0\0\x08\x03" + b"\xff" * 12, "more than 1,073,741,824 bytes"),
        ("array.gz", gzip.compress(CONTENT + b"x", mtime=0), "more bytes than an array of shape"),
        ("array.gz", gzip.compress(CONTENT[:-1], mtime=0), "23 bytes for an array of shape"),
        ("array.gz", ZIPPED + b"junk", "Error -3"),
        ("array.gz", b"", "cut short"),
        ("array.gz", CONTENT, "not a gzip file"),
        ("array.gz", ZIPPED[:-12], "cut short"),
        ("array.gz", ZIPPED[:-8] + b"\0" * 8, "incorrect data check"),
        ("array.gz", ZIPPED[:12] + b"\xff\xff" + ZIPPED[14:], "Error -3|not an IDX file"),
    ],
)
def test_a_damaged_file_is_named_in_one_line(
    tmp_path: Path, name: str, content: bytes, reason: str
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(ArgumentError, match=reason) as caught:
        read_idx(path, 3)
    assert str(caught.value).startswith(f"{path} cannot be read")
    assert "\n" not in str(caught.value)

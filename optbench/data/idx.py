"""The IDX format of MNIST: a magic number, the shape, then the bytes.

Source: https://yann.lecun.org/exdb/mnist/ ("The IDX file format").
"""

from __future__ import annotations

import math
import struct
from io import BufferedReader
from pathlib import Path
from typing import TYPE_CHECKING

from optbench.data.files import (
    LIMIT,
    Gunzipped,
    Unreadable,
    damaged,
    open_regular,
    reason_of,
    size_of,
)

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

_UNSIGNED_BYTES = 8


def read_idx(
    path: Path, dimensions: int, limit: int = LIMIT, elsewhere: bool = True
) -> npt.NDArray[np.uint8]:
    """Return the uint8 array of an IDX file, gzipped (by its name, .gz) or raw.

    Args:
        elsewhere: whether it could be downloaded again, which the error then says.

    Raises:
        ArgumentError: the file is unreadable, damaged, cut short, of another type or number of
            dimensions, or of more than `limit` bytes.
    """
    try:
        with open_regular(path) as file:
            packed = path.suffix == ".gz"
            return _read(Gunzipped(file, limit + 1024) if packed else file, dimensions, limit)
    except Unreadable as error:
        raise damaged(path, str(error), elsewhere) from error
    except (OSError, MemoryError) as error:
        raise damaged(path, reason_of(error), elsewhere) from error


def _read(stream: BufferedReader | Gunzipped, dimensions: int, limit: int) -> npt.NDArray[np.uint8]:
    magic = stream.read(4)
    if len(magic) < 4 or magic[:2] != b"\0\0":
        raise Unreadable("it is not an IDX file")
    if magic[2] != _UNSIGNED_BYTES:
        raise Unreadable(f"its type is {magic[2]}, not {_UNSIGNED_BYTES} (unsigned bytes)")
    if magic[3] != dimensions:
        found = f"{magic[3]} dimension{'s' * (magic[3] != 1)}"
        raise Unreadable(f"it has {found}, not {dimensions}; images have 3, labels 1")
    sides = stream.read(4 * dimensions)
    if len(sides) < 4 * dimensions:
        raise Unreadable("it is cut short")
    shape = struct.unpack(f">{dimensions}I", sides)
    count = math.prod(shape)
    if count > limit:
        raise Unreadable(f"an array of shape {shape}: more than {limit:,} bytes")
    if not isinstance(stream, Gunzipped):
        there = size_of(stream) - stream.tell()
        if there != count:
            raise Unreadable(f"{there} bytes for an array of shape {shape}")
    import numpy as np  # only now: a twentieth of a second, which a missing file need not cost

    array = np.empty(count, np.uint8)
    there = stream.readinto(array.data) if count else 0
    if there < count:
        raise Unreadable(f"{there} bytes for an array of shape {shape}")
    if stream.read(1):
        raise Unreadable(f"more bytes than an array of shape {shape} has")
    return array.reshape(shape)

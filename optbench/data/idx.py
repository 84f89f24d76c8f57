"""The IDX format of MNIST: a magic number, the shape, then the bytes.

Source: https://yann.lecun.org/exdb/mnist/ ("The IDX file format").
"""

from __future__ import annotations

import gzip
import math
import zlib
from pathlib import Path
from typing import TYPE_CHECKING

from optbench.errors import UserError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

_UNSIGNED_BYTES = 8


def read_idx(path: Path) -> npt.NDArray[np.uint8]:
    """The uint8 array of an IDX file, gzipped (by its name, .gz) or raw.

    Raises UserError when the file is unreadable, damaged, cut short or of another type.
    """
    try:
        content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (OSError, EOFError, zlib.error) as error:
        raise _damaged(path, str(error)) from error
    if len(content) < 4 or content[:2] != b"\0\0":
        raise _damaged(path, "it is not an IDX file")
    if content[2] != _UNSIGNED_BYTES:
        raise _damaged(path, f"its type is {content[2]}, not {_UNSIGNED_BYTES} (unsigned bytes)")
    start = 4 + 4 * content[3]
    if len(content) < start:
        raise _damaged(path, "it is cut short")
    import numpy as np  # only now: a twentieth of a second, which a missing file need not cost

    shape = tuple(int(n) for n in np.frombuffer(content, ">u4", count=content[3], offset=4))
    if len(content) - start != math.prod(shape):
        raise _damaged(path, f"{len(content) - start} bytes for an array of shape {shape}")
    return np.frombuffer(content, np.uint8, offset=start).reshape(shape).copy()


def _damaged(path: Path, reason: str) -> UserError:
    return UserError(
        f"{path} cannot be read ({reason}): replace it by a good copy, or delete it and set"
        " dataset.download=true"
    )

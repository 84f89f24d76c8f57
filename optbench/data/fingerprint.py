"""A word that tells one data set from another, at the cost of a few million bytes."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy.typing as npt

WHOLE = 1 << 22
"""Bytes up to which all of an array counts; of a longer one as many, in evenly spaced pieces."""

_PIECE = 1 << 16


def fingerprint(*arrays: npt.NDArray[Any]) -> str:
    """Return 32 hex digits that follow from the arrays' types, shapes and bytes; see WHOLE."""
    import numpy as np

    found = hashlib.sha256()
    for array in arrays:
        found.update(f"{array.dtype.str}{array.shape}".encode())
        flat = np.ascontiguousarray(array).reshape(-1).view(np.uint8).data
        if len(flat) <= WHOLE:
            found.update(flat)
            continue
        pieces = WHOLE // _PIECE
        for number in range(pieces):
            start = (len(flat) - _PIECE) * number // (pieces - 1)
            found.update(flat[start : start + _PIECE])
    return found.hexdigest()[:32]

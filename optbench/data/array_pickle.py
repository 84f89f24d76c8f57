"""Pickles of plain data and numpy arrays, loaded without running anything else they may hold."""

from __future__ import annotations

import codecs
import io
import pickle
from typing import Any

import numpy as np

_RECONSTRUCT = np.empty(0).__reduce__()[0]  # numpy's own, wherever this version keeps it
_ALLOWED: dict[tuple[str, str], Any] = {
    ("numpy.core.multiarray", "_reconstruct"): _RECONSTRUCT,
    ("numpy._core.multiarray", "_reconstruct"): _RECONSTRUCT,
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
    ("_codecs", "encode"): codecs.encode,
}


class _ArrayUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _ALLOWED:
            raise pickle.UnpicklingError(f"{module}.{name} is not allowed in a data file")
        return _ALLOWED[module, name]


def load_array_pickle(content: bytes) -> Any:
    """The object in a pickle, also one of Python 2 (whose strings are read as latin-1).

    Builtin containers, numbers, strings and numpy arrays only: anything else raises
    pickle.UnpicklingError. Broken bytes raise whatever pickle raises.
    """
    return _ArrayUnpickler(io.BytesIO(content), encoding="latin1").load()

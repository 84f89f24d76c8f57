"""Numbers of others as pixels and labels: what would have to be rounded or cut off is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

_LARGEST = 1 << 62  # of a label


def as_pixels(values: Any) -> npt.NDArray[np.uint8]:
    """Return an array of whole numbers from 0 to 255 as uint8.

    Raises:
        ValueError: it is anything else.
    """
    import numpy as np

    if not isinstance(values, np.ndarray):
        raise ValueError(f"the pixels are no array, but {_kind(values)}")
    if values.dtype == np.uint8:
        return values
    if values.dtype.kind not in "iu":
        raise ValueError(f"the pixels are {values.dtype}, not whole numbers from 0 to 255")
    if values.size and (values.min() < 0 or values.max() > 255):
        raise ValueError(f"the pixels are {values.min()} to {values.max()}, not 0 to 255")
    return values.astype(np.uint8)


def as_labels(values: Any) -> npt.NDArray[np.int64]:
    """Return whole numbers, in a list or an array [N], as int64.

    Raises:
        ValueError: they are anything else.
    """
    import numpy as np

    if isinstance(values, list | tuple):
        for value in values:
            if type(value) is not int:
                raise ValueError(f"the labels are {_kind(value)}, not whole numbers")
        if values and (min(values) < -_LARGEST or max(values) > _LARGEST):
            raise ValueError("the labels are out of all range")
        return np.array(values, np.int64)
    if not isinstance(values, np.ndarray):
        raise ValueError(f"the labels are no list, but {_kind(values)}")
    if values.dtype.kind not in "iu":
        raise ValueError(f"the labels are {values.dtype}, not whole numbers")
    if values.ndim != 1:
        raise ValueError(f"the labels are an array of shape {values.shape}, not (N,)")
    if values.size and values.max() > _LARGEST:
        raise ValueError("the labels are out of all range")
    return values.astype(np.int64)


def _kind(value: Any) -> str:
    return {"str": "text", "NoneType": "nothing"}.get(type(value).__name__, type(value).__name__)

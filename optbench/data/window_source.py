"""Windows of a long sequence of ids, and for each its successor at every place."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor


class WindowSource:
    """A Source of (inputs, targets), each int64 [n, context]: ids, and the ids one place later.

    Window i begins at id i * stride. No window is stored: a batch is gathered from the ids, which
    lie on the device or, if `mapped`, stay in their file.
    """

    augments = False

    def __init__(
        self,
        ids: npt.NDArray[Any],
        context: int,
        stride: int,
        device: torch.device,
        mapped: bool = False,
    ) -> None:
        with warnings.catch_warnings():  # that a mapped file must not be written to
            warnings.simplefilter("ignore", UserWarning)
            flat = torch.from_numpy(np.asarray(ids))
        self._device = device
        flat = flat if mapped else flat.to(device)
        self._windows = flat.unfold(0, context + 1, stride)  # a view: [windows, context + 1]

    def __len__(self) -> int:
        """Return the number of windows."""
        return len(self._windows)

    def stream(
        self,
        indices: Tensor,
        bounds: Sequence[tuple[int, int]],
        augment_key: int | None = None,
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """See `Source.stream`. Nothing is ever augmented."""
        order = indices.to(self._windows.device)
        for start, stop in bounds:
            picked = self._windows[order[start:stop]]
            batch = picked.to(self._device).to(torch.int64)
            yield batch[:, :-1], batch[:, 1:]

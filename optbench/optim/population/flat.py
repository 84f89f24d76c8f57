"""Parameters as one vector."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


class Flat:
    """The parameters as points of a space of `size` dimensions, one after the other.

    Args:
        parameters: of any shapes, on one device.

    Attributes:
        dtype: the widest of theirs, at least float32.
    """

    def __init__(self, parameters: Sequence[Tensor]) -> None:
        self.parameters = list(parameters)
        self._lengths = [parameter.numel() for parameter in self.parameters]
        self.size = sum(self._lengths)
        self.device = self.parameters[0].device
        self.dtype = torch.float32
        for parameter in self.parameters:
            self.dtype = torch.promote_types(self.dtype, parameter.dtype)

    def read(self) -> Tensor:
        """Return where the parameters are, [size], a copy."""
        return torch.cat([p.detach().reshape(-1).to(self.dtype) for p in self.parameters])

    def write(self, point: Tensor) -> None:
        """Put the parameters at a point [size]."""
        for parameter, part in zip(self.parameters, point.split(self._lengths), strict=True):
            parameter.copy_(part.view_as(parameter))

    def stacked(self, points: Tensor) -> list[Tensor]:
        """Return points [K, size] as a tensor [K, *shape] for each parameter, in its dtype."""
        parts = zip(points.split(self._lengths, dim=1), self.parameters, strict=True)
        return [part.reshape(-1, *p.shape).to(p.dtype) for part, p in parts]

    def spread(self, values: Sequence[float]) -> Tensor | float:
        """Return a number for each parameter as a vector [size]; as a number, if all are alike."""
        if len(set(values)) == 1:
            return values[0]
        lengths = torch.tensor(self._lengths, device=self.device)
        each = torch.tensor(values, dtype=self.dtype, device=self.device)
        return each.repeat_interleave(lengths)

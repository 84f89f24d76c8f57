"""Members' gradients clipped, each by its own norm."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from optbench.training.clipping import Clipping
from optbench.training.together.update import StackedUpdate

TORCHS_LEAST = 1e-6
"""What `clip_grad_norm_` adds to the norm that it divides by."""


class StackedClipping:
    """Bounds on members' gradients; a member without has its own left as they are, to the bit.

    Args:
        clippings: of the members; what they do besides bounding norm and value is done by
            themselves.
        update: has the gradients.
    """

    def __init__(self, clippings: Sequence[Clipping], update: StackedUpdate) -> None:
        self._groups = update.groups
        like = self._groups[0].weights.flat
        self.alone = [number for number, c in enumerate(clippings) if c.centralize or c.adaptive]
        stacked = [Clipping() if n in self.alone else c for n, c in enumerate(clippings)]
        self._values = _bounds([c.value for c in stacked], like)
        self._norms = _bounds([None if c.per_group else c.norm for c in stacked], like)
        self._group_norms = _bounds([c.norm if c.per_group else None for c in stacked], like)

    @torch.no_grad()
    def apply(self) -> None:
        """Change the gradients in place."""
        flats = [group.gradients.flat for group in self._groups]
        if self._values is not None:
            for flat in flats:
                bound = self._values.to(flat.dtype)
                flat.copy_(torch.minimum(torch.maximum(flat, -bound), bound))
        if self._norms is not None:
            norms = [torch.linalg.vector_norm(flat, dim=1, keepdim=True) for flat in flats]
            total = norms[0]
            if len(norms) > 1:
                total = torch.linalg.vector_norm(torch.cat(norms, dim=1), dim=1, keepdim=True)
            self._shrink(flats, total, self._norms)
        if self._group_norms is not None:
            for flat in flats:
                norm = torch.linalg.vector_norm(flat, dim=1, keepdim=True)
                self._shrink([flat], norm, self._group_norms)

    def _shrink(self, flats: Sequence[Tensor], norm: Tensor, most: Tensor) -> None:
        factor = (most / (norm + TORCHS_LEAST)).clamp(max=1.0)
        for flat in flats:
            flat.mul_(factor.to(flat.dtype))


def _bounds(values: Sequence[float | None], like: Tensor) -> Tensor | None:
    """Return bounds [members, 1], infinite for none; None where no member has one."""
    if all(value is None for value in values):
        return None
    numbers = [float("inf") if value is None else value for value in values]
    return torch.tensor(numbers, dtype=like.dtype, device=like.device).unsqueeze(1)

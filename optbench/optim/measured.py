"""What an optimizer has to say of its last step, beside the new parameters."""

from __future__ import annotations

from typing import Any

from torch import Tensor


def measured(optimizer: Any) -> dict[str, float]:
    """Return an optimizer's attribute `measured`, numbers by name, and that of those inside it.

    Example:
        >>> class Mine(torch.optim.Optimizer):
        ...     def step(self, closure=None):
        ...         ...
        ...         self.measured = {"damping": self.damping}
    """
    return _said(optimizer, "measured")


def timed(optimizer: Any) -> dict[str, float]:
    """Return an optimizer's attribute `timed`, seconds of its last step by what they went into.

    They are another number each time: no checkpoint has them.
    """
    return _said(optimizer, "timed")


def _said(optimizer: Any, attribute: str) -> dict[str, float]:
    found: dict[str, float] = {}
    for member in getattr(optimizer, "members", ()):
        if member is getattr(optimizer, "stepped_member", member):
            found |= _said(member, attribute)
    own = getattr(optimizer, attribute, None)
    if isinstance(own, dict):  # what is a tensor yet is read now, when somebody asks
        found |= {n: v.item() if isinstance(v, Tensor) else v for n, v in own.items()}
    return found

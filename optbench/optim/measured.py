"""What an optimizer has to say of its last step, beside the new parameters."""

from __future__ import annotations

from typing import Any


def measured(optimizer: Any) -> dict[str, float]:
    """Return an optimizer's attribute `measured`, numbers by name, and that of those inside it.

    Example:
        >>> class Mine(torch.optim.Optimizer):
        ...     def step(self, closure=None):
        ...         ...
        ...         self.measured = {"damping": self.damping}
    """
    found: dict[str, float] = {}
    for member in getattr(optimizer, "members", ()):
        if member is getattr(optimizer, "stepped_member", member):
            found |= measured(member)
    own = getattr(optimizer, "measured", None)
    return found | own if isinstance(own, dict) else found

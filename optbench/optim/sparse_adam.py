"""Lazy Adam for dense gradients too."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch


class SparseAdam(torch.optim.SparseAdam):
    """`torch.optim.SparseAdam` that takes dense gradients as well as sparse ones.

    torch's refuses a dense gradient. Here its zeros are dropped first, so that moments and weights
    change only where the gradient is not zero, as for the rows of an embedding.
    """

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """One update; `closure` as in torch."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None and not parameter.grad.is_sparse:
                    parameter.grad = parameter.grad.to_sparse()
        inner = torch.optim.SparseAdam.step
        if getattr(inner, "hooked", False):  # torch has hung this class's hooks on it: not again
            inner = inner.__wrapped__  # type: ignore[attr-defined]
        inner(self)
        return loss

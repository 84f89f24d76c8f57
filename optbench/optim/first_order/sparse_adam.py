"""Lazy Adam for dense gradients too."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from optbench.optim.steps import evaluated, unhooked


class SparseAdam(torch.optim.SparseAdam):
    """`torch.optim.SparseAdam` that takes dense gradients as well as sparse ones.

    torch's refuses a dense gradient. Here its zeros are dropped first, so that moments and weights
    change only where the gradient is not zero, as for the rows of an embedding.
    """

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Take one update; `closure` as in torch."""
        loss = evaluated(closure)
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None and not parameter.grad.is_sparse:
                    parameter.grad = parameter.grad.to_sparse()
        unhooked(torch.optim.SparseAdam)(self)
        return loss

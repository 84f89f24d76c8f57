"""SCIONLight with its momentum in the state."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytorch_optimizer
import torch

from optbench.optim.steps import evaluated, unhooked


class SCIONLight(pytorch_optimizer.SCIONLight):
    """Scion that has its momentum in the gradients (Pethick et al. 2025, algorithm 2).

    The library leaves `(1 - momentum)` times the gradient behind in `grad`, for the next backward
    pass to add to. A training that clears gradients, clips them, or saves its state loses that.
    Here it is `state[parameter]["momentum_buffer"]`, and `grad` stays what it is.
    """

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Take one update."""
        loss = evaluated(closure)
        given = [(p, g) for g in self.param_groups for p in g["params"] if p.grad is not None]
        gradients = [parameter.grad for parameter, _ in given]
        for (parameter, _), gradient in zip(given, gradients, strict=True):
            state = self.state[parameter]
            if "momentum_buffer" not in state:
                state["momentum_buffer"] = torch.zeros_like(gradient)
            parameter.grad = state["momentum_buffer"].add_(gradient)
        try:
            unhooked(pytorch_optimizer.SCIONLight)(self)
        finally:
            for (parameter, group), gradient in zip(given, gradients, strict=True):
                parameter.grad = gradient
                if group["momentum"] == 1:  # where the library scales nothing
                    self.state[parameter]["momentum_buffer"].zero_()
        return loss

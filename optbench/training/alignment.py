"""How the gradient lies to the last update, for schedules that follow it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from optbench.schedules.base import Update, UpdateSchedule
from optbench.training.distributed import World
from optbench.training.likeness import refuse_unlike


class Alignment:
    """Shows each update to a schedule, together with the gradient that it led to.

    It keeps a copy of the parameters as they were before the last update. An update that was
    left out leaves no trace: its gradients are not finite, and such are passed over.

    Args:
        schedule: who wants to know.
        optimizer: the player's; its learning rates are the base ones still.
        followers: numbers of its parameter groups that follow the schedule.
    """

    def __init__(
        self,
        schedule: UpdateSchedule,
        optimizer: torch.optim.Optimizer,
        followers: Sequence[int],
    ) -> None:
        self.schedule, self._optimizer, self._first = schedule, optimizer, followers[0]
        groups = [optimizer.param_groups[number] for number in followers]
        self._parameters: list[Tensor] = [p for group in groups for p in group["params"]]
        self._base_lr = float(groups[0]["lr"])
        self._before: list[Tensor] | None = None
        self._lr = 0.0

    @torch.no_grad()
    def look(self, world: World) -> bool:
        """Look at the unscaled, unclipped gradients after backward; return False if not finite."""
        if self._before is None:
            return True
        # The mean over ranks changes nothing but rounding, in which all then agree.
        dot, gradient, update = world.mean(self._products(self._before)).tolist()
        if not math.isfinite(dot + gradient + update):
            return False
        norms = (math.sqrt(gradient), math.sqrt(update))
        self.schedule.observe_update(Update(dot, *norms, self._lr, self._base_lr))
        return True

    def _products(self, before: Sequence[Tensor]) -> Tensor:
        """Return g . u, g . g and u . u with the update u = before - now, over all parameters."""
        now = [_wide(parameter.detach()) for parameter in self._parameters]
        updates = torch._foreach_sub([_wide(old) for old in before], now)
        gradients = [_gradient(parameter) for parameter in self._parameters]
        dots = [product.sum() for product in torch._foreach_mul(gradients, updates)]
        norms = torch._foreach_norm([*gradients, *updates])
        squares = torch.stack(norms).square().view(2, -1).sum(1)
        return torch.cat([torch.stack(dots).sum().view(1), squares])

    @torch.no_grad()
    def remember(self) -> None:
        """Keep the parameters right before the update, with the learning rate that it takes."""
        if self._before is None:
            self._before = [torch.empty_like(p) for p in self._parameters]
        torch._foreach_copy_(self._before, [p.detach() for p in self._parameters])
        # Asked for anew: loading a state dict gives an optimizer new groups.
        self._lr = float(self._optimizer.param_groups[self._first]["lr"])

    def state_dict(self) -> dict[str, Any]:
        """Return all that is needed to go on, as plain data and tensors."""
        return {"before": self._before, "lr": self._lr}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from `state_dict()`."""
        refuse_unlike(state["lr"], self._lr, "lr")
        self._lr, self._before = state["lr"], None
        if state["before"] is not None:
            pairs = zip(self._parameters, state["before"], strict=True)
            self._before = [torch.empty_like(p).copy_(old) for p, old in pairs]


def _gradient(parameter: Tensor) -> Tensor:
    gradient = parameter.grad
    if gradient is None:
        return _wide(torch.zeros_like(parameter))
    return _wide(gradient.to_dense() if gradient.is_sparse else gradient)


def _wide(tensor: Tensor) -> Tensor:
    """Return the tensor in at least float32, in which squares do not overflow."""
    return tensor.float() if tensor.dtype in (torch.float16, torch.bfloat16) else tensor

"""Lookahead: slow weights that follow the fast ones of any optimizer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from optbench.optim.combined import Combined


class Lookahead(Combined):
    """k steps forward, one step back, around any optimizer (Zhang et al. 2019, algorithm 1).

    Every `sync_period` steps, with slow weights phi that start at the initial weights,

        phi <- phi + alpha (theta - phi),   theta <- phi

    The inner optimizer's state goes on as it is. The weights that are validated between two
    synchronisations are the fast ones.

    Args:
        optimizer: the inner one, whose `step` needs no closure.
        sync_period: k, at least 1.
        alpha: in (0, 1].

    Raises:
        ValueError: an argument out of range.
    """

    def __init__(
        self, optimizer: torch.optim.Optimizer, sync_period: int = 5, alpha: float = 0.5
    ) -> None:
        if sync_period < 1:
            raise ValueError(f"sync_period must be at least 1, got {sync_period}")
        if not 0 < alpha <= 1:
            raise ValueError(f"alpha must be in (0, 1], got {alpha}")
        self.sync_period, self.alpha = sync_period, alpha
        self.taken = 0
        super().__init__([optimizer])
        self.slow = [p.detach().clone() for p in self._parameters()]

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """One step of the inner optimizer, and every `sync_period` steps the slow one."""
        loss = super().step(closure)
        self.taken += 1
        if self.taken % self.sync_period == 0:
            fast: list[Tensor] = self._parameters()
            torch._foreach_lerp_(self.slow, fast, self.alpha)
            torch._foreach_copy_(fast, self.slow)
        return loss

    def state_dict(self) -> dict[str, Any]:
        """The inner optimizer's, the slow weights, and the number of steps."""
        return {**super().state_dict(), "slow": self.slow, "taken": self.taken}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Goes on from `state_dict()`."""
        super().load_state_dict(state_dict)
        torch._foreach_copy_(self.slow, state_dict["slow"])
        self.taken = state_dict["taken"]

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
        optimizer: the inner one.
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
        self._taken = 0
        self._slow: list[Tensor] = []
        super().__init__([optimizer])
        self._follow_new()

    def _follow_new(self) -> None:
        """Add slow weights for the parameters that have none yet: the last ones."""
        new = self._parameters()[len(self._slow) :]
        self._slow += [p.detach().clone() for p in new]

    def _advance(self, closure: Callable[[], Any] | None) -> Any:
        """Take one step of the inner optimizer, and every `sync_period` steps the slow one."""
        loss = super()._advance(closure)
        self._taken += 1
        if self._taken % self.sync_period == 0:
            fast: list[Tensor] = self._parameters()
            torch._foreach_lerp_(self._slow, fast, self.alpha)
            torch._foreach_copy_(fast, self._slow)
        return loss

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add a group to the inner optimizer; its slow weights start where it is now."""
        super().add_param_group(param_group)
        if self._made:
            self._follow_new()

    def state_dict(self) -> dict[str, Any]:
        """Return the inner optimizer's state, the slow weights, and the number of steps."""
        return {**super().state_dict(), "slow": self._slow, "taken": self._taken}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from `state_dict()`."""
        super().load_state_dict(state_dict)
        torch._foreach_copy_(self._slow, state_dict["slow"])
        self._taken = state_dict["taken"]

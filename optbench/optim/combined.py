"""Several optimizers that look like one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch


class Combined(torch.optim.Optimizer):
    """Optimizers for disjoint parameters, stepped together.

    The trainer, the schedule and the gradient scaler see one list of `param_groups`, whose dicts
    are the members' own, so a learning rate set there reaches its member.

    Args:
        members: optimizers over disjoint parameters, none of which needs a closure.
    """

    def __init__(self, members: list[torch.optim.Optimizer]) -> None:
        self.members = members
        super().__init__([{"params": p} for p in self._parameters()], {})
        self.param_groups = [group for member in members for group in member.param_groups]

    def _parameters(self) -> list[torch.Tensor]:
        return [p for m in self.members for g in m.param_groups for p in g["params"]]

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """One update of every member; `closure` is called once."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for member in self.members:
            member.step()
        return loss

    def state_dict(self) -> dict[str, Any]:
        """The members' state dicts, in order."""
        return {"members": [member.state_dict() for member in self.members]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restores every member from `state_dict()`."""
        for member, state in zip(self.members, state_dict["members"], strict=True):
            member.load_state_dict(state)
        self.param_groups = [group for member in self.members for group in member.param_groups]

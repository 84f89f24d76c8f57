"""Several optimizers that look like one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from optbench.optim.needs import Needs, needs_of, together
from optbench.optim.steps import evaluated


class Combined(torch.optim.Optimizer):
    """Optimizers for disjoint parameters, stepped together.

    The trainer, the schedule and the gradient scaler see one list of `param_groups`, whose dicts
    are the members' own, so a learning rate set there reaches its member.

    Args:
        members: optimizers over disjoint parameters; several only where none needs a closure.

    Raises:
        ValueError: one of several needs a closure.

    Attributes:
        needs: all members'.
    """

    def __init__(self, members: list[torch.optim.Optimizer]) -> None:
        for member in members if len(members) > 1 else ():
            if needs_of(member).closure:
                name = type(member).__name__
                raise ValueError(f"{name} evaluates the loss itself, which none of several can")
        self.members = members
        self._made = False
        super().__init__([{"params": p} for p in self._parameters()], {})
        self._made = True
        self._gather()

    def _gather(self) -> None:
        self.param_groups = [group for member in self.members for group in member.param_groups]

    def _parameters(self) -> list[torch.Tensor]:
        return [p for m in self.members for g in m.param_groups for p in g["params"]]

    @property
    def needs(self) -> Needs:
        """What the members need together."""
        return together(map(needs_of, self.members))

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Take one update of every member; call `closure` once, or as an only member wants."""
        return self._advance(closure)

    def _advance(self, closure: Callable[[], Any] | None) -> Any:
        """Take the update. Not in `step`: torch hangs hooks on every class's, so one that called
        another's would run them twice."""
        if len(self.members) == 1 and needs_of(self.members[0]).closure:
            return self.members[0].step(closure)
        loss = evaluated(closure)
        for member in self.members:
            member.step()
        return loss

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add a group to the only member.

        Raises:
            ValueError: there are several members.
        """
        if not self._made:
            super().add_param_group(param_group)
            return
        if len(self.members) > 1:
            names = ", ".join(type(member).__name__ for member in self.members)
            raise ValueError(f"add_param_group: which of {names} should take the new group?")
        self.members[0].add_param_group(param_group)
        self._gather()

    def state_dict(self) -> dict[str, Any]:
        """Return the members' state dicts, in order."""
        return {"members": [member.state_dict() for member in self.members]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore every member from `state_dict()`."""
        for member, state in zip(self.members, state_dict["members"], strict=True):
            member.load_state_dict(state)
        self._gather()

    def __getstate__(self) -> dict[str, Any]:
        """Return everything but hooks, which torch leaves out too, and what follows from the
        members."""
        derived = ("param_groups", "step")
        return {k: v for k, v in vars(self).items() if k not in derived and "_hooks" not in k}

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        self._gather()

"""Several optimizers that look like one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from optbench.optim.needs import Needs, needs_of, together
from optbench.optim.steps import evaluated
from optbench.torch_internals import take_step


class Combined(torch.optim.Optimizer):
    """Optimizers for disjoint parameters, stepped together.

    The trainer, the schedule and the gradient scaler see one list of `param_groups`, whose dicts
    are the members' own, so a learning rate set there reaches its member.

    Args:
        members: optimizers over disjoint parameters. One of several may evaluate the loss itself,
            once: it goes first, and the others go by the gradients that it leaves.

    Raises:
        ValueError: one of several evaluates the loss many times, or two evaluate it.

    Attributes:
        needs: all members'.
    """

    def __init__(self, members: list[torch.optim.Optimizer]) -> None:
        asking = [member for member in members if needs_of(member).closure]
        if len(members) > 1:
            _check(asking)
        self.members = members
        self._asking = asking[0] if asking else None
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
        asking = self._asking
        loss = evaluated(closure) if asking is None else asking.step(closure)
        for member in self.members:
            if member is not asking:
                take_step(member)
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


def _check(asking: list[torch.optim.Optimizer]) -> None:
    """Refuse members of several that evaluate the loss, but for one that does so once."""
    names = [type(member).__name__ for member in asking]
    if len(asking) > 1:
        raise ValueError(f"{' and '.join(names)} evaluate the loss themselves, which one can alone")
    if asking and needs_of(asking[0]).objective == "many":
        raise ValueError(f"{names[0]} evaluates the loss many times, which none of several can")

"""Gradient norms and update ratios of all members at once."""

from __future__ import annotations

from collections.abc import Sequence
from time import perf_counter
from typing import Any

import torch
from torch import Tensor

from optbench.training import rng
from optbench.training.aside import Aside
from optbench.training.together.core import Core
from optbench.training.together.member import Member
from optbench.training.together.stack import member_of


class StackedWatch:
    """Does for members what an `UpdateWatch` does for one; theirs take the numbers.

    Args:
        core: the stacked tensors.
    """

    def __init__(self, core: Core) -> None:
        self._core = core
        self._gradients = self._weights = self._updates = torch.empty(0)
        self._before: list[Tensor] = []
        self._seconds = [0.0, 0.0]
        self._shares_at_once = True

    def see_forward(self, members: Sequence[Member], batch: Any, number: int) -> None:
        """Look at the activations of members, where they want that at this step.

        All at once, or, where that can't be, by a forward pass of each member's own.
        """
        looks = {m: looked for m in members if (looked := m.watch.forward(number)) is not None}
        shares = self._shares(batch) if looks else None
        for member, looked in looks.items():
            if shares is not None:
                values, seconds = shares
                own = {tag: each[member.place] for tag, each in values.items()}
                looked.take(own, seconds / len(looks))
                continue
            step, world = member.step, member.state.world
            aside = Aside(member.player, step.bare, step.task, step.precision, world)
            start = rng.generators(world.device)._replace(cpu=member.generators()["torch"])
            with torch.no_grad(), aside.untouched(start), looked.looking():
                aside.loss(member_of(batch, member.place))

    def _shares(self, batch: Any) -> tuple[dict[str, Any], float] | None:
        """Return all members' shares by tag, and what that took; None where it can't be."""
        if not self._shares_at_once:
            return None
        begun = perf_counter()
        try:
            found = self._core.loss.shares(batch)
        except Exception:  # of vmap, of a model: alone it shows whose it is
            self._shares_at_once = False
            return None
        if any(each.device.type != "cpu" for each in found.values()):
            return found, perf_counter() - begun
        return {tag: each.tolist() for tag, each in found.items()}, perf_counter() - begun

    def see_gradients(self) -> None:
        """Look before clipping."""
        begun = perf_counter()
        self._gradients = _norms(self._core.gradients)
        self._seconds[0] += perf_counter() - begun

    def see_before(self) -> None:
        """Look right before the step."""
        begun = perf_counter()
        self._weights = _norms(self._core.weights)
        self._before = [group.weights.flat.clone() for group in self._core.update.groups]
        self._seconds[1] += perf_counter() - begun

    def see_after(self) -> None:
        """Look right after the step."""
        begun = perf_counter()
        self._updates = _norms(self._core.update.moved(self._before))
        self._before = []
        self._seconds[1] += perf_counter() - begun

    def give(self, members: Sequence[Member]) -> None:
        """Give the numbers to members' own watches, in one transfer from a GPU."""
        begun = perf_counter()
        every = torch.stack([self._gradients, self._weights, self._updates]).tolist()
        share = 1 / len(members)
        norms, ratios = self._seconds[0], self._seconds[1] + perf_counter() - begun
        for member in members:
            member.watch.take(*[kind[member.place] for kind in every])
            watching = member.trainer.reporter.watching
            watching.add("gradient_norms", norms * share, inside=True)
            watching.add("update_ratios", ratios * share, inside=True)
        self._seconds = [0.0, 0.0]


def _norms(stacks: Sequence[Tensor]) -> Tensor:
    """Return the Euclidean norms [members, tensors] of stacks [members, *shape]."""
    rows = [stack.detach().flatten(1) if stack.ndim > 1 else stack[:, None] for stack in stacks]
    return torch.stack([torch.linalg.vector_norm(row, dim=1) for row in rows], dim=1)

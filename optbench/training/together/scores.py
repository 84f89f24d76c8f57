"""The validation scores of members that evaluate at one step, by one computation."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import isclose
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from optbench.tasks.base import Batch, Task
from optbench.training.settings import EvaluationSet
from optbench.training.signals import Abandoned, Interruption
from optbench.training.together.core import Core
from optbench.training.together.member import Member
from optbench.training.together.stack import batch_for_all, batch_rows, batch_stack, member_of

ROOM = 64
"""Training batches with as many examples as are scored at once, whoever is in the population."""

DIGITS = 1e-4, 1e-6
"""By how much a score may differ from the run's own, relative and absolute: rounding of float32."""

Scores = dict[str, float]


class StackedScores:
    """Scores members' validation sets at once where they are about to be scored, each as if alone.

    The test set is left to the members: one that is killed after its last checkpoint scores it by
    itself, to the bit as if it had not been.

    Members whose sets have one size, cut into batches alike and scored equally often, go together,
    also those that have ended, whose scores nobody asks for: so what becomes of one changes no bit
    of the others. The first scores are compared with members' own. Whatever can't go, or gives
    other scores, is left to the members.

    Args:
        members: in the order of their places.
        core: their tensors.
        interruption: whether somebody wants all to stop.
        tell: told why members are scored one by one.
    """

    def __init__(
        self,
        members: Sequence[Member],
        core: Core,
        interruption: Interruption,
        tell: Callable[[str], None],
    ) -> None:
        self._core, self._interruption, self._tell = core, interruption, tell
        self._pass = _Pass(members[0])
        self._groups = list(_groups(members, core))

    def see(self, alive: Sequence[Member]) -> None:
        """Give members that are about to score a set its scores."""
        due = {member.place for member in alive if member.validates_next}
        for group in list(self._groups) if due else ():
            asked = [member for member in group.members if member.place in due]
            if not asked:
                continue
            try:
                found = self._scored(group)
                why = None if group.compared else _unlike(group, found, asked)
            except Abandoned:
                continue
            except Exception as error:  # a task's or a model's: alone it shows whose it is
                said = (str(error).splitlines() or [type(error).__name__])[0]
                why = f"vmap can't do it ({said[:160].rstrip('.')})"
            if why is not None:
                self._groups.remove(group)
                self._tell(f"validation sets are scored one by one: {why}")
            elif found:
                group.compared = True
                for member in asked:
                    member.know(found[member.place])

    @torch.no_grad()
    def _scored(self, group: _Group) -> dict[int, Scores]:
        """Return the scores of all members by place; none if somebody wants all to stop."""
        found: dict[int, Scores] = {}
        for part in group.parts:
            tensors = self._tensors(part.members)
            totals: dict[str, Tensor] = {}
            size = 0
            for number, (batch, examples) in enumerate(part.batches()):
                if number and self._interruption.number:
                    return {}
                for name, value in self._pass(tensors, batch).items():
                    value = value.double()
                    totals[name] = totals[name] + value if name in totals else value
                size += examples
            means = (torch.stack([*totals.values()]) / size).t().tolist()
            for member, own in zip(part.members, means, strict=True):
                scores = dict(zip(totals, own, strict=True))
                found[member.place] = member.state.task.derive(scores)
        return found

    def _tensors(self, members: Sequence[Member]) -> dict[str, Tensor]:
        """Return the stacks to score members at, by name: of those with an average, that one."""
        stacks, core = self._core.modules, self._core
        weights = [_at(stack.detach(), members) for stack in core.weights]
        averages = [(row, member.player.ema) for row, member in enumerate(members)]
        if any(ema is not None for _, ema in averages):
            weights = [stack.clone() for stack in weights]
        for row, ema in averages:
            if ema is not None:
                torch._foreach_copy_([stack[row] for stack in weights], ema.averages)
        named = dict(zip(stacks.trained, weights, strict=True))
        named |= {name: _at(stack, members) for name, stack in stacks.others.items()}
        return {f"module.{name}": stack for name, stack in named.items()}


class _Pass:
    """A task's sums over a batch as a function of a model's tensors, of several members at once."""

    def __init__(self, like: Member) -> None:
        from torch.func import functional_call, vmap

        module = copy.deepcopy(like.player.module).eval()
        copied = _Sums(module, like.state.task, like.player.name)

        def alone(tensors: dict[str, Tensor], batch: Batch) -> dict[str, Tensor]:
            sums: dict[str, Tensor] = functional_call(copied, tensors, (batch,))
            return sums

        self._together = vmap(alone, randomness="error")

    def __call__(self, tensors: dict[str, Tensor], batch: Batch) -> dict[str, Tensor]:
        """Return members' sums by metric, [members] each, of stacks by name and a stacked batch."""
        with sdpa_kernel(SDPBackend.MATH):  # vmap knows no other
            sums: dict[str, Tensor] = self._together(tensors, batch)
        return sums


class _Sums(nn.Module):
    """What a task sums up over a batch, as a module, in which all tensors can be replaced."""

    def __init__(self, module: nn.Module, task: Task, player: str) -> None:
        super().__init__()
        self.module, self._task, self._player = module, task, player

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        return self._task.score({self._player: self.module}, batch)


@dataclass
class _Group:
    """Members whose sets are scored at one time, and how.

    Attributes:
        parts: of the members, as many as are scored at once.
        compared: whether their scores have been compared with members' own.
    """

    parts: Sequence[_Part]
    compared: bool = False

    @property
    def members(self) -> list[Member]:
        return [member for part in self.parts for member in part.sets]

    def set_of(self, member: Member) -> EvaluationSet:
        """Return a member's own set."""
        return next(part.sets[member] for part in self.parts if member in part.sets)


class _Part:
    """Some members, and the examples that each is scored on.

    Args:
        pairs: members in the order of their places, and their sets, of one size.
        batch_size: examples of one member in a forward pass.

    Attributes:
        members: in their order.
        sets: of each.
    """

    def __init__(self, pairs: Sequence[tuple[Member, EvaluationSet]], batch_size: int) -> None:
        self.sets = dict(pairs)
        self.members = [*self.sets]
        self._each = [*self.sets.values()]
        self._task = self.members[0].state.task
        first = self._each[0]
        count = len(first.indices)
        self._bounds = [(low, min(low + batch_size, count)) for low in range(0, count, batch_size)]
        self._one_source = all(each.source is first.source for each in self._each)
        same = all(torch.equal(each.indices, first.indices) for each in self._each)
        self._shared = self._one_source and same

    def batches(self) -> Iterator[tuple[Any, int]]:
        """Yield stacked batches, and how many examples one member has."""
        first, members = self._each[0], len(self._each)
        stacked: Iterable[Any]
        if self._shared:
            found = first.source.stream(first.indices, self._bounds)
            stacked = (batch_for_all(batch, members) for batch in found)
        elif self._one_source:
            rows = torch.stack([each.indices for each in self._each])
            picked = torch.cat([rows[:, low:high].reshape(-1) for low, high in self._bounds])
            bounds = [(low * members, high * members) for low, high in self._bounds]
            found = first.source.stream(picked, bounds)
            stacked = (batch_rows(batch, members) for batch in found)
        else:
            streams = [each.source.stream(each.indices, self._bounds) for each in self._each]
            stacked = (batch_stack(batches) for batches in zip(*streams, strict=True))
        for batch in stacked:
            yield batch, self._task.size(member_of(batch, 0))


def _groups(members: Sequence[Member], core: Core) -> Iterator[_Group]:
    """Yield the members whose validation sets can be scored at once."""
    alike: dict[tuple[int, ...], list[tuple[Member, EvaluationSet]]] = {}
    for member in members:
        what, player = member.trainer.evaluations.validation, member.player
        by_rows = type(member.state.task).collect is not Task.collect
        averaged = player.scored is not None and player.ema is None  # by its optimizer's own way
        if what is None or by_rows or averaged:
            continue
        settings = member.trainer.settings
        key = (len(what.indices), settings.eval_batch_size, settings.cadence.evaluate)
        alike.setdefault(key, []).append((member, what))
    room = ROOM * core.feed.feeds[0].batch_size
    for (count, batch_size, _), pairs in alike.items():
        most = room // min(batch_size, count)
        if len(pairs) < 2 or most < 2:
            continue
        parts = -(-len(pairs) // most)
        cuts = [len(pairs) * part // parts for part in range(parts + 1)]
        yield _Group([_Part(pairs[low:high], batch_size) for low, high in pairwise(cuts)])


def _unlike(group: _Group, found: Mapping[int, Scores], asked: Sequence[Member]) -> str | None:
    """Return what is wrong with the scores that were found, if that is not what members have."""
    if not found:
        return None
    for member in {asked[0].place: asked[0], asked[-1].place: asked[-1]}.values():
        own = member.trainer.scorer.measured(group.set_of(member))
        theirs = found[member.place]
        if own.keys() != theirs.keys() or not all(_close(theirs[name], own[name]) for name in own):
            return "they differ from a run's own"
    return None


def _close(one: float, other: float) -> bool:
    relative, absolute = DIGITS
    both_none = one != one and other != other
    return both_none or isclose(one, other, rel_tol=relative, abs_tol=absolute)


def _at(stack: Tensor, members: Sequence[Member]) -> Tensor:
    """Return members' part of a stack: a view where they stand side by side."""
    first, last = members[0].place, members[-1].place
    if last - first + 1 == len(members):
        return stack[first : last + 1]
    return stack[torch.tensor([member.place for member in members], device=stack.device)]

"""Runs that are trained at once without folders, and each of them alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from optbench.assemble.experiment import Experiment
from optbench.monitor.record import Recorder
from optbench.training import rng
from optbench.training.callback import Callback
from optbench.training.settings import Outcome
from optbench.training.signals import Interruption
from optbench.training.together.core import Core
from optbench.training.together.loop import Together
from optbench.training.together.member import Member

from .experiments import Memory, experiment, fit


@dataclass
class Ended:
    """A run that has ended, however it was trained."""

    made: Experiment
    memory: Memory
    outcome: Outcome = field(default_factory=Outcome)

    @property
    def saved(self) -> dict[str, Any]:
        """What a checkpoint would hold of its player, and of its generators."""
        (player,) = self.made.state.players
        return {**player.state_dict(), "rng": self.made.state.generators()["torch"]}

    @property
    def losses(self) -> dict[int, float]:
        """Training losses by step."""
        return self.memory.values("train/loss")


def alone(*overrides: str) -> Ended:
    """A run by itself."""
    made = experiment(*overrides)
    outcome, memory = fit(made)
    return Ended(made, memory, outcome)


def at_once(
    members: Sequence[Sequence[str]],
    draws: bool = False,
    total_steps: int = 0,
    interruption: Interruption | None = None,
    callbacks: Sequence[Callback] = (),
    changed: Callable[[Experiment], None] = lambda made: None,
    told: list[str] | None = None,
) -> list[Ended]:
    """Runs with these overrides, trained at once.

    `changed` is shown each before it begins; `told` takes what is not done at once.
    """
    interruption = Interruption() if interruption is None else interruption
    ended: list[Ended] = []
    inside: list[Member] = []
    for number, overrides in enumerate(members):
        made, memory = experiment(*overrides), Memory()
        changed(made)
        trainer = made.trainer(Recorder([memory]), None, interruption, callbacks)
        member = Member(number, trainer)
        member.begin(rng.capture())
        ended.append(Ended(made, memory))
        inside.append(member)
    core = Core(
        [member.step for member in inside],
        [member.trainer.feed for member in inside],
        [member.generator for member in inside] if draws else None,
        total_steps,
    )

    def does(member: Member, what: Any) -> bool:
        what()
        return True

    def ends(member: Member) -> None:
        ended[member.number].outcome = member.trainer.finish()

    tell = [].append if told is None else told.append
    Together(inside, core, interruption, does, ends, tell).run()
    return ended


def same(one: Any, other: Any) -> bool:
    """Whether plain data with tensors is the same to the bit."""
    if isinstance(one, torch.Tensor):
        return torch.equal(one, other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[k], other[k]) for k in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(one == other)


def close(one: Any, other: Any, digits: float, at: str = "") -> None:
    """Expect the same data but for rounding, of tensors relative to their largest number."""
    if isinstance(one, torch.Tensor) and one.is_floating_point():
        least = digits * float(other.abs().max()) if other.numel() else 0.0
        torch.testing.assert_close(one, other, rtol=digits, atol=least, msg=at)
    elif isinstance(one, dict):
        assert one.keys() == other.keys(), at
        for key in one:
            close(one[key], other[key], digits, f"{at}.{key}")
    elif isinstance(one, list | tuple):
        assert len(one) == len(other), at
        for number, (mine, theirs) in enumerate(zip(one, other, strict=True)):
            close(mine, theirs, digits, f"{at}.{number}")
    else:
        assert same(one, other), at

"""The gradient of a meta-loss: backpropagation through a part of a training, or evolution."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from optbench.data.hashing import mix64
from optbench.meta.tasks import InnerTask, draw_task, horizon
from optbench.meta.unroll import DIVERGED, Place, squashed, start, unroll
from optbench.optim.learned.base import LearnedRule, Weights

TBPTT, PES = "tbptt", "pes"


@dataclass
class Slot:
    """A place for one inner training after the other.

    Attributes:
        number: of the slot.
        task: the present one.
        over: after how many steps it is.
        unit: the task's first loss.
        places: where its training is; PES has two, with the weights plus and minus the noise.
        noise: the sum of the noise so far, by weight, of PES.
        before: how many tasks it had before.
    """

    number: int
    task: InnerTask
    over: int
    unit: float
    places: list[Place]
    noise: dict[str, Tensor] = field(default_factory=dict)
    before: int = 0

    def state(self) -> dict[str, Any]:
        """Return what a checkpoint has of it: the task itself follows from the numbers."""
        places = [{"point": p.point, "memory": p.memory, "step": p.step} for p in self.places]
        return {"before": self.before, "places": places, "noise": self.noise}


@dataclass(frozen=True)
class Source:
    """Where tasks come from, and how they are unrolled.

    Attributes:
        rule: which architecture.
        seed: of all that is drawn.
        families: of tasks.
        low, high: ends of the steps that a task takes.
        steps: of an unroll.
        method: `tbptt` or `pes`.
        second: see `unroll`.
        sigma: standard deviation of the noise of PES.
    """

    rule: LearnedRule
    seed: int
    families: tuple[str, ...]
    low: int
    high: int
    steps: int
    method: str
    second: bool = True
    sigma: float = 0.01

    def slot(self, number: int, before: int = 0) -> Slot:
        """Return a slot at the beginning of a task."""
        key = (self.seed, number, before)
        task = draw_task(self.families, *key)
        with torch.no_grad():
            unit = max(float(task.loss(task.start, 0)), 1e-8)
        places = [start(self.rule, task) for _ in range(2 if self.method == PES else 1)]
        over = horizon(self.low, self.high, *key)
        return Slot(number, task, over, unit, places, {}, before)

    def restored(self, number: int, state: Mapping[str, Any]) -> Slot:
        """Return a slot as it was saved."""
        slot = self.slot(number, int(state["before"]))
        slot.places = [Place(**each) for each in state["places"]]
        slot.noise = dict(state["noise"])
        return slot


def meta_gradient(
    source: Source, weights: Weights, slot: Slot, turn: int
) -> tuple[float, dict[str, Tensor], Slot]:
    """Unroll a slot; return the loss, the gradient by weight, and the slot afterwards.

    A training that is over or has diverged gives way to the next task. A gradient that is not
    finite is zero.

    Args:
        source: of the tasks.
        weights: where the gradient is taken.
        slot: whose training goes on.
        turn: number of the meta-step, from which noise is drawn.
    """
    one = by_backpropagation if source.method == TBPTT else by_evolution
    loss, gradients = one(source, weights, slot, turn)
    wrong = not all(bool(each.isfinite().all()) for each in gradients.values())
    if wrong:
        gradients = {name: torch.zeros_like(each) for name, each in gradients.items()}
    if wrong or slot.places[0].step >= slot.over or not loss < squashed_bound():
        slot = source.slot(slot.number, slot.before + 1)
    return loss, gradients, slot


def squashed_bound() -> float:
    """Return the meta-loss of a training that has diverged."""
    return float(squashed(torch.tensor(DIVERGED)))


def by_backpropagation(
    source: Source,
    weights: Weights,
    slot: Slot,
    turn: int,
    score: Callable[[Tensor], Tensor] = squashed,
) -> tuple[float, dict[str, Tensor]]:
    """Return loss and gradient through one unroll alone (TBPTT); move the slot's place."""
    leaves = {name: each.detach().requires_grad_() for name, each in weights.items()}
    loss, place = unroll(
        source.rule,
        leaves,
        slot.task,
        slot.places[0],
        source.steps,
        unit=slot.unit,
        second=source.second,
        score=score,
    )
    found = torch.autograd.grad(loss, [*leaves.values()], allow_unused=True)
    slot.places = [place.detached()]
    gradients = {
        name: torch.zeros_like(leaf) if each is None else each
        for (name, leaf), each in zip(leaves.items(), found, strict=True)
    }
    return float(loss.detach()), gradients


def by_evolution(
    source: Source,
    weights: Weights,
    slot: Slot,
    turn: int,
    score: Callable[[Tensor], Tensor] = squashed,
) -> tuple[float, dict[str, Tensor]]:
    """Return loss and persistent evolution strategies' gradient (Vicol et al. 2021, algorithm 2).

    Two trainings go on with the weights plus and minus the same noise; the difference of their
    losses is held against all the noise since the task began, so that truncation adds no bias.
    """
    plain = {name: each.detach() for name, each in weights.items()}
    word = mix64(source.seed, slot.number, turn, 3) >> 1
    generator = torch.Generator().manual_seed(word)
    noise = {
        name: torch.randn(each.shape, generator=generator, dtype=each.dtype) * source.sigma
        for name, each in plain.items()
    }
    slot.noise = {name: slot.noise.get(name, 0) + each for name, each in noise.items()}
    losses = []
    for index, sign in enumerate((1, -1)):
        shifted = {name: each + sign * noise[name] for name, each in plain.items()}
        loss, place = unroll(
            source.rule,
            shifted,
            slot.task,
            slot.places[index],
            source.steps,
            unit=slot.unit,
            score=score,
        )
        slot.places[index] = place.detached()
        losses.append(float(loss))
    weight = (losses[0] - losses[1]) / (2 * source.sigma**2)
    return sum(losses) / 2, {name: weight * each for name, each in slot.noise.items()}

"""Training with a learned rule, as a function of its weights that can be differentiated."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from optbench.meta.tasks import InnerTask, Point
from optbench.optim.learned.base import LearnedRule, Sizes, Weights

SOLVED = 0.02
"""Of a task's first loss; what is well below counts little."""
DIVERGED = 1e4
"""A loss so many times the first one's ends a task."""


@dataclass
class Place:
    """Where an inner training is.

    Attributes:
        point: by name.
        memory: the rule's, [n, memory].
        step: updates taken.
    """

    point: Point
    memory: Tensor
    step: int = 0

    def detached(self) -> Place:
        """Return the same, cut off from what led there."""
        return Place(
            {n: p.detach() for n, p in self.point.items()}, self.memory.detach(), self.step
        )


def start(rule: LearnedRule, task: InnerTask) -> Place:
    """Return where a task begins."""
    coordinates = sum(each.numel() for each in task.start.values())
    like = next(iter(task.start.values()))
    return Place(dict(task.start), like.new_zeros(coordinates, rule.memory))


def squashed(ratio: Tensor) -> Tensor:
    """Return the logarithm of a loss in units of the task's first one, down to a fiftieth of it."""
    return (ratio + SOLVED).log()


def unroll(
    rule: LearnedRule,
    weights: Weights,
    task: InnerTask,
    place: Place,
    steps: int,
    unit: float = 1.0,
    second: bool = True,
    score: Callable[[Tensor], Tensor] = squashed,
) -> tuple[Tensor, Place]:
    """Take steps with a rule; return the mean of what came after each, and the place.

    Args:
        rule, weights: which, and the weights that it is differentiated by, if they want gradients.
        task: what is trained.
        place: where to begin.
        steps: how many.
        unit: the loss is divided by it before it is scored.
        second: differentiate the inner gradients too, and not only what the rule makes of them.
        score: what a loss counts.
    """
    graph = any(each.requires_grad for each in weights.values())
    point = {
        n: p if p.requires_grad else p.detach().requires_grad_() for n, p in place.point.items()
    }
    memory, taken = place.memory, place.step
    sizes = [Sizes(p.numel(), p.ndim) for p in point.values()]
    loss = task.loss(point, taken)
    total = loss.new_zeros(())
    for _ in range(steps):
        gradients = torch.autograd.grad(
            loss, [*point.values()], create_graph=graph and second, retain_graph=graph
        )
        with torch.set_grad_enabled(graph):
            flat = torch.cat([each.reshape(-1) for each in point.values()])
            gradient = torch.cat([each.reshape(-1) for each in gradients])
            added, memory = rule.update(weights, flat, gradient, memory, sizes, taken + 1)
            pieces = (flat + added).split([each.size for each in sizes])
            moved = [p.view_as(old) for p, old in zip(pieces, point.values(), strict=True)]
        if not graph:
            moved = [each.detach().requires_grad_() for each in moved]
        point = dict(zip(point, moved, strict=True))
        taken += 1
        loss = task.loss(point, taken)
        total = total + score((loss if graph else loss.detach()) / unit)
    return total / steps, Place(point, memory, taken)

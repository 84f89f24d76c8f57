"""optbench.schedules.staged: what a stage's own schedule is shown."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import torch
from torch import nn

from optbench.optim.progressive.ends import Until
from optbench.optim.progressive.progressive import Progressive, Stage
from optbench.schedules.staged import Staged


class Seen:
    """A schedule that keeps the records it is shown."""

    def __init__(self) -> None:
        self.values: list[float] = []

    def __call__(self, step: int, total_steps: int) -> float:
        return 1.0

    def observe(self, metrics: Mapping[str, float]) -> None:
        self.values.append(metrics["val/loss"])


def test_a_record_of_the_stage_before_is_not_shown() -> None:
    weight, seen = nn.Parameter(torch.ones(2)), (Seen(), Seen())
    members = [torch.optim.SGD([weight], lr=0.1) for _ in seen]
    optimizer = Progressive([Stage(members[0], Until(2)), Stage(members[1])])
    schedules = [Staged(each, partial(optimizer.clock, n)) for n, each in enumerate(seen)]
    for value in (1.0, 2.0, 3.0, 4.0):  # the third step is the first of the second stage
        weight.grad = torch.ones(2)
        optimizer.step()
        for schedule in schedules:
            schedule.observe({"val/loss": value})
    assert seen[1].values == [3.0, 4.0]
    assert seen[0].values[0] == 1.0 and not {3.0, 4.0} & {*seen[0].values}

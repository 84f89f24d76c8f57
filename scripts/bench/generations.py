"""A generation of 64 members, beside the same members one at a time.

One at a time: the parameters are set to a member's, and the model called. The objective's way is
the one that an optimizer is told at its first step, in as many parts as memory wants.

Usage: python scripts/bench/generations.py [--rounds N] [--threads N] [--quick]
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

import torch
from torch import Tensor

from common import parser, start
from optbench.training.train_step import TrainStep
from runs import build
from timing import Row, alternate, estimate, machine_line, print_rows, ratio

MEMBERS = 64
IMAGES = ["dataset=synthetic", "dataset.shape=[1,28,28]", "dataset.train_size=1000"]
MODELS = {
    "MLP 784-100-10, batch 128": ["model=mlp", *IMAGES, "batch_size=128"],
    "MLP with dropout": ["model=mlp", "model.dropout=0.2", *IMAGES, "batch_size=128"],
    "MLP with batch norm": ["model=mlp", "model.batch_norm=true", *IMAGES, "batch_size=128"],
    "2c2d, batch 32": ["model=2c2d", *IMAGES, "batch_size=32"],
}


def main() -> None:
    """Each model."""
    options = parser(__doc__)
    options.add_argument("--rounds", type=int, default=7, help="that count")
    options.add_argument("--threads", type=int, default=1, help="of torch")
    arguments = options.parse_args()
    print(machine_line("torch", "optbench"))
    for name, overrides in MODELS.items():
        lines = [*overrides, "device=cpu", f"threads={arguments.threads}"]
        members, rounds = (4, 1) if arguments.quick else (MEMBERS, arguments.rounds)
        measure(name, lines, members, rounds)


def measure(title: str, lines: list[str], members: int, rounds: int) -> None:
    """Both in turn."""
    _, experiment = build(lines)
    trainer = experiment.trainer()
    (player,), (step,) = trainer.players, trainer.steps
    objective, parameters = trainer.objective(player.name), player.parameters
    generator = torch.Generator().manual_seed(0)
    stacked = [
        p.detach() + 0.02 * torch.randn(members, *p.shape, generator=generator) for p in parameters
    ]
    plan = objective.plan(members)
    parts = -(-members // plan.chunk)

    def together() -> None:
        for some in zip(*[each.tensor_split(parts) for each in stacked], strict=True):
            objective.losses(some, plan.way)

    work = trainer.feed.step_at(0, 0).repeatable()

    def one_by_one() -> None:
        one_at_a_time(step, list(work.micros), parameters, stacked)

    times = alternate({"one at a time": one_by_one, "a generation": together}, rounds)
    rows = [Row(name, estimate(times[name]).times(1e3), "ms") for name in times]
    compared = ratio(times, "a generation", "one at a time")
    rows.append(Row("a generation / one at a time", compared, "times"))
    print_rows(f"{title}: {members} members by {plan.way}, {parts} parts", rows)


@torch.no_grad()
def one_at_a_time(
    step: TrainStep,
    micros: Sequence[tuple[Any, float]],
    parameters: Sequence[Tensor],
    stacked: Sequence[Tensor],
) -> list[float]:
    """As one would write it."""
    kept = [p.detach().clone() for p in parameters]
    losses = []
    for point in zip(*stacked, strict=True):
        torch._foreach_copy_(list(parameters), list(point))
        parts = [step.task.loss(step.bare, b, step.player.name) * weight for b, weight in micros]
        losses.append(float(torch.stack(parts).sum()))
    torch._foreach_copy_(list(parameters), kept)
    return losses


if __name__ == "__main__":
    start(main)

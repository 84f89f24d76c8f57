"""The losses of K parameter vectors at once: by vmap beside one after the other.

An objective takes what is faster, which it finds out by trying; this shows both, and what it takes.

Usage: python scripts/bench/objective_losses.py [--rounds N] [--threads N] [--quick]
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import torch
from torch import Tensor

from common import parser, start
from optbench.training.many_losses import Way
from optbench.training.objective import Objective
from runs import build
from timing import Row, alternate, estimate, machine_line, print_rows, ratio

COUNTS = (8, 64)
IMAGES = ["dataset=synthetic", "dataset.shape=[1,28,28]", "dataset.train_size=1000"]
MODELS = {
    "MLP, batch 128": ["model=mlp", *IMAGES, "batch_size=128"],
    "2c2d, batch 32": ["model=2c2d", *IMAGES, "batch_size=32"],
    "GPT, batch 8": ["model=gpt", "model.layers=2", "model.width=64", "batch_size=8"],
}
QUICK = {
    "MLP, batch 128": ["model.hidden=[8]"],
    "2c2d, batch 32": ["batch_size=2"],
    "GPT, batch 8": ["model.layers=1", "model.width=8", "batch_size=2"],
}
CONTEXT = 64
TEXT = "It is a truth that is not known to all who ask for it. " * 200


def main() -> None:
    """Each model with each K."""
    options = parser(__doc__)
    options.add_argument("--rounds", type=int, default=7, help="that count")
    options.add_argument("--threads", type=int, default=1, help="of torch")
    arguments = options.parse_args()
    print(machine_line("torch", "optbench"))
    for name, overrides in MODELS.items():
        more = QUICK[name] if arguments.quick else []
        objective, parameters = made(overrides + more, arguments.threads)
        for count in COUNTS:
            rounds = 1 if arguments.quick else arguments.rounds
            measure(f"{name}, K = {count}", objective, around(parameters, count), rounds)


def made(overrides: list[str], threads: int) -> tuple[Objective, Sequence[Tensor]]:
    """A run's objective at its start, and the parameters that it is a function of."""
    with tempfile.TemporaryDirectory() as folder:
        lines = [*overrides, "device=cpu", f"threads={threads}"]
        if "model=gpt" in overrides:
            path = Path(folder, "text.txt")
            path.write_text(TEXT, encoding="utf-8")
            lines += ["dataset=text", f"dataset.path={path}", f"dataset.context={CONTEXT}"]
        _, experiment = build(lines)
        trainer = experiment.trainer()
        (player,) = trainer.players
        return trainer.objective(player.name), player.parameters


def around(parameters: Sequence[Tensor], count: int) -> list[Tensor]:
    """K points near the present one."""
    generator = torch.Generator().manual_seed(0)
    return [
        p.detach() + 0.01 * torch.randn(count, *p.shape, generator=generator) for p in parameters
    ]


def measure(title: str, objective: Objective, stacked: list[Tensor], rounds: int) -> None:
    """Both ways in turn, and what the objective takes."""
    ways: dict[str, Way | None] = {"loop": "loop", "vmap": "vmap", "taken": None}

    def compute(way: Way | None) -> None:
        objective.losses(stacked, way)

    times = alternate({name: partial(compute, way) for name, way in ways.items()}, rounds)
    rows = [Row(name, estimate(times[name]).times(1e3), "ms") for name in times]
    rows.append(Row("vmap / loop", ratio(times, "vmap", "loop"), "times"))
    print_rows(title, rows)


if __name__ == "__main__":
    start(main)

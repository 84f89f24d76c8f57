"""A step as one CUDA graph over the same step in pieces, on a GPU; without one it says so.

Steps of both are taken in turn in one process, monitoring off. The first are not counted: kernels
are chosen, and the graph is noted.

Usage: python scripts/bench/cuda_graph.py [case ...] [--quick]
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import torch

from common import parser, start
from runs import Stretches, build, scratch
from timing import Row, alternate, estimate, machine_line, print_rows, ratio

LINES = ["device=cuda", "checkpoint=none", "eval.every=0", "monitor.every=0"]
IMAGES = ["dataset=synthetic", "dataset.val_fraction=0", "dataset.train_size=12800"]
GPT = ["model=gpt", "model.layers=6", "model.heads=6", "model.width=384", "dataset.context=256"]
PRECISIONS = ("fp32", "bf16")


def cases(text: Path) -> dict[str, list[str]]:
    """The runs, by name."""
    small = [*IMAGES, "dataset.shape=[1,28,28]", "batch_size=128"]
    return {
        "mlp": [*small, "model=mlp", "optimizer=adamw"],
        "mlp, Lion": [*small, "model=mlp", "optimizer=lion"],
        "2c2d": [*small, "model=2c2d", "optimizer=adamw"],
        "resnet18": [*IMAGES, "dataset.shape=[3,32,32]", "model=resnet18", "batch_size=128"],
        "gpt": ["dataset=text", f"dataset.path={text}", *GPT, "optimizer=adamw", "batch_size=64"],
    }


def measure(name: str, lines: Sequence[str], folder: Path, steps: int, rounds: int) -> list[Row]:
    """The rows of one case in one precision."""
    made = {}
    for way in ("false", "true"):
        spec, experiment = build([*LINES, *lines, f"cuda_graph={way}"])
        if isinstance(experiment.graph, str):
            print(f"{name}: in pieces: {experiment.graph}")
            return []
        experiment.on_graph = lambda reason: print(f"{name}: in pieces: {reason}")
        run = made[way] = Stretches(spec, experiment, folder / f"{name}-{way}")
        run(10)

    def timed(run: Stretches) -> float:
        torch.cuda.synchronize()
        taken = run(steps)  # its end reads the last loss, so it has waited
        return taken

    times = alternate({way: partial(timed, run) for way, run in made.items()}, rounds, warmup=1)
    for run in made.values():
        run.close()
    return [
        Row(f"{name}: in pieces", estimate(times["false"]).times(1e6 / steps), "us a step"),
        Row(f"{name}: as a graph", estimate(times["true"]).times(1e6 / steps), "us a step"),
        Row(f"{name}: in pieces over graph", ratio(times, "false", "true"), "x"),
    ]


def main() -> None:
    """Measures the cases that are named, all by default."""
    options = parser(__doc__)
    options.add_argument("case", nargs="*", help="such as mlp or gpt; all by default")
    options.add_argument("--rounds", type=int, default=7)
    options.add_argument("--steps", type=int, default=200, help="in each round")
    arguments = options.parse_args()
    if arguments.quick:
        arguments.rounds, arguments.steps = 1, 20
    print(machine_line("torch", "optbench"))
    if not torch.cuda.is_available():
        print("torch finds no CUDA device here: nothing was measured")
        return
    print(torch.cuda.get_device_name())
    with scratch() as folder:
        text = folder / "text.txt"
        text.write_text("some words of no matter, one after the other\n" * 9000, encoding="utf-8")
        known = cases(text)
        unknown = [name for name in arguments.case if name not in known]
        if unknown:
            options.error(f"{unknown[0]}: no such case; choose from {', '.join(known)}")
        for name in arguments.case or known:
            for precision in PRECISIONS:
                lines = [*known[name], f"precision={precision}"]
                title = f"{name}, {precision}"
                rows = measure(title, lines, folder, arguments.steps, arguments.rounds)
                if rows:
                    print_rows(title, rows)


if __name__ == "__main__":
    start(main)

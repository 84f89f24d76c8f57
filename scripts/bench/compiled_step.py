"""A small model's step with `compile=true` over one without, and when compiling is earned back.

Steps of both are taken in turn in one process, on one thread. What compiling takes is what the
first steps take longer than later ones, on the wall, with nothing kept from before.

Usage: python scripts/bench/compiled_step.py [case ...] [--quick]
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import torch

from common import parser, start
from runs import ONLY_STEPS, Stretches, build, scratch
from timing import (
    CLOCKS,
    Clock,
    Estimate,
    Row,
    alternate,
    estimate,
    machine_line,
    print_rows,
    ratio,
)

IMAGES = ["dataset=synthetic", "dataset.shape=[1,28,28]", "dataset.val_fraction=0"]
GPT = ["model=gpt", "model.layers=2", "model.heads=4", "model.width=64", "dataset.context=64"]


EPOCH = 25
"""Steps in which each case has batches of all its sizes."""


def cases(text: Path) -> dict[str, list[str]]:
    """The runs, by name; only those of digits_mlp are of two sizes."""
    images = [*IMAGES, "dataset.train_size=12800"]
    return {
        "digits_mlp": ["workload=digits_mlp", "dataset.val_fraction=0"],
        "fmnist_mlp": [
            *images,
            "model=mlp",
            "model.hidden=[256,128]",
            "optimizer=adamw",
            "batch_size=128",
        ],
        "2c2d": [*images, "model=2c2d", "optimizer=adamw", "batch_size=128"],
        "gpt": ["dataset=text", f"dataset.path={text}", *GPT, "optimizer=adamw", "batch_size=16"],
    }


def measure(
    name: str, lines: Sequence[str], folder: Path, *, stretch: float, rounds: int, clock: Clock
) -> list[Row]:
    """The rows of one case; a stretch takes about so many seconds."""
    made, first, steps = {}, {}, 1
    for way in ("false", "true"):
        spec, experiment = build([*ONLY_STEPS, "monitor.every=0", *lines, f"compile={way}"])
        run = made[way] = Stretches(spec, experiment, folder / f"{name}-{way}")
        begun = time.perf_counter()
        run(5)
        first[way] = time.perf_counter() - begun
        run(EPOCH)
        run.trainer.clock = clock
        steps = max(steps, int(stretch / (run(5) / 5)))
    times = alternate({way: partial(run, steps) for way, run in made.items()}, rounds, warmup=2)
    step = {way: estimate(times[way]).value / steps for way in times}
    compiling = first["true"] - 5 * step["true"]
    rows = [
        Row(f"{name}: step, compile=false", estimate(times["false"]).times(1e6 / steps), "us"),
        Row(f"{name}: step, compile=true", estimate(times["true"]).times(1e6 / steps), "us"),
        Row(f"{name}: true over false", ratio(times, "true", "false"), "x"),
        Row(f"{name}: compiling", Estimate(compiling, 0.0), "s"),
    ]
    if step["false"] > step["true"]:
        after = compiling / (step["false"] - step["true"])
        rows.append(Row(f"{name}: earned back after", Estimate(after, 0.0), "steps"))
    for run in made.values():
        run.close()
    return rows


def main() -> None:
    """Measures the cases that are named, all by default."""
    options = parser(__doc__)
    options.add_argument("case", nargs="*", help="of digits_mlp, fmnist_mlp, 2c2d, gpt")
    options.add_argument("--rounds", type=int, default=15)
    options.add_argument("--stretch", type=float, default=0.3, help="seconds of a round")
    options.add_argument("--clock", choices=CLOCKS, default="cpu", help="of steps")
    arguments = options.parse_args()
    if arguments.quick:
        arguments.rounds, arguments.stretch = 1, 0.01
        arguments.case = arguments.case or ["digits_mlp"]
    torch.set_num_threads(1)
    print(machine_line("torch", "optbench"))
    with scratch() as folder:
        os.environ["TORCHINDUCTOR_CACHE_DIR"] = str(folder / "compiled")
        text = folder / "text.txt"
        text.write_text("some words of no matter, one after the other\n" * 4000, encoding="utf-8")
        known = cases(text)
        unknown = [name for name in arguments.case if name not in known]
        if unknown:
            options.error(f"{unknown[0]}: no such case; choose from {', '.join(known)}")
        for name in arguments.case or known:
            rows = measure(
                name,
                [*known[name], "threads=1"],
                folder,
                stretch=arguments.stretch,
                rounds=arguments.rounds,
                clock=CLOCKS[arguments.clock],
            )
            print_rows(name, rows)


if __name__ == "__main__":
    start(main)

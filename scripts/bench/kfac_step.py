"""What a step of K-FAC costs, as a multiple of a step of SGD with momentum in the same trainer.

Whole periods are timed: so many steps as there are from one inversion to the next, in turn with as
many of SGD's. With `--parts` also without looks at the factors and inversions, so what these cost.

Usage: OPTBENCH_DATA=... python scripts/bench/kfac_step.py [--workload NAME ...] [--rounds N]
    [--parts] [--more OVERRIDE ...] [--clock cpu|wall] [--quick]
"""

from __future__ import annotations

import os
import sys
from argparse import Namespace
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import torch

from common import parser, start
from runs import ONLY_STEPS, Stretches, build, scratch
from timing import (
    CLOCKS,
    Candidate,
    Row,
    Times,
    alternate,
    estimate,
    machine_line,
    print_rows,
    ratio,
)

WORKLOADS = ("mnist_autoencoder", "fmnist_2c2d")
TARGET = 1.5
SGD, KFAC, NO_INVERSES, BARE = "SGD", "K-FAC", "without inversions", "without looks, too"
OPTIMIZERS = {
    SGD: ["optimizer=sgd", "optimizer.momentum=0.9", "optimizer.lr=1e-6"],
    KFAC: ["optimizer=kfac", "optimizer.lr=1e-6"],
    NO_INVERSES: ["optimizer=kfac", "optimizer.lr=1e-6", "optimizer.inverses_every=1000000000"],
    BARE: [
        "optimizer=kfac",
        "optimizer.lr=1e-6",
        "optimizer.inverses_every=1000000000",
        "optimizer.factors_every=1000000000",
    ],
}
"""With a learning rate at which the weights, and so what is computed, stay as they are."""


def main() -> None:
    """A table for each workload."""
    options = parser(__doc__)
    options.add_argument("--workload", nargs="*", default=WORKLOADS)
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--period", type=int, default=100, help="steps of a turn")
    # The first period of K-FAC's has further inversions.
    options.set_defaults(warmup=1)
    options.add_argument("--parts", action="store_true", help="also without looks, inversions")
    options.add_argument("--more", nargs="*", default=[], help="overrides of K-FAC's runs")
    options.add_argument("--clock", choices=CLOCKS, default="cpu")
    arguments = options.parse_args()
    if arguments.quick:
        arguments.rounds, arguments.period, arguments.workload = 1, 10, ["fmnist_2c2d"]
        arguments.warmup = 0
    torch.set_num_threads(1)
    print(machine_line("torch", "optbench"))
    names = list(OPTIMIZERS) if arguments.parts else [SGD, KFAC]
    for workload in arguments.workload:
        times = measure(workload, names, arguments)
        rows = [Row(SGD, estimate(times[SGD]).times(1e3 / arguments.period), "ms a step")]
        for name in names[1:]:
            target = TARGET if name == KFAC else None
            rows.append(Row(f"{name} to {SGD}", ratio(times, name, SGD), "times", target))
        how = f"{arguments.rounds} rounds of {arguments.period} steps; {arguments.clock}"
        print_rows(f"{workload}: K-FAC {' '.join(arguments.more)}; {how}", rows)


def measure(workload: str, names: list[str], arguments: Namespace) -> Times:
    """Return the seconds of the turns of each optimizer on a workload."""
    data = ["dataset.val_fraction=0"]
    if not os.environ.get("OPTBENCH_DATA"):
        data += ["dataset=synthetic", "dataset.shape=[1,28,28]"]
        data += ["task.mean=[0]", "task.std=[1]"] if workload == "mnist_autoencoder" else []
    with scratch() as folder:
        candidates: dict[str, Candidate] = {}
        for number, name in enumerate(names):
            lines = [f"workload={workload}", *data, *ONLY_STEPS, "threads=1", *OPTIMIZERS[name]]
            spec, experiment = build([*lines, *(arguments.more if name != SGD else [])])
            stretches = Stretches(spec, experiment, folder / str(number), monitor=0)
            stretches(1)  # with the first look and inversion, which no period needs
            candidates[name] = partial(_turn, stretches, arguments.period)
        return alternate(candidates, arguments.rounds, arguments.warmup, CLOCKS[arguments.clock])


def _turn(stretches: Stretches, period: int) -> None:
    stretches(period)


if __name__ == "__main__":
    start(main)

"""How much faster runs of one shape are trained at once than one by one, and how alike they are.

Usage: python scripts/bench/populations.py [--quick] [--rounds N] [name ...]

Sweeps alternate in this process, `sweep.population=K` and `off`, after one of each that does not
count. `whole` is all of a sweep after its runs are composed: building, evaluations, records,
TensorBoard, a checkpoint; in processor time, which others on the machine do not stretch, and in
seconds. As in the command's own process, the garbage collector ignores what was there before. On
ext4 without a journal a file is slow to make for minutes after others were deleted nearby, so what
one takes is told.
`steps` is the training seconds alone. How alike they are is the largest relative distance
between a member and the run alone among recorded losses up to step 200: the median member's, and
the largest.
"""

from __future__ import annotations

import gc
import statistics
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter, process_time
from typing import Any
from unittest.mock import patch

sys.path.insert(0, str(Path(__file__).parents[1]))

from common import parser, start, succeeded
from common import sweep as swept
from optbench import RunResult
from optbench.executors import many
from optbench.rundir import RunDir
from runs import fashion, scratch
from timing import machine_line, new_file_line

LAST = 200
"""The step up to which losses are compared."""

MACHINE = ["threads=1", "device=cpu"]
FUNCTION = ["checkpoint=final", "optimizer=adam", "steps=2000", "eval.every=500"]
SEEDS = "seed=range({})"


@dataclass(frozen=True)
class Case:
    """A sweep: its overrides, and of how many members."""

    overrides: Sequence[str]
    members: int


CASES = {
    "digits_mlp, 32 seeds": Case(["workload=digits_mlp", SEEDS.format(32)], 32),
    "digits_mlp, lr x seed": Case(
        ["workload=digits_mlp", "optimizer.lr=3e-4,1e-3,3e-3,1e-2", SEEDS.format(16)], 64
    ),
    "digits_mlp, unwatched": Case(
        ["workload=digits_mlp", "monitor.every=0", "monitor.tensorboard=false", SEEDS.format(32)],
        32,
    ),
    "rosenbrock, 64 rates": Case(
        ["model=rosenbrock", *FUNCTION, "optimizer.lr=1e-3,2e-3,5e-3,1e-2", SEEDS.format(16)], 64
    ),
    "quadratic_deep, 64 seeds": Case(["workload=quadratic_deep", SEEDS.format(64)], 64),
    "fmnist_mlp, 8 seeds": Case(
        ["workload=fmnist_mlp", *fashion(), "epochs=null", "steps=600", SEEDS.format(8)], 8
    ),
}


def main() -> None:
    """Print a row for each case."""
    options = parser(__doc__)
    options.add_argument("names", nargs="*", help=", ".join(CASES))
    options.add_argument("--rounds", type=int, default=3, help="that count")
    arguments = options.parse_args()
    with scratch() as folder:
        print(machine_line("torch", "optbench") + ", " + new_file_line(folder))
        measure(
            folder, arguments.names, 1 if arguments.quick else arguments.rounds, arguments.quick
        )


def measure(folder: Path, names: Sequence[str], rounds: int, quick: bool) -> None:
    """Print a row for each case that has one of the names, for all without one; with quick, one."""
    print("| sweep | members | steps | whole, processor | whole, seconds | alike up to step 200 |")
    print("| --- | --- | --- | --- | --- | --- |")
    for place, (name, case) in enumerate(CASES.items()):
        if names and not any(each in name for each in names):
            continue
        print(row(name, case, folder / str(place), rounds, quick))
        if quick:
            return


def row(name: str, case: Case, folder: Path, rounds: int, quick: bool) -> str:
    """Measure a case; what it leaves in the folder stays until the end, see above."""
    steps: list[float] = []
    worked: list[float] = []
    whole: list[float] = []
    distances = [0.0]
    short = ["epochs=null", "steps=20"] if quick else []
    for number in range(rounds + 1):
        seconds, runs = [], []
        for population in (case.members, "off"):
            place = folder / f"{number}-{population}"
            lines = [*case.overrides, *MACHINE, *short, f"sweep.population={population}"]
            took, done = timed(lambda: swept(*lines, folder=place))  # noqa: B023
            seconds.append(took)
            succeeded(*done)
            runs.append([each.folder for each in done])
        if number == 0:
            distances = list(map(apart, *runs))
            continue
        trained = [sum(run.read_summary()["training_seconds"] for run in each) for each in runs]
        steps.append(trained[1] / trained[0])
        worked.append(seconds[1][0] / seconds[0][0])
        whole.append(seconds[1][1] / seconds[0][1])
    ratios = map(_spread, (steps, worked, whole))
    alike = f"{statistics.median(distances):.1e} ({max(distances):.1e})"
    cells = [name, str(case.members), *ratios, alike]
    return f"| {' | '.join(cells)} |"


Seconds = tuple[float, float]


def timed(does: Callable[[], list[RunResult]]) -> tuple[Seconds, list[RunResult]]:
    """Seconds, of the processor and by the clock, that the runs of a sweep take without being
    composed; and what it gives."""
    took = (0.0, 0.0)
    ordinary = many.do_all

    def clocked(*args: Any, **named: Any) -> int:
        nonlocal took
        gc.collect()
        gc.freeze()
        begun = process_time(), perf_counter()
        try:
            return ordinary(*args, **named)
        finally:
            took = process_time() - begun[0], perf_counter() - begun[1]
            gc.unfreeze()

    with patch.object(many, "do_all", clocked):
        found = does()
    return took, found


def apart(run: RunDir, other: RunDir) -> float:
    """The largest relative distance between losses of two runs."""
    own, theirs = (
        {
            (r["kind"], r["step"], tag): value
            for r in each.read_metrics()
            for tag, value in r.items()
            if tag.endswith("/loss") and r["step"] <= LAST
        }
        for each in (run, other)
    )
    if own.keys() != theirs.keys():
        raise SystemExit("a member has other records than the run alone")
    pairs: list[tuple[float, float]] = [(value, theirs[key]) for key, value in own.items()]
    return max((abs(a - b) / max(abs(b), 1e-30) for a, b in pairs), default=0.0)


def _spread(ratios: Sequence[float]) -> str:
    return f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"


if __name__ == "__main__":
    start(main)

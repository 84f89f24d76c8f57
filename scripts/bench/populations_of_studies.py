"""How much faster whole benchmarks and studies are with their runs trained at once.

Usage: python scripts/bench/populations_of_studies.py [--quick] [--rounds N] [name ...]

The verb is done in this process with `sweep.population=auto` (or a number) and `off` in turns,
after one of each that does not count: all that it does, from reading its words to its report. In
processor time of the program, which others on the machine do not stretch much, and in seconds; the
ratio of medians is off over on. How alike: the largest relative distance between a run and the same
run one by one among recorded losses up to step 200: the median run's, and the largest; and whether
the same trials were proposed, chosen and ranked. A sampler that goes by results proposes others
where many are asked for at once; there the two are not compared.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

import optbench
from common import parser, start
from optbench.rundir import RunDir
from populations import apart
from runs import scratch
from timing import machine_line

MACHINE = ["threads=1", "device=cpu", "monitor.tensorboard=false"]
SPACE = "space=adamw"


@dataclass(frozen=True)
class Case:
    """A verb, its overrides, how many runs at once are asked for, and whether they are the same."""

    verb: str
    overrides: Sequence[str]
    population: object = "auto"
    same_runs: bool = True


TWO = "optimizers=[adamw,sgd]"
TRIALS = ["trials=5", "seeds=10"]
CASES = {
    "benchmark, digits_mlp": Case("benchmark", ["workload=digits_mlp", TWO, *TRIALS]),
    "benchmark, digits_logistic": Case("benchmark", ["workload=digits_logistic", TWO, *TRIALS]),
    "tune, digits_mlp, random": Case(
        "tune", ["workload=digits_mlp", SPACE, "sampler=random", "trials=32"]
    ),
    "tune, digits_logistic, random": Case(
        "tune", ["workload=digits_logistic", "space=lr_wd", "sampler=random", "trials=32"]
    ),
    "tune, digits_mlp, tpe, 10 seeds": Case(
        "tune", ["workload=digits_mlp", SPACE, "trials=4", "seeds=10"]
    ),
    "tune, digits_mlp, tpe, 16 at once": Case(
        "tune", ["workload=digits_mlp", SPACE, "trials=32"], 16, same_runs=False
    ),
    "pbt, digits_mlp, 16 members": Case(
        "pbt", ["workload=digits_mlp", SPACE, "members=16", "rounds=4"], 16
    ),
}


def main() -> None:
    """Print a row for each case."""
    options = parser(__doc__)
    options.add_argument("names", nargs="*", help=", ".join(CASES))
    options.add_argument("--rounds", type=int, default=3, help="that count")
    arguments = options.parse_args()
    print(machine_line("torch", "optbench"))
    print("| verb | runs | whole, processor | whole, seconds | alike | the same outcome |")
    print("| --- | --- | --- | --- | --- | --- |")
    for name, case in CASES.items():
        if arguments.names and not any(each in name for each in arguments.names):
            continue
        print(row(name, case, 1 if arguments.quick else arguments.rounds, arguments.quick))
        if arguments.quick:
            return


def row(name: str, case: Case, rounds: int, quick: bool) -> str:
    """Measure a case."""
    short = ["epochs=null", "steps=20"] if quick else []
    took: list[tuple[list[float], list[float]]] = []
    with scratch() as folder:
        for number in range(rounds + 1):
            seconds, folders = [], []
            for population in (case.population, "off"):
                place = folder / f"{number}-{population}"
                words = [*case.overrides, *MACHINE, *short, f"sweep.population={population}"]
                seconds.append(timed(case.verb, words, place))
                folders.append(place)
            if number:
                took.append((seconds[0], seconds[1]))
        runs = [run_folders(each) for each in folders]
        if runs[0].keys() != runs[1].keys():
            raise SystemExit(f"{name}: other runs at once than one by one")
        compared = likeness(folders) if case.same_runs else ["not compared", "another study"]
    cells = [name, str(len(runs[0]))]
    for which in (0, 1):
        ratios = [off[which] / on[which] for on, off in took]
        cells.append(f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})")
    return f"| {' | '.join([*cells, *compared])} |"


def likeness(folders: Sequence[Path]) -> list[str]:
    """How far runs are apart, and whether the outcome is the same."""
    runs, theirs = map(run_folders, folders)
    distances = [apart(run, theirs[where]) for where, run in runs.items()]
    same = outcome(folders[0]) == outcome(folders[1])
    spread = f"{statistics.median(distances):.1e} ({max(distances):.1e})"
    return [spread, "yes" if same else "no"]


def timed(verb: str, words: Sequence[str], folder: Path) -> list[float]:
    """Seconds, of the processor in this program and by the clock, that a verb takes."""
    begun = os.times().user, perf_counter()
    getattr(optbench, verb)(*words, folder=folder)
    return [os.times().user - begun[0], perf_counter() - begun[1]]


def run_folders(folder: Path) -> dict[str, RunDir]:
    """The runs below a folder, by where they lie in it."""
    found = sorted(path.parent for path in folder.rglob("metrics.jsonl"))
    return {str(path.relative_to(folder)): RunDir(path) for path in found}


def outcome(folder: Path) -> Any:
    """What was chosen and in which order optimizers come, or all values that were tried."""
    report = folder / "report.json"
    if not report.is_file():
        texts = [run.config.read_text("utf-8") for run in run_folders(folder).values()]
        return [[x for x in text.splitlines() if "population:" not in x] for text in texts]
    problems = json.loads(report.read_text("utf-8"))["workloads"]
    return [rounded({**problem, "overrides": []}) for problem in problems]


def rounded(found: Any) -> Any:
    """Nested plain data with five digits."""
    if isinstance(found, dict):
        return {key: rounded(value) for key, value in found.items()}
    if isinstance(found, list):
        return [rounded(each) for each in found]
    return float(f"{found:.4e}") if isinstance(found, float) else found


if __name__ == "__main__":
    start(main)

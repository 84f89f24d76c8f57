"""What a run of a sweep in one warm process costs beyond its own steps and evaluations.

Usage: python scripts/bench/sweep_overhead.py [--profile] [--quick] [overrides ...]
"""

from __future__ import annotations

import cProfile
import functools
import io
import json
import pstats
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

sys.path.insert(0, str(Path(__file__).parents[1]))

from common import parser, start, succeeded
from common import sweep as swept
from optbench.assemble import experiment
from optbench.compose.composer import Composer
from optbench.runs import sweep as sweeps
from optbench.runs.execute import execute
from optbench.training.checkpointer import Checkpointer
from optbench.training.scoring import Scorer
from optbench.training.trainer import Trainer
from runs import scratch
from timing import Estimate, Row, estimate, machine_line, print_rows

GRID = ["dataset=digits", "optimizer=sgd,adamw", "epochs=2", "threads=1", "sweep.population=off"]
SEEDS = 50
TARGET_MS = 20.0

Seconds = dict[str, float]

STEPS, EVALUATIONS = "its steps", "its evaluations"
PARTS: dict[str, tuple[Any, Callable[..., Any]]] = {
    EVALUATIONS: (Scorer, Scorer.score),
    "composing and checking its config": (Composer, Composer.variant),
    "building": (experiment, experiment.build_experiment),
    "checkpoints": (Checkpointer, Checkpointer.save),
    "the trainer": (Trainer, Trainer.fit),
    "the run in all": (sweeps, execute),
}
"""Where the clock runs: in the trainer, evaluations and checkpoints are counted too."""


def main() -> None:
    """Sweeps again and again, the first time to warm up."""
    options = parser(__doc__)
    options.add_argument("overrides", nargs="*", help="such as checkpoint=none")
    options.add_argument("--sweeps", type=int, default=3, help="that count")
    options.add_argument("--profile", action="store_true", help="where the time goes, by function")
    arguments = options.parse_args()
    seeds = SEEDS
    if arguments.quick:
        arguments.sweeps = seeds = 1
    print(machine_line("torch", "optbench", "hydra-core", "tensorboard"))
    with scratch() as folder:
        overrides = ["seed=" + ",".join(map(str, range(seeds))), *arguments.overrides]
        sweep(folder / "warmup", overrides)
        if arguments.profile:
            profile(folder, overrides)
            return
        measured = [measure(folder / str(number), overrides) for number in range(arguments.sweeps)]
    runs = 2 * seeds
    title = " ".join([*GRID, *overrides])
    rows = table([{k: s / runs for k, s in seconds.items()} for seconds in measured])
    print_rows(f"a run of: {title}; {arguments.sweeps} sweeps", rows)


def sweep(folder: Path, overrides: Sequence[str]) -> None:
    """The sweep."""
    succeeded(*swept(*GRID, *overrides, folder=folder))


def measure(folder: Path, overrides: Sequence[str]) -> Seconds:
    """Seconds of a whole sweep by part."""
    with clocks() as seconds:
        start = time.perf_counter()
        sweep(folder, overrides)
        total = time.perf_counter() - start
    summaries = [
        json.loads(path.read_text(encoding="utf-8")) for path in folder.glob("*/summary.json")
    ]
    steps = sum(summary["training_seconds"] for summary in summaries)
    return {**seconds, STEPS: steps, "total": total}


@contextmanager
def clocks() -> Iterator[Seconds]:
    """Adds up the time spent in PARTS while the block runs."""
    seconds: Seconds = defaultdict(float)

    def clocked(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            start = time.perf_counter()
            try:
                return function(*args, **kwargs)
            finally:
                seconds[name] += time.perf_counter() - start

        return call

    patches = [
        patch.object(owner, function.__name__, clocked(name, function))
        for name, (owner, function) in PARTS.items()
    ]
    for each in patches:
        each.start()
    try:
        yield seconds
    finally:
        for each in patches:
            each.stop()


def table(runs: Sequence[Seconds]) -> list[Row]:
    """A run's time and what it consists of; `runs` has one entry a sweep."""

    def ms(value: Callable[[Seconds], float]) -> Estimate:
        return estimate([1e3 * value(run) for run in runs])

    fit, whole, composing, building, checkpoints = (
        "the trainer",
        "the run in all",
        "composing and checking its config",
        "building",
        "checkpoints",
    )
    return [
        Row("in all", ms(lambda run: run["total"]), "ms"),
        Row(STEPS, ms(lambda run: run[STEPS]), "ms"),
        Row(EVALUATIONS, ms(lambda run: run[EVALUATIONS]), "ms"),
        Row("beyond them", ms(lambda r: r["total"] - r[STEPS] - r[EVALUATIONS]), "ms", TARGET_MS),
        Row(f"  {composing}", ms(lambda run: run[composing]), "ms"),
        Row(f"  {building}", ms(lambda run: run[building]), "ms"),
        Row(f"  {checkpoints}", ms(lambda run: run.get(checkpoints, 0.0)), "ms"),
        Row(
            "  the trainer's reports and the rest of it",
            ms(lambda r: r[fit] - r[STEPS] - r[EVALUATIONS] - r.get(checkpoints, 0.0)),
            "ms",
        ),
        Row("  folder, status, sinks", ms(lambda r: r[whole] - r[building] - r[fit]), "ms"),
        Row("  the sweep's own", ms(lambda r: r["total"] - r[whole] - r[composing]), "ms"),
    ]


def profile(folder: Path, overrides: Sequence[str]) -> None:
    """The functions of one sweep that take most."""
    profiler = cProfile.Profile()
    profiler.enable()
    sweep(folder / "profiled", overrides)
    profiler.disable()
    for order in ("tottime", "cumulative"):
        text = io.StringIO()
        pstats.Stats(profiler, stream=text).sort_stats(order).print_stats(15)
        print(text.getvalue())


if __name__ == "__main__":
    start(main)

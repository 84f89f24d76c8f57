"""`train -m`: a grid of runs, and the table of what they came to."""

from __future__ import annotations

from collections.abc import Sequence

from optbench.compose.composer import Composer
from optbench.compose.executors import SERIAL, without_executor
from optbench.compose.sweeps import Grid, compose_grid, varied_keys
from optbench.errors import UserError
from optbench.executors.make import make_executor
from optbench.executors.many import run_all
from optbench.runs.log import Log
from optbench.runs.result import RunResult
from optbench.runs.sweep import Sweep, begin
from optbench.runs.sweep_table import print_sweep


def sweep(composer: Composer, overrides: Sequence[str]) -> int:
    """Do all runs of the grid; return the exit code, 1 if one of them failed."""
    log = Log()
    choice, overrides = without_executor(composer, overrides)
    grid = compose_grid(composer, overrides)
    foreign = not isinstance(grid, Grid) or not grid.basic
    if foreign and choice.name != SERIAL:
        raise UserError(f"executor={choice.name}: with hydra/launcher or hydra/sweeper; choose one")
    executor = make_executor(choice, log)
    if not isinstance(grid, Grid):
        from optbench.executors.launchers import foreign_sweeper

        return foreign_sweeper(composer, grid)
    planned = begin(composer, overrides, grid, log, choice.lines)
    results: list[RunResult | None]
    if grid.basic:
        results = run_all(planned, executor, log)
    else:
        from optbench.executors.launchers import launched

        results = list(launched(composer, grid.cfg, planned, log))
    return report(planned, results, log)


def report(planned: Sweep, results: Sequence[RunResult | None], log: Log) -> int:
    """Print the table of the runs that were done, best first; return the exit code."""
    done = [
        (overrides, result)
        for overrides, result in zip(planned.grid, results, strict=False)
        if result is not None
    ]
    if not log.quiet:
        metric = next((str(r.best["metric"]) for _, r in done if r.best), "test/accuracy")
        print_sweep(planned.folder.path, done, metric, varied_keys(planned.grid))
    signals = [result.exit_code for _, result in done if result.exit_code > 128]
    return signals[0] if signals else max([result.exit_code for _, result in done], default=0)

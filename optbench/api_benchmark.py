"""Comparing optimizers from Python: `optbench.benchmark`."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

from optbench.compose.texts import check_texts
from optbench.errors import UserError
from optbench.library import Path, check_folders, composer_of, of_a_library

if TYPE_CHECKING:
    from optbench.benchmark.result import Benchmark


def benchmark(
    *overrides: str,
    folder: Path | None = None,
    quiet: bool = True,
    config_dir: str | None = None,
) -> Benchmark:
    """Compare optimizers on a suite of workloads, as `optbench benchmark` does.

    Args:
        overrides: of the runs, and the words of the benchmark: `suite=quick`,
            `optimizers=[sgd,adamw]`, `trials=5`, `seeds=10`.
        folder: of the benchmark; one that is there is gone on with, `overrides` saying what joins.
            Default: a new one in `runs/benchmarks/`.
        quiet: say nothing; else what `optbench benchmark` says as it goes on.
        config_dir: a folder of your own config files.

    Returns:
        What it came to: `report`, the verdicts `said` of each workload, `folder`.

    Raises:
        UserError: bad input; a full disk, whereafter the same folder goes on.

    Example:
        >>> words = ["workload=digits_mlp", "optimizers=[sgd,adamw]", "trials=1", "seeds=1"]
        >>> optbench.benchmark(*words, "steps=5").said["digits_mlp"][0]
        "1 seed can't decide among 2 optimizers: 6 is the least"
    """
    from optbench.benchmark.benchmark import benchmark as compare
    from optbench.benchmark.benchmark import folder_wanted, go_on
    from optbench.benchmark.plan import read_plan
    from optbench.benchmark.result import benchmark_of
    from optbench.rundir import path_of
    from optbench.which_run import BENCHMARK

    check_texts("benchmark", overrides)
    check_folders(folder, config_dir)
    there = None if folder is None else path_of(folder).absolute()
    going = there is not None and os.path.lexists(there / BENCHMARK)
    if there is not None and going and config_dir is None:
        config_dir = read_plan(there).config_dir
    with composer_of(config_dir) as composer, of_a_library(quiet) as (log, _):
        if there is not None and going:
            found = go_on(composer, there, overrides, log)
        else:
            wanted = os.fspath(folder) if folder is not None else folder_wanted(composer)
            found = compare(composer, overrides, wanted, log)
    if found.signal:
        signal.raise_signal(found.signal)
    if found.fault:
        raise UserError(f"{found.folder}: {found.fault}; resume goes on with it")
    return benchmark_of(found)

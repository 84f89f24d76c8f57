"""What a benchmark is to do: `benchmark.yaml`, sealed as a run's config is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from optbench.tuning.plan import read_sealed, write_sealed
from optbench.which_run import BENCHMARK

VERSION = 1
"""Of benchmarks, higher with each change that older versions of optbench can't go on with."""


@dataclass(frozen=True)
class BenchmarkPlan:
    """What `benchmark.yaml` says.

    Attributes:
        suite: its name; empty for one problem of the command line's.
        suite_hash: of what the suite says.
        source: who says so.
        workloads: the overrides of each, by name.
        optimizers: name, overrides and space of each, with its schedule.
        schedules: that optimizers are crossed with; None for the workloads' own.
        trials: of each optimizer, the defaults among them.
        seeds: fresh ones, for what was chosen.
        seed: with which is tuned; the fresh ones follow it.
        executor: the overrides that say who does the runs.
        config_dir: of the user's own config files, if there is one.
    """

    suite: str
    suite_hash: str
    source: str | None
    workloads: Mapping[str, Sequence[str]]
    optimizers: Sequence[Mapping[str, Any]]
    trials: int
    seeds: int
    seed: int = 0
    executor: Sequence[str] = ()
    schedules: Sequence[str] | str | None = None
    config_dir: str | None = None
    version: int = field(default=VERSION)

    @property
    def fresh(self) -> list[int]:
        """Return the seeds of the confirmation, the tuning seed not among them."""
        return [self.seed + 1 + n for n in range(self.seeds)]


def write_plan(folder: Path, plan: BenchmarkPlan) -> None:
    """Write a benchmark's plan into its folder."""
    write_sealed(folder / BENCHMARK, plan)


def read_plan(folder: Path) -> BenchmarkPlan:
    """Read the plan of a benchmark's folder; raise UserError as `read_sealed` does."""
    return read_sealed(folder / BENCHMARK, BenchmarkPlan, VERSION)

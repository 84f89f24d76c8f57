"""What a benchmark came to, for programs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from optbench.benchmark.results import report_of

if TYPE_CHECKING:
    from optbench.benchmark.benchmark import Benchmarked


@dataclass(frozen=True)
class Benchmark:
    """What a benchmark came to.

    Attributes:
        folder: the benchmark's; its runs are in `runs`.
        report: all numbers, as `report.json` has them; of the workloads whose runs are all over.
        done: whether no run is left.
    """

    folder: Path
    report: Mapping[str, Any]
    done: bool

    @property
    def said(self) -> dict[str, list[str]]:
        """Return the verdicts in sentences, by workload."""
        return {each["name"]: list(each["said"]) for each in self.report["workloads"]}


def benchmark_of(found: Benchmarked) -> Benchmark:
    """Return what a benchmark came to."""
    return Benchmark(found.folder, report_of(found.jobs, found.results), found.done)

"""What came of a comparison, for programs."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from optbench.comparison.record import Record
from optbench.comparison.record import Unit as Seed
from optbench.statistics import (
    Aggregate,
    Comparison,
    Profiles,
    Rate,
    Survival,
    Unit,
    Verdict,
    unit_of,
)


@dataclass(frozen=True)
class Arm:
    """What was compared: the runs that differ in nothing but the seed.

    Attributes:
        name: as short as tells it from the others.
        settings: all that differs among the arms, as this one has it.
        scores: by seed and fold (empty without folds); None or NaN of a run that missed.
        runs: the folders, by the same.
    """

    name: str
    settings: Mapping[str, Any]
    scores: Mapping[Seed, float | None]
    runs: Mapping[Seed, Path]

    @property
    def finished(self) -> dict[Seed, float]:
        """The scores that are numbers."""
        given = self.scores.items()
        return {seed: v for seed, v in given if v is not None and math.isfinite(v)}

    @property
    def failed(self) -> int:
        """How many runs came to no number."""
        return len(self.scores) - len(self.finished)

    @property
    def mean(self) -> float:
        """Over all that finished; NaN where none did."""
        values = list(self.finished.values())
        return math.fsum(values) / len(values) if values else math.nan

    @property
    def sd(self) -> float:
        """The standard deviation of the same; NaN of less than two."""
        values = list(self.finished.values())
        return statistics.stdev(values) if len(values) > 1 else math.nan


@dataclass(frozen=True)
class Pair:
    """Two arms' scores at one seed. `difference` is positive where the first is better."""

    first: str
    second: str
    seed: int
    fold: str
    difference: float


@dataclass(frozen=True)
class Compared:
    """What came of comparing runs.

    Attributes:
        metric: by which, such as `test/accuracy`.
        mode: `min` or `max`.
        arms: the best first, then by the mean of what finished.
        pairs: of every two that were compared, the differences by seed.
        comparison: what the statistics say.
        sentences: the same in plain words.
        warnings: what speaks against it, a line each.

    Example:
        >>> compared.metric
        'test/accuracy'
    """

    metric: str
    mode: str
    arms: tuple[Arm, ...]
    pairs: tuple[Pair, ...]
    comparison: Comparison
    sentences: tuple[str, ...]
    warnings: tuple[str, ...]

    @property
    def best(self) -> str | None:
        """The arm that came first, or the baseline; None where nobody finished."""
        return self.comparison.best

    @property
    def verdicts(self) -> tuple[Verdict, ...]:
        """On all pairs that were compared."""
        return self.comparison.verdicts

    @property
    def unit(self) -> Unit:
        """How differences are said."""
        scores = (score for arm in self.arms for score in arm.finished.values())
        return unit_of(self.metric, scores)

    def with_warnings(self, warnings: Sequence[str]) -> Compared:
        """Return the same with other warnings."""
        return replace(self, warnings=tuple(warnings))

    def arm(self, name: str) -> Arm:
        """Return an arm by its name; raise KeyError where there is none."""
        return {arm.name: arm for arm in self.arms}[name]


@dataclass(frozen=True)
class Target:
    """What is good enough: a metric's value, from there on `mode` (`min` or `max`) is better."""

    metric: str
    value: float
    mode: str

    def __str__(self) -> str:
        return f"{self.metric} {self.value:g}"


@dataclass(frozen=True)
class TimeVerdict:
    """Two arms' times to a target, by the exact permutation rank test.

    Attributes:
        ahead: who came sooner in more pairs of runs, one of each; empty where they are even.
        medians: of each; infinite where half of the runs or more missed.
        p_adjusted: by Holm, over all pairs.
    """

    first: str
    second: str
    ahead: str
    medians: tuple[float, float]
    p: float
    p_adjusted: float


@dataclass(frozen=True)
class TimesToTarget:
    """How long runs took to the target.

    Attributes:
        target: the same for all.
        axis: of the times: `steps` or `seconds`.
        times: by arm, by seed and fold; None of a run that missed.
        until: when each arrived; of one that missed, how long the longest run went on.
        curves: by arm, the part that is still on its way (Kaplan-Meier).
        verdicts: on all pairs of arms; none where nobody arrived.
        sentences: the same in plain words.
    """

    target: Target
    axis: str
    times: Mapping[str, Mapping[Seed, float | None]]
    until: Mapping[str, Mapping[Seed, float]]
    curves: Mapping[str, Survival]
    verdicts: tuple[TimeVerdict, ...]
    sentences: tuple[str, ...]

    def missed(self, arm: str) -> int:
        """Return how many runs of an arm missed."""
        return sum(time is None for time in self.times[arm].values())


@dataclass(frozen=True)
class Workload:
    """What came of one workload.

    Attributes:
        name: as short as tells it from the others.
        compared: its arms, and what is to be said of them.
        defaults: the same optimizers at their defaults, of benchmarks that chose other settings.
        records: by arm, the runs behind its scores.
        target: that all runs had; None where they had none, or others.
        times: how long they took to it; None without a target, or without scipy.
        failures: by arm, how often its runs failed, with Wilson's interval; none without scipy.
    """

    name: str
    compared: Compared
    defaults: Compared | None
    records: Mapping[str, Mapping[Seed, Record]]
    target: Target | None
    times: TimesToTarget | None
    failures: Mapping[str, Rate]

    @property
    def warnings(self) -> list[str]:
        """Return what speaks against it; what of that concerns the defaults alone says so."""
        own = list(self.compared.warnings)
        beside = self.defaults.warnings if self.defaults is not None else ()
        return own + [f"at their defaults: {line}" for line in beside if line not in own]


@dataclass(frozen=True)
class Across:
    """The arms that all workloads have, put together.

    Attributes:
        arms: they.
        beaten: of each, which part of the others it beats at the same seed, a run that failed
            beating none: means over the workloads, with bands of seeds alone.
        shares: the same by arm and workload.
        scores: interquartile means of all runs on a scale from 0, the worst arm's mean on the
            workload, to 1, the best's; of one that failed the least on it, 0 at most.
        without: who is ahead by this, with each workload left out.
        profiles: of median times to target; None where not all workloads have one, or nobody
            arrived.
    """

    arms: tuple[str, ...]
    beaten: Aggregate
    shares: Mapping[str, Mapping[str, float]]
    scores: Aggregate
    without: Mapping[str, Sequence[str]]
    profiles: Profiles | None


@dataclass(frozen=True)
class Refused:
    """A workload of which nothing was compared, with why."""

    name: str
    records: tuple[Record, ...]
    reason: str


@dataclass(frozen=True)
class Comparisons:
    """What came of comparing runs of one or more workloads.

    Attributes:
        workloads: in the order in which each was begun.
        across: None where fewer than two workloads have two arms in common.
        warnings: beside those of each workload: what was left out before.
        left: the workloads that were not compared.
    """

    workloads: tuple[Workload, ...]
    across: Across | None
    warnings: tuple[str, ...]
    left: tuple[Refused, ...] = ()

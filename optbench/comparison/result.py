"""What came of a comparison, for programs."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from optbench.comparison.record import Unit as Seed
from optbench.statistics import Comparison, Unit, Verdict

PARTS_OF_ONE = "accuracy"
"""How the names of metrics end that are said in points of a hundred."""


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
        return unit_of(self.metric, self.arms)

    def arm(self, name: str) -> Arm:
        """Return an arm by its name; raise KeyError where there is none."""
        return {arm.name: arm for arm in self.arms}[name]


def unit_of(metric: str, arms: tuple[Arm, ...]) -> Unit:
    """Return how differences are said: in points, of accuracies that are parts of one."""
    values = [value for arm in arms for value in arm.finished.values()]
    if metric.endswith(PARTS_OF_ONE) and all(0 <= value <= 1 for value in values):
        return Unit("points", 100.0)
    return Unit()

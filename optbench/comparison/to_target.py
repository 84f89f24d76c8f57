"""How long arms take to their target: runs that miss it are censored, never a success."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

from optbench.comparison.arms import Group
from optbench.comparison.record import Record, Unit
from optbench.comparison.result import Target, TimesToTarget, TimeVerdict
from optbench.config.better import mode_by_name
from optbench.statistics import holm, kaplan_meier, rank_test

AXES = ("steps", "seconds")
ALPHA = 0.05

Times = Mapping[str, Mapping[Unit, float | None]]
"""By arm, seed and fold."""


def target_of(groups: Sequence[Group]) -> Target | None:
    """Return what all runs had as their target; None where they had none, or not the same."""
    found: set[tuple[Any, ...]] = set()
    modes = set()
    for record in (record for group in groups for record in group.records):
        planned = record.config.get("target")
        said = record.past.summary.get("target") or planned
        said = said if isinstance(said, Mapping) else {}
        found.add((said.get("metric"), said.get("value")))
        modes.add(said.get("mode"))
    metric, value = found.pop() if len(found) == 1 else (None, None)
    if not isinstance(metric, str) or isinstance(value, bool) or not isinstance(value, int | float):
        return None
    known = [mode for mode in ("min", "max") if mode in modes]
    return Target(metric, float(value), known[0] if len(known) == 1 else mode_by_name(metric))


def times_to(target: Target, groups: Sequence[Group], axis: str = "steps") -> TimesToTarget:
    """Return how long each arm's runs took to the target.

    Args:
        axis: `steps`, or `seconds` of training, without evaluations.

    Raises:
        UserError: scipy is missing.
    """
    times = {g.name: {r.unit: _time(r, axis) for r in g.records} for g in groups}
    longest = max((_length(r, axis) for g in groups for r in g.records), default=0.0)
    until = {
        g.name: {r.unit: _ended(times[g.name][r.unit], r, axis, longest) for r in g.records}
        for g in groups
    }
    curves = {
        name: kaplan_meier([*until[name].values()], [time is not None for time in own.values()])
        for name, own in times.items()
    }
    medians = {name: curve.median for name, curve in curves.items()}
    verdicts = _verdicts(times, medians)
    said = _said(f"{target}", axis, times, medians, verdicts)
    return TimesToTarget(target, axis, times, until, curves, verdicts, said)


def _time(record: Record, axis: str) -> float | None:
    """Return when a run reached its target; None of one that did not, or failed afterwards."""
    reached = record.past.summary.get("target", {})
    value = reached.get(axis.removesuffix("s") if axis == "steps" else axis)
    if record.missed or reached.get("step") is None or value is None:
        return None
    return float(value) if math.isfinite(value) and value >= 0 else None


def _length(record: Record, axis: str) -> float:
    value = record.steps if axis == "steps" else record.past.summary.get("training_seconds")
    known = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    return float(value) if known and value is not None else 0.0


def _ended(time: float | None, record: Record, axis: str, longest: float) -> float:
    """Return when a run arrived, or until when it did not; one that failed never would."""
    if time is not None:
        return time
    return longest if record.missed else _length(record, axis)


def _verdicts(times: Times, medians: Mapping[str, float]) -> tuple[TimeVerdict, ...]:
    if all(time is None for own in times.values() for time in own.values()):
        return ()
    pairs = list(combinations(times, 2))
    p = [rank_test([*times[a].values()], [*times[b].values()]) for a, b in pairs]
    return tuple(
        TimeVerdict(a, b, (medians[a], medians[b]), raw, adjusted)
        for (a, b), raw, adjusted in zip(pairs, p, holm(p), strict=True)
    )


def _said(
    target: str,
    axis: str,
    times: Times,
    medians: Mapping[str, float],
    verdicts: Sequence[TimeVerdict],
) -> tuple[str, ...]:
    """Return the row of who is the fastest, in sentences."""
    if not verdicts:
        return (f"no run reached {target}",)

    def missed(arm: str) -> int:
        return sum(time is None for time in times[arm].values())

    first = min(times, key=lambda arm: (medians[arm], missed(arm)))
    lines = []
    for each in verdicts:
        if first not in (each.first, each.second):
            continue
        other = each.second if each.first == first else each.first
        mine, others = (_took(medians[a], missed(a), len(times[a]), axis) for a in (first, other))
        told = f"{mine} against {others} (p = {each.p_adjusted:.2g})"
        if each.p_adjusted <= ALPHA * (1 + 1e-9):
            lines.append(f"{first} reaches {target} sooner than {other}: {told}")
        else:
            lines.append(f"{first} is not shown to reach {target} sooner than {other}: {told}")
    return tuple(lines)


def _took(median: float, missed: int, runs: int, axis: str) -> str:
    """Return a median time as it is told, with the misses."""
    lost = f"{missed} of {runs} missed"
    if not math.isfinite(median):
        return lost
    number = f"{median:,.0f}" if axis == "steps" else f"{median:.3g}"
    return f"median {number} {axis}" + (f", {lost}" if missed else "")

"""How long arms take to their target: a run that misses it never arrives, and is no success."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import combinations

from optbench.comparison.arms import Group
from optbench.comparison.record import Record, Unit
from optbench.comparison.result import Target, TimesToTarget, TimeVerdict
from optbench.config.better import mode_by_name
from optbench.config.flow import flow
from optbench.statistics import holm, kaplan_meier, rank_test

AXES = ("steps", "seconds")
ALPHA = 0.05
EVALUATED = {"eval.every": "as often", "eval.examples": "on as many examples"}
"""Settings that have to be the same, with what they say."""
ALIKE = 0.01
"""Lengths that differ by less are one."""

Times = Mapping[str, Mapping[Unit, float | None]]
"""By arm, seed and fold."""


def times_to_target(
    groups: Sequence[Group], tag: str, axis: str = "steps", baseline: str | None = None
) -> tuple[Target | None, TimesToTarget | None, str]:
    """Return the target that all runs have, how long each arm took to it, and why it is not told.

    Ranks can be compared of runs alone that might have taken as long, and were looked at as often.

    Args:
        tag: of the score, without which a run has missed.
        axis: `steps`, or `seconds` of training, without evaluations.
        baseline: an arm that the others are compared with alone.

    Raises:
        UserError: scipy is missing.
    """
    records = [record for group in groups for record in group.records]
    targets = {_target(record) for record in records}
    if any(_contradicts(record) for record in records):
        return None, None, "a run's summary has another target than its config"
    if len(targets) > 1:
        return None, None, "not all runs have the same target"
    target = targets.pop()
    if target is None:
        return None, None, ""
    lengths = [record.steps or 0 for record in records if record.past.state == "finished"]
    if lengths and max(lengths) > (1 + ALIKE) * min(lengths):
        return target, None, "runs were planned for other lengths"
    for key, what in EVALUATED.items():
        if len({flow(record.past.settings.get(key)) for record in records}) > 1:
            return target, None, f"not all runs were evaluated {what} ({key})"
    return target, _times_to(target, groups, tag, axis, baseline), ""


def _target(record: Record) -> Target | None:
    """Return a run's target, as its summary or else its config has it; None without one."""
    said = record.past.summary.get("target") or record.config.get("target")
    said = said if isinstance(said, Mapping) else {}
    metric, value, mode = said.get("metric"), said.get("value"), said.get("mode")
    if not isinstance(metric, str) or isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    if not math.isfinite(number):
        return None
    known = isinstance(mode, str) and mode in ("min", "max")
    return Target(metric, number, str(mode) if known else mode_by_name(metric))


def _contradicts(record: Record) -> bool:
    """Return whether a run's summary has another target than its config."""
    planned, said = record.config.get("target"), record.past.summary.get("target")
    if not isinstance(planned, Mapping) or not said or planned.get("metric") is None:
        return False
    return any(planned.get(key) != said.get(key) for key in ("metric", "value"))


def _times_to(
    target: Target, groups: Sequence[Group], tag: str, axis: str, baseline: str | None
) -> TimesToTarget:
    times = {g.name: {r.unit: _time(r, target, tag, axis) for r in g.records} for g in groups}
    every = [_length(r, axis) for g in groups for r in g.records]
    arrived = [time for own in times.values() for time in own.values() if time is not None]
    longest = max([*every, *arrived], default=0.0)
    until = {
        name: {unit: longest if time is None else time for unit, time in own.items()}
        for name, own in times.items()
    }
    curves = {
        name: kaplan_meier([*until[name].values()], [time is not None for time in own.values()])
        for name, own in times.items()
    }
    medians = {name: curve.median for name, curve in curves.items()}
    verdicts = _verdicts(times, medians, baseline)
    said = _said(f"{target}", axis, times, medians, verdicts, baseline)
    return TimesToTarget(target, axis, times, until, curves, verdicts, said)


def _time(record: Record, target: Target, tag: str, axis: str) -> float | None:
    """Return when a run reached its target; None if it did not, or came to no number at last."""
    reached = record.past.summary.get("target", {})
    value = reached.get("step" if axis == "steps" else axis)
    last = [
        record.score(each) for each in (tag, target.metric) if each in record.final or each == tag
    ]
    if reached.get("step") is None or value is None or reached["step"] > (record.steps or 0):
        return None
    if any(each is None or not math.isfinite(each) for each in last):
        return None
    return float(value) if math.isfinite(value) and value >= 0 else None


def _length(record: Record, axis: str) -> float:
    value = record.steps if axis == "steps" else record.past.summary.get("training_seconds")
    known = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    return float(value) if known and value is not None else 0.0


def _verdicts(
    times: Times, medians: Mapping[str, float], baseline: str | None
) -> tuple[TimeVerdict, ...]:
    if all(time is None for own in times.values() for time in own.values()):
        return ()
    pairs = [(a, b) for a, b in combinations(times, 2) if baseline in (None, a, b)]
    p = [rank_test([*times[a].values()], [*times[b].values()]) for a, b in pairs]
    return tuple(
        TimeVerdict(a, b, _ahead(times, a, b), (medians[a], medians[b]), raw, adjusted)
        for (a, b), raw, adjusted in zip(pairs, p, holm(p), strict=True)
    )


def _ahead(times: Times, first: str, second: str) -> str:
    """Return who came sooner in more pairs of runs, one of each; empty where they are even."""
    one, other = (
        [math.inf if time is None else time for time in times[arm].values()]
        for arm in (first, second)
    )
    lead = sum((a < b) - (a > b) for a in one for b in other)
    return first if lead > 0 else second if lead < 0 else ""


def _said(
    target: str,
    axis: str,
    times: Times,
    medians: Mapping[str, float],
    verdicts: Sequence[TimeVerdict],
    baseline: str | None,
) -> tuple[str, ...]:
    """Return in sentences the row of who comes sooner than most others, or of the baseline."""
    if not verdicts:
        return (f"no run reached {target}",)
    leads = {arm: (sum(each.ahead == arm for each in verdicts), -medians[arm]) for arm in times}
    first = baseline or max(times, key=lambda arm: leads[arm])
    lines = []
    for each in verdicts:
        if first not in (each.first, each.second):
            continue
        other = each.second if each.first == first else each.first
        one, two = (first, other) if each.ahead != other else (other, first)
        told = f"{_took(times[one], medians[one], axis)} against "
        told += f"{_took(times[two], medians[two], axis)} (p = {each.p_adjusted:.2g})"
        if each.p_adjusted <= ALPHA * (1 + 1e-9) and each.ahead:
            lines.append(f"{one} reaches {target} sooner than {two}: {told}")
        else:
            lines.append(f"{one} is not shown to reach {target} sooner than {two}: {told}")
    return tuple(lines)


def _took(times: Mapping[Unit, float | None], median: float, axis: str) -> str:
    """Return a median time as it is told, with the misses."""
    missed = sum(time is None for time in times.values())
    lost = f"{missed} of {len(times)} missed"
    if not math.isfinite(median):
        return lost
    number = f"{median:,.0f}" if axis == "steps" else f"{median:.3g}"
    return f"median {number} {axis}" + (f", {lost}" if missed else "")

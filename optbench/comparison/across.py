"""Several workloads put together: no verdict, since few workloads are no sample of problems."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from optbench.comparison.record import Unit
from optbench.comparison.result import Across, Workload
from optbench.statistics import Profiles, iqm_bands, leave_one_out, mean_bands, performance_profiles

Scores = dict[str, dict[str, dict[int, float]]]
LEAST = 2
"""Of workloads, and of arms that all have."""


def across(workloads: Sequence[Workload]) -> Across | None:
    """Return what the arms come to that all workloads have; None where these are too few."""
    if len(workloads) < LEAST:
        return None
    first, *others = [[arm.name for arm in each.compared.arms] for each in workloads]
    arms = [name for name in first if all(name in names for names in others)]
    if len(arms) < LEAST:
        return None
    scores = _beaten(workloads, arms)
    if not scores:
        return None

    shares = {
        arm: {name: math.fsum(own.values()) / len(own) for name, own in of_arm.items()}
        for arm, of_arm in scores.items()
    }

    def without(left: list[str]) -> Mapping[str, float]:
        return {arm: math.fsum(own[name] for name in left) for arm, own in shares.items()}

    return Across(
        arms=tuple(arms),
        beaten=mean_bands(scores),
        shares=shares,
        scores=iqm_bands(_on_one_scale(workloads, arms)),
        without=leave_one_out([each.name for each in workloads], without),
        profiles=_profiles(workloads, arms),
    )


def _beaten(workloads: Sequence[Workload], arms: Sequence[str]) -> Scores:
    """Return which part of the others each arm beats, by workload and seed; a tie is half.

    Empty where the arms have no seed in common on some workload.
    """
    scores: Scores = {arm: {} for arm in arms}
    for each in workloads:
        sign = -1.0 if each.compared.mode == "min" else 1.0
        of_arm = {arm: each.compared.arm(arm) for arm in arms}
        common = _common(each, arms)
        if not common:
            return {}
        for arm in arms:
            scores[arm][each.name] = {}
        for place, unit in enumerate(common):
            values = {
                arm: sign * of_arm[arm].finished[unit]
                if unit in of_arm[arm].finished
                else -math.inf
                for arm in arms
            }
            for arm, own in values.items():
                rivals = [value for other, value in values.items() if other != arm]
                won = sum(own > value for value in rivals)
                tied = sum(own == value > -math.inf for value in rivals)
                scores[arm][each.name][place] = (won + tied / 2) / len(rivals)
    return scores


def _on_one_scale(workloads: Sequence[Workload], arms: Sequence[str]) -> Scores:
    """Return scores from 0, the worst arm's mean on a workload, to 1, the best's; as many of each.

    Who failed has the least that there is on it, 0 at most. Where all means are the same it is a
    half.
    """
    scores: Scores = {arm: {} for arm in arms}
    fewest = min(len(_common(each, arms)) for each in workloads)
    for each in workloads:
        of_arm = {arm: each.compared.arm(arm) for arm in arms}
        sign = -1.0 if each.compared.mode == "min" else 1.0
        means = [sign * own.mean for own in of_arm.values() if own.finished]
        low, high = (min(means), max(means)) if means else (0.0, 0.0)
        units = _common(each, arms)[:fewest]
        known = {
            (arm, unit): (sign * own.finished[unit] - low) / (high - low) if high > low else 0.5
            for arm, own in of_arm.items()
            for unit in units
            if unit in own.finished
        }
        worst = min([0.0, *known.values()])
        for arm in arms:
            scores[arm][each.name] = {
                place: known.get((arm, unit), worst) for place, unit in enumerate(units)
            }
    return scores


def _common(workload: Workload, arms: Sequence[str]) -> list[Unit]:
    """Return the seeds that all these arms ran."""
    every = [workload.compared.arm(arm).scores for arm in arms]
    return sorted(unit for unit in every[0] if all(unit in own for own in every))


def _profiles(workloads: Sequence[Workload], arms: Sequence[str]) -> Profiles | None:
    """Return the profiles of median times; None where not all workloads have a target."""
    times: dict[str, dict[str, float | None]] = {arm: {} for arm in arms}
    for each in workloads:
        if each.times is None:
            return None
        for arm in arms:
            median = each.times.curves[arm].median
            times[arm][each.name] = median if math.isfinite(median) else None
    known = [time for of_arm in times.values() for time in of_arm.values() if time is not None]
    if not known or min(known) <= 0:
        return None
    return performance_profiles(times)

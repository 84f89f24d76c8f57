"""Arms side by side: means, intervals, verdicts, failures, time to target; and across workloads."""

from __future__ import annotations

import math
from typing import Any

from optbench.comparison.arms import CHOSEN
from optbench.comparison.result import Across, Arm, Compared, Workload
from optbench.comparison.told import said_across
from optbench.config.flow import flow
from optbench.report.curves import rounded
from optbench.report.names import Names
from optbench.report.searches import rate_of
from optbench.statistics import Survival, Verdict, places, sentence

DIGITS = 8


def leaderboard(workload: Workload, names: Names) -> list[dict[str, Any]]:
    """Return a row an arm, the best first."""
    compared = workload.compared
    lead = {verdict.second: verdict for verdict in compared.comparison.row}
    rows = []
    for arm in compared.arms:
        mean, sd = arm.mean, arm.sd
        record = next(iter(workload.records[arm.name].values()))
        rows.append(
            {
                "name": arm.name,
                "settings": {key: flow(value) for key, value in arm.settings.items()},
                "optimizer": names.optimizer(record, arm.settings.get(CHOSEN)),
                "schedule": record.past.choices.get("schedule", ""),
                "lr": rate_of(record),
                "seeds": len(arm.finished),
                "mean": rounded(mean, DIGITS),
                "sd": rounded(sd, DIGITS),
                "failed": _failures(workload, arm),
                "lead": _lead(lead.get(arm.name)),
                "verdict": _verdict(compared, arm, lead.get(arm.name)),
                "time": _time(workload, arm.name),
                "defaults": _defaults(workload, arm.name),
            }
        )
    return rows


def _failures(workload: Workload, arm: Arm) -> dict[str, Any]:
    said: dict[str, Any] = {"failed": arm.failed, "runs": len(arm.scores)}
    rate = workload.failures.get(arm.name)
    return said if rate is None else said | {"low": rounded(rate.low), "high": rounded(rate.high)}


def _lead(verdict: Verdict | None) -> dict[str, Any] | None:
    """Return how far the best is ahead, with its interval."""
    if verdict is None:
        return None
    return {
        "difference": rounded(verdict.difference, DIGITS),
        "low": rounded(verdict.low, DIGITS),
        "high": rounded(verdict.high, DIGITS),
        "p": rounded(verdict.p),
        "adjusted": rounded(verdict.p_adjusted),
        "pairs": verdict.pairs,
        "outcome": verdict.outcome,
        "interval": verdict.interval,
    }


def _verdict(compared: Compared, arm: Arm, verdict: Verdict | None) -> str:
    if verdict is not None:
        return sentence(verdict, compared.unit)
    if arm.name == compared.best:
        return compared.sentences[0] if compared.sentences else ""
    return "finished at no seed"


def _time(workload: Workload, name: str) -> dict[str, Any] | None:
    """Return an arm's median time to the target in steps; None without a target."""
    times = workload.times
    if times is None:
        return None
    runs = len(times.times[name])
    curve = times.curves[name]
    ends = {"median": curve.median, "low": curve.median_low, "high": curve.median_high}
    said = {key: rounded(value, DIGITS) for key, value in ends.items()}
    return {"reached": runs - times.missed(name), "runs": runs, **said}


def _defaults(workload: Workload, name: str) -> dict[str, Any] | None:
    """Return how an arm of a benchmark does at its optimizer's defaults, and its place there.

    It is the place by mean that `report.json` has, see `places`.
    """
    defaults = workload.defaults
    if defaults is None or name not in [arm.name for arm in defaults.arms]:
        return None
    scores = {arm.name: [arm.finished.get(u) for u in arm.scores] for arm in defaults.arms}
    arm = defaults.arm(name)
    return {
        "place": places(scores, higher_is_better=defaults.mode == "max")[name],
        "mean": rounded(arm.mean, DIGITS),
        "sd": rounded(arm.sd, DIGITS),
    }


def arrivals(workload: Workload) -> dict[str, Any] | None:
    """Return which part of each arm's runs has reached the target, over steps; None without one."""
    times = workload.times
    if times is None or not times.verdicts:
        return None
    arms = [{"name": name, **_arrived(curve)} for name, curve in times.curves.items()]
    return {"target": str(times.target), "arms": arms, "sentences": list(times.sentences)}


def _arrived(curve: Survival) -> dict[str, list[Any]]:
    return {
        "x": [0, *(rounded(time) for time in curve.times)],
        "share": [0, *(rounded(1 - share) for share in curve.share)],
        "low": [0, *(rounded(1 - high) for high in curve.high)],
        "high": [0, *(rounded(1 - low) for low in curve.low)],
    }


def together(found: Across | None) -> dict[str, Any] | None:
    """Return what the arms come to that all workloads have."""
    if found is None:
        return None
    profiles = found.profiles
    arms = []
    for name in sorted(found.arms, key=lambda arm: -found.beaten.arms[arm].value):
        band = found.beaten.arms[name]
        row: dict[str, Any] = {
            "name": name,
            "beaten": [rounded(v) for v in (band.value, band.low, band.high)],
            "iqm": rounded(found.scores.arms[name].value),
        }
        if profiles is not None:
            ratios = profiles.ratios[name].items()
            row |= {
                "score": rounded(profiles.scores[name]),
                "curve": [rounded(share) for share in profiles.curves[name]],
                "ratios": {key: rounded(r) if math.isfinite(r) else None for key, r in ratios},
            }
        arms.append(row)
    return {
        "workloads": list(found.without),
        "runs": found.beaten.runs,
        "sentences": said_across(found),
        "taus": None if profiles is None else [rounded(tau) for tau in profiles.taus],
        "arms": arms,
    }

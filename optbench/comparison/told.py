"""A comparison as it is told: tables and lines."""

from __future__ import annotations

import math

from optbench.comparison.result import Across, Compared, Workload
from optbench.config.flow import flow
from optbench.statistics import lead_and_range
from optbench.statistics.wording import LARGE

POINTS = 100.0


def rows_of(compared: Compared) -> tuple[list[str], list[list[str]]]:
    """Return the header and a row an arm, the best first.

    Means are of each arm's own runs that finished; leads are of the seeds that both have.
    """
    best = compared.best
    ahead = f"{'base' if compared.comparison.chosen_before else 'best'} ahead by (95 %)"
    header = ["arm", "seeds", "mean", "sd", ahead, "p", "failed"]
    lead = {verdict.second: verdict for verdict in compared.comparison.row}
    rows = []
    for arm in compared.arms:
        mean, sd = arm.mean, arm.sd
        verdict = lead.get(arm.name)
        said = lead_and_range(verdict, compared.unit) if verdict else ""
        weak = " by t" if verdict and verdict.interval == "t" else ""
        failed = f"{arm.failed} of {len(arm.scores)}" if arm.failed else ""
        rows.append(
            [
                arm.name,
                str(len(arm.finished)),
                _rounded(mean, sd, compared.unit.scale),
                _rounded(sd, sd, compared.unit.scale),
                "-" if arm.name == best else f"{said}{weak}",
                f"{verdict.p_adjusted:.2g}" if verdict else "",
                failed,
            ]
        )
    return header, rows


def title_of(compared: Compared) -> str:
    """Return what the table is of."""
    unit = " in %" if compared.unit.scale == POINTS else ""
    better = "higher" if compared.mode == "max" else "lower"
    return f"{compared.metric}{unit}, {better} is better"


def hidden_settings(compared: Compared) -> list[str]:
    """Return a line an arm whose name does not say all in which it differs."""
    lines = []
    for arm in compared.arms:
        words = arm.name.split(" ")
        more = []
        for key, value in arm.settings.items():
            last = key.rpartition(".")[2]
            texts = [flow(value), f"{key}={flow(value)}", f"{last}={flow(value)}"]
            named = any(word.startswith((f"{key}=", f"{last}=")) for word in words)
            if value is not None and not named and not any(text in words for text in texts):
                more.append(f"{key}={flow(value)}")
        if more:
            lines.append(f"{arm.name}: {'  '.join(more)}")
    return lines


def beside(workload: Workload) -> list[str]:
    """Return what is said of a workload beside its verdicts: times to target, how often it failed.

    Where nobody failed nothing is said of it.
    """
    lines = list(workload.times.sentences) if workload.times is not None else []
    rates = workload.failures
    if any(rate.failed for rate in rates.values()):
        said = [
            f"{name} {100 * rate.share:.0f} % ({100 * rate.low:.0f} to {100 * rate.high:.0f})"
            for name, rate in rates.items()
        ]
        lines.append(f"failed, with Wilson's interval (95 %): {', '.join(said)}")
    return lines


def rows_across(found: Across) -> tuple[list[str], list[list[str]]]:
    """Return the header and a row an arm, the best first, of all workloads together."""
    header = ["arm", "beats of the others (95 % of draws)", "IQM", "profile"]
    beaten, scores = found.beaten.arms, found.scores.arms
    rows = []
    for arm in sorted(found.arms, key=lambda arm: -beaten[arm].value):
        band = beaten[arm]
        said = f"{100 * band.value:.0f} % ({100 * band.low:.0f} to {100 * band.high:.0f})"
        score = "" if found.profiles is None else f"{found.profiles.scores[arm]:.2f}"
        rows.append([arm, said, f"{scores[arm].value:.2f}", score])
    return header, rows


def said_across(found: Across) -> list[str]:
    """Return who is ahead over all workloads, if seeds leave no doubt, and if one decides it."""
    beaten = found.beaten.arms
    first, second = sorted(found.arms, key=lambda arm: -beaten[arm].value)[:2]
    given = found.beaten.differences
    band = given.get((first, second)) or given[second, first]
    if band.low <= 0 <= band.high:
        return [f"nobody is ahead: {first} and {second} are too near, as far as seeds tell"]
    changed = [
        f"{order[0]} without {name}" for name, order in found.without.items() if order[0] != first
    ]
    if changed:
        return [f"{first} is ahead, but one workload decides that: {', '.join(changed)}"]
    return [f"{first} is ahead whichever workload is left out"]


def _rounded(value: float, sd: float, scale: float) -> str:
    """Return a number to two digits of the standard deviation."""
    if not math.isfinite(value):
        return ""
    if abs(value) * scale >= LARGE:
        return f"{value * scale:.3g}"
    if not math.isfinite(sd) or not sd:
        return f"{value * scale:.4g}"
    decimals = 1 - math.floor(math.log10(sd * scale))
    if decimals > 6:
        return f"{value * scale:.3e}"
    return f"{value * scale:.{max(0, decimals)}f}"

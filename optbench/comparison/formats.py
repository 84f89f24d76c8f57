"""Comparisons for programs and papers: CSV, JSON, LaTeX."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import math
from typing import Any

from optbench.comparison.result import Across, Arm, Compared, Comparisons, TimesToTarget, Workload
from optbench.comparison.told import rows_of, title_of
from optbench.escape import spreadsheet
from optbench.files import strict

LEAD = ("ahead_by", "low", "high", "p", "p_adjusted", "p_wilcoxon", "pairs", "outcome", "interval")
OF_TIMES = ("target", "target_value", "axis", "median_to_target", "missed")


def as_csv(found: Comparisons) -> str:
    """Return CSV with a line an arm, in full precision, in the metric's own unit."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    header = ["workload", "metric", "arm", "seeds", "failed", "mean", "sd"]
    writer.writerow([*header, *LEAD, *OF_TIMES])
    for workload in found.workloads:
        compared = workload.compared
        lead = {verdict.second: verdict for verdict in compared.comparison.row}
        for arm in compared.arms:
            named = map(spreadsheet, (workload.name, compared.metric, arm.name))
            row: list[Any] = [*named, len(arm.finished), arm.failed, arm.mean, arm.sd]
            v = lead.get(arm.name)
            if v is None:
                row += [""] * len(LEAD)
            else:
                row += [v.difference, v.low, v.high, v.p, v.p_adjusted, v.p_wilcoxon, v.pairs]
                row += [v.outcome, v.interval]
            writer.writerow([*row, *_of_times(workload.times, arm.name)])
    return text.getvalue()


def _of_times(times: TimesToTarget | None, arm: str) -> list[Any]:
    if times is None:
        return [""] * len(OF_TIMES)
    median = times.curves[arm].median
    told = [spreadsheet(times.target.metric), times.target.value, times.axis]
    return [*told, median if math.isfinite(median) else "", times.missed(arm)]


def as_json(found: Comparisons) -> str:
    """Return all of it as JSON, numbers in full precision, in the metric's own unit.

    What is no finite number is a word, as strict JSON has none.
    """
    said = {
        "workloads": [_workload(each) for each in found.workloads],
        "across": None if found.across is None else _across(found.across),
        "warnings": list(found.warnings),
    }
    return json.dumps(strict(said), indent=1)


def _workload(workload: Workload) -> dict[str, Any]:
    times, target, defaults = workload.times, workload.target, workload.defaults
    return {
        "name": workload.name,
        **_compared(workload.compared),
        "defaults": None if defaults is None else _compared(defaults),
        "target": None if target is None else dataclasses.asdict(target),
        "times": None if times is None else _times(times),
        "failures": {name: dataclasses.asdict(r) for name, r in workload.failures.items()},
    }


def _compared(compared: Compared) -> dict[str, Any]:
    comparison = compared.comparison
    return {
        "metric": compared.metric,
        "mode": compared.mode,
        "best": compared.best,
        "baseline": comparison.chosen_before,
        "confidence": comparison.confidence,
        "arms": [_arm(arm) for arm in compared.arms],
        "verdicts": [strict(dataclasses.asdict(verdict)) for verdict in compared.verdicts],
        "pairs": [dataclasses.asdict(pair) for pair in compared.pairs],
        "sentences": list(compared.sentences),
        "warnings": list(compared.warnings),
    }


def _arm(arm: Arm) -> dict[str, Any]:
    runs = [
        strict({"seed": seed, "fold": fold, "score": score, "path": str(arm.runs[seed, fold])})
        for (seed, fold), score in arm.scores.items()
    ]
    numbers = {"mean": arm.mean, "sd": arm.sd, "failed": arm.failed}
    return strict({"name": arm.name, "settings": dict(arm.settings), **numbers, "runs": runs})


def _times(times: TimesToTarget) -> dict[str, Any]:
    arms = [
        {
            "name": name,
            "runs": [
                {"seed": s, "fold": f, "time": time, "until": times.until[name][s, f]}
                for (s, f), time in own.items()
            ],
            **dataclasses.asdict(times.curves[name]),
        }
        for name, own in times.times.items()
    ]
    return {
        "axis": times.axis,
        "arms": [strict(arm) for arm in arms],
        "verdicts": [strict(dataclasses.asdict(verdict)) for verdict in times.verdicts],
        "sentences": list(times.sentences),
    }


def _across(found: Across) -> dict[str, Any]:
    bands = {arm: dataclasses.asdict(band) for arm, band in found.beaten.arms.items()}
    profiles = found.profiles
    return {
        "beaten": {"arms": bands, "runs": found.beaten.runs, "shares": found.shares},
        "iqm": {arm: dataclasses.asdict(band) for arm, band in found.scores.arms.items()},
        "without": {name: list(order) for name, order in found.without.items()},
        "profiles": None if profiles is None else strict(dataclasses.asdict(profiles)),
    }


def as_latex(found: Comparisons) -> str:
    """Return a table a workload for LaTeX's package booktabs."""
    return "\n\n".join(_latex(each, len(found.workloads) > 1) for each in found.workloads)


def _latex(workload: Workload, named: bool) -> str:
    compared = workload.compared
    header, rows = rows_of(compared)
    body = [" & ".join(map(_tex, row)) + r" \\" for row in rows]
    title = f"{workload.name}: {title_of(compared)}" if named else title_of(compared)
    return "\n".join(
        [
            f"% {' '.join(title.split())}; p by the sign-flip test, Holm",
            r"\begin{tabular}{lrrrrrr}",
            r"\toprule",
            " & ".join(map(_tex, header)) + r" \\",
            r"\midrule",
            *body,
            r"\bottomrule",
            r"\end{tabular}",
        ]
    )


_TEX = {
    **{sign: f"\\{sign}" for sign in "&%$#_{}"},
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
}


def _tex(text: str) -> str:
    if text == "-":
        return "--"
    return "".join(_TEX.get(sign, sign) for sign in " ".join(text.split()))

"""A comparison as it is told: a table, CSV, JSON, LaTeX."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import math
from typing import Any

from optbench.comparison.result import Arm, Compared
from optbench.config.flow import flow
from optbench.files import strict
from optbench.statistics import lead_and_range

POINTS = 100.0


def rows_of(compared: Compared) -> tuple[list[str], list[list[str]]]:
    """Return the header and a row an arm, the best first.

    Means are over the seeds that all arms finished, where there are such, as the sentences' are.
    """
    best = compared.best
    ahead = f"{'base' if compared.comparison.chosen_before else 'best'} ahead by (95 %)"
    header = ["arm", "seeds", "mean", "sd", ahead, "p", "failed"]
    lead = {verdict.second: verdict for verdict in compared.comparison.row}
    rows = []
    for arm in compared.arms:
        mean, sd = spread(compared, arm)
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


def spread(compared: Compared, arm: Arm) -> tuple[float, float]:
    """Return mean and standard deviation over the seeds that all finished, else over its own."""
    common = [unit for unit in arm.finished if _is_common(compared, unit)]
    if not compared.comparison.seeds or not common:
        return arm.mean, arm.sd
    alone = dataclasses.replace(arm, scores={unit: arm.scores[unit] for unit in common})
    return alone.mean, alone.sd


def _is_common(compared: Compared, unit: tuple[int, str]) -> bool:
    return all(unit in arm.finished for arm in compared.arms if arm.finished)


def as_csv(compared: Compared) -> str:
    """Return CSV with a line an arm, in full precision, in the metric's own unit."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    numbers = ["ahead_by", "low", "high", "p", "p_adjusted", "p_wilcoxon", "pairs", "outcome"]
    writer.writerow(["arm", "seeds", "failed", "mean", "sd", *numbers, "interval"])
    lead = {verdict.second: verdict for verdict in compared.comparison.row}
    for arm in compared.arms:
        mean, sd = spread(compared, arm)
        row: list[Any] = [arm.name, len(arm.finished), arm.failed, mean, sd]
        v = lead.get(arm.name)
        if v is not None:
            row += [v.difference, v.low, v.high, v.p, v.p_adjusted, v.p_wilcoxon, v.pairs]
            row += [v.outcome, v.interval]
        writer.writerow([*row, *[""] * (14 - len(row))])
    return text.getvalue()


def as_json(compared: Compared) -> str:
    """Return all of it as JSON, numbers in full precision, in the metric's own unit.

    What is no finite number is a word, as strict JSON has none.
    """
    comparison = compared.comparison
    said = {
        "metric": compared.metric,
        "mode": compared.mode,
        "best": compared.best,
        "baseline": comparison.chosen_before,
        "confidence": comparison.confidence,
        "arms": [_arm(compared, arm) for arm in compared.arms],
        "verdicts": [strict(dataclasses.asdict(verdict)) for verdict in compared.verdicts],
        "pairs": [dataclasses.asdict(pair) for pair in compared.pairs],
        "sentences": list(compared.sentences),
        "warnings": list(compared.warnings),
    }
    return json.dumps(said, indent=1)


def _arm(compared: Compared, arm: Arm) -> dict[str, Any]:
    mean, sd = spread(compared, arm)
    runs = [
        strict({"seed": seed, "fold": fold, "score": score, "path": str(arm.runs[seed, fold])})
        for (seed, fold), score in arm.scores.items()
    ]
    numbers = {"mean": mean, "sd": sd, "failed": arm.failed}
    return strict({"name": arm.name, "settings": dict(arm.settings), **numbers, "runs": runs})


def as_latex(compared: Compared) -> str:
    """Return a table for LaTeX's package booktabs."""
    header, rows = rows_of(compared)
    body = [" & ".join(map(_tex, row)) + r" \\" for row in rows]
    return "\n".join(
        [
            f"% {' '.join(title_of(compared).split())}; p by the sign-flip test, Holm",
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


def _rounded(value: float, sd: float, scale: float) -> str:
    """Return a number to two digits of the standard deviation."""
    if not math.isfinite(value):
        return ""
    if not math.isfinite(sd) or not sd:
        return f"{value * scale:.4g}"
    decimals = 1 - math.floor(math.log10(sd * scale))
    if decimals > 6:
        return f"{value * scale:.3e}"
    return f"{value * scale:.{max(0, decimals)}f}"

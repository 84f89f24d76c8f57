"""What runs say of settings that were tried: learning rates, optimizers with schedules."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from optbench.comparison.record import Record
from optbench.config.flow import flow
from optbench.report.curves import number_of, rounded
from optbench.report.names import Names

LR = "optimizer.lr"
LEAST_RATES = 3
NEARLY = 0.01
"""Of the best: how much worse a rate may be to be nearly as good."""


def rate_of(record: Record) -> float | None:
    """Return a run's learning rate; None where there is none that is a positive number."""
    number = number_of(record.past.settings.get(LR))
    return number if number is not None and number > 0 else None


def score_of(record: Record, tag: str) -> float | None:
    """Return a run's last value of a metric; None where it has none that counts."""
    value = record.score(tag)
    return value if value is not None and math.isfinite(value) else None


def rates(
    every: Sequence[Record], tag: str, mode: str, absolute: bool, names: Names
) -> list[dict[str, Any]]:
    """Return final scores over learning rates, by optimizer, where it had several.

    Args:
        every: the runs of a workload that count, trials among them.
        tag: of the score; where runs lack it, as trials without test scores, it is the validation's
            of all.
        mode: `min` or `max`.
        absolute: whether 1 % of the best is a point of an accuracy, and no part of it.
        names: of optimizers.
    """
    having = [record for record in every if rate_of(record)]
    used = common_tag(having, tag)
    having = [record for record in having if record.missed or used in record.final]
    schedules = {record.past.choices.get("schedule") for record in having}
    kinds: dict[str, list[Record]] = {}
    for record in having:
        for kind in names.kinds(record, len(schedules) > 1):
            kinds.setdefault(kind, []).append(record)
    found = []
    for kind, records in kinds.items():
        by_rate: dict[float, list[float]] = {}
        missed: dict[float, int] = {}
        for record in records:
            lr = rate_of(record) or 0.0
            score = score_of(record, used)
            by_rate.setdefault(lr, [])
            if score is None:
                missed[lr] = missed.get(lr, 0) + 1
            else:
                by_rate[lr].append(score)
        if len(by_rate) >= LEAST_RATES and any(by_rate.values()):
            found.append(_sensitivity(kind, used, by_rate, missed, mode, absolute))
    return found


def common_tag(records: Sequence[Record], tag: str) -> str:
    """Return the metric, or its validation's where a run that did not miss lacks it."""
    if all(tag in record.final for record in records if not record.missed):
        return tag
    return f"val/{tag.partition('/')[2]}"


def _sensitivity(
    kind: str,
    tag: str,
    by_rate: Mapping[float, Sequence[float]],
    missed: Mapping[float, int],
    mode: str,
    absolute: bool,
) -> dict[str, Any]:
    points = []
    for lr in sorted(by_rate):
        scores = by_rate[lr]
        mean = math.fsum(scores) / len(scores) if scores else math.nan
        ends = (min(scores), max(scores)) if scores else (math.nan, math.nan)
        points.append((lr, mean, *ends, len(scores), missed.get(lr, 0)))
    low, high, best = nearly_best([(lr, mean) for lr, mean, *_ in points], mode, absolute)
    return {
        "kind": kind,
        "metric": tag,
        "points": [[*map(rounded, point)] for point in points],
        "low": rounded(low),
        "high": rounded(high),
        "best": rounded(best),
    }


def nearly_best(
    points: Sequence[tuple[float, float]], mode: str, absolute: bool
) -> tuple[float, float, float]:
    """Return the widest range of rates all of which are within 1 % of the best, and the best.

    Wide is what has the largest ratio of its ends; of equals it is the one with the better rate.

    Args:
        points: rate and score, by rate; a score that is no number is not within anything.
        absolute: see `rates`.

    Example:
        >>> nearly_best([(0.01, 0.5), (0.1, 0.90), (1.0, 0.905)], "max", absolute=True)
        (0.1, 1.0, 1.0)
    """
    sign = 1.0 if mode == "max" else -1.0
    known = [(sign * score, lr) for lr, score in points if math.isfinite(score)]
    top, best = max(known)
    room = NEARLY if absolute else NEARLY * abs(top)
    ranges: list[list[float]] = [[]]
    for lr, score in points:
        if math.isfinite(score) and sign * score >= top - room - 1e-12:
            ranges[-1].append(lr)
        else:
            ranges.append([])
    widest = max(filter(None, ranges), key=lambda each: (each[-1] / each[0], best in each))
    return widest[0], widest[-1], best


def heat(arms: Sequence[Mapping[str, Any]], mode: str) -> dict[str, Any] | None:
    """Return the best mean of each optimizer with each schedule; None where one has but one.

    Args:
        arms: as a page has them: `optimizer`, `schedule`, `mean`, `name`.
    """
    optimizers = list(dict.fromkeys(arm["optimizer"] for arm in arms if arm["optimizer"]))
    schedules = list(dict.fromkeys(arm["schedule"] for arm in arms if arm["schedule"]))
    if len(optimizers) < 2 or len(schedules) < 2:
        return None
    better = max if mode == "max" else min
    cells = []
    for schedule in schedules:
        row = []
        for optimizer in optimizers:
            own = [
                arm
                for arm in arms
                if (arm["optimizer"], arm["schedule"]) == (optimizer, schedule)
                and arm["mean"] is not None
            ]
            best = better(own, key=lambda arm: arm["mean"]) if own else None
            row.append(None if best is None else [best["mean"], best["name"]])
        cells.append(row)
    return {"optimizers": optimizers, "schedules": schedules, "cells": cells}


def setting_text(value: Any) -> str:
    """Return a setting as it is typed, no longer than a page has room for."""
    text = flow(value)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]} ..."


LONGEST = 2000

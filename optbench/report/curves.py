"""Curves of runs, thinned, and bands over the runs of an arm: plain data for a page."""

from __future__ import annotations

import math
import re
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from optbench.errors import UserError, reason
from optbench.runs.read import Run

AXES = ("step", "examples", "epoch", "seconds", "passes")
"""What a curve may be drawn over; of `passes`, runs that recorded them."""
SHOWN = re.compile(r"(train|val|test)/|(lr|update_ratio|grad_norm|param_norm)/(total|model)$")
"""The metrics that are drawn."""
RATIO = "update_ratio/total"
MOST_POINTS, LEAST_POINTS = 40, 12
MOST_NUMBERS = 600_000
"""Of all single runs in a page: where there are many, each has fewer points."""
DIGITS = 4
MOST_METRICS = 12

Floats = NDArray[np.float64]


@dataclass
class Curves:
    """What one run measured.

    Attributes:
        axes: by axis, by step.
        values: by metric, by step; finite alone.
        ratio: the median update ratio; None where none was measured.
        unread: why there are none, where the file can't be read.
    """

    axes: dict[str, dict[int, float]] = field(default_factory=dict)
    values: dict[str, dict[int, float]] = field(default_factory=dict)
    ratio: float | None = None
    unread: str = ""


def read_curves(run: Run) -> Curves:
    """Return the curves of a run; what its records say more than once, as they said last.

    Of a file that can't be read there are none.
    """
    try:
        return _curves_of(run.records())
    except (OSError, UserError) as error:
        why = reason(error) if isinstance(error, OSError) else str(error)
        named = why if str(run.path) in why else f"{run.path}: {why}"
        return Curves(unread=f"no curves: {named}")


def _curves_of(records: Iterable[Mapping[str, Any]]) -> Curves:
    found = Curves()
    ratios = []
    shown: dict[str, bool] = {}
    for record in records:
        step = record.get("step")
        if not isinstance(step, int) or step < 0:
            continue
        for tag, value in record.items():
            if tag not in shown:
                shown[tag] = tag in AXES or SHOWN.match(tag) is not None
            number = number_of(value) if shown[tag] else None
            if number is None:
                continue
            if tag in AXES:
                found.axes.setdefault(tag, {})[step] = number
            else:
                found.values.setdefault(tag, {})[step] = number
                if tag == RATIO:
                    ratios.append(number)
    found.ratio = float(np.median(ratios)) if ratios else None
    return found


def metrics_of(every: Sequence[Curves]) -> list[str]:
    """Return the metrics that some of the runs have more than one value of, the scores first."""
    tags = dict.fromkeys(
        tag for each in every for tag, values in each.values.items() if len(values) > 1
    )
    order = ["val/", "train/", "test/", ""]

    def place(tag: str) -> tuple[int, str]:
        return next(i for i, start in enumerate(order) if tag.startswith(start)), tag

    return sorted(tags, key=place)[:MOST_METRICS]


def points_each(runs: int, metrics: int) -> int:
    """Return how many points a single run's curves may have."""
    share = MOST_NUMBERS // max(1, runs * (metrics + 1))
    return max(LEAST_POINTS, min(MOST_POINTS, share))


def single(curves: Curves, metrics: Sequence[str], points: int) -> list[dict[str, Any]]:
    """Return one run's curves, thinned: a part for each series of steps that metrics share.

    Each has `x`, by axis, and `y`, by metric. Examples are left out where they follow from steps.
    """
    parts: dict[tuple[int, ...], dict[str, Any]] = {}
    for tag in metrics:
        values = curves.values.get(tag, {})
        steps = _thinned(sorted(values), points)
        if not steps:
            continue
        part = parts.setdefault(tuple(steps), {"x": _axes_at(curves, steps), "y": {}})
        part["y"][tag] = [rounded(values[step]) for step in steps]
    return list(parts.values())


def _axes_at(curves: Curves, steps: Sequence[int]) -> dict[str, Any]:
    axes: dict[str, Any] = {"step": list(steps)}
    for name, known in curves.axes.items():
        if name != "step":
            values = [known.get(step) for step in steps]
            rate = _rate(values, steps)
            axes[name] = [rounded(v) for v in values] if rate is None else rounded(rate, 6)
    return axes


def _rate(values: Sequence[float | None], steps: Sequence[int]) -> float | None:
    """Return how many times the steps the values are, nearly; None where they are not."""
    if None in values or 0 in steps:
        return None
    rates = [(value or 0.0) / step for value, step in zip(values, steps, strict=True)]
    return rates[-1] if min(rates) > 0 and max(rates) <= 1.002 * min(rates) else None


def bands(every: Sequence[Curves], metrics: Sequence[str]) -> list[dict[str, Any]]:
    """Return the curves of an arm: at each step the mean, median, least, largest and sd of runs.

    A run takes part from its first to its last value, between two of which it is a line; what is
    not finite is no value. Axes other than steps are means over the runs at the same step. Metrics
    that are measured at the same steps share a part, as those of `single` do.
    """
    parts: dict[tuple[int, ...], dict[str, Any]] = {}
    for tag in metrics:
        having = [each for each in every if each.values.get(tag)]
        steps = _thinned(sorted({s for each in having for s in each.values[tag]}), MOST_POINTS)
        if not steps:
            continue
        at = np.array(steps, dtype=np.float64)
        table = np.array([_at(each.values[tag], at) for each in having])
        part = parts.setdefault(tuple(steps), {"x": _mean_axes(every, steps), "y": {}})
        part["y"][tag] = _summarised(table)
    return list(parts.values())


def _summarised(table: Floats) -> dict[str, Any]:
    """Return the statistics of rows of runs, a value a column."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # of columns without a value
        counts = np.isfinite(table).sum(axis=0)
        found: dict[str, Any] = {
            "mean": np.nanmean(table, axis=0),
            "median": np.nanmedian(table, axis=0),
            "low": np.nanmin(table, axis=0),
            "high": np.nanmax(table, axis=0),
            "sd": np.nanstd(table, axis=0, ddof=1),
        }
    said: dict[str, Any] = {"n": [int(n) for n in counts]}
    if len(table) == 1:
        return {**said, "mean": [rounded(v) for v in found["mean"]]}
    return {**said, **{name: [rounded(v) for v in values] for name, values in found.items()}}


def _mean_axes(every: Sequence[Curves], steps: Sequence[int]) -> dict[str, Any]:
    at = np.array(steps, dtype=np.float64)
    axes: dict[str, Any] = {"step": list(steps)}
    for name in AXES[1:]:
        tables = [_at(each.axes[name], at) for each in every if each.axes.get(name)]
        if tables:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", RuntimeWarning)
                axes[name] = [rounded(v) for v in np.nanmean(np.array(tables), axis=0)]
    return axes


def _at(known: Mapping[int, float], at: Floats) -> Floats:
    """Return values at other steps, by lines between those that are known; NaN beyond them."""
    pairs = sorted(known.items())  # large steps may be one as floats
    steps = np.array([step for step, _ in pairs], dtype=np.float64)
    values = np.array([value for _, value in pairs])
    return np.asarray(np.interp(at, steps, values, left=math.nan, right=math.nan))


def _thinned(steps: Sequence[int], most: int) -> list[int]:
    """Return the first, the last, and steps evenly between; all where they are few."""
    if len(steps) <= most:
        return list(steps)
    return [steps[round(i * (len(steps) - 1) / (most - 1))] for i in range(most)]


def rounded(value: float | None, digits: int = DIGITS) -> Any:
    """Return a number with so many digits; None of what is not finite, which JSON has not."""
    if value is None or not math.isfinite(value):
        return None
    short = float(f"{value:.{digits}g}")
    return int(short) if short.is_integer() and abs(short) < 1e15 else short


def number_of(value: Any) -> float | None:
    """Return plain data as a number; None of what is none, or has no end."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None

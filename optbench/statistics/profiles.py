"""Performance profiles: on what part of the workloads is an optimizer nearly the fastest?"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

FARTHEST = 4.0
"""Times the fastest: beyond it an optimizer has not solved a workload."""
POINTS = 100


@dataclass(frozen=True)
class Profiles:
    """The part of the workloads solved within tau times the fastest, of each optimizer.

    Attributes:
        taus: 1 to 4.
        curves: by optimizer, as long as `taus`.
        scores: the curve's mean: 1 for who is the fastest everywhere.
        ratios: by optimizer and workload; infinite where it missed or took over 4 times as long.
    """

    taus: tuple[float, ...]
    curves: dict[str, tuple[float, ...]]
    scores: dict[str, float]
    ratios: dict[str, dict[str, float]]


def performance_profiles(times: Mapping[str, Mapping[str, float | None]]) -> Profiles:
    """Return profiles and their scores, as AlgoPerf has them (Dahl et al. 2023).

    Each curve depends on who takes part: the fastest of all sets the measure.

    Args:
        times: by optimizer, by workload, to the target; of several seeds, their median. None, NaN
            and infinity are misses.

    Raises:
        ValueError: none, other workloads than another's, or a time that is not positive.

    Example:
        >>> of = performance_profiles({"a": {"x": 10, "y": 20}, "b": {"x": 20, "y": None}})
        >>> of.scores["a"], round(of.scores["b"], 3)
        (1.0, 0.336)
    """
    workloads = sorted({name for each in times.values() for name in each})
    if not workloads or any(len(each) != len(workloads) for each in times.values()):
        raise ValueError("times: expected optimizers, each with the same workloads")
    took = {a: {w: _time(each[w], f"{a}, {w}") for w in workloads} for a, each in times.items()}
    best = {w: min(each[w] for each in took.values()) for w in workloads}
    ratios = {a: {w: _ratio(each[w], best[w]) for w in workloads} for a, each in took.items()}
    taus = np.linspace(1.0, FARTHEST, POINTS)
    curves, scores = {}, {}
    for arm, each in ratios.items():
        solved = np.mean(np.array(list(each.values()))[:, None] <= taus, axis=0)
        area = float(((solved[1:] + solved[:-1]) / 2 * np.diff(taus)).sum())
        curves[arm] = tuple(map(float, solved))
        scores[arm] = area / (FARTHEST - 1)
    return Profiles(tuple(map(float, taus)), curves, scores, ratios)


def _time(given: float | None, where: str) -> float:
    if given is None or math.isnan(given):
        return math.inf
    if given <= 0:
        raise ValueError(f"{where}: a time of {given}; expected one that is positive")
    return float(given)


def _ratio(time: float, best: float) -> float:
    ratio = time / best if math.isfinite(time) else math.inf
    return ratio if ratio <= FARTHEST else math.inf

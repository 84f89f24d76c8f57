"""Is the mean of a quantity within a region? From its values by seed, by the exact sign-flip test.

A verdict is symmetric: the claim holds where the test excludes all that is outside of the region,
it does not hold where it excludes the region; else nobody knows.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal

import numpy as np

from optbench.statistics import least_pairs, pairs_needed, sign_flip_interval, sign_flip_test

Answer = Literal["holds", "not", "undecided"]
HOLDS: Answer = "holds"
NOT: Answer = "not"
UNDECIDED: Answer = "undecided"
LEVEL = 0.05
SLACK = 1 + 1e-9


@dataclass(frozen=True)
class Judged:
    """What a rule says of one quantity.

    Attributes:
        quantity: its name.
        wanted: the region, in words.
        answer: of the rule.
        value: the mean, or the share; NaN without any.
        low, high: 95 % interval; the value itself where nothing is drawn.
        seeds: how many values there are.
        p: of the test behind the answer; None where there is none.
        needed: about how many seeds would decide; None where that is not known.
        why: of `undecided`, where there is something to say.
        region: of the claim; infinite where it has no end.
        values: by seed, those that there are.
        target: what the claim has it near; None of other claims.
    """

    quantity: str
    wanted: str
    answer: Answer
    value: float
    low: float
    high: float
    seeds: int
    p: float | None = None
    needed: int | None = None
    why: str = ""
    region: tuple[float, float] = (-math.inf, math.inf)
    values: tuple[float, ...] = ()
    target: float | None = None


@dataclass(frozen=True)
class Region:
    """Between two values, one of which may be infinite.

    Attributes:
        low, high: of the claim.
        matters: the claim does not hold either where the mean is shown to be less than this beyond
            the only finite bound; 0 where any difference counts.
        target: in the middle, where it is what the claim has a value near.
    """

    low: float = -math.inf
    high: float = math.inf
    matters: float = 0.0
    target: float | None = None


def judge(
    quantity: str,
    wanted: str,
    values: Sequence[float],
    region: Region,
    *,
    exact: bool = False,
    questions: int = 1,
    rules: int = 1,
) -> Judged:
    """Judge one quantity.

    Args:
        quantity: its name.
        wanted: the region, in words.
        values: one a seed.
        region: where the claim has it.
        exact: nothing is drawn: the value is what it is.
        questions: how many cases of a claim are judged at once, each of which may hold by luck.
        rules: that have to hold together: that one does not is found by luck more often.
    """
    value = float(np.mean(values)) if len(values) else math.nan
    made = partial(
        Judged,
        quantity,
        wanted,
        value=value,
        seeds=len(values),
        region=(region.low, region.high),
        values=tuple(values),
        target=region.target,
    )
    if exact:
        inside = region.low <= value <= region.high and bool(len(values))
        answer = HOLDS if inside else NOT if math.isfinite(value) else UNDECIDED
        return made(answer, low=value, high=value)
    level = LEVEL / questions * SLACK
    low, high = _interval(values)
    holds, fails = _p_inside(values, value, region), _p_outside(values, value, region)
    answer, p = UNDECIDED, min(holds, fails)
    if fails <= level / rules:
        answer, p = NOT, min(1.0, fails * rules)
    elif holds <= level:
        answer, p = HOLDS, holds
    needed = None if answer != UNDECIDED else _needed(values, value, region, questions * rules)
    return made(answer, low=low, high=high, p=min(1.0, p), needed=needed)


def _interval(values: Sequence[float]) -> tuple[float, float]:
    return sign_flip_interval(values) if len(values) else (-math.inf, math.inf)


def _p(values: Sequence[float], bound: float) -> float:
    return sign_flip_test([value - bound for value in values]) if len(values) else 1.0


def _p_inside(values: Sequence[float], value: float, region: Region) -> float:
    """Return the p by which what is outside of the region is excluded."""
    p = 0.0
    for bound, right_side in ((region.low, value > region.low), (region.high, value < region.high)):
        if math.isfinite(bound):
            p = max(p, _p(values, bound) if right_side else 1.0)
    return p


def _p_outside(values: Sequence[float], value: float, region: Region) -> float:
    """Return the p by which the region is excluded, or what of it would matter."""
    low = region.low + (region.matters if math.isinf(region.high) else 0.0)
    high = region.high - (region.matters if math.isinf(region.low) else 0.0)
    if value < low and math.isfinite(low):
        return _p(values, low)
    if value > high and math.isfinite(high):
        return _p(values, high)
    return 1.0


def _needed(values: Sequence[float], value: float, region: Region, questions: int) -> int | None:
    """Return about how many seeds would tell the mean from the nearest bound."""
    if len(values) < 2:
        return least_pairs(questions)
    bounds = [bound for bound in (region.low, region.high) if math.isfinite(bound)]
    distance = min(abs(value - bound) for bound in bounds)
    needed = pairs_needed(distance, float(np.std(values, ddof=1)), questions)
    return None if needed is None else max(needed, len(values) + 1)

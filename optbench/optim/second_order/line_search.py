"""How far to go along a direction: Armijo's condition, and the strong Wolfe conditions.

Nocedal, Wright, Numerical Optimization, 2nd edition, 2006, sections 3.1 and 3.5.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

SUFFICIENT = 1e-4
"""c_1: of the decrease that the slope promises, so much has to come."""
FLAT = 0.9
"""c_2 of the strong Wolfe conditions: the slope's size falls to so much, at least."""
ROUNDINGS = 4
"""The loss may be so many units of its rounding above a decrease: near a minimum no step makes one
that can be seen."""


@dataclass(frozen=True)
class Trial:
    """A point on the line.

    Attributes:
        size: how far along the direction.
        loss: there.
        slope: there, along the direction.
        gradient: there, [n]; None where nobody asked.
    """

    size: float
    loss: float
    slope: float = math.nan
    gradient: Tensor | None = None


LossAt = Callable[[float], float]
At = Callable[[float], Trial]


def slack(loss: float, dtype: torch.dtype) -> float:
    """Return by how much a loss may be off by rounding."""
    return ROUNDINGS * torch.finfo(dtype).eps * abs(loss)


def armijo(
    loss_at: LossAt, here: Trial, first: float, slack: float = 0.0, most: int = 25
) -> Trial | None:
    """Return the first of `first`, half of it, ... at which the loss falls enough; else None.

    Args:
        loss_at: the loss at a size.
        here: at size 0; its slope is below 0.
        first: the size to try first.
        slack: see `slack`.
        most: sizes to try.
    """
    size = first
    for _ in range(most):
        loss = loss_at(size)
        if falls_enough(here, size, loss, slack):
            return Trial(size, loss)
        size *= 0.5
    return None


def falls_enough(here: Trial, size: float, loss: float, slack: float = 0.0) -> bool:
    """Return whether a loss fulfils Armijo's condition; one that is not finite never does."""
    return loss <= here.loss + SUFFICIENT * size * here.slope + slack


def strong_wolfe(
    at: At, here: Trial, first: float, slack: float = 0.0, most: int = 25
) -> Trial | None:
    """Return a point that fulfils the strong Wolfe conditions (algorithms 3.5 and 3.6).

    None where there is none that falls enough; the lowest of these where the slope stays steep
    though `most` points were tried.

    Args:
        at: the point at a size.
        here: at size 0, with a slope below 0.
        first: the size to try first.
        slack: see `slack`.
        most: points to try.
    """
    before, trial = here, at(first)
    for left in range(most - 1, -1, -1):
        rises = before is not here and trial.loss >= before.loss
        if rises or not falls_enough(here, trial.size, trial.loss, slack):
            return _zoom(at, here, before, trial, slack, left)
        if abs(trial.slope) <= -FLAT * here.slope:
            return trial
        if trial.slope >= 0:
            return _zoom(at, here, trial, before, slack, left)
        if left:
            before, trial = trial, at(_farther(before, trial))
    return trial


def _zoom(at: At, here: Trial, low: Trial, high: Trial, slack: float, left: int) -> Trial | None:
    """Return a point between two (algorithm 3.6): `low` is the lowest so far that falls enough."""
    for _ in range(left):
        if abs(high.size - low.size) <= 1e-12 * max(1.0, abs(low.size)):
            break
        trial = at(_between(low, high))
        if not falls_enough(here, trial.size, trial.loss, slack) or trial.loss >= low.loss:
            near = abs(trial.loss - low.loss) <= slack and trial.loss <= here.loss + slack
            if near and abs(trial.slope) <= -FLAT * here.slope:
                return trial  # as low as can be told apart
            high = trial
            continue
        if abs(trial.slope) <= -FLAT * here.slope:
            return trial
        if trial.slope * (high.size - low.size) >= 0:
            high = low
        low = trial
    return low if low.size > 0 else None


def _farther(before: Trial, trial: Trial) -> float:
    """Return the next size: where a cubic has its minimum, twice to ten times as far."""
    guess = _cubic(before, trial)
    least, greatest = 2 * trial.size, 10 * trial.size
    return min(max(guess, least), greatest) if math.isfinite(guess) else least


def _between(low: Trial, high: Trial) -> float:
    """Return a size between two: where a cubic has its minimum, not too near either."""
    guess = _cubic(low, high)
    one, other = sorted((low.size, high.size))
    margin = 0.1 * (other - one)
    if not math.isfinite(guess) or not one + margin <= guess <= other - margin:
        return one + 0.5 * (other - one)
    return guess


def _cubic(one: Trial, other: Trial) -> float:
    """Return where the cubic through two points and slopes has its minimum (equation 3.59)."""
    span = other.size - one.size
    first = one.slope + other.slope - 3 * (one.loss - other.loss) / (one.size - other.size)
    square = first**2 - one.slope * other.slope
    if not square >= 0:
        return math.nan
    second = math.copysign(math.sqrt(square), span)
    below = other.slope - one.slope + 2 * second
    return other.size - span * (other.slope + second - first) / below if below else math.nan

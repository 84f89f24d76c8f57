"""Levenberg-Marquardt damping by the reduction ratio; Powell's damping of pairs."""

from __future__ import annotations

import math

from torch import Tensor

POOR, GOOD = 0.25, 0.75
UP, DOWN = 3 / 2, 2 / 3
LEAST = 1e-8
"""Where there is damping there is so much: without any a matrix may be all but singular."""
POWELL = 0.2


def adapted(damping: float, ratio: float) -> float:
    """Return the damping for the next step (Martens 2010, section 4.1).

    Half as much again where the loss fell by less than a quarter of what the quadratic model says,
    two thirds where it fell by more than three quarters. 0 stays 0.

    Args:
        ratio: the loss's change over the model's; one that is not finite is a poor one.
    """
    if not ratio >= POOR:
        return damping * UP
    return max(damping * DOWN, min(damping, LEAST)) if ratio > GOOD else damping


def reduction_ratio(before: float, after: float, predicted: float) -> float:
    """Return the loss's change over the model's, which is `predicted`, below 0; NaN without one."""
    if not predicted < 0 or not math.isfinite(after):
        return math.nan
    return (after - before) / predicted


def powell(s: Tensor, y: Tensor, bs: Tensor) -> Tensor:
    """Return y, or as much of B s in its place as makes the next B positive definite.

    r = theta y + (1 - theta) B s with s^T r = 0.2 s^T B s where s^T y is less (Powell 1978;
    Nocedal, Wright 2006, procedure 18.2).

    Args:
        s: the step, [n].
        y: the gradient's change along it, [n].
        bs: B s, [n]; s^T B s is above 0.
    """
    along, curved = float(s @ y), float(s @ bs)
    if along >= POWELL * curved:
        return y
    theta = (1 - POWELL) * curved / (curved - along)
    return theta * y + (1 - theta) * bs

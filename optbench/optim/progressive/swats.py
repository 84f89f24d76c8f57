"""The learning rate that SGD goes on with after Adam, estimated from Adam's steps."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor

BETA = 0.999
"""Of the running mean, where the optimizer has no second beta."""

RECENT = 0.99
"""Of the running mean of lengths, which is of the last hundred steps or so."""
SWATS, MATCHED = "swats", "matched"
RATES = (SWATS, MATCHED)
"""The estimates: of the projection (the paper's), and of the length of steps."""

Estimate = dict[str, float]
"""Running means from 0: `mean` of gamma, with its decay `beta`, `length` of the other; `count` and
`lengths`: of how many; `last`: the last gamma."""


def nothing() -> Estimate:
    """Return an estimate before the first step."""
    return {"mean": 0.0, "length": 0.0, "count": 0.0, "lengths": 0.0, "last": 0.0, "beta": BETA}


def seen(
    estimate: Estimate,
    before: Sequence[Tensor],
    parameters: Sequence[Tensor],
    gradients: Sequence[Tensor | None],
    multiplier: float,
    beta: float,
) -> Estimate:
    """Return the estimate after one more step (Keskar & Socher 2017, algorithm 1).

    With the step p and the gradient g at its beginning, SGD's step -gamma g is as long as p where
    its projection onto p is p itself:

        gamma    = p.p / -p.g
        lambda_k = beta lambda_(k-1) + (1 - beta) gamma

    In the paper g is of one batch: a step nearly at right angles to it has a gamma of any size and
    either sign, and moves the mean by as much. Here g is the mean gradient that the optimizer's
    momentum stands for, along which SGD with momentum goes too; Adam's p is always downhill of it.
    Where p is much turned against g, -gamma g is much longer than p; `matched` is the rate at which
    the two are equally long, |p| / |g|. A step that is uphill of g tells no gamma, only that.

    Args:
        estimate: before the step.
        before: the parameters then, decayed already where that is no part of p.
        parameters: as they are now.
        gradients: theirs; None: none.
        multiplier: what the schedule had made of the base learning rate, which is taken out.
        beta: of the running mean; Adam's second.
    """
    length, along, steep = 0.0, 0.0, 0.0
    for old, parameter, gradient in zip(before, parameters, gradients, strict=True):
        if gradient is None:
            continue
        step = (parameter.detach() - old).flatten().double()
        length += float(step.dot(step))
        slope = gradient.detach().flatten().double()
        along -= float(step.dot(slope))
        steep += float(slope.dot(slope))
    if length == 0.0 or steep == 0.0 or multiplier == 0.0:
        return estimate
    matched = math.sqrt(length / steep) / multiplier
    if not math.isfinite(matched):
        return estimate
    found = dict(estimate)
    found["length"] = RECENT * estimate["length"] + (1 - RECENT) * matched
    found["lengths"] += 1
    gamma = length / along / multiplier if along > 0 else 0.0
    if gamma > 0 and math.isfinite(gamma):
        found["mean"] = beta * estimate["mean"] + (1 - beta) * gamma
        found["count"] += 1
        found |= {"last": gamma, "beta": beta}
    return found


def rate(estimate: Estimate, word: str = SWATS) -> float:
    """Return a running mean without what it has of its beginning at 0; 0 before the first.

    Args:
        estimate: so far.
        word: of `RATES`.
    """
    count = estimate["lengths" if word == MATCHED else "count"]
    if not count:
        return 0.0
    if word == MATCHED:
        return estimate["length"] / (1.0 - math.pow(RECENT, count))
    return estimate["mean"] / (1.0 - math.pow(estimate["beta"], count))


def settled(estimate: Estimate, within: float) -> bool:
    """Return whether the last gamma is as near to the mean, and that is a learning rate."""
    found = rate(estimate)
    return found > 0 and estimate["count"] > 1 and abs(found - estimate["last"]) < within


def for_sgd(plain: float, group: Mapping[str, Any]) -> float:
    """Return the lr with which steps of SGD are as long as plain ones of `plain`.

    Its momentum makes them 1 / (1 - momentum) times as long, its dampening 1 - dampening.
    """
    longer = (1 - float(group.get("dampening") or 0.0)) / (1 - float(group.get("momentum") or 0.0))
    return plain / longer

"""Conjugate gradients for a matrix that is known by its products only."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

Apply = Callable[[Tensor], Tensor]
STOPS = ("progress", "residual")
SHARE = 10
"""Progress is looked at over a tenth of the iterations so far, and at least so many."""


@dataclass(frozen=True)
class Solved:
    """What conjugate gradients came to.

    Attributes:
        x: [n].
        product: A x.
        iterations: products that were taken, but that of the start.
        curvature: the least v^T A v / v^T v of the directions v that were tried; not above 0 it
            ended the search.
    """

    x: Tensor
    product: Tensor
    iterations: int
    curvature: float


def conjugate_gradients(
    apply: Apply,
    b: Tensor,
    most: int,
    tolerance: float,
    stop: str = "residual",
    start: Tensor | None = None,
    precondition: Apply | None = None,
    radius: float = math.inf,
) -> Solved:
    """Return where b^T x - x^T A x / 2 is greatest, as far as it was sought.

    A direction of curvature that is not positive ends the search: along it there is no bound. It is
    used: the last step goes along it, as far as it would where the curvature had the other sign, or
    to the radius, if there is one (Steihaug 1983). From a start that is not 0 the search ends
    before it.

    Args:
        apply: gives A v.
        b: [n].
        most: iterations, at least 1.
        tolerance: of `stop`.
        stop: `residual`, where ||b - A x|| is at most so much of ||b||; `progress`, where in the
            last tenth of the iterations, at least 10, the quadratic fell by less than so much an
            iteration, relative to what it has fallen by in all (Martens 2010, section 4.4).
        start: x to begin with; None is 0.
        precondition: gives an approximation of A^-1 v.
        radius: x stays within this distance of 0; then the start is 0.
    """
    x = torch.zeros_like(b) if start is None else start.clone()
    product = torch.zeros_like(b) if start is None else apply(x)
    residual = b - product
    reach, least, iterations = float(b.norm()), math.inf, 0
    values = [_value(b, x, residual)]
    y = residual if precondition is None else precondition(residual)
    direction, along = y.clone(), float(residual @ y)
    while iterations < most and along > 0 and not _ends(stop, tolerance, residual, reach, values):
        applied = apply(direction)
        iterations += 1
        length, curved = float(direction @ direction), float(direction @ applied)
        if not math.isfinite(curved):
            break
        least = min(least, curved / length)
        size = along / curved if curved > 0 else math.inf
        if curved <= 0 and (math.isfinite(radius) or start is None):
            size = _beyond(along, curved, length, x)
        elif curved <= 0:
            break
        out = _to_boundary(x, direction, radius, not curved > 0, size)
        x = x + out * direction
        product = product + out * applied
        if out != size or curved <= 0:
            break
        residual = b - product
        y = residual if precondition is None else precondition(residual)
        before, along = along, float(residual @ y)
        direction = y + (along / before) * direction
        values.append(_value(b, x, residual))
    return Solved(x, product, iterations, least)


def _value(b: Tensor, x: Tensor, residual: Tensor) -> float:
    """Return x^T A x / 2 - b^T x."""
    return float(-0.5 * (x @ (b + residual)))


def _ends(stop: str, tolerance: float, residual: Tensor, reach: float, values: list[float]) -> bool:
    if stop == "residual":
        return float(residual.norm()) <= tolerance * reach
    done = len(values) - 1
    back = max(SHARE, done // SHARE)
    if done <= back or values[-1] >= 0:
        return float(residual.norm()) == 0
    return (values[-1] - values[-1 - back]) / values[-1] < back * tolerance


def _beyond(along: float, curved: float, length: float, x: Tensor) -> float:
    """Return how far a last step goes where the curvature is not positive."""
    # A curvature of all but 0 would lead anywhere: at most ten times as far as x is, or the slope.
    far = 10 * max(float(x.norm()), math.sqrt(along))
    return min(along / max(-curved, 1e-300), far / math.sqrt(length))


def _to_boundary(
    x: Tensor, direction: Tensor, radius: float, unbounded: bool, size: float
) -> float:
    """Return how far along a direction, at most to the radius."""
    if not math.isfinite(radius):
        return size
    a, b = float(direction @ direction), float(x @ direction)
    c = float(x @ x) - radius**2
    edge = (-b + math.sqrt(max(0.0, b * b - a * c))) / a
    return edge if unbounded or size >= edge else size

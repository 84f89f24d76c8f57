"""Symmetric rank-1 updates within a trust region."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from optbench.optim.engine.ranges import at_least_zero
from optbench.optim.needs import Needs
from optbench.optim.second_order.dense import check_memory
from optbench.optim.second_order.flat import OfOneVector
from optbench.optim.second_order.trust_region import minimum_within

LEAST_RATIO = 1e-4
"""eta: a step is taken whose loss falls by more than so much of what the model says."""
SKIP = 1e-8
"""r: an update whose denominator is smaller, relative to its vectors, is left out."""
WIDEN, FAR, SHRINK = 0.75, 0.8, 0.1
"""The radius doubles above the first where the step went beyond the second part of it, and halves
below the third."""
LEAST_RADIUS = 1e-12
"""Times lr, what the radius does not fall below."""


class SR1(OfOneVector):
    """SR1 with a trust region (Nocedal, Wright 2006, algorithm 6.2).

        s      = the minimum of g^T s + s^T B s / 2 with |s| <= radius
        theta <- theta + s, if the loss falls by more than 1e-4 of what that says
        B     <- B + (y - B s)(y - B s)^T / (y - B s)^T s

    B [n, n] approximates the Hessian, negative curvature too, and equals it after n independent
    steps on a quadratic. y is the change of the gradient along s on the same batch; B learns from
    steps that are not taken as well, but not where the denominator is all but 0. The radius doubles
    after a good step that used it, and halves after a bad one. A useless B begins anew.

    `measured`: `reduction_ratio`, `step_length` (|s|; 0 where it was not taken), `radius`.

    Args:
        params: as in torch; one group.
        lr: the radius to begin with; a schedule scales it.
        max_gib: the most memory that B may take.

    Raises:
        ValueError: a setting out of range, several groups, a matrix that is too large.
    """

    needs = Needs(objective="many", own_gradient=True)

    def __init__(self, params: Any, lr: float = 1.0, max_gib: float = 1.0) -> None:
        super().__init__(params, {"lr": lr, "max_gib": max_gib})
        at_least_zero(self.settings, "lr", "max_gib")
        check_memory("SR1", self.flat(), max_gib, "L-BFGS")
        self.measured: dict[str, float] = {}

    @torch.no_grad()
    def step(self, closure: Any) -> Any:  # type: ignore[override]
        """Take one update by an objective; return the loss before it."""
        with torch.enable_grad():
            loss = closure()
        flat, kept = self.flat(), self.kept
        gradient, before = flat.gradient(), float(loss)
        if self.rests(gradient):
            return loss
        radius = float(self.settings["lr"]) * kept.get("radius", 1.0)
        matrix = kept.get("matrix")
        s = None if matrix is None else minimum_within(matrix, gradient, radius)
        if matrix is None or s is None or not bool(s.isfinite().all()):
            matrix = torch.eye(flat.size, dtype=gradient.dtype, device=gradient.device)
            s = minimum_within(matrix, gradient, radius)
        bs = matrix @ s
        predicted = float(gradient @ s + 0.5 * (s @ bs))
        with flat.tried() as point:
            flat.put(point + s)
            found, slopes = closure.gradients(flat.parameters)
            after, there = float(found), flat.join(slopes)
            ratio = (after - before) / predicted if predicted < 0 else float("nan")
            taken = ratio > LEAST_RATIO
            if not taken:
                flat.put(point)
        kept["matrix"] = updated(matrix, s, bs, there - gradient)
        grown = kept.get("radius", 1.0) * _factor(ratio, float(s.norm()), radius)
        kept["radius"] = max(grown, LEAST_RADIUS)
        self.measured = {
            "reduction_ratio": ratio,
            "step_length": float(s.norm()) if taken else 0.0,
            "radius": radius,
        }
        return loss


def updated(matrix: Tensor, s: Tensor, bs: Tensor, y: Tensor) -> Tensor:
    """Return the next B, the last one changed in place, or left as it is where the update would be
    too large (equation 6.26), or of rounding alone."""
    rest, limits = y - bs, torch.finfo(matrix.dtype)
    below, size = float(s @ rest), float(rest.norm())
    if not abs(below) >= SKIP * float(s.norm()) * size or abs(below) * limits.max < 1.0:
        return matrix
    if size <= limits.eps * (float(y.norm()) + float(bs.norm())):
        return matrix
    return matrix.addr_(rest, rest, alpha=1.0 / below)


def _factor(ratio: float, length: float, radius: float) -> float:
    """Return what the radius is multiplied with."""
    if ratio > WIDEN:
        return 2.0 if length > FAR * radius else 1.0
    return 1.0 if ratio >= SHRINK else 0.5

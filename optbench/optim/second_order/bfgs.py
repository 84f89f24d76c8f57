"""BFGS with the whole matrix."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from optbench.optim.engine.ranges import above_zero, at_least_zero
from optbench.optim.needs import Needs
from optbench.optim.second_order.dense import check_memory
from optbench.optim.second_order.flat import OfOneVector, one_of
from optbench.optim.second_order.line import Line
from optbench.optim.second_order.line_search import Trial
from optbench.optim.second_order.quasi_newton import first_size, pair

SEARCHES = ("strong_wolfe", "armijo", "exact", "none")


class BFGS(OfOneVector):
    """Broyden, Fletcher, Goldfarb, Shanno 1970 (Nocedal, Wright 2006, algorithm 6.1).

        d      = -H g
        theta <- theta + size d
        H     <- (I - rho s y^T) H (I - rho y s^T) + rho s s^T,   rho = 1 / y^T s

    H [n, n] approximates the inverse of the Hessian. It begins as the identity, scaled by s^T y /
    y^T y of the first pair (equation 6.20). s is the step and y the change of the gradient along
    it, both ends of the same batch and random numbers. A pair that the line search does not vouch
    for is damped (procedure 18.2). Where the loss falls nowhere along d, H begins anew.

    `measured`: `step_length` (size), `evaluations` (points that the line search looked at).

    Args:
        params: as in torch; one group.
        lr: the first size that is tried, but at the start, where -g is at most so long; `exact`
            comes to the same size from any.
        line_search: `strong_wolfe`; `armijo`; `exact`, to the minimum of the quadratic that the
            Hessian gives along d; `none`, lr d.
        max_gib: the most memory that H may take.

    Raises:
        ValueError: a setting out of range, several groups, a matrix that is too large.
    """

    needs = Needs(objective="many", own_gradient=True)

    def __init__(
        self,
        params: Any,
        lr: float = 1.0,
        line_search: str = "strong_wolfe",
        max_gib: float = 1.0,
    ) -> None:
        super().__init__(params, {"lr": lr, "line_search": line_search, "max_gib": max_gib})
        one_of(self.settings, "line_search", *SEARCHES)
        at_least_zero(self.settings, "lr")
        above_zero(self.settings, "max_gib")
        check_memory("BFGS", self.flat(), max_gib, "L-BFGS")
        self.needs = replace(type(self).needs, hvp=line_search == "exact")
        self.measured: dict[str, float] = {}

    @torch.no_grad()
    def step(self, closure: Any) -> Any:  # type: ignore[override]
        """Take one update by an objective; return the loss before it."""
        with torch.enable_grad():
            loss = closure()
        flat, settings, kept = self.flat(), self.settings, self.kept
        gradient, inverse = flat.gradient(), kept.get("inverse")
        if self.rests(gradient):
            return loss
        direction = -gradient if inverse is None else -(inverse @ gradient)
        slope = float(gradient @ direction)
        if not slope < 0:  # rounding has spoiled the matrix
            inverse, direction, slope = None, -gradient, -float(gradient @ gradient)
        how = settings["line_search"]
        with flat.tried() as point:
            line = Line(closure, flat, point, direction, Trial(0.0, float(loss), slope))
            taken = line.search_with_gradient(how, first_size(settings, gradient, inverse is None))
        if taken is None:
            kept.pop("inverse", None)
        else:
            found = pair(line, taken, gradient, how)
            if found is not None:
                kept["inverse"] = updated(inverse, *found)
        size = 0.0 if taken is None else taken.size
        self.measured = {"step_length": size, "evaluations": float(len(line.losses))}
        return loss


def updated(inverse: Tensor | None, s: Tensor, y: Tensor) -> Tensor:
    """Return the next H, which is the last one changed in place: its memory is what BFGS costs.

    Args:
        inverse: None is the identity, to be scaled.
        s, y: [n]; s^T y is above 0.
    """
    along = float(s @ y)
    if inverse is None:
        inverse = torch.eye(len(s), dtype=s.dtype, device=s.device) * (along / float(y @ y))
    hy = inverse @ y
    # H - (s hy^T + hy s^T) / along + grown s s^T, in one pass over H
    grown = (1.0 + float(y @ hy) / along) / along
    u = hy / along - 0.5 * grown * s
    return inverse.addmm_(torch.stack([s, u], dim=1), torch.stack([u, s]), alpha=-1.0)

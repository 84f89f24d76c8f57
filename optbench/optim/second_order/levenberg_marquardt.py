"""Levenberg-Marquardt: Gauss-Newton steps that are damped until the loss falls."""

from __future__ import annotations

import math
from typing import Any

import torch

from optbench.optim.engine.ranges import above_zero
from optbench.optim.needs import Needs
from optbench.optim.second_order.damping import LEAST, reduction_ratio
from optbench.optim.second_order.flat import OfOneVector
from optbench.optim.second_order.line_search import slack
from optbench.optim.second_order.solver import Curvature, check_solver, note_solution, warm

FACTOR = 10.0
"""By which the damping rises and falls (Marquardt 1963)."""


class LevenbergMarquardt(OfOneVector):
    """Least squares by Levenberg 1944 and Marquardt 1963.

        d      = -(J^T J + damping I)^-1 J^T r
        theta <- theta + lr d, if the loss falls

    J^T J is the generalized Gauss-Newton matrix, so other losses than squared ones may be taken
    that are convex in a model's outputs. Where the loss falls the damping becomes a tenth; where it
    does not, ten times as much, and the step is tried anew, up to `tries` times a batch. The matrix
    is made once a step where it is made.

    `measured`: `cg_iterations`, `reduction_ratio` and `damping` of the last try, `tries`,
    `step_length` (lr, or 0 where none was taken).

    Args:
        params: as in torch; one group.
        lr: what the step is multiplied with; 1 is the method's own.
        damping: to begin with, at least 0.
        tries: with a batch, at least 1.
        solver: `exact` (at most 5,000 parameters), `cg`, or `auto` (exact up to 2,000).
        cg_iterations: at most.
        cg_tolerance, cg_stop: see `conjugate_gradients`.
        cg_decay: the part of the last step's solution at which they begin.

    Raises:
        ValueError: a setting out of range, several groups, `exact` with too many parameters.
    """

    needs = Needs(objective="many", hvp=True, ggn=True, own_gradient=True)

    def __init__(
        self,
        params: Any,
        lr: float = 1.0,
        damping: float = 1e-2,
        tries: int = 8,
        solver: str = "auto",
        cg_iterations: int = 250,
        cg_tolerance: float = 5e-4,
        cg_stop: str = "progress",
        cg_decay: float = 0.95,
    ) -> None:
        defaults = {"lr": lr, "damping": damping, "tries": tries, "solver": solver}
        defaults |= {"cg_iterations": cg_iterations, "cg_tolerance": cg_tolerance}
        defaults |= {"cg_stop": cg_stop, "cg_decay": cg_decay}
        super().__init__(params, defaults)
        check_solver(type(self).__name__, self.settings, self.flat())
        above_zero(self.settings, "tries")
        self.measured: dict[str, float] = {}
        self.timed: dict[str, float] = {}

    @torch.no_grad()
    def step(self, closure: Any) -> Any:  # type: ignore[override]
        """Take one update by an objective; return the loss before it."""
        with torch.enable_grad():
            loss = closure()
        flat, settings, kept = self.flat(), self.settings, self.kept
        gradient, before, lr = flat.gradient(), float(loss), float(settings["lr"])
        self.timed = {}
        if self.rests(gradient):
            return loss
        curvature, start = Curvature(closure.ggnvp, flat, settings), warm(kept, settings)
        damping, iterations, tries, taken = kept.get("damping", settings["damping"]), 0, 0, False
        with flat.tried() as point:
            while not taken and tries < settings["tries"]:
                tries += 1
                with closure.at_rest():
                    found = curvature.direction(gradient, damping, start)
                iterations += found.iterations
                flat.put(point + lr * found.step)
                after, used = float(closure.loss()), damping
                predicted = found.predicted(float(gradient @ found.step), lr)
                ratio = reduction_ratio(before, after, predicted)
                taken = after < before + slack(before, gradient.dtype)
                damping = _next(damping, taken)
                if not taken:  # the next direction is asked for here
                    flat.put(point)
        kept["damping"], self.timed = damping, curvature.timed
        if math.isfinite(ratio):
            note_solution(kept, curvature, found.step)
        self.measured = {
            "cg_iterations": float(iterations),
            "reduction_ratio": ratio,
            "damping": used,
            "tries": float(tries),
            "step_length": lr if taken else 0.0,
        }
        return loss


def _next(damping: float, taken: bool) -> float:
    """Return the next damping; 0 stays 0 as long as it does."""
    if taken:
        return max(damping / FACTOR, LEAST) if damping else 0.0
    return max(damping * FACTOR, LEAST)

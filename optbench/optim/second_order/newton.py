"""Newton's method, exact or by conjugate gradients, with the Hessian or the Gauss-Newton matrix."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from optbench.optim.needs import Needs
from optbench.optim.second_order.cg import Apply
from optbench.optim.second_order.damping import UP, adapted, reduction_ratio
from optbench.optim.second_order.fisher_diagonal import Diagonal
from optbench.optim.second_order.flat import Flat, OfOneVector, one_of
from optbench.optim.second_order.line import Line
from optbench.optim.second_order.line_search import Trial
from optbench.optim.second_order.solver import (
    Curvature,
    Direction,
    check_solver,
    note_solution,
    warm,
)

CURVATURES = ("hessian", "ggn")
SEARCHES = ("armijo", "strong_wolfe", "none")
POWER = 0.75
"""Of the preconditioner (Martens 2010, section 4.7)."""


class Newton(OfOneVector):
    """Newton's method, damped (Martens 2010; Nocedal, Wright 2006, chapter 7).

        d      = -(H + damping I)^-1 g
        theta <- theta + size d

    H is the Hessian, or the generalized Gauss-Newton matrix, which has no negative curvature. All
    of a step is of one batch. With few parameters (at most 2,000, or 5,000 where that is asked
    for) H is made and solved with; where it is not positive definite, |H| stands in its place. With
    more, d is what conjugate gradients come to; they end at negative curvature, and the step goes
    along it too.

    The damping falls to 2/3 where the loss fell by more than 3/4 of what the quadratic model said,
    and rises to 3/2 below 1/4. The step is halved until the loss falls enough (Armijo), or fulfils
    the strong Wolfe conditions; where it never does, the parameters stay.

    `measured`: `cg_iterations`, `reduction_ratio`, `damping` (that the step was taken with),
    `step_length` (size), `negative_curvature` (0 or 1).

    Args:
        params: as in torch; one group.
        lr: the first size that is tried; 1 is Newton's own.
        curvature: `hessian` or `ggn`.
        solver: `exact`, `cg`, or `auto`: which of them, by the number of parameters.
        damping: to begin with, at least 0, which stays 0.
        adapt_damping: whether it follows the reduction ratio.
        line_search: `armijo`, `strong_wolfe` or `none`.
        cg_iterations: at most.
        cg_tolerance, cg_stop: see `conjugate_gradients`.
        cg_decay: with `ggn`, the part of the last step at which conjugate gradients begin.
        precondition: whether these are preconditioned by the empirical Fisher matrix's diagonal;
            needs the module.
        module: whose parameters they are.

    Raises:
        ValueError: a setting out of range, several groups, `exact` with too many parameters.
    """

    needs = Needs(objective="many", hvp=True, module=True, own_gradient=True)

    def __init__(
        self,
        params: Any,
        lr: float = 1.0,
        curvature: str = "hessian",
        solver: str = "auto",
        damping: float = 1e-3,
        adapt_damping: bool = True,
        line_search: str = "armijo",
        cg_iterations: int = 250,
        cg_tolerance: float = 5e-4,
        cg_stop: str = "progress",
        cg_decay: float = 0.95,
        precondition: bool = False,
        module: nn.Module | None = None,
    ) -> None:
        defaults = {"lr": lr, "curvature": curvature, "solver": solver, "damping": damping}
        defaults |= {"adapt_damping": adapt_damping, "line_search": line_search}
        defaults |= {"cg_iterations": cg_iterations, "cg_tolerance": cg_tolerance}
        defaults |= {"cg_stop": cg_stop, "cg_decay": cg_decay, "precondition": precondition}
        super().__init__(params, defaults)
        one_of(self.settings, "curvature", *CURVATURES)
        one_of(self.settings, "line_search", *SEARCHES)
        check_solver(type(self).__name__, self.settings, self.flat())
        if precondition and module is None:
            raise ValueError("precondition needs the module")
        self._module = module if precondition else None
        self.needs = replace(type(self).needs, ggn=curvature == "ggn")
        self.measured: dict[str, float] = {}
        self.timed: dict[str, float] = {}

    @torch.no_grad()
    def step(self, closure: Any) -> Any:  # type: ignore[override]
        """Take one update by an objective; return the loss before it."""
        flat, settings, kept = self.flat(), self.settings, self.kept
        loss, precondition = self._evaluate(closure, flat)
        gradient = flat.gradient()
        self.timed = {}
        if self.rests(gradient):
            return loss
        damping = kept.get("damping", settings["damping"])
        hessian = settings["curvature"] == "hessian"
        curvature = Curvature(closure.hvp if hessian else closure.ggnvp, flat, settings)
        start = None if hessian else warm(kept, settings)
        approximate = None if precondition is None else precondition(damping)
        with closure.at_rest():
            found = curvature.direction(gradient, damping, start, approximate)
        self.timed = curvature.timed
        found = _downhill(found, gradient)
        self._search(closure, flat, gradient, found, float(loss), damping)
        if not hessian:
            note_solution(kept, curvature, found.step)
        return loss

    def _evaluate(self, closure: Any, flat: Flat) -> tuple[Any, Any]:
        """Return the loss, leaving gradients, and what gives a preconditioner of a damping."""
        with torch.enable_grad():
            if self._module is None:
                return closure(), None
            diagonal = Diagonal(self._module, flat)
            with closure.capture(diagonal.layers) as seen:
                loss = closure()
        squares = closure.mean([flat.join(diagonal.squares(seen))])[0]
        return loss, lambda damping: _divided(squares, damping)

    def _search(
        self,
        closure: Any,
        flat: Flat,
        gradient: Tensor,
        found: Direction,
        loss: float,
        damping: float,
    ) -> None:
        """Go along a direction, and move the damping by how well the model foretold it."""
        settings, kept = self.settings, self.kept
        lr, slope = float(settings["lr"]), float(gradient @ found.step)
        with flat.tried() as point:
            line = Line(closure, flat, point, found.step, Trial(0.0, loss, slope))
            taken = line.search(settings["line_search"], lr)
        size = 0.0 if taken is None else taken.size
        ratio = reduction_ratio(loss, line.losses.get(lr, math.nan), found.predicted(slope, lr))
        if settings["adapt_damping"]:
            kept["damping"] = damping * UP if taken is None else adapted(damping, ratio)
        self.measured = {
            "cg_iterations": float(found.iterations),
            "reduction_ratio": ratio,
            "damping": float(damping),
            "step_length": size,
            "negative_curvature": float(found.negative),
        }


class GaussNewton(Newton):
    """The Gauss-Newton method: Newton's, with the Gauss-Newton matrix in the Hessian's place.

    For least squares, where that matrix is J^T J of the residuals; for any loss that is a convex
    criterion of a model's outputs it is the generalized one (Schraudolph 2002). Without damping,
    where it is singular, what it says nothing of stays.

    Args:
        params, lr, solver, damping, adapt_damping, line_search, cg_iterations, cg_tolerance,
            cg_stop, cg_decay, precondition, module: as for `Newton`.

    Raises:
        ValueError: as `Newton`.
    """

    def __init__(
        self,
        params: Any,
        lr: float = 1.0,
        solver: str = "auto",
        damping: float = 1e-3,
        adapt_damping: bool = True,
        line_search: str = "armijo",
        cg_iterations: int = 250,
        cg_tolerance: float = 5e-4,
        cg_stop: str = "progress",
        cg_decay: float = 0.95,
        precondition: bool = False,
        module: nn.Module | None = None,
    ) -> None:
        super().__init__(
            params,
            lr=lr,
            curvature="ggn",
            solver=solver,
            damping=damping,
            adapt_damping=adapt_damping,
            line_search=line_search,
            cg_iterations=cg_iterations,
            cg_tolerance=cg_tolerance,
            cg_stop=cg_stop,
            cg_decay=cg_decay,
            precondition=precondition,
            module=module,
        )


def _downhill(found: Direction, gradient: Tensor) -> Direction:
    """Return the direction, or the steepest descent where it leads nowhere down."""
    if float(gradient @ found.step) < 0:
        return found
    return Direction(-gradient, 0.0, found.iterations, found.negative)


def _divided(squares: Tensor, damping: float) -> Apply:
    """Return the preconditioner (diag + damping)^-0.75."""
    floor = max(damping, 1e-6 * float(squares.max()), torch.finfo(squares.dtype).tiny ** 0.5)
    inverse = (squares + floor).pow(-POWER)
    return lambda vector: inverse * vector

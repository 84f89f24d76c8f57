"""The natural gradient: the steepest descent where distance is measured between distributions."""

from __future__ import annotations

import math
from typing import Any

import torch

from optbench.optim.engine.ranges import above_zero
from optbench.optim.needs import Needs
from optbench.optim.second_order.flat import OfOneVector, one_of
from optbench.optim.second_order.solver import Curvature, check_solver, note_solution, warm

FISHERS = ("ggn", "empirical")


class NaturalGradient(OfOneVector):
    """The natural gradient (Amari 1998), its steps bounded by what they change in distribution.

        d      = -(F + damping I)^-1 g
        size   = min(lr, sqrt(2 delta / d^T F d))
        theta <- theta + size d

    F is the Fisher matrix of the distribution that the model's outputs stand for. Where the loss is
    its negative log-likelihood and the outputs its natural parameters (cross-entropy of logits,
    squared error) F is the generalized Gauss-Newton matrix (Martens 2020, section 9), which is
    asked for. size^2 d^T F d / 2 is to second order the KL divergence between the distributions
    before and after. `empirical` takes the mean of g_i g_i^T in F's place: of gradients at the
    targets, not at samples of the model's, which is another matrix (Kunstner et al. 2019).

    Without damping the path of the distributions does not depend on how a layer is parametrized, if
    steps are small, and steps not at all if the change of parameters is affine.

    `measured`: `cg_iterations`, `kl` (size^2 d^T F d / 2), `step_length` (size).

    Args:
        params: as in torch; one group.
        lr: the greatest size.
        delta: the greatest KL divergence of a step, above 0; None is no bound.
        fisher: `ggn` or `empirical`.
        damping: at least 0. Without it what F says nothing of stays.
        solver: `exact` (at most 5,000 parameters), `cg`, or `auto` (exact up to 2,000).
        cg_iterations: at most.
        cg_tolerance, cg_stop: see `conjugate_gradients`.
        cg_decay: the part of the last step's solution at which they begin.

    Raises:
        ValueError: a setting out of range, several groups, `exact` with too many parameters.
    """

    needs = Needs(objective="once", hvp=True, ggn=True, own_gradient=True)

    def __init__(
        self,
        params: Any,
        lr: float = 1.0,
        delta: float | None = 1e-2,
        fisher: str = "ggn",
        damping: float = 1e-3,
        solver: str = "auto",
        cg_iterations: int = 50,
        cg_tolerance: float = 5e-4,
        cg_stop: str = "progress",
        cg_decay: float = 0.95,
    ) -> None:
        defaults = {"lr": lr, "delta": delta, "fisher": fisher, "damping": damping}
        defaults |= {"solver": solver, "cg_iterations": cg_iterations}
        defaults |= {"cg_tolerance": cg_tolerance, "cg_stop": cg_stop, "cg_decay": cg_decay}
        super().__init__(params, defaults)
        one_of(self.settings, "fisher", *FISHERS)
        check_solver(type(self).__name__, self.settings, self.flat())
        if delta is not None:
            above_zero(self.settings, "delta")
        self.measured: dict[str, float] = {}
        self.timed: dict[str, float] = {}

    @torch.no_grad()
    def step(self, closure: Any) -> Any:  # type: ignore[override]
        """Take one update by an objective; return the loss before it."""
        with torch.enable_grad():
            loss = closure()
        flat, settings, kept = self.flat(), self.settings, self.kept
        gradient = flat.gradient()
        self.timed = {}
        if self.rests(gradient):
            return loss
        products = closure.ggnvp if settings["fisher"] == "ggn" else closure.efvp
        curvature = Curvature(products, flat, settings)
        with closure.at_rest():
            found = curvature.direction(gradient, settings["damping"], warm(kept, settings))
        note_solution(kept, curvature, found.step)
        self.timed = curvature.timed
        size, delta = float(settings["lr"]), settings["delta"]
        if delta is not None and found.curved > 0:
            size = min(size, math.sqrt(2 * delta / found.curved))
        flat.put(flat.point() + size * found.step)
        self.measured = {
            "cg_iterations": float(found.iterations),
            "kl": 0.5 * size**2 * found.curved,
            "step_length": size,
        }
        return loss

"""L-BFGS for batches that change from step to step."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from optbench.optim.engine.ranges import above_zero, at_least_zero
from optbench.optim.needs import Needs
from optbench.optim.second_order.flat import OfOneVector, one_of
from optbench.optim.second_order.line import Line
from optbench.optim.second_order.line_search import Trial
from optbench.optim.second_order.quasi_newton import first_size, pair

SEARCHES = ("armijo", "strong_wolfe", "none")


class LBFGSMultiBatch(OfOneVector):
    """L-BFGS (Liu, Nocedal 1989) whose pairs are of one batch each.

        d      = -H g, by the two-loop recursion over the last pairs (s, y)
        theta <- theta + size d

    Torch's takes y between the gradients of two calls; from batch to batch that is noise of the
    batches, not curvature. Here y is the change of the gradient along the step on the very examples
    and random numbers that gave the step (Schraudolph et al. 2007; all of a batch overlaps, in the
    words of Berahas et al. 2016), at the price of one more gradient a step. Pairs are damped
    (Powell 1978) unless the line search vouches for them. One step is one direction, unlike
    torch's, which takes several on the same batch.

    `measured`: `step_length` (size), `pairs`.

    Args:
        params: as in torch; one group.
        lr: the first size that is tried, but at the start, where -g is at most so long.
        history_size: pairs, at least 1.
        line_search: `armijo`, `strong_wolfe`, or `none`, which takes lr d.

    Raises:
        ValueError: a setting out of range, several groups.
    """

    needs = Needs(objective="many", own_gradient=True)

    def __init__(
        self,
        params: Any,
        lr: float = 1.0,
        history_size: int = 10,
        line_search: str = "armijo",
    ) -> None:
        defaults = {"lr": lr, "history_size": history_size, "line_search": line_search}
        super().__init__(params, defaults)
        one_of(self.settings, "line_search", *SEARCHES)
        at_least_zero(self.settings, "lr")
        above_zero(self.settings, "history_size")
        self.measured: dict[str, float] = {}

    @torch.no_grad()
    def step(self, closure: Any) -> Any:  # type: ignore[override]
        """Take one update by an objective; return the loss before it."""
        with torch.enable_grad():
            loss = closure()
        flat, settings, kept = self.flat(), self.settings, self.kept
        gradient = flat.gradient()
        if self.rests(gradient):
            return loss
        steps: list[Tensor] = kept.setdefault("steps", [])
        changes: list[Tensor] = kept.setdefault("changes", [])
        direction = -recursion(gradient, steps, changes)
        how, slope = settings["line_search"], float(gradient @ direction)
        if not slope < 0:  # rounding has spoiled the pairs
            steps.clear()
            changes.clear()
            direction, slope = -gradient, -float(gradient @ gradient)
        with flat.tried() as point:
            line = Line(closure, flat, point, direction, Trial(0.0, float(loss), slope))
            taken = line.search_with_gradient(how, first_size(settings, gradient, not steps))
        found = None if taken is None else pair(line, taken, gradient, how)
        if taken is None:  # what the pairs say is worth nothing here
            steps.clear()
            changes.clear()
        if found is not None:
            steps.append(found[0])
            changes.append(found[1])
        del steps[: -int(settings["history_size"])], changes[: -int(settings["history_size"])]
        self.measured = {
            "step_length": 0.0 if taken is None else taken.size,
            "pairs": float(len(steps)),
        }
        return loss


def recursion(gradient: Tensor, steps: list[Tensor], changes: list[Tensor]) -> Tensor:
    """Return H g of the pairs, the oldest first (Nocedal, Wright 2006, algorithm 7.4)."""
    q, sizes = gradient.clone(), []
    for s, y in zip(reversed(steps), reversed(changes), strict=True):
        sizes.append((s @ q) / (s @ y))
        q -= sizes[-1] * y
    if steps:
        q *= (steps[-1] @ changes[-1]) / (changes[-1] @ changes[-1])
    for s, y, size in zip(steps, changes, reversed(sizes), strict=True):
        q += (size - (y @ q) / (s @ y)) * s
    return q

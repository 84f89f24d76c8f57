"""What quasi-Newton methods share: a step along a direction, and the pair that it gives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from optbench.optim.second_order.damping import powell
from optbench.optim.second_order.flat import Flat
from optbench.optim.second_order.line_search import (
    Trial,
    armijo,
    falls_enough,
    slack,
    strong_wolfe,
)


@dataclass(frozen=True)
class Line:
    """A step's objective along a direction from where the parameters are.

    Args:
        objective: of the step.
        flat: the parameters.
        point: where they were, [n].
        direction: [n], downhill.
        here: loss and slope there.
    """

    objective: Any
    flat: Flat
    point: Tensor
    direction: Tensor
    here: Trial

    def at(self, size: float) -> Trial:
        """Return loss, slope and gradient at a size."""
        self.flat.put(self.point + size * self.direction)
        loss, slopes = self.objective.gradients(self.flat.parameters)
        gradient = self.flat.join(slopes)
        return Trial(size, float(loss), float(gradient @ self.direction), gradient)

    def loss_at(self, size: float) -> float:
        """Return the loss at a size."""
        self.flat.put(self.point + size * self.direction)
        return float(self.objective.loss())

    def search(self, how: str, first: float) -> Trial | None:
        """Return where to go, with the gradient there; the parameters are there then.

        None where the loss falls nowhere enough; the parameters are where they were.

        Args:
            how: `strong_wolfe`, `armijo`, `exact` (of the quadratic that the Hessian gives; where
                it does not hold, by the strong Wolfe conditions) or `none`.
            first: the size that is tried first.
        """
        taken = self._taken(how, first, slack(self.here.loss, self.point.dtype))
        if taken is None:
            self.flat.put(self.point)
        elif taken.gradient is None:
            taken = self.at(taken.size)
        else:
            self.flat.put(self.point + taken.size * self.direction)
        return taken

    def _taken(self, how: str, first: float, fuzz: float) -> Trial | None:
        if how == "none":
            return Trial(first, self.here.loss)
        if how == "armijo":
            return armijo(self.loss_at, self.here, first, fuzz)
        if how == "exact":
            parts = self.flat.split(self.direction)
            product = self.flat.join(self.objective.hvp(self.flat.parameters, parts))
            curved = float(self.direction @ product)
            if curved > 0:
                trial = self.at(-self.here.slope / curved)
                if falls_enough(self.here, trial.size, trial.loss, fuzz):
                    return trial
        return strong_wolfe(self.at, self.here, first, fuzz)


def pair(line: Line, taken: Trial, gradient: Tensor, how: str) -> tuple[Tensor, Tensor] | None:
    """Return step and change of gradient, both of the same batch, as the matrix takes them in.

    Where the search has not seen to it that the two go together they are damped (Powell 1978), so
    that the matrix stays positive definite.

    Args:
        line: that was searched; its direction is -H g, or -g.
        taken: where it led.
        gradient: g, at the line's beginning.
        how: see `Line.search`.
    """
    s = taken.size * line.direction
    assert taken.gradient is not None
    y = taken.gradient - gradient
    if how not in ("strong_wolfe", "exact") or float(s @ y) <= 0:
        y = powell(s, y, -taken.size * gradient)
    eps = torch.finfo(s.dtype).eps
    # What rounding has made of it is no curvature; NaN is none either.
    return (s, y) if float(s @ y) > eps * float(s.norm()) * float(y.norm()) else None


def first_size(settings: Mapping[str, Any], gradient: Tensor, fresh: bool) -> float:
    """Return the size that is tried first: lr; of the steepest descent less where it is steep."""
    lr = float(settings["lr"])
    return lr * min(1.0, 1.0 / max(float(gradient.abs().sum()), 1e-30)) if fresh else lr

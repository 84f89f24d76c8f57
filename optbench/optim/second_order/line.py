"""A step's objective along a direction."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

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

    Attributes:
        losses: by size, of all that were looked at.
    """

    objective: Any
    flat: Flat
    point: Tensor
    direction: Tensor
    here: Trial
    losses: dict[float, float] = field(default_factory=dict)

    def at(self, size: float) -> Trial:
        """Return loss, slope and gradient at a size."""
        self.flat.put(self.point + size * self.direction)
        loss, slopes = self.objective.gradients(self.flat.parameters)
        gradient = self.flat.join(slopes)
        self.losses[size] = float(loss)
        return Trial(size, self.losses[size], float(gradient @ self.direction), gradient)

    def loss_at(self, size: float) -> float:
        """Return the loss at a size."""
        self.flat.put(self.point + size * self.direction)
        self.losses[size] = float(self.objective.loss())
        return self.losses[size]

    def search(self, how: str, first: float) -> Trial | None:
        """Return where to go; the parameters are there then.

        None where the loss falls nowhere enough; the parameters are where they were.

        Args:
            how: `strong_wolfe`, `armijo`, `exact` (of the quadratic that the Hessian gives; where
                it does not hold, by the strong Wolfe conditions) or `none`.
            first: the size that is tried first.
        """
        taken = self._taken(how, first, slack(self.here.loss, self.point.dtype))
        self.flat.put(self.point if taken is None else self.point + taken.size * self.direction)
        return taken

    def search_with_gradient(self, how: str, first: float) -> Trial | None:
        """Return the same, with the gradient there."""
        taken = self.search(how, first)
        return self.at(taken.size) if taken is not None and taken.gradient is None else taken

    def _taken(self, how: str, first: float, fuzz: float) -> Trial | None:
        if how == "none":
            return Trial(first, self.loss_at(first))
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

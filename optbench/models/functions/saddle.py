"""A saddle that is left along few directions."""

from __future__ import annotations

import torch
from torch import Tensor

from optbench.models.functions.base import Function, Start, check_dim, starting_point


class Saddle(Function):
    """f(x) = sum_{i <= down} (x_i^4 / 4 - x_i^2 / 2) + sum_{i > down} x_i^2 / 2.

    At 0 the gradient is 0 and the Hessian has `down` eigenvalues -1, all others 1: strict, so that
    noise leads away from it. The 2^down minima, of value -down / 4, are at +-1 in the first
    coordinates and 0 in the others.

    Reference: the strict saddle of Ge, Huang, Jin, Yuan, "Escaping From Saddle Points - Online
    Stochastic Gradient for Tensor Decomposition", COLT 2015, in its plainest form.

    Args:
        dim: at least 2.
        down: directions that lead down, 1 to dim - 1.
        start: None for 1e-3 in the first coordinates, 1 in the others: straight at the saddle.
        dtype: see `Function`.

    Raises:
        ValueError: an argument out of range.
    """

    def __init__(
        self, *, dim: int = 2, down: int = 1, start: Start = None, dtype: str = "float64"
    ) -> None:
        check_dim("a saddle", dim, 2)
        if not 1 <= down < dim:
            raise ValueError(f"down={down}: directions that lead down, 1 to dim - 1 = {dim - 1}")
        self.down = down
        usual = torch.ones(dim, dtype=torch.float64)
        usual[:down] = 1e-3
        minima = torch.zeros(2, dim)
        minima[0, :down], minima[1, :down] = 1.0, -1.0
        super().__init__(starting_point(start, usual), minima, -down / 4.0, dtype)

    def value(self, x: Tensor) -> Tensor:
        first = x[..., : self.down].square()
        falls = (first.square() / 4.0 - first / 2.0).sum(-1)
        return falls + 0.5 * x[..., self.down :].square().sum(-1)

    def gap(self, x: Tensor) -> Tensor:
        """Return (x_i^2 - 1)^2 / 4 for each direction that leads down: nothing cancels."""
        falls = (x[..., : self.down].square() - 1.0).square().sum(-1) / 4.0
        return falls + 0.5 * x[..., self.down :].square().sum(-1)

    def distance(self, x: Tensor) -> Tensor:
        """Return the distance to the nearest of all 2^down minima."""
        first = x[..., : self.down].abs() - 1.0
        away: Tensor = torch.linalg.vector_norm(
            torch.cat([first, x[..., self.down :]], dim=-1), dim=-1
        )
        return away

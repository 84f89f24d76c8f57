"""The function that no first-order method gets down quickly."""

from __future__ import annotations

import torch
from torch import Tensor

from optbench.models.functions.base import Function, Start, check_dim, starting_point


class NesterovWorst(Function):
    """f(x) = L/4 (1/2 (x_1^2 + sum_i (x_i - x_{i+1})^2 + x_n^2) - x_1).

    From 0, a method whose steps are combinations of gradients knows only the first k coordinates
    after k steps. The minimum L/8 (1/(n+1) - 1) is at x_i = 1 - i/(n+1). For k <= (n-1)/2 no such
    method gets below a gap of 3 L ||x_0 - x*||^2 / (32 (k+1)^2) on the function with n = 2k + 1:
    the bound is reached by another n for each k, not along one run.

    Reference: Nesterov, "Introductory Lectures on Convex Optimization", 2004, section 2.1.2,
    theorem 2.1.7.

    Args:
        dim: n, at least 1.
        smoothness: L, above 0; no eigenvalue of the Hessian is greater.
        start: None for 0.
        dtype: see `Function`.

    Raises:
        ValueError: an argument out of range.
    """

    def __init__(
        self,
        *,
        dim: int = 1000,
        smoothness: float = 1.0,
        start: Start = None,
        dtype: str = "float64",
    ) -> None:
        check_dim("Nesterov's function", dim, 1)
        if not 0 < smoothness < float("inf"):
            raise ValueError(f"smoothness={smoothness}: the greatest curvature, above 0")
        self.smoothness = smoothness
        numbers = torch.arange(1, dim + 1, dtype=torch.float64)
        best = (1.0 - numbers / (dim + 1)).unsqueeze(0)
        minimum = smoothness / 8 * (1.0 / (dim + 1) - 1.0)
        super().__init__(starting_point(start, torch.zeros(dim)), best, minimum, dtype)

    def value(self, x: Tensor) -> Tensor:
        return self.smoothness / 4 * (0.5 * _chain(x) - x[..., 0])

    def gap(self, x: Tensor) -> Tensor:
        """Return the quadratic around the minimum: nothing cancels."""
        return self.smoothness / 8 * _chain(x - self.minima[0])


def _chain(x: Tensor) -> Tensor:
    """Return x_1^2 + sum_i (x_i - x_{i+1})^2 + x_n^2."""
    ends = x[..., 0].square() + x[..., -1].square()
    return ends + x.diff(dim=-1).square().sum(-1)

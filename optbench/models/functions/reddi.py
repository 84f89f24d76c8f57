"""A convex problem on which Adam goes the wrong way."""

from __future__ import annotations

from statistics import NormalDist

import torch
from torch import Tensor

from optbench.models.functions.base import Function, Start, check_dim, starting_point


class Reddi(Function):
    """The mean of `large` x_i, which is drawn rarely, and of -x_i else, for x in [-1, 1]^dim.

    Its slope, large rare - (1 - rare), is above 0: the minimum is where all are -1. A draw is the
    large one where the noise, of which each coordinate is N(0, 1) (`dataset.noise=1`), is among its
    highest part `rare`. A point that a step has led out of the box is put back to its edge before
    it is looked at.

    Reference: Reddi, Kale, Kumar, "On the Convergence of Adam and Beyond", ICLR 2018, theorem 3,
    the stochastic problem.

    Args:
        dim: at least 1; all coordinates are alike, and draw for themselves.
        large: the rare slope.
        rare: its probability, between 0 and 1.
        start: None for 0.
        dtype: see `Function`.

    Raises:
        ValueError: an argument out of range, or a mean slope that is not above 0.
    """

    def __init__(
        self,
        *,
        dim: int = 1,
        large: float = 100.0,
        rare: float = 0.02,
        start: Start = None,
        dtype: str = "float64",
    ) -> None:
        check_dim("reddi", dim, 1)
        if not 0 < rare < 1:
            raise ValueError(f"rare={rare}: a probability, between 0 and 1")
        self.large, self.bound = large, NormalDist().inv_cdf(1 - rare)
        self.slope = large * rare - (1 - rare)
        if self.slope <= 0:
            least = (1 - rare) / rare
            raise ValueError(f"large={large}: must be above {least:g}, where the mean is flat")
        point = starting_point(start, torch.zeros(dim, dtype=torch.float64))
        super().__init__(point, -torch.ones(1, dim), -self.slope * dim, dtype)

    def value(self, x: Tensor) -> Tensor:
        return self.slope * x.clamp(-1.0, 1.0).sum(-1)

    def forward(self, noise: Tensor) -> Tensor:
        """Map noise [n, dim] to n values at the point in the box; 0 is no noise: the mean."""
        with torch.no_grad():
            self.x.copy_(self.x.clamp(-1.0, 1.0))  # vmap has no clamp_
        drawn = noise.to(self.x.dtype)
        slopes = torch.where(drawn > self.bound, self.large, -1.0)
        values: Tensor = torch.where(drawn == 0, self.slope, slopes).to(self.x.dtype) @ self.x
        return values

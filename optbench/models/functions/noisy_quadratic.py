"""Quadratics whose minimum jumps about, as examples of a training set would have it."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from optbench.models.functions.base import Function, Start, check_dim, starting_point
from optbench.models.functions.quadratic import Quadratic


class NoisyQuadratic(Quadratic):
    """1/2 (x - xi)^T Q (x - xi) for each noise vector xi: each example has its minimum elsewhere.

    The gradient's noise, -Q xi, is greatest where the curvature is. Without noise it is
    `Quadratic`, whose arguments it takes.

    Reference: Schneider, Balles, Hennig, "DeepOBS: A Deep Learning Optimizer Benchmark Suite",
    ICLR 2019, the stochastic quadratics.
    """

    def forward(self, noise: Tensor) -> Tensor:
        """Map noise [n, dim] to n values."""
        return self.value(self.x - noise.to(self.x.dtype))


class NoisyHessian(Function):
    """The same with a whole Hessian Q, such as that of DeepOBS's `quadratic_deep`.

    Args:
        hessian: symmetric and positive definite, [dim, dim], an array.
        dim: of the Hessian.
        start: None for 1 in every coordinate, as in DeepOBS.
        dtype: see `Function`.

    Raises:
        ValueError: a Hessian of another shape, or not symmetric.
    """

    hessian: Tensor

    def __init__(
        self, *, hessian: Any, dim: int = 100, start: Start = None, dtype: str = "float64"
    ) -> None:
        check_dim("a quadratic", dim, 1)
        matrix = torch.as_tensor(hessian, dtype=torch.float64)
        if matrix.shape != (dim, dim):
            raise ValueError(f"hessian: of shape {list(matrix.shape)}, but dim={dim}")
        if not torch.allclose(matrix, matrix.T):
            raise ValueError("hessian: not symmetric")
        point = starting_point(start, torch.ones(dim))
        super().__init__(point, torch.zeros(1, dim), dtype=dtype)
        self.keep("hessian", matrix)

    def value(self, x: Tensor) -> Tensor:
        return 0.5 * ((x @ self.hessian) * x).sum(-1)

    def forward(self, noise: Tensor) -> Tensor:
        """Map noise [n, dim] to n values of 1/2 (x - xi)^T Q (x - xi)."""
        return self.value(self.x - noise.to(self.x.dtype))

"""Functions of any number of dimensions with many local minima."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from optbench.models.functions.base import Function, Start, check_dim, starting_point


class Rastrigin(Function):
    """f(x) = sum_i 10 + x_i^2 - 10 cos(2 pi x_i); minimum 0 at 0, a local one near every integer.

    Reference: Rastrigin, "Systems of extremal control", 1974; in any dimension: Mühlenbein,
    Schomisch, Born, Parallel Computing 17, 1991.

    Args:
        dim: at least 1.
        start: None for 3.3 in every coordinate.
        dtype: see `Function`.

    Raises:
        ValueError: an argument out of range.
    """

    def __init__(self, *, dim: int = 2, start: Start = None, dtype: str = "float64") -> None:
        check_dim("rastrigin", dim, 1)
        point = starting_point(start, torch.full((dim,), 3.3, dtype=torch.float64))
        super().__init__(point, torch.zeros(1, dim), dtype=dtype)

    def value(self, x: Tensor) -> Tensor:
        # 1 - cos(2 a) = 2 sin(a)^2, of which nothing cancels near the minimum
        return (x.square() + 20.0 * torch.sin(math.pi * x).square()).sum(-1)


class Ackley(Function):
    """f(x) = -20 exp(-0.2 sqrt(mean x_i^2)) - exp(mean cos(2 pi x_i)) + 20 + e; minimum 0 at 0.

    Flat far out, rippled everywhere, and a cone at the minimum, where it has no gradient: 0 is
    given there.

    Reference: Ackley, "A Connectionist Machine for Genetic Hillclimbing", 1987; in any dimension:
    Bäck, "Evolutionary Algorithms in Theory and Practice", 1996.

    Args:
        dim: at least 1.
        start: None for 2.6 in every coordinate.
        dtype: see `Function`.

    Raises:
        ValueError: an argument out of range.
    """

    def __init__(self, *, dim: int = 2, start: Start = None, dtype: str = "float64") -> None:
        check_dim("ackley", dim, 1)
        point = starting_point(start, torch.full((dim,), 2.6, dtype=torch.float64))
        super().__init__(point, torch.zeros(1, dim), dtype=dtype)

    def value(self, x: Tensor) -> Tensor:
        size = torch.linalg.vector_norm(x, dim=-1) / math.sqrt(x.shape[-1])
        ripple = -2.0 * torch.sin(math.pi * x).square().mean(-1)  # mean cos - 1
        return -20.0 * torch.expm1(-0.2 * size) - math.e * torch.expm1(ripple)


class StyblinskiTang(Function):
    """f(x) = 1/2 sum_i x_i^4 - 16 x_i^2 + 5 x_i; minimum -39.166166 dim at -2.903534 everywhere.

    Each coordinate has a local minimum at 2.746803 too.

    Reference: Styblinski, Tang, "Experiments in nonconvex optimization", Neural Networks 3, 1990.

    Args:
        dim: at least 1.
        start: None for 0.
        dtype: see `Function`.

    Raises:
        ValueError: an argument out of range.
    """

    BEST = -2.903534027771177
    """The least root of 4 x^3 - 32 x + 5."""
    LEAST = -39.16616570377142

    def __init__(self, *, dim: int = 2, start: Start = None, dtype: str = "float64") -> None:
        check_dim("styblinski_tang", dim, 1)
        point = starting_point(start, torch.zeros(dim))
        best = torch.full((1, dim), self.BEST, dtype=torch.float64)
        super().__init__(point, best, self.LEAST * dim, dtype)

    def value(self, x: Tensor) -> Tensor:
        return 0.5 * (x.pow(4) - 16.0 * x.square() + 5.0 * x).sum(-1)

    def gap(self, x: Tensor) -> Tensor:
        """Return (x - b)^2 (x^2 + 2 b x + 3 b^2 - 16) / 2 in each coordinate: nothing cancels."""
        best = self.BEST
        rest = x.square() + 2.0 * best * x + 3.0 * best * best - 16.0
        return 0.5 * ((x - best).square() * rest).sum(-1)

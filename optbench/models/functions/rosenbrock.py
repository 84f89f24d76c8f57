"""Rosenbrock's banana, in any number of dimensions."""

from __future__ import annotations

import torch
from torch import Tensor

from optbench.models.functions.base import Function, Start, check_dim, starting_point


class Rosenbrock(Function):
    """f(x) = sum_i 100 (x_{i+1} - x_i^2)^2 + (1 - x_i)^2; minimum 0 at (1, ..., 1).

    A curved valley: down its walls is quick, along its floor slow. From 4 dimensions on there is
    one more local minimum, near (-1, 1, ..., 1).

    Reference: Rosenbrock, "An automatic method for finding the greatest or least value of a
    function", Computer Journal 3, 1960.

    Args:
        dim: at least 2.
        start: None for (-1.2, 1, -1.2, 1, ...).
        dtype: see `Function`.

    Raises:
        ValueError: an argument out of range.
    """

    def __init__(self, *, dim: int = 2, start: Start = None, dtype: str = "float64") -> None:
        check_dim("rosenbrock", dim, 2)
        usual = torch.ones(dim, dtype=torch.float64)
        usual[::2] = -1.2
        super().__init__(starting_point(start, usual), torch.ones(1, dim), dtype=dtype)

    def value(self, x: Tensor) -> Tensor:
        left, right = x[..., :-1], x[..., 1:]
        return (100.0 * (right - left.square()).square() + (1.0 - left).square()).sum(-1)

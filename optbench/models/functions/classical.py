"""Classical functions of two numbers."""

from __future__ import annotations

import torch
from torch import Tensor

from optbench.models.functions.base import Function, Start, check_dim, starting_point


class Beale(Function):
    """f(x, y) = (1.5 - x + xy)^2 + (2.25 - x + xy^2)^2 + (2.625 - x + xy^3)^2.

    Minimum 0 at (3, 0.5); nearly flat around it, with steep walls far out.

    Reference: Beale, "On an iterative method of finding a local minimum of a function of more than
    one variable", 1958; problem 5 of Moré, Garbow, Hillstrom, ACM TOMS 7, 1981.

    Args:
        dim: 2.
        start: None for (1, 1), as in Moré et al.
        dtype: see `Function`.

    Raises:
        ValueError: an argument out of range.
    """

    def __init__(self, *, dim: int = 2, start: Start = None, dtype: str = "float64") -> None:
        check_dim("beale", dim, 2, 2)
        point = starting_point(start, torch.ones(2))
        super().__init__(point, torch.tensor([[3.0, 0.5]]), dtype=dtype)

    def value(self, x: Tensor) -> Tensor:
        first, y = x[..., 0], x[..., 1]
        one = 1.5 - first * (1.0 - y)
        two = 2.25 - first * (1.0 - y.square())
        three = 2.625 - first * (1.0 - y.pow(3))
        return one.square() + two.square() + three.square()


class Himmelblau(Function):
    """f(x, y) = (x^2 + y - 11)^2 + (x + y^2 - 7)^2; minimum 0 at four points, one of them (3, 2).

    Which one is found depends on the start.

    Reference: Himmelblau, "Applied Nonlinear Programming", 1972.

    Args:
        dim: 2.
        start: None for (0, 0), between all four.
        dtype: see `Function`.

    Raises:
        ValueError: an argument out of range.
    """

    MINIMA = (
        (3.0, 2.0),
        (-2.805118086952745, 3.131312518250573),
        (-3.779310253377747, -3.283185991286170),
        (3.584428340330492, -1.848126526964404),
    )

    def __init__(self, *, dim: int = 2, start: Start = None, dtype: str = "float64") -> None:
        check_dim("himmelblau", dim, 2, 2)
        minima = torch.tensor(self.MINIMA, dtype=torch.float64)
        super().__init__(starting_point(start, torch.zeros(2)), minima, dtype=dtype)

    def value(self, x: Tensor) -> Tensor:
        first, second = x[..., 0], x[..., 1]
        one = first.square() + second - 11.0
        two = first + second.square() - 7.0
        return one.square() + two.square()

"""Functions of bits: a coordinate above 1/2 is a one. They have no slope anywhere."""

from __future__ import annotations

import torch
from torch import Tensor

from optbench.models.functions.base import Function, Start, check_dim, starting_point


def bits(x: Tensor) -> Tensor:
    """Return zeros and ones, in x's dtype."""
    return (x > 0.5).to(x.dtype)


class OneMax(Function):
    """The number of zeros; minimum 0 where all bits are ones.

    The gradient is 0 everywhere, so what goes by gradients stays where it begins.

    Reference: Mühlenbein, "How genetic algorithms really work: mutation and hillclimbing", PPSN 2,
    1992 (counting ones).

    Args:
        dim: bits, at least 1.
        start: None for all 0.
        dtype: see `Function`.

    Raises:
        ValueError: an argument out of range.
    """

    flat = True

    def __init__(self, *, dim: int = 100, start: Start = None, dtype: str = "float64") -> None:
        check_dim("onemax", dim, 1)
        point = starting_point(start, torch.zeros(dim))
        super().__init__(point, torch.ones(1, dim), dtype=dtype)

    def value(self, x: Tensor) -> Tensor:
        return (1.0 - bits(x)).sum(-1)


class Knapsack(Function):
    """What a packing is worth less than the best one; minimum 0.

    Each of `dim` items has a weight and a profit, whole numbers from 1 to 100 drawn from `seed`;
    the knapsack carries half of all weight. A packing that is too heavy costs its excess beyond the
    best one's profit. The best one is found by dynamic programming (Bellman 1957); others may be as
    good. The gradient is 0 everywhere.

    Reference: Martello, Toth, "Knapsack Problems", 1990, section 2.10 (uncorrelated items).

    Args:
        dim: items, at least 1.
        seed: of the items.
        start: None for an empty knapsack.
        dtype: see `Function`.

    Raises:
        ValueError: an argument out of range.
    """

    weights: Tensor
    profits: Tensor

    flat = True

    def __init__(
        self, *, dim: int = 50, seed: int = 0, start: Start = None, dtype: str = "float64"
    ) -> None:
        check_dim("knapsack", dim, 1)
        generator = torch.Generator().manual_seed(seed)
        weights, profits = torch.randint(1, 101, (2, dim), generator=generator)
        self.capacity = int(weights.sum()) // 2
        packing = best_packing(weights, profits, self.capacity)
        self.best = float((packing * profits).sum())
        point = starting_point(start, torch.zeros(dim))
        super().__init__(point, packing[None].double(), dtype=dtype)
        self.keep("weights", weights.double())
        self.keep("profits", profits.double())

    def value(self, x: Tensor) -> Tensor:
        packed = bits(x)
        excess = (packed @ self.weights) - self.capacity
        lost = self.best - packed @ self.profits
        return torch.where(excess > 0, self.best + excess, lost)


def best_packing(weights: Tensor, profits: Tensor, capacity: int) -> Tensor:
    """Return which items a most valuable packing has, int64 [n] of 0 and 1.

    Args:
        weights, profits: whole numbers [n].
        capacity: the most that they may weigh together.
    """
    worth = torch.zeros(capacity + 1, dtype=torch.int64)
    taken = []
    for weight, profit in zip(weights.tolist(), profits.tolist(), strict=True):
        with_it = torch.full_like(worth, -1)
        if weight <= capacity:
            with_it[weight:] = worth[: capacity + 1 - weight] + profit
        taken.append(with_it > worth)
        worth = torch.maximum(worth, with_it)
    packing, left = torch.zeros_like(weights), capacity
    for item in reversed(range(len(taken))):
        if bool(taken[item][left]):
            packing[item] = 1
            left -= int(weights[item])
    return packing

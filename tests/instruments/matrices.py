"""Symmetric matrices whose eigenvalues are known."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor


def rotated(eigenvalues: Sequence[float] | Tensor, seed: int = 0) -> Tensor:
    """A matrix with these eigenvalues, in directions drawn at random; float64."""
    values = torch.as_tensor(eigenvalues, dtype=torch.float64)
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.randn(len(values), len(values), generator=generator, dtype=torch.float64)
    vectors = torch.linalg.qr(drawn)[0]
    found = (vectors * values) @ vectors.T
    return (found + found.T) / 2


def like_a_hessian(size: int = 300) -> Tensor:
    """Eigenvalues as of a network: a few large ones, many near 0, some negative; ascending."""
    generator = torch.Generator().manual_seed(1)
    bulk = torch.rand(size - 7, generator=generator, dtype=torch.float64) * 2 - 0.3
    few = torch.tensor([100.0, 50.0, 20.0, 10.0, 9.5, -5.0, -3.0], dtype=torch.float64)
    return torch.cat([bulk, few]).sort().values


class Counted:
    """Products with a matrix, counted."""

    def __init__(self, matrix: Tensor) -> None:
        self.matrix, self.count = matrix, 0

    def __call__(self, vector: Tensor) -> Tensor:
        self.count += 1
        product: Tensor = self.matrix @ vector
        return product


def scaled(by: Sequence[float]) -> Callable[[Tensor], Tensor]:
    """Products with a diagonal matrix."""
    diagonal = torch.tensor(by, dtype=torch.float64)
    return lambda vector: diagonal * vector

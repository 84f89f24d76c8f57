"""The minimum of a quadratic within a distance, against scipy's, and by its own conditions."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from scipy.optimize._trustregion_exact import IterativeSubproblem
from torch import Tensor

from optbench.optim.second_order.trust_region import FEW, minimum_within


def drawn(n: int, seed: int, low: float) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    q = torch.linalg.qr(torch.randn(n, n, generator=generator, dtype=torch.float64)).Q
    values = torch.linspace(low, 3.0, n, dtype=torch.float64)
    return q @ values.diag() @ q.T, torch.randn(n, generator=generator, dtype=torch.float64)


def model(matrix: Tensor, gradient: Tensor, s: Tensor) -> float:
    return float(gradient @ s + s @ (matrix @ s) / 2)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("low", [-2.0, -1e-3, 0.0, 1e-3, 1.0])
@pytest.mark.parametrize("radius", [1e-3, 0.5, 2.0, 100.0])
def test_it_is_scipys(seed: int, low: float, radius: float) -> None:
    matrix, gradient = drawn(8, seed, low)
    s = minimum_within(matrix, gradient, radius)
    theirs: Any = IterativeSubproblem(
        np.zeros(8),
        fun=lambda _: 0.0,
        jac=lambda _: gradient.numpy(),
        hess=lambda _: matrix.numpy(),
        k_easy=1e-10,
        k_hard=1e-10,
    )
    other, _ = theirs.solve(radius)
    assert float(s.norm()) <= radius * (1 + 1e-9)
    found, wanted = model(matrix, gradient, s), model(matrix, gradient, torch.from_numpy(other))
    assert found <= wanted + 1e-8 * abs(wanted)


@pytest.mark.parametrize("least", [-1.0, 0.0])
def test_the_hard_case(least: float) -> None:
    """The gradient has no part along the least eigenvalue's vector."""
    matrix = torch.diag(torch.tensor([least, 1.0, 2.0], dtype=torch.float64))
    gradient = torch.tensor([0.0, 0.3, 0.4], dtype=torch.float64)
    s = minimum_within(matrix, gradient, 2.0)
    grid = torch.linspace(0, math.pi, 400, dtype=torch.float64)
    theta, phi = torch.meshgrid(grid, 2 * grid, indexing="ij")
    edge = 2 * torch.stack([theta.cos(), theta.sin() * phi.cos(), theta.sin() * phi.sin()], dim=-1)
    values = edge @ gradient + 0.5 * (edge.square() @ matrix.diagonal())
    assert s.norm() <= 2.0 * (1 + 1e-9)
    assert model(matrix, gradient, s) <= float(values.min()) + 1e-12


def test_no_gradient_at_a_saddle_goes_to_the_edge() -> None:
    matrix = torch.diag(torch.tensor([-1.0, 1.0], dtype=torch.float64))
    s = minimum_within(matrix, torch.zeros(2, dtype=torch.float64), 3.0)
    assert torch.allclose(s.abs(), torch.tensor([3.0, 0.0], dtype=torch.float64))


def test_with_many_numbers_it_stays_within_and_goes_down() -> None:
    n = FEW + 1
    matrix, gradient = drawn(n, 0, -0.5)
    s = minimum_within(matrix, gradient, 40.0)
    assert float(s.norm()) <= 40.0 + 1e-9
    curved = float(gradient @ (matrix @ gradient))
    cauchy = model(matrix, gradient, -gradient * float(gradient @ gradient) / curved)
    assert model(matrix, gradient, s) < min(0.0, cauchy)

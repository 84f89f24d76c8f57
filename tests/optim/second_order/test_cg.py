"""Conjugate gradients against dense solutions; where they end."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from optbench.optim.second_order.cg import conjugate_gradients


def matrix(n: int = 12, low: float = 0.1) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    q = torch.linalg.qr(torch.randn(n, n, generator=generator, dtype=torch.float64)).Q
    return q @ torch.linspace(low, 3, n, dtype=torch.float64).diag() @ q.T


B = torch.randn(12, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


@pytest.mark.parametrize("start", [None, torch.ones(12, dtype=torch.float64)])
@pytest.mark.parametrize("preconditioned", [False, True])
def test_it_solves(start: Tensor | None, preconditioned: bool) -> None:
    a = matrix()
    inverse = a.diagonal().reciprocal()
    found = conjugate_gradients(
        lambda v: a @ v,
        B,
        most=40,
        tolerance=1e-12,
        start=start,
        precondition=(lambda v: inverse * v) if preconditioned else None,
    )
    assert torch.allclose(found.x, torch.linalg.solve(a, B), rtol=1e-10)
    assert torch.allclose(found.product, B, rtol=1e-9)
    assert found.iterations <= 14 and found.curvature > 0


def test_a_good_preconditioner_saves_iterations() -> None:
    scales = torch.logspace(-3, 3, 12, dtype=torch.float64)
    a = scales[:, None] * matrix() * scales
    inverse = a.diagonal().reciprocal()

    def iterations(precondition: object) -> int:
        return conjugate_gradients(
            lambda v: a @ v,
            B,
            most=200,
            tolerance=1e-8,
            precondition=precondition,  # type: ignore[arg-type]
        ).iterations

    assert iterations(lambda v: inverse * v) < iterations(None) / 2


def test_no_more_iterations_than_said() -> None:
    a = matrix()
    assert conjugate_gradients(lambda v: a @ v, B, most=3, tolerance=0.0).iterations == 3


def test_progress_ends_it_as_martens_says() -> None:
    """By the values of the quadratic, which it is not shown."""
    n = 400
    values = torch.logspace(-4, 0, n, dtype=torch.float64)
    b = torch.ones(n, dtype=torch.float64)
    xs: list[Tensor] = []

    def run(most: int, stop: str) -> int:
        found = conjugate_gradients(lambda v: values * v, b, most, 5e-4, stop=stop)
        xs.append(found.x)
        return found.iterations

    ended = run(1000, "progress")
    phis = []
    for most in range(1, ended + 1):
        x = conjugate_gradients(lambda v: values * v, b, most, 0.0).x
        phis.append(float(0.5 * x @ (values * x) - b @ x))
    at = [
        i
        for i in range(1, ended + 1)
        if i > (k := max(10, i // 10)) and (phis[i - 1] - phis[i - 1 - k]) / phis[i - 1] < k * 5e-4
    ]
    assert at == [ended] and 20 < ended < 400


def test_negative_curvature_ends_it_and_is_gone_along() -> None:
    a = torch.diag(torch.tensor([2.0, 1.0, -0.5], dtype=torch.float64))
    b = torch.tensor([1.0, 1.0, 0.1], dtype=torch.float64)
    found = conjugate_gradients(lambda v: a @ v, b, most=50, tolerance=1e-12)
    assert found.curvature < 0
    assert b @ found.x > 0 and abs(found.x[2]) > 0.1
    assert torch.allclose(found.product, a @ found.x)
    assert found.x @ (a @ found.x) / 2 - b @ found.x < 0


def test_negative_curvature_alone_gives_a_step_of_its_size() -> None:
    b = torch.tensor([0.3, -0.4], dtype=torch.float64)
    found = conjugate_gradients(lambda v: -2 * v, b, most=5, tolerance=1e-12)
    assert found.iterations == 1 and torch.allclose(found.x, b / 2)
    flat = conjugate_gradients(lambda v: 0 * v, b, most=5, tolerance=1e-12)
    assert torch.allclose(flat.x, 10 * b)


@pytest.mark.parametrize("low", [0.1, -1.0])
def test_within_a_radius(low: float) -> None:
    a = matrix(low=low)
    found = conjugate_gradients(lambda v: a @ v, B, most=50, tolerance=1e-12, radius=0.5)
    assert math.isclose(float(found.x.norm()), 0.5, rel_tol=1e-12)
    assert found.x @ (a @ found.x) / 2 - B @ found.x < 0


def test_what_is_not_finite_ends_it() -> None:
    found = conjugate_gradients(lambda v: v * math.nan, B, most=50, tolerance=1e-12)
    assert found.iterations == 1 and torch.equal(found.x, torch.zeros_like(B))

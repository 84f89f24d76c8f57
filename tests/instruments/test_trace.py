"""Traces and their intervals against known matrices."""

from __future__ import annotations

import math

import pytest
import torch

from optbench.instruments.trace import METHODS, trace

from .matrices import Counted, like_a_hessian, rotated, scaled

TRIES = 1000


def test_the_interval_holds_the_trace_as_often_as_it_says() -> None:
    true = like_a_hessian(60)
    matrix, wanted = rotated(true), float(true.sum())
    held = 0
    for seed in range(TRIES):
        found = trace(lambda vector: matrix @ vector, 60, products=24, seed=seed)
        held += found.low <= wanted <= found.high
    assert 0.93 <= held / TRIES <= 0.97


@pytest.mark.parametrize("method", METHODS)
def test_the_mean_of_many_is_the_trace(method: str) -> None:
    true = like_a_hessian(60)
    matrix, wanted = rotated(true), float(true.sum())
    means = torch.tensor(
        [trace(Counted(matrix), 60, method, products=16, seed=seed).value for seed in range(150)]
    )
    error = float(means.std()) / math.sqrt(len(means))
    assert abs(float(means.mean()) - wanted) <= 4 * error


def test_large_eigenvalues_cost_no_precision_but_hutchinsons() -> None:
    matrix = rotated(like_a_hessian())
    error = {m: trace(Counted(matrix), 300, m, products=64).error for m in METHODS}
    assert error["hutch++"] < error["hutchinson"] / 4
    assert error["xtrace"] < error["hutchinson"] / 4


def test_each_estimate_of_xtrace_is_as_its_definition_has_it() -> None:
    """Each vector left out of the others' range, and what it says of the rest."""
    size, count = 40, 6
    matrix = rotated(like_a_hessian(size))
    found = trace(Counted(matrix), size, "xtrace", products=2 * count, seed=3)
    generator = torch.Generator().manual_seed(3)
    probes = torch.randn(size, count, generator=generator, dtype=torch.float64)
    probes = probes * (math.sqrt(size) / probes.norm(dim=0))
    wanted = []
    for i in range(count):
        others = torch.cat([probes[:, :i], probes[:, i + 1 :]], dim=1)
        basis = torch.linalg.qr(matrix @ others)[0]
        rest = probes[:, i] - basis @ (basis.T @ probes[:, i])
        rest = rest * math.sqrt(size - count + 1) / rest.norm()
        wanted.append((basis.T @ matrix @ basis).trace() + rest @ matrix @ rest)
    torch.testing.assert_close(found.estimates, torch.stack(wanted))


@pytest.mark.parametrize("method", METHODS)
def test_a_small_matrix_is_summed_exactly(method: str) -> None:
    found = trace(scaled([1.0, -2.0, 4.5]), 3, method, products=64)
    assert (found.low, found.value, found.high) == (3.5, 3.5, 3.5)
    assert found.products == 3


def test_a_matrix_of_lower_rank_than_the_vectors() -> None:
    few = rotated([7.0, 2.0, *[0.0] * 48])
    for method in ("hutch++", "xtrace"):
        found = trace(Counted(few), 50, method, products=24)
        assert found.value == pytest.approx(9, abs=1e-9)


@pytest.mark.parametrize("method", METHODS)
def test_products_are_as_many_as_asked_for(method: str) -> None:
    products = Counted(rotated(like_a_hessian(80)))
    steps: list[tuple[int, int]] = []
    found = trace(products, 80, method, products=20, told=lambda done, of: steps.append((done, of)))
    assert found.products == products.count == 20
    assert steps == [(i, 20) for i in range(1, 21)]

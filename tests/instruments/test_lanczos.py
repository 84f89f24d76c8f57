"""Lanczos' method against dense matrices."""

from __future__ import annotations

import pytest
import torch

from optbench.instruments.lanczos import eigenvalues

from .matrices import Counted, like_a_hessian, rotated, scaled


@pytest.mark.parametrize("ends", [(5, 2), (1, 0), (0, 3), (10, 10)])
@pytest.mark.parametrize("basis", [0, 24])
def test_both_ends_are_those_of_the_dense_matrix(ends: tuple[int, int], basis: int) -> None:
    true = like_a_hessian()
    products = Counted(rotated(true))
    found = eigenvalues(products, 300, *ends, tolerance=1e-8, products=3000, basis=basis)
    assert found.converged and found.products == products.count
    torch.testing.assert_close(found.largest, true.flip(0)[: ends[0]], rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(found.smallest, true[: ends[1]], rtol=1e-9, atol=1e-9)


def test_an_eigenvalue_lies_within_what_it_may_be_off() -> None:
    true = like_a_hessian()
    matrix = rotated(true)
    for products in range(3, 15):
        found = eigenvalues(Counted(matrix), 300, 2, 1, tolerance=1e-12, products=products)
        assert not found.converged and found.products == products
        values = torch.cat([found.largest, found.smallest])
        errors = torch.cat([found.largest_errors, found.smallest_errors])
        off = (values[:, None] - true).abs().min(dim=1).values
        assert bool((off <= errors + 1e-12).all())


def test_vectors_are_unit_eigenvectors() -> None:
    matrix = rotated(like_a_hessian())
    found = eigenvalues(Counted(matrix), 300, 3, 1, tolerance=1e-8, products=1000)
    vectors = torch.cat([found.largest_vectors, found.smallest_vectors])
    values = torch.cat([found.largest, found.smallest])
    torch.testing.assert_close(vectors @ vectors.T, torch.eye(4, dtype=torch.float64))
    assert (vectors @ matrix - values[:, None] * vectors).norm(dim=1).max() <= 1e-5


def test_restarts_keep_the_memory_small() -> None:
    true = torch.arange(1, 401, dtype=torch.float64)  # no gaps: it takes many products
    found = eigenvalues(Counted(rotated(true)), 400, 2, tolerance=1e-5, products=3000, basis=20)
    assert found.converged and found.products > 60
    torch.testing.assert_close(found.largest, true.flip(0)[:2], rtol=1e-8, atol=0)


def test_float32_is_as_near_as_its_rounding() -> None:
    true = like_a_hessian()
    matrix = rotated(true).float()
    found = eigenvalues(Counted(matrix), 300, 5, 2, dtype=torch.float32)
    assert found.converged
    torch.testing.assert_close(found.largest, true.flip(0)[:5], rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize(
    ("diagonal", "largest", "smallest"),
    [
        ([0.0, 0.0, 0.0], [0, 0], [0]),
        ([2.0] * 8, [2, 2], [2]),
        ([1.0, 2.0, 3.0], [3, 2], [1]),
        ([4.0], [4], [4]),
        ([5.0, 0.0, 0.0, 0.0, 0.0, 0.0], [5, 0], [0]),
    ],
)
def test_matrices_of_few_different_eigenvalues(
    diagonal: list[float], largest: list[float], smallest: list[float]
) -> None:
    found = eigenvalues(scaled(diagonal), len(diagonal), 2, 1)
    assert found.converged
    assert found.largest.tolist() == pytest.approx(largest, abs=1e-12)
    assert found.smallest.tolist() == pytest.approx(smallest, abs=1e-12)


def test_whoever_is_told_may_end_it() -> None:
    def told(done: int, of: int) -> None:
        assert of == 50
        if done == 7:
            raise InterruptedError

    products = Counted(rotated(like_a_hessian()))
    with pytest.raises(InterruptedError):
        eigenvalues(products, 300, 30, tolerance=1e-12, products=50, told=told)
    assert products.count == 7

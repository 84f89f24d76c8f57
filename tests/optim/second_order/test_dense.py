"""Matrices of all parameters, from products; for how many parameters they are made."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch
from torch import Tensor, nn

from optbench.optim.second_order.dense import AT_ONCE, matrix
from optbench.optim.second_order.flat import Flat
from optbench.optim.second_order.newton import Newton
from optbench.optim.second_order.solver import FEW, MOST, solves_exactly


@pytest.mark.parametrize("size", [1, 2, AT_ONCE - 1, AT_ONCE, AT_ONCE + 1, 2 * AT_ONCE + 3])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_matrix_is_the_mean_of_it_and_its_transpose(size: int, dtype: torch.dtype) -> None:
    generator = torch.Generator().manual_seed(size)
    given = torch.randn(size, size, generator=generator, dtype=dtype)
    parameters = [nn.Parameter(torch.zeros(size - size // 2, dtype=dtype))]
    if size // 2:
        parameters.append(nn.Parameter(torch.zeros(size // 2, dtype=dtype)))
    flat = Flat(parameters)

    def products(_: object, vectors: Sequence[Tensor], stacked: bool) -> list[Tensor]:
        return flat.split(flat.join(vectors) @ given) if stacked else []

    found = matrix(products, flat)
    assert found.dtype == dtype and torch.equal(found, 0.5 * (given + given.T))


def test_for_how_many_parameters_it_is_made() -> None:
    few, many = (Flat([nn.Parameter(torch.zeros(size))]) for size in (FEW, FEW + 1))
    assert solves_exactly({"solver": "auto"}, few)
    assert not solves_exactly({"solver": "auto"}, many)
    assert solves_exactly({"solver": "exact"}, many)
    Newton([nn.Parameter(torch.zeros(MOST))], solver="exact")
    with pytest.raises(ValueError, match=rf"more than {MOST:,} parameters there is cg"):
        Newton([nn.Parameter(torch.zeros(MOST + 1))], solver="exact")

"""What K-FAC does by numbers on the CPU, and by tensors on a GPU, where nobody waits for them."""

from __future__ import annotations

import pytest
import torch

from optbench.optim.second_order.kfac.precondition import Product, Whole, kl_scale


@pytest.mark.parametrize(
    ("size", "scale"), [(4e-3, 0.5), (1e-6, 1.0), (0.0, 1.0), (float("inf"), 0.0)]
)
def test_the_bound_of_a_step(size: float, scale: float) -> None:
    found = kl_scale(torch.tensor(size, dtype=torch.float64), 1e-3)
    assert found.item() == pytest.approx(scale)


@pytest.mark.parametrize("bias", [True, False])
def test_a_direction_is_added_alike(bias: bool) -> None:
    torch.manual_seed(0)
    left, right = torch.randn(5, 3), torch.randn(5, 4 + bias)
    product = Product(left, right, torch.randn(5, 3), torch.randn(5, 4), bias)
    whole = Whole([torch.randn(3, 4), torch.randn(3)], [])
    for direction in (product, whole):
        by_number = [torch.ones(3, 4), torch.ones(3)]
        by_tensor = [torch.ones(3, 4), torch.ones(3)]
        direction.move(by_number, 0.9, 0.25)
        direction.move(by_tensor, 0.9, torch.tensor(0.25, dtype=torch.float64))
        for one, other in zip(by_number, by_tensor, strict=True):
            assert torch.allclose(one, other, rtol=1e-6)
        assert not by_number[0].eq(by_number[0][0, 0]).all()

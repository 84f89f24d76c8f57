"""Reddi et al.'s problem: its draws, its box, what it refuses."""

from __future__ import annotations

import pytest
import torch

from optbench.models.functions.reddi import Reddi


def test_draws_have_two_slopes_whose_mean_is_the_functions() -> None:
    function = Reddi(large=10.0, rare=0.2, start=0.5)
    noise = torch.randn(20000, 1, generator=torch.Generator().manual_seed(0))
    values = function(noise).detach()
    assert sorted(set(values.tolist())) == [-0.5, 5.0]
    assert float((values > 0).double().mean()) == pytest.approx(0.2, abs=0.01)
    assert float(values.mean()) == pytest.approx(
        float(function.value(function.x.detach())), rel=0.1
    )
    still = function(torch.zeros(2, 1))
    assert torch.allclose(still, function.value(function.x).expand(2))


def test_a_point_outside_of_the_box_is_put_to_its_edge() -> None:
    function = Reddi(dim=2, start=[3.0, -7.0])
    function(torch.zeros(1, 2)).sum().backward()
    assert function.x.tolist() == [1.0, -1.0]
    assert function.x.grad is not None
    assert torch.allclose(function.x.grad, torch.full_like(function.x, function.slope))


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"rare": 0.0}, "rare=0.0: a probability"),
        ({"large": 49.0}, "large=49.0: must be above 49"),
        ({"dim": 0}, "dim"),
    ],
)
def test_what_is_no_such_problem(settings: dict[str, float], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Reddi(**settings)  # type: ignore[arg-type]

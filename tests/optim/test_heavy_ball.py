"""optbench.optim.first_order.heavy_ball: the displacement, where weights are rounded and where
others change them."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from optbench.optim.first_order.heavy_ball import HeavyBall


@pytest.mark.parametrize("implementation", ["loop", "foreach"])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
def test_narrow_weights_keep_the_momentum_of_steps_too_small_for_them(
    dtype: torch.dtype, implementation: str
) -> None:
    """A step of lr is lost to rounding, one of lr / (1 - momentum) is not."""
    lr = float(torch.finfo(dtype).eps) / 4
    parameters = [nn.Parameter(torch.ones(n, dtype=dtype)) for n in (3, 4)]
    optimizer = HeavyBall(parameters, lr=lr, momentum=0.9, implementation=implementation)
    velocity = torch.zeros(())
    for _ in range(30):
        for parameter in parameters:
            parameter.grad = -torch.ones_like(parameter)
        optimizer.step()
        velocity = 0.9 * velocity + lr
        for parameter in parameters:
            found = parameter.detach().float() - optimizer.state[parameter]["previous"]
            assert torch.allclose(found, velocity.expand_as(found), rtol=1e-3)
    assert all((p > 1).all() for p in parameters)


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16], ids=str)
def test_what_others_do_to_the_weights_is_part_of_the_displacement(dtype: torch.dtype) -> None:
    parameter = nn.Parameter(torch.zeros(3, dtype=dtype))
    optimizer = HeavyBall([parameter], lr=0.0, momentum=0.5)
    parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    with torch.no_grad():
        parameter.add_(1.0)
    optimizer.step()
    assert torch.equal(parameter, torch.full_like(parameter, 1.5))

"""optbench.optim.first_order.adabound: the bounds."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from optbench.optim.first_order.adabound import AdaBound, AMSBound


def test_bounds_follow_the_schedule_from_the_lr_of_the_start() -> None:
    parameter = nn.Parameter(torch.ones(3))
    optimizer = AdaBound([parameter], lr=0.5)
    assert optimizer.param_groups[0]["base_lr"] == 0.5
    optimizer.param_groups[0]["lr"] = 0.25
    assert AdaBound.scalars(optimizer.param_groups[0], 1)["upper"] == pytest.approx(
        0.05 * (1 + 1 / 1e-3)
    )


@pytest.mark.parametrize("cls", [AdaBound, AMSBound])
def test_a_tensor_for_the_lr_that_is_changed_in_place(cls: type[AdaBound]) -> None:
    """The bounds are relative to the lr of the start, which is not the tensor that changes."""
    ends = []
    for as_tensor in (False, True):
        for implementation in ("loop", "foreach"):
            parameters = [nn.Parameter(torch.ones(n, dtype=torch.float64)) for n in (3, 4)]
            lr: Any = torch.tensor(0.5, dtype=torch.float64) if as_tensor else 0.5
            optimizer = cls(parameters, lr=lr, gamma=1.0, implementation=implementation)
            for _ in range(3):
                for parameter in parameters:
                    parameter.grad = parameter.detach().clone()
                optimizer.step()
                group = optimizer.param_groups[0]
                group["lr"] = group["lr"].mul_(0.1) if as_tensor else group["lr"] * 0.1
            ends.append(torch.cat([p.detach() for p in parameters]))
    for end in ends[1:]:
        assert torch.allclose(end, ends[0], rtol=1e-12)

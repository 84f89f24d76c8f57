"""optbench.build.decay: each policy by its formula, and what can't have one."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from optbench.build.decay import set_decay
from optbench.errors import UserError


def steps(optimizer: Any, weight: nn.Parameter, lrs: list[float]) -> torch.Tensor:
    for lr in lrs:
        optimizer.param_groups[0]["lr"] = lr
        weight.grad = weight.detach() ** 2
        optimizer.step()
    return weight.detach()


def start() -> nn.Parameter:
    return nn.Parameter(torch.linspace(-1, 1, 7, dtype=torch.float64))


LRS = [0.2, 0.1, 0.05]


@pytest.mark.parametrize("policy", ["coupled", "decoupled", "independent"])
def test_a_policy_is_its_formula(policy: str) -> None:
    weight = start()
    optimizer = torch.optim.SGD([weight], lr=LRS[0], momentum=0.9, weight_decay=0.3)
    set_decay(optimizer, policy)
    found = steps(optimizer, weight, LRS)
    theta, velocity = start().detach(), torch.zeros(7, dtype=torch.float64)
    for lr in LRS:
        g = theta**2
        if policy == "coupled":
            g = g + 0.3 * theta
        else:
            theta = theta - (lr if policy == "decoupled" else lr / LRS[0]) * 0.3 * theta
        velocity = 0.9 * velocity + g
        theta = theta - lr * velocity
    assert torch.allclose(found, theta, rtol=1e-13)


def test_own_leaves_it_to_the_optimizer() -> None:
    one, other = start(), start()
    first = torch.optim.AdamW([one], lr=0.1, weight_decay=0.3)
    second = torch.optim.AdamW([other], lr=0.1, weight_decay=0.3)
    set_decay(first, "own")
    assert torch.equal(steps(first, one, LRS), steps(second, other, LRS))


def test_adam_with_decoupled_decay_is_adamw() -> None:
    one, other = start(), start()
    first = torch.optim.Adam([one], lr=0.1, weight_decay=0.3)
    set_decay(first, "decoupled")
    second = torch.optim.AdamW([other], lr=0.1, weight_decay=0.3)
    assert torch.allclose(steps(first, one, LRS), steps(second, other, LRS), rtol=1e-13)


def test_parameters_without_gradients_do_not_decay() -> None:
    weight, idle = start(), start()
    optimizer = torch.optim.SGD([weight, idle], lr=0.1, weight_decay=0.3)
    set_decay(optimizer, "decoupled")
    steps(optimizer, weight, LRS)
    assert torch.equal(idle, start())


def test_what_has_no_decay_is_refused() -> None:
    with pytest.raises(UserError, match="decay=decoupled: Rprop has no weight_decay"):
        set_decay(torch.optim.Rprop([start()]), "decoupled")
    with pytest.raises(UserError, match="decay=coupled: LBFGS evaluates the loss itself"):
        set_decay(torch.optim.LBFGS([start()]), "coupled")

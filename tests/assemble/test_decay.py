"""optbench.assemble.decay: each policy by its formula, and what can't have one."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from optbench.assemble.decay import set_decay
from optbench.errors import UserError
from optbench.optim.first_order.nag import NAG
from optbench.optim.second_order.sophia import Sophia
from optbench.optim.wrappers.sam import SAM


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


class Evaluation:
    """A closure that evaluates `x^3 / 3`, whose gradient is that of `steps`."""

    def __init__(self, weight: nn.Parameter) -> None:
        self.weight = weight

    def __call__(self) -> torch.Tensor:
        self.weight.grad = None
        loss = self.weight.pow(3).sum() / 3
        loss.backward()
        return loss

    def hvp(self, wanted: Any, vectors: Any) -> Any:
        return [2 * self.weight.detach() * vectors[0]]


@pytest.mark.parametrize("policy", ["decoupled", "independent"])
@pytest.mark.parametrize("cls", [NAG, Sophia])
def test_what_evaluates_the_loss_itself_decays_before_it_does(cls: Any, policy: str) -> None:
    decayed, plain = start(), start()
    one, other = cls([decayed], lr=LRS[0], weight_decay=0.3), cls([plain], lr=LRS[0])
    set_decay(one, policy)
    for lr in LRS:
        one.param_groups[0]["lr"] = other.param_groups[0]["lr"] = lr
        decayed.grad = None  # as the training leaves it
        one.step(Evaluation(decayed))
        with torch.no_grad():
            plain.mul_(1 - 0.3 * (lr if policy == "decoupled" else lr / LRS[0]))
        other.step(Evaluation(plain))
    assert torch.equal(decayed, plain)


@pytest.mark.parametrize("policy", ["coupled", "decoupled", "independent"])
def test_around_another_optimizer_it_is_that_ones(policy: str) -> None:
    outside, inside = start(), start()
    one = SAM(torch.optim.SGD([outside], lr=LRS[0], weight_decay=0.3))
    set_decay(one, policy)
    inner = torch.optim.SGD([inside], lr=LRS[0], weight_decay=0.3)
    set_decay(inner, policy)
    other = SAM(inner)
    for lr in LRS:
        one.param_groups[0]["lr"] = other.param_groups[0]["lr"] = lr
        outside.grad = None
        one.step(Evaluation(outside))
        other.step(Evaluation(inside))
    assert torch.equal(outside, inside)
    free = start()
    bare = SAM(torch.optim.SGD([free], lr=LRS[0]))
    bare.step(Evaluation(free))
    assert not torch.equal(outside, free)


def test_a_coupled_decay_shrinks_the_weights_of_an_ascent_too() -> None:
    one, other = start(), start()
    first = torch.optim.SGD([one], lr=LRS[0], weight_decay=0.3, maximize=True)
    second = torch.optim.SGD([other], lr=LRS[0], weight_decay=0.3, maximize=True)
    set_decay(first, "coupled")
    assert torch.allclose(steps(first, one, LRS), steps(second, other, LRS), rtol=1e-13)


def test_a_coupled_decay_of_a_sparse_gradient() -> None:
    weight = nn.Parameter(torch.tensor([1.0, 2.0]))
    optimizer = torch.optim.SGD([weight], lr=1.0, weight_decay=0.5)
    set_decay(optimizer, "coupled")
    weight.grad = torch.sparse_coo_tensor([[0]], [0.25], (2,), check_invariants=True)
    optimizer.step()
    assert weight.tolist() == [0.25, 1.0]

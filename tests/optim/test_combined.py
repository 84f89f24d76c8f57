"""optbench.optim.combined: Muon and its companion look like one optimizer."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from optbench.optim.combined import Combined
from optbench.optim.first_order.nag import NAG
from optbench.optim.needs import Needs, needs_of

from .problem import built, data, network, walk


def combined(module: nn.Module) -> Combined:
    made = built("muon")(module)
    assert isinstance(made, Combined)
    return made


def backward(module: nn.Module, factor: float = 1.0) -> Tensor:
    inputs, targets = data(torch.float32)
    loss = cross_entropy(module(inputs), targets) * factor
    loss.backward()
    return loss


def states(optimizer: Combined) -> list[dict[str, Any]]:
    return copy.deepcopy(optimizer.state_dict()["members"])


def test_every_parameter_has_one_member() -> None:
    module = network()
    optimizer = combined(module)
    held = [p for group in optimizer.param_groups for p in group["params"]]
    assert len(held) == 6
    assert {id(p) for p in held} == {id(p) for p in module.parameters()}
    assert [type(member).__name__ for member in optimizer.members] == ["Muon", "AdamW"]


def test_a_rate_that_is_set_reaches_its_member() -> None:
    module = network()
    optimizer = combined(module)
    for group in optimizer.param_groups:
        group["lr"] = 0.0
    before = nn.utils.parameters_to_vector(module.parameters()).detach()
    path = walk(module, optimizer, 3)
    assert torch.equal(path[-1], before)


def test_a_rate_that_is_set_after_loading_reaches_its_member_too() -> None:
    module = network()
    optimizer = combined(module)
    walk(module, optimizer, 2)
    optimizer.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    for group, member in zip(optimizer.param_groups, optimizer.members, strict=True):
        group["lr"] = 0.125
        assert member.param_groups[0]["lr"] == 0.125


def test_a_closure_is_called_once() -> None:
    module = network(torch.float32)
    optimizer = combined(module)
    calls = []

    def closure() -> Tensor:
        calls.append(1)
        optimizer.zero_grad()
        return backward(module)

    loss = optimizer.step(closure)
    assert calls == [1] and loss.requires_grad


def test_clearing_gradients_clears_all() -> None:
    module = network(torch.float32)
    optimizer = combined(module)
    backward(module)
    optimizer.zero_grad()
    assert all(p.grad is None for p in module.parameters())


@pytest.mark.parametrize("spoilt", ["blocks.0.0.weight", "head.bias"])
def test_an_overflow_in_either_part_skips_both(spoilt: str) -> None:
    module = network(torch.float32)
    optimizer = combined(module)
    scaler = torch.amp.GradScaler("cpu", init_scale=8.0)
    scaler.scale(backward(module))
    for overflow in (False, True):
        optimizer.zero_grad()
        backward(module, factor=float(scaler.get_scale()))
        if overflow:
            module.get_parameter(spoilt).grad[..., 0] = torch.inf  # type: ignore[index]
        weights = nn.utils.parameters_to_vector(module.parameters()).detach().clone()
        kept = states(optimizer)
        scaler.unscale_(optimizer)
        scaler.step(optimizer)
        scaler.update()
    assert torch.equal(nn.utils.parameters_to_vector(module.parameters()), weights)
    assert scaler.get_scale() == 4.0
    for now, then in zip(states(optimizer), kept, strict=True):
        assert repr(now) == repr(then)


def test_members_that_do_not_fit_are_refused() -> None:
    optimizer = combined(network())
    state = optimizer.state_dict()
    with pytest.raises(ValueError):
        optimizer.load_state_dict({"members": state["members"][:1]})


def test_of_several_one_may_evaluate_the_loss_once() -> None:
    module, same = network(torch.float32), network(torch.float32)
    weights, biases = [p for p in module.parameters()][::2], [p for p in module.parameters()][1::2]
    both = Combined([torch.optim.SGD(biases, lr=0.1), NAG(weights, lr=0.1, momentum=0.0)])
    assert needs_of(both) == Needs(objective="once")

    def closure() -> Tensor:
        both.zero_grad()
        return backward(module)

    assert both.step(closure) == backward(same)
    torch.optim.SGD(same.parameters(), lr=0.1).step()
    for one, other in zip(module.parameters(), same.parameters(), strict=True):
        torch.testing.assert_close(one, other)


def test_two_that_evaluate_the_loss_are_refused() -> None:
    one, other = (NAG([nn.Parameter(torch.ones(2))]) for _ in range(2))
    with pytest.raises(ValueError, match=r"^NAG and NAG evaluate the loss themselves"):
        Combined([one, other])


def test_one_that_evaluates_it_many_times_has_no_companion() -> None:
    one, other = (nn.Parameter(torch.ones(2)) for _ in range(2))
    with pytest.raises(ValueError, match=r"^LBFGS evaluates the loss many times"):
        Combined([torch.optim.LBFGS([one]), torch.optim.SGD([other])])

"""optbench.optim.engine: state that is saved, loaded, copied, replaced and thrown away."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from optbench.optim.engine.rule_optimizer import RuleOptimizer
from optbench.optim.first_order.amsgrad import AMSGrad
from optbench.optim.first_order.lion import Lion
from optbench.optim.first_order.momentum import Momentum

from .some import SOME, made, walk, weights

some = pytest.mark.parametrize("cls", SOME)


@some
def test_a_state_dict_loads_into_another_implementation(cls: type[RuleOptimizer]) -> None:
    first = weights()
    one = made(cls, first, implementation="loop")
    walk(one, first, 4)
    second = [nn.Parameter(p.detach().clone()) for p in first]
    other = made(cls, second, implementation="foreach")
    other.load_state_dict(copy.deepcopy(one.state_dict()))
    assert torch.allclose(walk(one, first, 4, 2), walk(other, second, 4, 2), rtol=1e-12)
    assert set(one.state_dict()) == {"state", "param_groups"}
    assert one.state_dict()["state"][0]["step"] == torch.tensor(8.0)


@some
def test_copies_and_pickles_go_on_alike(cls: type[RuleOptimizer]) -> None:
    parameters = weights()
    optimizer = made(cls, parameters, implementation="loop")
    walk(optimizer, parameters, 2)
    twin = pickle.loads(pickle.dumps(optimizer))
    assert twin.implementation == "loop"
    theirs = twin.param_groups[0]["params"]
    assert torch.equal(walk(twin, theirs, 2), walk(optimizer, parameters, 2))


def test_replaced_weights_are_noticed() -> None:
    """`parameter.data = ...` moves them."""
    parameter = nn.Parameter(torch.ones(5))
    optimizer = Momentum([parameter], lr=0.5, momentum=0.0)
    for _ in range(2):
        parameter.data = torch.zeros(5)
        parameter.grad = torch.ones(5)
        optimizer.step()
        assert torch.equal(parameter, torch.full((5,), -0.5))


def anew(optimizer: Any) -> None:
    optimizer.state.clear()


def others(optimizer: Any) -> None:
    for parameter, state in list(optimizer.state.items()):
        optimizer.state[parameter] = {k: torch.zeros_like(v) for k, v in state.items()}


def other_tensors(optimizer: Any) -> None:
    for state in optimizer.state.values():
        state.update({k: torch.zeros_like(v) for k, v in state.items()})


def other_data(optimizer: Any) -> None:
    for state in optimizer.state.values():
        for tensor in state.values():
            tensor.data = torch.zeros_like(tensor)


def zeros(optimizer: Any) -> None:
    for state in optimizer.state.values():
        for tensor in state.values():
            tensor.zero_()


@pytest.mark.parametrize("forget", [anew, others, other_tensors, other_data, zeros])
@pytest.mark.parametrize("implementation", ["loop", "foreach"])
@some
def test_state_that_somebody_replaces_is_the_state_that_counts(
    cls: type[RuleOptimizer], implementation: str, forget: Callable[[Any], None]
) -> None:
    """All of these make the state that of the start, where it is zeros."""
    parameters = weights()
    optimizer = made(cls, parameters, implementation=implementation)
    walk(optimizer, parameters, 3)
    forget(optimizer)
    twins = [nn.Parameter(p.detach().clone()) for p in parameters]
    fresh = made(cls, twins, implementation=implementation)
    assert torch.equal(walk(optimizer, parameters, 3), walk(fresh, twins, 3))
    assert {float(state["step"]) for state in optimizer.state.values()} == {3.0}


@some
def test_something_else_in_a_state_changes_nothing(cls: type[RuleOptimizer]) -> None:
    parameters, twins = weights(), weights()
    optimizer, other = made(cls, parameters), made(cls, twins)
    walk(optimizer, parameters, 2)
    walk(other, twins, 2)
    optimizer.state[parameters[0]]["note"] = "mine"
    optimizer.state[parameters[1]]["history"] = [1, 2]
    assert torch.equal(walk(optimizer, parameters, 3), walk(other, twins, 3))


def test_a_count_of_steps_that_is_set_back_counts_for_its_parameter() -> None:
    parameters = weights()
    optimizer = made(AMSGrad, parameters)
    walk(optimizer, parameters, 3)
    optimizer.state[parameters[1]]["step"].fill_(0.0)
    twins = [nn.Parameter(p.detach().clone()) for p in parameters]
    fresh = made(AMSGrad, twins)
    fresh.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    assert torch.equal(walk(optimizer, parameters, 1), walk(fresh, twins, 1))
    assert [int(optimizer.state[p]["step"]) for p in parameters] == [4, 1, 4, 4, 4]


def test_a_state_that_is_loaded_is_not_changed_by_steps() -> None:
    first, second = weights(), weights()
    one, other = made(Momentum, first), made(Momentum, second)
    walk(one, first, 2)
    other.load_state_dict(one.state_dict())
    walk(other, second, 2)
    assert {float(state["step"]) for state in one.state.values()} == {2.0}


@pytest.mark.parametrize(
    "state",
    [
        torch.optim.SGD([torch.ones(1)], momentum=0.9).state_dict(),
        nn.Linear(1, 1).state_dict(),
    ],
    ids=["no state", "weights"],
)
def test_what_has_no_state(state: dict[str, Any]) -> None:
    optimizer = Lion([nn.Parameter(torch.ones(1))])
    if "state" in state:
        optimizer.load_state_dict(state)  # an optimizer that has not stepped
        return
    with pytest.raises(ValueError, match="Lion: not an optimizer's state, it has no state"):
        optimizer.load_state_dict(state)


def test_another_optimizers_state_is_refused_and_nothing_loaded() -> None:
    parameters, theirs = weights(), weights()
    optimizer, adam = made(AMSGrad, parameters), torch.optim.Adam(theirs)
    walk(optimizer, parameters, 1)
    walk(adam, theirs, 3)
    before = copy.deepcopy(optimizer.state_dict())
    with pytest.raises(ValueError, match=r"AMSGrad: another optimizer's .* lacks max_exp_avg_sq"):
        optimizer.load_state_dict(adam.state_dict())
    assert optimizer.state_dict()["param_groups"] == before["param_groups"]
    assert float(optimizer.state[parameters[0]]["step"]) == 1.0

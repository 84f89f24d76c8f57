"""optbench.optim.engine: what every rule gets from it, tried with a few of them."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode

from optbench.optim.engine import foreach
from optbench.optim.engine.rule_optimizer import RuleOptimizer
from optbench.optim.first_order.lamb import LAMB
from optbench.optim.first_order.lars import LARS
from optbench.optim.first_order.lion import Lion
from optbench.optim.first_order.momentum import Momentum

from .some import SOME, made, walk, weights

some = pytest.mark.parametrize("cls", SOME)


@some
@pytest.mark.parametrize("alone", [0, 12, 1000])
def test_batches_of_any_size_change_nothing(
    cls: type[RuleOptimizer], alone: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All alone, some together, and all together, as on a GPU."""
    monkeypatch.setattr(foreach, "ALONE", alone)
    found, expected = weights(), weights()
    one = walk(made(cls, found), found, 5)
    other = walk(made(cls, expected, implementation="loop"), expected, 5)
    assert torch.allclose(one, other, rtol=1e-12, atol=1e-14)


@some
def test_gradients_may_lie_otherwise_than_parameters(cls: type[RuleOptimizer]) -> None:
    found, expected = weights(), weights()
    for parameters, how in ((found, "foreach"), (expected, "loop")):
        optimizer = made(cls, parameters, implementation=how)
        for _ in range(3):
            parameters[0].grad = torch.ones(9, 7, dtype=torch.float64).cumsum(0).t()
            parameters[1].grad = torch.ones(4, 3, 5, 5, dtype=torch.float64).cumsum(1)
            optimizer.step()
    for one, other in zip(found, expected, strict=True):
        assert torch.allclose(one, other, rtol=1e-12, atol=1e-14)


@some
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
def test_narrow_parameters_have_wide_state(cls: type[RuleOptimizer], dtype: torch.dtype) -> None:
    parameters = weights(dtype)
    optimizer = made(cls, parameters)
    walk(optimizer, parameters, 3)
    for parameter in parameters:
        for name in cls.state_names:
            assert optimizer.state[parameter][name].dtype == torch.float32
    reference = [nn.Parameter(p.detach().float()) for p in weights(dtype)]
    wide = made(cls, reference)
    optimizer, parameters = made(cls, start := weights(dtype)), start
    for parameter, twin in zip(parameters, reference, strict=True):
        parameter.grad = torch.ones_like(parameter)
        twin.grad = torch.ones_like(twin)
    optimizer.step()
    wide.step()
    for parameter, twin in zip(parameters, reference, strict=True):
        assert torch.equal(parameter, twin.to(dtype))
    again = made(cls, weights(dtype))
    again.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    for parameter in again.param_groups[0]["params"]:
        assert again.state[parameter][cls.state_names[0]].dtype == torch.float32


@some
def test_parameters_without_gradients_stay_and_count_their_own_steps(
    cls: type[RuleOptimizer],
) -> None:
    parameters = weights()
    optimizer = made(cls, parameters)
    for step in range(4):
        for number, parameter in enumerate(parameters):
            parameter.grad = torch.ones_like(parameter) if (number or step > 1) else None
        before = parameters[0].detach().clone()
        optimizer.step()
        assert torch.equal(parameters[0], before) == (step <= 1)
    steps = [int(optimizer.state[p]["step"]) for p in parameters]
    assert steps == [2, 4, 4, 4, 4]
    for parameter in parameters:
        parameter.grad = None
    optimizer.step()  # with nothing to do


@some
def test_sparse_gradients_count_as_dense_ones(cls: type[RuleOptimizer]) -> None:
    ends = []
    for sparse in (False, True):
        parameter = nn.Parameter(torch.linspace(-1, 1, 12, dtype=torch.float64).reshape(4, 3))
        optimizer = made(cls, [parameter])
        for row in range(4):
            gradient = torch.zeros_like(parameter)
            gradient[row] = 1.0
            parameter.grad = gradient.to_sparse() if sparse else gradient
            optimizer.step()
        ends.append(parameter.detach())
    assert torch.equal(*ends)


@some
def test_a_tensor_for_lr_and_weight_decay(cls: type[RuleOptimizer]) -> None:
    ends = []
    for as_tensor in (False, True):
        parameters = weights()
        lr, decay = (torch.tensor(v, dtype=torch.float64) if as_tensor else v for v in (0.01, 0.1))
        for implementation in ("loop", "foreach"):
            parameters = weights()
            optimizer: Any = cls(
                parameters, lr=lr, weight_decay=decay, implementation=implementation
            )  # type: ignore[call-arg]
            ends.append(walk(optimizer, parameters, 5))
    for end in ends[1:]:
        assert torch.allclose(end, ends[0], rtol=1e-12)


@some
def test_groups_have_settings_of_their_own(cls: type[RuleOptimizer]) -> None:
    a, b = weights()[:2], weights()[:2]
    together: Any = cls([{"params": a[:1], "lr": 0.1}, {"params": a[1:], "lr": 0.001}], lr=1.0)  # type: ignore[call-arg]
    walk(together, a, 3)
    first: Any = cls(b[:1], lr=0.1)  # type: ignore[call-arg]
    second: Any = cls(b[1:], lr=0.001)  # type: ignore[call-arg]

    class Both:
        @staticmethod
        def step() -> None:
            first.step()
            second.step()

    walk(Both, b, 3)
    for one, other in zip(a, b, strict=True):
        assert torch.equal(one, other)


def test_a_step_of_its_own_runs_the_hooks_once() -> None:
    class Own(Momentum):
        def step(self, closure: Any) -> Any:  # type: ignore[override]
            loss = closure()
            self._apply_updates()
            return loss

    parameters, calls = weights(), []
    optimizer = made(Own, parameters)
    optimizer.register_step_pre_hook(lambda *_: calls.append("before"))
    optimizer.register_step_post_hook(lambda *_: calls.append("after"))
    for parameter in parameters:
        parameter.grad = torch.ones_like(parameter)
    assert optimizer.step(lambda: 3.0) == 3.0
    assert calls == ["before", "after"]
    assert all(int(optimizer.state[p]["step"]) == 1 for p in parameters)


@pytest.mark.parametrize("shapes", [[(3, 4)], [(3, 4), (5,), (2, 2), ()]], ids=str)
@pytest.mark.parametrize("cls", [LAMB, LARS])
def test_a_gpu_is_never_waited_for(cls: Any, shapes: list[tuple[int, ...]]) -> None:
    """Of a pretended GPU nobody can look at a number."""
    with FakeTensorMode():
        parameters = [nn.Parameter(torch.empty(s, device="cuda")) for s in shapes]
        optimizer = made(cls, parameters)
        for number in range(2):
            for parameter in parameters:
                parameter.grad = torch.empty_like(parameter)
                if number:  # of a CPU, where it can be looked at
                    optimizer.state[parameter]["step"] = torch.tensor(float(number))
            optimizer.step()
        assert parameters[0].device.type == "cuda"


@some
def test_hooks_run_once(cls: type[RuleOptimizer]) -> None:
    optimizer, calls = ready(cls), []
    optimizer.register_step_pre_hook(lambda *_: calls.append("before"))
    optimizer.register_step_post_hook(lambda *_: calls.append("after"))
    optimizer.step()
    assert calls == ["before", "after"]


@some
@pytest.mark.filterwarnings("ignore:optimizer contains a parameter group with duplicate")
def test_a_parameter_that_stands_twice_takes_one_step(cls: type[RuleOptimizer]) -> None:
    (once, *_), (twice, *_) = weights(), weights()
    one, other = made(cls, [once]), made(cls, [twice, twice])
    for parameter in (once, twice):
        parameter.grad = torch.ones_like(parameter)
    one.step()
    other.step()
    assert int(other.state[twice]["step"]) == 1
    assert torch.equal(once, twice)


@pytest.mark.parametrize("before", [True, False])
def test_the_mode_of_gradients_is_as_before(before: bool) -> None:
    class Broken(Lion):
        @staticmethod
        def rule(*_: Any) -> Any:
            assert not torch.is_grad_enabled()
            raise ArithmeticError

    seen = []
    optimizer = ready(Broken)
    with torch.set_grad_enabled(before):
        with pytest.raises(ArithmeticError):
            optimizer.step(lambda: seen.append(torch.is_grad_enabled()))
        assert torch.is_grad_enabled() == before
    assert seen == [True]


def ready(cls: type[RuleOptimizer]) -> RuleOptimizer:
    parameters = weights()
    for parameter in parameters:
        parameter.grad = torch.ones_like(parameter)
    optimizer: RuleOptimizer = made(cls, parameters)
    return optimizer

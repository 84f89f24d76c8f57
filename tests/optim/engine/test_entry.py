"""optbench.optim.engine.entry: a step runs torch's hooks, and shows in torch's profiler."""

from __future__ import annotations

from functools import wraps
from typing import Any

import pytest
import torch
from torch.optim.optimizer import (
    register_optimizer_step_post_hook,
    register_optimizer_step_pre_hook,
)

from optbench.optim.engine.rule_optimizer import RuleOptimizer
from optbench.optim.lion import Lion

from .some import SOME, made, weights

some = pytest.mark.parametrize("cls", SOME)


def ready(cls: type[RuleOptimizer]) -> RuleOptimizer:
    parameters = weights()
    for parameter in parameters:
        parameter.grad = torch.ones_like(parameter)
    return made(cls, parameters)


class Outer(Lion):
    """Somebody's own, around ours."""

    def step(self, closure: Any = None) -> Any:
        return super().step(closure)


class Wrapped(Lion):
    """The same, that looks like ours."""

    @wraps(Lion.step)
    def step(self, closure: Any = None) -> Any:
        return super().step(closure)


@pytest.mark.parametrize("cls", [*SOME, Outer, Wrapped])
def test_hooks_run_once(cls: type[RuleOptimizer]) -> None:
    optimizer, calls = ready(cls), []
    optimizer.step()
    optimizer.register_step_pre_hook(lambda *_: calls.append("before"))
    post = optimizer.register_step_post_hook(lambda *_: calls.append("after"))
    optimizer.step()
    assert calls == ["before", "after"]
    post.remove()
    optimizer.step()
    assert calls == ["before", "after", "before"]


@some
def test_hooks_of_all_optimizers_run(cls: type[RuleOptimizer]) -> None:
    optimizer, calls = ready(cls), []
    handles = [
        register_optimizer_step_pre_hook(lambda *_: calls.append("before")),
        register_optimizer_step_post_hook(lambda *_: calls.append("after")),
    ]
    try:
        optimizer.step()
    finally:
        for handle in handles:
            handle.remove()
    optimizer.step()
    assert calls == ["before", "after"]


def test_a_hook_may_give_another_closure() -> None:
    optimizer = ready(Lion)
    optimizer.register_step_pre_hook(lambda own, *_: ((own, lambda: 7.0), {}))
    assert optimizer.step(lambda: 3.0) == 7.0


@pytest.mark.parametrize("cls", [Lion, Outer])
def test_the_profiler_has_one_range_for_a_step(cls: type[RuleOptimizer]) -> None:
    optimizer = ready(cls)
    with torch.autograd.profiler.profile() as profile:
        optimizer.step()
    ranges = [event for event in profile.function_events if "Optimizer.step" in event.name]
    assert [event.name for event in ranges] == [f"Optimizer.step#{cls.__name__}.step"]


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

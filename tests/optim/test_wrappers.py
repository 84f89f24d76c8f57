"""SAM and Lookahead, by themselves and around others."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from pytorch_optimizer import SAM as TheirSAM
from pytorch_optimizer import Lookahead as TheirLookahead
from torch import Tensor, nn

from optbench.build.optimizer import build_optimizer
from optbench.build.wrapper import wrapped
from optbench.errors import UserError
from optbench.optim.exact_state import load_exactly
from optbench.optim.lookahead import Lookahead
from optbench.optim.sam import SAM

from .problem import CPU, network, node_of, walk

SGD: dict[str, Any] = {"lr": 0.1, "momentum": 0.9}
LOOKAHEAD = {"_target_": "optbench.optim.lookahead.Lookahead", "sync_period": 3, "alpha": 0.5}
SHARPNESS = {"_target_": "optbench.optim.sam.SAM", "rho": 0.05, "adaptive": False}


def end(make: Callable[[nn.Module], Any], steps: int = 50) -> Tensor:
    module = network()
    return torch.stack(walk(module, make(module), steps))


def sgd(module: nn.Module) -> Any:
    return torch.optim.SGD(module.parameters(), **SGD)


def test_lookahead_equals_another_librarys() -> None:
    def theirs(module: nn.Module) -> Any:
        return TheirLookahead(sgd(module), k=3, alpha=0.4, pullback_momentum="none")

    def ours(module: nn.Module) -> Any:
        return Lookahead(sgd(module), 3, 0.4)

    assert torch.dist(end(ours), end(theirs)) < 1e-12
    assert torch.dist(end(ours), end(sgd)) > 1e-3


@pytest.mark.parametrize("adaptive", [False, True])
def test_sam_equals_another_librarys(adaptive: bool) -> None:
    class TwoGradients:
        def __init__(self, module: nn.Module) -> None:
            parameters = module.parameters()
            self.made = TheirSAM(parameters, torch.optim.SGD, rho=0.3, adaptive=adaptive, **SGD)

        def zero_grad(self) -> None:
            self.made.zero_grad()

        def step(self, closure: Callable[[], Any]) -> None:
            closure()
            self.made.first_step(zero_grad=True)
            closure()
            self.made.second_step(zero_grad=True)

    # Theirs adds up the norm in float32.
    ours = end(lambda module: SAM(sgd(module), 0.3, adaptive))
    assert torch.dist(ours, end(TwoGradients)) < 1e-6
    assert torch.dist(ours, end(sgd)) > 1e-3


@pytest.mark.parametrize("inner", ["sgd", "adamw", "muon", "lion"])
@pytest.mark.parametrize("node", [LOOKAHEAD, SHARPNESS], ids=["lookahead", "sam"])
def test_around_any_optimizer_it_resumes_to_the_last_bit(inner: str, node: dict[str, Any]) -> None:
    def made(module: nn.Module) -> Any:
        return wrapped(build_optimizer(node_of(inner), module, CPU), node).optimizer

    module = network()
    optimizer = made(module)
    walk(module, optimizer, 7)
    resumed = network()
    resumed.load_state_dict(module.state_dict())
    fresh = made(resumed)
    load_exactly(fresh, copy.deepcopy(optimizer.state_dict()))
    for one, other in zip(walk(module, optimizer, 8), walk(resumed, fresh, 8), strict=True):
        assert torch.equal(one, other)


def test_a_rate_that_is_set_reaches_the_inner_optimizer() -> None:
    module = network()
    optimizer = Lookahead(sgd(module), alpha=1.0)
    before = nn.utils.parameters_to_vector(module.parameters()).detach().clone()
    for group in optimizer.param_groups:
        group["lr"] = 0.0
    assert torch.equal(walk(module, optimizer, 12)[-1], before)


@pytest.mark.parametrize("inner", ["lbfgs", "nag"])
def test_not_around_what_evaluates_the_loss_itself(inner: str) -> None:
    built = build_optimizer(node_of(inner), network(), CPU)
    with pytest.raises(UserError, match="evaluates the loss itself; use wrapper=none"):
        wrapped(built, SHARPNESS)


@pytest.mark.parametrize(
    ("node", "message"),
    [
        ({**LOOKAHEAD, "sync_period": 0}, "sync_period must be at least 1"),
        ({**LOOKAHEAD, "alpha": 0.0}, "alpha must be in"),
        ({**SHARPNESS, "rho": -1.0}, "rho must be at least 0"),
    ],
)
def test_what_is_out_of_range_is_one_line(node: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=f"wrapper: {message}"):
        wrapped(build_optimizer(node_of("sgd"), network(), CPU), node)


def test_no_wrapper_is_the_optimizer_itself() -> None:
    built = build_optimizer(node_of("sgd"), network(), CPU)
    assert wrapped(built, {"_target_": None}) is built

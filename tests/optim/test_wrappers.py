"""SAM and Lookahead, by themselves and around others."""

from __future__ import annotations

import copy
import math
import pickle
from collections.abc import Callable
from typing import Any

import pytest
import torch
from pytorch_optimizer import SAM as TheirSAM
from pytorch_optimizer import Lookahead as TheirLookahead
from torch import Tensor, nn

from optbench.assemble.optimizer import build_optimizer
from optbench.assemble.wrapper import wrapped
from optbench.errors import UserError
from optbench.optim.combined import Combined
from optbench.optim.exact_state import attributes, load_exactly
from optbench.optim.first_order.nag import NAG
from optbench.optim.wrappers.lookahead import Lookahead
from optbench.optim.wrappers.sam import SAM, far_for, move

from .problem import CPU, network, node_of, walk

SGD: dict[str, Any] = {"lr": 0.1, "momentum": 0.9}
LOOKAHEAD = {
    "_target_": "optbench.optim.wrappers.lookahead.Lookahead",
    "sync_period": 3,
    "alpha": 0.5,
}
SHARPNESS = {"_target_": "optbench.optim.wrappers.sam.SAM", "rho": 0.05, "adaptive": False}


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


INSIDE = ["sgd", "adamw", "muon", "lion", "nag", "sophia"]


@pytest.mark.parametrize(
    ("inner", "node"),
    [*[(inner, node) for inner in INSIDE for node in (LOOKAHEAD, SHARPNESS)], ("lbfgs", LOOKAHEAD)],
    ids=lambda given: given if isinstance(given, str) else given["_target_"].rpartition(".")[2],
)
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


def nag_steps(weight: Tensor, rho: float, sync: int, steps: int) -> Tensor:
    """NAG with lr 0.1 and momentum 0.9 on the sum of x^3, in plain words."""
    velocity, slow = torch.zeros_like(weight), weight
    for step in range(1, steps + 1):
        ahead = weight - 0.9 * velocity
        gradient = 3 * ahead**2
        if rho:
            gradient = 3 * (ahead + rho * gradient / gradient.norm()) ** 2
        velocity = 0.9 * velocity + 0.1 * gradient
        weight = weight - velocity
        if sync and step % sync == 0:
            weight = slow = slow + 0.5 * (weight - slow)
    return weight


@pytest.mark.parametrize(
    ("make", "rho", "sync"),
    [(lambda inner: SAM(inner, 0.3), 0.3, 0), (lambda inner: Lookahead(inner, 2, 0.5), 0.0, 2)],
    ids=["sam", "lookahead"],
)
def test_around_nag_the_gradient_is_that_of_the_look_ahead_point(
    make: Callable[[Any], Any], rho: float, sync: int
) -> None:
    weight, closure = linear()
    weight.data = weight.data.double() / 10 + 1
    expected = nag_steps(weight.detach().clone(), rho, sync, 7)
    optimizer = make(NAG([weight], lr=0.1, momentum=0.9))
    for _ in range(7):
        optimizer.step(closure)
    torch.testing.assert_close(weight.detach(), expected, rtol=1e-12, atol=1e-12)


def test_a_rate_that_is_set_reaches_the_inner_optimizer() -> None:
    module = network()
    optimizer = Lookahead(sgd(module), alpha=1.0)
    before = nn.utils.parameters_to_vector(module.parameters()).detach().clone()
    for group in optimizer.param_groups:
        group["lr"] = 0.0
    assert torch.equal(walk(module, optimizer, 12)[-1], before)


def test_sam_is_not_around_what_compares_losses() -> None:
    built = build_optimizer(node_of("lbfgs"), network(), CPU)
    with pytest.raises(UserError, match="evaluates the loss itself; use wrapper=none"):
        wrapped(built, SHARPNESS)


def test_sam_is_not_around_what_needs_the_own_gradient() -> None:
    built = build_optimizer(node_of("natural_gradient"), network(), CPU)
    with pytest.raises(UserError, match="NaturalGradient, which needs the loss's own gradient"):
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


def linear() -> tuple[nn.Parameter, Any]:
    weight = nn.Parameter(torch.tensor([1.0, -2.0, 3.0]))

    def closure() -> Tensor:
        weight.grad = None
        loss = weight.pow(3).sum()
        loss.backward()
        return loss

    return weight, closure


@pytest.mark.parametrize("outer", [Combined, Lookahead, SAM])
def test_hooks_run_once_whatever_was_made_before(outer: Any) -> None:
    weight, closure = linear()
    Combined([torch.optim.SGD([weight], lr=0.1)])  # torch hangs hooks on its step now
    inner = torch.optim.SGD([weight], lr=0.1)
    optimizer = outer([inner] if outer is Combined else inner)
    calls: list[str] = []
    optimizer.register_step_pre_hook(lambda *_: calls.append("before"))
    optimizer.register_step_post_hook(lambda *_: calls.append("after"))
    optimizer.step(closure)
    assert calls == ["before", "after"]


@pytest.mark.parametrize("node", [LOOKAHEAD, SHARPNESS], ids=["lookahead", "sam"])
@pytest.mark.parametrize("how", ["deepcopy", "pickle"])
def test_a_copy_goes_on_by_itself(how: str, node: dict[str, Any]) -> None:
    module = network()
    optimizer = wrapped(build_optimizer(node_of("muon"), module, CPU), node).optimizer
    walk(module, optimizer, 4)
    both = (module, optimizer)
    other, twin = copy.deepcopy(both) if how == "deepcopy" else pickle.loads(pickle.dumps(both))
    assert [id(g) for g in twin.param_groups] == [
        id(g) for m in twin.members[0].members for g in m.param_groups
    ]
    expected = walk(module, optimizer, 7)
    for one, same in zip(expected, walk(other, twin, 7), strict=True):
        assert torch.equal(one, same)


def test_a_new_group_reaches_the_inner_optimizer() -> None:
    first, later = nn.Parameter(torch.ones(2)), nn.Parameter(torch.ones(3))
    optimizer = Lookahead(torch.optim.SGD([first], lr=0.5), 2, 0.5)
    optimizer.add_param_group({"params": [later], "lr": 1.0})
    assert [group["lr"] for group in optimizer.param_groups] == [0.5, 1.0]
    for _ in range(2):
        first.grad, later.grad = torch.ones(2), torch.ones(3)
        optimizer.step()
    assert torch.equal(first, torch.full((2,), 0.5))
    assert torch.equal(later, torch.zeros(3))


def test_a_new_group_for_several_is_refused() -> None:
    some = [nn.Parameter(torch.ones(2)) for _ in range(3)]
    optimizer = Combined([torch.optim.SGD([p], lr=0.5) for p in some[:2]])
    with pytest.raises(ValueError, match="which of SGD, SGD should take the new group"):
        optimizer.add_param_group({"params": [some[2]]})


def test_what_the_state_holds_is_no_attribute_too() -> None:
    weight, _ = linear()
    optimizer = Lookahead(torch.optim.SGD([weight], lr=0.1))
    assert set(attributes(optimizer)[0]) == {"sync_period", "alpha"}


def test_sam_climbs_downhill_around_an_ascent() -> None:
    weight, closure = linear()
    seen: list[Tensor] = []

    def watched() -> Tensor:
        seen.append(weight.detach().clone())
        return closure()

    SAM(torch.optim.SGD([weight], lr=0.0, maximize=True), rho=0.5).step(watched)
    gradient = 3 * seen[0] ** 2
    assert torch.allclose(seen[1], seen[0] - 0.5 * gradient / gradient.norm())


@pytest.mark.parametrize("adaptive", [False, True])
def test_sams_norm_of_narrow_gradients_does_not_overflow(adaptive: bool) -> None:
    weight = nn.Parameter(torch.full((4,), 2.0, dtype=torch.float16))
    seen: list[Tensor] = []

    def closure() -> None:
        seen.append(weight.detach().clone())
        weight.grad = torch.full((4,), 60000.0, dtype=torch.float16)

    SAM(torch.optim.SGD([weight], lr=0.0), rho=1.0, adaptive=adaptive).step(closure)
    assert torch.equal(seen[1], seen[0] + (1.0 if adaptive else 0.5))


@pytest.mark.parametrize("far", [0.7, -0.7])
def test_sam_moves_as_far_by_a_tensor_as_by_a_number(far: float) -> None:
    """On a GPU it is a tensor, which nobody waits for."""
    torch.manual_seed(0)
    gradient, size = torch.randn(4, 3), torch.rand(4, 3)
    by_number, by_tensor = torch.ones(4, 3), torch.ones(4, 3)
    move(by_number, gradient, size, far)
    move(by_tensor, gradient, size, torch.tensor(far, dtype=torch.float64))
    assert torch.allclose(by_number, by_tensor, rtol=1e-6) and not by_number.eq(1).any()


def test_sam_goes_nowhere_where_nothing_is_steep() -> None:
    norms = torch.tensor([2.0, 0.0, math.nan], dtype=torch.float64)
    assert [far_for(norm, 0.5).item() for norm in norms] == [0.25, 0.0, 0.0]

"""NAG and Sophia: what rules that evaluate the loss themselves have of their own."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from optbench.optim.first_order.lion import Lion
from optbench.optim.first_order.momentum import Momentum
from optbench.optim.first_order.nag import NAG
from optbench.optim.second_order.sophia import Sophia

from .engine.some import stacked


class Objective:
    """A closure: the sum of `sign * a x^2` over parameters, whose Hessian's diagonal is 2 a."""

    def __init__(self, parameters: Sequence[nn.Parameter], sign: float = 1.0) -> None:
        self.parameters, self.sign = parameters, sign
        self.asked: list[int] = []

    def loss(self) -> Any:
        return self.sign * sum((3 * p.square()).sum() for p in self.parameters)

    def __call__(self) -> Any:
        for p in self.parameters:
            p.grad = None
        loss = self.loss()
        loss.backward()
        return loss

    def hvp(self, wanted: Sequence[Tensor], vectors: Sequence[Tensor]) -> Any:
        self.asked.append(len(wanted))
        gradients = torch.autograd.grad(self.loss(), wanted, create_graph=True)
        return torch.autograd.grad(gradients, wanted, vectors)


def weights(count: int = 1) -> list[nn.Parameter]:
    return [nn.Parameter(torch.linspace(-1, 1, 4) + n) for n in range(count)]


@pytest.mark.parametrize(("cls", "base"), [(NAG, Momentum), (Sophia, Lion)])
def test_hooks_run_once_whatever_was_made_before(cls: Any, base: Any) -> None:
    parameters = weights()
    base(parameters)  # torch hangs hooks on its step now
    optimizer, calls = cls(parameters), []
    optimizer.register_step_pre_hook(lambda *_: calls.append("before"))
    optimizer.register_step_post_hook(lambda *_: calls.append("after"))
    optimizer.step(Objective(parameters))
    assert calls == ["before", "after"]


class Drawless(Objective):
    """Whatever vector is drawn, the estimate of the diagonal is 6."""

    def hvp(self, wanted: Sequence[Tensor], vectors: Sequence[Tensor]) -> Any:
        return [6 / vector for vector in vectors]


@pytest.mark.parametrize(
    ("cls", "own"),
    [
        (NAG, {"momentum": [0.9, 0.5, 0.0]}),
        (Sophia, {"betas": [(0.9, 0.99), (0.5, 0.9), (0.0, 0.5)], "gamma": [0.01, 0.1, 1.0]}),
    ],
)
@pytest.mark.parametrize("shape", [(3,), (3, 1, 1)], ids=str)
def test_members_of_a_population_go_as_they_would_alone(
    cls: Any, own: dict[str, list[Any]], shape: tuple[int, ...]
) -> None:
    every = {"lr": [0.1, 0.01, 0.001], **own}
    start = torch.linspace(-1, 2, 36, dtype=torch.float64).reshape(3, 4, 3)
    settings = {name: stacked(values, shape) for name, values in every.items()}
    together = nn.Parameter(start.clone())
    group = {"params": [together], "population": True}
    optimizer = cls([group], implementation="loop", **settings)
    for _ in range(4):
        optimizer.step(Drawless([together]))
    for member, at in enumerate(start):
        alone = nn.Parameter(at.clone())
        numbers = {name: values[member] for name, values in every.items()}
        optimizer = cls([alone], implementation="loop", **numbers)
        for _ in range(4):
            optimizer.step(Drawless([alone]))
        assert torch.allclose(together[member], alone, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("momentum", [0.9, torch.tensor(0.9)], ids=["number", "tensor"])
def test_nag_comes_back_from_the_look_ahead_point(momentum: Any) -> None:
    parameters = weights(2)
    optimizer, objective = NAG(parameters, lr=0.1, momentum=momentum), Objective(parameters)
    optimizer.step(objective)
    before = [p.detach().clone() for p in parameters]
    seen: list[Tensor] = []

    def broken() -> Any:
        seen.extend(p.detach().clone() for p in parameters)
        raise ArithmeticError

    with pytest.raises(ArithmeticError):
        optimizer.step(broken)
    for parameter, old, ahead in zip(parameters, before, seen, strict=True):
        velocity = optimizer.state[parameter]["velocity"]
        assert torch.equal(parameter, old)
        assert torch.allclose(ahead, old - 0.9 * velocity)


def test_nag_moves_none_whose_momentum_does_not_fit() -> None:
    one, other = weights(2)
    groups = [{"params": [one]}, {"params": [other]}]
    optimizer, objective = NAG(groups, lr=0.1), Objective([one, other])
    optimizer.step(objective)
    before = [one.detach().clone(), other.detach().clone()]
    optimizer.param_groups[1]["momentum"] = torch.tensor([0.9, 0.8, 0.7])
    with pytest.raises(RuntimeError, match="size of tensor"):
        optimizer.step(objective)
    assert all(map(torch.equal, [one, other], before))


@pytest.mark.parametrize("stale", [False, True])
def test_nag_with_gradients_for_others_than_it_moved(stale: bool) -> None:
    """A frozen parameter with a gradient is stepped, as torch does; one without stays."""
    parameters = weights(2)
    optimizer, objective = NAG(parameters, lr=0.1, weight_decay=0.1), Objective(parameters)
    optimizer.step(objective)
    odd = parameters[0]
    start, velocity = odd.detach().clone(), optimizer.state[odd]["velocity"].clone()
    gradient = torch.full((4,), 0.5)

    def closure() -> Any:
        loss = objective()
        odd.grad = gradient.clone() if stale else None
        return loss

    odd.requires_grad_(not stale)
    if stale:
        objective.parameters = parameters[1:]
    optimizer.step(closure)
    if stale:
        expected = start - (0.9 * velocity + 0.1 * (gradient + 0.1 * start))
        torch.testing.assert_close(odd.detach(), expected, rtol=1e-6, atol=1e-6)
    else:
        assert torch.equal(odd, start)


def test_nag_leaves_what_was_frozen_where_it_is() -> None:
    parameters = weights(2)
    optimizer, objective = NAG(parameters, lr=0.1), Objective(parameters)
    optimizer.step(objective)
    frozen = parameters[0].requires_grad_(False)
    there, seen = frozen.clone(), []

    def looking() -> Any:
        seen.append(frozen.clone())
        return objective()

    optimizer.step(looking)
    assert torch.equal(seen[0], there) and torch.equal(frozen, there)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
def test_nag_in_narrow_weights_loses_no_more_than_momentum(dtype: torch.dtype) -> None:
    """Where the gradient is the same everywhere the two are equal, to the bit: a step of lr alone
    is below the weights' precision, one of the velocity is not."""
    one, other = (nn.Parameter(torch.ones(3, dtype=dtype)) for _ in range(2))
    nag, momentum = NAG([one], lr=2e-4), Momentum([other], lr=2e-4)

    def closure() -> Any:
        one.grad = torch.ones(3, dtype=dtype)

    for _ in range(50):
        other.grad = torch.ones(3, dtype=dtype)
        nag.step(closure)
        momentum.step()
    assert torch.equal(one, other) and (one < 1).all()


def test_nag_goes_on_where_weights_became_others_and_in_a_copy() -> None:
    parameters = weights()
    optimizer, objective = NAG(parameters, lr=0.1), Objective(parameters)
    for _ in range(2):
        optimizer.step(objective)
    twin = copy.deepcopy(optimizer)
    theirs = twin.param_groups[0]["params"]
    for one in (parameters[0], theirs[0]):
        one.data = one.data.double()
    optimizer.step(objective)
    twin.step(Objective(theirs))
    assert theirs[0].dtype == torch.float64 and torch.equal(parameters[0], theirs[0])


def test_each_group_has_its_own_period() -> None:
    one, other = weights(2)
    groups = [{"params": [one], "hessian_every": 2}, {"params": [other], "hessian_every": 3}]
    optimizer, objective = Sophia(groups, lr=0.01), Objective([one, other])
    changes = []
    for _ in range(7):
        before = [optimizer.state[p]["hessian"].clone() for p in (one, other) if optimizer.state]
        optimizer.step(objective)
        now = [optimizer.state[p]["hessian"] for p in (one, other)]
        pairs = zip(before or [torch.zeros(4)] * 2, now, strict=True)
        changes.append([not torch.equal(old, new) for old, new in pairs])
    assert [first for first, _ in changes] == [step % 2 == 0 for step in range(7)]
    assert [second for _, second in changes] == [step % 3 == 0 for step in range(7)]
    assert objective.asked == [2, 1, 1, 1, 2]


def test_sophia_uphill_is_sophia_downhill_on_the_other_side() -> None:
    up, down = weights(), weights()
    climbing = Sophia(up, lr=0.01, gamma=1.0, hessian_every=2, maximize=True)
    falling = Sophia(down, lr=0.01, gamma=1.0, hessian_every=2)
    for _ in range(9):
        climbing.step(Objective(up, -1.0))
        falling.step(Objective(down))
    assert torch.equal(up[0], down[0])
    assert (climbing.state[up[0]]["hessian"] > 0).all()

"""Stability lines against steps on a quadratic: below they shrink, above they grow."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.optim import SGD, Adagrad, Adam, AdamW, RMSprop

from optbench.instruments.stability_line import NoLine, line_of
from optbench.optim.first_order.amsgrad import AMSGrad
from optbench.optim.first_order.heavy_ball import HeavyBall
from optbench.optim.first_order.lion import Lion
from optbench.optim.first_order.momentum import Momentum
from optbench.optim.first_order.nag import NAG

Make = Callable[[list[Any]], Any]
LR = 0.1

DESCENTS: dict[str, Make] = {
    "gradient descent": lambda p: SGD(p, lr=LR),
    "weight decay": lambda p: SGD(p, lr=LR, weight_decay=3.0),
    "heavy ball": lambda p: SGD(p, lr=LR, momentum=0.9),
    "dampened": lambda p: SGD(p, lr=LR, momentum=0.9, dampening=0.5),
    "nesterov": lambda p: SGD(p, lr=LR, momentum=0.8, nesterov=True),
    "momentum": lambda p: Momentum(p, lr=LR, momentum=0.5),
    "polyak": lambda p: HeavyBall(p, lr=LR, momentum=0.7),
    "nag": lambda p: NAG(p, lr=LR, momentum=0.9),
}


def after(make: Make, curvature: float, steps: int = 120) -> float:
    """How far from the minimum of curvature x^2 / 2 an optimizer is, that begins at 1."""
    x = torch.nn.Parameter(torch.ones(1, dtype=torch.float64))
    optimizer = make([x])

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = 0.5 * curvature * x.square().sum()
        loss.backward()  # type: ignore[no-untyped-call]
        return loss

    for _ in range(steps):
        optimizer.step(closure)
    return abs(float(x.detach()))


@pytest.mark.parametrize("name", DESCENTS)
def test_steps_grow_above_the_line_and_shrink_below(name: str) -> None:
    make = DESCENTS[name]
    parameter = torch.nn.Parameter(torch.ones(1, dtype=torch.float64))
    line = line_of(make([parameter]), [parameter])
    highest = line.bound / LR - line.decay
    assert line.rates == [LR] and line.scales is None
    assert after(make, 0.9 * highest) < 0.1
    assert after(make, 1.1 * highest) > 10


@pytest.mark.parametrize(
    ("make", "bound"),
    [
        (lambda p: Adam(p, lr=LR, betas=(0.9, 0.999)), 38),
        (lambda p: AdamW(p, lr=LR, betas=(0.5, 0.99), weight_decay=0.3), 6),
        (lambda p: Adam(p, lr=LR, amsgrad=True), 38),
        (lambda p: AMSGrad(p, lr=LR), 38),
        (lambda p: RMSprop(p, lr=LR), 2),
        (lambda p: RMSprop(p, lr=LR, centered=True, alpha=0.5), 2),
        (lambda p: Adagrad(p, lr=LR, lr_decay=0.1), 2),
    ],
)
def test_what_adapts_divides_by_its_own_root(make: Make, bound: float) -> None:
    """The last step is lr times P^-1 of what it moves along: one with no momentum tells P."""
    x = torch.nn.Parameter(torch.tensor([1.0, -2.0, 3.0], dtype=torch.float64))
    optimizer = make([x])
    for gradient in ([1.0, 2.0, 3.0], [0.5, -1.0, 2.0], [2.0, 1.0, -0.3]):
        x.grad = torch.tensor(gradient, dtype=torch.float64)
        before = x.detach().clone()
        optimizer.step()
    line = line_of(optimizer, [x])
    assert line.bound == pytest.approx(bound)
    assert line.scales is not None
    state = optimizer.state[x]
    moved = (before - x.detach()) / LR
    if "exp_avg" in state:
        along = state["exp_avg"]
        decay = optimizer.param_groups[0]["weight_decay"]
        moved = moved - decay * before
    else:
        along = x.grad
    torch.testing.assert_close(line.scales[0], moved / along)


def test_rmsprop_with_momentum_has_a_heavy_balls_line() -> None:
    x = torch.nn.Parameter(torch.ones(1))
    optimizer = RMSprop([x], lr=LR, momentum=0.9)
    x.grad = torch.ones(1)
    optimizer.step()
    assert line_of(optimizer, [x]).bound == pytest.approx(3.8)


def test_a_fixed_divisor_is_unstable_at_adams_line() -> None:
    """Cohen et al. 2022: m = b m + (1 - b) g, x -= lr m / P."""
    for factor, grows in ((0.98, False), (1.02, True)):
        curvature, momentum, x = factor * 38 / LR, 0.0, 1.0
        for _ in range(3000):
            momentum = 0.9 * momentum + 0.1 * curvature * x
            x -= LR * momentum
        assert (abs(x) > 1) is grows


def test_there_is_no_line_where_none_is_known() -> None:
    one, two = (torch.nn.Parameter(torch.ones(2)) for _ in range(2))
    with pytest.raises(NoLine, match="no stability line of Lion is known; of SGD, NAG"):
        line_of(Lion([one]), [one])
    with pytest.raises(NoLine, match="it has not stepped"):
        line_of(Adam([one]), [one])
    with pytest.raises(NoLine, match="different momenta or weight decays"):
        line_of(SGD([{"params": [one], "momentum": 0.5}, {"params": [two]}], lr=1.0), [one, two])
    with pytest.raises(NoLine, match="another optimizer steps some"):
        line_of(SGD([one], lr=1.0), [one, two])


def test_groups_may_have_rates_of_their_own() -> None:
    one, two = (torch.nn.Parameter(torch.ones(2)) for _ in range(2))
    line = line_of(SGD([{"params": [one], "lr": 0.5}, {"params": [two]}], lr=0.1), [two, one])
    assert line.rates == [0.1, 0.5] and math.isclose(line.bound, 2)


class Other(SGD):
    """Steps by signs."""

    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        for group in self.param_groups:
            for p in group["params"]:
                p.data -= group["lr"] * p.grad.sign()


class Same(SGD):
    """Is SGD by another name."""


def test_who_has_a_step_of_its_own_has_not_its_bases_line() -> None:
    x = torch.nn.Parameter(torch.ones(1))
    with pytest.raises(NoLine, match="no stability line of Other"):
        line_of(Other([x], lr=LR), [x])
    assert line_of(Same([x], lr=LR), [x]).formula == "2 / lr"

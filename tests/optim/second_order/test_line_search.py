"""Line searches: the conditions that they promise, on functions of all kinds."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch

from optbench.optim.second_order.line_search import Trial, armijo, falls_enough, strong_wolfe

FUNCTIONS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "quadratic": lambda t: (t - 3) ** 2,
    "far": lambda t: (t / 1000 - 3) ** 2,
    "near": lambda t: (1000 * t - 3) ** 2,
    "quartic": lambda t: (t - 2) ** 4 + 0.1 * (t - 2) ** 2,
    "More, Thuente 5.1": lambda t: -t / (t**2 + 2),
    "More, Thuente 5.2": lambda t: (t + 0.004) ** 5 - 2 * (t + 0.004) ** 4,
    "waves": lambda t: torch.cos(3 * t) - 0.5 * t + 0.2 * t**2,
}


class Counted:
    """A function of one number, and how often it was asked."""

    def __init__(self, function: Callable[[torch.Tensor], torch.Tensor]) -> None:
        self.function, self.asked = function, 0

    def at(self, size: float) -> Trial:
        self.asked += 1
        t = torch.tensor(size, dtype=torch.float64, requires_grad=True)
        value = self.function(t)
        (slope,) = torch.autograd.grad(value, t)
        return Trial(size, float(value.detach()), float(slope), slope.reshape(1))


@pytest.mark.parametrize("first", [1e-3, 0.1, 1.0, 10.0])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_strong_wolfe_conditions_hold(name: str, first: float) -> None:
    line = Counted(FUNCTIONS[name])
    here = line.at(0.0)
    found = strong_wolfe(line.at, here, first)
    assert found is not None
    assert found.loss <= here.loss + 1e-4 * found.size * here.slope
    assert abs(found.slope) <= 0.9 * abs(here.slope)
    assert found.loss == line.at(found.size).loss and line.asked <= 27


@pytest.mark.parametrize("name", FUNCTIONS)
def test_armijo_takes_the_first_half_that_falls_enough(name: str) -> None:
    line = Counted(FUNCTIONS[name])
    here = line.at(0.0)
    found = armijo(lambda size: line.at(size).loss, here, 8.0)
    assert found is not None
    assert found.loss <= here.loss + 1e-4 * found.size * here.slope
    halves = int(math.log2(8.0 / found.size))
    assert found.size == 8.0 / 2**halves
    if halves:
        before = line.at(2 * found.size)
        assert before.loss > here.loss + 1e-4 * before.size * here.slope


def test_where_nothing_falls_there_is_none() -> None:
    here = Trial(0.0, 1.0, -1.0)
    asked = []

    def rising(size: float) -> Trial:
        asked.append(size)
        return Trial(size, 1.0 + size, 1.0)

    assert armijo(lambda size: 1.0 + size, here, 1.0) is None
    assert strong_wolfe(rising, here, 1.0) is None
    assert len(asked) <= 25


def test_what_is_not_finite_is_not_gone_to() -> None:
    def wall(size: float) -> Trial:
        if size > 0.3:
            return Trial(size, math.nan, math.nan)
        return Trial(size, (size - 0.25) ** 2, 2 * (size - 0.25))

    here = wall(0.0)
    for found in (armijo(lambda s: wall(s).loss, here, 1.0), strong_wolfe(wall, here, 1.0)):
        assert found is not None and 0 < found.size <= 0.3 and found.loss < here.loss


def test_rounding_is_no_rise() -> None:
    here = Trial(0.0, 1.0, -1e-20)
    assert not falls_enough(here, 1.0, 1.0 + 2e-16)
    assert falls_enough(here, 1.0, 1.0 + 2e-16, slack=1e-15)


def test_a_function_that_falls_for_ever_is_left_after_some_tries() -> None:
    line = Counted(lambda t: -t)
    found = strong_wolfe(line.at, line.at(0.0), 1.0)
    assert found is not None and found.size > 1e6 and line.asked <= 27

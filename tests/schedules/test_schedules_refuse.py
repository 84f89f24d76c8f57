"""A field out of its range stops with one line that names the field and the value."""

import math
from collections.abc import Callable
from dataclasses import FrozenInstanceError

import pytest

from optbench.schedules.cosine import Cosine, CosineRestarts
from optbench.schedules.cyclic import Cyclic
from optbench.schedules.exponential import Exponential
from optbench.schedules.inverse_sqrt import InverseSqrt
from optbench.schedules.linear import Linear
from optbench.schedules.nesterov import Nesterov
from optbench.schedules.one_cycle import OneCycle
from optbench.schedules.plateau import Plateau
from optbench.schedules.polynomial import Polynomial
from optbench.schedules.step import MultiStep, Step
from optbench.schedules.warmup import Warmup
from optbench.schedules.wsd import WarmupStableDecay

REFUSED = [
    (lambda: Step(0), "step_size must be an integer >= 1, got 0"),
    (lambda: Step("30ep"), "step_size must be an integer >= 1, got '30ep'"),
    (lambda: Step(30.0), "step_size must be an integer >= 1, got 30.0"),
    (lambda: Step(True), "step_size must be an integer >= 1, got True"),
    (lambda: Step(30, 0), "gamma must be a number in (0, 1], got 0"),
    (lambda: Step(30, math.nan), "gamma must be a number in (0, 1], got nan"),
    (lambda: Step(30, "big"), "gamma must be a number in (0, 1], got 'big'"),
    (lambda: MultiStep([]), "milestones must name at least one step, got none"),
    (lambda: MultiStep([0, 5]), "milestones must be an integer >= 1, got 0"),
    (lambda: MultiStep([20, 10]), "milestones must be in increasing order, got [20, 10]"),
    (lambda: MultiStep([5], 1.5), "gamma must be a number in (0, 1], got 1.5"),
    (
        lambda: Exponential(gamma=0.9, rate=0.1),
        "gamma and rate exclude each other, got gamma=0.9 and rate=0.1",
    ),
    (lambda: Exponential(gamma=0.0), "gamma must be a number in (0, 1], got 0.0"),
    (lambda: Exponential(rate=-1), "rate must be a number in [0, inf), got -1"),
    (lambda: Exponential(decay_steps=0), "decay_steps must be an integer >= 1, got 0"),
    (lambda: Cosine(1.1), "min_ratio must be a number in [0, 1], got 1.1"),
    (lambda: CosineRestarts(0), "t_0 must be an integer >= 1, got 0"),
    (lambda: CosineRestarts(5, 0), "t_mult must be an integer >= 1, got 0"),
    (lambda: CosineRestarts(5, 1.5), "t_mult must be an integer >= 1, got 1.5"),
    (lambda: CosineRestarts(5, 2, -1), "min_ratio must be a number in [0, 1], got -1"),
    (lambda: Polynomial(0), "power must be a number in (0, inf), got 0"),
    (lambda: Polynomial(1, 2), "min_ratio must be a number in [0, 1], got 2"),
    (lambda: Linear(-0.1), "min_ratio must be a number in [0, 1], got -0.1"),
    (lambda: Linear(0, 2), "start_ratio must be a number in [0, 1], got 2"),
    (lambda: InverseSqrt(0), "timescale must be an integer >= 1, got 0"),
    (lambda: Nesterov(0), "offset must be a number in (0, inf), got 0"),
    (lambda: WarmupStableDecay(0), "decay_steps must be an integer >= 1, got 0"),
    (
        lambda: WarmupStableDecay(9, "exp"),
        "decay_shape must be one of linear, cosine, sqrt, got 'exp'",
    ),
    (lambda: WarmupStableDecay(9, "sqrt", 2), "min_ratio must be a number in [0, 1], got 2"),
    (lambda: Cyclic(0), "step_size_up must be an integer >= 1, got 0"),
    (lambda: Cyclic(9, 0), "step_size_down must be an integer >= 1, got 0"),
    (
        lambda: Cyclic(9, mode="round"),
        "mode must be one of triangular, triangular2, exp_range, got 'round'",
    ),
    (lambda: Cyclic(9, gamma=0), "gamma must be a number in (0, 1], got 0"),
    (lambda: Cyclic(9, min_ratio=2), "min_ratio must be a number in [0, 1], got 2"),
    (lambda: Cyclic(9, max_momentum=1), "max_momentum must be a number in [0.8, 1), got 1"),
    (lambda: Cyclic(9, base_momentum=-1), "base_momentum must be a number in [0, 1), got -1"),
    (lambda: OneCycle(2), "pct_start must be a number in [0, 1], got 2"),
    (lambda: OneCycle(0.6, three_phase=True), "pct_start must be a number in [0, 0.5], got 0.6"),
    (lambda: OneCycle(anneal="cosine"), "anneal must be one of cos, linear, got 'cosine'"),
    (lambda: OneCycle(div_factor=0), "div_factor must be a number in [1, inf), got 0"),
    (
        lambda: OneCycle(final_div_factor=0.01),
        "final_div_factor must be a number in [0.04, inf), got 0.01",
    ),
    (lambda: OneCycle(max_momentum=0.5), "max_momentum must be a number in [0.85, 1), got 0.5"),
    (lambda: OneCycle(base_momentum=1), "base_momentum must be a number in [0, 1), got 1"),
    (lambda: Warmup(Cosine(), -1), "steps must be an integer >= 0, got -1"),
    (lambda: Warmup(Cosine(), 5, "exp"), "shape must be one of linear, cosine, got 'exp'"),
    (lambda: Warmup(Cosine(), 5, start=2), "start must be a number in [0, 1], got 2"),
    (lambda: Plateau(""), "metric must be the tag of a metric, got ''"),
    (lambda: Plateau(mode="auto"), "mode must be one of min, max, got 'auto'"),
    (lambda: Plateau(factor=1), "factor must be a number in (0, 1), got 1"),
    (lambda: Plateau(patience=-1), "patience must be an integer >= 0, got -1"),
    (lambda: Plateau(threshold=1), "threshold must be a number in [0, 1), got 1"),
    (
        lambda: Plateau(threshold=-1, threshold_mode="abs"),
        "threshold must be a number in [0, inf), got -1",
    ),
    (lambda: Plateau(threshold_mode="x"), "threshold_mode must be one of rel, abs, got 'x'"),
    (lambda: Plateau(cooldown=-1), "cooldown must be an integer >= 0, got -1"),
    (lambda: Plateau(min_ratio=2), "min_ratio must be a number in [0, 1], got 2"),
]


@pytest.mark.parametrize(("build", "line"), REFUSED, ids=[line for _, line in REFUSED])
def test_refuses(build: Callable[[], object], line: str) -> None:
    with pytest.raises(ValueError) as caught:
        build()
    assert str(caught.value) == line


def test_pure_schedules_do_not_change() -> None:
    with pytest.raises(FrozenInstanceError):
        Cosine().min_ratio = 0.5
    milestones = [5, 10]
    schedule = MultiStep(milestones)
    milestones.append(1)
    assert schedule.milestones == (5, 10)

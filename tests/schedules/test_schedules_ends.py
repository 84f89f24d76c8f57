"""What schedules do at their ends and beyond: where torch's differ or have nothing to say."""

import math

import pytest
import torch
from torch.optim.lr_scheduler import CosineAnnealingLR, OneCycleLR

from optbench.schedules.base import Schedule
from optbench.schedules.constant import Constant
from optbench.schedules.cosine import Cosine, CosineRestarts
from optbench.schedules.cyclic import Cyclic
from optbench.schedules.exponential import Exponential
from optbench.schedules.inverse_sqrt import InverseSqrt
from optbench.schedules.linear import Linear
from optbench.schedules.nesterov import Nesterov
from optbench.schedules.one_cycle import OneCycle
from optbench.schedules.polynomial import Polynomial
from optbench.schedules.value import ValueSchedule
from optbench.schedules.warmup import Warmup
from optbench.schedules.wsd import WarmupStableDecay

ENDING = [
    Cosine(0.25),
    Polynomial(2.0, 0.25),
    Linear(0.25),
    OneCycle(div_factor=2, final_div_factor=2),
    OneCycle(div_factor=2, final_div_factor=2, three_phase=True),
    WarmupStableDecay(10, "linear", 0.25),
    WarmupStableDecay(10, "cosine", 0.25),
    WarmupStableDecay(10, "sqrt", 0.25),
]


@pytest.mark.parametrize("schedule", ENDING, ids=repr)
@pytest.mark.parametrize("total", [1, 2, 3, 100])
@pytest.mark.parametrize("warmup", [0, 7])
def test_stays_at_its_minimum_after_the_end(schedule: Schedule, total: int, warmup: int) -> None:
    whole = Warmup(schedule, warmup)
    for step in (total, total + 1, total + 2, 10 * total):
        assert whole(step + warmup, total + warmup) == 0.25


@pytest.mark.parametrize("schedule", ENDING, ids=repr)
def test_refuses_a_run_without_steps(schedule: Schedule) -> None:
    with pytest.raises(ValueError, match="total_steps must be an integer >= 1, got 0"):
        schedule(0, 0)


@pytest.mark.parametrize(
    "schedule",
    [
        Constant(),
        Exponential(),
        Cosine(),
        CosineRestarts(5),
        Polynomial(),
        Linear(),
        InverseSqrt(5),
        Nesterov(),
        WarmupStableDecay(5),
    ],
    ids=repr,
)
def test_decays_start_at_the_base_learning_rate(schedule: Schedule) -> None:
    assert schedule(0, 97) == 1.0


def test_torch_cosine_rises_again_and_ours_does_not() -> None:
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    scheduler = CosineAnnealingLR(optimizer, 10)
    for _ in range(15):
        optimizer.step()
        scheduler.step()
    assert optimizer.param_groups[0]["lr"] > 0.4
    assert Cosine()(15, 10) == 0.0


def test_torch_one_cycle_divides_by_zero_and_ours_starts_at_the_peak() -> None:
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0, momentum=0.9)
    with pytest.raises(ZeroDivisionError):
        OneCycleLR(optimizer, 1.0, total_steps=10, pct_start=0.1)
    assert OneCycle(pct_start=0.1)(0, 10) == 1.0


def test_restarts_start_each_cycle_at_the_peak() -> None:
    schedule = CosineRestarts(t_0=3, t_mult=3)
    peaks = [step for step in range(400) if schedule(step, 400) == 1.0]
    assert peaks == [0, 3, 12, 39, 120, 363]


def test_exponential_forms_are_one_curve() -> None:
    by_gamma = Exponential(gamma=0.9, decay_steps=10)
    by_rate = Exponential(rate=-math.log(0.9), decay_steps=10)
    assert all(abs(by_gamma(t, 97) - by_rate(t, 97)) <= 1e-15 for t in range(98))
    assert by_gamma(20, 97) == pytest.approx(0.81, abs=1e-15)


def test_polynomial_ends_between_its_bounds() -> None:
    assert Polynomial(power=2.0, min_ratio=0.2)(50, 100) == pytest.approx(0.2 + 0.8 / 4)


def test_inverse_sqrt_halves_at_three_timescales() -> None:
    assert InverseSqrt(100)(300, 1000) == 0.5


def test_a_decay_longer_than_the_run_takes_all_of_it() -> None:
    assert [WarmupStableDecay(100)(step, 4) for step in range(5)] == [1.0, 0.75, 0.5, 0.25, 0.0]


def test_cyclic_bounds() -> None:
    schedule = Cyclic(step_size_up=4, step_size_down=2, min_ratio=0.2)
    assert [schedule(step, 97) for step in (0, 4, 6, 10)] == [0.2, 1.0, 0.2, 1.0]
    assert [schedule.momentum(step, 97) for step in (0, 4, 6)] == pytest.approx([0.9, 0.8, 0.9])


@pytest.mark.parametrize("k", [1, 2, 3, 10, 1000])
def test_a_momentum_from_0_to_1_is_nesterovs(k: int) -> None:
    momentum = ValueSchedule("momentum", Nesterov(), to=math.nextafter(1.0, 0.0), start=0.0)
    assert momentum(k - 1, 1000, own=0.9) == pytest.approx((k - 1) / (k + 2), rel=1e-15)

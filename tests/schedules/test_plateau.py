"""Plateau against torch's ReduceLROnPlateau on noisy metrics, and its state."""

import json
import math
import random
from typing import Any

import pytest
import torch
from torch.optim.lr_scheduler import ReduceLROnPlateau

from optbench.schedules.plateau import Plateau

LR = 0.1
CASES: list[dict[str, Any]] = [
    {},
    {"patience": 0},
    {"patience": 3, "factor": 0.5, "cooldown": 4},
    {"patience": 2, "factor": 0.3, "threshold": 0.05},
    {"patience": 2, "factor": 0.3, "threshold": 0.05, "threshold_mode": "abs"},
    {"patience": 1, "factor": 0.9, "cooldown": 1},
]


def noisy_metric(mode: str, count: int = 400) -> list[float]:
    noise = random.Random(0)
    falling = [2 * math.exp(-t / 60) + 0.1 + 0.1 * noise.random() for t in range(count)]
    return falling if mode == "min" else [3 - value for value in falling]


@pytest.mark.parametrize("min_ratio", [0.0, 0.02])
@pytest.mark.parametrize("mode", ["min", "max"])
@pytest.mark.parametrize("case", CASES, ids=str)
def test_equals_torch(case: dict[str, Any], mode: str, min_ratio: float) -> None:
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=LR)
    theirs = ReduceLROnPlateau(optimizer, mode, min_lr=min_ratio * LR, eps=1e-8 * LR, **case)
    ours = Plateau(mode=mode, min_ratio=min_ratio, **case)
    values = noisy_metric(mode)
    values[100] = math.nan
    for step, value in enumerate(values):
        ours.observe({"train/loss": 0.0})
        ours.observe({"val/loss": value, "val/accuracy": 0.5})
        theirs.step(value)
        assert abs(ours(step, 400) * LR - optimizer.param_groups[0]["lr"]) <= 1e-12, step
    assert ours(400, 400) < 1.0


@pytest.mark.parametrize("mode", ["min", "max"])
@pytest.mark.parametrize("seed", range(5))
def test_a_resumed_run_goes_on_the_same(mode: str, seed: int) -> None:
    options: dict[str, Any] = {"mode": mode, "patience": 2, "factor": 0.5, "cooldown": 3}
    values = noisy_metric(mode)
    stop = random.Random(seed).randrange(len(values))
    whole, first, second = Plateau(**options), Plateau(**options), Plateau(**options)
    for value in values[:stop]:
        whole.observe({"val/loss": value})
        first.observe({"val/loss": value})
    second.load_state_dict(json.loads(json.dumps(first.state_dict())))
    assert second.state_dict() == whole.state_dict()
    for value in values[stop:]:
        whole.observe({"val/loss": value})
        second.observe({"val/loss": value})
        assert second.state_dict() == whole.state_dict()


def test_state_is_numbers() -> None:
    state = Plateau().state_dict()
    assert state.pop("metric") == ["val/loss", "min"]
    assert state == {"multiplier": 1.0, "best": math.inf, "bad_observations": 0, "cooldown_left": 0}
    with pytest.raises(KeyError, match="best"):
        Plateau().load_state_dict({"multiplier": 1.0})


def test_stops_at_its_minimum() -> None:
    schedule = Plateau(patience=0, min_ratio=0.05)
    for _ in range(10):
        schedule.observe({"val/loss": 1.0})
    assert schedule(10, 10) == 0.05


def test_cuts_of_1e_8_or_less_are_not_made() -> None:
    schedule = Plateau(patience=0)
    for _ in range(100):
        schedule.observe({"val/loss": 1.0})
    assert schedule(100, 100) == pytest.approx(1e-8)


@pytest.mark.parametrize(("mode", "sign"), [("min", 1.0), ("max", -1.0)])
@pytest.mark.parametrize("best", [-78.33, 78.33, 0.0])
def test_a_relative_threshold_is_one_of_the_size(mode: Any, sign: float, best: float) -> None:
    schedule = Plateau(mode=mode, patience=2, factor=0.5, threshold=0.01)
    for _ in range(4):  # it stands still, whatever its sign
        schedule.observe({"val/loss": sign * best})
    assert schedule(0, 1) == 0.5
    for better in (0.0, 0.5, 1.0):  # less than a hundredth is no improvement
        schedule.observe({"val/loss": sign * (best - better * 0.01 * abs(best))})
    assert schedule(0, 1) == 0.25
    for step in range(1, 4):
        schedule.observe({"val/loss": sign * (best - step * 0.02 * abs(best) - 1e-9)})
    assert schedule(0, 1) == 0.25


def test_what_was_seen_of_another_metric_is_forgotten() -> None:
    before = Plateau(patience=0, factor=0.5)
    for value in (0.1, 0.2):
        before.observe({"val/loss": value})
    for other in (Plateau(metric="test/loss", patience=0), Plateau(mode="max", patience=0)):
        other.load_state_dict(before.state_dict())
        assert other(0, 1) == 0.5
        other.observe({other.metric: 7.0})
        assert other(0, 1) == 0.5
    bounded = Plateau(min_ratio=0.7)
    bounded.load_state_dict(before.state_dict())
    assert bounded(0, 1) == 0.7

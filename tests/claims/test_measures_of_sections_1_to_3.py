"""Arithmetic of measures: of what a small table of runs has, what they make."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from optbench.claims import choice
from optbench.claims.found import Found
from optbench.claims.measures import escape, lr_finder, swing
from optbench.claims.measures.best_momentum import tuned_ends
from optbench.claims.measures.sharpness_and_error import correlation

Series = tuple[list[int], list[float]]


@dataclass
class Fake:
    """A run that has just these settings, series and ends."""

    seed: int
    settings: Mapping[str, Any] = field(default_factory=dict)
    ends: Mapping[str, float] = field(default_factory=dict)
    tags: Mapping[str, Series] = field(default_factory=dict)
    ended_well: bool = True
    varied: tuple[str, ...] = ()
    label = ""

    @property
    def result(self) -> Any:
        return self

    @property
    def step(self) -> int:
        return int(self.settings.get("steps", 0))

    def setting(self, key: str) -> Any:
        return self.settings.get(key)

    def final(self, metric: str) -> float | None:
        return self.ends.get(metric) if self.ended_well else None

    def series(self, tag: str) -> Series:
        return self.tags[tag]


def found(**parts: list[Any]) -> Found:
    return Found(parts, {}, [0])


def test_a_swing_is_the_way_and_a_turn_counts_twice() -> None:
    flat, steep = ([1, 2, 3], [0.5, 0.005, 0.001]), ([1, 2, 3], [-1.0, 0.5, 0.0])
    ran: Any = Fake(0, {"model.start": [1.0, 1.0]}, tags={"val/x0": flat, "val/x1": steep})
    assert swing.swing(ran) == 2.0 + 1.5 + 0.5
    assert swing.steps_to(ran, "val/x0", 0.01) == 2
    assert swing.steps_to(ran, "val/x1", 0.01) == 3
    assert swing.steps_to(ran, "val/x1", 0.0) == 3
    assert swing.steps_to(ran, "val/x0", 0.0001) is None


def test_a_run_that_never_leaves_its_well_counts_with_all_its_steps() -> None:
    x = ([10, 20, 30], [0.9, -0.4, -0.6])
    leaves: Any = Fake(0, {"model.left": 1.0, "steps": 30}, tags={"val/x0": x})
    stays: Any = Fake(0, {"model.left": 1.5, "steps": 30}, tags={"val/x0": x})
    assert (escape.out(leaves), escape.steps_out(leaves)) == (30, 30)
    assert (escape.out(stays), escape.steps_out(stays)) == (0, 30)


def test_no_seed_has_a_say_in_what_it_is_judged_at() -> None:
    costs = {0.1: {0: 1.0, 1: 30.0}, 0.2: {0: 20.0, 1: 2.0}}
    assert choice.chosen(costs, 0) == 0.2
    assert choice.chosen(costs, 1) == 0.1
    ends = {
        rate: {seed: Fake(seed, ends={"loss": cost}) for seed, cost in of.items()}
        for rate, of in costs.items()
    }
    runs: Any = ends
    assert tuned_ends(runs, "loss") == {0: 20.0, 1: 30.0}
    assert choice.cost(runs[0.1][1], "loss") == 30.0
    assert choice.mean_without({0: 1.0, 1: None}, 0) == math.inf


@pytest.mark.parametrize(
    ("other", "expected"), [([2, 4, 8], 1.0), ([3, 2, 1], -1.0), ([5, 5, 5], 0.0)]
)
def test_a_correlation_is_of_ranks(other: list[float], expected: float) -> None:
    assert correlation([1, 10, 11], other) == pytest.approx(expected)


def test_a_suggestion_is_judged_by_the_run_of_the_grid_nearest_to_it() -> None:
    lrs = [10 ** (-4 + step / 20) for step in range(80)]
    losses = [2.3 if lr < 3e-3 else 0.3 if lr > 0.1 else 1.3 for lr in lrs]
    many = list(range(1, 81))
    tags = {"lr/model": (many, lrs), "train/loss": (many, losses)}
    ramp = [Fake(seed, {"steps": 80}, tags=tags) for seed in range(2)]
    ends = {1e-3: 0.5, 1e-2: 0.8, 1e-1: 0.9, 1.0: 0.1}
    grid = [
        Fake(seed, {"optimizer.lr": lr}, {"test/accuracy": right, "val/loss": 1 - right})
        for lr, right in ends.items()
        for seed in range(2)
    ]
    seen = lr_finder.measure(found(ramp=ramp, grid=grid), "test/accuracy", "val/loss")
    factor = seen.values["factor"][0]
    assert factor is not None
    nearest = min(ends, key=lambda lr: abs(factor - math.log10(lr / 0.1)))
    assert seen.values["suggested"][0] == pytest.approx(ends[nearest] / 0.9)

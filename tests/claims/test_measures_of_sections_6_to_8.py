"""Measures that several claims share, on runs that are made up."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, cast

import pytest

from optbench.claims.found import Found, Ran
from optbench.claims.measures import apart, best_lr_power, largest_lr, learned, reached, tuned
from optbench.errors import UserError

SEEDS = [0, 1, 2]


@dataclass(frozen=True)
class Made:
    """A run of a value at its end, at a learning rate, and of a curve."""

    lr: float
    seed: int
    end: float | None
    batch: int = 1
    curve: tuple[float, ...] = ()
    ended_well: bool = True

    @property
    def label(self) -> str:
        return f"lr={self.lr:g}" if self.lr else ""

    def label_without(self, keys: list[str]) -> str:
        assert keys == ["optimizer.lr"]
        return ""

    def final(self, metric: str) -> float | None:
        return self.end

    def setting(self, key: str) -> Any:
        return {"optimizer.lr": self.lr, "batch_size": self.batch}[key]

    def series(self, tag: str) -> tuple[list[int], list[float]]:
        return [*range(1, len(self.curve) + 1)], [*self.curve]


def found(**parts: list[Made]) -> Found:
    return Found({name: cast(list[Ran], runs) for name, runs in parts.items()}, {}, SEEDS)


def ends(by_lr: dict[float, list[float | None]]) -> list[Made]:
    """Runs by learning rate and seed; one without an end diverged."""
    return [
        Made(lr, seed, end, ended_well=end is not None)
        for lr, row in by_lr.items()
        for seed, end in enumerate(row)
    ]


def test_a_seed_has_no_say_in_its_own_setting() -> None:
    # at seed 0 the larger lr is best, and both others want the smaller one
    part = ends({0.1: [5.0, 1.0, 1.0], 1.0: [0.0, 2.0, 2.0]})
    values = tuned.measure(found(sgd=part), "val/loss").values["sgd"]
    assert values == {0: 5.0, 1: 2.0, 2: 2.0}


def test_a_setting_at_which_another_seed_diverges_is_not_chosen() -> None:
    part = ends({0.1: [3.0, 3.0, 3.0], 1.0: [1.0, 1.0, None]})
    given = found(sgd=part)
    assert tuned.measure(given, "val/loss").values["sgd"] == {0: 3.0, 1: 3.0, 2: None}
    assert tuned.measure(given, "val/loss", diverged=9.0).values["sgd"][2] == 9.0


def test_a_lead_is_of_the_better_one_and_one_part_can_choose_for_all() -> None:
    one = ends({0.1: [1.0, 1.0, 1.0], 1.0: [2.0, 2.0, 2.0]})
    other = ends({0.1: [4.0, 4.0, 4.0], 1.0: [3.0, 3.0, 3.0]})
    given = found(one=one, other=other)
    values = tuned.measure(given, "val/loss", leads={"lead": ["one", "other"]}).values
    assert values["lead"] == {0: 2.0, 1: 2.0, 2: 2.0}
    assert tuned.measure(given, "val/loss", at="one").values["other"] == {0: 4.0, 1: 4.0, 2: 4.0}
    with pytest.raises(UserError, match="expected two parts, not one, none"):
        tuned.measure(given, "val/loss", leads={"lead": ["one", "none"]})


def test_the_best_lr_is_where_the_parabola_is_lowest_and_its_power_that_of_the_batch() -> None:
    def loss(lr: float, batch: int) -> float:
        return (math.log(lr) - 0.5 * math.log(batch)) ** 2

    runs = [
        Made(lr, seed, loss(lr, batch), batch)
        for batch in (1, 4, 16)
        for lr in (0.3, 1.1, 2.3, 5.0, 9.0)
        for seed in SEEDS
    ]
    values = best_lr_power.measure(found(sgd=runs), "val/loss").values["sgd"]
    assert values[0] == pytest.approx(0.5)


def test_the_largest_lr_is_one_that_comes_to_the_level() -> None:
    part = ends({0.1: [0.9, 0.9, 0.1], 1.0: [0.95, None, 0.1]})
    values = largest_lr.measure(found(sgd=part), "val/accuracy", 0.9).values["sgd"]
    assert values == {0: 0.0, 1: -1.0, 2: -2.0}


def test_when_a_run_comes_to_a_level_and_whether() -> None:
    part = [Made(0.1, seed, 0.0, curve=(3.0, 2.0, 1.0)) for seed in SEEDS]
    assert reached.measure(found(sgd=part), "val/loss", 2.0).values["sgd"][0] == 2
    assert reached.measure(found(sgd=part), "val/loss", 0.5).values["sgd"][0] is None
    counted = reached.measure(found(sgd=part), "val/loss", 0.5, never=9.0)
    assert counted.values["sgd"] == {0: 9.0, 1: 9.0, 2: 9.0}
    there = learned.measure(found(sgd=part), "val/loss", 1.0).values["sgd lr=0.1"]
    never = learned.measure(found(sgd=part), "val/loss", 0.5).values["sgd lr=0.1"]
    assert (there[0], never[0]) == (1.0, 0.0)


def test_how_far_curves_are_apart_is_the_largest_relative_difference() -> None:
    one = [Made(0.0, seed, 0.0, curve=(2.0, 4.0)) for seed in SEEDS]
    other = [Made(0.0, seed, 0.0, curve=(2.0, 5.0)) for seed in SEEDS]
    values = apart.measure(found(one=one, other=other), to="one").values
    assert values == {"other": {0: 0.25, 1: 0.25, 2: 0.25}}

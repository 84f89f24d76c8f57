"""Measures of decay, of populations and of ranks, on runs that are made up."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, cast

import pytest

from optbench.claims.found import Found, Ran
from optbench.claims.measures import replayed, separable, state_share
from optbench.plots.heatmap import HeatMap
from optbench.plots.png import Picture

SEEDS = [0, 1, 2]


@dataclass(frozen=True)
class Made:
    """A run of a value at its end, and what else a measure asks of it."""

    seed: int
    end: float | None = None
    decay: float = 0.0
    lr: float = 0.0
    ranks: int = 1
    kept: float = 0.0
    label: str = ""
    ended_well: bool = True

    def final(self, metric: str) -> float | None:
        return self.end

    def setting(self, key: str) -> Any:
        return {"optimizer.weight_decay": self.decay, "optimizer.lr": self.lr}[key]

    @property
    def result(self) -> Made:
        return self

    @property
    def folder(self) -> Made:
        return self

    @property
    def costs(self) -> dict[str, float]:
        return {"state_bytes": self.kept}

    def read_json(self, name: str) -> dict[str, Any]:
        assert name == "env.json"
        return {"world_size": self.ranks}


def found(others: dict[str, Any], **parts: list[Made]) -> Found:
    return Found({name: cast(list[Ran], runs) for name, runs in parts.items()}, others, SEEDS)


GRID = (0.1, 1.0, 10.0)


def test_separable_settings_lose_nothing_and_others_what_the_second_step_misses() -> None:
    def runs(loss: Any) -> list[Made]:
        pairs = [(decay, lr) for decay in GRID for lr in GRID]
        made = [Made(seed, loss(*pair), *pair) for pair in pairs for seed in SEEDS]
        return made

    def apart(decay: float, lr: float) -> float:
        return math.log10(decay) ** 2 + math.log10(lr) ** 2

    def together(decay: float, lr: float) -> float:  # decay has to be 1 / lr; 0.1 at lr 10 is best
        return abs(math.log10(decay * lr)) + 0.1 * (1 - math.log10(lr))

    measured = separable.measure(found({}, apart=runs(apart), together=runs(together)), "val/loss")
    for name in ("apart power", "apart", "apart lost"):
        assert measured.values[name] == dict.fromkeys(SEEDS, 0.0), name
    assert measured.values["together power"] == pytest.approx(dict.fromkeys(SEEDS, -1.0))
    assert measured.values["together"] == pytest.approx(dict.fromkeys(SEEDS, 1.0))
    # from lr 0.1, 1 and 10 it ends at 0.2, 0.1 and 0 above the best
    assert measured.values["together lost"] == pytest.approx(dict.fromkeys(SEEDS, 0.1))
    picture = measured.pictures[1]
    assert isinstance(picture, HeatMap)
    assert picture.values[0] == pytest.approx([together(0.1, lr) for lr in GRID])
    assert (picture.dots, picture.ring) == ([(0, 2), (1, 1), (2, 0)], (2, 0))
    assert (
        measured.notes[1] == "together: best weight_decay at each lr: 10 at 0.1, 1 at 1, 0.1 at 10"
    )


def test_a_seed_has_no_say_in_what_it_is_judged_at() -> None:
    ends = {(1.0, 1.0): (5.0, 1.0), (10.0, 10.0): (0.0, 2.0)}  # at seed 0, at both others
    ends |= {(1.0, 10.0): (9.0, 3.0), (10.0, 1.0): (9.0, 3.0)}
    runs = [
        Made(seed, of_first if seed == 0 else of_others, decay, lr)
        for (decay, lr), (of_first, of_others) in ends.items()
        for seed in SEEDS
    ]
    values = separable.measure(found({}, adam=runs), "val/loss").values["adam lost"]
    assert values == {0: -2.5, 1: -0.5, 2: -0.5}


def test_the_first_ranks_share_is_told_in_even_shares() -> None:
    whole = [Made(0, kept=800.0)]
    two, four = [Made(0, ranks=2, kept=400.0)], [Made(0, ranks=4, kept=300.0)]
    given = found({}, whole=whole, two=two, four=four)
    measured = state_share.measure(given, "whole")
    assert measured.values == {"2 ranks": {0: 1.0}, "4 ranks": {0: 1.5}}
    (picture,) = measured.pictures
    assert isinstance(picture, Picture)
    assert picture.series["a rank's"] == ([1, 2, 4], [0.8, 0.4, 0.3])
    assert picture.series["all, over the ranks"] == ([1, 2, 4], [0.8, 0.4, 0.2])


def test_what_was_replayed_is_told_with_the_rates_that_were_found() -> None:
    def population(*rates: float) -> dict[str, Any]:
        return {"rounds": [{"values": {"optimizer.lr": rate}} for rate in rates]}

    others = {"evolved": [population(1.0, 0.1), population(0.01, 0.1)], "drawn": [population(0.5)]}
    runs = [Made(seed, float(seed)) for seed in SEEDS]
    measured = replayed.measure(found(others, schedule=runs), "test/loss")
    assert measured.values == {"schedule": {0: 0.0, 1: 1.0, 2: 2.0}}
    (picture,) = measured.pictures
    assert isinstance(picture, Picture)
    xs, rates = picture.series["evolved"]
    assert [*xs] == [0, 0.5, 0.5, 1] and [*rates] == pytest.approx([0.1] * 4)
    assert picture.series["drawn"] == ([0, 1], pytest.approx([0.5, 0.5]))

"""What `find-lr` says against its own suggestion."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from optbench.search.caveats import caveats
from optbench.search.lr_range import RECOMMENDED, Curve, Ramp

from .program import SMALL, call

RAMP = Ramp(1e-6, 1.0, 100)


def trial(lr: float | None, points: int = 100, ramp: Ramp = RAMP) -> Any:
    lrs = [ramp.lr(step) for step in range(points)]
    return SimpleNamespace(suggestions={RECOMMENDED: lr}, curve=Curve(lrs, [1.0] * points))


def test_seeds_that_agree_in_the_middle_get_none() -> None:
    assert caveats(RAMP, [trial(1e-3), trial(2e-3)]) == []
    assert caveats(RAMP, [trial(None), trial(None)]) == []


@pytest.mark.parametrize(
    ("trials", "said"),
    [
        ([trial(1e-3)], "one seed"),
        ([trial(3e-5, 39), trial(3e-5, 60)], "it rests on 29 points"),
        ([trial(1e-3), trial(None)], "of 2 seeds only 1 suggest"),
        ([trial(1e-4), trial(1e-2)], "differ by a factor of 1e+02"),
        ([trial(1e-6), trial(2e-6)], "the lower end"),
        ([trial(1.0), trial(0.9)], "the upper end"),
    ],
)
def test_what_speaks_against_it_is_said(trials: list[Any], said: str) -> None:
    found = caveats(RAMP, trials)
    assert len(found) == 1
    assert said in found[0]


def test_a_short_test_of_one_seed_says_both(workplace: object) -> None:
    answer = call(f"find-lr {SMALL} --steps 15 --seeds 1 optimizer=sgd")
    assert answer.code == 0
    assert "caution: it rests on " in answer.out
    assert "caution: one seed" in answer.out

"""One optimizer against itself is not called different: scripts/aa.py at a smaller size."""

import math
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from optbench.statistics import compare_all

Draw = Callable[[np.random.Generator, tuple[int, ...]], NDArray[np.float64]]

DRAWS: dict[str, Draw] = {
    "normal": lambda random, shape: random.normal(size=shape),
    "lognormal": lambda random, shape: random.lognormal(size=shape),
    "bimodal": lambda random, shape: random.normal(0, 0.1, shape) - (random.random(shape) < 0.3),
}
each_draw = pytest.mark.parametrize("draw", DRAWS.values(), ids=DRAWS)


def above(rate: float, times: int) -> float:
    """What a share of so many may come to, in four cases of 100,000 more, if the rate is this."""
    return rate + 4 * math.sqrt(rate * (1 - rate) / times)


@each_draw
@pytest.mark.parametrize("seeds", [4, 6, 10])
def test_an_optimizer_is_not_told_from_itself(draw: Draw, seeds: int) -> None:
    pytest.importorskip("scipy")
    called = 0
    for table in draw(np.random.default_rng(seeds), (800, 2, seeds)):
        results = {name: dict(enumerate(row)) for name, row in zip("ab", table, strict=True)}
        verdict = compare_all(results, higher_is_better=True).verdicts[0]
        called += verdict.outcome in ("better", "worse")
    assert called / 800 < above(0.05, 800)
    assert (called > 0) == (seeds >= 6)


@each_draw
def test_a_difference_of_one_deviation_is_found_and_held(draw: Draw) -> None:
    """At 10 pairs: in three cases of four, by an interval that holds it in 95 of 100."""
    random, found, held = np.random.default_rng(0), 0, 0
    sample = draw(random, (2, 100_000))
    shift = float(np.std(sample[0] - sample[1]))
    for table in draw(random, (800, 2, 10)):
        results = {"a": dict(enumerate(table[0] + shift)), "b": dict(enumerate(table[1]))}
        verdict = compare_all(results, higher_is_better=True).verdict("a", "b")
        found += verdict.outcome == "better"
        held += verdict.low <= shift <= verdict.high
    assert found / 800 > 0.72
    assert 1 - held / 800 < above(0.05, 800)


def test_the_best_of_eight_equal_ones_is_no_winner() -> None:
    """Of 28 pairs at 11 seeds one is wrong in most cases, if none knows of the others."""
    random, won, alone = np.random.default_rng(0), 0, 0
    for table in random.normal(size=(150, 8, 11)):
        results = {str(arm): dict(enumerate(row)) for arm, row in enumerate(table)}
        found = compare_all(results, higher_is_better=True)
        won += any(verdict.outcome == "better" for verdict in found.row)
        alone += any(verdict.p <= 0.05 for verdict in found.verdicts)
    assert won / 150 < above(0.05, 150)
    assert alone / 150 > 0.4

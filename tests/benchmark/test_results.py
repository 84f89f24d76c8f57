"""What a benchmark warns of, from numbers alone."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from optbench.benchmark.problems import score_at_end
from optbench.benchmark.results import ArmResult, _unlucky


def arm(scores: list[float | None], number: int = 0) -> ArmResult:
    """An arm of an optimizer `sgd`."""
    own: Any = SimpleNamespace(name="sgd")
    by_seed = dict(enumerate(scores))
    return ArmResult("sgd", own, number, {}, {}, by_seed, {})


@pytest.mark.parametrize(
    ("mode", "chosen", "before", "said"),
    [
        ("max", [0.5, 0.4, 0.5, 0.5, 0.4, 0.5, None], [0.6, 0.6, 0.7, 0.6, 0.6, 0.7, 0.1], 1),
        ("min", [0.5, 0.4, 0.5, 0.5, 0.4, 0.5], [0.6, 0.6, 0.7, 0.6, 0.6, 0.7], 0),
        ("max", [0.5, 0.4, 0.5, 0.5, 0.4], [0.6, 0.6, 0.7, 0.6, 0.6], 0),  # too few
        ("max", [0.5, 0.8, 0.5, 0.8, 0.4, 0.5], [0.6, 0.6, 0.7, 0.6, 0.6, 0.7], 0),  # no sign
        ("max", [None] * 6, [0.6] * 6, 0),
    ],
)
def test_a_choice_that_fresh_seeds_do_not_bear_is_said(
    mode: str, chosen: list[float | None], before: list[float | None], said: int
) -> None:
    problem: Any = SimpleNamespace(mode=mode)
    lines = _unlucky(problem, [arm(chosen, 3)], [arm(before)])
    assert len(lines) == said
    if lines:
        assert lines[0].startswith("sgd: its defaults do better with fresh seeds than what was cho")
    assert _unlucky(problem, [arm(chosen, 0)], [arm(before)]) == []


@pytest.mark.parametrize(
    ("value", "score"),
    [(1e149, 1e149), (1e200, None), (-1e200, None), (float("nan"), None), (None, None)],
)
def test_what_is_too_large_is_no_score(value: float | None, score: float | None) -> None:
    result: Any = SimpleNamespace(
        metrics={} if value is None else {"val/loss": value}, state="finished"
    )
    assert score_at_end(result, "val/loss") == score

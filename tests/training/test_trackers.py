"""optbench.training.trackers"""

from __future__ import annotations

import math

import pytest

from optbench.training.position import Progress
from optbench.training.trackers import BestTracker, TargetTracker

TAG = "val/loss"


def improvements(best: BestTracker, values: list[float]) -> list[bool]:
    return [best.update({TAG: value}, step) for step, value in enumerate(values, start=1)]


@pytest.mark.parametrize(
    ("mode", "values", "expected"),
    [
        ("min", [3.0, 2.0, 2.0, 1.0], [True, True, False, True]),
        ("max", [3.0, 2.0, 3.0, 4.0], [True, False, False, True]),
    ],
)
def test_what_is_better(mode: str, values: list[float], expected: list[bool]) -> None:
    best = BestTracker(TAG, mode)
    assert improvements(best, values) == expected
    assert (best.value, best.step, best.since) == (values[-1], 4, 0)


def test_better_by_more_than_the_least_improvement() -> None:
    best = BestTracker(TAG, "min", min_delta=0.5)
    assert improvements(best, [3.0, 2.5, 2.25]) == [True, False, True]


@pytest.mark.parametrize("mode", ["min", "max"])
def test_nan_is_never_best_but_counts_as_a_try(mode: str) -> None:
    best = BestTracker(TAG, mode)
    assert improvements(best, [math.nan, 1.0, math.nan]) == [False, True, False]
    assert (best.value, best.step, best.since) == (1.0, 2, 1)


def test_other_metrics_are_no_tries() -> None:
    best = BestTracker(TAG)
    best.update({TAG: 1.0}, 1)
    assert not best.update({"val/accuracy": 0.0}, 2)
    assert best.since == 0


def test_without_a_metric_nothing_is_best() -> None:
    best = BestTracker(None)
    assert not best.update({TAG: 1.0}, 1)
    assert best.value is None


def test_states_go_on() -> None:
    best, again = BestTracker(TAG), BestTracker(TAG)
    improvements(best, [3.0, 4.0, 5.0])
    again.load_state_dict(best.state_dict())
    assert again == best
    progress, later = Progress(step=3, epoch=1, index=2, skipped=4, evaluated=3), Progress()
    later.load_state_dict(progress.state_dict())
    assert later == progress


@pytest.mark.parametrize(
    ("mode", "values", "step"),
    [("max", [0.1, 0.5, 0.4, 0.9], 20), ("min", [0.9, 0.6, 0.5, 0.1], 30), ("min", [0.9], None)],
)
def test_a_target_is_reached_once(mode: str, values: list[float], step: int | None) -> None:
    target = TargetTracker("val/accuracy", 0.5, mode)
    for number, value in enumerate(values, start=1):
        target.update({"val/loss": 0.0}, Progress(step=10 * number))
        now = Progress(step=10 * number, seconds=float(number), examples=number, thirds=6 * number)
        target.update({"val/accuracy": value}, now)
    assert target.step == step
    assert target.seconds == (None if step is None else step / 10)
    assert target.examples == target.seconds
    assert target.passes == (None if step is None else step / 5)
    again = TargetTracker("val/accuracy", 0.5, mode)
    again.load_state_dict(target.state_dict())
    assert again == target
    if step is not None:  # as a checkpoint of an older version has it
        state = target.state_dict()
        del state["examples"], state["passes"]
        again.load_state_dict(state)
        assert (again.step, again.seconds) == (step, step / 10)
        assert (again.examples, again.passes) == (None, None)
        with pytest.raises(ValueError, match="reached"):
            again.load_state_dict({**state, "passes": "many"})


def test_what_asks_for_nothing_is_never_reached() -> None:
    target = TargetTracker()
    target.update({"val/accuracy": 1.0}, Progress(step=1))
    assert target.step is None


def test_what_was_best_of_another_metric_is_forgotten() -> None:
    best = BestTracker(TAG)
    improvements(best, [3.0, 4.0])
    for other in (BestTracker("val/accuracy"), BestTracker(TAG, "max")):
        other.load_state_dict(best.state_dict())
        assert (other.value, other.step, other.since) == (None, 0, 0)


def test_a_target_that_was_changed_is_reached_anew() -> None:
    reached = TargetTracker(TAG, 3.0)
    reached.update({TAG: 2.0}, Progress(step=5))
    same, harder = TargetTracker(TAG, 3.0), TargetTracker(TAG, 1.0)
    for each in (same, harder):
        each.load_state_dict(reached.state_dict())
    assert (same.step, harder.step) == (5, None)

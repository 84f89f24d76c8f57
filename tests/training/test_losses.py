"""optbench.training.losses: over which examples the reported loss is a mean."""

from __future__ import annotations

import pytest

from optbench.training.losses import Sum, TrainingLoss


def mean(found: Sum) -> float:
    return found[0] / found[1]


def after(*steps: tuple[float, int], full_batch: int = 10) -> TrainingLoss:
    losses = TrainingLoss(full_batch)
    for value, examples in steps:
        losses.add(value, examples, 0)
    return losses


def test_the_mean_is_over_examples_since_the_last_report() -> None:
    losses = after((1.0, 10), (4.0, 10), (7.0, 5))
    assert losses.report() == (85.0, 25)
    losses.add(3.0, 10, 0)
    assert mean(losses.report()) == 3.0


def test_without_a_step_there_is_nothing_to_report() -> None:
    losses = after((1.0, 10))
    losses.report()
    assert losses.report() == (0.0, 0)
    assert after().report() == (0.0, 0)


@pytest.mark.parametrize(
    ("before", "since", "expected"),
    [
        ([(1.0, 10)], [(5.0, 3)], (25.0, 13)),
        ([(9.0, 10), (1.0, 6)], [(5.0, 3)], (111.0, 19)),
        ([(9.0, 10), (2.0, 4), (1.0, 4)], [(5.0, 3)], (27.0, 11)),
        ([(1.0, 10)], [(5.0, 3), (6.0, 7)], (57.0, 10)),
        ([], [(5.0, 3)], (15.0, 3)),
    ],
)
def test_less_than_a_full_batch_reaches_back(
    before: list[tuple[float, int]], since: list[tuple[float, int]], expected: Sum
) -> None:
    """Over as few steps as hold one; what was reported before counts again."""
    losses = after(*before)
    losses.report()
    for value, examples in since:
        losses.add(value, examples, 0)
    assert losses.report() == expected


def test_an_epoch_is_complete_when_the_data_was_passed_over() -> None:
    losses = TrainingLoss(10)
    losses.add(4.0, 10, 0)
    assert mean(losses.last_epoch(0)) == 4.0
    losses.add(1.0, 5, 0)
    assert losses.last_epoch(1) == (45.0, 15)
    losses.add(9.0, 10, 1)
    assert losses.last_epoch(1) == (45.0, 15)
    losses.add(8.0, 5, 1)
    assert losses.last_epoch(2) == (130.0, 15)


def test_a_report_leaves_the_epoch_alone() -> None:
    losses = after((4.0, 10), (1.0, 10))
    losses.report()
    assert mean(losses.last_epoch(1)) == 2.5


@pytest.mark.parametrize("steps", range(6))
def test_a_state_goes_on(steps: int) -> None:
    whole, first, again = TrainingLoss(10), TrainingLoss(10), TrainingLoss(10)
    given = [(float(n), 10 if n % 3 else 4, n // 3) for n in range(1, 7)]
    for number, step in enumerate(given):
        target = first if number < steps else again
        if number == steps:
            again.load_state_dict(first.state_dict())
        for losses in (whole, target):
            losses.add(*step)
            if number % 2:
                losses.report()
    assert again.state_dict() == whole.state_dict()
    assert again.report() == whole.report()
    assert again.last_epoch(2) == whole.last_epoch(2)

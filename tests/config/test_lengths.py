"""Lengths of time: steps, epochs or a part of the run."""

from typing import Any

import pytest

from optbench.config.lengths import Length

WRITTEN: list[tuple[Any, Length]] = [
    (0, Length(0, "steps")),
    (100, Length(100, "steps")),
    (100.0, Length(100, "steps")),
    (1e3, Length(1000, "steps")),
    ("100", Length(100, "steps")),
    ("100 steps", Length(100, "steps")),
    ("1step", Length(1, "steps")),
    ("5ep", Length(5, "epochs")),
    (" 1 epoch ", Length(1, "epochs")),
    ("2epochs", Length(2, "epochs")),
    ("0.5ep", Length(0.5, "epochs")),
    ("10%", Length(0.1, "run")),
    ("2.5 %", Length(0.025, "run")),
    ("100%", Length(1, "run")),
    (0.1, Length(0.1, "run")),
    ("0.1", Length(0.1, "run")),
]
NO_LENGTHS = [
    -1,
    "-1",
    1.5,
    "1.5",
    float("nan"),
    float("inf"),
    True,
    False,
    None,
    "",
    "abc",
    "1epo",
    "ep",
    "101%",
    "1e3",
    "1 2",
    [1],
    {},
]


@pytest.mark.parametrize(("written", "meant"), WRITTEN)
def test_a_length_is_read(written: Any, meant: Length) -> None:
    assert Length.parse(written) == meant


@pytest.mark.parametrize("written", NO_LENGTHS)
def test_what_is_no_length_is_refused(written: Any) -> None:
    with pytest.raises(ValueError):
        Length.parse(written)


def test_a_length_is_read_as_itself() -> None:
    length = Length(3, "epochs")
    assert Length.parse(length) is length


@pytest.mark.parametrize(
    ("written", "steps"),
    [(0, 0), ("0ep", 0), ("0%", 0), (7, 7), ("2ep", 42), ("0.5ep", 10), ("10%", 50), ("100%", 500)],
)
def test_lengths_in_steps(written: Any, steps: int) -> None:
    assert Length.parse(written).steps(steps_per_epoch=21, total_steps=500) == steps


@pytest.mark.parametrize("written", ["0.001ep", "0.01%"])
def test_a_length_that_is_not_zero_is_at_least_one_step(written: str) -> None:
    assert Length.parse(written).steps(steps_per_epoch=10, total_steps=100) == 1

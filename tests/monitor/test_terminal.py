"""optbench.monitor.terminal"""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from optbench.monitor import terminal
from optbench.monitor.record import Record
from optbench.monitor.terminal import Terminal


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now = 100.0

    def perf_counter(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(terminal, "time", made)
    return made


def record(kind: str, step: int = 30, **values: float) -> Record:
    return Record(kind, step, 1.5, 0, 0.0, {tag.replace("__", "/"): v for tag, v in values.items()})


TRAIN = {"train__loss": 0.5, "lr__model": 0.001, "throughput__examples_per_second": 12345.6}
NORMS = {"grad_norm__total": 2.0, "update_ratio__total": 0.01}


def test_a_line_every_so_often(clock: Clock) -> None:
    said: list[str] = []
    shown = Terminal(total=100, done=0, say=said.append, console=None)
    shown.write(record("train", **TRAIN))
    shown.write(record("monitor", **NORMS))
    shown.tick(1)
    assert said == []
    clock.now += 10
    shown.tick(20)
    shown.tick(21)
    assert said == ["step 20/100  loss 0.5  grad 2  update 0.01  lr 0.001  12,346 ex/s  40 s left"]
    clock.now += 10
    shown.tick(40)
    assert len(said) == 2


def test_the_time_left_counts_the_steps_of_this_part_only(clock: Clock) -> None:
    said: list[str] = []
    shown = Terminal(total=100, done=80, say=said.append, console=None)
    clock.now += 10
    shown.tick(90)
    assert said[0].endswith("10 s left")


def test_scores_have_lines_of_their_own(clock: Clock) -> None:
    said: list[str] = []
    shown = Terminal(total=100, done=0, say=said.append, console=None)
    shown.write(record("train", **TRAIN))
    shown.write(record("val", val__loss=0.25, val__accuracy=0.75))
    shown.write(record("test", test__accuracy=0.7))
    shown.tick(31)
    assert said == [
        "step 30  epoch 1.5  train/loss 0.5000  val/loss 0.2500  val/accuracy 0.7500",
        "step 30  epoch 1.5  test/accuracy 0.7000",
    ]


def said_of(decided: dict[int, list[str]], steps: int) -> list[str]:
    """The lines of a run of a thousand steps, evaluated at each, up to one."""
    said: list[str] = []
    shown = Terminal(total=1000, done=0, say=said.append, console=None, evaluate=1)
    for step in range(1, steps + 1):
        shown.write(record("val", step, val__loss=0.5))
        for what in decided.get(step, []):
            shown.decided(what)
        shown.tick(step)
    return said


def test_scores_that_decide_something_are_always_said() -> None:
    assert said_of({2: ["lr 0.001 from here", "best"], 4: ["stops here"]}, 5) == [
        "step 2  epoch 1.5  val/loss 0.5000  lr 0.001 from here  best",
        "step 4  epoch 1.5  val/loss 0.5000  stops here",
    ]


def test_a_best_is_said_once_it_stands() -> None:
    assert said_of({step: ["best"] for step in range(1, 31)}, 30) == []
    assert said_of({1: ["best"], 2: ["best"], 5: ["best"]}, 7) == [
        "step 2  epoch 1.5  val/loss 0.5000  best",
        "step 5  epoch 1.5  val/loss 0.5000  best",
    ]


def test_a_line_has_eighty_columns(clock: Clock) -> None:
    said: list[str] = []
    shown = Terminal(total=1_000_000, done=0, say=said.append, console=None)
    lrs = {f"lr__player_{n}": 0.000123 for n in range(9)}
    shown.write(record("train", **TRAIN, **lrs))
    shown.write(record("monitor", **NORMS))
    clock.now += 10
    shown.tick(123_456)
    assert len(said[0]) <= 80 and "loss 0.5" in said[0] and said[0].endswith(" s left")


def scored(
    total: int, evaluate: int, console: Console | None = None, test: bool = True
) -> list[int]:
    """The steps of the lines with scores that a run says."""
    said: list[str] = []
    shown = Terminal(total, 0, said.append, console, evaluate)
    for step in sorted({*range(evaluate, total + 1, evaluate), total}):
        shown.write(record("val", step, val__loss=0.5))
    if test:
        shown.write(record("test", total, test__loss=0.5))
    shown.close()
    if test:
        assert "test/loss" in said.pop()
    return [int(line.split()[1]) for line in said]


@pytest.mark.parametrize(
    ("total", "evaluate", "steps"),
    [
        (20, 1, [*range(1, 21)]),
        (42, 21, [21, 42]),
        (1000, 1, [*range(50, 1001, 50)]),
        (1003, 1, [*range(51, 1003, 51), 1003]),
        (50, 2, [*range(4, 49, 4), 50]),
    ],
)
@pytest.mark.parametrize("test", [True, False])
def test_as_many_lines_with_scores_as_one_reads(
    total: int, evaluate: int, steps: list[int], test: bool
) -> None:
    assert scored(total, evaluate, test=test) == steps


def test_a_terminal_gets_as_many() -> None:
    console = Console(file=io.StringIO(), force_terminal=True)
    assert scored(1000, 1, console) == scored(1000, 1)


def test_a_bar_in_a_terminal(clock: Clock) -> None:
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=True, width=120, color_system=None)
    shown = Terminal(total=100, done=20, say=lambda line: None, console=console)
    shown.write(record("train", **TRAIN))
    shown.write(record("monitor", **NORMS))
    shown.tick(21)
    assert "loss 0.5" not in screen.getvalue()
    clock.now += 1
    shown.tick(42)
    for word in ("42/100", "loss 0.5", "grad 2", "update 0.01", "12,346 ex/s"):
        assert word in screen.getvalue()
    shown.close()
    shown.close()
    end = len(screen.getvalue())
    clock.now += 1
    shown.write(record("train", **TRAIN))
    assert len(screen.getvalue()) == end

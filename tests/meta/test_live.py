"""What is seen of a meta-training: lines with the time left, or a bar in a terminal."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from optbench.meta import live
from optbench.meta.live import Live, duration
from optbench.meta.trainer import MetaStep
from optbench.runs.log import Log


def step(number: int) -> MetaStep:
    return MetaStep(number, -float(number), 1.0, 1e-3)


def test_elsewhere_than_in_a_terminal_it_says_lines(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "LINE_SECONDS", 0.0)
    shown = Live(Log(), 3, 1)
    for number in (2, 3):
        shown.show(step(number))
    shown.close()
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].startswith("meta-step 2/3  meta-loss -2.0000  0 s left")
    assert lines[1].startswith("meta-step 3/3  meta-loss -2.5000")


def test_lines_are_rare_but_the_last_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    shown = Live(Log(), 50, 0)
    for number in range(1, 51):
        shown.show(step(number))
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_a_terminal_has_a_bar_that_goes_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "REDRAW_SECONDS", 0.0)
    log, file = Log(), io.StringIO()
    log.__dict__["console"] = Console(file=file, force_terminal=True, width=80)
    shown = Live(log, 4, 0)
    shown.show(step(3))
    shown.close()
    assert "meta-step 3/4" in file.getvalue() and "meta-loss -3.0000" in file.getvalue()


@pytest.mark.parametrize(("seconds", "said"), [(40, "40 s"), (700, "12 min"), (12_600, "3.5 h")])
def test_a_duration_in_words(seconds: float, said: str) -> None:
    assert duration(seconds) == said

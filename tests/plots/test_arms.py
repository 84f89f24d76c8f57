"""optbench.plots.arms: pictures of arms, for papers."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from optbench.errors import UserError
from optbench.plots import arms as drawn
from optbench.plots.arms import ArmScores, Line, draw_lines, draw_scores, draw_shares

pytest.importorskip("matplotlib")

NAME = "adam $\\alpha$ <b>"
ARMS = [
    ArmScores(NAME, [0.91, 0.92, 0.93]),
    ArmScores("sgd", [0.90, 0.89], failed=2, lead=(0.03, 0.01, 0.05)),
    ArmScores("lost", [], failed=3),
]


@pytest.fixture
def figures(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The figures that were written."""
    found: list[Any] = []
    real: Callable[..., None] = drawn.write

    def write(figure: Any, path: Any, title: str) -> None:
        found.append(figure)
        real(figure, path, title)

    monkeypatch.setattr(drawn, "write", write)
    return found


def scores(path: Path) -> None:
    draw_scores(path, ARMS, less=False, label="test/accuracy", lead="ahead by", title="digits")


@pytest.mark.parametrize(
    ("ending", "start"), [("png", b"\x89PNG"), ("pdf", b"%PDF"), ("svg", b"<?xml"), ("SVG", b"<?")]
)
def test_the_ending_says_the_format(ending: str, start: bytes, tmp_path: Path) -> None:
    path = tmp_path / "new" / f"a.{ending}"
    scores(path)
    assert path.read_bytes().startswith(start)


def test_names_are_text_not_formulas(tmp_path: Path) -> None:
    scores(tmp_path / "a.svg")
    text = (tmp_path / "a.svg").read_text(encoding="utf-8")
    assert "adam $\\alpha$ &lt;b&gt;" in text and "sgd (2 failed)" in text and "lost (3 f" in text


def test_scores_leads_and_means_are_where_they_belong(tmp_path: Path, figures: list[Any]) -> None:
    scores(tmp_path / "a.png")
    left, right = figures[0].axes
    dots = [sorted(x for x, _ in each.get_offsets()) for each in left.collections]
    assert dots == [[0.91, 0.92, 0.93], [0.89, 0.90], []]
    means = [line.get_xdata()[0] for line in left.lines]
    assert means == pytest.approx([0.92, 0.895])
    interval, middle = right.lines[0], right.lines[1]
    assert list(interval.get_xdata()) == [0.01, 0.05] and list(middle.get_ydata()) == [1]
    bottom, top = left.get_ylim()
    assert bottom > top  # the best above


def test_a_score_far_off_is_said(tmp_path: Path) -> None:
    far = [ArmScores("a", [1.0, 1.1, 1.2]), ArmScores("b", [1.3, 1e9], lead=(1.0, 0.0, 2.0))]
    draw_scores(tmp_path / "a.svg", far, less=True, label="val/loss", lead="x")
    assert "1 far off" in (tmp_path / "a.svg").read_text(encoding="utf-8")


def test_curves_have_bands_and_gaps(tmp_path: Path, figures: list[Any]) -> None:
    lines = [
        Line("a", [0, 1, 2, 3], [4.0, 3.0, math.nan, 1.0], [3.0] * 4, [5.0] * 4),
        *(Line(f"b{i}", [0, 3], [2.0, 1.0]) for i in range(8)),
    ]
    draw_lines(tmp_path / "a.png", lines, x_label="step", y_label="val/loss", target=1.5)
    (axes,) = figures[0].axes
    assert len(axes.collections) == 1 and len(axes.lines) == 10
    looks = {(line.get_color(), line.get_linestyle()) for line in axes.lines[:9]}
    assert len(looks) == 9
    names = [text.get_text() for text in figures[0].legends[0].get_texts()]
    assert names == [line.name for line in lines]


def test_shares_rise_in_steps(tmp_path: Path, figures: list[Any]) -> None:
    lines = [Line("a", [0, 10, 20], [0.0, 0.5, 1.0], [0.0, 0.2, 0.6], [0.0, 0.8, 1.0])]
    draw_shares(tmp_path / "a.pdf", lines, x_label="steps", y_label="arrived", start=1.0)
    (axes,) = figures[0].axes
    assert axes.lines[0].get_drawstyle() == "steps-post" and axes.get_xlim()[0] == 1.0


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("a.gif", r"a picture ends with \.png, \.pdf, \.svg"),
        ("png", "ends"),
        ("f/a.png", "f: a file, where a folder is meant"),
    ],
)
def test_what_can_not_be_written_is_said(name: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "f").touch()
    with pytest.raises(UserError, match=said):
        scores(tmp_path / name)

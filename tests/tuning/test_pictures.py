"""A study's pictures: what they are given, and that nothing about them is an error."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from optbench.plots.axis import CHOICE, LINEAR, LOG, ONE_MINUS, Axis
from optbench.search.space import read_space
from optbench.tuning import pictures
from optbench.tuning.pictures import axis_of, draw, ranges
from optbench.tuning.plan import StudyPlan
from optbench.tuning.study import Study

pytest.importorskip("optuna")
pytest.importorskip("matplotlib")

LRS = {"optimizer.lr": {"choice": [1e-3, 1e-2, 0.1, 1.0]}}
THREE = {
    "optimizer.lr": {"log": [1e-4, 1.0]},
    "optimizer.momentum": {"one_minus_log": [0.01, 0.5]},
    "model.kind": {"choice": ["a", True, None, [1, 2], 1]},
}


def study(
    folder: Path,
    search: dict[str, Any],
    scores: Callable[[int, int], float],
    trials: int = 4,
    runs: int = 1,
    pruned: tuple[int, ...] = (),
) -> Study:
    space = read_space({"search": search}, "search")
    plan = StudyPlan(
        overrides=[], space=space.as_plain(), named="search", trials=trials, sampler="random",
        pruner="none", runs=[[f"seed={n}"] for n in range(runs)], metric="val/loss", mode="min",
    )  # fmt: skip
    if len(search) == 1:
        plan = StudyPlan(**{**vars(plan), "sampler": "grid"})
    made = Study(folder, plan, space)
    for place in range(trials):
        trial = made.ask()
        for run in range(runs):
            made.tell_run(trial, run, scores(place, run))
        made.tell(trial, pruned=place in pruned)
    return made


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the pictures are drawn of, by their names: arguments in order, then by keyword."""
    found: dict[str, Any] = {}

    def keep(name: str) -> Callable[..., None]:
        def kept(path: Path, *values: Any, **more: Any) -> None:
            assert path.parent.name == "pictures"
            found[name] = (*values, more)

        return kept

    for name in ("slices", "importance", "lr_loss"):
        monkeypatch.setattr(pictures, name, keep(name))
    return found


def test_a_grid_of_learning_rates_has_two_pictures_and_a_line(tmp_path: Path) -> None:
    made = study(tmp_path, LRS, lambda place, run: place + run / 10, runs=3)
    assert draw(made, "runs/st") == "pictures in runs/st/pictures: slices.png, lr.png"
    names = {path.name for path in (tmp_path / "pictures").iterdir()}
    assert names == {"slices.png", "lr.png"}
    assert draw(made, "runs/st").startswith("pictures in ")  # again, over those that are there


def test_the_learning_rate_alone_has_its_sweet_spot(tmp_path: Path, given: dict[str, Any]) -> None:
    draw(study(tmp_path, LRS, lambda place, run: place + run / 10, runs=2), "st")
    axis, rates, more = given["lr_loss"]
    assert (axis.kind, axis.low, axis.high) == (LOG, 1e-3, 1.0)
    assert sorted(rate.lr for rate in rates) == [1e-3, 1e-2, 0.1, 1.0]
    assert [list(rate.scores) for rate in rates] == [[n, n + 0.1] for n in range(4)]
    assert (more["best"], more["less"], more["label"]) == (None, True, "val/loss")


def test_of_several_keys_each_has_its_axis_and_the_best_trials_rate_is_marked(
    tmp_path: Path, given: dict[str, Any]
) -> None:
    made = study(tmp_path, THREE, lambda place, run: abs(place - 5) + 1, trials=12, pruned=(7,))
    draw(made, "st")
    axes, dots, more = given["slices"]
    assert [axis.kind for axis in axes] == [LOG, ONE_MINUS, CHOICE]
    assert axes[2].labels == ["a", "true", "null", "[1, 2]", "1"]
    tried = made.tried()
    for dot, each in zip(dots, tried, strict=True):
        lr, momentum, kind = each.values.values()
        assert dot.at[0] == lr and dot.at[1] == pytest.approx(1 - momentum)
        assert THREE["model.kind"]["choice"][int(dot.at[2])] == kind
        assert dot.pruned == (each.place == 7)
    assert dots[7].score == 3.0  # what its runs came to
    assert (more["best"], more["label"]) == (5, "val/loss")
    assert given["lr_loss"][2]["best"] == tried[5].values["optimizer.lr"]
    (shares, _) = given["importance"]
    assert set(shares) == set(THREE)


def test_a_trial_without_a_score_is_there(tmp_path: Path, given: dict[str, Any]) -> None:
    draw(study(tmp_path, LRS, lambda place, run: math.inf if place == 3 else 1.0), "st")
    assert [dot.score for dot in given["slices"][1]] == [1.0, 1.0, 1.0, math.inf]
    assert math.inf in [rate.scores[0] for rate in given["lr_loss"][1]]


@pytest.mark.parametrize(
    ("given", "axis"),
    [
        ({"int": [1, 4]}, Axis("k", LINEAR, 1, 4, whole=True)),
        ({"log_int": [8, 512]}, Axis("k", LOG, 8, 512, whole=True)),
        ({"uniform": [0, 0.5]}, Axis("k", LINEAR, 0.0, 0.5)),
        ({"choice": [1e-5, 0.1, 10.0, 0.12345]}, Axis("k", CHOICE, labels=[
            "1e-5", "0.1", "10", "0.12345",
        ])),
    ],
)  # fmt: skip
def test_the_axis_of_a_kind(given: dict[str, Any], axis: Axis) -> None:
    assert axis_of("k", read_space({"search": {"k": given}}, "s").keys["k"]) == axis


@pytest.mark.parametrize(("trials", "score"), [(1, 1.0), (3, math.inf)])
def test_too_little_for_a_picture_is_said(trials: int, score: float, tmp_path: Path) -> None:
    made = study(tmp_path, LRS, lambda place, run: score, trials=trials)
    assert draw(made, "st") == "no pictures: too few trials have a score"
    assert not (tmp_path / "pictures").exists()


def test_without_matplotlib_the_line_says_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = study(tmp_path, LRS, lambda place, run: 1.0)
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    said = draw(made, "st")
    assert said.startswith("no pictures: ") and said.endswith("pip install 'optbench[plots]'")
    assert not (tmp_path / "pictures").exists()


def test_whatever_goes_wrong_is_a_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = study(tmp_path, LRS, lambda place, run: 1.0)
    (tmp_path / "pictures").write_text("in the way", encoding="utf-8")
    assert "no pictures: " in draw(made, "st") and "a file, where a folder is meant" in draw(
        made, "st"
    )

    def broken(*values: Any, **more: Any) -> None:
        raise AttributeError("no such\nthing in this matplotlib")

    monkeypatch.setattr(pictures, "slices", broken)
    assert draw(made, "st") == "no pictures: AttributeError: no such thing in this matplotlib"


def test_the_range_test_in_a_studys_folder_is_found(tmp_path: Path, given: dict[str, Any]) -> None:
    made = study(tmp_path, LRS, lambda place, run: 1.0)
    path = tmp_path / "find-lr" / "find-lr.json"
    path.parent.mkdir()
    good = {"smoothed_lr": [1e-3, 1e-2], "smoothed_loss": [2.0, 1.0], "lr": [1e-3]}
    path.write_text(json.dumps({"seeds": {"0": good, "1": good}}), encoding="utf-8")
    assert ranges(tmp_path) == [([1e-3, 1e-2], [2.0, 1.0])] * 2
    draw(made, "st")
    assert given["lr_loss"][2]["ranges"] == ranges(tmp_path)


@pytest.mark.parametrize(
    "text",
    [
        "no JSON",
        "[]",
        "{}",
        '{"seeds": 3}',
        '{"seeds": {"0": null}}',
        '{"seeds": {"0": {"smoothed_lr": [1], "smoothed_loss": ["a"]}}}',
        '{"seeds": {"0": {"smoothed_lr": [1, 2], "smoothed_loss": [1]}}}',
        '{"seeds": {"0": {"smoothed_lr": [1], "smoothed_loss": [NaN]}}}',
    ],
)
def test_of_a_range_test_that_is_none_nothing_is_drawn(text: str, tmp_path: Path) -> None:
    assert ranges(tmp_path) == []
    (tmp_path / "find-lr").mkdir()
    (tmp_path / "find-lr" / "find-lr.json").write_text(text, encoding="utf-8")
    assert ranges(tmp_path) == []

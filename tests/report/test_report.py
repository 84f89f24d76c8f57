"""What a report is made of, without a browser."""

from __future__ import annotations

import builtins
import json
import math
import os
import re
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from comparison.folders import Folders

import optbench
from optbench.comparison.compare import compare_records, compare_workloads
from optbench.errors import UserError
from optbench.files import write_atomically
from optbench.report import workloads
from optbench.report.curves import Curves, bands, single
from optbench.report.gather import gather
from optbench.report.page import MARK, SCRIPTS, page
from optbench.report.searches import nearly_best
from optbench.report.workloads import workloads_below
from optbench.report.write import report

from .conftest import EVIL, measured

scipy = pytest.importorskip("scipy")


@pytest.fixture(scope="module")
def gathered(runs: Path) -> dict[str, Any]:
    return gather(runs)


def test_the_numbers_are_those_of_compare(runs: Path, gathered: dict[str, Any]) -> None:
    (workload,) = gathered["page"]["workloads"]
    found = compare_workloads(runs)
    compared = found.workloads[0].compared
    assert [arm["name"] for arm in workload["arms"]] == [arm.name for arm in compared.arms]
    for arm, row in zip(compared.arms, workload["arms"], strict=True):
        if arm.name != compared.best:
            verdict = compared.comparison.verdict(str(compared.best), arm.name)
            said = [row["lead"][key] for key in ("difference", "low", "high")]
            assert said == pytest.approx([verdict.difference, verdict.low, verdict.high], rel=1e-7)
    assert workload["sentences"] == list(compared.sentences)
    assert workload["warnings"] == list(compared.warnings)
    assert gathered["page"]["warnings"] == list(found.warnings)
    assert any("still running" in line or "killed" in line for line in found.warnings)


def test_every_run_has_its_row_those_too_that_do_not_count(gathered: dict[str, Any]) -> None:
    rows = {row["id"]: row for row in gathered["page"]["runs"]}
    assert len(rows) == 23
    assert rows["going"]["a"] == -1 and rows["going"]["problem"]
    assert rows["broken"]["state"] == "diverged" and rows["broken"]["score"] is None
    assert rows["sgd-3"]["command"] == "optbench train optimizer=sgd seed=3"
    assert rows["sgd-3"]["begun"] == "optbench train -m seed=0"
    assert rows["lion-6"]["name"] == EVIL


def test_settings_are_found_again(runs: Path, gathered: dict[str, Any]) -> None:
    usual, own = gathered["configs"]["usual"], gathered["configs"]["own"]
    for row, departing in zip(gathered["page"]["runs"], own, strict=True):
        settings = {k: v for k, v in {**usual, **departing}.items() if v is not None}
        run = optbench.open_run(runs / row["id"])
        assert settings["seed"] == str(run.config["seed"])
        assert settings["@optimizer"] == run.choices["optimizer"]
        assert settings["optimizer._target_"] == run.config["optimizer"]["_target_"]


def test_a_band_is_over_the_runs_that_go_on() -> None:
    whole = Curves({"seconds": {1: 0.1, 3: 0.3}}, {"val/loss": {1: 3.0, 2: 2.0, 3: 1.0}})
    short = Curves({"seconds": {1: 0.3}}, {"val/loss": {1: 5.0, 2: 4.0}})
    (part,) = bands([whole, short], ["val/loss"])
    found = part["y"]["val/loss"]
    assert part["x"]["step"] == [1, 2, 3] and found["n"] == [2, 2, 1]
    assert found["mean"] == [4, 3, 1] and found["low"] == [3, 2, 1] and found["high"] == [5, 4, 1]
    assert found["sd"][:2] == pytest.approx([math.sqrt(2)] * 2, rel=1e-3) and found["sd"][2] is None
    assert part["x"]["seconds"] == [0.2, 0.2, 0.3]


def test_curves_are_thinned_from_end_to_end() -> None:
    values = {step: float(np.sin(step)) for step in range(1, 1001)}
    (part,) = single(Curves({"examples": {s: 64.0 * s for s in values}}, {"a": values}), ["a"], 40)
    steps = part["x"]["step"]
    assert len(steps) == 40 and (steps[0], steps[-1]) == (1, 1000)
    assert part["x"]["examples"] == 64
    assert part["y"]["a"][-1] == pytest.approx(values[1000], rel=1e-3)


@pytest.mark.parametrize(
    ("points", "mode", "absolute", "expected"),
    [
        ([(0.1, 1.0), (1.0, 1.005), (10.0, 2.0)], "min", False, (0.1, 1.0, 0.1)),
        ([(0.1, 0.9), (1.0, 0.5), (10.0, 0.9)], "max", True, (10.0, 10.0, 10.0)),
        ([(0.1, 0.9), (1.0, math.nan), (10.0, 0.95)], "max", True, (10.0, 10.0, 10.0)),
        ([(1e-3, 0.94), (1e-2, 0.95), (0.1, 0.945)], "max", True, (1e-3, 0.1, 1e-2)),
    ],
)
def test_the_widest_range_within_a_hundredth(
    points: list[tuple[float, float]], mode: str, absolute: bool, expected: tuple[float, ...]
) -> None:
    assert nearly_best(points, mode, absolute) == expected


def test_learning_rates_by_optimizer(tmp_path: Path) -> None:
    folders = Folders(tmp_path)
    for place, lr in enumerate((0.01, 0.1, 1.0)):
        for optimizer in ("sgd", "adam"):
            for seed in range(2):
                name = f"{optimizer}-{place}-{seed}"
                score = None if lr == 1.0 else 0.9 + 0.005 * place + seed / 1000
                state = "diverged" if lr == 1.0 else "finished"
                how = {"settings": {"optimizer.lr": lr}, "state": state}
                folders.write(name, optimizer, seed, score, **how)
    (workload,) = gather(tmp_path)["page"]["workloads"]
    first, second = workload["lr"]
    assert {first["kind"], second["kind"]} == {"sgd", "adam"}
    assert (first["low"], first["high"]) == (0.01, 0.1)
    assert first["points"][2] == [1, None, None, None, 0, 2]


def test_the_trials_of_a_study(tmp_path: Path) -> None:
    folders = Folders(tmp_path / "study")
    for place, score in enumerate((0.7, 0.9, 0.8)):
        lr = {"optimizer.lr": 0.1 * (place + 1)}
        folders.write(f"{place}", "sgd", 0, score, settings=lr)
    (tmp_path / "study" / "study.yaml").write_text(
        "sampler: random\nspace: {search: {optimizer.lr: 1}}\n", encoding="utf-8"
    )
    found = gather(tmp_path)["page"]
    (trials,) = found["workloads"][0]["trials"]
    assert trials["expected"] == [0.8, 0.8667, 0.9] and trials["n"] == [1, 2, 3]
    assert all(row["trial"] for row in found["runs"])


def test_several_workloads(tmp_path: Path) -> None:
    folders = Folders(tmp_path)
    for dataset in ("digits", "mnist"):
        for optimizer in ("sgd", "adam"):
            for seed in range(6):
                score = 0.9 + seed / 1000 + 0.01 * (optimizer == "adam")
                how = {"dataset._target_": f"optbench.data.{dataset}"}
                folders.write(f"{dataset}-{optimizer}-{seed}", optimizer, seed, score, settings=how)
    found = gather(tmp_path)["page"]
    assert len(found["workloads"]) == 2 and all(w["arms"] for w in found["workloads"])
    assert found["across"]["arms"][0]["name"] == "adam"
    assert {row["w"] for row in found["runs"]} == {0, 1}


def test_one_workload_that_no_run_finished_does_not_hide_another(tmp_path: Path) -> None:
    folders = Folders(tmp_path)
    other = {"dataset._target_": "optbench.data.mnist"}
    for seed in range(2):
        for optimizer in ("sgd", "adam"):
            folders.write(f"a-{optimizer}-{seed}", optimizer, seed, 0.9)
            final = {"test/accuracy": math.nan}
            name = f"b-{optimizer}-{seed}"
            folders.write(name, optimizer, seed, None, settings=other, final=final)
    found = gather(tmp_path)["page"]["workloads"]
    assert [bool(workload["arms"]) for workload in found] == [True, False]
    assert "all are NaN or infinite" in found[1]["refused"]


def test_workloads_that_can_not_be_compared_say_why(tmp_path: Path) -> None:
    folders = Folders(tmp_path)
    for place, dataset in enumerate(("digits", "mnist", "cifar")):
        how: dict[str, Any] = {"settings": {"dataset._target_": f"optbench.data.{dataset}"}}
        how |= {"state": "preempted"} if dataset == "mnist" else {}
        for optimizer in ("sgd", "adam"):
            arm = "sgd" if dataset == "cifar" else optimizer
            for seed in range(2):
                name = f"{place}-{optimizer}-{seed}"
                folders.write(name, arm, 2 * (optimizer == "sgd") + seed, 0.9, **how)
    first, *others = gather(tmp_path)["page"]["workloads"]
    assert first["refused"] == "" and len(first["arms"]) == 2
    assert "it was interrupted; optbench resume goes on with it" in others[0]["refused"]
    assert others[1]["refused"] == "its 4 runs are of one arm"


def test_what_failed_is_not_compared_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folders = Folders(tmp_path)
    for place in range(4):
        how: dict[str, Any] = {"settings": {"dataset._target_": f"my.data{place}"}}
        how |= {"state": "diverged", "final": {}} if place == 3 else {}
        for optimizer in ("sgd", "adam"):
            folders.write(f"{place}-{optimizer}", optimizer, 0, 0.9, **how)
    times = []

    def counted(*given: Any) -> Any:
        times.append(1)
        return compare_records(*given)

    monkeypatch.setattr(workloads, "compare_records", counted)
    parts = workloads_below(tmp_path).parts
    assert len(parts) == 4 and "none of 2 runs finished" in parts[3].refused
    assert len(times) == 1


def test_half_written_folders_and_damaged_lines(tmp_path: Path) -> None:
    folders = Folders(tmp_path)
    for optimizer in ("sgd", "adam"):
        measured(folders.write(optimizer, optimizer, 0, 0.9), 0.9)
    with (tmp_path / "sgd" / "metrics.jsonl").open("a", encoding="utf-8") as file:
        file.write('{"step": 421, "val/loss": "NaN"}\nnot json\n{"step": "x"}\n{"ste')
    half = tmp_path / "half"
    half.mkdir()
    (half / "config.yaml").write_text("a: [", encoding="utf-8")
    (half / "status.json").write_text("{", encoding="utf-8")
    found = gather(tmp_path)["page"]
    rows = {row["id"]: row for row in found["runs"]}
    assert rows["half"]["state"] == "unknown" and "not YAML" in rows["half"]["problem"]
    assert any("half" in line for line in found["warnings"])
    json.dumps(found, allow_nan=False)


def test_steps_that_are_one_as_floats() -> None:
    values = {2**53: 1.0, 2**53 + 1: 2.0}
    (part,) = bands([Curves({}, {"val/loss": values})], ["val/loss"])
    assert part["x"]["step"] == list(values)


@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo])
def test_metrics_that_can_not_be_read_are_none(tmp_path: Path, make: Any) -> None:
    folders = Folders(tmp_path)
    for optimizer in ("sgd", "adam"):
        measured(folders.write(optimizer, optimizer, 0, 0.9), 0.9)
    odd = folders.write("odd", "lion", 0, 0.8)
    make(odd / "metrics.jsonl")
    found = gather(tmp_path)
    (line,) = [line for line in found["page"]["warnings"] if "no curves" in line]
    assert str(odd) in line and "where a file is meant" in line
    place = next(row["i"] for row in found["page"]["runs"] if row["id"] == "odd")
    assert found["singles"][0][place] == []
    assert len(found["page"]["workloads"][0]["arms"]) == 3


def test_nothing_of_a_run_ends_a_script_or_asks_a_network(runs: Path) -> None:
    text = page(gather(runs), "var Plotly = '</script><!--';")
    assert text.startswith(MARK)
    assert "<script>window.caught" not in text and "<img src=x" not in text
    assert len(re.findall(r"</script", text)) == len(re.findall(r"<script", text))
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', text)
    assert policy and policy[1].startswith("default-src 'none'; script-src 'sha256-")
    assert "unsafe-eval" not in policy[1] and "script-src 'unsafe" not in policy[1]
    own = text[: text.index('id="page"')] + text[text.index('"use strict"') :]
    assert not re.search(r"(src|href)=[\"']?(https?:)?//", own) and "innerHTML" not in own


def test_the_same_runs_make_the_same_page(runs: Path) -> None:
    assert page(gather(runs), "") == page(gather(runs), "")


def test_the_parts_of_the_program_are_all_there() -> None:
    folder = Path(optbench.__file__).parent / "report" / "static"
    assert {path.stem for path in folder.glob("*.js")} == set(SCRIPTS)


def test_from_python(runs: Path, tmp_path: Path) -> None:
    pytest.importorskip("plotly")
    out = optbench.report(runs, out=tmp_path / "page.html")
    assert out == tmp_path / "page.html" and out.read_text(encoding="utf-8").startswith(MARK)
    assert optbench.report(runs, out=str(out)) == out  # written anew


@pytest.mark.parametrize(
    ("out", "said"),
    [
        ("", "which file? -o report.html"),
        ("folder", "folder: a folder, where a file is meant"),
        ("fold/report.html", "no such folder: fold; did you mean folder?"),
        ("notes.txt", "something else, which is no report"),
        ("-", "-: a page goes into a file: -o report.html"),
        ("page.pdf", "page.pdf: the page is HTML; did you mean page.html?"),
        ("page-0.5", "the page is HTML; did you mean page-0.5.html?"),
        ("a" * 305 + ".html", "a.html: can't be a file: File name too long"),
        ("/proc/page.html", "/proc/page.html: it can't be written: "),
    ],
)
def test_where_it_can_not_be_written(
    runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, out: str, said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    write_atomically(tmp_path / "notes.txt", "mine")
    monkeypatch.setattr(
        import_module("optbench.report.write"), "gather", None
    )  # nothing is read before
    with pytest.raises(UserError, match=re.escape(said)):
        report(runs, out=out)
    assert sorted(os.listdir(tmp_path)) == ["folder", "notes.txt"]
    assert (tmp_path / "notes.txt").read_text(encoding="utf-8") == "mine"


@pytest.mark.parametrize("name", ["keep.html", "a" * 250 + ".html"])
def test_files_beside_a_page_stay_as_they_are(runs: Path, tmp_path: Path, name: str) -> None:
    pytest.importorskip("plotly")
    (tmp_path / "keep.html.tmp").write_text("mine", encoding="utf-8")
    report(runs, out=tmp_path / name)
    assert sorted(os.listdir(tmp_path)) == sorted([name, "keep.html.tmp"])
    assert (tmp_path / "keep.html.tmp").read_text(encoding="utf-8") == "mine"


def test_a_page_that_can_not_be_finished_leaves_nothing(
    runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("plotly")

    def full(*paths: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OSError, match="No space left"):
        report(runs, out=tmp_path / "page.html")
    assert os.listdir(tmp_path) == []


def test_without_plotly(runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *more: Any, **others: Any) -> Any:
        if name.startswith("plotly"):
            raise ImportError(name)
        return real(name, *more, **others)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(UserError, match=r"needs plotly.*pip install 'optbench\[report\]'"):
        report(runs, out=tmp_path / "page.html")


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"mode": "up"}, "mode=up: expected min or max"),
        ({"metric": "test/acuracy"}, "did you mean test/accuracy?"),
        ({"baseline": "adan"}, "baseline=adan: no such arm; did you mean adam?"),
    ],
)
def test_what_is_asked_for_and_is_not_there(runs: Path, asked: Any, said: str) -> None:
    with pytest.raises(UserError, match=re.escape(said)):
        gather(runs, **asked)


def test_no_runs(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no runs below"):
        gather(tmp_path)


def test_nan_everywhere_and_all_failed_are_shown(tmp_path: Path) -> None:
    folders = Folders(tmp_path)
    for optimizer in ("sgd", "adam"):
        folders.write(optimizer, optimizer, 0, None, state="diverged", final={})
    found = gather(tmp_path)["page"]
    assert "none of 2 runs finished" in found["workloads"][0]["refused"]
    assert len(found["runs"]) == 2

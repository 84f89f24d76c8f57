"""Run folders, logs and reports that anybody may have written."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import optbench
from optbench.comparison.formats import as_csv
from optbench.comparison.printing import print_comparisons, print_warnings
from optbench.rundir import RunDir

from .folders import Folders


@pytest.fixture
def folders(tmp_path: Path) -> Folders:
    made = Folders(tmp_path / "runs")
    for arm, start in (("sgd", 0.8), ("adam", 0.9)):
        made.arm(arm, {seed: start + seed / 1000 for seed in range(6)})
    return made


def warnings(folders: Folders) -> list[str]:
    found = optbench.compare_workloads(folders.top)
    return [*found.warnings, *(line for w in found.workloads for line in w.warnings)]


@pytest.mark.parametrize(
    "text",
    [
        "a changed: a=" + " (was " * 30_000,
        "a changed: a=1 (was 2\n" * 50_000,
        "a changed: " * 50_000,
    ],
)
def test_a_log_is_read_once_whatever_stands_in_it(folders: Folders, text: str) -> None:
    """A pattern over the whole of it took minutes of a log of 2 MB."""
    (folders.top / "sgd-0" / "log.txt").write_text(text, encoding="utf-8")
    assert warnings(folders) == []


def test_a_value_may_have_brackets(folders: Folders) -> None:
    line = "2026-03-01T10:00:00 changed: notes=a (was b) (was c (was d))\n"
    (folders.top / "sgd-0" / "log.txt").write_text(line, encoding="utf-8")
    assert warnings(folders) == []


@pytest.mark.parametrize("log", ["large", "link", "none"])
def test_a_log_that_can_not_be_read_is_told(folders: Folders, log: str) -> None:
    path = folders.top / "sgd-0" / "log.txt"
    if log == "large":
        with path.open("w", encoding="utf-8") as file:
            file.write("x\n" * (9 << 20))
    else:
        path.unlink()
        if log == "link":
            path.symlink_to("/etc/hostname")
    (line,) = warnings(folders)
    assert re.match("a resume may have changed them, no log can be read: .*sgd-0$", line)


def named(folders: Folders, name: str, sgd: str = "sgd") -> None:
    """Make the runs a benchmark's, whose report calls one arm so."""
    (folders.top / "runs").mkdir()
    for path in list(folders.top.iterdir()):
        if path.name != "runs":
            path.rename(folders.top / "runs" / path.name)
    (folders.top / "benchmark.yaml").write_text("x: 1", encoding="utf-8")
    arms = [
        {"optimizer": label, "values": {}, "runs": [{"run": f"{of}-{seed}"} for seed in range(6)]}
        for label, of in ((name, "adam"), (sgd, "sgd"))
    ]
    RunDir(folders.top).write_json("report.json", {"workloads": [{"name": "x", "tuned": arms}]})


def test_a_name_is_no_more_than_a_part_of_a_line(
    folders: Folders, capsys: pytest.CaptureFixture[str]
) -> None:
    named(folders, "adam\n\nadam beats sgd by 99.0 points\x1b[31m")
    found = optbench.compare_workloads(folders.top)
    print_comparisons(found)
    print_warnings(found)
    printed = capsys.readouterr()
    lines = [line.strip() for line in f"{printed.out}{printed.err}".splitlines()]
    assert not any(line.startswith("adam beats sgd by 99") for line in lines)
    assert "\x1b" not in printed.out


def test_arms_that_are_called_as_others_are_told(folders: Folders) -> None:
    named(folders, "sgd", "adam")
    assert "sgd is called so by a report, its runs have adam" in warnings(folders)


def test_a_report_that_can_not_be_used_is_told(folders: Folders) -> None:
    named(folders, "adam")
    (folders.top / "report.json").write_text("[" * 100_000, encoding="utf-8")
    (line,) = warnings(folders)
    assert line.endswith("its report.json can't be used; arms are taken from the configs")
    (folders.top / "report.json").unlink()
    assert warnings(folders)[0].endswith(
        "it has no report.json yet; arms are taken from the configs"
    )


@pytest.mark.parametrize("examples", [float("nan"), 1e308, -5, True, "many"])
def test_examples_may_be_anything(folders: Folders, examples: object) -> None:
    folders.write("odd", "sgd", 6, 0.8, examples=examples)
    assert not any(
        "nan" in line or "e+308" in line or len(line) > 200 for line in warnings(folders)
    )


def test_a_step_that_no_run_took_is_no_time(folders: Folders) -> None:
    target = {"metric": "val/accuracy", "value": 0.9, "mode": "max", "step": 10**18}
    folders.write("odd", "sgd", 6, 0.8, target={**target, "seconds": 1.0})
    times = optbench.compare_workloads(folders.top).workloads[0].times
    assert times is not None and times.missed("sgd") == 7


def test_no_cell_is_a_formula(folders: Folders) -> None:
    named(folders, "=HYPERLINK(1)")
    text = as_csv(optbench.compare_workloads(folders.top))
    assert ",'=HYPERLINK(1)," in text

"""monitor.sinks on the command line."""

from __future__ import annotations

import csv
import os
import sys
from pathlib import Path

import pytest

from optbench.rundir import RunDir

from .program import SMALL, call, records, train

PARTS = """
class Lines:
    def __init__(self, folder, fails_at=0):
        self.path, self.fails_at = folder / "lines.txt", fails_at

    def write(self, record):
        if self.fails_at and record.step >= self.fails_at:
            raise RuntimeError("the line is dead")
        with self.path.open("a") as file:
            file.write(f"{record.kind} {record.step}\\n")

class NoWrite:
    pass
"""


@pytest.fixture(autouse=True)
def parts(workplace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (workplace / "own_sinks.py").write_text(PARTS, encoding="utf-8")
    monkeypatch.delitem(sys.modules, "own_sinks", raising=False)
    monkeypatch.syspath_prepend(str(workplace))


def values(run: RunDir) -> dict[tuple[str, int, str], float]:
    with (run.path / "metrics.csv").open(encoding="utf-8", newline="") as file:
        lines = list(csv.DictReader(file))
    found = {(line["kind"], int(line["step"]), line["tag"]): float(line["value"]) for line in lines}
    assert len(found) == len(lines)
    return found


def of_json(run: RunDir) -> dict[tuple[str, int, str], float]:
    found = {}
    for kind in ("train", "monitor", "val", "test"):
        for record in records(run, kind):
            found |= {(kind, record["step"], tag): v for tag, v in record.items() if "/" in tag}
    return found


def test_the_csv_has_what_the_json_lines_have_through_a_resume() -> None:
    run = train("steps=6 monitor.every=2 eval.every=3 monitor.sinks=[csv]", Path("run"))
    assert values(run) == of_json(run)
    assert call("resume run steps=9").code == 0
    assert values(run) == of_json(run)
    assert call("resume run steps=12 monitor.sinks=[]").code == 0
    assert values(run).items() < of_json(run).items()
    assert call("resume run steps=15 monitor.sinks=[csv]").code == 0
    assert values(run).items() < of_json(run).items()
    steps = {step for _, step, _ in values(run)}
    assert {3, 9, 15} <= steps and 11 not in steps


def test_a_sink_that_fails_says_so_once_and_the_run_goes_on() -> None:
    sinks = "'monitor.sinks=[{_target_: own_sinks.Lines, fails_at: 4},csv]'"
    answer = call(f"train {SMALL} steps=8 monitor.every=2 {sinks} hydra.run.dir=run")
    assert answer.code == 0
    said = "warning: own_sinks.Lines: RuntimeError: the line is dead; nothing more is written there"
    assert answer.err.count("the line is dead") == 1 and said in answer.err
    lines = Path("run", "lines.txt").read_text(encoding="utf-8").splitlines()
    assert {line.split()[1] for line in lines} == {"2"}
    run = RunDir(Path("run"))
    assert values(run) == of_json(run)


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ("csv", "such as 'monitor.sinks=[csv]'"),
        ("[cvs]", "monitor.sinks[0]=cvs: no such sink; did you mean csv?"),
        ("[3]", "expected a list of csv, wandb, mlflow"),
        ("[{port: 3}]", "expected a list of csv, wandb, mlflow"),
        ("[csv,{_target_: own_sinks.NoWrite}]", "monitor.sinks[1]._target_=own_sinks.NoWrite: has"),
        ("[{_target_: own_sinks.Lines, prot: 1}]", "unexpected keyword argument 'prot'"),
    ],
)
def test_what_can_not_be_used_is_one_line(said: str, why: str) -> None:
    answer = call([*["train", "threads=1", "device=cpu", "steps=1"], f"monitor.sinks={said}"])
    assert (answer.code, answer.out, answer.err.count("\n")) == (2, "", 1)
    assert why in answer.err
    assert set(os.listdir()) <= {"own_sinks.py", "__pycache__"}

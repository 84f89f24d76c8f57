"""A branch goes on from an earlier checkpoint as the run did, which stays as it is."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from cli.program import assert_same_bits, call, final_state, left_in, train

import optbench
from optbench.comparison.record import Record
from optbench.rundir import RunDir
from optbench.runs.read import Run
from optbench.training.checkpointer import is_clocked

LINE = "steps=12 eval.every=3 checkpoint.every=3 checkpoint.keep_last=9 optimizer.lr=0.01 ema=0.5"


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> RunDir:
    line = f"{LINE} dataset.val_fraction=0.3 monitor.every=2"
    return train(line, tmp_path_factory.mktemp("branch") / "run")


@pytest.fixture
def run(original: RunDir, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    place = tmp_path / "runs"
    place.mkdir()
    monkeypatch.chdir(place)
    return Run(shutil.copytree(original.path, place / "run"))


def said(run: Run) -> list[dict[str, Any]]:
    """The records without what the clock says."""
    return [
        {k: v for k, v in record.items() if k != "seconds" and not is_clocked(k)}
        for record in run.records()
    ]


def bytes_of(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in left_in(folder) if "." in name}


def test_unchanged_it_ends_as_the_run_did(run: Run) -> None:
    before = bytes_of(run.path)
    branch = optbench.resume(run.path, at=6).run
    assert bytes_of(run.path) == before
    assert branch.path == run.path.with_name("run-step-6") and branch.state == "finished"
    assert said(branch) == said(run)
    assert_same_bits(final_state(RunDir(branch.path)), final_state(RunDir(run.path)))
    assert branch.checkpoints.steps == (6, 9, 12)
    assert "a branch of run at step 6" in (branch.path / "log.txt").read_text(encoding="utf-8")


def test_from_the_best_with_a_change(run: Run) -> None:
    best = run.checkpoints.best
    assert best is not None
    line = f"resume run --at best --to other/place optimizer.lr=0.5 steps={best + 3}"
    answer = call(line)
    assert answer.code == 0, answer.err
    branch = Run(Path("other/place").absolute())
    assert branch.setting("optimizer.lr") == 0.5 and branch.status["step"] == best + 3
    rates = {r["step"]: r["lr/model"] for r in branch.records() if "lr/model" in r}
    assert all(rate == (0.01 if step <= best else 0.5) for step, rate in rates.items())
    assert max(rates) > best and run.setting("optimizer.lr") == 0.01


def test_it_is_resumed_and_read_like_any_run(run: Run) -> None:
    optbench.resume(run.path, at=3, folder="new")
    assert optbench.resume("new", "steps=15").step == 15
    assert {each.path.name for each in optbench.find_runs(".")} == {"run", "new"}
    again = optbench.resume(run.path, at=3, folder="new")
    assert again.run.path.name == "new-2"


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("resume run --at 5", "no checkpoint of step 5; there are 3, 6, 9, 12"),
        ("resume run --at newest", "expected best, last or a step"),
        ("resume run --to x", "from which checkpoint?"),
        ("resume run --at 6 --to run/inner", "inside of the run"),
        ("resume run --at 6 --to a/b/c steps=3", "steps=3: 3 steps, but a/b/c has taken 6"),
        ("resume run --at 6 seed=3", "seed=3: can't change when a run is resumed"),
        ("resume run --at", "--at: it wants a value"),
        ("train --at 6", "--at: with resume only"),
    ],
)
def test_bad_input_leaves_nothing(run: Run, line: str, why: str) -> None:
    before = left_in(Path.cwd())
    answer = call(f"{line} threads=1" if line.startswith("train") else line)
    assert answer.code == 2 and why in answer.err, answer.err
    assert left_in(Path.cwd()) == before


def test_a_damaged_checkpoint_is_not_branched_from(run: Run) -> None:
    state = run.path / "checkpoints" / "step-00000006" / "state.pt"
    state.write_bytes(state.read_bytes()[:-1])
    with pytest.raises(optbench.UserError, match=r"step-00000006: state\.pt has"):
        optbench.resume(run.path, at=6)
    assert [path.name for path in Path.cwd().iterdir()] == ["run"]


def test_a_link_in_a_checkpoint_is_not_followed(run: Run, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("{}", encoding="utf-8")
    (run.path / "samples" / "step-00000003").mkdir(parents=True)
    (run.path / "samples" / "step-00000003" / "a.txt").symlink_to(secret)
    with pytest.raises(optbench.UserError, match="link"):
        optbench.resume(run.path, at=6)
    assert [path.name for path in Path.cwd().iterdir()] == ["run"]


def test_a_branch_of_what_was_changed_tells_of_the_change(run: Run) -> None:
    """It has the config after it, and steps before it; compare would take it for one setting."""
    optbench.resume(run.path, "steps=15", "optimizer.lr=0.5")
    branch = optbench.resume(run.path, at=9).run
    assert "changed: optimizer.lr=0.5 (was 0.01)\n" in RunDir(branch.path).log.read_text("utf-8")
    assert Record.of(branch).changed["optimizer.lr"] == ("0.01", "0.5")

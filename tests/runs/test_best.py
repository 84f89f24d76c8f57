"""The best checkpoint's test scores stand beside the last's."""

from __future__ import annotations

from pathlib import Path

import pytest
from cli.program import assert_same_bits, call, final_state, table_lines, train

from optbench.errors import UserError
from optbench.rundir import RunDir
from optbench.runs import weights
from optbench.runs.read import Run

LINE = "steps=20 eval.every=5 optimizer=sgd optimizer.lr=0.1 model.batch_norm=true"


def of(run: Run, kind: str) -> dict[str, float]:
    """Scores by metric, `test` or `test_best`."""
    final = run.summary["final"]
    pairs = [(tag.split("/", 1), value) for tag, value in final.items() if "/" in tag]
    return {metric: value for (start, metric), value in pairs if start == kind}


@pytest.mark.parametrize(
    "more", ["", "ema=0.5", "optimizer=zoo optimizer.name=schedulefreeadamw optimizer.lr=0.1"]
)
def test_they_are_what_evaluate_says(more: str, tmp_path: Path) -> None:
    if "zoo" in more:
        pytest.importorskip("pytorch_optimizer")
    line = f"{LINE} checkpoint.best=val/loss checkpoint.best_mode=max"  # an early one
    run = Run(train(f"{line} {more}", tmp_path / "run").path)
    assert run.checkpoints.best == 5
    scores = run.evaluate(at="best")
    assert of(run, "test_best") == {m: scores[f"test/{m}"] for m in ("loss", "accuracy")}
    assert of(run, "test_best") != of(run, "test")


def test_of_a_best_last_step_they_are_the_same(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    answer = call(f"train threads=1 device=cpu steps=20 eval.every=20 hydra.run.dir={folder}")
    run = Run(folder)
    assert of(run, "test_best") == of(run, "test") != {}
    assert "test_best" not in answer.out


@pytest.mark.parametrize("more", ["checkpoint=none", "dataset.val_fraction=0", "eval.every=0"])
def test_without_a_best_one_there_are_none(more: str, tmp_path: Path) -> None:
    run = Run(train(f"{LINE.replace('eval.every=5', '')} eval.every=5 {more}", tmp_path / "a").path)
    if more != "eval.every=0":
        assert of(run, "test_best") == {}
    assert of(run, "test") != {}


def test_a_run_made_longer_goes_on_as_if_nobody_had_looked(tmp_path: Path) -> None:
    whole = train(LINE, tmp_path / "whole")
    train(LINE.replace("steps=20", "steps=10"), tmp_path / "short")
    assert call(f"resume {tmp_path / 'short'} steps=20").code == 0
    short = RunDir(tmp_path / "short")
    assert_same_bits(final_state(short), final_state(whole))
    assert of(Run(short.path), "test_best") == of(Run(whole.path), "test_best")


def test_a_sweeps_table_says_which_checkpoint_its_columns_are_of(tmp_path: Path) -> None:
    answer = call(
        f"train -m threads=1 device=cpu model.hidden=[8] {LINE} seed=0,1 "
        f"hydra.sweep.dir={tmp_path / 'sweep'}"
    )
    header, *rows = table_lines(answer.out)[1:]
    assert header.endswith("best val/accuracy  its test/accuracy  last test/accuracy")
    for row in rows:
        final = Run(tmp_path / "sweep" / row.split()[0]).summary["final"]
        said = [f"{final[f'{kind}/accuracy']:#.4g}" for kind in ("test_best", "test")]
        assert row.split()[-2:] == said


ERRORS = [PermissionError(13, "Permission denied", "x"), UserError("torn")]


@pytest.mark.parametrize("error", ERRORS)
def test_a_best_one_that_cannot_be_read_is_told_and_costs_no_run(
    error: Exception, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*arguments: object) -> None:
        raise error

    monkeypatch.setattr(weights, "load_weights", refuse)
    line = f"{LINE} checkpoint.best=val/loss checkpoint.best_mode=max"
    answer = call(f"train threads=1 {line} model.hidden=[8] hydra.run.dir={tmp_path / 'run'}")
    assert answer.code == 0
    assert "warning: no test scores of the best checkpoint: " in answer.err
    run = Run(tmp_path / "run")
    assert run.state == "finished" and of(run, "test_best") == {} != of(run, "test")

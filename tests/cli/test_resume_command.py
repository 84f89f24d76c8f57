"""`optbench resume RUN [overrides]`: nothing left to do, longer runs, changes and refusals."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from optbench.files import load_yaml
from optbench.rundir import RunDir

from .program import SMALL, Answer, assert_same_bits, call, final_state, left_in, records, train

LINE = "epochs=2 monitor.every=10 optimizer.lr=0.01 model.dropout=0.1"


@pytest.fixture(scope="module")
def finished(shared_place: Path) -> RunDir:
    """A run of two epochs that is not to be changed."""
    return train(LINE, shared_place / "finished")


@pytest.fixture
def run(workplace: Path, finished: RunDir) -> RunDir:
    """A copy of it."""
    return RunDir(Path(shutil.copytree(finished.path, workplace / "run")))


def preempted(run: RunDir, step: int = 21) -> RunDir:
    """As if the run had been interrupted after its checkpoint at `step`."""
    for folder in run.checkpoints.iterdir():
        if folder.name != f"step-{step:08d}":
            shutil.rmtree(folder)
    run.write_status("preempted", step)
    return run


def resumed(run: RunDir, overrides: str = "") -> Answer:
    """`optbench resume`, which has to end well."""
    answer = call(f"resume run {overrides}")
    assert answer.code == 0, answer.err
    return answer


def without_clock(run: RunDir, kind: str) -> list[dict[str, float]]:
    clock = ("seconds", "throughput/examples_per_second", "memory/peak_mib")
    return [{k: v for k, v in r.items() if k not in clock} for r in records(run, kind)]


def assert_equal_runs(one: RunDir, other: RunDir) -> None:
    assert_same_bits(final_state(one), final_state(other))
    for kind in ("train", "monitor", "val", "test"):
        assert without_clock(one, kind) == without_clock(other, kind)


def changes(answer: Answer) -> list[str]:
    """The changed keys, as they are announced."""
    said = answer.err.splitlines()
    return [line.partition(": ")[2] for line in said if line.startswith("changed: ")]


def files(run: RunDir) -> dict[str, bytes]:
    return {
        str(path.relative_to(run.path)): path.read_bytes()
        for path in run.path.rglob("*")
        if path.is_file()
    }


@pytest.mark.parametrize("line", ["resume run", "train resume=run", "resume run/", "resume ./run"])
def test_nothing_is_left_of_a_finished_run(run: RunDir, line: str) -> None:
    before = files(run)
    answer = call(line)
    assert answer.code == 0
    assert "run is finished: nothing is left to do" in answer.err
    assert "optbench resume run" in answer.out
    assert files(run) == before


@pytest.mark.parametrize("line", ["checkpoint=none", "optimizer=sgd optimizer.lr=1e30"])
def test_a_run_that_never_had_a_checkpoint(line: str, workplace: Path) -> None:
    call(f"train {SMALL} {line} steps=5 hydra.run.dir=run")
    assert not (workplace / "run" / "checkpoints").exists()
    answer = call("resume run steps=40")
    assert (answer.code, answer.err.count("\n")) == (2, 1)
    assert "no checkpoint was kept; start a new run" in answer.err


def test_a_run_whose_checkpoints_are_gone(run: RunDir) -> None:
    shutil.rmtree(run.checkpoints)
    assert "no checkpoint is there; put checkpoints/ back" in call("resume run steps=60").err


@pytest.mark.parametrize("name", [".", "log.txt", "metrics.jsonl"])
def test_a_folder_that_can_not_be_written_to_is_refused(
    name: str, run: RunDir, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As `os.access` has it, for who runs the tests may write everywhere."""
    preempted(run)
    before = left_in(run.path)
    locked, known = run.path / name, os.access
    monkeypatch.setattr(os, "access", lambda path, mode: path != locked and known(path, mode))
    answer = call("resume run")
    said = f"optbench: {locked}: can't be written to (Permission denied); --at last --to FOLDER"
    assert answer.code == 2 and answer.err.startswith(said) and answer.err.count("\n") == 1
    assert left_in(run.path) == before
    copied = call("resume run --at last --to copy")
    assert copied.code == 0, copied.err


def test_a_change_that_is_refused_is_not_told(run: RunDir) -> None:
    answer = call("resume run steps=10")
    assert answer.code == 2 and "42" in answer.err and changes(answer) == []
    assert changes(call("resume run steps=43")) == ["epochs=null (was 2)", "steps=43 (was null)"]


def test_a_change_of_a_finished_run_that_has_no_effect_is_named(run: RunDir) -> None:
    before = files(run)
    answer = call("resume run optimizer.lr=0.5 clip.norm=1")
    assert answer.code == 0 and files(run) == before
    assert "clip.norm, optimizer.lr: no effect on a run that has ended; epochs=N" in answer.err
    assert "no effect" not in call("resume run optimizer.lr=0.01").err


def test_an_interrupted_run_goes_on_to_the_same_end(run: RunDir, finished: RunDir) -> None:
    answer = resumed(preempted(run))
    assert "resuming digits-mlp-adamw in run" in answer.err
    assert changes(answer) == []
    assert_equal_runs(run, finished)
    assert run.state == "finished"
    assert run.read_json("summary.json")["step"] == 42


def test_a_run_killed_before_its_summary_gets_the_same_one(run: RunDir) -> None:
    before = run.read_json("summary.json")
    (run.path / "summary.json").unlink()
    resumed(preempted(run, 42))
    after = run.read_json("summary.json")
    assert after["final"] == before["final"]
    assert after["peak_memory_mib"] == before["peak_memory_mib"]


def test_the_texts_of_the_part_before_are_in_the_summary(workplace: Path) -> None:
    (workplace / "some.txt").write_text(
        "the quick brown fox jumps over the lazy dog\n" * 40, encoding="utf-8"
    )
    text = "dataset=text dataset.path=some.txt dataset.context=8 model=rnn model.width=4"
    assert call(f"train {text} steps=4 threads=1 device=cpu hydra.run.dir=run").code == 0
    run = RunDir(workplace / "run")
    before = run.read_json("summary.json")
    assert before["samples"]
    resumed(preempted(run, 4))
    assert run.read_json("summary.json")["samples"] == before["samples"]


def test_a_run_that_has_moved_goes_on(run: RunDir, workplace: Path, finished: RunDir) -> None:
    preempted(run)
    moved = RunDir(run.path.rename(workplace / "moved"))
    assert call("resume moved").code == 0
    assert left_in(workplace) == sorted(["moved", *(f"moved/{p}" for p in left_in(moved.path))])
    assert_equal_runs(moved, finished)


def test_a_longer_run_equals_one_that_was_as_long_from_the_start(run: RunDir) -> None:
    answer = resumed(run, "epochs=3")
    assert changes(answer) == ["epochs=3 (was 2)"]
    whole = train(LINE.replace("epochs=2", "epochs=3"), Path("whole").absolute())
    assert_equal_runs(run, whole)
    assert load_yaml(run.config)["epochs"] == 3


def test_no_step_is_in_the_metrics_twice(run: RunDir) -> None:
    resumed(run, "epochs=3")
    resumed(run, "epochs=4")
    for kind, steps in (("val", [21, 42, 63, 84]), ("test", [84])):
        assert [record["step"] for record in records(run, kind)] == steps
    trained = [record["step"] for record in records(run, "train")]
    assert trained == sorted({*range(10, 85, 10), 21, 42, 63, 84})


def test_steps_may_take_the_place_of_epochs(run: RunDir) -> None:
    answer = resumed(run, "steps=50")
    assert {line.partition("=")[0] for line in changes(answer)} == {"epochs", "steps"}
    config = load_yaml(run.config)
    assert (config["steps"], config["epochs"]) == (50, None)
    assert run.read_json("status.json")["step"] == 50


def test_overrides_are_added_to_those_of_the_start(run: RunDir) -> None:
    before = load_yaml(run.overrides)["overrides"]
    resumed(run, "epochs=3 monitor.every=5")
    assert load_yaml(run.overrides)["overrides"] == [*before, "epochs=3", "monitor.every=5"]


def test_what_is_watched_may_change_without_an_effect(run: RunDir, finished: RunDir) -> None:
    preempted(run)
    answer = resumed(run, "monitor.every=7 monitor.per_parameter=false eval.every=5")
    announced = [line.partition(" ")[0].lower() for line in changes(answer)]
    assert announced == ["eval.every=5", "monitor.every=7", "monitor.per_parameter=false"]
    one, other = (final_state(r)["state.pt"]["players"] for r in (run, finished))
    assert_same_bits(one, other)
    assert "grad_norm/head.bias" not in records(run, "monitor")[-1]


def test_settings_of_the_optimizer_may_change_and_hold(run: RunDir) -> None:
    answer = resumed(run, "epochs=3 optimizer.lr=0.5 optimizer.weight_decay=0")
    assert "optimizer.lr=0.5 (was 0.01)" in changes(answer)
    assert records(run, "train")[-1]["lr/model"] == 0.5
    (group,) = final_state(run)["state.pt"]["players"]["model"]["optimizer"]["param_groups"]
    assert (group["lr"], group["weight_decay"]) == (0.5, 0.0)


def test_the_schedule_may_be_another_one(run: RunDir) -> None:
    answer = resumed(run, "epochs=3 schedule=cosine schedule.min_ratio=0.5")
    assert any(line.startswith("schedule.min_ratio=0.5 (was ") for line in changes(answer))
    schedule = load_yaml(run.config)["schedule"]
    assert schedule["_target_"] == "optbench.schedules.cosine.Cosine"
    assert (schedule["min_ratio"], schedule["warmup_steps"]) == (0.5, 0)
    assert records(run, "train")[-1]["lr/model"] == pytest.approx(0.005, abs=1e-4)


def test_the_choice_of_another_schedule_is_written_down(run: RunDir) -> None:
    resumed(run, "epochs=3 schedule=cosine")
    assert load_yaml(run.overrides)["choices"]["schedule"] == "cosine"


def test_checkpoints_may_be_written_otherwise(run: RunDir) -> None:
    resumed(run, "epochs=4 checkpoint=final")
    assert {path.name for path in run.checkpoints.iterdir()} >= {"step-00000084"}
    assert load_yaml(run.config)["checkpoint"]["best"] is None


def test_a_run_without_checkpoints_starts_again_with_a_warning(workplace: Path) -> None:
    """One that failed before it had any; one that was asked to stop is not trained over."""
    run = train("steps=5 monitor.every=1 checkpoint=none", workplace / "run")
    run.write_status("failed", 3)
    answer = resumed(run)
    assert "warning: there is no checkpoint: the run starts from the beginning" in answer.err
    assert [record["step"] for record in records(run, "train")] == [1, 2, 3, 4, 5]


REFUSED: list[tuple[str, list[str]]] = [
    ("model.hidden=[9]", ["model.hidden=[9]", "can't change", "it is [8]"]),
    ("model=logistic", ["model", "can't change"]),
    ("dataset=synthetic", ["dataset", "can't change"]),
    ("dataset.val_fraction=0.2", ["dataset.val_fraction=0.2", "it is 0.1"]),
    ("seed=1", ["seed=1", "can't change", "it is 0"]),
    ("shuffle=once", ["shuffle=once", "can't change", "it is epoch"]),
    ("batch_size=32", ["batch_size=32", "can't change", "it is 64"]),
    ("optimizer=sgd", ["optimizer=sgd: ", "can't change"]),
    ("ema=0.5", ["ema=0.5", "can't change"]),
    ("epochs=3 steps=50", ["epochs=3", "steps=50", "contradiction"]),
    ("epochs=0", ["epochs=0", "at least 1"]),
    ("epochz=3", ["epochz=3", "did you mean epochs?"]),
    ("optimizer.lrr=3", ["optimizer.lrr=3", "did you mean optimizer.lr?"]),
    ("+optimizer.lrr=3", ["optimizer.lrr=3", "did you mean optimizer.lr?"]),
    ("optimizer.lr=abc", ["optimizer.lr=abc", "a number"]),
    ("schedule=cosin", ["schedule=cosin", "did you mean cosine?"]),
    ("device=gpu epochs=3", ["device=gpu", "did you mean cuda?"]),
    ("foo", ["foo", "key=value"]),
]


def assert_refused(run: RunDir, line: str, named: list[str]) -> None:
    before = files(run)
    answer = call(f"resume run {line}")
    assert answer.code == 2
    assert answer.err.startswith("optbench: ")
    assert answer.err.count("\n") == 1
    assert [word for word in named if word not in answer.err] == []
    assert files(run) == before


@pytest.mark.parametrize(("line", "named"), REFUSED)
def test_a_change_that_a_run_can_not_take_is_refused(
    run: RunDir, line: str, named: list[str]
) -> None:
    assert_refused(run, line, named)


def test_the_config_of_a_resumed_run_can_be_looked_at(run: RunDir) -> None:
    before = files(run)
    assert "epochs: 3" in call("resume run epochs=3 --cfg job").out
    assert files(run) == before


def test_the_other_spelling_refuses_the_same(run: RunDir) -> None:
    assert call("train resume=run seed=1") == call("resume run seed=1")

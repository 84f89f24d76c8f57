"""`optbench train -m`: grids of runs in this process."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import optbench.runs.sweep as sweep_module
from optbench.compose.quoting import quoted
from optbench.executors import many
from optbench.files import load_yaml
from optbench.monitor.numerals import significant
from optbench.rundir import RunDir
from optbench.runs.log import Log
from optbench.runs.result import RunResult
from optbench.runs.sweep_table import print_sweep

from .program import SMALL, Answer, assert_same_bits, call, final_state, records, train

GRID = "optimizer=sgd,adamw optimizer.lr=1e-3,1e-2 seed=0,1 steps=6"
MODELS = """
import torch

class Broken(torch.nn.Module):
    def __init__(self, input_shape, num_classes, hidden, **unused):
        super().__init__()
        if hidden == [3]:
            raise RuntimeError("no such layer")
        self.layer = torch.nn.Linear(64, num_classes)

    def forward(self, inputs):
        raise RuntimeError("nothing comes out of this")
"""


def rows(answer: Answer) -> list[list[str]]:
    """The table's rows: a run's number, what varies, state and scores."""
    lines = answer.out.split("\n\n")[0].splitlines()
    head = next(n for n, line in enumerate(lines) if line.startswith("run "))  # below the title
    assert "state" in lines[head].split()
    return [line.split() for line in lines[head + 1 :] if line[:1].isdigit()]  # not what goes on


def runs_of(sweep: Path) -> list[RunDir]:
    """The sweep's runs by number; nothing else is there but its plan."""
    names = {path.name for path in sweep.iterdir()} - {"sweep.yaml"}
    assert names == {str(number) for number in range(len(names))}
    return [RunDir(sweep / str(number)) for number in range(len(names))]


@pytest.fixture(scope="module")
def answer(shared_place: Path) -> Answer:
    return call(f"train -m {SMALL} {GRID}")


@pytest.fixture(scope="module")
def sweep(shared_place: Path, answer: Answer) -> Path:
    """The folder of a sweep of eight runs."""
    (folder,) = (shared_place / "runs" / "sweeps").glob("*/*")
    return folder


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Makes sweep_models.Broken importable."""
    (tmp_path / "sweep_models.py").write_text(MODELS, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    yield


def test_a_grid_has_a_folder_for_each_run(sweep: Path) -> None:
    folders = runs_of(sweep)
    assert len(folders) == 8
    assert {folder.state for folder in folders} == {"finished"}


def test_every_combination_is_run_once_the_last_key_changing_fastest(sweep: Path) -> None:
    found = []
    for folder in runs_of(sweep):
        config = load_yaml(folder.config)
        optimizer = config["optimizer"]
        found.append((optimizer["_target_"][12:], optimizer["lr"], config["seed"]))
    rates, seeds = (1e-3, 1e-2), (0, 1)
    assert found == [(o, lr, s) for o in ("SGD", "AdamW") for lr in rates for s in seeds]


def test_the_table_has_all_runs_the_best_first(answer: Answer, sweep: Path) -> None:
    assert answer.code == 0
    table = rows(answer)
    assert sorted(row[0] for row in table) == [str(number) for number in range(8)]
    best = [row[-3] for row in table]
    assert best == sorted(best, reverse=True)
    for row in table:
        summary = RunDir(sweep / row[0]).read_json("summary.json")
        assert row[-3] == significant(summary["best"]["value"])
        assert row[-2] == significant(summary["final"]["test_best/accuracy"])
        assert row[-1] == significant(summary["final"]["test/accuracy"])


def test_the_sweep_says_how_to_look_at_it_and_to_go_on(answer: Answer, sweep: Path) -> None:
    shown = f"runs/sweeps/{sweep.parent.name}/{sweep.name}"
    assert answer.out.startswith(f"sweep {shown}\n")
    assert answer.out.endswith(f"\n  tensorboard --logdir {shown}\n")  # all runs are done
    assert max(map(len, answer.out.splitlines())) <= 80
    for number in range(1, 9):
        assert f"[{number}/8] optimizer=" in answer.err.replace(f"{SMALL} ", "")


def test_a_run_alone_equals_the_same_run_in_a_sweep(workplace: Path, sweep: Path) -> None:
    alone = train("optimizer=adamw optimizer.lr=1e-2 seed=1 steps=6", workplace / "alone")
    assert_same_bits(final_state(alone), final_state(runs_of(sweep)[7]))
    scores = [records(folder, "val") for folder in (alone, runs_of(sweep)[7])]
    for record in scores[0] + scores[1]:
        record.pop("seconds")
    assert scores[0] == scores[1]


@pytest.mark.parametrize(
    ("grid", "said"),
    [
        ("seed=0,0", "run 1 has the very settings of run 0; each is trained"),
        ("optimizer.lr=0.1,0.10,0.01 seed=0,0", "run 0, and 3 more repeat one; each is trained"),
        ("name=a,b", ""),
    ],
)
def test_runs_that_repeat_another_are_warned_of(grid: str, said: str, workplace: Path) -> None:
    answer = call(f"train -m {SMALL} steps=1 checkpoint=none {grid} hydra.sweep.dir=twice")
    warned = [line for line in answer.err.splitlines() if line.startswith("warning: ")]
    assert answer.code == 0 and len(warned) == bool(said) and said in "".join(warned)


def test_a_finished_sweep_is_not_run_again(sweep: Path) -> None:
    before = [folder.path.joinpath("status.json").stat().st_mtime_ns for folder in runs_of(sweep)]
    answer = call(f"resume {sweep}")
    after = [folder.path.joinpath("status.json").stat().st_mtime_ns for folder in runs_of(sweep)]
    assert answer.code == 0
    assert after == before
    assert len(rows(answer)) == 8
    assert "training" not in answer.err


def test_a_folder_of_ones_own(workplace: Path) -> None:
    assert call(f"train -m {SMALL} seed=0,1 steps=1 hydra.sweep.dir=mine").code == 0
    assert len(runs_of(workplace / "mine")) == 2
    assert [path.name for path in workplace.iterdir()] == ["mine"]


def test_a_resumed_sweep_does_what_is_missing(workplace: Path) -> None:
    call(f"train -m {SMALL} seed=0,1,2 steps=4 hydra.sweep.dir=mine")
    first, second, third = runs_of(workplace / "mine")
    expected = final_state(second)
    shutil.rmtree(second.path)
    third.write_status("preempted", 2)
    before = first.read_json("status.json"), first.metrics.stat().st_mtime_ns
    answer = call("resume mine")
    assert answer.code == 0
    assert (first.read_json("status.json"), first.metrics.stat().st_mtime_ns) == before
    assert_same_bits(final_state(second), expected)
    assert [row[-4] for row in rows(answer)] == ["finished"] * 3


def steps_of(run: RunDir) -> list[tuple[str, int]]:
    """Kind and step of each record."""
    return [(record["kind"], record["step"]) for record in run.read_metrics()]


@pytest.mark.parametrize("at_once", ["off", "2"])
def test_a_run_that_keeps_no_checkpoint_is_begun_anew(workplace: Path, at_once: str) -> None:
    """One that is resumed by itself is not: its records would be lost."""
    many = f"train -m {SMALL} checkpoint=none seed=0,1 steps=4 sweep.population={at_once}"
    call(f"{many} hydra.sweep.dir=mine")
    stopped = runs_of(workplace / "mine")
    before = list(map(steps_of, stopped))
    for run in stopped:
        run.write_status("preempted", 2)
    assert "no checkpoint was kept" in call(f"resume {stopped[0].path}").err
    assert call("resume mine").code == 0
    assert [run.state for run in stopped] == ["finished"] * 2
    assert list(map(steps_of, stopped)) == before


def test_a_run_that_another_process_is_at_is_left_alone(
    workplace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(many, "GRACE_SECONDS", 0.0)
    call(f"train -m {SMALL} seed=0,1 steps=4 hydra.sweep.dir=mine")
    live, stopped = runs_of(workplace / "mine")
    live.write_status("running", 3)
    stopped.write_status("preempted", 2)
    other = Log(quiet=False)
    other.open(live.log)
    before = {path: path.read_bytes() for path in live.path.rglob("*") if path.is_file()}
    answer = call("resume mine")
    assert answer.code == 1
    assert before == {path: path.read_bytes() for path in live.path.rglob("*") if path.is_file()}
    assert "another process is at this run" in answer.err
    assert stopped.state == "finished"
    assert "running elsewhere" in answer.out
    alone = call(f"resume {live.path}")
    assert alone.code == 2
    assert "another process is at this run" in alone.err
    assert before == {path: path.read_bytes() for path in live.path.rglob("*") if path.is_file()}
    other.close()


def test_a_run_that_was_left_in_the_meantime_is_gone_on_with(
    workplace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    call(f"train -m {SMALL} seed=0,1 steps=4 hydra.sweep.dir=mine")
    live, stopped = runs_of(workplace / "mine")
    live.write_status("running", 3)
    stopped.write_status("preempted", 2)
    other = Log(quiet=False)
    other.open(live.log)
    monkeypatch.setattr(sweep_module, "execute", closing(other, sweep_module.execute))
    answer = call("resume mine")
    assert answer.code == 0
    assert [run.state for run in runs_of(workplace / "mine")] == ["finished"] * 2


def closing(other: Log, execute: Callable[..., RunResult]) -> Callable[..., RunResult]:
    """What executes runs, after the other process has ended."""

    def first_closed(*arguments: Any, **more: Any) -> RunResult:
        other.close()
        return execute(*arguments, **more)

    return first_closed


def test_a_run_that_was_killed_before_its_first_checkpoint_starts_anew(workplace: Path) -> None:
    call(f"train -m {SMALL} seed=0 steps=4 monitor.every=1 hydra.sweep.dir=mine")
    (folder,) = runs_of(workplace / "mine")
    shutil.rmtree(folder.checkpoints)
    folder.write_status("running", 0)
    assert call("resume mine").code == 0
    assert [record["step"] for record in records(folder, "train")] == [1, 2, 3, 4]


def test_a_sweep_that_was_stopped_before_any_score(
    workplace: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    folders = [RunDir(workplace / "mine" / str(number)) for number in range(2)]
    stopped = RunResult(folders[0], "preempted", 26, exit_code=130)
    done = RunResult(folders[1], "finished", 26, metrics={"test/accuracy": 0.5})
    print_sweep(workplace / "mine", [(["seed=0"], stopped)], "test/accuracy", ["seed"])
    said = capfd.readouterr().out
    assert "none has been scored yet" in said and "accuracy" not in said
    print_sweep(workplace / "mine", [(["seed=1"], done)], "test/accuracy", ["seed"])
    said = capfd.readouterr().out
    assert "there is no validation" in said and "last test/accuracy" in said


def test_where_its_folder_is(workplace: Path) -> None:
    (workplace / "mine").mkdir()
    answer = call(f"train -m {SMALL} seed=0 steps=1 hydra.sweep.dir=mine")
    assert "mine is there already: this goes to mine-2\n" in answer.err
    answer = call("train hydra.run.dir=its/own -m seed=0,1")
    assert (answer.code, answer.err.count("\n")) == (2, 1)
    assert "hydra.run.dir=its/own: of one run" in answer.err
    assert "hydra.sweep.dir=its/own" in answer.err and not (workplace / "its").exists()


def test_a_sweep_is_resumed_as_it_was_planned(sweep: Path) -> None:
    answer = call(f"resume {sweep} epochs=3")
    assert answer.code == 2
    assert "epochs=3: a sweep is resumed as it was planned" in answer.err


def test_booleans_are_said_as_they_are_typed(workplace: Path) -> None:
    line = (
        "optimizer=sgd optimizer.momentum=0.9 optimizer.nesterov=true,false seed=1 steps=1 "
        "'tags=[\"True\",b]' monitor.tensorboard=False hydra.sweep.dir=mine"
    )
    answer = call(f"train -m {SMALL} {line}")
    assert answer.code == 0, answer.err
    first = answer.err.splitlines()[0]
    assert "optimizer.nesterov=true" in first and "monitor.tensorboard=false" in first
    assert sorted(row[1] for row in rows(answer)) == ["false", "true"]
    run = runs_of(workplace / "mine")[0]
    assert "optimizer.nesterov=true" in run.read_overrides()["overrides"]
    assert load_yaml(run.config)["tags"] == ["True", "b"]
    table = call("runs mine").out
    assert "true" in table and "False" not in table
    answer = call("train -m 'freeze=[true],[false]' seed=1")
    assert "freeze=[true]: not valid" in answer.err


def test_a_run_that_diverges_does_not_stop_the_sweep(workplace: Path) -> None:
    line = "optimizer=sgd optimizer.lr=1e30,1e-2 steps=5 hydra.sweep.dir=mine"
    answer = call(f"train -m {SMALL} {line}")
    diverged, finished = runs_of(workplace / "mine")
    assert (diverged.state, finished.state) == ("diverged", "finished")
    assert [row[0] for row in rows(answer)] == ["1", "0"]
    assert answer.code == 1


def test_a_run_that_fails_does_not_stop_the_sweep(workplace: Path, models: None) -> None:
    line = "model._target_=sweep_models.Broken,optbench.models.mlp.MLP steps=1"
    answer = call(f"train -m {SMALL} {line} hydra.sweep.dir=mine")
    failed, finished = runs_of(workplace / "mine")
    assert (failed.state, finished.state) == ("failed", "finished")
    message = failed.read_json("status.json")["message"]
    assert message.startswith(
        "model._target_=sweep_models.Broken: RuntimeError: nothing comes out of this"
    )
    assert "Traceback" in failed.log.read_text(encoding="utf-8")
    assert f"failed: {message}" in answer.err
    assert [row[0] for row in rows(answer)] == ["1", "0"]
    assert answer.code == 1


def test_a_run_that_does_not_fit_together_does_not_stop_the_sweep(workplace: Path) -> None:
    line = "model=logistic optimizer=muon,sgd steps=1 hydra.sweep.dir=mine"
    answer = call(f"train -m threads=1 device=cpu {line}")
    failed, finished = runs_of(workplace / "mine")
    assert (failed.state, finished.state) == ("failed", "finished")
    assert "no parameter that it can take" in failed.read_json("status.json")["message"]
    assert answer.code == 1


def test_a_sweep_of_which_no_run_fits_together_is_refused(workplace: Path) -> None:
    answer = call("train -m model=gpt,lstm dataset=digits seed=1,2 device=cpu threads=1")
    assert answer.code == 2
    assert answer.err.count("\n") == 1 and "are not sequences of tokens" in answer.err
    assert list(workplace.iterdir()) == []


def test_a_model_that_can_not_be_made_does_not_stop_the_sweep(
    workplace: Path, models: None
) -> None:
    line = "model._target_=sweep_models.Broken,optbench.models.mlp.MLP steps=1 model.hidden=[3]"
    assert call(f"train -m {SMALL} {line} hydra.sweep.dir=mine").code == 1
    failed, finished = runs_of(workplace / "mine")
    assert (failed.state, finished.state) == ("failed", "finished")


def test_fail_fast_stops_at_the_first_failure(workplace: Path, models: None) -> None:
    line = "model._target_=optbench.models.mlp.MLP,sweep_models.Broken seed=0,1 steps=1"
    answer = call(f"train -m {SMALL} {line} sweep.fail_fast=true hydra.sweep.dir=mine")
    states = [folder.state for folder in runs_of(workplace / "mine")]
    assert states == ["finished", "finished", "failed"]
    assert "sweep.fail_fast=true: the sweep stops here" in answer.err
    assert len(rows(answer)) == 3
    assert answer.code == 1


def test_the_exit_code_of_a_resumed_sweep_tells_of_runs_that_diverged(workplace: Path) -> None:
    line = "optimizer=sgd optimizer.lr=1e30,1e-2 steps=5 hydra.sweep.dir=mine"
    assert call(f"train -m {SMALL} {line}").code == call("resume mine").code == 1


@pytest.mark.slow
def test_the_joblib_launcher(workplace: Path) -> None:
    line = "hydra/launcher=joblib hydra.launcher.n_jobs=2 seed=0,1 steps=6 optimizer.lr=1e-2"
    answer = call(f"train -m {SMALL} {line} optimizer=adamw hydra.sweep.dir=mine")
    assert answer.code == 0
    assert [folder.state for folder in runs_of(workplace / "mine")] == ["finished"] * 2
    assert len(rows(answer)) == 2
    alone = train("optimizer=adamw optimizer.lr=1e-2 seed=1 steps=6", workplace / "alone")
    assert_same_bits(final_state(alone), final_state(runs_of(workplace / "mine")[1]))


@pytest.mark.parametrize("name", ["it's", 'a b, "c"=[d]\\', "${x} ü"])
def test_a_launcher_finds_a_folder_whatever_its_name(name: str, workplace: Path) -> None:
    line = "hydra/launcher=joblib hydra.launcher.n_jobs=1 seed=0,1 steps=1 checkpoint=none"
    folder = f"hydra.sweep.dir={quoted(name)}"
    assert call(["train", "-m", *SMALL.split(), *line.split(), folder]).code == 0
    assert [run.state for run in runs_of(workplace / name)] == ["finished"] * 2


def test_settings_of_a_swept_group_are_of_its_runs() -> None:
    line = "train -m optimizer=sgd,heavy_ball optimizer.momentum=0.8 steps=1"
    answer = call(f"{line} {SMALL}")
    assert answer.code == 0, answer.err
    configs = sorted(Path("runs/sweeps").rglob("[01]/config.yaml"))
    assert [load_yaml(config)["optimizer"]["momentum"] for config in configs] == [0.8, 0.8]

"""Runs of a sweep that are trained at once leave what each would have left alone."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

import optbench
from optbench.monitor.record import Recorder
from optbench.rundir import RunDir
from optbench.runs.result import RunResult
from optbench.training.together import traced
from optbench.training.together.loss import StackedLoss
from tests.cli.program import assert_same_bits, call, final_state, left_in
from tests.training.runs import CLOCKED

TRIALS = 1
"""Passes by which a sweep of a number of runs at once is tried."""

SMALL = ["threads=1", "device=cpu", "model.hidden=[8]", "dataset=digits", "steps=30"]
RUN = [*SMALL, "eval.every=10", "checkpoint.every=10", "model.dropout=0.1"]
LINE = " ".join(RUN)


def sweep(folder: Path, *overrides: str, population: object = 4) -> list[RunResult]:
    """A sweep by this process; four of its runs at once, if nothing else is said."""
    return optbench.sweep(*RUN, f"sweep.population={population}", *overrides, folder=folder)


def lines(run: RunDir) -> list[dict[str, Any]]:
    """What was recorded, but for times."""
    return [{k: v for k, v in r.items() if k not in CLOCKED} for r in run.read_metrics()]


def rounded(record: Mapping[str, Any]) -> dict[str, Any]:
    return {
        k: pytest.approx(v, rel=1e-3, abs=1e-6) if isinstance(v, float) else v
        for k, v in record.items()
    }


def environment(run: RunDir) -> dict[str, Any]:
    found = run.read_json("env.json")
    return {key: value for key, value in found.items() if key not in ("command", "pid")}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two sweeps of four seeds: `at_once`, and `alone` one by one."""
    folder = tmp_path_factory.mktemp("together")
    sweep(folder / "at_once", "seed=range(4)")
    sweep(folder / "alone", "seed=range(4)", population="off")
    return folder


def pairs(place: Path) -> list[tuple[RunDir, RunDir]]:
    return [
        (RunDir(place / "at_once" / str(n)), RunDir(place / "alone" / str(n))) for n in range(4)
    ]


def test_a_run_records_what_it_records_alone(place: Path) -> None:
    for run, alone in pairs(place):
        assert lines(run) == [rounded(record) for record in lines(alone)]
        assert lines(run) != lines(alone)  # they are equal to rounding


def test_only_env_json_tells_that_it_was_not_alone(place: Path) -> None:
    for run, alone in pairs(place):
        mine, theirs = environment(run), environment(alone)
        assert mine.pop("population") == 4 and mine == theirs
        files = [
            {name.partition("events")[0] for name in left_in(each.path)} for each in (run, alone)
        ]
        assert files[0] == files[1]
        configs = [each.config.read_text(encoding="utf-8").splitlines() for each in (run, alone)]
        assert [a for a, b in zip(*configs, strict=True) if a != b] == ["  population: 4"]


def test_a_checkpoint_is_an_ordinary_one(place: Path) -> None:
    """Of its own weights alone, and of random generators that stand where its own would."""
    for run, alone in pairs(place):
        states = [final_state(each) for each in (run, alone)]
        assert_same_bits(states[0]["rank-0.pt"]["rng"], states[1]["rank-0.pt"]["rng"])
        players = [state["state.pt"]["players"]["model"] for state in states]
        assert players[0]["module"].keys() == players[1]["module"].keys()
        assert players[0]["optimizer"]["param_groups"] == players[1]["optimizer"]["param_groups"]
        sizes = [
            sum(f.stat().st_size for f in each.checkpoints.rglob("*.pt")) for each in (run, alone)
        ]
        assert sizes[0] == pytest.approx(sizes[1], rel=0.01)


def test_a_run_goes_on_alone(place: Path, tmp_path: Path) -> None:
    shutil.copytree(place / "at_once" / "2", tmp_path / "run")
    result = optbench.resume(tmp_path / "run", "steps=40")
    assert (result.state, result.step) == ("finished", 40)
    assert "population" not in result.folder.read_json("env.json")


class Fails(optbench.Callback):
    """Fails in one run of several."""

    every = 5

    def on_due(self, trainer: Any, step: int) -> None:
        if step == 15 and trainer.feed.seed == 1:
            raise RuntimeError("no more")


def test_what_fails_in_one_run_is_that_runs_alone(place: Path, tmp_path: Path) -> None:
    line = [*RUN, "sweep.population=4", "seed=range(4)"]
    results = optbench.sweep(*line, folder=tmp_path / "s", callbacks=[Fails()])
    assert [each.state for each in results] == ["finished", "failed", "finished", "finished"]
    assert "no more" in results[1].message and results[1].step == 15
    assert "RuntimeError: no more" in (results[1].folder.log).read_text(encoding="utf-8")
    for number in (0, 2, 3):
        whole = RunDir(place / "at_once" / str(number))
        assert lines(results[number].folder) == lines(whole)


class StopsAt(optbench.Callback):
    """Ends one run of several."""

    every = 5

    def on_due(self, trainer: Any, step: int) -> None:
        if step == 15 and trainer.feed.seed == 1:
            trainer.request_stop("enough")


def test_a_callback_ends_one_run(tmp_path: Path) -> None:
    line = [*RUN, "sweep.population=4", "seed=range(3)"]
    results = optbench.sweep(*line, folder=tmp_path / "s", callbacks=[StopsAt()])
    found = [(each.state, each.step, each.message) for each in results]
    assert found == [("finished", 30, ""), ("stopped_early", 15, "enough"), ("finished", 30, "")]
    assert results[0].folder.read_json("env.json")["population"] == 3


def test_where_a_step_can_not_be_taken_at_once_each_goes_on_alone(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ordinary, calls = StackedLoss.gradients, []

    def gradients(self: StackedLoss, batch: Any) -> Any:
        calls.append(1)
        if len(calls) == 13 + TRIALS:
            raise IndexError("this batch is another")
        return ordinary(self, batch)

    monkeypatch.setattr(StackedLoss, "gradients", gradients)
    results = sweep(tmp_path / "s", "seed=range(4)")
    assert [(each.state, each.step) for each in results] == [("finished", 30)] * 4
    for number, result in enumerate(results):
        alone = RunDir(place / "alone" / str(number))
        assert lines(result.folder) == [rounded(record) for record in lines(alone)]


class EachStep(optbench.Callback):
    def on_step_end(self, trainer: Any, step: int) -> None: ...


def test_who_wants_to_be_told_of_each_step_is_told_alone(tmp_path: Path) -> None:
    line = [*RUN, "sweep.population=4", "seed=range(3)"]
    results = optbench.sweep(*line, folder=tmp_path / "s", callbacks=[EachStep()])
    assert "population" not in results[0].folder.read_json("env.json")


def killed_and_resumed(
    folder: Path, monkeypatch: pytest.MonkeyPatch, *overrides: str
) -> list[RunResult]:
    """What a sweep of four comes to that was killed when the first had ended, and no other."""
    cut, remains = folder / "cut", folder / "remains"
    tick = Recorder.tick

    def dying(self: Recorder, now: int) -> None:
        tick(self, now)
        if now == 30 and not remains.exists():
            shutil.copytree(cut, remains)
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Recorder, "tick", dying)
        with pytest.raises(KeyboardInterrupt):
            sweep(cut, "seed=range(4)", *overrides)
            raise KeyboardInterrupt
    return optbench.resume_sweep(remains)


def test_a_sweep_that_was_killed_is_gone_on_with(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At once again, to the bit as if nothing had been; no record twice."""
    results = killed_and_resumed(tmp_path, monkeypatch)
    assert [(each.state, each.step) for each in results] == [("finished", 30)] * 4
    for number, result in enumerate(results):
        whole = RunDir(place / "at_once" / str(number))
        assert lines(result.folder) == lines(whole)
        assert_same_bits(final_state(result.folder), final_state(whole))


def test_a_killed_sweep_goes_on_with_noted_operations(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same, with parameters in two groups, clipped and averaged."""
    graphs = []
    note = traced.Traced._note

    def noting(self: traced.Traced, *arguments: Any) -> Any:
        graphs.append(note(self, *arguments))
        assert graphs[-1] is not self._function
        return graphs[-1]

    monkeypatch.setattr(traced, "OFTEN", 3)
    monkeypatch.setattr(traced.Traced, "_note", noting)
    own = 'optimizer.groups=[{params: "*bias", lr: 0.01}]'
    words = ["model.dropout=0", "model.hidden=[48]", "clip.norm=1", "ema=0.9", own]
    wholes = sweep(tmp_path / "whole", "seed=range(4)", *words)
    results = killed_and_resumed(tmp_path, monkeypatch, *words)
    assert len(graphs) == 3 and len(results) == 4
    for result, whole in zip(results, wholes, strict=True):
        assert lines(result.folder) == lines(whole.folder)
        assert_same_bits(final_state(result.folder), final_state(whole.folder))


def test_a_signal_ends_all_with_a_checkpoint(tmp_path: Path) -> None:
    words = [
        "train",
        "-m",
        *RUN,
        "steps=100000",
        "checkpoint.every=0",
        "monitor.every=50",
        "eval.every=0",
        "sweep.population=4",
        "seed=range(3)",
        "hydra.sweep.dir=s",
    ]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    program = subprocess.Popen(
        [sys.executable, "-m", "optbench", *words],
        cwd=tmp_path,
        env=environment,
        stderr=subprocess.PIPE,
        encoding="utf-8",
    )
    records = RunDir(tmp_path / "s" / "2").metrics
    while not (records.exists() and records.stat().st_size) and program.poll() is None:
        time.sleep(0.05)
    program.send_signal(signal.SIGTERM)
    _, said = program.communicate(timeout=120)
    assert program.returncode == 143, said
    runs = [RunDir(tmp_path / "s" / str(number)) for number in range(3)]
    assert [run.state for run in runs] == ["preempted"] * 3
    steps = {run.read_status()["checkpoint"] for run in runs}
    assert len(steps) == 1 and steps.pop() > 0


def test_the_terminal_tells_what_is_done_at_once(tmp_path: Path) -> None:
    said = call(f"train -m {LINE} sweep.population=4 seed=range(3) hydra.sweep.dir={tmp_path}/s")
    assert said.code == 0
    assert f"training 3 runs at once in {tmp_path}/s: 0 to 2" in said.err
    assert "2: finished at step 30" in said.err
    log = (tmp_path / "s" / "1" / "log.txt").read_text(encoding="utf-8")
    assert "training digits-mlp-adamw in" in log and "finished at step 30" in log

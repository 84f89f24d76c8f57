"""Trials of one shape are trained at once, and a study comes to what it comes to one by one."""

from __future__ import annotations

import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from optbench.rundir import RunDir
from optbench.runs.result import RunResult
from optbench.tuning.at_once import Asking, asking
from optbench.tuning.plan import StudyPlan, read_plan
from optbench.tuning.pruning import Pruning
from optbench.tuning.storage import _opened
from optbench.tuning.study import Study, Trial
from optbench.tuning.trials import TrialJobs
from tests.cli.program import SMALL, Answer, call, left_in
from tests.training.runs import CLOCKED
from tests.tuning.test_study import SPACE, plan

pytest.importorskip("optuna")

LINE = f"tune {SMALL} optimizer=adamw steps=20 eval.every=5 metric=val/loss"
RATES = "search={optimizer.lr: {log: [1e-4, 1e-1]}}"


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def asked_by(population: object, runs: int = 1, **more: Any) -> Asking:
    return asking(plan(runs=runs, base={"sweep": {"population": population}}, **more))


def test_auto_asks_for_many_only_where_no_trial_depends_on_another() -> None:
    for sampler in ("random", "grid", "qmc"):
        assert asked_by("auto", sampler=sampler) == Asking(0, 64)
        assert asked_by("auto", sampler=sampler, pruner="median") == Asking()
    assert asked_by("auto", sampler="tpe") == Asking()
    assert asked_by("auto", sampler="tpe", runs=10) == Asking(1, 10)
    assert asked_by("auto", sampler="tpe", runs=10, pruner="wilcoxon") == Asking()


def test_a_number_asks_for_as_many_trials_as_give_so_many_runs() -> None:
    assert asked_by(8) == Asking(8, 8)
    assert asked_by(8, runs=3) == Asking(2, 6)
    assert asked_by(8, runs=20) == Asking(1, 20)
    assert asked_by("off", sampler="random") == Asking()
    assert asking(plan(sampler="random")) == Asking()  # begun before there was a setting


class Trials:
    """A study whose runs come to nothing but a score, four trials at a time."""

    def __init__(self, folder: Path, given: StudyPlan) -> None:
        folder.mkdir(exist_ok=True)
        _opened.cache_clear()
        self.study = Study(folder, given, SPACE)
        self.jobs = TrialJobs(self.study, lambda own: own, lambda trial: [], 4)  # type: ignore
        self.open: list[Any] = []

    def fill(self, most: int = 100) -> int:
        """Take as many runs as there are; return how many are open."""
        while len(self.open) < most and (job := self.jobs.next()) is not None:
            self.open.append(job)
        return len(self.open)

    def end(self, count: int) -> None:
        for job in self.open[:count]:
            rate = self.study._trials()[job.number].params["optimizer.lr"]
            value = (math.log10(rate) + 2) ** 2
            best = {"metric": "val/loss", "mode": "min", "value": value}
            found = RunResult(job.folder, "finished", 3, metrics={"val/loss": value}, best=best)
            self.jobs.take(job, found)
        self.open = self.open[count:]

    def values(self) -> list[Any]:
        return [dict(trial.params) for trial in self.study._trials()]


def test_the_next_trials_are_asked_for_when_all_before_are_over(tmp_path: Path) -> None:
    trials = Trials(tmp_path / "s", plan(base={"sweep": {"population": 4}}))
    assert trials.fill() == 4
    trials.end(3)
    assert trials.fill() == 1 and trials.study.asked == 4
    trials.end(1)
    assert trials.fill() == 4 and trials.study.asked == 8


def test_a_kill_at_any_moment_changes_no_trial(tmp_path: Path) -> None:
    given = plan(trials=24, base={"sweep": {"population": 4}})
    whole = Trials(tmp_path / "whole", given)
    while whole.fill():
        whole.end(4)
    for moment in range(3):
        killed = Trials(tmp_path / f"{moment}", given)
        for place in range(6):
            killed.fill(1 + moment)  # in the middle of asking
            killed = Trials(tmp_path / f"{moment}", given)
            assert killed.fill() == 4
            killed.end(moment + 1 if place % 2 else 0)  # in the middle of telling
            killed = Trials(tmp_path / f"{moment}", given)
            killed.end(killed.fill())
        assert killed.values() == whole.values()
    assert len(whole.values()) == 24
    alone = [tuple(trial.items()) for trial in whole.values()]
    assert len(set(alone)) == 24  # those asked for together are not one and the same


def lines(folder: str) -> list[dict[str, Any]]:
    """What a run recorded, but for times."""
    records = RunDir(Path(folder)).read_metrics()
    return [{k: v for k, v in r.items() if k not in CLOCKED} for r in records]


def test_a_trial_records_what_it_records_alone() -> None:
    assert call([*f"{LINE} sampler=random trials=9 hydra.sweep.dir=s".split(), RATES]).code == 0
    off = f"{LINE} sampler=random trials=9 sweep.population=off hydra.sweep.dir=off"
    assert call([*off.split(), RATES]).code == 0
    for number in range(9):
        assert RunDir(Path(f"s/{number}")).read_json("env.json")["population"] == 9
        for mine, theirs in zip(lines(f"s/{number}"), lines(f"off/{number}"), strict=True):
            for key, value in theirs.items():
                near = pytest.approx(value, rel=1e-4) if isinstance(value, float) else value
                assert mine[key] == near, key
    assert "population" not in RunDir(Path("off/0")).read_json("env.json")


def test_one_that_is_given_up_or_diverges_leaves_the_others_their_bits() -> None:
    search = "search={optimizer.lr: {choice: [1e-3, 2e-3, 3e-3, 1e-2, 1e30, 1e-7]}}"
    several = f"{LINE} sweep.population=6".replace("adamw", "sgd").split()
    assert call([*several, search, "hydra.sweep.dir=s"]).code == 0
    assert call([*several, search.replace("1e30", "0.1"), "hydra.sweep.dir=tame"]).code == 0
    states = [str(RunDir(Path(f"s/{number}")).state) for number in range(6)]
    assert sorted(states) == ["diverged", *["finished"] * 5]
    for number, state in enumerate(states):
        assert (lines(f"s/{number}") == lines(f"tame/{number}")) == (state == "finished")
    first = [*f"{LINE} sampler=random trials=12 sweep.population=6".split(), RATES]
    assert call([*first, "pruner=median", "hydra.sweep.dir=pruned"]).code == 0
    assert call([*first, "hydra.sweep.dir=whole"]).code == 0
    ends = {n: RunDir(Path(f"pruned/{n}")).read_status()["message"] for n in range(12)}
    given_up = [number for number, said in ends.items() if said.startswith("pruned")]
    assert given_up and min(given_up) > 5
    for number in set(range(12)) - set(given_up):
        assert lines(f"pruned/{number}") == lines(f"whole/{number}")


class Trainer:
    """What a pruner asks of a run: evaluated every 5 of 20 steps, and now at one of these."""

    settings = SimpleNamespace(cadence=SimpleNamespace(evaluate=5), total_steps=20)

    def __init__(self, step: int) -> None:
        self.progress = SimpleNamespace(step=step)
        self.reasons: list[str] = []

    def request_stop(self, reason: str) -> None:
        self.reasons.append(reason)


@pytest.mark.parametrize("pruner", ["median", "hyperband"])
def test_one_killed_when_it_was_given_up_is_still_given_up(pruner: str, tmp_path: Path) -> None:
    """Killed between its last report and its end: the pruner alone would not say it again."""
    study = Study(tmp_path, plan(pruner=pruner), SPACE)
    for value in (1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 9.0):
        place = study.ask().place
        callback: Any = Pruning(study.journal, place, pruner, "val/loss", "min")
        trainer: Any = Trainer(10)
        for step in (5, 10):
            if not trainer.reasons:
                callback.on_evaluation(trainer, step, {"val/loss": value + place / 100})
        if value == 1.0:
            study.tell_run(Trial(place, {}), 0, value)
            study.tell(Trial(place, {}, {0: value}))
    (first,) = trainer.reasons
    assert first.startswith("pruned: others had better val/loss at step ")
    given_up = int(first.rsplit(" ", 1)[1])
    for step, told in ((0, []), (given_up, [first])):
        _opened.cache_clear()
        again: Any = Trainer(step)
        callback.on_start(again)
        assert again.reasons == told
    again = Trainer(0)
    callback.on_evaluation(again, given_up, {"val/loss": 9.06})
    assert again.reasons == [first]


def test_the_seeds_of_a_trial_go_together() -> None:
    answer = call([*f"{LINE} trials=2 seeds=8 hydra.sweep.dir=s".split(), RATES])
    assert answer.code == 0, answer.err
    assert "training 8 runs at once in s: 0-0 to 0-7" in answer.err
    assert "training 8 runs at once in s: 1-0 to 1-7" in answer.err
    assert RunDir(Path("s/1-3")).read_json("env.json")["population"] == 8


def test_what_has_another_shape_goes_by_itself_and_is_told_once() -> None:
    search = "search={model.dropout: {choice: [0.1,0.2,0.3,0.4]}}"
    answer = call([*f"{LINE} sweep.population=2 hydra.sweep.dir=s".split(), search])
    assert answer.code == 0, answer.err
    said = (
        "no two of 2 runs have one shape, so they are done one by one: they differ in model.dropout"
    )
    assert answer.err.count(said) == 1 and "at once in" not in answer.err
    assert [RunDir(Path(f"s/{n}")).state for n in range(4)] == ["finished"] * 4


def test_the_command_at_the_end_is_of_one_run() -> None:
    answer = call([*f"{LINE} sweep.population=2 trials=2 hydra.sweep.dir=s".split(), RATES])
    (command,) = [line for line in answer.out.splitlines() if "  optbench train" in line]
    assert "sweep." not in command and read_plan(Path("s")).base["sweep"]["population"] == 2


@pytest.mark.parametrize(
    ("more", "wanted"),
    [
        ("sweep.population=8 executor=local", "sweep.population=8: this process trains runs at"),
        ("sweep.population=8 precision=bf16", "precision=bf16 can't be done for many at once"),
        ("sweep.population=8 trials=1", "no two of these runs have one shape: there is one run"),
        ("sweep.population=99999 trials=99999", "more files than this process may; at most"),
        ("sweep.population=1", "sweep.population=1: not valid; expected auto, off or a whole"),
        ("sweep.population=some", "sweep.population=some: not valid; expected auto, off or"),
        ("population=8", "population=8: no such key; did you mean sweep.population?"),
    ],
)
def test_a_number_that_can_not_be_is_a_line(more: str, wanted: str, tmp_path: Path) -> None:
    answer: Answer = call([*f"{LINE} {more} hydra.sweep.dir=s".split(), RATES])
    assert answer.code == 2 and wanted in answer.err
    assert answer.err.startswith("optbench: ") and len(answer.err.splitlines()) == 1
    assert left_in(tmp_path) == []


def test_another_executor_does_not_go_on_with_a_number() -> None:
    assert call([*f"{LINE} sweep.population=2 trials=2 hydra.sweep.dir=s".split(), RATES]).code == 0
    answer = call("resume s trials=4 executor=local")
    assert answer.code == 2 and answer.err.startswith("optbench: sweep.population=2: this process")
    assert read_plan(Path("s")).trials == 2

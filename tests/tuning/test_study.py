"""A study: what is asked for depends on what was told, and on no kill."""

from __future__ import annotations

import errno
import math
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from optbench.errors import UserError
from optbench.search.space import read_space
from optbench.tuning import storage
from optbench.tuning.plan import StudyPlan, read_plan, write_plan
from optbench.tuning.samplers import SAMPLERS, make_pruner, size_of
from optbench.tuning.storage import JOURNAL, _opened, mend
from optbench.tuning.study import Study, Trial
from optbench.tuning.trials import TrialJobs

optuna = pytest.importorskip("optuna")

SEARCH: dict[str, Any] = {
    "optimizer.lr": {"log": [1e-4, 1.0], "points": 4},
    "optimizer.betas.0": {"one_minus_log": [0.02, 0.5], "points": 3},
    "model.depth": {"int": [1, 3]},
}
SPACE = read_space({"search": SEARCH}, "search")


def plan(sampler: str = "tpe", runs: int = 1, trials: int = 20, **more: Any) -> StudyPlan:
    lines = [[f"seed={n}"] for n in range(runs)]
    made = {"overrides": [], "space": SPACE.as_plain(), "named": "search", "pruner": "none"}
    made |= {"metric": "val/loss", "mode": "min", "trials": trials, "sampler": sampler}
    return StudyPlan(**{**made, "runs": lines, **more})


def score(trial: Trial) -> float:
    lr, beta, depth = trial.values.values()
    return (math.log10(lr) + 2) ** 2 + (beta - 0.9) ** 2 + 0.1 * depth


def search(folder: Path, sampler: str, trials: int, between: Callable[[int], None]) -> list[Any]:
    """The values of some trials, each scored when it was asked for."""
    folder.mkdir()
    found = []
    for number in range(trials):
        study = Study(folder, plan(sampler), SPACE)
        trial = study.ask()
        assert trial.place == number
        found.append(dict(trial.values))
        study.tell_run(trial, 0, score(trial))
        study.tell(trial)
        between(number)
    return found


def killed(folder: Path) -> Callable[[int], None]:
    """What a kill does: nothing is left but the journal, and at times half a question."""

    def kill(number: int) -> None:
        _opened.cache_clear()
        if number % 3 == 1:  # in the middle of a line
            with (folder / JOURNAL).open("ab") as file:
                file.write(b'{"op_code": 4, "worker_id": "')

    return kill


@pytest.mark.parametrize("sampler", [name for name in SAMPLERS if name != "gp"])
def test_kills_change_no_value(sampler: str, tmp_path: Path) -> None:
    whole = search(tmp_path / "whole", sampler, 14, lambda number: None)
    again = search(tmp_path / "killed", sampler, 14, killed(tmp_path / "killed"))
    assert whole == again
    assert len({tuple(values.values()) for values in whole}) >= 13
    for values in whole:
        assert 1e-4 <= values["optimizer.lr"] <= 1.0
        assert 0.5 <= values["optimizer.betas.0"] <= 0.98
        assert values["model.depth"] in (1, 2, 3)


def test_half_a_line_is_whole_once_who_writes_it_lets_go(tmp_path: Path) -> None:
    """Processes of a program that was killed may be at the journal for a moment."""
    journal, lock = tmp_path / JOURNAL, tmp_path / f"{JOURNAL}.lock"
    journal.write_bytes(b'{"a": 1}\n{"b":')
    lock.symlink_to(journal)
    mending = threading.Thread(target=mend, args=(journal,))
    mending.start()
    time.sleep(0.2)
    with journal.open("ab") as file:
        file.write(b" 2}\n")
    lock.unlink()
    mending.join(30)
    assert journal.read_bytes() == b'{"a": 1}\n{"b": 2}\n'
    assert not lock.is_symlink()


@pytest.mark.slow
def test_a_lock_that_a_kill_left_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(storage, "STALE_SECONDS", 3)
    (tmp_path / f"{JOURNAL}.lock").symlink_to(tmp_path / JOURNAL)
    (tmp_path / JOURNAL).write_bytes(b'{"a": 1}\n{"b":')
    mend(tmp_path / JOURNAL)
    assert (tmp_path / JOURNAL).read_bytes() == b'{"a": 1}\n'
    assert [path.name for path in tmp_path.iterdir()] == [JOURNAL]
    assert capfd.readouterr() == ("", "")


def test_a_full_disk_leaves_no_half_line_for_others_to_write_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = Study(tmp_path, plan(), SPACE)
    study.ask()
    before = (tmp_path / JOURNAL).read_bytes()

    def full(self: Any, logs: Any) -> None:
        with (tmp_path / JOURNAL).open("ab") as file:
            file.write(b'{"op_code"')
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(optuna.storages.journal.JournalFileBackend, "append_logs", full)
        with pytest.raises(OSError, match=r"No space left on device: '.*journal\.log'"):
            study.ask()
    assert (tmp_path / JOURNAL).read_bytes() == before
    assert study.ask().place == 1


@pytest.mark.parametrize("copied", [True, False])
def test_a_lock_of_where_the_study_was_before_keeps_nobody(copied: bool, tmp_path: Path) -> None:
    journal = tmp_path / JOURNAL
    journal.write_bytes(b'{"a": 1}\n{"b":')
    before = tmp_path / "before.log"
    if copied:
        before.touch()
    (tmp_path / f"{JOURNAL}.lock").symlink_to(before)
    mend(journal)
    assert journal.read_bytes() == b'{"a": 1}\n'


@pytest.mark.slow
def test_kills_change_no_value_of_a_gaussian_process(tmp_path: Path) -> None:
    test_kills_change_no_value("gp", tmp_path)


def test_tpe_finds_what_random_does_not(tmp_path: Path) -> None:
    """Where there is something to find, what is told matters."""
    best = {}
    for sampler in ("tpe", "random"):
        search(tmp_path / sampler, sampler, 60, lambda number: None)
        found = Study(tmp_path / sampler, plan(sampler), SPACE).best()
        assert found is not None
        best[sampler] = found.value
    assert best["tpe"] < best["random"]


def test_a_grid_has_each_point_once(tmp_path: Path) -> None:
    size = size_of(SPACE)
    assert size == 4 * 3 * 3
    found = search(tmp_path / "grid", "grid", size, lambda number: None)
    assert len({tuple(values.values()) for values in found}) == size
    assert {values["optimizer.lr"] for values in found} == set(SPACE.keys["optimizer.lr"].grid())


def test_trials_that_were_cut_short_are_found_with_the_scores_of_their_runs(tmp_path: Path) -> None:
    study = Study(tmp_path, plan(runs=3), SPACE)
    first, second = study.ask(), study.ask()
    study.tell_run(first, 0, 1.5)
    study.tell_run(first, 2, 2.5)
    _opened.cache_clear()
    study = Study(tmp_path, plan(runs=3), SPACE)
    left = study.running()
    assert [trial.place for trial in left] == [0, 1]
    assert [trial.scores for trial in left] == [{0: 1.5, 2: 2.5}, {}]
    assert [trial.values for trial in left] == [first.values, second.values]
    study.tell_run(left[0], 1, 2.0)
    study.tell(left[0])
    (ended,) = study.tried()
    assert (ended.value, ended.scores) == (2.0, [1.5, 2.0, 2.5])
    assert study.asked == 2


def test_a_run_without_a_score_is_the_worst_and_never_the_best(tmp_path: Path) -> None:
    study = Study(tmp_path, plan(), SPACE)
    for value in (math.inf, 3.0, math.inf):
        trial = study.ask()
        study.tell_run(trial, 0, value)
        study.tell(trial)
    best = study.best()
    assert best is not None and (best.place, best.value) == (1, 3.0)
    assert [tried.value for tried in study.tried()] == [math.inf, 3.0, math.inf]


def test_a_pruned_trial_is_not_the_best(tmp_path: Path) -> None:
    study = Study(tmp_path, plan(), SPACE)
    trial = study.ask()
    study.tell(trial, pruned=True)
    assert study.best() is None
    assert [tried.state for tried in study.tried()] == ["pruned"]


def test_wilcoxon_gives_a_trial_up_whose_runs_are_all_worse(tmp_path: Path) -> None:
    study = Study(tmp_path, plan(runs=8, pruner="wilcoxon"), SPACE)
    good = study.ask()
    assert not any(study.tell_run(good, run, 1.0 + run / 100) for run in range(8))
    study.tell(good)
    bad = study.ask()
    told = [study.tell_run(bad, run, 5.0 + run / 100) for run in range(7)]
    assert told[0] is False and True in told
    equal = study.ask()
    assert not any(study.tell_run(equal, run, 1.0 + (run % 2) / 100) for run in range(4))


def test_what_decides_is_found(tmp_path: Path) -> None:
    search(tmp_path / "s", "random", 30, lambda number: None)
    found = Study(tmp_path / "s", plan("random"), SPACE).importances()
    assert max(found, key=lambda key: found[key]) == "optimizer.lr"


def test_what_diverged_does_not_mislead_what_decides(tmp_path: Path) -> None:
    study = Study(tmp_path, plan("random"), SPACE)
    for _ in range(40):
        trial = study.ask()
        lr = trial.values["optimizer.lr"]
        study.tell_run(trial, 0, math.inf if lr > 0.1 else score(trial))
        study.tell(trial)
    found = study.importances()
    assert max(found, key=lambda key: found[key]) == "optimizer.lr"


def test_choices_are_what_they_are(tmp_path: Path) -> None:
    choices = [1, True, 2.5, "1", None, [1, 2], "[1, 2]"]
    space = read_space({"search": {"x": {"choice": choices}}}, "search")
    (tmp_path / "s").mkdir()
    study = Study(tmp_path / "s", plan("grid"), space)
    found = [study.ask().values["x"] for _ in choices]
    assert sorted(map(repr, found)) == sorted(map(repr, choices))
    assert [repr(trial.values["x"]) for trial in study.running()] == list(map(repr, found))


def test_a_journal_of_another_space_is_a_line(tmp_path: Path) -> None:
    Study(tmp_path, plan(), SPACE).ask()
    other = read_space({"search": {**SEARCH, "model.depth": {"int": [1, 4]}}}, "search")
    _opened.cache_clear()
    with pytest.raises(UserError, match="trial 0 is of another space"):
        Study(tmp_path, plan(), other)


def test_a_damaged_journal_is_a_line(tmp_path: Path) -> None:
    Study(tmp_path, plan(), SPACE).ask()
    _opened.cache_clear()
    (tmp_path / JOURNAL).write_bytes(b"\x00\xff not a journal\n" * 3)
    with pytest.raises(UserError, match=r"journal\.log: can't be read"):
        Study(tmp_path, plan(), SPACE)


def test_pruners_have_the_settings_of_the_field() -> None:
    hyperband = make_pruner("hyperband", 27)
    assert isinstance(hyperband, optuna.pruners.HyperbandPruner)
    assert (hyperband._max_resource, hyperband._reduction_factor) == (27, 3)
    assert isinstance(make_pruner("median", 3), optuna.pruners.MedianPruner)
    assert isinstance(make_pruner("none", 3), optuna.pruners.NopPruner)


def test_a_plan_is_read_as_it_was_written(tmp_path: Path) -> None:
    made = plan(runs=2, executor=["executor=local"], overrides=["steps=3"])
    write_plan(tmp_path, made)
    assert read_plan(tmp_path) == made


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("trials: 20", "trials: 21"), "not the one that the study was begun with"),
        (("version: 1", "version: 7"), "version 7 of a study; this optbench goes on with 1"),
        (("seal:", "sea:"), "not the plan of a study"),
    ],
)
def test_a_plan_that_is_another_is_refused(
    change: tuple[str, str], said: str, tmp_path: Path
) -> None:
    write_plan(tmp_path, plan())
    path = tmp_path / "study.yaml"
    text = path.read_text(encoding="utf-8")
    assert change[0] in text
    path.write_text(text.replace(*change), encoding="utf-8")
    with pytest.raises(UserError, match=said):
        read_plan(tmp_path)


@pytest.mark.parametrize(
    ("value", "score"),
    [(2.5, 2.5), (1e200, math.inf), (math.nan, math.inf), (-math.inf, math.inf), (None, math.inf)],
)
def test_what_is_no_score_is_the_worst(value: float | None, score: float) -> None:
    """What is too large to be squared would end the picture of learning rates."""
    jobs: Any = SimpleNamespace(
        _study=SimpleNamespace(plan=SimpleNamespace(metric="val/loss"), worst=math.inf)
    )
    best = {} if value is None else {"metric": "val/loss", "value": value}
    metrics = {} if value is None else {"val/loss": value}
    result: Any = SimpleNamespace(state="finished", best=best, metrics=metrics)
    assert TrialJobs._score(jobs, result) == score

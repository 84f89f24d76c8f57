"""Folders that are no run's: a sweep's, one that can't be read, none."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

import optbench
from optbench.rundir import RunDir

from .program import SMALL, call, train

QUICK = "steps=2 monitor.tensorboard=false"


@pytest.fixture(scope="module")
def place(shared_place: Path) -> Path:
    """Where a sweep and a run lie."""
    answer = call(f"train -m {SMALL} {QUICK} seed=0,1 hydra.sweep.dir=sweep")
    assert answer.code == 0, answer.err
    train(QUICK, shared_place / "run")
    return shared_place


@pytest.mark.parametrize(
    ("line", "says"),
    [
        (
            "resume run optimizer=sgd",
            "optimizer=sgd: can't change when a run is resumed",
        ),
        ("resume run model=gru", "model=gru: can't change when a run is resumed (it is mlp)"),
        ("resume run sweep", "sweep: a second folder; optbench resume goes on with one"),
        ("evaluate run sweep/0", "sweep/0: a second folder; evaluate takes one run at a time"),
        ("export run sweep/0 -o x.pt", "sweep/0: a second folder; export takes one run at a time"),
        ("export run x -o x.pt", "x: export takes one run at a time"),
        ("compare run optimizer=sgdd", "; optbench runs optimizer=sgdd lists which have it"),
        ("doctor run 'name=a b'", "; optbench runs 'name=a b' lists which have it"),
        ("compare run arms=optimizer", "folder; folders are named here, no filters\n"),
        ("evaluate run model=logistic", "model=logistic: not when a run is evaluated (it is mlp)"),
    ],
)
def test_what_does_not_go_with_a_run_is_refused_by_its_name(
    line: str, says: str, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(place)
    answer = call(line)
    assert answer.code == 2 and answer.err.count("\n") == 1
    assert says in answer.err


@pytest.mark.parametrize("line", ["evaluate sweep", "export sweep -o x.pt", "train weights=sweep"])
def test_a_sweep_is_answered_with_its_runs(
    line: str, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(place)
    answer = call(line)
    assert answer.code == 2 and answer.err.count("\n") == 1
    sweep = place / "sweep" if "weights=" in line else "sweep"  # paths in a config are absolute
    says = f"{sweep}: a sweep's folder; name one of its runs: {sweep}/0 to {sweep}/1"
    assert says in answer.err


@pytest.mark.parametrize(
    ("file", "names", "ends"),
    [("study.yaml", ("0", "2", "10"), "0 10"), ("population.yaml", ("0-0", "9-7"), "0-0 9-7")],
)
@pytest.mark.parametrize(
    "line", ["evaluate 'my study'", "export 'my study' -o x.pt", "train 'weights=\"my study\"'"]
)
def test_a_study_is_answered_with_its_runs(
    line: str, file: str, names: tuple[str, ...], ends: str, place: Path, workplace: Path
) -> None:
    study = workplace / "my study"
    for name in names:
        (study / name).mkdir(parents=True)
        shutil.copy(place / "run/config.yaml", study / name)
    (study / file).touch()
    answer = call(line)
    assert answer.code == 2 and answer.err.count("\n") == 1
    typed = study if "weights=" in line else Path("my study")
    runs = " to ".join(str(typed / name) for name in ends.split())
    assert f"{typed}: a study's folder; name one of its runs: {runs}\n" in answer.err


@pytest.mark.parametrize("verb", ["train", "show", "recommend", "find-lr", "tune", "check"])
def test_a_folder_of_many_where_settings_are_meant(verb: str, workplace: Path) -> None:
    for name, file in (("st", "study.yaml"), ("sw", "sweep.yaml"), ("m m", "meta-train.yaml")):
        (workplace / name).mkdir()
        (workplace / name / file).touch()
    said = "the folder of a study; optbench resume st goes on with it"
    assert call(f"{verb} st").err == f"optbench: st: {said}\n"
    (workplace / "st/recipe").mkdir()
    (workplace / "st/recipe/tuned.yaml").touch()
    best = "; its best: optbench train recipe=tuned --config-dir st"
    assert call(f"{verb} st").err == f"optbench: st: {said}{best}\n"
    assert "sw: the folder of a sweep; optbench resume sw goes on" in call(f"{verb} sw").err
    assert "optbench resume 'm m' goes on with it\n" in call(f"{verb} 'm m'").err


@pytest.mark.parametrize(
    "line", ["evaluate m", "export m -o x.pt", "doctor m", "show m", "compare m", "draw m"]
)
def test_a_meta_trainings_folder_is_known(line: str, workplace: Path) -> None:
    (workplace / "m").mkdir()
    for name in ("meta-train.yaml", "learned.safetensors"):
        (workplace / "m" / name).touch()
    answer = call(line)
    assert answer.code == 2 and answer.err.count("\n") == 1
    rule = "optbench train optimizer=learned optimizer.weights=m/learned.safetensors\n"
    assert f"a meta-training's folder, which has no runs; its rule: {rule}" in answer.err


def test_its_runs_are_named_as_they_can_be_pasted(
    place: Path, workplace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(workplace)
    sweep = os.path.relpath(place / "sweep")
    said = call(f"evaluate {sweep}").err
    first = said.partition("name one of its runs: ")[2].split()[0]
    assert first == f"{sweep}/0" and call(f"evaluate {first}").code == 0
    with pytest.raises(optbench.UserError, match=r"optbench\.resume_sweep goes on with it; name"):
        optbench.resume(sweep)


def test_a_sweep_of_which_nothing_has_begun(place: Path, workplace: Path) -> None:
    (workplace / "sweep").mkdir()
    shutil.copy(place / "sweep" / "sweep.yaml", workplace / "sweep")
    assert "none of its runs has begun" in call("evaluate sweep").err


@pytest.mark.parametrize(
    ("line", "says"),
    [
        (["evaluate", ""], "evaluate: which run?"),
        (["export", "", "-o", "x.pt"], "export: which run, and where?"),
        (["draw", ""], "draw: which runs?"),
        (["runs", ""], "which folder? none is named"),
        (["resume", ""], "resume: which run?"),
    ],
)
def test_no_folder_at_all(line: list[str], says: str) -> None:
    answer = call(line)
    assert answer.code == 2 and answer.err.startswith(f"optbench: {says}")


def test_a_folder_that_can_not_be_read(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(place)
    lstat = os.lstat

    def refusing(path: str | os.PathLike[str]) -> os.stat_result:
        if Path(path).parent.name == "run":
            raise PermissionError(13, "Permission denied", os.fspath(path))
        return lstat(path)

    monkeypatch.setattr(os, "lstat", refusing)
    for line in ("evaluate run", "resume run", "export run -o x.pt", "train weights=run"):
        answer = call(line)
        assert answer.code == 2 and "run: it can't be read (permission denied)" in answer.err


def test_a_folder_of_runs_that_can_not_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    def refusing(path: str | os.PathLike[str]) -> None:
        raise PermissionError(13, "Permission denied", os.fspath(path))

    Path("runs").mkdir()
    monkeypatch.setattr(os, "scandir", refusing)
    answer = call("runs")
    assert answer.code == 2 and "runs: it can't be read (permission denied)" in answer.err


def test_an_export_that_fails_names_the_file_that_was_asked_for(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(place)
    answer = call("export run -o /proc/model.pt")
    assert (answer.code, answer.err) == (2, "optbench: /proc/model.pt: No such file or directory\n")


def test_the_best_checkpoint_is_damaged_and_the_last_is_not(workplace: Path) -> None:
    train("steps=6 eval.every=2 optimizer.lr=0 checkpoint.every=2", workplace / "mine")
    folder = RunDir(workplace / "mine")
    assert optbench.open_run("mine").checkpoints.best == 2
    (folder.checkpoints / "step-00000002" / "manifest.json").write_text("{}", encoding="utf-8")
    answer = call("evaluate mine --at best")
    assert answer.code == 2 and "step-00000002: manifest.json: " in answer.err


def test_the_runs_of_a_benchmark_go_on_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("b/runs").mkdir(parents=True)
    Path("b/benchmark.yaml").touch()
    for line in ("resume b/runs", "evaluate b/runs", "resume b/runs/"):
        found = call(line)
        assert found.code == 2 and found.err.endswith("go on with it: optbench resume b\n")
    found = call("resume b/benchmark.yaml")
    assert found.code == 2 and "not a run folder, but a file; did you mean b?" in found.err
    monkeypatch.chdir("b/runs")
    found = call("resume .")
    assert found.code == 2 and f"optbench resume {Path.cwd().parent}\n" in found.err


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("compare 'n1/*'", "n1/*: no such folder; what * and ? stand for is found by the shell"),
        ("compare sgd adamw", "sgd: no such folder; folders of runs are named, no choices or arms"),
        ("compare zzz", "zzz: no such folder\n"),
        ("report nowhere/sgd -o x.html", "nowhere/sgd: no such folder\n"),
    ],
)
def test_words_that_are_no_folders(line: str, says: str, workplace: Path) -> None:
    answer = call(line)
    assert answer.code == 2 and answer.err.startswith(f"optbench: {says}")
    assert answer.err.count("\n") == 1 and not any(workplace.iterdir())


def test_a_name_that_is_too_long_for_a_file(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(place)
    answer = call(f"export run -o {'a' * 300}.pt")
    assert answer.code == 2 and "a.pt: can't be a file: File name too long\n" in answer.err

"""The verb `find-lr`: what it leaves, what it says, and what it refuses."""

from __future__ import annotations

import contextlib
import json
import shlex
from pathlib import Path

import pytest

from optbench.cli.find_lr import FLAGS
from optbench.cli.main import main
from optbench.compose.commands import train_command
from optbench.compose.composer import hydra_session
from optbench.monitor.event_file import read_events

from .program import SMALL, call, left_in


def find(line: str, folder: Path) -> tuple[str, dict]:  # type: ignore[type-arg]
    answer = call(f"find-lr {SMALL} {line} hydra.run.dir={folder}")
    assert answer.code == 0, answer.err + answer.out
    return answer.out, json.loads((folder / "find-lr.json").read_text(encoding="utf-8"))


def test_it_leaves_a_picture_numbers_events_and_a_command(tmp_path: Path) -> None:
    line = "--steps 60 --seeds 2 --from=1e-5 optimizer=sgd schedule=cosine epochs=3"
    out, found = find(line, tmp_path / "a")
    assert (tmp_path / "a" / "find-lr.png").stat().st_size > 5000
    assert set(found["seeds"]) == {"0", "1"}
    lr = found["recommended"]["lr"]
    each = [found["seeds"][seed]["suggestions"]["steepest"] for seed in "01"]
    assert min(each) <= lr <= max(each)
    command = f"optbench train {SMALL} optimizer=sgd schedule=cosine epochs=3"
    assert shlex.split(found["recommended"]["command"]) == [
        *shlex.split(command),
        f"optimizer.lr={lr:.3g}",
    ]
    assert found["recommended"]["command"] in out
    assert "takes the place of schedule, epochs" in out
    (events,) = (tmp_path / "a" / "tb" / "seed-1").iterdir()
    with events.open("rb") as file:
        tags = {v.tag for e, _ in read_events(file) for v in e.summary.value}
    assert {"train/loss", "lr/model"} <= tags


def test_twice_gives_the_same(tmp_path: Path) -> None:
    line = "--steps 40 --seeds 1 optimizer=adam model.dropout=0.2"
    (_, one), (_, other) = find(line, tmp_path / "a"), find(line, tmp_path / "b")
    assert one["seeds"] == other["seeds"] and one["suggestions"] == other["suggestions"]


def test_the_folder_is_its_own_by_default(workplace: Path) -> None:
    answer = call(f"find-lr {SMALL} --steps 40 --seeds 1 optimizer=sgd name=mine")
    assert answer.code == 0, answer.err
    (folder,) = workplace.glob("runs/*/*")
    assert folder.name.endswith("-find-lr-mine")


def test_a_loss_that_does_not_fall_is_said(tmp_path: Path) -> None:
    line = "--from 1e-30 --to 1e-29 --steps 10 --seeds 1 optimizer=sgd"
    answer = call(f"find-lr {SMALL} {line} hydra.run.dir={tmp_path}/a")
    assert answer.code == 1 and "nothing to recommend" in answer.out


def test_the_command_takes_all_learning_rates_along() -> None:
    lines = ["optimizer=muon", "optimizer.groups=[{params: 'head.*', lr: 0.01}]"]
    with hydra_session() as composer:
        spec = composer.spec(composer.compose(lines), lines)
        command = shlex.split(train_command(spec, 2e-3, 1e-3, "model"))
        again = composer.spec(composer.compose(command[2:]), command[2:]).config.optimizer
    assert (again["lr"], again["companion"]["lr"]) == (2e-3, 2e-3)
    assert again["groups"] == [{"params": "head.*", "lr": 0.02}]


def test_a_default_of_the_librarys_own_is_scaled_too(tmp_path: Path) -> None:
    pytest.importorskip("pytorch_optimizer")
    _, found = find("--steps 40 --seeds 1 optimizer=zoo optimizer.name=lion", tmp_path / "a")
    assert found["recommended"]["command"].endswith(f"={found['recommended']['lr']:.3g}")


BAD = [
    ("--steps 1", ["--steps 1", "at least 10"]),
    ("--steps many", ["--steps many", "a whole number"]),
    ("--seeds 0", ["--seeds 0", "at least 1"]),
    ("--from 1 --to 1e-3", ["--from 1", "not below --to 1e-3"]),
    ("--from 1 --to 1", ["--from 1", "not below --to 1"]),
    ("--from -1", ["--from -1", "above 0"]),
    ("--to abc", ["--to abc", "a learning rate"]),
    ("--to nan", ["--to nan", "a learning rate"]),
    ("--ramp linaer", ["--ramp linaer", "did you mean linear?"]),
    ("--setps 5", ["--setps", "did you mean --steps?"]),
    ("--seed=5", ["--seed", "did you mean --seeds?"]),
    ("-m optimizer=sgd,adam", ["--multirun", "find-lr"]),
    ("--cfg job", ["--cfg", "find-lr"]),
    ("optimizer=rprop", ["optimizer=rprop", "reads lr once"]),
    ("optimizer=lbfgs", ["optimizer=lbfgs", "line_search_fn=strong_wolfe", "leave optimizer.lr=1"]),
    ("optimizer=newton", ["line_search=armijo", "leave optimizer.lr=1"]),
    ("optimizer=ga", ["GA has no learning rate to find"]),
    ("optimizer=pso hydra.run.dir=new/run", ["PSO has no learning rate to find"]),
    ("optimizer.lr=0", ["optimizer.lr=0", "above 0"]),
    ("optimizer=adamm", ["optimizer=adamm", "did you mean adam?"]),
    ("optimizer.lrr=1", ["optimizer.lrr=1", "did you mean optimizer.lr?"]),
    ("optimizer=muon model=logistic", ["Muon", "no parameter"]),
]


@pytest.mark.parametrize(("line", "named"), BAD, ids=[line for line, _ in BAD])
def test_bad_input_is_one_line_and_leaves_nothing(
    line: str, named: list[str], workplace: Path
) -> None:
    answer = call(f"find-lr {line}")
    assert answer.code == 2 and answer.out == ""
    assert len(answer.err.splitlines()) == 1
    for word in named:
        assert word in answer.err
    assert left_in(workplace) == []


def test_a_line_search_that_is_off_has_a_rate_to_find(tmp_path: Path) -> None:
    line = "--steps 10 --seeds 1 --to=1e-2 optimizer=lbfgs optimizer.line_search_fn=null"
    answer = call(f"find-lr {SMALL} {line} hydra.run.dir={tmp_path}/a")
    assert answer.code in (0, 1), answer.err
    assert (tmp_path / "a" / "find-lr.json").exists()


def test_under_torchrun_it_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    answer = call("find-lr optimizer=sgd")
    assert answer.code == 2 and "torchrun" in answer.err


def test_help_names_its_flags() -> None:
    assert "find-lr" in call("--help").out
    text = call("find-lr --help").out
    assert all(f"{flag} {default}" in text for flag, default in FLAGS.items())


def test_its_overrides_are_completed(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    line = "optbench find-lr optimizer=ada"
    monkeypatch.setenv("COMP_LINE", line)
    monkeypatch.setenv("COMP_POINT", str(len(line)))
    with contextlib.suppress(SystemExit):
        main(["-sc", "query=bash"])
    assert "optimizer=adamw" in capfd.readouterr().out


def test_of_several_players_one_is_named() -> None:
    gan = "model=dcgan model.width=4 dataset=digits batch_size=16"
    answer = call(f"find-lr {gan}")
    assert answer.code == 2
    assert "--player discriminator or --player generator" in answer.err
    answer = call(f"find-lr {gan} --player gen")
    assert (answer.code, "did you mean generator?" in answer.err) == (2, True)
    found = call(f"find-lr {gan} --player generator --steps 12 --seeds 1 --from 1e-6 --to 1e-1")
    assert found.code in (0, 1)
    written = json.loads(next(Path("runs").rglob("find-lr.json")).read_text(encoding="utf-8"))
    assert len(written["seeds"]["0"]["lr"]) > 5
    command = written["recommended"]["command"]
    assert command is None or "player.generator.optimizer.lr=" in command

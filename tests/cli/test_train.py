"""`optbench train`: what a run leaves behind, and that what is typed has an effect."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from optbench.cli.main import main
from optbench.console import print_lines
from optbench.files import load_yaml
from optbench.rundir import RECORD_KEYS, RunDir
from optbench.runs import environment

from .program import (
    SMALL,
    Answer,
    assert_same_bits,
    call,
    final_state,
    left_in,
    records,
    train,
)

LINE = f"train {SMALL} epochs=2 monitor.every=7 optimizer.lr=0.01 clip.norm=1 hydra.run.dir=run"
FILES = {
    "config.yaml",
    "overrides.yaml",
    "env.json",
    "status.json",
    "metrics.jsonl",
    "summary.json",
    "log.txt",
    "tb",
    "checkpoints",
}
PARAMETERS = ["blocks.0.0.weight", "blocks.0.0.bias", "head.weight", "head.bias"]


@pytest.fixture(scope="module")
def answer(shared_place: Path) -> Answer:
    """What a run of 42 steps said."""
    return call(LINE)


@pytest.fixture(scope="module")
def folder(shared_place: Path, answer: Answer) -> RunDir:
    """What it left behind."""
    return RunDir(shared_place / "run")


def test_a_run_ends_with_a_summary_and_the_next_commands(answer: Answer) -> None:
    assert answer.code == 0
    words = answer.out.split()
    assert {"finished", "42", "test/accuracy", "val/loss"} <= set(words)
    assert answer.out.endswith("\n  tensorboard --logdir run\n  optbench resume run epochs=4\n")
    assert "finished at step 42" in answer.err


def test_a_run_folder_has_the_designed_files_and_no_others(folder: RunDir) -> None:
    assert {path.name for path in folder.path.iterdir()} == FILES
    assert {path.name for path in folder.checkpoints.iterdir()} == {
        "step-00000021",
        "step-00000042",
    }
    (events,) = folder.tensorboard.iterdir()
    assert events.name.startswith("events.out.tfevents.")


def test_the_config_is_plain_and_resolved(folder: RunDir) -> None:
    text = folder.config.read_text(encoding="utf-8")
    config = load_yaml(folder.config)
    assert "${" not in text
    assert "!" not in text
    assert "hydra" not in config
    assert config["name"] == "digits-mlp-adamw"
    assert (config["epochs"], config["steps"], config["seed"]) == (2, None, 0)
    assert config["optimizer"]["lr"] == 0.01
    assert config["dataset"]["split_seed"] == 0


def test_the_overrides_are_what_was_typed(folder: RunDir) -> None:
    said = load_yaml(folder.overrides)
    assert said["overrides"] == LINE.split()[1:]
    assert said["choices"]["optimizer"] == "adamw"
    assert set(said["choices"]) == {
        *("model", "dataset", "optimizer", "wrapper"),
        *("schedule", "precision", "checkpoint", "task", "workload", "recipe"),
    }


def test_the_environment(folder: RunDir) -> None:
    env = folder.read_json("env.json")
    assert torch.__version__.startswith(env["versions"]["torch"].partition("+")[0])
    assert {"optbench", "python", "hydra-core", "tensorboard"} <= set(env["versions"])
    assert env["optimizer_implementation"] == {"model": "fused"}
    assert (env["device"], env["world_size"]) == ("cpu", 1)
    assert env["threads"] == 1
    assert env["host"]
    assert set(env["git"]) in ({"commit", "dirty"}, set())
    assert env["command"][0] == sys.argv[0]


def test_a_git_that_can_not_tell_of_changes_says_nothing_of_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    said = {"rev-parse": "abc", "status": None}
    monkeypatch.setattr(environment, "_run", lambda folder, verb, *_: said[verb])
    assert environment._git(Path()) == {"commit": "abc", "dirty": None}
    for status, dirty in (("", False), (" M README.md", True)):
        said["status"] = status
        assert environment._git(Path())["dirty"] is dirty


def test_the_status(folder: RunDir) -> None:
    status = folder.read_json("status.json")
    assert (status["state"], status["step"], status["message"]) == ("finished", 42, "")
    assert status["started"] <= status["updated"]


def test_the_summary_repeats_the_metrics(folder: RunDir) -> None:
    summary = folder.read_json("summary.json")
    scores = records(folder, "val")
    best = max(scores, key=lambda record: record["val/accuracy"])
    assert summary["best"] == {
        "metric": "val/accuracy",
        "mode": "max",
        "value": best["val/accuracy"],
        "step": best["step"],
    }
    assert summary["final"]["val/loss"] == scores[-1]["val/loss"]
    assert (summary["step"], summary["epoch"], summary["examples"]) == (42, 2.0, 2 * 1293)
    assert summary["parameters"] == 64 * 8 + 8 + 8 * 10 + 10
    assert summary["wall_seconds"] > summary["training_seconds"] > 0
    assert summary["examples_per_second"] > 0
    assert summary["peak_memory_mib"] > 0


def test_the_kinds_and_steps_of_the_metrics(folder: RunDir) -> None:
    steps = {kind: [r["step"] for r in records(folder, kind)] for kind in ("train", "monitor")}
    assert steps == {"train": [7, 14, 21, 28, 35, 42], "monitor": [7, 14, 21, 28, 35, 42]}
    assert [record["step"] for record in records(folder, "val")] == [21, 42]
    assert [record["step"] for record in records(folder, "test")] == [42]
    first, *others = folder.read_metrics()
    assert list(first)[:6] == ["format", "kind", "step", "epoch", "examples", "seconds"]
    for record in others:
        assert list(record)[:5] == ["kind", "step", "epoch", "examples", "seconds"]


def tags(record: dict[str, Any]) -> set[str]:
    return set(record) - set(RECORD_KEYS)


def test_the_tags_of_the_metrics(folder: RunDir) -> None:
    assert tags(records(folder, "train")[0]) == {
        *("lr/model", "train/loss", "throughput/examples_per_second", "memory/peak_mib")
    }
    assert tags(records(folder, "val")[0]) == {"val/loss", "val/accuracy"}
    assert tags(records(folder, "test")[0]) == {"test/loss", "test/accuracy"}
    assert tags(records(folder, "monitor")[0]) == {
        f"{group}/{name}"
        for group in ("grad_norm", "param_norm", "update_ratio")
        for name in ["total", *PARAMETERS]
    } | {"dead_units/blocks.0.1"}


def test_the_log_has_what_was_said(folder: RunDir, answer: Answer) -> None:
    said = [line.partition(" ")[2] for line in folder.log.read_text(encoding="utf-8").splitlines()]
    assert said == answer.err.splitlines()


def test_the_learning_is_real(folder: RunDir) -> None:
    losses = [record["train/loss"] for record in records(folder, "train")]
    assert losses[-1] < losses[0] / 2
    assert records(folder, "test")[0]["test/accuracy"] > 0.5


def as_overrides(values: dict[str, Any], at: str = "") -> list[str]:
    """Nested plain data as overrides, each at its own key; those that may be unset are added."""
    lines: list[str] = []
    for key, value in values.items():
        if isinstance(value, dict) and value:
            lines += as_overrides(value, f"{at}{key}.")
        else:
            lines.append(f"{at}{key}={json.dumps(value)}")
    return lines


def test_the_config_is_enough_to_run_again(folder: RunDir, workplace: Path) -> None:
    lines = " ".join(f"'{line}'" for line in as_overrides(load_yaml(folder.config)))
    again = call(f"train {lines} hydra.run.dir=again")
    assert again.code == 0, again.err
    assert load_yaml(RunDir(workplace / "again").config) == load_yaml(folder.config)
    assert_same_bits(final_state(RunDir(workplace / "again")), final_state(folder))


def test_a_run_is_named_by_its_choices_and_its_time(workplace: Path) -> None:
    assert call(f"train {SMALL} steps=1 optimizer=sgd").code == 0
    (day,) = (workplace / "runs").iterdir()
    (run,) = day.iterdir()
    assert day.name.count("-") == 2
    assert run.name.endswith("-digits-mlp-sgd")


def test_a_name_of_ones_own(workplace: Path) -> None:
    assert call(f"train {SMALL} steps=1 name=mine checkpoint=none").code == 0
    (run,) = (workplace / "runs").glob("*/*")
    assert run.name.endswith("-mine")
    assert load_yaml(run / "config.yaml")["name"] == "mine"
    assert not (run / "checkpoints").exists()


def test_a_folder_of_ones_own_is_never_shared(workplace: Path) -> None:
    (workplace / "mine").mkdir()
    for number in (2, 3):
        answer = call(f"train {SMALL} steps=1 hydra.run.dir=mine")
        assert answer.code == 0
        assert f"mine is there already: this goes to mine-{number}\n" in answer.err
    assert {path.name for path in workplace.iterdir()} == {"mine", "mine-2", "mine-3"}
    assert left_in(workplace / "mine") == []


def test_nothing_is_left_outside_the_run_folder(workplace: Path) -> None:
    train("steps=1", workplace / "run")
    assert {path.name for path in workplace.iterdir()} == {"run"}


NO_UTF8 = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}


@pytest.mark.parametrize("more", [{}, {"PYTHONIOENCODING": "ascii"}])
def test_names_are_utf8_whatever_the_locale_is(workplace: Path, more: dict[str, str]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "optbench", "list", "nöpe"],
        capture_output=True,
        encoding="ascii",
        env={**os.environ, **NO_UTF8, **more},
    )
    assert done.stderr.startswith(r"optbench: list n\xf6pe: no such group")


def test_letters_that_a_terminal_lacks_become_question_marks(
    workplace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for errors in ("strict", "surrogateescape"):
        out = io.TextIOWrapper(io.BytesIO(), encoding="ascii", errors=errors)
        monkeypatch.setattr(sys, "stdout", out)
        assert main(["--version"]) == 0
        print_lines("naïve 日本")
        out.flush()
        assert out.buffer.getvalue().endswith(b"na?ve ??\n")  # type: ignore[attr-defined]


def test_a_folder_whose_name_is_no_utf8_or_that_a_terminal_would_obey(workplace: Path) -> None:
    for name in ("na\udcefve", "x\x1b[31m"):
        answer = call(f"train {SMALL} steps=1 \"hydra.run.dir='{name}'\" monitor.tensorboard=true")
        again = call(f"resume '{name}' steps=2")
        assert (answer.code, again.code) == (0, 0)
        said = answer.out + again.out + answer.err + again.err
        said += RunDir(workplace / name).log.read_text(encoding="utf-8")
        assert name not in said
        assert "\x1b" not in said


def test_the_module_is_the_same_program(workplace: Path) -> None:
    command = [sys.executable, "-m", "optbench", "train", *SMALL.split(), "steps=2"]
    done = subprocess.run(
        [*command, "hydra.run.dir=run"], capture_output=True, text=True, encoding="utf-8"
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr.splitlines()[-1] == "finished at step 2"
    assert "Warning" not in done.stderr
    assert RunDir(workplace / "run").state == "finished"

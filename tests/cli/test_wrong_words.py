"""What newcomers met: a line that named the wrong thing, or a hint that failed when pasted."""

from __future__ import annotations

import errno
import os
import re
import sys
from pathlib import Path

import pytest

import optbench.cli.main as program

from .program import SMALL, call, train

QUICK = "steps=2 monitor.tensorboard=false"


@pytest.fixture(scope="module")
def place(shared_place: Path) -> Path:
    """Where two runs lie in a folder of a day, and a folder of configs without a _target_."""
    for name in ("10-00-00-a", "11-00-00-b"):
        train(QUICK, shared_place / "runs/2026-11-30" / name)
    (shared_place / "runs-2").mkdir()
    (shared_place / "own/optimizer").mkdir(parents=True)
    (shared_place / "own/optimizer/bare.yaml").write_text("lr: 0.1\n", encoding="utf-8")
    return shared_place


A, B = "runs/2026-11-30/10-00-00-a", "runs/2026-11-30/11-00-00-b"


@pytest.mark.parametrize(
    ("line", "says"),
    [
        # which folder
        (f"resume {A[:-2]}", f"resume={A[:-2]}: no such run folder; did you mean {A}?"),
        (f"evaluate {A[:-2]}", f"{A[:-2]}: no such run folder; did you mean {A}?"),
        ("resume run", "resume=run: no such run folder"),
        ("doctor 'run\udcff'", r"run\xff: no such folder; did you mean runs?"),
        ("resume runs", f"resume=runs: not a run folder; the newest run in it: {B}"),
        ("resume runs/2026-11-30", f"not a run folder; the newest run in it: {B}"),
        ("evaluate own", "own: not a run folder: it has no config.yaml"),
        (f"check {A}", f"{A}: a run's folder; optbench doctor {A} says"),
        (f"train {A} steps=4", f"optbench resume {A} goes on with it"),
        ("tune space=lr folder=runs", "no such key here; did you mean hydra.sweep.dir=runs?"),
        ("pbt space=lr hydra.run.dir=x", "no such key here; did you mean hydra.sweep.dir=x?"),
        ("tune space=lr trails=abc", "trails=abc: no such key; did you mean trials=abc?"),
        (f"resume {A} --to x", "from which checkpoint? add --at last, --at best or --at STEP"),
        # no folder
        ("train --config-dir {file}", "--config-dir={file}: a file, where a folder is meant"),
        ("list --config-dir {file}", "--config-dir={file}: a file, where a folder is meant"),
        ("recommend --config-dir {file}", "--config-dir={file}: a file, where a folder is meant"),
        ("check --out {file}", "--out {file}: a file, where a folder is meant"),
        ("list --config-dir owm", "--config-dir=owm: no such folder; did you mean own?"),
        ("train --config-dir owm", "--config-dir=owm: no such folder; did you mean own?"),
        (
            "train dataset=mnist data_root={file}",
            "{file}: a file, where a folder is meant; point dataset.root (or OPTBENCH_DATA) at",
        ),
        (
            "train --config-dir own optimizer=bare",
            "own/optimizer/bare.yaml names no _target_, such as my.module.Class",
        ),
        # which word
        ("train '' steps=2", "'': expected key=value"),
        ("''", "'': no such verb; choose from benchmark"),
        ("list ''", "list '': no such group"),
        ("list model ''", "list model '': no such model"),
        ("--hlep", "--hlep: no such flag; did you mean --help?"),
        ("train '\x1b[31mred=1'", r"\x1b[31mred can't be a key; expected key=value"),
        ("runs runs 'val/accuracy>0.8'", "a filter is key=value, such as state=finished, not <"),
        ("runs runs 'steps<=5'", "steps<=5: a filter is key=value, such as state=finished"),
        # which value
        ("train steps=1e400", "steps=1e400: not valid; expected a whole number"),
        ("train optimizer.lr=1e400", "optimizer.lr=1e400: not valid; expected a number"),
        ("train schedule.warmup_steps=200%", "a part of the run (10%), at most 100%"),
        ("train weights={file}", "{file}: expected a file that ends in .safetensors, .pt or .pth"),
        (f"export {A} -o {A}", f"{A}: expected a file that ends in .safetensors, .pt or .pth"),
        (f"probe {A} instruments=[sharpness] examples=0", "optbench: examples=0: expected a"),
        (
            f"probe {A} instruments=[sharpness] sharpness.examples=0",
            "optbench: sharpness.examples=0: expected a whole number",
        ),
    ],
)
def test_the_line_names_what_was_meant(
    line: str, says: str, place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(place)
    file = tmp_path / "taken"
    file.touch()
    answer = call(line.replace("{file}", str(file)))
    assert answer.code == 2 and answer.err.count("\n") == 1 and not answer.out
    assert says.replace("{file}", str(file)) in answer.err


@pytest.mark.parametrize(
    ("line", "rest"),
    [
        (f"resume {A[:-2]}", ""),
        ("resume runs", ""),
        (f"resume {A} --to new steps=4", ""),
        (f"tune {SMALL} {QUICK} space=lr trials=1 folder=st", ""),
    ],
)
def test_a_hint_works_when_pasted(
    line: str, rest: str, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(place)
    said = call(line).err
    pasted = re.search(r"(?:did you mean |in it: |add )([^?,\n]+)", said)
    assert pasted is not None, said
    words = line.split()
    words = [*words, *pasted[1].split()] if "add " in said else [*words[:-1], pasted[1]]
    answer = call(words)
    assert answer.code == 0, answer.err


@pytest.mark.parametrize("flag", ["-h", "--help"])
def test_help_of_a_verb_is_asked_for_in_any_order(flag: str) -> None:
    assert call([flag, "export"]).out == call("help export").out == call(f"export {flag}").out


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
def test_a_full_disk_behind_standard_output_is_named(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with Path("/dev/full").open("w", encoding="utf-8") as full:
        monkeypatch.setattr(sys, "stdout", full)
        assert program.main(["list"]) == 1
        monkeypatch.undo()
        os.dup2(os.open(os.devnull, os.O_WRONLY), full.fileno())
    assert f"optbench: standard output: {os.strerror(errno.ENOSPC)}" in capfd.readouterr().err

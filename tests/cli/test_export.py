"""`optbench export`."""

from __future__ import annotations

import os
import shutil
import stat
import sys
from pathlib import Path

import pytest
import torch

from cli.program import call, left_in, train


@pytest.fixture
def run(shared_place: Path, workplace: Path) -> Path:
    there = shared_place / "run"
    if not there.is_dir():
        train("steps=12 eval.every=3 checkpoint.every=3 ema=0.5", there)
    return Path(shutil.copytree(there, workplace / "mine"))


def test_it_says_what_was_written(run: Path) -> None:
    answer = call("export mine -o weights.pt --at last")
    assert answer.code == 0, answer.err
    assert answer.out == "weights.pt: step 12 (last), averaged weights, 610 numbers\n"
    assert sum(value.numel() for value in torch.load("weights.pt").values()) == 610
    before = os.umask(0)
    os.umask(before)
    assert stat.S_IMODE(os.stat("weights.pt").st_mode) == 0o666 & ~before


def test_the_files_folder_is_made(run: Path) -> None:
    assert call("export mine -o new/one/model.pt").code == 0
    assert "head.weight" in torch.load("new/one/model.pt")


def test_a_file_that_is_there_stays_without_force(run: Path) -> None:
    Path("weights.pt").write_text("dear", encoding="utf-8")
    answer = call("export mine -o weights.pt")
    assert answer.code == 2 and "weights.pt: it is there already; --force" in answer.err
    assert Path("weights.pt").read_text(encoding="utf-8") == "dear"
    assert call("export mine --output=weights.pt --force").code == 0
    assert "head.weight" in torch.load("weights.pt")


def test_without_safetensors_it_says_what_to_install(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "safetensors", None)
    monkeypatch.setitem(sys.modules, "safetensors.torch", None)
    answer = call("export mine -o model.safetensors")
    assert answer.code == 2 and "pip install 'optbench[safetensors]'" in answer.err


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("", "which run, and where?"),
        ("mine", "which run, and where?"),
        ("mine -o", "-o: it wants a value"),
        (
            "mine -o model.onnx",
            "model.onnx: expected a file that ends in .safetensors, .pt or .pth",
        ),
        ("mine -o file/model.pt", "file is no folder"),
        ("mine -o no/model.pt --at 5", "no checkpoint of step 5"),
        ("mine -o model.pt --at 5", "no checkpoint of step 5; there are 9, 12"),
        ("mine -o model.pt epochs=3", "which run, and where?"),
        ("mine -o model.pt --json", "--json: no such flag"),
        ("yours -o model.pt", "yours: no such run folder"),
        ("mine -o taken.pt", "taken.pt: a folder"),
    ],
)
def test_bad_input_is_one_line(run: Path, line: str, said: str) -> None:
    Path("taken.pt").mkdir()
    Path("file").write_text("", encoding="utf-8")
    before = left_in(Path.cwd())
    answer = call(f"export {line}")
    assert answer.code == 2 and said in answer.err, answer.err
    assert answer.err.count("\n") == 1 and answer.out == ""
    assert left_in(Path.cwd()) == before


def test_a_damaged_checkpoint_is_not_exported(run: Path) -> None:
    state = run / "checkpoints" / "step-00000012" / "state.pt"
    state.write_bytes(state.read_bytes()[:-1])
    answer = call("export mine -o model.pt --at 12")
    assert answer.code == 2 and "state.pt has" in answer.err and not Path("model.pt").exists()


@pytest.mark.parametrize("line", ["evaluate mine", "export mine -o x.pt", "train weights=mine"])
def test_of_damaged_checkpoints_the_cause_is_told(run: Path, line: str) -> None:
    for manifest in run.glob("checkpoints/*/manifest.json"):
        manifest.write_text("{", encoding="utf-8")
    answer = call(line)
    assert answer.code == 2 and "manifest.json: not JSON" in answer.err, answer.err


@pytest.mark.parametrize("line", ["evaluate s", "export s -o x.pt", "train weights=s"])
def test_a_sweeps_folder_is_no_run(workplace: Path, line: str) -> None:
    small = "model.hidden=[4] threads=1 device=cpu steps=2 checkpoint=final"
    assert call(f"train -m {small} seed=0,1 hydra.sweep.dir=s").code == 0
    answer = call(line)
    assert answer.code == 2 and "a sweep's folder; name one of its runs" in answer.err


def test_a_file_is_no_place_for_a_run(workplace: Path) -> None:
    (workplace / "there").write_text("x", encoding="utf-8")
    answer = call("train hydra.run.dir=there")
    assert answer.code == 2 and "hydra.run.dir=there" in answer.err and "a file" in answer.err
    assert left_in(workplace) == ["there"]


def test_a_sweep_is_refused_before_it_has_a_folder(workplace: Path) -> None:
    answer = call("train -m seed=0,1 monitor.sinks=[wandb] hydra.sweep.dir=s")
    assert answer.code == 2 and "pip install 'optbench[wandb]'" in answer.err
    assert left_in(workplace) == []

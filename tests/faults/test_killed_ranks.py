"""A rank killed again and again in one run of two: torchrun begins the ranks anew, and the run goes
on from its newest checkpoint in the same folder, to the same bits as one that was left alone."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from training.ranks import ended, ranks, torchrun
from training.runs import MACHINE

from .compare import differences

RUN = [
    *(*MACHINE, "model.hidden=[12]", "dataset=digits", "optimizer=adamw", "schedule=cosine"),
    *("accumulate=2", "clip.norm=1.0", "ema=0.9", "monitor.every=1", "eval.every=15"),
    *("steps=200", "checkpoint.every=2"),  # ten kills take a run on by at most 16 steps each
]


def survive(strategy: str, how: str, times: int, place: Path) -> list[int]:
    """Run twice, once with kills; the newest step that each attempt but the first found."""
    whole, folder, told = (place / name for name in ("whole", "killed", "told"))
    words = ["train", *RUN, f"strategy={strategy}"]
    ranks([*words, f"hydra.run.dir={whole}"])
    mine = [how, str(times), str(told), str(folder), *words, f"hydra.run.dir={folder}"]
    program = str(Path(__file__).with_name("killed_ranks.py"))
    code, said = ended(torchrun([program], mine, restarts=times))
    assert code == 0, said
    found = [json.loads(line) for line in told.read_text(encoding="utf-8").splitlines()]
    assert len(found) == times + 1, said  # so each attempt but the last was killed
    assert [each["problems"] for each in found if each["problems"]] == []
    assert differences(whole, folder) == []
    return [each["newest"] or 0 for each in found[1:]]


@pytest.fixture
def shim(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What counts the operations on the checkpoints, and kills at one of them."""
    if shutil.which("cc") is None:
        pytest.skip("no C compiler")
    source, built = Path(__file__).with_name("shim.c"), tmp_path / "shim.so"
    subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", built, source, "-ldl"], check=True)
    monkeypatch.setenv("LD_PRELOAD", str(built))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(Path(__file__).parents[2])]))


@pytest.mark.usefixtures("shim")
@pytest.mark.parametrize(
    ("strategy", "times"),
    [
        pytest.param("zero1", 2, marks=pytest.mark.slow),
        pytest.param("zero1", 50, marks=pytest.mark.slow),
        pytest.param("fsdp2", 50, marks=pytest.mark.slow),
    ],
)
def test_killed_while_saving(strategy: str, times: int, tmp_path: Path) -> None:
    newest = survive(strategy, "save", times, tmp_path)
    assert newest == sorted(newest)


@pytest.mark.slow
@pytest.mark.parametrize("strategy", ["ddp", "zero1", "fsdp2"])
def test_killed_ten_times_in_one_run(strategy: str, tmp_path: Path) -> None:
    """Anywhere in a step; each time a few steps later, so that none ends where the last did."""
    newest = survive(strategy, "step", 10, tmp_path)
    assert len(set(newest)) > 5

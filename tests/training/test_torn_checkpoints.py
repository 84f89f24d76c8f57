"""Whatever happens to the newest checkpoint, the one before is there, and the result the same."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from optbench.monitor.record import Recorder
from optbench.training import checkpoint

from .runs import (
    Killed,
    assert_same_run,
    copied_after,
    dies,
    newest,
    resume,
    status_of,
    train,
)

RUN = ["batch_size=100", "epochs=2", "checkpoint.every=4", "checkpoint.best=null"]
FILES = ("state.pt", "rank-0.pt", "manifest.json")


def cut_in_half(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def cut_last_byte(path: Path) -> None:
    os.truncate(path, path.stat().st_size - 1)


def flip_a_bit(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 4
    path.write_bytes(data)


def empty(path: Path) -> None:
    os.truncate(path, 0)


def append(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"x")


DAMAGES = (cut_in_half, cut_last_byte, flip_a_bit, empty, append, Path.unlink)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that was never interrupted; beside it what a kill after step 21 would have left."""
    folder = tmp_path_factory.mktemp("torn") / "whole"
    with copied_after(21, folder, folder.parent / "killed"):
        assert train(folder, *RUN) == 0
    return folder


@pytest.fixture
def interrupted(whole: Path) -> Path:
    """The same run, as a kill after step 21 of 26 leaves it: with checkpoints 16 and 20."""
    folder = Path("interrupted").absolute()
    shutil.copytree(whole.parent / "killed", folder)
    assert checkpoint.steps(folder / "checkpoints") == [16, 20]
    return folder


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("damage", DAMAGES, ids=lambda d: d.__name__)
def test_any_damage_costs_one_warning_and_one_checkpoint(
    name: str,
    damage: Callable[[Path], None],
    whole: Path,
    interrupted: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    damage(newest(interrupted) / name)
    assert resume(interrupted) == 0
    said = capsys.readouterr().err
    assert said.count("warning") == 1
    assert "step-00000020" in said and "going on from step 16" in said
    assert_same_run(whole, interrupted)


def test_a_missing_folder_needs_no_warning(
    whole: Path, interrupted: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.rmtree(newest(interrupted))
    assert resume(interrupted) == 0
    assert "warning" not in capsys.readouterr().err
    assert_same_run(whole, interrupted)


def test_a_half_written_checkpoint_is_ignored(
    whole: Path, interrupted: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    half = interrupted / "checkpoints" / "step-00000024.tmp"
    shutil.copytree(newest(interrupted), half)
    cut_in_half(half / "state.pt")
    assert resume(interrupted) == 0
    assert "warning" not in capsys.readouterr().err
    assert_same_run(whole, interrupted)
    assert not half.exists(), "step 24 was written anew; its ruin should not stay"


def test_all_damaged_is_an_error_in_one_line(
    interrupted: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for step in checkpoint.steps(interrupted / "checkpoints"):
        cut_in_half(interrupted / "checkpoints" / f"step-{step:08d}" / "state.pt")
    assert resume(interrupted) == 2
    said = [line for line in capsys.readouterr().err.splitlines() if line.startswith("optbench:")]
    assert len(said) == 1
    assert "step-00000016" in said[0] and "step-00000020" in said[0]
    assert status_of(interrupted)["state"] == "running"  # nothing was done to it
    assert checkpoint.steps(interrupted / "checkpoints") == [16, 20]


def test_metrics_torn_at_any_byte_are_mended(whole: Path, interrupted: Path) -> None:
    with (interrupted / "metrics.jsonl").open("ab") as file:
        file.write(b'{"kind": "train", "step": 21, "ep')
    assert resume(interrupted) == 0
    assert_same_run(whole, interrupted)


@pytest.mark.parametrize(("call", "number"), [("rename", 0), ("rename", 1), ("fsync", 2)])
def test_a_crash_while_writing_leaves_two_whole_ones(
    call: str, number: int, whole: Path, interrupted: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process dies at such a call after the resume; test_checkpoint tries them all."""
    true, calls = getattr(os, call), []

    def dying(*arguments: object) -> object:
        calls.append(arguments)
        if len(calls) > number:
            raise Killed
        return true(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(os, call, dying)
        dies(partial(resume, interrupted))
    assert len(whole_ones(interrupted)) >= 2
    assert resume(interrupted) == 0
    assert_same_run(whole, interrupted)


def test_a_damaged_one_does_not_count_among_the_two_that_are_kept(
    interrupted: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopped between the checkpoint that is whole and the damaged one, which still lies there."""
    cut_in_half(newest(interrupted) / "state.pt")
    tick = Recorder.tick

    def asking_to_stop(self: Recorder, step: int) -> None:
        tick(self, step)
        if step == 17:
            os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(Recorder, "tick", asking_to_stop)
    assert resume(interrupted) == 128 + signal.SIGTERM
    assert whole_ones(interrupted) == [16, 18]


def whole_ones(folder: Path) -> list[int]:
    """The steps whose checkpoints are verified."""
    checkpoints = folder / "checkpoints"
    steps = checkpoint.steps(checkpoints)
    return [s for s in steps if checkpoint.damage(checkpoints / f"step-{s:08d}") is None]

"""optbench.training.checkpoint"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from optbench.errors import UserError
from optbench.files import BadFile
from optbench.training import checkpoint
from optbench.training.distributed import World
from optbench.training.serialise import CheckpointBuffer

from .runs import Killed, assert_same_bits

ALONE = World(torch.device("cpu"))
FOLDER = Path("checkpoints")


def shared_of(step: int) -> dict[str, Any]:
    weights = torch.arange(step, step + 6.0).reshape(2, 3).to(torch.bfloat16)
    return {"step": step, "weights": weights, "betas": (0.9, None), "nested": [{"lr": 0.1}]}


def write(step: int, folder: Path = FOLDER) -> None:
    own = {"loss": [float(step), 1]}
    parts = {
        checkpoint.SHARED: CheckpointBuffer().fill(shared_of(step)),
        checkpoint.rank_file(0): CheckpointBuffer().fill(own),
    }
    checkpoint.write_checkpoint(folder, step, parts, ALONE)


def warnings_of(act: Callable[[Callable[[str], None]], Any]) -> tuple[Any, list[str]]:
    said: list[str] = []
    return act(said.append), said


def newest() -> tuple[int | None, list[str]]:
    return warnings_of(lambda warn: checkpoint.newest_verified(FOLDER, warn))


def path_of(step: int) -> Path:
    return FOLDER / f"step-{step:08d}"


def test_what_is_written_is_read() -> None:
    write(7)
    loaded = checkpoint.read_checkpoint(FOLDER, 7, ALONE)
    assert loaded.step == 7
    assert_same_bits(dict(loaded.shared), shared_of(7))
    assert loaded.own == {"loss": [7.0, 1]}
    assert [path.name for path in FOLDER.iterdir()] == ["step-00000007"]


def test_another_rank_has_no_part_of_its_own() -> None:
    write(7)
    loaded = checkpoint.read_checkpoint(FOLDER, 7, World(torch.device("cpu"), rank=1, size=2))
    assert loaded.own is None
    assert loaded.shared["step"] == 7


def test_the_manifest_lists_every_file() -> None:
    write(7)
    manifest = json.loads((path_of(7) / checkpoint.MANIFEST).read_text(encoding="utf-8"))
    assert manifest["step"] == 7 and manifest["world_size"] == 1
    written = {path.name for path in path_of(7).iterdir()} - {checkpoint.MANIFEST}
    assert set(manifest["files"]) == written == {"state.pt", "rank-0.pt"}


def test_only_plain_data_is_read() -> None:
    write(7)
    torch.save({"pickled": Path("anything")}, path_of(7) / "state.pt")
    with pytest.raises(BadFile, match=r"state\.pt: it holds more than tensors, which would run"):
        checkpoint.read_checkpoint(FOLDER, 7, ALONE)


def test_the_steps_in_order_without_what_is_unfinished() -> None:
    assert checkpoint.steps(FOLDER) == []
    for step in (1000, 30, 123456789):
        write(step)
    path_of(40).with_name("step-00000040.tmp").mkdir()
    (FOLDER / "step-5").mkdir()
    assert checkpoint.steps(FOLDER) == [30, 1000, 123456789]


def test_writing_a_step_again_replaces_it() -> None:
    write(7)
    (path_of(7) / "state.pt").write_bytes(b"torn")
    write(7)
    assert checkpoint.damage(path_of(7)) is None


@pytest.mark.parametrize("keep_last", [0, 1, 2, 3])
def test_pruning_keeps_the_last_and_the_best(keep_last: int) -> None:
    for step in (10, 20, 30, 40, 50):
        write(step)
    checkpoint.prune(FOLDER, keep_last, best=20)
    assert checkpoint.steps(FOLDER) == [20, *[10, 20, 30, 40, 50][-max(2, keep_last) :]]


def test_without_a_best_only_the_last_are_kept() -> None:
    for step in (10, 20, 30):
        write(step)
    checkpoint.prune(FOLDER, 2, best=None)
    assert checkpoint.steps(FOLDER) == [20, 30]


def test_no_folder_is_no_checkpoint() -> None:
    assert newest() == (None, [])


def test_the_newest_needs_no_warning() -> None:
    for step in (10, 20):
        write(step)
    assert newest() == (20, [])


def test_several_damaged_ones_cost_one_warning() -> None:
    for step in (10, 20, 30):
        write(step)
    (path_of(30) / "state.pt").unlink()
    (path_of(20) / "manifest.json").write_text("{}", encoding="utf-8")
    step, said = newest()
    assert step == 10
    assert len(said) == 1
    assert "step-00000030: state.pt" in said[0] and "step-00000020: manifest.json" in said[0]


def test_none_left_is_an_error() -> None:
    write(10)
    (path_of(10) / "rank-0.pt").write_bytes(b"")
    with pytest.raises(UserError, match=r"no checkpoint is whole.*rank-0\.pt has 0 bytes"):
        newest()


def unnoticed_flips(path: Path) -> list[str]:
    """Where one bit of a byte may flip without anybody's noticing; each byte gives another bit."""
    data, unnoticed = path.read_bytes(), []
    for place in range(0, len(data), max(1, len(data) // 500)):
        flipped = bytearray(data)
        flipped[place] ^= 1 << place % 8
        path.write_bytes(flipped)
        if checkpoint.damage(path.parent) is None:
            unnoticed.append(f"byte {place}: {bytes(flipped[max(0, place - 8) : place + 8])!r}")
    path.write_bytes(data)
    return unnoticed


MANIFEST = "manifest.json"


@pytest.mark.parametrize("name", ["state.pt", "rank-0.pt", MANIFEST])
def test_any_single_bit_is_noticed(name: str) -> None:
    write(7)
    assert unnoticed_flips(path_of(7) / name) == []


def test_any_truncation_is_noticed() -> None:
    write(7)
    for path in sorted(path_of(7).iterdir()):
        data = path.read_bytes()
        for length in range(0, len(data), max(1, len(data) // 100)):
            path.write_bytes(data[:length])
            assert checkpoint.damage(path.parent) is not None, f"{path.name} of {length} bytes"
        path.write_bytes(data)
    assert checkpoint.damage(path_of(7)) is None


@pytest.mark.parametrize(("step", "whole"), [(30, 2), (20, 1)], ids=["new", "again"])
def test_a_crash_at_any_call_to_the_system_leaves_whole_ones(
    step: int, whole: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each call that writing and pruning make, in turn, is the last of its process.

    While one of two is written again, with its score, the other has to do.
    """
    crashes = 0
    while crash_at(monkeypatch, crashes, step):
        good = [s for s in checkpoint.steps(FOLDER) if checkpoint.damage(path_of(s)) is None]
        assert len(good) >= whole, f"after a crash at call {crashes}: {good}"
        assert newest() in [(good[-1], []), (step, [])]
        crashes += 1
        shutil.rmtree(FOLDER)
    assert checkpoint.steps(FOLDER) == ([20, 30] if step == 30 else [10, 20])
    assert len(list(FOLDER.iterdir())) == 2
    assert crashes > 10


CALLS = ("mkdir", "open", "fsync", "rename", "unlink", "rmdir", "close")


def crash_at(monkeypatch: pytest.MonkeyPatch, number: int, step: int) -> bool:
    """Writes a step beside 10 and 20 and prunes; whether it got as far as call `number`."""
    for earlier in (10, 20):
        write(earlier)
    made = []

    def dying(true: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            if len(made) == number:
                raise Killed
            made.append(arguments)
            return true(*arguments, **options)

        return call

    with monkeypatch.context() as patch:
        for name in CALLS:
            patch.setattr(os, name, dying(getattr(os, name)))
        try:
            write(step)
            checkpoint.prune(FOLDER, 2, None)
        except Killed:
            return True
    return False


def test_what_an_interrupted_write_left_is_swept_up() -> None:
    for step in (10, 20):
        write(step)
    for name in ("step-00000030.tmp", "step-00000020.old"):
        shutil.copytree(path_of(10), FOLDER / name)
    assert newest() == (20, [])
    checkpoint.prune(FOLDER, 2, None)
    assert sorted(path.name for path in FOLDER.iterdir()) == ["step-00000010", "step-00000020"]


def _doubled() -> Any:
    value: Any = ("x",)
    for _ in range(40):
        value = (value, value)
    return value


@pytest.mark.parametrize(
    "value", [_doubled(), torch.zeros(1).expand(10**9)], ids=["doubled", "expanded"]
)
def test_what_stands_for_more_than_it_is_is_refused(value: Any) -> None:
    parts = {
        checkpoint.SHARED: CheckpointBuffer().fill({"value": value}),
        checkpoint.rank_file(0): CheckpointBuffer().fill({}),
    }
    checkpoint.write_checkpoint(FOLDER, 7, parts, ALONE)
    with pytest.raises(BadFile, match=r"state\.pt"):
        checkpoint.read_checkpoint(FOLDER, 7, ALONE)

"""optbench.monitor.record_files: cut at the lengths of a checkpoint, and at nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from optbench.monitor.event_file import read_events
from optbench.monitor.jsonl import JsonLines
from optbench.monitor.record import Record, Recorder
from optbench.monitor.record_files import cut, positions_of
from optbench.monitor.tensorboard import TensorBoard
from optbench.rundir import RunDir


def record(step: int, kind: str = "train") -> Record:
    return Record(kind, step, step / 10, step * 8, step / 2, {f"{kind}/loss": float(step)})


def recorder(folder: RunDir, resumed_at: int | None = None, **earlier: int) -> Recorder:
    board = TensorBoard(folder.tensorboard, resumed_at)
    return Recorder([JsonLines(folder.metrics), board], board, earlier=earlier)


@pytest.fixture
def folder(tmp_path: Path) -> RunDir:
    return RunDir(tmp_path)


@pytest.fixture
def positions(folder: RunDir) -> dict[str, int]:
    """The lengths at step 2 of a run that went on to its end."""
    run = recorder(folder)
    for step in (1, 2):
        run.write(record(step))
    run.flush()
    at = run.positions()
    for kind in ("val", "train", "test"):
        run.write(record(3, kind))
    assert run.tensorboard is not None
    run.close()
    return at


def events(folder: RunDir) -> list[int]:
    steps = []
    for path in sorted(folder.tensorboard.iterdir()):
        with path.open("rb") as file:
            steps += [event.step for event, _ in read_events(file) if event.summary.value]
    return steps


def cut_it(folder: RunDir, positions: dict[str, int]) -> tuple[dict[str, int], list[str]]:
    said: list[str] = []
    left = cut(folder, positions, said.append, said.append)
    return left, said


def test_what_came_after_the_checkpoint_is_dropped_and_counted(
    folder: RunDir, positions: dict[str, int]
) -> None:
    left, said = cut_it(folder, positions)
    assert [line["step"] for line in folder.read_metrics()] == events(folder) == [1, 2]
    assert left == {name: size for name, size in positions.items() if name.startswith("tb/")}
    assert [line.partition(": ")[2][:9] for line in said] == ["3 records"] * 2
    assert cut_it(folder, positions) == (left, [])


def test_a_line_that_cant_be_read_stays_where_it_is(
    folder: RunDir, positions: dict[str, int]
) -> None:
    data = bytearray(folder.metrics.read_bytes())
    data[0] ^= 1
    folder.metrics.write_bytes(data)
    _, said = cut_it(folder, positions)
    assert folder.metrics.read_bytes() == data[: positions["metrics.jsonl"]]
    assert [line["step"] for line in folder.read_metrics()] == [2]
    assert "metrics.jsonl: 1 of 2 lines can't be read; they stay as they are" in said


def test_a_damaged_event_stays_and_is_told(folder: RunDir, positions: dict[str, int]) -> None:
    (path,) = folder.tensorboard.iterdir()
    data = bytearray(path.read_bytes())
    data[60] ^= 1
    path.write_bytes(data)
    left, said = cut_it(folder, positions)
    assert path.stat().st_size == left[f"tb/{path.name}"] == positions[f"tb/{path.name}"]
    assert any("is damaged after byte" in line for line in said)


@pytest.mark.parametrize("length", [0, 1, 60, 110, 130])
def test_a_file_that_is_too_short_ends_with_a_whole_record(
    folder: RunDir, positions: dict[str, int], length: int
) -> None:
    (path,) = folder.tensorboard.iterdir()
    for torn in (folder.metrics, path):
        torn.write_bytes(torn.read_bytes()[:length])
    _, said = cut_it(folder, positions)
    assert len([line for line in said if "are lost" in line]) == 2
    data = folder.metrics.read_bytes()
    assert data == b"" or data.endswith(b"\n")
    with path.open("rb") as file:
        assert [0, *(end for _, end in read_events(file))][-1] == path.stat().st_size


def test_missing_files_are_told_and_not_made(folder: RunDir, positions: dict[str, int]) -> None:
    (path,) = folder.tensorboard.iterdir()
    path.unlink()
    folder.metrics.unlink()
    left, said = cut_it(folder, positions)
    assert left == {} and [line.partition(" is missing")[0] for line in said] == [
        "metrics.jsonl",
        f"tb/{path.name}",
    ]
    assert not folder.metrics.exists()


def test_files_that_began_later_are_emptied(folder: RunDir, positions: dict[str, int]) -> None:
    left, _ = cut_it(folder, positions)
    later = recorder(folder, 2, **left)
    later.write(record(3))
    later.close()
    cut_it(folder, positions)
    assert events(folder) == [1, 2]


def test_the_positions_name_the_files_of_earlier_parts(
    folder: RunDir, positions: dict[str, int]
) -> None:
    left, _ = cut_it(folder, positions)
    later = recorder(folder, 2, **left)
    assert later.positions().keys() > positions.keys()
    later.close()


def test_names_that_lead_out_of_the_folder_are_left_out() -> None:
    listed = {"tb/../../x": 0, "/etc/passwd": 0, "metrics.jsonl": 3, "log.txt": 1, "tb/x": -1}
    assert positions_of({"records": listed}) == {"metrics.jsonl": 3}

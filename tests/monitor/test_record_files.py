"""optbench.monitor.record_files: cut at the lengths of a checkpoint, and at nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from optbench.monitor.event_file import read_events
from optbench.monitor.jsonl import JsonLines
from optbench.monitor.record import Position, Record, Recorder
from optbench.monitor.record_files import cut, positions_of
from optbench.monitor.tensorboard import TensorBoard
from optbench.rundir import RunDir


def record(step: int, kind: str = "train") -> Record:
    return Record(kind, step, step / 10, step * 8, step / 2, {f"{kind}/loss": float(step)})


def recorder(folder: RunDir, resumed_at: int | None = None, **earlier: Position) -> Recorder:
    board = TensorBoard(folder.tensorboard, resumed_at)
    return Recorder([JsonLines(folder.metrics), board], board, earlier=earlier)


@pytest.fixture
def folder(tmp_path: Path) -> RunDir:
    return RunDir(tmp_path)


@pytest.fixture
def positions(folder: RunDir) -> dict[str, Position]:
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


def cut_it(folder: RunDir, positions: dict[str, Position]) -> tuple[dict[str, Position], list[str]]:
    said: list[str] = []
    left = cut(folder, positions, 2, said.append, said.append)
    return left, said


def test_what_came_after_the_checkpoint_is_dropped_and_counted(
    folder: RunDir, positions: dict[str, Position]
) -> None:
    left, said = cut_it(folder, positions)
    assert [line["step"] for line in folder.read_metrics()] == events(folder) == [1, 2]
    assert left == {name: size for name, size in positions.items() if name.startswith("tb/")}
    assert [line.partition(": ")[2][:9] for line in said] == ["3 records"] * 2
    assert cut_it(folder, positions) == (left, [])


def test_a_line_that_cant_be_read_stays_where_it_is(
    folder: RunDir, positions: dict[str, Position]
) -> None:
    data = bytearray(folder.metrics.read_bytes())
    data[0] ^= 1
    folder.metrics.write_bytes(data)
    _, said = cut_it(folder, positions)
    assert folder.metrics.read_bytes() == data[: positions["metrics.jsonl"][0]]
    assert [line["step"] for line in folder.read_metrics()] == [2]
    assert said[0] == (
        "metrics.jsonl is not what it was at step 2: 1 line can't be read, and stays as it is"
    )
    sink = JsonLines(folder.metrics)
    now = positions | sink.positions()
    sink.close()
    assert cut_it(folder, now)[1] == []  # it is told once


@pytest.mark.parametrize(
    "line", [b"\n", b"[1, 2]\n", b'{"step": "x"}\n', b"\xff\xfe\n", b"9" * 5000 + b"\n"]
)
@pytest.mark.parametrize("number", [0, 1])
def test_a_line_that_was_put_in_costs_no_other(
    folder: RunDir, positions: dict[str, Position], line: bytes, number: int
) -> None:
    lines = folder.metrics.read_bytes().splitlines(keepends=True)
    folder.metrics.write_bytes(b"".join([*lines[:number], line, *lines[number:]]))
    _, said = cut_it(folder, positions)
    assert [record["step"] for record in folder.read_metrics()] == [1, 2]
    assert "is not what it was" in said[0]


def test_a_value_that_has_changed_is_told(folder: RunDir, positions: dict[str, Position]) -> None:
    data = folder.metrics.read_bytes()
    folder.metrics.write_bytes(data.replace(b'"train/loss":1.0', b'"train/loss":3.0'))
    _, said = cut_it(folder, positions)
    assert [record["step"] for record in folder.read_metrics()] == [1, 2]
    assert "is not what it was" in said[0]


@pytest.mark.parametrize("size", [0, 10, 200, 1000])
def test_what_has_no_line_left_is_told(
    folder: RunDir, positions: dict[str, Position], size: int
) -> None:
    folder.metrics.write_bytes(bytes(size))
    _, said = cut_it(folder, positions)
    assert "is not what it was" in said[0] and folder.metrics.read_bytes() == b""
    assert ("it is empty, and the" in said[0]) == (size == 0) and " 0 lines" not in said[0]


def test_a_damaged_event_stays_and_is_told(folder: RunDir, positions: dict[str, Position]) -> None:
    (path,) = folder.tensorboard.iterdir()
    data = bytearray(path.read_bytes())
    data[60] ^= 1
    path.write_bytes(data)
    left, said = cut_it(folder, positions)
    assert left[f"tb/{path.name}"] == positions[f"tb/{path.name}"]
    assert path.stat().st_size == left[f"tb/{path.name}"][0]
    assert any("is damaged after byte" in line for line in said)


@pytest.mark.parametrize("length", [0, 1, 60, 110, 130])
def test_a_file_that_is_too_short_ends_with_a_whole_record(
    folder: RunDir, positions: dict[str, Position], length: int
) -> None:
    (path,) = folder.tensorboard.iterdir()
    for torn in (folder.metrics, path):
        torn.write_bytes(torn.read_bytes()[:length])
    _, said = cut_it(folder, positions)
    assert len([line for line in said if "bytes" in line]) >= 2
    data = folder.metrics.read_bytes()
    assert data == b"" or data.endswith(b"\n")
    with path.open("rb") as file:
        assert [0, *(end for _, end in read_events(file))][-1] == path.stat().st_size


def test_missing_files_are_told_and_not_made(
    folder: RunDir, positions: dict[str, Position]
) -> None:
    (path,) = folder.tensorboard.iterdir()
    path.unlink()
    folder.metrics.unlink()
    left, said = cut_it(folder, positions)
    assert left == {} and [line.partition(" is missing")[0] for line in said] == [
        "metrics.jsonl",
        f"tb/{path.name}",
    ]
    assert not folder.metrics.exists()


def test_files_that_began_later_are_emptied(folder: RunDir, positions: dict[str, Position]) -> None:
    left, _ = cut_it(folder, positions)
    later = recorder(folder, 2, **left)
    later.write(record(3))
    later.close()
    cut_it(folder, positions)
    assert events(folder) == [1, 2]


def test_the_positions_name_the_files_of_earlier_parts(
    folder: RunDir, positions: dict[str, Position]
) -> None:
    left, _ = cut_it(folder, positions)
    later = recorder(folder, 2, **left)
    assert later.positions().keys() > positions.keys()
    later.close()


def test_names_that_lead_out_of_the_folder_are_left_out() -> None:
    names = {"tb/../../x": [0, 0], "/etc/passwd": [0, 0], "log.txt": [1, 0], "tb/x": [-1, 0]}
    listed = {**names, "metrics.jsonl": [3, 7], "tb/events.out.tfevents.1": 3}
    assert positions_of({"records": listed}) == {"metrics.jsonl": (3, 7)}

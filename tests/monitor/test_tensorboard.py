"""optbench.monitor.tensorboard, read back by TensorBoard itself."""

from __future__ import annotations

import itertools
import os
import struct
from pathlib import Path

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from optbench.monitor.histograms import histograms
from optbench.monitor.record import Record
from optbench.monitor.tensorboard import TensorBoard


def record(step: int, kind: str = "train", **values: float) -> Record:
    return Record(kind, step, 0.0, 0, 0.0, values or {f"{kind}/loss": float(step)})


def write(folder: Path, *records: Record, resumed_at: int | None = None) -> Path:
    """Writes one more event file; returns it."""
    before = set(folder.glob("*"))
    board = TensorBoard(folder, resumed_at)
    for one in records:
        board.write(one)
    board.close()
    (made,) = set(folder.glob("*")) - before
    return made


def read(folder: Path) -> EventAccumulator:
    found = EventAccumulator(str(folder), size_guidance={"scalars": 0, "histograms": 0})
    found.Reload()
    return found


def scalars(folder: Path, tag: str = "train/loss") -> list[tuple[int, float]]:
    found = read(folder)
    if tag not in found.Tags()["scalars"]:
        return []
    return [(event.step, event.value) for event in found.Scalars(tag)]


def test_every_value_of_a_record_is_a_scalar(tmp_path: Path) -> None:
    write(tmp_path, record(3, **{"train/loss": 0.5, "lr/model": 0.25}), record(4))
    assert scalars(tmp_path) == [(3, 0.5), (4, 4.0)]
    assert scalars(tmp_path, "lr/model") == [(3, 0.25)]


def test_all_values_of_a_record_are_one_event(tmp_path: Path) -> None:
    path = write(tmp_path, record(1, **{f"grad_norm/{i}": 1.0 for i in range(124)}))
    # The first event is the file's version.
    assert count_events(path) == 2


def count_events(path: Path) -> int:
    data, position, count = path.read_bytes(), 0, 0
    while position < len(data):
        (length,) = struct.unpack_from("<Q", data, position)
        position, count = position + 12 + length + 4, count + 1
    return count


def test_histograms_keep_their_sums(tmp_path: Path) -> None:
    board = TensorBoard(tmp_path)
    values = torch.linspace(-1, 3, 50)
    board.write_histograms(7, histograms(["parameters/w"], [values]))
    board.close()
    (event,) = read(tmp_path).Histograms("parameters/w")
    found = event.histogram_value
    assert (event.step, found.num, found.min, found.max) == (7, 50, -1, 3)
    assert sum(found.bucket) == 50
    assert found.sum == pytest.approx(float(values.sum()), rel=1e-5)
    assert found.sum_squares == pytest.approx(float(values.square().sum()), rel=1e-5)


def test_flushed_events_can_be_read_while_the_file_is_open(tmp_path: Path) -> None:
    board = TensorBoard(tmp_path)
    board.write(record(1))
    board.flush()
    assert scalars(tmp_path) == [(1, 1.0)]
    board.close()


def test_a_reader_that_was_further_forgets_what_is_not_so(tmp_path: Path) -> None:
    """A TensorBoard that runs has seen step 3 of the part that died; the resumed part goes on
    from step 1."""
    write(tmp_path, record(1), record(2), record(3))
    running = read(tmp_path)
    assert [event.step for event in running.Scalars("train/loss")] == [1, 2, 3]
    write(tmp_path, record(2, **{"train/loss": 20.0}), resumed_at=1)
    running.Reload()
    assert [(e.step, e.value) for e in running.Scalars("train/loss")] == [(1, 1.0), (2, 20.0)]


def test_files_of_several_parts_follow_each_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """TensorBoard reads the files of a folder by name; here all are made in one second."""
    monkeypatch.setattr("optbench.monitor.event_file.time.time", lambda: 1.7e9)
    monkeypatch.setattr("optbench.monitor.event_file._number", itertools.count(8))
    paths = [write(tmp_path, record(step), resumed_at=step - 1) for step in (1, 2, 3)]
    assert sorted(paths, key=os.fspath) == paths
    assert scalars(tmp_path) == [(step, step) for step in (1, 2, 3)]


@pytest.mark.parametrize("clock", [1.7e9, 1.6e9], ids=["same second", "clock set back"])
def test_a_resumed_part_follows_whatever_its_process_is_called(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, clock: float
) -> None:
    """Process numbers wrap around, so that a later part may have the smaller one."""
    paths = []
    for step, now, process in ((1, 1.7e9, 32760), (2, clock, 310), (3, clock, 309)):
        monkeypatch.setattr("optbench.monitor.event_file.time.time", lambda now=now: now)
        monkeypatch.setattr("optbench.monitor.event_file.os.getpid", lambda number=process: number)
        paths.append(write(tmp_path, record(step), resumed_at=step - 1))
    assert sorted(paths, key=os.fspath) == paths
    assert scalars(tmp_path) == [(step, step) for step in (1, 2, 3)]

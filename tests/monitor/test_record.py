"""optbench.monitor.record and optbench.monitor.memory"""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from optbench.monitor.memory import PeakMemory
from optbench.monitor.record import Record, Recorder

RECORD = Record("train", 1, 0.5, 10, 0.1, {"train/loss": 1.0})


class Sink:
    """Notes what it is told."""

    def __init__(self) -> None:
        self.told: list[object] = []

    def write(self, record: Record) -> None:
        self.told.append(record)

    def write_histograms(self, step: int, histograms: object) -> None:
        self.told.append((step, histograms))

    def tick(self, step: int) -> None:
        self.told.append(step)

    def flush(self) -> None:
        self.told.append("flush")

    def close(self) -> None:
        self.told.append("close")


def test_every_sink_is_told_in_order() -> None:
    one, other = Sink(), Sink()
    recorder = Recorder([one, other])
    recorder.write(RECORD)
    recorder.flush()
    recorder.close()
    assert one.told == other.told == [RECORD, "flush", "close"]


class Full(Sink):
    """A file on a disk that is full."""

    def write(self, record: Record) -> None:
        super().write(record)
        raise OSError("no space left")


def test_no_sink_gets_a_record_twice_or_never_where_another_fails() -> None:
    before, full, after = Sink(), Full(), Sink()
    recorder = Recorder([before, full, after])
    records = [RECORD, replace(RECORD, step=2)]
    for record in records:
        recorder.write(record)
    with pytest.raises(OSError, match="no space left"):
        recorder.flush()
    recorder.close()
    assert before.told == after.told == [*records, "close"]
    assert full.told == [RECORD, "close"]


def test_ticks_and_histograms_go_to_those_who_take_them() -> None:
    live, board = Sink(), Sink()
    recorder = Recorder([], tensorboard=board, live=live)
    recorder.tick(3)
    recorder.histograms(4, {"w": 1})
    assert live.told == [3]
    assert board.told == [(4, {"w": 1})]


def test_other_ranks_have_nobody_to_tell() -> None:
    recorder = Recorder()
    recorder.write(RECORD)
    recorder.tick(1)
    recorder.histograms(1, {})
    recorder.show(1, {"sample": "text"}, {})
    recorder.flush()
    assert recorder.positions() == {}
    recorder.close()


def test_peak_memory_is_that_of_the_process() -> None:
    pages = int(Path("/proc/self/statm").read_text(encoding="utf-8").split()[1])
    now = pages * os.sysconf("SC_PAGE_SIZE") / 2**20
    assert 0.9 * now <= PeakMemory(torch.device("cpu")).mib() < now + 16 * 2**10

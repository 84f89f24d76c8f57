"""optbench.monitor.guarded: a sink that fails says so once, and does not end the run."""

from __future__ import annotations

from typing import Any

import pytest

from optbench.monitor.guarded import Guarded
from optbench.monitor.record import Record, Recorder

RECORD = Record("train", 1, 0.1, 8, 0.5, {"train/loss": 1.0})


class Sink:
    """Notes what it is asked for, and fails at one of these."""

    def __init__(self, fails: str = "") -> None:
        self.fails, self.asked = fails, [""]

    def _do(self, what: str) -> None:
        self.asked.append(what)
        if what == self.fails:
            raise RuntimeError("no\nroute.")

    def write(self, record: Record) -> None:
        self._do("write")

    def flush(self) -> None:
        self._do("flush")

    def close(self) -> None:
        self._do("close")


def told(sink: Any) -> list[str]:
    said: list[str] = []
    recorder = Recorder([Guarded(sink, "mine", said.append)])
    for _ in range(2):
        recorder.write(RECORD)
        recorder.flush()
        recorder.show(1, {}, {})
    recorder.close()
    return said


def test_one_that_works_gets_everything() -> None:
    sink = Sink()
    assert told(sink) == []
    assert sink.asked[1:] == ["write", "flush", "write", "flush", "close"]


@pytest.mark.parametrize("fails", ["write", "flush", "close"])
def test_a_failure_is_told_once_and_is_the_end(fails: str) -> None:
    sink = Sink(fails)
    assert told(sink) == ["mine: RuntimeError: no route; nothing more is written there"]
    assert sink.asked[-1] == fails and sink.asked.count(fails) == 1


def test_only_write_is_needed() -> None:
    class Least:
        written = 0

        def write(self, record: Record) -> None:
            self.written += 1

    sink = Least()
    assert told(sink) == [] and sink.written == 2


def test_a_file_is_as_it_last_was() -> None:
    class File(Sink):
        length = 3

        def positions(self) -> dict[str, tuple[int, int | None]]:
            return {"metrics.csv": (self.length, None)}

    said: list[str] = []
    file = File("write")
    sink = Guarded(file, "mine", said.append)
    assert sink.positions() == {"metrics.csv": (3, None)}
    sink.write(RECORD)
    file.length = 4
    assert sink.positions() == {"metrics.csv": (3, None)}

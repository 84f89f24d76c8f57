"""optbench.monitor.jsonl, and that what it writes can be read and cut again."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

from optbench.monitor.jsonl import JsonLines
from optbench.monitor.record import Record
from optbench.rundir import RunDir


def record(step: int, kind: str = "train", **values: float) -> Record:
    return Record(kind, step, step / 7, step * 10, step / 3, values or {"train/loss": 1 / step})


def written(folder: Path, *records: Record) -> RunDir:
    sink = JsonLines(folder / "metrics.jsonl")
    for one in records:
        sink.write(one)
    sink.close()
    return RunDir(folder)


def test_a_line_holds_the_position_and_the_values(tmp_path: Path) -> None:
    folder = written(tmp_path, record(3, "val", **{"val/loss": 0.25}))
    assert json.loads(folder.metrics.read_text(encoding="utf-8")) == {
        "format": 1,
        "kind": "val",
        "step": 3,
        "epoch": 0.428571,
        "examples": 30,
        "seconds": 1.0,
        "val/loss": 0.25,
    }


def test_a_line_says_how_many_passes_there_were(tmp_path: Path) -> None:
    values = {"train/loss": 1.0}
    one = Record("train", 1, 0.0, 1, 0.0, values, passes=2)
    folder = written(tmp_path, one, Record("train", 2, 0.0, 1, 0.0, values, passes=4.333333))
    assert [line["passes"] for line in folder.read_metrics()] == [2, 4.333333]
    assert '"seconds":0.0,"passes":2,"train/loss"' in folder.metrics.read_text("utf-8")
    assert folder.last_values() == values


def test_numbers_come_back_to_the_last_bit(tmp_path: Path) -> None:
    value = 0.1 + 0.2
    (line,) = written(tmp_path, record(1, **{"train/loss": value})).read_metrics()
    assert line["train/loss"] == value


def test_it_is_strict_json_whatever_the_numbers(tmp_path: Path) -> None:
    values = {"a": math.nan, "b": math.inf, "c": -math.inf, "d": 1.0}
    folder = written(tmp_path, record(1, **values))
    text = folder.metrics.read_text(encoding="utf-8")
    json.loads(text, parse_constant=lambda word: pytest.fail(f"{word} is not JSON"))
    (line,) = folder.read_metrics()
    assert math.isnan(line["a"]) and line["b"] == math.inf and line["c"] == -math.inf


@pytest.mark.parametrize(
    "values",
    [
        {"null": 1.0},
        {"a": 2**70},
        {"a": np.float64(0.1)},
        {"layer \ud800": 1.0},
        {"gewicht/ä": 5e-324, "b": 1.7976931348623157e308, "c": -0.0},
    ],
    ids=["null", "beyond 64 bits", "numpy's", "no UTF-8", "ends of the range"],
)
def test_whatever_a_value_or_a_tag_is_it_comes_back(
    tmp_path: Path, values: dict[str, float]
) -> None:
    (line,) = written(tmp_path, record(1, **values)).read_metrics()
    assert {tag: line[tag] for tag in values} == values
    assert [str(line[tag]) for tag in values] == [str(value) for value in values.values()]


def test_it_goes_on_with_a_file_that_is_there(tmp_path: Path) -> None:
    written(tmp_path, record(1))
    folder = written(tmp_path, record(2))
    assert [line["step"] for line in folder.read_metrics()] == [1, 2]


def test_flushed_lines_are_in_the_file(tmp_path: Path) -> None:
    sink = JsonLines(tmp_path / "metrics.jsonl")
    sink.write(record(1))
    sink.flush()
    assert [line["step"] for line in RunDir(tmp_path).read_metrics()] == [1]
    sink.close()


def test_a_file_cut_at_any_byte_reads_whole_lines(tmp_path: Path) -> None:
    folder = written(tmp_path, record(1), record(2), record(3))
    data = folder.metrics.read_bytes()
    ends = [i + 1 for i, byte in enumerate(data) if byte == ord("\n")]
    for length in range(len(data) + 1):
        folder.metrics.write_bytes(data[:length])
        whole = sum(end <= length for end in ends)
        assert [line["step"] for line in folder.read_metrics()] == [1, 2, 3][:whole]

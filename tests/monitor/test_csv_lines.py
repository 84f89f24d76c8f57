"""optbench.monitor.csv_lines: one line a number, cut where a checkpoint was written."""

from __future__ import annotations

import csv
import math
from pathlib import Path

import pytest

from optbench.monitor.csv_lines import COLUMNS, CsvLines, csv_lines
from optbench.monitor.record import Record, Recorder
from optbench.monitor.record_files import cut, positions_of
from optbench.rundir import RunDir


def record(step: int, kind: str = "train") -> Record:
    return Record(kind, step, step / 7, step * 8, step / 2, {f"{kind}/loss": 0.1 + step, "lr": 0.5})


def rows(folder: RunDir) -> list[list[str]]:
    with (folder.path / "metrics.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.reader(file))


def write(folder: RunDir, *records: Record) -> dict[str, tuple[int, int | None]]:
    sink = CsvLines(folder.path)
    for each in records:
        sink.write(each)
    sink.flush()
    at = Recorder([sink]).positions()
    sink.close()
    return at


@pytest.fixture
def folder(tmp_path: Path) -> RunDir:
    return RunDir(tmp_path)


def test_a_line_for_each_value_below_one_header(folder: RunDir) -> None:
    write(folder, record(1))
    write(folder, record(2, "val"))
    header, *lines = rows(folder)
    assert tuple(header) == COLUMNS
    assert lines[0] == ["train", "1", "0.142857", "8", "0.5", "train/loss", "1.1"]
    assert [line[0] for line in lines] == ["train", "train", "val", "val"]


def test_numbers_come_back_to_the_last_bit_and_names_with_commas(folder: RunDir) -> None:
    values = {"a,b": 0.1 + 0.2, "n": math.nan, "i": -math.inf}
    write(folder, Record("train", 1, 0.0, 1, 0.0, values))
    found = {line[5]: float(line[6]) for line in rows(folder)[1:]}
    assert found["a,b"] == values["a,b"] and math.isnan(found["n"]) and found["i"] == -math.inf


def test_it_is_cut_to_the_checkpoint(folder: RunDir) -> None:
    at = write(folder, record(1), record(2))
    before = (folder.path / "metrics.csv").read_bytes()
    write(folder, record(3), record(3, "test"))
    said: list[str] = []
    left = cut(folder, at, 2, said.append, said.append)
    assert (folder.path / "metrics.csv").read_bytes() == before
    assert left == at
    assert said == ["metrics.csv: 4 records after the checkpoint are dropped, and made again"]


def test_one_that_began_after_the_checkpoint_begins_anew(folder: RunDir) -> None:
    write(folder, record(3))
    said: list[str] = []
    assert cut(folder, {}, 2, said.append, said.append) == {"metrics.csv": (0, 0)}
    write(folder, record(3))
    assert [line[0] for line in rows(folder)] == ["kind", "train", "train"]


def test_a_damaged_one_is_cut_by_its_steps(folder: RunDir) -> None:
    at = write(folder, record(1), record(2))
    path = folder.path / "metrics.csv"
    write(folder, record(3))
    path.write_bytes(path.read_bytes().replace(b"train,1,", b"tr\xff", 1))
    said: list[str] = []
    cut(folder, at, 2, said.append, said.append)
    assert "metrics.csv is not what it was at step 2: 1 line can't be read" in said[0]
    assert [line for _, line in csv_lines(path)] == [
        (0, ""),
        None,
        *((step, "train") for step in (1, 2, 2)),
    ]


def test_a_missing_one_is_told(folder: RunDir) -> None:
    said: list[str] = []
    cut(folder, {"metrics.csv": (10, 3)}, 2, said.append, said.append)
    assert said == ["metrics.csv is missing: what had been recorded is lost"]


def test_a_manifest_may_name_it() -> None:
    listed = {"metrics.csv": [3, 4], "metrics.txt": [3, 4]}
    assert positions_of({"records": listed}) == {"metrics.csv": (3, 4)}

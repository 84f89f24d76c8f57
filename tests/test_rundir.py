"""The run folder: reserving, status, metrics that survive a kill at any byte."""

import json
import math
import multiprocessing
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from optbench.errors import UserError
from optbench.escape import escaped, escaped_lines
from optbench.files import dump_yaml, load_yaml, strict, write_atomically
from optbench.rundir import FORMAT, RunDir
from optbench.shapes import STATES

LINES = [
    {"kind": "train", "step": 1, "train/loss": 2.0},
    {"kind": "val", "step": 1, "val/loss": 1.5},
    {"kind": "train", "step": 2, "train/loss": 1.0},
    {"kind": "test", "step": 2, "test/loss": 1.25},
]


@pytest.fixture
def folder(tmp_path: Path) -> RunDir:
    return RunDir.reserve(tmp_path / "run")


def write_metrics(folder: RunDir, lines: list[dict[str, Any]], torn: bytes = b"") -> bytes:
    """The bytes of metrics.jsonl."""
    data = b"".join(json.dumps(line).encode() + b"\n" for line in lines) + torn
    folder.metrics.write_bytes(data)
    return data


def reserve_by_name(path: str) -> str:
    return RunDir.reserve(path).path.name


def reserve_many(path: str) -> list[str]:
    return [reserve_by_name(path) for _ in range(20)]


def test_a_folder_is_made_with_its_parents(tmp_path: Path) -> None:
    made = RunDir.reserve(tmp_path / "a" / "b" / "run")
    assert made.path == tmp_path / "a" / "b" / "run"
    assert made.path.is_dir()


def test_a_name_that_is_taken_gets_a_number(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run-3").write_text("a file", encoding="utf-8")
    names = [reserve_by_name(str(tmp_path / "run")) for _ in range(3)]
    assert names == ["run-2", "run-4", "run-5"]


def test_a_device_is_no_folder() -> None:
    with pytest.raises(UserError, match=r"^hydra.run.dir=/dev/full: .*\(a device is there\)"):
        RunDir.reserve("/dev/full")


def test_a_relative_path_becomes_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert RunDir.reserve("run").path == tmp_path / "run"
    assert RunDir.reserve("~/run").path == tmp_path / "run-2"


@pytest.mark.parametrize(
    "wanted", ["", " ", "/", "new/" + "a" * 300, "new/a\0b", "file/run", "~nobody-here/run"]
)
def test_a_folder_that_can_not_be_made_is_told_and_leaves_none(
    wanted: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(UserError) as caught:
        RunDir.reserve(wanted)
    said = f"hydra.run.dir={escaped(wanted)}: no folder can be made there"
    assert str(caught.value).startswith(said)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_parent_that_takes_no_folder_is_told() -> None:
    with pytest.raises(
        UserError, match=r"^hydra\.sweep\.dir=/proc/run: no folder can be made there"
    ):
        RunDir.reserve("/proc/run", "hydra.sweep.dir")


def run_threads(path: str) -> list[list[str]]:
    with ThreadPoolExecutor(8) as pool:
        return list(pool.map(reserve_many, [path] * 8))


def run_processes(path: str) -> list[list[str]]:
    with ProcessPoolExecutor(2, multiprocessing.get_context("spawn")) as pool:
        return list(pool.map(reserve_many, [path] * 2))


@pytest.mark.parametrize("race", [run_threads, run_processes])
def test_no_two_racers_get_one_folder(
    tmp_path: Path, race: Callable[[str], list[list[str]]]
) -> None:
    names = [name for racer in race(str(tmp_path / "run")) for name in racer]
    assert len(set(names)) == len(names)
    assert {path.name for path in tmp_path.iterdir()} == set(names)


def test_a_folder_that_is_not_there_gets_the_nearest_name(tmp_path: Path) -> None:
    for name in ("12-00-00-digits", "12-00-00-digt"):
        (tmp_path / name).mkdir()
    (tmp_path / "12-00-00-digits/config.yaml").touch()
    with pytest.raises(UserError) as caught:
        RunDir.existing(tmp_path / "12-00-00-digts")
    assert str(caught.value).endswith(
        f"no such run folder; did you mean {tmp_path}/12-00-00-digits?"
    )


def test_a_nearest_run_is_named_as_a_shell_takes_it(tmp_path: Path) -> None:
    (tmp_path / "a run").mkdir()
    (tmp_path / "a run" / "config.yaml").touch()
    with pytest.raises(UserError, match=f"did you mean '{tmp_path}/a run'"):
        RunDir.existing(tmp_path / "a rum")


def test_a_folder_without_a_config_is_no_run(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="not a run folder: it has no config"):
        RunDir.existing(tmp_path)


def test_a_run_folder_is_found_again(folder: RunDir) -> None:
    folder.write_config("seed: 1", {"overrides": []})
    assert RunDir.existing(str(folder.path)) == folder


def test_config_and_overrides_are_plain_yaml(folder: RunDir) -> None:
    config = {"name": "größe", "lr": 1e-3, "betas": [0.9, 0.999], "epochs": None}
    said = {"overrides": ["optimizer.lr=1e-3"], "choices": {"model": "mlp"}}
    folder.write_config(dump_yaml(config), said)
    assert load_yaml(folder.config) == config
    assert list(load_yaml(folder.config)) == list(config)
    assert load_yaml(folder.overrides) == said


@pytest.mark.parametrize(
    "text", ["x\x1b[31m", "a\u202eb 日本", "na\udcefve 日本", "two\nlines", "😀", "\\uDC"]
)
def test_a_text_comes_back_from_yaml_and_a_terminal_obeys_none(tmp_path: Path, text: str) -> None:
    path = tmp_path / "config.yaml"
    write_atomically(path, dump_yaml({"name": text, "seed": 1}))
    assert load_yaml(path) == {"name": text, "seed": 1}
    written = path.read_text(encoding="utf-8")
    assert escaped_lines(written) == written


@pytest.mark.parametrize("lr", [1e-3, 1e-8, 1e6, 1e16, 0.1, 3e-05])
def test_a_number_comes_back_from_yaml_as_the_same_number(tmp_path: Path, lr: float) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(dump_yaml({"lr": lr}), encoding="utf-8")
    assert load_yaml(path) == {"lr": lr}


def test_a_status_keeps_the_time_of_its_start(folder: RunDir) -> None:
    assert folder.state is None
    folder.write_json("status.json", {"state": "running", "started": "long ago"})
    folder.write_status("diverged", 7, "the loss is NaN", more=1)
    status = folder.read_json("status.json")
    assert status.pop("updated") > "2020"
    assert status == {
        "format": FORMAT,
        "state": "diverged",
        "step": 7,
        "started": "long ago",
        "message": "the loss is NaN",
        "more": 1,
    }


@pytest.mark.parametrize("state", STATES)
def test_every_state_can_be_told(folder: RunDir, state: str) -> None:
    folder.write_status(state, 0)
    assert folder.state == state


@pytest.mark.parametrize("damaged", ["", "{", '{"state": ', "[1]", "null", "\x00"])
def test_a_damaged_file_reads_as_empty(folder: RunDir, damaged: str) -> None:
    (folder.path / "status.json").write_text(damaged, encoding="utf-8")
    assert folder.read_json("status.json") == {}
    assert folder.state is None


def test_a_file_of_other_bytes_than_text_reads_as_empty(folder: RunDir) -> None:
    (folder.path / "status.json").write_bytes(b"\xff\xfe{")
    assert folder.read_json("status.json") == {}


def test_numbers_that_are_not_finite_are_words_in_strict_json(folder: RunDir) -> None:
    values = {"a": math.nan, "b": {"c": math.inf, "d": -math.inf, "e": 1.5, "f": None}}
    assert strict(values) == {
        "a": "NaN",
        "b": {"c": "Infinity", "d": "-Infinity", "e": 1.5, "f": None},
    }
    folder.write_json("summary.json", values)
    assert json.loads((folder.path / "summary.json").read_text(encoding="utf-8")) == strict(values)
    assert math.isnan(folder.read_json("summary.json")["a"])
    assert folder.read_json("summary.json")["b"] == values["b"]


def test_metrics_that_are_not_finite_come_back_as_numbers(folder: RunDir) -> None:
    values = {"step": 1, "x": math.nan, "y": math.inf, "z": -math.inf, "kind": "val"}
    write_metrics(folder, [strict(values)])
    (found,) = folder.read_metrics()
    assert math.isnan(found.pop("x"))
    assert found == {"step": 1, "y": math.inf, "z": -math.inf, "kind": "val"}


def test_a_new_file_replaces_the_old_one_whole(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("a longer text than the new one", encoding="utf-8")
    write_atomically(path, "new")
    assert path.read_text(encoding="utf-8") == "new"
    assert list(tmp_path.iterdir()) == [path]


def test_a_run_without_metrics_has_none(folder: RunDir) -> None:
    assert list(folder.read_metrics()) == []


def test_metrics_survive_a_kill_at_any_byte(folder: RunDir) -> None:
    data = write_metrics(folder, LINES)
    for length in range(len(data) + 1):
        folder.metrics.write_bytes(data[:length])
        assert list(folder.read_metrics()) == LINES[: data[:length].count(b"\n")]


def test_the_last_value_of_each_metric(folder: RunDir) -> None:
    about = {"epoch": 1.0, "examples": 8, "seconds": 0.5}
    write_metrics(folder, [{**line, **about} for line in LINES])
    assert folder.last_values() == {"train/loss": 1.0, "val/loss": 1.5, "test/loss": 1.25}


def test_the_last_texts_up_to_a_step(folder: RunDir) -> None:
    assert folder.last_texts(9) == {}
    for step, names in ((2, "ab"), (10, "b"), (12, "b")):
        (folder.samples / f"step-{step:08d}").mkdir(parents=True)
        for name in names:
            path = folder.samples / f"step-{step:08d}" / f"{name}.txt"
            path.write_text(f"ö\r\n{step}", encoding="utf-8", newline="")
    assert folder.last_texts(11) == {"a": "ö\r\n2", "b": "ö\r\n10"}


@pytest.mark.parametrize("line", [b"\n", b"[1]\n", b'{"no": 1}\n', b"\x00\x00\n"])
def test_a_line_that_is_no_record_is_left_out(folder: RunDir, line: bytes) -> None:
    write_metrics(folder, LINES[:1], torn=line)
    assert list(folder.read_metrics()) == LINES[:1]

"""Tags and notes: what runs are found by, also given to a run that has ended; and the format."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from cli.program import SMALL, call, train

import optbench
from optbench.files import dump_yaml, load_yaml
from optbench.monitor.jsonl import JsonLines
from optbench.monitor.record import Record
from optbench.rundir import FORMAT, RunDir
from optbench.runs.lock import Busy
from optbench.runs.log import Log
from optbench.runs.read import Run


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> RunDir:
    line = "steps=4 checkpoint.every=2 tags=[a,5] notes='\"so it began\"'"
    return train(line, tmp_path_factory.mktemp("labels") / "run")


@pytest.fixture
def folder(original: RunDir, tmp_path: Path) -> RunDir:
    return RunDir(shutil.copytree(original.path, tmp_path / "run"))


def labels(folder: RunDir) -> tuple[list[str], str]:
    run = Run(folder.path)
    return run.tags, run.notes


def test_a_run_has_what_it_was_given(folder: RunDir) -> None:
    assert labels(folder) == (["a", "5"], "so it began")


@pytest.mark.parametrize("tags", ["a", "[a b]", "['a,b']", "['a=b']", "['']", "[[a]]", "{a: 1}"])
def test_what_is_no_tag_is_refused(tags: str, tmp_path: Path) -> None:
    answer = call([*f"train {SMALL} steps=1 hydra.run.dir={tmp_path}/run".split(), f"tags={tags}"])
    assert answer.code == 2 and answer.err.count("\n") == 1 and "tags" in answer.err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("notes=hello, world", "a text with commas: 'notes=\"hello, world\"'"),
        ("tags=a,b", "a list: 'tags=[a,b]'"),
        ("tags=null", "expected a list of words without spaces and commas\n"),
        ("tag=a", "did you mean 'tags=[a]'?"),
    ],
)
def test_what_was_meant(line: str, says: str, tmp_path: Path) -> None:
    answer = call([*f"train {SMALL} steps=1 hydra.run.dir={tmp_path}/run".split(), line])
    assert answer.code == 2 and says in answer.err


def test_a_run_that_has_ended_gets_others_and_stays_what_it_is(folder: RunDir) -> None:
    before = {p: p.read_bytes() for p in folder.path.rglob("*") if p.is_file()}
    status = folder.read_status()
    answer = call(f"resume {folder.path} tags=[b] notes=null")
    assert (answer.code, answer.out) == (0, "")
    assert "changed: notes=null (was so it began)" in answer.err
    assert labels(folder) == (["b"], "")
    after = {p: p.read_bytes() for p in folder.path.rglob("*") if p.is_file()}
    changed = {path.name for path in before if before[path] != after[path]}
    assert before.keys() == after.keys()
    assert changed == {"config.yaml", "overrides.yaml", "status.json", "log.txt"}
    kept = ("state", "step", "started", "updated", "message", "checkpoint")
    assert [folder.read_status()[key] for key in kept] == [status[key] for key in kept]
    assert folder.done
    assert optbench.resume(folder.path, "steps=6", "tags=[c]").step == 6
    assert labels(folder) == (["c"], "")


@pytest.mark.parametrize("text", [None, "", "{}", "{"])
@pytest.mark.parametrize("verb", ["resume", "evaluate"])
def test_tags_that_only_a_lost_status_knew_of_are_not_blamed_on_the_config(
    folder: RunDir, text: str | None, verb: str
) -> None:
    before = folder.config.read_bytes()
    assert call(f"resume {folder.path} tags=[wide]").code == 0
    status = folder.path / "status.json"
    status.unlink() if text is None else status.write_text(text, encoding="utf-8")
    answer = call(f"{verb} {folder.path}")
    assert answer.code == 2 and answer.err.count("\n") == 1
    assert "status.json" in answer.err and "tags or notes" in answer.err
    folder.config.write_bytes(before)
    assert call(f"{verb} {folder.path}").code == 0


def test_from_python_too(folder: RunDir) -> None:
    result = optbench.resume(folder.path, "tags=[]")
    assert (result.state, result.run.tags) == ("finished", [])


def test_not_while_another_process_is_at_the_run(folder: RunDir) -> None:
    log = Log()
    log.open(folder.log)
    try:
        with pytest.raises(Busy):
            optbench.resume(folder.path, "tags=[b]")
    finally:
        log.close()
    assert labels(folder)[0] == ["a", "5"]


def older(folder: RunDir) -> None:
    """The run as one that was made before there were labels, seals and formats."""
    config = load_yaml(folder.config)
    del config["tags"], config["notes"]
    folder.config.write_text(dump_yaml(config), encoding="utf-8")
    for name in ("status.json", "summary.json"):
        said = json.loads((folder.path / name).read_text(encoding="utf-8"))
        said.pop("config", None)
        assert said.pop("format") == FORMAT
        (folder.path / name).write_text(json.dumps(said), encoding="utf-8")
    for path in folder.checkpoints.glob("*/manifest.json"):
        shutil.rmtree(path.parent) if "04" not in path.parent.name else None


def test_an_older_run_can_be_labelled_and_gone_on_with(folder: RunDir) -> None:
    older(folder)
    with pytest.raises(optbench.UserError, match="another SHA-256"):
        optbench.resume(folder.path, "tags=[b]")  # the checkpoint's seal is of the other config
    shutil.rmtree(folder.checkpoints)
    assert labels(folder) == ([], "") and Run(folder.path).format == 0
    optbench.resume(folder.path, "tags=[b]")
    assert labels(folder) == (["b"], "") and Run(folder.path).format == FORMAT


def test_the_format_stands_where_a_file_is_read_alone(folder: RunDir) -> None:
    for name in ("status.json", "summary.json"):
        assert folder.read_json(name)["format"] == FORMAT
    first, *others = folder.read_metrics()
    assert first["format"] == FORMAT and others
    assert not any("format" in record for record in others)
    assert "format" not in folder.last_values()
    optbench.resume(folder.path, "steps=6")
    assert sum("format" in record for record in folder.read_metrics()) == 1


def test_a_file_of_records_says_its_format_once(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    for step in (1, 2):
        lines = JsonLines(path)
        lines.write(Record("val", step, 0.0, 0, 0.0, {"val/loss": 1.0}))
        lines.close()
    found: list[dict[str, Any]] = list(RunDir(tmp_path).read_metrics())
    assert [record.get("format") for record in found] == [FORMAT, None]


def test_a_run_of_a_later_version_is_read_and_not_gone_on_with(folder: RunDir) -> None:
    for name in ("status.json", "summary.json"):
        folder.write_json(name, {**folder.read_json(name), "format": FORMAT + 1})
    run = optbench.open_run(folder.path)
    assert (run.state, run.format) == ("finished", FORMAT + 1)
    with pytest.raises(optbench.UserError, match="of a later version of optbench"):
        optbench.resume(folder.path, "steps=6")

"""A run folder that is gone on with is untrusted: what is refused, and that nothing happens."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from optbench.files import dump_yaml, load_yaml
from optbench.rundir import RunDir
from optbench.runs import trust
from optbench.training import checkpoint

from .program import SMALL, call, train

LINE = "steps=4 checkpoint.every=2 monitor.every=1 eval.every=2"


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> RunDir:
    return train(LINE, tmp_path_factory.mktemp("saved") / "run")


@pytest.fixture
def run(original: RunDir, tmp_path: Path) -> RunDir:
    return RunDir(shutil.copytree(original.path, tmp_path / "run"))


def content(folder: Path) -> dict[str, Any]:
    """Every file's bytes, every link's target, every other entry's mode."""
    found: dict[str, Any] = {}
    for path in sorted(folder.rglob("*")):
        at = str(path.relative_to(folder))
        if path.is_symlink():
            found[at] = os.readlink(path)
        else:
            found[at] = path.read_bytes() if path.is_file() else path.lstat().st_mode
    return found


def refused(run: RunDir, *says: str, line: str = "steps=6", path: str = "") -> None:
    """Resuming ends with exit code 2 and one line, and the folder stays as it is."""
    before = content(run.path)
    answer = call(f"resume '{path or run.path}' {line}")
    assert answer.code == 2
    told = [text for text in answer.err.splitlines() if text.startswith("optbench: ")]
    assert len(told) == 1 and "Traceback" not in answer.err
    assert all(words in told[0] for words in says), told[0]
    assert content(run.path) == before


def change(run: RunDir, **values: Any) -> None:
    config = load_yaml(run.config)
    run.config.write_text(dump_yaml(config | values), encoding="utf-8")


def disown(run: RunDir) -> None:
    """Makes the run somebody else's: nothing in it is sealed."""
    (run.path / "status.json").unlink()
    for manifest in run.checkpoints.glob("step-*/manifest.json"):
        values = run.read_json(str(manifest.relative_to(run.path)))
        del values["config"]
        values["sha256"] = checkpoint.checksum(values)
        run.write_json(str(manifest.relative_to(run.path)), values)


def test_another_versions_checkpoint_is_left_to_it(run: RunDir) -> None:
    for manifest in run.checkpoints.glob("step-*/manifest.json"):
        values = run.read_json(str(manifest.relative_to(run.path)))
        kept = {key: values[key] for key in ("step", "world_size", "files")}
        run.write_json(str(manifest.relative_to(run.path)), kept)
    refused(run, "step-00000004: of another version of optbench")


def test_the_untouched_one_goes_on(run: RunDir) -> None:
    answer = call(f"resume {run.path} steps=6")
    assert answer.code == 0 and "warning" not in answer.err
    assert [r["step"] for r in run.read_metrics() if r["kind"] == "train"] == [1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize("values", [{"seed": 3}, {"shtffle": "epoch"}, {"name": "another"}])
def test_another_config_than_the_runs_is_refused(run: RunDir, values: dict[str, Any]) -> None:
    change(run, **values)
    refused(run, "config.yaml: not the one that the run had")


def test_the_config_of_a_kill_between_two_writes_is_the_runs(run: RunDir) -> None:
    """A resume with changes has its seal in the status before the config is written."""
    before = run.config.read_bytes()
    assert call(f"resume {run.path} steps=6").code == 0
    run.config.write_bytes(before)
    assert call(f"resume {run.path} steps=8").code == 0


@pytest.mark.parametrize("text", ["", "[1, 2]", "1", "a: [", "\x00", "{}", "model: {}"])
def test_what_is_no_config_is_refused(run: RunDir, text: str) -> None:
    disown(run)
    run.config.write_text(text, encoding="utf-8")
    refused(run, "config.yaml")


@pytest.mark.parametrize(
    ("key", "value", "says"),
    [
        ("shtffle", "epoch", "shtffle=epoch: no such key; did you mean shuffle?"),
        ("seed", "x", "seed=x"),
        ("clip", {"norm": 1.0, "other": 2}, "clip"),
        ("model", "mlp", "model"),
        ("precision", None, "precision"),
        ("epochs", [3], "epochs"),
    ],
)
def test_a_strangers_config_that_makes_no_run(run: RunDir, key: str, value: Any, says: str) -> None:
    disown(run)
    change(run, **{key: value})
    refused(run, "config.yaml", says)


@pytest.mark.parametrize("missing", ["seed", "model", "clip", "optimizer", "data_root"])
def test_a_strangers_config_without_a_key(run: RunDir, missing: str) -> None:
    disown(run)
    config = load_yaml(run.config)
    del config[missing]
    run.config.write_text(dump_yaml(config), encoding="utf-8")
    refused(run, "config.yaml", missing)


ESCAPES = {
    "dataset": {"_target_": "os.system", "command": "touch PWNED"},
    "optimizer.companion": {"_target_": "os.system", "command": "touch PWNED"},
    "strange": {"_target_": "os.system", "command": "touch PWNED"},
    "optimizer.takes": "os.system",
    "model.init_std": {"_target_": "os.system", "command": "touch PWNED"},
    "task._target_": "torch.os.system",
    "model._target_": "torch.nn.modules.module.os.system",
    "schedule._target_": "optbench.data.download.download",
    "wrapper._target_": "torch.hub.load",
    "optimizer.groups": [{"params": "*", "schedule": {"_target_": "os.system"}}],
}


@pytest.mark.parametrize("key", ESCAPES)
def test_code_that_a_stranger_names_does_not_run(run: RunDir, key: str, workplace: Path) -> None:
    disown(run)
    config = load_yaml(run.config)
    *parts, last = key.split(".")
    node = config
    for part in parts:
        node = node[part]
    node[last] = ESCAPES[key]
    run.config.write_text(dump_yaml(config), encoding="utf-8")
    refused(run, "not optbench's, and not a run that you began here", "--trust")
    assert not (workplace / "PWNED").exists()


def test_a_stranger_gets_no_secret(run: RunDir, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET", "hunter2")
    disown(run)
    change(run, name="${oc.env:SECRET}")
    refused(run, "name=${oc.env:SECRET}: a saved config is plain data")


MINE = """
import torch

class Mine(torch.optim.SGD):
    def __init__(self, params, lr=0.1):
        super().__init__(params, lr=lr)
"""


@pytest.fixture
def own_class(workplace: Path, monkeypatch: pytest.MonkeyPatch) -> RunDir:
    """A run with an optimizer of the user's own."""
    (workplace / "mine_saved.py").write_text(MINE, encoding="utf-8")
    monkeypatch.syspath_prepend(str(workplace))
    line = f"{LINE} optimizer=custom optimizer._target_=mine_saved.Mine optimizer.lr=0.1"
    return train(line, workplace / "own")


def test_nobody_is_asked_about_his_own_optimizer(own_class: RunDir) -> None:
    assert call(f"resume {own_class.path} steps=6").code == 0
    (own_class.path / "status.json").unlink()  # the checkpoints know too
    assert call(f"resume {own_class.path} steps=8").code == 0


def test_a_strangers_optimizer_wants_trust(own_class: RunDir) -> None:
    disown(own_class)
    refused(own_class, "optimizer._target_=mine_saved.Mine", "--trust")
    assert call(f"resume {own_class.path} steps=6 --trust").code == 0
    assert call(f"resume {own_class.path} steps=8").code == 0  # it is this user's now


def test_another_key_is_another_user(own_class: RunDir, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(own_class.path.parent / "state"))
    refused(own_class, "optimizer._target_=mine_saved.Mine")


def test_trust_is_for_resuming(workplace: Path) -> None:
    answer = call("train --trust")
    assert answer.code == 2 and "--trust: with resume only" in answer.err


@pytest.mark.parametrize("name", ["log.txt", "metrics.jsonl", "status.json", "summary.json.tmp"])
def test_a_link_in_a_files_place_is_refused(run: RunDir, name: str, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_text("theirs\n", encoding="utf-8")
    (run.path / name).unlink(missing_ok=True)
    (run.path / name).symlink_to(outside)
    refused(run, f"{name}: a link, where a file is meant")
    assert outside.read_text(encoding="utf-8") == "theirs\n"


@pytest.mark.parametrize("name", ["metrics.jsonl", "status.json", "config.yaml", "log.txt"])
@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir])
def test_what_is_no_file_is_refused(run: RunDir, name: str, make: Any) -> None:
    (run.path / name).unlink()
    make(run.path / name)
    refused(run, name, "where a file is meant")


@pytest.mark.parametrize("name", ["checkpoints", "tb", "samples"])
def test_folders_may_be_links_in_ones_own_runs_only(run: RunDir, name: str, tmp_path: Path) -> None:
    (run.path / name).mkdir(exist_ok=True)
    shutil.move(run.path / name, tmp_path / name)
    (run.path / name).symlink_to(tmp_path / name)
    assert call(f"resume {run.path} steps=6").code == 0
    disown(run)
    refused(run, f"{name}: a link, where a folder is meant")


@pytest.mark.parametrize("state", ["finished", "running"])
def test_without_its_checkpoints_a_run_is_not_trained_over(run: RunDir, state: str) -> None:
    run.write_status(state, 4)
    shutil.rmtree(run.checkpoints)
    refused(run, "4 steps were taken, and no checkpoint is there")
    run.checkpoints.symlink_to("/nowhere/at/all")
    refused(run, "checkpoints: a link to /nowhere/at/all, which is not there")


@pytest.mark.parametrize("line", ["epochs=null", "steps=null", "steps=3"])
def test_a_length_that_is_none(run: RunDir, line: str) -> None:
    refused(run, line, line=line)


@pytest.mark.parametrize("within", ["checkpoints/step-00000004", "tb", "checkpoints", "log.txt"])
def test_a_part_of_a_run_is_told_from_the_run(run: RunDir, within: str) -> None:
    refused(run, "a part of a run; did you mean", path=f"{run.path}/{within}")


@pytest.mark.parametrize("line", ["resume ''", "resume null", "resume", "train resume="])
def test_no_run_is_no_new_one(line: str, workplace: Path) -> None:
    answer = call(line)
    assert answer.code == 2 and "which run?" in answer.err
    assert list(workplace.iterdir()) == []


@pytest.fixture(scope="module")
def original_sweep(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sweep of two runs, of which the second has not begun."""
    folder = tmp_path_factory.mktemp("sweeps") / "sweep"
    line = f"{SMALL} {LINE} optimizer.lr=0.1,0.2 hydra.sweep.dir={folder}"
    assert call(f"train -m {line}").code == 0
    shutil.rmtree(folder / "1")
    return folder


@pytest.fixture
def a_sweep(original_sweep: Path, tmp_path: Path) -> Path:
    return shutil.copytree(original_sweep, tmp_path / "sweep")


def replan(sweep: Path, sealed: bool, **values: Any) -> None:
    plan = load_yaml(sweep / "sweep.yaml") | values
    if not sealed:
        plan.pop("seal", None)
    (sweep / "sweep.yaml").write_text(dump_yaml(plan), encoding="utf-8")


def test_a_sweep_goes_on(a_sweep: Path) -> None:
    assert call(f"resume {a_sweep}").code == 0
    assert RunDir(a_sweep / "1").state == "finished"


def test_another_plan_than_the_sweeps_is_refused(a_sweep: Path) -> None:
    replan(a_sweep, sealed=True, grid=[["optimizer.lr=0.1"], ["optimizer.lr=0.3"]])
    refused(RunDir(a_sweep), "sweep.yaml: not the one that the sweep had", line="")


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("dataset._target_=os.system", "dataset._target_=os.system"),
        ("name='${oc.env:SECRET}'", "not in a sweep that you did not begin here"),
        ("hydra.searchpath=[file:///tmp]", "not in a sweep that you did not begin here"),
    ],
)
def test_a_strangers_plan_reaches_no_further_than_settings(
    a_sweep: Path, line: str, says: str
) -> None:
    replan(a_sweep, sealed=False, grid=[["optimizer.lr=0.1"], [line]])
    refused(RunDir(a_sweep), says, line="")


def test_a_strangers_config_files_are_not_used(a_sweep: Path) -> None:
    replan(a_sweep, sealed=False, config_dir=str(a_sweep))
    refused(RunDir(a_sweep), "config_dir: ", line="")


@pytest.mark.parametrize("text", ["", "[]", "grid: 3", "grid: [[3]]", "a: [", "&a [*a]"])
def test_what_is_no_plan_is_refused(a_sweep: Path, text: str) -> None:
    (a_sweep / "sweep.yaml").write_text(text, encoding="utf-8")
    refused(RunDir(a_sweep), "sweep.yaml", line="")


def test_a_run_of_a_sweep_is_no_link(a_sweep: Path, run: RunDir) -> None:
    (a_sweep / "1").symlink_to(run.path)
    refused(RunDir(a_sweep), "1: a link, where a folder is meant", line="")


@pytest.mark.parametrize("name", ["checkpoints", "tb", "samples", "log.txt"])
def test_a_run_that_has_not_begun_leads_nowhere_either(
    a_sweep: Path, name: str, tmp_path: Path
) -> None:
    (a_sweep / "1").mkdir()
    (tmp_path / "elsewhere").mkdir()
    (a_sweep / "1" / name).symlink_to(tmp_path / "elsewhere")
    replan(a_sweep, sealed=False)
    refused(RunDir(a_sweep), f"{name}: a link", line="")
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_what_an_earlier_checkpoint_was_resumed_from_is_not_forgotten(run: RunDir) -> None:
    """The newest was damaged, the run failed before the next: its records are still there."""
    (run.checkpoints / "step-00000004" / "state.pt").write_bytes(b"")
    before = list(run.read_metrics())
    assert call(f"resume {run.path} steps=6 checkpoint=none").code == 0
    run.write_status("failed", 2)
    shutil.rmtree(run.checkpoints)
    refused(run, "2 steps were taken, and no checkpoint is there")
    assert len(before) > 0


def test_a_run_that_was_stopped_and_kept_nothing_is_not_begun_anew(workplace: Path) -> None:
    made = train("steps=4 monitor.every=1 checkpoint=none", workplace / "none")
    made.write_status("preempted", 4)
    refused(made, "4 steps were taken, and no checkpoint was kept")


@pytest.mark.parametrize("content", ["", "00", "zz" * 32])
def test_a_key_that_is_none_seals_nothing(
    content: str, workplace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(workplace))
    (workplace / "optbench").mkdir()
    (workplace / "optbench" / "key").write_text(content, encoding="ascii")
    assert set(trust.seal("a config")) == {"sha256"}
    assert not trust.is_own("a config", [trust.seal("a config")])


@pytest.mark.parametrize("verb", ["resume", "draw"])
@pytest.mark.parametrize("path", ["~nosuchuser/run", "x" * 300])
def test_a_path_that_can_be_none(verb: str, path: str, workplace: Path) -> None:
    answer = call(f"{verb} '{path}'")
    assert answer.code == 2 and answer.err.count("\n") == 1


@pytest.mark.parametrize("name", ["step-000000099", "step-0000009", "step-٠٠٠٠٠٠٠٩"])
def test_folders_that_are_named_nearly_like_checkpoints_are_none(run: RunDir, name: str) -> None:
    (run.checkpoints / name).mkdir()
    assert call(f"resume {run.path} steps=6").code == 0


@pytest.mark.parametrize(
    ("key", "value"),
    [("model", {"_target_": [1]}), ("optimizer", {"takes": {"a": 1}}), ("task", [1])],
)
def test_what_is_named_is_a_name(run: RunDir, key: str, value: Any) -> None:
    disown(run)
    own = load_yaml(run.config)[key]
    change(run, **{key: own | value if isinstance(value, dict) else value})
    refused(run, "config.yaml")

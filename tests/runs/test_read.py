"""A run to be read: of this user's, of others', damaged, under way."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from cli.program import call, train

import optbench
from optbench.assemble.data import dataset
from optbench.files import dump_yaml, load_yaml
from optbench.rundir import RunDir
from optbench.runs.read import Run
from optbench.runs.weights import checkpoints
from optbench.training import checkpoint

LINE = "steps=12 eval.every=2 checkpoint.every=3 monitor.every=2 optimizer.lr=0.01"


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> RunDir:
    return train(LINE, tmp_path_factory.mktemp("read") / "run")


@pytest.fixture
def run(original: RunDir, tmp_path: Path) -> Run:
    return Run(shutil.copytree(original.path, tmp_path / "run"))


def test_what_the_small_files_say(run: Run) -> None:
    assert run.config["steps"] == 12 and run.setting("optimizer.lr") == 0.01
    assert run.setting("optimizer.nothing") is None
    assert run.choices["optimizer"] == "adamw"
    assert "steps=12" in run.overrides
    assert (run.state, run.status["step"]) == ("finished", 12)
    assert run.summary["best"]["metric"] == "val/accuracy"


def test_reading_changes_nothing(run: Run) -> None:
    before = {p: (p.stat().st_mtime_ns, p.stat().st_size) for p in run.path.rglob("*")}
    assert run.summary and list(run.records()) and run.checkpoints.steps
    run.model()
    assert {p: (p.stat().st_mtime_ns, p.stat().st_size) for p in run.path.rglob("*")} == before


def test_a_frame_has_every_number_of_every_record(run: Run) -> None:
    pl = pytest.importorskip("polars")
    frame = run.metrics()
    assert frame.columns[:5] == ["kind", "step", "epoch", "examples", "seconds"]
    records = list(run.records())
    assert frame.height == len(records)
    for row, record in zip(frame.iter_rows(named=True), records, strict=True):
        record.pop("format", None)
        assert {key: value for key, value in row.items() if value is not None} == record
    curve = run.series("val/loss")
    assert curve.schema == {"step": pl.Int64, "value": pl.Float64}
    expected = {r["step"]: r["val/loss"] for r in records if "val/loss" in r}
    assert dict(curve.iter_rows()) == expected and list(expected) == [2, 4, 6, 8, 10, 12]


def append(run: Run, *lines: str) -> None:
    with (run.path / "metrics.jsonl").open("a", encoding="utf-8") as file:
        file.writelines(f"{line}\n" for line in lines)


def test_lines_that_no_run_writes_make_no_frame_fail(run: Run) -> None:
    pytest.importorskip("polars")
    height = run.metrics().height
    append(
        run,
        "nonsense",
        '{"kind": ["x"], "step": 13, "epoch": "x", "examples": 1e400, "a": {}, "b": true}',
        f'{{"kind": "val", "step": 14, "huge": {"9" * 400}, "nan": "NaN", "val/loss": null}}',
    )
    frame = run.metrics()
    assert frame.height == height + 2
    assert "a" not in frame.columns and "b" not in frame.columns
    assert frame["huge"].to_list()[-1] == math.inf
    assert math.isnan(frame["nan"].to_list()[-1])
    assert frame["kind"].to_list()[-2:] == [None, "val"]
    assert run.series("val/loss")["step"].to_list()[-1] == 12


def test_a_frame_has_a_bound(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("polars")
    monkeypatch.setattr("optbench.runs.frames.MOST_CELLS", 50)
    with pytest.raises(optbench.UserError, match="more than 50 values"):
        run.metrics()


def test_a_tag_that_was_not_measured(run: Run) -> None:
    pytest.importorskip("polars")
    with pytest.raises(optbench.UserError, match="val/los was not measured; did you mean val/loss"):
        run.series("val/los")
    for tag in ("kind", "step"):
        with pytest.raises(optbench.UserError, match="not measured"):
            run.series(tag)


def test_without_polars_it_says_what_to_install(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "polars", None)
    for ask in (run.metrics, lambda: run.series("val/loss")):
        with pytest.raises(optbench.UserError, match=r"pip install 'optbench\[frames\]'"):
            ask()


def test_checkpoints_are_those_that_are_whole(run: Run) -> None:
    found = run.checkpoints
    best = run.summary["best"]["step"]
    assert found.last == 12 and found.best == best and best in found.steps
    last = run.path / "checkpoints" / "step-00000012" / "state.pt"
    last.write_bytes(last.read_bytes()[:-1])
    assert run.checkpoints.last == found.steps[-2]
    with pytest.raises(optbench.UserError, match=r"step-00000012: state\.pt has"):
        run.model(at=12)
    shutil.rmtree(run.path / "checkpoints")
    assert run.checkpoints == optbench.Checkpoints()
    with pytest.raises(optbench.UserError, match="it has no checkpoint"):
        run.model()


def test_the_best_of_an_older_run_is_the_summarys(run: Run) -> None:
    newest = run.path / "checkpoints" / "step-00000012" / "manifest.json"
    manifest = json.loads(newest.read_text(encoding="utf-8"))
    assert manifest.pop("best") == run.summary["best"]["step"]
    manifest["sha256"] = checkpoint.checksum(manifest)
    newest.write_text(json.dumps(manifest), encoding="utf-8")
    assert run.checkpoints.best == run.summary["best"]["step"]


def scores(run: Run, model: torch.nn.Module) -> float:
    """The share of the test set that a model has right."""
    config = optbench.compose(*run.overrides).config
    data = dataset(config)
    source = data.open("test", torch.device("cpu"))
    everything = torch.arange(data.test_size)
    (inputs, targets) = next(iter(source.stream(everything, [(0, len(everything))])))
    with torch.no_grad():
        return float((model(inputs).argmax(1) == targets).double().mean())


AVERAGED = [
    "",
    "ema=0.8",
    "optimizer=zoo optimizer.name=schedulefreeadamw model.batch_norm=true",
    "model.batch_norm=true ema=0.9 activation_checkpointing=true",
]


@pytest.mark.parametrize("line", AVERAGED)
def test_a_model_scores_what_the_run_did(line: str, tmp_path: Path) -> None:
    if "zoo" in line:
        pytest.importorskip("pytorch_optimizer")
    run = Run(train(f"epochs=2 optimizer.lr=0.01 {line}", tmp_path / "run").path)
    model = run.model(at="last")
    assert not any(module.training for module in model.modules())
    assert scores(run, model) == pytest.approx(run.summary["final"]["test/accuracy"])


def test_a_model_of_another_step_has_other_weights(run: Run) -> None:
    first, last = run.model(at=run.checkpoints.steps[0]), run.model(at="last")
    assert not torch.equal(first.head.weight, last.head.weight)
    saved = torch.load(run.path / "checkpoints" / "step-00000012" / "state.pt", weights_only=True)
    for name, value in last.state_dict().items():
        assert torch.equal(value, saved["players"]["model"]["module"][name])


def test_a_model_of_two_players_is_both_by_name(tmp_path: Path) -> None:
    line = "model=dcgan dataset=synthetic dataset.shape=[1,28,28] dataset.train_size=8"
    line += " dataset.test_size=4 dataset.val_fraction=0 batch_size=4 steps=1"
    line += " model.width=2 task.mean=[0] task.std=[1]"
    folder = tmp_path / "run"
    answer = call(f"train {line} threads=1 device=cpu hydra.run.dir={folder}")
    assert answer.code == 0, answer.err
    model = Run(folder).model(at="last")
    assert isinstance(model, torch.nn.ModuleDict)
    assert set(model) == {"generator", "discriminator"} and not model["generator"].training


@pytest.mark.parametrize("at", ["newest", True, 7, -1])
def test_a_step_that_there_is_not(run: Run, at: Any) -> None:
    with pytest.raises(optbench.UserError):
        run.model(at=at)


def disown(run: Run, **values: Any) -> None:
    """The run as somebody else's, with other values in its config."""
    config = load_yaml(run.path / "config.yaml")
    config["model"] |= values
    (run.path / "config.yaml").write_text(dump_yaml(config), encoding="utf-8")
    sealed = [run.path / "status.json", *run.path.glob("checkpoints/*/manifest.json")]
    for path in sealed:
        said = json.loads(path.read_text(encoding="utf-8"))
        del said["config"]
        if "sha256" in said:
            said["sha256"] = checkpoint.checksum(said)
        path.write_text(json.dumps(said), encoding="utf-8")


def test_a_strangers_class_is_read_and_not_built(run: Run) -> None:
    disown(run, _target_="os.system", command="touch built")
    assert run.config["model"]["_target_"] == "os.system"
    assert run.state == "finished" and run.checkpoints.last == 12
    with pytest.raises(optbench.UserError, match=r"model\._target_=os\.system: not optbench's"):
        run.model()


def test_a_run_under_way_is_read_anew(run: Run) -> None:
    assert run.state == "finished"
    RunDir(run.path).write_status("running", 7)
    assert (run.state, run.status["step"]) == ("killed", 7)  # nobody is at it
    (run.path / "status.json").write_text("{", encoding="utf-8")
    assert run.state == "unknown" and run.status == {}


def test_a_config_that_is_none(run: Run) -> None:
    (run.path / "config.yaml").write_text("- 1\n", encoding="utf-8")
    with pytest.raises(optbench.UserError, match="not a run's config"):
        optbench.open_run(run.path)


def test_checkpoints_of_a_run_without_any(tmp_path: Path) -> None:
    assert checkpoints(train("steps=1 checkpoint=none", tmp_path / "run")).steps == ()

"""A checkpoint's scores are those that the run had when it wrote it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch
from cli.program import call, records, train

import optbench
from optbench.rundir import RunDir
from optbench.runs.read import Run

LINE = "steps=12 eval.every=3 checkpoint.every=3 checkpoint.keep_last=9 optimizer.lr=0.01"
OTHERS = [
    "ema=0.8",
    "optimizer=zoo optimizer.name=schedulefreeadamw model.batch_norm=true",
    "model.batch_norm=true precision=bf16 eval.batch_size=7",
    "dataset.val_fraction=0.3 activation_checkpointing=true label_smoothing=0.1 threads=2",
    "model=vae dataset=digits model.latent=2",
    "dataset=text dataset.path=TEXT dataset.context=8 batch_size=8 model=lstm task.carry=true",
]


def last(run: Run) -> dict[str, float]:
    final = run.summary["final"]
    return {tag: value for tag, value in final.items() if tag.startswith(("val/", "test/"))}


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> RunDir:
    return train(LINE, tmp_path_factory.mktemp("evaluate") / "run")


@pytest.fixture
def run(original: RunDir, tmp_path: Path) -> Run:
    return Run(shutil.copytree(original.path, tmp_path / "run"))


@pytest.mark.parametrize("line", OTHERS)
def test_the_last_scores_are_the_summarys_to_the_bit(line: str, tmp_path: Path) -> None:
    if "zoo" in line:
        pytest.importorskip("pytorch_optimizer")
    small = "" if "lstm" in line else "model.hidden=[8]"
    text = tmp_path / "text.txt"
    text.write_text("to be or not to be, that is the question; " * 60, encoding="utf-8")
    line = f"steps=12 threads=1 device=cpu {small} {line.replace('TEXT', str(text))}"
    answer = call(f"train {line} hydra.run.dir={tmp_path / 'run'}")
    assert answer.code == 0, answer.err
    run = Run(tmp_path / "run")
    assert run.evaluate(at="last") == last(run) and len(last(run)) >= 3


def test_every_checkpoint_scores_as_its_record_says(run: Run) -> None:
    said = {record["step"]: record for record in records(RunDir(run.path), "val")}
    for step in run.checkpoints.steps:
        scores = run.evaluate(at=step)
        assert scores["val/loss"] == said[step]["val/loss"]
        assert scores["val/accuracy"] == said[step]["val/accuracy"]
    assert len({run.evaluate(at=step)["test/loss"] for step in run.checkpoints.steps}) == 4


def test_nothing_in_the_folder_nor_in_the_process_changes(run: Run) -> None:
    def found() -> dict[Path, tuple[int, int]]:
        return {p: (p.stat().st_mtime_ns, p.stat().st_size) for p in run.path.rglob("*")}

    before, drawn, threads = found(), torch.get_rng_state(), torch.get_num_threads()
    run.evaluate("threads=2", "dataset.val_fraction=0.5")
    assert found() == before and torch.get_num_threads() == threads
    assert torch.equal(torch.get_rng_state(), drawn)


def test_another_data_set_of_the_shape(run: Run) -> None:
    other = "dataset=synthetic", "dataset.shape=[1,8,8]", "dataset.num_classes=10"
    scores = run.evaluate(*other, "dataset.train_size=30", "dataset.test_size=20")
    assert set(scores) == set(last(run)) and scores["test/accuracy"] < 0.6
    model = run.model()
    data = optbench.compose(*other, "dataset.train_size=30", "dataset.test_size=20", "batch_size=9")
    from optbench.assemble.data import dataset

    source = dataset(data.config).open("test", torch.device("cpu"))
    inputs, targets = next(iter(source.stream(torch.arange(20), [(0, 20)])))
    with torch.no_grad():
        right = (model(inputs).argmax(1) == targets).double().mean()
    assert scores["test/accuracy"] == float(right)


@pytest.mark.parametrize(
    ("override", "why"),
    [
        ("optimizer.lr=1", r"optimizer\.lr=1\.0: not when a run is evaluated"),
        ("model.hidden=[4]", "not when a run is evaluated"),
        ("dataset.shape=[1,8,8]", "no such key"),
        ("dataset=synthetic", r"dataset: its input_shape is \[3, 32, 32\], the run's is \[1, 8, 8"),
        ("device=cud", "device"),
    ],
)
def test_what_can_not_be_asked(run: Run, override: str, why: str) -> None:
    with pytest.raises(optbench.UserError, match=why):
        run.evaluate(override)


def test_other_data_of_the_same_name_is_refused(run: Run) -> None:
    folder = RunDir(run.path)
    made_with = folder.read_json("env.json")
    made_with["data"]["train_size"] = 3
    folder.write_json("env.json", made_with)
    with pytest.raises(optbench.UserError, match="not the data that the run began with"):
        run.evaluate()

"""What is exported is what the run was scored with, and needs no optbench to be read."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from cli.program import call, train
from few import few

import optbench
from optbench.assemble.data import dataset
from optbench.rundir import RunDir
from optbench.runs.export import export, weights_of
from optbench.runs.read import Run

PLAIN = """\
import json
import sys

sys.modules["optbench"] = None  # an import of it would fail

import torch
from torch import nn

model = nn.ModuleDict({
    "blocks": nn.Sequential(nn.Sequential(nn.Linear(64, 8), nn.BatchNorm1d(8), nn.ReLU())),
    "head": nn.Linear(8, 10),
})
weights, test = sys.argv[1:]
if weights.endswith(".pt"):
    state = torch.load(weights, weights_only=True)
else:
    import safetensors.torch

    state = safetensors.torch.load_file(weights)
model.load_state_dict(state)
model.eval()
inputs, targets = torch.load(test, weights_only=True)
with torch.no_grad():
    logits = model["head"](model["blocks"](inputs.flatten(1)))
loss = nn.functional.cross_entropy(logits, targets, reduction="none").double().mean()
accuracy = (logits.argmax(1) == targets).double().mean()
print(json.dumps({"test/loss": float(loss), "test/accuracy": float(accuracy)}))
"""
"""A program that knows the network and torch, and nothing of optbench."""


def plain_scores(weights: Path, run: Run) -> dict[str, float]:
    data = dataset(optbench.compose(*run.overrides).config)
    source, everything = data.open("test", torch.device("cpu")), torch.arange(data.test_size)
    batch = next(iter(source.stream(everything, [(0, len(everything))])))
    torch.save(tuple(batch), weights.with_name("test.pth"))
    script = weights.with_name("plain.py")
    script.write_text(PLAIN, encoding="utf-8")
    command = [sys.executable, "-I", str(script), str(weights), str(weights.with_name("test.pth"))]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", check=True)
    scores: dict[str, float] = json.loads(done.stdout)
    return scores


@pytest.mark.parametrize("suffix", few([".pt", ".safetensors"], 1))
@pytest.mark.parametrize(
    "line",
    few(["optimizer=zoo optimizer.name=schedulefreeadamw optimizer.lr=0.01", "ema=0.8"], 1),
)
def test_a_plain_program_scores_what_the_run_did(line: str, suffix: str, tmp_path: Path) -> None:
    if suffix == ".safetensors":
        pytest.importorskip("safetensors")
    if "zoo" in line:
        pytest.importorskip("pytorch_optimizer")
    folder = train(f"epochs=2 model.batch_norm=true {line}", tmp_path / "run")
    target = tmp_path / f"model{suffix}"
    assert export(folder, weights_step(folder), target).averaged
    run = Run(folder.path)
    scores, final = plain_scores(target, run), run.summary["final"]
    assert scores["test/accuracy"] == final["test/accuracy"]
    assert scores["test/loss"] == pytest.approx(final["test/loss"], rel=1e-6)


def weights_step(folder: RunDir) -> int:
    last = Run(folder.path).checkpoints.last
    assert last is not None
    return last


def test_names_are_the_bare_models_and_values_the_best_steps(tmp_path: Path) -> None:
    line = "steps=12 eval.every=3 optimizer.lr=0.1 activation_checkpointing=true"
    run = Run(train(line, tmp_path / "run").path)
    best = run.checkpoints.best
    assert best is not None
    target = tmp_path / "model.pt"
    assert not export(RunDir(run.path), best, target).averaged
    state, model = torch.load(target, weights_only=True), run.model(at="best")
    assert list(state) == list(model.state_dict())
    for name, value in model.state_dict().items():
        assert torch.equal(state[name], value)


def test_tied_parameters_stand_there_twice(tmp_path: Path) -> None:
    library = pytest.importorskip("safetensors.torch")
    text = tmp_path / "text.txt"
    text.write_text("to be or not to be " * 100, encoding="utf-8")
    line = f"dataset=text dataset.path={text} dataset.context=8 model=gpt model.width=8"
    folder = tmp_path / "run"
    answer = call(
        f"train {line} model.layers=1 model.heads=2 steps=1 batch_size=4 threads=1 device=cpu "
        f"hydra.run.dir={folder}"
    )
    assert answer.code == 0, answer.err
    run = Run(folder)
    export(RunDir(folder), 1, tmp_path / "gpt.safetensors")
    model = run.model(at="last")
    for value in model.parameters():
        torch.nn.init.zeros_(value)
    model.load_state_dict(library.load_file(tmp_path / "gpt.safetensors"))
    for name, value in run.model(at="last").state_dict().items():
        assert torch.equal(model.state_dict()[name], value)


def test_of_two_players_each_name_has_its_players(tmp_path: Path) -> None:
    line = "model=dcgan dataset=synthetic dataset.shape=[1,28,28] dataset.train_size=8"
    line += " dataset.test_size=4 dataset.val_fraction=0 batch_size=4 steps=1"
    line += " model.width=2 task.mean=[0] task.std=[1]"
    folder = tmp_path / "run"
    answer = call(f"train {line} threads=1 device=cpu hydra.run.dir={folder}")
    assert answer.code == 0, answer.err
    state = weights_of(RunDir(folder), 1).state
    Run(folder).model(at="last").load_state_dict(state)
    assert {name.partition(".")[0] for name in state} == {"generator", "discriminator"}

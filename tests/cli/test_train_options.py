"""`optbench train`: every option has its effect."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from optbench.rundir import RunDir

from .program import SMALL, assert_same_bits, call, final_state, records, train

Lines = list[tuple[str, str]]


def weights(folder: RunDir) -> dict[str, torch.Tensor]:
    """The module in the last checkpoint."""
    module: dict[str, torch.Tensor] = final_state(folder)["state.pt"]["players"]["model"]["module"]
    return module


def test_made_up_data(workplace: Path) -> None:
    shape = "dataset.shape=[1,4,4] dataset.train_size=200 dataset.test_size=40"
    folder = train(f"dataset=synthetic {shape} batch_size=20 epochs=1", workplace / "run")
    assert folder.read_json("summary.json")["step"] == 9  # a tenth is the validation set
    assert weights(folder)["blocks.0.0.weight"].shape == (8, 16)


@pytest.mark.parametrize(
    "change",
    [
        "precision=bf16",
        "label_smoothing=0.1",
        "clip.norm=1e-3",
        "clip.value=1e-4",
        "seed=1",
        "schedule=cosine",
        "schedule.warmup_steps=50%",
        "optimizer.weight_decay=1",
        "model.dropout=0.5",
        "model.init=zeros",
        "dataset.crop=2",
        "dataset.val_fraction=0.2",
        "'optimizer.groups=[{params: head*, lr: 0}]'",
    ],
)
def test_an_option_changes_the_outcome(workplace: Path, plain: RunDir, change: str) -> None:
    changed = weights(train(f"steps=4 optimizer=sgd {change}", workplace / "run"))
    same = [torch.equal(changed[name], value) for name, value in weights(plain).items()]
    assert not all(same)


@pytest.mark.parametrize(
    "change",
    [
        "monitor.every=1",
        "monitor.tensorboard=false",
        "eval.every=1",
        "eval.batch_size=7",
        "checkpoint.every=1",
        "checkpoint=async",
        "ema=0.5",
        "early_stopping.patience=9",
        "name=other",
        "activation_checkpointing=true",
    ],
)
def test_watching_does_not_change_the_outcome(workplace: Path, plain: RunDir, change: str) -> None:
    changed = weights(train(f"steps=4 optimizer=sgd {change}", workplace / "run"))
    assert_same_bits(changed, weights(plain))


@pytest.fixture(scope="module")
def plain(shared_place: Path) -> RunDir:
    """Four steps of gradient descent and nothing else."""
    return train("steps=4 optimizer=sgd", shared_place / "plain")


def test_the_average_of_the_weights_is_what_is_scored(workplace: Path, plain: RunDir) -> None:
    averaged = train("steps=4 optimizer=sgd ema=0.9", workplace / "run")
    assert records(averaged, "test")[0]["test/loss"] != records(plain, "test")[0]["test/loss"]
    model = final_state(averaged)["state.pt"]["players"]["model"]
    assert model["averaged"].keys() == model["module"].keys()


def test_early_stopping(workplace: Path) -> None:
    stopping = "early_stopping.patience=2 early_stopping.min_delta=100 eval.every=3"
    folder = train(f"epochs=5 {stopping}", workplace / "run")
    status = folder.read_json("status.json")
    assert (status["state"], status["step"]) == ("stopped_early", 9)
    assert status["message"].startswith("val/loss has not improved on ")
    assert [record["step"] for record in records(folder, "test")] == [9]
    assert "stopped early at step 9: " in folder.log.read_text(encoding="utf-8")
    assert "run is stopped early: nothing is left to do" in call("resume run").err


@pytest.mark.parametrize(("rule", "lr"), [("none", 0.5), ("linear", 0.125), ("sqrt", 0.25)])
def test_the_learning_rate_follows_the_batch_size(workplace: Path, rule: str, lr: float) -> None:
    line = f"steps=1 monitor.every=1 optimizer=sgd optimizer.lr=0.5 scale_lr={rule} batch_size=32"
    folder = train(line, workplace / "run")
    assert records(folder, "train")[0]["lr/model"] == lr


def test_a_run_without_validation(workplace: Path) -> None:
    folder = train("epochs=1 dataset.val_fraction=0", workplace / "run")
    summary = folder.read_json("summary.json")
    assert (summary["step"], summary["examples"]) == (23, 1437)
    assert summary["best"] == {}
    assert records(folder, "val") == []
    assert len(records(folder, "test")) == 1
    assert "no validation set (dataset.val_fraction=0)" in folder.log.read_text(encoding="utf-8")


def test_micro_batches_change_nothing(workplace: Path, plain: RunDir) -> None:
    folder = train("steps=4 optimizer=sgd accumulate=3", workplace / "run")
    for name, value in weights(folder).items():
        torch.testing.assert_close(value, weights(plain)[name], rtol=1e-5, atol=1e-6)


LENGTHS: Lines = [("epochs=1", "21"), ("steps=5", "5"), ("epochs=1 batch_size=1293", "1")]


@pytest.mark.parametrize(("line", "steps"), LENGTHS)
def test_the_length_of_a_run(workplace: Path, line: str, steps: str) -> None:
    assert train(line, workplace / "run").read_json("status.json")["step"] == int(steps)


def test_a_run_that_diverges_says_where(workplace: Path) -> None:
    answer = call(f"train {SMALL} optimizer=sgd optimizer.lr=1e30 epochs=1 hydra.run.dir=run")
    folder = RunDir(workplace / "run")
    status = folder.read_json("status.json")
    assert answer.code == 1
    assert status["state"] == "diverged"
    assert f"at step {status['step'] + 1}" in status["message"]
    assert "first" in status["message"]
    assert status["message"] in answer.err
    assert records(folder, "test") == []


BROKEN = """
import torch

class Broken(torch.nn.Module):
    def __init__(self, input_shape, num_classes, **unused):
        super().__init__()
        self.layer = torch.nn.Linear(64, num_classes)

    def forward(self, inputs):
        if len(inputs) > 2:  # more than it is tried on before the run
            raise RuntimeError("nothing comes out of this")
        return self.layer(inputs.flatten(1))
"""


def test_a_run_that_fails_leaves_its_traceback(
    workplace: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "broken_model.py").write_text(BROKEN, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    answer = call(f"train {SMALL} steps=2 model._target_=broken_model.Broken hydra.run.dir=run")
    folder = RunDir(workplace / "run")
    status = folder.read_json("status.json")
    assert answer.code == 1
    assert "Traceback" not in answer.err
    assert (status["state"], status["step"]) == ("failed", 0)
    assert status["message"] == "RuntimeError: nothing comes out of this"
    assert f"failed: {status['message']}" in answer.err
    assert str(folder.log) in answer.err
    log = folder.log.read_text(encoding="utf-8")
    assert "Traceback (most recent call last)" in log
    assert "broken_model.py" in log

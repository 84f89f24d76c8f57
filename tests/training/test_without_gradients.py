"""An optimizer that only compares losses, in the one trainer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import optbench
from optbench.optim.needs import Needs

KEYS = ("optimizer._target_=tests.training.test_without_gradients.Climber", "optimizer.lr=0.02")


class Climber(torch.optim.Optimizer):
    """Tries two random points a step; takes one that is better."""

    needs = Needs(objective="many", gradients=False, module=True)

    def __init__(self, params: Any, lr: float, module: nn.Module) -> None:
        super().__init__(params, {"lr": lr})
        self.measured: dict[str, float] = {"taken": 0.0, "modules": len(list(module.modules()))}

    def step(self, closure: Any) -> Tensor:  # type: ignore[override]
        group = self.param_groups[0]
        generator = torch.Generator().manual_seed(int(self.measured["taken"]))
        here = torch.stack([closure.loss()])
        noise = [torch.randn(2, *p.shape, generator=generator) for p in group["params"]]
        points = [
            p.detach() + group["lr"] * each for p, each in zip(group["params"], noise, strict=True)
        ]
        found = torch.cat([here, closure.losses(points, way="loop")])
        best = int(found.argmin())
        if best:
            self.measured = {**self.measured, "taken": self.measured["taken"] + 1}
            with torch.no_grad():
                for parameter, point in zip(group["params"], points, strict=True):
                    parameter.copy_(point[best - 1])
        loss: Tensor = closure.forward()
        return loss


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> optbench.RunResult:
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2]))
    overrides = ["optimizer=custom", *KEYS, "model.batch_norm=true", "steps=6"]
    more = ["batch_size=16", "monitor.every=2", "monitor.histograms=2", "eval.every=0"]
    return optbench.train(*overrides, *more, folder=tmp_path / "run")


def test_its_losses_are_the_records(run: optbench.RunResult) -> None:
    train = [line for line in run.folder.read_metrics() if line["kind"] == "train"]
    assert [line["step"] for line in train] == [2, 4, 6]
    assert train[-1]["train/loss"] < train[0]["train/loss"]
    assert train[-1]["optimizer/taken"] >= 1 and train[-1]["optimizer/modules"] > 3


def test_batch_norm_follows_the_point_that_stays(run: optbench.RunResult) -> None:
    model = optbench.open_run(run.folder.path).model("last", trust=True)
    (norm,) = [module for module in model.modules() if isinstance(module, nn.BatchNorm1d)]
    assert norm.num_batches_tracked == 6


def test_its_evaluations_are_counted(run: optbench.RunResult) -> None:
    assert run.costs["passes"] == pytest.approx(6 * 4 / 3)

"""Optimizers with training and evaluation modes: what is scored, saved, and left untouched."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from optbench.data.digits import digits
from optbench.training.averaged import evaluation_weights, recalibrated, with_modes

from .runs import assert_same_bits, metrics_of, newest, resume, state_of, train

QUICK = ["dataset=digits", "epochs=2", "checkpoint.every=7"]
MODES = [
    ["optimizer=schedulefree"],
    ["optimizer=schedulefree_sgd"],
    *[["optimizer=zoo", f"optimizer.name={n}"] for n in ("schedulefreeadamw", "splus")],
]


class Halves(torch.optim.SGD):
    """Evaluates at half of its weights, and its way back is as bad as can be."""

    def eval(self) -> None:
        for group in self.param_groups:
            for parameter in group["params"]:
                parameter.data.mul_(0.5)
                self.state[parameter]["kept"] = True

    def train(self) -> None:
        for group in self.param_groups:
            for parameter in group["params"]:
                parameter.data.fill_(7.0)


def test_the_weights_are_exchanged_and_everything_comes_back() -> None:
    layer = nn.Linear(2, 2)
    optimizer = Halves(layer.parameters(), lr=0.1)
    before = [p.detach().clone() for p in layer.parameters()]
    with evaluation_weights(with_modes(optimizer), list(layer.parameters())):
        assert torch.equal(layer.weight, before[0] / 2)
    assert all(map(torch.equal, layer.parameters(), before))
    assert with_modes(torch.optim.SGD(layer.parameters(), lr=0.1)) == []


def test_recalibrated_statistics_are_those_of_the_batches_and_go_again() -> None:
    module = nn.Sequential(nn.BatchNorm1d(3), nn.Dropout(0.5)).eval()
    batches = list(torch.randn(2, 8, 3) * 3 + 5)
    norm, before = module[0], [b.clone() for b in module.buffers()]

    def forward() -> None:
        for batch in batches:
            module(batch)

    random = torch.get_rng_state()
    with recalibrated(module, forward):
        means = torch.stack([batch.mean(0) for batch in batches])
        assert isinstance(norm, nn.BatchNorm1d) and norm.running_mean is not None
        torch.testing.assert_close(norm.running_mean, means.mean(0))
        assert not module.training and not norm.training
    assert all(map(torch.equal, module.buffers(), before))
    assert norm.momentum == 0.1
    assert torch.equal(torch.get_rng_state(), random)


@pytest.mark.parametrize("optimizer", MODES, ids=" ".join)
def test_evaluating_changes_nothing_of_the_training(optimizer: list[str]) -> None:
    """With batch norm and dropout: an evaluation draws nothing and leaves no trace."""
    lines = [*QUICK, *optimizer, "model.batch_norm=true", "model.dropout=0.3"]
    assert train(Path("often"), *lines, "eval.every=3") == 0
    assert train(Path("once"), *lines, "eval.every=0") == 0
    one, other = (state_of(Path(name))["state.pt"]["players"] for name in ("often", "once"))
    assert_same_bits(one, other)


@pytest.mark.parametrize("optimizer", MODES[:3], ids=" ".join)
def test_the_averaged_weights_are_saved_and_are_what_is_scored(optimizer: list[str]) -> None:
    assert train(Path("run"), *QUICK, *optimizer) == 0
    player = state_of(Path("run"))["state.pt"]["players"]["model"]
    averaged, module = player["averaged"], player["module"]
    assert averaged.keys() == module.keys()
    beta = player["optimizer"]["param_groups"][0]
    beta = beta["betas"][0] if "betas" in beta else beta["momentum"]
    for number, (name, weights) in enumerate(module.items()):
        z = player["optimizer"]["state"][number]["z"]
        torch.testing.assert_close(weights, (1 - beta) * z + beta * averaged[name])
    scored = [m["test/accuracy"] for m in metrics_of(Path("run")) if m["kind"] == "test"]
    assert scored == [pytest.approx(accuracy(averaged), abs=1e-9)]
    assert accuracy(averaged) != pytest.approx(accuracy(module), abs=1e-9)


def accuracy(weights: dict[str, Tensor]) -> float:
    """Of the MLP of these runs, on digits' test set."""
    data = digits(mean=[0.3051], std=[0.3759])
    source = data.open("test", torch.device("cpu"))
    ((inputs, targets),) = source.stream(torch.arange(data.test_size), [(0, data.test_size)])
    hidden = inputs.flatten(1) @ weights["blocks.0.0.weight"].T + weights["blocks.0.0.bias"]
    logits = torch.relu(hidden) @ weights["head.weight"].T + weights["head.bias"]
    return float((logits.argmax(1) == targets).double().mean())


def test_an_average_of_an_average_is_refused(capfd: pytest.CaptureFixture[str]) -> None:
    assert train(Path("run"), *QUICK, *MODES[0], "ema=0.9") == 2
    assert "averages the weights itself; use ema=0" in capfd.readouterr().err
    assert not Path("run").exists()


def test_it_goes_on_from_the_weights_that_it_trains() -> None:
    assert train(Path("run"), *QUICK, *MODES[0]) == 0
    assert resume(Path("run"), "epochs=3") == 0
    lines = [m["train/loss"] for m in metrics_of(Path("run")) if m["kind"] == "train"]
    assert all(later < earlier + 0.1 for earlier, later in pairwise(lines))
    assert newest(Path("run")).name == "step-00000063"

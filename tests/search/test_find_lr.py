"""The range test on experiments: what it trains with, and that it leaves everything as it was."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from few import few

from optbench.assemble.data import dataset
from optbench.assemble.experiment import Experiment, build_experiment
from optbench.compose.composer import hydra_session
from optbench.errors import UserError
from optbench.monitor.record import Record
from optbench.search.find_lr import range_test
from optbench.search.lr_range import Ramp
from optbench.training.distributed import World

RAMP = Ramp(1e-4, 1e-1, 12)


def experiment(*overrides: str) -> Experiment:
    small = [] if any(line.startswith("model=") for line in overrides) else ["model.hidden=[8]"]
    lines = [*small, "threads=1", "device=cpu", "epochs=1", *overrides]
    with hydra_session() as composer:
        config = composer.spec(composer.compose(lines), lines).config
    return build_experiment(config, dataset(config), World(torch.device("cpu")))


class Board:
    """Keeps what TensorBoard would get."""

    def __init__(self) -> None:
        self.records: list[Record] = []

    def write(self, record: Record) -> None:
        self.records.append(record)


def everything(built: Experiment) -> dict[str, Any]:
    state = built.state
    modes = [m.training for m in state.players[0].module.modules()]
    grads = [p.grad for p in state.players[0].module.parameters()]
    whole = {"shared": state.shared(), "own": state.own(), "modes": modes, "grads": grads}
    return copy.deepcopy(whole)


def same(one: Any, other: Any) -> bool:
    if isinstance(one, torch.Tensor):
        return one.dtype == other.dtype and torch.equal(one, other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[k], other[k]) for k in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(one == other)


KINDS = [
    *("optimizer=sgd", "optimizer=adam", "optimizer=lbfgs", "optimizer=muon", "wrapper=sam"),
    *("precision=fp16", "precision=bf16", "accumulate=4", "ema=0.9", "schedule=cosine"),
    *("optimizer=schedulefree", "model.dropout=0.5"),
]


@pytest.mark.parametrize("override", few(KINDS, 7))
def test_everything_is_left_bit_for_bit_as_it_was(override: str) -> None:
    built = experiment(override)
    module = built.state.players[0].module
    module.eval()
    for parameter in module.parameters():
        parameter.grad = torch.ones_like(parameter)
    before = everything(built)
    trial = range_test(built, RAMP)
    assert len(trial.curve.losses) == 12 and trial.ended == "finished"
    assert same(everything(built), before)
    assert range_test(built, RAMP) == trial


def test_a_training_that_is_under_way_is_left_as_it_was() -> None:
    from optbench.monitor.record import Recorder
    from optbench.training.signals import Interruption

    built = experiment("optimizer=adam", "eval.every=0")
    built.trainer(Recorder(), None, Interruption()).fit()
    before = everything(built)
    assert before["shared"]["players"]["model"]["optimizer"]["state"]
    assert len(range_test(built, RAMP).curve.losses) == 12
    assert same(everything(built), before)


def rates_of(built: Experiment, monkeypatch: pytest.MonkeyPatch) -> list[list[float]]:
    """The learning rates of each group at each update of a test."""
    seen: list[list[float]] = []
    optimizer = built.state.players[0].optimizer
    step = optimizer.step

    def spied(closure: Callable[[], float] | None = None) -> Any:
        seen.append([float(group["lr"]) for group in optimizer.param_groups])
        return step(closure) if closure is not None else step()

    monkeypatch.setattr(optimizer, "step", spied)
    range_test(built, RAMP, base=float(built.config.optimizer["lr"]))
    return seen


def test_updates_use_the_ramp_and_the_curve_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = [RAMP.lr(step) for step in range(12)]
    built = experiment("optimizer=sgd", "optimizer.lr=0.05", "schedule.warmup_steps=5")
    assert [lr for (lr,) in rates_of(built, monkeypatch)] == pytest.approx(wanted, rel=1e-12)
    assert range_test(experiment("optimizer=sgd"), RAMP).curve.lrs == wanted


def test_groups_and_companions_follow_in_proportion(monkeypatch: pytest.MonkeyPatch) -> None:
    built = experiment("optimizer=muon", "optimizer.lr=0.02", "optimizer.companion.lr=0.005")
    for step, (muon, companion) in enumerate(rates_of(built, monkeypatch)):
        assert muon == pytest.approx(RAMP.lr(step))
        assert companion == pytest.approx(RAMP.lr(step) / 4)


def test_batches_that_the_scaler_leaves_out_do_not_count() -> None:
    built = experiment("precision=fp16")
    scaler = built.state.precision.scaler
    assert scaler is not None
    state = scaler.state_dict()
    scaler.load_state_dict({**state, "scale": 2.0**40})  # overflows until it has shrunk
    trial = range_test(built, RAMP)
    assert trial.skipped > 0 and trial.curve.lrs == [RAMP.lr(step) for step in range(12)]
    assert scaler.state_dict()["scale"] == 2.0**40


def test_a_diverging_loss_ends_it() -> None:
    trial = range_test(experiment("optimizer=sgd"), Ramp(1e-3, 1e6, 100))
    assert trial.ended == "diverged" and 0 < len(trial.curve.losses) < 100
    assert all(loss < float("inf") for loss in trial.curve.losses)


def test_a_loss_below_zero() -> None:
    trial = range_test(experiment("model=styblinski_tang", "optimizer=sgd"), Ramp(1e-4, 10.0, 60))
    assert trial.ended == "diverged" and min(trial.curve.losses) < -10.0
    found = trial.suggestions["steepest"]
    assert found is not None and 1e-3 < found < 0.1


def test_a_loss_that_is_not_finite_ends_it_whatever_the_policy() -> None:
    for policy in ("stop", "skip", "raise"):
        built = experiment("optimizer=sgd", f"nonfinite={policy}")
        before = everything(built)
        trial = range_test(built, Ramp(1e30, 1e38, 20))
        assert trial.ended == "diverged" and len(trial.curve.losses) < 20
        assert same(everything(built), before)


def test_the_board_gets_loss_and_rate_by_step() -> None:
    board = Board()
    trial = range_test(experiment(), RAMP, board=board)
    assert [r.step for r in board.records] == list(range(1, 13))
    assert [r.values["train/loss"] for r in board.records] == trial.curve.losses
    assert [r.values["lr/model"] for r in board.records] == trial.curve.lrs


def test_seeds_differ() -> None:
    one, other = (range_test(experiment(f"seed={s}"), RAMP).curve.losses for s in (0, 1))
    assert one != other


def test_a_rate_of_zero_can_not_be_scaled() -> None:
    with pytest.raises(UserError, match=r"optimizer\.lr=0"):
        range_test(experiment("optimizer=sgd"), RAMP, base=0.0)

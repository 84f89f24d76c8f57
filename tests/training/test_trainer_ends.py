"""How a run can end before its length: what is not finite, and signals."""

from __future__ import annotations

import json
import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from optbench.assemble.experiment import Experiment
from optbench.monitor.record import Recorder
from optbench.tasks.base import Batch, Modules
from optbench.tasks.classification import Classification
from optbench.training.signals import STOPS

from .experiments import experiment, fit, player_of, weights_of
from .runs import assert_same_run, metrics_of, newest, resume, state_of, status_of, train

STEPS = ["steps=12", "monitor.every=5"]
EVALUATED = [*STEPS, "eval.every=4", "eval.batch_size=25"]


def spoil_loss(patch: pytest.MonkeyPatch, *steps: int, factor: float = float("nan")) -> None:
    """The loss of these steps, counted from 1, is not finite; one micro-batch a step."""
    true, calls = Classification.loss, []

    def loss(self: Classification, *arguments: Any) -> Tensor:
        calls.append(arguments)
        return true(self, *arguments) * (factor if len(calls) in steps else 1.0)

    patch.setattr(Classification, "loss", loss)


def spoil_gradient(made: Experiment, step: int, number: int = 2) -> str:
    """One parameter's gradient is not finite in a step; its name."""
    calls: list[int] = []

    def hook(gradient: Tensor) -> Tensor:
        calls.append(1)
        return gradient * torch.nan if len(calls) == step else gradient

    player_of(made).parameters[number].register_hook(hook)
    return player_of(made).names[number]


@pytest.mark.parametrize("factor", [float("nan"), float("inf")])
def test_stop_ends_before_the_weights_are_touched(
    factor: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    spoil_loss(monkeypatch, 7, factor=factor)
    made = experiment(*STEPS)
    kept: dict[int, Tensor] = {}
    outcome, memory = fit(made, lambda step: kept.setdefault(step, weights_of(made)))
    assert outcome.state == "diverged"
    assert outcome.message.startswith(f"loss is {factor} at step 7; first gradient not finite: ")
    assert made.state.progress.step == 6
    assert torch.equal(weights_of(made), kept[6])
    assert weights_of(made).isfinite().all()
    assert memory.kinds("test") == []


@pytest.mark.parametrize(
    "which", ["optimizer=nag", "optimizer=sophia", "optimizer=lbfgs", "wrapper=sam"]
)
def test_stop_ends_before_the_weights_are_touched_by_what_evaluates_the_loss_itself(
    which: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = experiment(*STEPS, which)
    true = Classification.loss

    def loss(self: Classification, *arguments: Any) -> Tensor:
        return true(self, *arguments) * (torch.nan if made.state.progress.step == 6 else 1.0)

    monkeypatch.setattr(Classification, "loss", loss)
    kept: dict[int, Tensor] = {}
    outcome, memory = fit(made, lambda step: kept.setdefault(step, weights_of(made)))
    assert outcome.state == "diverged"
    assert outcome.message.startswith("loss is nan at step 7; first gradient not finite: ")
    assert torch.equal(weights_of(made), kept[6])
    assert memory.kinds("test") == []


@pytest.mark.parametrize("more", [[], ["accumulate=2"], ["optimizer=lbfgs"]])
def test_examples_that_are_not_finite_are_counted(
    more: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    made = experiment(*STEPS, *more)
    chosen = made.feed.order(0)[3 * made.feed.batch_size :][:2]
    true = made.feed.source.stream

    def stream(indices: Tensor, *arguments: Any) -> Iterator[Any]:
        for (inputs, targets), (first, stop) in zip(
            true(indices, *arguments), arguments[0], strict=True
        ):
            bad = torch.isin(indices[first:stop], chosen)
            yield torch.where(bad[:, None, None, None], torch.nan, inputs), targets

    monkeypatch.setattr(made.feed.source, "stream", stream)
    outcome, _ = fit(made)
    size = made.feed.batch_size
    said = f"loss is nan at step 4; of the batch's {size} examples 2 are not finite"
    assert (outcome.state, outcome.message) == ("diverged", said)


def test_stop_is_told_in_the_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    spoil_loss(monkeypatch, 7)
    assert train(Path("run"), *STEPS, "checkpoint.every=3") == 1
    status = status_of(Path("run"))
    assert status["state"] == "diverged"
    assert "loss is nan at step 7" in status["message"]
    assert "blocks.0.0.weight" in status["message"]
    assert newest(Path("run")).name == "step-00000006"
    assert json.loads(Path("run/summary.json").read_text(encoding="utf-8"))["state"] == "diverged"


def test_a_gradient_norm_that_is_not_finite_is_named() -> None:
    """Seen at a measured step, after which the parameter concerned is not finite either."""
    made = experiment(*STEPS)
    name = spoil_gradient(made, 5)
    outcome, _ = fit(made)
    assert outcome.state == "diverged"
    assert "gradient norm is nan at step 5" in outcome.message
    assert outcome.message.endswith(f"first parameter not finite: {name}")


def test_no_checkpoint_is_made_of_weights_that_are_not_finite() -> None:
    """The step at which it is noticed is one at which a checkpoint is due."""
    made = experiment(*STEPS, "checkpoint.every=5")
    spoil_gradient(made, 10)
    outcome, _ = fit(made, folder=Path("run").absolute())
    assert outcome.state == "diverged"
    state = torch.load(newest(Path("run")) / "state.pt", weights_only=True)
    module = state["players"]["model"]["module"]
    assert all(tensor.isfinite().all() for tensor in module.values())


def test_skip_leaves_the_step_out_and_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    spoil_loss(monkeypatch, 4, 8)
    made = experiment(*STEPS, "nonfinite=skip", "schedule=cosine")
    kept: list[tuple[int, Tensor, float, int]] = []
    player = player_of(made)
    outcome, memory = fit(
        made, lambda step: kept.append((step, weights_of(made), player.lr, player.step))
    )
    assert outcome.state == "finished"
    assert [step for step, *_ in kept] == [1, 2, 3, 3, 4, 5, 6, 6, 7, 8, 9, 10, 11, 12]
    assert torch.equal(kept[3][1], kept[2][1]) and kept[3][2:] == kept[2][2:]
    assert made.state.progress.skipped == 2
    assert all(torch.isfinite(torch.tensor(v)) for v in memory.values("train/loss").values())


CLAMPED = "clip.value=0.1"


@pytest.mark.parametrize("clip", ["clip.norm=1", CLAMPED])
def test_skip_sees_infinite_gradients_behind_the_clipping(clip: str) -> None:
    """Clamped to a bound, an infinity would look like an honest number."""
    made = experiment(*STEPS, "nonfinite=skip", clip)
    calls: list[int] = []

    def hook(gradient: Tensor) -> Tensor:
        calls.append(1)
        return torch.full_like(gradient, torch.inf) if len(calls) == 4 else gradient

    player_of(made).parameters[0].register_hook(hook)
    fit(made)
    assert made.state.progress.skipped == 1


def test_skip_holds_for_lbfgs_too(monkeypatch: pytest.MonkeyPatch) -> None:
    spoil_loss(monkeypatch, 8, 9, 10)
    made = experiment("steps=6", "optimizer=lbfgs", "nonfinite=skip")
    outcome, _ = fit(made)
    assert outcome.state == "finished"
    assert weights_of(made).isfinite().all()


def test_skip_sees_a_product_with_the_hessian_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """A term that is 0, as is its gradient; but not its second derivative."""
    made = experiment("steps=3", "optimizer=sophia", "nonfinite=skip", "optimizer.hessian_every=2")
    weight, true, calls = player_of(made).parameters[0], Classification.loss, []

    def loss(self: Classification, *arguments: Any) -> Tensor:
        calls.append(1)
        sharp = (weight - weight.detach()).abs().pow(1.5).sum()
        return true(self, *arguments) + (sharp if len(calls) <= 2 else 0.0)

    monkeypatch.setattr(Classification, "loss", loss)
    before, seen = weights_of(made), []
    outcome, _ = fit(made, lambda step: seen.append((step, weights_of(made))))
    assert outcome.state == "finished" and made.state.progress.skipped == 1
    assert [step for step, _ in seen] == [0, 1, 2, 3]
    assert torch.equal(seen[0][1], before) and weights_of(made).isfinite().all()


def test_skip_gives_up_after_a_hundred(monkeypatch: pytest.MonkeyPatch) -> None:
    spoil_loss(monkeypatch, *range(3, 1000))
    made = experiment("steps=500", "nonfinite=skip")
    outcome, _ = fit(made)
    assert outcome.state == "diverged"
    assert made.state.progress.step == 2 and made.state.progress.skipped == 100


def test_raise_fails_the_run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    spoil_loss(monkeypatch, 7)
    assert train(Path("run"), *STEPS, "nonfinite=raise") == 1
    status = status_of(Path("run"))
    assert status["state"] == "failed" and status["step"] == 6
    assert "FloatingPointError: loss is nan at step 7" in status["message"]
    assert "Traceback" not in capsys.readouterr().err
    assert "Traceback" in Path("run/log.txt").read_text(encoding="utf-8")


def test_a_finished_run_is_not_called_diverged(monkeypatch: pytest.MonkeyPatch) -> None:
    assert train(Path("run"), *STEPS) == 0
    status = status_of(Path("run"))
    assert status.items() >= {"state": "finished", "step": 12, "message": ""}.items()
    assert status["checkpoint"] == 12


def send_in_step(patch: pytest.MonkeyPatch, step: int, *signals: int) -> None:
    """This process gets the signals while a step is under way."""
    true, calls = Classification.loss, []

    def loss(self: Classification, *arguments: Any) -> Tensor:
        calls.append(arguments)
        if len(calls) == step:
            for number in signals:
                os.kill(os.getpid(), number)
        return true(self, *arguments)

    patch.setattr(Classification, "loss", loss)


def send_in_score(patch: pytest.MonkeyPatch, batch: int) -> None:
    """This process gets a SIGTERM while a batch is scored, counted from 1 over all evaluations."""
    true, calls = Classification.score, []

    def score(self: Classification, modules: Modules, given: Batch) -> dict[str, Tensor]:
        if len(given[1]) > 2:  # so many are tried before the run
            calls.append(given)
            assert len(calls) <= batch, "the evaluation goes on"
            if len(calls) == batch:
                os.kill(os.getpid(), signal.SIGTERM)
        return true(self, modules, given)

    patch.setattr(Classification, "score", score)


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of 12 steps with a validation of 6 batches at each fourth, and a test of 15."""
    folder = tmp_path_factory.mktemp("shared") / "run"
    assert train(folder, *EVALUATED) == 0
    return folder


@pytest.mark.parametrize(
    ("batch", "step", "scored"),
    [(1, 4, 0), (5, 4, 0), (8, 8, 1), (13, 12, 2), (19, 12, 3), (25, 12, 3)],
)
def test_a_signal_during_an_evaluation_leaves_it_to_the_resume(
    batch: int, step: int, scored: int, evaluated: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        send_in_score(patch, batch)
        assert train(Path("run"), *EVALUATED) == 143
    status = status_of(Path("run"))
    assert (status["state"], status["step"]) == ("preempted", step)
    assert newest(Path("run")).name == f"step-{step:08d}"
    kinds = [m["kind"] for m in metrics_of(Path("run"))]
    assert (kinds.count("val"), kinds.count("test")) == (scored, 0)
    assert resume(Path("run")) == 0
    assert_same_run(evaluated, Path("run"))


def test_an_evaluation_whose_last_batch_is_done_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        send_in_score(patch, 6)
        assert train(Path("run"), *EVALUATED) == 143
    assert status_of(Path("run"))["step"] == 5
    assert [m["step"] for m in metrics_of(Path("run")) if m["kind"] == "val"] == [4]


def test_a_run_that_stops_early_and_is_interrupted_in_its_test_stops_early_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    early = [*EVALUATED, "early_stopping.patience=1", "early_stopping.min_delta=100"]
    assert train(Path("whole"), *early) == 0
    assert status_of(Path("whole"))["state"] == "stopped_early"
    with monkeypatch.context() as patch:
        send_in_score(patch, 14)
        assert train(Path("run"), *early) == 143
    assert status_of(Path("run"))["message"] == ""
    assert resume(Path("run")) == 0
    assert_same_run(Path("whole"), Path("run"))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_that_was_ignored_stays_ignored(
    number: signal.Signals, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = signal.signal(number, signal.SIG_IGN)
    try:
        send_in_step(monkeypatch, 7, number)
        assert train(Path("run"), *STEPS) == 0
        assert signal.getsignal(number) is signal.SIG_IGN
    finally:
        signal.signal(number, before)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_finishes_the_step_and_saves(
    number: signal.Signals, monkeypatch: pytest.MonkeyPatch
) -> None:
    handlers = [signal.getsignal(s) for s in STOPS]
    send_in_step(monkeypatch, 7, number)
    assert train(Path("run"), *STEPS) == 128 + number
    status = status_of(Path("run"))
    assert (status["state"], status["step"]) == ("preempted", 7)
    assert newest(Path("run")).name == "step-00000007"
    assert [m["kind"] for m in metrics_of(Path("run")) if m["kind"] in ("val", "test")] == []
    assert [signal.getsignal(s) for s in STOPS] == handlers


@pytest.mark.parametrize(("every", "kept"), [("3", 6), ("100", 0)])
def test_a_second_interrupt_stops_at_once(
    every: str, kept: int, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    with monkeypatch.context() as patch:
        send_in_step(patch, 7, signal.SIGINT, signal.SIGINT)
        assert train(Path("run"), *STEPS, f"checkpoint.every={every}") == 130
    status, said = status_of(Path("run")), capfd.readouterr()
    assert (status["state"], status["step"], status.get("checkpoint", 0)) == (
        *("preempted", kept),
        kept,
    )
    lost = "" if kept == 6 else ", without a checkpoint of step 6"
    assert f"interrupted{lost}\n" in said.err
    assert "failed" not in said.err and "traceback" not in said.err
    assert "optbench resume run\n" in said.out
    assert resume(Path("run")) == 0
    assert train(Path("whole"), *STEPS, f"checkpoint.every={every}") == 0
    assert_same_run(Path("whole"), Path("run"))


def test_a_signal_during_the_last_step_leaves_the_end_to_the_resume(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with monkeypatch.context() as patch:
        send_in_step(patch, 12, signal.SIGTERM)
        assert train(Path("run"), *STEPS) == 143
    assert status_of(Path("run"))["state"] == "preempted"
    assert resume(Path("run")) == 0
    assert train(Path("whole"), *STEPS) == 0
    assert_same_run(Path("whole"), Path("run"))


def test_the_last_checkpoint_knows_the_last_score() -> None:
    """A checkpoint is due at the last step, before the score that always comes at the end."""
    assert train(Path("run"), "steps=12", "checkpoint.every=6", "eval.every=0") == 0
    state = state_of(Path("run"))["state.pt"]
    assert state["progress"]["evaluated"] == 12
    assert state["best"]["step"] == 12


@pytest.mark.parametrize("how", ["checkpoint=default", "checkpoint=async"])
def test_a_disk_that_is_full_fails_the_run(how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    def from_step_5(self: Recorder, step: int) -> None:
        if step == 5:
            for thread in set(threading.enumerate()) - others:  # which write checkpoints
                thread.join()
            monkeypatch.setattr(os, "fsync", full)

    others = set(threading.enumerate())
    monkeypatch.setattr(Recorder, "tick", from_step_5)
    assert train(Path("run"), *STEPS, how, "checkpoint.every=4") == 1
    status = status_of(Path("run"))
    assert status["state"] == "failed" and "No space left" in status["message"]
    assert newest(Path("run")).name == "step-00000004"
